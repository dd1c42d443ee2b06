"""How far the Jobs of a rollback's steps are, and what they have said. Asked for by name, and only while a step runs.

What a container has said last stands in its pod's status: what it wrote to /dev/termination-log, else, where it failed,
the end of its log. So what decides hangs on no right to read logs; only how far a Job is that runs is read there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from syncrollout.act.target import Target
from syncrollout.api.words import REPORT_ANNOTATION
from syncrollout.decide.facts import JobFact, JobState
from syncrollout.observe.masks import masked, printable
from syncrollout.observe.pods import JOB_NAME, POD
from syncrollout.observe.progress import Progress
from syncrollout.ports import ActingApi, ApiError, KindRef, NotFound, Object, ObjectRef, Unavailable

log = logging.getLogger(__name__)

JOB: Final = KindRef("batch/v1", "Job")
CONFIG_MAP: Final = KindRef("v1", "ConfigMap")
LONGEST: Final = 1024
"""Characters that are kept of what the containers of a step have said."""
LONGEST_MESSAGE: Final = 4096
"""Characters that are looked at of one container's: Kubernetes keeps no more bytes of a termination message."""
_TIME_IS_UP: Final = "DeadlineExceeded"


class Jobs:
    """Looks at Jobs on behalf of the gatherer, and without `progress` not at what they print. Remembers nothing."""

    def __init__(self, api: ActingApi, progress: Progress | None = None) -> None:
        self._api = api
        self._progress = progress

    async def look(self, target: Target, names: Sequence[str], *, progress: bool = True) -> Mapping[str, JobFact]:
        """Each of these Jobs as it stands now. Never raises for what an API server can answer: what cannot be seen is
        UNSEEN, and its step has a deadline all the same. `progress`: those that run are asked how far they are."""
        facts = await asyncio.gather(*(self._one(target, name, progress=progress) for name in names))
        return dict(zip(names, facts, strict=True))

    async def report(self, target: Target, name: str) -> str | None:
        """The stamp of the ConfigMap that an incident report goes to, empty where it has none; None where it cannot be
        seen, or `name` is empty."""
        if not name:
            return None
        try:
            obj = await self._api.acting_as(target.behalf).get(ObjectRef(CONFIG_MAP, target.ref.namespace, name))
        except NotFound:
            return ""
        except ApiError as error:
            log.warning("the ConfigMap of the incident report cannot be seen: %s", error)
            return None
        return str((obj["metadata"].get("annotations") or {}).get(REPORT_ANNOTATION, ""))

    async def _one(self, target: Target, name: str, *, progress: bool) -> JobFact:
        try:
            fact = read(await self._api.get(ObjectRef(JOB, target.ref.namespace, name)))
        except NotFound:
            return JobFact(JobState.MISSING)
        except ApiError as error:
            log.warning("a step's Job cannot be seen: %s", error)
            return JobFact(JobState.UNSEEN, str(error)[:500])
        if fact.state is not JobState.RUNNING:
            return await self._with_words(target, name, fact)
        if self._progress is None or not progress:
            return fact
        said = await self._progress.of(target.behalf, name, f"{JOB_NAME}={name}")
        return replace(fact, progress=said)

    async def _with_words(self, target: Target, name: str, fact: JobFact) -> JobFact:
        try:
            api = self._api.acting_as(target.behalf)
            pods = await api.list(POD, target.ref.namespace, label_selector=f"{JOB_NAME}={name}")
        except Unavailable as error:
            if fact.state is JobState.FAILED:  # its exit code decides on a restore: it is looked at again
                return JobFact(JobState.UNSEEN, str(error)[:500])
            return fact
        except ApiError as error:
            log.warning("what Job %s/%s has said cannot be read: %s", target.ref.namespace, name, error)
            return fact
        code, output = last_words(pods.items)
        return replace(fact, exit_code=code, output=output)


def read(obj: Object) -> JobFact:
    """A Job as it stands."""
    conditions: list[Any] = (obj.get("status") or {}).get("conditions") or []
    ended = {str(each.get("type")): each for each in conditions if each.get("status") == "True"}
    if "Complete" in ended:
        return JobFact(JobState.COMPLETE)
    if "Failed" in ended:
        failed = ended["Failed"]
        stopped = failed.get("reason") == _TIME_IS_UP
        return JobFact(JobState.STOPPED if stopped else JobState.FAILED, str(failed.get("message") or "")[:500])
    return JobFact(JobState.RUNNING)


def last_words(pods: Sequence[Object]) -> tuple[int | None, str]:
    """The exit code that counts (the first that is not 0) and what the containers have said last, masked."""
    ended: list[tuple[str, dict[str, Any]]] = []
    for pod in pods:
        status = pod.get("status") or {}
        for kind in ("initContainerStatuses", "containerStatuses"):
            for container in status.get(kind) or ():
                terminated = (container.get("state") or {}).get("terminated")
                if terminated:
                    ended.append((str(container.get("name", "")), terminated))
    codes = [int(each.get("exitCode") or 0) for _, each in ended]
    messages = [(name, printable(str(each.get("message") or "")[-LONGEST_MESSAGE:])) for name, each in ended]
    said = [(name, masked(message.strip())) for name, message in messages]
    many = sum(bool(text) for _, text in said) > 1
    output = "\n".join(f"{name}: {text}" if many else text for name, text in said if text)
    return next((code for code in codes if code), codes[0] if codes else None), _end(output)


def _end(text: str) -> str:
    return text if len(text) <= LONGEST else "…" + text[1 - LONGEST :]


__all__ = ["JOB", "Jobs", "read"]

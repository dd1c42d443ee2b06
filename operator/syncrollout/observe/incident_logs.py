"""The ends of logs for the incident report: of new's pods while they are there, and of the pods of the steps' Jobs.

Bounded in pods, lines, bytes and time, and masked: a report is read by more people than the logs of a namespace are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

from syncrollout.act.target import Target, workload_ref
from syncrollout.api.words import LOGS_ANNOTATION
from syncrollout.observe import workloads
from syncrollout.observe.masks import masked, printable
from syncrollout.observe.pods import JOB_NAME, POD, made_by
from syncrollout.observe.selectors import selector_text
from syncrollout.ports import ApiError, KindRef, KubeApi, LogsOnBehalf, NotFound, Object, ObjectRef, OnBehalf, PodLogs

log = logging.getLogger(__name__)

CONFIG_MAP: Final = KindRef("v1", "ConfigMap")
MOST_PODS: Final = 3
"""Of new: those that are worst off."""
MOST_LOGS: Final = 12
"""Containers (each before and after a restart) that are read."""
LINES: Final = 200
LONGEST: Final = 8 * 1024
"""Bytes that are kept of each, the last."""
PATIENCE: Final = 8.0
"""Seconds that all of it may take."""


class IncidentLogs:
    """Reads logs on behalf of the gatherer. Remembers nothing; never raises for what an API server can answer."""

    def __init__(self, api: OnBehalf, logs: LogsOnBehalf) -> None:
        self._api = api
        self._logs = logs

    async def of_new(
        self, target: Target, config_map: str, stamp: str, *, read: bool = True
    ) -> tuple[str | None, str | None]:
        """The stamp of the logs that the ConfigMap holds (None where it cannot be seen), and, to `read`, the ends of
        those of new's pods where that is another; (None, None) without a ConfigMap."""
        if not config_map:
            return None, None
        try:
            obj = await self._api.acting_as(target.behalf).get(ObjectRef(CONFIG_MAP, target.ref.namespace, config_map))
        except NotFound:
            kept = ""
        except ApiError as error:
            log.warning("the ConfigMap of the incident report cannot be seen: %s", error)
            return None, None
        else:
            kept = str((obj["metadata"].get("annotations") or {}).get(LOGS_ANNOTATION, ""))
        if kept == stamp or not read:
            return kept, None
        return kept, await self._within(self._of_new(target), "no pod of new is there")

    async def of_jobs(self, target: Target, names: Sequence[str]) -> str:
        """The ends of the logs of these Jobs; empty without any."""
        return await self._within(self._of_jobs(target, names), "") if names else ""

    async def _within(self, reading: Any, nothing: str) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                return await reading or nothing
        except TimeoutError:
            return f"(the logs could not be read within {PATIENCE:g} s)"
        except ApiError as error:
            return f"(the logs could not be read: {str(error)[:300]})"

    async def _of_new(self, target: Target) -> str:
        ref, api = workload_ref(target.spec.new, target.ref.namespace), self._api.acting_as(target.behalf)
        if ref.kind.kind == workloads.CRON_JOB:
            found = await api.list(POD, ref.namespace, label_selector=JOB_NAME)
            pods = [pod for pod in found.items if made_by(pod, ref.name)]
        else:
            pods = (await api.list(POD, ref.namespace, label_selector=await self._selector(api, ref))).items
        worst = sorted(pods, key=_well)[:MOST_PODS]
        more = f"({len(pods) - MOST_PODS} more pods are left out)" if len(pods) > MOST_PODS else ""
        return "\n\n".join(filter(None, [await self._all(target, worst), more]))

    @staticmethod
    async def _selector(api: KubeApi, ref: ObjectRef) -> str:
        workload = await api.get(ref)
        selector = (workload.get("spec") or {}).get("selector")
        if ref.kind.group == "apps" and isinstance(selector, dict):
            return selector_text(selector)
        scale = await api.get(ref, subresource="scale")
        text = str((scale.get("status") or {}).get("selector") or "")
        if not text:
            raise NotFound(f"{ref} does not say in status.selector of its scale which pods are its own")
        return text

    async def _of_jobs(self, target: Target, names: Sequence[str]) -> str:
        pods: list[Object] = []
        for name in names:
            found = await self._api.acting_as(target.behalf).list(
                POD, target.ref.namespace, label_selector=f"{JOB_NAME}={name}"
            )
            pods += found.items
        return await self._all(target, pods)

    async def _all(self, target: Target, pods: Sequence[Object]) -> str:
        logs = self._logs.acting_as(target.behalf)
        wanted = [each for pod in pods for each in _containers(pod)][:MOST_LOGS]
        return "\n\n".join(await asyncio.gather(*(self._one(logs, *each) for each in wanted)))

    @staticmethod
    async def _one(logs: PodLogs, pod: ObjectRef, container: str, previous: bool) -> str:
        title = f"== pod {pod.name}, container {container}{', before its last restart' if previous else ''} =="
        try:
            text = await logs.logs(pod, container, lines=LINES, previous=previous)
        except ApiError as error:
            return f"{title}\n(not read: {str(error)[:300]})"
        return f"{title}\n{end(text) or '(nothing)'}"


def end(text: str) -> str:
    """The end of a log, masked, from the beginning of a line."""
    # Masked before it is cut, for half a secret is none that could be told; and of no more, for that takes its time.
    plain = masked(printable(text[-2 * LONGEST :])).encode()
    if len(plain) > LONGEST:
        plain = plain[-LONGEST:].partition(b"\n")[2] or plain[-LONGEST:]
    return plain.decode(errors="ignore").strip("\n")


def _containers(pod: Object) -> Iterator[tuple[ObjectRef, str, bool]]:
    """Each container that has begun, first as it was before its last restart."""
    metadata = pod["metadata"]
    ref = ObjectRef(POD, str(metadata.get("namespace", "")), str(metadata["name"]))
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(kind) or ():
            state = each.get("state") or {}
            if each.get("restartCount") or "terminated" in (each.get("lastState") or {}):
                yield ref, str(each["name"]), True
            if "running" in state or "terminated" in state:
                yield ref, str(each["name"]), False


def _well(pod: Object) -> tuple[bool, int, str]:
    """Those first that are not ready, then those that were restarted most."""
    status = pod.get("status") or {}
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    restarts = sum(int(each.get("restartCount") or 0) for each in status.get("containerStatuses") or ())
    return ready, -restarts, str(pod["metadata"]["name"])


__all__ = ["IncidentLogs", "end"]

"""The last finished Job of each CronJob that triggers and criteria name, from what a watch knows of Jobs: a look asks
nobody. Whose a Job is stands in its ownerReferences, so one that a person has made of the CronJob
(`kubectl create job --from`) counts as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from syncrollout.act.perform import MOMENT
from syncrollout.act.target import Target
from syncrollout.api.fields import parse_time
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import State, Unknown
from syncrollout.decide import finished_jobs
from syncrollout.decide.facts import CronJobFact, FinishedJob
from syncrollout.observe.workloads import CRON_JOB
from syncrollout.ports import (
    ApiError,
    Forbidden,
    KindNotServed,
    KindRef,
    Object,
    ObjectCache,
    ObjectRef,
    Selections,
)

JOB: Final = KindRef("batch/v1", "Job")
_CRON_JOB: Final = KindRef("batch/v1", CRON_JOB)
_EVERY: Final = ""
"""The selector: Jobs bear no label of the CronJob that has made them."""
_ENDS: Final = {"Complete": False, "Failed": True}
"""Conditions of a Job that has ended: whether it has failed."""


def ended(job: Object) -> dict[str, Any] | None:
    """What is kept of how a Job has ended; None while it runs."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("status") == "True" and each.get("type") in _ENDS and each.get("lastTransitionTime"):
            at, message = str(each["lastTransitionTime"]), str(each.get("message") or "")
            return {"failed": _ENDS[each["type"]], "at": at, "message": message}
    return None


def made_by(job: Object) -> str:
    """The CronJob that has made it; empty where none has."""
    owners = job["metadata"].get("ownerReferences") or ()
    return next((str(each.get("name", "")) for each in owners if each.get("kind") == CRON_JOB), "")


def news(old: Object | None, new: Object | None) -> bool:
    """Whether a change of Jobs, as they are kept, is one of what is looked at."""
    if new is None or not new["madeBy"] or new["ended"] is None:
        return False
    return old is None or bool(old["ended"] != new["ended"])


def worse(new: Object | None) -> bool:
    """Whether that which is news speaks against new."""
    return new is not None and bool(new["ended"] and new["ended"]["failed"])


class CronJobReader(Protocol):
    """How the last Jobs of CronJobs have ended."""

    async def look(self, target: Target, status: SyncRolloutStatus) -> Mapping[str, CronJobFact]:
        """All that triggers and criteria of the spec name, seen or Unknown."""
        ...


class FinishedJobs:
    """Looks at Jobs on behalf of the gatherer. Remembers nothing."""

    def __init__(self, cache: ObjectCache, selections: Selections) -> None:
        self._cache = cache
        self._selections = selections

    async def look(self, target: Target, status: SyncRolloutStatus) -> Mapping[str, CronJobFact]:
        """See CronJobReader. What cannot be seen, or not at once, is Unknown: it must not hold up the way back."""
        names = finished_jobs.asked(target.spec)
        if not names or status.state is State.ROLLING_BACK:
            return {}
        namespace = target.ref.namespace
        try:
            async with asyncio.timeout(MOMENT if status.in_flight or status.watch is not None else None):
                jobs = await self._selections.select(JOB, namespace, _EVERY, user=str(target.ref))
                there = [await self._there(target, name) for name in names]
        except TimeoutError:
            return _unseen(names, Unknown.UNSEEN, f"the Jobs of {namespace} could not be listed within {MOMENT:.0f} s")
        except (Forbidden, KindNotServed) as error:
            return _unseen(names, Unknown.FORBIDDEN, str(error))
        except ApiError as error:
            return _unseen(names, Unknown.UNSEEN, f"the Jobs of {namespace} cannot be seen just now: {error}")
        return {
            name: _fact(name, jobs) if exists else _missing(name, namespace)
            for name, exists in zip(names, there, strict=True)
        }

    async def _there(self, target: Target, name: str) -> bool:
        ref = ObjectRef(_CRON_JOB, target.ref.namespace, name)
        return await self._cache.fetch(ref, user=str(target.ref)) is not None


def _fact(name: str, jobs: Sequence[Object]) -> CronJobFact:
    found = [_finished(job) for job in jobs if job["madeBy"] == name and job["ended"] is not None]
    return CronJobFact(max(found, key=lambda job: (job.at, job.failed, job.name), default=None))


def _finished(job: Object) -> FinishedJob:
    end = job["ended"]
    return FinishedJob(
        str(job["metadata"]["name"]), parse_time(end["at"]), failed=end["failed"], message=end["message"]
    )


def _missing(name: str, namespace: str) -> CronJobFact:
    message = f"{CRON_JOB} {namespace}/{name} does not exist: create it, or correct the name where the spec says job"
    return CronJobFact(None, Unknown.NOT_FOUND, message)


def _unseen(names: Iterable[str], unknown: Unknown, message: str) -> dict[str, CronJobFact]:
    return {name: CronJobFact(None, unknown, message) for name in names}


__all__ = ["JOB", "CronJobReader", "FinishedJobs", "ended", "made_by", "news", "worse"]

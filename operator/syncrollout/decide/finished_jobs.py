"""Jobs of a CronJob that triggers and criteria go by: the last one that has finished since the run began counts.

A check says how things are, not how a phase is: it speaks of all that new has done in the run, so a failure holds
against new from phase to phase, until a later Job ends well. Success of a phase asks for one that has finished since
the weights of the phase stand. Which one was the last is kept in the status, for Jobs are deleted after a while
(ttlSecondsAfterFinished, or by hand), and a failure is not over because nobody can see it any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from syncrollout.api.spec import JOB, SyncRolloutSpec
from syncrollout.api.status import MOST_CRON_JOBS, FinishedJobStatus, SyncRolloutStatus
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import CronJobFact, Facts, FinishedJob, Reading, ReadingKey, Span
from syncrollout.decide.phrases import clip, moment
from syncrollout.decide.questions import limits

_LONGEST: Final = 256


def asked(spec: SyncRolloutSpec) -> tuple[str, ...]:
    """The names of all CronJobs that anything in the spec goes by."""
    return tuple(sorted({each.job for each in limits(spec) if each.job}))


def key(cron_job: str) -> ReadingKey:
    """The reading that says whether its last Job has failed."""
    return ReadingKey(f"{JOB}{cron_job}")


def known(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, *, active: bool
) -> tuple[FinishedJobStatus, ...]:
    """The last Job of each CronJob as it is known now. `active`: there is something that could go back; else the last
    run's stand as they were."""
    if not active or facts.deleting:
        return status.finished_jobs
    before = {each.cron_job: each for each in status.finished_jobs}
    found: list[FinishedJobStatus] = []
    for name in asked(spec):
        fact = facts.cron_jobs.get(name)
        now = _kept(name, fact.newest) if fact is not None and fact.newest is not None else None
        candidates = [each for each in (before.get(name), now) if each is not None and _of_run(each, status)]
        if candidates:
            found.append(max(candidates, key=_age))
    return tuple(sorted(found, key=_age)[-MOST_CRON_JOBS:])


def _age(job: FinishedJobStatus) -> tuple[float, bool, str]:
    """Of two that finished in the same second the one that failed counts."""
    return job.at, job.failed, job.cron_job


def _of_run(job: FinishedJobStatus, status: SyncRolloutStatus) -> bool:
    """Whether it may have finished in the run: times of Kubernetes are whole seconds, cut off."""
    return status.started is not None and job.at + 1.0 > status.started


def _kept(cron_job: str, job: FinishedJob) -> FinishedJobStatus:
    message = clip(job.message, _LONGEST)
    return FinishedJobStatus(cron_job=cron_job, job=job.name, at=job.at, failed=job.failed, message=message)


def readings(
    spec: SyncRolloutSpec, jobs: Iterable[FinishedJobStatus], facts: Facts, *, active: bool
) -> dict[ReadingKey, Reading]:
    """1 where the last Job has failed, 0 where it has ended well, for each CronJob that was looked at or has failed."""
    last = {each.cron_job: each for each in jobs} if active else {}
    found = {name: _reading(name, last.get(name), facts.cron_jobs.get(name)) for name in asked(spec)}
    return {key(name): reading for name, reading in found.items() if reading is not None}


def _reading(name: str, last: FinishedJobStatus | None, fact: CronJobFact | None) -> Reading | None:
    if last is not None and last.failed:
        why = f": {last.message}" if last.message else ""
        text = f"Job {last.job} of CronJob {name} failed at {moment(last.at)}{why}"
        return Reading(1.0, message=text, span=Span(last.at, 0.0))
    if fact is None:
        return None
    if fact.unknown is not None:
        return Reading(None, fact.unknown, fact.message)
    if last is None:
        return Reading(None, Unknown.NO_JOB_YET, f"no Job of CronJob {name} has finished since the run began")
    text = f"Job {last.job} of CronJob {name} ended well at {moment(last.at)}"
    return Reading(0.0, message=text, span=Span(last.at, 0.0))


__all__ = ["asked", "key", "known", "readings"]

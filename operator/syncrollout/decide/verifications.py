"""How the verification Jobs of the present phase stand. Asked before the rules; `scheduled_jobs.py` has the table."""

from __future__ import annotations

from syncrollout.api import cron
from syncrollout.api.spec import Phase, SyncRolloutSpec, Verification
from syncrollout.api.status import SyncRolloutStatus, VerificationStatus
from syncrollout.api.words import Reason, State, StepState, Unknown
from syncrollout.decide import own_jobs, tasks
from syncrollout.decide.facts import Facts, Reading, ReadingKey, Span
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip


def phase_of(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> Phase | None:
    """The phase that a run in flight is in, if it is going forward and the spec still has it."""
    if not status.in_flight or status.state is State.ROLLING_BACK or status.phase is None:
        return None
    name = status.phase.name
    return next((each for each in spec.phases if each.name == name), None)


def watched(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> tuple[str, ...]:
    """The names of the Jobs that run."""
    if phase_of(spec, status) is None:
        return ()
    running = (each.task for each in status.verifications if each.task is not None)
    return tuple(each.job for each in running if each.state is StepState.RUNNING and each.job is not None)


def develop(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float
) -> tuple[tuple[VerificationStatus, ...], tuple[Note, ...]]:
    """Those of the present phase as they stand now, and what is told of them. Once a run goes back, or has ended, they
    stay as they were."""
    phase, entered = phase_of(spec, status), status.phase
    if status.state is State.ROLLING_BACK:
        return tuple(_left(each, now) for each in status.verifications), ()
    if phase is None or entered is None:
        return status.verifications, ()
    known = {each.name: each for each in status.verifications if each.entered == entered.entered}
    made: list[VerificationStatus] = []
    notes: list[Note] = []
    for asked in phase.verification:
        text = f"{asked.schedule} {asked.timezone or spec.timezone}"
        one = known.get(asked.name) or VerificationStatus(name=asked.name, entered=entered.entered)
        if one.schedule != text and entered.since is not None:
            coming = round(cron.next_after(asked.schedule, asked.timezone or spec.timezone, now), 3)
            one = one.model_copy(update={"schedule": text, "next": coming})
        after = _develop(one, facts, now)
        if after.failed and after.at != one.at:
            notes.append(Note(Reason.JOB_FAILED, clip(f"Verification {after.name} {after.message}"), "Warning"))
        made.append(after)
    return tuple(made), tuple(notes)


def _left(one: VerificationStatus, now: float) -> VerificationStatus:
    if one.task is None or one.task.state is not StepState.RUNNING:
        return one
    return one.model_copy(update={"task": own_jobs.left(one.task, now)})


def _develop(one: VerificationStatus, facts: Facts, now: float) -> VerificationStatus:
    if one.task is None or one.task.state is not StepState.RUNNING:
        return one
    task = tasks.develop(one.task, facts, now)
    changes: dict[str, object] = {"task": task}
    if task.finished is not None:
        changes |= {"at": task.finished, "failed": task.state in tasks.ENDED_BADLY, "message": task.message}
    return one.model_copy(update=changes)


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> dict[ReadingKey, Reading]:
    """1 where the last one has failed, 0 where it has ended well, for each of the present phase."""
    phase = phase_of(spec, status)
    if phase is None:
        return {}
    known = {each.name: each for each in status.verifications}
    return {
        own_jobs.key(f"{phase.name}/{each.name}"): _reading(each, known.get(each.name)) for each in phase.verification
    }


def _reading(asked: Verification, one: VerificationStatus | None) -> Reading:
    if one is None or one.at is None:
        return Reading(None, Unknown.NO_JOB_YET, f"verification {asked.name} has not ended in this phase yet")
    return Reading(float(one.failed), message=f"verification {one.name} {one.message}", span=Span(one.at, 0.0))


__all__ = ["develop", "phase_of", "readings", "watched"]

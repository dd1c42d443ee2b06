"""How the Jobs of day one stand, and which Jobs outside of a rollback a decision rests on. Asked before the rules."""

from __future__ import annotations

from syncrollout.api.spec import RUN, DayOneStep, SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus, TaskStatus
from syncrollout.api.words import Reason, State, StepState, Task, Unknown
from syncrollout.decide import checklist, tasks
from syncrollout.decide.facts import Facts, Reading, ReadingKey, Span
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip


def steps(spec: SyncRolloutSpec) -> dict[Task, DayOneStep]:
    """The steps of day one, as the spec asks for them now."""
    day = spec.preflight.day_one if spec.preflight is not None else None
    return day.steps if day is not None else {}


def planned(spec: SyncRolloutSpec) -> tuple[TaskStatus, ...]:
    """The steps of day one of a run that begins."""
    return tuple(TaskStatus(name=task.value, budget_seconds=round(step.budget)) for task, step in steps(spec).items())


def watched(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> tuple[str, ...]:
    """The names of the Jobs that a decision rests on."""
    if not status.in_flight:
        return checklist.watched(spec, status)
    if status.state is State.ROLLING_BACK:
        return ()
    return tuple(each.job for each in status.day_one if each.state is StepState.RUNNING and each.job is not None)


def develop(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float
) -> tuple[tuple[TaskStatus, ...], tuple[Note, ...]]:
    """The steps of day one as they stand now, and what is told of them."""
    if not status.in_flight:
        return status.day_one, ()
    after = tuple(_develop(spec, status, each, facts, now) for each in status.day_one)
    ended = [
        now for before, now in zip(status.day_one, after, strict=True) if before.finished is None is not now.finished
    ]
    return after, tuple(_told(each) for each in ended if each.state is not StepState.SKIPPED)


def _develop(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, task: TaskStatus, facts: Facts, now: float
) -> TaskStatus:
    if task.finished is not None:
        return task
    if status.state is State.ROLLING_BACK:
        return left(task, now)
    if task.state is StepState.WAITING and Task(task.name) not in steps(spec):
        return skipped(task, "spec.preflight.dayOne does not ask for it any more", now)
    return tasks.develop(task, facts, now)


def left(task: TaskStatus, now: float) -> TaskStatus:
    """Everything goes back, and waits for nothing."""
    runs = f"everything goes back; Job {task.job} runs on until it ends, or its budget is used up"
    return skipped(task, runs if task.job is not None else "everything goes back", now)


def skipped(task: TaskStatus, why: str, now: float) -> TaskStatus:
    """It is not run, or not looked at any more."""
    return task.model_copy(update={"state": StepState.SKIPPED, "finished": now, "message": why})


def _told(task: TaskStatus) -> Note:
    text = clip(f"Day one: {task.name} {task.message}")
    if task.state is StepState.SUCCEEDED:
        return Note(Reason.JOB_SUCCEEDED, text)
    return Note(Reason.JOB_FAILED, text, "Warning")


def key(name: str) -> ReadingKey:
    """The reading that says whether a Job of the operator's own has failed."""
    return ReadingKey(f"{RUN}{name}")


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> dict[ReadingKey, Reading]:
    """1 where the last Job has failed, 0 where it has ended well, for each that triggers go by. In flight alone."""
    known = {each.name: each for each in status.day_one} if status.in_flight else {}
    return {key(f"dayOne/{task.value}"): _reading(task.value, known.get(task.value)) for task in steps(spec)}


def _reading(name: str, task: TaskStatus | None) -> Reading:
    if task is None or task.finished is None or task.state is StepState.SKIPPED:
        return Reading(None, Unknown.NO_JOB_YET, f"{name} of day one has not ended yet")
    failed = task.state in tasks.ENDED_BADLY
    return Reading(float(failed), message=f"{name} of day one {task.message}", span=Span(task.finished, 0.0))


__all__ = ["develop", "key", "left", "planned", "readings", "skipped", "steps", "watched"]

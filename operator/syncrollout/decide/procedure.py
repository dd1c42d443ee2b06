"""The steps of a rollback, as `rollback.procedure` asks for them: traffic first, then what verifies and mends data.

    Waiting -> Running Skipped         the step's turn has come
    Running -> Succeeded Failed        its Job has ended
    Running -> Overrun                 its budget is used up; the switch goes on all the same, a Job is stopped
    Overrun -> Succeeded               the Job had ended well before it was stopped

One step at a time, in their order. The switch holds up all others and waits for none: whenever traffic is not at old it
is put there before anything else is looked at. A step that fails or overruns holds up nothing: what comes after it is
what a person needs all the more.

A Job is made once. Its name follows from the rollout, the rollback and the step; that the step has begun is recorded
before it is made, so that after a crash the same one is made, or found. Once it was seen it is never made again. How
long it may run stands in the Job itself, so that Kubernetes stops it in time even while no operator runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from syncrollout.api.fields import format_duration, format_time
from syncrollout.api.spec import JobSource, RestoreMode, SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import Reason, State, Step, StepState
from syncrollout.decide import before_jobs, evidence, keeping_logs, progress, step_jobs, step_words, stopping_new
from syncrollout.decide.actions import Action
from syncrollout.decide.facts import JobState, ReadingKey
from syncrollout.decide.outcome import Note, Outcome
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View

_REASONS: Final = {
    StepState.SUCCEEDED: Reason.STEP_SUCCEEDED,
    StepState.FAILED: Reason.STEP_FAILED,
    StepState.OVERRUN: Reason.STEP_OVERRUN,
}


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> frozenset[ReadingKey]:
    """The readings that a step waits for now."""
    return before_jobs.readings(spec, status)


def watched(status: SyncRolloutStatus) -> tuple[str, ...]:
    """The names of the Jobs that a decision rests on."""
    if status.state is not State.ROLLING_BACK or status.rollback is None:
        return ()
    running = [step for step in status.rollback.steps if step.finished is None]
    return tuple(name for step in running for name in (step.job or step.backup_job,) if name is not None)


# ---- the switch --------------------------------------------------------------------------------------------------


def switching(v: View, cause: RollbackStatus) -> tuple[RollbackStatus, tuple[Note, ...]]:
    """Traffic is not back yet: people are told, once, when that takes longer than its budget."""
    switch = next(iter(cause.steps), None)
    if switch is None or switch.state is not StepState.RUNNING or not _late(switch, v.now):
        return cause, ()
    budget = format_duration(switch.budget_seconds)
    message = f"Traffic is not back at old after {budget}, the budget of the switch; it is tried on and on"
    switch = switch.model_copy(update={"state": StepState.OVERRUN, "message": message})
    return _with(cause, switch), (Note(Reason.STEP_OVERRUN, message, "Warning"),)


def switch_ends(cause: RollbackStatus) -> float | None:
    """When the budget of the switch is used up, if it is still under way."""
    switch = next(iter(cause.steps), None)
    return switch.deadline if switch is not None and switch.state is StepState.RUNNING else None


def switched(cause: RollbackStatus) -> str:
    """What is recorded of a switch that has ended; empty before, and without steps."""
    return cause.steps[0].message if cause.steps and cause.steps[0].finished is not None else ""


# ---- what follows ------------------------------------------------------------------------------------------------


def goes_on(v: View, cause: RollbackStatus, said: str) -> RollbackStatus | Outcome:
    """Traffic is back, as `said` says: the next step, or the rollback as it stands once all of them have ended."""
    if not cause.steps:
        return cause
    switch = cause.steps[0]
    if switch.finished is None:
        keeping = keeping_logs.keeps(v, cause)
        if keeping is not None:
            cause, actions, due = keeping
            return _told(v, cause, said, actions=actions, due=due)
        stopping = stopping_new.stops(v, cause)
        if stopping is not None:
            changes, actions, text = stopping
            cause = cause.model_copy(update={"confirmed": cause.confirmed or v.now})
            outcome = _told(v, cause, said, actions=actions, due=switch.deadline)
            message = f"{said}; {text}. Cause: {cause.message}"
            return replace(outcome, message=message, changes={**outcome.changes, **changes})
        late = _late(switch, v.now)
        state = StepState.OVERRUN if late or switch.state is StepState.OVERRUN else StepState.SUCCEEDED
        # Without the time at which it was seen this rests on nothing that is recorded yet.
        cause = cause.model_copy(update={"confirmed": cause.confirmed or v.now})
        ended = switch.model_copy(update={"state": state, "finished": v.now, "message": said})
        note = Note(Reason.STEP_SUCCEEDED, said) if state is StepState.SUCCEEDED else step_words.overran(ended, said)
        return _told(v, _with(cause, ended), said, notes=(note,), due=v.now)
    for step in cause.steps[1:]:
        if step.finished is None:
            turn = _begins if step.state is StepState.WAITING else _runs
            return turn(v, cause, step, said)
    return cause


def _begins(v: View, cause: RollbackStatus, step: StepStatus, said: str) -> Outcome:
    source = step_jobs.source_of(v.spec, step.name)
    why = _needless(v, cause, step, source)
    if why:
        return _skips(v, cause, step, said, why)
    began = step.model_copy(
        update={
            "state": StepState.RUNNING,
            "started": v.now,
            "deadline": round(v.now + step.budget_seconds, 3),
        }
    )
    budget = format_duration(step.budget_seconds)
    if step.name is Step.EVIDENCE:
        return _told(
            v,
            _with(cause, began.model_copy(update={"config_map": step.config_map or evidence.config_map(v)})),
            said,
            due=v.now,
        )
    first = before_jobs.of(v.spec, step.name)
    if first or source is None:
        note = Note(Reason.STEP_STARTED, f"{step.name.value} begins, for {budget} at most: {first}")
        return _told(v, _with(cause, began), said, notes=(note,), due=v.now)
    return _makes(v, cause, began, source, said)


def _makes(v: View, cause: RollbackStatus, step: StepStatus, source: JobSource, said: str) -> Outcome:
    """The Job of a step that has begun is made; before that is recorded what it will be called."""
    began = step.model_copy(update={"job": step_jobs.job_name(v, cause, step.name.value)})
    assert began.deadline is not None
    budget = format_duration(began.deadline - v.now)
    note = Note(Reason.STEP_STARTED, f"{step.name.value} begins: Job {began.job}, for {budget} at most")
    return _told(
        v, _with(cause, began), said, notes=(note,), actions=(step_jobs.make(v, cause, began, source),), due=v.now
    )


def _skips(v: View, cause: RollbackStatus, step: StepStatus, said: str, why: str) -> Outcome:
    since = step.started if step.started is not None else v.now
    skipped = step.model_copy(update={"state": StepState.SKIPPED, "started": since, "finished": v.now, "message": why})
    kind: Any = "Warning" if why.startswith(step_words.UNDECIDED) else "Normal"
    notes = (Note(Reason.STEP_SKIPPED, clip(f"{step.name.value} is skipped: {why}"), kind),)
    return _told(v, _with(cause, skipped), said, notes=notes, due=v.now)


def _needless(v: View, cause: RollbackStatus, step: StepStatus, source: JobSource | None) -> str:
    """Why a step is not begun; empty where it is."""
    if v.facts.deleting:
        return "the SyncRollout is being deleted, and only traffic is put back then"
    if not (evidence.asked(v) if step.name is Step.EVIDENCE else source or before_jobs.of(v.spec, step.name)):
        return "rollback.procedure does not ask for it any more"
    jobs = {each.name: each.job for each in cause.steps}
    restore = v.spec.rollback.procedure.restore if v.spec.rollback.procedure is not None else None
    if step.name is Step.RESTORE and restore is not None and restore.mode is RestoreMode.WHEN_NEEDED:
        verified = next((each for each in cause.steps if each.name is Step.VERIFY_DATA), None)
        return step_words.no_damage(verified, source)
    if step.name is Step.VERIFY_AGAIN and jobs.get(Step.RESTORE) is None:
        return "nothing was restored"
    return ""


def _reports(v: View, cause: RollbackStatus, step: StepStatus, said: str) -> Outcome:
    needless = _needless(v, cause, step, None)
    if needless:
        return _skips(v, cause, step, said, needless)
    found = evidence.look(v, cause, step)
    if isinstance(found, tuple):
        return _ended(v, cause, step, said, found)
    return _told(v, cause, said, actions=(found,) if found is not None else (), due=step.deadline)


def _asks(v: View, cause: RollbackStatus, step: StepStatus, said: str) -> Outcome:
    """A step that has begun and has made no Job yet: what comes first has to be so."""
    source = step_jobs.source_of(v.spec, step.name)
    if v.facts.deleting or (source is None and not before_jobs.of(v.spec, step.name)):
        return _skips(v, cause, step, said, _needless(v, cause, step, source))
    first = before_jobs.look(v, cause, step)
    late = _late(step, v.now)
    if first.waits is None and source is not None and late:
        # Only now is it so, as after a time without an operator: a Job of a second would be killed half way.
        first = replace(first, waits=f"{first.said or 'all was ready'}, but its time was used up by then")
    if first.waits is None:
        if source is not None:
            ready = first.step.model_copy(update={"message": clip(first.said)})
            return _makes(v, cause, ready, source, said)
        text = f"{step.name.value} has succeeded after {step_words.took(v, step)}: {first.said}"
        return _ended(v, cause, first.step, said, (StepState.SUCCEEDED, text))
    if first.fails or late:
        return _ended(v, cause, first.step, said, step_words.not_so(first))
    waiting = progress.noted(first.step, first.waits, v.now, progress.EVERY_READING)
    return _told(
        v,
        _with(cause, waiting),
        said,
        notes=first.notes,
        actions=first.actions,
        due=step.deadline if first.step == step else v.now,
    )


def _runs(v: View, cause: RollbackStatus, step: StepStatus, said: str) -> Outcome:
    if step.name is Step.EVIDENCE:
        return _reports(v, cause, step, said)
    if step.job is None:
        return _asks(v, cause, step, said)
    fact = v.facts.jobs.get(step.job or "", step_jobs.UNSEEN)
    late = _late(step, v.now)
    match fact.state:
        case JobState.COMPLETE:
            text = f"{step.name.value} has succeeded after {step_words.took(v, step)}"
            text += f": {step.message}" if step.message else ""
            return _ended(v, cause, step, said, (StepState.SUCCEEDED, text))
        case JobState.FAILED:
            text = (
                f"{step.name.value} has failed after {step_words.took(v, step)}: {step_words.what_failed(step, fact)}"
            )
            return _ended(v, cause, step, said, (StepState.FAILED, text))
        case JobState.STOPPED:
            return _ended(v, cause, step, said, (StepState.OVERRUN, step_words.stopped(step, fact)))
        case JobState.MISSING if step.seen:
            text = (
                f"{step.name.value}: somebody has deleted Job {step.job} before it ended; it is not run a second time"
            )
            return _ended(v, cause, step, said, (StepState.FAILED, text))
        case JobState.MISSING if not late:
            source = step_jobs.source_of(v.spec, step.name)
            if source is None or v.facts.deleting:
                return _skips(v, cause, step, said, _needless(v, cause, step, source))
            return _told(v, cause, said, actions=(step_jobs.make(v, cause, step, source),))
    if late and (fact.state is JobState.MISSING or v.now >= _patience_ends(step)):
        return _ended(v, cause, step, said, (StepState.OVERRUN, step_words.stopped(step, fact)))
    seen = step if fact.state is not JobState.RUNNING else step.model_copy(update={"seen": True})
    seen = progress.noted(seen, fact.progress, v.now)
    if late and step.state is StepState.RUNNING:
        text = step_words.stopped(step, fact)
        seen = seen.model_copy(update={"state": StepState.OVERRUN, "message": text})
        return _told(v, _with(cause, seen), said, notes=(step_words.overran(seen, text),), due=_patience_ends(step))
    return _told(v, _with(cause, seen), said, due=_patience_ends(step) if late else step.deadline)


def _ended(v: View, cause: RollbackStatus, step: StepStatus, said: str, end: tuple[StepState, str]) -> Outcome:
    state, text = end
    fact = v.facts.jobs.get(step.job or "", step_jobs.UNSEEN)
    ended = step.model_copy(
        update={
            "state": state,
            "finished": v.now,
            "seen": True,
            "message": clip(text),
            "exit_code": fact.exit_code,
            "output": clip(fact.output),
        }
    )
    told = step.state is StepState.OVERRUN and state is StepState.OVERRUN
    kind: Any = "Normal" if state is StepState.SUCCEEDED else "Warning"
    return _told(
        v, _with(cause, ended), said, notes=() if told else (Note(_REASONS[state], clip(text), kind),), due=v.now
    )


def _told(
    v: View,
    cause: RollbackStatus,
    said: str,
    *,
    notes: tuple[Note, ...] = (),
    actions: tuple[Action, ...] = (),
    due: float | None = None,
) -> Outcome:
    """Still going back, as far as the steps are. Nothing here is urgent: traffic is where it belongs."""
    current = next((step for step in cause.steps if step.finished is None), None)
    where, coming = "all steps have ended", "the end of the rollback"
    if current is not None:
        budget = format_duration(current.budget_seconds)
        since = f" since {format_time(current.started)[11:19]}Z" if current.started is not None else ""
        where = f"{current.name.value} runs{since}, for {budget} at most" if since else f"{current.name.value} is next"
        coming = f"{current.name.value} ends" if since else f"{current.name.value} begins"
        if current.deadline is not None:
            coming += f" {format_time(current.deadline)[:19]}Z at the latest"
    return Outcome(
        State.ROLLING_BACK,
        cause.reason,
        f"{said}; {where}. Cause: {cause.message}",
        changes={"rollback": cause, "verify": None},
        actions=actions,
        notes=notes,
        next=coming,
        due=due,
    )


# ---- small things ------------------------------------------------------------------------------------------------


def _with(cause: RollbackStatus, step: StepStatus) -> RollbackStatus:
    steps = tuple(step if each.name is step.name else each for each in cause.steps)
    return cause.model_copy(update={"steps": steps})


def _late(step: StepStatus, now: float) -> bool:
    return step.deadline is not None and now >= step.deadline


def _patience_ends(step: StepStatus) -> float:
    return round((step.deadline or 0.0) + step_jobs.STOPPING, 3)


__all__ = ["goes_on", "readings", "switch_ends", "switched", "switching", "watched"]

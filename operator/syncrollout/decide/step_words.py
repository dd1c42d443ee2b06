"""What is said of the steps of a rollback."""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.status import RollbackStatus, StepStatus
from syncrollout.api.words import Reason, Step, StepState
from syncrollout.decide.facts import JobFact, JobState
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View

WENT_WRONG: Final = (StepState.FAILED, StepState.OVERRUN)


def summary(cause: RollbackStatus) -> str:
    """What came of the steps after the switch, as the end of a sentence."""
    told = [f"{step.name.value} {step.state.value}" for step in cause.steps[1:]]
    return f"; {', '.join(told)}" if told else ""


def went_wrong(cause: RollbackStatus) -> bool:
    """Whether a person has to look at what is left: damage that a restore has mended since does not count."""
    states = {step.name: step.state for step in cause.steps}
    if states.get(Step.VERIFY_AGAIN) is StepState.SUCCEEDED:
        states.pop(Step.VERIFY_DATA, None)
    return any(state in WENT_WRONG for state in states.values())


def what_failed(step: StepStatus, fact: JobFact) -> str:
    """Why its Job has failed."""
    last = fact.output.splitlines()[-1:] or ([fact.message] if fact.message else [])
    code = [f"exit code {fact.exit_code}"] if fact.exit_code is not None else []
    detail = "".join(f": {each}" for each in (*code, *last))
    if step.name is Step.VERIFY_DATA:
        return f"it has found damage, or could not look{detail}"
    if step.name is Step.VERIFY_AGAIN:
        return f"the data is still damaged, or it could not look{detail}"
    return f"Job {step.job}{detail}"


def stopped(step: StepStatus, fact: JobFact) -> str:
    """That its budget is used up."""
    budget = format_duration(step.budget_seconds)
    if fact.state in (JobState.MISSING, JobState.UNSEEN):
        detail = f", {fact.message}" if fact.message else ""
        return f"{step.name.value} has used up its {budget}: Job {step.job} was never seen to run{detail}"
    return f"{step.name.value} has used up its {budget}: Job {step.job} is stopped"


def took(v: View, step: StepStatus) -> str:
    """How long it has taken, and might have."""
    took = format_duration(v.now - (step.started or v.now))
    return f"{took} of {format_duration(step.budget_seconds)}"


def overran(step: StepStatus, text: str) -> Note:
    """The note that tells so; of the switch with its budget."""
    budget = format_duration(step.budget_seconds)
    text = text if step.name is not Step.SWITCH else f"{text}; the budget of the switch was {budget}"
    return Note(Reason.STEP_OVERRUN, clip(text), "Warning")


__all__ = ["overran", "stopped", "summary", "took", "went_wrong", "what_failed"]

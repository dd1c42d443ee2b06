"""What is said of the steps of a rollback."""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import JobSource
from syncrollout.api.status import RollbackStatus, StepStatus
from syncrollout.api.words import Reason, Step, StepState
from syncrollout.decide.facts import JobFact, JobState
from syncrollout.decide.firsts import First
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View

UNDECIDED: Final = "the verification does not say whether there is damage"
"""How the reason begins for which a restore is left to a person."""
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


def no_damage(verified: StepStatus | None, source: JobSource | None) -> str:
    """Why nothing is restored where it hangs on a verification; empty where that has failed by itself, or was none. One
    that was stopped, deleted or never seen to run has not said that there is damage: a restore may undo good data."""
    if verified is None or (verified.state is StepState.FAILED and verified.exit_code):
        return ""
    if verified.state is StepState.SUCCEEDED:
        return "the verification has found nothing to restore"
    name = source.from_cron_job if source is not None else None
    by_hand = f"kubectl create job {name}-by-hand --from=cronjob/{name}" if name else "a Job of restore.job.template"
    look = f"look at Job {verified.job} and at the data" if verified.job else "look at the data"
    return (
        f"{UNDECIDED}, so a person has to decide: {look}, then restore by hand where that is needed ({by_hand}); "
        "with restore.mode: Always the next rollback restores without asking"
    )


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


def not_so(first: First) -> tuple[StepState, str]:
    """How a step ends for which what comes before its Job has not come about."""
    step, why = first.step, first.waits or "nobody could look"
    if step.name is Step.RESTORE:
        return StepState.FAILED, f"{step.name.value} was not begun: {why}"
    budget = format_duration(step.budget_seconds)
    return StepState.OVERRUN, f"{step.name.value} has used up its {budget}: {why}"


def took(v: View, step: StepStatus) -> str:
    """How long it has taken, and might have."""
    took = format_duration(v.now - (step.started or v.now))
    return f"{took} of {format_duration(step.budget_seconds)}"


def overran(step: StepStatus, text: str) -> Note:
    """The note that tells so; of the switch with its budget."""
    budget = format_duration(step.budget_seconds)
    text = text if step.name is not Step.SWITCH else f"{text}; the budget of the switch was {budget}"
    return Note(Reason.STEP_OVERRUN, clip(text), "Warning")


__all__ = ["UNDECIDED", "no_damage", "not_so", "overran", "stopped", "summary", "took", "went_wrong", "what_failed"]

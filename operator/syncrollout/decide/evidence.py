"""The last step of a rollback: its incident report is written, into one of a few ConfigMaps that are used in turn.

So there are never more than `keep` of them, and nothing has to be deleted. Which rollback a ConfigMap tells of stands
on it: one that is written already is left as it is, though somebody may have added to it.
"""

from __future__ import annotations

from syncrollout.api.status import RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import State, Step, StepState
from syncrollout.decide.actions import WriteReport
from syncrollout.decide.report import KEY, report, stamp
from syncrollout.decide.view import View

BUDGET = 300
"""Seconds that writing the report may take."""


def asked(v: View) -> bool:
    """Whether the spec asks for a report."""
    procedure = v.spec.rollback.procedure
    return procedure is not None and procedure.evidence is not None


def awaited(status: SyncRolloutStatus) -> str:
    """The name of the ConfigMap that a decision rests on; empty where none does."""
    if status.state is not State.ROLLING_BACK or status.rollback is None:
        return ""
    names = (
        step.config_map
        for step in status.rollback.steps
        if step.name is Step.EVIDENCE and step.started is not None and step.finished is None
    )
    return next(names, None) or ""


def config_map(v: View) -> str:
    """The ConfigMap whose turn it is."""
    procedure = v.spec.rollback.procedure
    keep = procedure.evidence.keep if procedure is not None and procedure.evidence is not None else 1
    return place(v.facts.name, v.status.run, keep)


def place(name: str, run: int, keep: int) -> str:
    """The ConfigMap of a run's report, where there are `keep` of them."""
    return f"{name}-incident-{(run - 1) % keep + 1}"


def jobs(status: SyncRolloutStatus) -> tuple[str, ...]:
    """The Jobs of the steps, whose logs go into the report."""
    steps = status.rollback.steps if status.rollback is not None else ()
    return tuple(name for step in steps for name in (step.backup_job, step.job) if name is not None)


def look(v: View, cause: RollbackStatus, step: StepStatus) -> tuple[StepState, str] | WriteReport | None:
    """How the step has ended, what to do for it, or None where it waits."""
    name = step.config_map or config_map(v)
    stamped = stamp(v.facts.uid, v.status)
    if v.facts.report == stamped:
        return StepState.SUCCEEDED, f"The incident report is in ConfigMap {name}, under {KEY}"
    if step.deadline is not None and v.now >= step.deadline:
        return StepState.OVERRUN, f"The incident report could not be written to ConfigMap {name}; the status has it all"
    if v.facts.report is None:
        return None
    return WriteReport(name, stamped, report(v, cause), v.facts.job_logs)


__all__ = ["BUDGET", "asked", "awaited", "config_map", "jobs", "look", "place", "stamp"]

"""What new's pods have printed is kept for the incident report before new is stopped, for then it is gone.

Never before all traffic is back, and for some seconds at most: what looks at the data is not to wait for logs. They are
kept where the report comes to be, in its ConfigMap, whose name is recorded before anything is written to it.
"""

from __future__ import annotations

from typing import Final

from syncrollout.api.status import RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import State, Step
from syncrollout.decide import evidence
from syncrollout.decide.actions import Action, KeepLogs
from syncrollout.decide.view import View

PATIENCE: Final = 20.0
"""Seconds, from when traffic is back, for which the next step waits for it."""


def place(status: SyncRolloutStatus) -> str:
    """The ConfigMap that they go to, while they are waited for or the report is written; empty otherwise."""
    cause = status.rollback
    if status.state is not State.ROLLING_BACK or cause is None or cause.confirmed is None:
        return ""
    step = _evidence(cause)
    writing = step is not None and step.started is not None and step.finished is None
    return (step.config_map or "") if step is not None and (writing or wanted(status)) else ""


def wanted(status: SyncRolloutStatus) -> bool:
    """Whether they are waited for, so that they are worth reading: the switch has yet to end."""
    cause = status.rollback
    return cause is not None and bool(cause.steps) and cause.steps[0].finished is None


def keeps(v: View, cause: RollbackStatus) -> tuple[RollbackStatus, tuple[Action, ...], float] | None:
    """What to record, what to do, and when to look again; None where nothing is left to wait for."""
    step = _evidence(cause)
    if step is None or v.facts.deleting or not evidence.asked(v):
        return None
    if cause.confirmed is None or step.config_map is None:
        named = step.model_copy(update={"config_map": evidence.config_map(v)})
        steps = tuple(named if each.name is step.name else each for each in cause.steps)
        return cause.model_copy(update={"confirmed": cause.confirmed or v.now, "steps": steps}), (), v.now
    stamp, ends = evidence.stamp(v.facts.uid, v.status), round(cause.confirmed + PATIENCE, 3)
    if v.now >= ends or v.facts.kept == stamp:
        return None
    actions = (KeepLogs(step.config_map, stamp, v.facts.logs),) if v.facts.logs is not None else ()
    return cause, actions, ends


def _evidence(cause: RollbackStatus) -> StepStatus | None:
    return next((step for step in cause.steps if step.name is Step.EVIDENCE), None)


__all__ = ["PATIENCE", "keeps", "place", "wanted"]

"""New is stopped after the switch, where `switch.stopNew` asks for it, and brought back for the next attempt.

What it was is recorded before it is touched. It counts as part of the switch: what looks at the data, or mends it, must
not race with a new that still writes. Pods that do not go hold it up until the budget of the switch is used up.
"""

from __future__ import annotations

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, Stopped, SyncRolloutStatus
from syncrollout.api.words import Side
from syncrollout.decide.actions import Action, Scale
from syncrollout.decide.phrases import readiness
from syncrollout.decide.view import View


def wanted(v: View) -> bool:
    """Whether new is to be stopped. By replicas it has none by then; a deletion puts traffic back and no more."""
    procedure = v.spec.rollback.procedure
    asked = procedure is not None and procedure.switch.stop_new
    return asked and v.spec.traffic.replicas is None and not v.facts.deleting and v.facts.new is not None


def stops(v: View, cause: RollbackStatus) -> tuple[dict[str, object], tuple[Action, ...], str] | None:
    """What to record, what to do and what is waited for; None once new has stopped, or need not."""
    if not wanted(v) or (not v.new.desired and not v.new.ready):
        return None
    name = str(v.spec.new.workload)
    if v.new.desired:
        before = v.status.stopped_new
        replicas = before.replicas if before is not None and before.workload == name else v.new.desired
        stopped = Stopped(workload=name, replicas=replicas, at=v.now)
        same = before is not None and (before.workload, before.replicas) == (name, replicas)
        changes: dict[str, object] = {} if same else {"stopped_new": stopped}
        return changes, (Scale(Side.NEW, 0),), f"new ({name}) is being stopped"
    deadline = cause.steps[0].deadline if cause.steps else None
    if deadline is not None and v.now >= deadline:
        return None
    return {}, (), f"new ({name}) is being stopped: {v.new.ready} of its pods are still there"


def returns(spec: SyncRolloutSpec, status: SyncRolloutStatus, desired: int) -> int:
    """How many replicas new gets back before the next attempt; 0 where it was not stopped by us, or is up again."""
    stopped = status.stopped_new
    if stopped is None or desired or stopped.workload != str(spec.new.workload):
        return 0
    return stopped.replicas


def brought_back(v: View) -> str:
    """That new, which was stopped, is being brought back, in words; empty where it is not."""
    replicas = returns(v.spec, v.status, v.new.desired)
    if v.facts.new is None or not replicas:
        return ""
    return f"{readiness(v.spec, Side.NEW, v.facts.new)} by the last rollback, and is being brought back"


def revives(v: View) -> tuple[Action, ...]:
    """The action for it."""
    replicas = returns(v.spec, v.status, v.new.desired) if v.facts.new is not None else 0
    return (Scale(Side.NEW, replicas),) if replicas else ()


__all__ = ["brought_back", "returns", "revives", "stops", "wanted"]

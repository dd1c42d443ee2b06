"""Rules that put traffic back to old. They stand first in the chain: nothing that moves forward is asked before them.

Each is a function of the view that answers with an outcome, or with None where it has nothing to say.
"""

from __future__ import annotations

from syncrollout.api.fields import format_duration
from syncrollout.api.status import RollbackStatus
from syncrollout.api.words import Reason, Role, State
from syncrollout.decide import movement
from syncrollout.decide.outcome import Note, Outcome, release, unchanged
from syncrollout.decide.view import View


def rolling_back(v: View) -> Outcome | None:
    """A rollback that has begun is carried through, whatever else is asked."""
    if v.status.state is not State.ROLLING_BACK:
        return None
    cause = v.status.rollback
    why = cause.message if cause is not None else ""
    step = movement.back(v.spec, v.facts, v.status.retired)
    if not step.settled:
        said = step.message or "switching traffic back to old"
        return Outcome(
            State.ROLLING_BACK,
            step.waiting or (cause.reason if cause is not None else Reason.CRITERION_BREACHED),
            f"Rolling back: {said}. Cause: {why}",
            actions=step.actions,
            urgent=True,
            next="all traffic at old",
        )
    took = format_duration(v.now - cause.decided) if cause is not None else "0s"
    message = f"All traffic is back at old after {took}. Cause: {why}"
    return Outcome(
        State.ROLLED_BACK,
        Reason.ROLLED_BACK,
        message,
        changes={
            "in_flight": False,
            "finished": v.now,
            "retired": None,
            "rollback": cause.model_copy(update={"confirmed": v.now}) if cause is not None else None,
        },
        actions=release(v),
        notes=(Note(Reason.ROLLED_BACK, message),),
        next="a new spec.revision starts the next run",
    )


def _roll_back(v: View, reason: Reason, message: str) -> Outcome:
    step = movement.back(v.spec, v.facts, v.status.retired)
    phase = v.status.phase
    return Outcome(
        State.ROLLING_BACK,
        reason,
        f"Rolling back: {message}",
        changes={
            "in_flight": True,
            "finished": None,
            "rollback": RollbackStatus(
                reason=reason,
                message=message,
                decided=v.now,
                from_phase=phase.name if phase is not None else "",
                from_weight=v.status.weight,
            ),
        },
        actions=step.actions,
        urgent=True,
        notes=(Note(reason, f"Rolling back from {v.status.weight} %: {message}", "Warning"),),
        next="all traffic at old",
    )


def deleted(v: View) -> Outcome | None:
    """Deleted mid-way: traffic goes back to old before the object may go."""
    if not v.facts.deleting:
        return None
    if v.status.in_flight:
        return _roll_back(v, Reason.DELETED, "the SyncRollout was deleted while its run was in flight")
    return unchanged(v, actions=release(v), silent=True)


def emergency_stop(v: View) -> Outcome | None:
    """A person pulled the cord."""
    if not v.spec.emergency_stop:
        return None
    if v.status.in_flight or v.status.state is State.COMPLETED:
        return _roll_back(v, Reason.EMERGENCY_STOP, "spec.emergencyStop was set")
    if v.status.state is State.ROLLED_BACK:
        return unchanged(v, actions=release(v))
    message = "spec.emergencyStop is set: nothing starts before it is removed"
    return Outcome(State.PAUSED, Reason.EMERGENCY_STOP, message, next="waits for emergencyStop to be removed")


def revision_changed(v: View) -> Outcome | None:
    """Another revision mid-way is a rollback first; what it names begins, if at all, from there."""
    if not v.status.in_flight or v.spec.revision == v.status.revision:
        return None
    if v.spec.revision == v.status.last_good_revision:
        text = f"spec.revision was set back to {v.spec.revision}, the last completed one"
        return _roll_back(v, Reason.REVISION_REVERTED, text)
    text = f"spec.revision changed from {v.status.revision} to {v.spec.revision} while the run was in flight"
    return _roll_back(v, Reason.REVISION_CHANGED, text)


def breached(v: View) -> Outcome | None:
    """A trigger, or a criterion of the phase's rollbackOn, holds: back on this very pass."""
    if not v.status.in_flight:
        return None
    breach = v.breach()
    if breach is None:
        return None
    reason = Reason.TRIGGER_BREACHED if breach.role is Role.TRIGGER else Reason.CRITERION_BREACHED
    return _roll_back(v, reason, breach.message)


def new_died(v: View) -> Outcome | None:
    """New has traffic and no pod to take it."""
    if not v.status.in_flight or v.since is None or v.share == 0 or v.new.alive:
        return None
    return _roll_back(v, Reason.NEW_DIED, f"new has {v.share} % of the traffic and no ready pod")

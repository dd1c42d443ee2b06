"""Rules by which a rollout stays where it is: at its end, before its start, or held within a phase."""

from __future__ import annotations

from syncrollout.api.words import Reason, Role, State, Verdict
from syncrollout.decide.outcome import Note, Outcome, hold, release, unchanged
from syncrollout.decide.preflight import obstacle
from syncrollout.decide.view import View


def at_rest(v: View) -> Outcome | None:
    """The run has ended and no other is asked for."""
    if v.status.state not in (State.COMPLETED, State.ROLLED_BACK):
        return None
    reverted = v.status.state is State.ROLLED_BACK and v.spec.revision == v.status.last_good_revision
    if v.spec.revision != v.status.revision and not reverted:
        return None
    return unchanged(v, actions=release(v))


def waits_to_start(v: View) -> Outcome | None:
    """No run is in flight and one is asked for: suspended, or something is in the way."""
    if v.status.in_flight:
        return None
    if v.spec.suspend:
        message = "Suspended before the start: remove spec.suspend to begin"
        return Outcome(State.PAUSED, Reason.SUSPENDED, message, next="waits for suspend to be removed")
    blocked = obstacle(v)
    if blocked is None:
        return None
    return Outcome(
        State.PREFLIGHT,
        blocked.reason,
        f"Not started: {blocked.message}",
        next=f"starts {v.spec.phases[0].name} once that is mended",
        stalled=blocked.stalled,
    )


def phase_removed(v: View) -> Outcome | None:
    """An edit has taken the current phase out of the spec."""
    if v.phase is not None or v.status.phase is None:
        return None
    name = v.status.phase.name
    message = f"Holding at {v.share} %: the spec has no phase {name} any more; bring it back, or set emergencyStop"
    return Outcome(State.HOLDING, Reason.PHASE_REMOVED, message, stalled=True, next=f"waits for phase {name}")


def hindered(v: View) -> Outcome | None:
    """A reference broke mid-way: nothing moves before a person has mended it."""
    if not v.facts.problems:
        return None
    problem = v.facts.problems[0]
    message = f"Holding at {v.share} %: {problem.message}"
    return Outcome(State.HOLDING, problem.reason, message, stalled=True, next="waits for that to be mended")


def paused(v: View) -> Outcome | None:
    """Suspended mid-way: the weights stay, and what sends a rollout back still does."""
    if not v.spec.suspend:
        return None
    label = v.status.phase.label if v.status.phase is not None else ""
    message = f"Phase {label}: suspended at {v.share} %; rollback criteria are still judged"
    return Outcome(
        State.PAUSED,
        Reason.SUSPENDED,
        message,
        notes=() if v.status.state is State.PAUSED else (Note(Reason.SUSPENDED, message),),
        next="waits for suspend to be removed",
    )


def holds(v: View) -> Outcome | None:
    """A criterion cannot be judged, or the time is over and success is not there yet."""
    if v.phase is None or v.status.phase is None:
        return None
    label = v.status.phase.label
    blind = v.blind()
    if blind is not None:
        message = f"Phase {label} holds: {blind.message}"
        return hold(v, Reason.CRITERIA_UNKNOWN, message)
    if not v.time_is_over:
        return None
    unmet = [c for c in v.judged if c.role is Role.SUCCESS and c.verdict is not Verdict.PASS]
    if unmet:
        message = f"Phase {label} holds: {unmet[0].message}"
        return hold(v, Reason.CRITERIA_NOT_MET, message)
    if v.phase.weight > 0 and not v.new.complete:
        message = f"Phase {label} holds: new has {v.new.ready} of {v.new.desired} replicas ready"
        return hold(v, Reason.NEW_NOT_READY, message)
    return None

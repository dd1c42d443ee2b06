"""Rules by which a rollout stays where it is: at its end, before its start, or held within a phase."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from syncrollout.api.words import Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide import checklist, incidents, shards, stopping_new, verifying
from syncrollout.decide.actions import Action
from syncrollout.decide.autoscaling import autoscaled
from syncrollout.decide.facts import Problem
from syncrollout.decide.outcome import Note, Outcome, hold, once, unchanged
from syncrollout.decide.phrases import readiness
from syncrollout.decide.preflight import obstacle
from syncrollout.decide.view import View

_IN_TIME: Final = frozenset({Unknown.SETTLING, Unknown.NOT_YET, Unknown.UNDECIDED, Unknown.TOO_FEW, Unknown.NO_JOB_YET})
"""What passes by the clock alone, with more events, or with a Job that ends."""


def at_rest(v: View) -> Outcome | None:
    """The run has ended and no other is asked for."""
    if v.status.in_flight or v.run_asked:
        return None
    if v.status.state in (State.COMPLETED, State.ROLLED_BACK):
        # Where somebody has asked for something, one more pass finds it at rest and lets go of what it looked at.
        return replace(unchanged(v), due=v.now if v.heard.notes else None)
    # Another revision had been asked for, did not start, and was taken back.
    ended = v.status.rollback
    state, reason = (State.COMPLETED, Reason.COMPLETED) if ended is None else (State.ROLLED_BACK, Reason.ROLLED_BACK)
    message = f"No new run: spec.revision is {v.spec.revision} again"
    message += f". The last run was rolled back: {ended.message}" if ended is not None else ", which has completed"
    return Outcome(
        state,
        reason,
        message,
        notes=(Note(Reason.REVISION_REVERTED, message),),
        next="a new spec.revision starts the next run",
    )


def waits_to_start(v: View) -> Outcome | None:
    """No run is in flight and one is asked for: suspended, or something is in the way."""
    if v.status.in_flight:
        return None
    if v.spec.suspend:
        message = "Suspended before the start: remove spec.suspend to begin"
        return Outcome(
            State.PAUSED,
            Reason.SUSPENDED,
            message,
            notes=once(v, State.PAUSED, Note(Reason.SUSPENDED, message)),
            next="waits for suspend to be removed",
            actions=_first_assignment(v),
        )
    blocked = obstacle(v)
    if blocked is None:
        return None
    message = f"Not started: {blocked.message}"
    first = v.spec.phases[0].name
    return Outcome(
        State.PREFLIGHT,
        blocked.reason,
        message,
        notes=once(v, State.PREFLIGHT, Note(blocked.reason, message, "Warning" if blocked.stalled else "Normal")),
        next=f"starts {first} once that is mended" if blocked.stalled else f"starts {first} as soon as that has passed",
        stalled=blocked.stalled,
        due=checklist.next_look(v.spec, v.facts, v.now) if checklist.wanted(v.spec, v.status) else None,
        actions=(
            *_first_assignment(v),
            *(stopping_new.revives(v) if blocked.reason is Reason.NEW_NOT_READY else ()),
        ),
    )


def _first_assignment(v: View) -> tuple[Action, ...]:
    """Where there is no assignment of slots yet, it is made: all of them are old's."""
    if v.slots is None or v.slots.assignment is not None or v.facts.problems:
        return ()
    return shards.step(v.slots, shards.steady(v.slots), careful=False).actions


def phase_removed(v: View) -> Outcome | None:
    """An edit has taken the current phase out of the spec."""
    if v.phase is not None or v.status.phase is None:
        return None
    name = v.status.phase.name
    message = f"Holding at {v.share} %: the spec has no phase {name} any more; bring it back, or set emergencyStop"
    return hold(v, Reason.PHASE_REMOVED, message, stalled=True, until=f"waits for phase {name}")


def hindered(v: View) -> Outcome | None:
    """A reference broke mid-way: nothing moves before a person has mended it."""
    scaled = autoscaled(v.spec, v.facts)
    problems = (*v.facts.problems, *([Problem(Reason.AUTOSCALED, scaled)] if scaled else []))
    if not problems:
        return None
    problem = problems[0]
    message = f"Holding at {v.share} %: {problem.message}"
    return hold(v, problem.reason, message, stalled=True, until="waits for that to be mended")


def incident(v: View) -> Outcome | None:
    """Something speaks against new that does not send it back at once: no step forward while it is open."""
    standing = v.incident
    if standing is None or not incidents.is_open(standing) or v.status.phase is None:
        return None
    message = f"Phase {v.status.phase.label} holds: {incidents.says(v.spec, standing)}"
    held = hold(v, incidents.reason_of(standing), message)
    # What has come of the incident on this pass is told already.
    return replace(held, notes=()) if incidents.told(v.spec, v.status.incident, standing) else held


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
        notes=once(v, State.PAUSED, Note(Reason.SUSPENDED, message)),
        next="waits for suspend to be removed",
    )


def holds(v: View) -> Outcome | None:
    """A criterion cannot be judged, or the time is over and not everything passes yet."""
    if v.phase is None or v.status.phase is None:
        return None
    label = v.status.phase.label
    blind = v.blind()
    if blind is not None:
        return hold(v, Reason.CRITERIA_UNKNOWN, f"Phase {label} holds: {blind.message}")
    astray = verifying.strays(v)
    if astray is not None:
        return astray
    if not v.time_is_over:
        return None
    success = (c for c in v.judged if c.role is Role.SUCCESS and c.unknown is not Unknown.IGNORED)
    unmet = [c for c in success if c.verdict is not Verdict.PASS]
    if unmet:
        in_time = all(c.unknown in _IN_TIME for c in unmet)
        return hold(v, Reason.CRITERIA_NOT_MET, f"Phase {label} holds: {unmet[0].message}", in_time=in_time)
    # A breach would have gone back: what is left is a criterion not judged yet, or one that a breach is running up on.
    # A phase that ended now would take it away unjudged.
    undecided = next((c for c in v.binding() if c.verdict is not Verdict.PASS), None)
    if undecided is not None:
        return hold(v, Reason.CRITERIA_UNKNOWN, f"Phase {label} holds: {undecided.message}")
    if (v.phase.weight > 0 or v.status.mirror is not None) and not v.new.complete:
        message = f"Phase {label} holds: {readiness(v.spec, Side.NEW, v.facts.new)}"
        return hold(v, Reason.NEW_NOT_READY, message)
    return None

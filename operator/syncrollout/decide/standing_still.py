"""Rules by which a rollout stays where it is: at its end, before its start, or held within a phase."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from syncrollout.api.status import AskedStatus
from syncrollout.api.words import Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide import approvals, by_hand, checklist, incidents, shards, stopping_new, verifying
from syncrollout.decide.actions import Action
from syncrollout.decide.autoscaling import autoscaled
from syncrollout.decide.facts import Problem
from syncrollout.decide.outcome import Note, Outcome, hold, once, unchanged
from syncrollout.decide.phrases import moment, readiness
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
    if v.suspended:
        message = "Suspended before the start: remove spec.suspend to begin"
        if v.status.hold is not None:
            message = f"Not started, {by_hand.says(v.status.hold)}"
        return replace(_suspended(v, message), actions=_first_assignment(v))
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
        due=checklist.next_look(v.spec, v.status, v.facts, v.now) if checklist.wanted(v.spec, v.status) else None,
        actions=(
            *_first_assignment(v),
            *_checks(v),
            *(stopping_new.revives(v) if blocked.reason is Reason.NEW_NOT_READY else ()),
        ),
    )


def _checks(v: View) -> tuple[Action, ...]:
    """The Jobs of the checklist."""
    if v.facts.barred or not checklist.wanted(v.spec, v.status):
        return ()
    return checklist.jobs(v.spec, v.status, v.facts, v.now)


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
    if not v.suspended:
        return None
    label = v.status.phase.label if v.status.phase is not None else ""
    message = f"Phase {label}: suspended at {v.share} %; rollback criteria are still judged"
    if v.status.hold is not None:
        message = f"Phase {label} stands at {v.share} %, {by_hand.says(v.status.hold)}"
        message += "; rollback criteria are still judged"
    return _suspended(v, message)


def _suspended(v: View, message: str) -> Outcome:
    hold = v.status.hold
    reason, by = (Reason.SUSPENDED, "") if hold is None else (Reason.HELD, hold.by)
    return Outcome(
        State.PAUSED,
        reason,
        message,
        notes=once(v, State.PAUSED, Note(reason, message, by=by)),
        next="waits for suspend to be removed" if hold is None else "waits for the hold to be taken away",
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
    unmet = [c for c in success if c.verdict is not Verdict.PASS and not v.skipped]
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


def awaits_approval(v: View) -> Outcome | None:
    """All else is met, and nobody has approved yet."""
    phase, standing = v.phase, v.status.phase
    if phase is None or standing is None or not v.time_is_over or not approvals.required(v.spec, v.status):
        return None
    if approvals.current(v.spec, v.status) is not None:
        return None
    may = approvals.who_may(approvals.approvers_of(v.spec, phase))
    command = f"kubectl syncrollout approve {v.facts.name} {phase.name} -m WHY"
    message = f"Phase {standing.label} waits for an approval by {may}: {command}"
    asked = v.status.approval_asked or AskedStatus(entered=standing.entered, since=v.now)
    notes: tuple[Note, ...] = ()
    if v.status.approval_asked is None:
        notes = (Note(Reason.APPROVAL_REQUESTED, message),)
    elif v.now >= _reminds(v, asked):
        text = f"{message} (asked for since {moment(asked.since)})"
        notes = (Note(Reason.APPROVAL_REMINDER, text, "Warning"),)
        asked = asked.model_copy(update={"reminded": v.now})
    return Outcome(
        State.AWAITING_APPROVAL,
        Reason.APPROVAL_REQUESTED,
        message,
        changes={"approval_asked": asked},
        notes=notes,
        next=f"an approval by {may}",
        due=_reminds(v, asked),
    )


def _reminds(v: View, asked: AskedStatus) -> float:
    last = asked.reminded if asked.reminded is not None else asked.since
    return round(last + v.spec.approval.remind, 3)

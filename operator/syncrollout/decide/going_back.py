"""Rules that put traffic back to old. They stand first in the chain: nothing that moves forward is asked before them.

Each is a function of the view that answers with an outcome, or with None where it has nothing to say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import HandoverMethod, OnDeadline
from syncrollout.api.status import RollbackStatus
from syncrollout.api.words import Reason, Role, Severity, Side, State
from syncrollout.decide import (
    clocks,
    incidents,
    mirroring,
    movement,
    procedure,
    requests,
    step_plan,
    step_words,
    verifying,
)
from syncrollout.decide.actions import SetMirror
from syncrollout.decide.outcome import Note, Outcome, once, unchanged
from syncrollout.decide.phrases import clip, person, readiness
from syncrollout.decide.view import View

WHOLLY_FOR: Final = 120.0
"""Seconds for which a rollback waits for every replica of an old that had been stopped. After that those that are
ready have to do: one replica that never starts must not keep all traffic on a bad new."""


RESTART_PATIENCE: Final = 60.0
"""Seconds for which new may be without a ready pod after its pods were made anew to tell them of slots."""


def rolling_back(v: View) -> Outcome | None:
    """A rollback that has begun is carried through, whatever else is asked."""
    if v.status.state is not State.ROLLING_BACK:
        return None
    cause = v.status.rollback or _cause(v, Reason.CRITERION_BREACHED, "not recorded")
    step = _step(v, cause)
    if step.settled:
        said = procedure.switched(cause)
        seen = cause if step.message or said or cause.verified is not None else verifying.back(v, cause)
        if isinstance(seen, Outcome):
            return seen
        said = said or _said(v, cause, step, seen)
        going = procedure.goes_on(v, seen if isinstance(seen, RollbackStatus) else cause, said)
        if isinstance(going, Outcome):
            return going
        cause = going
        message = f"{said}{step_words.summary(cause)}. Cause: {cause.message}"
        well = isinstance(seen, RollbackStatus) and not step_words.went_wrong(cause)
        return Outcome(
            State.ROLLED_BACK,
            Reason.ROLLED_BACK,
            message,
            changes={
                "in_flight": False,
                "finished": v.now,
                "retired": None,
                "rollback": cause.model_copy(update={"confirmed": cause.confirmed or v.now}),
                "verify": None,
                "mirror": None,
            },
            notes=(Note(Reason.ROLLED_BACK, message, "Normal" if well else "Warning"),),
            next="a new spec.revision starts the next run",
        )
    message = f"Rolling back: {step.message or 'switching traffic back to old'}. Cause: {cause.message}"
    waits = Note(step.waiting, message, "Warning") if step.waiting is not None else None
    overdue, notes = procedure.switching(v, cause)
    return Outcome(
        State.ROLLING_BACK,
        step.waiting or cause.reason,
        message,
        changes={"rollback": overdue} if notes else {},
        actions=step.actions,
        urgent=True,
        notes=(*(once(v, State.ROLLING_BACK, waits) if waits is not None else ()), *notes),
        next="all traffic at old",
        due=_earlier(_earlier(step.due, _patience_ends(v, cause)), procedure.switch_ends(overdue)),
        stalled=step.stalled,
    )


def _said(v: View, cause: RollbackStatus, step: movement.Movement, seen: RollbackStatus | str) -> str:
    """What a rollback that has ended says of itself."""
    if step.message:
        return step.message[0].upper() + step.message[1:]
    took = format_duration((cause.confirmed or v.now) - cause.decided)
    if isinstance(seen, str):
        return f"Everything stands at old after {took}, {seen}"
    if seen.verified is not None:
        took = format_duration(seen.verified - cause.decided)
        return f"All traffic is back at old after {took}, seen by traffic.verify"
    return f"All traffic is back at old after {took}"


def _roll_back(v: View, reason: Reason, why: str, by: str = "", cause: RollbackStatus | None = None) -> Outcome:
    cause = cause or _cause(v, reason, why)
    step = _step(v, cause)
    return Outcome(
        State.ROLLING_BACK,
        reason,
        f"Rolling back: {why}",
        changes={"in_flight": True, "finished": None, "rollback": cause, "verify": None, **_good_before(v)},
        actions=step.actions,
        urgent=True,
        notes=(Note(reason, f"Rolling back from {cause.from_weight} %: {why}", "Warning", by),),
        next="all traffic at old",
        # Where nothing has to move, or something is waited for, the next pass says so without waiting to be woken.
        due=v.now if not step.actions else _earlier(step.due, _patience_ends(v, cause)),
    )


def _good_before(v: View) -> dict[str, object]:
    """A run that had completed and goes back was not good after all."""
    return {} if v.status.watch is None else {"last_good_revision": v.status.watch.last_good_revision}


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _cause(v: View, reason: Reason, why: str) -> RollbackStatus:
    name = v.status.phase.name if v.status.phase is not None else ""
    steps = step_plan.planned(v.spec, v.now)
    return RollbackStatus(
        reason=reason, message=clip(why), decided=v.now, from_phase=name, from_weight=v.share, steps=steps
    )


def _step(v: View, cause: RollbackStatus) -> movement.Movement:
    stood = cause.confirmed is not None
    wholly = not stood and _had_nothing(v, cause) and _patient(v, cause)
    step = movement.back(v.spec, v.facts, v.status.retired, v.slots, wholly=wholly, stood=stood)
    if v.status.mirror is not None and mirroring.stands(v.facts):
        return replace(step, settled=False, actions=(*step.actions, SetMirror(0)))
    return step


def _had_nothing(v: View, cause: RollbackStatus) -> bool:
    """Whether old had no replica that took work when the rollback was decided."""
    return v.status.retired is not None or (v.spec.traffic.replicas is not None and cause.from_weight >= 100)


def _patient(v: View, cause: RollbackStatus) -> bool:
    # With new dead, any replica of old is better than none; and what was decided in the future, by a wrong clock, says
    # nothing about how long old has been waited for.
    waited = round(v.now - cause.decided, 3)
    return v.new.alive and -clocks.AHEAD <= waited < WHOLLY_FOR


def _patience_ends(v: View, cause: RollbackStatus) -> float | None:
    return round(cause.decided + WHOLLY_FOR, 3) if _had_nothing(v, cause) and _patient(v, cause) else None


def deleted(v: View) -> Outcome | None:
    """Deleted mid-way: traffic goes back to old before the object may go."""
    if not v.facts.deleting:
        return None
    if v.status.in_flight:
        return _roll_back(v, Reason.DELETED, "the SyncRollout was deleted while its run was in flight")
    return unchanged(v, silent=True)


def emergency_stop(v: View) -> Outcome | None:
    """A person pulled the cord."""
    if not v.spec.emergency_stop:
        return None
    completed = v.status.run > 0 and v.status.rollback is None
    # While the next run waits, the spec may speak of other systems already: then there is nothing to put back.
    if v.status.in_flight or (completed and (v.status.state is State.COMPLETED or v.share > 0)):
        return _roll_back(v, Reason.EMERGENCY_STOP, "spec.emergencyStop was set")
    if not v.run_asked:
        return None
    message = "spec.emergencyStop is set: nothing starts before it is removed"
    return Outcome(
        State.PAUSED,
        Reason.EMERGENCY_STOP,
        message,
        notes=once(v, State.PAUSED, Note(Reason.EMERGENCY_STOP, message)),
        next="waits for emergencyStop to be removed",
    )


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
    if not v.active:
        return None
    breach = v.breach()
    if breach is None:
        return None
    trigger = breach.role is Role.TRIGGER
    reason = Reason.TRIGGER_BREACHED if trigger else Reason.CRITERION_BREACHED
    if breach.unknown is not None:
        reason = Reason.WITHOUT_DATA
    name = v.phase.name if v.phase is not None else ""
    where = "rollback trigger" if trigger else f"{incidents.place(breach)} of phase {name}"
    return _roll_back(v, reason, f"{breach.message} ({where})")


def asked_back(v: View) -> Outcome | None:
    """A person asks for it, or has decided so of the open incident."""
    if not v.active:
        return None
    who = person(v.heard.by)
    if v.heard.rollback:
        return _roll_back(v, Reason.ROLLBACK_REQUESTED, f"{who} asked for it: {v.heard.rollback}", v.heard.by)
    if v.heard.decision == requests.ROLLBACK and v.status.incident is not None:
        why = f"{who} decided so ({v.heard.decided}) of: {v.status.incident.message}"
        return _roll_back(v, Reason.ROLLBACK_REQUESTED, why, v.heard.by)
    return None


def gone_back(v: View) -> Outcome | None:
    """It was decided before, and traffic may be back: then nothing else speaks for it any more. What was recorded
    meanwhile, by a write of our own without an answer, say, comes before it."""
    cause = v.facts.gone_back
    if cause is None or not v.active:
        return None
    return _roll_back(v, cause.reason, cause.message, cause=cause)


def gives_up(v: View, why: str) -> Outcome:
    """A step back that cannot be carried out becomes a rollback."""
    return _roll_back(v, Reason.CRITERION_BREACHED, why)


def overdue(v: View) -> Outcome | None:
    """An incident has come to its deadline, and it is not clear, and nobody has decided otherwise."""
    incident = v.incident
    if incident is None or incident.deadline is None or v.now < incident.deadline or v.unasked(incident):
        return None
    rollback = v.spec.rollback
    if incident.severity is Severity.HIGH:
        why = f"not clear within {format_duration(v.now - incident.since)}, and nobody has overridden it"
    else:
        why = f"nobody decided within {format_duration(rollback.medium.decide_within)}"
    return _roll_back(v, Reason.INCIDENT_OVERDUE, f"{incident.message}; {why}")


def phase_overdue(v: View) -> Outcome | None:
    """The phase has not passed by its deadline, and is to go back then."""
    if v.phase is None or v.deadline is None or v.now < v.deadline or v.phase.on_deadline is not OnDeadline.ROLLBACK:
        return None
    why = f"phase {v.phase.name} has not passed within {format_duration(v.phase.deadline or 0.0)}"
    return _roll_back(v, Reason.PHASE_OVERDUE, why)


def new_died(v: View) -> Outcome | None:
    """New has traffic and no pod to take it."""
    if not v.status.in_flight or v.share == 0 or v.new.alive or not _seen(v):
        return None
    moving = v.since is None and v.status.verify is None
    if v.spec.traffic.replicas is not None and (moving or v.status.phase is None or not v.status.phase.weight):
        # On the way up the first replicas are not ready yet, and get nothing before they are; those that somebody
        # else has added in a phase without weight are taken away again.
        return None
    if _is_made_anew(v):
        return None
    why = f"{v.share} % of the traffic goes to new, and {readiness(v.spec, Side.NEW, v.facts.new)}"
    return _roll_back(v, Reason.NEW_DIED, why)


def _is_made_anew(v: View) -> bool:
    """Whether new's pods are being made anew because it is so that they learn of slots."""
    shards, slots = v.spec.traffic.shards, v.slots
    if shards is None or slots is None or slots.record is None or shards.handover.method is not HandoverMethod.RESTART:
        return False
    record = slots.record
    told = Side.NEW in record.gaining or Side.NEW in record.losing
    return told and v.new.desired > 0 and v.now < round(record.since + RESTART_PATIENCE, 3)


def _seen(v: View) -> bool:
    """Whether new is known to be as it is: without the right to read it, nothing is known."""
    if v.facts.new is not None:
        return True
    reasons = {problem.reason for problem in v.facts.problems}
    return Reason.WORKLOAD_NOT_FOUND in reasons and Reason.FORBIDDEN not in reasons

"""Rules by which a rollout goes on: it starts, moves traffic to the phase's weight, retires old, advances, ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Phase, PhaseMode
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import HandoverStage, Reason, Role, Side, State
from syncrollout.decide import (
    doubts,
    incidents,
    mirroring,
    movement,
    own_jobs,
    reported,
    verify,
    verifying,
    watch,
    watching,
)
from syncrollout.decide.actions import AddFinalizer, SetWeight
from syncrollout.decide.outcome import Note, Outcome, hold, next_text, resumes, unchanged
from syncrollout.decide.phrases import moment, readiness
from syncrollout.decide.retiring import retirement
from syncrollout.decide.view import View, judge_all, old_stopped, phase_status

MANY_REPAIRS: Final = 5
"""Repairs of drift within a minute from which on the operator says that somebody keeps changing the weights."""

QUARREL_QUIET: Final = 600.0
"""Seconds before the same is said again of a quarrel over the weights."""

START_PATIENCE: Final = 60.0
"""Seconds that replicas may take to get ready, from when the phase was entered, before the phase counts as held."""


def start(v: View) -> Outcome | None:
    """Nothing is in the way: the finalizer first, so that no deletion can leave traffic behind, then phase one."""
    if v.status.in_flight:
        return None
    if not v.facts.has_finalizer:
        # The status is left as it stands: the pass that sees the finalizer begins the run.
        return unchanged(v, actions=(AddFinalizer(),), silent=True)
    return _enter(v, 0)


def _enter(v: View, index: int) -> Outcome:
    phase, count = v.spec.phases[index], len(v.spec.phases)
    step = movement.toward(v.spec, v.facts, phase, v.slots, careful=True)
    mirror_first = mirroring.moves(v, phase)
    begins = not v.status.in_flight
    first = own_jobs.planned(v.spec) if begins else ()
    at_once = step.settled and not first and not mirror_first and not verify.verified(v.spec, phase)
    since = v.now if at_once else None
    # Triggers are of the whole run: what holds against new for some time goes on holding in the next phase.
    kept = () if begins else tuple(c for c in v.judged if c.role is Role.TRIGGER)
    changes: dict[str, object] = {
        "phase": phase_status(phase, index, count, entered=v.now, since=since),
        "criteria": kept if since is None else _judged_anew(v, phase, kept),
        "verify": None,
    }
    if begins:
        changes |= {
            "run": v.status.run + 1,
            "revision": v.spec.revision,
            "in_flight": True,
            "started": v.now,
            "finished": None,
            "rollback": None,
            "retired": None,
            "stopped_new": None,
            "retry": None,
            "step_back": None,
            "finished_jobs": (),
            "approvals": (),
            "day_one": first,
        }
    label = f"{index + 1}/{count} {phase.name}"
    said = f"new has {phase.weight} %" if step.settled else f"moving traffic to {phase.weight} %"
    message = f"Phase {label}: {'day one comes first' if first else said}"
    return Outcome(
        State.PROGRESSING,
        Reason.DAY_ONE if first else Reason.PHASE_RUNNING if step.settled else Reason.MOVING_TRAFFIC,
        message,
        changes=changes,
        actions=() if first or mirror_first else step.actions,
        notes=(Note(Reason.PHASE_STARTED, f"Phase {label} started: {phase.weight} % to new"),),
        next=next_text(v, index, since),
        due=v.now if step.settled or first or mirror_first else None,
    )


def _judged_anew(v: View, phase: Phase, before: tuple[CriterionStatus, ...]) -> tuple[CriterionStatus, ...]:
    """The criteria at the moment from which on the weights of the phase stand: people see verdicts at once, and not
    only with the next write."""
    known = {each.id: each for each in before}
    respite = v.respite if phase is v.phase else 0.0
    stopped = old_stopped(v.spec, v.status)
    # What is open in a phase is not carried into the next.
    anew = {} if phase is v.phase else reported.readings(v.spec, None, {}, active=True)
    readings = {**v.facts.readings, **v.counted, **anew}
    return judge_all(v.spec, phase, readings, known, now=v.now, since=v.now, respite=respite, old_stopped=stopped)


def reweighted(v: View) -> Outcome | None:
    """An edit gave the current phase another weight: recorded first, then moved to, and its time begins anew."""
    if v.phase is None or v.status.phase is None or v.phase.weight == v.status.phase.weight:
        return None
    status = phase_status(v.phase, v.index, len(v.spec.phases), entered=v.now, since=None)
    message = f"Phase {status.label}: its weight was changed to {v.phase.weight} %"
    suspended = v.suspended and v.status.state is State.PAUSED
    return Outcome(
        State.PAUSED if suspended else State.PROGRESSING,
        v.status.reason if suspended else Reason.MOVING_TRAFFIC,
        message,
        changes={"phase": status, "verify": None},
        notes=(Note(Reason.MOVING_TRAFFIC, message),),
        next=next_text(v, v.index, None),
        due=v.now,
    )


def moves(v: View) -> Outcome | None:
    """Traffic is on its way to the phase's weight, or somebody else moved it away: put it right."""
    if v.phase is None or v.status.phase is None:
        return None
    standing = v.since is not None
    step = movement.toward(v.spec, v.facts, v.phase, v.slots, careful=not standing)
    # Of several routes, and of slots beside them, each that has less would be raised.
    raises = v.share < v.phase.weight or (movement.least(v.facts) < v.phase.weight == v.share)
    doubt = doubts.doubt(v) if raises else ""
    if v.suspended and (not standing or step.waiting is not None or doubt) and not v.returning:
        return None
    if step.settled:
        return None if standing else verifying.waits(v) or _stands(v)
    label, to = v.status.phase.label, f"{v.phase.weight} % to new"
    if doubt:
        stands = min(v.share, round(movement.least(v.facts))) if v.spec.traffic.replicas is None else v.share
        message = f"new stands at {stands} % and is not raised to {v.phase.weight} % {doubt}"
        why = (
            incidents.reason_of(v.incident) if v.incident is not None and doubts.opposed(v) else Reason.CRITERIA_UNKNOWN
        )
        kept = movement.steady(v.slots, v.phase.weight)
        step = replace(step, actions=kept.actions, waiting=why, message=message, due=kept.due)
    if standing:
        if step.waiting is not None:
            held = hold(v, step.waiting, f"Phase {label} holds: {step.message}", until=to)
            return replace(held, actions=step.actions, due=step.due)
        if _handing_over(v):
            return _settles(v, step)
        return _repairs(v, step)
    moving = _on_the_way(v, step, f"Phase {label}: moving traffic to {v.phase.weight} %")
    # A step back is a way back: its first try may have failed.
    return replace(moving, urgent=True) if v.returning and moving.actions else moving


def _handing_over(v: View) -> bool:
    """Whether slots were changing hands already when this was last looked at, or an edit has given new another task:
    then it is not somebody else who has changed what stands."""
    before, now = v.status.shards, v.slots.assignment if v.slots is not None else None
    if before is None or now is None or v.phase is None:
        return False
    untouched = (before.epoch, before.new_below, before.old_from) == (now.epoch, now.new_below, now.old_from)
    edited = untouched and now.shadow == before.shadow and now.shadow != (v.phase.mode is PhaseMode.SHADOW)
    return edited or before.stage is not HandoverStage.SETTLED


def _settles(v: View, step: movement.Movement) -> Outcome:
    """What somebody else has changed is on its way to where it belongs: slots change hands in several steps."""
    assert v.status.phase is not None
    return Outcome(
        v.status.state,
        v.status.reason,
        f"Phase {v.status.phase.label}: putting slots back: {step.message}",
        actions=step.actions,
        next=v.status.next,
        due=step.due,
    )


def _on_the_way(v: View, step: movement.Movement, message: str) -> Outcome:
    """Traffic moves, or waits for replicas: for a minute that is as it should be, then the phase counts as held."""
    assert v.phase is not None
    assert v.status.phase is not None
    began = max(v.status.phase.entered, *(each.finished or 0.0 for each in v.status.day_one), 0.0)
    patience_ends = round(began + START_PATIENCE, 3)
    if step.waiting is Reason.HANDOVER_TIMED_OUT or (step.waiting is not None and v.now >= patience_ends):
        message = f"Phase {v.status.phase.label} holds: {step.message}"
        held = hold(v, step.waiting, message, until=f"{v.phase.weight} % to new")
        return replace(held, actions=step.actions, due=step.due)
    return Outcome(
        State.PROGRESSING,
        Reason.MOVING_TRAFFIC,
        message + (f"; {step.message}" if step.message else ""),
        actions=step.actions,
        notes=resumes(v),
        next=v.status.next,
        due=min(
            (each for each in (step.due, patience_ends if step.waiting is not None else None) if each), default=None
        ),
    )


def _repairs(v: View, step: movement.Movement) -> Outcome:
    assert v.phase is not None
    what = "weights" if any(isinstance(action, SetWeight) for action in step.actions) else "owners of slots"
    text = f"Somebody else changed the {what} (new had {v.share} %): put back to {v.phase.weight} %"
    if what != "weights" and not step.actions:
        return _settles(v, step)
    if v.facts.recent_repairs >= MANY_REPAIRS:
        text = (
            f"Somebody keeps changing the weights, put back to {v.phase.weight} % more than {MANY_REPAIRS} times in "
            "a minute: kubectl get --show-managed-fields names who writes to the object"
        )
    # One note per quarrel: the first repair, and the one from which on it counts as a quarrel.
    told = v.facts.recent_repairs in (0, MANY_REPAIRS) and not any(
        entry.message == text and v.now - entry.time < QUARREL_QUIET for entry in v.status.history
    )
    return Outcome(
        v.status.state,
        v.status.reason,
        v.status.message,
        changes={"weight": v.phase.weight},
        actions=step.actions,
        urgent=True,
        notes=(Note(Reason.DRIFT_REPAIRED, text, "Warning"),) if told else (),
        next=v.status.next,
    )


def brings_old_back(v: View) -> Outcome | None:
    """An edit, or a step back, gave old work again after it had been stopped: it has to stand before it gets any."""
    if v.phase is None or v.status.phase is None or v.status.retired is None:
        return None
    stands_by = v.stepped_back and not any(phase.retire_old for phase in v.spec.phases[: v.index + 1])
    if (v.phase.weight == 100 and not stands_by) or (v.suspended and not v.stepped_back):
        return None
    label = v.status.phase.label
    if v.spec.traffic.replicas is None:
        step = movement.bring_back(v.spec, v.facts, v.status.retired, wholly=True)
        if not step.settled:
            return _on_the_way(v, step, f"Phase {label}: before old gets {100 - v.phase.weight} %")
    return Outcome(
        State.PROGRESSING,
        Reason.MOVING_TRAFFIC,
        f"Phase {label}: old is back",
        changes={"retired": None},
        notes=resumes(v),
        next=v.status.next,
        due=v.now,
    )


def _stands(v: View) -> Outcome:
    assert v.phase is not None
    status = phase_status(
        v.phase,
        v.index,
        len(v.spec.phases),
        entered=v.status.phase.entered if v.status.phase is not None else v.now,
        since=v.now,
        lasted=v.lasted,
    )
    message = f"Phase {status.label}: new has {v.phase.weight} %"
    retires_now = v.phase.retire_old and v.status.retired is None and not doubts.opposed(v)
    retired, actions = retirement(v) if retires_now else (v.status.retired, ())
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING,
        message,
        changes={"phase": status, "retired": retired, "criteria": _judged_anew(v, v.phase, v.judged)},
        actions=actions,
        notes=resumes(v),
        next=next_text(v, v.index, v.now, v.lasted),
        # What stops old is seen by its watch; the criteria have just been judged.
        due=None if actions else status.earliest_end,
    )


def advances(v: View) -> Outcome | None:
    """The phase has lasted its time and everything passes: the next one, or the end."""
    if v.phase is None or not v.time_is_over:
        return None
    if v.index + 1 < len(v.spec.phases):
        coming = v.spec.phases[v.index + 1]
        if coming.weight > v.phase.weight and not v.new.complete and v.spec.traffic.replicas is None:
            message = f"Phase {coming.name} waits: {readiness(v.spec, Side.NEW, v.facts.new)}"
            return hold(v, Reason.NEW_NOT_READY, message)
        return _enter(v, v.index + 1)
    began = v.status.started if v.status.started is not None else v.now
    message = f"Completed after {format_duration(v.now - began)}: new has {v.share} %"
    watched = watching.begins(v)
    message += f"; watched until {moment(watched.until)}" if watched is not None else ""
    return Outcome(
        State.COMPLETED,
        Reason.COMPLETED,
        message,
        changes={"in_flight": False, "finished": v.now, "last_good_revision": v.status.revision, "watch": watched},
        notes=(Note(Reason.COMPLETED, message),),
        next=watch.says(watched) if watched is not None else "",
        due=v.now if watched is not None else None,
    )


def runs(v: View) -> Outcome | None:
    """Nothing to do but wait for the phase's time."""
    if v.status.phase is None:
        return None
    message = f"Phase {v.status.phase.label}: new has {v.share} %"
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING,
        message,
        notes=resumes(v),
        next=next_text(v, v.index, v.since, v.lasted),
    )

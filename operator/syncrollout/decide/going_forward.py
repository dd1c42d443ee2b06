"""Rules by which a rollout goes on: it starts, moves traffic to the phase's weight, retires old, advances, ends."""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.status import Retired
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide import movement
from syncrollout.decide.actions import AddFinalizer, Scale
from syncrollout.decide.outcome import Note, Outcome, hold, next_text, release, unchanged
from syncrollout.decide.view import View, phase_status

MANY_REPAIRS: Final = 5
"""Repairs of drift within a minute from which on the operator says that somebody keeps changing the weights."""


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
    step = movement.toward(v.spec, v.facts, phase.weight, careful=True)
    since = v.now if step.settled else None
    begins = not v.status.in_flight
    changes: dict[str, object] = {
        "phase": phase_status(phase, index, count, entered=v.now, since=since),
        "criteria": (),
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
        }
    label = f"{index + 1}/{count} {phase.name}"
    message = f"Phase {label}: " + (
        f"new has {phase.weight} %" if step.settled else f"moving traffic to {phase.weight} %"
    )
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING if step.settled else Reason.MOVING_TRAFFIC,
        message,
        changes=changes,
        actions=step.actions,
        notes=(Note(Reason.PHASE_STARTED, f"Phase {label} started: {phase.weight} % to new"),),
        next=next_text(v, index, since),
        due=v.now if step.settled else None,
    )


def reweighted(v: View) -> Outcome | None:
    """An edit gave the current phase another weight: recorded first, then moved to, and its time begins anew."""
    if v.phase is None or v.status.phase is None or v.phase.weight == v.status.phase.weight:
        return None
    status = phase_status(v.phase, v.index, len(v.spec.phases), entered=v.now, since=None)
    message = f"Phase {status.label}: its weight was changed to {v.phase.weight} %"
    return Outcome(
        State.PROGRESSING,
        Reason.MOVING_TRAFFIC,
        message,
        changes={"phase": status},
        notes=(Note(Reason.MOVING_TRAFFIC, message),),
        next=next_text(v, v.index, None),
        due=v.now,
    )


def moves(v: View) -> Outcome | None:
    """Traffic is on its way to the phase's weight, or somebody else moved it away: put it right."""
    if v.phase is None or v.status.phase is None:
        return None
    standing = v.since is not None
    if v.spec.suspend and not standing:
        return None
    step = movement.toward(v.spec, v.facts, v.phase.weight, careful=not standing)
    if standing and v.status.retired is not None and v.spec.traffic.replicas is not None:
        return None
    if step.settled:
        return None if standing else _stands(v)
    if step.waiting is not None:
        message = f"Phase {v.status.phase.label}: {step.message}"
        return Outcome(State.HOLDING, step.waiting, message, next=f"{v.phase.weight} % to new")
    if not standing:
        message = f"Phase {v.status.phase.label}: moving traffic to {v.phase.weight} %"
        return Outcome(State.PROGRESSING, Reason.MOVING_TRAFFIC, message, actions=step.actions, next=v.status.next)
    return _repairs(v, step)


def _repairs(v: View, step: movement.Movement) -> Outcome:
    assert v.phase is not None
    fighting = v.facts.recent_repairs >= MANY_REPAIRS
    text = f"the weights were changed by somebody else (new had {v.share} %): put back to {v.phase.weight} %"
    if fighting:
        text = f"somebody keeps changing the weights: put back to {v.phase.weight} % for the {MANY_REPAIRS}th time"
    # One note per quarrel: the first repair, and the one from which on it counts as a quarrel.
    told = v.facts.recent_repairs in (0, MANY_REPAIRS)
    return Outcome(
        v.status.state if v.status.state is not State.PENDING else State.PROGRESSING,
        v.status.reason,
        v.status.message,
        changes={"weight": v.phase.weight},
        actions=step.actions,
        urgent=True,
        notes=(Note(Reason.DRIFT_REPAIRED, text[0].upper() + text[1:], "Warning"),) if told else (),
        next=v.status.next,
    )


def _stands(v: View) -> Outcome:
    assert v.phase is not None
    status = phase_status(
        v.phase,
        v.index,
        len(v.spec.phases),
        entered=v.status.phase.entered if v.status.phase is not None else v.now,
        since=v.now,
    )
    message = f"Phase {status.label}: new has {v.phase.weight} %"
    retired, actions = _retirement(v) if v.phase.retire_old and v.status.retired is None else (v.status.retired, ())
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING,
        message,
        changes={"phase": status, "retired": retired},
        actions=actions,
        next=next_text(v, v.index, v.now),
        due=v.now,
    )


def _retirement(v: View) -> tuple[Retired, tuple[Scale, ...]]:
    """What to record before old is stopped, and what stops it."""
    replicas = v.old.desired if v.old.scalable else None
    if v.spec.traffic.replicas is not None:
        replicas = v.spec.traffic.replicas.total
    return Retired(replicas=replicas, at=v.now), (Scale(Side.OLD, 0),) if v.old.desired else ()


def retires(v: View) -> Outcome | None:
    """Stop old; what it was is recorded before, so that a rollback brings back the same."""
    if v.phase is None or not v.phase.retire_old or v.status.phase is None:
        return None
    label = v.status.phase.label
    if v.status.retired is None:
        retired, actions = _retirement(v)
        return Outcome(
            State.PROGRESSING,
            Reason.PHASE_RUNNING,
            f"Phase {label}: stopping old",
            changes={"retired": retired},
            actions=actions,
            next=next_text(v, v.index, v.since),
            due=v.now if not actions else None,
        )
    if v.old.desired or v.old.ready:
        return Outcome(
            State.PROGRESSING,
            Reason.PHASE_RUNNING,
            f"Phase {label}: stopping old, {v.old.ready} replicas are left",
            actions=(Scale(Side.OLD, 0),) if v.old.desired else (),
            next=next_text(v, v.index, v.since),
        )
    return None


def advances(v: View) -> Outcome | None:
    """The phase has lasted its time and everything passes: the next one, or the end."""
    if v.phase is None or not v.time_is_over:
        return None
    if v.index + 1 < len(v.spec.phases):
        coming = v.spec.phases[v.index + 1]
        if coming.weight > v.phase.weight and not v.new.complete and v.spec.traffic.replicas is None:
            message = f"Phase {coming.name} waits: new has {v.new.ready} of {v.new.desired} replicas ready"
            return hold(v, Reason.NEW_NOT_READY, message)
        return _enter(v, v.index + 1)
    began = v.status.started if v.status.started is not None else v.now
    message = f"Completed after {format_duration(v.now - began)}: new has {v.share} %"
    return Outcome(
        State.COMPLETED,
        Reason.COMPLETED,
        message,
        changes={"in_flight": False, "finished": v.now, "last_good_revision": v.status.revision},
        actions=release(v),
        notes=(Note(Reason.COMPLETED, message),),
    )


def runs(v: View) -> Outcome | None:
    """Nothing to do but wait for the phase's time."""
    if v.status.phase is None:
        return None
    end = v.since + v.phase.duration if v.since is not None and v.phase is not None else None
    message = f"Phase {v.status.phase.label}: new has {v.share} %"
    resumed = v.status.state in (State.HOLDING, State.PAUSED) and v.since is not None
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING,
        message,
        notes=(Note(Reason.RESUMED, f"Phase {v.status.phase.label} goes on"),) if resumed else (),
        next=next_text(v, v.index, v.since),
        due=round(end, 3) if end is not None else None,
    )

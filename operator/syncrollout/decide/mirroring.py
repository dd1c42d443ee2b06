"""Rules by which routes mirror requests to new in a phase of mode Shadow, and stop when it ends.

Recorded first, then written; so a mirror to new is ours where the status has a record of one, and its owner's where it
has none. It begins once new has all its pods. It is taken away before the next phase moves weights: no item is ever
handled for real and as a copy at once. Suspended, a rollout keeps its mirror as it keeps its weights; what goes back
takes it away with the weights.
"""

from __future__ import annotations

from syncrollout.api.spec import Phase, SyncRolloutSpec
from syncrollout.api.status import MirrorStatus
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide.actions import SetMirror
from syncrollout.decide.facts import Facts
from syncrollout.decide.outcome import Note, Outcome, hold, next_text, resumes
from syncrollout.decide.phrases import readiness
from syncrollout.decide.view import View, phase_status

START_PATIENCE = 60.0
"""Seconds that replicas of new may take to get ready before the phase counts as held."""


def wanted(spec: SyncRolloutSpec, phase: Phase) -> int:
    """Share of the requests that routes have to mirror in a phase, percent."""
    return phase.mirrored if spec.traffic.routes else 0


def moves(v: View, phase: Phase) -> bool:
    """Whether a phase that is entered has a mirror to put up or take away before anything else."""
    return v.status.mirror is not None or wanted(v.spec, phase) > 0


def stands(facts: Facts) -> bool:
    """Whether any route mirrors to new."""
    return any(fact.ours for fact in facts.mirrors)


def taken(spec: SyncRolloutSpec, facts: Facts) -> str:
    """What is in the way of a mirror of ours where there is none yet, in words; empty where nothing is."""
    if not any(wanted(spec, phase) for phase in spec.phases):
        return ""
    for fact in facts.mirrors:
        why = f"{fact.name} mirrors to new already" if fact.ours else fact.taken
        if why:
            return (
                f"{why}: an owner's mirror is left alone, and ours cannot stand beside it; take it out of the route, "
                "or mode Shadow out of spec.phases"
            )
    return ""


def mirrors(v: View) -> Outcome | None:
    """The routes' mirrors are not what the phase asks for."""
    if v.phase is None or v.status.phase is None:
        return None
    percent, record = wanted(v.spec, v.phase), v.status.mirror
    if percent == 0:
        return _away(v) if record is not None else None
    standing = all(fact.percent == percent for fact in v.facts.mirrors)
    if record is not None and record.percent == percent and standing:
        return None
    if v.suspended or v.share > v.phase.weight:
        return None  # after a step back weights go down first
    label = v.status.phase.label
    in_the_way = taken(v.spec, v.facts) if record is None else ""
    if in_the_way:
        return hold(v, Reason.MIRROR_TAKEN, f"Phase {label} holds: {in_the_way}", stalled=True)
    if not (v.new.complete if v.since is None else v.new.alive):
        return _waits(v, f"{readiness(v.spec, Side.NEW, v.facts.new)}: nothing is mirrored to it before")
    if record is not None and record.percent == percent and v.since is not None:
        return _repairs(v, percent)
    return Outcome(
        State.PROGRESSING,
        Reason.MOVING_TRAFFIC,
        f"Phase {label}: mirroring {percent} % of the requests to new",
        changes={
            "mirror": MirrorStatus(percent=percent),
            # An edit may have made a phase that ran already mirror: its time begins anew.
            "phase": phase_status(v.phase, v.index, len(v.spec.phases), entered=v.status.phase.entered, since=None),
        },
        actions=(SetMirror(percent),),
        notes=resumes(v),
        next=next_text(v, v.index, None),
    )


def _away(v: View) -> Outcome:
    assert v.status.phase is not None
    suspended = v.suspended and v.status.state is State.PAUSED
    here = stands(v.facts)
    return Outcome(
        State.PAUSED if suspended else State.PROGRESSING,
        Reason.SUSPENDED if suspended else Reason.MOVING_TRAFFIC,
        f"Phase {v.status.phase.label}: taking the mirror away",
        changes={} if here else {"mirror": None},
        actions=(SetMirror(0),) if here else (),
        notes=() if suspended else resumes(v),
        next=v.status.next,
        due=None if here else v.now,
    )


def _waits(v: View, message: str) -> Outcome:
    assert v.status.phase is not None
    patience_ends = round(v.status.phase.entered + START_PATIENCE, 3)
    label = v.status.phase.label
    if v.now >= patience_ends:
        return hold(v, Reason.NEW_NOT_READY, f"Phase {label} holds: {message}")
    return Outcome(
        State.PROGRESSING,
        Reason.MOVING_TRAFFIC,
        f"Phase {label}: {message}",
        notes=resumes(v),
        next=v.status.next,
        due=patience_ends,
    )


def _repairs(v: View, percent: int) -> Outcome:
    text = f"Somebody else changed what routes mirror to new: put back to {percent} %"
    told = not any(entry.message == text and v.now - entry.time < QUIET for entry in v.status.history)
    return Outcome(
        v.status.state,
        v.status.reason,
        v.status.message,
        actions=(SetMirror(percent),),
        urgent=True,
        notes=(Note(Reason.DRIFT_REPAIRED, text, "Warning"),) if told else (),
        next=v.status.next,
    )


QUIET = 600.0
"""Seconds before the same repair is told again."""

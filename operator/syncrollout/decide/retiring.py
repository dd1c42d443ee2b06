"""Old is stopped, in a phase that says so."""

from __future__ import annotations

from syncrollout.api.status import Retired
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide.actions import Scale
from syncrollout.decide.outcome import Outcome, next_text, resumes
from syncrollout.decide.view import View


def retirement(v: View) -> tuple[Retired, tuple[Scale, ...]]:
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
        retired, actions = retirement(v)
        return Outcome(
            State.PROGRESSING,
            Reason.PHASE_RUNNING,
            f"Phase {label}: stopping old",
            changes={"retired": retired},
            actions=actions,
            notes=resumes(v),
            next=next_text(v, v.index, v.since, v.lasted),
            due=v.now if not actions else None,
        )
    if v.old.desired or v.old.ready:
        return Outcome(
            State.PROGRESSING,
            Reason.PHASE_RUNNING,
            f"Phase {label}: stopping old, {v.old.ready} of its replicas are left",
            actions=(Scale(Side.OLD, 0),) if v.old.desired else (),
            notes=resumes(v),
            next=next_text(v, v.index, v.since, v.lasted),
        )
    return None


__all__ = ["retirement", "retires"]

"""What people do to a run that is on its way: they hold it, and they end a phase before its time.

A hold is there for as long as its annotation is, and does what spec.suspend does: nothing moves forward, and whatever
sends a rollout back does so all the same. Who holds is kept from when it is first seen. It ends when the annotation is
taken away; another one, `resume`, may say why.

A skip ends the time and the success criteria of the present phase, for this entering alone. Triggers, rollbackOn, an
open incident, an approval and the readiness of new count as ever. It acts at once or never: where an incident is
open, the weights do not stand or the rollout is suspended, it makes no sense.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import REQUEST_LENGTH, HoldStatus, SaidOfPhase, SyncRolloutStatus
from syncrollout.api.words import HOLD, Reason, State
from syncrollout.decide import approvals
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, one_line, person


@dataclass(frozen=True, slots=True)
class Held:
    """Whether somebody holds the rollout, as it stands now."""

    status: HoldStatus | None = None
    notes: tuple[Note, ...] = ()
    """That it was taken away just now."""


def held(status: SyncRolloutStatus, hold: str | None, by: str, why: str, now: float) -> Held:
    """`hold`: the annotation as it stands, None where there is none; `by`: the name that stands with it; `why`: what is
    said to its end."""
    before = status.hold
    if hold is None:
        return Held(notes=(_taken_away(before, by, why),) if before is not None else ())
    reason = clip(one_line(hold), REQUEST_LENGTH)
    if before is None:
        return Held(HoldStatus(by=by, reason=reason, since=now))
    return Held(before if before.reason == reason else before.model_copy(update={"by": by, "reason": reason}))


def _taken_away(before: HoldStatus, by: str, why: str) -> Note:
    who, said = f" by {by}" if by else "", f": {why}" if why else ""
    return Note(Reason.RESUMED, f"The hold is taken away{who}{said} (it was {says(before)})", by=by)


def still_held(status: SyncRolloutStatus, hold: str | None) -> str:
    """Why what is said to the end of a hold makes no sense now, in words; empty where it does."""
    if hold is not None:
        return f"the hold is still there: take {HOLD} away"
    return "nobody holds it" if status.hold is None else ""


def says(hold: HoldStatus) -> str:
    """Who holds, and why, in words."""
    why = f": {hold.reason}" if hold.reason else ""
    return f"held by {person(hold.by)}{why}"


def no_skip(spec: SyncRolloutSpec, status: SyncRolloutStatus, line: str) -> str:
    """Why a skip makes no sense now, in words; empty where it does."""
    name = approvals.split(line)[0]
    if not any(each.name == name for each in spec.phases):
        return f"there is no phase {name}; begin with its name and a colon"
    if elsewhere := approvals.not_the_present(status, name):
        return elsewhere
    assert status.phase is not None
    if approvals.is_of_present(status.skipped, status):
        return f"the time of phase {name} is over already"
    if status.state is State.PAUSED:
        return "the rollout is suspended or held: let it go on first"
    if status.incident is not None and status.incident.overridden is None:
        return f"an incident is open: {status.incident.message}"
    return f"the weights of phase {name} do not stand yet" if status.phase.since is None else ""


def skipped(status: SyncRolloutStatus, line: str, by: str, now: float) -> tuple[SaidOfPhase, Note]:
    """The present phase, its time over by a person's word; `line` makes sense."""
    assert status.phase is not None
    why = approvals.split(line)[1]
    phase = status.phase
    said = SaidOfPhase(phase=phase.name, entered=phase.entered, by=by, reason=why, at=now)
    text = f"Phase {phase.label}: {person(by)} has ended its time and its success criteria"
    return said, Note(Reason.PHASE_SKIPPED, text + (f": {why}" if why else ""), "Warning", by)


__all__ = ["Held", "held", "no_skip", "says", "skipped", "still_held"]

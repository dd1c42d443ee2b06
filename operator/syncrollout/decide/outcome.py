"""What a rule answers: the plain value between the view and the status that records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from syncrollout.api.fields import format_time
from syncrollout.api.words import Reason, State
from syncrollout.decide import calendar
from syncrollout.decide.actions import Action
from syncrollout.decide.notes import Note
from syncrollout.decide.view import View


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule says is true now, and what is to be done."""

    state: State
    reason: Reason
    message: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Further fields of the status."""
    actions: tuple[Action, ...] = ()
    urgent: bool = False
    notes: tuple[Note, ...] = ()
    next: str = ""
    due: float | None = None
    stalled: bool = False
    lasting: bool = False
    """What is decided is not decided otherwise because it could not be written; so is every rollback."""
    silent: bool = False
    """The actions alone matter: the status is not worth a request."""


def unchanged(v: View, actions: tuple[Action, ...] = (), *, silent: bool = False) -> Outcome:
    """The state stays as it is recorded."""
    s = v.status
    return Outcome(s.state, s.reason, s.message, actions=actions, next=s.next, silent=silent)


def once(v: View, state: State, note: Note) -> tuple[Note, ...]:
    """A note for the first pass in this state for this reason; later ones are not told again."""
    return () if v.status.state is state and v.status.reason is note.reason else (note,)


def hold(
    v: View, reason: Reason, message: str, *, stalled: bool = False, until: str = "", in_time: bool = False
) -> Outcome:
    """Hold the phase; the first pass that holds it for this reason is told as an event, the later ones are not.

    `in_time`: it passes by the clock alone, nothing is wrong.
    """
    return Outcome(
        State.HOLDING,
        reason,
        message,
        notes=once(v, State.HOLDING, Note(reason, message, "Normal" if in_time else "Warning")),
        next=until or next_text(v, v.index, v.since, v.lasted),
        stalled=stalled,
    )


def resumes(v: View) -> tuple[Note, ...]:
    """The note of a phase that goes on after it held or was suspended."""
    if v.status.phase is None or v.status.state not in (State.HOLDING, State.PAUSED) or v.let_go:
        return ()
    return (Note(Reason.RESUMED, f"Phase {v.status.phase.label} goes on"),)


def next_text(v: View, index: int, since: float | None, lasted: float = 0.0) -> str:
    """What comes after the phase at `index`, and when at the earliest; `since` is when its weights stood, and `lasted`
    how long it had lasted before."""
    last = index + 1 >= len(v.spec.phases)
    name = "completion" if last else v.spec.phases[index + 1].name
    if since is None:
        return name
    ends = since + max(0.0, v.spec.phases[index].duration - lasted)
    shared = v.facts.freezes
    known = calendar.calendar(v.spec.schedule, shared.freezes if shared is not None else ())
    if known is None:
        return f"{name} {format_time(ends)[:19]}Z"
    # The end of a run moves nothing.
    comes = ends if last else known.next_open(ends)
    if not last and v.now > ends and not known.open_at(v.now):
        comes = known.next_open(v.now)
    return f"{name} {calendar.shown(known.zone, comes)}" if comes is not None else name


__all__ = ["Note", "Outcome", "hold", "next_text", "once", "resumes", "unchanged"]

"""An edit that gives the current phase more weight, while the calendar does not let it move.

Until it may, everything goes on as if the weight had not been edited: what day one, a drill, a hold or an incident
keeps from moving stays where it is, and what somebody else has changed is put back to where it stood.
"""

from __future__ import annotations

from dataclasses import replace

from syncrollout.decide import day_one, gates, going_forward, live, standing_still
from syncrollout.decide.outcome import Outcome
from syncrollout.decide.view import View

_AS_IT_STOOD = (
    going_forward.brings_old_back,
    day_one.prepares,
    live.away,
    going_forward.moves,
    standing_still.incident,
)


def later(v: View) -> Outcome | None:
    """The new weight waits; None where there is none, or it may be moved to."""
    if v.phase is None or v.status.phase is None or v.phase.weight <= v.status.phase.weight:
        return None
    wait = gates.closed(v)
    if wait is None:
        return None
    stood = v.phase.model_copy(update={"weight": v.status.phase.weight, "retire_old": False})
    before = replace(v, phase=stood)
    outcome = next((answer for rule in _AS_IT_STOOD if (answer := rule(before)) is not None), None)
    if outcome is None:
        label = v.status.phase.label
        message = f"Phase {label} stays at {stood.weight} %, not yet at {v.phase.weight} %: {wait.message}"
        outcome = gates.held(v, wait, message, f"{v.phase.weight} % to new {wait.when}")
    moments = [each for each in (wait.due, outcome.due) if each is not None]
    return replace(outcome, due=min(moments, default=None))


__all__ = ["later"]

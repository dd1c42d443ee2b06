"""The list of all rollouts: a row for each, from the object as it was last seen. Nothing is validated here, so that a
fleet of thousands costs little, and a row is there for an object that this release cannot read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from syncrollout.api.fields import parse_time
from syncrollout.api.words import ConditionType, State
from syncrollout.observe.masks import masked

Json = dict[str, Any]


class Mark(StrEnum):
    """How a rollout is, for somebody who looks at many: in the order in which they need looking at."""

    TROUBLE = "Trouble"
    """Something speaks against new, or a person must mend something."""
    BACK = "GoingBack"
    """Everything goes back to old."""
    WAITING = "Waiting"
    """It stands still: held, paused, or waiting for a person or a time."""
    RETURNED = "RolledBack"
    """Everything is back at old."""
    MOVING = "Moving"
    """It goes forward, and nothing speaks against it."""
    COMING = "NotBegun"
    """Its run has not begun."""
    DONE = "Completed"
    """Its run has completed."""


_ORDER: Final = {mark.value: place for place, mark in enumerate(Mark)}
_MARKS: Final = {
    State.PENDING.value: Mark.COMING,
    State.PREFLIGHT.value: Mark.COMING,
    State.PROGRESSING.value: Mark.MOVING,
    State.ROLLING_BACK.value: Mark.BACK,
    State.ROLLED_BACK.value: Mark.RETURNED,
    State.COMPLETED.value: Mark.DONE,
}
_WHATEVER_ELSE: Final = (State.ROLLING_BACK.value, State.ROLLED_BACK.value)
"""States that say more than that a person must mend something, which is true in them."""
LONGEST: Final = 400
"""Characters of a message that are shown in a row."""


def mark(status: Mapping[str, Any]) -> Mark:
    """How a rollout with this status is."""
    state = status.get("state", State.PENDING.value)
    if state in _WHATEVER_ELSE:
        return _MARKS[state]
    if open_incident(status) is not None or stalled(status):
        return Mark.TROUBLE
    return _MARKS.get(state, Mark.WAITING)


def open_incident(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What speaks against new and waits for a deadline or a person."""
    found: Mapping[str, Any] | None = status.get("incident")
    return found if found is not None and found.get("overridden") is None else None


def stalled(status: Mapping[str, Any]) -> bool:
    """Whether a person must mend something."""
    return any(
        each.get("type") == ConditionType.STALLED.value and each.get("status") == "True"
        for each in status.get("conditions") or ()
    )


def row(raw: Mapping[str, Any]) -> Json:
    """One rollout in the list; times in seconds since the epoch."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    phase, incident = status.get("phase") or {}, open_incident(status)
    return {
        "namespace": str(metadata.get("namespace", "")),
        "name": str(metadata["name"]),
        "mark": mark(status).value,
        "state": str(status.get("state", State.PENDING.value)),
        "health": status.get("health"),
        "weight": int(status.get("weight", 0)),
        "phase": phase.get("name"),
        "place": phase.get("index", 0),
        "phases": len(spec.get("phases") or ()),
        "next": masked(str(status.get("next", ""))),
        "message": masked(str(status.get("message", "")))[:LONGEST],
        "severity": incident.get("severity") if incident is not None else None,
        "deadline": _seconds(incident.get("deadline")) if incident is not None else None,
        "created": _seconds(metadata.get("creationTimestamp")),
    }


def order(row: Json) -> tuple[Any, ...]:
    """Sorts rows: what needs looking at first."""
    return _ORDER[row["mark"]], row["deadline"] or float("inf"), row["namespace"], row["name"]


def _seconds(text: Any) -> float | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


__all__ = ["Json", "Mark", "mark", "open_incident", "order", "row", "stalled"]

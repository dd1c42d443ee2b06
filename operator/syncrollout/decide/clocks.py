"""Times that lie in the future though they tell of the past: whoever wrote them had a clock that was ahead.

Left alone they would keep a phase, a breach that has to hold for a while, or a deadline waiting until then. They are
set back by as much as the last write of the status was ahead: what began by that clock is as old now as it was at that
write, and so neither over at once nor far from its end. What was written before by a clock that was right stays. A
deadline goes with the beginning that it counts from.

Names are made of when a rollback was decided, so that moment stays; history is what was written.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypeVar, get_args

from pydantic.fields import FieldInfo

from syncrollout.api.fields import Time
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.status.base import Written

AHEAD: Final = 5.0
"""Seconds by which clocks may differ."""
_AS_WRITTEN: Final = frozenset(
    {"history", "conditions", "past_phases", "finished_jobs", "decided", "confirmed", "verified"}
)
_SEALS: Final = get_args(Time)[1:]
_TO_COME: Final = frozenset({"deadline", "until", "next_try", "next", "latest", "overdue", "earliest_end"})


W = TypeVar("W", bound=Written)


def set_back(status: SyncRolloutStatus, now: float) -> SyncRolloutStatus:
    """The same status by a clock that is right; the very same object where nothing lies in the future."""
    written = status.refreshed
    if written is None or written <= now + AHEAD:
        return status
    return _part(status, now, written - now)


def ahead(status: SyncRolloutStatus, now: float) -> bool:
    """Whether this status was written by a clock that is ahead of ours."""
    return status.refreshed is not None and status.refreshed > now + AHEAD


def _part(part: W, now: float, by: float, *, ahead_before: bool = False) -> W:
    """`ahead_before`: what it is a part of began by the clock that was ahead."""
    times = {name: value for name in _times(type(part)) if (value := getattr(part, name)) is not None}
    begins = [value for name, value in times.items() if name not in _TO_COME and name != "refreshed"]
    began_ahead = begins[0] > now if begins else ahead_before
    changes: dict[str, Any] = {}
    for name, value in times.items():
        counted = began_ahead or (not begins and value > now + by)
        if value > now and (name not in _TO_COME or counted):
            changes[name] = round(value - by, 3)
    for name in _parts(type(part)):
        value = getattr(part, name)
        made: Any
        if isinstance(value, Written):
            made = _part(value, now, by, ahead_before=began_ahead)
        elif isinstance(value, tuple) and value and isinstance(value[0], Written):
            made = tuple(_part(each, now, by, ahead_before=began_ahead) for each in value)
        else:
            continue
        if made != value:
            changes[name] = made
    return part.model_copy(update=changes) if changes else part


@cache
def _times(model: type[Written]) -> tuple[str, ...]:
    """The fields that hold a moment, in their order."""
    return tuple(name for name in _parts(model) if _is_moment(model.model_fields[name]))


def _is_moment(field: FieldInfo) -> bool:
    inner = (each for annotation in get_args(field.annotation) for each in getattr(annotation, "__metadata__", ()))
    return any(each in _SEALS for each in (*field.metadata, *inner))


@cache
def _parts(model: type[Written]) -> tuple[str, ...]:
    return tuple(name for name in model.model_fields if name not in _AS_WRITTEN)


__all__ = ["AHEAD", "ahead", "set_back"]

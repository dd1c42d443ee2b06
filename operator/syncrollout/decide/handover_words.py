"""Handovers of slots in words: for status and Events."""

from __future__ import annotations

from syncrollout.api.fields import format_duration
from syncrollout.api.status import ShardsStatus
from syncrollout.api.words import Side
from syncrollout.decide.slots import SLOTS, Slots, patience


def span(first: int, end: int) -> str:
    """Slots in words, such as ``slots 100 to 499``."""
    return f"slot {first}" if end - first == 1 else f"slots {first} to {end - 1}"


def handing_over(slots: Slots) -> str:
    """What the next write does."""
    return "handing slots over" if slots.record is not None and slots.record.losing else "changing the owners of slots"


def waits(slots: Slots) -> str:
    """Whom the next step waits for."""
    record = slots.record
    assert record is not None
    if not record.losing:
        return "telling the workers who owns what"
    return ", and ".join(_waits_for(slots, record, side) for side in record.losing)


def _waits_for(slots: Slots, record: ShardsStatus, side: Side) -> str:
    holders, name = slots.holders(side), side.value.lower()
    if side is Side.NEW and record.new_reach <= record.new_below:
        what = "leave the shadow"
    elif side is Side.OLD:
        what = f"let go of {span(record.old_reach, record.old_from)}"
    else:
        what = f"let go of {span(record.new_below, record.new_reach)}"
    if holders is None:
        return f"waiting for {name} to {what}"
    names = f" ({', '.join(holders.waiting)})" if holders.waiting else ""
    doubt = f": {holders.doubt}" if holders.doubt else ""
    return f"waiting for {holders.pods - holders.obeying} of {holders.pods} pods of {name}{names} to {what}{doubt}"


def given_back(slots: Slots) -> str:
    """Why old keeps what it was to lose."""
    record = slots.record
    assert record is not None
    names = f" ({', '.join(record.waiting_for)})" if record.waiting_for else ""
    late = format_duration(patience(slots.shards))
    return (
        f"pods{names} did not let go within {late}, and what was released is given back to old; it is tried again "
        f"after {late}, or once those pods are gone"
    )


def released(record: ShardsStatus) -> str:
    """The first half of a handover."""
    sides = " and ".join(side.value.lower() for side in record.losing) or "nobody any more"
    stop = ", and new starts nothing more" if record.stop else ""
    return (
        f"Released {span(record.new_below, record.old_from)} (epoch {record.epoch}): held by {sides} until seen{stop}"
    )


def granted(record: ShardsStatus) -> str:
    """The second half of a handover."""
    new = span(0, record.new_below) if record.new_below else "no slots"
    old = span(record.old_from, SLOTS) if record.old_from < SLOTS else "no slots"
    return f"New owns {new}, old owns {old} (epoch {record.epoch})"

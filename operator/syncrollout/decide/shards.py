"""The handover of slots: from the assignment as it stands and a wish to the next safe write, or to what is waited for.

Theory of operation. 1000 slots; new owns those below one mark, old those from another mark on; between the two they
belong to nobody. What the ConfigMap says is what workers are told, not what they do: a worker reads late. So for each
side the *reach* is kept, a bound of what it may hold: new holds nothing from `new_reach` on, old nothing below
`old_reach`. Being given slots widens a side's reach at once; being seen to obey the assignment narrows it to what the
assignment says. Two rules are all of the safety: new is never given a slot that old can reach, and old is never given
one that new can reach. With a wanted mark m the next assignment is therefore always

    newBelow = min(m, old_reach)        oldFrom = max(m, new_reach)

and one formula makes every step of the table, from wherever it is entered. Raising from a to b:

    stage       newBelow oldFrom    waits for                     then
    Settled     a        a          new ready to take more        release
    Releasing   a        b          pods of old that hold a..b    grant; at the deadline: give back
    GivenBack   a        a          another timeout, or until     release again
                                    the stuck pods are gone
    Settled     b        b

Lowering is the mirror image, but at the deadline new is scaled to zero, and waited for until its pods are gone. On the
way back to old `stop` goes up with the first write, so that new starts nothing more even of what it owns. In shadow new
handles all keys without effect and owns none; leaving it, new has to be seen to obey before it is given slots, or a
worker that still runs without effect would be taken for one that works.

The reach is recorded in status.shards. Where that is behind (the operator died between a write and its record, somebody
else wrote the ConfigMap), it is widened by what the ConfigMap says: nothing is ever taken as let go that may not be.
The record alone, and the ConfigMap alone where there is no record, are enough to go on from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import HandoverMethod
from syncrollout.api.words import HandoverStage, Reason, Side
from syncrollout.decide.actions import Action, Assign, Scale, StampEpoch
from syncrollout.decide.facts import Assignment
from syncrollout.decide.handover_words import given_back, handing_over, waits
from syncrollout.decide.slots import SLOTS, Slots, awaited, content, look, patience, says

POLL: Final = 1.0
"""Seconds between looks at pods that have to let go: no watch tells of it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: all slots below `mark` with new, the others with old."""

    mark: int
    shadow: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """`settled`: the wish is true. Else what to do next, or what is waited for; `waiting` where it takes too long."""

    settled: bool
    actions: tuple[Action, ...] = ()
    waiting: Reason | None = None
    message: str = ""
    due: float | None = None


def steady(slots: Slots) -> Wish:
    """The mark at which everything stays as it is, with nothing in between: what is not handed over yet goes back."""
    record = slots.record
    if record is None:
        return Wish(0)
    new_holds = record.new_reach > record.new_below and Side.OLD not in record.losing
    return Wish(record.old_from if new_holds else record.new_below, record.shadow, record.stop)


def step(slots: Slots, wish: Wish, *, careful: bool) -> Step:
    """The next step towards the wish. `careful` asks for every replica of new to be ready before it is given more;
    otherwise one suffices."""
    if slots.assignment is None or slots.record is None:
        return Step(settled=False, actions=(_write(slots, steady(slots)),), message="telling the workers who owns what")
    held = _held_up(slots, wish, careful=careful)
    if held is not None:
        wish = held.instead
    write = _write(slots, wish)
    if not _astray(slots, write.assignment):
        done = _standing(slots, wish)
    elif _may_take(slots, write.assignment):
        done = Step(settled=False, actions=(write,), message=handing_over(slots))
    else:
        # Whoever is to have them is not there; nobody has them, or those who have them keep them.
        done = Step(settled=False, waiting=Reason.OLD_NOT_READY, message="old gets no slots before it has ready pods")
    if held is None:
        return done
    moments = [due for due in (done.due, held.until) if due is not None]
    return Step(False, done.actions, held.reason, held.message, min(moments, default=None))


@dataclass(frozen=True, slots=True)
class _HeldUp:
    """Why new is not given more now, and what is wanted instead until it can be."""

    instead: Wish
    reason: Reason
    message: str
    until: float | None = None


def _held_up(slots: Slots, wish: Wish, *, careful: bool) -> _HeldUp | None:
    record = slots.record
    assert record is not None
    if wish.mark <= record.new_below or record.new_reach > wish.mark:
        return None
    # What is released is given back; nothing more is.
    instead = replace(wish, mark=record.new_below, shadow=record.shadow)
    releases = record.old_from < wish.mark
    if not (slots.new.complete if careful and releases else slots.new.alive):
        message = "new gets no more slots before its pods are ready"
        return _HeldUp(instead, Reason.NEW_NOT_READY, message)
    if record.stage is HandoverStage.GIVEN_BACK:
        if record.deadline is None or slots.now >= record.deadline or _stuck_are_gone(slots):
            return None
        return _HeldUp(instead, Reason.HANDOVER_TIMED_OUT, given_back(slots), record.deadline)
    if record.deadline is not None and slots.now >= record.deadline and record.losing:
        return _HeldUp(instead, Reason.HANDOVER_TIMED_OUT, given_back(slots))
    return None


def _stuck_are_gone(slots: Slots) -> bool:
    record, holders = slots.record, slots.old_holders
    if record is None or holders is None or not record.waiting_for:
        return False
    if holders.pods and not holders.names:
        return False
    return holders.names.isdisjoint(record.waiting_for)


def _write(slots: Slots, wish: Wish) -> Assign:
    """The assignment that comes next on the way to a wish, whatever it is."""
    record, standing = slots.record, slots.assignment
    stamped = max(slots.old.epoch, slots.new.epoch)
    if record is None:
        first = max(int(slots.now), stamped + 1)
        return Assign(Assignment(first, wish.mark, wish.mark), standing)
    below, start = min(wish.mark, record.old_reach), max(wish.mark, record.new_reach)
    if record.drying:
        below = min(below, record.new_below)
    epoch = max(record.epoch, standing.epoch if standing is not None else 0, stamped) + 1
    shadow = wish.shadow and start == 0
    return Assign(Assignment(epoch, below, start, shadow=shadow, stop=wish.stop), standing)


def _astray(slots: Slots, wanted: Assignment) -> bool:
    assert slots.assignment is not None
    assert slots.record is not None
    return content(slots.assignment) != content(wanted) or not says(slots.record, slots.assignment)


def _may_take(slots: Slots, wanted: Assignment) -> bool:
    """Whether old is there for what new is to lose, or for what old is to get. (Of new, `_held_up` has seen to it.)
    What both may hold is taken from both, whoever is there."""
    record, standing = slots.record, slots.assignment
    assert record is not None
    assert standing is not None
    doubly = standing.new_below > record.old_reach or standing.old_from < record.new_reach
    takes = wanted.new_below < standing.new_below or wanted.old_from < standing.old_from
    return doubly or not takes or slots.old.alive


def _standing(slots: Slots, wish: Wish) -> Step:
    """The assignment is the next one already: who has to be told, who has to let go, or nothing."""
    record = slots.record
    assert record is not None
    stamps = tuple(_stamps(slots))
    at_mark = record.new_below == record.old_from == wish.mark
    if at_mark and not stamps and (wish.stop or not record.drying):
        return Step(settled=True)
    if record.new_reach > record.new_below and record.deadline is not None and slots.now >= record.deadline:
        return _overdue(slots, stamps)
    return Step(settled=False, actions=stamps, message=waits(slots), due=_soon(slots))


def _stamps(slots: Slots) -> Iterator[StampEpoch]:
    """Pods are made anew where that is how they learn of an assignment, and where it tells which have learnt of it."""
    record = slots.record
    assert record is not None
    restart = slots.shards.handover.method is HandoverMethod.RESTART
    for side in Side:
        workload = slots.workload(side)
        concerned = side in record.losing or (restart and workload.scalable and side in record.gaining)
        if concerned and (restart or not workload.scalable) and workload.epoch < record.epoch:
            yield StampEpoch(side, record.epoch)


def _overdue(slots: Slots, stamps: tuple[Action, ...]) -> Step:
    """New did not let go in time: it is stopped, and its slots wait until nobody is left who could hold them."""
    assert slots.record is not None
    late = format_duration(patience(slots.shards))
    message = f"new did not let go of its slots within {late} and is stopped; {waits(slots)}"
    stop = (Scale(Side.NEW, 0),) if slots.new.desired else ()
    actions = (*stop, *(each for each in stamps if not stop))
    return Step(settled=False, actions=actions, waiting=Reason.HANDOVER_TIMED_OUT, message=message, due=_soon(slots))


def _soon(slots: Slots) -> float:
    """When to look again at pods that have to let go."""
    record = slots.record
    moments = [round(slots.now + POLL, 3)]
    if record is not None and record.deadline is not None and record.deadline > slots.now:
        moments.append(record.deadline)
    return min(moments)


__all__ = ["SLOTS", "Slots", "Step", "Wish", "awaited", "look", "steady", "step"]

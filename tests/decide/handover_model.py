"""A small world of slots, searched through wholly: every order in which pods may read, let go, die and be made, and in
which the operator may look, write and record, die between the two, and find its own write done after it was given up.

What decides is the operator's own code. Everything else is as small as it can be without losing a behaviour:

- A pod is what it may hold and whether it obeys the assignment that stands. It may take what it is given long before
  it lets go of what it lost; reading late is taking late. It dies at any time; one made after that reads what stands.
- A look may be old when what came of it is carried out. While the assignment stands nobody ceases to obey it, so that
  an old look is one that sees a side not obeying that does: each pass is tried with each side seen, and not seen.
- Epochs count, but only their order does: they are moved so that the assignment always stands at the same one.
- Time is one choice: whether the deadline has passed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from syncrollout.api.spec import Shards
from syncrollout.api.status import ShardsStatus
from syncrollout.decide import shards
from syncrollout.decide.actions import Assign, Scale
from syncrollout.decide.facts import Assignment, HoldersFact, ShardsFact, WorkloadFact
from syncrollout.decide.shards import Wish

SPEC = Shards.model_validate({"configMap": "shards", "handover": {"method": "Ack", "timeout": "5m"}})
LATE = 300.0
EPOCH = 10
"""Where the assignment always stands."""
OLDEST = EPOCH - 2
"""Epochs before this one are all the same: long ago."""


class Pod(NamedTuple):
    """`mark`: an old pod may hold slots from it on, a new one slots below it."""

    mark: int
    obeys: bool
    dry: bool = False
    """Of new: it runs without effect."""


class State(NamedTuple):
    """Everything."""

    assignment: Assignment | None
    record: int
    """Which of the records that ever were; see `recorded`."""
    old: tuple[Pod, ...]
    new: tuple[Pod, ...]
    new_wanted: bool = True
    """False once new was scaled to zero."""
    late_write: Assignment | None = None
    """A write that was given up and may still arrive, over the assignment that stands."""
    edits: int = 0
    """How often somebody else may still change the ConfigMap."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is searched."""

    slots: int
    old: int
    new: int
    wishes: tuple[Wish, ...]
    """What may be wanted, at any pass anew."""
    late_writes: bool = False
    made_anew: bool = False
    """The rollout may be deleted at any time, its finalizer by force, and made anew: what was recorded is gone, and the
    assignment is there."""
    edits: int = 0
    """Changes by somebody else; what he writes between a write and its record is beyond what can be known."""

    def start(self) -> State:
        """Before anything."""
        return State(None, 0, (Pod(0, True),) * self.old, (Pod(0, True),) * self.new, edits=self.edits)


class Broken(AssertionError):
    """A slot may have two owners."""


# Records, each known by a number: states are compared very often.

_RECORDS: list[ShardsStatus | None] = [None]
_NUMBERS: dict[tuple[object, ...], int] = {}


def _number(record: ShardsStatus | None) -> int:
    if record is None:
        return 0
    deadline = None if record.deadline is None else LATE
    timeless = record.model_copy(update={"since": 0.0, "deadline": deadline, "gaining": ()})
    key = tuple(value for _, value in timeless)
    if key not in _NUMBERS:
        _NUMBERS[key] = len(_RECORDS)
        _RECORDS.append(timeless)
    return _NUMBERS[key]


@cache
def _older(number: int, by: int) -> int:
    record = _RECORDS[number]
    if record is None:
        return 0
    return _number(record.model_copy(update={"epoch": max(OLDEST, record.epoch - by)}))


# ---- the operator ----


class Pass(NamedTuple):
    """What comes of one pass."""

    record: int
    write: Assignment | None
    stops_new: bool


class Seen(NamedTuple):
    """A side as the operator sees it: how many pods there are, whether they are seen to obey, whether it is wanted."""

    pods: int
    obeying: bool
    wanted: bool


@cache
def decide(assignment: Assignment | None, record: int, old: Seen, new: Seen, wish: Wish, *, late: bool) -> Pass:
    """One pass of the operator's own code."""
    slots = shards.look(
        SPEC,
        ShardsFact(assignment, _holders(old), _holders(new)),
        _RECORDS[record],
        old=WorkloadFact(1, old.pods),
        new=WorkloadFact(int(new.wanted), new.pods if new.wanted else 0),
        now=LATE if late else 0.0,
    )
    step = shards.step(slots, wish, careful=False)
    writes = [action.assignment for action in step.actions if isinstance(action, Assign)]
    assert all(action.replaces == assignment for action in step.actions if isinstance(action, Assign))
    stops = any(isinstance(action, Scale) for action in step.actions)
    assert len(writes) + stops <= 1
    return Pass(_number(slots.record), writes[0] if writes else None, stops)


def _holders(seen: Seen) -> HoldersFact:
    return HoldersFact(seen.pods, seen.pods if seen.obeying else 0)


def _looks(pods: tuple[Pod, ...], wanted: bool) -> list[Seen]:
    """As it is, and as it was before the last of them obeyed."""
    now = Seen(len(pods), all(pod.obeys for pod in pods), wanted)
    return [now, now._replace(pods=max(1, now.pods), obeying=False)] if now.obeying else [now]


# ---- what may happen ----


def successors(state: State, size: Size) -> Iterator[tuple[str, State]]:
    """Everything that may happen next."""
    yield from _pods(state, size)
    yield from _passes(state, size)
    if not state.new_wanted and not state.new:
        yield "new is brought up again", state._replace(new_wanted=True)
    if size.made_anew and state.record:
        yield "the rollout is made anew", state._replace(record=0)
    if state.late_write is not None:
        yield "a write arrives late", _written(state, state.late_write)
    if state.edits and state.assignment is not None and _is_recorded(state):
        yield from _edits(state, state.assignment, size)


def _pods(state: State, size: Size) -> Iterator[tuple[str, State]]:
    a = state.assignment
    for index, pod in enumerate(state.old):
        rest = state.old[:index] + state.old[index + 1 :]
        yield "a pod of old dies", state._replace(old=rest)
        if a is not None and a.old_from < pod.mark:
            yield "a pod of old takes", state._replace(old=_with(rest, pod._replace(mark=a.old_from)))
        if a is not None and not pod.obeys:
            yield "a pod of old obeys", state._replace(old=_with(rest, Pod(a.old_from, True)))
    for index, pod in enumerate(state.new):
        rest = state.new[:index] + state.new[index + 1 :]
        yield "a pod of new dies", state._replace(new=rest)
        if a is not None and (a.new_below > pod.mark or (a.shadow and not pod.dry)):
            took = pod._replace(mark=max(pod.mark, a.new_below), dry=pod.dry or a.shadow)
            yield "a pod of new takes", state._replace(new=_with(rest, took))
        if a is not None and not pod.obeys:
            yield "a pod of new obeys", state._replace(new=_with(rest, Pod(a.new_below, True, a.shadow)))
    if len(state.old) < size.old:
        made = Pod(0 if a is None else a.old_from, True)
        yield "a pod of old is made", state._replace(old=_with(state.old, made))
    if len(state.new) < size.new and state.new_wanted:
        made = Pod(0, True) if a is None else Pod(a.new_below, True, a.shadow)
        yield "a pod of new is made", state._replace(new=_with(state.new, made))


def _with(pods: tuple[Pod, ...], pod: Pod) -> tuple[Pod, ...]:
    return tuple(sorted((*pods, pod)))


def _passes(state: State, size: Size) -> Iterator[tuple[str, State]]:
    """One pass of the operator, which may die at any point of it; forward the record comes first, back the write."""
    olds, news = _looks(state.old, True), _looks(state.new, state.new_wanted)
    done = dict.fromkeys(
        decide(state.assignment, state.record, old, new, wish, late=late)
        for old, new, wish, late in itertools.product(olds, news, size.wishes, (False, True))
    )
    for each in done:
        recorded = state._replace(record=each.record)
        yield "the operator records", recorded
        if each.stops_new:
            yield "the operator stops new", recorded._replace(new_wanted=False)
        if each.write is None:
            continue
        yield "the operator records and writes", _written(recorded, each.write)
        if (state.record or size.made_anew) and not size.edits:
            yield "the operator writes and dies", _written(state, each.write)
        if size.late_writes:
            yield "the operator gives a write up", state._replace(late_write=each.write)
            yield "the operator records and gives a write up", recorded._replace(late_write=each.write)


def _is_recorded(state: State) -> bool:
    record = _RECORDS[state.record]
    return record is not None and record.epoch == EPOCH


def _edits(state: State, a: Assignment, size: Size) -> Iterator[tuple[str, State]]:
    for below in range(size.slots + 1):
        for start in range(below, size.slots + 1):
            for more in (0, 1):
                foreign = Assignment(a.epoch + more, below, start)
                if (below, start, more) != (a.new_below, a.old_from, 0):
                    changed = state._replace(edits=state.edits - 1)
                    yield "somebody else writes", _standing(changed, foreign, obeying_still=not more)


def _written(state: State, write: Assignment) -> State:
    """The ConfigMap after a write of ours."""
    _fenced(state, write)
    return _standing(state, write, obeying_still=False)


def _fenced(state: State, written: Assignment) -> None:
    """Nothing is granted that the other side may still hold; nothing at all to a new that may still run dry."""
    before = state.assignment
    if before is None:
        return
    held_from = min((pod.mark for pod in state.old), default=written.old_from)
    held_below = max((pod.mark for pod in state.new), default=0)
    if written.new_below > before.new_below and written.new_below > held_from:
        raise Broken(f"new is granted slots below {written.new_below}, and old may hold slots from {held_from} on")
    if written.old_from < before.old_from and written.old_from < held_below:
        raise Broken(f"old is granted slots from {written.old_from} on, and new may hold slots below {held_below}")
    if written.new_below > before.new_below and any(pod.dry for pod in state.new):
        raise Broken(f"new is granted slots below {written.new_below}, and a pod of it may still run dry")


def _standing(state: State, assignment: Assignment, *, obeying_still: bool) -> State:
    """Epochs moved to where they always stand; of a new one nobody is seen to obey it yet."""
    old, new = state.old, state.new
    if not obeying_still:
        old = tuple(sorted(pod._replace(obeys=False) for pod in old))
        new = tuple(sorted(pod._replace(obeys=False) for pod in new))
    standing = Assignment(EPOCH, *_content(assignment))
    record = _older(state.record, assignment.epoch - EPOCH)
    return State(standing, record, old, new, state.new_wanted, None, state.edits)


def _content(a: Assignment) -> tuple[int, int, bool, bool]:
    return a.new_below, a.old_from, a.shadow, a.stop


# ---- what must hold ----


def two_owners(state: State) -> bool:
    """Whether a slot may be worked on by both sides."""
    return bool(state.old and state.new) and max(p.mark for p in state.new) > min(p.mark for p in state.old)


def left_alone(state: State, wish: Wish, size: Size) -> State:
    """The next state where nothing goes wrong any more: pods read and let go, and the operator makes a pass."""
    a = state.assignment
    old = (Pod(0 if a is None else a.old_from, True),) * size.old
    new = (Pod(0, True) if a is None else Pod(a.new_below, True, a.shadow),) * (size.new if state.new_wanted else 0)
    record = _RECORDS[state.record]
    late = record is not None and record.stage == "GivenBack"
    if not new and wish.mark > 0:
        return state._replace(new_wanted=True)  # a person brings it up again
    seen = Seen(len(old), True, True), Seen(len(new), True, state.new_wanted)
    done = decide(a, state.record, *seen, wish, late=late)
    after = state._replace(record=done.record, old=old, new=new, late_write=None)
    return after if done.write is None else _written(after, done.write)


def has_ended(state: State, wish: Wish) -> bool:
    """What is wanted is what stands."""
    a = state.assignment
    return a is not None and _content(a) == (wish.mark, wish.mark, wish.shadow, wish.stop)

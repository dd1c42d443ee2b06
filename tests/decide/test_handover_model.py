"""Every order of events in small worlds: no slot ever has two owners, and every slot gets its owner in the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from decide.handover_model import Broken, Size, State, decide, has_ended, left_alone, successors, two_owners
from syncrollout.api.status import ShardsStatus
from syncrollout.decide import slots
from syncrollout.decide.facts import Assignment
from syncrollout.decide.shards import Wish

BACK = Wish(0, stop=True)
SHADOW = Wish(0, shadow=True)
SIZES = {
    "two pods a side": Size(2, 2, 2, (Wish(1), BACK)),
    "three slots": Size(3, 1, 1, (Wish(1), Wish(3))),
    "three pods": Size(2, 3, 1, (Wish(1), BACK)),
    "shadow": Size(2, 1, 2, (SHADOW, Wish(1))),
    "shadow and back": Size(1, 1, 1, (SHADOW, Wish(1), BACK)),
    "writes that arrive late": Size(2, 1, 1, (Wish(1), BACK), late_writes=True),
    "made anew": Size(2, 1, 2, (Wish(1), BACK), made_anew=True),
    "made anew, and writes that arrive late": Size(2, 1, 1, (Wish(1), BACK), made_anew=True, late_writes=True),
    "somebody else writes": Size(2, 1, 1, (Wish(1), BACK), edits=1),
}
LONGEST_WAY = 25


def search(size: Size) -> set[State]:
    """All states that can be reached. Raises with the way to the first one that is wrong."""
    first = size.start()
    came_from: dict[State, tuple[str, State] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        try:
            for event, after in successors(state, size):
                if after in came_from:
                    continue
                came_from[after] = (event, state)
                if not size.edits and two_owners(after):
                    raise Broken(f"two owners: {event}, {after}")
                waiting.append(after)
        except Broken as error:
            raise AssertionError(f"{error}\n" + way(came_from, state)) from None
    return set(came_from)


def way(came_from: dict[State, tuple[str, State] | None], state: State) -> str:
    """How it came to this state."""
    lines = [repr(state)]
    while (step := came_from[state]) is not None:
        event, state = step
        lines += [event, repr(state)]
    return "\n".join(reversed(lines))


@pytest.mark.parametrize("name", SIZES)
def test_no_slot_has_two_owners_and_every_slot_gets_one(name: str) -> None:
    size = SIZES[name]
    states = search(size)
    for wish in size.wishes:
        ends: set[State] = set()
        for begin in states:
            state, seen = begin, list[State]()
            while state not in ends and not has_ended(state, wish):
                seen.append(state)
                assert len(seen) < LONGEST_WAY, f"no end in sight for {wish}:\n" + "\n".join(map(repr, seen[-8:]))
                state = left_alone(state, wish, size)
            ends.update(seen)
    assert len(states) > 1000, "too little was searched to mean anything"


def _waits_for_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(slots, "_let_go", lambda *_: True)


def _forgets_what_was_not_recorded(patch: pytest.MonkeyPatch) -> None:
    def news(seen: slots.Slots, a: Assignment, before: ShardsStatus | None) -> ShardsStatus:
        exact = {"new_reach": a.new_below, "old_reach": a.old_from, "losing": ()}
        return usual(seen, a, before).model_copy(update=exact)

    usual = slots._news
    patch.setattr(slots, "_news", news)


@pytest.mark.parametrize("mutate", [_waits_for_nobody, _forgets_what_was_not_recorded])
def test_a_mistake_put_in_on_purpose_is_found(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    decide.cache_clear()
    try:
        with pytest.raises(AssertionError, match="may hold slots"):
            search(Size(2, 1, 1, (Wish(1), BACK)))
    finally:
        decide.cache_clear()

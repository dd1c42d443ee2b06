"""The gate to the API server: what has begun goes first, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from syncrollout.ports import Turn
from syncrollout.runtime.lanes import LONG, SHARE, Gate

pytestmark = [pytest.mark.looptime]

REQUEST = 0.1
"""Seconds that each takes."""


class Door:
    """A gate, and who came through it."""

    def __init__(self, limit: int = 8) -> None:
        self.gate = Gate(limit)
        self.through: list[str] = []
        self.most = 0
        self._now = 0

    async def ask(self, name: str, turn: Turn) -> None:
        async with self.gate.passed(turn):
            self.through.append(name)
            self._now += 1
            self.most = max(self.most, self._now)
            await asyncio.sleep(REQUEST)
            self._now -= 1

    async def crowd(self, seconds: float) -> None:
        """Records of steps without end, twice as many as there is room for."""
        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(self._again_and_again(f"step {number}", seconds))

    async def _again_and_again(self, name: str, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await self.ask(name, Turn.STEP)


async def test_what_only_tells_of_a_step_waits_while_many_steps_are_recorded() -> None:
    door = Door()
    async with asyncio.TaskGroup() as group:
        group.create_task(door.crowd(LONG - 1))
        await asyncio.sleep(0)
        group.create_task(door.ask("event", Turn.LEISURE))
    before = door.through.index("event")
    assert before == len(door.through) - 1 or before > (LONG - 2) / REQUEST, "it came when the others had nearly done"


async def test_it_does_not_wait_for_ever() -> None:
    door = Door()
    async with asyncio.TaskGroup() as group:
        group.create_task(door.crowd(6 * LONG))
        await asyncio.sleep(0)
        for number in range(10):
            group.create_task(door.ask(f"event {number}", Turn.LEISURE))
    came = [place for place, name in enumerate(door.through) if name.startswith("event")]
    assert len(came) == 10
    assert [door.through[place] for place in came] == [f"event {number}" for number in range(10)]
    assert came[-1] < len(door.through) / 2, "they were let through while the crowd went on"
    gaps = [after - before for before, after in itertools.pairwise(came)]
    assert min(gaps) >= SHARE, "and never more than one of so many"
    assert door.most <= 8


async def test_weights_find_a_place_at_once_all_the_same() -> None:
    door = Door()
    async with asyncio.TaskGroup() as group:
        group.create_task(door.crowd(4 * LONG))
        for number in range(100):
            group.create_task(door.ask(f"event {number}", Turn.LEISURE))
        await asyncio.sleep(2 * LONG)
        began = asyncio.get_running_loop().time()
        await door.ask("weight", Turn.FIRST)
        assert asyncio.get_running_loop().time() - began == pytest.approx(REQUEST)


async def test_one_that_is_given_up_while_it_waits_keeps_no_place() -> None:
    door = Door(limit=1)
    first = asyncio.create_task(door.ask("first", Turn.FIRST))
    await asyncio.sleep(0)
    second = asyncio.create_task(door.ask("second", Turn.LEISURE))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await door.ask("third", Turn.LEISURE)
    assert door.through == ["first", "third"]

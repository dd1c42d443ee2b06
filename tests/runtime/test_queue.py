"""The work queue: who is looked at when, who overtakes whom, and how it stops. On virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from syncrollout.runtime.queue import WorkQueue

pytestmark = [pytest.mark.looptime]


def now() -> float:
    return asyncio.get_running_loop().time()


class Passes:
    """The handler: writes down who is looked at, when, and how late; a pass takes `takes` seconds."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.begun: list[str] = []
        self.at: list[float] = []
        self.late: list[float] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.under_way = 0
        self.most = 0

    async def __call__(self, key: str, late: float) -> None:
        self.begun.append(key)
        self.at.append(round(now(), 3))
        self.late.append(round(late, 3))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.takes)
            self.ended.append(key)
        except asyncio.CancelledError:
            self.cancelled.append(key)
            raise
        finally:
            self.under_way -= 1


@asynccontextmanager
async def started(passes: Passes, *, concurrency: int = 8) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue[str](passes, concurrency=concurrency)
    queue.start()
    yield queue
    await queue.stop(0.0)


async def test_what_is_added_is_looked_at_once_and_at_once() -> None:
    passes = Passes()
    async with started(passes) as queue:
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(10)
    assert passes.begun == ["a"]
    assert passes.at == [0.0]


async def test_a_key_that_is_added_during_its_pass_gets_exactly_one_more_after_it() -> None:
    passes = Passes(takes=1.0)
    async with started(passes) as queue:
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(10)
    assert passes.begun == ["a", "a"]
    assert passes.most == 1, "two passes over one rollout at a time"
    assert passes.at == [0.0, 1.0]


async def test_no_more_passes_at_once_than_allowed_and_none_is_forgotten() -> None:
    passes = Passes(takes=1.0)
    async with started(passes, concurrency=2) as queue:
        for key in "abcde":
            queue.add(key)
        await asyncio.sleep(10)
    assert passes.most == 2
    assert sorted(passes.begun) == list("abcde")


async def test_the_urgent_overtake_all_and_wait_for_no_free_place() -> None:
    passes = Passes(takes=1.0)
    async with started(passes, concurrency=1) as queue:
        for key in "abc":
            queue.add(key)
        await asyncio.sleep(0.5)
        queue.add("x", urgent=True)
        queue.add("c", urgent=True)
        await asyncio.sleep(10)
    assert passes.begun == ["a", "x", "c", "b"]
    assert passes.at[1:3] == [0.5, 0.5]


async def test_a_key_comes_at_its_moment_and_says_how_late_it_is() -> None:
    passes = Passes(takes=3.0)
    async with started(passes, concurrency=1) as queue:
        queue.schedule("late", 2.0)
        queue.add("a")
        await asyncio.sleep(10)
    assert list(zip(passes.begun, passes.at, passes.late, strict=True)) == [("a", 0.0, 0.0), ("late", 3.0, 1.0)]


async def test_the_last_moment_that_was_set_counts() -> None:
    passes = Passes()
    async with started(passes) as queue:
        queue.schedule("a", 1.0)
        queue.schedule("a", 5.0)
        queue.schedule("b", 5.0)
        queue.schedule("b", 1.0)
        await asyncio.sleep(10)
    assert list(zip(passes.begun, passes.at, strict=True)) == [("b", 1.0), ("a", 5.0)]


async def test_looked_at_now_means_not_again_at_the_moment_that_was_set() -> None:
    passes = Passes()
    async with started(passes) as queue:
        queue.schedule("a", 1.0)
        queue.add("a")
        await asyncio.sleep(10)
    assert passes.at == [0.0]


async def test_a_moment_does_not_put_off_what_is_ready_already() -> None:
    passes = Passes(takes=1.0)
    async with started(passes, concurrency=1) as queue:
        queue.add("a")
        queue.add("b")
        queue.schedule("b", 60.0)
        await asyncio.sleep(10)
    assert passes.begun == ["a", "b"]


async def test_what_is_discarded_does_not_come() -> None:
    passes = Passes(takes=1.0)
    async with started(passes, concurrency=1) as queue:
        queue.add("a")
        queue.add("b")
        queue.schedule("c", 1.0)
        await asyncio.sleep(0.5)
        queue.add("a")
        for key in "abc":
            queue.discard(key)
        await asyncio.sleep(10)
    assert passes.begun == ["a"]
    assert passes.ended == ["a"], "a pass under way ends undisturbed"


async def test_nothing_is_handed_out_before_the_start_nor_in_a_pause_and_nothing_is_lost() -> None:
    passes = Passes()
    queue = WorkQueue[str](passes)
    queue.add("a")
    queue.schedule("b", 1.0)
    await asyncio.sleep(5)
    assert passes.begun == []
    queue.start()
    await asyncio.sleep(0)
    assert sorted(passes.begun) == ["a", "b"]
    queue.pause()
    queue.add("c")
    await asyncio.sleep(5)
    assert "c" not in passes.begun
    queue.start()
    await asyncio.sleep(1)
    assert "c" in passes.begun
    await queue.stop(0.0)


async def test_a_stop_lets_passes_end_within_its_grace_and_cancels_the_others() -> None:
    passes = Passes(takes=1.0)
    async with started(passes) as queue:
        queue.add("short")
        await asyncio.sleep(0.5)
        passes.takes = 60.0
        queue.add("long")
        await asyncio.sleep(0)
        begun = now()
        await queue.stop(2.0)
        assert now() - begun == pytest.approx(2.0)
    assert (passes.ended, passes.cancelled) == (["short"], ["long"])
    assert queue.running == 0


async def test_after_a_stop_nothing_begins_any_more() -> None:
    passes = Passes()
    async with started(passes) as queue:
        await queue.stop(1.0)
        queue.start()
        queue.add("a")
        await asyncio.sleep(5)
    assert passes.begun == []


async def test_abandoned_passes_end_at_once_and_their_keys_may_come_again() -> None:
    passes = Passes(takes=60.0)
    async with started(passes) as queue:
        queue.add("a")
        await asyncio.sleep(1)
        queue.add("b")  # its pass is made, and cancelled before it has begun
        queue.abandon()
        await asyncio.sleep(1)
        assert passes.cancelled == ["a"]
        assert queue.running == 0
        passes.takes = 0.0
        queue.add("a")
        queue.add("b")
        queue.start()
        await asyncio.sleep(1)
    assert passes.ended == ["a", "b"]


async def test_its_length_is_what_waits_for_a_place() -> None:
    passes = Passes(takes=1.0)
    async with started(passes, concurrency=1) as queue:
        for key in "abc":
            queue.add(key)
        assert (len(queue), queue.running) == (2, 1)
        await asyncio.sleep(10)
        assert (len(queue), queue.running) == (0, 0)

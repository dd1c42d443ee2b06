"""Turns at a Prometheus: a bound for each address, and rollout after rollout."""

from __future__ import annotations

import asyncio

import pytest

from fakes.metrics import FakeMetrics
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe.turns import Turns
from syncrollout.ports import Endpoint

pytestmark = [pytest.mark.looptime]
HERE, THERE = Endpoint("http://here:9090"), Endpoint("http://there:9090")


def ask(turns: Turns, query: str, owner: str, *, at: Endpoint = HERE, timeout: float = 100.0) -> asyncio.Task[Reading]:
    return asyncio.create_task(turns.read(at, query, timeout, owner))


async def test_rollout_after_rollout_and_each_in_its_own_order() -> None:
    source = FakeMetrics(latency=1.0)
    turns = Turns(source, most=1)
    tasks = [ask(turns, f"many{number}", "many") for number in range(4)]
    tasks += [ask(turns, "few0", "few"), ask(turns, "few1", "few"), ask(turns, "one", "one")]
    await asyncio.gather(*tasks)
    assert [each.query for each in source.asked] == ["many0", "many1", "few0", "one", "many2", "few1", "many3"]


async def test_there_is_a_most_for_each_address_alone() -> None:
    source = FakeMetrics(latency=1.0)
    turns = Turns(source, most=2)
    tasks = [ask(turns, f"{number}", "a", at=where) for number in range(5) for where in (HERE, THERE)]
    await asyncio.sleep(0.5)
    assert sorted(each.endpoint.address for each in source.asked) == [HERE.address] * 2 + [THERE.address] * 2
    await asyncio.gather(*tasks)
    assert len(source.asked) == 10


async def test_who_gets_no_turn_in_time_is_told_so_and_nothing_is_sent() -> None:
    source = FakeMetrics(latency=5.0)
    turns = Turns(source, most=1)
    first, second = ask(turns, "first", "a"), ask(turns, "second", "b", timeout=2.0)
    reading = await second
    assert reading.unknown is Unknown.TIMEOUT
    assert "not even sent within 2 s: 1 others" in reading.message
    await first
    assert [each.query for each in source.asked] == ["first"]


async def test_waiting_counts_towards_the_time_out() -> None:
    source = FakeMetrics(latency=5.0)
    turns = Turns(source, most=1)
    tasks = [ask(turns, "first", "a"), ask(turns, "second", "b", timeout=7.0)]
    readings = await asyncio.gather(*tasks)
    assert readings[1].unknown is Unknown.TIMEOUT
    assert source.asked[1].timeout == pytest.approx(2.0)


async def test_one_that_is_given_up_leaves_its_turn_to_the_next() -> None:
    source = FakeMetrics(latency=5.0)
    source.set("last", 1.0)
    turns = Turns(source, most=1)
    tasks = [ask(turns, "first", "a"), ask(turns, "second", "b"), ask(turns, "last", "c")]
    await asyncio.sleep(1.0)
    for task in tasks[:2]:
        task.cancel()
    assert await tasks[2] == Reading(1.0)
    assert [each.query for each in source.asked] == ["first", "last"]


async def test_an_address_is_busy_while_somebody_waits_or_half_of_the_turns_are_taken() -> None:
    turns = Turns(FakeMetrics(latency=1.0), most=4)
    assert not turns.busy(HERE.address)
    first = ask(turns, "0", "a")
    await asyncio.sleep(0.1)
    assert not turns.busy(HERE.address)
    others = [ask(turns, f"{number}", "a") for number in range(1, 5)]
    await asyncio.sleep(0.1)
    assert turns.busy(HERE.address)
    assert not turns.busy(THERE.address)
    await asyncio.gather(first, *others)
    assert not turns.busy(HERE.address)


async def test_of_one_turn_it_is_busy_while_that_is_taken() -> None:
    turns = Turns(FakeMetrics(latency=1.0), most=1)
    task = ask(turns, "0", "a")
    await asyncio.sleep(0.1)
    assert turns.busy(HERE.address)
    await task
    assert not turns.busy(HERE.address)

"""Readings: identical questions of one moment are asked once; nobody's leaving spoils it for another."""

from __future__ import annotations

import asyncio

import pytest

from fakes.metrics import FakeMetrics
from syncrollout.api.words import Side, Unknown
from syncrollout.decide.facts import Reading, ReadingKey
from syncrollout.observe.readings import MOST_KEPT, Readings
from syncrollout.ports import Endpoint

pytestmark = [pytest.mark.looptime]

HERE = Endpoint("http://prometheus:9090")
ERRORS, DURATION = ReadingKey("errors"), ReadingKey("duration")


class World:
    def __init__(self, latency: float = 0.1) -> None:
        self.source = FakeMetrics(latency=latency)
        self.source.set("errors", 0.5)
        self.source.set("duration", 7.0)
        self.told: list[tuple[str, float | None]] = []
        self.readings = Readings(self.source, observe=lambda result, seconds: self.told.append((result, seconds)))

    async def ask(
        self, query: str = "errors", *, endpoint: Endpoint = HERE, timeout: float = 10.0, max_age: float = 1.0
    ) -> Reading:
        return (await self.readings.read_all({ERRORS: query}, endpoint, timeout, max_age))[ERRORS]

    @property
    def asked(self) -> int:
        return len(self.source.asked)


@pytest.fixture
def world() -> World:
    return World()


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_all_that_is_wanted_is_asked_at_once(world: World) -> None:
    began = now()
    wanted = {ERRORS: "errors", DURATION: "duration", ReadingKey("errors", Side.OLD): "none"}
    readings = await world.readings.read_all(wanted, HERE, 10.0, 1.0)
    assert {key: reading.value for key, reading in readings.items()} == {
        ERRORS: 0.5,
        DURATION: 7.0,
        ReadingKey("errors", Side.OLD): None,
    }
    assert readings[ReadingKey("errors", Side.OLD)].unknown is Unknown.NO_DATA
    assert now() - began == pytest.approx(0.1)


async def test_nothing_wanted_asks_nothing(world: World) -> None:
    assert await world.readings.read_all({}, HERE, 10.0, 1.0) == {}
    assert world.asked == 0


async def test_a_hundred_rollouts_ask_the_same_once(world: World) -> None:
    readings = await asyncio.gather(*(world.ask() for _ in range(100)))
    assert set(readings) == {Reading(0.5)}
    assert world.asked == 1


async def test_one_query_under_two_names_is_asked_once(world: World) -> None:
    readings = await world.readings.read_all({ERRORS: "errors", DURATION: "errors"}, HERE, 10.0, 0.0)
    assert readings == {ERRORS: Reading(0.5), DURATION: Reading(0.5)}
    assert world.asked == 1


async def test_an_answer_is_used_again_until_it_is_too_old(world: World) -> None:
    await world.ask()
    await asyncio.sleep(0.8)
    await world.ask()
    assert world.asked == 1
    await asyncio.sleep(0.2)
    await world.ask()
    assert world.asked == 2


async def test_its_age_counts_from_the_question_not_from_the_answer() -> None:
    world = World(latency=5.0)
    first = asyncio.ensure_future(world.ask())
    await asyncio.sleep(2.0)
    world.source.set("errors", 50.0)
    assert await world.ask(max_age=1.0) == Reading(50.0), "what was asked 2 s ago is not of this moment"
    await first
    assert world.asked == 2


async def test_each_caller_says_how_old_is_too_old(world: World) -> None:
    await world.ask(max_age=0.1)
    await asyncio.sleep(2.0)
    await world.ask(max_age=5.0)
    assert world.asked == 1
    await world.ask(max_age=1.0)
    assert world.asked == 2


async def test_what_differs_is_not_shared(world: World) -> None:
    await asyncio.gather(
        world.ask(),
        world.ask("duration"),
        world.ask(endpoint=Endpoint("http://other:9090")),
        world.ask(endpoint=Endpoint(HERE.address, bearer_token="somebody's")),  # noqa: S106
        world.ask(timeout=5.0),
    )
    assert world.asked == 5


async def test_a_failure_is_shared_too(world: World) -> None:
    world.source.fail(Unknown.TIMEOUT)
    began = now()
    readings = await asyncio.gather(*(world.ask(timeout=3.0, max_age=1.0) for _ in range(10)))
    assert {reading.unknown for reading in readings} == {Unknown.TIMEOUT}
    assert world.asked == 1
    assert now() - began == pytest.approx(3.0)


async def test_one_who_leaves_does_not_spoil_it_for_the_others(world: World) -> None:
    first, second = asyncio.ensure_future(world.ask()), asyncio.ensure_future(world.ask())
    await asyncio.sleep(0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == Reading(0.5)
    assert world.asked == 1


async def test_when_all_have_left_the_query_is_given_up_and_nobody_joins_it() -> None:
    world = World(latency=5.0)
    leaving = asyncio.ensure_future(world.ask())
    await asyncio.sleep(0.5)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await world.ask(max_age=10.0) == Reading(0.5)
    assert world.asked == 2
    assert len(world.told) == 1, "the one that was given up has no result"


async def test_counts_and_durations_are_told(world: World) -> None:
    await asyncio.gather(world.ask(), world.ask(), world.ask("none"))
    assert sorted(world.told, key=str) == [
        ("NoData", pytest.approx(0.1)),
        ("ok", pytest.approx(0.1)),
        ("ok", None),
    ]


async def test_what_nobody_needs_any_longer_is_forgotten() -> None:
    world = World(latency=0.0)
    for at in range(3 * MOST_KEPT):
        await world.ask(f"errors + {at}", max_age=3600.0)
    assert len(world.readings._flights) <= MOST_KEPT
    await asyncio.sleep(3601.0)
    await world.ask("duration", max_age=1.0)
    assert len(world.readings._flights) == 1


async def test_one_that_decides_nothing_is_to_wait_while_the_server_is_busy_or_does_not_answer(world: World) -> None:
    assert world.readings.has_time(HERE)
    many = [asyncio.create_task(world.ask(f"query{number}")) for number in range(16)]
    await asyncio.sleep(0.05)
    assert not world.readings.has_time(HERE)
    assert world.readings.has_time(Endpoint("http://other:9090"))
    await asyncio.gather(*many)
    assert world.readings.has_time(HERE)
    world.source.fail(Unknown.UNREACHABLE)
    for number in range(3):
        await world.ask(f"lost{number}")
    assert not world.readings.has_time(HERE)

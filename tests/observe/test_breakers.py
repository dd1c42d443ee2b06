"""A Prometheus that does not answer is left in peace, and is asked again soon after it is back."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from fakes.metrics import FakeMetrics
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe.breakers import FAILURES, FORGET_AFTER, LONGEST_STAY, LONGEST_WAIT, PROBE, PROBE_TIMEOUT
from syncrollout.observe.readings import Readings
from syncrollout.ports import Endpoint

pytestmark = [pytest.mark.looptime]

HERE, THERE = Endpoint("http://here:9090"), Endpoint("http://there:9090")
NOON = 1_700_049_600.0
"""2023-11-15T12:00:00Z"""


class World:
    def __init__(self) -> None:
        self.source = FakeMetrics(latency=0.01)
        self.source.set("errors", 0.5)
        self.source.set(PROBE, 1.0)
        self.sent: list[str] = []
        self.spared = 0
        self._began: float | None = None
        self.readings = Readings(
            self.source,
            observe=lambda outcome, seconds: self.sent.append(outcome),
            spared=self._spare,
            now=self._clock,
        )

    def _clock(self) -> float:
        """It is noon when it is first asked."""
        self._began = now() if self._began is None else self._began
        return NOON + now() - self._began

    def _spare(self) -> None:
        self.spared += 1

    async def ask(
        self, query: str = "errors", *, at: Endpoint = HERE, every: float = 30.0, timeout: float = 10.0
    ) -> Reading:
        return (await self.readings.read_all({"it": query}, at, timeout, 0.0, owner="a", every=every))["it"]

    async def goes_down(self, how: Unknown = Unknown.UNREACHABLE, *, at: Endpoint = HERE) -> None:
        """It fails, and that has been found out: the last of these asks is answered by a probe."""
        self.source.fail(how, address=at.address)
        for _ in range(FAILURES + 1):
            await self.ask(at=at)
            await asyncio.sleep(0.1)
        self.source.asked.clear()

    def queries(self, at: Endpoint = HERE) -> list[str]:
        return [each.query for each in self.source.asked if each.endpoint.address == at.address]


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def world() -> World:
    return World()


async def test_after_some_failures_a_probe_says_that_it_is_down(world: World) -> None:
    world.source.fail(Unknown.UNREACHABLE)
    for _ in range(FAILURES):
        assert (await world.ask()).unknown is Unknown.UNREACHABLE
    assert world.queries() == ["errors"] * FAILURES
    await world.ask()
    assert world.queries() == ["errors"] * FAILURES + [PROBE]
    assert (world.sent, world.spared) == (["Unreachable"] * FAILURES, 1)


async def test_what_is_down_is_answered_for_at_once_with_since_when_and_until_when(world: World) -> None:
    await world.goes_down()
    began = now()
    readings = await asyncio.gather(*(world.ask(f"errors + {number}") for number in range(50)))
    assert now() == began
    assert {reading.unknown for reading in readings} == {Unknown.UNREACHABLE}
    assert world.queries() == []
    assert readings[7].message == (
        "Prometheus at http://here:9090 cannot be reached: connection refused: nothing listens there; check host and "
        "port, and whether it is running; it has not answered since 2023-11-15T12:00:00Z, and the next try is at "
        "2023-11-15T12:00:00Z; query: errors + 7"
    )


async def test_it_is_tried_ever_more_seldom_and_every_five_seconds_at_least(world: World) -> None:
    await world.goes_down()
    tries: list[float] = []
    began = now()
    while now() < began + 60:
        before = len(world.source.asked)
        await world.ask()
        if len(world.source.asked) > before:
            tries.append(now())
        await asyncio.sleep(0.05)
    assert set(world.queries()) == {PROBE}
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits[0] < 1.1
    assert waits[1] < 2.1
    assert max(waits) <= LONGEST_WAIT + 0.15
    assert len(tries) <= 18, "a minute of a server that is down is a probe every four or five seconds"


@pytest.mark.parametrize("every", [0.5, 1.0, 2.0, 30.0])
async def test_once_it_is_back_everybody_knows_within_five_seconds_or_an_interval(world: World, every: float) -> None:
    await world.goes_down()
    for _ in range(60):
        await world.ask(every=every)
        await asyncio.sleep(every)
    world.source.mend(address=HERE.address)
    back = now()
    while (await world.ask(every=every)).value is None:
        assert now() < back + min(LONGEST_WAIT, every) + every
        await asyncio.sleep(every)


async def test_the_pass_that_finds_it_back_loses_none_of_its_queries(world: World) -> None:
    await world.goes_down()
    world.source.mend(address=HERE.address)
    await asyncio.sleep(6.0)
    readings = await asyncio.gather(*(world.ask(f"{number} * 0 + errors") for number in range(3)), world.ask())
    assert Unknown.UNREACHABLE not in {reading.unknown for reading in readings}
    assert world.queries().count(PROBE) == 1
    assert world.queries()[0] == PROBE


async def test_rollouts_come_back_each_at_its_own_look(world: World) -> None:
    """Forty that look every ten seconds, each at another moment: what is asked after the return is spread likewise."""
    await world.goes_down()

    async def rollout(number: int) -> float:
        for beat in range(100):
            await asyncio.sleep(10.0 if beat else number * 0.25)
            if (await world.ask(f"errors # {number}", every=10.0)).unknown is not Unknown.UNREACHABLE:
                break
        return now()

    rollouts = [asyncio.create_task(rollout(number)) for number in range(40)]
    await asyncio.sleep(32.0)
    world.source.mend(address=HERE.address)
    back = now()
    returned = sorted(await asyncio.gather(*rollouts))
    assert returned[-1] <= back + 10.0 + LONGEST_WAIT
    per_second = [sum(1 for each in returned if each // 1.0 == second) for second in {each // 1.0 for each in returned}]
    assert max(per_second) <= 6


async def test_another_address_is_not_touched(world: World) -> None:
    await world.goes_down()
    assert await world.ask(at=THERE) == Reading(0.5)
    assert world.queries(THERE) == ["errors"]


async def test_another_certificate_authority_is_another_matter(world: World) -> None:
    """Who has the wrong one is told that the certificate is not trusted; who has the right one goes on."""
    right = Endpoint(HERE.address, ca="right")
    await world.goes_down()
    world.source.mend(address=HERE.address)
    assert (await world.ask()).unknown is Unknown.UNREACHABLE
    assert await world.ask(at=right) == Reading(0.5)


async def test_one_whom_the_server_keeps_waiting_blinds_nobody_who_presents_something_else(world: World) -> None:
    """Before many tenants' data there is a queue for each: what one has asked too much of answers the other at once."""
    usual = world.source.read
    one, other = (Endpoint(HERE.address, bearer_token=token) for token in ("one", "other"))

    async def read(endpoint: Endpoint, query: str, timeout: float) -> Reading:
        world.source.latency = 100.0 if endpoint == one else 0.01
        return await usual(endpoint, query, timeout)

    world.source.read = read  # type: ignore[method-assign]

    async def asks_a_lot() -> None:
        while True:
            assert (await world.ask(at=one, timeout=2.0, every=1.0)).value is None
            await asyncio.sleep(1.0)

    asking = asyncio.create_task(asks_a_lot())
    for _ in range(20):
        await asyncio.sleep(30.0)
        assert await world.ask(at=other) == Reading(0.5)
    assert not asking.done()
    asking.cancel()


async def test_one_that_hangs_keeps_nobody_longer_than_a_second(world: World) -> None:
    await world.goes_down(Unknown.TIMEOUT)
    for _ in range(20):
        began = now()
        reading = await world.ask()
        assert now() - began <= LONGEST_STAY
        assert reading.unknown is Unknown.UNREACHABLE
        await asyncio.sleep(0.7)
    assert f"did not answer within {PROBE_TIMEOUT:g} s" in reading.message
    assert set(world.queries()) == {PROBE}
    assert max(each.timeout for each in world.source.asked) == pytest.approx(PROBE_TIMEOUT)


async def test_a_short_time_out_is_kept(world: World) -> None:
    await world.goes_down(Unknown.TIMEOUT)
    await asyncio.sleep(6.0)
    began = now()
    await world.ask(timeout=0.2)
    assert now() - began == pytest.approx(0.2)


async def test_one_that_has_no_patience_with_a_slow_server_blinds_nobody_else(world: World) -> None:
    """It gives the server a second, which answers in a second and a half; and it asks far more often than the other."""
    world.source.latency = 1.5

    async def impatient() -> None:
        while True:
            await world.ask("impatient", timeout=1.0, every=1.0)
            await asyncio.sleep(1.0)

    asking = asyncio.create_task(impatient())
    for _ in range(20):
        await asyncio.sleep(28.5)
        assert await world.ask() == Reading(0.5)
    asking.cancel()
    assert PROBE in world.queries()


async def test_a_query_that_is_too_costly_is_its_own_fault(world: World) -> None:
    """The server answers everybody else, and the probe."""
    world.source.set("costly", Unknown.TIMEOUT)
    for _ in range(3 * FAILURES):
        assert (await world.ask("costly", timeout=2.0)).unknown is Unknown.TIMEOUT
        assert "errors" not in world.queries()
    assert await world.ask() == Reading(0.5)
    assert world.spared == 0
    assert world.queries().count(PROBE) == 3


@pytest.mark.parametrize(
    "unknown", [Unknown.NO_DATA, Unknown.SERVER_ERROR, Unknown.REFUSED, Unknown.QUERY_INVALID, Unknown.MANY_SERIES]
)
async def test_whatever_is_answered_is_an_answer(world: World, unknown: Unknown) -> None:
    world.source.fail(unknown)
    for _ in range(3 * FAILURES):
        assert (await world.ask()).unknown is unknown
    assert (world.spared, PROBE in world.queries()) == (0, False)


async def test_failures_with_answers_in_between_are_none_in_a_row(world: World) -> None:
    for _ in range(3 * FAILURES):
        world.source.fail(Unknown.UNREACHABLE)
        await world.ask()
        await world.ask()
        world.source.mend()
        assert await world.ask() == Reading(0.5)
    assert PROBE not in world.queries()


async def test_who_leaves_does_not_spoil_the_probe_for_others(world: World) -> None:
    await world.goes_down(Unknown.TIMEOUT)
    await asyncio.sleep(6.0)
    first, second = asyncio.create_task(world.ask()), asyncio.create_task(world.ask("errors + 1"))
    await asyncio.sleep(0.1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).unknown is Unknown.UNREACHABLE
    assert "it is being tried now" in (await world.ask("errors + 2")).message


async def test_troubles_that_nobody_comes_upon_again_are_forgotten(world: World) -> None:
    world.source.fail(Unknown.UNREACHABLE)
    for number in range(20):
        await world.ask(at=Endpoint(f"http://gone-{number}:9090"))
    await asyncio.sleep(FORGET_AFTER + 1.0)
    await world.ask()
    assert len(world.readings._breakers._troubles) == 1

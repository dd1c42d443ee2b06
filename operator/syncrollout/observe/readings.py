"""Readings, each asked for once: rollouts that ask one Prometheus the same question at one moment share the answer.

A question is the endpoint (credentials included: who may not read gets no answer that another one got), the query and
the time-out. An answer is as old as its question: one that is under way is joined, and one that has come is used
again, while no more than `max_age` seconds have passed since it was asked. Failures are shared like values.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from syncrollout.decide.facts import Reading
from syncrollout.observe.breakers import LONGEST_WAIT, Breakers
from syncrollout.observe.turns import MOST_AT_ONCE, Turns
from syncrollout.ports import Endpoint, MetricsSource

Observer = Callable[[str, float | None], None]
"""Told of every reading: `ok` or the word of Unknown, and the seconds that it took; None where it was shared."""

K = TypeVar("K")
MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Question:
    endpoint: Endpoint
    query: str
    timeout: float


@dataclass(slots=True)
class _Flight:
    """One question on its way, or answered. `keep_until` is when those who asked for it need it no longer."""

    question: _Question
    task: asyncio.Task[Reading]
    asked_at: float
    keep_until: float
    waiting: int = 0


class Readings:
    """Asks a MetricsSource, at most `most` queries of one address at once. Times are those of the running loop, so that
    tests can drive them."""

    def __init__(
        self,
        source: MetricsSource,
        *,
        most: int = MOST_AT_ONCE,
        observe: Observer | None = None,
        spared: Callable[[], None] | None = None,
        now: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        """`spared` is told of each query that was not sent, for its Prometheus does not answer. `now` is the wall
        clock, for what is said of that; `rng` spreads what is tried again."""
        self._turns = Turns(source, most=most)
        self._breakers = Breakers(self._turns, now=now, rng=rng)
        self._observe = observe
        self._spared = spared
        self._flights: OrderedDict[_Question, _Flight] = OrderedDict()

    def has_time(self, endpoint: Endpoint) -> bool:
        """Whether it may be asked what no decision rests on: it answers, and is not busy with what decisions do."""
        return not self._turns.busy(endpoint.address) and not self._breakers.in_doubt(endpoint)

    async def read_all(
        self,
        wanted: Mapping[K, str],
        endpoint: Endpoint,
        timeout: float,
        max_age: float,
        *,
        owner: str = "",
        every: float = LONGEST_WAIT,
    ) -> dict[K, Reading]:
        """A reading for each query; ends within `timeout` seconds, the time-out of each query. `owner` is the rollout
        that asks, `every` so many seconds: queries take turns by it.

        `max_age` in seconds; with 0 only what is asked at the very same moment is shared. A cancelled caller gives up
        only those questions that nobody else waits for.
        """
        flights = {
            key: self._board(_Question(endpoint, query, timeout), max_age, owner, every)
            for key, query in wanted.items()
        }
        try:
            return {key: await asyncio.shield(flight.task) for key, flight in flights.items()}
        finally:
            for flight in flights.values():
                self._leave(flight)

    def _board(self, question: _Question, max_age: float, owner: str, every: float) -> _Flight:
        loop = asyncio.get_running_loop()
        now = loop.time()
        flight = self._flights.get(question)
        if flight is None or now > flight.asked_at + max_age:
            self._forget(now)
            flight = _Flight(question, loop.create_task(self._ask(question, owner, every)), now, now + max_age)
            self._flights[question] = flight
            self._flights.move_to_end(question)
        elif self._observe is not None:
            flight.task.add_done_callback(self._tell_shared)
        flight.waiting += 1
        return flight

    def _leave(self, flight: _Flight) -> None:
        flight.waiting -= 1
        if not flight.waiting and not flight.task.done():
            flight.task.cancel()
            if self._flights.get(flight.question) is flight:
                del self._flights[flight.question]  # nobody may join what is being given up

    def _forget(self, now: float) -> None:
        """Drop what nobody needs any longer, from the oldest on, so that each is looked at about once."""
        while self._flights:
            question, oldest = next(iter(self._flights.items()))
            if now <= oldest.keep_until and len(self._flights) < MOST_KEPT:
                return
            del self._flights[question]

    async def _ask(self, question: _Question, owner: str, every: float) -> Reading:
        loop = asyncio.get_running_loop()
        began = loop.time()
        reading, sent = await self._breakers.read(question.endpoint, question.query, question.timeout, owner, every)
        if not sent:
            if self._spared is not None:
                self._spared()
        elif self._observe is not None:
            self._observe(_word(reading), loop.time() - began)
        return reading

    def _tell_shared(self, task: asyncio.Task[Reading]) -> None:
        if self._observe is not None and not task.cancelled() and task.exception() is None:
            self._observe(_word(task.result()), None)


def _word(reading: Reading) -> str:
    return "ok" if reading.unknown is None else reading.unknown.value


__all__ = ["Observer", "Readings"]

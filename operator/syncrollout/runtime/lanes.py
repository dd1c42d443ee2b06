"""Four ways to the API server, so that no kind of request can hold up another: routine requests, which pass a gate;
urgent ones, which never wait behind those; watches, which stay open for minutes; and logs, which hang where a kubelet
does, and that is when things go back.

At the gate what has begun is finished before anything else begins. Where many rollouts change phase at one moment, the
API server is what is scarce: the weights of a step that is recorded must not stand behind the records of other steps,
nor those behind what only tells of a step. Few at once, for a queue inside the API server has no such order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import aiohttp

from syncrollout.ports import Turn

LOGS_AT_ONCE: Final = 8
"""Logs that are read at one moment, of all rollouts."""


LONG: Final = 5.0
"""Seconds after which who waits at a gate may be let through out of turn."""
SHARE: Final = 8


class _Waiter(NamedTuple):
    since: float
    place: asyncio.Future[None]


class Gate:
    """Lets `limit` requests through at once (0: all), in the order of their turns; of one turn, who comes first.

    What records a step may take half of the places, what only confirms or tells of one a quarter: so what has begun
    finds a place at once, and an API server that is not at its end. Where that goes on for long, everybody else would
    wait for as long: so of `SHARE` that are let through one is the one that has waited longest, if that is more than
    `LONG` seconds, whatever its turn.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way = 0
        self._in_turn = 0
        """How many have been let through in their turn since one was that had waited for long."""
        self._waiting: dict[Turn, deque[_Waiter]] = {turn: deque() for turn in Turn}

    @property
    def crowded(self) -> bool:
        """Whether what only confirms a step would have to wait."""
        return self._limit > 0 and (self._under_way >= self._places(Turn.LAST) or any(self._waiting.values()))

    @asynccontextmanager
    async def passed(self, turn: Turn) -> AsyncIterator[None]:
        """`async with gate.passed(turn):` around a request."""
        if not self._limit:
            yield
            return
        await self._enter(turn)
        try:
            yield
        finally:
            self._leave()

    def _places(self, turn: Turn) -> int:
        return max(1, self._limit >> min(turn, Turn.LAST))

    async def _enter(self, turn: Turn) -> None:
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting[turn].append(_Waiter(loop.time(), mine))
        self._admit()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._leave()  # it was let through in the very moment in which it was given up
            raise

    def _leave(self) -> None:
        self._under_way -= 1
        self._admit()

    def _admit(self) -> None:
        if self._in_turn >= SHARE and self._under_way < self._limit:
            self._let_in_the_longest()
        for turn, queue in self._waiting.items():
            while queue and self._under_way < self._places(turn):
                self._in_turn += self._let_in(queue)

    def _let_in_the_longest(self) -> None:
        queue = min(
            (queue for queue in self._waiting.values() if queue), key=lambda queue: queue[0].since, default=None
        )
        if queue is None or asyncio.get_running_loop().time() - queue[0].since < LONG:
            return
        if self._let_in(queue):
            self._in_turn = 0

    def _let_in(self, queue: deque[_Waiter]) -> bool:
        """The first of a queue; False where it waits no longer."""
        first = queue.popleft()
        if first.place.done():
            return False
        self._under_way += 1
        first.place.set_result(None)
        return True


class Lane:
    """A connection pool of its own and, where `gate` is given, a bound on the requests under way.

    The pool is opened at the first request, inside the event loop that uses it.
    """

    def __init__(self, open_session: Callable[[int], aiohttp.ClientSession], *, pool: int, gate: int = 0) -> None:
        """`pool` connections at most (0: no bound); `gate` requests at once (0: no gate)."""
        self._open = open_session
        self._pool = pool
        self._closed = False
        self._session: aiohttp.ClientSession | None = None
        self.gate = Gate(gate)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool. Raises ConnectionError once closed."""
        if self._closed:
            raise ConnectionError("the client is closed")
        if self._session is None:
            self._session = self._open(self._pool)
        return self._session

    async def close(self) -> None:
        """Close the pool; requests under way are cut."""
        self._closed = True
        if self._session is not None:
            await self._session.close()


class Lanes:
    """The four lanes of one client."""

    def __init__(self, open_session: Callable[[int], aiohttp.ClientSession], *, routine: int, urgent: int) -> None:
        self.routine = Lane(open_session, pool=routine, gate=routine)
        self.urgent = Lane(open_session, pool=urgent)
        self.watches = Lane(open_session, pool=0)
        self.logs = Lane(open_session, pool=LOGS_AT_ONCE)

    async def close(self) -> None:
        """Close all pools."""
        for lane in (self.routine, self.urgent, self.watches, self.logs):
            await lane.close()

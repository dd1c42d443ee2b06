"""Three ways to the API server, so that no kind of request can hold up another: routine requests, which pass a gate;
urgent ones, which never wait behind those; and watches, which stay open for minutes.

At the gate those that can wait let the others go first. Where many rollouts change phase at one moment, the API server
is what is scarce: what carries a step forward must not stand behind what only tells of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp


class Gate:
    """Lets `limit` requests through at once (0: all). Who comes first goes first, the patient ones after the others."""

    def __init__(self, limit: int) -> None:
        self._bounded = limit > 0
        self._limit = self._free = limit
        self._waiting: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (deque(), deque())

    @property
    def crowded(self) -> bool:
        """A quarter of the turns is taken, or more."""
        return self._bounded and 4 * (self._limit - self._free) >= self._limit

    @asynccontextmanager
    async def turn(self, *, patient: bool = False) -> AsyncIterator[None]:
        """`async with gate.turn():` around a request."""
        if not self._bounded:
            yield
            return
        await self._enter(patient=patient)
        try:
            yield
        finally:
            self._free += 1
            self._admit()

    async def _enter(self, *, patient: bool) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._waiting[patient].append(mine)
        self._admit()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._free += 1  # it was let through in the very moment in which it was given up
                self._admit()
            raise

    def _admit(self) -> None:
        while self._free and (queue := self._waiting[False] or self._waiting[True]):
            first = queue.popleft()
            if not first.done():
                self._free -= 1
                first.set_result(None)


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
    """The three lanes of one client."""

    def __init__(self, open_session: Callable[[int], aiohttp.ClientSession], *, routine: int, urgent: int) -> None:
        self.routine = Lane(open_session, pool=routine, gate=routine)
        self.urgent = Lane(open_session, pool=urgent)
        self.watches = Lane(open_session, pool=0)

    async def close(self) -> None:
        """Close all pools."""
        for lane in (self.routine, self.urgent, self.watches):
            await lane.close()

"""Three ways to the API server, so that no kind of request can hold up another: routine requests, which pass a gate;
urgent ones, which never wait behind those; and watches, which stay open for minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import aiohttp


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
        self.turn: AbstractAsyncContextManager[None] = asyncio.Semaphore(gate) if gate else nullcontext()
        """`async with lane.turn:` around a request: first come, first served."""

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

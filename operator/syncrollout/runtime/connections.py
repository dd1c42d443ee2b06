"""Connections of a small server, bounded in number and in time: aiohttp itself waits for the rest of a request for as
long as it takes to come, and takes in as many connections as there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Connections:
    """Makes the protocols of a server: at most `most` at one time, each of which ends `lifetime` seconds after it began
    unless it is kept. `crowded` is told of each that was one too many."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        *,
        most: int,
        lifetime: float,
        crowded: Callable[[], None] = lambda: None,
    ) -> None:
        self._make = make
        self._most = most
        self._lifetime = lifetime
        self._crowded = crowded
        self._open: dict[asyncio.Transport, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self) -> asyncio.Protocol:
        """The protocol of one connection."""
        return _Connection(self, self._make())

    def keep(self, transport: asyncio.BaseTransport | None, seconds: float) -> None:
        """This one ends so many seconds from now, and not before."""
        connection = next((each for other, each in self._open.items() if other is transport), None)
        if connection is not None:
            connection.ends_in(seconds)

    def cut(self) -> None:
        """End them all, whatever is still on its way."""
        for transport in list(self._open):
            transport.abort()

    def admit(self, transport: asyncio.Transport, connection: _Connection) -> bool:
        """Whether there is room for one more."""
        if len(self._open) >= self._most:
            self._crowded()
            return False
        self._open[transport] = connection
        connection.ends_in(self._lifetime)
        return True

    def ended(self, transport: asyncio.Transport) -> None:
        """It is no more."""
        self._open.pop(transport, None)


class _Connection(asyncio.Protocol):
    """One connection of aiohttp's, with an end."""

    def __init__(self, all_of_them: Connections, inner: asyncio.Protocol) -> None:
        self._all = all_of_them
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._admitted = False
        self._end: asyncio.TimerHandle | None = None

    def ends_in(self, seconds: float) -> None:
        """It ends so many seconds from now."""
        assert self._transport is not None
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._admitted = self._all.admit(transport, self)
        if not self._admitted:
            transport.abort()
            return
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        if self._admitted and self._transport is not None:
            self._all.ended(self._transport)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._admitted:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


__all__ = ["Connections"]

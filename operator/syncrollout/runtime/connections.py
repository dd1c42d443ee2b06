"""Connections of a small server, bounded in number and in time: aiohttp itself waits for the rest of a request for as
long as it takes to come, and takes in as many connections as there are.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from syncrollout.runtime.certificates import ServedCertificate


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
        self.certificate: ServedCertificate | None = None
        """Each connection begins with a handshake by this, and counts from before it."""

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self) -> asyncio.Protocol:
        """The protocol of one connection."""
        return _Connection(self, self._make())

    def keep(self, transport: asyncio.BaseTransport | None, seconds: float) -> None:
        """This one ends so many seconds from now, and not before."""
        connection = next((each for each in self._open.values() if transport in each.transports), None)
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


class Pace:
    """So many a second, and so many at one moment after it was quiet. Times are those of the running loop."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._most = self._left = at_once
        self._at = 0.0

    def allows(self) -> bool:
        """Whether one more may come now."""
        now = asyncio.get_running_loop().time()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _Connection(asyncio.Protocol):
    """One connection of aiohttp's, with an end. With TLS it is made known to aiohttp once its handshake is over."""

    def __init__(self, all_of_them: Connections, inner: asyncio.Protocol) -> None:
        self._all = all_of_them
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._known = False
        self._early: list[bytes] = []
        """What has come in with the end of the handshake, before `_begin` has had its turn."""
        self._end: asyncio.TimerHandle | None = None
        self.transports: tuple[asyncio.BaseTransport, ...] = ()
        """What it is known by: of itself, and of what TLS is in between."""

    def ends_in(self, seconds: float) -> None:
        """It ends so many seconds from now."""
        assert self._transport is not None
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.transports = transport, (transport,)
        if not self._all.admit(transport, self):
            self._transport = None
            transport.abort()
        elif self._all.certificate is None:
            self._known = True
            self._inner.connection_made(transport)
        else:
            transport.pause_reading()
            self._handshake = asyncio.create_task(
                self._begin(transport, self._all.certificate.context), name="handshake"
            )

    async def _begin(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            inside = await asyncio.get_running_loop().start_tls(transport, self, context, server_side=True)
        except (OSError, ssl.SSLError):
            inside = None
        if inside is None:
            self._over(None)
            return
        self.transports = (transport, inside)
        self._known = True
        self._inner.connection_made(inside)
        for data in self._early:
            self._inner.data_received(data)
        self._early.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(exc)

    def _over(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        if self._transport is not None:
            self._all.ended(self._transport)
        if self._known:
            self._known = False
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._known:
            self._inner.data_received(data)
        elif self._handshake is not None:
            self._early.append(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._known else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


__all__ = ["Connections", "Pace"]

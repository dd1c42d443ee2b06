"""Turns at a Prometheus: how many queries are under way at once, and whose is next.

There is a line for each address. At most `most` of its queries are under way; of those that wait, each rollout's first
goes before any rollout's second, so that one with many or costly queries keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe.prometheus_answers import Asked
from syncrollout.ports import Endpoint, MetricsSource

MOST_AT_ONCE = 16
A_MOMENT = 0.01
"""Seconds of waiting that are taken off no time-out: the sentence about it shows the number that was written."""


class Turns:
    """Asks a MetricsSource in turns. Times are those of the running loop, so that tests can drive them."""

    def __init__(self, source: MetricsSource, *, most: int = MOST_AT_ONCE) -> None:
        self._source = source
        self._most = most
        self._lines: dict[str, _Line] = {}

    def busy(self, address: str) -> bool:
        """Whether somebody waits for a turn at this address, or has every second one: what no decision rests on had
        better wait then."""
        line = self._lines.get(address)
        return line is not None and line.busy(self._most)

    async def read(self, endpoint: Endpoint, query: str, timeout: float, owner: str) -> Reading:
        """The one number that `query` gives now, or why there is none; ends within `timeout` seconds. `owner` is the
        rollout that asks."""
        loop = asyncio.get_running_loop()
        line = self._lines.setdefault(endpoint.address, _Line(self._most))
        began = loop.time()
        try:
            async with asyncio.timeout(timeout):
                await line.enter(owner)
        except TimeoutError:
            asked = Asked(endpoint.address, query, timeout)
            return asked.unknown(
                Unknown.TIMEOUT,
                f"{asked.where} is so slow that the query was not even sent within {timeout:g} s: {self._most} others "
                "are being waited for; look at the server's load and at the costliest queries",
            )
        try:
            waited = loop.time() - began
            left = timeout if waited < A_MOMENT else max(0.001, timeout - waited)
            return await self._source.read(endpoint, query, left)
        finally:
            line.leave()
            if line.idle(self._most):
                self._lines.pop(endpoint.address, None)


class _Line:
    """One address. `free` turns are to be had."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def idle(self, most: int) -> bool:
        """Nobody has a turn or waits for one."""
        return self._free == most and not self._queues

    def busy(self, most: int) -> bool:
        """Somebody waits, or half of the turns are taken."""
        return bool(self._queues) or self._free <= most // 2

    async def enter(self, owner: str) -> None:
        """Wait for a turn; who has had one leaves."""
        mine = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(mine)
        self._admit()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.leave()  # it was let through in the very moment in which it was given up
            raise

    def leave(self) -> None:
        """The query has ended."""
        self._free += 1
        self._admit()

    def _admit(self) -> None:
        while self._free and self._queues:
            owner, queue = self._queues.popitem(last=False)
            first = queue.popleft()
            if queue:
                self._queues[owner] = queue  # behind all others
            if not first.done():
                self._free -= 1
                first.set_result(None)


__all__ = ["MOST_AT_ONCE", "Turns"]

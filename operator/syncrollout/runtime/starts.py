"""Which runs begin now: a few at once, the others in the order in which they came.

To begin a run takes three writes one after another. Where hundreds are applied at one moment, they would all be half
begun for seconds, each a little further whenever the API server comes to it, and change phase together ever after. One
that has not begun waits for nothing and holds nothing; one that has begun should soon have the weights of its phase.
A pass does not wait for its place, for passes that wait would keep others from being judged: it ends, and the key is
looked at again once a place is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

AT_ONCE = 4
PROMISED_FOR = 5.0
"""Seconds for which a place is kept for a key that was told that it is its turn."""
HELD_FOR = 15.0
"""Seconds after which a place is free though its pass goes on: it waits for a Prometheus, maybe for minutes."""


class Starts(Generic[K]):
    """At most `most` keys hold a place. Times are those of the running loop, so that tests can drive them."""

    def __init__(self, most: int = AT_ONCE) -> None:
        self._most = most
        self._held: dict[K, float] = {}
        self._promised: dict[K, float] = {}
        self._waiting: dict[K, None] = {}  # a dictionary keeps its order

    def enter(self, key: K) -> bool:
        """Take a place, or get in line for one and answer False. A key that has one in this pass keeps it."""
        if key in self._held:
            return True
        if self._promised.pop(key, None) is None and not self._free():
            self._waiting.setdefault(key)
            return False
        self._waiting.pop(key, None)
        self._held[key] = asyncio.get_running_loop().time() + HELD_FOR
        return True

    def leave(self, key: K) -> tuple[K, ...]:
        """Give the place back, if this key holds one or was told of one; answers whose turn it is now."""
        self._promised.pop(key, None)
        self._held.pop(key, None)
        called: list[K] = []
        while self._waiting and self._free():
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._promised[following] = asyncio.get_running_loop().time() + PROMISED_FOR
            called.append(following)
        return tuple(called)

    def discard(self, key: K) -> tuple[K, ...]:
        """Forget this key, in line or not; answers whose turn it is now."""
        self._waiting.pop(key, None)
        return self.leave(key)

    def _free(self) -> int:
        now = asyncio.get_running_loop().time()
        for key in [key for key, until in self._promised.items() if until < now]:
            del self._promised[key]
        held = sum(1 for until in self._held.values() if now <= until)
        return max(0, self._most - held - len(self._promised))


__all__ = ["AT_ONCE", "Starts"]

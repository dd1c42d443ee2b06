"""Reading all rollouts anew, once for all who ask at one time.

Where several replicas act, what another one has just written may not have come in by watch yet. Before a run begins
that others may stand against, all that stands is read past the cache; the list that answers begins after it was asked
for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable


class Survey:
    """`read` takes in all rollouts of a namespace, of all that are watched where it is empty; it raises ApiError."""

    def __init__(self, read: Callable[[str], Awaitable[None]]) -> None:
        self._read = read
        self._coming: dict[str, asyncio.Task[None]] = {}
        """Lists that have not begun yet."""
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, namespace: str) -> None:
        """Comes back once everything is known that stood when this was called. Raises ApiError."""
        coming = self._coming.get(namespace)
        if coming is None:
            coming = asyncio.get_running_loop().create_task(self._next(namespace), name="survey")
            coming.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may wait any more
            self._coming[namespace] = coming
        await asyncio.shield(coming)

    async def _next(self, namespace: str) -> None:
        async with self._turns[namespace]:
            del self._coming[namespace]
            await self._read(namespace)


__all__ = ["Survey"]

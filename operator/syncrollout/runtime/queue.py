"""The work queue: which rollout is looked at next.

One pass at a time per key; a key that is added while its pass runs gets another one after it. Keys wait either until
a moment (`schedule`) or not at all (`add`), urgent ones first. Time is the event loop's, so tests can drive it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

K = TypeVar("K")
Handler = Callable[[K, float], Awaitable[None]]
"""Carries out one pass; gets the key and how late it starts, in seconds."""


class WorkQueue(Generic[K]):
    """Keys with due times. `concurrency` bounds passes that run at once; urgent ones are not bounded. Keys that
    `admits` does not let in, where it is given, are dropped when it would be their turn."""

    def __init__(
        self, handler: Handler[K], *, concurrency: int = 64, admits: Callable[[K], bool] | None = None
    ) -> None:
        self._handler = handler
        self._concurrency = concurrency
        self._admits = admits
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._ready: deque[K] = deque()
        self._urgent: deque[K] = deque()
        self._waiting_since: dict[K, float] = {}
        self._running: dict[K, asyncio.Task[None]] = {}
        self._begun: set[K] = set()
        """Keys whose pass has taken its first step; before that, what is added is still seen by it."""
        self._again: dict[K, bool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0
        self._open = False
        self._stopped = False

    def start(self) -> None:
        """Begin to hand keys out; what was added before is kept. After `stop` nothing begins any more."""
        self._open = not self._stopped
        self._pump()

    def pause(self) -> None:
        """Hand nothing out any more; running passes go on, what is added is kept."""
        self._open = False

    def abandon(self) -> None:
        """Hand nothing out any more and cancel running passes; their keys are forgotten, what waits is kept."""
        self.pause()
        for task in self._running.values():
            task.cancel()

    def abandon_some(self, which: Callable[[K], bool]) -> None:
        """Cancel the running passes of these keys."""
        for key, task in self._running.items():
            if which(key):
                task.cancel()

    async def ended(self, which: Callable[[K], bool], grace: float) -> bool:
        """Wait until no pass of these keys runs any more; after `grace` seconds they are cancelled. Whether all have
        ended by themselves."""
        running = [task for key, task in self._running.items() if which(key)]
        if not running:
            return True
        _, pending = await asyncio.wait(running, timeout=grace)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return not pending

    async def stop(self, grace: float) -> bool:
        """Hand nothing out, let running passes end within `grace` seconds, then cancel them. Whether all have ended by
        themselves."""
        self.pause()
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        return await self.ended(lambda _: True, grace)

    @property
    def open(self) -> bool:
        """Keys are handed out."""
        return self._open

    def __len__(self) -> int:
        """Keys that are ready and not running."""
        return len(self._ready) + len(self._urgent)

    def __contains__(self, key: K) -> bool:
        """It is to be looked at: now, after its pass, or at some moment."""
        return key in self._waiting_since or key in self._again or key in self._due

    @property
    def running(self) -> int:
        """Passes under way."""
        return len(self._running)

    async def fewer_than(self, number: int, patience: float) -> None:
        """Wait until fewer passes are under way, but no longer than so many seconds."""
        end = self._now() + patience
        while len(self._running) >= number and (left := end - self._now()) > 0:
            await asyncio.wait(self._running.values(), timeout=left, return_when=asyncio.FIRST_COMPLETED)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Look at this key now, and no longer at the moment it was scheduled for."""
        self._due.pop(key, None)
        self._make_ready(key, self._now(), urgent=urgent)
        self._pump()

    def schedule(self, key: K, delay: float) -> None:
        """Look at this key in `delay` seconds, in place of any other moment; a key that is ready stays ready."""
        if key in self._waiting_since or key in self._again:
            return
        moment = self._now() + max(0.0, delay)
        self._due[key] = moment
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, key))
        self._arm()

    def discard(self, key: K) -> None:
        """Forget this key; a pass under way ends undisturbed."""
        self._due.pop(key, None)
        self._again.pop(key, None)
        if self._waiting_since.pop(key, None) is not None:
            for lane in (self._ready, self._urgent):
                if key in lane:
                    lane.remove(key)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _make_ready(self, key: K, since: float, *, urgent: bool) -> None:
        if key in self._running:
            if key not in self._begun:
                return
            self._again[key] = urgent or self._again.get(key, False)
            return
        if key in self._waiting_since:
            if urgent and key in self._ready:
                self._ready.remove(key)
                self._urgent.append(key)
            return
        self._waiting_since[key] = since
        (self._urgent if urgent else self._ready).append(key)

    def _arm(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # rescheduled or discarded since
        if self._timer is not None:
            if self._heap and self._timer.when() == self._heap[0][0] and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            moment, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == moment:
                del self._due[key]
                self._make_ready(key, moment, urgent=False)
        self._arm()
        self._pump()

    def _pump(self) -> None:
        while self._open and (self._urgent or (self._ready and len(self._running) < self._concurrency)):
            key = (self._urgent or self._ready).popleft()
            late = self._now() - self._waiting_since.pop(key)
            if self._admits is not None and not self._admits(key):
                continue
            task = asyncio.get_running_loop().create_task(self._run(key, late))
            self._running[key] = task
            task.add_done_callback(partial(self._done, key))  # called even if the task is cancelled before it begins

    async def _run(self, key: K, late: float) -> None:
        self._begun.add(key)
        await self._handler(key, late)

    def _done(self, key: K, _: asyncio.Task[None]) -> None:
        del self._running[key]
        self._begun.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self._due.pop(key, None)
            self._make_ready(key, self._now(), urgent=again)
        self._pump()

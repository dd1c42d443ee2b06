"""Posting Events without holding anything up: a queue of its own, retries with back-off, bounded.

An Event's name follows from its transition, so one that is posted again after a restart or a lost answer is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque

from syncrollout.act.record import event
from syncrollout.api.status import HistoryEntry
from syncrollout.ports import (
    ACTING_FOR,
    AlreadyExists,
    ApiError,
    Forbidden,
    KubeApi,
    NotFound,
    NotLeading,
    Object,
    ObjectRef,
    Turn,
)
from syncrollout.runtime.rollouts import Rollout

log = logging.getLogger(__name__)

BOUND = 10_000
TRIES = 12
LONGEST_WAIT = 30.0
WORKERS = 4
LED_AGAIN = 45.0
"""Seconds for which an Event waits for this process to lead again, as it does in a moment where a Lease was renewed
late. Whoever else leads posts it by itself."""
PAUSE = 0.2
"""Seconds between two looks of a worker whether it leads again."""


class Story:
    """Events on their way to the API server, oldest first."""

    def __init__(self, api: KubeApi, rng: random.Random | None = None) -> None:
        self._api = api
        self._rng = rng or random.Random()
        self._waiting: deque[tuple[ObjectRef, Object]] = deque(maxlen=BOUND)
        self._not_led: deque[tuple[ObjectRef, Object, float]] = deque(maxlen=BOUND)
        """Of rollouts for which this process did not act when their turn came, each with the time (event loop's) until
        which it is tried. They keep none of the others waiting."""
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Begin to post."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._work(), name=f"events {n}") for n in range(WORKERS)]

    async def stop(self, grace: float) -> None:
        """Post what is waiting, for `grace` seconds at most, then end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def tell(self, rollout: Rollout, entries: tuple[HistoryEntry, ...]) -> None:
        """Post the Events of these transitions, without waiting."""
        for entry in entries:
            self.post(*event(rollout.key.ref, rollout.uid, entry))

    def post(self, ref: ObjectRef, body: Object) -> None:
        """Post this Event, without waiting."""
        self._waiting.append((ref, body))
        self._idle.clear()
        self._news.set()

    async def _work(self) -> None:
        refused = False
        while True:
            while not self._waiting and not self._not_led:
                self._news.clear()
                await self._news.wait()
            self._busy += 1
            try:
                if refused and not self._waiting:
                    await asyncio.sleep(PAUSE)
                refused = await self._next()
            except Exception:  # an answer of another shape, say; a worker that ends posts nothing any more
                log.exception("an event could not be posted: an error of the operator's own")
            finally:
                self._busy -= 1
                if not self._waiting and not self._not_led and not self._busy:
                    self._idle.set()

    async def _next(self) -> bool:
        """Post one. Whether this process did not act for its rollout."""
        now = asyncio.get_running_loop().time
        if self._waiting:
            ref, body = self._waiting.popleft()
            until = now() + LED_AGAIN
        elif self._not_led:
            ref, body, until = self._not_led.popleft()
        else:
            return False  # another worker has taken it
        if now() >= until:
            log.warning("the event %r was given up: this process does not act for its rollout any more", body["reason"])
            return False
        ACTING_FOR.set(str(body["involvedObject"].get("uid") or ""))
        try:
            await self._post(ref, body)
        except NotLeading:
            self._not_led.append((ref, body, until))
            return True
        return False

    async def _post(self, ref: ObjectRef, body: Object) -> None:
        """Raises NotLeading."""
        for attempt in range(TRIES):
            try:
                await self._api.create(ref, body, turn=Turn.LEISURE)
            except AlreadyExists:
                return
            except (Forbidden, NotFound) as error:
                # NotFound: the namespace is going away.
                log.warning("the event %r could not be posted: %s", body["reason"], error)
                return
            except NotLeading:
                raise
            except ApiError as error:
                if attempt == TRIES - 1:
                    log.warning("the event %r was given up after %d tries: %s", body["reason"], TRIES, error)
                    return
                wait = min(10.0, 0.2 * 2.0**attempt) * self._rng.uniform(0.5, 1.0)
                asked = getattr(error, "retry_after", None) or 0.0
                await asyncio.sleep(max(wait, min(asked, LONGEST_WAIT)))
            else:
                return

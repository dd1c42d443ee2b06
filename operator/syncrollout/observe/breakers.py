"""What is not asked of a Prometheus that does not answer: a breaker for each endpoint.

Theory of operation. After three failures in a row (no connection, no answer in time; any answer begins anew) an
endpoint is in doubt. Its next query is preceded by a probe, `vector(1)`, which costs a server nothing:

    in doubt -> well       the probe is answered: some query is too costly, and the server is not to blame
    in doubt -> down       it is not
    down     -> well       a later probe is answered
    down     -> down       the next one comes later: after half a second, one, two, four, and then every five

Queries of an endpoint that is down are answered at once, as Unreachable; those that come while a probe is under way
wait for it, a second at most, so that a pass that finds the server back loses none of its queries.

Nothing is probed unless somebody asks, and who asks does so at its own interval. So a probe is due at the latest when
so much time has passed: a rollout that looks every second may probe every second. After a return, a rollout is
answered at its first look that is five seconds or one interval later: it sees what there is after one interval and
five seconds at most, and never after more than two intervals; three seconds more where a probe was just hanging.
Nobody is woken: each rollout has a beat of its own, spread evenly over its interval, and so they come back one by one.

Endpoints are told apart by what is presented and trusted, too: where one rollout has the wrong certificate authority,
or a tenant's queries wait behind others of that tenant in the server, another goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.decide.phrases import moment
from syncrollout.observe.prometheus_answers import Asked
from syncrollout.observe.turns import A_MOMENT, Turns
from syncrollout.ports import Endpoint

PROBE: Final = "vector(1)"
FAILURES: Final = 3
"""In a row, until an endpoint is in doubt."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0
"""Seconds between probes."""
PROBE_TIMEOUT: Final = 3.0
"""Seconds, whoever asks: one that gives a server less must not find it down for all the others."""
LONGEST_STAY: Final = 1.0
"""Seconds for which a query waits for a probe that is under way."""
FORGET_AFTER: Final = 600.0
"""Seconds after which a trouble is forgotten that nobody has come upon again."""
_NO_ANSWER: Final = frozenset({Unknown.UNREACHABLE, Unknown.TIMEOUT})


@dataclass(slots=True)
class _Trouble:
    """An endpoint that has not answered. Times are the loop's; `since` is the wall clock's."""

    since: float
    cause: Reading
    seen: float
    failures: int = 0
    wait: float = 0.0
    tried: float = 0.0
    next_try: float = 0.0
    probe: asyncio.Task[bool] | None = None

    def due(self, now: float, every: float) -> bool:
        """Whether somebody who looks every so many seconds may find out how it is."""
        return now >= min(self.next_try, self.tried + every)


class Breakers:
    """Asks in turns, and not at all where nothing would come of it. `now` is the wall clock, for what is said."""

    def __init__(self, turns: Turns, *, now: Callable[[], float] = time.time, rng: random.Random | None = None) -> None:
        self._turns = turns
        self._now = now
        self._rng = rng or random.Random()
        self._troubles: dict[Endpoint, _Trouble] = {}

    def in_doubt(self, endpoint: Endpoint) -> bool:
        """Whether it has not answered lately."""
        trouble = self._troubles.get(endpoint)
        return trouble is not None and trouble.failures >= FAILURES

    async def read(
        self, endpoint: Endpoint, query: str, timeout: float, owner: str, every: float
    ) -> tuple[Reading, bool]:
        """The one number that `query` gives now, or why there is none, and whether it was sent; ends within `timeout`
        seconds. `owner` is the rollout that asks, `every` so many seconds."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        trouble = self._troubles.get(endpoint)
        if (
            trouble is not None
            and trouble.failures >= FAILURES
            and not await self._answers(trouble, endpoint, timeout, every)
        ):
            return self._refusal(trouble, Asked(endpoint.address, query, timeout)), False
        waited = loop.time() - began
        left = timeout if waited < A_MOMENT else max(0.001, timeout - waited)
        reading = await self._turns.read(endpoint, query, left, owner)
        self._take(endpoint, reading)
        return reading, True

    async def _answers(self, trouble: _Trouble, endpoint: Endpoint, timeout: float, every: float) -> bool:
        """Whether a probe that is under way, or due, is answered while one may wait for it."""
        loop = asyncio.get_running_loop()
        trouble.seen = loop.time()
        if trouble.probe is None:
            if not trouble.due(loop.time(), every):
                return False
            trouble.probe = loop.create_task(self._probe(trouble, endpoint))
        done, _ = await asyncio.wait({trouble.probe}, timeout=min(timeout, LONGEST_STAY))
        return any(not task.cancelled() and task.result() for task in done)

    async def _probe(self, trouble: _Trouble, endpoint: Endpoint) -> bool:
        try:
            reading = await self._turns.read(endpoint, PROBE, PROBE_TIMEOUT, "")
        finally:
            trouble.probe = None
        if reading.unknown not in _NO_ANSWER:
            self._well(endpoint, trouble)
            return True
        trouble.cause = reading
        trouble.wait = min(LONGEST_WAIT, 2.0 * trouble.wait) if trouble.wait else FIRST_WAIT
        trouble.tried = asyncio.get_running_loop().time()
        trouble.next_try = trouble.tried + trouble.wait * self._rng.uniform(0.8, 1.0)
        return False

    def _take(self, endpoint: Endpoint, reading: Reading) -> None:
        """What came of a query that was sent."""
        trouble = self._troubles.get(endpoint)
        if reading.unknown not in _NO_ANSWER:
            if trouble is not None:
                self._well(endpoint, trouble)
            return
        now = asyncio.get_running_loop().time()
        if trouble is None:
            self._forget(now)
            trouble = self._troubles[endpoint] = _Trouble(self._now(), reading, now)
        trouble.cause, trouble.seen = reading, now
        trouble.failures += 1

    def _well(self, endpoint: Endpoint, trouble: _Trouble) -> None:
        if self._troubles.get(endpoint) is trouble:
            del self._troubles[endpoint]

    def _forget(self, now: float) -> None:
        for endpoint in [each for each, trouble in self._troubles.items() if now - trouble.seen > FORGET_AFTER]:
            del self._troubles[endpoint]

    def _refusal(self, trouble: _Trouble, asked: Asked) -> Reading:
        cause = trouble.cause.message.partition("; query: ")[0]
        if trouble.probe is not None:
            next_try = "it is being tried now"
        else:
            wait = max(0.0, trouble.next_try - asyncio.get_running_loop().time())
            next_try = f"the next try is at {moment(self._now() + wait)}"
        return asked.unknown(
            Unknown.UNREACHABLE, f"{cause}; it has not answered since {moment(trouble.since)}, and {next_try}"
        )


__all__ = ["FAILURES", "FIRST_WAIT", "LONGEST_STAY", "LONGEST_WAIT", "PROBE", "PROBE_TIMEOUT", "Breakers"]

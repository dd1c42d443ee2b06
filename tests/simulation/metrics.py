"""Prometheus as a script: what each system measures at which time, and what goes wrong with asking."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.ports import Endpoint

HEALTHY = {"error_rate": 0.2, "duration": 1.0}
OLD = {"error_rate": 0.3, "duration": 1.2}
_QUERY = re.compile(r'(?P<metric>\w+)\{namespace="(?P<namespace>[^"]*)",workload="(?P<workload>[^"]*)"\}')


@dataclass(slots=True)
class Trouble:
    """What can be wrong with an answer; chances between 0 and 1, of each query."""

    timeout: float = 0.0
    unreachable: float = 0.0
    no_data: float = 0.0
    not_a_number: float = 0.0
    latency: float = 0.02
    until: float = 0.0
    """Loop time from which on nothing is wrong any more."""


@dataclass(slots=True)
class Script:
    """`syncrollout.ports.MetricsSource`. `values` may change at any time; `blackouts` are windows without an answer."""

    seed: str
    trouble: Trouble = field(default_factory=Trouble)
    bad: dict[str, Callable[[], bool]] = field(default_factory=dict)
    """By workload: whether it misbehaves now."""
    blackouts: list[tuple[float, float, Unknown]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    old: set[str] = field(default_factory=set)
    """Workloads that are an old system."""

    async def read(self, endpoint: Endpoint, query: str, timeout: float) -> Reading:
        """See the port."""
        del endpoint
        self.asked[query] += 1
        # One stream of chance for each question: what one gets does not depend on the order in which all are asked.
        chance = random.Random(f"{self.seed}/{query}/{self.asked[query]}")
        now = asyncio.get_running_loop().time()
        wrong = self._wrong(now, chance)
        if wrong is Unknown.TIMEOUT:
            await asyncio.sleep(timeout)
        else:
            await asyncio.sleep(chance.uniform(0.2, 1.0) * self.trouble.latency)
        if wrong is not None:
            return Reading(None, wrong, f"scripted: {wrong.value}")
        found = _QUERY.fullmatch(query)
        assert found is not None, f"a query that nobody wrote: {query}"
        return Reading(self.value(found["metric"], found["workload"]))

    def value(self, metric: str, workload: str) -> float:
        """What a workload measures now."""
        bad = self.bad.get(workload)
        if bad is not None and bad():
            return {"error_rate": 40.0, "duration": 9.0}[metric]
        return (OLD if workload in self.old else HEALTHY)[metric]

    def _wrong(self, now: float, chance: random.Random) -> Unknown | None:
        for start, end, what in self.blackouts:
            if start <= now < end:
                return what
        if now >= self.trouble.until:
            return None
        draw = chance.random()
        for probability, what in (
            (self.trouble.timeout, Unknown.TIMEOUT),
            (self.trouble.unreachable, Unknown.UNREACHABLE),
            (self.trouble.no_data, Unknown.NO_DATA),
            (self.trouble.not_a_number, Unknown.NOT_A_NUMBER),
        ):
            if draw < probability:
                return what
            draw -= probability
        return None

"""Prometheus as a script: what each system measures at which time, and what goes wrong with asking."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from fakes.metrics import FakeMetrics
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.ports import Endpoint

HEALTHY = {"error_rate": 0.2, "duration": 1.0}
OLD = {"error_rate": 0.3, "duration": 1.2}
BAD = {"error_rate": 40.0, "duration": 9.0}
_QUERY = re.compile(r'(?P<metric>\w+)\{namespace="(?P<namespace>[^"]*)",workload="(?P<workload>[^"]*)"\}')

_ACKS = re.compile(r".*syncrollout_shards_epoch.*")
_ALERTS = re.compile(r"count\(ALERTS.*")


@dataclass(slots=True)
class Chances:
    """Chances between 0 and 1 of each way in which an answer can be none; the names are those of Unknown."""

    timeout: float = 0.0
    unreachable: float = 0.0
    server_error: float = 0.0
    no_data: float = 0.0
    not_a_number: float = 0.0
    infinite: float = 0.0

    def draw(self, chance: random.Random) -> Unknown | None:
        """What is wrong with an answer, by chance."""
        draw = chance.random()
        for each in fields(self):
            probability = getattr(self, each.name)
            if draw < probability:
                return Unknown[each.name.upper()]
            draw -= probability
        return None


@dataclass(slots=True)
class Trouble:
    """What can be wrong with Prometheus until loop time `until`; `latency` in seconds, at most, always."""

    chances: Chances = field(default_factory=Chances)
    until: float = 0.0
    latency: float = 0.02


class Script:
    """`syncrollout.ports.MetricsSource`: the fake Prometheus with the simulation's script."""

    def __init__(self, seed: str) -> None:
        self.trouble = Trouble()
        self.bad: dict[str, Callable[[], bool]] = {}
        """By workload: whether it misbehaves now."""
        self.traffic: dict[str, Callable[[], float]] = {}
        """By workload: the share of the traffic that reaches it, percent."""
        self.deaf: list[tuple[float, float]] = []
        """Loop times from and until which routers send all traffic to old, whatever the weights say."""
        self.old: set[str] = set()
        """Workloads that are an old system."""
        self.blackouts: list[tuple[float, float, Unknown]] = []
        """Loop times from and until which every answer is the same trouble."""
        self.acks: Callable[[str], float] = lambda _: 0.0
        """What workers report of the epoch that they obey, to the operator's question."""
        self.firing = 0
        """How many alerts fire, whichever are asked for."""
        self.asked: Counter[str] = Counter()
        self._seed = seed
        self._chances: dict[str, random.Random] = {}
        self._fake = FakeMetrics()
        self._fake.set(_QUERY, self._outcome)
        self._fake.set(_ACKS, self._outcome)
        self._fake.set(_ALERTS, self._outcome)

    async def read(self, endpoint: Endpoint, query: str, timeout: float) -> Reading:
        """See the port."""
        self.asked[query] += 1
        # One stream of chance for each question: what one gets does not depend on the order in which all are asked.
        chance = self._chances[query] = random.Random(f"{self._seed}/{query}/{self.asked[query]}")
        await asyncio.sleep(chance.uniform(0.2, 1.0) * self.trouble.latency)
        return await self._fake.read(endpoint, query, timeout)

    def _outcome(self, query: str, now: float) -> float | Unknown:
        if "syncrollout_shards_epoch" in query:
            wrong = self._wrong(query, now)
            return self.acks(query) if wrong is None else wrong
        if _ALERTS.fullmatch(query):
            wrong = self._wrong(query, now)
            return float(self.firing) if wrong is None else wrong
        found = _QUERY.fullmatch(query)
        assert found is not None, f"a query that nobody wrote: {query}"
        wrong = self._wrong(query, now)
        if wrong is not None:
            return wrong
        if found["metric"] == "share":
            deaf = any(start <= now < end for start, end in self.deaf)
            return 0.0 if deaf else self.traffic[found["workload"]]()
        return self._value(found["metric"], found["workload"])

    def _value(self, metric: str, workload: str) -> float:
        bad = self.bad.get(workload)
        if bad is not None and bad():
            return BAD[metric]
        return (OLD if workload in self.old else HEALTHY)[metric]

    def _wrong(self, query: str, now: float) -> Unknown | None:
        for start, end, what in self.blackouts:
            if start <= now < end:
                return what
        return self.trouble.chances.draw(self._chances[query]) if now < self.trouble.until else None

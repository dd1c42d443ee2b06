"""A rollout's metrics: queries filled in, credentials resolved, readings taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import floor
from typing import TypeVar

from syncrollout.act.target import behalf_of
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Reason, Side, Unknown
from syncrollout.decide.facts import Part, Problem, Reading, ReadingKey, Span
from syncrollout.observe.aggregates import reduced
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.queries import QueryError, fill
from syncrollout.observe.readings import Readings
from syncrollout.ports import Clock, ObjectRef

K = TypeVar("K")
MAX_AGE_SHARE = 0.25
"""A reading this fraction of the interval old still counts as of the same moment."""
LONGEST_MAX_AGE = 1.0


class Metrics:
    """Reads metrics for the gatherer."""

    def __init__(self, readings: Readings, credentials: Credentials, clock: Clock) -> None:
        self._readings = readings
        self._credentials = credentials
        self._clock = clock

    async def read(
        self,
        spec: SyncRolloutSpec,
        owner: ObjectRef,
        phase: str,
        keys: frozenset[ReadingKey],
        since: float | None = None,
    ) -> Mapping[ReadingKey, Reading]:
        """A reading for every key, on behalf of a rollout; what cannot be read is a Reading with `unknown`. `since` is
        when the phase began, in seconds since the epoch; before that what is to be counted is asked for a window, to
        see that it can be."""
        assert spec.prometheus is not None
        found: dict[ReadingKey, Reading] = {}
        queries: dict[ReadingKey, str] = {}
        spans: dict[ReadingKey, Span] = {}
        now = self._clock.now()
        for key in keys:
            metric, system = spec.metric(key.metric), spec.old if key.side is Side.OLD else spec.new
            if since is not None and key.part in (Part.SHARE, Part.COUNT):
                # Whole seconds: rollouts that began together ask the same.
                spans[key] = Span(round(since + key.settle, 3), float(floor(now - since - key.settle)))
            try:
                if key in spans and spans[key].seconds < 1.0:
                    found[key] = Reading(None, Unknown.SETTLING, "the phase has only begun", spans[key])
                else:
                    counted = spans[key].seconds if key in spans else None
                    queries[key] = fill(metric, system, owner.namespace, phase, part=key.part, window=counted)
            except QueryError as error:
                found[key] = Reading(None, Unknown.QUERY_INVALID, str(error))
        max_age = min(LONGEST_MAX_AGE, MAX_AGE_SHARE * spec.prometheus.interval)
        read = await self._read(spec, owner, queries, spec.prometheus.timeout, max_age)
        for key, reading in read.items():
            one = reduced(spec.metric(key.metric), key.part, reading)
            found[key] = replace(one, span=spans.get(key))
        return found

    async def ask(
        self, spec: SyncRolloutSpec, owner: ObjectRef, queries: Mapping[str, str], timeout: float
    ) -> Mapping[str, Reading]:
        """A reading for each query, asked now, by the names that the caller gives them."""
        assert spec.prometheus is not None
        return await self._read(spec, owner, queries, timeout, max_age=0.0)

    async def _read(
        self, spec: SyncRolloutSpec, owner: ObjectRef, queries: Mapping[K, str], timeout: float, max_age: float
    ) -> dict[K, Reading]:
        prometheus, behalf = spec.prometheus, behalf_of(spec, owner.namespace)
        assert prometheus is not None
        endpoint = await self._credentials.endpoint(prometheus, behalf)
        if isinstance(endpoint, Problem):
            unknown = Unknown.SECRET_INVALID if endpoint.reason is Reason.SECRET_INVALID else Unknown.REFUSED
            return {key: Reading(None, unknown, endpoint.message) for key in queries}
        found = await self._readings.read_all(
            queries, endpoint, timeout, max_age, owner=str(owner), every=prometheus.interval
        )
        if any(reading.unknown is Unknown.REFUSED for reading in found.values()):
            self._credentials.refused(prometheus, behalf)
        return found

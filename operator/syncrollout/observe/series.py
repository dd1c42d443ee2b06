"""The series of the reading that broke, for the incident report. Asked for while that is written, and never before."""

from __future__ import annotations

import asyncio
from typing import Final

from syncrollout.act.target import Target
from syncrollout.api.words import Side
from syncrollout.decide.broken import Wanted
from syncrollout.decide.facts import Problem, SeriesFact
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.queries import QueryError, fill
from syncrollout.ports import Endpoint, Moments, SeriesSource, SeriesUnknown

PATIENCE: Final = 5.0
"""Seconds that one may take at most."""


class Series:
    """Reads series on behalf of the gatherer. Remembers nothing."""

    def __init__(self, source: SeriesSource, credentials: Credentials) -> None:
        self._source = source
        self._credentials = credentials

    async def look(self, target: Target, wanted: Wanted | None) -> tuple[SeriesFact, ...]:
        """That of each side; what cannot be had says why. None without anything wanted."""
        prometheus = target.spec.prometheus
        if wanted is None or prometheus is None:
            return ()
        endpoint = await self._credentials.endpoint(prometheus, target.behalf)
        if isinstance(endpoint, Problem):
            return tuple(_unknown(wanted, side, endpoint.message) for side in wanted.sides)
        timeout = min(prometheus.timeout, PATIENCE)
        return tuple(
            await asyncio.gather(*(self._one(target, wanted, side, endpoint, timeout) for side in wanted.sides))
        )

    async def _one(self, target: Target, wanted: Wanted, side: Side, endpoint: Endpoint, timeout: float) -> SeriesFact:
        metric = target.spec.metric(wanted.metric)
        moments = Moments(wanted.start, wanted.end, wanted.step)
        try:
            query = fill(metric, target.system(side), target.ref.namespace, wanted.phase)
            values = await self._source.series(endpoint, query, moments, timeout)
        except (SeriesUnknown, QueryError) as error:
            return _unknown(wanted, side, str(error))
        return SeriesFact(side, wanted.start, wanted.step, values)


def _unknown(wanted: Wanted, side: Side, why: str) -> SeriesFact:
    return SeriesFact(side, wanted.start, wanted.step, why_not=why[:400])


__all__ = ["Series"]

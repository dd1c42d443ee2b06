"""A Prometheus's past in memory, at the History port of the backtest: series by name, or how values follow from time.

Answers are taken apart by the same code as a real Prometheus', and `tests/contract` runs the same cases on both.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from syncrollout.backtest.history import LONGEST, HistoryError, Moments, TooMuch
from syncrollout.backtest.prometheus import RecordedSeries
from syncrollout.decide.facts import Reading
from syncrollout.observe.prometheus_answers import Asked, over_time
from syncrollout.ports import Endpoint, SeriesUnknown
from syncrollout.ports import Moments as Wanted

LOOKBACK = 300.0
"""Seconds for which a sample is what a series reads."""
Values = float | Sequence[float] | None
"""What a query gives at one moment: one number, one for each series, or no series."""
Script = Callable[[float], Values]
"""How that follows from the time, seconds since the epoch."""


class FakeHistory:
    """`syncrollout.backtest.history.History`. A query without a script is the name of a series."""

    most = LONGEST
    """Moments that are given at once."""

    def __init__(self, series: Mapping[str, Iterable[Any]] | None = None) -> None:
        self._series = {
            name: [(dict(labels), list(samples)) for labels, samples in several]
            for name, several in (series or {}).items()
        }
        self._scripts: dict[str, Script] = {}
        self.asked: list[tuple[str, Moments]] = []
        self.warns = ""
        """What is said against every answer."""

    def set(self, query: str, script: Script) -> None:
        """What a query gives."""
        self._scripts[query] = script

    def read(self, query: str, moments: Moments) -> RecordedSeries:
        """See the port."""
        self.asked.append((query, moments))
        asked = Asked("http://prometheus:9090", query, 10.0)
        if query.count("(") != query.count(")"):
            raise HistoryError(_error(asked, 'invalid parameter "query": parse error: unclosed left parenthesis'))
        if moments.count > self.most:
            raise TooMuch(_error(asked, "exceeded maximum resolution of 11,000 points per timeseries"))
        times = [(moments.start + number * moments.step) / 1000 for number in range(moments.count)]
        found = self._scripted(query, times) if query in self._scripts else self._recorded(query, times)
        return RecordedSeries(asked, {"warnings": [self.warns]} if self.warns else {}, found)

    def abort(self) -> None:
        """See the port: nothing is ever under way."""

    def _scripted(self, query: str, times: Iterable[float]) -> list[Any]:
        series: dict[int, list[Any]] = {}
        for time in times:
            values = self._scripts[query](time)
            several = (values,) if isinstance(values, int | float) else values or ()
            for number, value in enumerate(several):
                series.setdefault(number, []).append([time, _text(value)])
        return [{"metric": {"series": str(number)}, "values": values} for number, values in series.items()]

    def _recorded(self, name: str, times: Sequence[float]) -> list[Any]:
        found = []
        for labels, samples in self._series.get(name, ()):
            at = [time for time, _ in samples]
            values = []
            for time in times:
                last = bisect_right(at, time) - 1
                if last >= 0 and time - at[last] < LOOKBACK:
                    values.append([time, _text(samples[last][1])])
            if values:
                found.append({"metric": {"__name__": name, **labels}, "values": values})
        return found


def _error(asked: Asked, said: str) -> str:
    answer = over_time(asked, 400, {}, {"status": "error", "errorType": "bad_data", "error": said})
    assert isinstance(answer, Reading)
    return answer.message


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


class NothingRecorded:
    """`syncrollout.ports.SeriesSource` of a Prometheus that has lost its history."""

    async def series(
        self,
        endpoint: Endpoint,
        query: str,
        moments: Wanted,
        timeout: float,
        reduce: Callable[[Reading], Reading] = lambda reading: reading,
    ) -> tuple[float | None, ...]:
        """See the port."""
        raise SeriesUnknown(f"nothing is recorded of {query}")

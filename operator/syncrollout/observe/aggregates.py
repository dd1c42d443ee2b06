"""One number made of several series, where a metric says how. Pure.

It is made of the answer and not asked of Prometheus as `max(<query>)`: an aggregation of PromQL leaves NaN out and does
not say how many series there were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from syncrollout.api.spec import Aggregate, Metric
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Part, Reading


def reduced(metric: Metric, part: Part, reading: Reading) -> Reading:
    """The reading that this part of a metric gives. One that is missing, and all of a metric without `aggregate`, stay
    as they are; events are those of all series together."""
    if metric.aggregate is None:
        return reading
    how = Aggregate.SUM if part is Part.EVENTS else metric.aggregate
    if reading.value is not None:
        return replace(reading, made_of=f"{how.value} of 1 series")
    series = reading.series
    if reading.unknown is not Unknown.MANY_SERIES or series is None:
        return reading
    count = len(series.values)
    numbers = [value for value in series.values if value is not None and not math.isnan(value)]
    if len(numbers) < count:
        text = f"{count - len(numbers)} of {count} series are no number, so that there is no {how.value} of them"
        return Reading(None, Unknown.NOT_A_NUMBER, text)
    value = _OF[how](numbers)
    if not all(map(math.isfinite, (*numbers, value))):
        return Reading(None, Unknown.INFINITE, f"the {how.value} of {count} series is made of infinite numbers")
    return Reading(value, message=series.said, made_of=f"{how.value} of {count} series")


def _sum(numbers: Sequence[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # infinite, on the way or from the start
        return math.inf


_OF: Final[Mapping[Aggregate, Callable[[Sequence[float]], float]]] = {
    Aggregate.MAX: max,
    Aggregate.MIN: min,
    Aggregate.SUM: _sum,
    Aggregate.AVG: lambda numbers: _sum(numbers) / len(numbers),
}

__all__ = ["reduced"]

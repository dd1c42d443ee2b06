"""How fast something climbs, told so that single outliers do not matter.

The slope is the median of the slopes of all pairs of samples (Theil and Sen); its bounds are those pairs between which
it lies with 95 % confidence (Sen, 1968, by Kendall's variance). Samples of memory are not independent of each other, so
the bounds are narrower than the truth: a leak is told only of what climbs in its second half as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import Final

Series = tuple[tuple[float, float], ...]
"""Moments in seconds, and what was read then; in order of time."""

FEWEST: Final = 12
"""Samples from which on a slope is told."""
MOST: Final = 150
"""Samples that are looked at: more are thinned out evenly."""
SHORTEST: Final = 600.0
"""Seconds that samples have to span."""
_SURE: Final = 1.96


@dataclass(frozen=True, slots=True)
class Trend:
    """Units a second; `least` and `most` bound the slope with 95 % confidence. `now`: where the line ends."""

    slope: float
    least: float
    most: float
    now: float
    span: float
    """Seconds from the first sample to the last."""
    steady: bool
    """The second half climbs at least half as fast as the first: it does not level off."""

    @property
    def climbs(self) -> bool:
        """Whether it surely does."""
        return self.least > 0

    def reaches(self, limit: float) -> float | None:
        """Seconds until the line comes to a limit; None where it never does, 0 where it is past it."""
        if self.now >= limit:
            return 0.0
        return (limit - self.now) / self.slope if self.slope > 0 else None


def trend(series: Series) -> Trend | None:
    """None where there are too few samples, or too short a time, to tell."""
    samples = _thinned(series)
    if len(samples) < FEWEST or samples[-1][0] - samples[0][0] < SHORTEST:
        return None
    slopes = _slopes(samples)
    if not slopes:
        return None
    slope = median(slopes)
    least, most = _bounds(slopes, len(samples))
    end = samples[-1][0]
    level = median(value - slope * (moment - end) for moment, value in samples)
    middle = len(samples) // 2
    first, second = _slopes(samples[:middle]), _slopes(samples[middle:])
    steady = bool(first and second) and median(second) > 0 and median(second) >= 0.5 * median(first)
    return Trend(slope, least, most, level, end - samples[0][0], steady)


def _thinned(series: Series) -> Sequence[tuple[float, float]]:
    if len(series) <= MOST:
        return series
    step = (len(series) - 1) / (MOST - 1)
    return [series[round(number * step)] for number in range(MOST)]


def _slopes(samples: Sequence[tuple[float, float]]) -> list[float]:
    return sorted(
        (later[1] - sooner[1]) / (later[0] - sooner[0])
        for number, sooner in enumerate(samples)
        for later in samples[number + 1 :]
        if later[0] > sooner[0]
    )


def _bounds(slopes: Sequence[float], count: int) -> tuple[float, float]:
    """Ranks of the sorted slopes, by the variance of Kendall's statistic."""
    spread = _SURE * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, round((len(slopes) - spread) / 2) - 1)
    high = min(len(slopes) - 1, round((len(slopes) + spread) / 2))
    return slopes[low], slopes[high]


__all__ = ["FEWEST", "SHORTEST", "Series", "Trend", "trend"]

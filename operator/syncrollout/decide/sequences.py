"""Confidence sequences for shares of events: what counts say for sure, however often they are looked at. Pure.

Theory of operation. Of `events` items `hits` were of one kind (failed, say), each by the same unknown chance. The
likelihood of what was seen, averaged over all chances by a Beta(1/2, 1/2) and divided by its likelihood under the true
chance, is a martingale that begins at 1. By Ville's inequality it ever reaches 1/alpha with a chance of at most alpha:
over all looks together, whenever they are taken and whenever one stops. So a limit at which it stands at 1/alpha or
more is not the true chance, and neither is any limit beyond it; the others are the confidence sequence.

Two systems: the product of two such martingales is one too, in whatever order their items come. A ratio of the two
chances is refuted once the product has reached 1/alpha for every pair of chances of that ratio, which is where the pair
fits best. Both are functions of the counts alone, so that nothing is remembered between looks. Counts may be real
numbers, as Prometheus' increase() gives them: factorials are gamma functions. `docs/adr/confidence-sequences.md` has
the sources and the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from math import inf, lgamma, log, pi, sqrt
from typing import Final

_PRIOR: Final = 0.5
_STEPS: Final = 60
_ROUNDING: Final = 1e-6
"""So little of an event is none: it comes of arithmetic with real numbers."""


@dataclass(frozen=True, slots=True)
class Counts:
    """`hits` of `events` items; real numbers, 0 <= hits <= events."""

    hits: float
    events: float

    @property
    def misses(self) -> float:
        """The items that are no hits."""
        return self.events - self.hits

    @property
    def share(self) -> float:
        """Hits for each event; there has to be one."""
        return self.hits / self.events

    def scaled(self, factor: float) -> Counts:
        """The same share of fewer events."""
        return Counts(self.hits * factor, self.events * factor)


class Sure(IntEnum):
    """Where the true value lies for sure: it is open while that cannot be said."""

    BELOW = -1
    OPEN = 0
    ABOVE = 1


def share(counts: Counts, limit: float, confidence: float) -> Sure:
    """Whether the true share is below or above `limit`, by counts up to any moment; `confidence` in percent."""
    if not counts.events:
        return Sure.OPEN
    return _side(against_share(counts, limit), counts.share < limit, confidence)


def ratio(new: Counts, old: Counts, limit: float, confidence: float) -> Sure:
    """Whether new's true share is less or more than `limit` times old's; `confidence` in percent."""
    if not new.events or not old.events:
        return Sure.OPEN
    return _side(against_ratio(new, old, limit), new.share < limit * old.share, confidence)


def share_interval(counts: Counts, confidence: float) -> tuple[float, float]:
    """The shares that are not refuted, lowest and highest."""
    if not counts.events:
        return 0.0, 1.0
    return _interval(lambda limit: against_share(counts, limit), counts.share, 1.0, confidence)


def ratio_interval(new: Counts, old: Counts, confidence: float) -> tuple[float, float]:
    """The multiples of old's share that are not refuted for new's; the highest is infinite while old has next to no
    hits."""
    if not new.events or not old.events or not old.hits:
        return 0.0, inf
    best = new.share / old.share
    most = max(best, 1.0)
    while against_ratio(new, old, most) < _needed(confidence):
        most *= 4.0
        if most > _ENDLESS:
            lowest, _ = _interval(lambda limit: against_ratio(new, old, limit), best, best, confidence)
            return lowest, inf
    return _interval(lambda limit: against_ratio(new, old, limit), best, most, confidence)


_ENDLESS: Final = 1e9


def against_share(counts: Counts, limit: float) -> float:
    """The logarithm of the martingale for `limit` as the true share: how strongly the counts speak against it."""
    if limit < 0.0 or limit > 1.0:
        return inf
    return _mixture(counts) - _likelihood(counts, limit)


def against_ratio(new: Counts, old: Counts, limit: float) -> float:
    """The same for new's true share being `limit` times old's: the least over all pairs of shares of that ratio."""
    if limit < 0.0:
        return inf
    base = _best_base(new, old, limit)
    best = _likelihood(new, min(1.0, limit * base)) + _likelihood(old, base)
    return _mixture(new) + _mixture(old) - best


def _side(against: float, less: bool, confidence: float) -> Sure:
    if against < _needed(confidence):
        return Sure.OPEN
    return Sure.BELOW if less else Sure.ABOVE


def _needed(confidence: float) -> float:
    return -log(1.0 - confidence / 100.0)


def _mixture(counts: Counts) -> float:
    """The logarithm of the likelihood averaged over Beta(1/2, 1/2)."""
    hits, misses = counts.hits + _PRIOR, counts.misses + _PRIOR
    return lgamma(hits) + lgamma(misses) - lgamma(hits + misses) - log(pi)


def _likelihood(counts: Counts, chance: float) -> float:
    return _times_log(counts.hits, chance) + _times_log(counts.misses, 1.0 - chance)


def _times_log(count: float, chance: float) -> float:
    if count <= _ROUNDING:
        return 0.0
    return count * log(chance) if chance > 0.0 else -inf


def _best_base(new: Counts, old: Counts, limit: float) -> float:
    """Old's share under which both counts are likeliest, new's being `limit` times it: where the derivative of the
    likelihood's logarithm, which is concave, is zero. That is the smaller root of a x^2 - b x + c."""
    hits = new.hits + old.hits
    a = limit * (new.events + old.events)
    b = hits * (1.0 + limit) + limit * new.misses + old.misses
    root = sqrt(max(0.0, b * b - 4.0 * a * hits))
    base = 2.0 * hits / (b + root) if b + root > 0.0 else 0.0
    return min(base, 1.0, 1.0 / limit if limit > 0.0 else 1.0)


def _interval(against: Callable[[float], float], best: float, most: float, confidence: float) -> tuple[float, float]:
    """What is not refuted on either side of the best fit, found by halving; the ends are outside by a hair."""
    needed = _needed(confidence)
    return _edge(against, best, 0.0, needed), _edge(against, best, most, needed)


def _edge(against: Callable[[float], float], inside: float, outside: float, needed: float) -> float:
    if inside == outside or against(outside) < needed:
        return outside
    for _ in range(_STEPS):
        middle = (inside + outside) / 2.0
        if against(middle) < needed:
            inside = middle
        else:
            outside = middle
    return outside

"""What Prometheus has recorded: the port, and an archive that asks it for each query and stretch of time once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from syncrollout.decide.facts import Reading

LONGEST: Final = 11_000
"""Moments that Prometheus gives in one answer."""
SHORTEST: Final = 16
"""Moments; a query of which Prometheus cannot give so many at once is given up."""
AT_ONCE: Final = 4
"""Queries on their way at one time: a Prometheus that serves others is not to be felt by them."""


class HistoryError(Exception):
    """What was recorded cannot be had. The message says why, and what to do."""


class TooMuch(HistoryError):
    """One answer for so many moments is more than Prometheus gives, or more than is read: fewer may do."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Evenly spaced moments: `count` of them from `start` on, `step` apart; milliseconds since the epoch."""

    start: int
    step: int
    count: int

    @property
    def end(self) -> int:
        """The last of them."""
        return self.start + (self.count - 1) * self.step

    def part(self, first: int, count: int) -> Moments:
        """At most `count` of them, from the one with the number `first` on."""
        return Moments(self.start + first * self.step, self.step, min(count, self.count - first))


class Recorded(Protocol):
    """What one query gave over time."""

    @property
    def warning(self) -> str:
        """What Prometheus says against its own answer (a store that is away, say); empty where it says nothing."""
        ...

    def at(self, moment: int) -> Reading:
        """The reading that an operator would have taken at one of the moments that were asked for."""
        ...


class History(Protocol):
    """A Prometheus that is asked about the past. May be used from several threads."""

    def read(self, query: str, moments: Moments) -> Recorded:
        """What the query gives at each moment. Raises HistoryError; TooMuch where fewer moments may do."""
        ...

    def abort(self) -> None:
        """Give up what is under way in other threads: each ends at once, with HistoryError."""
        ...


@dataclass(slots=True)
class _Stretch:
    """What is at hand of one query: the moments from number `first` up to `after`."""

    recorded: Recorded
    first: int
    after: int


class Archive:
    """Readings of the past, asked for when they are first needed. Time only moves on: what is past is let go."""

    def __init__(self, history: History, moments: Moments) -> None:
        self.moments = moments
        self.asked: list[Moments] = []
        """Every question asked of Prometheus."""
        self.warnings: dict[str, None] = {}
        """What it said against its own answers, each once, in the order in which it was said."""
        self._history = history
        self._stretches: dict[str, _Stretch] = {}
        self._longest: dict[str, int] = {}
        """Moments that may be asked for at once, by query."""

    @property
    def queries(self) -> int:
        """Different queries asked."""
        return len(self._longest)

    def fetch(self, queries: Iterable[str], number: int) -> None:
        """Have at hand what these queries give at the moment of this number. Raises HistoryError."""
        missing = sorted({query for query in queries if not self._has(query, number)})
        if len(missing) < 2:
            self._stretches |= {query: self._ask(query, number) for query in missing}
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                found = list(pool.map(lambda query: self._ask(query, number), missing))
            except BaseException:  # also Ctrl-C: nobody is to wait for what the others are answered
                pool.shutdown(wait=False, cancel_futures=True)
                self._history.abort()
                raise
        self._stretches |= zip(missing, found, strict=True)

    def reading(self, query: str, number: int) -> Reading:
        """What a query that was fetched gives at the moment of this number."""
        return self._stretches[query].recorded.at(self.moments.start + number * self.moments.step)

    def has(self, queries: Iterable[str], number: int) -> bool:
        """Whether all that these queries give at this moment is at hand."""
        return all(self._has(query, number) for query in queries)

    def _has(self, query: str, number: int) -> bool:
        stretch = self._stretches.get(query)
        return stretch is not None and stretch.first <= number < stretch.after

    def _ask(self, query: str, number: int) -> _Stretch:
        count = self._longest.setdefault(query, LONGEST)
        while True:
            moments = self.moments.part(number, count)
            self.asked.append(moments)
            try:
                recorded = self._history.read(query, moments)
            except TooMuch:
                if moments.count <= SHORTEST:
                    raise
                self._longest[query] = count = max(SHORTEST, moments.count // 2)
                continue
            if recorded.warning:
                self.warnings[recorded.warning] = None
            return _Stretch(recorded, number, number + moments.count)


__all__ = ["AT_ONCE", "LONGEST", "Archive", "History", "HistoryError", "Moments", "Recorded", "TooMuch"]

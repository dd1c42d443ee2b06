"""What every History must do: what was recorded, and the cases."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from syncrollout.api.words import Unknown
from syncrollout.backtest.history import LONGEST, History, HistoryError, Moments, TooMuch
from syncrollout.decide.facts import Reading

START = 1_741_000_000.0
"""Seconds since the epoch."""
_MINUTE = 60.0


def _every_15_s(first: float, last: float, value: Callable[[float], float]) -> list[tuple[float, float]]:
    """Samples of `value`, a function of minutes, from the minute `first` to before the minute `last`."""
    return [(START + 15.0 * n, value(n / 4)) for n in range(int(4 * first), int(4 * last))]


SERIES = {
    "history_minutes": [({}, _every_15_s(0, 60, float))],
    "history_gap": [({}, [*_every_15_s(0, 10, lambda _: 1.0), *_every_15_s(30, 40, lambda _: 2.0)])],
    "history_odd": [({}, _every_15_s(0, 30, lambda m: math.nan if m < 10 else math.inf if m < 20 else -math.inf))],
    "history_many": [
        ({"pod": "a"}, _every_15_s(0, 60, lambda _: 1.0)),
        ({"pod": "b"}, _every_15_s(10, 20, lambda _: 2.0)),
    ],
}


def _moments(first: float, last: float, step: float) -> Moments:
    """From the minute `first` to the minute `last`; `step` in seconds."""
    count = int((last - first) * _MINUTE / step) + 1
    return Moments(round((START + first * _MINUTE) * 1000), round(step * 1000), count)


def _minute(minute: float) -> int:
    return round((START + minute * _MINUTE) * 1000)


def each_moment_reads_what_was_last_recorded(history: History) -> None:
    recorded = history.read("history_minutes", _moments(1.1, 11.1, 60.0))
    assert [recorded.at(_minute(1.1 + n)) for n in range(11)] == [Reading(float(1 + n)) for n in range(11)]


def before_the_first_sample_and_long_after_the_last_there_is_no_data(history: History) -> None:
    recorded = history.read("history_gap", _moments(-1, 50, 30.0))
    assert recorded.at(_minute(0.5)) == Reading(1.0)
    assert recorded.at(_minute(14.5)) == Reading(1.0), "a sample counts for five minutes"
    assert recorded.at(_minute(30)) == Reading(2.0)
    for minute in (-0.5, 15, 20, 29.5, 45):
        reading = recorded.at(_minute(minute))
        assert (reading.value, reading.unknown) == (None, Unknown.NO_DATA), minute
        assert "query: history_gap" in reading.message


def one_that_was_never_recorded_has_no_data(history: History) -> None:
    assert history.read("history_never", _moments(0, 5, 60.0)).at(_minute(3)).unknown is Unknown.NO_DATA


def what_is_no_finite_number_is_unknown_at_that_moment(history: History) -> None:
    recorded = history.read("history_odd", _moments(0, 30, 60.0))
    assert recorded.at(_minute(5)).unknown is Unknown.NOT_A_NUMBER
    assert recorded.at(_minute(15)).unknown is Unknown.INFINITE
    assert recorded.at(_minute(25)).unknown is Unknown.INFINITE


def several_series_are_told_of_while_there_are_several(history: History) -> None:
    recorded = history.read("history_many", _moments(0, 60, 60.0))
    for minute in (5, 40):
        assert recorded.at(_minute(minute)) == Reading(1.0)
    for minute in (12, 22):
        reading = recorded.at(_minute(minute))
        assert reading.unknown is Unknown.MANY_SERIES
        assert "2 series, which differ in pod" in reading.message


def what_does_not_parse_is_refused_in_its_own_words(history: History) -> None:
    with pytest.raises(HistoryError, match="parse error") as raised:
        history.read("sum(history_minutes", _moments(0, 5, 60.0))
    assert not isinstance(raised.value, TooMuch), "asking for less does not help"
    assert "query: sum(history_minutes" in str(raised.value)


def as_many_moments_as_prometheus_gives_and_one_more(history: History) -> None:
    recorded = history.read("history_minutes", Moments(_minute(0), 1000, LONGEST))
    assert recorded.at(_minute(50)) == Reading(50.0)
    with pytest.raises(TooMuch):
        history.read("history_minutes", Moments(_minute(0), 1000, LONGEST + 2))


CASES = (
    each_moment_reads_what_was_last_recorded,
    before_the_first_sample_and_long_after_the_last_there_is_no_data,
    one_that_was_never_recorded_has_no_data,
    what_is_no_finite_number_is_unknown_at_that_moment,
    several_series_are_told_of_while_there_are_several,
    what_does_not_parse_is_refused_in_its_own_words,
    as_many_moments_as_prometheus_gives_and_one_more,
)

"""One number of several series."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncrollout.api.spec import Aggregate, Metric
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Part, Reading, Series
from syncrollout.observe.aggregates import reduced

numbers = st.floats(allow_nan=False, allow_infinity=False)


def metric(aggregate: Aggregate | None) -> Metric:
    return Metric.model_construct(name="m", query="m", aggregate=aggregate)


def several(*values: float | None, said: str = "") -> Reading:
    return Reading(None, Unknown.MANY_SERIES, "several", series=Series(values, said))


def test_without_aggregate_nothing_is_made_of_several_series() -> None:
    assert reduced(metric(None), Part.VALUE, several(1.0, 2.0)) == several(1.0, 2.0)
    assert reduced(metric(None), Part.VALUE, Reading(1.0)) == Reading(1.0)


@pytest.mark.parametrize("unknown", [each for each in Unknown if each is not Unknown.MANY_SERIES])
def test_what_is_missing_stays_missing(unknown: Unknown) -> None:
    reading = Reading(None, unknown, "why")
    assert reduced(metric(Aggregate.MAX), Part.VALUE, reading) == reading


def test_more_series_than_are_read_are_none_that_could_be_aggregated() -> None:
    """An answer that was cut off has no series: the greatest may be in what was not read."""
    cut = Reading(None, Unknown.MANY_SERIES, "more than 1024 KiB of series")
    assert reduced(metric(Aggregate.MAX), Part.VALUE, cut) == cut


@given(values=st.lists(numbers, min_size=2, max_size=9), how=st.sampled_from(Aggregate))
def test_it_is_within_the_series_or_their_sum_and_says_how_many(values: list[float], how: Aggregate) -> None:
    reading = reduced(metric(how), Part.VALUE, several(*values, said="a store is away"))
    if reading.value is None:
        assert how in (Aggregate.SUM, Aggregate.AVG), "a sum may be too great for a number"
        assert reading.unknown is Unknown.INFINITE
        return
    assert reading.made_of == f"{how.value} of {len(values)} series"
    assert reading.message == "a store is away"
    if how is Aggregate.SUM:
        assert reading.value == pytest.approx(sum(values), rel=1e-9, abs=1e-9 * max(map(abs, values)))
    else:
        slack = 1e-9 * max(map(abs, values))
        assert min(values) - slack <= reading.value <= max(values) + slack


@given(
    values=st.lists(
        st.one_of(numbers, st.just(float("nan")), st.none(), st.just(float("inf"))), min_size=2, max_size=5
    ),
    how=st.sampled_from(Aggregate),
)
def test_one_series_that_is_no_finite_number_makes_it_unknown(values: list[float | None], how: Aggregate) -> None:
    odd = [value for value in values if value is None or not math.isfinite(value)]
    reading = reduced(metric(how), Part.VALUE, several(*values))
    if odd:
        assert reading.value is None
        assert reading.unknown in (Unknown.NOT_A_NUMBER, Unknown.INFINITE)


def test_events_are_those_of_all_series() -> None:
    reading = reduced(metric(Aggregate.MAX), Part.EVENTS, several(30.0, 4.0))
    assert reading == Reading(34.0, made_of="sum of 2 series")

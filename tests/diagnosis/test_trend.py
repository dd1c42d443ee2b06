"""How fast something climbs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnosis.made import MIB, line
from syncrollout.diagnosis.trend import FEWEST, SHORTEST, trend

SLOPES = st.floats(-1e6, 1e6).filter(lambda number: abs(number) > 1.0)


@settings(deadline=None)
@given(SLOPES, st.floats(0, 1e9), st.integers(FEWEST, 60))
def test_a_straight_line_is_told_as_it_is(slope: float, level: float, count: int) -> None:
    made = tuple((60.0 * number, level + slope * 60.0 * number) for number in range(count))
    found = trend(made)
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=1e-3)
    assert found.climbs == (slope > 0)
    assert found.least <= found.slope <= found.most


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=FEWEST, max_size=40), st.floats(0, 1e6))
def test_moving_all_of_it_up_changes_the_level_alone(values: list[float], more: float) -> None:
    before = trend(tuple((60.0 * number, value) for number, value in enumerate(values)))
    after = trend(tuple((60.0 * number, value + more) for number, value in enumerate(values)))
    assert before is not None
    assert after is not None
    assert after.slope == pytest.approx(before.slope, abs=1e-3)
    assert after.now == pytest.approx(before.now + more, abs=10.0)


def test_a_few_outliers_change_nothing() -> None:
    made = list(line(100 * MIB, 200 * MIB))
    for number in (3, 20, 41, 55):
        made[number] = (made[number][0], 900 * MIB)
    found = trend(tuple(made))
    assert found is not None
    assert found.slope * 3600 == pytest.approx(100 * MIB, rel=0.05)
    assert found.climbs
    assert found.steady


def test_noise_does_not_climb() -> None:
    surely = 0
    for seed in range(100):
        rng = random.Random(seed)
        found = trend(tuple((60.0 * number, 200 + rng.gauss(0, 20)) for number in range(60)))
        assert found is not None
        surely += found.climbs
    assert surely <= 8  # of 100: the bounds are those of 95 %, at both ends


def test_what_levels_off_is_not_steady() -> None:
    found = trend(tuple((60.0 * number, 300 * (1 - 0.9**number)) for number in range(60)))
    assert found is not None
    assert not found.steady


def test_when_a_limit_is_reached() -> None:
    found = trend(line(100.0, 200.0))
    assert found is not None
    assert found.reaches(300.0) == pytest.approx(3600.0, rel=0.01)
    assert found.reaches(150.0) == 0.0
    down = trend(line(200.0, 100.0))
    assert down is not None
    assert down.reaches(300.0) is None


def test_too_few_or_too_short_is_not_told() -> None:
    assert trend(line(1.0, 2.0, count=FEWEST - 1)) is None
    assert trend(line(1.0, 2.0, span=SHORTEST - 60)) is None
    assert trend(()) is None


def test_many_samples_are_thinned_out() -> None:
    found = trend(line(100.0, 200.0, count=5000))
    assert found is not None
    assert found.slope * 3600 == pytest.approx(100.0, rel=0.01)

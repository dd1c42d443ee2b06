"""Confidence sequences: that they are martingales, what they refute, and that shares and ratios agree."""

from __future__ import annotations

from math import comb, exp, inf, isclose

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from syncrollout.decide import sequences
from syncrollout.decide.sequences import Counts, Sure

SHARES = st.floats(0, 1)
CHANCES = st.floats(0.001, 0.999)
CONFIDENCES = st.sampled_from([80.0, 95.0, 99.0, 99.9])


@st.composite
def counted(draw: st.DrawFn) -> Counts:
    """Whole numbers, and the real ones that Prometheus makes of them."""
    events = draw(st.integers(1, 10_000_000))
    return Counts(draw(st.integers(0, events)), events).scaled(draw(st.sampled_from([1.0, 0.7, 0.123, 1.05])))


def grown(counts: Counts, hit: bool) -> Counts:
    return Counts(counts.hits + hit, counts.events + 1)


# ---- what makes it valid ----


@given(st.integers(0, 50), st.integers(0, 500), CHANCES)
def test_the_next_item_is_expected_to_change_nothing(hits: int, misses: int, chance: float) -> None:
    """The property that bounds all looks together: under the true chance, it is expected to stay where it is."""
    counts = Counts(hits, hits + misses)
    now = sequences.against_share(counts, chance)
    hit, miss = (exp(sequences.against_share(grown(counts, each), chance) - now) for each in (True, False))

    assert isclose(chance * hit + (1 - chance) * miss, 1.0, rel_tol=1e-9)


@pytest.mark.parametrize("chance", [0.01, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("events", [1, 7, 60])
def test_it_is_one_on_average(events: int, chance: float) -> None:
    odds = [comb(events, hits) * chance**hits * (1 - chance) ** (events - hits) for hits in range(events + 1)]
    values = [exp(sequences.against_share(Counts(hits, events), chance)) for hits in range(events + 1)]

    assert isclose(sum(p * v for p, v in zip(odds, values, strict=True)), 1.0, rel_tol=1e-9)


@given(counted(), counted(), st.floats(0.01, 20), st.floats(0.0, 1.0))
def test_a_ratio_is_refuted_only_with_every_pair_of_that_ratio(
    new: Counts, old: Counts, limit: float, position: float
) -> None:
    base = position * min(1.0, 1.0 / limit)
    pair = sequences.against_share(new, limit * base) + sequences.against_share(old, base)

    assert sequences.against_ratio(new, old, limit) <= pair + 1e-6 * max(1.0, abs(pair))


def ever_decided(chance: float, limit: float, events: int, confidence: float) -> dict[Sure, float]:
    """The exact chance that a look after any of so many events is sure, by what it is sure of first."""
    open_now, decided = {0: 1.0}, {Sure.BELOW: 0.0, Sure.ABOVE: 0.0}
    for seen in range(1, events + 1):
        after: dict[int, float] = {}
        for hits, odds in open_now.items():
            after[hits] = after.get(hits, 0.0) + odds * (1 - chance)
            after[hits + 1] = after.get(hits + 1, 0.0) + odds * chance
        open_now = {}
        for hits, odds in after.items():
            sure = sequences.share(Counts(hits, seen), limit, confidence)
            if sure is Sure.OPEN:
                open_now[hits] = odds
            else:
                decided[sure] += odds
    return decided


@pytest.mark.parametrize("confidence", [80.0, 95.0])
def test_looking_after_every_event_keeps_wrong_verdicts_under_the_stated_share(confidence: float) -> None:
    wrong = sum(ever_decided(0.05, 0.05, 600, confidence).values())

    assert 0.0 < wrong < 1.0 - confidence / 100.0


def test_far_from_the_limit_it_decides_and_hardly_ever_wrongly() -> None:
    decided = ever_decided(0.02, 0.1, 400, 95.0)

    assert decided[Sure.BELOW] > 0.97
    assert decided[Sure.ABOVE] < 0.002


# ---- what it says of one share ----


@given(counted(), CONFIDENCES)
def test_what_was_seen_is_never_refuted(counts: Counts, confidence: float) -> None:
    lowest, highest = sequences.share_interval(counts, confidence)

    assert lowest - 1e-12 <= counts.share <= highest + 1e-12
    assert sequences.share(counts, counts.share, confidence) is Sure.OPEN


@given(counted(), CONFIDENCES, SHARES)
def test_sure_is_what_lies_outside_the_interval(counts: Counts, confidence: float, limit: float) -> None:
    lowest, highest = sequences.share_interval(counts, confidence)
    assume(abs(limit - lowest) > 1e-9 and abs(limit - highest) > 1e-9)
    expected = Sure.ABOVE if limit < lowest else Sure.BELOW if limit > highest else Sure.OPEN

    assert sequences.share(counts, limit, confidence) is expected


@given(counted())
def test_more_confidence_says_less(counts: Counts) -> None:
    low, high = sequences.share_interval(counts, 95.0)
    lower, higher = sequences.share_interval(counts, 99.0)

    assert lower <= low + 1e-12
    assert higher >= high - 1e-12


@given(counted(), st.floats(0.05, 1.0), SHARES)
def test_fewer_events_of_the_same_share_never_say_the_opposite(counts: Counts, part: float, limit: float) -> None:
    sides = {sequences.share(each, limit, 95.0) for each in (counts, counts.scaled(part))}

    assert sides != {Sure.BELOW, Sure.ABOVE}


def test_nothing_counted_says_nothing() -> None:
    assert sequences.share(Counts(0, 0), 0.01, 95.0) is Sure.OPEN
    assert sequences.share_interval(Counts(0, 0), 95.0) == (0.0, 1.0)
    assert sequences.ratio(Counts(0, 0), Counts(1, 100), 1.0, 95.0) is Sure.OPEN
    assert sequences.ratio(Counts(1, 100), Counts(0, 0), 1.0, 95.0) is Sure.OPEN


def test_limits_that_cannot_be_crossed() -> None:
    clean, dirty = Counts(0, 10_000), Counts(1, 10_000)
    assert sequences.share(clean, 0.0, 95.0) is Sure.OPEN, "that nothing ever fails cannot be shown"
    assert sequences.share(dirty, 0.0, 95.0) is Sure.ABOVE, "one failure refutes it"
    assert sequences.share(clean, -0.01, 95.0) is Sure.ABOVE
    assert sequences.share(Counts(5, 5), 1.0, 95.0) is Sure.OPEN
    assert sequences.share(Counts(4, 5), 1.0, 95.0) is Sure.BELOW


# ---- what it says of two ----


@given(counted(), counted(), st.floats(0.05, 20))
def test_either_may_be_called_the_other(new: Counts, old: Counts, limit: float) -> None:
    forth = sequences.against_ratio(new, old, limit)
    back = sequences.against_ratio(old, new, 1.0 / limit)

    assert isclose(forth, back, rel_tol=1e-6, abs_tol=1e-3) or (forth > 100 and back > 100)


@given(counted(), counted(), CONFIDENCES)
def test_the_ratio_that_was_seen_is_never_refuted(new: Counts, old: Counts, confidence: float) -> None:
    assume(old.hits > 0)
    assert sequences.ratio(new, old, new.share / old.share, confidence) is Sure.OPEN


def test_ratios_by_hand() -> None:
    assert sequences.ratio(Counts(300, 10_000), Counts(900, 90_000), 2.0, 95.0) is Sure.ABOVE
    assert sequences.ratio(Counts(100, 10_000), Counts(900, 90_000), 2.0, 95.0) is Sure.BELOW
    assert sequences.ratio(Counts(190, 10_000), Counts(900, 90_000), 2.0, 95.0) is Sure.OPEN
    lowest, highest = sequences.ratio_interval(Counts(100, 10_000), Counts(900, 90_000), 95.0)
    assert 0.5 < lowest < 1.0 < highest < 1.7


def test_old_without_a_failure_is_a_baseline_too() -> None:
    spotless = Counts(0, 90_000)
    assert sequences.ratio(Counts(500, 10_000), spotless, 2.0, 95.0) is Sure.ABOVE
    assert sequences.ratio(Counts(0, 10_000), spotless, 1.0, 95.0) is Sure.OPEN
    assert sequences.ratio_interval(Counts(5, 10_000), spotless, 95.0) == (0.0, inf)


def test_a_known_rate_needs_about_as_many_events_as_the_documentation_says() -> None:
    """Half of the limit: decided after some thousand events, not some hundred thousand."""
    assert sequences.share(Counts(25, 5_100), 0.01, 95.0) is Sure.BELOW
    assert sequences.share(Counts(2.5, 510), 0.01, 95.0) is Sure.OPEN

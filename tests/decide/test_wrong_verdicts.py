"""The simulation behind docs/judging.md, in a smaller run: wrong verdicts with confidence, and by plain thresholds."""

from __future__ import annotations

import pytest
from bench.judging import BEGIN, CONFIDENCE, END, PAGE, TRUTHS, Truth, simulate

RUNS, LOOKS = 400, 100
STATED = 1 - CONFIDENCE / 100


@pytest.mark.parametrize("truth", [truth for truth in TRUTHS if truth.burst == 1], ids=lambda truth: truth.label)
def test_wrong_verdicts_stay_under_the_stated_share(truth: Truth) -> None:
    tally = simulate(truth, runs=RUNS, looks=LOOKS)
    wrong = (tally.passes if truth.side >= 0 else 0) + (tally.backs if truth.side <= 0 else 0)

    assert wrong <= STATED * RUNS


def test_plain_thresholds_do_not_keep_it() -> None:
    near = simulate(Truth(0.008), runs=RUNS, looks=LOOKS)
    at_it = simulate(Truth(0.01), runs=RUNS, looks=LOOKS)

    assert near.plain_backs > 0.9 * RUNS
    assert at_it.plain_passes > 0.9 * RUNS


def test_what_is_far_from_the_limit_is_decided() -> None:
    assert simulate(Truth(0.002), runs=RUNS, looks=LOOKS).passes > 0.95 * RUNS
    assert simulate(Truth(0.02), runs=RUNS, looks=LOOKS).backs > 0.95 * RUNS


def test_bursts_break_the_promise_as_the_page_says() -> None:
    tally = simulate(Truth(0.01, burst=10), runs=RUNS, looks=LOOKS)

    assert tally.passes + tally.backs > STATED * RUNS


def test_the_page_has_a_line_for_each_truth() -> None:
    table = PAGE.read_text("utf-8").split(BEGIN)[1].split(END)[0]

    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]] == [t.label for t in TRUTHS]

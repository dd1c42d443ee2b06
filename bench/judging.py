"""`python -m bench.judging`: how often verdicts are wrong, with confidence and by plain thresholds; seeded, no cluster.

A phase is looked at every hundred events until it has had twenty thousand, in ten thousand runs for each truth. With
confidence its first sure verdict counts. By a plain threshold success passes at the first window of five hundred events
below the limit, and going back at the first one above it. The table goes into docs/judging.md.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from pathlib import Path
from typing import Final

from syncrollout.decide import sequences
from syncrollout.decide.sequences import Counts, Sure

RUNS: Final = 10_000
LOOKS: Final = 200
EVENTS: Final = 100
"""Between two looks."""
WINDOW: Final = 5
"""Looks that a plain threshold's window spans."""
CONFIDENCE: Final = 95.0
LIMIT, OLD, TIMES = 0.01, 0.01, 2.0
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "judging.md"
BEGIN, END = "<!-- simulation -->\n", "<!-- end of simulation -->"


@dataclass(frozen=True, slots=True)
class Truth:
    """What is simulated: new's true share of failures, and how many items fail as one."""

    share: float
    relative: bool = False
    burst: int = 1

    @property
    def side(self) -> int:
        """-1 where new is better than the limit, 1 where it is worse, 0 at the limit."""
        limit = TIMES * OLD if self.relative else LIMIT
        return (self.share > limit) - (self.share < limit)

    @property
    def label(self) -> str:
        """It in words."""
        if self.relative:
            return f"{self.share / OLD:g} times old, limit {TIMES:g} times"
        bursts = f", in bursts of {self.burst}" if self.burst > 1 else ""
        return f"{self.share * 100:g} %{bursts}, limit {LIMIT * 100:g} %"


TRUTHS: Final = (
    *(Truth(share) for share in (0.002, 0.005, 0.008, 0.01, 0.0125, 0.02)),
    *(Truth(share, relative=True) for share in (0.01, 0.015, 0.02, 0.03, 0.04)),
    Truth(0.01, burst=10),
)


@dataclass(slots=True)
class Tally:
    """Runs by what came of them. `passes` and `backs`: with confidence, of which one comes first and the other never;
    `plain_*` likewise by a threshold, where a run may have either, at different looks."""

    runs: int = 0
    passes: int = 0
    backs: int = 0
    plain_passes: int = 0
    plain_backs: int = 0


def simulate(truth: Truth, *, runs: int, looks: int, seed: int = 1) -> Tally:
    """So many runs of so many looks."""
    rng = random.Random(f"{seed}/{truth}")
    draw_new, draw_old = _draws(rng, truth.share, truth.burst), _draws(rng, OLD, 1)
    tally = Tally()
    for _ in range(runs):
        tally.runs += 1
        _run(truth, list(_counted(draw_new, looks)), list(_counted(draw_old, looks)) if truth.relative else [], tally)
    return tally


def _run(truth: Truth, new: list[int], old: list[int], tally: Tally) -> None:
    sure = next((sure for sure in _verdicts(new, old) if sure is not Sure.OPEN), Sure.OPEN)
    tally.passes += sure is Sure.BELOW
    tally.backs += sure is Sure.ABOVE
    passed = back = False
    for at in range(WINDOW, len(new)):
        hits = new[at] - new[at - WINDOW]
        most = TIMES * (old[at] - old[at - WINDOW]) if truth.relative else LIMIT * WINDOW * EVENTS
        if truth.relative and not most:
            continue  # a multiple of nothing is no limit
        passed, back = passed or hits < most, back or hits > most
        if passed and back:
            break
    tally.plain_passes += passed
    tally.plain_backs += back


def _verdicts(new: list[int], old: list[int]) -> Iterator[Sure]:
    for at in range(1, len(new)):
        counts = Counts(new[at], at * EVENTS)
        if old:
            yield sequences.ratio(counts, Counts(old[at], at * EVENTS), TIMES, CONFIDENCE)
        else:
            yield sequences.share(counts, LIMIT, CONFIDENCE)


def _counted(draw: Callable[[], int], looks: int) -> Iterator[int]:
    """Failures up to each look, from none."""
    return accumulate((draw() for _ in range(looks)), initial=0)


def _draws(rng: random.Random, share: float, burst: int) -> Callable[[], int]:
    """Failures between two looks, of items that fail so many as one."""
    items = EVENTS // burst
    odds = [comb(items, hits) * share**hits * (1 - share) ** (items - hits) for hits in range(items + 1)]
    steps = list(accumulate(odds))
    return lambda: burst * min(items, bisect(steps, rng.random()))


def table(tallies: dict[Truth, Tally]) -> str:
    """In Markdown. What is wrong of a verdict depends on the truth: at the limit, whatever is decided."""
    lines = [
        "| truth | wrong passes | wrong rollbacks | decided rightly | plain: wrong passes | plain: wrong rollbacks |",
        "|---|---|---|---|---|---|",
    ]
    for truth, tally in tallies.items():

        def told(number: int, is_so: bool, runs: int = tally.runs) -> str:
            return f"{100 * number / runs:.2f} %" if is_so else "-"

        bad, good = truth.side >= 0, truth.side <= 0
        right = tally.passes if truth.side < 0 else tally.backs
        cells = (
            truth.label,
            told(tally.passes, bad),
            told(tally.backs, good),
            told(right, truth.side != 0),
            told(tally.plain_passes, bad),
            told(tally.plain_backs, good),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the table into the page."""
    tallies: dict[Truth, Tally] = {}
    for truth in TRUTHS:
        tallies[truth] = simulate(truth, runs=RUNS, looks=LOOKS)
        print(table({truth: tallies[truth]}).splitlines()[-1], flush=True)
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table(tallies)}{END}{rest.split(END)[1]}", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

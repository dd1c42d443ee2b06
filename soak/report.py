"""docs/endurance.md and its plot, written by the run itself."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path

from bench.world import machine

from soak import plot as drawing
from soak import samples
from soak.judges import Verdict
from soak.plot import Band, Line, Panel
from soak.run import Outcome
from soak.samples import Sample

ROOT = Path(__file__).resolve().parent.parent
PAGE, IMAGE = ROOT / "docs" / "endurance.md", ROOT / "docs" / "images" / "soak.svg"


def table(verdicts: Sequence[Verdict]) -> str:
    """What was judged."""
    lines = ["| | measured | bound | within |", "|---|---|---|---|"]
    lines += [f"| {v.what} | {v.measured} | {v.bound} | {'yes' if v.passed else 'NO'} |" for v in verdicts]
    return "\n".join(lines)


def page(outcome: Outcome, verdicts: Sequence[Verdict], seed: int) -> str:
    """The whole page."""
    passes = sum(each.passes for each in outcome.samples)
    runs = outcome.runs
    wrong = [f"- {text}" for each in verdicts for text in each.wrong]
    restarts = sum(outcome.starts.values()) - len(outcome.starts)
    told = [
        f"A run of {outcome.minutes} minutes, seed {seed}, on {_machine()}.",
        f"{passes} passes; {outcome.created} SyncRollouts with {sum(runs.values())} runs, of which",
        f"{runs['Completed']} completed and {runs['RolledBack']} were rolled back",
        f"({runs['left']} were cut short by a deletion, or by the next one); {restarts} restarts of the operator;",
        f"{len(outcome.outages)} outages. One second is {outcome.factor / 60:.0f} minutes of the plan.",
    ]
    away = [f"| {what} | {count} | {took:.0f} |" for what, count, took in _away(outcome)]
    faults = [f"| {name} | {count} |" for name, count in sorted(outcome.faults.items())]
    unconfirmed = outcome.unconfirmed
    return "\n".join(
        [
            HEAD,
            *told,
            "",
            "![memory, lateness, requests and objects over the run](images/soak.svg)",
            "",
            table(verdicts),
            "",
            *(["What was wrong:", "", *wrong] if wrong else ["Nothing was wrong."]),
            "",
            "| what was done | times |",
            "|---|---|",
            *faults,
            "",
            "| what was away | times | seconds in all |",
            "|---|---|---|",
            *away,
            "",
            f"{UNCONFIRMED} {len(unconfirmed) or 'none'}.",
            "",
            textwrap.fill(", ".join(unconfirmed), 118, break_long_words=False, break_on_hyphens=False),
            "",
            BOUNDS,
        ]
    )


def _machine() -> str:
    """What it ran on, with the revision that the operator is of: later ones have not changed it."""
    last = ["git", "log", "-1", "--format=%h", "--", "operator"]
    found = subprocess.run(last, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return f"{machine().rpartition(', revision')[0]}, revision {found or 'unknown'}"


def _away(outcome: Outcome) -> list[tuple[str, int, float]]:
    """By what was away: how often, and how many seconds in all."""
    names = sorted({each.what for each in outcome.outages})
    return [(name, len(took), sum(took)) for name in names if (took := _took(outcome, name))]


def _took(outcome: Outcome, what: str) -> list[float]:
    return [each.until - each.since for each in outcome.outages if each.what == what]


def publish(text: str, picture: str) -> None:
    """Into docs/."""
    IMAGE.parent.mkdir(exist_ok=True)
    IMAGE.write_text(picture)
    PAGE.write_text(text)
    print(f"written: {PAGE.relative_to(ROOT)}, {IMAGE.relative_to(ROOT)}", flush=True)


def write_samples(path: Path, outcome: Outcome) -> None:
    """All samples, as CSV."""
    samples.write(path, outcome.samples)
    print(f"written: {path}", flush=True)


def plot(outcome: Outcome) -> str:
    """The picture."""
    rows = outcome.samples
    minutes = [_minutes(before, now) for before, now in zip([None, *rows], rows, strict=False)]
    panels = [
        Panel(
            "memory, MB",
            [Line("leader", _leading(rows)), Line("standby", [(r.time, r.standby_rss or None) for r in rows])],
        ),
        Panel(
            "lateness, s",
            [Line("p99 <=", [(r.time, r.p99) for r in rows]), Line("median <=", [(r.time, r.p50) for r in rows])],
            ladder=True,
        ),
        Panel(
            "a minute",
            [
                Line("passes", [(r.time, r.passes / m) for r, m in zip(rows, minutes, strict=True)]),
                Line("requests", [(r.time, r.asked / m) for r, m in zip(rows, minutes, strict=True)]),
                Line(
                    "of them patches",
                    [(r.time, r.requests.get("patch", 0) / m) for r, m in zip(rows, minutes, strict=True)],
                ),
            ],
        ),
        Panel(
            "objects",
            [
                Line(kind, [(r.time, float(r.counts.get(kind, 0))) for r in rows])
                for kind in ("Job", "ConfigMap", "SyncRollout", "PrometheusRule")
            ],
        ),
    ]
    bands = [Band(each.what, each.since - outcome.began, each.until - outcome.began) for each in outcome.outages]
    forward, back = (moment - outcome.began for moment in outcome.changes)
    marks = [(forward, "clocks forward"), (back, "clocks back")]
    title = f"Endurance: {outcome.minutes} minutes, bands are outages"
    return drawing.svg(title, max(rows[-1].time, 60.0 * outcome.minutes), panels, bands=bands, marks=marks)


def _minutes(before: Sample | None, now: Sample) -> float:
    return max(now.time - (before.time if before is not None else 0.0), 0.1) / 60


def _leading(rows: Sequence[Sample]) -> list[tuple[float, float | None]]:
    """Interrupted where another process leads."""
    found: list[tuple[float, float | None]] = []
    leader = ""
    for each in rows:
        if each.leader != leader:
            found.append((each.time, None))
        leader = each.leader
        found.append((each.time, each.rss or None))
    return found


HEAD = """# Endurance

Made by `make soak` (`MINUTES=45` unless given, 60 at most; `SEED=1`). The five weeks of [the
flagship](../manifests/examples/listing-sync/20-syncrollout.yaml) in compressed time, on real parts: Kubernetes 1.37
API server and controllers, Prometheus, Alertmanager, two replicas of the operator under the rights of `manifests/`,
the flagship's workers as processes. Beside it small rollouts of seven kinds start over and over: they complete, are
rolled back, are tried again, are deleted and made anew. Nodes and other pods are fake ones; no proxy stands in front.

One function makes every duration of the plan shorter (`soak/compress.py`): a day is the same part of the run as of
five weeks, but nothing gets shorter than what real parts need to react. A town of the run's own (`soak/zone.py`) puts
its clocks forward and back while the run lasts, with windows in the hour that is missing and in the one that comes
twice; the machine's clock is left alone.

Faults come one after another, in an order that follows from the seed (`soak/faults.py`). After two fifths of the run
only the replica that does not lead is restarted, so that one process leads through the whole second half: what it
holds is judged over that half. At the end everything is let come to rest, and then judged (`soak/judges.py` has the
reason for each bound). The command ends with 1 and a sentence for each thing that is wrong.

The lateness of passes is not judged while something that the operator needs is away: nobody leads, Prometheus does not
answer, or the machine is so busy with something else that a bare request of the run itself takes the API server more
than a second.

## What came of it
"""
UNCONFIRMED = """Messages that are recorded as Unconfirmed (whether they were sent nobody knows, for the process was
killed in between, or the answer was lost; they are not sent again):"""
BOUNDS = """## What it says nothing of

Weeks of real time: what grows by the clock and not by what is done is seen for the length of the run alone. A busy
cluster: there are some twenty rollouts; [benchmarks.md](benchmarks.md) has a thousand. Real nodes: a drain evicts
fake pods (those of the flagship are processes) by the eviction API and their budgets.
"""


__all__ = ["page", "plot", "publish", "table", "write_samples"]

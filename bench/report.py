"""Putting figures beside the recorded peers', and writing them down."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what, ours, the target, and what the peers measured, recorded on another day."""

    what: str
    ours: str
    target: str
    argo: str = "-"
    flagger: str = "-"
    baseline: str = "-"
    """The figure as a multiple of a bare request in the same run."""


@dataclass(slots=True)
class Report:
    """All rows of a run, by section."""

    sections: list[tuple[str, str, list[Row]]] = field(default_factory=list)

    def section(self, title: str, text: str, rows: list[Row]) -> None:
        """Add a section, and print it at once."""
        self.sections.append((title, text, rows))
        print("\n".join(self._lines(title, text, rows)), flush=True)

    @staticmethod
    def _lines(title: str, text: str, rows: list[Row]) -> list[str]:
        lines = [f"## {title}", "", text, ""]
        lines.append("| | SyncRollout | target | Argo Rollouts 1.10 | Flagger 1.44 | against a baseline of this run |")
        lines.append("|---|---|---|---|---|---|")
        lines += [f"| {r.what} | {r.ours} | {r.target} | {r.argo} | {r.flagger} | {r.baseline} |" for r in rows]
        return [*lines, ""]

    def markdown(self, machine: str) -> str:
        """The whole page."""
        head = [
            "# Benchmarks",
            "",
            "Made by `make bench`, on real parts: Kubernetes 1.37 API server, Prometheus scraping every second, fake",
            f"nodes. This page: {machine}.",
            "",
            "The peers' figures were recorded on one 2-core machine against the same parts, not in this run: absolute",
            "times vary with the machine, counts do not. The last column holds a figure against bare requests that",
            "were timed in this very run.",
            "",
        ]
        body = [line for title, text, rows in self.sections for line in self._lines(title, text, rows)]
        return "\n".join(head + body)


def spread(seconds: Sequence[float], digits: int = 2) -> str:
    """minimum / **median** / maximum, in seconds."""
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{low:.{digits}f} / **{middle:.{digits}f}** / {high:.{digits}f} s"


def times(seconds: Sequence[float], baseline: dict[str, float]) -> str:
    """The median as a multiple of each bare request."""
    middle = statistics.median(seconds)
    return ", ".join(f"{middle / value:.0f} x {what}" for what, value in baseline.items())

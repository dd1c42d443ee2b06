"""What was lately read of a rollout's metrics, as sparklines: for those who look whether something is coming."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.cli.measuring import Measuring, Silent
from syncrollout.cli.moments import when
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.table import aligned
from syncrollout.observe.queries import QueryError, fill
from syncrollout.ports import Endpoint

LOOK_BACK: Final = 3600.0
"""Seconds that are shown."""
WIDTH: Final = 40
"""Characters of a sparkline."""
TIMEOUT: Final = 5.0
"""Seconds that Prometheus has for each question."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = "·"
_INDENT: Final = "  "


def spark(samples: Sequence[tuple[float, float]], start: float, end: float, width: int = WIDTH) -> str:
    """A line of bars over the time from `start` to `end`: of each stretch the greatest, a dot where there is none. The
    lowest bar is the least of all, or 0 where all are the same."""
    cells: list[float | None] = [None] * width
    for moment, value in samples:
        place = min(width - 1, max(0, int((moment - start) / (end - start) * width)))
        before = cells[place]
        if math.isfinite(value):
            cells[place] = value if before is None else max(before, value)
    known = [each for each in cells if each is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    return "".join(_GAP if each is None else _BARS[_height(each, low, high)] for each in cells)


def _height(value: float, low: float, high: float) -> int:
    return 0 if high <= low else round((value - low) / (high - low) * (len(_BARS) - 1))


def section(rollout: Rollout, raw: Callable[[str], str], now: float) -> list[str]:
    """Each metric that the present phase and the triggers go by, over the last hour. Where there is no Prometheus, or
    it does not answer from here, that is said."""
    prometheus = rollout.spec.prometheus
    asked = {each.metric: each.limit for each in reversed(rollout.status.criteria)}
    metrics = [each for each in rollout.spec.metrics if each.name in asked]
    if prometheus is None or not metrics:
        return ["Readings: no criterion that is judged now goes by a metric"]
    try:
        measuring = Measuring.found(Endpoint(prometheus.address), raw, timeout=TIMEOUT, now=now, look_back=LOOK_BACK)
    except Silent as silent:
        return [f"Readings: not shown, for Prometheus does not answer from here: {silent}"]
    phase = rollout.status.phase.name if rollout.status.phase is not None else rollout.spec.phases[0].name
    queries, failed = {}, {}
    for metric in metrics:
        try:
            queries[metric.name] = fill(metric, rollout.spec.new, rollout.namespace, phase)
        except QueryError as error:
            failed[metric.name] = str(error)
    series, refused = measuring.all(queries)
    rows = []
    for metric in metrics:
        samples = series.get(metric.name, ())
        line = spark(samples, now - LOOK_BACK, now)
        why = (failed | refused).get(metric.name, "" if samples else "no data")
        rows.append([metric.name, line, why.partition("; query: ")[0] or _said(samples, metric.unit or "")])
    title = f"Readings of new, the last {format_duration(LOOK_BACK)} to {when(now)}"
    return [title, *aligned(rows, _INDENT)]


def _said(samples: Sequence[tuple[float, float]], unit: str) -> str:
    values = [value for _, value in samples]
    return f"{values[-1]:.4g} {unit}".rstrip() + f" ({min(values):.4g} to {max(values):.4g})"


__all__ = ["LOOK_BACK", "section", "spark"]

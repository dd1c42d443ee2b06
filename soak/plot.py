"""The plot of a run: SVG that stands alone, in light and dark, with no script and nothing that is fetched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

LEFT, WIDE, RIGHT = 62, 760, 130
TOP, HIGH, BETWEEN = 44, 128, 46
_STYLE = """
  svg { font: 12px system-ui, sans-serif; color-scheme: light dark; --ink: #1d2430; --soft: #667; --line: #d5d9e0;
        --paper: #fff; --c0: #2f6fb3; --c1: #c05630; --c2: #1f7a4d; --c3: #7a4fb3; --c4: #8d99ae; --away: #c0563026; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6e9ef; --soft: #9aa3b2; --line: #39414f; --paper: #161a21; --c0: #4f8fd3; --c1: #e0825a;
          --c2: #39a06d; --c3: #a98be0; --c4: #6b7689; --away: #e0825a33; }
  }
  .paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 11px; }
  .grid { stroke: var(--line); } .away { fill: var(--away); } .change { stroke: var(--soft); stroke-dasharray: 4 3; }
  polyline { fill: none; stroke-width: 1.5; }
  .c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
  .c4 { stroke: var(--c4); } text.c0 { fill: var(--c0); stroke: none; } text.c1 { fill: var(--c1); stroke: none; }
  text.c2 { fill: var(--c2); stroke: none; } text.c3 { fill: var(--c3); stroke: none; }
  text.c4 { fill: var(--c4); stroke: none; }"""


@dataclass(frozen=True)
class Line:
    """One line: points as seconds of the run and value; None interrupts it."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Panel:
    """Lines with a scale of their own. `ladder`: the scale has the steps 0.01, 0.1, 1, 10 instead of equal ones."""

    title: str
    lines: Sequence[Line]
    ladder: bool = False


@dataclass(frozen=True)
class Band:
    """A stretch of the run in which something was away."""

    name: str
    since: float
    until: float


def svg(
    title: str, seconds: float, panels: Sequence[Panel], *, bands: Iterable[Band], marks: Iterable[tuple[float, str]]
) -> str:
    """The panels one under another, with bands and marks through all of them."""
    height = TOP + len(panels) * (HIGH + BETWEEN)
    width = LEFT + WIDE + RIGHT

    def x(moment: float) -> float:
        return round(LEFT + WIDE * min(max(moment / seconds, 0.0), 1.0), 1)

    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text x="12" y="22">{escape(title)}</text>',
    ]
    bottom = height - BETWEEN
    for band in bands:
        wide = max(1.0, x(band.until) - x(band.since))
        place = f'x="{x(band.since)}" y="{TOP}" width="{wide:.1f}" height="{bottom - TOP}"'
        made.append(f'<rect class="away" {place}><title>{escape(band.name)}</title></rect>')
    for moment, name in marks:
        made.append(f'<line class="change" x1="{x(moment)}" x2="{x(moment)}" y1="{TOP - 6}" y2="{bottom}"/>')
        made.append(f'<text class="soft" x="{x(moment) + 3}" y="{TOP - 8}">{escape(name)}</text>')
    for number, panel in enumerate(panels):
        made += _panel(panel, TOP + number * (HIGH + BETWEEN), x)
    step = max(1, round(seconds / 60 / 9))
    for minute in range(0, int(seconds / 60) + 1, step):
        made.append(
            f'<text class="soft" x="{x(minute * 60)}" y="{bottom + 18}" text-anchor="middle">{minute} min</text>'
        )
    return "\n".join([*made, "</svg>", ""])


def _panel(panel: Panel, top: float, x: Callable[[float], float]) -> list[str]:
    values = [value for line in panel.lines for _, value in line.points if value is not None]
    steps = _ladder(values) if panel.ladder else _steps(values)
    low, high = steps[0], steps[-1]

    def y(value: float) -> float:
        if panel.ladder:
            share = (math.log10(max(value, low)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        else:
            share = (value - low) / (high - low)
        return round(top + HIGH * (1.0 - min(max(share, 0.0), 1.0)), 1)

    made = [f'<text x="{LEFT + WIDE + 10}" y="{top + 10}">{escape(panel.title)}</text>']
    for step in steps:
        made.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDE}" y1="{y(step)}" y2="{y(step)}"/>')
        made.append(f'<text class="soft" x="{LEFT - 6}" y="{y(step) + 4}" text-anchor="end">{step:g}</text>')
    for number, line in enumerate(panel.lines):
        made.append(
            f'<text class="c{number}" x="{LEFT + WIDE + 10}" y="{top + 28 + 16 * number}">{escape(line.name)}</text>'
        )
        for points in _unbroken(line.points):
            text = " ".join(f"{x(moment)},{y(value)}" for moment, value in points)
            made.append(f'<polyline class="c{number}" points="{text}"/>')
    return made


def _unbroken(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for moment, value in points:
        if value is None:
            found.append([])
        else:
            found[-1].append((moment, value))
    return [part for part in found if part]


def _steps(values: Sequence[float]) -> list[float]:
    """From 0 up to beyond the greatest, in steps that are easily read."""
    greatest = max([*values, 1e-9])
    rough = greatest / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [round(step * number, 9) for number in range(math.ceil(greatest / step) + 1)]


def _ladder(values: Sequence[float]) -> list[float]:
    greatest = max([*values, 1.0])
    steps = [0.01, 0.1, 1.0]
    while steps[-1] < greatest:
        steps.append(steps[-1] * 10)
    return steps


__all__ = ["Band", "Line", "Panel", "svg"]

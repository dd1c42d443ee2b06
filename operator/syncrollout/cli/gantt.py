"""A timeline as a picture: SVG that stands alone, and text that mermaid draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from syncrollout.cli.timetable import Planned, label, shown
from syncrollout.decide.calendar import Stretch
from syncrollout.decide.timeline import Row, Stage

_LEFT: Final = 190
_WIDE: Final = 760
_HIGH: Final = 30
_TOP: Final = 56
_NARROW: Final = 44
"""A bar that is no wider has its weight beside it."""
_MOST_MARKS: Final = 26
"""Weeks that are marked; where there are more, every second one is, and so on."""
_STYLE: Final = """
  svg { font: 13px system-ui, sans-serif; color-scheme: light dark; --ink: #1d2430; --soft: #667; --line: #d5d9e0;
        --paper: #fff; --past: #8d99ae; --now: #1f7a4d; --coming: #2f6fb3; --frozen: #c0563022; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6e9ef; --soft: #9aa3b2; --line: #39414f; --paper: #161a21; --past: #6b7689; --now: #39a06d;
          --coming: #4f8fd3; --frozen: #e0825a33; }
  }
  .paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 11px; }
  .week { stroke: var(--line); } .today { stroke: var(--now); stroke-dasharray: 4 3; } .frozen { fill: var(--frozen); }
  .Past { fill: var(--past); } .Now { fill: var(--now); } .Coming { fill: var(--coming); }
  .on { fill: #fff; font-size: 11px; }"""


def svg(planned: Planned, freezes: tuple[Stretch, ...] = ()) -> str:
    """A picture of its own, in light and dark, with no script and nothing that is fetched."""
    rows = [row for row in planned.line.rows if row.start is not None]
    first, last = _span(planned, rows)
    per_second = _WIDE / (last - first)
    height = _TOP + _HIGH * len(rows) + 14

    def x(moment: float) -> float:
        return round(_LEFT + (min(max(moment, first), last) - first) * per_second, 1)

    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + 20} {height}" role="img">',
        f"<title>Plan of {escape(planned.rollout)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_LEFT + _WIDE + 20}" height="{height}"/>',
        f'<text x="12" y="24">{escape(planned.rollout)}</text>',
        f'<text x="12" y="42" class="soft">{escape(planned.line.zone)}</text>',
    ]
    for freeze in freezes:
        if freeze.until > first and freeze.since < last:
            wide = x(freeze.until) - x(freeze.since)
            name = f"freeze{f': {freeze.reason}' if freeze.reason else ''}"
            made.append(
                f'<rect class="frozen" x="{x(freeze.since)}" y="{_TOP - 8}" width="{wide:.1f}" '
                f'height="{height - _TOP}"><title>{escape(name)}</title></rect>'
            )
    for moment, name in _weeks(planned, first, last):
        made.append(f'<line class="week" x1="{x(moment)}" x2="{x(moment)}" y1="{_TOP - 8}" y2="{height - 8}"/>')
        made.append(f'<text class="soft" x="{x(moment) + 3}" y="{_TOP - 14}">{name}</text>')
    if first < planned.now < last:
        made.append(f'<line class="today" x1="{x(planned.now)}" x2="{x(planned.now)}" y1="{_TOP - 8}" y2="{height}"/>')
    for place, row in enumerate(rows):
        made += _bar(planned, row, _TOP + _HIGH * place, x)
    return "\n".join([*made, "</svg>"])


def _bar(planned: Planned, row: Row, top: int, x: Callable[[float], float]) -> Iterator[str]:
    """The line of one phase."""
    assert row.start is not None
    left = x(row.start)
    end = row.end if row.end is not None else row.start
    wide = max(4.0, round(x(end) - left, 1))
    said = f"{label(row)}: {row.weight} %, from {shown(planned, row.start)}"
    said += f" to {shown(planned, row.end)}" if row.end is not None else ""
    yield f'<text x="12" y="{top + 19}">{escape(label(row))}</text>'
    yield f"<g><title>{escape(said)}</title>"
    yield f'<rect class="{row.stage.value}" x="{left}" y="{top + 4}" width="{wide}" height="{_HIGH - 10}" rx="3"/>'
    where, kind, anchor = (left + 6, "on", "start") if wide > _NARROW else (left + wide + 5, "soft", "start")
    if wide <= _NARROW and left + wide + _NARROW > _LEFT + _WIDE:
        where, anchor = left - 5, "end"
    yield f'<text class="{kind}" x="{where:.1f}" y="{top + 18}" text-anchor="{anchor}">{row.weight} %</text></g>'


def mermaid(planned: Planned) -> str:
    """A Gantt chart as text, as Markdown on GitHub and GitLab draws it."""
    made = [
        "gantt",
        f"    title {_plain(planned.rollout)} ({planned.line.zone})",
        "    dateFormat YYYY-MM-DD HH:mm",
        "    axisFormat %m-%d",
        "    tickInterval 1week",
        "    weekday monday",
    ]
    kinds = {Stage.PAST: "done, ", Stage.NOW: "active, "}
    for place, row in enumerate(planned.line.rows):
        if row.start is None:
            continue
        ends = row.end is not None and _minute(planned, row.end) != _minute(planned, row.start)
        kind = kinds.get(row.stage, "") + ("" if ends else "milestone, ")
        to = _minute(planned, row.end) if ends and row.end is not None else "0d"
        made.append(f"    section {_plain(label(row))}")
        made.append(f"    {row.weight} % :{kind}p{place}, {_minute(planned, row.start)}, {to}")
    return "\n".join(made)


def _plain(words: str) -> str:
    """Without what mermaid reads as its own."""
    return "".join(" " if each in ":;#," else each for each in words)


def _minute(planned: Planned, moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, ZoneInfo(planned.line.zone)):%Y-%m-%d %H:%M}"


def _span(planned: Planned, rows: list[Row]) -> tuple[float, float]:
    moments = [each for row in rows for each in (row.start, row.end) if each is not None]
    moments += [planned.line.completes] if planned.line.completes is not None else []
    first, last = min(moments, default=planned.now), max(moments, default=planned.now)
    return first, max(last, first + 3600.0) + 0.02 * (last - first)


def _weeks(planned: Planned, first: float, last: float) -> Iterator[tuple[float, str]]:
    """The Mondays of a span, with their dates."""
    zone = ZoneInfo(planned.line.zone)
    monday = planned.days(1)[0]
    count = int((last - first) // (7 * 86_400)) + 2
    for week in range(0, count, 1 + count // _MOST_MARKS):
        day = monday + timedelta(weeks=week)
        at = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
        if first <= at <= last:
            yield at, f"{day:%m-%d}"


__all__ = ["mermaid", "svg"]

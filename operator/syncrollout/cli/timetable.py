"""A timeline in words: as a table, as Markdown week by week, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from syncrollout.api.fields import format_duration, format_time
from syncrollout.cli.table import aligned
from syncrollout.decide import calendar
from syncrollout.decide.timeline import Row, Stage, Timeline

NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Planned:
    """What is planned: whose timeline, as of when."""

    rollout: str
    """Namespace and name."""
    line: Timeline
    now: float

    @property
    def first(self) -> float:
        """When it begins."""
        return next((row.start for row in self.line.rows if row.start is not None), self.now)

    def day(self, moment: float) -> date:
        """The day of a moment, in the time zone of the timeline."""
        return datetime.fromtimestamp(moment, ZoneInfo(self.line.zone)).date()

    def week(self, moment: float) -> int:
        """The week of a moment, from 1; weeks begin on Monday, the first is that of the beginning."""
        return (_monday(self.day(moment)) - _monday(self.day(self.first))).days // 7 + 1

    def days(self, week: int) -> tuple[date, date]:
        """The first and the last day of a week."""
        first = _monday(self.day(self.first)) + timedelta(weeks=week - 1)
        return first, first + timedelta(days=6)


def text(planned: Planned) -> str:
    """For people at a terminal."""
    titles = ["WEEK", "PHASE", "WEIGHT", "BEGINS", "ENDS", "LASTS", "NOTES"]
    rows = [titles] + [_cells(planned, row) for row in planned.line.rows]
    return "\n".join([f"{planned.rollout}: {_title(planned)}", "", *aligned(rows), "", *_below(planned)]).rstrip()


def markdown(planned: Planned) -> str:
    """For a document: a table of the phases, and what happens in each week."""
    titles = ["Week", "Phase", "Weight of new", "Begins", "Ends", "Lasts", "Notes"]
    rows = [titles, ["---"] * len(titles)] + [_cells(planned, row) for row in planned.line.rows]
    made = [f"# Plan of {planned.rollout}", "", _title(planned)[:1].upper() + _title(planned)[1:] + ".", ""]
    made += [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows]
    for week, happenings in _weeks(planned).items():
        first, last = planned.days(week)
        made += ["", f"## Week {week}: {first} to {last}", "", *(f"- {each}" for each in happenings)]
    below = _below(planned)
    return "\n".join([*made, *(["", *(f"- {each}" for each in below)] if below else [])])


def as_data(planned: Planned) -> dict[str, Any]:
    """For programs. Times are RFC 3339 in UTC."""
    line = planned.line
    return {
        "rollout": planned.rollout,
        "at": format_time(planned.now),
        "timezone": line.zone,
        "starts": _time(line.starts),
        "completes": _time(line.completes),
        "watchedUntil": _time(line.watched_until),
        "phases": [
            {
                "number": row.number,
                "phase": row.phase,
                "weight": row.weight,
                "stage": row.stage.value,
                "start": _time(row.start),
                "end": _time(row.end),
                "durationSeconds": row.duration,
                "waits": row.waits,
                "notes": list(row.notes),
            }
            for row in line.rows
        ],
        "notes": list(line.notes),
    }


def label(row: Row) -> str:
    """A phase with its place, such as ``2 small-traffic``."""
    return f"{row.number} {row.phase}" if row.number else row.phase


def _cells(planned: Planned, row: Row) -> list[str]:
    begins = [] if row.start is None else [planned.week(row.start)]
    ends = begins if row.end is None else [planned.week(row.end)]
    weeks = "-".join(str(each) for each in dict.fromkeys((*begins, *ends)))
    lasts = row.end - row.start if row.start is not None and row.end is not None else row.duration
    if row.stage is Stage.COMING and row.end is not None:
        lasts = row.duration
    waited = (row.waits,) if row.waits else ()
    mark = {Stage.NOW: ("now",), Stage.NEVER: ("not reached",)}.get(row.stage, ())
    return [
        weeks or NOTHING,
        label(row),
        f"{row.weight} %",
        _shown(planned, row.start),
        _shown(planned, row.end),
        format_duration(lasts) if lasts else NOTHING,
        "; ".join((*mark, *waited, *row.notes)),
    ]


def _shown(planned: Planned, moment: float | None) -> str:
    return NOTHING if moment is None else shown(planned, moment)


def shown(planned: Planned, moment: float) -> str:
    """With the day of the week, such as ``Mon 2026-12-07 10:00 JST``."""
    return f"{planned.day(moment):%a} {calendar.shown(planned.line.zone, moment)}"


def _title(planned: Planned) -> str:
    line = planned.line
    if line.over:
        ended = f"completed {shown(planned, line.completes)}" if line.completes is not None else "was rolled back"
        return f"the run {ended}"
    count = planned.week(line.completes) if line.completes is not None else 0
    weeks = f", {count} {'week' if count == 1 else 'weeks'}"
    ends = f"complete {shown(planned, line.completes)} at the earliest{weeks}" if line.completes is not None else "open"
    began = line.rows[0].stage is not Stage.COMING
    starts = _shown(planned, line.starts)
    return f"began {starts}, {ends}" if began else f"begins {starts} at the earliest, {ends}"


def _below(planned: Planned) -> list[str]:
    line = planned.line
    made = [f"Watched until {shown(planned, line.watched_until)}."] if line.watched_until is not None else []
    if not line.over:
        made.append("Dates to come are the earliest ones: criteria, and people, may hold a phase for longer.")
    return made + [f"{each[:1].upper()}{each[1:]}." for each in line.notes]


def _weeks(planned: Planned) -> dict[int, list[str]]:
    """What happens in each week in which something does."""
    found: dict[int, list[str]] = {}
    for moment, said in sorted(_happenings(planned), key=lambda each: each[0]):
        found.setdefault(planned.week(moment), []).append(f"{shown(planned, moment)}: {said}")
    return found


def _happenings(planned: Planned) -> Iterator[tuple[float, str]]:
    line = planned.line
    for row in line.rows:
        if row.start is not None:
            notes = f" ({'; '.join(row.notes)})" if row.notes else ""
            yield row.start, f"{label(row)} {'began' if row.start <= planned.now else 'begins'}: {row.weight} %{notes}"
    if line.completes is not None:
        yield line.completes, "completed" if line.completes <= planned.now else "complete, at the earliest"
    if line.watched_until is not None:
        yield line.watched_until, "the watch after completion ends"


def _time(moment: float | None) -> str | None:
    return None if moment is None else format_time(moment)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


__all__ = ["Planned", "as_data", "label", "markdown", "shown", "text"]

"""A backtest's story for people, and as JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from syncrollout.api.fields import format_duration, format_time
from syncrollout.backtest.ideal import ASSUMED
from syncrollout.backtest.story import Extremes, Hold, Outcome, Story, Visit


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked and what it cost. Times are seconds since the epoch, durations seconds."""

    rollout: str
    address: str
    start: float
    end: float
    step: float
    queries: int
    requests: int
    took: float
    warnings: tuple[str, ...] = ()
    """What Prometheus said against its own answers."""


def as_json(story: Story, asked: Asked) -> dict[str, Any]:
    """All of it; `outcome` decides the exit code."""
    back = story.back
    return {
        "rollout": asked.rollout,
        "prometheus": asked.address,
        "from": format_time(asked.start),
        "to": format_time(asked.end),
        "stepSeconds": asked.step,
        "outcome": story.outcome.value,
        "exitCode": story.outcome.exit_code,
        "message": story.message,
        "completed": format_time(story.completed) if story.completed is not None else None,
        "watchedUntil": format_time(story.watched_until) if story.watched_until is not None else None,
        "ended": format_time(story.ended),
        "notStarted": [_hold(each) for each in story.before],
        "phases": [_visit(each) for each in story.visits],
        "rollback": None
        if back is None
        else {
            "at": format_time(back.at),
            "phase": back.phase,
            "weight": back.weight,
            "message": back.message,
            "criterion": None
            if back.criterion is None
            else back.criterion.model_dump(mode="json", by_alias=True, exclude_none=True),
        },
        "warnings": list(asked.warnings),
        "assumed": list(ASSUMED),
        "queries": asked.queries,
        "requests": asked.requests,
        "looks": story.looks,
        "tookSeconds": round(asked.took, 3),
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "reason": hold.reason.value,
        "message": hold.message,
        "since": format_time(hold.since),
        "until": format_time(hold.until) if hold.until is not None else None,
    }


def _visit(visit: Visit) -> dict[str, Any]:
    return {
        "name": visit.name,
        "weight": visit.weight,
        "entered": format_time(visit.entered),
        "ended": format_time(visit.ended) if visit.ended is not None else None,
        "result": visit.result.value,
        "holds": [_hold(each) for each in visit.holds],
        "readings": [{"metric": name, **_extremes(seen)} for name, seen in visit.seen.items()],
    }


def _extremes(seen: Extremes) -> dict[str, Any]:
    return {
        "limits": list(seen.limits),
        "lowest": seen.lowest,
        "lowestAt": format_time(seen.lowest_at),
        "highest": seen.highest,
        "highestAt": format_time(seen.highest_at),
    }


# ------------------------------------------------------------------------------------------------ for people


def as_text(story: Story, asked: Asked) -> str:
    """What a person reads: the answer first, then how it came about, then what was assumed."""
    looked_at = f"{asked.rollout} from {_time(asked.start)} to {_time(asked.end)}"
    parts = [
        f"{_answer(story)}\n",
        f"{looked_at}, a reading every {format_duration(asked.step)} by {asked.address}\n",
        _table(("PHASE", "WEIGHT", "BEGINS", "LASTS", "RESULT"), [_row(each, story) for each in story.visits]),
        _table(("HELD", "SINCE", "FOR", "WHY"), _held(story)),
        _table(("METRIC", "PHASE", "LOWEST", "HIGHEST", "HIGHEST AT", "LIMITS"), _read(story.visits)),
        _list("Warned of:", asked.warnings),
        _list("Assumed:", ASSUMED),
        f"{asked.queries} queries in {asked.requests} requests, {story.looks} looks, {asked.took:.1f} s",
    ]
    return "\n".join(part for part in parts if part)


def _answer(story: Story) -> str:
    lasted = format_duration(story.ended - story.began)
    back = story.back
    match story.outcome:
        case Outcome.COMPLETES:
            return _completes(story)
        case Outcome.ROLLS_BACK if back is not None:
            lines = [f"Rolls back at {_time(back.at)}, after {lasted}, from {back.weight} %: {back.message}"]
            criterion = back.criterion
            if criterion is not None:
                held = criterion.held_since if criterion.held_since is not None else criterion.since
                since = f", so since {_time(held)}" if held < back.at else ""
                lines.append(f"Criterion {criterion.id}: {criterion.limit}{since}.")
            return "\n".join(lines)
        case Outcome.HOLDS:
            return f"Holds at {_time(story.ended)}, after {lasted}: {story.message}"
        case _:
            return f"Is still on its way at {_time(story.ended)}, after {lasted}: {story.message}"


def _completes(story: Story) -> str:
    completed = story.completed if story.completed is not None else story.ended
    text = f"Completes at {_time(completed)}, after {format_duration(completed - story.began)}"
    if story.watched_until is None:
        return f"{text}."
    seen = "" if story.ended >= story.watched_until else f", of which the time until {_time(story.ended)} was looked at"
    return f"{text}, and is watched until {_time(story.watched_until)}{seen}."


def _row(visit: Visit, story: Story) -> tuple[str, ...]:
    ended = visit.ended if visit.ended is not None else story.ended
    lasts = format_duration(ended - visit.entered) + ("" if visit.ended is not None else " so far")
    return visit.label, f"{visit.weight} %", _time(visit.entered), lasts, visit.result.value


def _held(story: Story) -> list[tuple[str, ...]]:
    rows = [("before the start", hold) for hold in story.before]
    rows += [(visit.label, hold) for visit in story.visits for hold in visit.holds]
    return [
        (
            label,
            _time(hold.since),
            format_duration((hold.until if hold.until is not None else story.ended) - hold.since)
            + ("" if hold.until is not None else " so far"),
            f"{hold.reason.value}: {hold.message}",
        )
        for label, hold in rows
    ]


def _read(visits: Iterable[Visit]) -> list[tuple[str, ...]]:
    rows = [
        (name, visit.label, f"{seen.lowest:.4g}", f"{seen.highest:.4g}", _time(seen.highest_at), "; ".join(seen.limits))
        for visit in visits
        for name, seen in visit.seen.items()
    ]
    return sorted(rows, key=lambda row: row[0])


def _list(head: str, several: Sequence[str]) -> str:
    return "\n".join([head, *(f"- {each}" for each in several)]) + "\n" if several else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in (head, *rows)
    ]
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    return format_time(seconds)[:19] + "Z"


__all__ = ["Asked", "as_json", "as_text"]

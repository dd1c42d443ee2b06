"""Whether a backup is recent enough, by what a metric reads or by a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncrollout.api.fields import format_duration, format_time
from syncrollout.api.spec import Backup
from syncrollout.decide.check_facts import SnapshotFact
from syncrollout.decide.facts import (
    Reading,
)

CLOCKS_DIFFER: Final = 60.0
"""Seconds by which the clocks of the storage and of the operator may differ."""


@dataclass(frozen=True, slots=True)
class There:
    """There is one; `said` says which."""

    said: str


def judge(asked: Backup, reading: Reading | None, snapshot: SnapshotFact | None, now: float) -> There | str:
    """That there is one that is recent enough, or why not, in words; empty where nobody has looked yet. One that a Job
    makes is none of these."""
    if asked.metric is not None:
        return _by_metric(asked.metric, asked.max_age or 0.0, reading)
    return _by_snapshot(snapshot, asked.max_age or 0.0, now)


def _by_metric(metric: str, most: float, reading: Reading | None) -> There | str:
    if reading is None:
        return ""
    if reading.value is None:
        return f"whether there is a backup is not known: metric {metric}: {reading.message}"
    age = format_duration(reading.value)
    if not 0 <= reading.value <= most:
        return f"the last backup is {age} old (metric {metric}), and may be {format_duration(most)} at most"
    return There(f"the last backup was {age} old (metric {metric})")


def _by_snapshot(fact: SnapshotFact | None, most: float, now: float) -> There | str:
    if fact is None:
        return ""
    if fact.taken is None:
        return f"there is no snapshot to go back to: {fact.text}"
    age = now - fact.taken
    if age < -CLOCKS_DIFFER:
        return f"{fact.text} is of {format_time(fact.taken)}, which is yet to come: look at the clocks"
    if age > most:
        return f"{fact.text} is {format_duration(age)} old, and may be {format_duration(most)} at most"
    return There(f"{fact.text} was {format_duration(age)} old")


__all__ = ["CLOCKS_DIFFER", "There", "judge"]

"""What is told of criteria, and does nothing else: triggers of severity Low that are breached, and criteria that are
ignored for want of data."""

from __future__ import annotations

from typing import Final

from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Reason, Severity, Unknown, Verdict
from syncrollout.decide.notes import Note

QUIET: Final = 3600.0
"""Seconds before what comes and goes is told again."""


def told(judged: tuple[CriterionStatus, ...], now: float) -> tuple[tuple[CriterionStatus, ...], tuple[Note, ...]]:
    """Told once when it is so, and again at the earliest after a while."""
    notes: list[Note] = []
    after: list[CriterionStatus] = []
    for criterion in judged:
        note = _note(criterion)
        if note is not None and _is_news(criterion, now):
            notes.append(note)
            after.append(criterion.model_copy(update={"told": now}))
        else:
            after.append(criterion)
    return tuple(after), tuple(notes)


def _note(criterion: CriterionStatus) -> Note | None:
    if criterion.unknown is Unknown.IGNORED:
        return Note(Reason.CRITERION_IGNORED, f"{criterion.message} ({criterion.id})")
    if criterion.severity is Severity.LOW and criterion.verdict is Verdict.FAIL:
        return Note(Reason.LOW_TRIGGER, f"{criterion.message} (Low trigger)", "Warning")
    return None


def _is_news(criterion: CriterionStatus, now: float) -> bool:
    if criterion.told is None:
        return True
    return criterion.since > criterion.told and now >= round(criterion.told + QUIET, 3)

"""Triggers of severity Low: they are told, and nothing else."""

from __future__ import annotations

from typing import Final

from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Reason, Severity, Verdict
from syncrollout.decide.notes import Note

QUIET: Final = 3600.0
"""Seconds before a trigger of severity Low that comes and goes is told again."""


def told(judged: tuple[CriterionStatus, ...], now: float) -> tuple[tuple[CriterionStatus, ...], tuple[Note, ...]]:
    """Triggers of severity Low: told once when they are breached, and again at the earliest after a while."""
    notes: list[Note] = []
    after: list[CriterionStatus] = []
    for criterion in judged:
        if criterion.severity is Severity.LOW and criterion.verdict is Verdict.FAIL and _is_news(criterion, now):
            notes.append(Note(Reason.LOW_TRIGGER, f"{criterion.message} (Low trigger)", "Warning"))
            after.append(criterion.model_copy(update={"told": now}))
        else:
            after.append(criterion)
    return tuple(after), tuple(notes)


def _is_news(criterion: CriterionStatus, now: float) -> bool:
    if criterion.told is None:
        return True
    return criterion.since > criterion.told and now >= round(criterion.told + QUIET, 3)

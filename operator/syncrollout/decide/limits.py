"""What a criterion asks, in words and numbers, and what one look at it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Final

from syncrollout.api.spec import Trigger
from syncrollout.api.words import Role, Side, Unknown
from syncrollout.decide.facts import Part, Reading, ReadingKey
from syncrollout.decide.phrases import clip
from syncrollout.decide.questions import Question

LONGEST_LIMIT: Final = 100
"""Characters of a limit in words."""
OPERATORS: Final = {"above": gt, "below": lt, "at_least": ge, "at_most": le}
_WORDS: Final = {"above": "above", "below": "below", "at_least": "at least", "at_most": "at most"}


@dataclass(frozen=True, slots=True)
class Look:
    """One comparison at one moment: `holds` is None where it cannot be said."""

    holds: bool | None
    message: str
    unknown: Unknown | None = None
    reading: float | None = None
    baseline: float | None = None
    threshold: float | None = None
    events: float | None = None
    lowest: float | None = None
    highest: float | None = None
    of_old: bool = False
    """It is data of old that is missing."""


def describe(question: Question) -> str:
    """The limit in words, such as ``below 1 percent``, ``at least 2 times old`` or ``firing with severity=page``."""
    if isinstance(question.comparison, Trigger) and question.comparison.alert:
        labels = ", ".join(f"{label}={value}" for label, value in sorted(question.comparison.match.items()))
        return clip(f"firing with {labels}", LONGEST_LIMIT) if labels else "firing"
    if question.job or question.run:
        return "has to end well" if question.role is Role.SUCCESS else "has failed"
    field, number = comparator(question)
    if question.comparison.relative_to:
        return f"{_WORDS[field]} {number:g} times old"
    return f"{_WORDS[field]} {number:g} {question.metric.unit}".rstrip()


def asked(question: Question, holds: bool | None) -> str:
    """The limit as a person reads it beside the reading: what success asks for, or what sends the rollout back."""
    if question.role is Role.SUCCESS:
        return f"has to be {describe(question)}"
    return f"which is {describe(question)}" if holds else f"goes back when {describe(question)}"


def comparator(question: Question) -> tuple[str, float]:
    """The field of the comparison that is given, and its number. Raises ValueError where none is."""
    comparison = question.comparison
    for field in OPERATORS:
        number = getattr(comparison, field)
        if number is not None:
            return field, float(number)
    if question.pods or question.reports is not None:
        return ("at_most" if question.role is Role.SUCCESS else "above"), 0.0
    msg = f"the criterion on {comparison.source} has no limit: give one of above, below, atLeast and atMost"
    raise ValueError(msg)


_NOT_ASKED: Final = Reading(None, Unknown.NOT_ASKED, "not asked yet")


def read(question: Question, readings: Mapping[ReadingKey, Reading], side: Side, part: Part = Part.VALUE) -> Reading:
    """One of its readings, as far as it was asked for."""
    return readings.get(question.key(side, part), _NOT_ASKED)


__all__ = ["LONGEST_LIMIT", "OPERATORS", "Look", "asked", "comparator", "describe", "read"]

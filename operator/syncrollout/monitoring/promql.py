"""Expressions for rules and panels, by the same code that fills in the operator's own questions. Pure.

A rule knows no phase, so that a metric with $phase cannot be used by one.
"""

from __future__ import annotations

from typing import Final

from syncrollout.api.spec import Metric
from syncrollout.api.words import Side
from syncrollout.decide.facts import Part
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.observe.queries import QueryError, fill, operand

SYMBOLS: Final = {"above": ">", "below": "<", "at_least": ">=", "at_most": "<="}
"""The fields of a comparison in PromQL."""
WORDS: Final = {"above": "above", "below": "below", "at_least": "at least", "at_most": "at most"}


def value(subject: Subject, metric: Metric, side: Side) -> str:
    """What the metric reads for one side, in brackets where it is an expression; several series become one as its
    `aggregate` says. Raises MonitoringError."""
    expression = operand(_filled(subject, metric, side, Part.VALUE))
    return expression if metric.aggregate is None else f"{metric.aggregate.value}{expression}"


def compared(expression: str, field: str, number: float) -> str:
    """The expression where it is on the wrong side of a limit."""
    return f"{expression} {SYMBOLS[field]} {literal(number)}"


def compared_with(expression: str, field: str, number: float, old: str) -> str:
    """The same where the limit is a multiple of what old reads. That has to be one series that is not zero, as the
    operator has it; otherwise it is NaN, which no comparison holds for."""
    return f"{expression} {SYMBOLS[field]} {literal(number)} * scalar({old} != 0)"


def missing(subject: Subject, metric: Metric, side: Side) -> str:
    """An expression that has a value while the metric has none: no series, none that is a finite number, or a source
    that was silent for longer than staleAfter. Raises MonitoringError."""
    no_number = f"absent(abs({value(subject, metric, side)}) < +Inf)"
    if metric.stale_after is None:
        return no_number
    return f"{no_number} or absent{operand(_filled(subject, metric, side, Part.FRESH))}"


def literal(number: float) -> str:
    """A number as PromQL reads it."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _filled(subject: Subject, metric: Metric, side: Side, part: Part) -> str:
    system = subject.spec.old if side is Side.OLD else subject.spec.new
    try:
        return fill(metric, system, subject.namespace, "", part=part)
    except QueryError as error:
        if error.variable == "phase":
            text = f"metric {metric.name} uses $phase, and an alert holds in every phase: name a metric without it"
            raise MonitoringError(text) from error
        raise MonitoringError(str(error)) from error


__all__ = ["SYMBOLS", "WORDS", "compared", "compared_with", "literal", "missing", "value"]

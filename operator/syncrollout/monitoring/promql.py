"""Expressions for rules and panels, by the same code that fills in the operator's own questions. Pure.

A rule knows no phase, so that a metric with $phase cannot be used by one.
"""

from __future__ import annotations

import re
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
    """What the metric reads for one side, in brackets; several series become one as its `aggregate` says. Raises
    MonitoringError."""
    query = _filled(subject, metric, side, Part.VALUE)
    return _vector(query) if metric.aggregate is None else _applied(metric.aggregate.value, query)


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
    return f"{no_number} or {_applied('absent', _filled(subject, metric, side, Part.FRESH))}"


def literal(number: float) -> str:
    """A number as PromQL reads it."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _vector(query: str) -> str:
    """The query in brackets. A scalar, which the operator takes for a reading too, becomes a vector of one series:
    rules take nothing else."""
    return f"vector{operand(query)}" if _is_scalar(query) else operand(query)


def _applied(function: str, query: str) -> str:
    """A function that takes a vector, of the query."""
    return f"{function}({_vector(query)})" if _is_scalar(query) else f"{function}{operand(query)}"


def _is_scalar(query: str) -> bool:
    """Whether PromQL gives a scalar: it is made of numbers, scalar(...), time() and pi() alone."""
    rest, depth = [], 0
    for match in _TOKEN.finditer(query):
        token = match.group()
        if depth:
            depth += {"(": 1, ")": -1}.get(token[-1], 0)
        elif match.lastgroup == "scalar":
            depth = 1
        elif match.lastgroup != "comment":
            rest.append(token)
    return _OF_SCALARS.fullmatch("".join(rest)) is not None


_TOKEN: Final = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<scalar>\bscalar\s*\()
    | (?P<other>(?s:.))
    """,
    re.VERBOSE,
)
_OF_SCALARS: Final = re.compile(
    r"""(?:
    (?:time|pi)\s*+\(\s*+\)
    | bool | inf | nan | 0x[0-9a-f]++
    | [0-9.]++(?:e[-+]?[0-9]++)?+
    | [-+*/%^()<>=!\s]++
    )*+""",
    re.VERBOSE | re.IGNORECASE,
)
"""Nothing that has matched is given back: digits can be taken apart in ever so many ways, and none is another."""


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

"""A metric's PromQL, filled in for one side of a rollout. Pure.

`$workload`, `$service`, `$namespace`, `$window` and `$phase` (also as `${workload}`, where text follows directly) are
filled in. PromQL itself knows `$` only inside string literals: the end of a regular expression (`=~"^a$"`) and the
groups of label_replace (`$1`, `${1}`). So a `$` that is not followed by a letter, `_`, or `{` and one of these is
left as it is. What is filled in is never looked at again, and holds only letters, digits, `-` and `.`, so that it can
neither end a string literal nor add to the expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from syncrollout.api.spec import ALERT, Metric, SystemSpec
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Part, Problem

VARIABLES = ("workload", "service", "namespace", "window", "phase")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][^}\"'`\n]*)(\}?)|([A-Za-z_][A-Za-z0-9_]*))")
_HARMLESS = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?")
_DURATION_UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


class QueryError(ValueError):
    """A query that cannot be filled in. The message names the metric, the variable and the mend."""

    def __init__(self, metric: str, variable: str, message: str) -> None:
        super().__init__(message)
        self.metric = metric
        self.variable = variable

    @property
    def problem(self) -> Problem:
        """What the rollout reports about it."""
        return Problem(Reason.QUERY_INVALID, str(self))


def fill(
    metric: Metric,
    system: SystemSpec,
    namespace: str,
    phase: str,
    *,
    part: Part = Part.VALUE,
    window: float | None = None,
) -> str:
    """The PromQL that is asked of Prometheus for this part of a metric and the side that `system` describes.

    `window`: the seconds that $window becomes, where they are not the metric's own. A ratio becomes a quotient, times
    100 where the unit is percent. Raises QueryError.
    """
    fresh = metric.fresh_within if part is Part.FRESH else None
    if window is None:
        window = metric.window if fresh is None else fresh
    values = _values(system, namespace, phase, window)
    if fresh is not None and metric.heartbeat is not None:
        # Samples and not series: a series stands for five minutes after its last one.
        selector = _fill(metric, metric.heartbeat, values)
        comment = "\n" if "#" in selector else ""
        return f"count(count_over_time({selector}{comment}[{promql_duration(fresh)}]))"
    if metric.ratio is not None:
        whole = _fill(metric, metric.ratio.over, values)
        if part in (Part.COUNT, Part.EVENTS, Part.FRESH):
            return whole
        quotient = f"{operand(_fill(metric, metric.ratio.of, values))} / {operand(whole)}"
        return f"{quotient} * {metric.scale:g}" if metric.scale != 1.0 else quotient
    if metric.query is not None:
        return _fill(metric, metric.query, values)
    msg = f"metric {metric.name} has neither query nor ratio: give it one of them"
    raise QueryError(metric.name, "", msg)


def fill_in(metric: Metric, text: str, system: SystemSpec, namespace: str) -> str:
    """A text that belongs to this metric, such as a label of an alert, with its variables filled in as in the query.
    Raises QueryError."""
    return _fill(metric, text, _values(system, namespace, "", metric.window))


def _values(system: SystemSpec, namespace: str, phase: str, window: float | None) -> dict[str, str | None]:
    return {
        "workload": system.workload.name,
        "service": system.service,
        "namespace": namespace,
        "window": None if window is None else promql_duration(window),
        "phase": phase,
    }


def promql_duration(seconds: float) -> str:
    """A duration as every Prometheus reads it: one whole number and the greatest unit that fits, such as 5m or 90s."""
    milliseconds = max(1, round(seconds * 1000))
    unit, size = next((unit, size) for unit, size in _DURATION_UNITS if milliseconds % size == 0)
    return f"{milliseconds // size}{unit}"


def _named(metric: Metric) -> str:
    alert = metric.name.startswith(ALERT)
    return f"alert {metric.name.removeprefix(ALERT)}" if alert else f"metric {metric.name}"


def operand(query: str) -> str:
    """A query in brackets, so that it may stand in an expression."""
    # a comment at the end would swallow the closing bracket
    return f"({query}\n)" if "#" in query else f"({query})"


def _fill(metric: Metric, query: str, values: Mapping[str, str | None]) -> str:
    def value(match: re.Match[str]) -> str:
        braced, closed, bare = match.groups()
        if braced is not None and not closed:
            msg = f"{_named(metric)}: ${{{braced.strip()[:40]} has no closing brace: write ${{name}}"
            raise QueryError(metric.name, braced, msg)
        name = braced if braced is not None else bare
        if name not in values:
            raise QueryError(metric.name, name, f"{_named(metric)}: {_unknown(name, match.group())}")
        found = values[name]
        if found is None:
            raise QueryError(metric.name, name, f"{_named(metric)}: {_ABSENT[name]}")
        if not _HARMLESS.fullmatch(found):
            msg = (
                f"{_named(metric)}: {found!r} cannot be filled in for ${name}: "
                "only letters, digits, '-' and '.' may stand in a query"
            )
            raise QueryError(metric.name, name, msg)
        return found

    return _VARIABLE.sub(value, query)


_ABSENT = {
    "service": "$service is used, but the side it is asked for has no service: give spec.old.service and "
    "spec.new.service, or select by $workload",
    "window": "$window is used, but the metric has no window: give it one, such as window: 5m",
}


def _unknown(name: str, written: str) -> str:
    known = ", ".join(f"${known}" for known in VARIABLES)
    if name.startswith("_") or name in {"interval", "timeFilter"}:
        return f"{written} is known to Grafana alone: write $window, and give the metric a window"
    longest = max((known for known in VARIABLES if name.startswith(known)), key=len, default="")
    if longest:
        return (
            f"{written} is not known: write ${{{longest}}}{name[len(longest) :]} where text follows ${longest} directly"
        )
    return f"{written} is not known: use one of {known} (a group of label_replace is named by number, such as $1)"

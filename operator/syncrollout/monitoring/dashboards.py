"""Three dashboards of one rollout: of now, of a day, of a week. Pure.

What the rollout is doing comes from the operator's own metrics, everything else from the rollout's: the very queries
that it is judged by, for both systems. Limits are those of its alerts, or else of its triggers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from syncrollout.api.spec import Metric, MetricAlert, MetricKind, Trigger
from syncrollout.api.words import Severity, Side
from syncrollout.monitoring import Subject
from syncrollout.monitoring.panels import (
    GREEN,
    METRICS,
    OPERATOR,
    PLAIN,
    RED,
    Json,
    Query,
    Row,
    Steps,
    bars,
    column,
    dashboard,
    lines,
    number,
    organized,
    source,
    source_variable,
    table,
    timeline,
    unit,
    word,
)
from syncrollout.monitoring.promql import value
from syncrollout.observe.queries import promql_duration

REALTIME, DAILY, WEEKLY = KEYS = ("realtime", "daily", "weekly")
"""What the three are called in names of files and objects."""
_COLOURS: Final = {
    Severity.LOW: "super-light-yellow",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "orange",
    Severity.CRITICAL: RED,
}
_HEADINGS: Final = {
    MetricKind.SYSTEM: "System",
    MetricKind.RESOURCE: "Resources",
    MetricKind.BUSINESS: "Business",
}
_TIMES: Final = frozenset({"seconds", "s", "milliseconds", "ms"})
_VERDICTS: Final[Json] = {
    "type": "value",
    "options": {
        "-1": {"text": "Fail", "color": RED, "index": 0},
        "0": {"text": "Unknown", "color": "orange", "index": 1},
        "1": {"text": "Pass", "color": GREEN, "index": 2},
    },
}
_BY: Final = "alertname, severity, metric, side"
_LAST_DURATIONS: Final = 10


def dashboards(subject: Subject) -> dict[str, Json]:
    """All three, by what they are called in file names. Raises MonitoringError."""
    looks = _Looks(subject)
    levels = looks.levels(MetricKind.RESOURCE)
    quotas = looks.levels(MetricKind.SYSTEM)
    now = (
        Row("Rollout", looks.now()),
        Row("System", (*looks.of(MetricKind.SYSTEM), *looks.last_durations(), *quotas)),
        Row("Resources", (*levels, *looks.of(MetricKind.RESOURCE))),
        Row("Business", looks.of(MetricKind.BUSINESS)),
    )
    kinds = tuple(Row(_HEADINGS[kind], looks.of(kind)) for kind in MetricKind)
    day = (Row("Rollout", (looks.states(), looks.verdicts(), looks.weight(12), looks.alerts_fired())), *kinds)
    week = (Row("Rollout", (looks.states(), looks.weight(24), looks.alerts_fired(24))), *kinds)
    return {
        REALTIME: looks.dashboard(
            REALTIME, "real time", now, since="1h", refresh="10s", text="How it is now: the last hour."
        ),
        DAILY: looks.dashboard(
            DAILY, "daily", day, since="24h", refresh="1h", text="The last 24 hours, and what alerts fired."
        ),
        WEEKLY: looks.dashboard(WEEKLY, "weekly", week, since="7d", refresh="1d", text="The last seven days."),
    }


class _Looks:
    """Panels of one rollout."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._own = f'namespace="{subject.namespace}", name="{subject.name}"'
        """Labels of the operator's metrics of this rollout."""
        self._alerts = f'namespace="{subject.namespace}", rollout="{subject.name}"'
        """Labels of its alerts."""

    def dashboard(self, key: str, title: str, rows: Sequence[Row], *, since: str, refresh: str, text: str) -> Json:
        """One of the three; each leads to the others."""
        namespace, name = self._subject.namespace, self._subject.name
        tag = f"syncrollout-{namespace}-{name}"
        others = {
            "type": "dashboards",
            "title": "Other ranges",
            "tags": [tag],
            "asDropdown": False,
            "includeVars": True,
            "keepTime": False,
            "targetBlank": False,
            "icon": "external link",
            "tooltip": "",
            "url": "",
        }
        return dashboard(
            f"{namespace}/{name}/{key}",
            f"{namespace}/{name}: {title}",
            rows,
            text=f"SyncRollout {name} of namespace {namespace}. {text}",
            since=since,
            refresh=refresh,
            tags=["syncrollout", tag],
            variables=[source_variable(METRICS, "Prometheus"), source_variable(OPERATOR, "Prometheus of the operator")],
            annotations=[self._phases_begin()],
            links=[others],
        )

    # ---- the rollout itself

    def now(self) -> tuple[Json, ...]:
        """Where it is."""
        state, weight = f"max by (state) ({self._state} == 1)", f"max(syncrollout_rollout_weight{{{self._own}}})"
        phase = f'max by (phase) (syncrollout_rollout_state{{{self._own}, phase!=""}} == 1)'
        verdicts = f"min by (metric, role) (syncrollout_criterion_verdict{{{self._own}}})"
        firing = f'count(ALERTS{{alertstate="firing", {self._alerts}}}) or vector(0)'
        none: Steps = ((None, GREEN), (1, RED))
        doubts: Steps = ((None, GREEN), (1, "orange"))
        return (
            word("State", Query(state, "{{state}}", OPERATOR)),
            word("Phase", Query(phase, "{{phase}}", OPERATOR)),
            number("Share of new", Query(weight, "new", OPERATOR), of="percent", steps=((None, "blue"),)),
            number("Criteria that fail", Query(f"count({verdicts} == -1) or vector(0)", "", OPERATOR), steps=none),
            number("Criteria not known", Query(f"count({verdicts} == 0) or vector(0)", "", OPERATOR), steps=doubts),
            number("Alerts firing", Query(firing), steps=none),
        )

    @property
    def _state(self) -> str:
        return f"syncrollout_rollout_state{{{self._own}}}"

    def states(self) -> Json:
        """State and phase over time."""
        query = f"max by (state, phase) ({self._state})"
        shown: Json = {"type": "value", "options": {"1": {"text": "here", "color": "blue", "index": 0}}}
        return timeline("State and phase", Query(query, "{{state}} {{phase}}", OPERATOR), mappings=[shown])

    def verdicts(self) -> Json:
        """What each criterion said over time."""
        query = f"min by (metric, role) (syncrollout_criterion_verdict{{{self._own}}})"
        return timeline("Criteria", Query(query, "{{metric}} ({{role}})", OPERATOR), mappings=[_VERDICTS])

    def weight(self, width: int) -> Json:
        """New's share over time."""
        query = Query(f"max(syncrollout_rollout_weight{{{self._own}}})", "new", OPERATOR)
        return lines("Share of new", query, of="percent", width=width)

    def alerts_fired(self, width: int = 12) -> Json:
        """Which of its alerts fired within the range, when the last time, and which still do."""
        fired = f'max by ({_BY}) (last_over_time(ALERTS{{alertstate="firing", {self._alerts}}}[$__range]))'
        began = f"max by ({_BY}) (last_over_time(ALERTS_FOR_STATE{{{self._alerts}}}[$__range])) * 1000"
        still = f'max by ({_BY}) (ALERTS{{alertstate="firing", {self._alerts}}})'
        shown = {
            "alertname": "alert",
            "severity": "severity",
            "metric": "metric",
            "side": "side",
            "Value #A": "began last",
            "Value #B": "fires now",
        }
        return table(
            "Alerts fired",
            Query(f"{began} and on ({_BY}) {fired}", instant=True, table=True),
            Query(still, instant=True, table=True),
            transformations=[{"id": "merge", "options": {}}, organized(["Time"], shown)],
            overrides=[
                column("began last", unit="dateTimeAsIso"),
                column("fires now", mappings=[{"type": "value", "options": {"1": {"text": "yes", "index": 0}}}]),
            ],
            width=width,
            text="Those of spec.monitoring.alerts, as Prometheus has recorded them.",
        )

    def _phases_begin(self) -> Json:
        """A mark where a phase or a state begins."""
        here = f"max by (state, phase) ({self._state} == 1)"
        return {
            "name": "Phases",
            "datasource": source(OPERATOR),
            "enable": True,
            "hide": False,
            "iconColor": "blue",
            "expr": f"{here} unless max by (state, phase) ({self._state} offset 1m == 1)",
            "step": "60s",
            "titleFormat": "{{state}}",
            "textFormat": "{{phase}}",
        }

    # ---- its metrics

    def of(self, kind: MetricKind) -> tuple[Json, ...]:
        """All metrics of a kind over time, new beside old."""
        return tuple(
            lines(
                metric.name,
                *self._queries(metric),
                of=unit(metric.unit),
                steps=self._steps(metric),
                text=metric.description,
            )
            for metric in self._metrics(kind)
        )

    def levels(self, kind: MetricKind) -> tuple[Json, ...]:
        """How much of each resource, or quota, is in use: percentages that are not shares of events."""
        full = [metric for metric in self._metrics(kind) if metric.unit == "percent" and metric.ratio is None]
        queries = [
            Query(query.expr, metric.name, query.source) for metric in full for query in self._queries(metric)[:1]
        ]
        title = "In use now" if kind is MetricKind.RESOURCE else "Quotas now"
        steps: Steps = ((None, GREEN), (70, _COLOURS[Severity.LOW]), (80, "yellow"), (90, RED))
        return (bars(title, *queries, of="percent", steps=steps),) if queries else ()

    def last_durations(self) -> Iterable[Json]:
        """The last values of what takes time: a value that is another than the one before is another run's."""
        asked = self._subject.spec.prometheus
        step = promql_duration(asked.interval if asked is not None else 30.0)
        for metric in self._metrics(MetricKind.SYSTEM):
            if metric.unit not in _TIMES or "time()" in (metric.query or "") or self._unfilled(metric):
                continue
            read = value(self._subject, metric, Side.NEW)
            changed = f"{read} != last_over_time({read}[{step}:{step}] offset {step})"
            panel = table(
                f"Last {_LAST_DURATIONS} of {metric.name}",
                Query(changed, table=True),
                transformations=[
                    {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "Time", "desc": True}]}},
                    {"id": "limit", "options": {"limitField": _LAST_DURATIONS}},
                    organized([], {"Time": "seen", "Value": metric.name}),
                ],
                of=unit(metric.unit),
                width=8,
                text="Of the last 24 hours; two runs that take exactly as long are seen as one.",
            )
            yield {**panel, "timeFrom": "24h", "interval": step, "maxDataPoints": 5000}

    def _metrics(self, kind: MetricKind) -> list[Metric]:
        return [metric for metric in self._subject.spec.metrics if metric.kind is kind]

    def _queries(self, metric: Metric) -> list[Query]:
        """Of new and of old; once, where both are the same. One that depends on the phase is shown as the operator has
        read it."""
        if self._unfilled(metric):
            read = f'max by (side) (syncrollout_criterion_reading{{{self._own}, metric="{metric.name}"}})'
            return [Query(read, "{{side}}", OPERATOR)]
        new, old = (value(self._subject, metric, side) for side in (Side.NEW, Side.OLD))
        if new == old:
            return [Query(new, "all")]
        return [Query(new, "new"), Query(old, "old")]

    def _unfilled(self, metric: Metric) -> bool:
        texts = (metric.query, metric.ratio.of, metric.ratio.over) if metric.ratio else (metric.query,)
        return any("$phase" in text or "${phase}" in text for text in texts if text)

    def _steps(self, metric: Metric) -> Steps:
        """Colours by the limits of new's alerts on it, or of the triggers where it has none."""
        monitored: list[MetricAlert | Trigger] = [
            each for each in self._subject.monitoring.alerts if each.metric == metric.name and each.side is Side.NEW
        ]
        limits = monitored or [each for each in self._subject.spec.rollback.triggers if each.metric == metric.name]
        absolute = [each for each in limits if each.relative_to is None]
        return _upwards(absolute) or _downwards(absolute) or PLAIN


def _upwards(limits: Sequence[MetricAlert | Trigger]) -> Steps:
    """Worse the higher."""
    worst: dict[float, Severity] = {}
    for each in limits:
        bound = each.above if each.above is not None else each.at_least
        if bound is not None:
            worst[bound] = _graver(each.severity, worst.get(bound))
    return ((None, GREEN), *((bound, _COLOURS[worst[bound]]) for bound in sorted(worst))) if worst else ()


def _downwards(limits: Sequence[MetricAlert | Trigger]) -> Steps:
    """Worse the lower."""
    worst: dict[float, Severity] = {}
    for each in limits:
        bound = each.below if each.below is not None else each.at_most
        if bound is not None:
            worst[bound] = _graver(each.severity, worst.get(bound))
    bounds = sorted(worst)
    if not bounds:
        return ()
    colours = [_COLOURS[worst[bound]] for bound in bounds]
    return tuple(zip([None, *bounds], [*colours, GREEN], strict=True))


def _graver(one: Severity, other: Severity | None) -> Severity:
    order = list(Severity)
    return one if other is None else min(one, other, key=order.index)


__all__ = ["DAILY", "KEYS", "REALTIME", "WEEKLY", "dashboards"]

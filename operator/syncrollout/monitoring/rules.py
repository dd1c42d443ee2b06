"""Alerting rules, made of spec.monitoring.alerts. Pure.

Each alert carries the labels severity, rollout, namespace, metric and side, and none that changes with the phase, so
that one that fires goes on being the same alert. Beside them there is one rule for each metric that they compare of
new: a comparison of what is not there never fires, so that it has to be told by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from syncrollout.api.spec import Metric, MetricAlert
from syncrollout.api.words import Severity, Side
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.promql import SYMBOLS, WORDS, compared, compared_with, missing, value
from syncrollout.observe.queries import promql_duration

Rule = dict[str, Any]
NO_DATA: Final = "NoData"
"""What the names of alerts of metrics without data end with."""
NO_DATA_PAGE: Final = "unknown"


def rules_file(subject: Subject) -> dict[str, Any]:
    """A file for `rule_files` of Prometheus, which is the spec of a PrometheusRule too. Raises MonitoringError."""
    name = f"syncrollout-{subject.namespace}-{subject.name}"
    return {"groups": [{"name": name, "rules": [*_limits(subject), *_no_data(subject)]}]}


def _limits(subject: Subject) -> Iterable[Rule]:
    for alert in sorted(subject.monitoring.alerts, key=lambda each: list(Severity).index(each.severity)):
        metric = _metric(subject, alert.metric)
        field, number = _limit(alert)
        expression = value(subject, metric, alert.side)
        if alert.relative_to is None:
            expression = compared(expression, field, number)
        else:
            expression = compared_with(expression, field, number, value(subject, metric, Side.OLD))
        words = _words(subject, metric, alert)
        if alert.or_no_data:
            expression = f"({expression}) or {missing(subject, metric, alert.side)}"
            words += ", or cannot be read"
        reads = "" if alert.or_no_data else f'It reads {{{{ printf "%.4g" $value }}}}{_unit(metric)}. '
        yield _rule(
            subject,
            alert.name or f"{_camel(metric.name)}{alert.severity}{'Old' if alert.side is Side.OLD else ''}",
            expression,
            alert.for_,
            labels=_labels(subject, metric, alert.severity, alert.side),
            summary=literal_text(alert.summary) or f"{metric.name} of {_system(subject, alert.side)} is {words}",
            description=f"{_sentence(metric)}{reads}The alert: {words}. {_look(subject)}",
            page=f"metric-{metric.kind.value}",
        )


def _no_data(subject: Subject) -> Iterable[Rule]:
    asked = subject.monitoring.no_data
    patience = asked.for_ or subject.spec.rollback.medium.unknown_for
    for name in sorted({each.metric for each in subject.monitoring.alerts if each.side is Side.NEW}):
        metric = _metric(subject, name)
        yield _rule(
            subject,
            f"{_camel(name)}{NO_DATA}",
            missing(subject, metric, Side.NEW),
            patience,
            labels=_labels(subject, metric, asked.severity, Side.NEW),
            summary=f"{name} of {_system(subject, Side.NEW)} cannot be read",
            description=f"{_sentence(metric)}There is no series of it, or no finite number, or its source is silent. "
            f"Meanwhile no alert can tell how it is. {_look(subject)}",
            page=NO_DATA_PAGE,
        )


def _rule(
    subject: Subject,
    name: str,
    expression: str,
    patience: float,
    *,
    labels: dict[str, str],
    summary: str,
    description: str,
    page: str,
) -> Rule:
    base = subject.monitoring.runbook_base
    return {
        "alert": name,
        "expr": expression,
        **({"for": promql_duration(patience)} if patience else {}),
        "labels": labels,
        "annotations": {
            "summary": summary,
            "description": description,
            **({"runbook_url": f"{base.rstrip('/')}/{page}.md"} if base is not None else {}),
        },
    }


def _labels(subject: Subject, metric: Metric, severity: Severity, side: Side) -> dict[str, str]:
    own = {
        "severity": severity.value.lower(),
        "rollout": subject.name,
        "namespace": subject.namespace,
        "metric": metric.name,
        "side": side.value.lower(),
    }
    return own | {label: literal_text(text) for label, text in sorted(subject.monitoring.labels.items())}


def _metric(subject: Subject, name: str) -> Metric:
    for metric in subject.spec.metrics:
        if metric.name == name:
            return metric
    text = f"an alert names metric {name}, which is not in spec.metrics; add the metric or correct the name"
    raise MonitoringError(text)


def _limit(alert: MetricAlert) -> tuple[str, float]:
    given = [(field, number) for field in SYMBOLS if (number := getattr(alert, field)) is not None]
    if len(given) != 1:
        text = f"the alert on {alert.metric} needs a limit: give exactly one of above, below, atLeast and atMost"
        raise MonitoringError(text)
    return given[0]


def _words(subject: Subject, metric: Metric, alert: MetricAlert) -> str:
    field, number = _limit(alert)
    if alert.relative_to is None:
        return f"{WORDS[field]} {number:g}{_unit(metric)}"
    return f"{WORDS[field]} {number:g} times what {_system(subject, Side.OLD)} reads"


def _unit(metric: Metric) -> str:
    return f" {literal_text(metric.unit)}" if metric.unit else ""


def _system(subject: Subject, side: Side) -> str:
    system = subject.spec.old if side is Side.OLD else subject.spec.new
    return f"{side.value.lower()} ({system.workload.name})"


def _sentence(metric: Metric) -> str:
    text = literal_text(metric.description.strip())
    if not text:
        return ""
    return f"{text if text.endswith(('.', '!', '?')) else f'{text}.'} "


def _look(subject: Subject) -> str:
    return f"Look: kubectl syncrollout -n {subject.namespace} status {subject.name}"


def literal_text(text: str) -> str:
    """A text that a person wrote, so that Prometheus takes nothing in it for a template."""
    return text.replace("{{", '{{ "{{" }}')


def _camel(name: str) -> str:
    words = "".join(word[:1].upper() + word[1:] for word in re.split("[^a-zA-Z0-9]+", name))
    return words if not words[:1].isdigit() else f"Metric{words}"


__all__ = ["NO_DATA", "NO_DATA_PAGE", "literal_text", "rules_file"]

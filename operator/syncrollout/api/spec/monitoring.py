"""What is made of the metrics for people to look at: alerting rules, and dashboards."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Name, PositiveDuration, Text, pattern, rule, rules
from syncrollout.api.spec.criteria import COMPARISONS, WRONG_NUMBER, Comparison, LabelValue
from syncrollout.api.words import Severity, Side

GRAFANA_LABEL: Final = "grafana_dashboard"
"""The label by which Grafana's sidecar finds ConfigMaps with dashboards, unless it is told otherwise."""
OWN_LABELS: Final = ("severity", "rollout", "namespace", "metric", "side", "alertname")
"""Labels of alerts that the rules give themselves."""
_RESERVED: Final = ", ".join(f"'{label}'" for label in OWN_LABELS)
_AN_ALERT_LABEL: Final = "^[a-zA-Z_][a-zA-Z0-9_]*$"
_AN_OBJECT_LABEL: Final = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$"
_AN_OBJECT_VALUE: Final = "^([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?$"
AlertRuleName = Annotated[
    str,
    Field(
        max_length=100,
        **pattern(
            r"^[a-zA-Z_][a-zA-Z0-9_]*$",
            "not the name of an alert; write letters, digits and _, such as ListingDataLoss",
        ),
    ),
]
ObjectLabels = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=8)]


class MetricAlert(Comparison):
    """An alert on a metric: it fires while the comparison holds, in whatever phase."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(f"{COMPARISONS} == 1", WRONG_NUMBER),
            rule(
                "!has(self.relativeTo) || !has(self.side) || self.side == 'New'",
                "an alert relative to old is one of new; leave side out",
                fieldPath=".side",
            ),
        )
    )

    metric: Name
    """A name from spec.metrics; with exactly one of above, below, atLeast and atMost."""
    severity: Severity
    """How grave it is: the alert's label severity, in lower case."""
    side: Side = Side.NEW
    """Whose metric is compared."""
    or_no_data: bool = False
    """It fires as well while the metric cannot be read: for what is down once nothing is heard of it any more."""
    name: AlertRuleName | None = None
    """What the alert is called (its label alertname), unless as metric and severity say: ErrorRateCritical."""
    summary: Text = ""
    """What has happened, in a sentence, unless it is said of metric and limit."""


class NoData(Model):
    """The alert that a metric cannot be read of new. A comparison of what is not there never fires."""

    severity: Severity = Severity.MEDIUM
    """How grave that is."""
    for_: Annotated[PositiveDuration | None, Field(alias="for")] = None
    """How long there has to be no data; as long as rollback.medium.unknownFor unless given."""


class RulesAs(StrEnum):
    """What the alerting rules are applied as."""

    PROMETHEUS_RULE = "PrometheusRule"
    CONFIG_MAP = "ConfigMap"
    FILE = "File"


class Rules(Model):
    """What becomes of the alerting rules."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.labels) || self.labels.all(l, l.matches('{_AN_OBJECT_LABEL}') && "
                f"self.labels[l].matches('{_AN_OBJECT_VALUE}'))",
                "not labels of an object; write letters, digits, -, _ and ., such as release: prometheus",
                fieldPath=".labels",
            ),
        )
    )

    applied: Annotated[RulesAs, Field(alias="as")] = RulesAs.PROMETHEUS_RULE
    """PrometheusRule: an object of the Prometheus Operator, and a ConfigMap where the cluster does not serve that kind.
    ConfigMap: a rules file under the key rules.yaml, for a Prometheus that mounts it. File: the operator applies
    nothing; `kubectl syncrollout alerts` writes the file."""
    labels: ObjectLabels = Field(default_factory=dict)
    """Labels of the object, by which a Prometheus chooses it, such as release: prometheus."""


class Dashboards(Model):
    """The dashboards that Grafana shows."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.labels) || self.labels.all(l, l.matches('{_AN_OBJECT_LABEL}') && "
                f"self.labels[l].matches('{_AN_OBJECT_VALUE}'))",
                f'not labels of an object; write letters, digits, -, _ and ., such as {GRAFANA_LABEL}: "1"',
                fieldPath=".labels",
            ),
        )
    )

    labels: ObjectLabels = Field(default_factory=lambda: {GRAFANA_LABEL: "1"})
    """Labels of the ConfigMaps, by which Grafana's sidecar finds them; grafana_dashboard: "1" unless given."""
    folder: Annotated[str, Field(max_length=100)] = ""
    """The folder that they are put into: the annotation grafana_folder, which the sidecar reads where it is told to."""


class Monitoring(Model):
    """Alerting rules and dashboards, made of spec.metrics."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.labels) || self.labels.all(l, l.matches('{_AN_ALERT_LABEL}') && !(l in [{_RESERVED}]))",
                "labels are of letters, digits and _, such as team: listings; "
                f"{', '.join(OWN_LABELS[:-1])} and {OWN_LABELS[-1]} are given by the rules themselves",
                fieldPath=".labels",
            ),
        )
    )

    alerts: Annotated[
        tuple[MetricAlert, ...], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """What to alert on. They hold in every phase, and after the run, as long as the SyncRollout is there."""
    no_data: NoData = NoData()
    """What tells that a metric which alerts compare cannot be read of new."""
    labels: Annotated[dict[str, LabelValue], Field(max_length=8)] = Field(default_factory=dict)
    """Further labels of every alert, by which Alertmanager routes it, such as team: listings."""
    runbook_base: Annotated[
        str | None,
        Field(
            max_length=512,
            **pattern(
                r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
                "not the address of a folder of pages; write http:// or https://, host and path, such as "
                "https://wiki.example.com/runbook",
            ),
        ),
    ] = None
    """Where the pages of docs/runbook/ are published: each alert links to its own in the annotation runbook_url."""
    rules: Rules = Rules()
    """What becomes of the alerting rules."""
    dashboards: Dashboards | None = None
    """Given, even as {}: the operator keeps three dashboards of the rollout in ConfigMaps: real time, daily, weekly."""

"""Rollouts that rules and dashboards are made of."""

from __future__ import annotations

from typing import Any

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.monitoring import Subject

Obj = dict[str, Any]


def spec(**changes: Any) -> Obj:
    """A spec with these top fields changed."""
    return {
        "old": {"workload": {"kind": "Deployment", "name": "web-v1"}, "service": "web-v1"},
        "new": {"workload": {"kind": "Deployment", "name": "web-v2"}, "service": "web-v2"},
        "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
        "prometheus": {"address": "http://prometheus:9090"},
        "metrics": [{"name": "errors", "query": 'sum(errors{workload="$workload"})'}],
        "phases": [{"name": "all", "weight": 100}],
        **changes,
    }


def subject(**changes: Any) -> Subject:
    """The rollout web/move with these top fields of its spec changed."""
    return Subject("web", "move", SyncRolloutSpec.model_validate(spec(**changes)))


def alerting(*alerts: Obj, metric: Obj | None = None, **monitoring: Any) -> Subject:
    """One with these alerts on its one metric."""
    on = metric or spec()["metrics"][0]
    named = [{"metric": on["name"], "severity": "High", **each} for each in alerts]
    return subject(metrics=[on], monitoring={"alerts": named, **monitoring})

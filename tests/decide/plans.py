"""Specs that the tests of decide run: the plan of five phases, its variants, and small ones."""

from __future__ import annotations

from typing import Any

from syncrollout.api.spec import SyncRolloutSpec

INTERVAL = 10.0
"""Seconds between judgements in every plan here."""

Document = dict[str, Any]


def route(name: str = "web") -> Document:
    """An HTTPRoute."""
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": name}


def metric(name: str, **more: Any) -> Document:
    """A metric with a query of no consequence: readings are given by the test."""
    return {"name": name, "unit": "percent", "query": f"{name}_total"} | more


def phase(name: str, weight: int, duration: str = "60s", **more: Any) -> Document:
    """A phase that succeeds while errors are below 1 and goes back when they are above 5."""
    success = [{"metric": "errors", "below": 1}]
    back = [{"metric": "errors", "above": 5}]
    return {"name": name, "weight": weight, "duration": duration, "success": success, "rollbackOn": back} | more


def document(phases: list[Document], **more: Any) -> Document:
    """A whole spec, as a person would apply it, by routes."""
    return {
        "old": {"workload": {"kind": "Deployment", "name": "sync-v1"}, "service": "sync-v1"},
        "new": {"workload": {"kind": "Deployment", "name": "sync-v2"}, "service": "sync-v2"},
        "traffic": {"routes": [route()]},
        "prometheus": {"address": "http://prometheus:9090", "interval": f"{INTERVAL:.0f}s"},
        "metrics": [metric("errors"), metric("latency")],
        "phases": phases,
        "rollback": {"triggers": [{"severity": "Critical", "metric": "errors", "above": 10}]},
        "revision": "1",
    } | more


def five_phases(*, last: str = "0s", **more: Any) -> Document:
    """The migration that the software exists for, in seconds for days; `last` is how long its last phase lasts."""
    return document(
        [
            phase("parallel-run", 0, "70s"),
            phase("small-traffic", 10, "30s"),
            phase("medium-traffic", 50, "30s"),
            phase("full-traffic", 100, "70s"),
            phase("full-migration", 100, last, retireOld=True),
        ],
        **more,
    )


def two_phases(**more: Any) -> Document:
    """Ten percent for a minute, then all."""
    return document([phase("small", 10), phase("full", 100)], **more)


def approved(*, approval: Document | None = None, **more: Any) -> Document:
    """Ten percent, half, all: the first two need an approval by kim or alex, or as `approval` says."""
    plan = document([phase("small", 10), phase("half", 50), phase("full", 100)], **more)
    for each in plan["phases"][:2]:
        each["approval"] = "Required"
    return plan | {"approval": {"approvers": {"users": ["kim", "alex"]}} | (approval or {})}


def one_phase(**more: Any) -> Document:
    """One phase at fifty percent; `more` goes into the phase."""
    return document([phase("half", 50, **more)])


def by_replicas(total: int = 10, **more: Any) -> Document:
    """Twenty percent, then all, without a router."""
    return document([phase("some", 20), phase("full", 100)], traffic={"replicas": {"total": total}}, **more)


def verified(phases: list[Document] | None = None, **verify: Any) -> Document:
    """Ten percent for a minute, then all (or `phases`), with the share verified; `verify` goes into traffic.verify."""
    plan = two_phases() if phases is None else document(phases)
    plan["traffic"]["verify"] = {"query": "share", "timeout": "30s"} | verify
    return plan


def by_shards(method: str = "Ack", *, routes: bool = False, **more: Any) -> Document:
    """Thirty percent of the keys, then all, with five minutes for a handover."""
    shards: Document = {"configMap": "sync-shards", "handover": {"method": method}}
    traffic: Document = {"shards": shards} | ({"routes": [route()]} if routes else {})
    return document([phase("some", 30), phase("full", 100)], traffic=traffic, **more)


def shadowed(percent: int | None = None, **more: Any) -> Document:
    """A minute of copies (all of them unless `percent`), then ten percent, then all."""
    some = {} if percent is None else {"mirrorPercent": percent}
    copies = {"name": "copies", "weight": 0, "duration": "60s", "mode": "Shadow"} | some
    copies["rollbackOn"] = [{"metric": "errors", "above": 5}]
    return document([copies, phase("small", 10), phase("full", 100)], **more)


def parse(spec: Document) -> SyncRolloutSpec:
    """The spec as the operator sees it."""
    return SyncRolloutSpec.model_validate(spec)

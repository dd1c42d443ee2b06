"""Manifests of the scenarios: a pair of systems, a route, and a SyncRollout in few words."""

from __future__ import annotations

from typing import Any

from testbed import Obj
from testbed.kwok import deployment

GATEWAY_API = "gateway.networking.k8s.io/v1"
API_VERSION = "syncrollout.io/v1alpha1"
KIND = "SyncRollout"
FINALIZER = "syncrollout.io/restore-traffic"
LONG = "1h"
"""A duration that no scenario waits out: the rollout stays in that phase until something else happens."""

HEALTHY = [{"metric": "errors", "below": 1}, {"metric": "duration", "atMost": 2, "relativeTo": "Old"}]
BREACH = [{"metric": "errors", "above": 5}]
METRICS = [
    {"name": "errors", "unit": "percent", "query": 'max(e2e_errors{workload="$workload",namespace="$namespace"})'},
    {"name": "duration", "unit": "seconds", "query": 'max(e2e_duration{workload="$workload",namespace="$namespace"})'},
]


def phase(name: str, weight: int, duration: str = "1s", **more: Any) -> Obj:
    """A phase that asks both metrics for success, and goes back on many errors."""
    return {"name": name, "weight": weight, "duration": duration, "success": HEALTHY, "rollbackOn": BREACH, **more}


def five_phases(duration: str = "1s") -> list[Obj]:
    """The plan of the flagship, compressed."""
    return [
        phase("parallel-run", 0, duration),
        phase("small-traffic", 10, duration),
        phase("medium-traffic", 50, duration),
        phase("full-traffic", 100, duration),
        phase("full-migration", 100, duration, retireOld=True),
    ]


def system(name: str, kind: str = "Deployment", service: str | None = "") -> Obj:
    """One side; its Service is called as its workload is, unless told otherwise."""
    made: Obj = {"workload": {"kind": kind, "name": name}}
    if service is not None:
        made["service"] = service or name
    return made


def route_ref(name: str = "web", kind: str = "HTTPRoute", **more: Any) -> Obj:
    return {"apiVersion": GATEWAY_API, "kind": kind, "name": name, **more}


def service(name: str, namespace: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 9000}]},
    }


def route(
    name: str, namespace: str, *, old: str = "old", new: str = "new", kind: str = "HTTPRoute", host: str = ""
) -> Obj:
    """A route with everything at old, and much else in it that is none of the operator's business."""
    backends = [{"name": old, "port": 80, "weight": 100}, {"name": new, "port": 80, "weight": 0}]
    spec: Obj = {"rules": [{"backendRefs": backends}]}
    if kind == "HTTPRoute":
        spec["rules"] = [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-A", "value": "b"}]}}
                ],
                "backendRefs": backends,
                "timeouts": {"request": "7s"},
            },
            {"matches": [{"path": {"type": "PathPrefix", "value": "/static"}}], "backendRefs": [dict(backends[0])]},
        ]
    if host:
        spec["hostnames"] = [host]
    return {
        "apiVersion": GATEWAY_API,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {"team": "listings"}},
        "spec": spec,
    }


def rollout(name: str, namespace: str, address: str, phases: list[Obj], **spec: Any) -> Obj:
    """A SyncRollout from `old` to `new` by the route `web`; `spec` overrides any field, None takes it away."""
    made: Obj = {
        "old": system("old"),
        "new": system("new"),
        "traffic": {"routes": [route_ref()]},
        "prometheus": {"address": address, "interval": "1s", "timeout": "3s"},
        "metrics": METRICS,
        "phases": phases,
        **spec,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {field: value for field, value in made.items() if value is not None},
    }


def cron_job(name: str, namespace: str) -> Obj:
    """A CronJob that does not come to its turn within any test."""
    template = deployment(name, namespace)["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"schedule": "0 0 29 2 *", "suspend": False, "jobTemplate": {"spec": {"template": template}}},
    }

"""Manifests of the simulated world, and what a test reads from objects: its own eyes, not the operator's code."""

from __future__ import annotations

import base64
from typing import Any

from syncrollout.api.words import API_VERSION, FINALIZER, KIND, Request
from syncrollout.ports import KindRef, Object, ObjectRef

NAMESPACE = "listings"
ROLLOUT = KindRef(API_VERSION, KIND)
DEPLOYMENT = KindRef("apps/v1", "Deployment")
STATEFUL_SET = KindRef("apps/v1", "StatefulSet")
CRON_JOB = KindRef("batch/v1", "CronJob")
CONFIG_MAP = KindRef("v1", "ConfigMap")
JOB = KindRef("batch/v1", "Job")
POD = KindRef("v1", "Pod")
WORKLOADS = (DEPLOYMENT, STATEFUL_SET, CRON_JOB)
SERVICE = KindRef("v1", "Service")
EVENT = KindRef("v1", "Event")
LEASE = KindRef("coordination.k8s.io/v1", "Lease")
HTTP_ROUTE = KindRef("gateway.networking.k8s.io/v1", "HTTPRoute")
GRPC_ROUTE = KindRef("gateway.networking.k8s.io/v1", "GRPCRoute")
ROUTES = (HTTP_ROUTE, GRPC_ROUTE)


def ref(kind: KindRef, name: str) -> ObjectRef:
    """An object of the one namespace."""
    return ObjectRef(kind, NAMESPACE, name)


def _object(kind: KindRef, name: str, **more: Any) -> Object:
    metadata = {"namespace": NAMESPACE, "name": name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **more}


def deployment(name: str, replicas: int) -> Object:
    """A Deployment with a bit of everything that must stay as it is."""
    container = {"name": "sync", "image": f"sync:{name}", "env": [{"name": "BATCH", "value": "100"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    made = _object(DEPLOYMENT, name, spec=spec)
    made["metadata"]["annotations"] = {"team": "listings"}
    return made


def workload(kind: KindRef, name: str, replicas: int) -> Object:
    """A workload of a kind; a CronJob has no replicas."""
    if kind == CRON_JOB:
        template = {"spec": {"template": {"spec": {"containers": [{"name": "sync", "image": f"sync:{name}"}]}}}}
        return _object(CRON_JOB, name, spec={"schedule": "*/5 * * * *", "jobTemplate": template})
    return {**deployment(name, replicas), "apiVersion": kind.api_version, "kind": kind.kind}


def pod(name: str, app: str, annotations: dict[str, str]) -> Object:
    """A pod that runs."""
    made = _object(POD, name, spec={"containers": [{"name": "sync", "image": f"sync:{app}"}]})
    made["metadata"] |= {"labels": {"app": app}, "annotations": annotations}
    return {**made, "status": {"phase": "Running"}}


def service(name: str) -> Object:
    """A Service."""
    return _object(SERVICE, name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})


def route(kind: KindRef, name: str, old: str, new: str, *, rules: int = 1) -> Object:
    """A route with all traffic at old; several rules, each with filters and a stranger among its backends' fields."""
    made_rules = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": f"/{number}"}}],
            "backendRefs": [
                {"name": old, "port": 80, "weight": 100},
                {"name": new, "port": 80, "weight": 0, "filters": [{"type": "RequestHeaderModifier"}]},
            ],
        }
        for number in range(rules)
    ]
    return _object(kind, name, spec={"hostnames": ["listings.example"], "rules": made_rules})


def phase(name: str, weight: int, seconds: int, **more: Any) -> Object:
    """A phase of so many seconds."""
    return {"name": name, "weight": weight, "duration": f"{seconds}s", **more}


VERIFY = {"query": 'share{namespace="$namespace",workload="$workload"}', "timeout": "4s"}
METRICS = [
    {
        "name": "error-rate",
        "unit": "percent",
        "query": 'error_rate{namespace="$namespace",workload="$workload"}',
    },
    {
        "name": "duration",
        "unit": "seconds",
        "query": 'duration{namespace="$namespace",workload="$workload"}',
    },
]
BETTER = [{"metric": "error-rate", "below": 1}, {"metric": "duration", "atMost": 1.0, "relativeTo": "Old"}]
WORSE = [{"metric": "error-rate", "above": 5}, {"metric": "duration", "atLeast": 2.0, "relativeTo": "Old"}]


def five_phases(seconds: int, *, retire: bool = True, hold_for: int = 0) -> list[Object]:
    """The reference migration, in seconds for days. `hold_for`: seconds for which a breach must have held."""
    worse = [{**each, **({"for": f"{hold_for}s"} if hold_for else {})} for each in WORSE]
    return [
        phase("parallel-run", 0, seconds, rollbackOn=worse),
        phase("small-traffic", 10, seconds, success=BETTER, rollbackOn=worse),
        phase("medium-traffic", 50, seconds, success=BETTER, rollbackOn=worse),
        phase("full-traffic", 100, seconds, success=BETTER, rollbackOn=worse),
        phase("full-migration", 100, seconds, **({"retireOld": True} if retire else {})),
    ]


def secret(name: str, **values: str) -> Object:
    """A Secret with these values."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def rollout(
    name: str,
    *,
    old: str,
    new: str,
    phases: list[Object],
    routes: tuple[tuple[KindRef, str], ...] = (),
    replicas: int = 0,
    interval: int = 1,
    metrics: bool = True,
    kind: KindRef = DEPLOYMENT,
    shards: Object | None = None,
) -> Object:
    """A SyncRollout that moves `routes`, or `replicas` in all."""
    traffic: Object = (
        {"replicas": {"total": replicas}}
        if replicas
        else {"routes": [{"apiVersion": k.api_version, "kind": k.kind, "name": n} for k, n in routes]}
    )
    if shards is not None:
        traffic = {**({} if not routes else traffic), "shards": shards}
    spec: Object = {
        "old": {"workload": {"kind": kind.kind, "name": old}, "service": old},
        "new": {"workload": {"kind": kind.kind, "name": new}, "service": new},
        "traffic": traffic,
        "phases": phases,
        "revision": "1",
    }
    if metrics:
        spec |= {
            "prometheus": {"address": "http://prometheus:9090", "interval": f"{interval}s", "timeout": "2s"},
            "metrics": METRICS,
            "rollback": {"triggers": [{"metric": "error-rate", "above": 10, "severity": "Critical"}]},
        }
    else:
        for each in phases:
            each.pop("success", None)
            each.pop("rollbackOn", None)
    return _object(ROLLOUT, name, spec=spec)


# What is read from objects.


def shares(obj: Object, old: str, new: str) -> list[float]:
    """New's share in percent, in each rule that names both."""
    found = []
    for each in obj["spec"]["rules"]:
        weights = {backend["name"]: backend.get("weight", 1) for backend in each.get("backendRefs", [])}
        if old in weights and new in weights:
            whole = weights[old] + weights[new]
            found.append(100.0 * weights[new] / whole if whole else 0.0)
    return found


def mirrored(obj: Object | None, new: str) -> int:
    """How many of its rules mirror to new."""
    filters = [each for a_rule in (obj or {}).get("spec", {}).get("rules", []) for each in a_rule.get("filters", [])]
    return sum(_mirrors_to(each) == new for each in filters)


def _mirrors_to(one: Object) -> str:
    return str(one["requestMirror"]["backendRef"]["name"]) if one["type"] == "RequestMirror" else ""


def without_mirrors(a_rule: Object, backends: list[Object]) -> Object:
    """A rule as it was before requests were mirrored to one of its own backends."""
    names = {backend["name"] for backend in backends}
    rest = [each for each in a_rule.get("filters", []) if _mirrors_to(each) not in names]
    kept = {key: value for key, value in a_rule.items() if key != "filters"}
    return {**kept, "filters": rest} if rest else kept


def share(obj: Object | None, old: str, new: str) -> float:
    """The greatest of `shares`; none where the route is gone."""
    return max(shares(obj, old, new), default=0.0) if obj is not None else 0.0


def replicas_of(obj: Object | None) -> int:
    """What a workload is asked to have; a CronJob one, or none when suspended."""
    if obj is not None and obj["kind"] == CRON_JOB.kind:
        return 0 if obj["spec"].get("suspend") else 1
    return int(obj["spec"].get("replicas", 1)) if obj is not None else 0


def ready_of(obj: Object | None) -> int:
    """What it has ready."""
    if obj is not None and obj["kind"] == CRON_JOB.kind:
        return replicas_of(obj)
    return int((obj or {}).get("status", {}).get("readyReplicas") or 0)


def requests_of(obj: Object) -> dict[Request, str]:
    """What people have asked for by annotation, heard or not."""
    annotations = obj["metadata"].get("annotations") or {}
    return {each: str(annotations[each.value]) for each in Request if each.value in annotations}


def status_of(obj: Object | None) -> Object:
    """The status, empty where there is none."""
    return dict((obj or {}).get("status") or {})


def state_of(obj: Object | None) -> str:
    """status.state; Pending where nothing is recorded yet."""
    return str(status_of(obj).get("state", "Pending"))


def held(obj: Object | None) -> bool:
    """Our finalizer is there."""
    return obj is not None and FINALIZER in (obj["metadata"].get("finalizers") or [])

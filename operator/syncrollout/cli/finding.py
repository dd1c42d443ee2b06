"""What a cluster has that a SyncRollout can be written from: two deployments, their Services, the routes that name
both, and Prometheus. Functions of objects as kubectl gives them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, Final

from pydantic import ValidationError

from syncrollout.act.pairs import Mend, resolve
from syncrollout.act.routers import ROUTERS
from syncrollout.api.spec import RouteRef

Obj = dict[str, Any]
_PROMETHEUS: Final = re.compile(r"prometheus|thanos-query|vmselect|vmsingle|mimir")
_NO_PROMETHEUS: Final = re.compile(
    r"alertmanager|exporter|pushgateway|operator|adapter|grafana|metrics-server|kube-state"
)
_PORTS: Final = (9090, 80, 8429, 8481, 10902)
"""What such a Service listens on mostly, the likeliest first."""
NAME_LENGTH: Final = 63


def router_resources(served: Iterable[str]) -> list[str]:
    """Those of the table of routers that the cluster serves; `served`: as `kubectl api-resources -o name` says."""
    known = dict.fromkeys(f"{row.resource}.{group}" for row in ROUTERS for group in row.groups)
    there = set(served)
    return [each for each in known if each in there]


def services_of(deployment: Obj, services: Sequence[Obj], *, rival: Obj) -> list[str]:
    """Names of the Services that choose the pods of this deployment, and not those of the other."""
    return [each["metadata"]["name"] for each in services if _chooses(each, deployment) and not _chooses(each, rival)]


def shared(old: Obj, new: Obj, services: Sequence[Obj]) -> list[str]:
    """Names of the Services that choose the pods of both, so that no router can tell them apart by it."""
    return [each["metadata"]["name"] for each in services if _chooses(each, old) and _chooses(each, new)]


def _chooses(service: Obj, deployment: Obj) -> bool:
    selector = (service.get("spec") or {}).get("selector") or {}
    labels = ((deployment["spec"]["template"].get("metadata") or {}).get("labels")) or {}
    return bool(selector) and selector.items() <= labels.items()


def routes_of(objects: Iterable[Obj], old_service: str, new_service: str) -> list[RouteRef]:
    """References to the routes that name both Services in a way that the table of routers knows."""
    return list(_routes(objects, old_service, new_service))


def _routes(objects: Iterable[Obj], old_service: str, new_service: str) -> Iterator[RouteRef]:
    for obj in objects:
        name = obj["metadata"]["name"]
        try:
            route = RouteRef.model_validate({"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": name})
            resolve(route, obj, old_service, new_service)
        except (Mend, ValidationError):
            continue
        yield route


def share_of(objects: Iterable[Obj], routes: Sequence[RouteRef], old_service: str, new_service: str) -> float:
    """The greatest share of new in these routes as they stand, percent."""
    by_name = {(obj["apiVersion"], obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    resolved = (
        resolve(route, by_name[route.api_version, route.kind, route.name], old_service, new_service) for route in routes
    )
    return max((pair.share for each in resolved for pair in each.pairs), default=0.0)


def prometheus_of(services: Iterable[Obj]) -> list[str]:
    """Addresses of Services that look like a Prometheus, the likeliest first."""
    found = []
    for each in services:
        metadata = each["metadata"]
        name, labels = metadata["name"], metadata.get("labels") or {}
        says = f"{name} {labels.get('app.kubernetes.io/name', '')} {labels.get('app', '')}"
        if not _PROMETHEUS.search(says) or _NO_PROMETHEUS.search(says):
            continue
        ports = [port.get("port") for port in (each.get("spec") or {}).get("ports") or ()]
        known = [port for port in _PORTS if port in ports]
        if known:
            rank = (_PORTS.index(known[0]), name != "prometheus", len(name), name)
            found.append((rank, f"http://{name}.{metadata.get('namespace', 'default')}:{known[0]}"))
    return [address for _, address in sorted(found)]


def name_for(old: str, new: str) -> str:
    """What both are called, without what tells them apart."""
    together = takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
    common = "".join(one for one, _ in together).rstrip("-.")
    plain = re.sub(r"[-.]?(v|version|ver)?[-.]?$", "", common)
    whole = plain if re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", plain) else new
    return whole.replace(".", "-")[:NAME_LENGTH].strip("-") or "migration"


__all__ = ["name_for", "prometheus_of", "router_resources", "routes_of", "services_of", "share_of", "shared"]

"""From objects of the API server, as kubectl gives them, to the facts of a diagnosis. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from syncrollout.api.fields import parse_time
from syncrollout.api.spec import RouteRef, WorkloadRef
from syncrollout.api.words import FIELD_MANAGER, Side
from syncrollout.diagnosis.facts import Container, Lease, Pod, Route, Workload
from syncrollout.observe.selectors import selector_text

Obj = dict[str, Any]

_RESTARTABLE: Final = frozenset({"Deployment", "StatefulSet"})
_UNITS: Final = {
    "": 1.0,
    "m": 1e-3,
    **{unit: 1000.0**power for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}
_QUANTITY: Final = re.compile(r"([0-9.]+(?:[eE][0-9]+)?)([kMGTP]i?|Ki|m|)")
_SAYS: Final = frozenset({"Accepted", "Programmed", "Ready", "ResolvedRefs", "Valid"})


def resource(api_version: str, kind: str) -> str:
    """As kubectl names a kind for sure: with its group."""
    group = api_version.rpartition("/")[0]
    return f"{kind.lower()}.{group}" if group else kind.lower()


def reference(ref: WorkloadRef) -> str:
    """A workload as kubectl takes it, such as deployment/web."""
    known = ref.api_version is None or ref.kind in (*_RESTARTABLE, "CronJob")
    return f"{ref.kind.lower() if known else resource(ref.resolved_api_version, ref.kind)}/{ref.name}"


def quantity(text: object) -> float | None:
    """A quantity of Kubernetes as a number; None where it is none."""
    found = _QUANTITY.fullmatch(str(text))
    try:
        return float(found[1]) * _UNITS[found[2]] if found is not None else None
    except ValueError:
        return None


def at(value: object) -> float | None:
    """A moment; None where there is none."""
    try:
        return parse_time(value) if value else None
    except ValueError:
        return None


def workload(ref: WorkloadRef, obj: Obj, config_maps: Mapping[str, Mapping[str, str]]) -> Workload:
    """`config_maps`: the values of those that its containers take their environment from."""
    spec = obj.get("spec") or {}
    selector = spec.get("selector")
    text = selector_text(selector) if isinstance(selector, dict) and ref.kind != "CronJob" else ""
    return Workload(
        reference=reference(ref),
        restartable=ref.kind in _RESTARTABLE,
        settable=ref.kind in (*_RESTARTABLE, "CronJob"),
        selector=text,
        environment=dict(_environment(obj, config_maps)),
        secrets=tuple(dict.fromkeys(_secrets(obj))),
        replicas=int(spec.get("replicas", 1)),
    )


def pod_spec(obj: Obj) -> Obj:
    """That of the pods a workload makes; empty where it does not say."""
    spec = obj.get("spec") or {}
    spec = ((spec.get("jobTemplate") or {}).get("spec") or {}) if "jobTemplate" in spec else spec
    found: Obj = (spec.get("template") or {}).get("spec") or {}
    return found


def _containers(obj: Obj) -> list[Obj]:
    return list(pod_spec(obj).get("containers") or ())


def taken_from(obj: Obj) -> tuple[str, ...]:
    """The ConfigMaps that its containers take their environment from."""
    each = (source for container in _containers(obj) for source in container.get("envFrom") or ())
    return tuple(dict.fromkeys(source["configMapRef"]["name"] for source in each if "configMapRef" in source))


def _environment(obj: Obj, config_maps: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for name in taken_from(obj):
        yield from config_maps.get(name, {}).items()
    for container in _containers(obj):
        yield from ((each["name"], str(each["value"])) for each in container.get("env") or () if each.get("value"))


def _secrets(obj: Obj) -> Iterator[str]:
    for container in _containers(obj):
        for each in container.get("env") or ():
            if "secretKeyRef" in (each.get("valueFrom") or {}):
                yield str(each["valueFrom"]["secretKeyRef"].get("name", ""))
        for each in container.get("envFrom") or ():
            if "secretRef" in each:
                yield str(each["secretRef"].get("name", ""))
    for each in pod_spec(obj).get("volumes") or ():
        if "secret" in each:
            yield str(each["secret"].get("secretName", ""))


def pod(obj: Obj, side: Side) -> Pod:
    """One pod, as its kubelet tells of it."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    known = {
        each["name"]: each for kind in ("initContainerStatuses", "containerStatuses") for each in status.get(kind) or ()
    }
    scheduled = conditions.get("PodScheduled") or {}
    return Pod(
        name=obj["metadata"]["name"],
        side=side,
        ready=(conditions.get("Ready") or {}).get("status") == "True" or status.get("phase") == "Succeeded",
        containers=tuple(
            replace(_container(each, known.get(each["name"]) or {}), first=kind == "initContainers")
            for kind in ("initContainers", "containers")
            for each in spec.get(kind) or ()
        ),
        made=at(obj["metadata"].get("creationTimestamp")) or 0.0,
        scheduled=scheduled.get("status") != "False",
        message=str(scheduled.get("message") or ""),
        failed=str(status.get("reason") or "its containers ended badly") if status.get("phase") == "Failed" else "",
    )


def _container(spec: Obj, status: Obj) -> Container:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    return Container(
        name=spec["name"],
        restarts=int(status.get("restartCount") or 0),
        waiting=str((state.get("waiting") or {}).get("reason") or ""),
        ended=str(ended.get("reason") or ""),
        exit_code=ended.get("exitCode"),
        ended_at=at(ended.get("finishedAt")),
        started=at((state.get("running") or {}).get("startedAt")),
        limit=quantity(limit) if limit is not None else None,
    )


def route(ref: RouteRef, obj: Obj) -> Route:
    """What a route's controller says of it, in the forms of the Gateway API and of Contour."""
    status = obj.get("status") or {}
    parents = [each for each in status.get("parents") or () if isinstance(each, dict)]
    conditions = [*(status.get("conditions") or ()), *(one for each in parents for one in each.get("conditions") or ())]
    generation = obj["metadata"].get("generation", 0)
    complaints = [
        f"{each.get('type')} is {each.get('status')} ({each.get('reason')}): {each.get('message')}"
        for each in conditions
        if each.get("type") in _SAYS and each.get("status") == "False"
    ]
    if status.get("currentStatus") == "invalid":
        complaints.append(f"it is invalid: {status.get('description')}")
    seen = [each["observedGeneration"] for each in conditions if "observedGeneration" in each]
    return Route(str(ref), tuple(dict.fromkeys(complaints)), behind=bool(seen) and min(seen) < generation)


def lease(obj: Obj) -> Lease:
    """By which operators tell who leads."""
    spec = obj.get("spec") or {}
    return Lease(
        name=f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}",
        holder=str(spec.get("holderIdentity") or ""),
        duration=float(spec.get("leaseDurationSeconds") or 15),
        renewed=at(spec.get("renewTime")),
        written=_latest(_managed(obj)),
    )


def recorded(obj: Obj) -> float | None:
    """When the API server took the last write of the status."""
    return _latest(each for each in _managed(obj) if each.get("subresource") == "status")


def applied(obj: Obj) -> float | None:
    """When it took the last write of the spec."""
    return _latest(
        each
        for each in _managed(obj)
        if not each.get("subresource")
        and each.get("manager") != FIELD_MANAGER
        and "f:spec" in (each.get("fieldsV1") or {})
    )


def _managed(obj: Obj) -> list[Obj]:
    return list(obj["metadata"].get("managedFields") or ())


def _latest(entries: Iterable[Obj]) -> float | None:
    return max((moment for each in entries if (moment := at(each.get("time"))) is not None), default=None)


__all__ = [
    "applied",
    "at",
    "lease",
    "pod",
    "quantity",
    "recorded",
    "reference",
    "resource",
    "route",
    "taken_from",
    "workload",
]

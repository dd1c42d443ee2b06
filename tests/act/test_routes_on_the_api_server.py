"""The patches of `act.weights`, sent to a real API server: what it stores, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from syncrollout.act.weights import patch, read
from syncrollout.api.spec import RouteRef, WeightAt
from syncrollout.decide.facts import Problem, RouteFact
from syncrollout.ports import Conflict, KindRef, KubeApi, Object, ObjectRef, PatchType
from testbed import Cluster

pytestmark = [pytest.mark.cluster]

GATEWAY = "gateway.networking.k8s.io/v1"
PER_MILLE = "proxy.example.com/new.per-mille"


def backends(*named: tuple[str, int | None]) -> list[dict[str, Any]]:
    return [{"name": n, "port": 80, **({"weight": weight} if weight is not None else {})} for n, weight in named]


HTTP = (
    RouteRef(api_version=GATEWAY, kind="HTTPRoute", name="sync"),
    {
        "hostnames": ["sync.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/write"}}],
                "backendRefs": backends(("v3", 7), ("v1", None), ("v2", 0)),
                "timeouts": {"request": "30s"},
            },
            {"backendRefs": backends(("v1", 1))},
            {"backendRefs": backends(("v2", 5), ("v1", 5))},
        ],
    },
)
GRPC = (
    RouteRef(api_version=GATEWAY, kind="GRPCRoute", name="sync"),
    {"rules": [{"matches": [{"method": {"service": "sync.v1.Sync"}}], "backendRefs": backends(("v1", 1), ("v2", 0))}]},
)
PAIRED = (
    RouteRef(
        api_version="proxy.example.com/v1",
        kind="Splitter",
        name="paired",
        weight_at=WeightAt(
            old="spec.pools[*].members[target.service=$old].share",
            new="spec.pools[*].members[target.service=$new].share",
            total=1000,
        ),
    ),
    {
        "pools": [
            {"members": [{"target": {"service": "v2"}}, {"target": {"service": "v1"}, "share": 1000, "tag": None}]},
            {"members": [{"target": {"service": "docs"}, "share": 1000}]},
        ]
    },
)
ALONE = (
    RouteRef(
        api_version="proxy.example.com/v1",
        kind="Splitter",
        name="alone",
        weight_at=WeightAt(new=f'spec.options["{PER_MILLE}"]', total=1000),
    ),
    {"options": {PER_MILLE: 0, "a~b": "x"}, "ratio": 0.25},
)
EVERY = pytest.mark.parametrize(("route", "spec"), [HTTP, GRPC, PAIRED, ALONE], ids=["http", "grpc", "paired", "alone"])


def create(routers: Cluster, namespace: str, route: RouteRef, spec: dict[str, Any]) -> ObjectRef:
    metadata = {"name": route.name, "namespace": namespace, "annotations": {"owner": "équipe"}}
    routers.kube.create({"apiVersion": route.api_version, "kind": route.kind, "metadata": metadata, "spec": spec})
    return ObjectRef(KindRef(route.api_version, route.kind), namespace, route.name)


def operations(route: RouteRef, obj: Object, weight: int) -> list[dict[str, Any]]:
    made = patch(route, obj, "v1", "v2", weight=weight)
    assert not isinstance(made, Problem), made
    return made


def exact(route: RouteRef, obj: Object) -> int | None:
    fact = read(route, obj, "v1", "v2")
    assert isinstance(fact, RouteFact), fact
    return fact.exact


def without_what_may_change(node: Any, places: set[str], at: str = "") -> Any:
    """The object without the places that a patch wrote to, and what the API server counts."""
    if isinstance(node, dict):
        counted = {"managedFields", "resourceVersion", "generation"} if at == "/metadata" else set()
        return {
            key: without_what_may_change(value, places, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
            for key, value in node.items()
            if key not in counted and f"{at}/{key.replace('~', '~0').replace('/', '~1')}" not in places
        }
    if isinstance(node, list):
        return [without_what_may_change(value, places, f"{at}/{index}") for index, value in enumerate(node)]
    return node


@EVERY
async def test_weights_go_there_and_back_and_nothing_else_changes(
    route: RouteRef, spec: dict[str, Any], routers: Cluster, api: KubeApi, namespace: str
) -> None:
    ref = create(routers, namespace, route, spec)
    before = await api.get(ref)
    written: set[str] = set()
    obj = before
    for weight in (10, 33, 100, 0):
        made = operations(route, obj, weight)
        assert made
        written |= {one["path"] for one in made if one["op"] == "add"}
        obj = await api.patch(ref, made, PatchType.JSON)
        assert exact(route, obj) == weight
        assert operations(route, obj, weight) == []
    assert without_what_may_change(obj, written) == without_what_may_change(before, written)
    assert all(path.endswith(("/weight", "/share", "new.per-mille")) for path in written)


@pytest.mark.parametrize(("route", "spec"), [HTTP, GRPC, PAIRED], ids=["http", "grpc", "paired"])
async def test_a_list_that_was_reordered_meanwhile_is_not_written_to(
    route: RouteRef, spec: dict[str, Any], routers: Cluster, api: KubeApi, namespace: str
) -> None:
    ref = create(routers, namespace, route, spec)
    seen = await api.get(ref)
    reordered = copy.deepcopy(seen)
    lists = reordered["spec"].get("rules") or reordered["spec"]["pools"]
    for entry in lists:
        (entry.get("backendRefs") or entry["members"]).reverse()
    stored = routers.kube.replace(reordered)

    with pytest.raises(Conflict):
        await api.patch(ref, operations(route, seen, 10), PatchType.JSON)
    now = await api.get(ref)
    assert now["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]
    # read again, it goes
    assert exact(route, await api.patch(ref, operations(route, now, 10), PatchType.JSON)) == 10


@EVERY
async def test_an_object_that_was_made_anew_is_not_written_to(
    route: RouteRef, spec: dict[str, Any], routers: Cluster, api: KubeApi, namespace: str
) -> None:
    ref = create(routers, namespace, route, spec)
    seen = await api.get(ref)
    routers.kube.delete(route.api_version, route.kind, route.name, namespace)
    create(routers, namespace, route, spec)
    with pytest.raises(Conflict):
        await api.patch(ref, operations(route, seen, 10), PatchType.JSON)


async def test_a_change_elsewhere_does_not_hinder_and_is_kept(routers: Cluster, api: KubeApi, namespace: str) -> None:
    route, spec = HTTP
    ref = create(routers, namespace, route, spec)
    seen = await api.get(ref)
    hostnames = {"spec": {"hostnames": ["other.example.com"]}}
    routers.kube.patch(route.api_version, route.kind, route.name, namespace, hostnames)
    obj = await api.patch(ref, operations(route, seen, 10), PatchType.JSON)
    assert exact(route, obj) == 10
    assert obj["spec"]["hostnames"] == ["other.example.com"]


async def test_the_patch_is_told_apart_by_its_field_manager(routers: Cluster, api: KubeApi, namespace: str) -> None:
    route, spec = HTTP
    ref = create(routers, namespace, route, spec)
    await api.patch(ref, operations(route, await api.get(ref), 10), PatchType.JSON)
    stored = routers.kube.get(route.api_version, route.kind, route.name, namespace)
    ours = [entry for entry in stored["metadata"]["managedFields"] if entry["manager"] == "syncrollout"]
    assert [entry["operation"] for entry in ours] == ["Update"]

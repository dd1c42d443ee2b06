"""The patches of `act.mirrors`, sent to a real API server that knows the Gateway API: what it stores of them."""

from __future__ import annotations

from typing import Any

import pytest

from syncrollout.act import mirrors
from syncrollout.api.spec import RouteRef
from syncrollout.decide.facts import MirrorFact
from syncrollout.ports import Conflict, KindRef, KubeApi, Object, ObjectRef, PatchType
from testbed import Cluster

pytestmark = [pytest.mark.cluster]

GATEWAY = "gateway.networking.k8s.io/v1"
BACKENDS = [{"name": "v1", "port": 80, "weight": 1}, {"name": "v2", "port": 8080, "weight": 0}]
HEADER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}
AUDIT = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 90}}}
RULES: list[dict[str, Any]] = [
    {"backendRefs": BACKENDS, "filters": [HEADER, AUDIT]},
    {"backendRefs": BACKENDS, "filters": []},
    {"backendRefs": BACKENDS},
    {"backendRefs": [{"name": "v1", "port": 80}]},
]


async def put(routers: Cluster, api: KubeApi, namespace: str, kind: str) -> tuple[RouteRef, ObjectRef, Object]:
    metadata = {"name": "sync", "namespace": namespace}
    routers.kube.create({"apiVersion": GATEWAY, "kind": kind, "metadata": metadata, "spec": {"rules": RULES}})
    ref = ObjectRef(KindRef(GATEWAY, kind), namespace, "sync")
    return RouteRef(api_version=GATEWAY, kind=kind, name="sync"), ref, await api.get(ref)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
async def test_a_mirror_is_stored_as_it_is_read_and_nothing_is_left_of_it(
    kind: str, routers: Cluster, api: KubeApi, namespace: str
) -> None:
    route, ref, before = await put(routers, api, namespace, kind)
    obj = before
    for percent in (100, 30, 1):
        made = mirrors.patch(route, obj, "v1", "v2", percent=percent)
        assert made
        assert isinstance(made, list)
        obj = await api.patch(ref, made, PatchType.JSON)
        assert mirrors.read(route, obj, "v1", "v2") == MirrorFact(f"{kind} sync", percent, ours=True)
        assert mirrors.patch(route, obj, "v1", "v2", percent=percent) == []
    assert obj["spec"]["rules"][3] == before["spec"]["rules"][3]
    away = mirrors.patch(route, obj, "v1", "v2", percent=0)
    obj = await api.patch(ref, away, PatchType.JSON)
    assert obj["spec"] == before["spec"]


async def test_a_rule_that_somebody_changed_meanwhile_is_not_written_over(
    routers: Cluster, api: KubeApi, namespace: str
) -> None:
    route, ref, seen = await put(routers, api, namespace, "HTTPRoute")
    made = mirrors.patch(route, seen, "v1", "v2", percent=100)
    changed = [*RULES[:2], {**RULES[2], "filters": [HEADER]}, RULES[3]]
    await api.patch(ref, {"spec": {"rules": changed}}, PatchType.MERGE)
    with pytest.raises(Conflict):
        await api.patch(ref, made, PatchType.JSON)
    assert (await api.get(ref))["spec"]["rules"][2]["filters"] == [HEADER]

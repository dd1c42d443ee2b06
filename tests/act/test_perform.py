"""Several routes in one action: forward all are computed before any is written, back none waits for another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from act.jsonpatch import apply
from syncrollout.act.perform import Performer, Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.decide.actions import SetWeight
from syncrollout.ports import ApiError, Behalf, Conflict, KindRef, Object, ObjectRef, PatchType, Unavailable

ROUTE = KindRef("gateway.networking.k8s.io/v1", "HTTPRoute")


class Cluster:
    """API server and cache in one; `trouble` by name is raised by a patch, or waited for."""

    def __init__(self, **shares: tuple[str, int, str, int]) -> None:
        self.objects = {name: _route(name, *share) for name, share in shares.items()}
        self.trouble: dict[str, ApiError | asyncio.Event] = {}
        self.writes: list[str] = []

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> Cluster:
        assert moves
        return self

    async def get(self, ref: ObjectRef, *, subresource: str = "") -> Object:
        return self.objects[ref.name]

    async def fetch(self, ref: ObjectRef, *, user: str, names_only: bool = False) -> Object | None:
        return self.objects.get(ref.name)

    def update(self, obj: Object) -> None: ...

    def forget(self, user: str) -> None: ...

    async def patch(self, ref: ObjectRef, patch: Any, kind: PatchType, **_: Any) -> Object:
        trouble = self.trouble.get(ref.name)
        if isinstance(trouble, ApiError):
            if isinstance(trouble, Conflict):
                del self.trouble[ref.name]
            raise trouble
        if trouble is not None:
            await trouble.wait()
        self.writes.append(ref.name)
        self.objects[ref.name] = apply(self.objects[ref.name], patch)
        return self.objects[ref.name]

    def weight(self, name: str) -> int:
        weight: int = self.objects[name]["spec"]["rules"][0]["backendRefs"][1]["weight"]
        return weight


def _route(name: str, old: str, old_number: int, new: str, new_number: int) -> Object:
    backends = [{"name": old, "weight": old_number}, {"name": new, "weight": new_number}]
    metadata = {"name": name, "namespace": "shop", "uid": name}
    return {"metadata": metadata, "spec": {"rules": [{"backendRefs": backends}]}}


def target(*names: str) -> Target:
    spec = SyncRolloutSpec.model_validate(
        {
            "old": {"workload": {"kind": "Deployment", "name": "old"}, "service": "v1"},
            "new": {"workload": {"kind": "Deployment", "name": "new"}, "service": "v2"},
            "traffic": {
                "routes": [{"apiVersion": ROUTE.api_version, "kind": ROUTE.kind, "name": name} for name in names]
            },
            "phases": [{"name": "one", "weight": 100}],
        }
    )
    return Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "sync"), spec, "1", ())


async def test_forward_nothing_is_written_where_one_route_cannot_be_moved() -> None:
    cluster = Cluster(a=("v1", 100, "v2", 0), b=("v1", 100, "v3", 0), c=("v1", 100, "v2", 0))
    performer = Performer(cluster, cluster)  # type: ignore[arg-type]
    with pytest.raises(ApiError, match=r"HTTPRoute b: no rule names both old and new"):
        await performer.perform(target("a", "b", "c"), (SetWeight(10),), urgent=False)
    assert cluster.writes == []


async def test_back_the_others_are_written_where_one_route_cannot_be_moved() -> None:
    cluster = Cluster(a=("v1", 50, "v2", 50), b=("v1", 50, "v3", 50), c=("v1", 50, "v2", 50))
    performer = Performer(cluster, cluster)  # type: ignore[arg-type]
    with pytest.raises(ApiError, match="HTTPRoute b"):
        await performer.perform(target("a", "b", "c"), (SetWeight(0),), urgent=True)
    assert (cluster.weight("a"), cluster.weight("c")) == (0, 0)


@pytest.mark.parametrize("urgent", [False, True])
async def test_one_that_fails_does_not_keep_the_others_from_being_written(urgent: bool) -> None:
    cluster = Cluster(a=("v1", 50, "v2", 50), b=("v1", 50, "v2", 50))
    cluster.trouble["a"] = Unavailable("webhook failed", status=500)
    performer = Performer(cluster, cluster)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="webhook failed"):
        await performer.perform(target("a", "b"), (SetWeight(0),), urgent=urgent)
    assert (cluster.weight("a"), cluster.weight("b")) == (50, 0)


async def test_one_that_hangs_does_not_keep_the_others_waiting() -> None:
    cluster = Cluster(a=("v1", 50, "v2", 50), b=("v1", 50, "v2", 50))
    hanging = cluster.trouble["a"] = asyncio.Event()
    performer = Performer(cluster, cluster)  # type: ignore[arg-type]
    doing = asyncio.get_running_loop().create_task(performer.perform(target("a", "b"), (SetWeight(0),), urgent=True))
    for _ in range(20):
        await asyncio.sleep(0)
    assert (cluster.weight("b"), doing.done()) == (0, False)
    hanging.set()
    await doing
    assert cluster.weight("a") == 0


@pytest.mark.parametrize("urgent", [False, True])
async def test_a_conflict_is_answered_by_the_same_on_what_stands_now(urgent: bool) -> None:
    cluster = Cluster(a=("v1", 100, "v2", 0))
    cluster.trouble["a"] = Conflict("changed meanwhile")
    performer = Performer(cluster, cluster)  # type: ignore[arg-type]
    await performer.perform(target("a"), (SetWeight(30),), urgent=urgent)
    assert (cluster.weight("a"), cluster.writes) == (30, ["a"])

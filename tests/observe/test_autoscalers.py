"""Which autoscaler scales what: one list for all who ask, and nobody waits for it who must not."""

from __future__ import annotations

import asyncio

import pytest

from fakes.kube import Call, FakeKube
from syncrollout.observe.autoscalers import AUTOSCALER, MAX_AGE, Autoscalers
from syncrollout.ports import ApiError, Forbidden, KindRef, ObjectRef, Unavailable

pytestmark = [pytest.mark.looptime]

OLD = ObjectRef(KindRef("apps/v1", "Deployment"), "listings", "sync-v1")
NEW = ObjectRef(KindRef("apps/v1", "Deployment"), "listings", "sync-v2")


class World:
    def __init__(self) -> None:
        self.kube = FakeKube()
        self.kube.before = self._before
        self.autoscalers = Autoscalers(self.kube)
        self.error: ApiError | None = None
        self.lists = 0
        self.slow = 0.0

    async def _before(self, call: Call) -> None:
        self.lists += 1
        await asyncio.sleep(self.slow)
        if self.error is not None:
            raise self.error

    def scaled(self, name: str, workload: ObjectRef) -> None:
        target = {"apiVersion": workload.kind.api_version, "kind": workload.kind.kind, "name": workload.name}
        metadata = {"name": name, "namespace": workload.namespace}
        spec = {"scaleTargetRef": target, "maxReplicas": 3}
        self.kube.put({"apiVersion": "autoscaling/v2", "kind": AUTOSCALER.kind, "metadata": metadata, "spec": spec})

    async def sure(self, workload: ObjectRef) -> str:
        return await self.autoscalers.of(workload, wait=True, sure=True)

    async def in_flight(self, workload: ObjectRef) -> str:
        return await self.autoscalers.of(workload, wait=True, sure=False)


async def test_it_is_found_by_what_it_scales() -> None:
    world = World()
    world.scaled("hpa", OLD)
    assert await world.sure(OLD) == "hpa"
    assert await world.sure(NEW) == ""
    assert await world.sure(ObjectRef(KindRef("apps/v1", "StatefulSet"), "listings", "sync-v1")) == ""
    assert await world.sure(ObjectRef(OLD.kind, "elsewhere", "sync-v1")) == ""


async def test_all_who_ask_within_some_seconds_share_one_list() -> None:
    world = World()
    await asyncio.gather(*(world.sure(ref) for ref in (OLD, NEW) * 10))
    assert world.lists == 1
    world.scaled("hpa", OLD)
    await asyncio.sleep(MAX_AGE)
    assert await world.sure(OLD) == "hpa"
    assert world.lists == 2


async def test_in_flight_what_is_known_has_to_do_and_is_brought_up_to_date() -> None:
    world = World()
    assert await world.in_flight(OLD) == ""
    world.scaled("hpa", OLD)
    world.slow = 60.0
    await asyncio.sleep(MAX_AGE)
    assert await world.in_flight(OLD) == ""
    await asyncio.sleep(60.1)
    assert await world.in_flight(OLD) == "hpa"


async def test_what_cannot_be_asked_is_an_error_before_the_start_and_none_in_flight() -> None:
    world = World()
    for error in (Forbidden("list horizontalpodautoscalers is not allowed"), Unavailable("no answer")):
        world.error = error
        with pytest.raises(type(error)):
            await world.sure(OLD)
        assert await world.in_flight(OLD) == ""


async def test_a_cluster_without_them_has_none() -> None:
    world = World()
    del world.kube._storage.kinds[AUTOSCALER]
    assert await world.sure(OLD) == ""


async def test_a_rollback_never_waits() -> None:
    world = World()
    world.slow = 60.0
    began = asyncio.get_running_loop().time()
    assert await world.autoscalers.of(OLD, wait=False, sure=False) == ""
    assert asyncio.get_running_loop().time() == began

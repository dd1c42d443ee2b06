"""Writing assignments and stamps: only on what was decided on, done once, and settled where an answer was lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from fakes.kube import Call, FakeKube
from fakes.storage import Served
from syncrollout.act import assignment
from syncrollout.act.assignment import CONFIG_MAP, DATA_KEY
from syncrollout.act.perform import Performer
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, EPOCH_ANNOTATION, KIND, SHARDS_LABEL, Side
from syncrollout.decide.actions import Action, Assign, Scale, StampEpoch
from syncrollout.decide.facts import Assignment
from syncrollout.observe import workloads
from syncrollout.ports import Conflict, Invalid, KindRef, NotFound, Object, ObjectRef, Unavailable
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.informers import Informers

pytestmark = [pytest.mark.looptime]

SLOTS = ObjectRef(CONFIG_MAP, "shop", "slots")
FIRST, SECOND, THIRD = Assignment(1, 0, 0), Assignment(2, 0, 100), Assignment(3, 100, 100)
GADGET = KindRef("example.org/v1", "Gadget")


@dataclass
class World:
    kube: FakeKube
    cache: WatchedObjects
    performer: Performer
    target: Target

    async def do(self, *actions: Action, urgent: bool = False) -> None:
        await self.performer.perform(self.target, actions, urgent=urgent)

    @property
    def stands(self) -> object:
        obj = self.kube.read(SLOTS)
        return assignment.read(obj, self.target.migration) if obj is not None else None

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.kube.log if call.verb in {"patch", "create"} and call.by == "operator"]

    async def seen(self) -> Object | None:
        return await self.cache.fetch(SLOTS, user=str(self.target.ref), label=SHARDS_LABEL)


def spec(kind: str = "Deployment", api_version: str | None = None) -> SyncRolloutSpec:
    workload: Object = {"kind": kind, "name": "old"} | ({"apiVersion": api_version} if api_version else {})
    return SyncRolloutSpec.model_validate(
        {
            "old": {"workload": workload},
            "new": {"workload": {"kind": "CronJob", "name": "new"}},
            "traffic": {"shards": {"configMap": "slots", "handover": {"method": "Restart"}}},
            "phases": [{"name": "all", "weight": 100}],
        }
    )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    kube = FakeKube()
    kube.serve(GADGET, Served(status=True, scale=True, generation="custom"))
    informers = Informers(kube, project=trim)
    cache = WatchedObjects(informers)
    target = Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "move"), spec(), "1", ())
    yield World(kube, cache, Performer(kube, cache), target)
    await informers.close()


async def test_the_first_says_whose_it_is_is_bound_to_no_object_that_may_go_and_is_seen_at_once(world: World) -> None:
    await world.do(Assign(FIRST, None))
    made = world.kube.read(SLOTS)
    assert made is not None
    assert made["metadata"]["labels"] == {SHARDS_LABEL: "move"}
    assert made["metadata"]["annotations"] == {
        "syncrollout.io/rollout": "move",
        "syncrollout.io/old": "Deployment/old",
        "syncrollout.io/new": "CronJob/new",
    }
    assert "ownerReferences" not in made["metadata"], "it would be deleted with its rollout, and workers read it"
    assert world.stands == FIRST
    assert await world.seen() == made


async def test_each_follows_the_one_it_replaces_and_one_that_stands_is_done(world: World) -> None:
    await world.do(Assign(FIRST, None))
    await world.do(Assign(SECOND, FIRST))
    await world.do(Assign(SECOND, FIRST))
    await world.do(Assign(THIRD, SECOND), urgent=True)
    await world.do(Assign(THIRD, SECOND))
    assert world.stands == THIRD
    assert [call.verb for call in world.writes] == ["create", "patch", "patch"]
    assert [call.urgent for call in world.writes] == [False, False, True]


@pytest.mark.parametrize(
    ("standing", "action"),
    [
        (SECOND, Assign(THIRD, FIRST)),
        (Assignment(2, 0, 0), Assign(THIRD, SECOND)),
        (SECOND, Assign(FIRST, None)),
        (None, Assign(THIRD, SECOND)),
    ],
    ids=["another epoch", "another content", "something where nothing was", "nothing where something was"],
)
async def test_what_stands_otherwise_than_was_thought_is_a_conflict_and_stays(
    world: World, standing: Assignment | None, action: Assign
) -> None:
    if standing is not None:
        await world.do(Assign(standing, None))
    with pytest.raises(Conflict):
        await world.do(action)
    assert world.stands == standing


async def test_a_cache_that_is_behind_gives_no_wrong_write(world: World) -> None:
    await world.do(Assign(FIRST, None))
    world.kube.silence(CONFIG_MAP)
    other = Assignment(2, 0, 500)
    world.kube.edit(SLOTS, {"data": {DATA_KEY: assignment.text(other)}})
    with pytest.raises(Conflict):
        await world.do(Assign(SECOND, FIRST))
    assert world.stands == other
    seen = await world.seen()
    assert seen is not None
    assert seen["data"] == {DATA_KEY: assignment.text(other)}, "the next decision rests on what stands"


async def test_a_label_that_was_taken_away_comes_back(world: World) -> None:
    await world.do(Assign(FIRST, None))
    world.kube.edit(SLOTS, {"metadata": {"labels": None}})
    await asyncio.sleep(0.1)
    assert await world.seen() is None
    await world.do(Assign(SECOND, FIRST))
    assert world.stands == SECOND
    made = world.kube.read(SLOTS)
    assert made is not None
    assert made["metadata"]["labels"] == {SHARDS_LABEL: "move"}


@pytest.mark.parametrize("data", [{DATA_KEY: "nonsense"}, {DATA_KEY: None}, None])
async def test_one_that_cannot_be_read_is_filled_anew(world: World, data: Any) -> None:
    await world.do(Assign(FIRST, None))
    world.kube.edit(SLOTS, {"data": data})
    with pytest.raises(Conflict):
        await world.do(Assign(SECOND, FIRST))
    await world.do(Assign(SECOND, None))
    assert world.stands == SECOND


async def test_somebody_elses_is_left_alone(world: World) -> None:
    theirs = world.kube.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "slots", "namespace": "shop"},
            "data": {"a": "b"},
        }
    )
    for replaces in (None, FIRST):
        with pytest.raises(Conflict):
            await world.do(Assign(SECOND, replaces))
    assert world.kube.read(SLOTS) == theirs
    assert world.writes == []


@pytest.mark.parametrize("standing", [None, FIRST], ids=["create", "patch"])
async def test_a_write_whose_answer_was_lost_is_settled_before_anything_rests_on_it(
    world: World, standing: Assignment | None
) -> None:
    wanted = FIRST if standing is None else SECOND
    if standing is not None:
        await world.do(Assign(standing, None))
    await world.seen()
    world.kube.silence(CONFIG_MAP)

    async def lose(call: Call) -> None:
        if call.verb in {"patch", "create"}:
            raise Unavailable("connection reset", status=0)

    world.kube.after = lose
    with pytest.raises(Unavailable):
        await world.do(Assign(wanted, standing))
    assert world.performer.certain_in(world.target) > 0
    world.kube.after = None
    await world.performer.settle_doubts(world.target)
    seen = await world.seen()
    assert seen is not None
    assert json.loads(seen["data"][DATA_KEY])["epoch"] == wanted.epoch
    before = len(world.writes)
    await world.do(Assign(wanted, standing))
    assert len(world.writes) == before, "it stands already"


async def test_on_the_way_back_slots_do_not_wait_for_a_stuck_workload(world: World) -> None:
    await world.do(Assign(THIRD, None))
    back = Assignment(4, 0, 100, stop=True)
    stuck = asyncio.Event()

    async def hang(call: Call) -> None:
        if call.subresource == "scale":
            await stuck.wait()

    world.kube.before = hang
    doing = asyncio.create_task(world.do(Scale(Side.OLD, 2), Assign(back, THIRD), urgent=True))
    await asyncio.sleep(0.1)
    assert world.stands == back
    stuck.set()
    with pytest.raises(NotFound):
        await doing


# ---- stamps ----


def workload(kind: str, api_version: str, spec: Object, name: str) -> Object:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


async def test_a_stamp_is_an_annotation_of_the_pod_template_and_nothing_else(world: World) -> None:
    template: Object = {
        "metadata": {"labels": {"app": "old"}},
        "spec": {"containers": [{"name": "main", "image": "a"}]},
    }
    deployment = world.kube.put(workload("Deployment", "apps/v1", {"replicas": 2, "template": template}, "old"))
    job: Object = {"suspend": False, "jobTemplate": {"spec": {"template": {"spec": template["spec"]}}}}
    world.kube.put(workload("CronJob", "batch/v1", job, "new"))
    for epoch in (7, 7, 6):
        await world.do(StampEpoch(Side.OLD, epoch), StampEpoch(Side.NEW, epoch))
    assert len(world.writes) == 2, "what is stamped with this epoch or a later one stays as it is"
    old = world.kube.read(ObjectRef(KindRef("apps/v1", "Deployment"), "shop", "old"))
    new = world.kube.read(ObjectRef(KindRef("batch/v1", "CronJob"), "shop", "new"))
    assert old is not None
    assert new is not None
    assert workloads.epoch(old["spec"]["template"]) == workloads.epoch(workloads.template(new) or {}) == 7
    del old["spec"]["template"]["metadata"]["annotations"]
    assert old["spec"] == deployment["spec"]
    await world.do(StampEpoch(Side.OLD, 8))
    assert len(world.writes) == 3


async def test_a_workload_that_is_gone_is_not_stamped(world: World) -> None:
    await world.do(StampEpoch(Side.OLD, 7))
    assert world.writes == []


async def test_another_kind_is_stamped_where_it_has_a_template_and_refused_where_not(world: World) -> None:
    world.target = Target(world.target.ref, spec("Gadget", GADGET.api_version), "1", ())
    ref = ObjectRef(GADGET, "shop", "old")
    world.kube.put(workload("Gadget", GADGET.api_version, {"size": 1}, "old"))
    with pytest.raises(Invalid, match=r"no pod template at spec\.template.*method Ack or Drain"):
        await world.do(StampEpoch(Side.OLD, 7))
    world.kube.edit(ref, {"spec": {"template": {"metadata": {}}}})
    await asyncio.sleep(0.1)
    await world.do(StampEpoch(Side.OLD, 7))
    stamped = world.kube.read(ref)
    assert stamped is not None
    assert stamped["spec"]["template"]["metadata"]["annotations"] == {EPOCH_ANNOTATION: "7"}

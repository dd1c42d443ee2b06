"""What is known of a rollout's shards: the ConfigMap however it came to be there, and looks only while needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from fakes.kube import FakeKube
from syncrollout.act import assignment
from syncrollout.act.assignment import CONFIG_MAP, DATA_KEY
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import ShardsStatus, SyncRolloutStatus
from syncrollout.api.words import API_VERSION, KIND, HandoverStage, Reason, Side
from syncrollout.decide.facts import Assignment, Facts, HoldersFact, Problem, ShardsFact
from syncrollout.observe.holders import Holders, Question
from syncrollout.observe.shards import Looked, Shards
from syncrollout.ports import KindRef, Object, ObjectRef, Unavailable
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.informers import Informers

pytestmark = [pytest.mark.looptime]

SLOTS = ObjectRef(CONFIG_MAP, "shop", "slots")
RELEASED = Assignment(7, 0, 100)
GADGET = KindRef("example.org/v1", "Gadget")


class FakeHolders(Holders):
    """Answers what a test wants."""

    def __init__(self) -> None:
        self.answer: HoldersFact | Problem | Exception = HoldersFact(pods=2, obeying=2)
        self.asked: list[Question] = []

    async def look(self, target: Target, question: Question, workload: Object | None) -> HoldersFact | Problem:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class World:
    kube: FakeKube
    holders: FakeHolders
    shards: Shards
    target: Target

    async def fact(self) -> tuple[ShardsFact | None, list[Reason]]:
        found: list[Problem] = []
        fact = await self.shards.fact(self.target, found)
        return fact, [problem.reason for problem in found]

    def put(self, value: Assignment | str, *, rollout: str = "move", labelled: bool = True) -> None:
        body = assignment.create(RELEASED, replace(self.target.migration, rollout=rollout))
        body["data"][DATA_KEY] = value if isinstance(value, str) else assignment.text(value)
        metadata = {**body["metadata"], "name": "slots", "namespace": "shop"}
        if not labelled:
            del metadata["labels"]
        self.kube.put({"apiVersion": "v1", "kind": "ConfigMap", **body, "metadata": metadata})

    def gets(self) -> int:
        return sum(call.verb == "get" for call in self.kube.log)


def spec(method: str = "Ack", kind: str = "Deployment", api_version: str = "apps/v1") -> SyncRolloutSpec:
    return SyncRolloutSpec.model_validate(
        {
            "old": {"workload": {"apiVersion": api_version, "kind": kind, "name": "old"}},
            "new": {"workload": {"kind": "Deployment", "name": "new"}},
            "traffic": {"shards": {"configMap": "slots", "handover": {"method": method}}},
            "phases": [{"name": "all", "weight": 100}],
        }
    )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    kube = FakeKube()
    kube.serve(GADGET)
    informers = Informers(kube, project=trim)
    holders = FakeHolders()
    cache = WatchedObjects(informers)
    target = Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "move"), spec(), "1", ())
    yield World(kube, holders, Shards(kube, cache, holders), target)
    await informers.close()


async def test_without_shards_nothing_is_asked(world: World) -> None:
    alone = world.target.spec.traffic.model_copy(update={"shards": None})
    world.target = replace(world.target, spec=world.target.spec.model_copy(update={"traffic": alone}))
    assert await world.fact() == (None, [])
    assert world.kube.log == []


async def test_what_the_watch_shows_is_read_without_asking_again(world: World) -> None:
    assert await world.fact() == (ShardsFact(None), [])
    world.put(RELEASED)
    assert await world.fact() == (ShardsFact(RELEASED), []), "made a moment ago, not seen by the watch yet"
    await world.kube.get(SLOTS)
    before = world.gets()
    for _ in range(3):
        assert await world.fact() == (ShardsFact(RELEASED), [])
    assert world.gets() == before


async def test_one_that_has_lost_its_label_is_still_ours(world: World) -> None:
    world.put(RELEASED, labelled=False)
    assert await world.fact() == (ShardsFact(RELEASED), [])


@pytest.mark.parametrize("labelled", [True, False])
async def test_somebody_elses_is_a_problem_with_or_without_our_label(world: World, labelled: bool) -> None:
    world.put(RELEASED, rollout="another", labelled=labelled)
    assert await world.fact() == (None, [Reason.CONFIG_MAP_TAKEN])


async def test_one_that_cannot_be_read_is_told_and_may_be_filled_anew(world: World) -> None:
    world.put("nonsense")
    assert await world.fact() == (ShardsFact(None), [Reason.ASSIGNMENT_INVALID])


@pytest.mark.parametrize("verb", ["list", "get"])
async def test_a_missing_right_is_told(world: World, verb: str) -> None:
    world.kube.forbid("get" if verb == "get" else "list", CONFIG_MAP)
    assert await world.fact() == (None, [Reason.FORBIDDEN])


async def test_by_restart_a_workload_without_a_pod_template_is_told_before_the_start(world: World) -> None:
    world.target = replace(world.target, spec=spec("Restart", GADGET.kind, GADGET.api_version))
    metadata = {"name": "old", "namespace": "shop"}
    world.kube.put({"apiVersion": GADGET.api_version, "kind": GADGET.kind, "metadata": metadata, "spec": {}})
    assert await world.fact() == (ShardsFact(None), [Reason.INVALID_SPEC])


# ---- looks ----


def waiting(*sides: Side, epoch: int = 7) -> SyncRolloutStatus:
    shards = ShardsStatus(
        config_map="slots",
        epoch=epoch,
        new_below=0,
        old_from=100,
        stage=HandoverStage.RELEASING,
        new_reach=0,
        old_reach=0,
        losing=sides,
        since=0.0,
    )
    return SyncRolloutStatus(in_flight=True, shards=shards)


FACTS = Facts(generation=1, shards=ShardsFact(RELEASED))


async def test_only_the_side_that_a_handover_waits_for_is_looked_at(world: World) -> None:
    settled = waiting().shards
    assert settled is not None
    stands = settled.model_copy(update={"old_from": 0, "stage": HandoverStage.SETTLED})
    at_rest = SyncRolloutStatus(in_flight=True, shards=stands)
    facts = Facts(generation=1, shards=ShardsFact(Assignment(7, 0, 0)))
    assert world.shards.looks(world.target, at_rest, facts) is None
    looked = await world.shards.look(world.target, world.shards.looks(world.target, waiting(Side.OLD), FACTS))
    assert looked == Looked(RELEASED, old=HoldersFact(pods=2, obeying=2))
    assert world.holders.asked == [Question(Side.OLD, 7)]


async def test_a_look_speaks_of_the_assignment_it_was_made_for_alone() -> None:
    looked = Looked(RELEASED, old=HoldersFact(pods=2, obeying=2))
    with_it = looked.on(FACTS).shards
    assert with_it is not None
    assert with_it.old == HoldersFact(pods=2, obeying=2)
    later = replace(FACTS, shards=ShardsFact(Assignment(8, 0, 200)))
    assert looked.on(later) == later


async def test_a_problem_of_a_look_is_one_of_the_facts_and_silence_is_not_let_go(world: World) -> None:
    ahead = Problem(Reason.EPOCH_AHEAD, "a worker is ahead")
    looks = world.shards.looks(world.target, waiting(Side.OLD), FACTS)
    world.holders.answer = ahead
    looked = await world.shards.look(world.target, looks)
    assert looked is not None
    facts = looked.on(FACTS)
    assert facts.problems == (ahead,)
    world.holders.answer = Unavailable("no answer", status=0)
    assert await world.shards.look(world.target, looks) == Looked(RELEASED)

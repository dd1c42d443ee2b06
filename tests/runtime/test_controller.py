"""What comes into the controller reaches everybody who has to know of it."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import create_autospec

import pytest

from fakes.kube import Call, FakeKube
from monitoring.subjects import spec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.ports import Object
from syncrollout.runtime.controller import ADOPTED_AT_ONCE, FEW, LONGEST_PAUSE, Controller
from syncrollout.runtime.reconciler import Reconciler
from syncrollout.runtime.rollouts import ROLLOUT, Key, Rollouts
from syncrollout.runtime.telemetry import Telemetry

pytestmark = [pytest.mark.looptime]


class Keeper:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def seen(self, raw: Object) -> None:
        self.heard.append(raw["metadata"]["generation"])

    def gone(self, namespace: str, name: str) -> None:
        self.heard.append((namespace, name))

    def lead(self) -> None:
        self.heard.append("lead")

    def follow(self) -> None:
        self.heard.append("follow")


def _raw(version: int, generation: int) -> Object:
    metadata = {
        "name": "move",
        "namespace": "web",
        "uid": "u",
        "resourceVersion": str(version),
        "generation": generation,
    }
    return {"metadata": metadata, "spec": spec()}


async def test_an_edit_that_came_in_first_with_the_answer_to_a_write_is_shown_to_the_keeper() -> None:
    keeper, rollouts = Keeper(), Rollouts()
    controller = Controller(
        api=FakeKube(),
        rollouts=rollouts,
        reconciler=create_autospec(Reconciler, instance=True),
        observer=Telemetry(),
        concurrency=1,
        keeper=keeper,
    )
    controller.seen(_raw(1, 1))
    rollouts.put(_raw(3, 2))  # the answer to a write of the status, which was made after the edit
    controller.seen(_raw(2, 2))  # the edit itself, by watch
    controller.seen(_raw(3, 2))
    assert keeper.heard == [1, 2, 2]
    controller.follow()
    controller.gone(Key("web", "move"))
    assert keeper.heard[3:] == ["follow", ("web", "move")]


# ---- comparing -----------------------------------------------------------------------------------------------------


def _ended(number: int, **status: Any) -> Object:
    found = {"state": "Completed", "observedGeneration": 1, "revision": "1", "run": 1, **status}
    metadata = {"name": f"ended-{number}", "namespace": "web"}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec(), "status": found}


def _in_flight(number: int, state: str = "Progressing") -> Object:
    obj = _ended(number, state=state, inFlight=True)
    return {**obj, "metadata": {**obj["metadata"], "finalizers": ["syncrollout.io/restore-traffic"]}}


class Fleet:
    """A controller with so many rollouts that have ended, which it has listed once."""

    def __init__(self, partitions: int = 1) -> None:
        self.api, self.rollouts = FakeKube(), Rollouts(partitions)
        self.api.serve(ROLLOUT)
        self.api.scatter_uids(on=partitions > 1)
        self.reconciler = create_autospec(Reconciler, instance=True)
        self.controller = Controller(
            api=self.api,
            rollouts=self.rollouts,
            reconciler=self.reconciler,
            observer=Telemetry(),
            concurrency=1,
        )

    async def listed(self, count: int) -> None:
        for number in range(count):
            self.api.put(_ended(number))
        await self.controller.compare()

    def calls(self) -> list[tuple[str, str]]:
        """Verb and name of what was asked since the last time."""
        made: list[tuple[str, str]] = [(call.verb, call.ref.name) for call in self.api.log if call.by == "operator"]
        self.api.log.clear()
        return made


async def test_of_many_rollouts_names_alone_are_compared_and_what_the_watch_has_missed_is_read() -> None:
    fleet = Fleet()
    await fleet.listed(FEW + 1)
    fleet.calls()
    await fleet.controller.compare()
    assert fleet.calls() == [("list", "")]
    fleet.api.put(_ended(7, revision="0"))
    fleet.api.put({**_ended(500), "status": {}})
    fleet.api.delete(Key("web", "ended-3").ref)
    await fleet.controller.compare()
    assert sorted(fleet.calls()) == [("get", "ended-3"), ("get", "ended-500"), ("get", "ended-7"), ("list", "")]
    assert fleet.rollouts.get(Key("web", "ended-3")) is None
    seven = fleet.rollouts.get(Key("web", "ended-7"))
    assert seven is not None
    assert seven.raw["status"]["revision"] == "0"
    assert fleet.rollouts.get(Key("web", "ended-500")) is not None


async def test_where_most_has_been_missed_all_is_listed() -> None:
    fleet = Fleet()
    await fleet.listed(FEW + 1)
    for number in range(FEW + 1):
        fleet.api.put(_ended(number, run=2))
    fleet.calls()
    await fleet.controller.compare()
    assert fleet.calls() == [("list", ""), ("list", "")]
    assert {rollout.raw["status"]["run"] for rollout in fleet.rollouts} == {2}


async def test_a_rollout_that_has_ended_is_kept_in_a_tenth_of_its_memory_and_wakes_whole() -> None:
    fleet = Fleet()
    await fleet.listed(1)
    [rollout] = fleet.rollouts
    assert len(fleet.controller.queue) == 0
    assert rollout.rests
    assert bool(rollout.packed)
    assert rollout.raw["spec"] == spec()
    assert "phases" not in rollout.seen["spec"]
    changed = {**_ended(0), "spec": {**spec(), "revision": "2"}}
    fleet.api.put(changed)
    await fleet.controller.compare()
    assert not rollout.at_rest
    assert not rollout.packed
    assert rollout.spec is not None
    assert rollout.spec.revision == "2"
    assert len(fleet.controller.queue) == 1


# ---- leading -------------------------------------------------------------------------------------------------------


class Busy(Fleet):
    """A controller that begins to lead with many in flight; each pass takes a while."""

    def __init__(self, takes: float, partitions: int = 1) -> None:
        super().__init__(partitions)
        self.looked_at: list[tuple[float, str]] = []
        self.at_once = 0
        self._takes = takes
        self.controller.queue._handler = self._pass

    async def _pass(self, key: Key, late: float) -> None:
        self.looked_at.append((asyncio.get_running_loop().time(), key.name))
        self.at_once = max(self.at_once, self.controller.queue.running)
        await asyncio.sleep(self._takes)

    async def leads(self, *objects: Object) -> None:
        for obj in objects:
            self.api.put(obj)
        self.controller.lead()
        await asyncio.sleep(60.0)
        assert len(self.looked_at) == len(objects)
        self.controller.follow()


async def test_of_many_in_flight_some_are_looked_at_at_a_time_and_what_goes_back_first() -> None:
    fleet = Busy(takes=0.1)
    back = _in_flight(299, "RollingBack")
    await fleet.leads(*map(_in_flight, range(299)), back)
    assert fleet.looked_at[0][1] == "ended-299"
    assert fleet.at_once <= 2 * ADOPTED_AT_ONCE
    assert len({name for _, name in fleet.looked_at}) == 300


async def test_where_passes_hang_the_others_are_looked_at_all_the_same() -> None:
    fleet = Busy(takes=1000.0)
    await fleet.leads(*map(_in_flight, range(300)))
    began, ended = fleet.looked_at[0][0], fleet.looked_at[-1][0]
    assert ended - began < 300 / ADOPTED_AT_ONCE * LONGEST_PAUSE + 1.0


async def test_who_loses_one_part_still_looks_at_all_of_the_others() -> None:
    fleet = Busy(takes=1000.0, partitions=2)
    for obj in map(_in_flight, range(300)):
        fleet.api.put(obj)
    for partition in (0, 1):
        fleet.controller.lead(partition)
    await asyncio.sleep(LONGEST_PAUSE / 2)
    assert len(fleet.looked_at) == ADOPTED_AT_ONCE
    fleet.controller.follow(1)
    await asyncio.sleep(60.0)
    mine = {rollout.key.name for rollout in fleet.rollouts if rollout.partition == 0}
    assert len(mine) > ADOPTED_AT_ONCE
    assert mine <= {name for _, name in fleet.looked_at}
    fleet.controller.follow(0)


async def test_a_part_that_is_won_again_while_all_are_listed_is_listed_once_more() -> None:
    fleet = Busy(takes=0.1, partitions=2)
    lists: list[asyncio.Future[None]] = []

    async def compare() -> None:
        lists.append(asyncio.get_running_loop().create_future())
        await lists[-1]

    fleet.controller.lead(0)
    await asyncio.sleep(1.0)
    fleet.controller.compare = compare  # type: ignore[method-assign]
    fleet.controller.lead(1)
    await asyncio.sleep(1.0)
    fleet.controller.follow(1)
    await asyncio.sleep(1.0)
    fleet.controller.lead(1)  # who held it in between has recorded something, maybe
    lists[0].set_result(None)
    await asyncio.sleep(1.0)
    assert fleet.rollouts.led == {0}
    lists[-1].set_result(None)
    await asyncio.sleep(1.0)
    assert fleet.rollouts.led == {0, 1}
    assert len(lists) == 2
    fleet.controller.follow(1)
    fleet.controller.follow(0)


async def test_a_part_that_is_handed_over_before_all_are_listed_is_not_begun_with() -> None:
    fleet = Busy(takes=0.1, partitions=2)
    fleet.reconciler.tells.return_value, fleet.reconciler.certain_in.return_value = False, 5.0
    fleet.controller.lead(0)
    fleet.controller.lead(1)
    handing_over = asyncio.create_task(fleet.controller.hand_over(1, 5.0))
    await asyncio.sleep(1.0)
    assert not handing_over.done()
    assert fleet.rollouts.led == {0}
    await handing_over
    fleet.controller.follow(1)
    fleet.controller.follow(0)


async def test_of_a_part_that_is_handed_over_only_those_are_waited_for_that_a_pass_would_look_at() -> None:
    fleet = Busy(takes=0.1, partitions=2)
    sending = {"messages": [{"id": "1", "deliveries": [{"audience": "a", "channel": "c", "state": "Sending"}]}]}
    for obj in (_ended(0), _ended(1, notifications=sending)):
        fleet.api.put(obj)
    fleet.reconciler.tells.return_value, fleet.reconciler.certain_in.return_value = False, 0.0
    for partition in (0, 1):
        fleet.controller.lead(partition)
    await asyncio.sleep(1.0)
    asked: list[str] = []
    for partition in (0, 1):
        await fleet.controller.hand_over(partition, 5.0)
        which = fleet.reconciler.tells.call_args[0][0]
        asked += [each.key.name for each in fleet.rollouts if each.partition == partition and which(each.key.ref)]
        fleet.controller.follow(partition)
    assert asked == [each.key.name for each in fleet.rollouts if each.tells]
    assert len(asked) == 1


async def test_an_answer_that_nobody_could_foresee_does_not_keep_it_from_acting() -> None:
    fleet = Busy(takes=0.1)
    seen: list[Call] = []

    async def break_down(call: Call) -> None:
        seen.append(call)
        if len(seen) == 1:
            raise KeyError("metadata")

    fleet.api.after = break_down
    fleet.controller.lead()
    await asyncio.sleep(10.0)
    assert fleet.rollouts.led == {0}
    fleet.controller.follow()


async def test_of_a_part_that_is_handed_over_no_message_is_begun_any_more() -> None:
    fleet = Busy(takes=0.1, partitions=2)
    fleet.reconciler.tells.return_value, fleet.reconciler.certain_in.return_value = True, 0.0
    for partition in (0, 1):
        fleet.controller.lead(partition)
    handing_over = asyncio.create_task(fleet.controller.hand_over(1, 5.0))
    await asyncio.sleep(1.0)
    assert fleet.rollouts.leaving == {1}
    fleet.reconciler.tells.return_value = False
    await handing_over
    assert fleet.rollouts.leaving == set(), "it may be won again"
    fleet.controller.follow(1)
    fleet.controller.follow(0)


async def test_a_part_is_kept_until_what_whoever_acted_before_has_sent_cannot_arrive_any_more() -> None:
    fleet = Busy(takes=0.1, partitions=2)
    fleet.reconciler.tells.return_value, fleet.reconciler.certain_in.return_value = False, 0.0
    fleet.controller.lead(0)
    fleet.controller.lead(1, unsure_for=7.0)
    handing_over = asyncio.create_task(fleet.controller.hand_over(1, 5.0))
    await asyncio.sleep(6.0)
    assert fleet.rollouts.led == {0, 1}, "it is acted for meanwhile"
    certain = [fleet.controller.certain]
    await asyncio.sleep(2.0)
    certain.append(fleet.controller.certain)
    assert handing_over.done()
    assert certain == [False, True]
    fleet.controller.follow(1)
    fleet.controller.follow(0)


async def test_a_part_that_is_won_a_moment_later_does_not_wait_until_the_first_has_been_looked_at() -> None:
    fleet = Busy(takes=1000.0, partitions=2)
    for obj in (*map(_in_flight, range(300)), *(_in_flight(number, "RollingBack") for number in range(300, 310))):
        fleet.api.put(obj)
    fleet.controller.lead(0)
    await asyncio.sleep(LONGEST_PAUSE / 5)
    fleet.controller.lead(1)
    await asyncio.sleep(LONGEST_PAUSE / 5)
    back = {
        rollout.key.name
        for rollout in fleet.rollouts
        if rollout.partition == 1 and rollout.seen["status"]["state"] == "RollingBack"
    }
    assert back
    assert back <= {name for _, name in fleet.looked_at}
    fleet.controller.follow(1)
    fleet.controller.follow(0)

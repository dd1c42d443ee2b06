"""Rules and dashboards are kept as the spec asks, whatever happens in between, and cost nothing where nobody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fakes.kube import Call, FakeKube
from fakes.storage import Served
from monitoring.subjects import spec
from syncrollout.act.monitoring import LOOK_EVERY, MonitoringKeeper
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.monitoring.objects import RULES_KEY
from syncrollout.ports import KindRef, NotLeading, Object, ObjectRef, Unavailable

pytestmark = [pytest.mark.looptime]
RULE = KindRef("monitoring.coreos.com/v1", "PrometheusRule")
CONFIG_MAP = KindRef("v1", "ConfigMap")
ASKED = {
    "alerts": [{"metric": "errors", "severity": "High", "above": 5}],
    "rules": {"labels": {"release": "prometheus"}},
    "dashboards": {"folder": "Web"},
}
BOARDS = {f"move-dashboard-{key}" for key in ("realtime", "daily", "weekly")}
EVER = 3 * LOOK_EVERY
"""Seconds within which everything is looked at again, more than once."""


class World:
    """An API server, and the keeper beside it."""

    def __init__(self, *, rules: bool = True) -> None:
        self.kube = FakeKube()
        self.told: list[str] = []
        self.applied: dict[tuple[str, str], bool] = {}
        self.keeper = MonitoringKeeper(
            self.kube, tell=lambda _, uid, text: self.told.append(f"{uid}: {text}"), observe=self._observe
        )
        if rules:
            self.kube.serve(RULE, Served(generation="custom"))
        self._edits = 0

    def _observe(self, namespace: str, name: str, applied: bool | None) -> None:
        if applied is None:
            self.applied.pop((namespace, name), None)
        else:
            self.applied[namespace, name] = applied

    def rollout(self, monitoring: Object | None = ASKED, *, uid: str = "u1", **metadata: Any) -> None:
        """Applied, and seen."""
        self._edits += 1
        asked = {} if monitoring is None else {"monitoring": monitoring}
        own = {"name": "move", "namespace": "web", "uid": uid, "generation": self._edits}
        self.keeper.seen({"metadata": {**own, **metadata}, "spec": spec(**asked)})

    def found(self, kind: KindRef, name: str = "move-alerts") -> Object | None:
        return self.kube.read(ObjectRef(kind, "web", name))

    def names(self, kind: KindRef) -> set[str]:
        return {obj["metadata"]["name"] for obj in self.kube.all(kind, "web")}

    def writes(self) -> list[str]:
        return [str(call) for call in self.kube.effects if call.by == "operator"]


@asynccontextmanager
async def leading(world: World) -> AsyncIterator[World]:
    world.keeper.lead()
    try:
        yield world
    finally:
        await world.keeper.close()


def rules_of(obj: Object | None) -> list[str]:
    assert obj is not None
    return [rule["alert"] for group in obj["spec"]["groups"] for rule in group["rules"]]


async def test_all_is_made_with_the_rollout_as_its_owner() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"]
        assert world.names(CONFIG_MAP) == BOARDS
        owner = {"apiVersion": API_VERSION, "kind": KIND, "name": "move", "uid": "u1", "controller": True}
        for obj in [world.found(RULE), *(world.found(CONFIG_MAP, name) for name in BOARDS)]:
            assert obj is not None
            assert obj["metadata"]["ownerReferences"] == [owner]
        assert (world.applied, world.told) == ({("web", "move"): True}, [])


async def test_nothing_is_written_twice_and_reads_are_few() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        calls = len(world.kube.log)
        for _ in range(50):
            world.keeper.seen(_same(world))
        await asyncio.sleep(LOOK_EVERY * 1.2)
        assert len(world.writes()) == 4
        assert [call.verb for call in world.kube.log[calls:]] == ["get"] * 5


def _same(world: World) -> Object:
    [kept] = world.keeper._kept.values()
    return kept.raw


async def test_who_asks_for_nothing_costs_nothing() -> None:
    async with leading(World()) as world:
        world.rollout(None)
        await asyncio.sleep(EVER)
        assert world.kube.log == []
        assert world.applied == {}


async def test_where_the_kind_is_not_served_rules_are_a_config_map_until_it_is() -> None:
    async with leading(World(rules=False)) as world:
        world.rollout()
        await asyncio.sleep(1)
        found = world.found(CONFIG_MAP)
        assert found is not None
        assert "ErrorsHigh" in found["data"][RULES_KEY]
        assert world.applied == {("web", "move"): True}
        world.kube.serve(RULE, Served(generation="custom"))
        await asyncio.sleep(EVER)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"]
        emptied = world.found(CONFIG_MAP)
        assert emptied is not None
        assert not emptied.get("data")


async def test_an_edit_is_applied_at_once_and_nothing_of_before_stays() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        less = {"metric": "errors", "severity": "Low", "above": 1}
        world.rollout({"alerts": [less], "rules": {"labels": {"team": "web"}}, "dashboards": {"labels": {"g": "1"}}})
        await asyncio.sleep(1)
        rule, board = world.found(RULE), world.found(CONFIG_MAP, "move-dashboard-daily")
        assert rules_of(rule) == ["ErrorsLow", "ErrorsNoData"]
        assert rule is not None
        assert rule["metadata"]["labels"] == {"team": "web", "syncrollout.io/rollout": "move"}
        assert board is not None
        assert board["metadata"]["labels"] == {"g": "1", "syncrollout.io/rollout": "move"}
        assert not board["metadata"].get("annotations")


@pytest.mark.parametrize("monitoring", [None, {}, {"rules": {"as": "File"}, "alerts": ASKED["alerts"]}])
async def test_what_is_not_asked_for_any_more_is_emptied(monitoring: Object | None) -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        world.rollout(monitoring)
        await asyncio.sleep(1)
        assert rules_of(world.found(RULE)) == []
        for name in BOARDS:
            board = world.found(CONFIG_MAP, name)
            assert board is not None
            assert not board.get("data")
            assert board["metadata"]["labels"] == {"syncrollout.io/rollout": "move"}
        assert world.applied == ({} if monitoring is None else {("web", "move"): True})
        reads = len(world.kube.log)
        await asyncio.sleep(EVER)
        assert len(world.writes()) == 8
        assert (len(world.kube.log) == reads) == (monitoring is None)


async def test_what_somebody_deletes_or_changes_comes_back() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        world.kube.delete(ObjectRef(CONFIG_MAP, "web", "move-dashboard-daily"))
        world.kube.edit(ObjectRef(RULE, "web", "move-alerts"), {"spec": {"groups": []}})
        noted = {"metadata": {"annotations": {"a": "b"}}}
        world.kube.edit(ObjectRef(CONFIG_MAP, "web", "move-dashboard-weekly"), noted)
        await asyncio.sleep(EVER)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"]
        assert world.names(CONFIG_MAP) == BOARDS
        weekly = world.found(CONFIG_MAP, "move-dashboard-weekly")
        assert weekly is not None
        assert weekly["metadata"]["annotations"] == {"a": "b", "grafana_folder": "Web"}


async def test_an_object_of_somebody_else_is_left_alone_and_told_once() -> None:
    async with leading(World()) as world:
        metadata = {"name": "move-dashboard-daily", "namespace": "web"}
        world.kube.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mine": "yes"}})
        world.rollout()
        await asyncio.sleep(EVER)
        found = world.found(CONFIG_MAP, "move-dashboard-daily")
        assert found is not None
        assert found["data"] == {"mine": "yes"}
        mend = "exists, and is not of this rollout: rename or delete it"
        assert world.told == [f"u1: ConfigMap web/move-dashboard-daily {mend}"]
        assert world.names(CONFIG_MAP) == BOARDS, "the others are made all the same"
        assert world.applied == {("web", "move"): False}
        world.kube.delete(ObjectRef(CONFIG_MAP, "web", "move-dashboard-daily"))
        await asyncio.sleep(EVER)
        assert world.applied == {("web", "move"): True}


async def test_a_right_that_is_missing_is_told_and_mended() -> None:
    async with leading(World()) as world:
        world.kube.forbid("create", RULE)
        world.rollout()
        await asyncio.sleep(60)
        [told] = world.told
        assert 'lacks the right to "create"' in told
        world.kube.allow("create", RULE)
        await asyncio.sleep(EVER)
        assert world.applied == {("web", "move"): True}
        assert len(world.told) == 1


async def test_what_cannot_be_made_is_told_and_what_stands_is_left() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        world.rollout({"alerts": [{"metric": "absent", "severity": "Low", "above": 1}]})
        await asyncio.sleep(1)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"]
        mend = "add the metric or correct the name"
        assert world.told == [f"u1: an alert names metric absent, which is not in spec.metrics; {mend}"]
        world.rollout({"alerts": "nonsense"})
        await asyncio.sleep(1)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"], "the rollout itself says InvalidSpec"


async def test_nothing_is_made_for_a_rollout_that_is_being_deleted() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        world.rollout(deletionTimestamp="2026-01-01T00:00:00Z")
        world.kube.delete(ObjectRef(RULE, "web", "move-alerts"))
        await asyncio.sleep(EVER)
        assert world.found(RULE) is None
        assert world.applied == {}


async def test_one_that_is_made_anew_gets_its_own() -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        world.keeper.gone("web", "move")
        for name in BOARDS:
            world.kube.delete(ObjectRef(CONFIG_MAP, "web", name))
        world.kube.delete(ObjectRef(RULE, "web", "move-alerts"))
        world.rollout(uid="u2")
        await asyncio.sleep(1)
        found = world.found(RULE)
        assert found is not None
        assert found["metadata"]["ownerReferences"][0]["uid"] == "u2"


async def test_who_does_not_lead_asks_nothing_and_begins_when_it_does() -> None:
    world = World()
    world.rollout()
    await asyncio.sleep(EVER)
    assert world.kube.log == []
    async with leading(world):
        await asyncio.sleep(1)
        assert world.names(CONFIG_MAP) == BOARDS
        world.keeper.follow()
        assert world.applied == {}
        world.kube.delete(ObjectRef(RULE, "web", "move-alerts"))
        await asyncio.sleep(EVER)
        assert world.found(RULE) is None
        world.keeper.lead()
        await asyncio.sleep(1)
        assert world.found(RULE) is not None


@pytest.mark.parametrize("lost_after", [False, True], ids=["refused", "answer-lost"])
@pytest.mark.parametrize("number", range(10))
async def test_whatever_call_fails_all_stands_in_the_end(number: int, *, lost_after: bool) -> None:
    world = World()
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": "move", "uid": "u1"}
    metadata = {"name": "move-alerts", "namespace": "web", "ownerReferences": [owner]}
    world.kube.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"old": "x"}})
    calls = 0

    async def fail(call: Call) -> None:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            raise NotLeading("late") if number % 3 == 2 else Unavailable(f"{call}: no answer")

    if lost_after:
        world.kube.after = fail
    else:
        world.kube.before = fail
    async with leading(world):
        world.rollout()
        await asyncio.sleep(60)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"]
        assert world.names(CONFIG_MAP) == BOARDS | {"move-alerts"}
        emptied = world.found(CONFIG_MAP)
        assert emptied is not None
        assert not emptied.get("data")
        assert world.applied == {("web", "move"): True}
        assert world.told == []


async def test_one_that_hangs_or_breaks_does_not_stop_the_next_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    async with leading(World()) as world:
        broken: Callable[..., Any] = lambda *_, **__: 1 / 0  # noqa: E731
        with monkeypatch.context() as patched:
            patched.setattr("syncrollout.act.monitoring.wanted", broken)
            world.rollout()
            await asyncio.sleep(1)
        assert world.told == ["u1: an error of the operator's own, which its log has"]
        world.rollout()
        await asyncio.sleep(1)
        assert world.applied == {("web", "move"): True}


async def test_one_that_is_deleted_while_it_is_looked_at_takes_nobody_with_it() -> None:
    async with leading(World()) as world:

        async def deleted(call: Call) -> None:
            world.kube.before = None
            world.keeper.gone("web", "move")
            raise NotLeading("late")

        world.kube.before = deleted
        world.rollout()
        await asyncio.sleep(60)
        assert world.names(CONFIG_MAP) == set()
        world.rollout(uid="u2")
        await asyncio.sleep(1)
        assert world.names(CONFIG_MAP) == BOARDS


async def test_many_are_looked_at_one_after_another() -> None:
    async with leading(World()) as world:
        under_way: set[str] = set()

        async def watched(call: Call) -> None:
            under_way.add(call.ref.namespace)
            assert len(under_way) == 1
            await asyncio.sleep(0.01)
            under_way.discard(call.ref.namespace)

        world.kube.before = watched
        for number in range(50):
            metadata = {"name": "move", "namespace": f"n{number}", "uid": f"u{number}", "generation": 1}
            world.keeper.seen({"metadata": metadata, "spec": spec(monitoring=ASKED)})
        await asyncio.sleep(60)
        assert len(world.kube.all(RULE)) == 50
        assert len(world.applied) == 50
        assert world.told == []


async def test_what_stands_unchanged_is_not_made_anew_to_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    async with leading(World()) as world:
        world.rollout()
        await asyncio.sleep(1)
        unchanged: Callable[..., Any] = lambda *_, **__: pytest.fail("made anew")  # noqa: E731
        with monkeypatch.context() as patched:
            patched.setattr("syncrollout.act.monitoring.wanted", unchanged)
            await asyncio.sleep(EVER)
        assert world.told == []
        world.kube.edit(ObjectRef(RULE, "web", "move-alerts"), {"spec": {"groups": []}})
        await asyncio.sleep(EVER)
        assert rules_of(world.found(RULE)) == ["ErrorsHigh", "ErrorsNoData"]

"""Freezes that rollouts share: what is read, what is refused, and that nothing which is not known counts as none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes.kube import Call, FakeKube
from syncrollout import freeze_list
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus, WatchStatus
from syncrollout.api.words import API_VERSION, FREEZES_LABEL, KIND, State
from syncrollout.decide.waited_for import FreezesFact
from syncrollout.observe.freezes import SharedFreezes
from syncrollout.ports import Forbidden, KindRef, Object, ObjectRef
from syncrollout.runtime.cache import WatchedObjects
from syncrollout.runtime.informers import Informers

pytestmark = [pytest.mark.looptime]
GOOD = "- {from: 2026-12-28, to: 2027-01-04, reason: year end}\n- {from: 2027-03-31T18:00, to: 2027-04-01T12:00}\n"


def _target(**schedule: Any) -> Target:
    spec = {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}},
        "traffic": {"replicas": {"total": 10}},
        "phases": [{"name": "all", "weight": 100}],
        "schedule": schedule,
    }
    ref = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")
    return Target(ref, SyncRolloutSpec.model_validate(spec), "1", ())


SHARED = _target(freezesFrom={"configMap": "freezes"})


class Cluster:
    """An API server, and what looks at its ConfigMaps."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.informers = Informers(self.kube)
        self.freezes = SharedFreezes(WatchedObjects(self.informers))

    def put(self, text: str, *, label: bool = True, key: str = "freezes", namespace: str = "shop") -> None:
        metadata: Object = {"name": "freezes", "namespace": namespace}
        if label:
            metadata["labels"] = {FREEZES_LABEL: "true"}
        self.kube.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: text}})

    async def look(self, target: Target = SHARED, status: SyncRolloutStatus | None = None) -> FreezesFact:
        found = await self.freezes.look(target, status or SyncRolloutStatus())
        assert found is not None
        return found


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    yield made
    await made.informers.close()


async def test_the_freezes_of_the_rollouts_own_namespace_are_read(cluster: Cluster) -> None:
    cluster.put(GOOD)
    cluster.put("[]", namespace="other")

    found = await cluster.look()

    assert not found.problem
    assert [(each.start, each.to, each.reason) for each in found.freezes] == [
        ("2026-12-28", "2027-01-04", "year end"),
        ("2027-03-31T18:00", "2027-04-01T12:00", ""),
    ]


async def test_what_is_missing_is_no_empty_list(cluster: Cluster) -> None:
    missing = await cluster.look()
    assert missing.problem.startswith("ConfigMap shop/freezes, which spec.schedule.freezesFrom names, does not exist")
    assert not missing.passing

    cluster.put(GOOD, label=False)
    assert "or has not the label syncrollout.io/freezes" in (await cluster.look()).problem


async def test_a_key_that_is_missing_is_told(cluster: Cluster) -> None:
    cluster.put(GOOD, key="other")

    assert (await cluster.look()).problem == (
        "ConfigMap shop/freezes has no key freezes: add it (an empty list where there is no freeze)"
    )


async def test_a_right_that_is_missing_is_something_to_mend(cluster: Cluster) -> None:
    cluster.put(GOOD)

    async def refuses(call: Call) -> None:
        raise Forbidden(f"{call.verb} configmaps is forbidden")

    cluster.kube.before = refuses

    found = await cluster.look()

    assert "list configmaps is forbidden" in found.problem
    assert not found.passing


async def test_a_rollback_looks_at_nothing_and_neither_does_who_shares_none(cluster: Cluster) -> None:
    rolling = SyncRolloutStatus(state=State.ROLLING_BACK, in_flight=True)

    assert await cluster.freezes.look(SHARED, rolling) is None
    assert await cluster.freezes.look(_target(), SyncRolloutStatus()) is None
    assert cluster.kube.log == []


@pytest.mark.parametrize(
    "status",
    [
        SyncRolloutStatus(state=State.PROGRESSING, in_flight=True),
        SyncRolloutStatus(state=State.COMPLETED, watch=WatchStatus(until=9e9, moves="")),
    ],
)
async def test_who_could_still_go_back_waits_for_a_moment_alone(cluster: Cluster, status: SyncRolloutStatus) -> None:
    async def hangs(_: Call) -> None:
        await asyncio.sleep(60)

    cluster.kube.before = hangs
    began = asyncio.get_running_loop().time()

    found = await cluster.look(status=status)

    assert found.passing
    assert "could not be read within 1 s" in found.problem
    assert asyncio.get_running_loop().time() - began <= 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{from: 2026-12-28", "it is no YAML, line"),
        ("from: 2026-12-28", "it is no list of freezes"),
        ("closed", "it is no list of freezes"),
        ("- 2026-12-28", "freeze 1 cannot be read: it is not made of from, to and reason"),
        ("- {from: 2026-12-28}", "freeze 1 cannot be read: it has no to"),
        ("- {from: 2026-12-28, to: 2026-12-29, by: bob}", "freeze 1 cannot be read: it has a field that is none of"),
        (GOOD + "- {from: secret, to: 2026-12-29}", "freeze 3 cannot be read: from is no date"),
        ("- {from: 2026-02-30, to: 2026-12-29}", "freeze 1 cannot be read: from is no date"),
        ("- {from: 2026-12-29, to: 2026-12-28}", "freeze 1: it ends (2026-12-28) before it begins"),
        (f"- {{from: 2026-12-28, to: 2026-12-29, reason: {'x' * 201}}}", "freeze 1 cannot be read: its reason is too"),
        ("- {from: 2026-12-28, to: 2026-12-29}\n" * 257, "it has 257 freezes, and 256 are read at most"),
        (" " * 70_000, "it is longer than 65536 characters"),
        ("[" * 20_000, "it is no YAML"),
    ],
)
def test_a_broken_entry_is_told_by_its_place_and_makes_all_of_them_unknown(text: str, says: str) -> None:
    found = freeze_list.read(text)

    assert isinstance(found, str)
    assert found.startswith(says)
    assert "secret" not in found


@pytest.mark.parametrize("text", ["", "[]", "# none\n"])
def test_a_list_of_nothing_is_no_freeze(text: str) -> None:
    assert freeze_list.read(text) == ()

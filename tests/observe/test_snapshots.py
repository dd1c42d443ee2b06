"""VolumeSnapshots as backups: which one counts, and why none does."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.kube import FakeKube
from fakes.storage import Served
from syncrollout.act.target import Target
from syncrollout.api.fields import parse_time
from syncrollout.api.spec import SyncRolloutSpec, VolumeSnapshot
from syncrollout.api.words import API_VERSION
from syncrollout.api.words import KIND as ROLLOUT
from syncrollout.observe.snapshots import KIND, Snapshots
from syncrollout.ports import KindRef, ObjectRef

pytestmark = [pytest.mark.looptime]

SPEC = SyncRolloutSpec.model_validate(
    {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}},
        "traffic": {"replicas": {"total": 10}},
        "phases": [{"name": "all", "weight": 100}],
    }
)
TARGET = Target(ObjectRef(KindRef(API_VERSION, ROLLOUT), "shop", "move"), SPEC, "1", ())
NAMED, LABELLED = VolumeSnapshot(name="nightly"), VolumeSnapshot(match_labels={"app": "db"})


@pytest.fixture
def kube() -> FakeKube:
    kube = FakeKube()
    kube.serve(KIND, Served(status=True, generation="custom"))
    return kube


def _snapshot(name: str, taken: str | None = None, **status: Any) -> dict[str, Any]:
    made = {"readyToUse": True, "creationTime": taken, **status} if taken is not None or status else {}
    metadata = {"name": name, "namespace": "shop", "labels": {"app": "db"}}
    return {"apiVersion": KIND.api_version, "kind": KIND.kind, "metadata": metadata, "spec": {}, "status": made}


async def test_the_one_that_is_named_counts_from_when_it_was_taken(kube: FakeKube) -> None:
    kube.put(_snapshot("nightly", "2026-01-01T03:00:00Z"))
    fact = await Snapshots(kube).look(TARGET, NAMED)
    assert fact is not None
    assert (fact.taken, fact.text) == (parse_time("2026-01-01T03:00:00Z"), "VolumeSnapshot shop/nightly")


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (_snapshot("other", "2026-01-01T03:00:00Z"), "VolumeSnapshot shop/nightly does not exist"),
        (_snapshot("nightly"), "VolumeSnapshot shop/nightly is not ready to use"),
        (_snapshot("nightly", "2026-01-01T03:00:00Z", readyToUse=False), "is not ready to use"),
        (_snapshot("nightly", readyToUse=True), "does not say when it was taken (status.creationTime)"),
        (_snapshot("nightly", "yesterday"), "does not say when it was taken (status.creationTime)"),
        (
            _snapshot("nightly", readyToUse=False, error={"message": "no space; password=hunter2"}),
            "is not ready to use: no space; password=***",
        ),
    ],
)
async def test_one_that_cannot_be_used_is_none_and_it_is_said_why(
    kube: FakeKube, snapshot: dict[str, Any], why: str
) -> None:
    kube.put(snapshot)
    fact = await Snapshots(kube).look(TARGET, NAMED)
    assert fact is not None
    assert fact.taken is None
    assert why in fact.text


async def test_of_several_the_newest_that_can_be_used_counts(kube: FakeKube) -> None:
    kube.put(_snapshot("monday", "2026-01-05T03:00:00Z"))
    kube.put(_snapshot("tuesday", "2026-01-06T03:00:00Z"))
    kube.put(_snapshot("today", "2026-01-07T03:00:00Z", readyToUse=False))
    fact = await Snapshots(kube).look(TARGET, LABELLED)
    assert fact is not None
    assert fact.text == "VolumeSnapshot shop/tuesday"


async def test_none_with_the_labels_and_none_that_can_be_used_are_told(kube: FakeKube) -> None:
    fact = await Snapshots(kube).look(TARGET, LABELLED)
    assert fact is not None
    assert (fact.taken, fact.text) == (None, "no VolumeSnapshot has the labels app=db")
    for name in ("monday", "tuesday"):
        kube.put(_snapshot(name))
    fact = await Snapshots(kube).look(TARGET, LABELLED)
    assert fact is not None
    assert "monday is not ready to use; nor can any of 1 more be used" in fact.text


async def test_a_cluster_without_them_and_a_right_that_is_missing_are_told(kube: FakeKube) -> None:
    kube.forbid("get", KIND)
    fact = await Snapshots(kube).look(TARGET, NAMED)
    assert fact is not None
    assert fact.taken is None
    assert "get" in fact.text
    kube.allow("get", KIND)
    kube.unserve(KIND)
    fact = await Snapshots(kube).look(TARGET, NAMED)
    assert fact is not None
    assert "this cluster has no VolumeSnapshots (snapshot.storage.k8s.io/v1)" in fact.text
    assert await Snapshots(kube).look(TARGET, None) is None

"""`kubectl syncrollout migrate-storage`: what is asked of the cluster, in which order, and when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import DryRun, Terminal
from syncrollout.cli.migrating import AT_ONCE, migrate


class Cluster:
    """A cluster whose CRD stores v1beta1 and that keeps some objects as v1alpha1."""

    def __init__(self, objects: int = 3, stored: Sequence[str] = ("v1alpha1", "v1beta1")) -> None:
        self.names = [("listings", f"r{number}") for number in range(objects)]
        self.stored = list(stored)
        self.touched: list[str] = []
        self.calls: list[tuple[str, bool]] = []
        self.refuses = ""

    def definition(self) -> dict[str, Any]:
        versions = [{"name": "v1alpha1", "storage": False}, {"name": "v1beta1", "storage": True}]
        return {"spec": {"versions": versions}, "status": {"storedVersions": self.stored}}

    def all_names(self, version: str) -> list[tuple[str, str]]:
        assert version == "v1beta1"
        return self.names

    def touch(self, objects: Sequence[dict[str, Any]], *, dry_run: bool) -> None:
        self.calls.append((f"touch {len(objects)}", dry_run))
        for each in objects:
            assert each["apiVersion"] == "syncrollout.io/v1beta1"
            if each["metadata"]["name"] == self.refuses:
                raise Failed("1 could not be written")
            self.touched.append(each["metadata"]["name"])

    def trim(self, definition: dict[str, Any], version: str, *, dry_run: bool) -> None:
        self.calls.append((f"trim to {version}", dry_run))


def carried_out(cluster: Cluster, *, dry_run: DryRun = DryRun.NONE, yes: bool = True, answer: bool = True) -> list[str]:
    said: list[str] = []
    migrate(cluster, Terminal(said.append, lambda _: answer), dry_run=dry_run, yes=yes)
    return said


def test_each_is_written_as_it_is_and_then_the_crd_is_told() -> None:
    cluster = Cluster(objects=AT_ONCE + 1)
    said = carried_out(cluster)
    assert cluster.calls == [(f"touch {AT_ONCE}", False), ("touch 1", False), ("trim to v1beta1", False)]
    assert len(set(cluster.touched)) == AT_ONCE + 1
    assert said[-1] == "Every SyncRollout is stored as v1beta1. The CRD may do without v1alpha1 from now on."


def test_where_all_is_stored_as_it_should_nothing_is_asked_for() -> None:
    cluster = Cluster(stored=["v1beta1"])
    assert carried_out(cluster) == ["Every SyncRollout is stored as v1beta1: there is nothing to do."]
    assert cluster.calls == []


def test_one_that_cannot_be_written_leaves_the_crd_as_it_is() -> None:
    cluster = Cluster()
    cluster.refuses = "r1"
    with pytest.raises(Failed):
        carried_out(cluster)
    assert [call for call, _ in cluster.calls] == ["touch 3"]


def test_a_dry_run_of_the_client_asks_for_nothing_and_one_of_the_server_changes_nothing() -> None:
    cluster = Cluster()
    assert carried_out(cluster, dry_run=DryRun.CLIENT)[-1] == "Nothing was done (client dry run)."
    assert cluster.calls == []
    assert "nothing was done" in carried_out(cluster, dry_run=DryRun.SERVER, yes=False, answer=False)[-1]
    assert cluster.calls == [("touch 3", True), ("trim to v1beta1", True)]


def test_a_person_is_asked_and_may_say_no() -> None:
    cluster = Cluster()
    with pytest.raises(Ended) as ended:
        carried_out(cluster, yes=False, answer=False)
    assert (ended.value.code, cluster.calls) == (2, [])


def test_a_cluster_without_any_is_trimmed_all_the_same() -> None:
    cluster = Cluster(objects=0)
    carried_out(cluster)
    assert cluster.calls == [("trim to v1beta1", False)]

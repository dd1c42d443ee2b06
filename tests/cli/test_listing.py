"""`kubectl syncrollout list`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from cli.cluster import FakeCluster, Obj
from syncrollout.cli import listing
from syncrollout.cli.plugin import main

DEADLINE = "2026-01-05T12:00:00.125Z"


def rollout(name: str, namespace: str = "listings", labels: dict[str, str] | None = None, **status: Any) -> Obj:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": "1", "labels": labels or {}}
    return {"apiVersion": "syncrollout.io/v1alpha1", "kind": "SyncRollout", "metadata": metadata, "status": status}


def half(name: str, namespace: str = "listings", **more: Any) -> Obj:
    status = {"phase": {"label": "2/3 half"}, "weight": 50, "state": "Progressing", "health": "Healthy"}
    return rollout(name, namespace, **(status | {"next": "full after 2026-01-06", "message": "Phase 2/3 half"} | more))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """What the commands reach instead of a cluster."""
    made = FakeCluster()
    monkeypatch.setattr(listing, "Kubectl", lambda *_: made)
    return made


def put(cluster: FakeCluster, *rollouts: Obj) -> None:
    for each in rollouts:
        cluster.objects["syncrollouts.syncrollout.io", each["metadata"]["name"]] = each


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_each_rollout_is_a_line_and_they_are_sorted() -> None:
    found = listing.of(FakeCluster(half("move"), half("images", "a"), rollout("auth", "a", weight=0)))
    titles, *rows = listing.lines(found)
    assert cells(titles) == ["NAME", "PHASE", "WEIGHT", "STATUS", "HEALTH", "NEXT", "DEADLINE"]
    assert [cells(row) for row in rows] == [
        ["auth", "-", "0 %", "Pending", "-", "-", "-"],
        ["images", "2/3 half", "50 %", "Progressing", "Healthy", "full after 2026-01-06", "-"],
        ["move", "2/3 half", "50 %", "Progressing", "Healthy", "full after 2026-01-06", "-"],
    ]


def test_columns_are_aligned() -> None:
    lines = listing.lines([half("a-rather-long-name"), half("b")])
    assert len({line.index("2/3 half") for line in lines[1:]} | {lines[0].index("PHASE")}) == 1


def test_the_deadline_of_an_open_incident_is_shown_and_none_of_one_that_is_overridden() -> None:
    open_one = half("a", incident={"severity": "Medium", "deadline": DEADLINE})
    overridden = half("b", incident={"severity": "Medium", "overridden": "known"})
    _, first, second = listing.lines([open_one, overridden])
    assert cells(first)[-1] == "2026-01-05T12:00:00Z"
    assert cells(second)[-1] == "-"


def test_what_another_release_has_written_is_shown_like_all_others() -> None:
    (_, row) = listing.lines([half("move", state="Levitating", newField={"a": 1})])
    assert cells(row)[3] == "Levitating"


def test_wide_says_what_it_waits_for_and_that_nobody_has_looked() -> None:
    lines = listing.lines([half("move"), rollout("new")], wide=True)
    assert lines[0].endswith("MESSAGE")
    assert lines[1].endswith("Phase 2/3 half")
    assert lines[2].endswith("the operator has not looked at it yet")


def test_all_namespaces_and_labels_reach_the_cluster(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    put(cluster, half("move"), half("other", labels={"team": "b"}))
    assert main(["list", "-A", "-l", "team=b"]) == 0
    assert cluster.asked == [("team=b", True)]
    titles, row = capsys.readouterr().out.splitlines()
    assert cells(titles)[0] == "NAMESPACE"
    assert cells(row)[:2] == ["listings", "other"]


def test_programs_get_the_objects(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    put(cluster, half("move"), half("auth"))
    assert main(["list", "-o", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [each["metadata"]["name"] for each in made["items"]] == ["auth", "move"]
    assert made["kind"] == "List"
    assert main(["list", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == made


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is no SyncRollout in this namespace.\n"),
        (["-n", "x"], "There is no SyncRollout in namespace x.\n"),
        (["-A", "-l", "team=a"], "There is no SyncRollout with labels team=a in any namespace.\n"),
    ],
)
def test_none_is_said_and_is_no_failure(
    arguments: list[str], said: str, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *arguments]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", said)


def test_none_is_an_empty_list_to_programs(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == []


def test_one_namespace_or_all(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "-A", "-n", "x"]) == 1
    assert capsys.readouterr().err == "give either --namespace or --all-namespaces\n"

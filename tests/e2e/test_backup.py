"""A rollout is saved in the middle of its run, everything is lost, and comes back: with kubectl alone, as
docs/operations.md says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import plan
from e2e.operators import Operators
from e2e.scene import Scene
from e2e.sharded import Workers, workers
from testbed import Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
OF_THE_CLUSTER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers")


@pytest.fixture
def crew(empty_scene: Scene) -> Iterator[Workers]:
    """A fresh namespace in which pods are processes."""
    with workers(empty_scene) as made:
        yield made


def saved(crew: Workers) -> list[Obj]:
    """All that makes up the migration, as `kubectl get -o json` has it, in the order in which it is restored."""
    kinds = "services,configmaps,deployments.apps,httproutes.gateway.networking.k8s.io,syncrollouts.syncrollout.io"
    cluster, namespace = crew.scene.stage.cluster, crew.scene.namespace
    items: list[Obj] = json.loads(cluster.kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"]
    return [each for each in items if each["metadata"]["name"] != "kube-root-ca.crt"]


def lost(crew: Workers, backup: list[Obj]) -> None:
    """Nothing of it is there any more."""
    for each in reversed(backup):
        at = each["apiVersion"], each["kind"], each["metadata"]["name"], crew.scene.namespace
        if each["kind"] == plan.KIND:
            crew.kube.patch(*at, {"metadata": {"finalizers": None}})
        crew.kube.delete(*at)
    for each in backup:
        at = each["apiVersion"], each["kind"], each["metadata"]["name"], crew.scene.namespace
        eventually(lambda at=at: crew.kube.find(*at) is None, what=f"{at} to be gone")
    eventually(lambda: not crew.pods("old") + crew.pods("new"), what="all workers to be gone")


def targets(crew: Workers) -> set[str]:
    """Where workers are scraped."""
    path = crew.directory / "targets"
    return set(path.read_text().split()) if path.exists() else set()


def at_work(crew: Workers, before: set[str]) -> None:
    """All workers run and are scraped, and none of them is of `before`."""
    eventually(lambda: len(crew.pods("old") + crew.pods("new")) == 4, what="workers to run")
    eventually(lambda: len(targets(crew) - before) == 4, what="targets")
    crew.scraped()


def restored(crew: Workers, backup: list[Obj], before: set[str]) -> None:
    """As any tool does it: what the cluster gives to an object is left out, and so is the status."""
    for each in backup:
        metadata = {name: value for name, value in each["metadata"].items() if name not in OF_THE_CLUSTER}
        spec = dict(each.get("spec") or {})
        if each["kind"] == "Service":
            spec = {name: spec[name] for name in ("ports", "selector")}
        parts: Obj = {"spec": spec} if spec else {}
        if "data" in each:
            parts["data"] = each["data"]
        crew.kube.create({"apiVersion": each["apiVersion"], "kind": each["kind"], "metadata": metadata, **parts})
    at_work(crew, before)


def test_restored_without_its_status_it_takes_nothing_from_new_and_with_it_it_goes_on(
    operators: Operators, crew: Workers, tmp_path: Path
) -> None:
    scene = crew.scene
    scene.events_lost = True  # of two objects of one name, whose histories are one
    for side in ("old", "new"):
        scene.kube.create(plan.service(side, scene.namespace))
        crew.make(side, side)
    scene.kube.create(plan.route("web", scene.namespace))
    at_work(crew, set())
    before = operators.own("before", "--no-leader-election")
    moved = {"routes": [plan.route_ref()], **crew.traffic()}
    sides: dict[str, Any] = {side: plan.system(side) for side in ("old", "new")}
    phases = [plan.phase("small", 10), plan.phase("half", 50, plan.LONG), plan.phase("all", 100)]
    rollout = scene.rollout(phases, traffic=moved, **sides)
    rollout.until(phase="half", stands=True)
    crew.until_all_handled(500)
    assert before.stop() == 0

    backup = saved(crew)
    [was] = [each for each in backup if each["kind"] == plan.KIND]
    epoch = crew.assignment.epoch
    scraped = targets(crew)
    lost(crew, backup)
    restored(crew, backup, scraped)
    assert rollout.obj["metadata"]["uid"] != was["metadata"]["uid"]

    operators.own("after", "--no-leader-election")
    rollout.until("Preflight", reason="TrafficAlreadyAtNew", stalled=True, says="restore the status")
    assert scene.weight() == 50
    assert crew.assignment.epoch == epoch
    crew.until_all_handled(500)

    file = tmp_path / "rollout.json"
    file.write_text(json.dumps(was | {"metadata": {"name": "move", "namespace": scene.namespace}}))
    scene.stage.cluster.kubectl("replace", "--subresource=status", "-f", str(file))
    status = rollout.until("Progressing", phase="half", stands=True)
    for field in ("run", "started", "phase"):
        assert status[field] == was["status"][field]
    assert status["history"][: len(was["status"]["history"])] == was["status"]["history"]
    assert crew.assignment.epoch == epoch, "nobody's slots are moved by a restore"

    rollout.edit(phases=[phases[0], plan.phase("half", 50), phases[2]])
    rollout.until("Completed")
    assert rollout.reasons.count("PhaseStarted") == 3, "no phase begins a second time"
    assert [each["name"] for each in rollout.status["pastPhases"]] == ["small", "half", "all"]
    assert scene.weights() == [0, 10, 50, 100]
    crew.until_all_handled(1000)

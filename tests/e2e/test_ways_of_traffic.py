"""The ways in which work moves: routes of all kinds, several at once, replicas, and each kind of workload."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e import plan
from e2e.operators import ROOT, Operator
from e2e.scene import Scene, Stage, ready_replicas
from testbed import Obj
from testbed.kwok import deployment
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
SWITCH = ("e2e.example.com/v1", "Switch")


@pytest.mark.usefixtures("account")
def test_a_grpc_route_and_an_http_route_move_together(operator: Operator, scene: Scene) -> None:
    scene.kube.create(plan.route("rpc", scene.namespace, kind="GRPCRoute"))
    routes = [plan.route_ref("web"), plan.route_ref("rpc", "GRPCRoute")]
    checks = [{"name": "route", "group": "Infrastructure", "resourceExists": routes[1]}]
    phases = [plan.phase("small", 10), plan.phase("half", 50, plan.LONG)]
    rollout = scene.rollout(phases, traffic={"routes": routes}, preflight={"checks": checks})
    status = rollout.until(phase="half", stands=True)
    assert status["weight"] == 50
    assert scene.weight("rpc", "GRPCRoute") == scene.weight("web") == 50
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.weights("web") == scene.weights("rpc", "GRPCRoute") == [0, 10, 50, 0]


def test_one_of_two_routes_missing_nothing_moves(operator: Operator, scene: Scene) -> None:
    routes = [plan.route_ref("web"), plan.route_ref("late", "GRPCRoute")]
    rollout = scene.rollout([plan.phase("half", 50)], traffic={"routes": routes})
    rollout.until("Preflight", reason="RouteNotFound", stalled=True)
    assert scene.weights("web") == [0]
    scene.kube.create(plan.route("late", scene.namespace, kind="GRPCRoute"))
    rollout.until("Completed")
    assert scene.weight("web") == scene.weight("late", "GRPCRoute") == 50


@pytest.fixture(scope="module")
def switch(stage: Stage) -> Iterator[None]:
    """A kind of the test's own that keeps a number, with rights by the documented label."""
    kube = stage.cluster.kube
    crd: Obj = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "switches.e2e.example.com"},
        "spec": {
            "group": "e2e.example.com",
            "scope": "Namespaced",
            "names": {"plural": "switches", "singular": "switch", "kind": "Switch"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                        }
                    },
                }
            ],
        },
    }
    kube.apply(crd)
    eventually(lambda: kube.list(*SWITCH) == [], what="the kind Switch to be served")
    stage.lent.add("e2e.example.com")
    [example] = kube.apply_yaml(
        (ROOT / "manifests" / "examples" / "rbac-extra-route.yaml")
        .read_text()
        .replace("httpproxies", "switches")
        .replace("projectcontour.io", "e2e.example.com")
        .replace("syncrollout-route-httpproxy", "syncrollout-route-switch")
    )
    yield
    kube.delete(example["apiVersion"], example["kind"], example["metadata"]["name"])
    kube.delete(crd["apiVersion"], "CustomResourceDefinition", "switches.e2e.example.com")


@pytest.mark.usefixtures("switch")
def test_any_kind_with_a_number_in_it_by_weight_at(operator: Operator, scene: Scene) -> None:
    spec = {"pools": [{"host": "a", "share": 0}, {"host": "b", "share": 0}], "note": "mine"}
    switch = {"apiVersion": SWITCH[0], "kind": SWITCH[1], "metadata": {"name": "s", "namespace": scene.namespace}}
    scene.kube.create(switch | {"spec": spec})
    at = {"new": "spec.pools[host=b].share", "total": 1000}
    route = {"apiVersion": SWITCH[0], "kind": SWITCH[1], "name": "s", "weightAt": at}
    rollout = scene.rollout(
        [plan.phase("small", 10), plan.phase("half", 50, plan.LONG)],
        traffic={"routes": [route]},
        old=plan.system("old", service=None),
        new=plan.system("new", service=None),
    )
    rollout.until(phase="half", stands=True)
    now = scene.kube.get(*SWITCH, "s", scene.namespace)["spec"]
    assert now == {"pools": [{"host": "a", "share": 0}, {"host": "b", "share": 500}], "note": "mine"}
    # drift in it is seen and repaired as in any route
    scene.kube.patch(
        *SWITCH, "s", scene.namespace, [{"op": "replace", "path": "/spec/pools/1/share", "value": 999}], type="json"
    )
    scene.kube.wait_for(*SWITCH, "s", scene.namespace, lambda obj: obj["spec"]["pools"][1]["share"] == 500)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.kube.get(*SWITCH, "s", scene.namespace)["spec"]["pools"][1]["share"] == 0


def test_without_any_metric_time_alone_decides(operator: Operator, scene: Scene) -> None:
    phases = [plan.phase("small", 10, success=[], rollbackOn=[]), plan.phase("all", 100, success=[], rollbackOn=[])]
    rollout = scene.rollout(phases, prometheus=None, metrics=None)
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 100]


def test_by_replicas_without_a_router(operator: Operator, empty_scene: Scene) -> None:
    scene = empty_scene
    scene.healthy("old", "new")
    scene.kube.create(deployment("old", scene.namespace, 4))
    scene.kube.create(deployment("new", scene.namespace, 0))
    scene.until_ready("old", 4)
    scaler = ("autoscaling/v2", "HorizontalPodAutoscaler", "by-load", scene.namespace)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "new"}
    scene.kube.create(
        {
            "apiVersion": scaler[0],
            "kind": scaler[1],
            "metadata": {"name": scaler[2], "namespace": scaler[3]},
            "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3},
        }
    )
    phases = [plan.phase("quarter", 25), plan.phase("half", 50), plan.phase("all", 100, plan.LONG)]
    rollout = scene.rollout(
        phases,
        traffic={"replicas": {"total": 4}},
        old=plan.system("old", service=None),
        new=plan.system("new", service=None),
    )
    rollout.until("Preflight", reason="Autoscaled", stalled=True, says="HorizontalPodAutoscaler by-load scales new")
    assert _replicas(scene) == (4, 0)
    scene.kube.delete(*scaler)
    rollout.until(phase="all", stands=True)
    assert _replicas(scene) == (0, 4)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert _replicas(scene) == (4, 0)
    _never_fewer_ready_than_asked(scene, 4)


def _replicas(scene: Scene) -> tuple[int, int]:
    old, new = (scene.kube.get("apps/v1", "Deployment", name, scene.namespace) for name in ("old", "new"))
    return old["spec"]["replicas"], new["spec"]["replicas"]


def _never_fewer_ready_than_asked(scene: Scene, total: int) -> None:
    """The side that grows is ready before the other shrinks: together they never ask for less than the total, and new
    never for more than its phase."""
    wanted = {"old": total, "new": 0}
    for seen in scene.stage.recorder.story(scene.namespace, "Deployment"):
        wanted[seen.name] = seen.obj["spec"]["replicas"]
        assert sum(wanted.values()) >= total, (seen.name, seen.version, wanted)


@pytest.mark.usefixtures("account")
def test_stateful_sets_and_old_retired_is_brought_back(operator: Operator, empty_scene: Scene) -> None:
    scene = empty_scene
    scene.healthy("old", "new")
    for name in ("old", "new"):
        scene.kube.create(_stateful_set(name, scene.namespace, 2))
        scene.kube.create(plan.service(name, scene.namespace))
        scene.until_ready(name, 2, "StatefulSet")
    scene.kube.create(plan.route("web", scene.namespace))
    rollout = scene.rollout(
        [plan.phase("all", 100), plan.phase("retire", 100, plan.LONG, retireOld=True)],
        old=plan.system("old", "StatefulSet"),
        new=plan.system("new", "StatefulSet"),
    )
    rollout.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
    scene.until_ready("old", 0, "StatefulSet")
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 100, 0]
    assert ready_replicas(scene.kube.get("apps/v1", "StatefulSet", "old", scene.namespace)) == 2


def _stateful_set(name: str, namespace: str, replicas: int) -> Obj:
    made = deployment(name, namespace, replicas)
    made["kind"] = "StatefulSet"
    made["spec"]["serviceName"] = name
    return made


@pytest.mark.usefixtures("account")
def test_a_cron_job_is_suspended_to_retire_it_and_resumed_to_go_back(operator: Operator, empty_scene: Scene) -> None:
    scene = empty_scene
    scene.systems()
    scene.healthy("nightly")
    scene.kube.create(plan.cron_job("nightly", scene.namespace))
    rollout = scene.rollout(
        [plan.phase("all", 100), plan.phase("retire", 100, plan.LONG, retireOld=True)],
        old=plan.system("nightly", "CronJob", service="old"),
    )
    rollout.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
    assert scene.kube.wait_for(
        "batch/v1", "CronJob", "nightly", scene.namespace, lambda obj: obj["spec"]["suspend"] is True
    )
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.kube.get("batch/v1", "CronJob", "nightly", scene.namespace)["spec"]["suspend"] is False
    # it was resumed before any traffic was sent its way
    story = scene.stage.recorder.story(scene.namespace, "CronJob", "HTTPRoute")
    resumed = max(seen.version for seen in story if seen.kind == "CronJob")
    assert resumed < max(seen.version for seen in story if seen.kind == "HTTPRoute")


def test_new_that_is_not_ready_is_waited_for_before_the_start(operator: Operator, empty_scene: Scene) -> None:
    scene = empty_scene
    scene.systems(mode="not-ready")
    rollout = scene.rollout([plan.phase("half", 50)])
    status = rollout.until("Preflight", reason="NewNotReady", stalled=False)
    assert status["message"] == "Not started: new (Deployment new) has 0 of 2 replicas ready"
    assert "finalizers" not in rollout.obj["metadata"]
    assert scene.weights() == [0]
    eventually(
        lambda: len(scene.kube.list("v1", "Pod", scene.namespace, "app=new")) == 2, what="new's pods to be there"
    )
    scene.stage.kwok.set_pods(scene.namespace, "app=new", None)
    rollout.until("Completed")

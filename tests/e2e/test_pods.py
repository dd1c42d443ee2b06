"""Trouble with new's own pods as a trigger, told by the real API server: their status is written as a kubelet does."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import USER, Operator
from e2e.rights import Right, without
from e2e.scene import Rollout, Scene
from testbed import Obj

pytestmark = pytest.mark.cluster


def judged_by_pods(scene: Scene, *triggers: Obj) -> Rollout:
    """At half of the traffic, with these triggers and no Prometheus at all."""
    phases = [plan.phase("half", 50, plan.LONG, success=[], rollbackOn=[])]
    return scene.rollout(phases, prometheus=None, metrics=None, rollback={"triggers": list(triggers)})


def report(scene: Scene, workload: str, **container: object) -> str:
    """What the kubelet says from now on of the container of one of the workload's pods; the pod's name."""
    pods = [
        pod
        for pod in scene.kube.list("v1", "Pod", scene.namespace)
        if pod["metadata"]["labels"].get("app") == workload and pod["status"].get("containerStatuses")
    ]
    pod = min(pods, key=lambda each: each["metadata"]["name"])
    seen = {**pod["status"]["containerStatuses"][0], **container}
    status = {"containerStatuses": [seen]}
    scene.kube.patch("v1", "Pod", pod["metadata"]["name"], scene.namespace, {"status": status}, subresource="status")
    return str(pod["metadata"]["name"])


def test_a_crash_loop_sends_back_at_once_and_old_restarts_of_a_pod_do_not(operator: Operator, scene: Scene) -> None:
    report(scene, "new", restartCount=7)
    mark = scene.stage.cluster.audit.mark()
    rollout = judged_by_pods(
        scene,
        {"severity": "Critical", "pods": "CrashLoopBackOff"},
        {"severity": "Critical", "pods": "Restarts", "above": 2},
    )
    status = rollout.until(phase="half", stands=True, also=lambda obj: obj["status"].get("health") == "Healthy")
    assert [each["count"] for each in status["phase"]["restarts"]] == [7]
    report(scene, "old", state={"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=9)
    report(scene, "new", restartCount=9)
    assert scene.weight() == 50
    name = report(scene, "new", state={"waiting": {"reason": "CrashLoopBackOff"}})
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "TriggerBreached"
    assert f"pods in CrashLoopBackOff: 1 ({name}), which is above 0 pods" in status["rollback"]["message"]
    assert scene.weights() == [0, 50, 0]
    # the operator asked for the pods once: what came since, the watch has told
    requests = [each for each in scene.stage.cluster.audit.since(mark) if each.user == USER]
    verbs = [each.verb for each in requests if (each.resource, each.namespace) == ("pods", scene.namespace)]
    assert verbs.count("list") == 1
    assert set(verbs) == {"list", "watch"}


def test_restarts_of_the_phase_open_an_incident_that_names_the_pods(operator: Operator, scene: Scene) -> None:
    rollout = judged_by_pods(scene, {"severity": "Medium", "pods": "Restarts", "above": 2})
    rollout.until(phase="half", stands=True)
    name = report(scene, "new", restartCount=3)
    status = rollout.until("Holding", reason="AwaitingDecision")
    assert f"restarts of containers in this phase: 3 ({name}), which is above 2 restarts" in status["message"]
    assert scene.weight() == 50


def test_without_the_right_to_see_pods_nothing_starts_and_it_is_said(operator: Operator, scene: Scene) -> None:
    right = Right("", "pods", "list")
    with without(scene.stage, right):
        rollout = judged_by_pods(scene, {"severity": "Critical", "pods": "NotReady", "for": "1m"})
        status = rollout.until("Preflight", reason="Forbidden", stalled=True)
        assert 'the operator lacks the right to "list" resource "pods"' in status["message"]
        assert scene.weights() == [0]
    rollout.until(phase="half", stands=True)

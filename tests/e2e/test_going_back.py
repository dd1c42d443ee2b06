"""New misbehaves: everything goes back to old, on the pass that sees it, and never to a side that cannot take it."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.invariants import last_writer
from e2e.operators import Operator
from e2e.scene import Scene, condition, weight_of
from testbed import Obj
from testbed.cluster import KubectlFailed
from testbed.kwok import MODE_KEY

pytestmark = pytest.mark.cluster


def test_a_breach_of_the_phase_sends_traffic_back(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10), plan.phase("half", 50, plan.LONG), plan.phase("all", 100)])
    rollout.until(phase="half", stands=True)
    scene.set("errors", 7, "new")
    status = rollout.until("RolledBack")
    assert scene.weights() == [0, 10, 50, 0]
    assert status["rollback"]["reason"] == "CriterionBreached"
    assert status["rollback"]["fromPhase"] == "half"
    assert status["rollback"]["fromWeight"] == 50
    assert (
        status["rollback"]["message"] == "errors reads 7 percent, which is above 5 percent (rollbackOn of phase half)"
    )
    assert status["weight"] == 0
    assert status["health"] == "Failing"
    assert [condition(status, kind)["status"] for kind in ("Ready", "Stalled", "RolledBack")] == [
        "False",
        "True",
        "True",
    ]
    assert rollout.reasons[-2:] == ["CriterionBreached", "RolledBack"]
    with pytest.raises(KubectlFailed, match="condition not met"):
        scene.stage.cluster.kubectl(
            *("-n", scene.namespace, "wait", "--for=condition=Ready", "syncrollout/move", "--timeout=0s")
        )
    # traffic went back before anybody was told: the route's change is older than the status that records it
    story = scene.stage.recorder.story(scene.namespace, "HTTPRoute", plan.KIND)
    at = {seen.kind: seen.version for seen in reversed(story) if _tells_of_rollback(seen.obj)}
    assert at["HTTPRoute"] < at[plan.KIND]


def _tells_of_rollback(obj: Obj) -> bool:
    if obj["kind"] == "HTTPRoute":
        return last_writer(obj) == "syncrollout" and weight_of(obj) == 0
    return "rollback" in (obj.get("status") or {})


def test_a_critical_trigger_sends_traffic_back_from_any_phase(operator: Operator, scene: Scene) -> None:
    phases = [plan.phase("small", 10, plan.LONG, rollbackOn=[])]
    triggers = [{"severity": "Critical", "metric": "duration", "atLeast": 3, "relativeTo": "Old"}]
    rollout = scene.rollout(phases, rollback={"triggers": triggers})
    rollout.until(phase="small", stands=True)
    scene.set("duration", 3.5, "new")
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "TriggerBreached"
    assert "duration reads 3.5 seconds, old 1 seconds, which is at least 3 times old" in status["rollback"]["message"]
    assert scene.weight() == 0


def test_a_breach_that_does_not_last_as_long_as_asked_is_none(operator: Operator, scene: Scene) -> None:
    for_a_while = [{"metric": "errors", "above": 5, "for": "3s"}]
    rollout = scene.rollout([plan.phase("small", 10, "5s", rollbackOn=for_a_while)])
    rollout.until(phase="small", stands=True)
    scene.set("errors", 9, "new")
    rollout.until(also=lambda obj: _waits(scene, rollout.name), timeout=10)
    scene.set("errors", 0.1, "new")
    rollout.until("Completed")
    assert scene.weights() == [0, 10]


def _waits(scene: Scene, name: str) -> bool:
    """The operator has seen the breach: its own metrics say the verdict is not a Pass any more."""
    labels = f'metric="errors",name="{name}",namespace="{scene.namespace}",role="RollbackOn"'
    series = f"syncrollout_criterion_verdict{{{labels}}}"
    return scene.stage.operators.shared().metrics().get(series) == 0


def test_new_pods_that_all_die_send_traffic_back(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.stage.kwok.set_pods(scene.namespace, "app=new", "crash")
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "NewDied"
    assert status["rollback"]["message"] == (
        "50 % of the traffic goes to new, and new (Deployment new) has 0 of 2 replicas ready"
    )
    assert scene.weights() == [0, 50, 0]


def test_one_dead_pod_of_new_only_holds_the_phase(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, "2s"), plan.phase("all", 100)])
    rollout.until(phase="half", stands=True)
    pod = scene.kube.list("v1", "Pod", scene.namespace, "app=new")[0]
    body = {"metadata": {"annotations": {MODE_KEY: "crash"}}}
    scene.kube.patch("v1", "Pod", pod["metadata"]["name"], scene.namespace, body)
    rollout.until("Holding", reason="NewNotReady", says="has 1 of 2 replicas ready")
    body["metadata"]["annotations"] = {MODE_KEY: None}  # type: ignore[dict-item]
    scene.kube.patch("v1", "Pod", pod["metadata"]["name"], scene.namespace, body)
    rollout.until("Completed")
    assert scene.weights() == [0, 50, 100]


def test_old_that_is_dead_gets_no_weight_before_it_is_ready_again(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100, plan.LONG)])
    rollout.until(phase="all", stands=True)
    scene.stage.kwok.set_pods(scene.namespace, "app=old", "crash")
    scene.until_ready("old", 0)
    scene.set("errors", 50, "new")
    status = rollout.until("RollingBack", reason="OldNotReady")
    assert "old (Deployment old) has 0 of 2 replicas ready: it gets no more weight before" in status["message"]
    assert scene.weight() == 100
    scene.stage.kwok.set_pods(scene.namespace, "app=old", None)
    rollout.until("RolledBack")
    assert scene.weights() == [0, 100, 0]


def test_retired_old_is_ready_before_a_breach_gives_it_weight_again(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100), plan.phase("retire", 100, plan.LONG, retireOld=True)])
    rollout.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
    scene.until_ready("old", 0)
    scene.set("errors", 50, "new")
    status = rollout.until("RolledBack")
    assert status["rollback"]["fromPhase"] == "retire"
    assert "retired" not in status
    assert scene.weights() == [0, 100, 0]
    scene.until_ready("old", 2)


def test_emergency_stop_after_completion_brings_old_back(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100, retireOld=True)])
    rollout.until("Completed")
    scene.until_ready("old", 0)
    rollout.edit(emergencyStop=True)
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "EmergencyStop"
    assert scene.weights() == [0, 100, 0]
    scene.until_ready("old", 2)


def test_emergency_stop_mid_way(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    rollout.edit(emergencyStop=True)
    status = rollout.until("RolledBack")
    assert status["rollback"]["message"] == "spec.emergencyStop was set"
    assert status["observedGeneration"] == 2
    assert scene.weights() == [0, 50, 0]
    # with the cord still pulled nothing starts; without it a new revision does
    rollout.edit(revision="2")
    rollout.until("Paused", reason="EmergencyStop")
    rollout.edit(emergencyStop=False)
    rollout.until("Progressing", phase="half", stands=True)
    assert scene.weights() == [0, 50, 0, 50]
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")

"""What people do to a rollout while it runs: suspend, delete, change revision, edit, or move the weights by hand."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from testbed import KubeError
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster


def set_weights(scene: Scene, old: int, new: int) -> None:
    """A person's hand on the route."""
    scene.by_hand.append(("HTTPRoute", "web"))
    body = [
        {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": old},
        {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": new},
    ]
    scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, body, type="json")


def test_weights_moved_by_hand_are_put_right_and_told_once(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG), plan.phase("all", 100)])
    rollout.until(phase="half", stands=True)
    for old, new in ((0, 100), (100, 0), (70, 30)):
        set_weights(scene, old, new)
        scene.until_weight(50)
    status = rollout.until(also=lambda obj: obj["status"]["history"][-1]["reason"] == "DriftRepaired")
    told = [entry["message"] for entry in status["history"] if entry["reason"] == "DriftRepaired"]
    assert told == ["Somebody else changed the weights (new had 100 %): put back to 50 %"]
    assert status["state"] == "Progressing"
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")


def test_a_route_deleted_mid_way_holds_and_one_made_anew_is_used(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    status = rollout.until("Holding", reason="RouteNotFound", stalled=True)
    assert "create it, or correct spec.traffic.routes" in status["message"]
    scene.kube.create(plan.route("web", scene.namespace))
    rollout.until("Progressing", stalled=False)
    scene.until_weight(50)
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")


def test_suspended_it_stays_and_resumed_it_goes_on(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, "1s"), plan.phase("all", 100)], suspend=True)
    status = rollout.until("Paused", reason="Suspended")
    assert status["message"] == "Suspended before the start: remove spec.suspend to begin"
    assert scene.weight() == 0
    rollout.edit(suspend=False, phases=[plan.phase("small", 10, "2s"), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    rollout.edit(suspend=True)
    status = rollout.until("Paused", reason="Suspended", phase="small")
    # its time is over long before anything else is seen: a hand on the weights is put right, and it stays paused
    set_weights(scene, 0, 100)
    scene.until_weight(10)
    eventually(lambda: operator.metrics().get("syncrollout_queue_depth") == 0, what="the operator to be idle")
    assert rollout.status["state"] == "Paused"
    rollout.edit(suspend=False)
    rollout.until("Completed")
    assert "Resumed" in rollout.reasons
    assert scene.weights() == [0, 10, 100, 10, 100]


def test_suspended_it_still_goes_back_on_a_breach(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    rollout.edit(suspend=True)
    rollout.until("Paused")
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_after_a_rollback_a_new_revision_tries_again(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    scene.set_and_scraped("errors", 0.1, "new")
    rollout.edit(revision="2")
    status = rollout.until("Completed")
    assert (status["run"], status["revision"], status["lastGoodRevision"]) == (2, "2", "2")
    assert "rollback" not in status
    assert scene.weights() == [0, 10, 0, 10, 100]


def test_a_new_revision_is_not_begun_while_the_trigger_is_breached(operator: Operator, scene: Scene) -> None:
    triggers = [{"severity": "Critical", "metric": "errors", "above": 20}]
    rollout = scene.rollout([plan.phase("all", 100, "2s")], rollback={"triggers": triggers})
    rollout.until(phase="all", stands=True)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    rollout.edit(revision="2")
    status = rollout.until("Preflight", reason="TriggerAlreadyBreached", stalled=False)
    assert "Not started: a rollback trigger is breached already: errors reads 50 percent" in status["message"]
    assert scene.weight() == 0
    scene.set("errors", 0.1, "new")
    rollout.until("Completed")


def test_revision_set_back_mid_way_is_a_rollback_and_no_new_run(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100, "0s")], revision="v1")
    rollout.until("Completed")
    # the next version: old and new change places, as they do release after release
    fixed = {"old": plan.system("new"), "new": plan.system("old"), "phases": [plan.phase("half", 50, plan.LONG)]}
    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    scene.kube.create(plan.route("web", scene.namespace, old="new", new="old"))
    rollout.edit(revision="v2", **fixed)
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["run"] == 2)
    rollout.edit(revision="v1")
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "RevisionReverted"
    assert status["run"] == 2
    assert scene.weight() == 0
    assert rollout.reasons[-2:] == ["RevisionReverted", "RolledBack"]


def test_another_revision_mid_way_rolls_back_and_then_runs(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    rollout.edit(revision="2", phases=[plan.phase("most", 80)])
    status = rollout.until("Completed")
    assert (status["run"], status["revision"]) == (2, "2")
    assert scene.weights() == [0, 50, 0, 80]
    assert rollout.reasons == ["PhaseStarted", "RevisionChanged", "RolledBack", "PhaseStarted", "Completed"]


def test_durations_edited_mid_way_count_from_when_the_phase_began(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, plan.LONG), plan.phase("all", 100)])
    since = rollout.until(phase="small", stands=True)["phase"]["since"]
    rollout.edit(phases=[plan.phase("small", 10, "30m"), plan.phase("all", 100)])
    status = rollout.until(also=lambda obj: obj["status"]["observedGeneration"] == 2)
    assert status["phase"]["since"] == since
    rollout.edit(phases=[plan.phase("small", 10, "1s"), plan.phase("all", 100)])
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 100]


def test_a_phase_put_in_or_reweighted_mid_way_is_followed(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, plan.LONG), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    phases = [plan.phase("small", 20, "1s"), plan.phase("half", 50), plan.phase("all", 100)]
    rollout.edit(phases=phases)
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 20, 50, 100]


def test_the_current_phase_removed_holds_and_says_so(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, plan.LONG), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    rollout.edit(phases=[plan.phase("tiny", 5), plan.phase("all", 100)])
    status = rollout.until("Holding", reason="PhaseRemoved", stalled=True)
    assert status["message"] == (
        "Holding at 10 %: the spec has no phase small any more; bring it back, or set emergencyStop"
    )
    assert scene.weight() == 10
    rollout.edit(phases=[plan.phase("small", 10, "0s"), plan.phase("all", 100)])
    rollout.until("Completed")


def test_old_new_and_traffic_cannot_be_edited_in_flight(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    for edit in (
        {"old": plan.system("other")},
        {"new": plan.system("other")},
        {"traffic": {"routes": [plan.route_ref("other")]}},
    ):
        with pytest.raises(KubeError, match="in flight") as refused:
            rollout.edit(**edit)
        assert refused.value.status == 422
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")
    rollout.edit(new=plan.system("other"))

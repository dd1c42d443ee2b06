"""Deleted in every state: traffic goes back first where it has to, and the object never hangs."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator, Operators
from e2e.scene import Scene
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster


def test_deleted_mid_way_traffic_is_back_before_it_is_gone(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    rollout.delete()
    rollout.until_gone()
    assert scene.weight() == 0
    story = scene.stage.recorder
    story.caught_up(scene.namespace)
    back = max(seen.version for seen in story.story(scene.namespace, "HTTPRoute"))
    gone = next(seen.version for seen in story.story(scene.namespace, plan.KIND) if seen.gone)
    assert back < gone
    told = {event["reason"] for event in scene.kube.list("v1", "Event", scene.namespace) if event["type"] == "Warning"}
    assert "Deleted" in told


def test_deleted_at_rest_it_goes_at_once_and_moves_nothing(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100)])
    rollout.until("Completed")
    rollout.delete()
    rollout.until_gone(timeout=5)
    assert scene.weights() == [0, 100]


def test_a_namespace_deleted_mid_way_does_not_hang(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.torn_down = True
    scene.kube.delete("v1", "Namespace", scene.namespace)
    eventually(
        lambda: scene.kube.find("v1", "Namespace", scene.namespace) is None,
        timeout=60,
        what=f"namespace {scene.namespace} to be gone",
    )
    scene.rollouts.clear()


def test_deleted_before_its_start_it_goes_at_once(operator: Operator, scene: Scene) -> None:
    scene.kube.delete("v1", "Service", "new", scene.namespace)
    rollout = scene.rollout([plan.phase("half", 50)])
    rollout.until("Preflight", stalled=True)
    rollout.delete()
    rollout.until_gone(timeout=5)
    assert scene.weights() == [0]


def test_deleted_while_suspended_traffic_goes_back_all_the_same(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    rollout.edit(suspend=True)
    rollout.until("Paused")
    rollout.delete()
    rollout.until_gone()
    assert scene.weights() == [0, 50, 0]


def test_deleted_with_old_retired_it_waits_for_old(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100), plan.phase("retire", 100, plan.LONG, retireOld=True)])
    rollout.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
    scene.until_ready("old", 0)
    rollout.delete()
    rollout.until_gone()
    assert scene.weights() == [0, 100, 0]
    scene.until_ready("old", 2)


def test_deleted_with_old_gone_for_good_it_does_not_hang(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("all", 100, plan.LONG)])
    rollout.until(phase="all", stands=True)
    scene.kube.delete("apps/v1", "Deployment", "old", scene.namespace)
    rollout.until("Holding", reason="WorkloadNotFound")
    rollout.delete()
    rollout.until_gone()
    assert scene.weights() == [0, 100]


def test_deleted_with_its_route_gone_it_does_not_hang(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    rollout.until("Holding", reason="RouteNotFound")
    rollout.delete()
    rollout.until_gone()


def test_deleted_while_no_operator_runs_it_waits_for_the_next_one(operators: Operators, scene: Scene) -> None:
    first = operators.own("first")
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    first.stop()
    rollout.delete()
    assert "deletionTimestamp" in rollout.obj["metadata"]
    assert scene.weight() == 50
    operators.own("second")
    rollout.until_gone()
    assert scene.weights() == [0, 50, 0]


def test_its_finalizer_taken_away_mid_way_is_put_back(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    body = {"metadata": {"finalizers": None}}
    scene.kube.patch(plan.API_VERSION, plan.KIND, rollout.name, scene.namespace, body)
    eventually(lambda: rollout.obj["metadata"].get("finalizers") == [plan.FINALIZER], what="the finalizer to be back")
    # somebody else's stays when ours goes
    body = {"metadata": {"finalizers": [plan.FINALIZER, "example.com/theirs"]}}  # type: ignore[dict-item]
    scene.kube.patch(plan.API_VERSION, plan.KIND, rollout.name, scene.namespace, body)
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")
    eventually(lambda: rollout.obj["metadata"].get("finalizers") == ["example.com/theirs"], what="ours alone to go")
    scene.kube.patch(plan.API_VERSION, plan.KIND, rollout.name, scene.namespace, {"metadata": {"finalizers": None}})

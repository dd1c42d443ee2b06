"""An operator that lacks a right says which verb on which resource, does no harm, and goes on once it has it."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import NAMESPACE, Operator, Operators
from e2e.rights import Right, without
from e2e.scene import Scene, condition

pytestmark = pytest.mark.cluster
GATEWAY = "gateway.networking.k8s.io"
PATCH_ROUTES = Right(GATEWAY, "httproutes", "patch")


def _sentence(right: Right, scene: Scene | None) -> str:
    group = f" of API group {right.group}" if right.group else " of the core API group"
    where = f"in namespace {scene.namespace}" if scene is not None else "in all namespaces"
    return f'the operator lacks the right to "{right.verb}" resource "{right.resource}"{group} {where}'


def test_without_the_right_to_patch_routes_it_stalls_and_says_so(operator: Operator, scene: Scene) -> None:
    with without(scene.stage, PATCH_ROUTES):
        rollout = scene.rollout([plan.phase("half", 50)])
        status = rollout.until("Progressing", reason="Forbidden", stalled=True)
        assert _sentence(PATCH_ROUTES, scene) in status["message"]
        assert "grant it in the operator's Role or ClusterRole" in status["message"]
        assert condition(status, "Stalled")["message"] == status["message"]
        assert scene.weights() == [0]
        line = operator.says("pass failed", _sentence(PATCH_ROUTES, scene))
        assert (line["rollout"], line["phase"]) == (f"{scene.namespace}/move", "half")
    status = rollout.until("Completed")
    assert condition(status, "Stalled")["status"] == "False"
    assert scene.weights() == [0, 50]


def test_a_rollback_without_the_right_goes_on_as_soon_as_it_is_back(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    with without(scene.stage, PATCH_ROUTES):
        scene.set("errors", 50, "new")
        status = rollout.until("RollingBack", reason="Forbidden", stalled=True)
        assert _sentence(PATCH_ROUTES, scene) in status["message"]
        # that new is well again does not call off what was decided
        scene.set("errors", 0.1, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_without_the_right_to_record_nothing_moves_forward_but_back(operator: Operator, scene: Scene) -> None:
    right = Right("syncrollout.io", "syncrollouts/status", "patch")
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    with without(scene.stage, right):
        scene.set("errors", 50, "new")
        scene.until_weight(0)
        operator.says(_sentence(right, scene))
        other = scene.rollout([plan.phase("half", 50)], "other")
        scene.set_and_scraped("errors", 0.1, "new")
    status = rollout.until("RolledBack")
    assert status["rollback"]["message"].startswith("errors reads 50 percent")
    other.until("Completed")
    assert scene.weights() == [0, 50, 0, 50]


def test_without_the_right_to_create_events_the_rollout_goes_its_way(operator: Operator, scene: Scene) -> None:
    right = Right("", "events", "create")
    with without(scene.stage, right):
        rollout = scene.rollout([plan.phase("half", 50, "0s")])
        rollout.until("Completed")
        operator.says("could not be posted", _sentence(right, scene))
    assert rollout.events() == []
    scene.events_lost = True


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        (Right("apps", "deployments", "list"), "Forbidden"),
        (Right("", "services", "list"), "Forbidden"),
        (Right(GATEWAY, "httproutes", "list"), "Forbidden"),
    ],
    ids=str,
)
def test_without_the_right_to_look_it_does_not_start(
    operators: Operators, scene: Scene, right: Right, reason: str
) -> None:
    with without(scene.stage, right):
        own = operators.own("blind", "--no-leader-election")
        rollout = scene.rollout([plan.phase("half", 50, "0s")])
        status = rollout.until("Preflight", reason=reason, stalled=True)
        assert _sentence(right, None) in status["message"]
        own.says("cannot watch", _sentence(right, None))
        assert scene.weights() == [0]
    rollout.until("Completed")


def test_without_the_right_to_list_rollouts_it_is_not_ready_and_says_so(operators: Operators, scene: Scene) -> None:
    right = Right("syncrollout.io", "syncrollouts", "list")
    operators.stop_shared()
    with without(scene.stage, right):
        own = operators.adopt(operators.make("unlisted", "--no-leader-election"))
        own.process.launch()
        own.says("SyncRollouts could not be listed", _sentence(right, None))
        status, page = own.page("/readyz")
        assert (status, page) == (503, "api: SyncRollouts have not been listed yet\n")
        assert own.process.running
        rollout = scene.rollout([plan.phase("half", 50, "0s")])
    rollout.until("Completed")
    assert own.ready


def test_without_the_right_to_the_lease_it_does_not_lead_and_says_so(operators: Operators, scene: Scene) -> None:
    right = Right("coordination.k8s.io", "leases", "get")
    operators.stop_shared()
    with without(scene.stage, right):
        own = operators.own("leaseless", leading=False)
        line = own.says(f"trouble with the Lease {NAMESPACE}/syncrollout", '"get" resource "leases"')
        assert line["level"] == "warning"
        assert not own.leading
        rollout = scene.rollout([plan.phase("half", 50, "0s")])
    rollout.until("Completed")
    assert own.leading

"""An API server that refuses, delays or loses what it is asked for: the way back goes first, other rollouts go on, and
people are told what is behind it. docs/runbook/api-server-pressure.md has what a person does."""

from __future__ import annotations

import time

import pytest

from e2e import plan, pressure
from e2e.operators import NAMESPACE, Operator, Operators
from e2e.scene import Scene, Stage

pytestmark = pytest.mark.cluster
GATEWAY = "gateway.networking.k8s.io"
OWN_GROUP = "syncrollout.io"
ALONE = "--no-leader-election"
HALF = [plan.phase("half", 50, plan.LONG)]


def _beside(scene: Scene) -> dict[str, object]:
    """A second rollout's own route, of a kind that nothing is in the way of."""
    scene.kube.create(plan.route("rpc", scene.namespace, kind="GRPCRoute"))
    return {"traffic": {"routes": [plan.route_ref("rpc", "GRPCRoute")]}}


def _requests(operator: Operator, code: int, resource: str) -> float:
    series = f'syncrollout_api_requests_total{{code="{code}",resource="{resource}",verb="patch"}}'
    return operator.metrics().get(series, 0.0)


def test_a_rollback_that_priority_and_fairness_rejects_says_so_and_goes_through_as_soon_as_it_is_let(
    operator: Operator, scene: Scene
) -> None:
    rollout = scene.rollout(HALF)
    rollout.until(phase="half", stands=True)
    with pressure.rejected(scene.stage, scene.namespace, GATEWAY, "httproutes"):
        scene.set("errors", 50, "new")
        rollout.until("RollingBack")
        # others go on meanwhile, by another kind of route
        scene.set_and_scraped("errors", 0.1, "new")
        scene.rollout([plan.phase("all", 100)], "other", **_beside(scene)).until("Completed")
        status = rollout.until("RollingBack", reason="ApiServerFails", stalled=False)
        assert (
            f"patch HTTPRoute {scene.namespace}/web: the API server answered 429: Too many requests"
            in status["message"]
        )
        assert _requests(operator, 429, "httproutes") >= 2
    # new is well again by now: what was decided stands
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]
    assert rollout.reasons.count("ApiServerFails") == 1
    assert [each["type"] for each in rollout.events() if each["reason"] == "ApiServerFails"] == ["Warning"]


def test_the_operators_requests_are_in_levels_that_other_workloads_do_not_share(
    operator: Operator, stage: Stage
) -> None:
    kube = stage.cluster.kube
    levels = {
        name: kube.get(pressure.FLOW, "FlowSchema", name)["spec"]["priorityLevelConfiguration"]["name"]
        for name in ("syncrollout", "syncrollout-lease")
    }
    assert levels == {"syncrollout": "workload-high", "syncrollout-lease": "leader-election"}
    paths = {
        "/apis/syncrollout.io/v1alpha1/syncrollouts?limit=1": "syncrollout",
        f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/syncrollout": "syncrollout-lease",
    }
    for path, schema in paths.items():
        assert (
            pressure.flow_schema_of(stage, operator.token, path)
            == kube.get(pressure.FLOW, "FlowSchema", schema)["metadata"]["uid"]
        )


def test_where_it_rejects_the_status_traffic_goes_back_first_and_that_is_recorded_later(
    operator: Operator, scene: Scene
) -> None:
    rollout = scene.rollout(HALF)
    rollout.until(phase="half", stands=True)
    with pressure.rejected(scene.stage, scene.namespace, OWN_GROUP, "syncrollouts/status"):
        scene.set("errors", 50, "new")
        scene.until_weight(0)
        operator.says("pass failed", "patch SyncRollout", "the API server answered 429: Too many requests")
        assert rollout.status["state"] == "Progressing"
        scene.set_and_scraped("errors", 0.1, "new")
    status = rollout.until("RolledBack")
    assert status["rollback"]["message"].startswith("errors reads 50 percent")
    assert scene.weights() == [0, 50, 0]


def test_a_webhook_that_fails_routes_is_named_and_holds_up_nothing_else(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout(HALF)
    rollout.until(phase="half", stands=True)
    with pressure.hanging_webhook(
        scene.stage, scene.namespace, GATEWAY, "httproutes", failurePolicy="Fail", timeoutSeconds=1
    ) as webhook:
        scene.set("errors", 50, "new")
        rollout.until("RollingBack")
        scene.set_and_scraped("errors", 0.1, "new")
        scene.rollout([plan.phase("all", 100)], "other", **_beside(scene)).until("Completed")
        status = rollout.until("RollingBack", reason="ApiServerFails")
        assert f'failed calling webhook "{webhook}"' in status["message"]
        assert _requests(operator, 500, "httproutes") >= 1
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_a_webhook_that_fails_the_status_does_not_hold_up_the_way_back(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout(HALF)
    rollout.until(phase="half", stands=True)
    with pressure.hanging_webhook(
        scene.stage, scene.namespace, OWN_GROUP, "syncrollouts/status", failurePolicy="Fail", timeoutSeconds=1
    ) as webhook:
        scene.set("errors", 50, "new")
        scene.until_weight(0)
        operator.says("pass failed", "patch SyncRollout", f'failed calling webhook "{webhook}"')
        assert rollout.status["state"] == "Progressing"
    rollout.until("RolledBack")


def test_a_webhook_that_may_be_ignored_and_takes_longer_than_a_request_is_waited_for_on_the_way_back(
    operators: Operators, scene: Scene
) -> None:
    own = operators.own("impatient", ALONE, "--request-timeout=1s")
    rollout = scene.rollout(HALF)
    rollout.until(phase="half", stands=True)
    with pressure.hanging_webhook(
        scene.stage, scene.namespace, GATEWAY, "httproutes", failurePolicy="Ignore", timeoutSeconds=2
    ):
        scene.set("errors", 50, "new")
        scene.until_weight(0)
        assert _requests(own, 0, "httproutes") >= 1, "the first one had no answer in time"
        rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_what_was_decided_while_etcd_was_full_is_done_once_there_is_space(operators: Operators, scene: Scene) -> None:
    own = operators.own("full", ALONE)
    rollout = scene.rollout(HALF)
    rollout.until(phase="half", stands=True)
    with pressure.full_etcd(scene.stage):
        scene.set("errors", 50, "new")
        own.says("pass failed", "patch HTTPRoute", "database space exceeded")
        assert _requests(own, 500, "httproutes") >= 1
        assert own.page("/livez")[0] == 200
        scene.set_and_scraped("errors", 0.1, "new")
        assert scene.weight() == 50
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_what_was_compacted_while_it_was_away_is_listed_anew(operators: Operators, scene: Scene) -> None:
    """Its watches would go on from before the API server was started: 410."""
    own = operators.own("away", ALONE)
    rollout = scene.rollout(HALF)
    gone = scene.rollout(HALF, "gone", **_beside(scene), suspend=True)
    rollout.until(phase="half", stands=True)
    gone.until(reason="Suspended")
    cluster = scene.stage.cluster
    own.process.pause()
    gone.delete()
    gone.until_gone()
    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    scene.kube.create(plan.route("web", scene.namespace))  # at old, behind its back
    cluster.etcd.compact()
    began = time.time()
    cluster.kill_apiserver()
    cluster.start_apiserver()
    own.process.resume()
    scene.until_weight(50)
    scene.stage.deprived.append((began, time.time()))  # it refuses everybody until it has loaded its roles
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")
    other = scene.rollout(HALF, "gone", traffic={"routes": [plan.route_ref("rpc", "GRPCRoute")]})
    other.until(phase="half", stands=True)

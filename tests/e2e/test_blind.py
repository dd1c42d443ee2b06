"""Prometheus has nothing usable to say: phases hold, none goes back or forward, and all go on by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene, condition
from testbed import Obj

pytestmark = pytest.mark.cluster


@pytest.fixture
def prometheus_again(scene: Scene) -> Iterator[None]:
    """Whatever a scenario did to it, Prometheus runs and answers afterwards."""
    yield
    prometheus = scene.stage.prometheus
    prometheus.resume()
    if not prometheus.process.running:
        prometheus.start()
    prometheus.wait_ready()


BLINDNESS = {
    "no-data": ("NoData", "no data"),
    "not-a-number": ("NotANumber", "NaN"),
    "infinite": ("Infinite", "an infinite number"),
    "two-series": ("ManySeries", "2 series"),
    "old-at-zero": ("BaselineZero", "a multiple of it is no limit"),
}


def test_what_is_not_one_finite_number_holds_the_phase_until_it_is(operator: Operator, empty_scene: Scene) -> None:
    """All kinds at once, a rollout each: held, weights as they stood; then healthy again and completed."""
    scene = empty_scene
    scene.systems()
    rollouts = {case: _one(scene, case) for case in BLINDNESS}
    for rollout in rollouts.values():
        rollout.until(phase="small", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy")
    for case in BLINDNESS:
        _blind(scene, case)
    for case, (unknown, words) in BLINDNESS.items():
        status = rollouts[case].until("Holding", reason="CriteriaUnknown")
        assert words in status["message"], status["message"]
        assert {each["unknown"] for each in status["criteria"] if "unknown" in each} >= {unknown}, status["criteria"]
        assert status["health"] == "Unknown"
        assert condition(status, "Stalled")["status"] == "False"
        assert scene.weight(f"web-{case}") == 10
    for case in BLINDNESS:
        scene.stage.exporter.remove("e2e_case", **scene.labels("new", case), pod="b")
        _set(scene, case, 0.5)
    for case, rollout in rollouts.items():
        rollout.edit(phases=[_phase("1s"), plan.phase("all", 100, success=[], rollbackOn=[])])
        rollout.until("Completed")
        assert scene.weights(f"web-{case}") == [0, 10, 100]


def _one(scene: Scene, case: str) -> Rollout:
    _set(scene, case, 0.5)
    scene.kube.create(plan.route(f"web-{case}", scene.namespace))
    query = f'e2e_case{{workload="$workload",namespace="$namespace",case="{case}"}}'
    # in its status are the verdicts of the moment from which on the weights stand: they are to be good
    scene.stage.prometheus.wait_for(
        f'e2e_case{{namespace="{scene.namespace}",case="{case}"}}', lambda found: len(found) == 2
    )
    return scene.rollout(
        [_phase(plan.LONG)],
        case,
        metrics=[{"name": "reading", "query": query}],
        traffic={"routes": [plan.route_ref(f"web-{case}")]},
    )


def _phase(duration: str) -> Obj:
    return plan.phase(
        "small",
        10,
        duration,
        success=[{"metric": "reading", "below": 1}],
        rollbackOn=[{"metric": "reading", "above": 10, "relativeTo": "Old"}, {"metric": "reading", "above": 5}],
    )


def _set(scene: Scene, case: str, value: float) -> None:
    for workload in ("old", "new"):
        scene.stage.exporter.set("e2e_case", value, **scene.labels(workload, case))


def _blind(scene: Scene, case: str) -> None:
    labels = scene.labels("new", case)
    exporter = scene.stage.exporter
    match case:
        case "no-data":
            exporter.remove("e2e_case", **labels)
        case "not-a-number":
            exporter.set("e2e_case", float("nan"), **labels)
        case "infinite":
            exporter.set("e2e_case", float("inf"), **labels)
        case "two-series":
            exporter.set("e2e_case", 0.5, **labels, pod="b")
        case "old-at-zero":
            exporter.set("e2e_case", 0.0, **scene.labels("old", case))


def test_several_series_are_one_number_where_the_metric_says_how(operator: Operator, scene: Scene) -> None:
    """A second series that is worse counts by max; the message tells of how many it is the greatest."""
    for pod, value in (("a", 0.5), ("b", 0.7)):
        scene.stage.exporter.set("e2e_pods", value, **scene.labels("new"), pod=pod)
    scene.stage.prometheus.wait_for(f'e2e_pods{{namespace="{scene.namespace}"}}', lambda found: len(found) == 2)
    query = 'e2e_pods{workload="$workload",namespace="$namespace"}'
    rollout = scene.rollout(
        [plan.phase("half", 50, plan.LONG, success=[], rollbackOn=[{"metric": "worst", "above": 5}])],
        metrics=[{"name": "worst", "query": query, "aggregate": "max"}],
    )
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy")
    scene.stage.exporter.set("e2e_pods", 7.0, **scene.labels("new"), pod="c")
    status = rollout.until("RolledBack")
    assert "worst reads 7 (max of 3 series), which is above 5" in status["message"], status["message"]


@pytest.mark.usefixtures("prometheus_again")
def test_prometheus_that_stops_holds_and_what_it_sees_afterwards_counts(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="small", stands=True)
    scene.stage.prometheus.stop()
    status = rollout.until("Holding", reason="CriteriaUnknown")
    assert "cannot be reached" in status["message"], status["message"]
    assert status["phase"]["name"] == "small"
    assert scene.weights() == [0, 10]
    scene.stage.prometheus.start()
    rollout.until("Progressing", phase="half", stands=True)
    # gone again, and meanwhile new gets worse: nobody knows, nobody acts, until it can be read
    scene.stage.prometheus.stop()
    scene.set("errors", 50, "new")
    rollout.until("Holding", reason="CriteriaUnknown")
    assert scene.weight() == 50
    scene.stage.prometheus.start()
    rollout.until("RolledBack")
    assert scene.weights() == [0, 10, 50, 0]


@pytest.mark.usefixtures("prometheus_again")
def test_prometheus_that_hangs_holds_and_keeps_nothing_else_waiting(operator: Operator, scene: Scene) -> None:
    prometheus = {"address": scene.stage.prometheus.address, "interval": "1s", "timeout": "1s"}
    rollout = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("all", 100)], prometheus=prometheus)
    rollout.until(phase="small", stands=True)
    scene.stage.prometheus.pause()
    status = rollout.until("Holding", reason="CriteriaUnknown")
    assert "did not answer within 1 s" in status["message"], status["message"]
    # while it hangs, somebody else's hand on the weights is put right, and the health pages answer
    _drift(scene, 90)
    scene.until_weight(10)
    assert operator.page("/livez")[0] == operator.page("/readyz")[0] == 200
    scene.stage.prometheus.resume()
    rollout.until("Completed")
    assert scene.weight() == 100


def _drift(scene: Scene, weight: int) -> None:
    scene.by_hand.append(("HTTPRoute", "web"))
    body = [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": weight}]
    scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, body, type="json")


@pytest.mark.usefixtures("prometheus_again")
def test_prometheus_restarted_in_between_is_no_news(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, "3s"), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    scene.stage.prometheus.restart()
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 100]


@pytest.mark.usefixtures("prometheus_again")
def test_the_emergency_stop_needs_no_prometheus(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.stage.prometheus.pause()
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_data_from_before_the_phase_is_not_judged_while_it_settles(operator: Operator, scene: Scene) -> None:
    settled = [{"metric": "errors", "below": 1, "settle": "3s"}]
    rollout = scene.rollout([plan.phase("small", 10, "1s", success=settled)])
    status = rollout.until("Holding", reason="CriteriaNotMet")
    assert "settles for 3s" in status["message"], status["message"]
    rollout.until("Completed")

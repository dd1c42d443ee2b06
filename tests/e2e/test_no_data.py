"""What a criterion does without data, where its onNoData says so, on a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene

pytestmark = pytest.mark.cluster

GOES_BACK = [{"metric": "errors", "above": 5, "onNoData": "Rollback"}]


@pytest.fixture
def prometheus_again(scene: Scene) -> Iterator[None]:
    """Whatever a scenario did to it, Prometheus runs and answers afterwards."""
    yield
    prometheus = scene.stage.prometheus
    if not prometheus.process.running:
        prometheus.start()
    prometheus.wait_ready()


def _source_dies(scene: Scene, metric: str) -> None:
    scene.stage.exporter.remove(f"e2e_{metric}", **scene.labels("new"))


def test_data_that_goes_missing_sends_it_back_where_that_is_asked_for(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG, success=[], rollbackOn=GOES_BACK)])
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy", timeout=90)
    _source_dies(scene, "errors")
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "WithoutData"
    assert "counts as a breach (onNoData: Rollback): errors: Prometheus" in status["rollback"]["message"]
    (criterion,) = status["criteria"]
    assert (criterion["verdict"], criterion["unknown"]) == ("Fail", "NoData")
    assert scene.weights() == [0, 50, 0]
    assert "WithoutData" in {each["reason"] for each in rollout.events()}


def test_what_is_ignored_without_data_holds_nothing(operator: Operator, scene: Scene) -> None:
    success = [{"metric": "errors", "below": 1}, {"metric": "duration", "below": 9, "onNoData": "Ignore"}]
    phases = [plan.phase("small", 10, "3s", success=success), plan.phase("all", 100, "1s", success=success)]
    rollout = scene.rollout(phases)
    rollout.until(phase="small", stands=True)
    _source_dies(scene, "duration")
    status = rollout.until("Completed")
    ignored = [each for each in status["criteria"] if each.get("unknown") == "Ignored"]
    assert [each["metric"] for each in ignored] == ["duration"]
    assert ignored[0]["message"].startswith("ignored without data, for ")
    assert "CriterionIgnored" in rollout.reasons
    assert "CriterionIgnored" in {each["reason"] for each in rollout.events()}


@pytest.mark.usefixtures("prometheus_again")
def test_an_outage_of_prometheus_is_no_missing_data(operator: Operator, scene: Scene) -> None:
    """Longer than two intervals, shorter than two minutes: held, and neither gone back nor ignored."""
    ignored = [{"metric": "duration", "below": 9, "onNoData": "Ignore"}]
    rollout = scene.rollout(
        [plan.phase("small", 10, "1s", success=ignored, rollbackOn=GOES_BACK), plan.phase("all", 100, plan.LONG)]
    )
    rollout.until(phase="all", stands=True)
    rollout.edit(phases=[plan.phase("all", 100, "1s", success=ignored, rollbackOn=GOES_BACK)])
    scene.stage.prometheus.stop()
    try:
        status = rollout.until(reason="CriteriaUnknown")
    finally:
        scene.stage.prometheus.start()
    assert "cannot be reached" in status["message"], status["message"]
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 100]


def test_few_events_are_waited_for_and_judged_once_there_are_enough(operator: Operator, scene: Scene) -> None:
    """Half of what new does fails. While it does little that is no news; then it goes back."""
    over = 'sum(increase(e2e_items_total{workload="$workload",namespace="$namespace"}[$window]))'
    ratio = {"of": over.replace("items", "failed"), "over": over}
    _works(scene, 2.0)
    scene.stage.prometheus.wait_for(
        f'increase(e2e_items_total{{namespace="{scene.namespace}"}}[10s])',
        lambda found: len(found) == 1 and found[0].value > 10,
    )
    rollout = scene.rollout(
        [
            plan.phase(
                "half", 50, plan.LONG, success=[], rollbackOn=[{"metric": "share", "above": 5, "minSamples": 100}]
            )
        ],
        metrics=[{"name": "share", "unit": "percent", "ratio": ratio, "window": "10s"}],
    )
    status = rollout.until(phase="half", stands=True)
    (criterion,) = status["criteria"]
    assert criterion["unknown"] == "TooFew"
    assert "of 100 events in 10s, too few to judge by" in criterion["message"]
    assert 10 < criterion["events"] < 100
    _works(scene, 50.0)
    status = rollout.until("RolledBack")
    assert status["criteria"][0]["events"] >= 100
    assert "which is above 5 percent" in status["message"]


def _works(scene: Scene, per_second: float) -> None:
    """New handles so many items a second, and every other fails."""
    scene.stage.exporter.set_rate("e2e_items_total", per_second, **scene.labels("new"))
    scene.stage.exporter.set_rate("e2e_failed_total", per_second / 2, **scene.labels("new"))


def test_a_source_that_has_stopped_is_stale_though_its_query_answers(operator: Operator, scene: Scene) -> None:
    """`or vector(0)` and a long window both go on answering, with the best there is."""
    exporter, labels = scene.stage.exporter, scene.labels("new")
    probe = 'e2e_probe{workload="$workload",namespace="$namespace"}'
    done = 'e2e_done_total{workload="$workload",namespace="$namespace"}'
    exporter.set("e2e_probe", 1.0, **labels)
    exporter.set_rate("e2e_done_total", 5.0, **labels)
    scene.stage.prometheus.wait_for(
        f'increase(e2e_done_total{{namespace="{scene.namespace}"}}[3s])', lambda found: len(found) == 1
    )
    metrics = [
        {"name": "failing", "query": f"count({probe} == 0) or vector(0)", "staleAfter": "3s", "heartbeat": probe},
        {"name": "done", "query": f"sum(increase({done}[$window]))", "window": "1h", "staleAfter": "3s"},
    ]
    limits = [{"metric": "failing", "above": 0}, {"metric": "done", "below": 0}]
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG, success=[], rollbackOn=limits)], metrics=metrics)
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy")
    exporter.remove("e2e_probe", **labels)
    exporter.remove("e2e_done_total", **labels)
    status = rollout.until("Holding", reason="CriteriaUnknown")
    assert "its source has stopped, nothing was seen in the last 3s" in status["message"], status["message"]
    exporter.set("e2e_probe", 1.0, **labels)
    exporter.set_rate("e2e_done_total", 5.0, **labels)
    rollout.until("Progressing")
    assert scene.weight() == 50

"""What waits though nothing is wrong with it: for the calendar, for freezes that are shared, for another namespace, for
a pool. And what does not: the way back."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene, Stage
from testbed import Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
TOKYO = ZoneInfo("Asia/Tokyo")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _local(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def test_phases_are_entered_when_the_calendar_allows_and_a_rollback_at_any_time(
    operator: Operator, scene: Scene
) -> None:
    """By a freeze that ends in some seconds, and a window that is of another day."""
    now = datetime.now(TOKYO).replace(microsecond=0)
    ends = now + timedelta(seconds=6)
    freeze = {"from": _local(now - timedelta(hours=1)), "to": _local(ends), "reason": "release of the day"}
    schedule = {"timezone": "Asia/Tokyo", "freezes": [freeze]}
    rollout = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("half", 50)], schedule=schedule)
    status = rollout.until("Preflight", reason="Frozen", stalled=False)
    assert status["message"].startswith("Not started: a freeze is on (release of the day) until ")
    assert status["next"] == f"small {ends:%Y-%m-%d %H:%M}{f':{ends:%S}' if ends.second else ''} JST"
    assert "finalizers" not in rollout.obj["metadata"]
    status = rollout.until(phase="small")
    assert _seconds(status["started"]) >= ends.timestamp()

    other_day = f"{now + timedelta(days=3):%a}"
    rollout.edit(schedule={"freezes": None, "windows": [{"days": [other_day], "from": "10:00", "to": "17:00"}]})
    status = rollout.until("Holding", reason="OutsideWindow")
    assert status["next"].startswith("half ")
    assert status["next"].endswith(" 10:00 JST")
    assert scene.weight() == 10
    scene.set("errors", 7, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 10, 0]


def test_a_freeze_that_is_shared_is_edited_while_rollouts_wait_for_it(operator: Operator, scene: Scene) -> None:
    def write(text: str) -> None:
        scene.kube.patch("v1", "ConfigMap", "closed", scene.namespace, {"data": {"freezes": text}})

    rollout = scene.rollout(
        [plan.phase("small", 10, "3s"), plan.phase("half", 50)], schedule={"freezesFrom": {"configMap": "closed"}}
    )
    status = rollout.until("Preflight", reason="FreezesUnknown", stalled=True)
    assert "or has not the label syncrollout.io/freezes" in status["message"]
    metadata = {"name": "closed", "namespace": scene.namespace, "labels": {"syncrollout.io/freezes": "true"}}
    scene.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"freezes": "[]"}})
    rollout.until(phase="small")
    today = datetime.now(ZoneInfo("Etc/UTC")).date()
    write(f"- {{from: {today - timedelta(days=1)}, to: {today + timedelta(days=1)}, reason: audit}}")
    status = rollout.until("Holding", reason="Frozen", says="(audit)")
    assert status["next"] == f"half {today + timedelta(days=2)} 00:00 UTC"
    write("- {from: tomorrow}")
    rollout.until("Holding", reason="FreezesUnknown", stalled=True, says="freeze 1 cannot be read")
    write("[]")
    rollout.until("Completed")


def test_staging_goes_first_and_with_the_same_revision(operator: Operator, stage: Stage, scene: Scene) -> None:
    staging = stage.scene("staging")
    try:
        staging.systems()
        first = {"dependsOn": [{"name": "move", "namespace": staging.namespace}]}
        prod = scene.rollout([plan.phase("half", 50)], revision="2", **first)
        waits = f"Not started: it waits for SyncRollout {staging.namespace}/move to complete revision 2, which"
        prod.until("Preflight", reason="WaitingForDependency", says=f"{waits} does not exist")
        before = staging.rollout([plan.phase("half", 50)])
        before.until("Completed")
        prod.until("Preflight", says=f"{waits} is Completed with revision 1")
        before.edit(revision="2", phases=[plan.phase("half", 50, "2s")])
        status = prod.until("Completed")
        assert _seconds(status["started"]) >= _seconds(before.until("Completed")["finished"])
    finally:
        staging.end()


def test_of_a_pool_of_one_three_rollouts_run_one_after_the_other(operator: Operator, scene: Scene) -> None:
    names = ("web", "api", "mail")
    for name in names[1:]:
        scene.kube.create(plan.route(name, scene.namespace))
    pool = {"name": f"of-{scene.namespace}"[:63].rstrip("-"), "limit": 1}
    rollouts: list[Rollout] = [
        scene.rollout([plan.phase("half", 50, "2s")], name, traffic={"routes": [plan.route_ref(name)]}, pool=pool)
        for name in names
    ]
    eventually(
        lambda: sum(each.status.get("reason") == "WaitingForPool" for each in rollouts) == len(names) - 1,
        timeout=30,
        what="two of them to wait for the third",
    )
    waiting = next(each.status for each in rollouts if each.status["reason"] == "WaitingForPool")
    assert f"pool {pool['name']} lets 1 run at a time: {scene.namespace}/" in waiting["message"]
    spans = sorted(_span(each.until("Completed", timeout=60)) for each in rollouts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans


def _span(status: Obj) -> tuple[float, float]:
    return _seconds(status["started"]), _seconds(status["finished"])


def test_rollouts_that_wait_for_each_other_are_told(operator: Operator, scene: Scene) -> None:
    scene.kube.create(plan.route("api", scene.namespace))
    one = scene.rollout([plan.phase("half", 50)], "one", dependsOn=[{"name": "two"}])
    two = scene.rollout(
        *([plan.phase("half", 50)], "two"), traffic={"routes": [plan.route_ref("api")]}, dependsOn=[{"name": "one"}]
    )
    space = scene.namespace
    one.until("Preflight", reason="DependencyCycle", stalled=True, says=f"{space}/one -> {space}/two -> {space}/one")
    began = time.time()
    two.edit(dependsOn=None)
    assert _seconds(one.until("Completed")["started"]) > began

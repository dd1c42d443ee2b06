"""Two SyncRollouts on one route: one moves it, the other waits and says for whom."""

from __future__ import annotations

import time

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster


def test_the_older_keeps_the_route_and_the_younger_starts_after_it(operator: Operator, scene: Scene) -> None:
    older = scene.rollout([plan.phase("half", 50, plan.LONG)], "older")
    older.until(phase="half", stands=True)
    younger = scene.rollout([plan.phase("most", 80)], "younger")
    status = younger.until("Preflight", reason="RouteTaken", stalled=True)
    assert status["message"] == (
        f"Not started: HTTPRoute {scene.namespace}/web is held by SyncRollout older: one rollout moves a route at a "
        "time; this one starts when older has ended or is deleted"
    )
    assert "finalizers" not in younger.obj["metadata"]
    # an edit, a drift and a suspension of the older change nothing of that
    older.edit(suspend=True)
    older.until("Paused")
    assert younger.status["reason"] == "RouteTaken"
    older.edit(emergencyStop=True)
    older.until("RolledBack")
    younger.until("Completed")
    assert scene.weights() == [0, 50, 0, 80]


def test_the_younger_starts_when_the_older_is_deleted(operator: Operator, scene: Scene) -> None:
    older = scene.rollout([plan.phase("half", 50, plan.LONG)], "older")
    older.until(phase="half", stands=True)
    younger = scene.rollout([plan.phase("most", 80)], "younger")
    younger.until("Preflight", reason="RouteTaken", stalled=True)
    older.delete()
    older.until_gone()
    younger.until("Completed")
    assert scene.weights() == [0, 50, 0, 80]


def test_of_two_that_wait_the_older_goes_first(operator: Operator, scene: Scene) -> None:
    """Both are suspended, and let go in the other order."""
    phases = [plan.phase("half", 50, "2s")]
    first = scene.rollout(phases, "zz-first", suspend=True)
    first.until("Paused")
    # age is counted in whole seconds
    made = first.obj["metadata"]["creationTimestamp"]
    eventually(lambda: time.strftime("%FT%TZ", time.gmtime()) > made, timeout=2, what="the next second")
    second = scene.rollout(phases, "aa-second", suspend=True)
    second.until("Paused", also=lambda _: first.status["state"] == "Paused")
    first.edit(suspend=False)
    first.until("Progressing")
    second.edit(suspend=False)
    second.until("Preflight", reason="RouteTaken")
    first.until("Completed")
    second.until("Completed")

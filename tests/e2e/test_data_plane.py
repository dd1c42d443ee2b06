"""Real requests through a real proxy while the operator moves weights."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene
from testbed import DataPlane, LoadGenerator
from testbed.load import Request
from testbed.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.dataplane]
ENOUGH = 300
"""Requests whose split is held against a weight: at 10 % the standard deviation is 1.7 points."""


def _share_while(rollout: Rollout, load: LoadGenerator, phase: str) -> float:
    """New's part of the requests sent while the weights of a phase stood, once there are enough of them."""
    rollout.until(phase=phase, stands=True)
    begin = load.samples[-1].time + 0.3  # the proxy has a moment to hear of it
    eventually(lambda: len(load.since(begin)) >= ENOUGH, timeout=30, what=f"{ENOUGH} requests in phase {phase}")
    share = load.share("new", since=begin)
    assert share is not None
    return share


def _failures(load: LoadGenerator) -> list[Request]:
    return [request for request in load.samples if request.failed or request.status != 200]


def test_each_phase_gets_its_share_of_requests_and_none_fails(
    operator: Operator, data_plane: DataPlane, empty_scene: Scene, host: str
) -> None:
    scene = empty_scene
    held = [plan.phase("small", 10, plan.LONG), plan.phase("half", 50, plan.LONG), plan.phase("all", 100, plan.LONG)]
    with LoadGenerator(data_plane.address, host, rate=300, max_seconds=120) as load:
        rollout = scene.rollout(held)
        assert 0.03 < _share_while(rollout, load, "small") < 0.18
        rollout.edit(phases=[{**held[0], "duration": "0s"}, *held[1:]])
        assert 0.40 < _share_while(rollout, load, "half") < 0.60
        rollout.edit(phases=[{**held[0], "duration": "0s"}, {**held[1], "duration": "0s"}, held[2]])
        assert _share_while(rollout, load, "all") == 1.0
        scene.set("errors", 50, "new")
        rollout.until("RolledBack")
        data_plane.wait_for_split(host, {"old"})
    assert _failures(load) == []


def test_retired_old_takes_requests_again_without_one_failing(
    operator: Operator, data_plane: DataPlane, empty_scene: Scene, host: str
) -> None:
    scene = empty_scene
    with LoadGenerator(data_plane.address, host, rate=300, max_seconds=120) as load:
        rollout = scene.rollout([plan.phase("all", 100), plan.phase("retire", 100, plan.LONG, retireOld=True)])
        rollout.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
        scene.until_ready("old", 0)
        rollout.edit(emergencyStop=True)
        rollout.until("RolledBack")
        data_plane.wait_for_split(host, {"old"})
    assert _failures(load) == []

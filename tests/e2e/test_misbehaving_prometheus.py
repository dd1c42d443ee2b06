"""A Prometheus that hangs, drips bytes or sends a hundred megabytes harms no rollout that asks another."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene
from observe.misbehaving import Server
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster

KINDS = ("hang", "drip-head", "drip-body", "flood", "flood-junk")
EACH = 3
"""Rollouts that ask each of them."""


def test_one_that_misbehaves_harms_no_other_rollout(operator: Operator, empty_scene: Scene) -> None:
    scene = empty_scene
    scene.systems()
    with Server() as server:
        harmed = {f"{kind}-{number}": kind for kind in KINDS for number in range(EACH)}
        rollouts = {name: _begins(scene, name, server) for name in harmed}
        for rollout in rollouts.values():
            rollout.until(phase="half", stands=True)
        for name, kind in harmed.items():
            rollouts[name].edit(prometheus={"address": server.address(kind)})
        for rollout in rollouts.values():
            rollout.until("Holding", reason="CriteriaUnknown")
        # meanwhile one that asks a real Prometheus goes its way, and goes back as soon as it has to
        well = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("half", 50, plan.LONG)])
        well.until(phase="half", stands=True)
        assert server.stuck.most > 0
        scene.set("errors", 50, "new")
        well.until("RolledBack")
        assert scene.weights() == [0, 10, 50, 0]
        assert operator.page("/livez")[0] == operator.page("/readyz")[0] == 200
        # those that do not answer are left in peace, and the others are not read to their end
        eventually(
            lambda: operator.metrics()["syncrollout_prometheus_queries_spared_total"] > 0,
            timeout=30,
            what="queries that are not sent to a Prometheus that does not answer",
        )
        floods = sum(1 for each in server.requests if each.path.startswith("/flood"))
        assert server.sent < floods * (16 << 20), "more than socket buffers hold beyond what is read"
        for name, rollout in rollouts.items():
            assert scene.weight(f"web-{name}") == 50
            rollout.edit(prometheus={"address": server.address("ok")})
        for rollout in rollouts.values():
            rollout.until("Progressing")


def _begins(scene: Scene, name: str, server: Server) -> Rollout:
    scene.kube.create(plan.route(f"web-{name}", scene.namespace))
    limits = {"success": [{"metric": "errors", "below": 1}], "rollbackOn": [{"metric": "errors", "above": 5}]}
    return scene.rollout(
        [plan.phase("half", 50, plan.LONG, **limits)],
        name,
        metrics=[{"name": "errors", "query": f'errors{{rollout="{name}"}}'}],
        traffic={"routes": [plan.route_ref(f"web-{name}")]},
        prometheus={"address": server.address("ok"), "interval": "1s", "timeout": "3s"},
    )

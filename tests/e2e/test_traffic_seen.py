"""Where traffic really is: verified by the proxy's own counters, and mirrored to new, both on the real proxy."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.conftest import Proxied
from e2e.scene import Rollout, Scene
from testbed import DataPlane, LoadGenerator, Obj
from testbed.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.dataplane]
REQUESTS = 'sum(rate(envoy_cluster_upstream_rq_total{envoy_cluster_name=~"%s"}[$window]))'
SHARE = "100 * ({} or vector(0)) / {}".format(
    REQUESTS % "${namespace}_${service}_80", REQUESTS % "${namespace}_(old|new)_80"
)
RATE = 200


def _verified(**more: object) -> Obj:
    verify: Obj = {"query": SHARE, "window": "2s", "tolerance": 8, "timeout": "4s", **more}
    return {"routes": [plan.route_ref()], "verify": verify}


def _seen(rollout: Rollout) -> float:
    return float(rollout.status["verify"]["share"])


def _no_failures(load: LoadGenerator) -> None:
    assert [request for request in load.samples if request.failed or request.status != 200] == []


@pytest.mark.usefixtures("operator", "proxy_counts")
def test_without_requests_it_says_so_and_each_phase_begins_once_they_come(
    data_plane: DataPlane, empty_scene: Scene, host: str
) -> None:
    scene = empty_scene
    held = [plan.phase("small", 10, plan.LONG), plan.phase("half", 50, plan.LONG)]
    rollout = scene.rollout(held, traffic=_verified(timeout="3s"))
    status = rollout.until("Holding", phase="small", reason="ShareUnknown", timeout=60)
    assert "without requests there is no share" in status["message"]
    scene.until_weight(10)
    with LoadGenerator(data_plane.address, host, rate=RATE, max_seconds=120) as load:
        rollout.until("Progressing", phase="small", stands=True)
        assert 2 <= _seen(rollout) <= 18
        rollout.edit(phases=[{**held[0], "duration": "0s"}, held[1]])
        rollout.until(phase="half", stands=True)
        assert 42 <= _seen(rollout) <= 58
        scene.set("errors", 50, "new")
        rollout.until("RolledBack", says="seen by traffic.verify")
        assert data_plane.split(host) == {"old": 200}
    _no_failures(load)


@pytest.mark.usefixtures("operator", "proxy_counts")
def test_a_router_that_does_not_obey_is_named_and_the_phase_goes_on_when_it_does(
    data_plane: DataPlane, empty_scene: Scene, host: str
) -> None:
    scene = empty_scene
    with LoadGenerator(data_plane.address, host, rate=RATE, max_seconds=120) as load:
        rollout = scene.rollout([plan.phase("none", 0, "1s"), plan.phase("half", 50, plan.LONG)], traffic=_verified())
        rollout.until(phase="none", stands=True)
        data_plane.contour.pause()
        try:
            status = rollout.until("Holding", phase="half", reason="RouterDisobeys")
        finally:
            data_plane.contour.resume()
        assert "the router does not obey: HTTPRoute web says 50 % to new" in status["message"]
        assert "0 % now" in status["message"]
        assert scene.weight() == 50
        rollout.until("Progressing", phase="half", stands=True)
        assert 42 <= _seen(rollout) <= 58
        rollout.edit(emergencyStop=True)
        rollout.until("RolledBack", says="seen by traffic.verify")
    _no_failures(load)


@pytest.mark.usefixtures("operator", "proxy_counts")
def test_a_route_that_no_gateway_takes_never_begins_its_phase(
    data_plane: DataPlane, empty_scene: Scene, host: str
) -> None:
    scene = empty_scene
    with LoadGenerator(data_plane.address, host, rate=RATE, max_seconds=120) as load:
        nobody = {"spec": {"parentRefs": [{"name": "nobody"}]}}
        scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, nobody)
        eventually(lambda: any(request.status != 200 for request in load.samples), what="the proxy to drop the route")
        # Each phase would be over long before it is looked at here: what does not begin does not end either.
        rollout = scene.rollout([plan.phase("half", 50, "1s"), plan.phase("all", 100, "1s")], traffic=_verified())
        status = rollout.until("Holding", phase="half", reason="ShareUnknown", timeout=60)
        assert "without requests there is no share" in status["message"]
        assert not {"since", "earliestEnd"} & set(status["phase"])
        # Requests come again, by a route that is not the rollout's.
        data_plane.add_route("other", scene.namespace, host, {"old": 1})
        status = rollout.until("Holding", phase="half", reason="RouterDisobeys")
        assert "the router does not obey: HTTPRoute web says 50 % to new" in status["message"]
        assert not {"since", "earliestEnd"} & set(status["phase"])
        rollout.edit(emergencyStop=True)
        rollout.until("RolledBack", says="seen by traffic.verify")
    assert scene.weights() == [0, 50, 0], "the weight was written, and nobody acted on it"


@pytest.mark.usefixtures("operator")
def test_copies_reach_new_while_old_answers_all_and_are_gone_afterwards(
    data_plane: DataPlane, empty_scene: Scene, proxied: Proxied
) -> None:
    scene = empty_scene
    before = scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)["spec"]
    shadow = {"name": "copies", "weight": 0, "mode": "Shadow", "duration": plan.LONG, "rollbackOn": plan.BREACH}
    with LoadGenerator(data_plane.address, proxied.host, rate=RATE, max_seconds=120) as load:
        rollout = scene.rollout([shadow, plan.phase("half", 50, plan.LONG)])
        rollout.until(phase="copies", stands=True)
        start = proxied.new.answered
        eventually(lambda: proxied.new.answered >= start + 100, timeout=15, what="new to get 100 copies")
        assert {request.backend for request in load.samples} == {"old"}
        assert rollout.status["weight"] == 0

        rollout.edit(phases=[{**shadow, "duration": "0s"}, plan.phase("half", 50, plan.LONG)])
        rollout.until(phase="half", stands=True)
        scene.set("errors", 50, "new")
        rollout.until("RolledBack")
        data_plane.wait_for_split(proxied.host, {"old"})
        end = proxied.new.answered
        sent = len(load.samples)
        eventually(lambda: len(load.samples) >= sent + 100, timeout=15, what="100 requests after the rollback")
        assert proxied.new.answered == end
    _no_failures(load)
    assert scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)["spec"] == before


@pytest.mark.usefixtures("operator")
def test_a_rollback_out_of_a_phase_that_mirrors_leaves_the_route_as_it_was(empty_scene: Scene) -> None:
    scene = empty_scene
    scene.systems()
    before = scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)["spec"]
    shadow = {"name": "copies", "weight": 0, "mode": "Shadow", "duration": plan.LONG, "rollbackOn": plan.BREACH}
    rollout = scene.rollout([{**shadow, "mirrorPercent": 20}, plan.phase("all", 100)])
    rollout.until(phase="copies", stands=True)
    (mirror,) = scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)["spec"]["rules"][0]["filters"][1:]
    assert mirror["requestMirror"]["percent"] == 20
    assert mirror["requestMirror"]["backendRef"]["name"] == "new"
    rollout.delete()
    rollout.until_gone()
    assert scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)["spec"] == before

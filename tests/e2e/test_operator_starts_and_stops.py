"""The operator starts before what it needs is there, and stops while it does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import plan
from e2e.operators import NAMESPACE, ROOT, Operator, Operators
from e2e.scene import Scene
from testbed import Cluster, ControlPlane
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster


def test_stopped_while_the_api_server_hangs_it_ends_in_time(operators: Operators, scene: Scene) -> None:
    own = operators.own("stopped", "--request-timeout=1s")
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.stage.cluster.pause()
    try:
        scene.set("errors", 50, "new")
        patched = 'syncrollout_api_requests_total{code="0",resource="httproutes",verb="patch"}'
        eventually(lambda: own.metrics().get(patched), timeout=30, what="a patch of the route without an answer")
        asked = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - asked < 5
    finally:
        scene.stage.cluster.resume()
    operators.own("next", "--no-leader-election")  # it need not wait for the Lease, which could not be given up
    rollout.until("RolledBack")


def test_started_while_the_api_server_hangs_it_waits_for_it(operators: Operators, scene: Scene) -> None:
    operators.stop_shared()
    own = operators.adopt(operators.make("early", "--no-leader-election", "--request-timeout=1s"))
    scene.stage.cluster.pause()
    try:
        own.process.launch()
        own.says("SyncRollouts could not be listed", "no answer within 1 s")
        assert not own.ready
        assert own.page("/livez")[0] == 200
    finally:
        scene.stage.cluster.resume()
    eventually(lambda: own.ready, timeout=30, what="the operator to be ready")
    rollout = scene.rollout([plan.phase("half", 50, "0s")])
    rollout.until("Completed")


def test_started_before_the_api_server_it_waits_for_it(operators: Operators, scene: Scene) -> None:
    operators.stop_shared()
    own = operators.adopt(operators.make("early", "--no-leader-election"))
    began = time.time()
    scene.stage.cluster.kill_apiserver()
    try:
        own.process.launch()
        own.says("SyncRollouts could not be listed", "cannot be reached")
    finally:
        scene.stage.cluster.start_apiserver()
    eventually(lambda: own.ready, timeout=30, what="the operator to be ready")
    rollout = scene.rollout([plan.phase("half", 50, "0s")])
    rollout.until("Completed")
    scene.stage.deprived.append((began, time.time()))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane without any CRD; the operator has its rights there."""
    with ControlPlane(tmp_path, scheduler=False, audit=False) as started:
        for name in ("00-namespace", "10-serviceaccount", "20-rbac"):
            started.kube.apply_yaml(ROOT / "manifests" / f"{name}.yaml")
        yield started


def test_installed_before_the_crds_it_finds_them(bare: ControlPlane, tmp_path: Path) -> None:
    token = eventually(lambda: bare.token_for(NAMESPACE, "syncrollout"), what="a token")
    operator = Operator("early", bare, token, ("--no-leader-election",), tmp_path)
    operator.process.launch()
    try:
        operator.says("SyncRollouts could not be listed", "apply the CRD that defines it")
        assert operator.page("/readyz")[0] == 503
        bare.kube.apply_yaml(ROOT / "crds")
        eventually(lambda: operator.ready, timeout=40, what="the operator to find the kind")
        _create(bare)
        found = bare.kube.wait_for(
            plan.API_VERSION,
            plan.KIND,
            "move",
            "default",
            lambda obj: (obj.get("status") or {}).get("message"),
            timeout=20,
        )
        # the Gateway API is not there either
        assert "HTTPRoute" in found["status"]["message"]
        assert "install its CRD" in found["status"]["message"]
    finally:
        assert operator.stop() == 0


def _create(cluster: Cluster) -> None:
    phases = [plan.phase("half", 50, success=[], rollbackOn=[])]
    body = plan.rollout("move", "default", "http://127.0.0.1:1", phases, prometheus=None, metrics=None)
    eventually(lambda: cluster.kube.apply(body), timeout=20, what="the API server to take a SyncRollout")

"""Clusters other than the testbed's own. The session's control plane plays the given one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed import Cluster, ControlPlane, NotHere, TestbedError, given


@pytest.mark.cluster
def test_a_given_cluster_is_used_with_a_token_of_ours_and_left_clean(
    control_plane: ControlPlane, run_dir: Path
) -> None:
    kube = control_plane.kube
    before = _ours(kube.list("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"))
    with given.given_cluster(control_plane.kubeconfig, run_dir) as cluster:
        assert cluster.version == control_plane.version
        assert cluster.kubectl("auth", "can-i", "*", "*").strip() == "yes"
        (binding,) = _ours(kube.list("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")) - before
        with pytest.raises(NotHere, match="own control plane only"):
            cluster.pause()
        with pytest.raises(NotHere):
            _ = cluster.audit
    assert _ours(kube.list("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")) == before
    left = kube.find("v1", "Namespace", binding)
    assert left is None or left["metadata"]["deletionTimestamp"]


@pytest.mark.cluster
def test_a_cluster_that_cannot_be_reached_is_named(control_plane: Cluster, run_dir: Path) -> None:
    wrong = run_dir / "kubeconfig"
    wrong.write_text(control_plane.kubeconfig.read_text().replace(str(control_plane.port), "1"))
    with (
        pytest.raises(TestbedError, match=r"the cluster of .* cannot be used: kubectl create namespace"),
        given.given_cluster(wrong, run_dir),
    ):
        pytest.fail("there is no cluster")


def test_what_cluster_asks_for_must_be_known(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    monkeypatch.setenv("CLUSTER", "minikube")
    with pytest.raises(TestbedError, match="CLUSTER=minikube is not known"):
        given.wanted()
    monkeypatch.setenv("CLUSTER", "given")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(TestbedError, match="CLUSTER=given needs KUBECONFIG"), given.open_cluster(run_dir):
        pytest.fail("there is no cluster")


def test_kind_must_be_there_when_asked_for(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    monkeypatch.setenv("CLUSTER", "kind")
    monkeypatch.setenv("PATH", str(run_dir))
    with pytest.raises(TestbedError, match="needs the program kind"), given.open_cluster(run_dir):
        pytest.fail("there is no cluster")


def test_kind_without_an_engine_says_so(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    kind = run_dir / "kind"
    kind.write_text("#!/bin/sh\n[ $1 = delete ] || { echo 'ERROR: no container runtime' >&2; exit 1; }\n")
    kind.chmod(0o755)
    monkeypatch.setenv("PATH", f"{run_dir}:{os.environ['PATH']}")
    with pytest.raises(TestbedError, match="no container runtime"), given.kind_cluster(run_dir):
        pytest.fail("there is no cluster")


def _ours(objects: list[dict[str, dict[str, str]]]) -> set[str]:
    names = {obj["metadata"]["name"] for obj in objects}
    return {name for name in names if name.startswith("syncrollout-testbed-")}

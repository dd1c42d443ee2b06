"""The chart on a real node, with a rollout in flight through each of Helm's verbs. The operator looks after that
namespace alone, and its CRD comes with the release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realnode.older_chart import CHART, knows_the_newer_field, older_chart
from realnode.operator_pods import NAMESPACE, phase, pods
from testbed.node import RealNode

pytestmark = [pytest.mark.cluster, pytest.mark.own_cluster]

WAIT = ("--wait", "--timeout", "120s")
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:syncrollout"


def test_the_chart_is_installed_upgraded_rolled_back_and_removed_around_a_rollout(
    node: RealNode, helm: Callable[..., str], migration: Any, tmp_path: Path
) -> None:
    ours = ["--set", "image.repository=testbed.local/syncrollout,image.tag=test,image.pullPolicy=Never"]
    ours += ["--set", f"namespaces={{{migration.namespace}}}"]
    strict = {"pod-security.kubernetes.io/enforce": "restricted"}  # so every pod below has passed that level
    node.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": strict}})
    taking = ["--take-ownership", "--force-conflicts"]  # the CRD was applied by others before
    helm("install", "syncrollout", str(older_chart(tmp_path)), *WAIT, *taking, *ours)
    assert not knows_the_newer_field(node.kube)
    migration.begin("sync", [phase("half", 50, "1h")])
    before = migration.until("sync", lambda status: status.get("weight") == 50)
    for namespace, may in ((migration.namespace, "yes"), ("default", "no")):
        for what in (("patch", "httproutes"), ("get", "secrets"), ("list", "syncrollouts")):
            assert node.kubectl("auth", "can-i", *what, f"--as={ACCOUNT}", "-n", namespace, check=False).strip() == may

    # under a number that no image has a name for, as OpenShift gives one
    changed = "podLabels.release=second,runAsUser=1000680000"
    helm("upgrade", "syncrollout", str(CHART), *WAIT, *ours, "--set", changed)
    assert knows_the_newer_field(node.kube)
    assert {each["metadata"]["labels"].get("release") for each in pods(node)} == {"second"}
    assert {each["spec"]["securityContext"]["runAsUser"] for each in pods(node)} == {1000680000}
    helm("rollback", "syncrollout", "1", *WAIT)
    after = migration.status("sync")
    assert (after["state"], after["weight"], after["phase"]) == (before["state"], 50, before["phase"])

    helm("uninstall", "syncrollout", *WAIT)
    assert migration.status("sync")["weight"] == 50
    assert migration.weight() == 50
    helm("install", "syncrollout", str(CHART), *WAIT, *ours)
    assert knows_the_newer_field(node.kube), "what a release has left is brought up to date"
    migration.kube.patch(
        "syncrollout.io/v1alpha1", "SyncRollout", "sync", migration.namespace, {"spec": {"emergencyStop": True}}
    )
    migration.until("sync", lambda status: status.get("state") == "RolledBack")
    assert migration.weight() == 0
    helm("uninstall", "syncrollout", *WAIT)

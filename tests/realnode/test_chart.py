"""The chart on a real node, with a rollout in flight through each of Helm's verbs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realnode.operator_pods import phase, pods
from testbed.node import RealNode

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]


def test_the_chart_is_installed_upgraded_rolled_back_and_removed_around_a_rollout(
    node: RealNode, helm: Callable[..., str], migration: Any
) -> None:
    ours = ["--set", "image.repository=testbed.local/syncrollout,image.tag=test,image.pullPolicy=Never"]
    ours += ["--set", "crds.install=false"]
    chart = str(ROOT / "charts" / "syncrollout")
    helm("install", "syncrollout", chart, "--create-namespace", "--wait", "--timeout", "120s", *ours)
    migration.begin("sync", [phase("half", 50, "1h")])
    before = migration.until("sync", lambda status: status.get("weight") == 50)

    helm("upgrade", "syncrollout", chart, "--wait", "--timeout", "120s", *ours, "--set", "podLabels.release=second")
    assert {each["metadata"]["labels"].get("release") for each in pods(node)} == {"second"}
    helm("rollback", "syncrollout", "1", "--wait", "--timeout", "120s")
    after = migration.status("sync")
    assert (after["state"], after["weight"], after["phase"]) == (before["state"], 50, before["phase"])

    helm("uninstall", "syncrollout", "--wait", "--timeout", "120s")
    assert migration.status("sync")["weight"] == 50
    assert migration.weight() == 50
    helm("install", "syncrollout", chart, "--wait", "--timeout", "120s", *ours)
    migration.kube.patch(
        "syncrollout.io/v1alpha1", "SyncRollout", "sync", migration.namespace, {"spec": {"emergencyStop": True}}
    )
    migration.until("sync", lambda status: status.get("state") == "RolledBack")
    assert migration.weight() == 0
    helm("uninstall", "syncrollout", "--wait", "--timeout", "120s")

"""The operator as people run it: its own image, in pods of its own, under its own ServiceAccount, on a real node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realnode.operator_pods import NAMESPACE, phase, pods
from testbed.node import RealNode
from testbed.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.own_cluster]

FIVE = [
    ("parallel-run", 0, {}),
    ("small-traffic", 10, {}),
    ("medium-traffic", 50, {}),
    ("full-traffic", 100, {}),
    ("full-migration", 100, {"retireOld": True}),
]


def _leader(cluster: RealNode) -> str:
    """The pod that leads."""
    lease = cluster.kube.get("coordination.k8s.io/v1", "Lease", "syncrollout", NAMESPACE)
    holder = str(lease["spec"]["holderIdentity"])
    return next(name for name in (each["metadata"]["name"] for each in pods(cluster)) if holder.startswith(name))


def test_a_whole_migration_completes(manifests: RealNode, migration: Any) -> None:
    migration.begin("sync", [phase(name, weight, **more) for name, weight, more in FIVE])
    status = migration.until("sync", lambda status: status.get("state") == "Completed")
    assert [each["reason"] for each in status["history"]].count("PhaseStarted") == 5
    assert migration.weight() == 100
    eventually(
        lambda: not manifests.kube.list("v1", "Pod", migration.namespace, selector="app=old"),
        what="old's pods to be gone",
        timeout=30,
    )


def test_its_pod_has_no_more_than_it_says(manifests: RealNode) -> None:
    probe = (
        "import os, json; "
        "lines = dict(line.split(':', 1) for line in open('/proc/self/status')); "
        "print(json.dumps({'uid': os.getuid(), 'caps': int(lines['CapEff'], 16), 'seccomp': int(lines['Seccomp']), "
        "'new': int(lines['NoNewPrivs']), 'root': os.statvfs('/').f_flag & os.ST_RDONLY}))"
    )
    enforced = manifests.kube.get("v1", "Namespace", NAMESPACE)["metadata"]["labels"]
    assert enforced["pod-security.kubernetes.io/enforce"] == "restricted"
    name = pods(manifests)[0]["metadata"]["name"]
    said = manifests.kubectl("-n", NAMESPACE, "exec", name, "--", "/usr/bin/python3.11", "-c", probe)
    assert json.loads(said) == {"uid": 65532, "caps": 0, "seccomp": 2, "new": 1, "root": 1}


def test_the_death_of_the_leading_pod_is_no_more_than_a_pause(manifests: RealNode, migration: Any) -> None:
    migration.begin("sync", [phase("small", 10, "2s"), phase("half", 50, "20s"), phase("all", 100)])
    migration.until("sync", lambda status: status.get("weight") == 50)
    manifests.kube.request(
        "DELETE",
        manifests.kube.path("v1", "Pod", NAMESPACE, _leader(manifests)),
        {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0},
    )
    status = migration.until("sync", lambda status: status.get("state") == "Completed", timeout=180)
    started = [each["message"] for each in status["history"] if each["reason"] == "PhaseStarted"]
    assert len(started) == 3
    assert status["run"] == 1

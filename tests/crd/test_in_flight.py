"""While traffic is in flight, what it runs on cannot be edited; everything else can."""

from __future__ import annotations

from typing import Any

import pytest

from crd import examples
from testbed import Cluster, Kube, KubeError

API = ("syncrollout.io/v1alpha1", "SyncRollout")
SENTENCE = (
    "spec.old, spec.new, spec.traffic and spec.serviceAccountName cannot change while traffic is in flight; "
    "set spec.emergencyStop to true to move it back first, or wait until the run has ended"
)
pytestmark = pytest.mark.cluster


@pytest.fixture
def kube(installed: Cluster) -> Kube:
    return installed.kube


def change(kube: Kube, namespace: str, body: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    return kube.patch(*API, "example", namespace, body, subresource=subresource)


@pytest.fixture
def in_flight(kube: Kube, namespace: str) -> str:
    """A namespace with a rollout `example` whose traffic is in flight."""
    kube.create(examples.renamed(examples.base(), "example", namespace))
    change(kube, namespace, {"metadata": {"finalizers": ["syncrollout.io/restore-traffic"]}})
    change(kube, namespace, {"status": {"inFlight": True, "state": "Progressing"}}, "status")
    return namespace


FROZEN = {
    "old": {"old": {"workload": {"name": "other"}}},
    "old service": {"old": {"service": "other"}},
    "new": {"new": {"workload": {"kind": "StatefulSet"}}},
    "traffic": {"traffic": {"routes": [{"apiVersion": "v1", "kind": "Route", "name": "other"}]}},
    "shards": {"traffic": {"shards": {"configMap": "shards", "handover": {"method": "Restart"}}}},
    "account": {"serviceAccountName": "another"},
    "way of traffic": {"traffic": {"routes": None, "shards": None, "replicas": {"total": 4}}},
}

FREE = {
    "phases": {
        "phases": [{"name": "half", "weight": 40}, {"name": "more", "weight": 60}, {"name": "all", "weight": 100}]
    },
    "metrics": {"metrics": [{"name": "error-rate", "query": "better"}]},
    "prometheus": {"prometheus": {"address": "http://elsewhere:9090"}},
    "triggers": {"rollback": {"triggers": [{"metric": "error-rate", "above": 1, "severity": "Critical"}]}},
    "revision": {"revision": "2"},
    "how traffic is verified": {"traffic": {"verify": {"query": "share"}}},
    "suspend": {"suspend": True},
    "emergencyStop": {"emergencyStop": True},
}


@pytest.mark.parametrize("what", FROZEN)
def test_the_systems_and_the_traffic_are_frozen(what: str, kube: Kube, in_flight: str) -> None:
    with pytest.raises(KubeError, match=SENTENCE) as refused:
        change(kube, in_flight, {"spec": FROZEN[what]})
    assert refused.value.status == 422


@pytest.mark.parametrize("what", FREE)
def test_all_else_can_be_edited(what: str, kube: Kube, in_flight: str) -> None:
    change(kube, in_flight, {"spec": FREE[what]})


def test_applying_the_same_again_changes_nothing(kube: Kube, in_flight: str, installed: Cluster) -> None:
    before = kube.get(*API, "example", in_flight)
    kube.apply(examples.renamed(examples.base(), "example", in_flight))
    assert kube.get(*API, "example", in_flight)["metadata"]["generation"] == before["metadata"]["generation"]


def test_status_is_written_and_the_finalizer_removed_all_the_same(kube: Kube, in_flight: str) -> None:
    change(kube, in_flight, {"status": {"weight": 50, "state": "RollingBack"}}, "status")
    kube.delete(*API, "example", in_flight)
    deleting = kube.get(*API, "example", in_flight)
    assert "deletionTimestamp" in deleting["metadata"]
    change(kube, in_flight, {"status": {"weight": 0, "state": "RolledBack"}}, "status")
    change(kube, in_flight, {"metadata": {"finalizers": None}})
    assert kube.find(*API, "example", in_flight) is None


def test_once_the_run_has_ended_they_can_be_edited(kube: Kube, in_flight: str) -> None:
    change(kube, in_flight, {"status": {"inFlight": False, "state": "Completed"}}, "status")
    for body in FROZEN.values():
        change(kube, in_flight, {"spec": body})


def test_before_any_status_they_can_be_edited(kube: Kube, namespace: str, installed: Cluster) -> None:
    kube.create(examples.renamed(examples.base(), "example", namespace))
    for body in FROZEN.values():
        change(kube, namespace, {"spec": body})

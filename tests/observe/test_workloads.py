"""Workloads as facts, as they come from the API server and as they are kept in memory."""

from __future__ import annotations

from typing import Any

import pytest

from syncrollout.api.words import EPOCH_ANNOTATION, RESTART_ANNOTATION
from syncrollout.decide.facts import WorkloadFact
from syncrollout.observe import workloads
from syncrollout.runtime.cache import trim

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "sync", "namespace": "shop", "uid": "1", "generation": 1, "annotations": {"big": "x" * 100}},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "sync"}},
        "template": {
            "metadata": {
                "labels": {"app": "sync"},
                "annotations": {EPOCH_ANNOTATION: "7", RESTART_ANNOTATION: "now", "big": "x" * 100},
            },
            "spec": {"containers": [{"name": "main", "image": "sync:1"}]},
        },
    },
    "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2},
}
CRON_JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "sync", "namespace": "shop", "uid": "2"},
    "spec": {"suspend": True, "jobTemplate": {"spec": {"template": DEPLOYMENT["spec"]["template"]}}},
}


@pytest.mark.parametrize("kept", [False, True], ids=["whole", "kept"])
def test_what_counts_is_read_from_the_whole_and_from_what_is_kept(kept: bool) -> None:
    deployment, cron_job = (trim(obj) if kept else obj for obj in (DEPLOYMENT, CRON_JOB))
    assert workloads.read(deployment) == WorkloadFact(desired=3, ready=2, epoch=7, restart="now")
    assert workloads.read(cron_job) == WorkloadFact(desired=0, ready=0, scalable=False, epoch=7, restart="now")


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 0, "replicas": 3, "updatedReplicas": 3},  # its controller has not looked yet
        {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2},
        {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 3},  # one of before is left
        {"observedGeneration": 1, "replicas": 3},
        {},
    ],
)
def test_pods_of_an_earlier_template_are_seen(status: dict[str, Any]) -> None:
    assert not workloads.read({**DEPLOYMENT, "status": status}).updated
    assert not workloads.read(trim({**DEPLOYMENT, "status": status})).updated


def test_of_a_workload_little_is_kept() -> None:
    assert trim(DEPLOYMENT)["spec"] == {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "sync"}},
        "template": {"metadata": {"annotations": {EPOCH_ANNOTATION: "7", RESTART_ANNOTATION: "now"}}},
    }
    plain = {**DEPLOYMENT, "spec": {"replicas": 1, "template": {"metadata": {"annotations": None}, "spec": {}}}}
    assert trim(plain)["spec"] == {"replicas": 1}


@pytest.mark.parametrize("stamp", ["", "seven", "-1", "7.0", "\u0667", None])
def test_what_is_no_epoch_counts_as_none(stamp: str | None) -> None:
    assert workloads.epoch({"metadata": {"annotations": {EPOCH_ANNOTATION: stamp}}}) == 0

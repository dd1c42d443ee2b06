"""Fake nodes and pods behave as the tests need them to."""

from __future__ import annotations

import time

import pytest

from testbed import ControlPlane, Kwok, Obj, eventually
from testbed import kwok as fake

pytestmark = pytest.mark.cluster


def _wait_available(control_plane: ControlPlane, name: str, namespace: str, count: int) -> Obj:
    return control_plane.kube.wait_for(
        "apps/v1",
        "Deployment",
        name,
        namespace,
        lambda obj: obj.get("status", {}).get("availableReplicas", 0) == count,
        what=f"to have {count} available replicas",
    )


def test_deployment_becomes_available(control_plane: ControlPlane, kwok: Kwok, namespace: str) -> None:
    control_plane.kube.create(fake.deployment("web", namespace, replicas=3))
    _wait_available(control_plane, "web", namespace, 3)
    pods = control_plane.kube.list("v1", "Pod", namespace, "app=web")
    assert len({pod["status"]["podIP"] for pod in pods}) == 3


@pytest.mark.parametrize("mode", ["not-ready", "crash"])
def test_running_pods_can_be_broken_and_mended(
    control_plane: ControlPlane, kwok: Kwok, namespace: str, mode: str
) -> None:
    control_plane.kube.create(fake.deployment("web", namespace, replicas=2))
    _wait_available(control_plane, "web", namespace, 2)

    kwok.set_pods(namespace, "app=web", mode)
    _wait_available(control_plane, "web", namespace, 0)
    pod = control_plane.kube.list("v1", "Pod", namespace, "app=web")[0]
    state = pod["status"]["containerStatuses"][0]["state"]
    assert ("waiting" in state) == (mode == "crash")

    kwok.set_pods(namespace, "app=web", None)
    _wait_available(control_plane, "web", namespace, 2)
    assert control_plane.kube.list("v1", "Pod", namespace, "app=web")[0]["status"]["podIP"] == pod["status"]["podIP"]


def test_failed_pods_are_replaced_by_their_controller(control_plane: ControlPlane, kwok: Kwok, namespace: str) -> None:
    control_plane.kube.create(fake.deployment("web", namespace, replicas=2))
    _wait_available(control_plane, "web", namespace, 2)
    kwok.set_pods(namespace, "app=web", "failed")

    def phases() -> list[str]:
        pods = control_plane.kube.list("v1", "Pod", namespace, "app=web")
        return sorted(pod["status"]["phase"] for pod in pods)

    eventually(lambda: phases() == ["Failed", "Failed", "Running", "Running"], what="two new pods beside the failed")


def test_a_template_can_hold_its_pods_unready_or_late(control_plane: ControlPlane, kwok: Kwok, namespace: str) -> None:
    kube = control_plane.kube
    kube.create(fake.deployment("broken", namespace, mode="not-ready"))
    kube.create(fake.deployment("late", namespace, ready_after="1s"))
    began = time.monotonic()
    _wait_available(control_plane, "late", namespace, 1)
    assert time.monotonic() - began >= 0.9
    (pod,) = kube.list("v1", "Pod", namespace, "app=broken")
    assert pod["status"]["phase"] == "Running"
    assert not fake.is_ready(pod)


@pytest.mark.parametrize(("mode", "outcome"), [(None, "succeeded"), ("failed", "failed")])
def test_pods_of_jobs_end(
    control_plane: ControlPlane, kwok: Kwok, namespace: str, mode: str | None, outcome: str
) -> None:
    annotations = {fake.MODE_KEY: mode} if mode else {}
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "work:testbed"}]}
    control_plane.kube.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "work", "namespace": namespace},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"annotations": annotations}, "spec": pod}},
        }
    )
    control_plane.kube.wait_for(
        "batch/v1", "Job", "work", namespace, lambda job: job.get("status", {}).get(outcome) == 1
    )

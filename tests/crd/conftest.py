"""The CRD on the session's real API server, and a way to try objects on it that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crd.examples import CRD_FILE, Obj
from testbed import Cluster
from testbed.waiting import eventually

Try = Callable[[Obj], Obj]
SERVED = "/apis/syncrollout.io/v1alpha1"
_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "syncrollouts.syncrollout.io")


@pytest.fixture(scope="session")
def installed(control_plane: Cluster) -> Cluster:
    """The control plane, once it serves the CRD of `crds/`."""
    control_plane.kube.apply_yaml(CRD_FILE)

    def served() -> bool:
        conditions = control_plane.kube.get(*_CRD).get("status", {}).get("conditions") or []
        established = any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
        return established and bool(control_plane.kube.request("GET", f"{SERVED}/syncrollouts"))

    eventually(served, what="the CRD is served")
    return control_plane


@pytest.fixture
def attempt(installed: Cluster) -> Try:
    """Creates an object without storing it, as strictly as `kubectl apply` does; the object with its defaults."""

    def create(obj: Obj) -> Obj:
        answer: Obj = installed.kube.request(
            "POST",
            f"{SERVED}/namespaces/default/syncrollouts",
            obj,
            query={"dryRun": "All", "fieldValidation": "Strict"},
        )
        return answer

    return create

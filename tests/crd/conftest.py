"""The CRD on the session's real API server, and a way to try objects on it that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crd.examples import CRD_FILE, Obj
from testbed import Cluster
from testbed.served import until_served
from testbed.waiting import eventually

Try = Callable[[Obj], Obj]
SERVED = "/apis/syncrollout.io/v1alpha1"


@pytest.fixture(scope="session")
def installed(control_plane: Cluster) -> Cluster:
    """The control plane, once it serves the CRD of `crds/`."""
    control_plane.kube.apply_yaml(CRD_FILE)

    until_served(control_plane.kube, "syncrollouts.syncrollout.io")
    eventually(lambda: control_plane.kube.request("GET", f"{SERVED}/syncrollouts"), what="the CRD to be served")
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

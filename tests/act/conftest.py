"""An API server that serves the Gateway API and a router of no name, for tests that patch real objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from testbed import Cluster, build
from testbed.waiting import eventually

CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
SPLITTER: dict[str, Any] = {
    "apiVersion": CRD[0],
    "kind": CRD[1],
    "metadata": {"name": "splitters.proxy.example.com"},
    "spec": {
        "group": "proxy.example.com",
        "scope": "Namespaced",
        "names": {"plural": "splitters", "singular": "splitter", "kind": "Splitter"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the CRDs of the Gateway API before the process leaves the network."""
    chosen = any("routers" in getattr(item, "fixturenames", ()) for item in session.items)
    if not chosen or session.config.option.collectonly:
        return
    capture: Any = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        build.ensure("contour")


@pytest.fixture(scope="session")
def routers(control_plane: Cluster) -> Iterator[Cluster]:
    """The control plane with HTTPRoute, GRPCRoute and Splitter."""
    applied = control_plane.kube.apply_yaml(build.folder("contour") / "crds" / "gateway")
    applied.append(control_plane.kube.apply(SPLITTER))
    names = [obj["metadata"]["name"] for obj in applied if obj["kind"] == CRD[1]]

    def served(name: str) -> bool:
        conditions = control_plane.kube.get(*CRD, name).get("status", {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    eventually(lambda: all(served(name) for name in names), what=f"{', '.join(names)} to be served")
    yield control_plane
    if control_plane.lasting:
        control_plane.kube.delete(*CRD, SPLITTER["metadata"]["name"])


@pytest.fixture
async def api(routers: Cluster) -> AsyncIterator[AiohttpKubeApi]:
    """The operator's own client."""
    async with AiohttpKubeApi(Connection.load(str(routers.kubeconfig)), user_agent="routes") as client:
        yield client

"""An API server that serves the Gateway API and a router of no name, for tests that patch real objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from testbed import Cluster, NotHere, TestbedError, build
from testbed.crds import VENDORS
from testbed.served import CRD, serve_gateway_api, until_served

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


MISSING = pytest.StashKey[dict[str, str]]()
"""Why CRDs of a vendor are not to be had."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the CRDs before the process leaves the network."""
    chosen = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if not chosen & {"routers", "vendors"} or session.config.option.collectonly:
        return
    capture: Any = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        build.ensure("contour")
        missing = session.config.stash.setdefault(MISSING, {})
        for vendor in VENDORS if "vendors" in chosen else ():
            try:
                build.ensure(f"crds-{vendor}")
            except TestbedError as error:
                missing[vendor] = str(error)


@pytest.fixture(scope="session")
def routers(control_plane: Cluster) -> Iterator[Cluster]:
    """The control plane with HTTPRoute, GRPCRoute and Splitter."""
    serve_gateway_api(control_plane.kube)
    control_plane.kube.apply(SPLITTER)
    until_served(control_plane.kube, SPLITTER["metadata"]["name"])
    yield control_plane
    if control_plane.lasting:
        control_plane.kube.delete(*CRD, SPLITTER["metadata"]["name"])


@pytest.fixture(scope="session")
def vendors(routers: Cluster, request: pytest.FixtureRequest) -> Callable[[str, str], str | None]:
    """The vendors' own CRDs are served. Gives why a version of one (plural and group) is not; None where it is."""
    if routers.lasting:
        raise NotHere("the CRDs of many vendors are not put on a cluster that lasts, which may have some of its own")
    files = [path for vendor in VENDORS for path in _files(f"crds-{vendor}", request)]
    files += sorted((build.folder("contour") / "crds" / "contour").glob("*.yaml"))
    made: dict[str, set[str]] = {}
    for path in files:
        for crd in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader):
            # what would convert between versions is not here; all versions are tried as they are
            crd["spec"]["conversion"] = {"strategy": "None"}
            for version in crd["spec"]["versions"]:
                version["served"] = True
                version["schema"]["openAPIV3Schema"] = structural(version["schema"]["openAPIV3Schema"])
            crd["metadata"].pop("annotations", None)  # of Istio's, approvals and templates of charts
            routers.kube.apply(crd)
            made[crd["metadata"]["name"]] = {version["name"] for version in crd["spec"]["versions"]}
    until_served(routers.kube, *made)

    def why_not(name: str, version: str) -> str | None:
        if name in made:
            return None if version in made[name] else f"its CRD at hand has no {version}"
        vendor = next((vendor for vendor, known in VENDORS.items() if name in known.names), None)
        return f"its CRD is not to be had: {request.config.stash[MISSING][vendor]}" if vendor is not None else None

    return why_not


def structural(schema: Any) -> Any:
    """Emissary's schemas have alternatives that an API server does not take; its own build loosens them likewise."""
    if isinstance(schema, list):
        return [structural(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "type" not in schema and any("type" in each for each in schema.get("oneOf") or () if isinstance(each, dict)):
        return {"x-kubernetes-preserve-unknown-fields": True}
    return {key: structural(item) for key, item in schema.items()}


def _files(part: str, request: pytest.FixtureRequest) -> list[Path]:
    missing = part.removeprefix("crds-") in request.config.stash[MISSING]
    return [] if missing else sorted(build.folder(part).glob("*.yaml"))


@pytest.fixture
async def api(routers: Cluster) -> AsyncIterator[AiohttpKubeApi]:
    """The operator's own client."""
    async with AiohttpKubeApi(Connection.load(str(routers.kubeconfig)), user_agent="routes") as client:
        yield client

"""Helm, and the CRDs of the Gateway API, for the tests of what is installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import Cluster, TestbedError, build
from testbed.cluster import kubectl_program
from testbed.served import serve_gateway_api, until_served

ROOT = Path(__file__).parents[2]
Obj = dict[str, Any]
_BUILDS = {
    "helm": "helm",
    "gateway_api": "contour",
    "promtool": "promtool",
    "kustomized": "k8s",
    "kustomize": "k8s",
    "monitored": "crds-prometheus-operator",
}
_MISSING = pytest.StashKey[dict[str, str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need before the process leaves the network."""
    if session.config.option.collectonly:
        return
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    parts = sorted({part for name, part in _BUILDS.items() if name in fixtures})
    capture: Any = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        missing = session.config.stash.setdefault(_MISSING, {})
        for part in parts:
            try:
                build.ensure(part)
            except TestbedError as error:
                if build.PARTS[part].needed:
                    raise
                missing[part] = str(error)


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a program; a failure shows what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    if check:
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def objects(text: str) -> list[Obj]:
    """The objects of a YAML stream."""
    return [obj for obj in yaml.safe_load_all(text) if obj]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Helm."""
    program = build.program("helm")

    def call(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(program, *arguments, check=check)

    return call


@pytest.fixture(scope="session")
def missing_parts(request: pytest.FixtureRequest) -> dict[str, str]:
    """Why parts that only few tests need cannot be had."""
    return request.config.stash[_MISSING]


@pytest.fixture(scope="session")
def kustomize() -> Callable[[Path], list[Obj]]:
    """What `kubectl apply -k` of a folder would apply."""
    return lambda folder: objects(run(kubectl_program(), "kustomize", folder).stdout)


@pytest.fixture(scope="session")
def kustomized(kustomize: Callable[[Path], list[Obj]]) -> list[Obj]:
    """What `kubectl apply -k manifests/` would apply."""
    return kustomize(ROOT / "manifests")


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The program."""
    return build.program("promtool")


@pytest.fixture(scope="session")
def served(control_plane: Cluster) -> Cluster:
    """The control plane with crds/ applied as a user does it."""
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    until_served(control_plane.kube, "syncrollouts.syncrollout.io")
    return control_plane


@pytest.fixture(scope="session")
def gateway_api(served: Cluster) -> Cluster:
    """The control plane with our CRD and those of the Gateway API."""
    serve_gateway_api(served.kube)
    return served


def as_json(several: list[Obj]) -> str:
    """Objects as one List, to be given to `kubectl -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": several})


@pytest.fixture(scope="session")
def operator_rights(served: Cluster, kustomized: list[Obj]) -> Iterator[Cluster]:
    """The control plane with the operator's namespace, ServiceAccount and rights (not its Deployment, nor the policy,
    which would hold for all tests of the cluster)."""
    others = ("Deployment", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    rights = [obj for obj in kustomized if obj["kind"] not in others]
    served.kubectl("apply", "-f", "-", input=as_json(rights))
    yield served
    if served.lasting:
        served.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=as_json(rights))

"""A real node, the operator's own image on it, and a migration between two Deployments of real pods."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import image.__main__ as building
import pytest

from image import debian
from realnode.operator_pods import IMAGE, NAMESPACE, overlaid
from testbed import Exporter, NotHere, Obj, Prometheus, TestbedError, TimedOut, build
from testbed.node import ADDRESS, RealNode
from testbed.served import serve_gateway_api, until_served
from testbed.waiting import eventually

ROOT = Path(__file__).parents[2]
_STASH = pytest.StashKey["Path | str"]()
_PAGE = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the image and the node's programs before the process leaves the network."""
    if session.config.option.collectonly:
        return
    if not any("node" in getattr(item, "fixturenames", ()) for item in session.items):
        return
    folder = Path(session.config.rootpath) / ".cache" / "image" / "node"
    capture: Any = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            build.ensure("k8s", "contour", "prometheus", "helm", "node")
            building.build(folder, IMAGE)
        except (TestbedError, debian.NotHere, subprocess.CalledProcessError) as error:
            session.config.stash[_STASH] = f"{error}: {getattr(error, 'stderr', '')}"
            return
    session.config.stash[_STASH] = next(folder.glob("*.tar"))


@pytest.fixture(scope="package")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """A cluster of one real node with the operator's image; skipped, with the reason, where it cannot be had."""
    made = request.config.stash[_STASH]
    if isinstance(made, str):
        pytest.skip(f"no real node: {made}")
    try:
        cluster = RealNode(tmp_path_factory.mktemp("node"), images=[made])
    except NotHere as error:
        pytest.skip(f"no real node: {error}")
    with cluster:
        cluster.kube.apply_yaml(ROOT / "crds")
        serve_gateway_api(cluster.kube)
        until_served(cluster.kube, "syncrollouts.syncrollout.io")
        yield cluster


@pytest.fixture(scope="package")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Exporter]]:
    """A Prometheus that pods can reach, and the exporter that it scrapes."""
    with (
        Exporter() as exporter,
        Prometheus(
            tmp_path_factory.mktemp("prometheus"), scrape_interval="200ms", targets=[exporter.target], host=ADDRESS
        ) as prometheus,
    ):
        yield prometheus, exporter


@pytest.fixture(scope="module")
def manifests(node: RealNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """The operator as `kubectl apply -k manifests/` installs it, with the image named as the Kustomization says."""
    overlay = overlaid(tmp_path_factory.mktemp("overlay"))
    node.kubectl("apply", "-k", str(overlay))
    node.until_ready(NAMESPACE, "syncrollout")
    yield node
    node.kubectl("delete", "-k", str(overlay), "--wait=true", timeout=90)


@pytest.fixture(scope="package")
def helm(node: RealNode) -> Callable[..., str]:
    """Runs Helm on the node's cluster, for the chart and the image of this tree."""

    def call(*arguments: str) -> str:
        command = [str(build.program("helm")), *arguments, "--kubeconfig", str(node.kubeconfig), "-n", NAMESPACE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    return call


class Migration:
    """Two Deployments of real pods, a route between them, and a SyncRollout."""

    def __init__(self, cluster: RealNode, namespace: str, address: str) -> None:
        self._cluster = cluster
        self.kube = cluster.kube
        self.namespace = namespace
        self._address = address
        for side in ("old", "new"):
            self.kube.create(_deployment(side, namespace))
            self.kube.create(_service(side, namespace))
        self.kube.create(_route(namespace))
        for side in ("old", "new"):
            cluster.until_ready(namespace, side)

    def begin(self, name: str, phases: list[Obj]) -> None:
        """Apply a SyncRollout."""
        spec: Obj = {
            **{side: {"workload": {"kind": "Deployment", "name": side}, "service": side} for side in ("old", "new")},
            "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
            "prometheus": {"address": self._address, "interval": "1s"},
            "metrics": [{"name": "errors", "query": 'max(errors{workload="$workload"})'}],
            "phases": phases,
        }
        metadata = {"name": name, "namespace": self.namespace}
        self.kube.create(
            {"apiVersion": "syncrollout.io/v1alpha1", "kind": "SyncRollout", "metadata": metadata, "spec": spec}
        )

    def status(self, name: str) -> Obj:
        """As it stands."""
        found: Obj = self.kube.get("syncrollout.io/v1alpha1", "SyncRollout", name, self.namespace).get("status") or {}
        return found

    def until(self, name: str, true: Callable[[Obj], object], timeout: float = 60.0) -> Obj:
        """Wait until the status is as asked; the status as it was then."""
        seen: Obj = {}

        def probe() -> Obj | None:
            seen.clear()
            seen.update(self.status(name))
            return seen if true(seen) else None

        try:
            return eventually(probe, timeout=timeout, what=f"{name} to get there")
        except TimedOut as error:
            operator = ("-n", NAMESPACE)
            said = self._cluster.kubectl(*operator, "logs", "-l", "app.kubernetes.io/name=syncrollout", "--tail=15")
            pods = self._cluster.kubectl(*operator, "get", "pods")
            raise TimedOut(f"{error}\nits status: {seen}\nthe operator's pods:\n{pods}\n{said}") from error

    def weight(self) -> int:
        """Of new, as it stands."""
        route = self.kube.get("gateway.networking.k8s.io/v1", "HTTPRoute", "web", self.namespace)
        return int(route["spec"]["rules"][0]["backendRefs"][1]["weight"])


@pytest.fixture
def migration(
    node: RealNode, metrics: tuple[Prometheus, Exporter], request: pytest.FixtureRequest
) -> Iterator[Migration]:
    """Both systems run and are healthy."""
    prometheus, exporter = metrics
    exporter.set_many([("errors", {"workload": side}, 0.1) for side in ("old", "new")])
    namespace = "listings-" + str(abs(hash(request.node.name)) % 10**6)
    node.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    yield Migration(node, namespace, prometheus.address)
    node.kube.delete("v1", "Namespace", namespace)


def _deployment(name: str, namespace: str) -> Obj:
    container = {
        "name": "web",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/usr/bin/python3.11", "-c", _PAGE],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
            },
        },
    }


def _service(name: str, namespace: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def _route(namespace: str) -> Obj:
    backends = [{"name": "old", "port": 80, "weight": 100}, {"name": "new", "port": 80, "weight": 0}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"rules": [{"backendRefs": backends}]},
    }

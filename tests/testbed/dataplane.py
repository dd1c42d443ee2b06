"""A proxy that really splits requests as an HTTPRoute says: Contour (control) and Envoy (traffic).

Both run as plain processes beside the control plane and need nothing of a cluster but its API. A change
of weights in an HTTPRoute (or Contour's HTTPProxy) reaches Envoy in 8-25 ms.

Backends: `add_backend` makes a Service without selector that points at any address of
`netns.BACKENDS`. A Service *with* a selector works too: fake pods have addresses in `netns.PODS`, all
of which are this machine inside the namespace, so a server that listens on 0.0.0.0 at the Service's
target port answers for the pods, and a pod that is not ready gets no traffic, as in a real cluster.

Traps: the EndpointSlice's port must have the Service's port *name*. Envoy's access log goes to its
stdout, hence to `envoy.log`. Contour 1.33 can lose a change of an EndpointSlice that comes in while it rebuilds for a
route (the two refresh Envoy's endpoints unlocked; with 222 Services 2 of 300 such changes stayed unknown): the next
change of either brings it. The GatewayClass stays Accepted=Unknown; Gateway and routes get a status.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from testbed import build, load, netns
from testbed.cluster import Cluster
from testbed.errors import TestbedError
from testbed.kube import Kube, Obj, load_yaml
from testbed.ports import can_listen, free_port
from testbed.process import Process
from testbed.served import until_served
from testbed.waiting import eventually

GATEWAY_API = "gateway.networking.k8s.io/v1"
SERVICE_PORT = 80
# a third of what Contour brings, and half the time that the API server takes to digest it
_KINDS = {
    "gatewayclasses",
    "gateways",
    "grpcroutes",
    "httproutes",
    "referencegrants",
    "extensionservices",
    "httpproxies",
    "tlscertificatedelegations",
}
_CONTOUR_ADDS = 8000  # Envoy listens on the Gateway's port plus this
_ENVOY_PORT = 8080


class DataPlane:
    """`with DataPlane(cp, run_dir) as d:`; installs the CRDs, a GatewayClass and a Gateway; ready in about 3 s."""

    gateway = ("projectcontour", "contour")
    """Namespace and name of the Gateway, for the parentRefs of routes."""

    def __init__(self, control_plane: Cluster, run_dir: Path) -> None:
        self._kube: Kube = control_plane.kube
        self.run_dir = run_dir / "data-plane"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.port = _ENVOY_PORT if can_listen("127.0.0.1", _ENVOY_PORT) else free_port()
        self.address = ("127.0.0.1", self.port)
        self._xds_port, self._health_port = free_port(), free_port()
        stats_port = free_port()
        self.stats = f"127.0.0.1:{stats_port}"
        """Where Prometheus finds Envoy's counters of requests, with `stats_labels`."""
        self.stats_labels = {"__metrics_path__": "/stats/prometheus", "__param_filter": "upstream_rq_total"}
        kubeconfig = control_plane.kubeconfig_for(control_plane.user_token("contour"), "contour")
        self._services: dict[str, str] = {}
        self.contour = self._contour(kubeconfig, stats_port)
        self.envoy = self._envoy()

    # -- life

    def start(self) -> Self:
        """Install and start everything; returns when the Gateway is programmed and Envoy is up."""
        if not netns.entered():
            raise TestbedError("the data plane needs a network namespace for its backends: call netns.enter() first")
        install_crds(self._kube)
        self._make_gateway()
        self._write_bootstrap()
        try:
            self.contour.launch()
            self.envoy.launch()
            self.contour.wait_ready(lambda: self._contour_status() == 200)
            self.envoy.wait_ready(lambda: self.envoy_admin("/ready").startswith("LIVE"))
            namespace, name = self.gateway
            self._kube.wait_for(
                GATEWAY_API, "Gateway", name, namespace, _programmed, what="to be programmed", timeout=20
            )
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        self.envoy.stop(grace=2)
        self.contour.stop(grace=3)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- objects

    def add_backend(self, service: str, namespace: str, address: str, port: int) -> None:
        """A Service (port 80) that leads to address:port. Called again, it moves the Service there."""
        self._kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service, "namespace": namespace},
                "spec": {"ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": port}]},
            }
        )
        self._kube.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{service}-testbed",
                    "namespace": namespace,
                    "labels": {"kubernetes.io/service-name": service},
                },
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            }
        )

    def add_route(self, name: str, namespace: str, host: str, weights: Mapping[str, int]) -> Obj:
        """An HTTPRoute that splits requests for `host` among Services by weight."""
        return self._kube.apply(http_route(name, namespace, host, weights))

    # -- traffic

    def split(self, host: str, n: int = 200, path: str = "/") -> Counter[str]:
        """Send n requests and count which backend answered (see load.split)."""
        return load.split(self.address, host, n, path)

    def wait_for_split(self, host: str, backends: set[str], *, n: int = 30, timeout: float = 5.0) -> Counter[str]:
        """Send n requests at a time until exactly these backends answer them."""

        def probe() -> Counter[str] | None:
            seen[:] = [self.split(host, n)]
            return seen[0] if set(seen[0]) == backends else None

        seen: list[Counter[str]] = []
        try:
            return eventually(probe, timeout=timeout, what=f"{host} to be answered by {sorted(backends)}")
        except TestbedError as error:
            raise type(error)(f"{error}; the last {n} requests: {dict(seen[0]) if seen else 'none'}") from error

    def weights_in_envoy(self, host: str) -> dict[str, int]:
        """What Envoy itself holds for the host: "namespace/service" -> weight (a lone backend: 100)."""
        dump = json.loads(self.envoy_admin("/config_dump?resource=dynamic_route_configs"))
        for config in dump.get("configs", []):
            for virtual_host in config.get("route_config", {}).get("virtual_hosts", []):
                if any(domain.partition(":")[0] == host for domain in virtual_host["domains"]):
                    return self._weights(virtual_host["routes"][0]["route"])
        return {}

    def explain(self, host: str) -> str:
        """What Envoy knows of a host, and the end of both logs: to be put behind the sentence of an error."""
        try:
            weights = self.weights_in_envoy(host) or "nothing"
            clusters = self.envoy_admin("/clusters").splitlines()
            healthy = [line for line in clusters if "::health_flags::" in line]
            known = f"Envoy has for {host}: {weights}, and of backends: {', '.join(healthy) or 'none'}"
        except (OSError, ValueError) as error:
            known = f"Envoy does not say what it has for {host}: {error}"
        return f"; {known}{self.contour.tail()}{self.envoy.tail()}"

    def _weights(self, route: dict[str, Any]) -> dict[str, int]:
        if "weighted_clusters" in route:
            clusters = route["weighted_clusters"]["clusters"]
            return {self._service(one["name"]): one.get("weight", 0) for one in clusters}
        return {self._service(route["cluster"]): 100} if "cluster" in route else {}

    def _service(self, cluster: str) -> str:
        """The "namespace/service" behind a cluster; its own name is shortened by Contour when long."""
        if cluster not in self._services:
            dump = json.loads(self.envoy_admin("/config_dump?resource=dynamic_active_clusters"))
            for config in dump.get("configs", []):
                one = config["cluster"]
                source = one.get("eds_cluster_config", {}).get("service_name", one["name"])
                self._services[one["name"]] = "/".join(source.split("/")[:2])
        return self._services.get(cluster, cluster)

    def envoy_admin(self, path: str) -> str:
        """A GET of Envoy's admin interface, such as /stats or /clusters."""
        connection = _UnixConnection(self.run_dir / "admin.sock")
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"Envoy's admin interface, {path}: {error!r}") from error
        finally:
            connection.close()

    # -- how it is put together

    def _contour(self, kubeconfig: Path, stats_port: int) -> Process:
        namespace, name = self.gateway
        config = {"gateway": {"gatewayRef": {"namespace": namespace, "name": name}}}
        (self.run_dir / "contour.yaml").write_text(yaml.safe_dump(config))
        flags = {
            "kubeconfig": kubeconfig,
            "config-path": "contour.yaml",
            "xds-address": "127.0.0.1",
            "xds-port": self._xds_port,
            "http-address": "127.0.0.1",
            "http-port": self._health_port,
            "health-address": "127.0.0.1",
            "health-port": self._health_port,
            "stats-address": "127.0.0.1",
            "stats-port": stats_port,
            "ingress-status-address": "127.0.0.1",
            "kubernetes-client-qps": 500,
            "kubernetes-client-burst": 1000,
        }
        arguments = [f"--{key}={value}" for key, value in flags.items()]
        argv = [str(build.program("contour")), "serve", *arguments, "--insecure", "--disable-leader-election"]
        # a kind that Contour watches but that is not installed would end it
        argv += [f"--disable-feature={kind}" for kind in ("tlsroutes", "tcproutes", "backendtlspolicies")]
        return Process("contour", argv, run_dir=self.run_dir, cwd=self.run_dir)

    def _envoy(self) -> Process:
        argv = [str(build.program("envoy")), "-c", "bootstrap.json"]
        argv += ["--service-cluster", "projectcontour", "--service-node", "envoy"]
        argv += ["--concurrency", "1", "--log-level", "warn"]
        argv += ["--disable-hot-restart"]  # it would take its name in shared memory, one per machine
        return Process("envoy", argv, run_dir=self.run_dir, cwd=self.run_dir)

    def _write_bootstrap(self) -> None:
        # the path of a Unix socket may have 107 characters only: it stays relative to Envoy's folder
        arguments = ["--admin-address=admin.sock", "--xds-address=127.0.0.1", f"--xds-port={self._xds_port}"]
        argv = [str(build.program("contour")), "bootstrap", "bootstrap.json", *arguments]
        done = Process("contour-bootstrap", argv, run_dir=self.run_dir, cwd=self.run_dir).launch()
        if done.wait(10) != 0:
            raise TestbedError(f"contour bootstrap failed: {done.log_text().strip()}")

    def _make_gateway(self) -> None:
        namespace, name = self.gateway
        self._kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self._kube.apply(
            {
                "apiVersion": GATEWAY_API,
                "kind": "GatewayClass",
                "metadata": {"name": name},
                "spec": {"controllerName": "projectcontour.io/gateway-controller"},
            }
        )
        listener = {
            "name": "http",
            "protocol": "HTTP",
            "port": self.port - _CONTOUR_ADDS,
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }
        self._kube.apply(
            {
                "apiVersion": GATEWAY_API,
                "kind": "Gateway",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"gatewayClassName": name, "listeners": [listener]},
            }
        )

    def _contour_status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._health_port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status
        finally:
            connection.close()


def install_crds(kube: Kube) -> None:
    """The kinds of the Gateway API and of Contour that the data plane knows, from Contour's own release.

    Also for tests that want the kinds without a proxy; needs the part "contour" to be built.
    """
    crds = build.folder("contour") / "crds"
    wanted = [
        crd
        for path in sorted(crds.rglob("*.yaml"))
        for crd in load_yaml(path.read_text())
        if crd["metadata"]["name"].partition(".")[0] in _KINDS
    ]
    for crd in wanted:
        kube.apply(crd)
    until_served(kube, *(crd["metadata"]["name"] for crd in wanted))


def http_route(name: str, namespace: str, host: str, weights: Mapping[str, int]) -> Obj:
    """The manifest of an HTTPRoute on the testbed's Gateway."""
    gateway_namespace, gateway_name = DataPlane.gateway
    backends = [{"name": service, "port": SERVICE_PORT, "weight": weight} for service, weight in weights.items()]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": gateway_name, "namespace": gateway_namespace}],
            "hostnames": [host],
            "rules": [{"backendRefs": backends}],
        },
    }


def _programmed(gateway: Obj) -> bool:
    return _has(gateway, "Programmed")


def _has(obj: Obj, condition: str) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, reached through its folder so that long paths work."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        # the same limit on the path's length as for Envoy; /proc/self/fd is a short way to the folder
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)

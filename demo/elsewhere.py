"""The demo on a cluster that was given: pods, controllers and the API server are that cluster's.

Everything else stays here, in a network namespace of this process: the two sync systems, Prometheus, the proxy, the
operator. The cluster's pods (of a pause image) stand for the sync systems: each that runs has a process here, with its
name and uid, and leaves the API server only after that process. The EndpointSlices, which the demo writes, follow both.
"""

from __future__ import annotations

import json
import ssl
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.borrowed import Address, Lender, clean_up
from demo.fleet import HTTP_PORT
from demo.forward import WayOut
from demo.plan import Plan, load_plan
from demo.scene import Scene
from demo.services.faults import Fault
from demo.traffic import Traffic
from demo.watching import Mirror, Server
from demo.world import (
    World,
    apply_operator,
    let_go_by_fleet,
    make_fleet,
    start_clients,
    start_operator,
    step,
    wait_for_systems,
)
from testbed import build, netns
from testbed.cluster import Cluster, kubeconfig_text
from testbed.dataplane import DataPlane
from testbed.errors import TimedOut
from testbed.kube import Kube
from testbed.prometheus import Prometheus
from testbed.waiting import eventually

Obj = dict[str, Any]
ADDRESSES = {"old": "10.200.0.1", "new": "10.200.0.2"}
_LET_GO = 10.0
_CRASHING = ["/this/program/does/not/exist"]


class BorrowedCluster(Cluster):
    """The given cluster, by the way out of the network namespace."""

    def __init__(self, address: Address, token: str, port: int, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.port = port
        self.server = f"https://127.0.0.1:{port}"
        self.admin_token = token
        self.server_name = address.server_name
        self.ca_file = run_dir / "ca.crt"
        self.ca_file.write_text(address.ca, encoding="utf-8")
        self.kubeconfig = self.kubeconfig_for(self.admin_token, "admin")

    def kube_as(self, token: str, user_agent: str = "testbed") -> Kube:
        return _NamedKube(self.server, token, self.ca_file, name=self.server_name, user_agent=user_agent)

    def _write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> None:
        document = json.loads(kubeconfig_text(self.server, token, self.ca_file, namespace))
        document["clusters"][0]["cluster"]["tls-server-name"] = self.server_name
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        path.chmod(0o600)


class _NamedContext(ssl.SSLContext):
    """Holds the certificate against the API server's real name: the way to it begins at 127.0.0.1."""

    name = ""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **{**kwargs, "server_hostname": self.name})


class _NamedKube(Kube):
    def __init__(self, server: str, token: str, ca_file: Path, *, name: str, user_agent: str) -> None:
        super().__init__(server, token, ca_file, user_agent=user_agent)
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=str(ca_file))
        context.name = name
        self._tls = context


@dataclass
class StandIns:
    """Pods of the cluster as the fleet needs them: those that run have the address of their system. It is one, for the
    Deployments are of one pod and of strategy Recreate."""

    kube: Kube
    plan: Plan
    mirror: Mirror
    _serving: dict[str, bool] = field(default_factory=dict)
    _written: dict[str, bool] = field(default_factory=dict)

    def pods(self) -> list[Obj]:
        """The systems' pods; also keeps the EndpointSlices up to date."""
        found = []
        for version, name in self.plan.deployments.items():
            pods = [pod for pod in self.mirror.all() if pod["metadata"].get("labels", {}).get("app") == name]
            running = [pod for pod in pods if _running(pod)]
            serving = any(self._serving.get(pod["metadata"]["name"], False) for pod in running)
            self._write_slice(name, ADDRESSES[version], ready=serving)
            for pod in pods:
                status = {"podIP": ADDRESSES[version]} if pod in running else {}
                found.append({"metadata": pod["metadata"], "status": status})
        return found

    def mark(self, name: str, what: str) -> None:
        self._serving[name] = what == "ready"

    def _write_slice(self, name: str, address: str, *, ready: bool) -> None:
        if self._written.get(name) == ready:
            return
        self._written[name] = ready
        slice_ = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}-demo",
                "namespace": self.plan.namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": HTTP_PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
        }
        self.kube.apply(slice_, manager="demo")


@dataclass
class GivenWorld(World):
    """A world whose pods are real: a crash must happen to them too."""

    def fault_in_pods(self, fault: Fault) -> None:
        if fault is Fault.CRASH:
            name = self.plan.deployments["new"]
            template = {"spec": {"containers": [{"name": "sync", "command": _CRASHING}]}}
            patch = {"spec": {"template": template}}
            self.kube.patch("apps/v1", "Deployment", name, self.plan.namespace, patch, type="strategic")


@contextmanager
def given_world(kubeconfig: Path, run_dir: Path | None) -> Iterator[World]:
    """On the cluster of ``kubeconfig``, and gone from it at the end. Raises TestbedError."""
    with ExitStack() as stack:
        build.ensure("prometheus", "contour", "envoy")
        with step(f"asking the cluster of {kubeconfig} for rights"):
            lender = Lender(kubeconfig)
            way_out = stack.enter_context(WayOut(lender.address.host, lender.address.port))
            token = lender.lend()
        undo = stack.enter_context(ExitStack())
        undo.callback(lender.take_back)
        if run_dir is None:
            run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        run_dir.mkdir(parents=True, exist_ok=True)
        netns.enter()
        control_plane = BorrowedCluster(lender.address, token, way_out.open(), run_dir)
        undo.pop_all()  # from within, the lender cannot be reached any more
        undo.callback(clean_up, control_plane.kube)
        yield from _inside(stack, control_plane, run_dir)


def _inside(stack: ExitStack, control_plane: BorrowedCluster, run_dir: Path) -> Iterator[World]:
    kube = control_plane.kube
    print(f"demo: the cluster is of version {kube.request('GET', '/version')['gitVersion']}", flush=True)
    with step("starting Prometheus, Contour and Envoy"):
        prometheus = stack.enter_context(Prometheus(run_dir, scrape_interval="1s"))
        data_plane = stack.enter_context(DataPlane(control_plane, run_dir))
    plan = load_plan(prometheus.address)
    with step("applying the CRD, the operator's rights, two systems and their route"):
        account = apply_operator(kube)
        for obj in plan.systems:
            kube.apply(_without_selector(let_go_by_fleet(obj)), manager="demo")
        kube.apply(plan.route, manager="demo")
    server = Server(control_plane.server, control_plane.ca_file, control_plane.admin_token, control_plane.server_name)
    mirror = Mirror(server, f"/api/v1/namespaces/{plan.namespace}/pods")
    mirror.start()
    stack.callback(mirror.stop)
    stand_ins = StandIns(kube, plan, mirror)
    fleet, work, desk = make_fleet(
        stack,
        run_dir,
        plan,
        server,
        kube,
        pods=stand_ins.pods,
        all_pods=mirror.all,
        mark=stand_ins.mark,
        scrape=prometheus.set_targets,
    )
    traffic = Traffic(data_plane.address, plan.host)
    with step("waiting for both systems to be ready and measured (their image may have to be pulled)"):
        wait_for_systems(kube, plan, fleet, prometheus.value, patience=180.0)
    with step("starting the clients; waiting until old answers them all"):
        start_clients(stack, data_plane, traffic, fleet)
    with step("backing up the database"):
        desk.database.back_up()
    with step("starting the operator under its own ServiceAccount"):
        operator, port = start_operator(stack, control_plane, run_dir, plan, account)
    stack.callback(_let_go, kube, plan)
    scene = Scene(server, plan, prometheus.value, traffic, work, port)
    stack.callback(scene.stop)
    yield GivenWorld(scene, fleet, operator, kube, plan, desk, run_dir, kubeconfig=None)


def _let_go(kube: Kube, plan: Plan) -> None:
    """While the operator still runs: it takes its finalizer off a rollout that is in flight."""
    which = (plan.rollout["apiVersion"], plan.rollout["kind"], plan.name, plan.namespace)

    def gone() -> bool:
        return kube.find(*which) is None

    kube.delete(*which)
    try:
        eventually(gone, timeout=_LET_GO, what="the operator to let go of the rollout")
    except TimedOut as error:
        print(f"demo: {error}; taking its finalizer off", file=sys.stderr)
        kube.patch(*which, {"metadata": {"finalizers": None}})


def _running(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status", {})
    states = [one.get("state", {}) for one in status.get("containerStatuses", [])]
    alive = status.get("phase") == "Running" and all("running" in state for state in states)
    return alive and "deletionTimestamp" not in pod["metadata"]


def _without_selector(obj: Obj) -> Obj:
    if obj["kind"] == "Service":
        del obj["spec"]["selector"]
    return obj

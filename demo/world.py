"""Everything that the demo runs on, set up step by step and taken down in the reverse order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.assignment import AssignmentWatch
from demo.database import Database
from demo.fleet import Fleet
from demo.live import OperatorPort
from demo.plan import REPOSITORY, Plan, load_plan, read_manifests
from demo.scene import Scene
from demo.services.faults import Fault
from demo.step_pods import StepPods
from demo.story import Unexpected
from demo.traffic import Traffic
from demo.watching import Mirror, Server
from demo.work import Work
from demo.workspace import Workspace
from testbed import DataPlane, Testbed, build
from testbed.cluster import Cluster
from testbed.errors import TestbedError, TimedOut
from testbed.kube import Kube
from testbed.kwok import MODE_KEY
from testbed.mounts import FINALIZER, let_go
from testbed.ports import free_port
from testbed.process import Process
from testbed.waiting import eventually

Obj = dict[str, Any]
_RIGHTS = {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
_READY_WAIT = 60.0
_LATER = {"agreement", "backup-age"}
"""Metrics that have no reading yet: of the shadow, and of the backup that is made before the rollout begins."""


@dataclass
class World:
    """A world in which old answers everything, the operator runs, and the rollout is not applied yet."""

    scene: Scene
    fleet: Fleet
    operator: Process
    kube: Kube
    plan: Plan
    desk: Desk
    run_dir: Path
    kubeconfig: Path | None
    """For a person who wants to look on from another terminal."""

    def begin(self) -> None:
        """Applies the rollout: from here on the operator is at work."""
        self.desk.database.remember()
        self.scene.start()
        self.kube.apply(self.plan.rollout, manager="demo")

    def check(self) -> None:
        """Raises Unexpected where the operator has ended."""
        if not self.operator.running:
            raise Unexpected(f"the operator ended with code {self.operator.returncode}")

    def last_words(self) -> list[str]:
        """The end of the operator's log."""
        return self.operator.log_text().splitlines()[-15:]

    def fault_in_pods(self, fault: Fault) -> None:
        """Nothing to do here: the fleet marks the pod of a process that ended."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the data is looked after: the people who edit the spreadsheet, and the referee of the database."""

    people: Process
    database: Database

    def stop_editing(self) -> None:
        """From here on the sheet stays as it is."""
        self.people.stop()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Says what is being done, and how long it took."""
    print(f"demo: {text} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"demo: {text}: done in {time.monotonic() - began:.1f} s", flush=True)


@contextmanager
def embedded_world(run_dir: Path | None = None) -> Iterator[World]:
    """On the project's own control plane, in a network namespace of this process. Raises TestbedError."""
    build.ensure(
        "k8s", "kwok", "prometheus", "contour", "envoy"
    )  # shows its own progress; the first time takes minutes
    with ExitStack() as stack:
        with step("starting etcd, the API server, fake nodes, Prometheus, Contour and Envoy"):
            bed = stack.enter_context(
                Testbed(run_dir=run_dir, parts=("kwok", "prometheus", "dataplane"), nodes=2, host_access=True)
            )
        control_plane, prometheus = bed.control_plane, bed.prometheus
        kube = control_plane.kube
        plan = load_plan(prometheus.address)
        with step("applying the CRD, the operator's rights, two systems and their route"):
            account = apply_operator(kube)
            for obj in plan.systems:
                kube.apply(_not_ready_at_first(let_go_by_fleet(obj), MODE_KEY), manager="demo")
            kube.apply(plan.route, manager="demo")
        admin = Server(control_plane.server, control_plane.ca_file, control_plane.user_token("testbed"))
        pods = Mirror(admin, f"/api/v1/namespaces/{plan.namespace}/pods")
        pods.start()
        stack.callback(pods.stop)

        def mark(pod: str, what: str) -> None:
            mode = {"ready": None, "starting": "not-ready", "crashed": "crash"}[what]
            annotations = {"metadata": {"annotations": {MODE_KEY: mode}}}
            kube.patch("v1", "Pod", pod, plan.namespace, annotations)

        fleet, work, desk = make_fleet(
            stack,
            bed.run_dir,
            plan,
            admin,
            kube,
            pods=pods.all,
            all_pods=pods.all,
            mark=mark,
            scrape=prometheus.set_targets,
        )
        traffic = Traffic(bed.data_plane.address, plan.host)
        with step("starting the old and the new sync system, and waiting for both to be ready and measured"):
            wait_for_systems(kube, plan, fleet, prometheus.value)
        with step("starting the clients; waiting until old answers them all"):
            start_clients(stack, bed.data_plane, traffic, fleet)
        with step("backing up the database"):
            desk.database.back_up()
        with step("starting the operator under its own ServiceAccount"):
            operator, port = start_operator(stack, control_plane, bed.run_dir, plan, account)
        scene = Scene(admin, plan, prometheus.value, traffic, work, port)
        stack.callback(scene.stop)
        yield World(scene, fleet, operator, kube, plan, desk, bed.run_dir, bed.host_kubeconfig)


def apply_operator(kube: Kube) -> tuple[str, str]:
    """The CRD and the operator's rights, not its Deployment; (namespace, name) of its ServiceAccount."""
    for path in sorted((REPOSITORY / "crds").glob("*.yaml")):
        kube.apply_yaml(path, manager="demo")
    objects = [
        obj
        for path in sorted((REPOSITORY / "manifests").glob("*.yaml"))
        for obj in read_manifests(path)
        if obj["kind"] in _RIGHTS
    ]
    objects.sort(key=lambda obj: obj["kind"] != "Namespace")
    for obj in objects:
        kube.apply(obj, manager="demo")
    for obj in objects:
        if obj["kind"] == "ServiceAccount":
            return obj["metadata"]["namespace"], obj["metadata"]["name"]
    raise TestbedError("manifests/ holds no ServiceAccount for the operator: is the checkout complete?")


def make_fleet(
    stack: ExitStack,
    run_dir: Path,
    plan: Plan,
    server: Server,
    kube: Kube,
    *,
    pods: Callable[[], list[Obj]],
    all_pods: Callable[[], list[Obj]],
    mark: Callable[[str, str], None],
    scrape: Callable[[list[str]], None],
) -> tuple[Fleet, Work, Desk]:
    """The spreadsheet with the people who edit it, the fleet that will run the systems, and the count of their work.

    ``pods``: those of the systems, as the fleet needs them; ``all_pods``: as the API server has them.
    """
    workspace = Workspace(run_dir)
    argv = [sys.executable, "-m", "demo.services.spreadsheet", "--file", str(workspace.sheet)]
    sheet = Process("spreadsheet", argv, run_dir=run_dir, cwd=REPOSITORY)
    stack.callback(sheet.stop)
    sheet.start(workspace.sheet.exists)
    versions = {name: version for version, name in plan.deployments.items()}
    assignment = AssignmentWatch(server, plan.namespace, plan.config_map)
    stack.callback(assignment.stop)
    assignment.start()

    def release(pod: str) -> None:
        let_go(kube, plan.namespace, pod)

    def report(pod: str, status: Obj) -> None:
        kube.patch("v1", "Pod", pod, plan.namespace, {"status": status}, subresource="status")

    steps = StepPods(all_pods, report, workspace.folder, run_dir)
    fleet = Fleet(workspace, run_dir, versions, pods, mark, scrape, assignment.text, release, steps)
    stack.callback(fleet.stop)
    work = Work(workspace.journal, workspace.sheet, assignment.log, fleet.ended)
    return fleet, work, Desk(sheet, Database(workspace, plan.deployments["old"], plan.deployments["new"]))


def wait_for_systems(
    kube: Kube, plan: Plan, fleet: Fleet, ask: Callable[[str], float | None], *, patience: float = _READY_WAIT
) -> None:
    """Until both Deployments are available and every metric of the plan has a reading."""

    def available() -> bool:
        fleet.tick()
        found = (kube.get("apps/v1", "Deployment", name, plan.namespace) for name in plan.deployments.values())
        return all(one.get("status", {}).get("availableReplicas", 0) > 0 for one in found)

    def measured() -> bool:
        fleet.tick()
        for metric in plan.spec.metrics:
            if metric.name not in _LATER and ask(plan.query(metric, "new")) is None:
                raise TestbedError(f"no reading of {metric.name} yet: {plan.query(metric, 'new')}")
        return True

    eventually(available, timeout=patience, what="both sync systems to be available")
    eventually(measured, timeout=_READY_WAIT, what="Prometheus to have a reading of every metric", interval=0.3)


def start_clients(stack: ExitStack, data_plane: DataPlane, traffic: Traffic, fleet: Fleet) -> None:
    """Until the proxy has learnt of the route, then the load for good."""

    def answered() -> bool:
        fleet.tick()
        answer = traffic.probe()
        if answer.failed or answer.version != "old":
            raise TestbedError(f"status {answer.status} from {answer.version or 'neither system'}")
        return True

    try:
        eventually(answered, timeout=_READY_WAIT, what="the proxy to answer from the old system")
    except TimedOut as error:
        raise TimedOut(f"{error}{data_plane.explain(traffic.host)}") from error
    stack.callback(traffic.stop)
    traffic.start()


def start_operator(
    stack: ExitStack, control_plane: Cluster, run_dir: Path, plan: Plan, account: tuple[str, str]
) -> tuple[Process, OperatorPort]:
    """`python -m syncrollout run` with a kubeconfig that holds nothing but its ServiceAccount's token; ready."""
    port = OperatorPort(free_port())
    token = control_plane.token_for(*account)
    kubeconfig = control_plane.kubeconfig_for(token, "operator", namespace=account[0])
    argv = [sys.executable, "-m", "syncrollout", "run", "--namespace", plan.namespace]
    argv += ["--lease-namespace", account[0], "--listen-address", "127.0.0.1", "--listen-port", str(port.port)]
    argv += ["--allow-destination", "127.0.0.0/8,*"]  # the world of the demo is on loopback
    operator = Process("operator", argv, run_dir=run_dir, env={"KUBECONFIG": str(kubeconfig)}, cwd=REPOSITORY)
    stack.callback(operator.stop)
    operator.start(port.ready)
    return operator, port


def let_go_by_fleet(obj: Obj) -> Obj:
    """Its pods stay with the API server until the fleet has ended their processes."""
    if obj["kind"] == "Deployment":
        obj["spec"]["template"]["metadata"]["finalizers"] = [FINALIZER]
    return obj


def _not_ready_at_first(obj: Obj, mode_key: str) -> Obj:
    if obj["kind"] == "Deployment":
        obj["spec"]["template"]["metadata"].setdefault("annotations", {})[mode_key] = "not-ready"
    return obj

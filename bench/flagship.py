"""`manifests/examples/listing-sync/` carried out on a real node: the operator in its own pods, both systems and every
Job in real pods, Prometheus and people outside.

What stands in the manifests is kept, but for time and place: weeks are seconds, images are the one that is there, the
calendar is always open, and what the two demo systems do not measure is made up. Requests do not flow, for no proxy is
there.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml
from demo.database import Database
from demo.services.spreadsheet import new_sheet, write_sheet
from demo.workspace import Workspace

from bench import node
from bench.report import Report, Row
from bench.world import ROOT
from realnode.operator_pods import IMAGE, NAMESPACE, overlaid
from testbed import Exporter, Obj, Prometheus, TestbedError, build
from testbed.cluster import kubectl_program
from testbed.node import ADDRESS, RealNode
from testbed.served import until_served
from testbed.waiting import eventually

EXAMPLE: Final = ROOT / "manifests" / "examples" / "listing-sync"
LISTINGS: Final = "listings"
NAME: Final = "listing-sync"
ROLLOUT: Final = ("syncrollout.io/v1alpha1", "SyncRollout", NAME, LISTINGS)
LEAD, LEADS = "anna", "listings-leads"
ACCOUNT: Final = f"system:serviceaccount:{LISTINGS}:mover"
_OWN: Final = {"syncrollouts", "events", "localsubjectaccessreviews"}
"""What the operator writes as itself."""
ITEMS: Final = 200
PATIENCE: Final = 600.0
_DURATIONS: Final = {"parallel-run": "8s", "small-traffic": "8s", "medium-traffic": "8s", "full-traffic": "10s"}
_WINDOWS: Final = {"5m": "5s", "1h": "8s", "7d": "10s"}
_JOBS: Final = {
    "dump": ["backup"],
    "migrate": ["migrate"],
    "sync": ["test-sync"],
    "check": ["check"],
    "compare": ["check"],
    "restore": ["restore"],
}
"""What the container of this name does, in the demo's words."""
_MIGRATION: Final = """
import sqlite3
database = sqlite3.connect("/data/listings.sqlite", timeout=30)
database.execute("PRAGMA user_version = 2")
print("migrated to version", *database.execute("PRAGMA user_version").fetchone())
"""


def carried_out(report: Report) -> None:
    """One run to its end; raises where it does not get there."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        run_dir.chmod(0o755)
        people = {LEAD: [LEADS]}
        with node.real_node(run_dir, people) as cluster, _hook() as (address, told):
            made = Flagship(cluster, run_dir, address)
            try:
                with made.measured():
                    made.install()
                    report.section(*made.run(told))
            except TestbedError:
                made.tell()
                raise


class Flagship:
    """The example on a node; `hook` is where messages go."""

    def __init__(self, cluster: RealNode, run_dir: Path, hook: str) -> None:
        self.cluster, self.kube = cluster, cluster.kube
        self.run_dir, self.hook = run_dir, hook
        self.data = Workspace(run_dir / "data")
        self.code = run_dir / "code"
        self.prometheus: Prometheus
        self.database = Database(self.data, "listing-sync-v1", "listing-sync-v2")

    def tell(self) -> None:
        """What whoever looks for the fault wants to see."""
        for namespace in (LISTINGS, NAMESPACE):
            print(self.cluster.kubectl("-n", namespace, "get", "pods,events", check=False), flush=True)
            for pod in self.kube.list("v1", "Pod", namespace):
                name = pod["metadata"]["name"]
                print(f"--- {name}\n{self.cluster.kubectl('-n', namespace, 'logs', name, '--tail=15', check=False)}")

    # -- what is there before

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Prometheus scrapes the systems' pods, and what stands in for the rest of a cluster."""
        with (
            Exporter() as others,
            Exporter() as functions,
            Prometheus(self.run_dir, scrape_interval="500ms", targets=[others.target], host=ADDRESS) as self.prometheus,
        ):
            self.prometheus.set_targets([functions.target], {"job": "listing-functions"}, group="functions")
            functions.set("probe_success", 1, function="search")
            series: list[tuple[str, Mapping[str, str], float]] = [
                ("pg_stat_activity_count", {"datname": LISTINGS}, 20),
                ("pg_settings_max_connections", {}, 100),
                ("listing_backup_last_success_timestamp_seconds", {}, time.time()),
            ]
            for workload in ("listing-sync-v1", "listing-sync-v2"):
                of = {"workload": workload}
                series += [("api_quota_used_ratio", of, 0.3), ("sync_listings_mismatched", of, 0)]
                series += [("resource_use_ratio", {**of, "resource": each}, 0.2) for each in ("network", "disk")]
            others.set_many(series)
            stop = threading.Event()
            watching = threading.Thread(target=self._scrape, args=(others, stop))
            watching.start()
            try:
                yield
            finally:
                stop.set()
                watching.join()

    def _scrape(self, others: Exporter, stop: threading.Event) -> None:
        """What service discovery and kube-state-metrics would do."""
        while not stop.wait(0.5):
            with suppress(TestbedError, OSError):
                for system in ("listing-sync-v1", "listing-sync-v2"):
                    pods = self.kube.list("v1", "Pod", LISTINGS, selector=f"app={system}")
                    found = [each["status"]["podIP"] for each in pods if each.get("status", {}).get("podIP")]
                    labels = {"namespace": LISTINGS, "service": system}
                    self.prometheus.set_targets([f"{ip}:9101" for ip in found], labels, group=system)
                    deployment = self.kube.find("apps/v1", "Deployment", system, LISTINGS) or {}
                    replicas = deployment.get("status", {}).get("replicas", 0)
                    labels = {"namespace": LISTINGS, "deployment": system}
                    others.set_many([("kube_deployment_status_replicas", labels, replicas)])

    def install(self) -> None:
        """Both systems, then the operator, which finds Services by name though the node has no DNS."""
        for path in sorted(build.folder("crds-prometheus-operator").glob("*.yaml")):
            self.cluster.kubectl("apply", "--server-side", "-f", str(path))
            until_served(self.kube, path.stem)
        for name in ("demo", "tests/testbed"):
            shutil.copytree(ROOT / name, self.code / name, ignore=shutil.ignore_patterns("gomod", "__pycache__"))
        shutil.copytree(node.sqlite(), self.code / "lib", symlinks=True)
        self.data.folder.mkdir()
        self.data.folder.chmod(0o777)
        write_sheet(self.data.sheet, new_sheet(ITEMS, malformed=0).rows)
        systems = [self._placed(obj) for obj in _objects("00-systems.yaml")]
        account = _objects("05-account.yaml")
        for obj in (systems[0], *self._secrets(), *account, *systems[1:], *_objects("10-route.yaml")):
            self.kube.apply(obj)
        self._grant()
        for system in ("listing-sync-v1", "listing-sync-v2"):
            self.cluster.until_ready(LISTINGS, system)
        service = self.kube.get("v1", "Service", "listing-sync-v1", LISTINGS)["spec"]["clusterIP"]
        newer = self.kube.get("v1", "Service", "listing-sync-v2", LISTINGS)["spec"]["clusterIP"]
        hosts = [
            {"ip": ip, "hostnames": [f"{name}.{LISTINGS}.svc"]}
            for ip, name in ((service, "listing-sync-v1"), (newer, "listing-sync-v2"))
        ]
        overlay = self.run_dir / "overlay"
        overlay.mkdir()
        aliases = {"op": "add", "path": "/spec/template/spec/hostAliases", "value": hosts}
        self.cluster.kubectl("apply", "-k", str(overlaid(overlay, [aliases])))
        self.cluster.until_ready(NAMESPACE, "syncrollout")

    def _placed(self, obj: Obj) -> Obj:
        """With the image that is there, and room on a small node."""
        made = copy.deepcopy(obj)
        template = made.get("spec", {}).get("template") if made["kind"] == "Deployment" else None
        if made["kind"] == "CronJob":
            self._job(made["spec"]["jobTemplate"]["spec"]["template"])
        if template is None:
            return made
        made["spec"]["replicas"] = 1  # the items of one side are not divided among its pods here
        side = "old" if made["metadata"]["name"].endswith("1") else "new"
        [container] = template["spec"]["containers"]
        container["resources"] = {"requests": {"cpu": "50m", "memory": "64Mi"}}
        container["readinessProbe"]["periodSeconds"] = 1
        container["command"] = [
            *("/usr/bin/python3.11", "-m", "demo.services.sync", "--version", side, "--every", "0.5"),
            *("--listen", "0.0.0.0:8080", "--metrics", "0.0.0.0:9101", "--cpu-limit", "4"),
            *("--source", "/data/listings.csv", "--store", "/data/listings.sqlite", "--backup", "/data/backup.sqlite"),
        ]
        self._mounted(template, container)
        return made

    def _job(self, template: Obj) -> None:
        for container in template["spec"]["containers"]:
            work = _JOBS[container["name"]]
            container.pop("args", None)
            container["command"] = ["/usr/bin/python3.11", "-m", "demo.jobs", *work]
            if work == ["migrate"]:
                container["command"] = ["/usr/bin/python3.11", "-c", _MIGRATION]
            window = {"OLD": "listing-sync-v1", "NEW": "listing-sync-v2"}
            window |= {"STARTED": "2099-01-01T00:00:00Z", "SWITCHED": "2100-01-01T00:00:00Z"}
            if work == ["check"]:  # outside of a rollback nobody says what may be undone: nothing may
                container["env"] = [{"name": f"ROLLOUT_{name}", "value": value} for name, value in window.items()]
            self._mounted(template, container)

    def _mounted(self, template: Obj, container: Obj) -> None:
        container |= {"image": IMAGE, "imagePullPolicy": "Never"}
        paths = {"PYTHONPATH": "/code:/code/tests", "LD_LIBRARY_PATH": "/code/lib"}
        container.setdefault("env", []).extend({"name": name, "value": value} for name, value in paths.items())
        for name, folder in (("code", self.code), ("data", self.data.folder)):
            mount = {"name": name, "mountPath": f"/{name}", "readOnly": name == "code"}
            container.setdefault("volumeMounts", []).append(mount)
            template["spec"].setdefault("volumes", []).append({"name": name, "hostPath": {"path": str(folder)}})

    def _secrets(self) -> list[Obj]:
        """Those that the example says are yours."""
        key, certificate = self.run_dir / "tls.key", self.run_dir / "tls.crt"
        asked = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=listings.example.com"]
        command = ["openssl", "req", *asked, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        rollout = _objects("20-syncrollout.yaml")[0]
        channels = [each for one in rollout["spec"]["notifications"]["audiences"] for each in one["channels"]]
        names = {each["urlFrom"]["key"] for each in channels if "urlFrom" in each}
        tls = {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}
        return [
            _secret("message-urls", {name: f"json://{self.hook}/{name}" for name in sorted(names)}),
            _secret("listing-sync-database", {"url": "sqlite:///data/listings.sqlite"}),
            {**_secret("listing-sync-tls", tls), "type": "kubernetes.io/tls"},
        ]

    def _grant(self) -> None:
        """What a team's lead may do in her namespace."""
        for role in ("view", "syncrollout-editor"):
            self.kube.create(
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": f"leads-{role}", "namespace": LISTINGS},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": LEADS}],
                }
            )

    # -- the migration

    def rollout(self) -> Obj:
        """The example's, weeks as seconds."""
        [made] = _objects("20-syncrollout.yaml")
        made = copy.deepcopy(made)
        spec = made["spec"]
        spec["prometheus"] |= {"address": self.prometheus.address, "interval": "1s"}
        spec["schedule"]["windows"] = [
            {"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "from": "00:00", "to": "24:00"}
        ]
        del spec["schedule"]["freezes"]
        for metric in spec["metrics"]:
            if "window" in metric:
                metric["window"] = _WINDOWS[metric["window"]]
            if "query" in metric:
                metric["query"] = metric["query"].replace("offset 1h", "offset 5s")
        for phase in spec["phases"]:
            if "duration" in phase:
                phase["duration"] = _DURATIONS[phase["name"]]
        for check in spec["preflight"]["checks"]:
            if "capacity" in check:
                check["capacity"] = {"nodes": 1, "cpu": "1", "memory": "1G", "disk": "1G"}
        for trigger in _each_with(spec, "for"):
            trigger["for"] = "2s"
        for job in _each_with(spec, "template"):
            self._job(job["template"])
        return made

    def run(self, told: list[str]) -> tuple[str, str, list[Row]]:
        """To its end; the section of the report."""
        self._look_at_data()
        began = time.monotonic()
        self.kube.create(self.rollout())
        self.cluster.kubectl("label", "namespace", LISTINGS, "pod-security.kubernetes.io/warn=restricted")
        for check in self.rollout()["spec"]["preflight"]["checks"]:
            if "attestation" in check:
                self._plugin("attest", NAME, check["name"], "-m", "seen")
        confirmed = time.monotonic()
        reached: dict[str, float] = {}
        status = self._until_completed(reached)
        done = time.monotonic()
        self._check(status)
        refused = self.cluster.audit.since(0)
        ours = [event for event in refused if event.user.endswith(":syncrollout")]
        denied = {f"{event.verb} {event.resource}" for event in ours if event.forbidden}
        if denied:
            raise TestbedError(f"the operator was refused: {', '.join(sorted(denied))}")
        writes = [each for each in ours if each.namespace == LISTINGS and each.verb in ("create", "patch")]
        effects = [each for each in writes if each.resource not in _OWN]
        others = {f"{each.verb} {each.resource}" for each in effects if each.impersonated != ACCOUNT}
        if others or not effects:
            raise TestbedError(f"not done as {ACCOUNT}: {', '.join(sorted(others)) or 'anything at all'}")
        rows = [
            Row("applied and confirmed, line by line, to Completed", f"{done - confirmed:.0f} s", "-"),
            Row("confirming the checklist by the plugin", f"{confirmed - began:.0f} s", "-"),
            *(Row(f"phase {name}", f"entered after {at - confirmed:.0f} s", "-") for name, at in reached.items()),
            Row("messages that arrived", f"{len(told)}, each once" if len(set(told)) == len(told) else f"{told}", "-"),
            Row("requests of the operator that its rights did not cover", f"{len(denied)}", "0"),
            Row("effects, all as the account that it names", f"{len(effects)}", "-"),
            Row("listings that are not as the sheet has them", "0", "0"),
        ]
        text = (
            "`python -m bench flagship`: manifests/examples/listing-sync on a real node, weeks as seconds; operator, "
            "both systems and Jobs are pods; four approvals, a nightly check, a handover of slots for each step. A "
            "kubelet brings a changed ConfigMap to a pod within seconds here. "
            f"Load of the machine: {os.getloadavg()[0]:.0f}."
        )
        return "The flagship on a real node", text, rows

    def _until_completed(self, reached: dict[str, float]) -> Obj:
        """Approve what asks for it, and have the nightly check run when its phase comes."""
        until = time.monotonic() + PATIENCE
        approved: set[str] = set()
        checked: set[str] = set()
        while time.monotonic() < until:
            status: Obj = self.kube.get(*ROLLOUT).get("status") or {}
            state, phase = status.get("state"), (status.get("phase") or {}).get("name")
            if state == "Completed":
                return status
            if state in {"RollingBack", "RolledBack"}:
                raise TestbedError(f"it went back: {status.get('message')}")
            if phase and phase not in reached:
                reached[phase] = time.monotonic()
                print(f"{phase}: {status.get('message')}", flush=True)
            nightly = f"nightly-{phase}"
            if (status.get("phase") or {}).get("since") and phase in {"parallel-run", "full-traffic"} - checked:
                checked.add(phase)
                self.cluster.kubectl("-n", LISTINGS, "create", "job", "--from=cronjob/listing-consistency", nightly)
            if phase and state == "AwaitingApproval" and phase not in approved:
                approved.add(phase)
                self._plugin("approve", NAME, phase, "-m", "all is well")
            time.sleep(0.2)
        raise TestbedError(f"it has not completed within {PATIENCE:g} s: {self.kube.get(*ROLLOUT).get('status')}")

    def _plugin(self, *arguments: str) -> None:
        """The plugin, as the lead."""
        config = self.cluster.kubeconfig_for(self.cluster.user_token(LEAD), LEAD)
        path = f"{Path(kubectl_program()).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [Path(sys.executable).with_name("kubectl-syncrollout"), *arguments, "-n", LISTINGS, "--yes"],
            env={**os.environ, "KUBECONFIG": str(config), "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise TestbedError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")

    def _look_at_data(self) -> None:
        """Old, which is ready, has synced everything once."""
        self.database.remember()
        self._compare()

    def _compare(self) -> None:
        differences = self.database.compare(undone=False).differences
        if differences:
            raise TestbedError(f"the data is wrong: {differences[:3]}")

    def _check(self, status: Obj) -> None:
        """New has everything, old is gone, and the data is as it has to be."""
        route = self.kube.get("gateway.networking.k8s.io/v1", "HTTPRoute", NAME, LISTINGS)
        weights = {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}
        if weights != {"listing-sync-v1": 0, "listing-sync-v2": 100} or status["weight"] != 100:
            raise TestbedError(f"the weights are {weights}")
        old = ("v1", "Pod", LISTINGS)
        eventually(lambda: not self.kube.list(*old, selector="app=listing-sync-v1"), timeout=60, what="old to be gone")
        restarts = [
            each["restartCount"]
            for namespace in (NAMESPACE, LISTINGS)
            for pod in self.kube.list("v1", "Pod", namespace)
            for each in pod["status"].get("containerStatuses", ())
        ]
        if any(restarts):
            raise TestbedError(f"containers have restarted: {restarts}")
        self._compare()


def _objects(name: str) -> list[Obj]:
    return [obj for obj in yaml.safe_load_all((EXAMPLE / name).read_text()) if obj]


def _secret(name: str, texts: dict[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": LISTINGS},
        "stringData": texts,
    }


def _each_with(value: Any, key: str) -> Iterator[Obj]:
    """Mappings at any depth that have the key."""
    if isinstance(value, dict):
        if key in value:
            yield value
        for part in list(value.values()):
            yield from _each_with(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _each_with(part, key)


@contextmanager
def _hook() -> Iterator[tuple[str, list[str]]]:
    """Where messages arrive: its address, and what came, as channel and body."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told.append(f"{self.path} {body}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((ADDRESS, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{ADDRESS}:{server.server_port}", told
    finally:
        server.shutdown()

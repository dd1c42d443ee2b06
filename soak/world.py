"""All parts of the run under one roof: control plane, fake nodes, Prometheus, Alertmanager, a receiver of webhooks, the
sync workers as processes, and two replicas of the operator under the rights of `manifests/`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from demo.watching import Mirror, Server

from e2e.operators import install
from e2e.plan import API_VERSION, GATEWAY_API, KIND
from e2e.programs import MODULES, ROOT
from fakes.post_office import Hook, webhook
from soak import flagship, small
from soak.compress import Compression
from soak.patient import PatientKube
from soak.replicas import Replica
from soak.zone import Town
from testbed import Alertmanager, Exporter, Process, Testbed, build
from testbed.journal import NEVER, Ledger
from testbed.monitoring import serve_prometheus_rules
from testbed.ports import free_port
from testbed.served import serve_gateway_api, until_served
from testbed.waiting import eventually

Obj = dict[str, Any]
NODES = 4
KEYS = 60
"""Of work items that the flagship's workers handle."""
PEOPLE_AGENT = "testbed"
Told = Callable[[str, Obj], None]
"""What happened (ADDED, MODIFIED, DELETED) and the object."""


class World:
    """Made by `world()`."""

    def __init__(self, testbed: Testbed, stack: ExitStack, minutes: int, rollouts: int) -> None:
        self.testbed = testbed
        self.cluster = testbed.control_plane
        own = self.cluster
        self.kube = PatientKube(own.server, own.user_token("testbed"), own.ca_file)
        self.run_dir = testbed.run_dir
        self.compression = Compression(minutes)
        self.rollouts = rollouts
        self.exporter = stack.enter_context(Exporter())
        self._sides = {name: stack.enter_context(Exporter()) for name in (flagship.OLD, flagship.NEW, "functions")}
        self.hook: Hook = stack.enter_context(webhook())
        token = self.run_dir / "token"
        token.write_text("nobody listens there")
        self.alertmanager = stack.enter_context(
            Alertmanager(self.run_dir, url=f"http://127.0.0.1:{free_port()}/", token_file=token)
        )
        self.town = Town(int(time.time()) + 1, minutes)
        self._stack = stack
        self.prepared()
        self.zones = self.run_dir / "zones"
        self.town = Town(int(time.time()) + 1, minutes)
        self.town.write(self.zones)
        self.keep_jobs = max(60, self.compression.seconds("7d"))
        """Seconds for which the operator keeps Jobs that have ended."""
        self.replicas = [
            Replica(name, self.cluster, self.run_dir, self.zones, (f"--keep-jobs={self.keep_jobs}s",))
            for name in ("replica-a", "replica-b")
        ]
        for replica in self.replicas:
            stack.callback(replica.process.kill)

    # ---- what stands there -------------------------------------------------------------------------------------

    def prepared(self) -> None:
        """Everything but the operator and the rollouts."""
        serve_gateway_api(self.kube)
        serve_prometheus_rules(self.kube)
        install(self.cluster)
        until_served(self.kube, "syncrollouts.syncrollout.io")
        self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": small.NAMESPACE}})
        made = flagship.objects()
        self.kube.create(made.pop(0))
        for name in (small.NAMESPACE, flagship.NAMESPACE):
            self._until_served(name)
        urls = dict.fromkeys((*flagship.channels(), "chat"), self.hook.url)
        for name in (small.NAMESPACE, flagship.NAMESPACE):
            self.kube.create(flagship.secret(small.SECRET, name, **urls))
        self._set_metrics()
        self._workers()
        for obj in made:
            self.kube.create(obj)
        for number in range(self.rollouts):
            for obj in small.systems(number):
                self.kube.create(obj)
        eventually(self._all_ready, timeout=120, interval=0.5, what="all Deployments to be ready")

    def _until_served(self, namespace: str) -> None:
        eventually(
            lambda: self.kube.find("v1", "ServiceAccount", "default", namespace), what=f"{namespace} to be served"
        )

    def _all_ready(self) -> bool:
        listed = [*self.kube.list("apps/v1", "Deployment", small.NAMESPACE)]
        listed += self.kube.list("apps/v1", "Deployment", flagship.NAMESPACE)
        return all((each.get("status") or {}).get("readyReplicas") == each["spec"]["replicas"] for each in listed)

    def _set_metrics(self) -> None:
        """As all systems are while they are well."""
        for number in range(self.rollouts):
            self.heal(small.name_of(number))
        for workload, slow in ((flagship.OLD, 130.0), (flagship.NEW, 120.0)):
            labels = {"workload": workload}
            self.exporter.set_rate("sync_items_total", 50, **labels)
            self.exporter.set_rate("sync_items_failed_total", 0.02, **labels)
            self.exporter.set_rate("sync_runs_total", 1, **labels)
            values = {"sync_duration_seconds": slow, "api_quota_used_ratio": 0.4, "sync_agreement_percent": 99.8}
            values |= {"sync_listings_lost": 0, "sync_listings_mismatched": 0, "listings_synced": 1000}
            self.exporter.set_many([(name, labels, value) for name, value in values.items()])
            for resource in ("cpu", "memory", "network", "disk"):
                self.exporter.set("resource_use_ratio", 0.5, resource=resource, **labels)
        self.exporter.set("pg_stat_activity_count", 20, datname="listings")
        self.exporter.set("pg_settings_max_connections", 100)
        self.exporter.set("listing_backup_last_success_timestamp_seconds", time.time())
        self._sides["functions"].set("probe_success", 1, function="search")
        prometheus = self.testbed.prometheus
        prometheus.set_targets([self.exporter.target])
        prometheus.set_targets([self._sides["functions"].target], {"job": "listing-functions"}, group="functions")
        for side in (flagship.OLD, flagship.NEW):
            labels = {"namespace": flagship.NAMESPACE, "service": side}
            prometheus.set_targets([self._sides[side].target], labels, group=side)

    def heal(self, name: str) -> None:
        """Both systems of a small rollout are well."""
        for side in ("old", "new"):
            self.break_(f"{side}-{name}", 0.2)

    def break_(self, workload: str, errors: float) -> None:
        """A system fails so many percent of its items."""
        labels = {"workload": workload}
        self.exporter.set_many([("soak_errors", labels, errors), ("soak_duration", labels, 1.0)])

    def _workers(self) -> None:
        folder = self.run_dir / "workers"
        folder.mkdir()
        self._targets = folder / "targets"
        worker = Path(__file__).parent / "worker.py"
        journal = folder / "journal"

        def gone(pod: str, begin: float) -> float:
            path = folder / pod / "gone"
            at = float(path.read_text()) if path.exists() else NEVER
            return at if at >= begin else NEVER

        self.ledger = Ledger(journal, gone)
        cluster = self.cluster
        where: list[str | Path] = [cluster.server, cluster.user_token("testbed"), cluster.ca_file, flagship.NAMESPACE]
        program: list[str | Path] = [sys.executable, worker, journal, str(KEYS)]
        argv: list[str | Path] = [sys.executable, "-m", "e2e.kubelet", *where, flagship.CONFIG_MAP, folder, *program]
        env = {"PYTHONPATH": os.pathsep.join((MODULES, str(ROOT)))}
        self.kubelet = Process("kubelet", argv, run_dir=self.run_dir, env=env)
        self.kubelet.launch()
        self._stack.callback(self.kubelet.stop)

    def tick(self) -> None:
        """What the world does by itself, each second: Prometheus finds workers, old's replicas and backups are seen."""
        targets = self._targets.read_text().split() if self._targets.exists() else []
        self.testbed.prometheus.set_targets(targets, group="workers")
        old = self.kube.get("apps/v1", "Deployment", flagship.OLD, flagship.NAMESPACE)
        labels = {"namespace": flagship.NAMESPACE, "deployment": flagship.OLD}
        self.exporter.set("kube_deployment_status_replicas", (old.get("status") or {}).get("replicas", 0), **labels)
        self.exporter.set("listing_backup_last_success_timestamp_seconds", time.time() - 60)

    # ---- who watches -------------------------------------------------------------------------------------------

    @contextmanager
    def watched(self, rollouts: Told, routes: Told) -> Iterator[dict[str, Mirror]]:
        """Mirrors by namespace of rollouts, and by `routes/` and namespace of routes; each change is told."""
        server = Server(self.cluster.server, self.cluster.ca_file, self.cluster.user_token("testbed"))
        made: dict[str, Mirror] = {}
        for namespace in (small.NAMESPACE, flagship.NAMESPACE):
            path = self.kube.path(API_VERSION, KIND, namespace)
            made[namespace] = Mirror(server, path, lambda _, what, obj: rollouts(what, obj))
            path = self.kube.path(GATEWAY_API, "HTTPRoute", namespace)
            made[f"routes/{namespace}"] = Mirror(server, path, lambda _, what, obj: routes(what, obj))
        for mirror in made.values():
            mirror.start()
        try:
            yield made
        finally:
            for mirror in made.values():
                mirror.stop()

    @property
    def leader(self) -> Replica | None:
        """The replica that leads now."""
        return next((each for each in self.replicas if each.process.running and each.leading), None)


@contextmanager
def world(minutes: int, rollouts: int, run_dir: Path | None = None) -> Iterator[World]:
    """A world of its own; no operator runs yet."""
    build.ensure("contour", "alertmanager")
    with Testbed(run_dir, parts=("kwok", "prometheus"), nodes=NODES) as testbed, ExitStack() as stack:
        yield World(testbed, stack, minutes, rollouts)

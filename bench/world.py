"""The world of the benchmarks: control plane, fake nodes, Prometheus, an exporter whose values flip, the operator."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed import Testbed, build
from testbed.exporter import Exporter
from testbed.kwok import deployment
from testbed.process import Process
from testbed.served import serve_gateway_api
from testbed.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
ROLLOUT = ("syncrollout.io/v1alpha1", "SyncRollout")
OPERATOR_PORT = 18080
TICKS = os.sysconf("SC_CLK_TCK")


class World:
    """Everything that a scenario needs. Made by `world()`."""

    def __init__(self, testbed: Testbed, exporter: Exporter) -> None:
        self.testbed = testbed
        self.kube = testbed.kube
        self.exporter = exporter
        self.operator: Process | None = None
        self._runs = 0

    # ---- the operator ------------------------------------------------------------------------------------------

    def start_operator(self, *flags: str) -> None:
        """A fresh operator process; answers once it is ready."""
        self.launch_operator(*flags).wait_ready(lambda: self.fetch("/readyz") is not None, timeout=60)

    def launch_operator(self, *flags: str, program: Sequence[str] = ("syncrollout",)) -> Process:
        """A fresh operator process, not waited for; `program` is a module, and arguments that come first."""
        self.stop_operator()
        self._runs += 1
        module, *arguments = program
        own = [
            "run",
            f"--listen-port={OPERATOR_PORT}",
            "--listen-address=127.0.0.1",
            "--lease-namespace=default",
            "--allow-destination=127.0.0.0/8,*",
        ]
        self.operator = Process(
            f"operator-{self._runs}",
            [sys.executable, "-m", module, *arguments, *own, *flags],
            run_dir=self.testbed.run_dir,
            env={"KUBECONFIG": str(self.testbed.control_plane.kubeconfig), "PYTHONWARNINGS": "ignore"},
        ).launch()
        return self.operator

    def stop_operator(self) -> None:
        """End it, cleanly."""
        if self.operator is not None:
            self.operator.stop()
            self.operator = None

    def fetch(self, path: str) -> str | None:
        """A page of the operator's own server; None where it does not answer 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{OPERATOR_PORT}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (OSError, urllib.error.URLError):
            return None

    def metrics(self, wait: float = 60.0) -> dict[str, float]:
        """The operator's own metrics: series as printed -> value. An answer is waited for; none after so many seconds,
        on a machine that is busy with other things, is an empty one."""
        until = time.monotonic() + wait
        while (page := self.fetch("/metrics")) is None and time.monotonic() < until:
            time.sleep(0.5)
        page = page or ""
        lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}

    def cpu_seconds(self) -> float:
        """CPU that the operator has used so far."""
        assert self.operator is not None
        fields = Path(f"/proc/{self.operator.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_megabytes(self) -> tuple[float, float]:
        """Resident memory of the operator: now, and its peak."""
        assert self.operator is not None
        status = Path(f"/proc/{self.operator.pid}/status").read_text()
        found = {
            line.split(":")[0]: int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("Vm")
        }
        return found["VmRSS"], found["VmHWM"]

    # ---- objects -----------------------------------------------------------------------------------------------

    def systems(self, namespace: str, names: Sequence[str]) -> None:
        """For each name an old and a new Deployment with Services, a route, and healthy metrics; waits until all pods
        are ready."""
        series = []
        for name in names:
            for side in ("old", "new"):
                self.kube.create(deployment(f"{side}-{name}", namespace, 1))
                self.kube.create(service(f"{side}-{name}", namespace))
                series += [
                    ("bench_errors", {"workload": f"{side}-{name}"}, 0.2),
                    ("bench_duration", {"workload": f"{side}-{name}"}, 1.0),
                ]
            self.kube.create(route(name, namespace))
        self.exporter.set_many(series)
        self.until_ready(namespace, 2 * len(names))
        last = names[-1]
        self.testbed.prometheus.wait_for(f'bench_errors{{workload="new-{last}"}}', bool, timeout=30)

    def until_ready(self, namespace: str, count: int) -> None:
        """Wait until so many Deployments have ready pods."""
        eventually(
            lambda: (
                sum(
                    1
                    for one in self.kube.list("apps/v1", "Deployment", namespace)
                    if (one.get("status") or {}).get("readyReplicas")
                )
                >= count
            ),
            timeout=600,
            interval=1.0,
            what=f"{count} Deployments in {namespace} to be ready",
        )

    def flip(self, names: Iterable[str], value: float) -> float:
        """Set the error rate of the new side of these rollouts, all at one moment; answers when."""
        return self.exporter.set_many([("bench_errors", {"workload": f"new-{name}"}, value) for name in names])

    def rollout(
        self, name: str, namespace: str, *, interval: str, weights: Sequence[int], duration: str
    ) -> dict[str, Any]:
        """A SyncRollout with two metrics; each phase asks both for success and one for going back."""
        success = [{"metric": "errors", "below": 1}, {"metric": "duration", "atMost": 2, "relativeTo": "Old"}]
        return {
            "apiVersion": ROLLOUT[0],
            "kind": ROLLOUT[1],
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "old": {"workload": {"kind": "Deployment", "name": f"old-{name}"}, "service": f"old-{name}"},
                "new": {"workload": {"kind": "Deployment", "name": f"new-{name}"}, "service": f"new-{name}"},
                "traffic": {"routes": [{"apiVersion": ROUTE[0], "kind": ROUTE[1], "name": name}]},
                "prometheus": {"address": self.testbed.prometheus.address, "interval": interval},
                "metrics": [
                    {"name": "errors", "unit": "percent", "query": 'max(bench_errors{workload="$workload"})'},
                    {"name": "duration", "unit": "seconds", "query": 'max(bench_duration{workload="$workload"})'},
                ],
                "phases": [
                    {
                        "name": f"step-{weight}",
                        "weight": weight,
                        "duration": duration,
                        "success": success,
                        "rollbackOn": [{"metric": "errors", "above": 5}],
                    }
                    for weight in weights
                ],
            },
        }

    def apply(self, rollout: dict[str, Any]) -> float:
        """Create it; answers when the request was sent."""
        sent = time.time()
        self.kube.create(rollout)
        return sent

    def delete(self, name: str, namespace: str) -> None:
        """Delete a rollout and wait until it is gone."""
        self.kube.delete(*ROLLOUT, name, namespace)
        eventually(lambda: self.kube.find(*ROLLOUT, name, namespace) is None, timeout=20, what=f"{name} to be gone")

    # ---- baselines ---------------------------------------------------------------------------------------------

    def baseline(self, name: str, namespace: str, count: int = 30) -> dict[str, float]:
        """Median seconds of one bare request of each kind on this machine, now: what every figure is a multiple of."""

        def timed(call: Any) -> float:
            taken = []
            for _ in range(count):
                started = time.perf_counter()
                call()
                taken.append(time.perf_counter() - started)
            return statistics.median(taken)

        prometheus = self.testbed.prometheus
        number = iter(range(10**9))
        body = {"metadata": {"annotations": {"bench.example/n": "0"}}}

        def patch() -> None:
            body["metadata"]["annotations"]["bench.example/n"] = str(next(number))
            self.kube.patch(*ROUTE, name, namespace, body)

        return {
            "PATCH of a route": timed(patch),
            "Prometheus query": timed(lambda: prometheus.query(f'max(bench_errors{{workload="new-{name}"}})')),
        }


def service(name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "None", "ports": [{"port": 80}]},
    }


def route(name: str, namespace: str, *, of_new: int = 0) -> dict[str, Any]:
    weights = {f"old-{name}": 100 - of_new, f"new-{name}": of_new}
    backends = [{"name": backend, "port": 80, "weight": weight} for backend, weight in weights.items()]
    return {
        "apiVersion": ROUTE[0],
        "kind": ROUTE[1],
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": [{"backendRefs": backends}]},
    }


@contextmanager
def world(*parts: str) -> Iterator[World]:
    """A world of its own, with further parts of the testbed, the CRDs in place, and no operator running yet."""
    build.ensure("contour")  # its module brings the Gateway API's CRDs
    with Testbed(parts=("kwok", "prometheus", *parts), nodes=4) as testbed, Exporter() as exporter:
        testbed.prometheus.set_targets([exporter.target])
        serve_gateway_api(testbed.kube)
        testbed.kube.apply_yaml(ROOT / "crds")
        made = World(testbed, exporter)
        eventually(lambda: testbed.kube.list(*ROLLOUT) == [], timeout=20, what="the CRD to be served")
        try:
            yield made
        finally:
            made.stop_operator()


def machine() -> str:
    """What the figures were measured on, in one line."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores ({model}), Python {python}, revision {revision.stdout.strip() or 'unknown'}"

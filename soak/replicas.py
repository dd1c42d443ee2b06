"""The replicas of the operator, as processes, and what they say of themselves."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

from e2e.operators import ACCOUNT, LOOPBACK, NAMESPACE
from testbed import Cluster, Process
from testbed.ports import free_port

FLAGS = (
    "--lease-duration=12s",
    "--lease-renew-interval=2s",
    "--lease-renew-deadline=7s",
    "--listen-address=127.0.0.1",
    "--log-format=json",
    f"--allow-destination={LOOPBACK}",
)
TOKEN = 3 * 3600
"""Seconds that a replica's token is good for."""


class Replica:
    """One process after another under one name. Start it from the main thread."""

    def __init__(self, name: str, cluster: Cluster, run_dir: Path, zones: Path, flags: tuple[str, ...] = ()) -> None:
        self.name = name
        self.starts = 0
        self._port = free_port()
        self._counts = run_dir / f"{name}.counts"
        kubeconfig = cluster.kubeconfig_for(cluster.token_for(NAMESPACE, ACCOUNT, TOKEN), name, NAMESPACE)
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "soak.process",
            self._counts,
            "run",
            f"--listen-port={self._port}",
        ]
        env = {
            "KUBECONFIG": str(kubeconfig),
            "PYTHONTZPATH": str(zones),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self.process = Process(name, [*argv, *FLAGS, *flags], run_dir=run_dir, env=env)

    def launch(self) -> None:
        """Start it; it is ready by and by."""
        self.starts += 1
        self.process.launch()

    def terminate(self) -> None:
        """SIGTERM, and no waiting."""
        if self.process.running:
            os.kill(self.process.pid, signal.SIGTERM)

    @property
    def ready(self) -> bool:
        """/readyz says so."""
        return self._page("/readyz") is not None

    @property
    def leading(self) -> bool:
        """It says of itself that it leads."""
        return self.metrics().get("syncrollout_leader", 0) == 1

    def metrics(self) -> dict[str, float]:
        """Its own metrics, series as printed -> value; nothing where it does not answer."""
        lines = (line.rpartition(" ") for line in (self._page("/metrics") or "").splitlines() if line[:1] not in "#")
        return {series: float(value) for series, _, value in lines if series}

    def ask(self, *, collect: bool = False) -> None:
        """Have it count what it holds; see `counts`."""
        if self.process.running:
            os.kill(self.process.pid, signal.SIGUSR2 if collect else signal.SIGUSR1)

    def counts(self) -> dict[str, float]:
        """What it has counted last: objects, tasks, threads, rss, collected."""
        try:
            found: dict[str, float] = json.loads(self._counts.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def files(self) -> int:
        """Open files."""
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return 0

    def _page(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=2) as answer:
                return str(answer.read().decode())
        except (OSError, urllib.error.URLError):
            return None

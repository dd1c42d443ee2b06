"""What a kubelet does, for the two sync systems: each pod of theirs is a real process on the pod's own address.

A pod is created NotReady; its process is started, probed at ``/healthz``, and the pod turns Ready when it answers.
A process that ends puts its pod into CrashLoopBackOff. A pod that is deleted takes its process with it. So what the
API server says of the pods is what is true of the programs, and Services, EndpointSlices and the proxy follow.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.plan import REPOSITORY
from demo.services.faults import Fault
from testbed.process import Process

Obj = dict[str, Any]
HTTP_PORT = 9101  # not 8080: Envoy listens there on all addresses, and so on those of pods
METRICS_PORT = 9102
_GRACE = 1.0  # seconds between a pod's deletion and the end of its process: the proxy must have let go of it
_RESTART_AFTER = 2.0
_PROBE_TIMEOUT = 0.5


@dataclass
class _Member:
    """One pod and its process."""

    pod: str
    version: str
    address: str
    process: Process
    ready: bool = False
    died: float | None = None
    leaving: float | None = None


@dataclass(frozen=True)
class Workspace:
    """Where the systems keep their data: the spreadsheet, and one database each."""

    folder: Path

    @property
    def sheet(self) -> Path:
        return self.folder / "listings.csv"

    def store(self, version: str) -> Path:
        return self.folder / f"{version}.sqlite"


@dataclass
class Fleet:
    """Call `tick` often, from the thread that made it.

    versions       value of the pods' label ``app`` -> ``old`` or ``new``
    pods           the pods as the API server has them
    mark           (pod name, "ready" | "starting" | "crashed"): tells the API server
    scrape         told the metrics addresses whenever they change
    """

    workspace: Workspace
    run_dir: Path
    versions: Mapping[str, str]
    pods: Callable[[], list[Obj]]
    mark: Callable[[str, str], None]
    scrape: Callable[[list[str]], None]
    stay_down: set[str] = field(default_factory=set)
    _members: dict[str, _Member] = field(default_factory=dict)
    _started: int = 0

    def tick(self) -> None:
        """Brings the processes in line with the pods, and the pods with the processes."""
        now = time.monotonic()
        alive = {}
        for pod in self.pods():
            version = self.versions.get(pod["metadata"].get("labels", {}).get("app", ""))
            address = pod.get("status", {}).get("podIP")
            if version and address and "deletionTimestamp" not in pod["metadata"]:
                alive[str(pod["metadata"]["uid"])] = (str(pod["metadata"]["name"]), version, str(address))
        before = {member.address for member in self._members.values()}
        for uid, (name, version, address) in alive.items():
            if uid not in self._members:
                process = self._start(name, version, address)
                self._members[uid] = _Member(name, version, address, process)
        for uid, member in list(self._members.items()):
            if uid not in alive:
                self._leave(uid, member, now)
            else:
                self._keep(member, now)
        after = {member.address for member in self._members.values()}
        if after != before:
            self.scrape([f"{address}:{METRICS_PORT}" for address in sorted(after)])

    def ready(self, version: str) -> bool:
        return any(m.ready and m.died is None for m in self._members.values() if m.version == version)

    def running(self, version: str) -> int:
        """Processes of this version that run now."""
        return sum(m.version == version and m.process.running for m in self._members.values())

    def inject(self, version: str, fault: Fault) -> None:
        """Tells every process of this version to misbehave, or with Fault.NONE to stop doing so."""
        for member in self._members.values():
            if member.version == version and member.process.running:
                _post_fault(member.address, fault)

    def stop(self) -> None:
        for member in self._members.values():
            member.process.stop()
        self._members.clear()

    def _start(self, pod: str, version: str, address: str) -> Process:
        self._started += 1
        argv = [sys.executable, "-m", "demo.services.sync", "--version", version]
        argv += ["--listen", f"{address}:{HTTP_PORT}", "--metrics", f"{address}:{METRICS_PORT}"]
        argv += ["--source", str(self.workspace.sheet), "--store", str(self.workspace.store(version))]
        if version == "new":
            argv += ["--compare-with", str(self.workspace.store("old"))]
        name = f"{pod}-{self._started}"
        return Process(name, argv, run_dir=self.run_dir, cwd=REPOSITORY).start()

    def _leave(self, uid: str, member: _Member, now: float) -> None:
        if member.leaving is None:
            member.leaving = now
        if now - member.leaving >= _GRACE:
            member.process.stop()
            del self._members[uid]

    def _keep(self, member: _Member, now: float) -> None:
        if not member.process.running:
            if member.died is None:
                member.died, member.ready = now, False
                self.mark(member.pod, "crashed")
            elif now - member.died >= _RESTART_AFTER and member.version not in self.stay_down:
                self.mark(member.pod, "starting")
                member.process = self._start(member.pod, member.version, member.address)
                member.died = None
        elif not member.ready and _healthy(member.address):
            member.ready = True
            self.mark(member.pod, "ready")


def _healthy(address: str) -> bool:
    connection = http.client.HTTPConnection(address, HTTP_PORT, timeout=_PROBE_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _post_fault(address: str, fault: Fault) -> None:
    connection = http.client.HTTPConnection(address, METRICS_PORT, timeout=5.0)
    try:
        connection.request("POST", "/fault", json.dumps({"kind": fault}))
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{address} refused the fault {fault}: {response.read().decode()}")
    finally:
        connection.close()

"""What a kubelet does, for the two sync systems: each pod of theirs is a real process on the pod's own address.

A pod is created NotReady; its process is started, probed at ``/healthz``, and the pod turns Ready when it answers.
A process that ends puts its pod into CrashLoopBackOff. A pod that is deleted takes its process with it, and is let go
of only then: until its pods are gone, a side may still be working. The ConfigMap that says which items are whose is
mounted into each. So what the API server says of the pods is what is true of the programs, and Services,
EndpointSlices, the proxy and the operator follow.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.plan import REPOSITORY
from demo.services.faults import Fault
from demo.step_pods import StepPods
from demo.workspace import Workspace
from syncrollout.shards.assignment import NAME
from testbed.journal import NEVER
from testbed.mounts import FINALIZER, MountedFile
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
    uid: str
    address: str
    mounted: MountedFile
    process: Process
    ready: bool = False
    died: float | None = None
    leaving: float | None = None


@dataclass
class Fleet:
    """Call `tick` often, from the thread that made it.

    versions       value of the pods' label ``app`` -> ``old`` or ``new``
    pods           the pods as the API server has them
    mark           (pod name, "ready" | "starting" | "crashed"): tells the API server
    scrape         told the metrics addresses whenever they change
    assignment     the ConfigMap's value now, empty while there is none
    release        (pod name): takes the finalizer off a deleted pod
    steps          the pods of a rollback's steps
    """

    workspace: Workspace
    run_dir: Path
    versions: Mapping[str, str]
    pods: Callable[[], list[Obj]]
    mark: Callable[[str, str], None]
    scrape: Callable[[list[str]], None]
    assignment: Callable[[], str]
    release: Callable[[str], None]
    steps: StepPods
    stay_down: set[str] = field(default_factory=set)
    _members: dict[str, _Member] = field(default_factory=dict)
    _released: set[str] = field(default_factory=set)
    _deaths: dict[str, list[float]] = field(default_factory=dict)
    _rng: random.Random = field(default_factory=lambda: random.Random(1))
    _started: int = 0

    def tick(self) -> None:
        """Brings the processes in line with the pods, and the pods with the processes."""
        now = time.monotonic()
        alive, deleted = {}, {}
        for pod in self.pods():
            uid, name = str(pod["metadata"]["uid"]), str(pod["metadata"]["name"])
            version = self.versions.get(pod["metadata"].get("labels", {}).get("app", ""))
            address = pod.get("status", {}).get("podIP")
            if "deletionTimestamp" in pod["metadata"]:
                if FINALIZER in pod["metadata"].get("finalizers", ()):
                    deleted[uid] = name
            elif version and address:
                alive[uid] = (name, version, str(address))
        before = {member.address for member in self._members.values()}
        for uid, (name, version, address) in alive.items():
            if uid not in self._members:
                self._members[uid] = self._admit(uid, name, version, address)
        for uid, member in list(self._members.items()):
            member.mounted.follow(self.assignment(), now)
            if uid not in alive:
                self._leave(member, now)
            else:
                self._keep(member, now)
        for uid in deleted.keys() - self._members.keys() - self._released:
            self._released.add(uid)
            self.release(deleted[uid])
        after = {member.address for member in self._members.values()}
        if after != before:
            self.scrape([f"{address}:{METRICS_PORT}" for address in sorted(after)])
        self.steps.tick()

    def ended(self, pod: str, began: float) -> float:
        """When the process of this pod ended that had begun something then; NEVER where it has not."""
        return min((when for when in self._deaths.get(pod, ()) if when >= began), default=NEVER)

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
        self.steps.stop()
        for member in self._members.values():
            member.process.stop()
        self._members.clear()

    def _admit(self, uid: str, pod: str, version: str, address: str) -> _Member:
        home = self.run_dir / pod
        home.mkdir(exist_ok=True)
        mounted = MountedFile(home / NAME, self.assignment(), self._rng)
        return _Member(pod, version, uid, address, mounted, self._start(pod, version, uid, address))

    def _start(self, pod: str, version: str, uid: str, address: str) -> Process:
        self._started += 1
        argv = [sys.executable, "-m", "demo.services.sync", "--version", version]
        argv += ["--listen", f"{address}:{HTTP_PORT}", "--metrics", f"{address}:{METRICS_PORT}"]
        argv += ["--source", str(self.workspace.sheet), "--store", str(self.workspace.store)]
        argv += ["--journal", str(self.workspace.journal), "--backup", str(self.workspace.backup)]
        env = {
            "SYNCROLLOUT_SIDE": version,
            "SYNCROLLOUT_SHARDS_FILE": str(self.run_dir / pod / NAME),
            "SYNCROLLOUT_POD_UID": uid,
            "POD_NAME": pod,
            "PYTHONPATH": str(REPOSITORY / "tests"),
        }
        name = f"{pod}-{self._started}"
        return Process(name, argv, run_dir=self.run_dir, env=env, cwd=REPOSITORY).start()

    def _leave(self, member: _Member, now: float) -> None:
        if member.leaving is None:
            member.leaving = now
        if now - member.leaving >= _GRACE:
            member.process.stop()
            if member.died is None:
                self._deaths.setdefault(member.pod, []).append(time.monotonic())
            del self._members[member.uid]

    def _keep(self, member: _Member, now: float) -> None:
        if not member.process.running:
            if member.died is None:
                member.died, member.ready = now, False
                self._deaths.setdefault(member.pod, []).append(now)
                self.mark(member.pod, "crashed")
            elif now - member.died >= _RESTART_AFTER and member.version not in self.stay_down:
                self.mark(member.pod, "starting")
                member.process = self._start(member.pod, member.version, member.uid, member.address)
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

"""Sync workers as real processes: the systems of a scenario, and the journal of every item that they handled."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2e import kubelet, plan
from e2e.programs import HERE, MODULES
from e2e.scene import DEADLINE, Scene
from syncrollout.shards import Assignment, slot
from testbed import Obj, Process
from testbed.journal import NEVER, Item, Ledger, at_once
from testbed.kwok import COMPLETE_AFTER_KEY, deployment
from testbed.mounts import FINALIZER
from testbed.waiting import eventually

KEYS = 60
CONFIG_MAP = "slots"


class Workers:
    """The workers of one scene, and their stand-in for a kubelet."""

    def __init__(self, scene: Scene, directory: Path, program: tuple[str | Path, ...] = ()) -> None:
        self.scene = scene
        self.kube = scene.kube
        self.directory = directory
        self.journal = directory / "journal"
        self.killed: dict[str, list[float]] = defaultdict(list)
        """By pod, when its process was seen to be dead after it had been killed."""
        self.ledger = Ledger(self.journal, self._death)
        cluster = scene.stage.cluster
        self.process = Process(
            f"kubelet-{scene.namespace}",
            [
                sys.executable,
                "-m",
                "e2e.kubelet",
                cluster.server,
                cluster.user_token("testbed"),
                cluster.ca_file,
                scene.namespace,
                CONFIG_MAP,
                directory,
                sys.executable,
                *(program or (HERE / "sync_worker.py", self.journal, str(KEYS))),
            ],
            run_dir=directory,
            env={"PYTHONPATH": MODULES},
        )

    def start(self) -> None:
        """The kubelet begins."""
        self.process.launch()

    def stop(self) -> None:
        """It ends, and all workers with it."""
        self.process.stop(grace=3)
        self.scene.stage.prometheus.set_targets([], group=self.scene.namespace)

    # ---- what stands there -------------------------------------------------------------------------------------

    def make(self, name: str, side: str, *, kind: str = "Deployment", replicas: int = 2, by: str = "file") -> None:
        """One system whose pods are processes."""
        made = deployment(name, self.scene.namespace, replicas)
        made["kind"] = kind
        made["spec"]["template"]["metadata"] |= self._pod(side, by)
        if kind == "StatefulSet":
            made["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        self.kube.create(made)
        self.scene.healthy(name)
        self.scene.until_ready(name, replicas, kind)

    def cron_job(self, name: str, side: str) -> Obj:
        """A CronJob whose turn does not come in any test."""
        template = deployment(name, self.scene.namespace)["spec"]["template"]
        template["metadata"] |= self._pod(side, "env")
        template["metadata"]["annotations"][COMPLETE_AFTER_KEY] = "1h"
        template["spec"]["restartPolicy"] = "Never"
        spec = {"schedule": "0 0 29 2 *", "suspend": False, "jobTemplate": {"spec": {"template": template}}}
        metadata = {"name": name, "namespace": self.scene.namespace}
        return self.kube.create({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec})

    def job(self, name: str, cron_job: str) -> None:
        """One Job as the CronJob stands now, begun by a person."""
        made = self.kube.get("batch/v1", "CronJob", cron_job, self.scene.namespace)
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job, "controller": True}
        metadata = {
            "name": name,
            "namespace": self.scene.namespace,
            "ownerReferences": [owner | {"uid": made["metadata"]["uid"]}],
        }
        spec = made["spec"]["jobTemplate"]["spec"]
        self.kube.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})

    @staticmethod
    def _pod(side: str, by: str) -> Obj:
        annotations = {kubelet.SIDE: side, kubelet.MOUNTED: by}
        return {"annotations": annotations, "finalizers": [FINALIZER]}

    def traffic(self, method: str = "Ack", **handover: Any) -> Obj:
        """spec.traffic of a rollout."""
        return {"shards": {"configMap": CONFIG_MAP, "handover": {"method": method, **handover}}}

    def rollout(self, phases: list[Obj], method: str = "Ack", **spec: Any) -> Any:
        """A rollout by shards."""
        handover = spec.pop("handover", {})
        sides = {side: plan.system(side, service=None) for side in ("old", "new")}
        return self.scene.rollout(phases, traffic=self.traffic(method, **handover), **(sides | spec))

    @property
    def assignment(self) -> Assignment:
        """As it stands at the API server."""
        found = self.kube.get("v1", "ConfigMap", CONFIG_MAP, self.scene.namespace)
        return Assignment.parse(found["data"]["SYNCROLLOUT_SHARDS"])

    # ---- processes ---------------------------------------------------------------------------------------------

    def pods(self, side: str) -> list[str]:
        """Names of a side's pods whose process runs."""
        alive = []
        for obj in self.kube.list("v1", "Pod", self.scene.namespace):
            metadata = obj["metadata"]
            if metadata["annotations"].get(kubelet.SIDE) == side and not metadata.get("deletionTimestamp"):
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int((self.directory / metadata["name"] / "pid").read_text()), 0)
                    alive.append(metadata["name"])
        return sorted(alive)

    def scraped(self) -> None:
        """Have Prometheus scrape all that run now, and all that come."""
        path = self.directory / "targets"
        targets = path.read_text().split() if path.exists() else []
        self.scene.stage.prometheus.set_targets(targets, group=self.scene.namespace)

    def kill(self, pod: str) -> None:
        """SIGKILL, in the middle of whatever it does; its kubelet starts it again."""
        pid = int((self.directory / pod / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not _running(pid), what=f"the process of {pod} to be gone", interval=0.005)
        self.killed[pod].append(time.monotonic())

    def hang(self, pod: str, *, on: bool = True) -> None:
        """Have a worker never end an item of what it is to lose next."""
        path = self.directory / pod / "hang"
        if on:
            path.touch()
            eventually(lambda: self._holds(pod), what=f"{pod} to hang in an item")
        else:
            path.unlink()

    def finish(self, pod: str) -> None:
        """Have the worker of a Job end after its round."""
        (self.directory / pod / "finish").touch()

    def _holds(self, pod: str) -> bool:
        self.ledger.read()
        return any(time.monotonic() - item.begin > 0.15 for item in self.ledger.under_way(pod))

    # ---- the journal -------------------------------------------------------------------------------------------

    def items(self) -> list[Item]:
        """All items, in the order of their beginnings."""
        return self.ledger.items()

    def _death(self, pod: str, begin: float) -> float:
        """When an item that was cut off ended: with its process."""
        deaths = [at for at in self.killed[pod] if at >= begin]
        gone = self.directory / pod / "gone"
        if gone.exists():
            deaths.append(float(gone.read_text()))
        return min(deaths, default=NEVER)

    def until_all_handled(self, mark: int, timeout: float = DEADLINE) -> None:
        """Wait until every key has been handled by its owner since now, new below the mark; and none by the other."""
        since = time.monotonic()
        owner = {f"key-{n}": "new" if slot(f"key-{n}") < mark else "old" for n in range(KEYS)}

        def handled() -> bool:
            return {item.key for item in self.items() if item.begin >= since} == set(owner)

        eventually(handled, timeout=timeout, what="every key to be handled")
        strays = [item for item in self.items() if item.begin >= since and item.side != owner[item.key]]
        assert not strays, f"handled by the wrong side: {strays[:3]}"

    def check(self) -> None:
        """No key was ever handled by two systems at once."""
        items = self.items()
        assert items, "no item was handled"
        assert not at_once(items), f"two systems at once: {at_once(items)[:3]}"


def _running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def workers(scene: Scene) -> Iterator[Workers]:
    """The workers of a scene; at the end what they wrote down is checked."""
    with tempfile.TemporaryDirectory(prefix="workers-") as directory:
        made = Workers(scene, Path(directory))
        made.start()
        try:
            yield made
        finally:
            made.stop()
        made.check()

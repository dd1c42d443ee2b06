"""A stand-in for the kubelet of one namespace, run as a program: each fake pod that asks for it is one real process.

    python -m e2e.kubelet SERVER TOKEN CA NAMESPACE CONFIG-MAP DIRECTORY WORKER-ARGUMENTS...

What matters of a kubelet is kept: the mounted file is replaced as a whole, and late; `envFrom` is read once when the
process starts; a process that dies is started again in the same pod; a pod that is deleted gets SIGTERM, then SIGKILL,
and is gone from the API only when its process is; a pod whose process has ended well has succeeded. For the last two
the pods carry a finalizer.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.kube import Kube, KubeError
from testbed.mounts import FINALIZER, MountedFile, let_go
from testbed.ports import free_port
from testbed.process import die_with

SIDE = "testbed.syncrollout.io/side"
MOUNTED = "testbed.syncrollout.io/shards-by"
"""Annotation: file, or env."""
LOOK = 0.1
GRACE = 0.6
KEY = "SYNCROLLOUT_SHARDS"


@dataclass
class Pod:
    """One pod and its process."""

    name: str
    home: Path
    port: int
    env: dict[str, str]
    once: bool
    mounted: MountedFile | None
    process: subprocess.Popen[bytes] | None = None
    ended: float | None = None
    """When SIGTERM was sent."""


class Kubelet:
    """All pods of the namespace."""

    def __init__(self, kube: Kube, namespace: str, config_map: str, directory: Path, command: list[str]) -> None:
        self.kube, self.namespace, self.config_map = kube, namespace, config_map
        self.directory, self.command = directory, command
        self.pods: dict[str, Pod] = {}
        self.rng = random.Random(1)

    def look(self) -> None:
        """One look at everything."""
        found = self.kube.find("v1", "ConfigMap", self.config_map, self.namespace)
        value = str(((found or {}).get("data") or {}).get(KEY, ""))
        present = {}
        for obj in self.kube.list("v1", "Pod", self.namespace):
            metadata = obj["metadata"]
            if FINALIZER not in (metadata.get("finalizers") or ()):
                continue
            present[metadata["uid"]] = obj
            pod = self.pods.get(metadata["uid"]) or self._admit(obj, value)
            if pod is not None:
                self._care(pod, obj, value)
        for uid in set(self.pods) - set(present):
            self._kill(self.pods.pop(uid))
        targets = [f"127.0.0.1:{pod.port}" for pod in self.pods.values() if pod.mounted is not None and not pod.once]
        scratch = self.directory / "targets.new"
        scratch.write_text("\n".join(sorted(targets)))
        scratch.replace(self.directory / "targets")

    def _admit(self, obj: Mapping[str, Any], value: str) -> Pod | None:
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            self._gone(metadata["name"])
            return None
        if obj["status"].get("phase") != "Running":
            return None
        annotations = metadata.get("annotations") or {}
        by_env = annotations.get(MOUNTED) == "env"
        if by_env and not value:
            return None  # as a pod waits whose ConfigMap does not exist
        home = self.directory / metadata["name"]
        home.mkdir(exist_ok=True)  # a StatefulSet's pods bear their names again
        for left in ("gone", "hang", "finish", "pid"):
            (home / left).unlink(missing_ok=True)
        env = {
            "SYNCROLLOUT_SIDE": annotations[SIDE],
            "SYNCROLLOUT_POD_UID": metadata["uid"],
            "SYNCROLLOUT_EPOCH": annotations.get("syncrollout.io/epoch", ""),
            "POD_NAME": metadata["name"],
            "POD_DIR": str(home),
            "METRICS_PORT": str(free_port()),
        }
        if by_env:
            env[KEY] = value
        else:
            env["SYNCROLLOUT_SHARDS_FILE"] = str(home / KEY)
        owners = [each["kind"] for each in metadata.get("ownerReferences") or ()]
        mounted = None if by_env else MountedFile(home / KEY, value, self.rng)
        pod = Pod(metadata["name"], home, int(env["METRICS_PORT"]), env, "Job" in owners, mounted)
        self.pods[metadata["uid"]] = pod
        return pod

    def _care(self, pod: Pod, obj: Mapping[str, Any], value: str) -> None:
        now = time.monotonic()
        if pod.mounted is not None:
            pod.mounted.follow(value, now)
        running = pod.process is not None and pod.process.poll() is None
        if obj["metadata"].get("deletionTimestamp"):
            if running:
                self._end(pod, now)
            else:
                self._gone(pod.name)
        elif not running and pod.once and pod.process is not None and pod.process.returncode == 0:
            self._succeeded(pod.name)
        elif not running and obj["status"].get("phase") == "Running":
            self._start(pod)

    def _start(self, pod: Pod) -> None:
        with (pod.home / "log").open("ab") as log:
            pod.process = subprocess.Popen(
                [*self.command, *(["--once"] if pod.once else [])],
                env={**os.environ, **pod.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - one system call, no lock
            )
        (pod.home / "pid").write_text(str(pod.process.pid))

    @staticmethod
    def _end(pod: Pod, now: float) -> None:
        assert pod.process is not None
        if pod.ended is None:
            pod.ended = now
            pod.process.terminate()
        elif now - pod.ended > GRACE:
            pod.process.kill()

    @staticmethod
    def _kill(pod: Pod) -> None:
        if pod.process is not None and pod.process.poll() is None:
            pod.process.kill()
            pod.process.wait()

    def _gone(self, name: str) -> None:
        if (self.directory / name).exists():
            (self.directory / name / "gone").write_text(str(time.monotonic()))
        let_go(self.kube, self.namespace, name)

    def _succeeded(self, name: str) -> None:
        self.kube.patch("v1", "Pod", name, self.namespace, {"status": {"phase": "Succeeded"}}, subresource="status")

    def stop(self) -> None:
        """End all processes."""
        for pod in self.pods.values():
            self._kill(pod)


def main() -> None:
    """See the module."""
    server, token, ca, namespace, config_map, directory, *command = sys.argv[1:]
    kubelet = Kubelet(Kube(server, token, Path(ca)), namespace, config_map, Path(directory), command)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            try:
                kubelet.look()
            except (KubeError, OSError) as error:
                print(error, flush=True)
            time.sleep(LOOK)
    finally:
        kubelet.stop()


if __name__ == "__main__":
    main()

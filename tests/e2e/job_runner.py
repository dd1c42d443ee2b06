"""A stand-in for the kubelet, for the pods of a rollback's steps: each is one real process, run once, with the command,
the arguments and the variables that its pod gives it. Its exit code and the end of what it printed go into the
pod's status, as a kubelet does it; a pod that is deleted takes its process along.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from testbed import Obj
from testbed.containers import command, environment
from testbed.kube import Kube, KubeError
from testbed.kwok import COMPLETE_AFTER_KEY, FAKE_KEY

LABEL = "syncrollout.io/step"
TAIL = 2048
"""Bytes that a kubelet keeps of the log of a container that failed."""
LOOK = 0.1


def template(*command: str | Path, **container: Any) -> Obj:
    """A pod template that runs this command in a fake pod."""
    return {
        "metadata": {"annotations": {COMPLETE_AFTER_KEY: "3600s"}},  # it ends when its process does
        "spec": {
            "nodeSelector": {FAKE_KEY: "true"},
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {"name": "step", "image": "registry.example/step", "command": [*map(str, command)], **container}
            ],
        },
    }


class Place(Protocol):
    """A namespace."""

    @property
    def kube(self) -> Kube: ...

    @property
    def namespace(self) -> str: ...


class JobRunner:
    """Runs the pods of one namespace's steps while the block lasts. `ran`: the step of each process, in order."""

    def __init__(self, scene: Place, directory: Path) -> None:
        self.ran: list[str] = []
        self.killed: list[str] = []
        self._scene = scene
        self._directory = directory
        self._processes: dict[str, tuple[str, subprocess.Popen[bytes], Path]] = {}
        self._done: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-runner", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        self._thread.join(timeout=10)
        for _, process, _ in self._processes.values():
            process.kill()
            process.wait()

    def printed(self, pod: str, _container: str, _previous: bool) -> str | None:
        """What the process of a pod has printed so far; None for a pod that is not of a step."""
        output = self._directory / f"{pod}.log"
        return output.read_text() if output.exists() else None

    def _run(self) -> None:
        while not self._end.wait(LOOK):
            try:
                self._look()
            except (KubeError, OSError):
                continue  # the next look comes soon

    def _look(self) -> None:
        pods = {each["metadata"]["uid"]: each for each in self._pods()}
        for uid, (step, process, _) in list(self._processes.items()):
            if uid not in pods or "deletionTimestamp" in pods[uid]["metadata"]:
                process.kill()
                process.wait()
                self.killed.append(step)
                del self._processes[uid]
                self._done.add(uid)
            elif process.poll() is not None:
                self._report(pods[uid], *self._processes[uid][1:])
                del self._processes[uid]
        for uid, pod in pods.items():
            if uid not in self._done and pod["status"].get("phase") == "Running":
                self._done.add(uid)
                self._start(uid, pod)

    def _pods(self) -> list[Obj]:
        return list(self._scene.kube.list("v1", "Pod", self._scene.namespace, selector=LABEL))

    def _start(self, uid: str, pod: Obj) -> None:
        container = pod["spec"]["containers"][0]
        env = environment(container)
        output = self._directory / f"{pod['metadata']['name']}.log"
        with output.open("wb") as log:
            process = subprocess.Popen(command(container, env), env={**os.environ, **env}, stdout=log, stderr=log)
        step = pod["metadata"]["labels"][LABEL]
        self.ran.append(step)
        self._processes[uid] = (step, process, output)

    def _report(self, pod: Obj, process: subprocess.Popen[bytes], output: Path) -> None:
        failed = process.returncode != 0
        container = pod["spec"]["containers"][0]
        policy = container.get("terminationMessagePolicy")
        said = output.read_bytes()[-TAIL:].decode() if failed and policy == "FallbackToLogsOnError" else ""
        now = pod["status"]["startTime"]
        terminated = {"exitCode": process.returncode, "reason": "Error" if failed else "Completed", "message": said}
        state = {"terminated": {**terminated, "startedAt": now, "finishedAt": now}, "running": None}
        status = {
            "phase": "Failed" if failed else "Succeeded",
            "containerStatuses": [
                {**each, "ready": False, "state": state} for each in pod["status"]["containerStatuses"]
            ],
        }
        metadata = pod["metadata"]
        self._scene.kube.patch(
            "v1", "Pod", metadata["name"], metadata["namespace"], {"status": status}, subresource="status"
        )

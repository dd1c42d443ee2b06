"""What a scheduler and a kubelet do, for the pods of a rollback's steps: each is a real process, run once.

The pods name a scheduler of their own, so that neither Kubernetes' nor any real node takes them. The command, the
arguments and the variables are those of the pod; the image is this checkout, and the volume the demo's data. Exit code
and last words go into the pod's status. A pod that is deleted, as at its Job's deadline, takes its process along.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.plan import REPOSITORY
from syncrollout.api.words import STEP_LABEL
from testbed.containers import command, environment
from testbed.process import Process

Obj = dict[str, Any]
SCHEDULER = "syncrollout-demo"
_TAIL = 2048
"""Bytes that a kubelet keeps of the log of a container that failed."""


@dataclass(slots=True)
class _Running:
    pod: str
    container: str
    process: Process
    began: str
    last_words: Path


@dataclass
class StepPods:
    """Call `tick` often, from the thread that made it.

    pods      all pods as the API server has them
    report    (pod name, status): writes the pod's status
    data      the folder that the Jobs know as LISTINGS_DATA
    """

    pods: Callable[[], list[Obj]]
    report: Callable[[str, Obj], None]
    data: Path
    run_dir: Path
    ran: list[str] = field(default_factory=list)
    """The step of each process, in the order in which they were started."""
    _running: dict[str, _Running] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def tick(self) -> None:
        """Brings the processes in line with the pods, and the pods with the processes."""
        pods = {str(pod["metadata"]["uid"]): pod for pod in self.pods() if STEP_LABEL in _labels(pod)}
        for uid, one in list(self._running.items()):
            if uid not in pods or "deletionTimestamp" in pods[uid]["metadata"]:
                one.process.stop(grace=1.0)
                del self._running[uid]
            elif not one.process.running:
                del self._running[uid]
                self._end(one)
        for uid, pod in pods.items():
            if uid not in self._known and "deletionTimestamp" not in pod["metadata"]:
                self._known.add(uid)
                self._start(uid, pod)

    def progress(self) -> str:
        """The last line of progress that a step under way has printed; empty where there is none."""
        for one in self._running.values():
            lines = [line for line in one.process.log_text().splitlines() if line.startswith("progress:")]
            if lines:
                return lines[-1].removeprefix("progress:").strip()
        return ""

    def stop(self) -> None:
        for one in self._running.values():
            one.process.stop()
        self._running.clear()

    def _start(self, uid: str, pod: Obj) -> None:
        name = str(pod["metadata"]["name"])
        container = pod["spec"]["containers"][0]
        last_words = self.run_dir / f"{name}.termination-log"
        last_words.touch()
        env = environment(container)
        variables = {
            **env,
            "LISTINGS_DATA": str(self.data),
            "TERMINATION_LOG": str(last_words),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(REPOSITORY / "tests"),
        }
        process = Process(name, command(container, env), run_dir=self.run_dir, env=variables, cwd=REPOSITORY).launch()
        self.ran.append(_labels(pod)[STEP_LABEL])
        self._running[uid] = _Running(name, str(container["name"]), process, _now(), last_words)
        self.report(name, _status("Running", str(container["name"]), {"running": {"startedAt": _now()}}))

    def _end(self, one: _Running) -> None:
        code = one.process.returncode or 0
        said = one.last_words.read_bytes() or (one.process.log_text().encode() if code else b"")
        terminated = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Error" if code else "Completed",
            "message": said[-_TAIL:].decode(errors="replace"),
            "startedAt": one.began,
            "finishedAt": _now(),
        }
        self.report(one.pod, _status("Failed" if code else "Succeeded", one.container, {"terminated": terminated}))


def _labels(pod: Obj) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def _status(phase: str, container: str, state: Obj) -> Obj:
    status = {
        "name": container,
        "image": "",
        "imageID": "",
        "ready": phase == "Running",
        "restartCount": 0,
        "state": state,
    }
    return {"phase": phase, "containerStatuses": [status]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

"""What a kubelet does besides running containers, for fake pods that are given a real process: their mounted files.

A mounted ConfigMap is replaced as a whole, and late. And a pod leaves the API server only once its process has ended,
for which the pods carry `FINALIZER`: fake nodes let go of a deleted pod at once.
"""

from __future__ import annotations

import random
from pathlib import Path

from testbed.kube import Kube, KubeError

FINALIZER = "testbed.syncrollout.io/kubelet"
LATENESS = (0.05, 0.25)
"""Seconds from a change to the file; with a real kubelet up to a minute and a half."""


class MountedFile:
    """One key of a ConfigMap as a file of one pod; "" stands for one that is not there."""

    def __init__(self, path: Path, value: str, rng: random.Random) -> None:
        self._path = path
        self._rng = rng
        self._due: list[tuple[float, str]] = []
        self._wanted = value
        path.unlink(missing_ok=True)
        self._write(value)

    def follow(self, value: str, now: float) -> None:
        """The ConfigMap has this value; brings what is due by `now` (seconds of time.monotonic)."""
        if value != self._wanted:
            self._wanted = value
            self._due.append((now + self._rng.uniform(*LATENESS), value))
        while self._due and self._due[0][0] <= now:
            self._write(self._due.pop(0)[1])

    def _write(self, value: str) -> None:
        if value:
            scratch = self._path.with_name("scratch")
            scratch.write_text(value)
            scratch.replace(self._path)


def let_go(kube: Kube, namespace: str, pod: str) -> None:
    """The pod may leave the API server: its process has ended."""
    try:
        kube.patch("v1", "Pod", pod, namespace, {"metadata": {"finalizers": None}})
    except KubeError as error:
        if error.status != 404:
            raise

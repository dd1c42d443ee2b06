"""Whether the API server answers the run itself: where it does not, for the machine is busy with something else, a pass
that is late says nothing of the operator."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Self

from soak.faults import Outage
from testbed import KubeError
from testbed.kube import Kube

SLOW = 1.0
"""Seconds that a bare GET of one small object may take; it takes milliseconds where the machine is not crowded."""
EVERY = 0.5


class Slowness:
    """Asks for one object again and again while the block lasts, in its own thread; `outages` is what it has found."""

    def __init__(self, kube: Kube) -> None:
        self.outages: list[Outage] = []
        self._kube = kube
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slowness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=20)

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            began = time.time()
            with contextlib.suppress(KubeError, OSError):
                self._kube.get("v1", "Namespace", "default")
            ended = time.time()
            if ended - began > SLOW:
                self.outages.append(Outage("the API server was slow to answer anybody", began, ended))

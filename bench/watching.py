"""Watching objects with the time at which each change arrives, apart from the operator and its client."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

from testbed.controlplane import ControlPlane
from testbed.waiting import eventually

Seen = tuple[float, Any]


class Watching:
    """Watches one path of the API server in a thread. `read` makes of each object what is kept; only changes are."""

    def __init__(self, control_plane: ControlPlane, path: str, read: Callable[[dict[str, Any]], Any]) -> None:
        self._control_plane = control_plane
        self._path = path
        self._read = read
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)
        self._stop = threading.Event()
        self._open = threading.Event()
        self.seen: dict[str, list[Seen]] = {}
        """By name: (wall-clock time, what was read), in order."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._open.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def first(self, name: str, wanted: Callable[[Any], bool], since: float, timeout: float = 30.0) -> float:
        """When an object was first seen as wanted, not before `since`."""
        return eventually(
            lambda: next((at for at, value in list(self.seen.get(name, ())) if at >= since and wanted(value)), None),
            timeout=timeout,
            interval=0.01,
            what=f"{name} to be as wanted",
        )

    def _run(self) -> None:
        # The API server ends watches now and then, of slow readers above all: a new one begins with all objects as
        # they stand, so no last state is ever missed.
        while not self._stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._watch()

    def _watch(self) -> None:
        parts = urlsplit(self._control_plane.server)
        context = ssl.create_default_context(cafile=str(self._control_plane.ca_file))
        connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context, timeout=90)
        headers = {"Authorization": f"Bearer {self._control_plane.admin_token}", "User-Agent": "bench"}
        with contextlib.closing(connection):
            connection.request("GET", f"{self._path}?watch=1&allowWatchBookmarks=1", headers=headers)
            answer = connection.getresponse()
            self._open.set()
            while not self._stop.is_set() and (line := answer.readline()):
                self._take(time.time(), json.loads(line))

    def _take(self, at: float, event: dict[str, Any]) -> None:
        if event["type"] not in {"ADDED", "MODIFIED"}:
            return
        value = self._read(event["object"])
        kept = self.seen.setdefault(event["object"]["metadata"]["name"], [])
        if not kept or kept[-1][1] != value:
            kept.append((at, value))


def weight_of_new(route: dict[str, Any]) -> int:
    """The second backend's weight."""
    return int(route["spec"]["rules"][0]["backendRefs"][1]["weight"])

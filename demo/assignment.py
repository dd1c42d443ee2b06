"""The ConfigMap that tells workers what is theirs: its text for the pods that mount it, and each change of it."""

from __future__ import annotations

import threading
from typing import Any

from demo.watching import Mirror, Moment, Server
from syncrollout.shards import Assignment, BadAssignment
from syncrollout.shards.assignment import NAME

Obj = dict[str, Any]


class AssignmentWatch:
    """Watches one ConfigMap from `start` to `stop`. It may not be there yet."""

    def __init__(self, server: Server, namespace: str, config_map: str) -> None:
        self._config_map = config_map
        self._lock = threading.Lock()
        self._text = ""
        self._log: list[Moment] = []
        self._mirror = Mirror(server, f"/api/v1/namespaces/{namespace}/configmaps", self._changed)

    def start(self) -> None:
        self._mirror.start()

    def stop(self) -> None:
        self._mirror.stop()

    def text(self) -> str:
        """As it stands; empty while there is none."""
        with self._lock:
            return self._text

    def log(self) -> list[Moment]:
        """Each change, an `Assignment` each."""
        with self._lock:
            return list(self._log)

    def _changed(self, when: float, kind: str, config_map: Obj) -> None:
        if config_map["metadata"]["name"] != self._config_map:
            return
        text = "" if kind == "DELETED" else str((config_map.get("data") or {}).get(NAME, ""))
        with self._lock:
            self._text = text
            try:
                read = Assignment.parse(text)
            except BadAssignment:
                return
            if not self._log or self._log[-1].value != read:
                self._log.append(Moment(when, read))

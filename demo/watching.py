"""Objects of the API server kept up to date by a watch, with the moment at which each change arrived.

The demo measures how fast things happen, so it must not poll for them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Obj = dict[str, Any]
Changed = Callable[[float, str, Obj], None]
_WATCH_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that changed, and when (seconds of time.monotonic)."""

    when: float
    value: Any


@dataclass(frozen=True, slots=True)
class Server:
    """Where the API server is and who asks: ``url`` is https, ``token`` a bearer token."""

    url: str
    ca_file: Path
    token: str
    server_name: str | None = None  # the name in its certificate, where that is not the url's host


class Mirror:
    """All objects under one list path (``/apis/GROUP/VERSION/namespaces/NS/PLURAL``), by name.

    ``changed(when, type, object)`` is called in the mirror's own thread, ``when`` in seconds of time.monotonic.
    """

    def __init__(self, server: Server, path: str, changed: Changed | None = None) -> None:
        self._server = server
        self._path = path
        self._changed = changed
        self._lock = threading.Lock()
        self._objects: dict[str, Obj] = {}
        self._stopped = threading.Event()
        self._connection: http.client.HTTPSConnection | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):  # it may have gone by itself
                connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the reader, who sits in recv
        if self._thread.is_alive():
            self._thread.join(2.0)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def get(self, name: str) -> Obj | None:
        with self._lock:
            return self._objects.get(name)

    def all(self) -> list[Obj]:
        """By name."""
        with self._lock:
            return [self._objects[name] for name in sorted(self._objects)]

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._watch(self._list())
            except (OSError, http.client.HTTPException, ValueError):
                self._stopped.wait(0.2)  # the API server is away: list anew when it is back

    def _list(self) -> str:
        with self._open(self._path) as response:
            body = json.loads(response.read())
        kept = set()
        for item in body["items"]:
            kept.add(item["metadata"]["name"])
            known = self.get(item["metadata"]["name"])
            if known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._take("ADDED" if known is None else "MODIFIED", item)
        for gone in [item for item in self.all() if item["metadata"]["name"] not in kept]:
            self._take("DELETED", gone)
        return str(body["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds={_WATCH_SECONDS}&resourceVersion={version}"
        with self._open(f"{self._path}?{query}") as response:
            while line := response.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] != "BOOKMARK":
                    self._take(event["type"], event["object"])

    def _take(self, kind: str, item: Obj) -> None:
        when = time.monotonic()
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(item["metadata"]["name"], None)
            else:
                self._objects[item["metadata"]["name"]] = item
        if self._changed is not None:
            self._changed(when, kind, item)

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[http.client.HTTPResponse]:
        url = urlsplit(self._server.url)
        context = ssl.create_default_context(cafile=str(self._server.ca_file))
        connection = _Https(url.hostname or "", url.port or 443, context, self._server.server_name)
        self._connection = connection
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._server.token}"})
            response = connection.getresponse()
            if response.status != 200:
                raise ValueError(f"GET {path}: {response.status} {response.read(500)!r}")
            yield response
        finally:
            connection.close()


class _Https(http.client.HTTPSConnection):
    """HTTPS whose certificate is held against a name of its own."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, name: str | None) -> None:
        super().__init__(host, port, timeout=_WATCH_SECONDS + 30, context=context)
        self._tls, self._name = context, name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name or self.host)

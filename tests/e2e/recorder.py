"""What happened to objects, in the order in which the API server accepted it.

The resourceVersions of all kinds come from one counter (one etcd), so the changes of a route, of a status and of a
workload's readiness can be put in one order after the fact, however late each watch told of them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from testbed import Cluster, KubeError, Obj
from testbed.waiting import eventually


@dataclass(frozen=True, slots=True)
class Seen:
    """One version of an object. `version` is its resourceVersion, `at` when the watch told of it (wall clock)."""

    version: int
    at: float
    kind: str
    obj: Obj
    gone: bool = False

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])


class Recorder:
    """`with Recorder(cluster, [("apps/v1", "Deployment")]) as r:`; watches each kind in all namespaces, in threads."""

    def __init__(self, cluster: Cluster, kinds: Sequence[tuple[str, str]]) -> None:
        self._cluster = cluster
        self._kinds = list(kinds)
        self._seen: dict[str, list[Seen]] = {}
        self._latest: dict[tuple[str, str, str], Seen] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._sockets: dict[str, socket.socket] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for api_version, kind in self._kinds:
            self._begin(api_version, kind)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for open_socket in list(self._sockets.values()):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def latest(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object as last seen; None if it was never seen, or is gone."""
        seen = self._latest.get((kind, namespace, name))
        return None if seen is None or seen.gone else seen.obj

    def story(self, namespace: str, *kinds: str) -> list[Seen]:
        """All versions of the objects of a namespace (of these kinds), in the API server's order."""
        with self._lock:
            found = [seen for seen in self._seen.get(namespace, ()) if not kinds or seen.kind in kinds]
        return sorted(found, key=lambda seen: seen.version)

    def caught_up(self, namespace: str) -> None:
        """Wait until everything that stands in the namespace now has been told by the watches."""
        for api_version, kind in self._kinds:
            present = {
                str(obj["metadata"]["name"]): int(obj["metadata"]["resourceVersion"])
                for obj in self._cluster.kube.list(api_version, kind, namespace)
            }

            def told(kind: str = kind, present: dict[str, int] = present) -> bool:
                with self._lock:
                    known = {name: seen for (k, ns, name), seen in self._latest.items() if (k, ns) == (kind, namespace)}
                return all(
                    name in known and known[name].version >= version for name, version in present.items()
                ) and all(seen.gone or name in present for name, seen in known.items())

            eventually(told, timeout=10, interval=0.02, what=f"the watch of {kind} to tell all of {namespace}")

    # ---- the watches -------------------------------------------------------------------------------------------

    def _begin(self, api_version: str, kind: str) -> None:
        path = self._cluster.kube.path(api_version, kind)
        # a kind whose CRD was made a moment ago is refused for a while (429)
        listing = eventually(
            lambda: self._cluster.kube.request("GET", path), timeout=20, what=f"the API server to list {kind}"
        )
        for obj in listing["items"]:
            self._note(kind, obj, gone=False)
        version = str(listing["metadata"]["resourceVersion"])
        thread = threading.Thread(target=self._run, args=(kind, path, version), name=f"watch {kind}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, kind: str, path: str, version: str) -> None:
        while not self._stop.is_set():
            try:
                version = self._watch(kind, path, version)
            except (OSError, http.client.HTTPException, KubeError):
                self._stop.wait(0.1)  # the API server is away: go on from the version that was seen last

    def _watch(self, kind: str, path: str, version: str) -> str:
        parts = urlsplit(self._cluster.server)
        context = ssl.create_default_context(cafile=str(self._cluster.ca_file))
        connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context, timeout=90)
        token = self._cluster.user_token("testbed")
        query = f"{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=3600&resourceVersion={version}"
        try:
            connection.connect()
            self._sockets[kind] = connection.sock
            connection.request("GET", query, headers={"Authorization": f"Bearer {token}", "User-Agent": "recorder"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise KubeError(answer.status, answer.reason, answer.read().decode(errors="replace"), query)
            while not self._stop.is_set():
                line = answer.readline()
                if not line:
                    break
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise KubeError(int(event["object"].get("code", 0)), "", str(event["object"]), query)
                version = str(event["object"]["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    self._note(kind, event["object"], gone=event["type"] == "DELETED")
        finally:
            connection.close()
        return version

    def _note(self, kind: str, obj: Obj, *, gone: bool) -> None:
        metadata = obj["metadata"]
        obj = {**obj, "kind": kind}
        seen = Seen(int(metadata["resourceVersion"]), time.time(), kind, obj, gone)
        namespace = str(metadata.get("namespace", ""))
        with self._lock:
            key = (kind, namespace, str(metadata["name"]))
            before = self._latest.get(key)
            if before is not None and before.version >= seen.version:
                return
            self._seen.setdefault(namespace, []).append(seen)
            self._latest[key] = seen

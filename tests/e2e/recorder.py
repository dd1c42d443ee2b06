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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from testbed import Cluster, KubeError, Obj
from testbed.tls import connect
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


Moment = Callable[[Seen], bool]


class Recorder:
    """`with Recorder(cluster, [("apps/v1", "Deployment")]) as r:`; watches each kind in all namespaces, in threads."""

    def __init__(self, cluster: Cluster, kinds: Sequence[tuple[str, str]]) -> None:
        self._cluster = cluster
        self._kinds = list(kinds)
        self._seen: dict[str, list[Seen]] = {}
        self._latest: dict[tuple[str, str, str], Seen] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.gaps: list[tuple[int, int]] = []
        """Between these versions something may have gone unseen (the API server had crashed and kept too little)."""
        self._told: dict[str, str] = {}
        """By kind: the version up to which its watch has told everything."""
        self._sockets: dict[str, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._waiting: list[tuple[str, Moment, Callable[[], object], threading.Event]] = []

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

    @contextmanager
    def at(self, namespace: str, moment: Moment, act: Callable[[], object]) -> Iterator[threading.Event]:
        """Call `act` as soon as the watches tell of a version in the namespace that `moment` accepts; once, from the
        watch's own thread, or at once where one stands there already. The event is set then."""
        come = threading.Event()
        with self._lock:
            present = [seen for (_, at, _), seen in self._latest.items() if at == namespace and not seen.gone]
            self._waiting.append((namespace, moment, act, come))
        for seen in present:
            self._strike(namespace, seen)
        try:
            yield come
        finally:
            with self._lock:
                self._waiting = [each for each in self._waiting if each[3] is not come]

    def _strike(self, namespace: str, seen: Seen) -> None:
        with self._lock:
            waiting = [each for each in self._waiting if each[0] == namespace and not each[3].is_set()]
        for _, moment, act, come in waiting:
            if not seen.gone and moment(seen):
                act()
                come.set()

    # ---- the watches -------------------------------------------------------------------------------------------

    def _begin(self, api_version: str, kind: str) -> None:
        path = self._cluster.kube.path(api_version, kind)
        # a kind whose CRD was made a moment ago is refused for a while (429)
        version = eventually(lambda: self._list(kind, path), timeout=20, what=f"the API server to list {kind}")
        thread = threading.Thread(target=self._run, args=(kind, path, version), name=f"watch {kind}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _list(self, kind: str, path: str) -> str:
        listing = self._cluster.kube.request("GET", path)
        for obj in listing["items"]:
            self._note(kind, obj, gone=False)
        return str(listing["metadata"]["resourceVersion"])

    def _run(self, kind: str, path: str, version: str) -> None:
        while not self._stop.is_set():
            try:
                version = self._watch(kind, path, self._told.get(kind, version))
            except (OSError, http.client.HTTPException, ValueError):
                # the API server is away, maybe in the middle of a line: go on from what was told last
                self._stop.wait(0.1)
            except KubeError as error:
                self._stop.wait(0.1)
                if error.status == 410:
                    with contextlib.suppress(KubeError, OSError):
                        before = int(self._told.get(kind, version))
                        self._told[kind] = self._list(kind, path)
                        self.gaps.append((before, int(self._told[kind])))

    def _watch(self, kind: str, path: str, version: str) -> str:
        parts = urlsplit(self._cluster.server)
        context = ssl.create_default_context(cafile=str(self._cluster.ca_file))
        connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context, timeout=90)
        token = self._cluster.user_token("testbed")
        query = f"{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=3600&resourceVersion={version}"
        try:
            connect(connection)
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
                version = self._told[kind] = str(event["object"]["metadata"]["resourceVersion"])
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
        self._strike(namespace, seen)

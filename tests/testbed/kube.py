"""A small client of the Kubernetes API for tests: one kept-alive TLS connection, plain dicts.

Not the operator's client on purpose: what the tests see must not go through the code under test. It
starts no process, so a call costs about a millisecond where `kubectl` costs a hundred.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import yaml

from testbed.errors import TestbedError
from testbed.tls import connect
from testbed.waiting import eventually

Obj = dict[str, Any]
Objs = list[Obj]  # a name of its own: within Kube the word `list` is a method
IDLE_SECONDS = 20.0  # a connection that has rested longer may have been ended by the API server: a fresh one is made
BUSY_SECONDS = 15.0  # how long a server may be busy before that is an error
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


# CRDs are large: the C parser takes a tenth of the time, where PyYAML has it; both are the safe one
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> list[Obj]:
    """The documents of a YAML text, without the empty ones."""
    return [obj for obj in yaml.load_all(text, _LOADER) if obj]


class KubeError(TestbedError):
    """The API server said no. `status` is the HTTP code, `reason` Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str, call: str) -> None:
        super().__init__(f"{call}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Kube:
    """Speaks to one API server as one user. Safe to use from several threads (one connection each)."""

    def __init__(
        self,
        server: str,
        token: str = "",
        ca_file: Path | None = None,
        *,
        user_agent: str = "testbed",
        user: str = "",
        group: str = "",
    ) -> None:
        """`user` and `group`: as whom it acts, where the token's own user may impersonate."""
        self._opened: list[http.client.HTTPConnection] = []
        parts = urlsplit(server)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if user:
            self._headers["Impersonate-User"] = user
        if group:
            self._headers["Impersonate-Group"] = group
        self._local = threading.local()
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    # -- the call under all calls

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: float = 15.0,
    ) -> Any:
        """One HTTP call; the decoded JSON answer (text if it is not JSON). Raises KubeError, OSError. What is only read
        is asked for again where the server is busy (429), as it is for seconds after etcd was away."""
        target = f"{path}?{urlencode(query)}" if query else path
        payload = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = dict(self._headers)
        if payload is not None:
            headers["Content-Type"] = content_type
        status, raw = self._send(method, target, payload, headers, timeout)
        until = time.monotonic() + BUSY_SECONDS
        while method == "GET" and status == 429 and time.monotonic() < until:
            time.sleep(0.2)
            status, raw = self._send(method, target, payload, headers, timeout)
        try:
            answer: Any = json.loads(raw) if raw else {}
        except ValueError:
            answer = raw.decode(errors="replace")
        if status >= 400:
            details = answer if isinstance(answer, dict) else {"message": str(answer)}
            raise KubeError(
                status, str(details.get("reason", "")), str(details.get("message", "")), f"{method} {target}"
            )
        return answer

    def _send(
        self, method: str, target: str, payload: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        for last_try in (False, True):
            fresh = getattr(self._local, "connection", None) is None
            connection = self._connection(timeout)
            try:
                connection.request(method, target, payload, dict(headers))
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                # a kept-alive connection may have been closed meanwhile; nothing was executed then
                stale = (
                    isinstance(error, (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError)) and not fresh
                )
                if stale and not last_try:
                    continue
                if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
                    raise ConnectionError(f"{method} {target}: {error!r}") from error
                raise
        raise AssertionError("unreachable")

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        now = time.monotonic()
        if now - getattr(self._local, "used_at", now) > IDLE_SECONDS:
            self._drop()
        self._local.used_at = now
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            if self._tls is not None:
                connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
            else:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
            connect(connection)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._local.connection = connection
            self._opened.append(connection)
        connection.sock.settimeout(timeout)
        return connection

    def _drop(self) -> None:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._opened.remove(connection)
            self._local.connection = None

    def close(self) -> None:
        """Close the connections of all threads; call it when no other thread is using this client."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def __del__(self) -> None:
        self.close()  # clients are made in passing; their sockets must not outlive them

    # -- objects

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Obj:
        """The object; KubeError 404 if there is none."""
        answer: Obj = self.request("GET", self.path(api_version, kind, namespace, name))
        return answer

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Obj | None:
        """The object, or None if there is none."""
        try:
            return self.get(api_version, kind, name, namespace)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> Objs:
        """All objects of the kind in the namespace ("" = in all), by label selector."""
        query = {"labelSelector": selector} if selector else None
        items: Objs = self.request("GET", self.path(api_version, kind, namespace), query=query)["items"]
        return items

    def create(self, obj: Obj) -> Obj:
        answer: Obj = self.request("POST", self._path_of(obj, named=False), obj)
        return answer

    def replace(self, obj: Obj) -> Obj:
        answer: Obj = self.request("PUT", self._path_of(obj), obj)
        return answer

    def apply(self, obj: Obj, manager: str = "testbed") -> Obj:
        """Server-side apply, taking over fields of other managers."""
        answer: Obj = self.request(
            "PATCH",
            self._path_of(obj),
            obj,
            content_type=PATCH_TYPES["apply"],
            query={"fieldManager": manager, "force": "true"},
        )
        return answer

    def apply_yaml(self, source: str | Path, manager: str = "testbed") -> Objs:
        """Apply every document of a YAML text, file, or folder of `*.yaml` files (in name order)."""
        if isinstance(source, Path) and source.is_dir():
            return [one for path in sorted(source.glob("*.yaml")) for one in self.apply_yaml(path, manager)]
        text = source.read_text() if isinstance(source, Path) else source
        return [self.apply(obj, manager) for obj in load_yaml(text)]

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str,
        body: object,
        *,
        type: Literal["merge", "json", "strategic"] = "merge",  # noqa: A002 - as kubectl calls it
        subresource: str = "",
    ) -> Obj:
        path = self.path(api_version, kind, namespace, name) + (f"/{subresource}" if subresource else "")
        answer: Obj = self.request("PATCH", path, body, content_type=PATCH_TYPES[type])
        return answer

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        missing_ok: bool = True,
        propagation: str = "Background",
    ) -> None:
        try:
            self.request(
                "DELETE",
                self.path(api_version, kind, namespace, name),
                {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation},
            )
        except KubeError as error:
            if error.status != 404 or not missing_ok:
                raise

    def wait_for(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str,
        predicate: Callable[[Obj], object],
        *,
        timeout: float = 10.0,
        what: str = "",
    ) -> Obj:
        """Poll the object until the predicate holds; the object as it was then."""

        def probe() -> Obj | None:
            obj = self.get(api_version, kind, name, namespace)
            seen[:] = [obj]
            return obj if predicate(obj) else None

        seen: Objs = []
        where = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        try:
            return eventually(probe, timeout=timeout, what=f"{where} {what or 'to be as expected'}")
        except TestbedError as error:
            if seen:
                status = json.dumps(seen[0].get("status"))[:1500]
                raise type(error)(f"{error}; its status: {status}") from error
            raise

    # -- where things are

    def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """The URL path of an object, or of the collection when `name` is empty."""
        plural, namespaced = self._plural(api_version, kind)
        base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if namespaced and namespace:
            base += f"/namespaces/{quote(namespace)}"
        return f"{base}/{plural}" + (f"/{quote(name)}" if name else "")

    def _path_of(self, obj: Obj, named: bool = True) -> str:
        meta = obj["metadata"]
        namespace = meta.get("namespace", "")
        if not namespace and self._plural(obj["apiVersion"], obj["kind"])[1]:
            namespace = "default"
        return self.path(obj["apiVersion"], obj["kind"], namespace, meta["name"] if named else "")

    def _plural(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._plurals:
            base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            for resource in self.request("GET", base)["resources"]:
                if "/" not in resource["name"]:
                    self._plurals[api_version, resource["kind"]] = (resource["name"], resource["namespaced"])
        try:
            return self._plurals[api_version, kind]
        except KeyError:
            raise KubeError(404, "NotFound", f"the server has no kind {kind} in {api_version}", "discovery") from None

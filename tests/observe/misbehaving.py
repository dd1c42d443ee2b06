"""A server on loopback that does, by the first segment of the path, what a Prometheus or a stranger may do wrong.

`server.address("hang")` is an address under which it hangs. What happened is counted, so that tests can wait for it
instead of for time to pass.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

JSON = "application/json"


@dataclass(frozen=True)
class Request:
    """One request as it arrived; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]
    """The parameters, wherever they stood."""


@dataclass
class Gauge:
    """A number that is counted up and down, and can be waited for."""

    value: int = 0
    most: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, by: int) -> None:
        with self._changed:
            self.value += by
            self.most = max(self.most, self.value)
            self._changed.notify_all()

    def wait_for(self, value: int, timeout: float = 10.0) -> bool:
        """True as soon as the number is `value`; False at the time-out."""
        with self._changed:
            return self._changed.wait_for(lambda: self.value == value, timeout)


class Server:
    """Context manager; threads are daemons."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self.requests: list[Request] = []
        self.accepted = 0
        self.open = Gauge()
        """Connections that are open, as far as this side has noticed."""
        self.stuck = Gauge()
        """Requests that are being left without a whole answer."""
        self.chattered = Gauge()
        """Answers that were given to no question."""
        self.sent = 0
        """Bytes of endless answers that went out."""
        self.ended = threading.Event()

    def address(self, behaviour: str = "") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}{f'/{behaviour}' if behaviour else ''}"

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # close alone would let a waiting accept have one more
        self._accepting.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.open.add(1)
        try:
            # ValueError: TLS spoken to plain HTTP is no text
            with contextlib.suppress(OSError, ValueError), contextlib.closing(connection):
                talking = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                with contextlib.closing(talking), talking.makefile("rb") as reader:
                    while (request := _read(reader)) is not None:
                        self.requests.append(request)
                        behaviour = BEHAVIOURS[request.path.split("/")[1]]
                        if not behaviour(self, talking, request):
                            return
        finally:
            self.open.add(-1)


def _read(reader: Any) -> Request | None:
    first = reader.readline().decode()
    if not first.strip():
        return None
    method, target, _ = first.split()
    headers: dict[str, str] = {}
    while line := reader.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", 0))).decode()
    parts = urlsplit(target)
    form = {name: values[0] for name, values in parse_qs(f"{parts.query}&{body}").items()}
    return Request(method, parts.path, headers, form)


# ------------------------------------------------------------------------------------------------ what it does

Behaviour = Callable[[Server, socket.socket, Request], bool]
"""True where the connection stays open for the next request."""


def answer(status: int, body: bytes, kind: str = JSON, more: str = "") -> bytes:
    """An HTTP answer."""
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def success(kind: str, result: Any, **more: Any) -> bytes:
    """The body of an answer as Prometheus gives it."""
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def vector(*values: float) -> bytes:
    """The body of an instant vector, one series for each value."""
    return success(
        "vector", [{"metric": {"instance": f"i{at}"}, "value": [1.0, number(each)]} for at, each in enumerate(values)]
    )


def number(value: float) -> str:
    """A number as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def error(kind: str, text: str) -> bytes:
    """The body of an error as Prometheus gives it."""
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


def _say(status: int, body: bytes, kind: str = JSON) -> Behaviour:
    return _say_raw(answer(status, body, kind))


def _say_raw(raw: bytes) -> Behaviour:
    def behave(server: Server, connection: socket.socket, request: Request) -> bool:
        connection.sendall(raw)
        return True

    return behave


def _stuck(server: Server, connection: socket.socket, step: Callable[[], None]) -> bool:
    """Do `step` over and over until the other side has hung up."""
    server.stuck.add(1)
    try:
        while not server.ended.is_set():
            step()
    except OSError:
        pass
    finally:
        server.stuck.add(-1)
    return False


def _hang(server: Server, connection: socket.socket, request: Request) -> bool:
    def step() -> None:
        if not connection.recv(1):
            raise ConnectionResetError

    return _stuck(server, connection, step)


def _drip(beginning: bytes, drop: bytes) -> Behaviour:
    def behave(server: Server, connection: socket.socket, request: Request) -> bool:
        def step() -> None:
            connection.sendall(drop)
            server.ended.wait(0.02)

        connection.sendall(beginning)
        return _stuck(server, connection, step)

    return behave


def _flood(beginning: bytes, length: int, head: bytes) -> Behaviour:
    """`length` bytes, as fast as they are taken."""

    def behave(server: Server, connection: socket.socket, request: Request) -> bool:
        connection.sendall(head + beginning)
        block = b'{"metric":{"a":"b"},"value":[1,"1"]},' * 2000
        left = length - len(beginning)

        def step() -> None:
            nonlocal left
            server.sent += connection.send(block[:left])
            left -= len(block)
            if left <= 0:
                raise ConnectionResetError

        return _stuck(server, connection, step)

    return behave


def _say_and_close(raw: bytes) -> Behaviour:
    def behave(server: Server, connection: socket.socket, request: Request) -> bool:
        connection.sendall(raw)
        return False

    return behave


def _chatter(server: Server, connection: socket.socket, request: Request) -> bool:
    connection.sendall(answer(200, vector(0.5)))
    server.ended.wait(0.05)  # so that it is not taken up together with the answer
    connection.sendall(answer(200, vector(99.0)))
    server.chattered.add(1)
    return True


def _redirect(server: Server, connection: socket.socket, request: Request) -> bool:
    connection.sendall(answer(302, b"", more="Location: http://user:secret@elsewhere:9090/graph?x=1\r\n"))
    return True


def _close(server: Server, connection: socket.socket, request: Request) -> bool:
    return False


_HUNDRED_MB = 100 << 20
_FLOOD_HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {_HUNDRED_MB}\r\n\r\n".encode()

BEHAVIOURS: dict[str, Behaviour] = {
    "ok": _say(200, vector(0.5)),
    "chunked": _say_raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (vector(0.5)[:20], vector(0.5)[20:], b""))
    ),
    "old-http": _say_and_close(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + vector(0.5)),
    "scalar": _say(200, success("scalar", [1.0, "42.5"])),
    "string": _say(200, success("string", [1.0, "5"])),
    "matrix": _say(200, success("matrix", [{"metric": {}, "values": [[1.0, "1"], [2.0, "1"]]}])),
    "empty": _say(200, vector()),
    "two": _say(200, vector(1.0, 2.0)),
    "nan": _say(200, vector(math.nan)),
    "inf": _say(200, vector(math.inf)),
    "bad-query": _say(400, error("bad_data", 'invalid parameter "query": 1:5: parse error: unclosed left parenthesis')),
    "execution": _say(422, error("execution", "found duplicate series for the match group")),
    "timeout": _say(503, error("timeout", "query timed out in expression evaluation")),
    "error-200": _say(200, error("internal", "storage is broken")),
    "401": _say(401, b"Unauthorized", "text/plain"),
    "403": _say(403, b"Forbidden", "text/plain"),
    "404": _say(404, b"secret of another service", "text/plain"),
    "503": _say(503, b"secret of another service", "text/html"),
    "500": _say(500, error("internal", "disk full")),
    "html": _say(200, b"<html>secret of another service</html>", "text/html"),
    "list": _say(200, b"[1, 2]"),
    "half": _say(200, success("vector", [])[:-5]),
    "deep": _say(200, b"[" * 100_000),
    "chatter": _chatter,
    "redirect": _redirect,
    "close": _close,
    "once": _say_and_close(answer(200, vector(1.0))),
    "hang": _hang,
    "drip-head": _drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "drip-body": _drip(_FLOOD_HEAD, b" "),
    "flood": _flood(success("vector", [])[:-4], _HUNDRED_MB, _FLOOD_HEAD),
    "flood-matrix": _flood(success("matrix", [])[:-4], _HUNDRED_MB, _FLOOD_HEAD),
    "flood-junk": _flood(b"", _HUNDRED_MB, b"HTTP/1.1 200 OK\r\n\r\n"),
    "not-http": _say_and_close(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "short": _say_and_close(answer(200, vector(1.0)).replace(b"Length: 1", b"Length: 9")),
}

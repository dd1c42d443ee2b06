"""A metrics endpoint whose values the test sets: what Prometheus scrapes in tests and benchmarks.

All series of one `set_many` change between two scrapes, never during one: the page is taken under the
same lock. A page of 2,000 series is rendered in some milliseconds and only when something changed.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from testbed.errors import TestbedError

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Series:
    line: str  # everything before the value
    value: float
    per_second: float = 0.0
    since: float = 0.0

    def at(self, now: float) -> float:
        return self.value + self.per_second * (now - self.since) if self.per_second else self.value


class Exporter:
    """`with Exporter() as e: e.set("errors", 3, workload="new")`; `e.target` goes to Prometheus."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self._address, self._port = address, port
        self._series: dict[_Key, _Series] = {}
        self._lock = threading.Lock()
        self._page: bytes | None = None
        self._growing = 0
        self._status: int | None = None
        self._hang = 0.0
        self._server: ThreadingHTTPServer | None = None
        self.scrapes = 0
        self.last_scrape: float | None = None

    @property
    def target(self) -> str:
        """host:port, as Prometheus wants it."""
        if self._server is None:
            raise TestbedError("the exporter is not started")
        return f"{self._address}:{self._server.server_address[1]}"

    def start(self) -> Self:
        self._server = _Server((self._address, self._port), _handler(self))
        self._port = self._server.server_address[1]  # a later start listens there again
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="exporter", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening: scrapes are refused. `start` listens on the same port again."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- values

    def set(self, name: str, value: float, **labels: str) -> float:
        """Set one series (NaN and infinities too). Returns the wall-clock time of the change."""
        return self.set_many([(name, labels, value)])

    def set_many(self, series: Iterable[tuple[str, Mapping[str, str], float]]) -> float:
        """Set many series at one moment, which is returned (seconds since 1970)."""
        keyed = [(_key(name, labels), name, labels, value) for name, labels, value in series]
        with self._lock:
            for key, name, labels, value in keyed:
                known = self._series.get(key)
                line = known.line if known else _line(name, labels)
                self._put(key, _Series(line, value))
            self._page = None
            return time.time()

    def set_rate(self, name: str, per_second: float, **labels: str) -> float:
        """Let the series grow by `per_second` from its present value on (from 0 if it is new)."""
        key = _key(name, labels)
        with self._lock:
            now = time.monotonic()
            known = self._series.get(key)
            value = known.at(now) if known else 0.0
            self._put(key, _Series(_line(name, labels), value, per_second, now))
            self._page = None
            return time.time()

    def remove(self, name: str, **labels: str) -> None:
        """The series vanishes; Prometheus marks it stale at the next scrape."""
        with self._lock:
            gone = self._series.pop(_key(name, labels), None)
            if gone is not None and gone.per_second:
                self._growing -= 1
            self._page = None

    def clear(self) -> None:
        with self._lock:
            self._series.clear()
            self._growing = 0
            self._page = None

    # -- faults

    def respond(self, status: int | None) -> None:
        """Answer every scrape with this HTTP status instead of metrics; None: as usual again."""
        self._status = status

    def hang(self, seconds: float) -> None:
        """Wait that long before each answer (0: at once again)."""
        self._hang = seconds

    # -- what the handler needs

    def answer(self) -> tuple[int, bytes]:
        """Status and body of one scrape."""
        if self._hang:
            time.sleep(self._hang)
        self.scrapes += 1
        self.last_scrape = time.time()
        if self._status is not None:
            return self._status, b"told to fail\n"
        with self._lock:
            page = self._page
            if page is None or self._growing:
                now = time.monotonic()
                lines = [f"{one.line} {_number(one.at(now))}\n" for one in self._series.values()]
                page = self._page = "".join(lines).encode()
            return 200, page

    def _put(self, key: _Key, series: _Series) -> None:
        before = self._series.get(key)
        self._growing += bool(series.per_second) - bool(before and before.per_second)
        self._series[key] = series


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # Prometheus keeps its connection open; do not wait for it

    def handle_error(self, request: object, client_address: object) -> None:
        """Prometheus hangs up on slow answers; that is no news."""


def _handler(exporter: Exporter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, body = exporter.answer()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            if exporter._server is None:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
            """Quiet: a scrape a second is no news."""

    return Handler


def _key(name: str, labels: Mapping[str, str]) -> _Key:
    return name, tuple(sorted(labels.items()))


def _line(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    escaped = (
        '{}="{}"'.format(key, str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for key, value in labels.items()
    )
    return f"{name}{{{','.join(escaped)}}}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))

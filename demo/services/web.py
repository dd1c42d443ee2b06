"""The HTTP sides of a sync system: one for its users, and one for metrics and faults."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, urlsplit

from demo.services.faults import ERROR_SHARE, SLOW_REQUEST_SECONDS, Fault, FaultSwitch, parse_fault
from demo.services.metrics import SyncMetrics
from demo.services.spreadsheet import Listing

VERSION_HEADER = "X-Sync-Version"
_MAX_BODY = 4096


class Published:
    """The last run's result, as the web side shows it. None until a first run has come to its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listings: tuple[Listing, ...] | None = None

    def set(self, listings: tuple[Listing, ...]) -> None:
        with self._lock:
            self._listings = listings

    def get(self) -> tuple[Listing, ...] | None:
        with self._lock:
            return self._listings


class _Handler(BaseHTTPRequestHandler):
    # Without these three a reply leaves in several small packets and each request takes over 40 ms.
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True
    timeout = 60.0

    def reply(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {"Content-Type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_args: object) -> None:
        """Quiet: the metrics count the requests."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event worth a traceback."""


def public_server(
    address: tuple[str, int],
    *,
    version: str,
    workload: str,
    published: Published,
    faults: FaultSwitch,
    metrics: SyncMetrics,
) -> Server:
    """``/`` and ``/items`` and ``/healthz``; header and body of each reply name the version that gave it."""
    asked = count(1)

    class Handler(_Handler):
        def do_GET(self) -> None:
            fault = faults.current
            if fault is Fault.SLOW:
                time.sleep(SLOW_REQUEST_SECONDS)
            url = urlsplit(self.path)
            if fault is Fault.ERRORS and url.path != "/healthz" and next(asked) % ERROR_SHARE == 0:
                self._answer(500, {"error": "the sync system is failing"})
                return
            listings = published.get()
            if listings is None:
                self._answer(503, {"error": "no sync has come to its end yet"})
            elif url.path == "/":
                self._answer(200, {"workload": workload, "listings": len(listings)})
            elif url.path == "/items":
                self._items(listings, parse_qs(url.query).get("limit", ["100"])[0])
            elif url.path == "/healthz":
                self._answer(200, {"status": "ok"})
            else:
                self._answer(404, {"error": f"no such path {url.path}: try /, /items or /healthz"})

        def _items(self, listings: tuple[Listing, ...], limit: str) -> None:
            if not limit.isdecimal():
                self._answer(400, {"error": f"limit must be a number, not {limit!r}"})
                return
            self._answer(200, {"items": [asdict(listing) for listing in listings[: int(limit)]]})

        def _answer(self, code: int, body: dict[str, object]) -> None:
            metrics.answered(code)
            text = json.dumps({"version": version, **body}).encode()
            self.reply(code, text, {"Content-Type": "application/json", VERSION_HEADER: version})

    return Server(address, Handler)


def admin_server(
    address: tuple[str, int],
    *,
    faults: FaultSwitch,
    metrics: SyncMetrics,
    more: Callable[[], str] = str,
    end_process: Callable[[int], object] = os._exit,
) -> Server:
    """``GET /metrics`` for Prometheus, with ``more`` at its end; ``GET /fault``, and ``POST /fault {"kind": ...}``."""

    class Handler(_Handler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                text = metrics.render(faults.current) + more().encode()
                self.reply(200, text, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
            elif self.path == "/fault":
                self._say(200, {"fault": faults.current})
            else:
                self._say(404, {"error": f"no such path {self.path}: try /metrics or /fault"})

        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length") or 0)
                if self.path != "/fault" or not 0 < length <= _MAX_BODY:
                    raise ValueError('POST {"kind": ...} to /fault')
                body = json.loads(self.rfile.read(length))
                fault = parse_fault(body.get("kind") if isinstance(body, dict) else body)
            except ValueError as error:
                self.close_connection = True  # what is left of the body is not read
                self._say(400, {"error": str(error)})
                return
            faults.set(fault)
            self._say(200, {"fault": fault})
            if fault is Fault.CRASH:
                end_process(1)

        def _say(self, code: int, body: dict[str, object]) -> None:
            self.reply(code, json.dumps(body).encode())

    return Server(address, Handler)

"""The obeyed epoch as a metric, for the operator to ask Prometheus for: as text, as a gauge, or on a page of its own.

The gauge `syncrollout_shards_epoch` is the protocol (docs/shard-protocol.md); the other two are for people.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from syncrollout.shards.watcher import Shards

EPOCH = "syncrollout_shards_epoch"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UID = re.compile(r"[0-9A-Za-z._-]{1,128}")
_PATIENCE = 10.0  # seconds for a client to say what it wants


class _Child(Protocol):
    def set_function(self, f: Callable[[], float]) -> None: ...


class _Gauge(Protocol):
    def labels(self, *values: str) -> _Child: ...


def metrics(shards: Shards) -> str:
    """Lines in Prometheus' text format, to be put behind those of an existing /metrics page.

    Raises ValueError where the pod's uid is not known.
    """
    uid = _uid(shards)
    obeyed, flight, current = shards.obeyed_epoch, shards.in_flight, shards.assignment
    rows = (
        (EPOCH, "The epoch that this pod obeys: nothing of what it lost until then is in flight.", obeyed),
        ("syncrollout_shards_epoch_seen", "The epoch of the assignment that is followed.", current and current.epoch),
        ("syncrollout_shards_items_in_flight", "Items under way, dry-runs included.", flight),
    )
    return "".join(
        f'# HELP {name} {text}\n# TYPE {name} gauge\n{name}{{uid="{uid}"}} {value or 0}\n' for name, text, value in rows
    )


def feed(shards: Shards, gauge: _Gauge) -> None:
    """Let a gauge of prometheus_client tell the obeyed epoch:

    feed(shards, Gauge("syncrollout_shards_epoch", "The epoch that this pod obeys.", ["uid"]))

    Raises ValueError where the pod's uid is not known.
    """
    gauge.labels(_uid(shards)).set_function(lambda: shards.obeyed_epoch)


class MetricsServer:
    """A page /metrics for programs that have none; a thread of its own. `port` says where, also for port 0."""

    def __init__(self, shards: Shards, address: str = "", port: int = 0) -> None:
        metrics(shards)  # a missing uid is told now and not in a scrape
        self._server = _Server(shards, address, port)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="syncrollout-shards-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(shards: Shards, port: int = 0, address: str = "") -> MetricsServer:
    """Serve /metrics on all addresses, or on one. Raises OSError where the port is taken, ValueError without a uid."""
    return MetricsServer(shards, address, port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, shards: Shards, address: str, port: int) -> None:
        self.shards = shards
        everywhere = not address and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if everywhere or ":" in address else socket.AF_INET
        super().__init__(("::" if everywhere else address, port), _Handler)

    def server_bind(self) -> None:
        if self.server_address[0] == "::":
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "only /metrics is here")
            return
        body = metrics(self.server.shards).encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """A scrape every few seconds is no news."""


def _uid(shards: Shards) -> str:
    if not _UID.fullmatch(shards.uid):
        raise ValueError(
            f"the pod's uid is {shards.uid!r}: set SYNCROLLOUT_POD_UID from the downward API (fieldRef metadata.uid), "
            "for the operator asks for the epoch by it"
        )
    return shards.uid


__all__ = ["CONTENT_TYPE", "EPOCH", "MetricsServer", "feed", "metrics", "serve"]

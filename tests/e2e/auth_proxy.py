"""An https server in front of a real Prometheus that lets through only who shows the right credentials."""

from __future__ import annotations

import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

_TLS = Path(__file__).parents[1] / "observe" / "tls"
CA = (_TLS / "ca.pem").read_text()


class AuthProxy:
    """`with AuthProxy(prometheus.port) as p:`; `p.accepts` is the Authorization header that is let through, and may be
    changed while it runs."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.accepts = ""
        self.refused = 0
        """How many requests showed anything else."""
        self._server: ThreadingHTTPServer | None = None
        self.address = ""

    def __enter__(self) -> Self:
        server = _Server(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_TLS / "server.pem")
        # the handshake is left to the thread of each connection: a client that gives up must not end the server
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server = server
        self.address = f"https://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), name="auth proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Status, content type and body of Prometheus' own answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._behind, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up; that is what some tests are about."""


def _handler(proxy: AuthProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != proxy.accepts:
                proxy.refused += 1
                self._send(401, "text/plain", b"who are you?\n")
                return
            kept = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
            self._send(*proxy.forward(self.command, self.path, body, kept))

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
            """Quiet."""

    return Handler

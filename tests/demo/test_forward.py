"""The way out of the demo's network namespace."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from demo.forward import WayOut


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_what_goes_in_comes_back_on_several_connections_at_once(server: int) -> None:
    with WayOut("127.0.0.1", server) as way:
        port = way.open()
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(5)]
        for turn in range(3):
            for number, connection in enumerate(connections):
                connection.request("POST", "/", f"{turn}-{number}".encode() * 50_000)
            for number, connection in enumerate(connections):
                assert connection.getresponse().read() == f"{turn}-{number}".encode() * 50_000
        for connection in connections:
            connection.close()


def test_closing_it_leaves_nothing_that_listens(server: int) -> None:
    way = WayOut("127.0.0.1", server)
    port = way.open()
    way.close()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with pytest.raises(ConnectionRefusedError):
        connection.request("POST", "/", b"x")
    connection.close()

"""What a kubelet serves of its containers' logs, for the fake nodes: the API server asks it, and so the way from the
operator's right to the line in a file is a real one.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from e2e.scene import Scene
from testbed.kwok import FAKE_KEY
from testbed.waiting import eventually

CERTIFICATE = Path(__file__).parents[1] / "observe" / "tls" / "server.pem"
"""API servers of the testbed are given no authority for kubelets, and take any."""
Printed = Callable[[str, str, bool], str | None]
"""From pod, container and whether the one before it is meant, to what it has printed; None where there is none."""


@contextmanager
def log_server(scene: Scene, printed: Printed) -> Iterator[None]:
    """All fake nodes say that their kubelet is here."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = parse_qs(url.query)
            parts = url.path.split("/")
            said = printed(parts[3], parts[4], asked.get("previous") == ["true"]) if len(parts) == 5 else None
            lines = (said or "").splitlines(keepends=True)[-int(asked.get("tailLines", ["1000"])[0]) :]
            self.send_response(404 if said is None else 200)
            self.end_headers()
            self.wfile.write("".join(lines).encode()[: int(asked.get("limitBytes", ["1000000"])[0])])

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kube = scene.kube
    before = {each["metadata"]["name"]: each["status"] for each in kube.list("v1", "Node", selector=f"{FAKE_KEY}=true")}
    here = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_port}},
    }
    try:
        for name in before:
            kube.patch("v1", "Node", name, "", {"status": here}, subresource="status")
        yield
    finally:
        for name, status in before.items():
            kept = {key: status.get(key) for key in here}
            kube.patch("v1", "Node", name, "", {"status": kept}, subresource="status")
        eventually(lambda: kube.list("v1", "Node", selector=FAKE_KEY) != [], what="the nodes to be there")
        server.shutdown()
        thread.join(10)
        server.server_close()

"""A wire between a client and a server that can be cut: nothing passes either way, connections stay open, and what was
under way arrives once it is mended. So does a network that drops packets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit

LOOKS = 0.02
"""Seconds between looks whether it is cut, mended, or to end."""
PIECE = 1 << 16


class Relay:
    """Forwards TCP on `url`, a port of its own on loopback, to a server; `cut` and `mend` it."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._server = parts.hostname or "127.0.0.1", parts.port or 443
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LOOKS)
        self.url = f"{parts.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._cut = threading.Event()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()

    def cut(self) -> None:
        """Nothing passes from now on."""
        self._cut.set()

    def mend(self) -> None:
        """All goes on."""
        self._cut.clear()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        self._wait()
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.settimeout(LOOKS)
        back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
        back.start()
        self._pass_on(client, server)
        back.join()
        client.close()
        server.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """Until one side ends; the other one hears of it."""
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                try:
                    piece = source.recv(PIECE)
                except TimeoutError:
                    continue
                self._wait()
                if not piece:
                    break
                self._send(sink, piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _send(self, sink: socket.socket, piece: bytes) -> None:
        while piece and not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                piece = piece[sink.send(piece) :]

    def _wait(self) -> None:
        while self._cut.is_set() and not self._over.is_set():
            time.sleep(LOOKS)

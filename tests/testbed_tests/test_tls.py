"""A connection to a program that is killed right before the handshake leaves nothing open."""

from __future__ import annotations

import gc
import http.client
import socket
import ssl
import struct
from typing import Any

import pytest

from testbed.tls import connect


def test_whoever_is_gone_before_the_handshake_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context()
    wrap = context.wrap_socket
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset_and_wrap(plain: socket.socket, **how: Any) -> ssl.SSLSocket:
            accepted, _ = server.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            return wrap(plain, **how)

        monkeypatch.setattr(context, "wrap_socket", reset_and_wrap)
        connection = http.client.HTTPSConnection(*server.getsockname(), timeout=5, context=context)
        with pytest.raises(ConnectionResetError):
            connect(connection)
        connection.close()
    gc.collect()  # what is left open is told by a warning, which fails the test

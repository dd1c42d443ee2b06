"""Connections by TLS to programs that are killed at any moment."""

from __future__ import annotations

import http.client
import ssl
import traceback


def connect(connection: http.client.HTTPConnection) -> None:
    """As its own method does; of one that fails nothing is left open. Where the other side is gone right before the
    handshake, the ssl module raises with a socket in hand that nobody else can close (`SSLSocket._create`)."""
    try:
        connection.connect()
    except OSError as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in list(frame.f_locals.values()):
                if isinstance(value, ssl.SSLSocket):
                    value.close()
        raise


__all__ = ["connect"]

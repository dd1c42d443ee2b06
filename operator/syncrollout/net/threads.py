"""Connections of libraries that open their own, in a thread: whatever such a library looks up is judged by
`Destinations`, and it connects to what is left of it. `requests` and `smtplib` look up addresses, too."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from syncrollout.net.destinations import Destinations, Refused

_here = threading.local()
_asked = socket.getaddrinfo


class Watch:
    """What was refused in this thread: what was looked up, and why it is not called, in words."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []


@contextlib.contextmanager
def judged(destinations: Destinations) -> Iterator[Watch]:
    """In this thread, connections are opened to where `destinations` let them go."""
    socket.getaddrinfo = _look_up
    watch = Watch()
    _here.judge = destinations, watch
    try:
        yield watch
    finally:
        del _here.judge


def _look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    judge: tuple[Destinations, Watch] | None = getattr(_here, "judge", None)
    if judge is None:
        return _asked(host, port, *args, **kwargs)
    destinations, watch = judge
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    number = int(port) if isinstance(port, int) or str(port).isdecimal() else 0
    try:
        said = destinations.of_name(name, number)
        if said:
            raise Refused(said)
        return destinations.permitted(name, _asked(host, port, *args, **kwargs), number)
    except Refused as error:
        watch.refused.append((name.lower().rstrip("."), str(error)))
        raise


__all__ = ["Watch", "judged"]

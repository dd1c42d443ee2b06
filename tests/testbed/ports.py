"""Free ports on the loopback address.

They are taken from below the range that the kernel gives to outgoing connections. A port out of that
range could be handed to some client between our choosing and the server's listening; worse, a client
that polls a loopback port nobody listens on yet can, once in a while, connect to itself.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

from testbed.errors import TestbedError

_FIRST = 20000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port of `address` that nobody listens on and that this process was not given before."""
    for _ in range(500):
        port = random.randrange(_FIRST, _first_ephemeral())
        if port not in _given and can_listen(address, port):
            _given.add(port)
            return port
    raise TestbedError(f"no free TCP port found on {address}; end programs left over from earlier runs")


def _first_ephemeral() -> int:
    try:
        first = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768
    return first if first > _FIRST + 1000 else 32768


def can_listen(address: str, port: int) -> bool:
    """Nobody listens there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return False
    return True

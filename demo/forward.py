"""A way out of the demo's network namespace to the one API server it was told to use.

The namespace has no outside network. A child of the demo that stays outside is handed a socket that listens inside,
and passes each connection on to the API server, byte for byte: TLS stays end to end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
from typing import Self

from demo.plan import REPOSITORY

_CHUNK = 65536


class WayOut:
    """Make it outside, `open` it inside. ``host`` and ``port`` are the API server's."""

    def __init__(self, host: str, port: int) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "demo.forward", "--fd", str(theirs.fileno()), "--to", f"{host}:{port}"],
                pass_fds=[theirs.fileno()],
                cwd=REPOSITORY,
                start_new_session=True,
            )

    def open(self) -> int:
        """Listens on 127.0.0.1 of the namespace that this process is in now; returns the port."""
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            port = int(listener.getsockname()[1])
            socket.send_fds(self._ours, [b"l"], [listener.fileno()])
        return port

    def close(self) -> None:
        self._ours.close()
        self._child.terminate()
        self._child.wait(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _serve(listener: socket.socket, host: str, port: int, parent: socket.socket) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # either side may go at any time
            try:
                there_reader, there_writer = await asyncio.open_connection(host, port)
                try:
                    await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
                finally:
                    there_writer.close()
            finally:
                writer.close()

    async with await asyncio.start_server(pass_on, sock=listener):
        # the parent says nothing more: end of file means that it is gone
        await asyncio.get_running_loop().sock_recv(parent, 1)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
    finally:
        with contextlib.suppress(OSError):
            sink.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.forward", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="a socket on which the listening one arrives")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    args = parser.parse_args(argv)
    host, _, port = args.to.rpartition(":")
    with socket.socket(fileno=args.fd) as parent:
        _, fds, _, _ = socket.recv_fds(parent, 1, 1)
        if not fds:
            return 0  # the parent went before it had something to pass on
        parent.setblocking(False)
        with socket.socket(fileno=fds[0]) as listener:
            listener.setblocking(False)
            asyncio.run(_serve(listener, host, int(port), parent))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A web server behind the proxy: answers every request at once and says who it is.

`Backend` starts it as a process of its own: `python -m testbed.backend NAME ADDRESS PORT`.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
from pathlib import Path
from typing import Self

from testbed.process import Process, python

HEADER = "X-Backend"
COUNT = "/how-many-were-answered"
"""The path of a question that is not counted; HEADER of the answer is the number."""


class Backend:
    """`with Backend("old", "10.200.0.1", 9000, run_dir=...)`: listens when it is entered.

    address: one of `netns.BACKENDS`, or "0.0.0.0" to answer for every fake pod at this port.
    """

    def __init__(self, name: str, address: str, port: int, *, run_dir: Path) -> None:
        self.name, self.address, self.port = name, address, port
        source_root = str(Path(__file__).resolve().parents[1])
        self.process = Process(
            f"backend-{name}",
            python("testbed.backend", name, address, str(port)),
            run_dir=run_dir,
            env={"PYTHONPATH": source_root},
        )

    def start(self) -> Self:
        self.process.start(self._listens, timeout=15)
        return self

    def stop(self) -> None:
        self.process.stop()

    @property
    def answered(self) -> int:
        """How many requests it has answered, these questions left out."""
        connection = http.client.HTTPConnection(self._host, self.port, timeout=5)
        try:
            connection.request("GET", COUNT)
            return int(connection.getresponse().headers[HEADER])
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listens(self) -> bool:
        with socket.create_connection((self._host, self.port), timeout=1):
            return True

    @property
    def _host(self) -> str:
        return "127.0.0.1" if self.address == "0.0.0.0" else self.address  # noqa: S104 - inside the namespace


_COUNT = f"GET {COUNT} ".encode()


class _Answering(asyncio.Protocol):
    """Just enough HTTP/1.1 for a proxy's kept-alive connections: requests without a body."""

    counted = 0
    """By all connections."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._received = (self._received + data).split(b"\r\n\r\n")
        if self._transport is not None:
            for request in whole:
                if request.startswith(_COUNT):
                    head = f"HTTP/1.1 200 OK\r\n{HEADER}: {_Answering.counted}\r\nContent-Length: 0\r\n\r\n"
                    self._transport.write(head.encode())
                    continue
                _Answering.counted += 1
                self._transport.write(self._answer)


async def _serve(name: str, address: str, port: int) -> None:
    body = f"{name}\n".encode()
    head = f"HTTP/1.1 200 OK\r\n{HEADER}: {name}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    server = await asyncio.get_running_loop().create_server(
        lambda: _Answering(head.encode() + body), address, port, reuse_address=True
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))

"""Real requests through the proxy, one after another, and what became of each. Always bounded."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from testbed.backend import HEADER
from testbed.errors import TestbedError

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it was sent (seconds since 1970), who answered, the HTTP status, how long it took.

    `backend` is the X-Backend header, or the first 20 characters of the body where there is none;
    `status` is 0 if the connection broke.
    """

    time: float
    backend: str
    status: int
    seconds: float

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


class Client:
    """One kept-alive connection to the proxy, asking for one host."""

    def __init__(self, address: Address, host: str, path: str = "/", timeout: float = 10.0) -> None:
        self._host, self._path = host, path
        self._connection = http.client.HTTPConnection(*address, timeout=timeout)
        self._connected = False

    def send(self) -> Request:
        began, clock = time.time(), time.monotonic()
        try:
            if not self._connected:
                self._connection.connect()
                self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connected = True
            self._connection.request("GET", self._path, headers={"Host": self._host})
            response = self._connection.getresponse()
            body = response.read()
            if response.will_close:
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Request(began, type(error).__name__, 0, time.monotonic() - clock)
        backend = response.headers.get(HEADER) or body[:20].decode(errors="replace").strip()
        return Request(began, backend, response.status, time.monotonic() - clock)

    def close(self) -> None:
        self._connection.close()
        self._connected = False


def split(address: Address, host: str, n: int = 200, path: str = "/") -> Counter[str]:
    """Send n requests and count who answered; anything but 200 is counted as "503:words"."""
    client = Client(address, host, path)
    try:
        answers = [client.send() for _ in range(n)]
    finally:
        client.close()
    return Counter(one.backend if one.status == 200 else f"{one.status}:{one.backend}" for one in answers)


class LoadGenerator:
    """Sends `rate` requests per second from entering to leaving, at most `max_requests` in `max_seconds`.

    It runs in a thread and sends one request at a time: if answers are slower than the rate, so is it.
    """

    def __init__(
        self,
        address: Address,
        host: str,
        *,
        rate: float = 200.0,
        max_seconds: float = 60.0,
        max_requests: int = 20_000,
        path: str = "/",
    ) -> None:
        self._address, self._host, self._path = address, host, path
        self._rate, self._max_seconds, self._max_requests = rate, max_seconds, max_requests
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._requests: list[Request] = []
        self.on_request: Callable[[Request], None] | None = None

    def start(self) -> Self:
        if self._thread is not None:
            raise TestbedError("this load generator was started already; make a new one")
        self._thread = threading.Thread(target=self._run, name=f"load-{self._host}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def samples(self) -> list[Request]:
        """All requests so far, in order of sending."""
        return list(self._requests)

    @property
    def failed(self) -> int:
        """How many requests broke or were answered with 500 and above."""
        return sum(one.failed for one in self.samples)

    def since(self, begin: float, until: float | None = None) -> list[Request]:
        """The requests sent from `begin` to `until` (seconds since 1970)."""
        return [one for one in self.samples if one.time >= begin and (until is None or one.time < until)]

    def share(self, backend: str, since: float = 0.0, until: float | None = None) -> float | None:
        """The part (0 to 1) of the answered requests in that time that `backend` answered; None if there are none."""
        answered = [one for one in self.since(since, until) if not one.failed]
        return sum(one.backend == backend for one in answered) / len(answered) if answered else None

    def _run(self) -> None:
        client = Client(self._address, self._host, self._path)
        began = due = time.monotonic()
        try:
            while len(self._requests) < self._max_requests and due - began < self._max_seconds:
                one = client.send()
                self._requests.append(one)
                if self.on_request is not None:
                    self.on_request(one)
                # the next on the grid; what was missed is not caught up with in a burst
                due = max(due + 1 / self._rate, time.monotonic())
                if self._stop.wait(due - time.monotonic()):
                    return
        finally:
            client.close()

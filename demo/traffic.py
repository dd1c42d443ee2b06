"""The demo's own clients: a bounded load through the proxy that notes which version answered each request."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

VERSION_HEADER = "X-Sync-Version"
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One request. ``ended`` in seconds of time.monotonic; ``version`` is None where neither system answered."""

    ended: float
    version: str | None
    status: int
    seconds: float

    @property
    def failed(self) -> bool:
        return not 200 <= self.status < 300


class Traffic:
    """``rate`` requests a second in all from ``clients`` threads, until `stop` or ``most`` requests."""

    def __init__(
        self,
        address: tuple[str, int],
        host: str,
        *,
        path: str = "/",
        rate: float = 60.0,
        clients: int = 6,
        most: int = 40_000,
    ) -> None:
        self._address, self.host, self._path = address, host, path
        self._pause = clients / rate
        self._most = most
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(index / rate,), name=f"client {index}", daemon=True)
            for index in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(_TIMEOUT + 1)

    def answers(self, since: float = 0.0) -> list[Answer]:
        """Those that ended at or after ``since`` (time.monotonic), in the order in which they ended."""
        with self._lock:
            newest_first = reversed(self._answers)
            taken = []
            for answer in newest_first:
                if answer.ended < since:
                    break
                taken.append(answer)
        return taken[::-1]

    def probe(self) -> Answer:
        """One request that is not counted."""
        connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT)
        try:
            return self._ask(connection)
        finally:
            connection.close()

    def _client(self, head_start: float) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=_TIMEOUT)
        due = time.monotonic() + head_start
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pause, time.monotonic())  # a slow answer is not made up for by a burst
            answer = self._ask(connection)
            with self._lock:
                if len(self._answers) >= self._most:
                    return
                self._answers.append(answer)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> Answer:
        began = time.monotonic()
        try:
            connection.request("GET", self._path, headers={"Host": self.host})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            ended = time.monotonic()
            return Answer(ended, None, 0, ended - began)
        ended = time.monotonic()
        return Answer(ended, response.getheader(VERSION_HEADER), response.status, ended - began)


def share_of_new(answers: Iterable[Answer]) -> float | None:
    """Percent of the answers that came from new, of those that name a version; None where none does."""
    counted = Counter(answer.version for answer in answers if answer.version is not None)
    total = counted.total()
    return 100.0 * counted["new"] / total if total else None

"""The page's real server, in a thread with a loop of its own, over rollouts that a test holds in its hand."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.kube import FakeKube
from syncrollout.observe.credentials import Credentials
from syncrollout.ports import Endpoint, KubeApi, SeriesSource
from syncrollout.runtime.certificates import ServedCertificate
from syncrollout.runtime.doors import BearerToken, Door
from syncrollout.runtime.reviews import Reviews
from syncrollout.runtime.rollouts import Key, Rollouts
from syncrollout.ui.gate import LOOPBACK, Gate
from syncrollout.ui.looking import Looking
from syncrollout.ui.recordings import Recordings
from syncrollout.ui.server import Outcome, UiServer


@dataclass
class Served:
    """A server that runs."""

    loop: asyncio.AbstractEventLoop
    rollouts: Rollouts
    server: UiServer
    outcomes: list[Outcome]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server.port}/"

    def put(self, raw: dict[str, Any]) -> None:
        """An object has changed."""
        self.do(lambda: self.rollouts.put(raw))

    def remove(self, namespace: str, name: str) -> None:
        """An object is gone."""
        self.do(lambda: self.rollouts.remove(Key(namespace, name)))

    def do(self, what: Callable[[], object]) -> None:
        """Something in the server's loop, done when this returns."""

        async def call() -> None:
            what()

        asyncio.run_coroutine_threadsafe(call(), self.loop).result(5)


@contextmanager
def serving(
    raws: list[dict[str, Any]],
    source: SeriesSource,
    *,
    token_file: Path | None = None,
    reviewer: KubeApi | None = None,
    keep: float = 60.0,
    certificate: ServedCertificate | None = None,
    now: Callable[[], float] = time.time,
    leads: bool = False,
    has_time: Callable[[Endpoint], bool] = lambda _: True,
    **options: Any,
) -> Iterator[Served]:
    """The server, until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    rollouts, outcomes = Rollouts(), []

    async def begin() -> UiServer:
        token = BearerToken(token_file, "the page") if token_file is not None else None
        door = Door(token, Reviews(reviewer, keep=keep) if reviewer is not None else None)
        server = UiServer(
            "127.0.0.1",
            gate=Gate(door=door, names=() if door.asks else LOOPBACK),
            looking=Looking(rollouts, leads=lambda _: leads, acts=lambda: leads, now=now),
            recordings=Recordings(source, Credentials(FakeKube()), has_time=has_time, now=now),
            observe=outcomes.append,
            **options,
        )
        for raw in raws:
            rollouts.put(raw)
        await server.start(0, certificate)
        return server

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield Served(loop, rollouts, server, outcomes)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

"""Services in memory at the Prober port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from syncrollout.ports import Answer, ProbeFailed


class Answering:
    """`syncrollout.ports.Prober`: every Service answers what `answer` says, or nothing."""

    def __init__(self) -> None:
        self.answer: Callable[[str], int | None] = lambda _: 200
        """From `service:port/path` to the status code; None for no answer."""
        self.asked: list[str] = []
        """Everything that was asked, with the namespace before it."""

    async def get(
        self, namespace: str, service: str, port: int, path: str, timeout: float, *, tls: bool = False
    ) -> Answer:
        """See the port."""
        what = f"{service}:{port}{path}"
        self.asked.append(f"{namespace}/{what}")
        await asyncio.sleep(0.01)
        status = self.answer(what)
        if status is None:
            raise ProbeFailed("no answer: connection refused")
        return Answer(status, b"all is well", 0.01)

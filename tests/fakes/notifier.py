"""A service that people are reached by, for faults: what comes of each attempt is what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from syncrollout.decide.deliveries import Delivered, Delivery
from syncrollout.ports import AlertmanagerWay, AppriseWay, Outgoing


class FakeNotifier:
    """`answers` says what comes of a message; `delay` how long that takes."""

    def __init__(self, answers: Callable[[Outgoing], Delivered] = lambda _: Delivered.SENT, delay: float = 0.0) -> None:
        self.answers = answers
        self.delay = delay
        self.came: list[tuple[AppriseWay | AlertmanagerWay, Outgoing]] = []
        """What has reached people, in order, and by which way; what is uncertain has."""
        self.at_once = 0
        self.most_at_once = 0

    @property
    def arrived(self) -> list[Outgoing]:
        """What has reached people, in order."""
        return [message for _, message in self.came]

    async def send(self, way: AppriseWay | AlertmanagerWay, message: Outgoing) -> Delivery:
        """See ports.Notifier."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            result = self.answers(message)
            if result is not Delivered.FAILED:
                self.came.append((way, message))
            await asyncio.sleep(self.delay)
        finally:
            self.at_once -= 1
        return Delivery(result, "" if result is Delivered.SENT else "it did not answer")

"""All ways to reach people, as one Notifier."""

from __future__ import annotations

import time
from collections.abc import Callable

from syncrollout.act.alertmanager import AlertmanagerNotifier
from syncrollout.act.apprise import AppriseNotifier
from syncrollout.decide.deliveries import Delivery
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.ports import AlertmanagerWay, AppriseWay, Outgoing


class Channels:
    """See ports.Notifier."""

    def __init__(self, destinations: Destinations = ANYWHERE, *, now: Callable[[], float] = time.time) -> None:
        self._apprise = {urgent: AppriseNotifier(destinations) for urgent in (False, True)}
        """Threads of their own for what is urgent: others may all hang."""
        self._alertmanager = AlertmanagerNotifier(destinations, now=now)

    async def send(self, way: AppriseWay | AlertmanagerWay, message: Outgoing) -> Delivery:
        """See ports.Notifier."""
        if isinstance(way, AlertmanagerWay):
            return await self._alertmanager.send(way, message)
        return await self._apprise[message.urgent].send(way, message)

    async def close(self) -> None:
        """Let go of threads and connections."""
        for each in self._apprise.values():
            each.close()
        await self._alertmanager.close()


__all__ = ["Channels"]

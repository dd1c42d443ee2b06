"""Messages as alerts of an Alertmanager, by its API v2. It takes an alert with the same labels for the same one, so a
message may be sent again whenever it is not certain that it has arrived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import aiohttp
from yarl import URL

from syncrollout.api.fields import format_time
from syncrollout.decide.deliveries import Delivered, Delivery
from syncrollout.net.connecting import connector, refusal, why_refused
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.ports import AlertmanagerWay, Outgoing

TIMEOUT: Final = 10.0
FIRES_FOR: Final = 3600.0
"""Seconds after which Alertmanager takes the alert for resolved: a message tells of a moment."""


class AlertmanagerNotifier:
    """See ports.Notifier, for AlertmanagerWay."""

    def __init__(self, destinations: Destinations = ANYWHERE, *, now: Callable[[], float] = time.time) -> None:
        self._destinations = destinations
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def send(self, way: AlertmanagerWay, message: Outgoing) -> Delivery:
        """See ports.Notifier."""
        try:
            said = refusal(self._destinations, URL(way.address))
        except ValueError:
            said = "its address is no URL"
        if said:
            return Delivery(Delivered.FAILED, said)
        headers = {"Authorization": f"Bearer {way.bearer_token.strip()}"} if way.bearer_token is not None else {}
        try:
            async with asyncio.timeout(TIMEOUT):
                async with self._client().post(
                    f"{way.address.rstrip('/')}/api/v2/alerts",
                    json=[alert(message, self._now())],
                    headers=headers,
                    allow_redirects=False,
                ) as answer:
                    if 200 <= answer.status < 300:
                        return Delivery(Delivered.SENT)
                    return Delivery(Delivered.FAILED, f"it answered {answer.status}")
        except (aiohttp.ClientError, ValueError) as error:
            if said := why_refused(error):
                return Delivery(Delivered.FAILED, said)
            return Delivery(Delivered.UNCERTAIN, f"no answer: {type(error).__name__}")
        except TimeoutError:
            return Delivery(Delivered.UNCERTAIN, f"no answer within {TIMEOUT:.0f} s")

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(self._destinations), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        return self._session


def alert(message: Outgoing, now: float) -> dict[str, object]:
    """The alert of a message; its labels are the same whenever it is sent."""
    return {
        "labels": {
            "alertname": f"SyncRollout{message.labels.get('event', '')}",
            **message.labels,
            "message": message.id,
        },
        "annotations": {"summary": message.title, "description": message.body},
        "startsAt": format_time(message.time),
        "endsAt": format_time(max(message.time, now) + FIRES_FOR),
    }


__all__ = ["AlertmanagerNotifier", "alert"]

"""Where rollouts may have the operator go, by its settings and by where its own API server is."""

from __future__ import annotations

import asyncio
import logging
import socket

from yarl import URL

from syncrollout.net.destinations import Destinations, Entry
from syncrollout.runtime.kubeconfig import Connection
from syncrollout.runtime.settings import Settings

log = logging.getLogger(__name__)


async def destinations_of(settings: Settings, connection: Connection) -> Destinations:
    """What may be called. Where the API server's name leads is looked up now, and not again."""
    url = URL(connection.host)
    host, port = (url.host or "").lower(), url.port or 443
    found = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        log.warning("the API server's name %s leads nowhere (%s): rollouts are refused it by name alone", host, error)
    made = Destinations(
        allowed=tuple(map(Entry.of, settings.allow_destinations)),
        refused=tuple(map(Entry.of, settings.refuse_destinations)),
        api_host=(host, port),
        tls_only=settings.tls_only,
    )
    return made.beside((str(where[0]), port) for *_, where in found)


__all__ = ["destinations_of"]

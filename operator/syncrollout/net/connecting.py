"""Connections of aiohttp that `Destinations` judges: what a name leads to when it is looked up, and what is written as
an address when its socket is made, for no name is looked up then."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from syncrollout.net.destinations import AddressInfo, Destinations, Refused

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class _Resolver(AbstractResolver):
    def __init__(self, destinations: Destinations, *, named: bool) -> None:
        self._destinations = destinations
        self._named = named

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        said = self._destinations.of_name(host, port, named=self._named)
        if said:
            raise Refused(said)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        return [
            ResolveResult(
                hostname=host, host=str(where[0]), port=port, family=family, proto=protocol, flags=int(_NUMERIC)
            )
            for family, _, protocol, _, where in self._destinations.permitted(host, found, port, named=self._named)
        ]

    async def close(self) -> None:
        pass


def connector(
    destinations: Destinations, *, named: bool = True, force_close: bool = False, tls: bool = True
) -> aiohttp.TCPConnector:
    """For sessions that a rollout has the operator open. `named`: it is the rollout that says the host. `tls`: the
    session speaks it; the system's authorities are read for it anew, which takes some milliseconds."""

    def made(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, where = info
        host, port = str(where[0]), int(where[1])
        # What a name has led to was let through by that name, so that only what the address is counts here.
        said = destinations.of_address(host, host, port, named=False)
        if said:
            raise Refused(said)
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        resolver=_Resolver(destinations, named=named),
        use_dns_cache=False,
        socket_factory=made,
        force_close=force_close,
        ssl=ssl.create_default_context() if tls else True,
    )


def refusal(destinations: Destinations, url: URL, *, named: bool = True) -> str:
    """Why a URL is not called, by what is written in it; empty where that is not known yet."""
    said = destinations.of_scheme(url.scheme == "https")
    return said or destinations.of_name(url.host or "", url.port or 0, named=named)


def why_refused(error: BaseException | None) -> str:
    """What `Destinations` has said, where that is what an error comes from; else empty."""
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, Refused):
            return str(error)
        inner = getattr(error, "os_error", None)
        error, seen = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__, seen + 1
    return ""


__all__ = ["connector", "refusal", "why_refused"]

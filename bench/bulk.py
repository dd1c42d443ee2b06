"""Many objects at once: a raw client of some connections, for one that makes thousands takes minutes."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from testbed.controlplane import ControlPlane

CLIENTS = 12
"""Requests under way at one moment: with more of them the API server of two cores gets no faster."""
HEADERS = {"Content-Type": "application/json", "User-Agent": "bench"}


@dataclass(frozen=True, slots=True)
class Make:
    """One object to be made, and the path of its kind."""

    path: str
    obj: dict[str, Any]


def make_all(control_plane: ControlPlane, wanted: Sequence[Make]) -> None:
    """Make them all; raises RuntimeError with the first answer that is no success."""
    asyncio.run(_make_all(control_plane, wanted))


async def _make_all(control_plane: ControlPlane, wanted: Sequence[Make]) -> None:
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    headers = {**HEADERS, "Authorization": f"Bearer {control_plane.admin_token}"}
    connector = aiohttp.TCPConnector(limit=CLIENTS, ssl=context)
    coming = iter(wanted)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session, asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_some(session, control_plane.server, coming))


async def _some(session: aiohttp.ClientSession, server: str, coming: Iterable[Make]) -> None:
    for one in coming:
        await _send(session, "POST", f"{server}{one.path}", one.obj)


async def _send(
    session: aiohttp.ClientSession, method: str, url: str, body: Any, content_type: str = "application/json"
) -> None:
    data = json.dumps(body, separators=(",", ":")).encode()
    async with session.request(method, URL(url, encoded=True), data=data, headers={"Content-Type": content_type}) as a:
        content = await a.read()
        if a.status >= 300:
            raise RuntimeError(f"{method} {url}: {a.status} {content[:400].decode(errors='replace')}")

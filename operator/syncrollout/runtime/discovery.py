"""From a kind to the path where the API server serves it: one request for each group version, kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from syncrollout.ports import KindNotServed, KindRef, NotFound

REFRESH_SECONDS = 3.0
"""How often a kind that is not served is looked for again: its CRD may be applied at any moment."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a kind is served: `root` is `/api/v1` or `/apis/GROUP/VERSION`, `plural` its name in paths."""

    root: str
    plural: str
    namespaced: bool


@dataclass(slots=True)
class _GroupVersion:
    read_at: float
    served: bool
    resources: dict[str, Resource] = field(default_factory=dict)


class Discovery:
    """`fetch` reads an absolute path and answers its JSON; NotFound where a group version is not served."""

    def __init__(
        self, fetch: Callable[[KindRef, str], Awaitable[Any]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, _GroupVersion] = {}
        self._under_way: dict[str, asyncio.Task[_GroupVersion]] = {}

    async def find(self, kind: KindRef) -> Resource:
        """Raises KindNotServed, and whatever `fetch` raises."""
        known = self._known.get(kind.api_version)
        if known is not None and kind.kind in known.resources:
            return known.resources[kind.kind]
        if known is None or self._clock() - known.read_at >= REFRESH_SECONDS:
            known = await self._read(kind)
        found = known.resources.get(kind.kind)
        if found is not None:
            return found
        if known.served:
            raise KindNotServed(
                f"the API server serves {kind.api_version} but no kind {kind.kind} in it; check the spelling "
                f"(`kubectl api-resources` lists what there is)"
            )
        raise KindNotServed(
            f"the API server does not serve {kind}: check apiVersion and kind, or apply the CRD that defines it"
        )

    def forget(self, kind: KindRef) -> None:
        """Look the kind up again at its next use: a request has just found its path gone."""
        self._known.pop(kind.api_version, None)

    async def _read(self, kind: KindRef) -> _GroupVersion:
        """One request however many ask; it goes on when one of them gives up."""
        task = self._under_way.get(kind.api_version)
        if task is None:
            task = asyncio.create_task(self._request(kind), name=f"discovery {kind.api_version}")
            self._under_way[kind.api_version] = task
            task.add_done_callback(lambda done: self._finish(kind.api_version, done))
        return await asyncio.shield(task)

    def _finish(self, api_version: str, done: asyncio.Task[_GroupVersion]) -> None:
        self._under_way.pop(api_version, None)
        if not done.cancelled():
            done.exception()  # looked at, so that nobody left waiting is no "exception was never retrieved"

    async def _request(self, kind: KindRef) -> _GroupVersion:
        version = kind.api_version
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        try:
            answer = await self._fetch(kind, root)
        except NotFound:
            known = _GroupVersion(self._clock(), served=False)
        else:
            resources = {
                str(each["kind"]): Resource(root, str(each["name"]), bool(each.get("namespaced")))
                for each in answer.get("resources") or ()
                if "/" not in each["name"]
            }
            known = _GroupVersion(self._clock(), served=True, resources=resources)
        self._known[version] = known
        return known

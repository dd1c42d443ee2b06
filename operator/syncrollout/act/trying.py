"""The API server as a drill sees it: what is written is checked, and nothing is changed."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable
from typing import Any, Self

from syncrollout.ports import (
    ActingApi,
    Behalf,
    KindRef,
    KubeApi,
    Listing,
    Object,
    ObjectCache,
    ObjectRef,
    PatchType,
    Turn,
    WatchEvent,
)


class TryingApi:
    """`syncrollout.ports.ActingApi` on another one: each write is a dry run, after everybody else's. `sent` has
    them."""

    def __init__(self, api: ActingApi) -> None:
        self._own = api
        self._api: KubeApi = api
        self.sent: list[ObjectRef] = []

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> Self:
        """See ports.OnBehalf."""
        other = copy.copy(self)
        other._api = self._own.acting_as(behalf, moves=moves)  # noqa: SLF001 - a copy of itself
        return other

    async def get(self, ref: ObjectRef, *, subresource: str = "") -> Object:
        """See the port."""
        return await self._api.get(ref, subresource=subresource)

    async def list(
        self,
        kind: KindRef,
        namespace: str = "",
        *,
        label_selector: str = "",
        names_only: bool = False,
        project: Callable[[Object], Object] | None = None,
    ) -> Listing:
        """See the port."""
        return await self._api.list(
            kind, namespace, label_selector=label_selector, names_only=names_only, project=project
        )

    def watch(
        self,
        kind: KindRef,
        namespace: str,
        resource_version: str,
        *,
        label_selector: str = "",
        names_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """See the port."""
        return self._api.watch(kind, namespace, resource_version, label_selector=label_selector, names_only=names_only)

    async def patch(
        self,
        ref: ObjectRef,
        patch: Any,
        kind: PatchType,
        *,
        subresource: str = "",
        urgent: bool = False,
        turn: Turn = Turn.FIRST,
        dry_run: bool = True,
    ) -> Object:
        """See the port."""
        self.sent.append(ref)
        return await self._api.patch(ref, patch, kind, subresource=subresource, turn=Turn.LAST, dry_run=True)

    async def create(self, ref: ObjectRef, body: Object, *, turn: Turn = Turn.FIRST, dry_run: bool = True) -> Object:
        """See the port."""
        self.sent.append(ref)
        return await self._api.create(ref, body, turn=Turn.LAST, dry_run=True)


class UntouchedCache:
    """`syncrollout.ports.ObjectCache` on another one, which learns nothing: what a dry run answers is not so."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    async def fetch(self, ref: ObjectRef, *, user: str, label: str = "", names_only: bool = False) -> Object | None:
        """See the port."""
        return await self._cache.fetch(ref, user=user, label=label, names_only=names_only)

    def update(self, obj: Object) -> None:
        """Nothing is taken in."""

    def forget(self, user: str) -> None:
        """Nothing is forgotten."""


__all__ = ["TryingApi", "UntouchedCache"]

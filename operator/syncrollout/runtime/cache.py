"""The cache of watched objects behind the ObjectCache port: informers, started on first use."""

from __future__ import annotations

import asyncio

from syncrollout.ports import Object, ObjectRef, Unavailable
from syncrollout.runtime.informers import Informers
from syncrollout.runtime.projections import project_workload

FIRST_LIST = 5.0
"""Seconds that a pass waits for the first list of a kind that was not watched before."""
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "CronJob"})


class WatchedObjects:
    """Objects as last seen by the informers."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers

    async def fetch(self, ref: ObjectRef, *, user: str, label: str = "", names_only: bool = False) -> Object | None:
        """See ports.ObjectCache."""
        informer = self._informers.acquire(ref.kind, label=label, names_only=names_only, user=user)
        if not informer.tried.is_set():
            try:
                async with asyncio.timeout(FIRST_LIST):
                    await informer.tried.wait()
            except TimeoutError as error:
                message = f"{ref.kind} could not be listed within {FIRST_LIST:.0f} s"
                raise Unavailable(message) from error
        refusal = informer.refusal
        if refusal is not None:
            raise refusal
        if not informer.synced.is_set():
            raise informer.error or Unavailable(f"{ref.kind} is not listed yet")
        obj = informer.get(ref.namespace, ref.name)
        if obj is None and informer.error is not None:
            # Made while nobody watched? That something does not exist is said only by a watch that is alive.
            message = f"{ref} is not known, and {ref.kind} cannot be watched just now: {informer.error}"
            raise Unavailable(message) from informer.error
        return obj

    def update(self, obj: Object) -> None:
        """See ports.ObjectCache."""
        self._informers.update(obj)

    def forget(self, user: str) -> None:
        """See ports.ObjectCache."""
        self._informers.forget(user)


def trim(obj: Object) -> Object:
    """Of workloads what counts; of routes everything, for patches rest on it."""
    return project_workload(obj) if obj.get("kind") in _WORKLOADS else obj

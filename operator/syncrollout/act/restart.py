"""Making the pods of a workload anew: its pod template is stamped, and its controller does the rest in turn."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from syncrollout.act.target import Target, workload_ref
from syncrollout.api.words import RESTART_ANNOTATION
from syncrollout.decide.actions import Restart
from syncrollout.observe import workloads
from syncrollout.ports import Object, ObjectCache, ObjectRef, OnBehalf, PatchType


class Write(Protocol):
    """Sends a write, and remembers where its answer was lost."""

    async def __call__(self, ref: ObjectRef, sent: Awaitable[Object]) -> Object:
        """The answer."""
        ...


class Restarter:
    """Stamps pod templates. The same stamp again changes nothing, so that no pod is made anew twice for it."""

    def __init__(self, api: OnBehalf, cache: ObjectCache, write: Write) -> None:
        self._api = api
        self._cache = cache
        self._write = write

    async def restart(self, target: Target, action: Restart) -> None:
        """Write the stamp, or find it written."""
        ref = workload_ref(target.system(action.side), target.ref.namespace)
        obj = await self._cache.fetch(ref, user=str(target.ref))
        if obj is None or workloads.restart(workloads.template(obj) or {}) == action.stamp:
            return  # gone, which the facts of the next pass say; or done
        body = workloads.stamped(obj, {RESTART_ANNOTATION: action.stamp})
        api = self._api.acting_as(target.behalf)
        self._cache.update(await self._write(ref, api.patch(ref, body, PatchType.MERGE)))


__all__ = ["Restarter"]

"""The cache of watched objects behind the ObjectCache port: informers, started on first use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from syncrollout.observe.finished_jobs import JOB
from syncrollout.observe.pods import POD
from syncrollout.ports import KindRef, Object, ObjectRef, Unavailable
from syncrollout.runtime.informer import Informer
from syncrollout.runtime.informers import Informers
from syncrollout.runtime.projections import project_job, project_pod, project_workload

STILL_TRUE = 15.0
"""Seconds without a word from the API server, once it has refused or gone, after which what is known of objects that
are counted says nothing of now."""
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
        await _listed(informer)
        obj = informer.get(ref.namespace, ref.name)
        if obj is None and informer.error is not None:
            # Made while nobody watched? That something does not exist is said only by a watch that is alive.
            message = f"{ref} is not known, and {ref.kind} cannot be watched just now: {informer.error}"
            raise Unavailable(message) from informer.error
        return obj

    async def select(self, kind: KindRef, namespace: str, selector: str, *, user: str) -> Sequence[Object]:
        """See ports.Selections."""
        informer = self._informers.acquire(kind, label=selector, namespace=namespace, user=user)
        await _listed(informer)
        silent = asyncio.get_running_loop().time() - informer.last_heard
        if informer.error is not None and silent > STILL_TRUE:
            message = f"{kind} in namespace {namespace} cannot be watched since {silent:.0f} s: {informer.error}"
            raise Unavailable(message) from informer.error
        return informer.items()

    def update(self, obj: Object) -> None:
        """See ports.ObjectCache."""
        self._informers.update(obj)

    def forget(self, user: str) -> None:
        """See ports.ObjectCache."""
        self._informers.forget(user)


async def _listed(informer: Informer) -> None:
    """Wait for the first list. Raises Unavailable, or what refuses it."""
    if not informer.tried.is_set():
        try:
            async with asyncio.timeout(FIRST_LIST):
                await informer.tried.wait()
        except TimeoutError as error:
            message = f"{informer.kind} could not be listed within {FIRST_LIST:.0f} s"
            raise Unavailable(message) from error
    refusal = informer.refusal
    if refusal is not None:
        raise refusal
    if not informer.synced.is_set():
        raise informer.error or Unavailable(f"{informer.kind} is not listed yet")


def trim(obj: Object) -> Object:
    """Of workloads, pods and Jobs what counts; of routes everything, for patches rest on it."""
    if obj.get("kind") == POD.kind:
        return project_pod(obj)
    if obj.get("kind") == JOB.kind:
        return project_job(obj)
    return project_workload(obj) if obj.get("kind") in _WORKLOADS else obj

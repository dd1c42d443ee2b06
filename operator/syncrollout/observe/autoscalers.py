"""Which HorizontalPodAutoscaler scales which workload: asked for rollouts that move by replica counts, and no others.

They are not watched: a list of one namespace, and what it said is used again for some seconds by all rollouts of it. In
flight a pass does not wait for it once something is known, for what it does next may be the way back.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from syncrollout.ports import ApiError, Forbidden, KindNotServed, KindRef, KubeApi, Object, ObjectRef

log = logging.getLogger(__name__)

AUTOSCALER: Final = KindRef("autoscaling/v2", "HorizontalPodAutoscaler")
NEVER: Final = float("-inf")
MAX_AGE: Final = 5.0
"""Seconds for which what was listed is used again."""

Scaled = tuple[str, str, str]
"""API group, kind and name of a workload."""


@dataclass(slots=True)
class _Known:
    """What is known of one namespace; `listed` by the event loop's time."""

    names: dict[Scaled, str] = field(default_factory=dict)
    listed: float = NEVER
    asking: asyncio.Task[None] | None = None


class Autoscalers:
    """Asks the API server."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._known: dict[str, _Known] = {}

    async def of(self, workload: ObjectRef, *, wait: bool, sure: bool) -> str:
        """The name of the one that scales this workload; empty where none does, or none is known.

        What is known has to do, and is brought up to date meanwhile. `wait`: for the first answer, if nothing is known;
        `sure`: for one that is recent. Raises Forbidden or Unavailable where `sure` cannot be had.
        """
        known = self._known.setdefault(workload.namespace, _Known())
        if asyncio.get_running_loop().time() - known.listed >= MAX_AGE:
            if known.asking is None:
                known.asking = asyncio.get_running_loop().create_task(self._list(workload.namespace, known))
                known.asking.add_done_callback(lambda task: _ended(known, task))
            if sure:
                await asyncio.shield(known.asking)
            elif wait and known.listed == NEVER:
                await asyncio.wait({known.asking})
        return known.names.get((workload.kind.group, workload.kind.kind, workload.name), "")

    async def _list(self, namespace: str, known: _Known) -> None:
        try:
            listing = await self._api.list(AUTOSCALER, namespace)
        except KindNotServed:
            known.names = {}
        else:
            known.names = {_scaled(item): item["metadata"]["name"] for item in listing.items}
        known.listed = asyncio.get_running_loop().time()


def _ended(known: _Known, task: asyncio.Task[None]) -> None:
    known.asking = None
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Forbidden):
        log.warning("whether an autoscaler sets the replicas that a rollout moves is not known: %s", error)
    elif error is not None and not isinstance(error, ApiError):
        log.error("listing autoscalers failed", exc_info=error)


def _scaled(item: Object) -> Scaled:
    target = item.get("spec", {}).get("scaleTargetRef", {})
    return target.get("apiVersion", "").rpartition("/")[0], target.get("kind", ""), target.get("name", "")


__all__ = ["AUTOSCALER", "Autoscalers"]

"""Carrying actions out. Each is idempotent: done again, it finds nothing to do or asks for the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from syncrollout.act import mirrors, weights
from syncrollout.act.weights import Operation
from syncrollout.api.spec import RouteRef, SyncRolloutSpec, SystemSpec
from syncrollout.api.words import FINALIZER, Side
from syncrollout.decide.actions import (
    Action,
    AddFinalizer,
    Assign,
    RemoveFinalizer,
    Scale,
    SetMirror,
    SetWeight,
    StampEpoch,
)
from syncrollout.decide.facts import Problem
from syncrollout.ports import (
    ApiError,
    Conflict,
    Forbidden,
    KindNotServed,
    KindRef,
    KubeApi,
    NotFound,
    Object,
    ObjectCache,
    ObjectRef,
    PatchType,
    Unavailable,
)

log = logging.getLogger(__name__)

Change = Callable[[RouteRef, Object], list[Operation] | Problem]
"""From a route as it stands to the patch that it needs."""
TOO_MANY_REQUESTS: Final = 429
LATEST_EFFECT: Final = 5.0
"""Seconds after which a request that was given up has taken effect or never will."""


@dataclass(frozen=True, slots=True)
class Target:
    """The rollout on whose behalf actions are carried out."""

    ref: ObjectRef
    spec: SyncRolloutSpec
    resource_version: str
    finalizers: tuple[str, ...]

    def system(self, side: Side) -> SystemSpec:
        """The spec of one side."""
        return self.spec.old if side is Side.OLD else self.spec.new

    def route(self, route: RouteRef) -> ObjectRef:
        """The object of a route."""
        return ObjectRef(KindRef(route.api_version, route.kind), self.ref.namespace, route.name)


def workload_ref(system: SystemSpec, namespace: str) -> ObjectRef:
    """The object of a side's workload."""
    workload = system.workload
    return ObjectRef(KindRef(workload.resolved_api_version, workload.kind), namespace, workload.name)


def moved(target: Target) -> tuple[ObjectRef, ...]:
    """The objects that are moved on behalf of a rollout: its routes and its workloads."""
    workloads = (workload_ref(system, target.ref.namespace) for system in (target.spec.old, target.spec.new))
    return (*(target.route(route) for route in target.spec.traffic.routes), *workloads)


class Performer:
    """Carries out actions through the API server, and tells the cache what came of them."""

    def __init__(self, api: KubeApi, cache: ObjectCache) -> None:
        self._api = api
        self._cache = cache
        self._doubtful: set[ObjectRef] = set()
        """Objects that a write without an answer may have changed."""
        self._doubted_at: dict[ObjectRef, float] = {}
        """When such a write was given up, event loop's time."""

    async def settle_doubts(self, target: Target) -> None:
        """Read again what an earlier write may have changed without our hearing of it; a decision must not rest on
        less than what we did ourselves. Raises ApiError where the API server cannot be asked; a right that is missing
        stops nothing, for then the watch has to do."""
        if not self._doubtful:
            return
        for ref in moved(target):
            if ref in self._doubtful:
                try:
                    await self.refresh(target, ref)
                except Forbidden as error:
                    log.warning("whether a write without an answer went through is left to the watch: %s", error)
                    self._doubtful.discard(ref)

    async def confirm_gone(self, target: Target) -> None:
        """Make sure that what is not seen is not there: on that alone rests that nothing has to be put back.

        Raises Unavailable where it is there, for the watch will show it in a moment.
        """
        for ref in moved(target):
            try:
                if await self._cache.fetch(ref, user=str(target.ref)) is not None:
                    continue
            except (KindNotServed, Forbidden):
                pass
            try:
                await self._api.get(ref)
            except NotFound:
                continue
            raise Unavailable(f"{ref} exists, but has not been seen by watch yet")

    def certain_in(self, target: Target) -> float:
        """Seconds until no write that was given up can still have its effect on what this rollout moves."""
        now = asyncio.get_running_loop().time()
        for ref in [ref for ref, at in self._doubted_at.items() if now - at >= LATEST_EFFECT]:
            del self._doubted_at[ref]
        waits = (self._doubted_at[ref] + LATEST_EFFECT - now for ref in moved(target) if ref in self._doubted_at)
        return max(waits, default=0.0)

    async def refresh(self, target: Target, ref: ObjectRef) -> None:
        """Read one object past the cache, which may be behind for as long as a watch is silent."""
        try:
            obj = await self._api.get(ref)
        except NotFound:
            pass  # the watch tells of it
        else:
            await self._cache.fetch(ref, user=str(target.ref))  # that there is something to update
            self._cache.update(obj)
        self._doubtful.discard(ref)

    async def perform(self, target: Target, actions: tuple[Action, ...], *, urgent: bool) -> Object | None:
        """All actions, in order; the SyncRollout as it now stands where one of them changed it.

        Every action is tried even where one before it failed: one stuck route must not keep the others from going
        back. Raises the first ApiError afterwards.
        """
        changed: Object | None = None
        failed: ApiError | None = None
        for action in actions:
            try:
                changed = await self._one(target, action, urgent=urgent) or changed
            except ApiError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return changed

    async def _one(self, target: Target, action: Action, *, urgent: bool) -> Object | None:
        match action:
            case SetWeight(weight=weight):
                await self._set_weights(target, weight, urgent=urgent)
                return None
            case SetMirror(percent=percent):
                await self._set_mirrors(target, percent, urgent=urgent)
                return None
            case Scale(side=side, replicas=replicas):
                await self._scale(target, side, replicas, urgent=urgent)
                return None
            case Assign() | StampEpoch():
                raise ApiError(f"{action}: shards are not moved yet")
            case AddFinalizer():
                return await self._finalizers(target, (*target.finalizers, FINALIZER))
            case RemoveFinalizer():
                rest = tuple(name for name in target.finalizers if name != FINALIZER)
                try:
                    return await self._finalizers(target, rest)
                except NotFound:
                    return None

    async def _set_weights(self, target: Target, weight: int, *, urgent: bool) -> None:
        old, new = target.spec.old.service, target.spec.new.service
        await self._change_routes(target, lambda r, o: weights.patch(r, o, old, new, weight=weight), urgent=urgent)

    async def _set_mirrors(self, target: Target, percent: int, *, urgent: bool) -> None:
        old, new = target.spec.old.service, target.spec.new.service
        await self._change_routes(target, lambda r, o: mirrors.patch(r, o, old, new, percent=percent), urgent=urgent)

    async def _change_routes(self, target: Target, change: Change, *, urgent: bool) -> None:
        results = await asyncio.gather(
            *(self._change_route(target, route, change, urgent=urgent) for route in target.spec.traffic.routes),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _change_route(self, target: Target, route: RouteRef, change: Change, *, urgent: bool) -> None:
        ref = target.route(route)
        obj = await self._cache.fetch(ref, user=str(target.ref))
        if obj is None:
            return  # it is gone and carries no traffic; the facts of the next pass say so
        try:
            await self._patch_route(target, route, change(route, obj), urgent=urgent)
        except Conflict:
            # The cache was behind: somebody has changed the route's entries. Once more on what stands now.
            obj = await self._api.get(ref)
            self._cache.update(obj)
            await self._patch_route(target, route, change(route, obj), urgent=urgent)

    async def _patch_route(
        self, target: Target, route: RouteRef, operations: list[Operation] | Problem, *, urgent: bool
    ) -> None:
        if isinstance(operations, Problem):
            raise ApiError(operations.message)
        if operations:
            self._cache.update(await self._patch(target.route(route), operations, PatchType.JSON, urgent=urgent))

    async def _scale(self, target: Target, side: Side, replicas: int, *, urgent: bool) -> None:
        system = target.system(side)
        ref = workload_ref(system, target.ref.namespace)
        if system.workload.kind == "CronJob":
            body = {"spec": {"suspend": replicas == 0}}
            self._cache.update(await self._patch(ref, body, PatchType.MERGE, urgent=urgent))
            return
        body_scale = {"spec": {"replicas": replicas}}
        scale = await self._patch(ref, body_scale, PatchType.MERGE, subresource="scale", urgent=urgent)
        known = await self._cache.fetch(ref, user=str(target.ref))
        if known is not None:
            self._cache.update(_scaled(known, replicas, scale))

    async def _patch(
        self, ref: ObjectRef, patch: Any, kind: PatchType, *, subresource: str = "", urgent: bool
    ) -> Object:
        try:
            return await self._api.patch(ref, patch, kind, subresource=subresource, urgent=urgent)
        except (Unavailable, asyncio.CancelledError) as error:
            if getattr(error, "status", 0) != TOO_MANY_REQUESTS:  # that one is refused before it is looked at
                self._doubtful.add(ref)
                self._doubted_at[ref] = asyncio.get_running_loop().time()
            raise

    async def _finalizers(self, target: Target, finalizers: tuple[str, ...]) -> Object:
        body = {"metadata": {"resourceVersion": target.resource_version, "finalizers": list(finalizers)}}
        return await self._api.patch(target.ref, body, PatchType.MERGE)


def _scaled(known: Object, replicas: int, scale: Object) -> Object:
    """A workload as it stands after it was scaled. Which of its pods stay is not known, only how many at most."""
    ready = min(int((known.get("status") or {}).get("readyReplicas") or 0), replicas)
    return {
        **known,
        "metadata": {**known["metadata"], "resourceVersion": scale["metadata"].get("resourceVersion", "")},
        "spec": {**(known.get("spec") or {}), "replicas": replicas},
        "status": {**(known.get("status") or {}), "readyReplicas": ready},
    }

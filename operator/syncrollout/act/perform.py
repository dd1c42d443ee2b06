"""Carrying actions out. Each is idempotent: done again, it finds nothing to do or asks for the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from syncrollout.act import mirrors, weights
from syncrollout.act.handover import Handover
from syncrollout.act.jobs import KEEP, JobMaker
from syncrollout.act.reports import Reporter
from syncrollout.act.restart import Restarter
from syncrollout.act.target import Target, moved, shards_ref, workload_ref
from syncrollout.act.weights import Operation
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import FINALIZER, SHARDS_LABEL, Side
from syncrollout.decide.actions import (
    Action,
    AddFinalizer,
    Assign,
    CreateJob,
    EndRehearsal,
    KeepLogs,
    Rehearse,
    RehearseJob,
    RemoveFinalizer,
    Restart,
    Scale,
    SetMirror,
    SetWeight,
    StampEpoch,
    WriteReport,
)
from syncrollout.decide.facts import Problem
from syncrollout.ports import (
    ActingApi,
    ApiError,
    Conflict,
    Forbidden,
    KindNotServed,
    NotFound,
    Object,
    ObjectCache,
    ObjectRef,
    PatchType,
    Turn,
    Unavailable,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

Change = Callable[[RouteRef, Object], list[Operation] | Problem]
"""From a route as it stands to the patch that it needs."""
TOO_MANY_REQUESTS: Final = 429
MOMENT: Final = 1.0
"""Seconds that a pass waits for one route, on which others may have to go back."""
LATEST_EFFECT: Final = 5.0
"""Seconds after which a request that was given up has taken effect or never will, unless told otherwise."""


class Drills(Protocol):
    """Does what drills ask for, in its own time; `act.rehearsals` has the real one."""

    def begin(self, target: Target, action: Rehearse | RehearseJob) -> None:
        """Begin it, and come back at once."""
        ...

    def end(self, owner: str) -> None:
        """Nothing more is done for the drill of this rollout."""
        ...


class Performer:
    """Carries out actions through the API server, and tells the cache what came of them.

    What it changes for a rollout it changes on behalf of the rollout. What it reads are objects that informers show
    anyway, read again by the operator itself: a right that an account has lost keeps nobody from knowing what stands.
    """

    def __init__(
        self,
        api: ActingApi,
        cache: ObjectCache,
        *,
        drills: Drills | None = None,
        latest_effect: float = LATEST_EFFECT,
        keep_jobs: float = KEEP,
    ) -> None:
        """`drills` does what is asked for by Rehearse, RehearseJob and EndRehearsal. A request that was given up may
        have its effect for `latest_effect` seconds more. Jobs stay for `keep_jobs` seconds after they have ended."""
        self._api = api
        self._latest_effect = latest_effect
        self._drills = drills
        self._cache = cache
        self._handover = Handover(api, cache, self._write)
        self._jobs = JobMaker(api, self._write, keep_jobs)
        self._reporter = Reporter(api, self._write)
        self._restarter = Restarter(api, cache, self._write)
        self._doubtful: set[ObjectRef] = set()
        """Objects that a write without an answer may have changed."""
        self._doubted_at: dict[ObjectRef, float] = {}
        """When such a write was given up, event loop's time."""
        self._settling: dict[ObjectRef, asyncio.Task[None]] = {}
        """Those that are being read again."""
        self._unsettled: set[ObjectRef] = set()
        """Those that could not be read within a moment when they were last asked for."""

    async def settle_doubts(self, target: Target) -> dict[ObjectRef, ApiError]:
        """Read again what an earlier write may have changed without our hearing of it; a decision must not rest on
        less than what we did ourselves. A right that is missing stops nothing, for then the watch has to do.

        Gives the routes that could not be read in a moment, and why: the others may have to go back all the same.
        Raises ApiError where a workload cannot be read.
        """
        doubtful = [ref for ref in moved(target) if ref in self._doubtful]
        reading = {ref: self._settling.get(ref) or self._settle(target, ref) for ref in doubtful}
        routes = {target.route(route) for route in target.spec.traffic.routes}
        if reading:
            # what was waited for in vain is not waited for again: it is looked at once it has come
            await asyncio.wait(reading.values(), timeout=0.0 if self._unsettled.issuperset(reading) else MOMENT)
        self._unsettled.difference_update(reading)
        unsettled: dict[ObjectRef, ApiError] = {}
        for ref, task in reading.items():
            if ref not in routes:
                await task
            elif not task.done():
                unsettled[ref] = Unavailable(f"{ref} could not be read within {MOMENT:.0f} s")
            elif isinstance(error := task.exception(), ApiError):
                unsettled[ref] = error
            else:
                await task
        self._unsettled.update(unsettled)
        return unsettled

    def _settle(self, target: Target, ref: ObjectRef) -> asyncio.Task[None]:
        """Read it again, however long that takes: passes that begin meanwhile wait for the same answer."""

        async def settle() -> None:
            try:
                await self.refresh(target, ref)
            except Forbidden as error:
                log.warning("whether a write without an answer went through is left to the watch: %s", error)
                self._doubtful.discard(ref)
            finally:
                self._settling.pop(ref, None)

        task = self._settling[ref] = asyncio.get_running_loop().create_task(settle())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        return task

    async def confirm_gone(self, target: Target) -> None:
        """Make sure that what is not seen is not there: on that alone rests that nothing has to be put back.

        Raises Unavailable where it is there, for the watch will show it in a moment.
        """
        for ref in moved(target):
            if ref == shards_ref(target):
                continue  # what is not seen of it is asked for in every pass
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
        for ref in [ref for ref, at in self._doubted_at.items() if now - at >= self._latest_effect]:
            del self._doubted_at[ref]
        waits = (self._doubted_at[ref] + self._latest_effect - now for ref in moved(target) if ref in self._doubted_at)
        return max(waits, default=0.0)

    @property
    def certain(self) -> bool:
        """Whether no write at all that was given up can still have its effect."""
        return self.all_certain_in() <= 0.0

    def all_certain_in(self) -> float:
        """The same for all that was ever written here."""
        now = asyncio.get_running_loop().time()
        return max((at + self._latest_effect - now for at in self._doubted_at.values()), default=0.0)

    async def refresh(self, target: Target, ref: ObjectRef) -> None:
        """Read one object past the cache, which may be behind for as long as a watch is silent."""
        try:
            obj = await self._api.get(ref)
        except NotFound:
            pass  # the watch tells of it
        else:
            label = SHARDS_LABEL if ref == shards_ref(target) else ""
            await self._cache.fetch(ref, user=str(target.ref), label=label)  # that there is something to update
            self._cache.update(obj)
        self._doubtful.discard(ref)

    async def perform(self, target: Target, actions: tuple[Action, ...], *, urgent: bool) -> Object | None:
        """All actions, in order; the SyncRollout as it now stands where one of them changed it. On the way back slots
        do not wait for what comes before them: a route that hangs keeps no key with new.

        Every action is tried even where one before it failed: one stuck route must not keep the others from going
        back. Raises the first ApiError afterwards.
        """
        beside = [action for action in actions if urgent and isinstance(action, Assign)]
        rest = [action for action in actions if action not in beside]
        changed, *_ = await _all(
            (
                self._in_order(target, rest, urgent=urgent),
                *(self._one(target, action, urgent=urgent) for action in beside),
            )
        )
        return changed

    async def _in_order(self, target: Target, actions: Sequence[Action], *, urgent: bool) -> Object | None:
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
            case Assign():
                await self._handover.assign(target, action, urgent=urgent)
                return None
            case StampEpoch():
                await self._handover.stamp(target, action, urgent=urgent)
                return None
            case Restart():
                await self._restarter.restart(target, action)
                return None
            case CreateJob():
                await self._jobs.create(target, action)
                return None
            case KeepLogs():
                await self._reporter.keep(target, action)
                return None
            case WriteReport():
                await self._reporter.write(target, action)
                return None
            case Rehearse() | RehearseJob() | EndRehearsal():
                self._drill(target, action)
                return None
            case AddFinalizer():
                return await self._finalizers(target, (*target.finalizers, FINALIZER), Turn.STEP)
            case RemoveFinalizer():
                return await self._let_go(target, Turn.LAST if action.watched else Turn.LEISURE)

    async def _set_weights(self, target: Target, weight: int, *, urgent: bool) -> None:
        """The way back goes whatever stands there; on the way forward what is late must come to nothing."""
        old, new = target.spec.old.service, target.spec.new.service
        await self._change_routes(
            target, lambda r, o: weights.patch(r, o, old, new, weight=weight, fenced=not urgent), urgent=urgent
        )

    async def _set_mirrors(self, target: Target, percent: int, *, urgent: bool) -> None:
        old, new = target.spec.old.service, target.spec.new.service
        await self._change_routes(target, lambda r, o: mirrors.patch(r, o, old, new, percent=percent), urgent=urgent)

    async def _change_routes(self, target: Target, change: Change, *, urgent: bool) -> None:
        """All routes at once. On the way forward all are computed before any is written: what cannot be done in one is
        not begun in another. On the way back none waits for another."""
        routes = target.spec.traffic.routes
        if urgent:
            await _all(self._change_route(target, route, change) for route in routes)
            return
        computed = await _all(self._compute(target, route, change) for route in routes)
        await _all(
            self._write_route(target, route, change, operations, urgent=False)
            for route, operations in zip(routes, computed, strict=True)
        )

    async def _change_route(self, target: Target, route: RouteRef, change: Change) -> None:
        operations = await self._compute(target, route, change)
        await self._write_route(target, route, change, operations, urgent=True)

    async def _compute(self, target: Target, route: RouteRef, change: Change) -> list[Operation]:
        obj = await self._cache.fetch(target.route(route), user=str(target.ref))
        # one that is gone carries no traffic; the facts of the next pass say so
        return _changes(change(route, obj)) if obj is not None else []

    async def _write_route(
        self, target: Target, route: RouteRef, change: Change, operations: list[Operation], *, urgent: bool
    ) -> None:
        if not operations:
            return
        ref = target.route(route)
        try:
            self._cache.update(await self._patch(target, ref, operations, PatchType.JSON, urgent=urgent))
        except Conflict:
            # The cache was behind: somebody has changed the route's entries. Once more on what stands now.
            obj = await self._api.get(ref)
            self._cache.update(obj)
            again = _changes(change(route, obj))
            if again:
                self._cache.update(await self._patch(target, ref, again, PatchType.JSON, urgent=urgent))

    async def _scale(self, target: Target, side: Side, replicas: int, *, urgent: bool) -> None:
        system = target.system(side)
        ref = workload_ref(system, target.ref.namespace)
        if system.workload.kind == "CronJob":
            body = {"spec": {"suspend": replicas == 0}}
            self._cache.update(await self._patch(target, ref, body, PatchType.MERGE, urgent=urgent))
            return
        body_scale = {"spec": {"replicas": replicas}}
        scale = await self._patch(target, ref, body_scale, PatchType.MERGE, subresource="scale", urgent=urgent)
        known = await self._cache.fetch(ref, user=str(target.ref))
        if known is not None:
            self._cache.update(_scaled(known, replicas, scale))

    async def _patch(
        self, target: Target, ref: ObjectRef, patch: Any, kind: PatchType, *, subresource: str = "", urgent: bool
    ) -> Object:
        api = self._api.acting_as(target.behalf, moves=True)
        return await self._write(ref, api.patch(ref, patch, kind, subresource=subresource, urgent=urgent))

    async def _write(self, ref: ObjectRef, sent: Awaitable[Object]) -> Object:
        try:
            return await sent
        except (Unavailable, asyncio.CancelledError) as error:
            if getattr(error, "status", 0) != TOO_MANY_REQUESTS:  # that one is refused before it is looked at
                self._doubtful.add(ref)
                self._doubted_at[ref] = asyncio.get_running_loop().time()
            raise

    def _drill(self, target: Target, action: Rehearse | RehearseJob | EndRehearsal) -> None:
        if self._drills is None:
            return
        if isinstance(action, EndRehearsal):
            self._drills.end(str(target.ref))
        else:
            self._drills.begin(target, action)

    async def _let_go(self, target: Target, turn: Turn) -> Object | None:
        rest = tuple(name for name in target.finalizers if name != FINALIZER)
        try:
            return await self._finalizers(target, rest, turn)
        except NotFound:
            return None

    async def _finalizers(self, target: Target, finalizers: tuple[str, ...], turn: Turn) -> Object:
        body = {"metadata": {"resourceVersion": target.resource_version, "finalizers": list(finalizers)}}
        return await self._api.patch(target.ref, body, PatchType.MERGE, turn=turn)


async def _all(each: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all, each tried to its end. Raises the first error afterwards."""
    results = await asyncio.gather(*each, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


def _changes(operations: list[Operation] | Problem) -> list[Operation]:
    if isinstance(operations, Problem):
        raise ApiError(operations.message)
    return operations


def _scaled(known: Object, replicas: int, scale: Object) -> Object:
    """A workload as it stands after it was scaled. Which of its pods stay is not known, only how many at most."""
    ready = min(int((known.get("status") or {}).get("readyReplicas") or 0), replicas)
    return {
        **known,
        "metadata": {**known["metadata"], "resourceVersion": scale["metadata"].get("resourceVersion", "")},
        "spec": {**(known.get("spec") or {}), "replicas": replicas},
        "status": {**(known.get("status") or {}), "readyReplicas": ready},
    }


__all__ = ["Performer", "Target", "moved", "workload_ref"]

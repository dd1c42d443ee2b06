"""One operator process, wired as the composition root does, but on ports of the simulation. It can die at any call."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from fakes.kube import FakeKube
from simulation.loop import OWNER, VirtualLoop
from syncrollout.act.perform import Performer
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.gather import Gatherer
from syncrollout.observe.metrics import Metrics
from syncrollout.observe.readings import Readings
from syncrollout.ports import (
    ApiError,
    Clock,
    KindRef,
    Listing,
    MetricsSource,
    NotLeading,
    Object,
    ObjectRef,
    PatchType,
    WatchEvent,
)
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.controller import Controller
from syncrollout.runtime.informers import Informers
from syncrollout.runtime.reconciler import Reconciler
from syncrollout.runtime.rollouts import ROLLOUT, Key, Rollouts
from syncrollout.runtime.story import Story

RELIST = 20.0
"""Seconds between comparisons with a full list; short, for runs are short."""


class Gate:
    """`syncrollout.ports.KubeApi` for one process: nothing passes once it is dead, no write while it does not lead."""

    def __init__(self, kube: FakeKube, process: Process, *, guarded: bool = True) -> None:
        self._kube = kube
        self._process = process
        self._guarded = guarded

    def unguarded(self) -> Gate:
        """For the Lease."""
        return Gate(self._kube, self._process, guarded=False)

    async def get(self, ref: ObjectRef) -> Object:
        """See the port."""
        self._alive()
        return await self._kube.get(ref)

    async def list(
        self,
        kind: KindRef,
        namespace: str = "",
        *,
        names_only: bool = False,
        project: Callable[[Object], Object] | None = None,
    ) -> Listing:
        """See the port."""
        self._alive()
        return await self._kube.list(kind, namespace, names_only=names_only, project=project)

    async def watch(
        self, kind: KindRef, namespace: str, resource_version: str, *, names_only: bool = False
    ) -> AsyncGenerator[WatchEvent, None]:
        """See the port."""
        self._alive()
        async with aclosing(self._kube.watch(kind, namespace, resource_version, names_only=names_only)) as events:
            async for event in events:
                yield event

    async def patch(
        self, ref: ObjectRef, patch: Any, kind: PatchType, *, subresource: str = "", urgent: bool = False
    ) -> Object:
        """See the port."""
        self._may_write(f"patch {ref}")
        return await self._kube.patch(ref, patch, kind, subresource=subresource, urgent=urgent)

    async def create(self, ref: ObjectRef, body: Object) -> Object:
        """See the port."""
        self._may_write(f"create {ref}")
        return await self._kube.create(ref, body)

    def _alive(self) -> None:
        if not self._process.alive:
            raise asyncio.CancelledError

    def _may_write(self, what: str) -> None:
        self._alive()
        if self._guarded and not self._process.leading:
            raise NotLeading(f"{what}: not sent, for this process does not lead (any longer)")


class Surroundings(Protocol):
    """What a process lives in."""

    kube: FakeKube
    seed: str

    @property
    def clock(self) -> Clock:
        """The wall clock."""
        ...

    @property
    def source(self) -> MetricsSource:
        """Prometheus."""
        ...

    def say(self, text: str) -> None:
        """One line of the trace."""
        ...


@dataclass(slots=True)
class _Observer:
    """The operator's own metrics: counted, not exported."""

    passes: int = 0
    latest: float = 0.0

    def observe_status(self, namespace: str, name: str, status: SyncRolloutStatus) -> None:
        """See controller.Observer."""

    def forget(self, namespace: str, name: str) -> None:
        """See controller.Observer."""

    def pass_done(self, seconds: float, lateness: float) -> None:
        """See controller.Observer."""
        self.passes += 1
        self.latest = max(self.latest, lateness)


class Process:
    """An operator process. `start` it, `crash` it; a dead one stays dead."""

    def __init__(self, around: Surroundings, number: int) -> None:
        self.number = number
        self.alive = True
        self.leading = True
        self.tasks: list[asyncio.Task[Any]] = []
        self.observer = _Observer()
        self.controller: Controller
        self._around = around

    def start(self) -> None:
        """Begin, on the running loop."""
        asyncio.get_running_loop().create_task(self._main(), context=self._context())

    @property
    def ready(self) -> bool:
        """It has come as far as having a controller."""
        return hasattr(self, "controller")

    def crash(self) -> None:
        """Nothing of it happens any more, from this very moment."""
        self.alive = False
        self.leading = False
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        for task in list(self.tasks):
            task.cancel()
        loop.cancel_timers(self)

    def stop_leading(self) -> None:
        """The Lease is lost."""
        self.leading = False
        self._context().run(self.controller.follow)

    def lead(self) -> None:
        """The Lease is won."""
        self.leading = True
        self._context().run(self.controller.lead)

    def _context(self) -> contextvars.Context:
        context = contextvars.copy_context()
        context.run(OWNER.set, self)
        return context

    async def _main(self) -> None:
        around = self._around
        api = Gate(around.kube, self)

        def rng(what: str) -> random.Random:
            return random.Random(f"{around.seed}/{self.number}/{what}")

        rollouts = Rollouts()
        informers = Informers(
            api,
            on_change=lambda ref, old, new: self.controller.changed(ref, old, new),  # noqa: PLW0108 - made below
            project=trim,
            relist_every=RELIST,
            rng=rng("informers"),
        )
        cache = WatchedObjects(informers)
        story = Story(api, rng=rng("story"))
        self.controller = Controller(
            api=api,
            rollouts=rollouts,
            reconciler=Reconciler(
                api=api,
                rollouts=rollouts,
                gatherer=Gatherer(cache, Metrics(Readings(around.source), Credentials(api))),
                performer=Performer(api, cache),
                story=story,
                clock=around.clock,
                forget=cache.forget,
                rng=rng("reconciler"),
            ),
            observer=self.observer,
            concurrency=64,
            monotonic=asyncio.get_running_loop().time,
        )
        story.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._compare(api), name="compare")
            group.create_task(self._watch(api, rng("watch")), name="watch")
            if self.leading:
                self.controller.lead()

    async def _compare(self, api: Gate) -> None:
        while True:
            try:
                await self.controller.compare()
            except ApiError as error:
                self._around.say(f"p{self.number} cannot compare: {error}")
                await asyncio.sleep(5.0)
                continue
            await asyncio.sleep(RELIST)

    async def _watch(self, api: Gate, rng: random.Random) -> None:
        """What kopf does: list, watch, and after anything unusual list again. A deletion in a gap is never told."""
        while True:
            try:
                listing = await api.list(ROLLOUT)
                for raw in listing.items:
                    self.controller.seen(raw)
                version = listing.resource_version
                while True:
                    async with aclosing(api.watch(ROLLOUT, "", version)) as events:
                        async for event in events:
                            version = self._take(event)
            except ApiError as error:
                self._around.say(f"p{self.number} watch of rollouts: {error}")
                await asyncio.sleep(rng.uniform(0.5, 1.5))

    def _take(self, event: WatchEvent) -> str:
        metadata = event.object["metadata"]
        if event.type == "DELETED":
            self.controller.gone(Key(metadata.get("namespace", ""), metadata["name"]))
        elif event.type != "BOOKMARK":
            self.controller.seen(event.object)
        return str(metadata["resourceVersion"])


__all__ = ["Gate", "Process", "Surroundings"]

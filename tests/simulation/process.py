"""One operator process, wired as the composition root does, but on ports of the simulation. It can die at any call."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from fakes.history import NothingRecorded
from fakes.kube import FakeKube
from simulation.faults import CLIENT_TIMEOUT, LATE, Chance
from simulation.loop import OWNER, VirtualLoop
from simulation.objects import NAMESPACE
from syncrollout.act.messenger import Messenger
from syncrollout.act.perform import Performer
from syncrollout.act.rehearsals import Rehearsals
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.net.destinations import ANYWHERE
from syncrollout.observe.accounts import Accounts
from syncrollout.observe.alerts import Payload, PushedAlerts, Taken
from syncrollout.observe.autoscalers import Autoscalers
from syncrollout.observe.checks import Checks
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.finished_jobs import FinishedJobs
from syncrollout.observe.freezes import SharedFreezes
from syncrollout.observe.gather import Gatherer
from syncrollout.observe.holders import Holders
from syncrollout.observe.incident_logs import IncidentLogs
from syncrollout.observe.jobs import Jobs
from syncrollout.observe.metrics import Metrics
from syncrollout.observe.named_hosts import NamedHosts
from syncrollout.observe.pods import Pods
from syncrollout.observe.probes import Probes
from syncrollout.observe.progress import Progress
from syncrollout.observe.readings import Readings
from syncrollout.observe.series import Series
from syncrollout.observe.shards import Shards
from syncrollout.observe.snapshots import Snapshots
from syncrollout.observe.steps import Steps
from syncrollout.observe.templates import Templates
from syncrollout.ports import (
    ACTING_FOR,
    ApiError,
    Behalf,
    Clock,
    KindRef,
    Listing,
    MetricsSource,
    Notifier,
    NotLeading,
    Object,
    ObjectRef,
    PatchType,
    Prober,
    Turn,
    Unavailable,
    WatchEvent,
)
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.controller import Controller
from syncrollout.runtime.informers import Informers
from syncrollout.runtime.lease import LeaderElector
from syncrollout.runtime.membership import Membership, Timing
from syncrollout.runtime.partitions import partition_of
from syncrollout.runtime.reconciler import Reconciler
from syncrollout.runtime.rollouts import ROLLOUT, Key, Rollouts
from syncrollout.runtime.story import Story
from syncrollout.runtime.survey import Survey

T = TypeVar("T")
CALLER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("caller", default=None)
"""Whose call the API server is working on."""
LATE_CALL: contextvars.ContextVar[bool] = contextvars.ContextVar("late_call", default=False)
"""The call was given up by its caller before it had its effect."""
LEASE_DURATION, LEASE_RENEWAL, LEASE_DEADLINE = 9.0, 1.5, 4.0
"""Between deadline and duration lies the time that a call may take."""
LATEST_EFFECT = CLIENT_TIMEOUT + LATE
"""Seconds after which a call has had its effect or never will, though its process has died right after sending it."""
RELIST = 20.0
"""Seconds between comparisons with a full list; short, for runs are short."""
HAND_OVER = 4.0
"""Seconds that passes get to end when a partition is handed over."""
KEPT = 60.0
"""Seconds for which a pushed alert counts."""


async def _later(seconds: float, call: Callable[[], Coroutine[Any, Any, object]]) -> None:
    await asyncio.sleep(seconds)
    with contextlib.suppress(ApiError):
        await call()


class Gate:
    """`syncrollout.ports.KubeApi` for one process: nothing passes once it is dead, no write while it does not lead."""

    def __init__(self, around: Surroundings, process: Process, *, guarded: bool = True) -> None:
        self._around = around
        self._kube = around.kube
        self._process = process
        self._guarded = guarded

    def unguarded(self) -> Gate:
        """For the Lease."""
        return Gate(self._around, self._process, guarded=False)

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> Gate:
        """See ports.OnBehalf."""
        other = copy.copy(self)
        other._kube = self._kube.acting_as(behalf, moves=moves)
        return other

    async def missing(self, behalf: Behalf, verb: str, ref: ObjectRef, *, subresource: str = "") -> str:
        """See ports.Permits."""
        return await self._send(lambda: self._kube.missing(behalf, verb, ref, subresource=subresource))

    async def get(self, ref: ObjectRef, *, subresource: str = "") -> Object:
        """See the port."""
        return await self._send(lambda: self._kube.get(ref, subresource=subresource))

    async def logs(self, pod: ObjectRef, container: str, *, lines: int, previous: bool = False) -> str:
        """See ports.PodLogs."""
        return await self._send(lambda: self._kube.logs(pod, container, lines=lines, previous=previous))

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
        return await self._send(
            lambda: self._kube.list(
                kind, namespace, label_selector=label_selector, names_only=names_only, project=project
            )
        )

    async def watch(
        self,
        kind: KindRef,
        namespace: str,
        resource_version: str,
        *,
        label_selector: str = "",
        names_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """See the port."""
        self._reach(f"watch {kind}")
        watch = self._kube.watch(
            kind, namespace, resource_version, label_selector=label_selector, names_only=names_only
        )
        async with aclosing(watch) as events:
            async for event in events:
                self._reach(f"watch {kind}")
                yield event

    async def patch(
        self,
        ref: ObjectRef,
        patch: Any,
        kind: PatchType,
        *,
        subresource: str = "",
        urgent: bool = False,
        turn: Turn = Turn.FIRST,
        dry_run: bool = False,
    ) -> Object:
        """See the port."""
        self._may_write(f"patch {ref}")
        return await self._send(
            lambda: self._kube.patch(
                ref, patch, kind, subresource=subresource, urgent=urgent, turn=turn, dry_run=dry_run
            )
        )

    async def create(self, ref: ObjectRef, body: Object, *, turn: Turn = Turn.FIRST, dry_run: bool = False) -> Object:
        """See the port."""
        self._may_write(f"create {ref}")
        return await self._send(lambda: self._kube.create(ref, body, turn=turn, dry_run=dry_run))

    async def _send(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The call goes on at the server even where this process freezes meanwhile; not where it dies."""
        self._reach("the call")
        late = self._around.chance.late()
        context = contextvars.copy_context()
        context.run(CALLER.set, self._process)
        context.run(OWNER.set, None)
        loop = asyncio.get_running_loop()
        if late:
            # Given up by this side, and still on its way to the server.
            context.run(LATE_CALL.set, True)
            self._around.late_calls.append(loop.create_task(_later(CLIENT_TIMEOUT + late, call), context=context))
            await asyncio.sleep(CLIENT_TIMEOUT)
            raise Unavailable(f"no answer within {CLIENT_TIMEOUT:.0f} s", status=0)
        sent = loop.create_task(call(), context=context)
        self._process.sent[sent] = None
        sent.add_done_callback(lambda task: self._process.sent.pop(task, None))
        return await sent

    def _reach(self, what: str) -> None:
        if not self._process.alive:
            raise asyncio.CancelledError
        if self._process.cut_off:
            raise Unavailable(f"{what}: no route to host", status=0)

    def _may_write(self, what: str) -> None:
        if self._guarded and not self._process.may_write():
            raise NotLeading(f"{what}: not sent, for this process does not lead (any longer)")


class Surroundings(Protocol):
    """What a process lives in."""

    kube: FakeKube
    seed: str
    elected: bool
    """Several processes stand for election; else each leads from its start."""
    partitions: int
    """Into how many the rollouts are divided."""
    leaders: int
    late_calls: list[asyncio.Task[None]]
    namespaces: tuple[str, ...] | None
    concurrency: int

    @property
    def clock(self) -> Clock:
        """The wall clock."""
        ...

    @property
    def source(self) -> MetricsSource:
        """Prometheus."""
        ...

    @property
    def prober(self) -> Prober:
        """What Services answer."""
        ...

    @property
    def people(self) -> Notifier:
        """Who is told."""
        ...

    @property
    def chance(self) -> Chance:
        """What goes wrong with calls."""
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
        self.frozen = False
        self.cut_off = False
        """It reaches no API server."""
        self.leading = not around.elected
        self.elector: LeaderElector | None = None
        self.sent: dict[asyncio.Task[Any], None] = {}
        """Calls under way."""
        self.tasks: list[asyncio.Task[Any]] = []
        self.observer = _Observer()
        self.membership: Membership | None = None
        self.rollouts = Rollouts(around.partitions)
        self.alerts = PushedAlerts(keep=KEPT)
        self.controller: Controller
        self.messenger: Messenger
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
        if self.frozen:
            loop.thaw(self)
        for task in [*self.tasks, *self.sent]:
            task.cancel()
        loop.cancel_timers(self)

    def may_write(self) -> bool:
        """As the composition root says it."""
        if self._around.partitions > 1:
            return self.acts_for(ACTING_FOR.get())
        return self.leading and (self.elector is None or self.elector.held())

    def acts_for(self, uid: str) -> bool:
        """Whether it may write for the rollout of this uid."""
        if self._around.partitions == 1:
            return self.may_write()
        return bool(uid and self.membership and self.membership.held(partition_of(uid, self._around.partitions)))

    def push(self, payload: Payload) -> Taken[Key]:
        """Alertmanager posts this, and is let in; as the composition root says it."""

        def take() -> Taken[Key]:
            taken = self.alerts.take(payload, self.rollouts.in_progress(), self.rollouts.in_progress(foreign=True))
            self.controller.alerted(taken.wake)
            return taken

        return self._context().run(take)

    def stop_leading(self, partition: int = 0) -> None:
        """The Lease is lost."""
        self._around.say(f"p{self.number} follows {partition}")
        self.leading = False
        self._context().run(self.controller.follow, partition)

    def lead(self, partition: int = 0) -> None:
        """The Lease is won."""
        self._around.say(f"p{self.number} leads {partition}")
        self._around.leaders += 1
        self.leading = True
        quiet_for = CLIENT_TIMEOUT
        if self.membership is not None:
            quiet_for = self.membership.quiet_for(partition)
        elif self.elector is not None:
            quiet_for = self.elector.quiet_for
        unsure_for = max(0.0, LATEST_EFFECT + CLIENT_TIMEOUT - quiet_for)
        self._context().run(partial(self.controller.lead, partition, unsure_for=unsure_for))

    async def _hand_over(self, partition: int) -> bool:
        self._around.say(f"p{self.number} hands over {partition}")
        return await self.controller.hand_over(partition, HAND_OVER)

    def _context(self) -> contextvars.Context:
        context = contextvars.copy_context()
        context.run(OWNER.set, self)
        return context

    async def _main(self) -> None:
        around = self._around
        api = Gate(around, self)

        def rng(what: str) -> random.Random:
            return random.Random(f"{around.seed}/{self.number}/{what}")

        rollouts = self.rollouts
        informers = Informers(
            api,
            namespaces=around.namespaces,
            on_change=lambda ref, old, new: self.controller.changed(ref, old, new),  # noqa: PLW0108 - made below
            on_selected=lambda users, old, new: self.controller.selected(users, old, new),  # noqa: PLW0108
            project=trim,
            relist_every=RELIST,
            rng=rng("informers"),
        )
        cache = WatchedObjects(informers)
        metrics = Metrics(
            Readings(around.source, now=around.clock.now, rng=rng("readings")), Credentials(api), around.clock
        )
        shards = Shards(api, cache, Holders(api, metrics))
        story = Story(api, rng=rng("story"))
        jobs = Jobs(api, Progress(api, api))
        drills = Rehearsals(
            api,
            cache,
            metrics,
            jobs,
            snapshots=Snapshots(api),
            wake=lambda owner: self.controller.news(owner),  # noqa: PLW0108 - made below
        )

        self.messenger = Messenger(
            api,
            Credentials(api),
            around.people,
            wake=lambda owner: self.controller.news(owner),  # noqa: PLW0108 - made below
            may_send=self.may_write,
        )

        def forget(user: str) -> None:
            cache.forget(user)
            drills.end(user)

        async def around_all(namespace: str) -> None:
            await self.controller.look_around(namespace)

        self.controller = Controller(
            api=api,
            rollouts=rollouts,
            reconciler=Reconciler(
                api=api,
                rollouts=rollouts,
                gatherer=Gatherer(
                    cache,
                    metrics,
                    shards,
                    Autoscalers(api),
                    self.alerts,
                    steps=Steps(
                        jobs,
                        Probes(api, around.prober),
                        Snapshots(api),
                        logs=IncidentLogs(api, api),
                        series=Series(NothingRecorded(), Credentials(api)),
                    ),
                    pods=Pods(api, cache, cache),
                    drills=drills,
                    finished=FinishedJobs(cache, cache),
                    checks=Checks(api, Probes(api, around.prober), Snapshots(api), around.clock),
                    freezes=SharedFreezes(cache),
                    templates=Templates(api),
                    hosts=NamedHosts(ANYWHERE),
                    accounts=Accounts(api),
                ),
                performer=Performer(api, cache, drills=drills, latest_effect=LATEST_EFFECT),
                story=story,
                postman=self.messenger,
                clock=around.clock,
                forget=forget,
                crowded=around.chance.crowded,
                namespaces=around.namespaces or (),
                look_around=Survey(around_all) if around.partitions > 1 else None,
                rng=rng("reconciler"),
            ),
            observer=self.observer,
            concurrency=around.concurrency,
            namespaces=around.namespaces or (),
            monotonic=asyncio.get_running_loop().time,
        )
        story.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._compare(api), name="compare")
            group.create_task(self._watch(api, rng("watch")), name="watch")
            if around.partitions > 1:
                self.membership = self._join(api, rng("lease"))
            elif around.elected:
                self.elector = self._stand(api, rng("lease"))
            else:
                self.lead()

    def _stand(self, api: Gate, rng: random.Random) -> LeaderElector:
        elector = LeaderElector(
            api.unguarded(),
            namespace=NAMESPACE,
            identity=f"p{self.number}",
            on_started=self.lead,
            on_lost=self.stop_leading,
            lease_duration=LEASE_DURATION,
            renew_every=LEASE_RENEWAL,
            renew_deadline=LEASE_DEADLINE,
            clock=asyncio.get_running_loop().time,
            rng=rng,
        )
        elector.start()
        return elector

    def _join(self, api: Gate, rng: random.Random) -> Membership:
        membership = Membership(
            api.unguarded(),
            namespace=NAMESPACE,
            name="syncrollout",
            identity=f"p{self.number}",
            count=self._around.partitions,
            on_gained=self.lead,
            on_lost=self.stop_leading,
            hand_over=self._hand_over,
            timing=Timing(LEASE_DURATION, LEASE_RENEWAL, LEASE_DEADLINE),
            clock=asyncio.get_running_loop().time,
            rng=rng,
        )
        membership.start()
        return membership

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
                namespace = (self._around.namespaces or ("",))[0]
                listing = await api.list(ROLLOUT, namespace)
                for raw in listing.items:
                    self.controller.seen(raw)
                version = listing.resource_version
                while True:
                    async with aclosing(api.watch(ROLLOUT, namespace, version)) as events:
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

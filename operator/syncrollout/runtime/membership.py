"""Which partitions this process holds, beside others that hold the rest. docs/adr/scale-out.md

    Lease NAME                       held by all replicas together, under an identity that says into how many
                                     partitions the rollouts are divided, and for how long a Lease is respected; one
                                     that acts alone holds it by its own name
    Lease NAME-seat-K-of-N           that a replica is there, so that the others leave it its part
    Lease NAME-partition-K-of-N      whose the rollouts of partition K are

Each is held as `runtime.lease` says, and what this process may do follows from what it holds at that very moment. So
two that have different numbers of partitions never act at one time, nor one replica alone beside several.

Every now and then all Leases are looked at, and `partitions.plan` says what this process should stand for and what it
should hand over. What it hands over it keeps until nothing more is done for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from syncrollout.ports import ApiError, KubeApi, Object
from syncrollout.runtime.lease import LEASE, LeaderElector, boottime
from syncrollout.runtime.partitions import Plan, plan

log = logging.getLogger(__name__)

SETTLED, UNSETTLED = 0.5, 0.2
"""Looks at all Leases, in renewal intervals: while everything is where it belongs, and while it is not."""


@dataclass(frozen=True, slots=True)
class Timing:
    """See LeaderElector; seconds."""

    lease_duration: float = 15.0
    renew_every: float = 5.0
    renew_deadline: float = 10.0


@dataclass(frozen=True, slots=True)
class _Sight:
    """A Lease as it was last seen."""

    holder: str
    version: str
    since: float
    """Since when it has stood unchanged, as seen from here."""
    duration: float

    def gone(self, now: float) -> _Sight:
        """Once it has been deleted: who held it may still believe in it, and write it again."""
        return self if not self.version else replace(self, version="", since=now)

    def live(self, now: float) -> bool:
        """Somebody holds it, as far as can be told from here."""
        return bool(self.holder) and now - self.since < self.duration


class Membership:
    """This process's part. `api` must let writes pass whoever leads.

    `on_gained` and `on_lost` are called from the event loop with a partition; they must not block, and one that is lost
    may be told of twice. `hand_over` comes back once nothing is done any more for a partition that is to be given up,
    and says whether nothing of it can still have an effect.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        count: int,
        on_gained: Callable[[int], None],
        on_lost: Callable[[int], None],
        hand_over: Callable[[int], Awaitable[bool]],
        timing: Timing = Timing(),
        clock: Callable[[], float] = boottime,
        rng: random.Random | None = None,
    ) -> None:
        self.identity = identity
        self.count = count
        self.addresses: dict[int, str] = {}
        """Who holds each partition, as far as is known: their identities."""
        self._api = api
        self._namespace = namespace
        self._name = name
        self._on_gained = on_gained
        self._on_lost = on_lost
        self._hand_over = hand_over
        self._timing = timing
        self._clock = clock
        self._rng = rng or random.Random()
        self._pattern: Final = re.compile(rf"{re.escape(name)}-(seat|partition)-(\d+)-of-{count}")
        self._sights: dict[str, _Sight] = {}
        group = f"{count}-partitions-{timing.lease_duration:g}s"
        self._group = self._elector(name, group, self._come_in, self._go_out, shared=True)
        self._inside = False
        self._must_leave = False
        """The group was lost: what was held within it is given up, before anything is stood for again."""
        self._seat: tuple[int, LeaderElector] | None = None
        self._standing: dict[int, LeaderElector] = {}
        """Partitions that this process holds or stands for."""
        self._leaving: dict[int, asyncio.Task[None]] = {}
        """Partitions that are being handed over."""
        self._won_again: set[int] = set()
        """Of those: lost and won again meanwhile. Somebody may have acted for them in between."""
        self._ending: dict[tuple[str, int], asyncio.Task[None]] = {}
        """What is not stood for any more, and may be won in that very moment: by kind and number. Until it is over
        nothing is stood for in its place: the end of the one would give away what the other has won."""
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def held(self, partition: int) -> bool:
        """Whether this process acts for a partition at this very moment. Cheap: ask before every write."""
        elector = self._standing.get(partition)
        return elector is not None and elector.held() and self._group.held() and not self._must_leave

    @property
    def holding(self) -> frozenset[int]:
        """All partitions that it acts for at this moment."""
        return frozenset(partition for partition in self._standing if self.held(partition))

    def quiet_for(self, partition: int) -> float:
        """Of one that was just gained: see LeaderElector. The group may have been another one meanwhile."""
        return min(self._standing[partition].quiet_for, self._group.quiet_for)

    @property
    def problem(self) -> str:
        """Why nothing is held, in one sentence; empty while all is well."""
        if not self._inside and self._group.holder not in {"", self._group.identity}:
            return f"the Lease {self._namespace}/{self._name} is held by {self._group.holder}"
        return self._group.problem

    def start(self) -> None:
        """Begin to stand for a part."""
        if self._task is None:
            self._group.start()
            self._task = asyncio.create_task(self._run(), name="membership")

    async def stop(self, *, clean: bool = True) -> None:
        """Give everything up, so that others can take it at once; `clean` as of LeaderElector. Never raises for the API
        server's sake."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._leave_all(clean=clean)
        await self._group.stop()

    # ---- the group -----------------------------------------------------------------------------------------------

    def _come_in(self) -> None:
        log.info("acting with others: the rollouts are divided into %d partitions", self.count)
        self._inside = True
        self._news.set()

    def _go_out(self) -> None:
        """Nothing may be held without the group: every write is refused from now on, and what is held is given up."""
        self._inside, self._must_leave = False, True
        for partition, elector in self._standing.items():
            if elector.held():
                self._on_lost(partition)
        self._news.set()

    async def _leave_all(self, *, clean: bool) -> None:
        leaving = list(self._leaving.values())
        for task in leaving:
            task.cancel()
        if leaving:
            await asyncio.wait(leaving)
        self._leaving.clear()
        for partition in list(self._standing):
            self._give_up(partition, clean=clean)
        if self._seat is not None:
            self._end("seat", *self._seat, clean=clean)
            self._seat = None
        if self._ending:
            await asyncio.wait(list(self._ending.values()))

    # ---- looking ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            settled = False
            self._news.clear()
            try:
                if self._must_leave:
                    await self._leave_all(clean=False)
                    self._must_leave = False
                if self._inside:
                    settled = await self._look()
            except ApiError as error:
                log.warning("the Leases of all replicas cannot be listed: %s", error)
            except Exception:  # who looks no more would keep what it holds, and never act for it once it was lost
                log.exception("the Leases of all replicas: an error of the operator's own")
            wait = self._timing.renew_every * (SETTLED if settled else UNSETTLED) * self._rng.uniform(0.8, 1.2)
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _look(self) -> bool:
        """See who is there and who holds what, and do what follows; whether everything is where it belongs."""
        listing = await self._api.list(LEASE, self._namespace)
        now = self._clock()
        there = {
            name: self._sight(name, lease, now)
            for lease in listing.items
            if self._pattern.fullmatch(name := str(lease["metadata"]["name"]))
        }
        gone = self._sights.keys() - there.keys()
        self._sights = there | {name: self._sights[name].gone(now) for name in gone if self._sights[name].live(now)}
        seats = {index: sight.holder for index, sight in self._live("seat", now)}
        taken = {holder: index for index, holder in seats.items()}
        self.addresses = {index: sight.holder for index, sight in self._live("partition", now)}
        self._take_seat(seats)
        mine = taken.get(self.identity)
        holders = {
            index: taken.get(holder)
            for index, holder in self.addresses.items()
            if holder != self.identity or index in self._standing  # else it was ours before we lost it
        }
        wish = plan(self.count, seats, holders)
        self._follow(wish, mine)
        return wish.settled and mine is not None

    def _sight(self, name: str, lease: Object, now: float) -> _Sight:
        spec = lease.get("spec") or {}
        version = str(lease["metadata"]["resourceVersion"])
        before = self._sights.get(name)
        since = before.since if before is not None and before.version == version else now
        duration = float(spec.get("leaseDurationSeconds") or self._timing.lease_duration)
        return _Sight(str(spec.get("holderIdentity") or ""), version, since, duration)

    def _live(self, what: str, now: float) -> Iterable[tuple[int, _Sight]]:
        for name, sight in sorted(self._sights.items()):
            match = self._pattern.fullmatch(name)
            assert match is not None
            if match[1] == what and int(match[2]) < self.count and sight.live(now):
                yield int(match[2]), sight

    # ---- standing and leaving --------------------------------------------------------------------------------------

    def _take_seat(self, seats: dict[int, str]) -> None:
        """Stand for a free seat; where there is none, wait for one: so many replicas are of use as there are
        partitions."""
        if self._seat is not None:
            index, elector = self._seat
            if elector.held() or seats.get(index, self.identity) == self.identity:
                return
            self._seat = None
            self._end("seat", index, elector, clean=True)
        free = [index for index in range(self.count) if seats.get(index, self.identity) == self.identity]
        if free and ("seat", free[0]) not in self._ending:
            index = free[0]
            self._seat = index, self._stand("seat", index, self._news.set, self._news.set)

    def _follow(self, wish: Plan, seat: int | None) -> None:
        if seat is None:
            return
        wanted = wish.take.get(seat, ())
        for partition, elector in list(self._standing.items()):
            if not elector.held() and partition not in wanted and partition not in self._leaving:
                if self.addresses.get(partition) == self.identity:
                    continue  # ours as the others see it: about to be renewed, or to run out
                self._give_up(partition, clean=True)
        for partition in wanted:
            # What is stood for counts, for what runs out one by one is drawn to others each time it is looked at: who
            # stood for more than its part would win it, and hand over what it has been busy with.
            may_win = self._standing.keys() | {index for what, index in self._ending if what == "partition"}
            if partition not in may_win and len(may_win) < wish.quota[seat]:
                self._standing[partition] = self._stand(
                    "partition",
                    partition,
                    partial(self._gained, partition),
                    partial(self._on_lost, partition),
                )
        for partition in wish.give.get(seat, ()):
            if partition in self._standing and partition not in self._leaving:
                log.info("partition %d is handed over to another replica", partition)
                self._leaving[partition] = asyncio.create_task(self._leave(partition), name="hand over")

    def _gained(self, partition: int) -> None:
        """Told of what is stood for. Not of what was won in the moment in which it was given up, nor of what was lost
        and won again while it is handed over: nothing is begun for that any more."""
        if partition in self._leaving:
            self._won_again.add(partition)
        elif partition in self._standing:
            self._on_gained(partition)

    async def _leave(self, partition: int) -> None:
        clean = False
        try:
            clean = await self._hand_over(partition)
        except Exception:  # it is given up all the same: another replica waits for it
            log.exception("partition %d: an error of the operator's own while it was handed over", partition)
        del self._leaving[partition]
        self._give_up(partition, clean=clean)

    def _give_up(self, partition: int, *, clean: bool) -> None:
        elector = self._standing.pop(partition)
        self._end("partition", partition, elector, clean=clean and partition not in self._won_again)
        self._won_again.discard(partition)

    def _stand(
        self, what: str, index: int, on_started: Callable[[], None], on_lost: Callable[[], None]
    ) -> LeaderElector:
        name = f"{self._name}-{what}-{index}-of-{self.count}"
        sight = self._sights.get(name)
        seen = (sight.version, sight.since) if sight is not None else ("", 0.0)
        elector = self._elector(name, self.identity, on_started, on_lost, seen=seen)
        elector.start()
        return elector

    def _end(self, what: str, index: int, elector: LeaderElector, *, clean: bool) -> None:
        """Stop standing, without waiting, and whatever is cancelled meanwhile: half a stop gives nothing up."""

        def ended(_: asyncio.Task[None]) -> None:
            del self._ending[what, index]
            self._news.set()

        self._ending[what, index] = task = asyncio.create_task(elector.stop(clean=clean), name="stop standing")
        task.add_done_callback(ended)

    def _elector(
        self,
        name: str,
        identity: str,
        on_started: Callable[[], None],
        on_lost: Callable[[], None],
        *,
        shared: bool = False,
        seen: tuple[str, float] = ("", 0.0),
    ) -> LeaderElector:
        return LeaderElector(
            self._api,
            namespace=self._namespace,
            identity=identity,
            name=name,
            on_started=on_started,
            on_lost=on_lost,
            lease_duration=self._timing.lease_duration,
            renew_every=self._timing.renew_every,
            renew_deadline=self._timing.renew_deadline,
            clock=self._clock,
            rng=self._rng,
            shared=shared,
            seen=seen,
        )


__all__ = ["Membership", "Timing"]

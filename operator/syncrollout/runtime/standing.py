"""Whether this process acts, and for which rollouts: for all, alone or by one Lease, or for its partitions of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from syncrollout.ports import ACTING_FOR, KubeApi
from syncrollout.runtime.controller import Controller
from syncrollout.runtime.lease import LeaderElector
from syncrollout.runtime.membership import Membership, Timing
from syncrollout.runtime.partitions import partition_of
from syncrollout.runtime.settings import Settings

log = logging.getLogger(__name__)

LEAST_FOR_LEASE: Final = 0.5
"""Seconds that giving up the Lease gets at the end, whatever passes and Events have taken."""


class Standing:
    """Stands for election as the settings say, and has the controller lead and follow. `api` must let writes pass
    whoever leads; `tell` hears for which part of all rollouts this process acts: from 0 to 1."""

    def __init__(
        self,
        api: KubeApi,
        settings: Settings,
        *,
        namespace: str,
        identity: str,
        controller: Controller,
        tell: Callable[[float], None],
    ) -> None:
        self._controller = controller
        self._tell = tell
        self._grace = settings.shutdown_grace
        self._count = settings.partitions
        self._request_timeout, self._late_effect = settings.request_timeout, settings.late_effect
        self._leading: set[int] = set()
        self._lease: LeaderElector | None = None
        self._membership: Membership | None = None
        if settings.partitions > 1:
            self._membership = Membership(
                api,
                namespace=namespace,
                name=settings.lease_name,
                identity=identity,
                count=settings.partitions,
                on_gained=self._lead,
                on_lost=self._follow,
                hand_over=self._hand_over,
                timing=Timing(settings.lease_duration, settings.lease_renew_interval, settings.lease_renew_deadline),
            )
        elif settings.leader_election:
            self._lease = LeaderElector(
                api,
                namespace=namespace,
                name=settings.lease_name,
                identity=identity,
                on_started=self._lead,
                on_lost=self._follow,
                lease_duration=settings.lease_duration,
                renew_every=settings.lease_renew_interval,
                renew_deadline=settings.lease_renew_deadline,
            )

    def may_write(self) -> bool:
        """Whether a write may go out now for the rollout that something is done for. Of a write that is for no rollout
        nobody knows whose it is: with partitions it never goes out."""
        if self._membership is not None:
            return bool(uid := ACTING_FOR.get()) and self._membership.held(partition_of(uid, self._count))
        return bool(self._leading) and (self._lease is None or self._lease.held())

    @property
    def acts(self) -> bool:
        """Whether this process acts for any rollout."""
        if self._membership is not None:
            return bool(self._membership.holding)
        return self.may_write()

    def leads(self, uid: str) -> bool:
        """Whether it acts for the rollout of this uid, as far as it knows itself: for what is shown alone."""
        return partition_of(uid, self._count) in self._leading

    def acts_for_all(self) -> bool:
        """Likewise, of all rollouts."""
        return len(self._leading) == self._count

    @property
    def membership(self) -> Membership | None:
        """Who holds which partition; None where there are none."""
        return self._membership

    def start(self) -> None:
        """Begin to stand; without election, to lead."""
        if self._membership is not None:
            self._membership.start()
        elif self._lease is not None:
            self._lease.start()
        else:
            self._lead()

    async def stop(self, ends_at: float, *, clean: bool) -> None:
        """Give up what is held, with what is left of the time to stop (`ends_at`: event loop's time); where the API
        server does not answer it runs out. `clean`: nothing was cut short."""
        stopping = self._membership or self._lease
        if stopping is None:
            return
        left = max(LEAST_FOR_LEASE, ends_at - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(left):
                await stopping.stop(clean=clean)
        except TimeoutError:
            log.warning("the Lease could not be given up within %.1f s: it runs out by itself", left)

    def _lead(self, partition: int = 0) -> None:
        self._leading.add(partition)
        self._tell(len(self._leading) / self._count)
        if self._membership is None:
            log.info("leading: rollouts are carried out by this process")
        else:
            log.info("partition %d of %d: its rollouts are carried out by this process", partition, self._count)
        self._controller.lead(partition, unsure_for=self._unsure_for(partition))

    def _unsure_for(self, partition: int) -> float:
        """Seconds for which what the process before has sent may still have its effect. Without a Lease it is dead;
        with one it may have been cut off, and have waited for its answers until now."""
        if self._membership is not None:
            quiet_for = self._membership.quiet_for(partition)
        else:
            quiet_for = self._lease.quiet_for if self._lease is not None else self._request_timeout
        return max(0.0, self._late_effect + self._request_timeout - quiet_for)

    def _follow(self, partition: int = 0) -> None:
        if partition not in self._leading:
            return
        self._leading.discard(partition)
        self._tell(len(self._leading) / self._count)
        if self._membership is None:
            log.warning("not leading any more: nothing is written before the Lease is won again")
        else:
            log.warning("partition %d of %d is not carried out by this process any more", partition, self._count)
        self._controller.follow(partition)

    async def _hand_over(self, partition: int) -> bool:
        return await self._controller.hand_over(partition, self._grace)


__all__ = ["Standing"]

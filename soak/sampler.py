"""Takes the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soak import samples
from soak.faults import Outage
from soak.replicas import Replica
from soak.samples import COUNTED, Counters, Sample
from soak.story import Story
from soak.world import World

LATE = 5.0
"""Seconds: the bound that no pass may be later than, outside of outages."""
TAIL = 20.0
"""Seconds after an outage in which passes end that were late because of it: only then are they counted."""
_API = {
    "Job": "batch/v1",
    "Lease": "coordination.k8s.io/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ReplicaSet": "apps/v1",
    "SyncRollout": "syncrollout.io/v1alpha1",
}


class Sampler:
    """`ask` some time before each `take`: the replicas count what they hold in their own time."""

    def __init__(self, world: World, story: Story, clock: Callable[[], float], began: float) -> None:
        self._world, self._story, self._clock, self._began = world, story, clock, began
        self._before: dict[str, Counters] = {}
        self._last = began
        self.samples: list[Sample] = []

    def ask(self, *, collect: bool = False) -> None:
        """Have the replicas count."""
        for replica in self._world.replicas:
            if replica.ready:
                replica.ask(collect=collect)

    def take(self, state: str, outages: list[Outage], *, under_way: bool) -> Sample:
        """One sample."""
        leader = self._world.leader
        now = self._clock()
        fresh = samples.together([self._of(each) for each in self._world.replicas])
        counts = leader.counts() if leader is not None else {}
        standby = next((each for each in self._world.replicas if each is not leader), None)
        made = Sample(
            time=round(now - self._began, 1),
            leader=f"{leader.name}/{leader.starts}" if leader is not None else "",
            rss=round(leader.process.memory_mb(), 1) if leader is not None else 0.0,
            standby_rss=round(standby.process.memory_mb(), 1)
            if standby is not None and standby.process.running
            else 0.0,
            objects=int(counts.get("objects", 0)),
            tasks=int(counts.get("tasks", 0)),
            threads=int(counts.get("threads", 0)),
            files=leader.files() if leader is not None else 0,
            passes=int(fresh.passes),
            p50=samples.quantile(fresh.late, 0.5),
            p99=samples.quantile(fresh.late, 0.99),
            late=samples.later_than(fresh.late, LATE),
            requests={verb: int(number) for verb, number in fresh.requests.items()},
            counts={kind: self._count(kind) for kind in COUNTED},
            status=self._story.sizes(),
            history=self._story.longest,
            state=state,
            outage=under_way or any(each.until + TAIL >= self._last for each in outages),
        )
        self._last = now
        self.samples.append(made)
        return made

    def _of(self, replica: Replica) -> Counters:
        if not replica.process.running:
            return Counters()
        now = samples.counters(replica.metrics())
        key = f"{replica.name}/{replica.starts}"
        fresh = samples.since(now, self._before.get(key))
        if now.late:
            self._before[key] = now
        return fresh

    def _count(self, kind: str) -> int:
        path = self._world.kube.path(_API.get(kind, "v1"), kind)
        found: dict[str, Any] = self._world.kube.request("GET", path, query={"limit": "1"})
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount") or 0)

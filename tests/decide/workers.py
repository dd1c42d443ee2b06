"""Workers of both sides that obey an assignment of slots, early or late; who holds what is checked at every look."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Protocol

from syncrollout.api.spec import HandoverMethod, SyncRolloutSpec
from syncrollout.api.status import ShardsStatus
from syncrollout.api.words import Side
from syncrollout.decide import shards
from syncrollout.decide.actions import Assign
from syncrollout.decide.facts import Assignment, HoldersFact, ShardsFact, WorkloadFact


@dataclass(slots=True)
class Pod:
    """A worker. It holds what the assignment that it obeys gives to its side."""

    name: str
    side: Side
    obeys: Assignment | None
    stamp: int

    @property
    def span(self) -> range:
        """The slots that it may have an item of in its hands."""
        if self.obeys is None:
            return range(shards.SLOTS) if self.side is Side.OLD else range(0)
        if self.side is Side.OLD:
            return range(self.obeys.old_from, shards.SLOTS)
        return range(0 if self.obeys.stop else self.obeys.new_below)

    @property
    def epoch(self) -> int:
        """The epoch that it obeys."""
        return self.obeys.epoch if self.obeys is not None else 0


class Sides(Protocol):
    """What workers are told of the world that they are in."""

    spec: SyncRolloutSpec
    old: WorkloadFact | None
    new: WorkloadFact | None


@dataclass(slots=True)
class Workers:
    """The ConfigMap and the pods of both sides."""

    sides: Sides
    assignment: Assignment | None = None
    pods: list[Pod] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    """Pods that do not read any more; names, or a side's name for all of it."""
    undying: bool = False
    """Pods that do not go away when they are told to."""
    written: list[Assignment] = field(default_factory=list)
    """Everything that the operator wrote."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def write(self, action: Assign) -> bool:
        """The operator writes; nothing happens where the ConfigMap says something else than it takes for granted."""
        if self.assignment != action.replaces:
            return False
        assert action.assignment.epoch > (self.assignment.epoch if self.assignment is not None else 0)
        self.assignment = action.assignment
        self.written.append(action.assignment)
        return True

    def fact(self, recorded: ShardsStatus | None) -> ShardsFact | None:
        """What the operator sees, once the pods have done what they do."""
        spec = self.sides.spec.traffic.shards
        if spec is None:
            return None
        self.live()
        self.check()
        sides = shards.awaited(spec, self.assignment, recorded)
        old = self._holders(Side.OLD) if Side.OLD in sides else None
        new = self._holders(Side.NEW) if Side.NEW in sides else None
        return ShardsFact(self.assignment, old, new)

    def live(self) -> None:
        """Pods come and go with their workload, and read what is written."""
        for side in Side:
            workload = self._workload(side)
            mine = [pod for pod in self.pods if pod.side is side]
            for pod in mine:
                if self._made_anew(pod, workload) and not self._is_stuck(pod):
                    self.pods.remove(pod)
            mine = [pod for pod in self.pods if pod.side is side]
            for pod in mine[workload.desired :] if not self.undying else ():
                self.pods.remove(pod)
            for _ in range(workload.desired - len(mine)):
                name = f"{side.value.lower()}-{next(self.numbers)}"
                self.pods.append(Pod(name, side, self.assignment, workload.epoch))
        if self._method is HandoverMethod.RESTART:
            return
        for pod in self.pods:
            if not self._is_stuck(pod):
                pod.obeys = self.assignment or pod.obeys

    def check(self) -> None:
        """No slot has two owners."""
        reach = max((pod.span.stop for pod in self.pods if pod.side is Side.NEW), default=0)
        start = min((pod.span.start for pod in self.pods if pod.side is Side.OLD), default=shards.SLOTS)
        assert reach <= start, f"slots {start} to {reach - 1} have two owners: {self.pods}"

    def has_all(self) -> bool:
        """Whether every slot has an owner, as far as the workers know."""
        self.live()
        reach = max((pod.span.stop for pod in self.pods if pod.side is Side.NEW), default=0)
        start = min((pod.span.start for pod in self.pods if pod.side is Side.OLD), default=shards.SLOTS)
        return reach == start

    @property
    def _method(self) -> HandoverMethod:
        assert self.sides.spec.traffic.shards is not None
        return self.sides.spec.traffic.shards.handover.method

    def _made_anew(self, pod: Pod, workload: WorkloadFact) -> bool:
        return workload.scalable and pod.stamp < workload.epoch

    def _is_stuck(self, pod: Pod) -> bool:
        return not self.stuck.isdisjoint({pod.name, pod.side.value})

    def _workload(self, side: Side) -> WorkloadFact:
        return (self.sides.old if side is Side.OLD else self.sides.new) or WorkloadFact()

    def _holders(self, side: Side) -> HoldersFact:
        assert self.assignment is not None
        mine = [pod for pod in self.pods if pod.side is side]
        by_stamp = self._method is HandoverMethod.RESTART or not self._workload(side).scalable
        unknown = self._method is HandoverMethod.DRAIN and not by_stamp
        waiting = [p.name for p in mine if unknown or (p.stamp if by_stamp else p.epoch) < self.assignment.epoch]
        names = frozenset(pod.name for pod in mine)
        return HoldersFact(len(mine), len(mine) - len(waiting), tuple(waiting[:5]), names)

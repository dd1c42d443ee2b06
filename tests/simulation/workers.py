"""Workers that move by shards: pods that read the ConfigMap late and let go later still, each at a time of its own.

After every step of any of them, and after every write of the ConfigMap, no slot may be held by both sides.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from dataclasses import dataclass, field

from fakes.kube import Call
from simulation import objects
from simulation.invariants import Plan
from simulation.objects import CONFIG_MAP, POD
from simulation.world import World, nobody
from syncrollout.decide.facts import Assignment
from syncrollout.ports import Object

SLOTS = 1000
KEY = "SYNCROLLOUT_SHARDS"
STAMP = "syncrollout.io/epoch"
READS = (0.05, 0.8)
"""Bounds of the seconds after a write within which a worker reads it."""
LETS_GO = (0.0, 0.8)
"""Bounds of the seconds that it takes to end the items it has in its hands."""
ENDS = (0.1, 1.0)
"""Bounds of the seconds that a pod takes to end."""
TICK = 0.5
HANGS = 4.0
_PART = re.compile(r'min\(syncrollout_shards_epoch\{uid="(?P<uid>[^"]+)"\}\) >= bool (?P<epoch>\d+)')
_BITS = 2


def assignment_in(obj: Object | None) -> Assignment | None:
    """What a ConfigMap says, read by the document of the protocol."""
    if obj is None:
        return None
    said = json.loads(obj["data"][KEY])
    assert said["protocol"] == 1
    return Assignment(said["epoch"], said["newBelow"], said["oldFrom"], said["mode"] == "shadow", said["stop"])


@dataclass(slots=True)
class Worker:
    """One pod."""

    name: str
    uid: str
    old: bool
    stamp: int
    epoch: int = 0
    """The one that it reports."""
    holds: int = 0
    """Of old: slots from this one on; of new: slots below it."""
    read: Assignment | None = None
    hangs: bool = False
    ending: bool = False

    def bound(self, said: Assignment | None) -> int:
        """Where its side's part begins or ends."""
        if said is None:
            return 0
        return said.old_from if self.old else said.new_below


@dataclass(slots=True)
class Workers:
    """All pods of one rollout's two sides."""

    world: World
    plan: Plan
    restarts: bool = False
    """They read at their start only."""
    deaths: float = 0.0
    """The chance, each tick while things go wrong, that one of them dies and another is made."""
    hangs: float = 0.0
    """The chance, each tick while things go wrong, that one of them hangs for HANGS seconds."""
    until: float = 0.0
    """Loop time until which things go wrong."""
    pods: dict[str, Worker] = field(default_factory=dict)
    made: int = 0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.world.seed}/workers/{self.plan.name}")
        self.world.kube.on_effect.append(self._hear)
        self.world.source.acks = self.answer
        self._later(0.0, self._tick)

    def answer(self, query: str) -> float:
        """What Prometheus says to the question who obeys."""
        number = 0
        reported = {worker.uid: worker.epoch for worker in self.pods.values()}
        for place, part in enumerate(_PART.finditer(query)):
            epoch, at = int(part["epoch"]), reported.get(part["uid"], 0)
            number += ((at >= epoch) + 2 * (at > epoch)) << (_BITS * place)
        return float(number)

    def check(self) -> None:
        """No slot is held by both sides."""
        begins = min((each.holds for each in self.pods.values() if each.old), default=SLOTS)
        ends = max((each.holds for each in self.pods.values() if not each.old), default=0)
        if ends > begins:
            self.world.violate(f"{self.plan.name}: slots {begins} to {ends - 1} have two owners: {self.pods}")

    def lost(self) -> str:
        """Which slots nobody works on, in words."""
        begins = max((each.holds for each in self.pods.values() if each.old), default=SLOTS)
        ends = min((each.holds for each in self.pods.values() if not each.old), default=0)
        return f"slots {ends} to {begins - 1} have no owner" if ends < begins else ""

    # What happens by itself.

    def _later(self, seconds: float, call: object, *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, call, *arguments, context=nobody())  # type: ignore[arg-type]

    def _hear(self, call: Call) -> None:
        if call.ref.kind != CONFIG_MAP or call.ref.name != self.plan.config_map:
            return
        self.check()
        if not self.restarts:
            for name in self.pods:
                self._later(self.chance.uniform(*READS), self._reads, name)

    def _reads(self, name: str) -> None:
        worker, said = self.pods.get(name), self._said()
        if worker is None or worker.hangs or said is None or (worker.read and said.epoch <= worker.read.epoch):
            return
        worker.read = said
        worker.holds = min(worker.holds, said.old_from) if worker.old else max(worker.holds, said.new_below)
        self.check()
        self._later(self.chance.uniform(*LETS_GO), self._lets_go, name, said.epoch)

    def _lets_go(self, name: str, epoch: int) -> None:
        worker = self.pods.get(name)
        if worker is None or worker.hangs or worker.read is None or worker.read.epoch != epoch:
            return
        worker.holds, worker.epoch = worker.bound(worker.read), epoch
        self.check()

    def _tick(self) -> None:
        for old, ref in ((True, self.plan.old_ref), (False, self.plan.new_ref)):
            obj = self.world.kube.read(ref)
            wanted, stamp = objects.replicas_of(obj), _stamp(obj)
            living = [each for each in self.pods.values() if each.old == old and not each.ending]
            stale = [each for each in living if self.restarts and each.stamp < stamp]
            for worker in [*stale, *[each for each in living if each not in stale][wanted:]]:
                worker.ending = True
                self._later(self.chance.uniform(*ENDS), self._ends, worker.name)
            for _ in range(wanted - len(living) + len(stale)):
                self._make(old, stamp)
        if self.world.now < self.until:
            self._misfortune()
        self.check()
        self._later(TICK, self._tick)

    def _misfortune(self) -> None:
        for worker in list(self.pods.values()):
            if self.chance.random() < self.deaths:
                self.world.say(f"{worker.name} dies")
                self._ends(worker.name)
            elif self.chance.random() < self.hangs and not worker.hangs:
                self.world.say(f"{worker.name} hangs")
                worker.hangs = True
                self._later(HANGS, self._goes_on, worker.name)

    def _goes_on(self, name: str) -> None:
        if name in self.pods:
            self.pods[name].hangs = False
            if not self.restarts:
                self._reads(name)
                worker = self.pods[name]
                if worker.read is not None:
                    self._later(self.chance.uniform(*LETS_GO), self._lets_go, name, worker.read.epoch)

    def _make(self, old: bool, stamp: int) -> None:
        self.made += 1
        app = self.plan.old if old else self.plan.new
        body = objects.pod(f"{app}-{self.made}", app, {STAMP: str(stamp)} if stamp else {})
        made = self.world.kube.put(body)
        worker = Worker(made["metadata"]["name"], made["metadata"]["uid"], old, stamp, read=self._said())
        worker.holds, worker.epoch = worker.bound(worker.read), worker.read.epoch if worker.read else 0
        self.pods[worker.name] = worker

    def _ends(self, name: str) -> None:
        if self.pods.pop(name, None) is not None:
            self.world.kube.delete(objects.ref(POD, name))

    def _said(self) -> Assignment | None:
        return assignment_in(self.world.kube.read(objects.ref(CONFIG_MAP, self.plan.config_map)))


def _stamp(obj: Object | None) -> int:
    annotations = ((obj or {}).get("spec", {}).get("template", {}).get("metadata") or {}).get("annotations") or {}
    return int(annotations.get(STAMP, 0))

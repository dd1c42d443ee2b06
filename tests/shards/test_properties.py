"""Workers of both sides and an operator, in any order of steps: late files, garbage, crashes, handovers given up.

The clients are the real ones, on real files; an item in flight is an open `with` block. What is checked after each step
is what docs/shard-protocol.md promises. `PROPERTY_EXAMPLES=2000 pytest tests/shards/test_properties.py` looks longer.
"""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncrollout.shards import Assignment, Item, Mode, NotOwned, Shards, Side, slot

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "40"))
EDGES = (0, 1, 500, 1000)


def _key_of(low: int, high: int) -> str:
    return next(key for key in map(str, itertools.count()) if low <= slot(key) < high)


KEYS = [_key_of(low, high) for low, high in itertools.pairwise(EDGES)]
GARBAGE = ("", "{}", '{"protocol":2}', "\x00", '{"protocol":1,"epoch":999,"newBelow":600,"oldFrom":400}')
STEPS = 80


@dataclass
class Pod:
    side: Side
    file: Path
    shards: Shards
    delivered: int
    """Index of the last version that its mount has shown."""
    items: list[tuple[AbstractContextManager[Item], Item]] = field(default_factory=list)
    best: int = 0
    """The highest epoch that it has said to obey."""


class World:
    """`rng` chooses everything; the same seed gives the same steps."""

    def __init__(self, rng: random.Random, folder: str) -> None:
        self.rng = rng
        self.folder = Path(folder)
        self.numbers = itertools.count()
        self.written = [Assignment(1, 0, 0)]
        self.target = 0
        self.pods: list[Pod] = []
        self.listed: list[Pod] | None = None
        """Who has to let go; None while nothing is released."""
        self.loser = Side.OLD
        for side in (Side.OLD, Side.OLD, Side.NEW, Side.NEW):
            self.start(side)

    def step(self) -> None:
        """One thing happens."""
        pod = self.rng.choice(self.pods) if self.pods else None
        steps: list[tuple[int, Callable[[], object]]] = [
            (2, self.release if self.listed is None else self.grant_if_all_let_go),
            (1, self.roll_back),
        ]
        if self.listed is not None and self.loser is Side.OLD:
            steps.append((1, self.give_back))
        if self.listed is None and self.now.new_below == 0:
            steps.append((1, self.shadow))
        if len(self.pods) < 6:
            steps.append((1, lambda: self.start(self.rng.choice(list(Side)))))
        if pod is not None:
            steps += [
                (8, lambda: self.kubelet_delivers(pod)),
                (2, lambda: self.something_else_is_in_the_file(pod)),
                (8, lambda: self.starts_what_it_may(pod)),
                (5, lambda: self.ends_an_item(pod)),
                (1, lambda: self.pods.remove(pod)),  # kill -9
            ]
        weights, calls = zip(*steps, strict=True)
        self.rng.choices(calls, weights)[0]()

    # The operator

    @property
    def now(self) -> Assignment:
        return self.written[-1]

    def write(self, below: int, old_from: int, *, stop: bool = False, mode: Mode = Mode.LIVE) -> None:
        self.written.append(Assignment(self.now.epoch + 1, below, old_from, mode, stop))

    def release(self) -> None:
        mark = self.rng.choice(EDGES)
        before = self.now.new_below
        if mark == before and not self.now.stop:
            return
        self.target = mark
        self.loser = Side.OLD if mark > before else Side.NEW
        self.write(min(before, mark), max(before, mark))
        self.listed = [pod for pod in self.pods if pod.side is self.loser]

    def roll_back(self) -> None:
        self.target, self.loser = 0, Side.NEW
        self.write(0, self.now.old_from, stop=True)
        self.listed = [pod for pod in self.pods if pod.side is Side.NEW]

    def grant_if_all_let_go(self) -> None:
        assert self.listed is not None
        if all(pod not in self.pods or pod.shards.obeyed_epoch >= self.now.epoch for pod in self.listed):
            self.write(self.target, self.target, stop=self.now.stop)
            self.listed = None

    def give_back(self) -> None:
        self.write(self.now.new_below, self.now.new_below)
        self.listed = None

    def shadow(self) -> None:
        self.write(0, 0, mode=Mode.SHADOW)

    # Pods

    def start(self, side: Side) -> None:
        """A pod that is made reads what is there."""
        file = self.folder / str(next(self.numbers))
        file.write_text(self.now.dump())
        shards = Shards(side, file, dry_run=True, interval=float("inf"))
        self.pods.append(Pod(side, file, shards, len(self.written) - 1))

    def kubelet_delivers(self, pod: Pod, ahead: int = 0) -> None:
        ahead = ahead or self.rng.randint(1, 4)
        pod.delivered = min(pod.delivered + ahead, len(self.written) - 1)
        pod.file.write_text(self.written[pod.delivered].dump())
        pod.shards.look()
        assert pod.shards.assignment == self.written[pod.delivered]

    def something_else_is_in_the_file(self, pod: Pod) -> None:
        """Garbage, or what was there earlier."""
        before = pod.shards.assignment
        earlier = self.written[self.rng.randint(0, pod.delivered)].dump()
        pod.file.write_text(self.rng.choice([*GARBAGE, earlier]))
        assert not pod.shards.look()
        assert pod.shards.assignment == before

    def starts_what_it_may(self, pod: Pod) -> None:
        for key in KEYS:
            owned = pod.shards.owns(key)
            block = pod.shards.item(key)
            try:
                item = block.__enter__()
            except NotOwned:
                assert not owned
            else:
                assert item.dry_run is not owned
                pod.items.append((block, item))

    def ends_an_item(self, pod: Pod) -> None:
        if pod.items:
            block, _ = pod.items.pop(self.rng.randrange(len(pod.items)))
            block.__exit__(None, None, None)

    # What is promised

    def no_key_has_two_owners(self) -> None:
        sides = {(item.key, pod.side) for pod in self.pods for _, item in pod.items if not item.dry_run}
        twice = [key for key, count in Counter(key for key, _ in sides).items() if count > 1]
        assert twice == []

    def what_is_said_to_be_obeyed_is_true_and_never_falls(self) -> None:
        for pod in self.pods:
            obeyed = pod.shards.obeyed_epoch
            assert pod.best <= obeyed <= self.written[pod.delivered].epoch
            pod.best = obeyed
            if obeyed == self.written[pod.delivered].epoch:
                held = [item.key for _, item in pod.items if not item.dry_run]
                assert all(self.written[pod.delivered].owns(key, pod.side) for key in held)

    def ends_with_an_owner_for_every_key(self) -> None:
        """Left alone, with every item ended and every file brought up to date: by all workers' own account."""
        for pod in self.pods:
            while pod.items:
                self.ends_an_item(pod)
        for _ in range(2):
            for pod in self.pods:
                self.kubelet_delivers(pod, len(self.written))
            if self.listed is not None:
                self.grant_if_all_let_go()
        assert self.listed is None
        for key in KEYS:
            owner = Side.NEW if slot(key) < self.now.new_below else Side.OLD
            assert [pod.shards.owns(key) for pod in self.pods] == [pod.side is owner for pod in self.pods]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=True))
def test_any_order_of_steps(rng: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(rng, folder)
        for _ in range(STEPS):
            world.step()
            world.no_key_has_two_owners()
            world.what_is_said_to_be_obeyed_is_true_and_never_falls()
        world.ends_with_an_owner_for_every_key()

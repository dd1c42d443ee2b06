"""Workers of both sides and an operator, in any order of steps: late files, garbage, crashes, handovers given up.

The clients are the real ones, on real files; an item in flight is an open `with` block. What is checked after each step
is what docs/shard-protocol.md promises. `PROPERTY_EXAMPLES=2000 pytest tests/shards/test_properties.py` looks longer.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from syncrollout.shards import Assignment, Item, Mode, NotOwned, Shards, Side, slot

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))
EDGES = (0, 1, 250, 500, 750, 999, 1000)


def _key_of(low: int, high: int) -> str:
    return next(key for key in map(str, itertools.count()) if low <= slot(key) < high)


KEYS = [_key_of(low, high) for low, high in itertools.pairwise(EDGES)]
GARBAGE = ("", "{}", '{"protocol":2}', "\x00", '{"protocol":1,"epoch":999,"newBelow":600,"oldFrom":400}')
any_worker = st.integers(0, 50)


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


class Protocol(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.numbers = itertools.count()
        self.written: list[Assignment] = []
        self.target = 0
        self.pods: list[Pod] = []
        self.listed: list[Pod] | None = None
        """Who has to let go; None while nothing is released."""
        self.loser = Side.OLD

    @initialize(old=st.integers(0, 3), new=st.integers(0, 3))
    def begin(self, old: int, new: int) -> None:
        self.written.append(Assignment(1, 0, 0))
        for side, count in ((Side.OLD, old), (Side.NEW, new)):
            for _ in range(count):
                self.start(side)

    # The operator

    @property
    def now(self) -> Assignment:
        return self.written[-1]

    def write(self, below: int, old_from: int, *, stop: bool = False, mode: Mode = Mode.LIVE) -> None:
        self.written.append(Assignment(self.now.epoch + 1, below, old_from, mode, stop))

    @precondition(lambda self: self.listed is None)
    @rule(mark=st.sampled_from(EDGES))
    def release(self, mark: int) -> None:
        before = self.now.new_below
        if mark == before and not self.now.stop:
            return
        self.target = mark
        self.loser = Side.OLD if mark > before else Side.NEW
        self.write(min(before, mark), max(before, mark))
        self.listed = [pod for pod in self.pods if pod.side is self.loser]

    @rule()
    def roll_back(self) -> None:
        self.target, self.loser = 0, Side.NEW
        self.write(0, self.now.old_from, stop=True)
        self.listed = [pod for pod in self.pods if pod.side is Side.NEW]

    @precondition(lambda self: self.listed is not None)
    @rule()
    def grant_if_all_let_go(self) -> None:
        assert self.listed is not None
        if all(pod not in self.pods or pod.shards.obeyed_epoch >= self.now.epoch for pod in self.listed):
            self.write(self.target, self.target, stop=self.now.stop)
            self.listed = None

    @precondition(lambda self: self.listed is not None and self.loser is Side.OLD)
    @rule()
    def give_back(self) -> None:
        self.write(self.now.new_below, self.now.new_below)
        self.listed = None

    @precondition(lambda self: self.listed is None and self.now.new_below == 0)
    @rule()
    def shadow(self) -> None:
        self.write(0, 0, mode=Mode.SHADOW)

    # Pods

    @precondition(lambda self: len(self.pods) < 6)
    @rule(side=st.sampled_from(Side))
    def start(self, side: Side) -> None:
        """A pod that is made reads what is there."""
        file = Path(self.folder.name) / str(next(self.numbers))
        file.write_text(self.now.dump())
        shards = Shards(side, file, dry_run=True, interval=float("inf"))
        self.pods.append(Pod(side, file, shards, len(self.written) - 1))

    @precondition(lambda self: self.pods)
    @rule(which=any_worker, ahead=st.integers(1, 4))
    def kubelet_delivers(self, which: int, ahead: int) -> None:
        pod = self.pods[which % len(self.pods)]
        pod.delivered = min(pod.delivered + ahead, len(self.written) - 1)
        pod.file.write_text(self.written[pod.delivered].dump())
        pod.shards.look()
        assert pod.shards.assignment == self.written[pod.delivered]

    @precondition(lambda self: self.pods)
    @rule(which=any_worker, garbage=st.sampled_from(GARBAGE) | st.integers(0, 50))
    def something_else_is_in_the_file(self, which: int, garbage: str | int) -> None:
        """Garbage, or what was there earlier."""
        pod = self.pods[which % len(self.pods)]
        before = pod.shards.assignment
        pod.file.write_text(garbage if isinstance(garbage, str) else self.written[garbage % (pod.delivered + 1)].dump())
        assert not pod.shards.look()
        assert pod.shards.assignment == before

    @precondition(lambda self: self.pods)
    @rule(which=any_worker)
    def is_killed(self, which: int) -> None:
        self.pods.pop(which % len(self.pods))

    @precondition(lambda self: self.pods)
    @rule(which=any_worker, key=st.sampled_from(KEYS))
    def starts_an_item(self, which: int, key: str) -> None:
        pod = self.pods[which % len(self.pods)]
        owned = pod.shards.owns(key)
        block = pod.shards.item(key)
        try:
            item = block.__enter__()
        except NotOwned:
            assert not owned
        else:
            assert item.dry_run is not owned
            pod.items.append((block, item))

    @precondition(lambda self: any(pod.items for pod in self.pods))
    @rule(which=any_worker)
    def ends_an_item(self, which: int) -> None:
        busy = [pod for pod in self.pods if pod.items]
        pod = busy[which % len(busy)]
        block, _ = pod.items.pop(which % len(pod.items))
        block.__exit__(None, None, None)

    # What is promised

    @invariant()
    def no_key_has_two_owners(self) -> None:
        sides = {(item.key, pod.side) for pod in self.pods for _, item in pod.items if not item.dry_run}
        twice = [key for key, count in Counter(key for key, _ in sides).items() if count > 1]
        assert twice == []

    @invariant()
    def what_is_said_to_be_obeyed_is_true_and_never_falls(self) -> None:
        for pod in self.pods:
            obeyed = pod.shards.obeyed_epoch
            assert pod.best <= obeyed <= self.written[pod.delivered].epoch
            pod.best = obeyed
            if obeyed == self.written[pod.delivered].epoch:
                held = [item.key for _, item in pod.items if not item.dry_run]
                assert all(self.written[pod.delivered].owns(key, pod.side) for key in held)

    def teardown(self) -> None:
        """Left alone, it ends with every key owned by one side, and by all workers' own account."""
        while any(pod.items for pod in self.pods):
            self.ends_an_item(0)
        if self.written:
            for _ in range(2):
                for which in range(len(self.pods)):
                    self.kubelet_delivers(which, len(self.written))
                if self.listed is not None:
                    self.grant_if_all_let_go()
            assert self.listed is None
            for key in KEYS:
                owner = Side.NEW if slot(key) < self.now.new_below else Side.OLD
                assert [pod.shards.owns(key) for pod in self.pods] == [pod.side is owner for pod in self.pods]
        self.folder.cleanup()


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)

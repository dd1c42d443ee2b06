"""Real worker processes, whose files are swapped under them, and some of which are killed: their logs tell."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from syncrollout.shards import Assignment, Side, slot

ROOT = Path(__file__).parents[2]
MARKS = (0, 100, 500, 1000, 300, 700, 0)
DEADLINE = 30.0
BETWEEN = 80  # items, at least, between two handovers


@dataclass
class Worker:
    """One process and its own mount: files of different pods change at different times."""

    side: Side
    process: subprocess.Popen[str]
    mount: Any
    log: Path
    port: int = 0
    ended: float = float("inf")

    def obeyed(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        (value,) = re.findall(rf'^syncrollout_shards_epoch{{uid="{self.process.pid}"}} (\d+)$', text, re.MULTILINE)
        return int(value)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.ended = time.monotonic()


@dataclass
class Operator:
    """The protocol's other half, and a record of when which side could own what."""

    workers: list[Worker]
    epoch: int = 0
    mark: int = 0
    may: dict[tuple[Side, int], list[tuple[float, bool]]] = field(default_factory=lambda: defaultdict(list))
    """(side, slot) -> since when it may be worked on, or may not any more."""

    def write(self, below: int, old_from: int) -> None:
        """The kubelets bring it to one pod after the other."""
        self.epoch += 1
        assignment = Assignment(self.epoch, below, old_from)
        self._allow(assignment, wanted=True)
        for worker in self.workers:
            worker.mount.put(assignment)

    def wait_for(self, side: Side) -> None:
        losing = [worker for worker in self.workers if worker.side is side and worker.process.poll() is None]
        until = time.monotonic() + DEADLINE
        while any(worker.obeyed() < self.epoch for worker in losing):
            assert time.monotonic() < until, f"{side} does not let go"

    def move(self, mark: int) -> None:
        low, high = sorted((self.mark, mark))
        self.write(low, high)
        self.wait_for(Side.OLD if mark > self.mark else Side.NEW)
        self._allow(Assignment(self.epoch, low, high), wanted=False)
        self.write(mark, mark)
        self.mark = mark

    def _allow(self, assignment: Assignment, *, wanted: bool) -> None:
        """What is given may be worked on from before the write, what is taken until it was let go."""
        now = time.monotonic()
        for side in Side:
            for number in range(1000):
                record = self.may[side, number]
                owned = assignment.owns_slot(number, side)
                if owned is wanted and (record[-1][1] if record else False) is not owned:
                    record.append((now, owned))

    def allowed(self, side: Side, number: int, at: float) -> bool:
        record = self.may[side, number]
        before = bisect_right(record, at, key=lambda each: each[0])
        return before > 0 and record[before - 1][1]


@pytest.fixture
def start(tmp_path: Path, mount: Any) -> Iterator[Callable[[Side, Assignment], Worker]]:
    with ExitStack() as stack:

        def call(side: Side, assignment: Assignment) -> Worker:
            number = len(list(tmp_path.glob("*.log")))
            own, log = type(mount)(tmp_path / f"mount-{number}"), tmp_path / f"{number}.log"
            own.put(assignment)
            log.touch()
            command = [sys.executable, str(ROOT / "tests" / "shards" / "worker_process.py"), side, own.path, log]
            process = stack.enter_context(
                subprocess.Popen(
                    list(map(str, command)),
                    env={"PYTHONPATH": str(ROOT / "operator")},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return Worker(side, process, own, log)

        yield call


def test_no_item_is_started_for_a_slot_that_is_not_owned_whatever_is_swapped_or_killed(
    start: Callable[[Side, Assignment], Worker],
) -> None:
    first = Assignment(1, 0, 0)
    operator = Operator([])
    operator.write(first.new_below, first.old_from)
    operator.workers += [start(side, first) for side in (Side.OLD, Side.OLD, Side.NEW, Side.NEW)]
    workers = operator.workers
    for worker in workers:
        assert worker.process.stdout is not None
        worker.port = int(worker.process.stdout.readline())
    for turn, mark in enumerate(MARKS[1:]):
        work_on(workers)
        if turn in (2, 4):
            workers[turn // 2].kill()  # one of each side, in the middle of its items
        operator.move(mark)
    work_on(workers)
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()

    spans = [span for worker in workers for span in read(worker)]
    stray = [span for span in spans if not operator.allowed(span[2], slot(span[0]), span[1])]
    assert stray == []
    by_key: dict[str, list[tuple[float, float, Side]]] = defaultdict(list)
    for key, begun, side, ended in spans:
        by_key[key].append((begun, ended, side))
    for key, several in by_key.items():
        last = {side: float("-inf") for side in Side}  # when this side's items of the key are over
        for begun, ended, side in sorted(several):
            other = Side.NEW if side is Side.OLD else Side.OLD
            assert begun >= last[other], f"{key}: {side} began at {begun}, {other} ended at {last[other]}"
            last[side] = max(last[side], ended)
    done = {side: sum(each[2] is side for each in spans) for side in Side}
    assert min(done.values()) > 50, f"the test proves nothing: {done}"
    assert sum({Side.OLD, Side.NEW} == {each[2] for each in several} for several in by_key.values()) > len(by_key) / 2


def work_on(workers: list[Worker]) -> None:
    """Wait until a number of items has been started since now."""

    def started() -> int:
        return sum(worker.log.read_bytes().count(b"start") for worker in workers)

    enough, until = started() + BETWEEN, time.monotonic() + DEADLINE
    while started() < enough:
        assert time.monotonic() < until, "the workers have stopped working"
        time.sleep(0.01)


def read(worker: Worker) -> list[tuple[str, float, Side, float]]:
    """(key, start, side, end) of each item; one that was cut short ends with its process."""
    spans: list[tuple[str, float, Side, float]] = []
    under_way: dict[str, list[float]] = defaultdict(list)
    for line in worker.log.read_text().splitlines():
        what, key, at = line.split()
        if what == "start":
            under_way[key].append(float(at))
        else:  # of several of one key, which one ended does not matter to the union of them
            spans.append((key, under_way[key].pop(), worker.side, float(at)))
    spans += [(key, at, worker.side, worker.ended) for key, several in under_way.items() for at in several]
    return spans

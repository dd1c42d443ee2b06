"""Two operators, one of which leads: what cuts it off, and clocks that are wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from e2e import plan
from e2e.operators import SHORT_LEASE, STEADY_LEASE, Operators
from e2e.scene import Scene
from testbed import AuditEvent
from testbed.relay import Relay
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
WRITES = {"create", "update", "patch", "delete", "deletecollection"}
HOUR = 3600.0
CLOCK = '''"""The wall clock of this process, off by what a file says, whenever it says so."""
import os, threading, time

real, path, off = time.time, os.environ["CLOCK_FILE"], [0.0]

def read():
    with open(path) as file:
        off[0] = float(file.read() or off[0])

def follow():
    while True:
        time.sleep(0.02)
        read()

read()
time.time = lambda: real() + off[0]
threading.Thread(target=follow, daemon=True).start()
'''


class Clock:
    """The wall clock of an operator: off by so many seconds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        (folder / "sitecustomize.py").write_text(CLOCK)
        self.env = {"PYTHONPATH": str(folder), "CLOCK_FILE": str(self._file)}
        self.off_by(0)

    def off_by(self, seconds: float) -> None:
        """From now on."""
        self._file.write_text(str(seconds))
        time.sleep(0.1)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """See Clock."""
    return Clock(tmp_path)


@pytest.fixture
def wire(scene: Scene) -> Iterator[Relay]:
    """Between one operator and the API server."""
    with Relay(scene.stage.cluster.server) as relay:
        yield relay


def test_cut_off_from_the_api_server_alone_it_gives_way_and_undoes_nothing_when_it_is_back(
    operators: Operators, scene: Scene, wire: Relay
) -> None:
    """The other one takes over, carries out the Critical rollback that fell into the gap, and begins the next run. What
    the first had on its way arrives after that."""
    first = operators.own("cut-off", *SHORT_LEASE, server=wire.url)
    second = operators.own("second", *SHORT_LEASE, leading=False)
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    audit = scene.stage.cluster.audit
    mark = audit.mark()
    scene.set("errors", 50, "new")
    wire.cut()
    rollout.until("RolledBack")
    assert second.leading
    assert first.says("is not held any more")
    scene.set_and_scraped("errors", 0.1, "new")
    rollout.edit(revision="2")
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["run"] == 2)
    wire.mend()

    def of(credential: str, *verbs: str) -> list[AuditEvent]:
        return [event for event in audit.since(mark) if event.credential == credential and event.verb in verbs]

    eventually(
        lambda: sum(event.resource == "leases" for event in of(first.credential, "get")) >= 4,
        timeout=30,
        interval=0.3,
        what="the first to look at the Lease again",
    )
    begun = min(event.time for event in of(second.credential, *WRITES) if event.resource != "leases")
    late = [event for event in of(first.credential, *WRITES) if event.time > begun and event.code < 300]
    # weights that it sent before may arrive, and are put right; nothing else of it is taken
    assert {event.resource for event in late} <= {"httproutes"}
    eventually(lambda: scene.weight() == 50, what="the weight of the second run")
    assert not first.leading
    assert (rollout.status["run"], rollout.status["state"]) == (2, "Progressing")
    assert rollout.reasons.count("RolledBack") == rollout.reasons.count("CriterionBreached") == 1


def test_a_clock_that_is_wrong_and_then_set_rushes_no_phase_and_costs_no_lease(
    operators: Operators, scene: Scene, clock: Clock
) -> None:
    clock.off_by(5 * HOUR)
    own = operators.own("wrong-clock", *STEADY_LEASE, env=clock.env)
    assert own.says("by the API server it is", "earlier")
    rollout = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("half", 50, plan.LONG)])
    status = rollout.until(phase="half", stands=True)
    started, next_one = (_time(entry["time"]) for entry in status["history"])
    assert next_one - started >= 2
    assert abs(next_one - time.time()) < 60
    for hours in (100, -100):
        clock.off_by(hours * HOUR)
        passes = _passes(own.metrics())
        eventually(lambda n=passes: _passes(own.metrics()) >= n + 3, timeout=20, what="three passes")  # type: ignore[misc]
        assert rollout.status["phase"]["name"] == "half"
    scene.set("errors", 50, "new")
    status = rollout.until("RolledBack")
    assert abs(_time(status["rollback"]["decided"]) - time.time()) < 60
    assert scene.weights() == [0, 10, 50, 0]
    assert not [line for line in own.log() if "is not held any more" in line["message"]]


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _passes(metrics: dict[str, float]) -> float:
    return metrics.get("syncrollout_pass_lateness_seconds_count", 0.0)

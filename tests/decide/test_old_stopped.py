"""Once the operator has stopped old, its readings go with its pods: a limit relative to old holds nothing then."""

from __future__ import annotations

import pytest

from decide.plans import Document, by_replicas, five_phases
from decide.world import World
from syncrollout.api.words import Health, Side, State, Unknown, Verdict

HOUR = 3600.0
TRIGGER = {"severity": "High", "metric": "latency", "atLeast": 3.0, "relativeTo": "Old"}


def plan(made: Document) -> Document:
    """With a trigger relative to old; five minutes without data ask a person for a decision."""
    made["rollback"] = {"triggers": [TRIGGER], "keepWatching": "1h", "medium": {"unknownFor": "5m"}}
    return made


def without_olds_readings(w: World) -> None:
    """Until the phase in which old has no pods any more; its series end with them."""
    for _ in range(4000):
        w.step(1.0)
        if w.old.desired == 0:
            w.read("latency", Unknown.NO_DATA, side=Side.OLD)
            return
    raise AssertionError(f"old was never stopped: {w.status.message}")


@pytest.mark.parametrize("made", [five_phases(last="10m"), by_replicas()], ids=["retired", "by-replicas"])
def test_a_limit_relative_to_an_old_that_is_stopped_holds_nothing_and_says_so(made: Document) -> None:
    w = World(plan(made))
    without_olds_readings(w)
    w.run_until(State.COMPLETED)
    w.run(0.5 * HOUR)  # watched on: nothing asks a person for a decision, nothing goes back

    assert w.at(State.COMPLETED)
    assert w.status.incident is None
    (trigger,) = w.status.criteria
    assert (trigger.verdict, trigger.unknown) == (Verdict.UNKNOWN, Unknown.OLD_STOPPED)
    assert trigger.message == "latency is not judged any more: its limit is relative to old, which is stopped"
    assert w.status.health is not Health.UNKNOWN


def test_what_is_not_relative_to_old_goes_back_as_ever() -> None:
    made = plan(five_phases(last="10m"))
    made["rollback"]["triggers"].append({"severity": "Critical", "metric": "errors", "above": 10})
    w = World(made)
    without_olds_readings(w)
    w.read("errors", 50)
    w.run_until(State.ROLLED_BACK)


def test_success_relative_to_old_is_still_waited_for() -> None:
    made = five_phases(last="10m")
    made["phases"][-1]["success"] = [{"metric": "latency", "atMost": 1.0, "relativeTo": "Old"}]
    w = World(made)
    without_olds_readings(w)
    w.run(0.5 * HOUR)
    assert w.at(State.HOLDING)

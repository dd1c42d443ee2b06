"""Without a router: the proportion follows the replica counts, and pods that are not ready get nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decide.plans import by_replicas, document, phase, two_phases
from decide.world import World, begun
from syncrollout.api.spec import ReplicaSplit
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide import movement
from syncrollout.decide.actions import Scale
from syncrollout.decide.facts import WorkloadFact


def _world(total: int = 10) -> World:
    world = World(by_replicas(total), replicas=total)
    world.new = WorkloadFact(0, 0)
    return world


def test_the_whole_way_up() -> None:
    world = _world()
    world.run_to_phase("some")
    assert (world.old, world.new) == (WorkloadFact(8, 8), WorkloadFact(2, 2))
    world.run_until(State.COMPLETED)

    assert (world.old, world.new) == (WorkloadFact(0, 0), WorkloadFact(10, 10))
    moves = [action for action in world.actions if isinstance(action, Scale)]
    assert moves == [Scale(Side.NEW, 2), Scale(Side.OLD, 8), Scale(Side.NEW, 10), Scale(Side.OLD, 0)]


def test_old_shrinks_only_once_new_is_ready() -> None:
    world = _world()
    world.pods_start = False
    world.settle()
    assert world.new == WorkloadFact(2, 0)
    world.run(30)
    assert world.old == WorkloadFact(10, 10)
    assert world.at(State.PROGRESSING)

    world.ready(Side.NEW, 1)
    world.run(10)
    assert world.old == WorkloadFact(10, 10)
    world.ready(Side.NEW, 2)
    world.settle()
    assert world.old is not None
    assert world.old.desired == 8


def test_pods_that_never_get_ready_hold_it_after_a_minute_and_say_so() -> None:
    world = _world()
    world.pods_start = False
    world.run(59)
    assert world.at(State.PROGRESSING)
    assert world.condition("Reconciling") == "True"
    world.run(600)

    assert world.at(State.HOLDING)
    assert world.recorded.message == "Phase 1/2 some holds: new (Deployment sync-v2) has 0 of 2 replicas ready"
    assert world.reasons.count(Reason.NEW_NOT_READY) == 1
    assert world.old == WorkloadFact(10, 10)


def test_new_is_rounded_down() -> None:
    world = World(document([phase("some", 50)], traffic={"replicas": {"total": 5}}), replicas=5)
    world.new = WorkloadFact(0, 0)
    world.run_to_phase("some")

    assert (world.old, world.new) == (WorkloadFact(3, 3), WorkloadFact(2, 2))


def test_a_breach_brings_old_up_and_new_down_at_once_where_old_serves() -> None:
    world = _world()
    world.run_to_phase("some")
    world.pods_start = False
    world.read("errors", 7)

    decision = world.step(1)

    assert decision.urgent
    assert decision.actions == (Scale(Side.OLD, 10), Scale(Side.NEW, 0))
    world.settle()
    assert world.at(State.ROLLING_BACK), "all of old must be ready before it is confirmed"
    world.ready(Side.OLD, 10)
    world.settle()
    assert world.at(State.ROLLED_BACK)


def test_with_all_work_on_new_old_is_brought_back_wholly_ready_first() -> None:
    world = _world()
    world.run_to_phase("full")
    world.pods_start = False
    world.read("errors", 7)
    decision = world.step(1)
    assert decision.actions == (Scale(Side.OLD, 10),)
    world.ready(Side.OLD, 1)
    world.settle()
    assert world.new == WorkloadFact(10, 10), "one pod would drown in the work of ten"

    world.ready(Side.OLD, 10)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.new is not None
    assert world.new.desired == 0


def test_after_two_minutes_what_is_ready_of_old_has_to_do() -> None:
    world = _world()
    world.run_to_phase("full")
    world.pods_start = False
    world.read("errors", 7)
    world.settle()
    world.ready(Side.OLD, 9)
    world.run(119)
    assert world.new == WorkloadFact(10, 10)
    world.run(2)

    assert world.new is not None
    assert world.new.desired == 0


def test_new_that_died_goes_back() -> None:
    world = _world()
    world.run_to_phase("some")
    world.pods_start = False
    world.ready(Side.NEW, 0)

    decision = world.step(1)

    assert decision.status.reason is Reason.NEW_DIED
    assert Scale(Side.OLD, 10) in decision.actions


def test_new_that_is_only_starting_has_not_died() -> None:
    world = _world()
    world.pods_start = False
    world.run(30)

    assert world.at(State.PROGRESSING)


def test_counts_changed_by_somebody_else_are_put_right() -> None:
    world = _world()
    world.run_to_phase("some")
    world.new = WorkloadFact(7, 7)
    world.settle()

    assert (world.old, world.new) == (WorkloadFact(8, 8), WorkloadFact(2, 2))
    assert world.reasons[-1] is Reason.DRIFT_REPAIRED


def test_new_does_not_shrink_on_the_way_to_a_smaller_weight_before_old_stands() -> None:
    world = _world()
    world.run_to_phase("full")
    world.edit_phases(lambda phases: [phases[0], phases[1] | {"weight": 50}])
    world.pods_start = False
    world.settle()
    world.ready(Side.OLD, 4)
    world.settle()
    assert (world.old, world.new) == (WorkloadFact(5, 4), WorkloadFact(10, 10))

    world.ready(Side.OLD, 5)
    world.settle()
    assert world.new is not None
    assert world.new.desired == 5


def test_old_retired_in_the_last_phase_comes_back_the_same() -> None:
    plan = by_replicas()
    plan["phases"][1] |= {"retireOld": True, "duration": "10m"}
    world = begun(plan, "full", replicas=10)
    world.settle()
    assert world.recorded.retired is not None
    assert world.recorded.retired.replicas == 10
    world.read("errors", 7)
    world.settle()

    assert world.old == WorkloadFact(10, 10)
    assert world.at(State.ROLLED_BACK)


def test_counts_of_new_are_put_right_even_with_old_retired() -> None:
    plan = by_replicas()
    plan["phases"][1] |= {"retireOld": True, "duration": "10m"}
    world = begun(plan, "full", replicas=10)
    world.settle()
    world.new = WorkloadFact(4, 4)
    world.settle()

    assert world.new == WorkloadFact(10, 10)


@pytest.mark.parametrize("side", Side)
def test_an_autoscaler_keeps_it_from_starting_and_is_named(side: Side) -> None:
    world = _world()
    world.autoscalers = {side: "sync-hpa"}
    world.settle()
    assert world.at(State.PREFLIGHT)
    assert world.status.reason is Reason.AUTOSCALED
    workload = "sync-v1" if side is Side.OLD else "sync-v2"
    names = f"HorizontalPodAutoscaler sync-hpa scales {side.value.lower()} (Deployment {workload})"
    assert names in world.status.message
    assert world.condition("Stalled") == "True"
    world.autoscalers = {}
    world.run_to_phase("some")


def test_one_that_comes_mid_way_holds_the_phase_and_is_not_fought() -> None:
    world = _world()
    world.run_to_phase("some")
    world.autoscalers = {Side.OLD: "sync-hpa"}
    world.old = WorkloadFact(5, 5)
    before = len(world.actions)
    world.run(20)
    assert world.at(State.HOLDING)
    assert world.status.reason is Reason.AUTOSCALED
    assert world.reasons.count(Reason.AUTOSCALED) == 1
    assert world.actions[before:] == []
    world.autoscalers = {}
    world.settle()
    assert world.old == WorkloadFact(8, 8)


def test_on_the_way_back_old_is_left_to_its_autoscaler_and_new_goes_to_none() -> None:
    world = _world()
    world.run_to_phase("some")
    world.autoscalers = {Side.OLD: "sync-hpa", Side.NEW: "other-hpa"}
    world.old = WorkloadFact(5, 5)
    world.read("errors", 7)
    world.run(5)
    assert world.at(State.ROLLED_BACK)
    assert (world.old, world.new) == (WorkloadFact(5, 5), WorkloadFact(0, 0))


def test_an_old_at_none_where_its_autoscaler_has_no_say_is_brought_back() -> None:
    world = _world()
    world.run_to_phase("full")
    world.autoscalers = {Side.OLD: "sync-hpa"}
    world.edit(emergencyStop=True)
    world.run(5)
    assert world.at(State.ROLLED_BACK)
    assert (world.old, world.new) == (WorkloadFact(10, 10), WorkloadFact(0, 0))


def test_beside_routes_autoscalers_are_nobodys_business() -> None:
    world = World(two_phases())
    world.autoscalers = {Side.OLD: "sync-hpa", Side.NEW: "other-hpa"}
    world.run_until(State.COMPLETED)


DOCUMENT = Path(__file__).parents[2] / "docs" / "traffic.md"


def test_the_examples_of_rounding_in_the_documentation_are_what_is_done() -> None:
    """Each row of the table: total, weight, replicas of old and of new, and the share that comes of it."""
    text = DOCUMENT.read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) % \| (\d+) \| (\d+) \| ([\d.]+) % \|$", text, re.MULTILINE)
    assert len(rows) >= 6
    for total, weight, old, new, share in rows:
        assert movement.replicas_of(ReplicaSplit(total=int(total)), int(weight)) == (int(old), int(new))
        assert f"{100 * int(new) / int(total):.3g}" == share


@given(st.integers(2, 1000), st.integers(0, 100))
def test_rounding_never_gives_new_more_than_its_share_nor_a_replica_less_than_it_could_have(
    total: int, weight: int
) -> None:
    old, new = movement.replicas_of(ReplicaSplit(total=total), weight)
    assert old + new == total
    assert 100 * new <= weight * total < 100 * (new + 1)

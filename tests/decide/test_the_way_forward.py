"""From Pending to Completed: each phase gets its weight, lasts its time, and ends when everything passes."""

from __future__ import annotations

import pytest

from decide.plans import document, five_phases, metric, one_phase, phase, two_phases
from decide.world import START, World, begun
from syncrollout.api.words import Health, Reason, Side, State, Unknown
from syncrollout.decide.actions import AddFinalizer, RemoveFinalizer, Scale, SetWeight


def test_the_whole_plan_of_five_phases_runs_to_completed() -> None:
    world = World(five_phases())

    world.run_until(State.COMPLETED)

    assert world.actions == [
        AddFinalizer(),
        SetWeight(10),
        SetWeight(50),
        SetWeight(100),
        Scale(Side.OLD, 0),
        RemoveFinalizer(),
    ]
    assert world.reasons == [Reason.PHASE_STARTED] * 5 + [Reason.COMPLETED]
    assert [round(entry.time - START) for entry in world.told] == [0, 70, 100, 130, 200, 200]
    assert world.recorded.weight == 100
    assert world.recorded.health is Health.HEALTHY
    assert world.recorded.last_good_revision == "1"
    assert world.recorded.message == "Completed after 3m20s: new has 100 %"
    assert world.condition("Ready") == "True"
    assert world.condition("Reconciling") == "False"
    assert not world.has_finalizer()


def test_the_whole_plan_costs_few_requests() -> None:
    world = World(five_phases())

    world.run_until(State.COMPLETED)

    assert world.writes + len(world.actions) + len(world.told) <= 22


def test_a_phase_ends_to_the_millisecond_after_its_weights_stood() -> None:
    world = World(two_phases())
    world.now = START + 0.123
    world.settle()
    assert world.recorded.phase is not None
    assert world.recorded.phase.earliest_end == START + 60.123

    decision = world.step(59.999)
    assert world.status.phase is not None
    assert world.status.phase.name == "small"
    assert decision.next_due == START + 60.123
    world.step(0.001)

    assert world.status.phase.name == "full"


def test_a_phase_does_not_begin_to_count_before_its_weights_stand() -> None:
    world = World(document([phase("small", 10, "10s"), phase("more", 50, "60s")]))
    world.run_to_phase("small")
    world.run(9)
    world.ready(Side.NEW, 2)
    world.run(30)
    assert world.status.phase is not None
    assert world.status.phase.name == "small", "new gets no more weight before all of it is ready"
    assert world.at(State.HOLDING)
    assert "new (Deployment sync-v2) has 2 of 3 replicas ready" in world.recorded.message

    world.ready(Side.NEW, 3)
    world.settle()

    assert world.status.phase.name == "more"
    assert world.status.phase.since == world.now


def test_the_intent_is_recorded_before_traffic_moves() -> None:
    world = World(two_phases())
    world.step()  # the finalizer

    decision = world.step(refuse_write=True)
    assert decision.write
    assert not decision.urgent
    assert SetWeight(10) in decision.actions
    assert world.share == 0

    world.restart()
    world.settle()
    assert world.share == 10


def test_a_crash_between_the_record_and_the_weights_is_repaired_by_the_next_pass() -> None:
    world = World(two_phases())
    world.step()
    world.step(crash="act")
    assert world.recorded.phase is not None
    assert world.recorded.phase.name == "small"
    assert world.share == 0

    world.settle()

    assert world.share == 10
    assert world.status.run == 1
    assert world.reasons == [Reason.PHASE_STARTED]


def test_success_must_hold_when_the_time_is_over() -> None:
    world = begun(two_phases(), "small")
    world.read("errors", 2)
    world.run(120)
    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.CRITERIA_NOT_MET
    assert "errors reads 2 percent, has to be below 1 percent" in world.recorded.message
    assert world.share == 10

    world.read("errors", 0.2)
    world.settle()

    assert world.status.phase is not None
    assert world.status.phase.name == "full"


def test_waiting_for_data_to_settle_is_no_warning() -> None:
    plan = document([phase("half", 50, "5s")], metrics=[metric("errors", window="40s"), metric("latency")])
    world = begun(plan)
    world.run(20)
    assert world.at(State.HOLDING)
    assert "errors" in world.recorded.criteria[0].id
    assert (world.told[-1].reason, world.told[-1].type) == (Reason.CRITERIA_NOT_MET, "Normal")

    world.run(20)
    assert world.at(State.COMPLETED)


def test_a_phase_does_not_end_while_a_criterion_of_rollback_was_never_judged() -> None:
    """Without success criteria, a short phase must not slip through on readings that never came."""
    plan = document([phase("half", 50, "0s", success=[]), phase("full", 100, "0s", success=[])])
    world = World(plan)
    world.read("errors", Unknown.NO_DATA)
    world.run(5)
    assert world.share == 50
    assert world.at(State.HOLDING)
    assert world.status.reason is Reason.CRITERIA_UNKNOWN

    world.read("errors", 0)
    world.run_until(State.COMPLETED, within=1)


def test_a_phase_does_not_end_while_a_breach_is_running_up() -> None:
    """The next phase has criteria of its own: ending this one would let the breach go unpunished."""
    back = [{"metric": "errors", "above": 5, "for": "50s"}]
    world = World(document([phase("half", 50, "30s", success=[], rollbackOn=back), phase("full", 100)]))
    world.run(25)
    world.read("errors", 7)
    world.run(20)
    assert world.at(State.HOLDING)
    assert world.share == 50

    world.run_until(State.ROLLED_BACK)

    assert world.share == 0
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.from_phase == "half"


def test_a_phase_whose_own_limits_are_breached_when_it_begins_goes_back_before_anything_moves() -> None:
    stricter = [{"metric": "errors", "above": 3}]
    world = World(document([phase("half", 50, success=[]), phase("same", 50, success=[], rollbackOn=stricter)]))
    world.run(59)
    world.read("errors", 4)
    world.run(1)

    assert world.at(State.ROLLED_BACK)
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.from_phase == "same"
    assert world.actions[-2:] == [SetWeight(0), RemoveFinalizer()]


def test_a_trigger_that_runs_up_is_not_forgotten_at_the_end_of_a_phase() -> None:
    plan = two_phases(rollback={"triggers": [{"severity": "Critical", "metric": "latency", "above": 10, "for": "2m"}]})
    world = World(plan)
    world.run(30)
    world.read("latency", 12)
    world.run(40)
    assert world.status.phase is not None
    assert world.status.phase.name == "small", "it waits for the trigger to clear or to act"

    world.run(90)

    assert world.at(State.ROLLED_BACK)
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.decided == START + 30 + 120


def test_what_held_before_a_phase_began_holds_on_in_it_for_a_trigger() -> None:
    """An edit of the plan may end a phase early: the trigger's clock goes on."""
    plan = two_phases(rollback={"triggers": [{"severity": "Critical", "metric": "latency", "above": 10, "for": "50s"}]})
    world = begun(plan)
    world.read("latency", 12)
    world.run(10)
    world.edit_phases(lambda phases: [phases[0] | {"weight": 20}, phases[1]])
    world.run_until(State.ROLLING_BACK, State.ROLLED_BACK)

    assert world.now == START + 50


def test_no_duration_and_no_criteria_go_straight_through() -> None:
    world = World(document([phase("all", 100, "0s", success=[], rollbackOn=[])], metrics=[], rollback={}))

    world.settle()

    assert world.at(State.COMPLETED)
    assert world.share == 100


def test_old_is_stopped_only_once_new_has_everything() -> None:
    only = phase("all", 100, "20s", retireOld=True, success=[], rollbackOn=[])
    world = World(document([only], metrics=[], rollback={}))
    world.step()
    decision = world.step()
    assert decision.actions == (SetWeight(100),)

    decision = world.step()
    assert decision.write, "what old was is recorded before it is stopped"
    assert decision.actions == (Scale(Side.OLD, 0),)
    assert world.recorded.retired is not None
    assert world.recorded.retired.replicas == 3

    world.run_until(State.COMPLETED)
    assert world.old is not None
    assert world.old.desired == 0


def test_it_does_not_complete_before_the_last_replica_of_old_is_gone() -> None:
    world = begun(five_phases(last="1s"), "full-migration")
    world.settle()
    world.ready(Side.OLD, 1)
    world.run(70)
    assert world.at(State.PROGRESSING)
    assert "stopping old, 1 of its replicas are left" in world.recorded.message

    world.ready(Side.OLD, 0)
    world.run_until(State.COMPLETED, within=1)


@pytest.mark.parametrize("jump", [0.001, 7.5, 3600.0, 40 * 86400.0])
def test_one_late_pass_never_skips_a_phase(jump: float) -> None:
    world = begun(five_phases(), "small-traffic")

    world.step(jump)

    assert world.status.phase is not None
    assert world.status.phase.name in ("small-traffic", "medium-traffic")


def test_the_clock_may_step_back_by_seconds() -> None:
    world = begun(one_phase())
    world.run(30)
    world.now -= 12
    world.settle()
    assert world.at(State.PROGRESSING)

    world.run_until(State.COMPLETED, within=120)

"""Going back: on the very pass that sees a reason, traffic first, and never forward again within the run."""

from __future__ import annotations

import pytest

from decide.plans import document, five_phases, one_phase, phase, route, two_phases
from decide.world import START, World, begun
from syncrollout.api.words import Reason, Side, State, Unknown, Verdict
from syncrollout.decide.actions import Scale, SetWeight
from syncrollout.decide.facts import Problem, WorkloadFact

MOVING_PHASES = ["small-traffic", "medium-traffic", "full-traffic"]


@pytest.mark.parametrize("name", MOVING_PHASES)
def test_a_breach_in_any_phase_takes_the_weights_back_on_the_same_decision(name: str) -> None:
    world = begun(five_phases(), name)
    world.read("errors", 7)

    decision = world.step(1)

    assert decision.urgent
    assert decision.actions == (SetWeight(0),)
    assert decision.status.state is State.ROLLING_BACK
    assert decision.status.reason is Reason.CRITERION_BREACHED
    assert f"errors reads 7 percent, which is above 5 percent (rollbackOn of phase {name})" in decision.status.message

    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.share == 0
    assert world.status.rollback is not None
    assert world.status.rollback.from_phase == name
    assert world.status.rollback.confirmed == world.now
    assert world.reasons[-2:] == [Reason.CRITERION_BREACHED, Reason.ROLLED_BACK]
    assert world.condition("RolledBack") == "True"
    assert world.condition("Ready") == "False"
    assert not world.has_finalizer()


def test_a_breach_in_the_shadow_phase_ends_the_run_without_moving_anything() -> None:
    world = begun(five_phases(), "parallel-run")
    world.read("errors", 7)

    decision = world.step(1)
    assert decision.next_due == world.now, "nothing has to move: it is confirmed at once, nobody has to wake it"
    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert not [action for action in world.actions if isinstance(action, SetWeight)]


def test_the_reading_that_sent_it_back_stays_on_record() -> None:
    world = begun(two_phases())
    world.read("errors", 7)
    world.settle()
    world.read("errors", 0)
    world.run(120)

    breached = next(c for c in world.recorded.criteria if c.id == "small/rollbackOn/0/errors")
    assert (breached.verdict, breached.reading) == (Verdict.FAIL, 7)


def test_a_trigger_acts_in_every_phase_and_is_named() -> None:
    world = begun(document([phase("half", 50, rollbackOn=[])]))
    world.read("errors", 11)

    decision = world.step(1)

    assert decision.actions == (SetWeight(0),)
    assert decision.status.reason is Reason.TRIGGER_BREACHED
    assert "errors reads 11 percent, which is above 10 percent (rollback trigger)" in decision.status.message


def test_a_breach_while_traffic_still_moves_goes_back() -> None:
    world = World(two_phases())
    world.step()
    world.step()
    assert world.status.phase is not None
    assert world.status.phase.since is None
    world.read("errors", 11)

    assert world.step().actions == (SetWeight(0),)


def test_new_that_died_with_traffic_goes_back() -> None:
    world = begun(two_phases())
    world.ready(Side.NEW, 0)

    decision = world.step(1)

    assert decision.actions == (SetWeight(0),)
    assert decision.status.reason is Reason.NEW_DIED
    assert "10 % of the traffic goes to new" in decision.status.message
    assert "new (Deployment sync-v2) has 0 of 3 replicas ready" in decision.status.message


def test_new_that_died_while_the_next_weight_waits_for_it_goes_back() -> None:
    """The next phase is recorded and waits for every replica; meanwhile the traffic of the last one is on new."""
    world = begun(two_phases())
    world.now += 60
    world.step(crash="act")
    assert world.recorded.phase is not None
    assert (world.recorded.phase.name, world.recorded.phase.since) == ("full", None)
    world.ready(Side.NEW, 2)
    world.step(1)
    assert world.share == 10

    world.ready(Side.NEW, 0)
    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


def test_new_that_is_deleted_with_traffic_goes_back() -> None:
    world = begun(two_phases())
    world.new = None

    assert world.step().actions == (SetWeight(0),)


def test_new_that_may_not_be_read_is_not_taken_for_dead() -> None:
    world = begun(two_phases())
    world.new = None
    facts = world.facts()
    world.others = [Problem(Reason.FORBIDDEN, "get deployments is not allowed: grant it")]
    assert Reason.WORKLOAD_NOT_FOUND in {problem.reason for problem in facts.problems}

    world.settle()

    assert world.at(State.HOLDING)
    assert world.share == 10


def test_new_may_be_dead_without_traffic() -> None:
    world = begun(five_phases(), "parallel-run")
    world.ready(Side.NEW, 0)
    world.run(100)

    assert world.at(State.HOLDING)
    assert world.status.phase is not None
    assert world.status.phase.name == "parallel-run"


def test_traffic_never_goes_back_onto_an_old_without_pods() -> None:
    world = begun(two_phases())
    world.ready(Side.OLD, 0)
    world.read("errors", 7)
    decision = world.step(1)
    assert decision.status.state is State.ROLLING_BACK
    assert decision.actions == ()
    world.settle()
    assert "old (Deployment sync-v1) has 0 of 3 replicas ready" in world.recorded.message
    assert world.reasons[-1] is Reason.OLD_NOT_READY
    assert world.share == 10

    world.ready(Side.OLD, 1)
    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


def test_an_old_that_a_person_had_stopped_is_started_for_the_rollback() -> None:
    world = begun(five_phases(), "full-traffic")
    world.old = WorkloadFact(0, 0)
    world.read("errors", 7)

    decision = world.step(1)

    assert decision.actions == (Scale(Side.OLD, 3),), "as many as new has"
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


# ---- a retired old ----


def _retired() -> World:
    return begun(five_phases(last="10m"), "full-migration")


def test_a_retired_old_is_brought_back_wholly_ready_before_it_gets_weight() -> None:
    world = _retired()
    world.run(20)
    world.pods_start = False
    world.read("errors", 7)

    decision = world.step(1)
    assert decision.actions == (Scale(Side.OLD, 3),)
    assert decision.urgent
    world.ready(Side.OLD, 2)
    world.settle()
    assert world.share == 100
    assert "old is being brought back: old (Deployment sync-v1) has 2 of 3 replicas ready" in world.recorded.message

    world.ready(Side.OLD, 3)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.share == 0
    assert world.recorded.retired is None


def test_one_replica_that_never_starts_does_not_keep_traffic_on_a_bad_new() -> None:
    world = _retired()
    world.pods_start = False
    world.read("errors", 7)
    world.settle()
    world.ready(Side.OLD, 2)
    decision = world.step(119)
    assert world.share == 100
    assert decision.next_due == world.now + 1, "it is looked at again as soon as patience ends"

    world.step(1)
    world.settle()

    assert world.share == 0
    assert world.at(State.ROLLED_BACK)


def test_an_autoscaler_that_keeps_a_retired_old_smaller_does_not_keep_the_rollback_from_ending() -> None:
    world = _retired()
    world.pods_start = False
    world.read("errors", 7)
    for _ in range(15):
        world.step(10)
        world.old = WorkloadFact(2, 2)

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


def test_with_new_dead_any_replica_of_a_retired_old_is_better_than_none() -> None:
    world = _retired()
    world.pods_start = False
    world.ready(Side.NEW, 0)
    world.settle()
    assert world.at(State.ROLLING_BACK)
    world.ready(Side.OLD, 1)

    world.settle()

    assert world.share == 0


def test_a_retired_old_is_brought_back_even_where_somebody_has_already_moved_the_weights() -> None:
    """Weights on old and old stopped: ending the rollback now would leave all traffic on nothing."""
    world = _retired()
    world.drift(0.0)
    world.read("errors", 7)

    decision = world.step(1)

    assert decision.actions == (Scale(Side.OLD, 3),)
    world.settle()
    assert world.old == WorkloadFact(3, 3)
    assert world.at(State.ROLLED_BACK)


def test_an_old_that_had_no_replicas_when_it_was_retired_comes_back_like_new() -> None:
    world = begun(five_phases(last="10m"), "full-traffic")
    world.old = WorkloadFact(0, 0)
    world.run_to_phase("full-migration")
    world.read("errors", 7)

    world.settle()

    assert world.old == WorkloadFact(3, 3)
    assert world.share == 0


def test_a_cron_job_is_suspended_and_resumed() -> None:
    plan = five_phases(last="10m")
    plan["old"] = {"workload": {"kind": "CronJob", "name": "sync-v1"}, "service": "sync-v1"}
    world = World(plan)
    world.old = WorkloadFact(1, 1, scalable=False)
    world.run_to_phase("full-migration")
    world.settle()
    assert world.old == WorkloadFact(0, 0, scalable=False)
    assert world.recorded.retired is not None
    assert world.recorded.retired.replicas is None

    world.read("errors", 7)
    world.settle()

    assert world.old == WorkloadFact(1, 1, scalable=False)
    assert world.at(State.ROLLED_BACK)


# ---- what a rollback must see ----


def test_all_routes_must_be_seen_at_old_before_a_rollback_is_confirmed() -> None:
    plan = two_phases(traffic={"routes": [route("web"), route("api")]})
    world = begun(plan)
    del world.routes["HTTPRoute api"]
    world.read("errors", 7)
    world.settle()
    assert world.routes == {"HTTPRoute web": (0.0,)}, "what can be put back is put back at once"
    assert world.at(State.ROLLING_BACK)
    assert "only 1 of 2 routes can be read and are back at old: the route HTTPRoute api does not exist" in (
        world.recorded.message
    )
    assert world.condition("Stalled") == "True"

    world.routes["HTTPRoute api"] = (10.0,)
    world.settle()

    assert world.routes == {"HTTPRoute web": (0.0,), "HTTPRoute api": (0.0,)}
    assert world.at(State.ROLLED_BACK)


def test_a_route_that_another_rollout_holds_is_not_waited_for() -> None:
    world = begun(two_phases(traffic={"routes": [route("web"), route("api")]}))
    del world.routes["HTTPRoute api"]
    world.others = [Problem(Reason.ROUTE_TAKEN, "HTTPRoute api is held by another")]
    world.read("errors", 7)
    world.settle()

    assert world.at(State.ROLLED_BACK)


def test_a_rollback_goes_on_whatever_is_asked_meanwhile() -> None:
    world = begun(two_phases())
    world.pods_start = False
    world.ready(Side.OLD, 0)
    world.read("errors", 7)
    world.settle()
    world.read("errors", 0)
    world.edit(suspend=True, emergencyStop=False)
    world.edit_phases(lambda phases: phases[1:])
    world.run(60)
    assert world.at(State.ROLLING_BACK)

    world.ready(Side.OLD, 3)
    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


def test_a_crash_after_the_switch_and_before_the_record_does_not_raise_new_again() -> None:
    """Weights are back, nobody knows why, and the breach is still visible."""
    world = begun(one_phase())
    world.read("errors", 7)
    world.step(1, crash="write")
    assert world.share == 0
    assert world.recorded.state is State.PROGRESSING

    world.step(1)
    assert world.at(State.ROLLING_BACK)
    world.settle()
    assert world.share == 0


@pytest.mark.parametrize("unknown", [Unknown.UNREACHABLE, Unknown.TIMEOUT, Unknown.SERVER_ERROR])
def test_after_such_a_crash_new_is_not_raised_while_prometheus_is_silent(unknown: Unknown) -> None:
    world = begun(one_phase())
    world.read("errors", 7)
    world.step(1, crash="write")
    world.read("errors", unknown)
    world.settle()
    assert world.share == 0
    assert world.at(State.HOLDING)
    assert "new stands at 0 % and is not raised to 50 % before it can be judged" in world.recorded.message

    world.read("errors", 7)
    world.settle()
    assert world.at(State.ROLLED_BACK)


def test_a_rolled_back_run_stays_rolled_back() -> None:
    world = begun(two_phases())
    world.read("errors", 7)
    world.settle()
    before = (list(world.actions), world.writes)

    world.read("errors", 0)
    world.drift(30.0)
    world.run(600)

    assert (world.actions, world.writes) == before
    assert world.status.finished == START

"""Before the start, suspended, held, or at rest: nothing moves, and a person can read why."""

from __future__ import annotations

import pytest

from decide.plans import document, five_phases, one_phase, phase, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State, Unknown
from syncrollout.decide.actions import AddFinalizer, SetWeight
from syncrollout.decide.facts import Problem, WorkloadFact

# ---- before the start ----

_STALLING = {
    Unknown.QUERY_INVALID: Reason.QUERY_INVALID,
    Unknown.MANY_SERIES: Reason.QUERY_INVALID,
    Unknown.NOT_A_VECTOR: Reason.QUERY_INVALID,
    Unknown.UNREACHABLE: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.TIMEOUT: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.SERVER_ERROR: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.REFUSED: Reason.PROMETHEUS_REFUSED,
    Unknown.DESTINATION_REFUSED: Reason.DESTINATION_REFUSED,
    Unknown.SECRET_INVALID: Reason.SECRET_INVALID,
}


@pytest.mark.parametrize(("unknown", "reason"), list(_STALLING.items()))
def test_a_prometheus_or_query_that_cannot_work_stalls_the_start(unknown: Unknown, reason: Reason) -> None:
    world = World(two_phases())
    world.read("latency", unknown)
    world.run(30)
    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is reason
    assert "Not started: metric latency of new: asked, but" in world.recorded.message
    assert world.condition("Stalled") == "True"
    assert world.reasons == [reason]
    assert world.actions == []

    world.read("latency", 0)
    world.settle()
    assert world.at(State.PROGRESSING)
    assert world.condition("Stalled") == "False"


@pytest.mark.parametrize("unknown", [Unknown.NO_DATA, Unknown.NOT_A_NUMBER])
def test_no_data_yet_is_no_obstacle(unknown: Unknown) -> None:
    world = World(five_phases())
    world.read("errors", unknown)
    world.settle()

    assert world.at(State.PROGRESSING)


def test_it_does_not_start_before_every_metric_was_asked() -> None:
    """Not even where nobody has asked yet: an empty answer is not a good one."""
    world = World(two_phases())
    readings = dict(world.values)
    world.values.clear()
    world.run(30)
    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is Reason.PREFLIGHT_RUNNING
    assert world.condition("Stalled") == "False"

    world.values = readings
    world.settle()
    assert world.at(State.PROGRESSING)


def test_all_problems_are_told_at_once() -> None:
    world = World(two_phases())
    world.routes.clear()
    world.old = None
    world.settle()

    assert "the old workload does not exist" in world.recorded.message
    assert "the route HTTPRoute web does not exist" in world.recorded.message
    assert world.recorded.next == "starts small once that is mended"


def test_many_long_problems_still_fit_the_status() -> None:
    world = World(two_phases())
    world.others = [Problem(Reason.ROUTE_NAMES_NOT_BOTH, f"{n}" + "x" * 900) for n in range(16)]
    world.settle()

    assert len(world.recorded.message) == 2048
    assert world.recorded.message.endswith("…")


def test_a_start_waits_for_both_sides_to_be_ready() -> None:
    world = World(two_phases())
    world.ready(Side.OLD, 2)
    world.ready(Side.NEW, 1)
    world.settle()
    assert world.recorded.message == "Not started: old (Deployment sync-v1) has 2 of 3 replicas ready"
    assert world.condition("Stalled") == "False", "it passes by itself"
    world.ready(Side.OLD, 3)
    world.settle()
    assert world.recorded.message == "Not started: new (Deployment sync-v2) has 1 of 3 replicas ready"

    world.ready(Side.NEW, 3)
    world.settle()
    assert world.at(State.PROGRESSING)


def test_a_side_that_is_scaled_to_zero_needs_a_person() -> None:
    world = World(two_phases())
    world.new = WorkloadFact(0, 0)
    world.settle()

    assert world.recorded.message == "Not started: new (Deployment sync-v2) is scaled to zero; bring it up to begin"
    assert world.condition("Stalled") == "True"


def test_the_next_run_says_that_old_was_stopped_by_the_last() -> None:
    world = World(five_phases())
    world.run_until(State.COMPLETED)
    world.edit(revision="2")
    world.settle()

    assert world.recorded.message == (
        "Not started: old (Deployment sync-v1) is scaled to zero, by retireOld of the last run; bring it up to begin"
    )
    assert world.share == 100


def test_a_trigger_that_is_breached_already_keeps_it_from_starting() -> None:
    world = World(two_phases())
    world.read("errors", 12)
    world.run(60)
    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is Reason.TRIGGER_ALREADY_BREACHED
    assert "errors reads 12 percent, which is above 10 percent" in world.recorded.message
    assert world.reasons == [Reason.TRIGGER_ALREADY_BREACHED]

    world.read("errors", 0)
    world.settle()
    assert world.at(State.PROGRESSING)


def test_the_finalizer_is_there_before_anything_moves() -> None:
    world = World(two_phases())
    decision = world.step()

    assert decision.actions == (AddFinalizer(),)
    assert not decision.write


# ---- suspended ----


def test_suspended_before_the_start() -> None:
    world = World(two_phases(suspend=True))
    world.run(60)
    assert world.at(State.PAUSED)
    assert world.reasons == [Reason.SUSPENDED]
    assert world.condition("Paused") == "True"
    assert not world.has_finalizer()

    world.edit(suspend=False)
    world.run_until(State.COMPLETED)


def test_suspended_mid_way_the_weights_stay_and_time_does_not_move_it_on() -> None:
    world = begun(two_phases())
    world.edit(suspend=True)
    world.run(600)
    assert world.at(State.PAUSED)
    assert world.share == 10
    assert world.reasons[-1] is Reason.SUSPENDED
    assert world.reasons.count(Reason.SUSPENDED) == 1

    world.edit(suspend=False)
    world.settle()
    assert world.status.phase is not None
    assert world.status.phase.name == "full"


def test_resumed_before_the_time_is_over_the_phase_goes_on() -> None:
    world = begun(two_phases())
    world.edit(suspend=True)
    world.run(10)
    world.edit(suspend=False)
    world.settle()

    assert world.at(State.PROGRESSING)
    assert world.reasons[-1] is Reason.RESUMED
    assert world.condition("Paused") == "False"


def test_suspended_between_record_and_weights_nothing_moves() -> None:
    world = begun(two_phases())
    world.now += 60
    world.step(crash="act")
    world.edit(suspend=True)
    world.run(60)
    assert world.at(State.PAUSED)
    assert world.share == 10

    world.edit(suspend=False)
    world.settle()
    assert world.share == 100
    assert Reason.RESUMED in world.reasons


def test_suspended_it_still_goes_back_on_a_breach() -> None:
    world = begun(two_phases())
    world.edit(suspend=True)
    world.run(10)
    world.read("errors", 7)
    decision = world.step(1)

    assert decision.actions == (SetWeight(0),)
    assert world.at(State.ROLLING_BACK)


def test_suspended_drift_is_still_repaired() -> None:
    world = begun(two_phases())
    world.edit(suspend=True)
    world.settle()
    world.drift(80.0)
    world.settle()

    assert world.share == 10
    assert world.at(State.PAUSED)


def test_suspended_and_hindered_it_stays_paused_once_mended() -> None:
    world = begun(two_phases())
    world.edit(suspend=True)
    world.others = [Problem(Reason.SECRET_INVALID, "Secret prom has no key token: add it")]
    world.settle()
    assert world.at(State.HOLDING)
    world.others = []
    world.settle()

    assert world.at(State.PAUSED)


# ---- held ----


@pytest.mark.parametrize("broken", ["route", "old", "service", "right"])
def test_a_reference_that_breaks_mid_way_holds_until_it_is_mended(broken: str) -> None:
    world = begun(two_phases())
    old = world.old
    if broken == "route":
        del world.routes["HTTPRoute web"]
    elif broken == "old":
        world.old = None
    elif broken == "service":
        world.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service sync-v1 does not exist: create it")]
    else:
        world.others = [Problem(Reason.FORBIDDEN, "get httproutes is not allowed: grant it")]
    world.run(600)
    assert world.at(State.HOLDING)
    assert world.condition("Stalled") == "True"
    assert world.recorded.message.startswith("Holding at ")
    assert len(world.reasons) == 2, "it is said once"

    world.old, world.others, world.routes = old, [], {"HTTPRoute web": (10.0,)}
    world.run_until(State.COMPLETED)


def test_what_the_api_server_refuses_is_told_and_tried_again() -> None:
    world = begun(two_phases())
    world.drift(0.0)
    world.refused = Problem(Reason.FORBIDDEN, "patch httproutes is not allowed: grant it")
    decision = world.step(1)

    assert decision.actions == (SetWeight(10),)
    assert decision.status.reason is Reason.FORBIDDEN
    assert "patch httproutes is not allowed: grant it" in decision.status.message
    assert world.condition("Stalled") == "True"
    assert world.reasons[-1] is Reason.FORBIDDEN


def test_what_is_waited_for_while_the_api_server_refuses_something_is_told_once() -> None:
    dump = {"name": "dump", "group": "Backups", "job": {"fromCronJob": "dump"}}
    world = World(two_phases(preflight={"checks": [dump]}))
    told = [Reason.SERVICE_NOT_FOUND, Reason.INVALID_SPEC]

    def for_a_while() -> list[Reason]:
        for _ in range(10):
            world.step(5)
            world.jobs.clear()  # it was refused
            world.refused = Problem(Reason.INVALID_SPEC, "CronJob dump does not exist: create it")
        return world.reasons

    world.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service sync-v1 does not exist: create it")]
    assert for_a_while() == told
    world.others = [Problem(Reason.WORKLOAD_NOT_FOUND, "Deployment sync-v1 does not exist: create it")]
    assert for_a_while() == [*told, Reason.WORKLOAD_NOT_FOUND]


def test_a_finalizer_that_may_not_be_set_is_told() -> None:
    world = World(two_phases())
    world.refused = Problem(Reason.FORBIDDEN, "patch syncrollouts is not allowed: grant it")
    decision = world.step()

    assert decision.write
    assert decision.status.reason is Reason.FORBIDDEN
    assert decision.actions == (AddFinalizer(),)


def test_a_phase_with_weight_does_not_end_while_new_is_not_whole() -> None:
    world = begun(one_phase())
    world.ready(Side.NEW, 2)
    world.run(120)
    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.NEW_NOT_READY

    world.ready(Side.NEW, 3)
    world.settle()
    assert world.at(State.COMPLETED)


def test_one_reason_after_the_other_is_told_each() -> None:
    world = begun(one_phase())
    world.read("errors", 2)
    world.run(70)
    world.read("errors", Unknown.TIMEOUT)
    world.run(30)
    world.read("errors", 2)
    world.run(30)

    assert world.reasons[1:] == [Reason.CRITERIA_NOT_MET, Reason.CRITERIA_UNKNOWN, Reason.CRITERIA_NOT_MET]


def test_replicas_that_take_their_time_are_no_news_within_a_minute() -> None:
    world = World(document([phase("small", 10, "10s"), phase("more", 50, "60s")]))
    world.run_to_phase("small")
    world.now += 10
    world.step(crash="act")
    world.ready(Side.NEW, 2)
    world.run(59)
    assert world.at(State.PROGRESSING)
    assert Reason.NEW_NOT_READY not in world.reasons
    world.run(1)

    assert world.at(State.HOLDING)
    assert world.reasons[-1] is Reason.NEW_NOT_READY

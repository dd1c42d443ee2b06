"""Routes: several move together, differ, drift, and are quarrelled over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decide.plans import Document, document, one_phase, phase, route, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State, Unknown
from syncrollout.decide import movement
from syncrollout.decide.actions import SetWeight
from syncrollout.decide.facts import RouteFact, WorkloadFact


def _two_routes() -> Document:
    return two_phases(traffic={"routes": [route("web"), route("api")]})


def test_several_routes_move_together() -> None:
    world = begun(_two_routes())

    assert world.routes == {"HTTPRoute web": (10.0,), "HTTPRoute api": (10.0,)}


def test_a_phase_stands_only_once_all_routes_do() -> None:
    world = World(_two_routes())
    world.step()
    world.step()
    world.routes = {"HTTPRoute web": (10.0,), "HTTPRoute api": (0.0,)}
    decision = world.step()

    assert decision.status.phase is not None
    assert decision.status.phase.since is None
    assert decision.actions == (SetWeight(10),)


@pytest.mark.parametrize("shares", [(10.0, 0.0), (0.0, 10.0), (10.0, 50.0), (33.4, 10.0)])
def test_rules_that_differ_within_a_route_are_put_right(shares: tuple[float, ...]) -> None:
    world = begun(two_phases())
    world.drift(*shares)
    world.settle()

    assert world.share == 10


def test_a_rule_is_not_raised_onto_a_new_without_pods_because_another_has_the_weight() -> None:
    plan = document([phase("shadow", 0), phase("half", 50)])
    world = begun(plan, "half")
    world.ready(Side.NEW, 0)
    world.drift(50.0, 0.0)
    world.run(1)

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


@pytest.mark.parametrize("moved_to", [0.0, 3.0, 50.0, 100.0])
def test_drift_is_put_back_to_the_weight_of_the_phase(moved_to: float) -> None:
    world = begun(two_phases())
    world.run(20)
    world.drift(moved_to)

    decision = world.step(1)

    assert decision.actions == (SetWeight(10),)
    assert decision.urgent
    assert decision.status.state is State.PROGRESSING
    assert world.reasons[-1] is Reason.DRIFT_REPAIRED
    assert f"new had {moved_to:.0f} %" in world.told[-1].message
    assert world.recorded.weight == 10
    world.run(60)
    assert world.status.phase is not None
    assert world.status.phase.name == "full", "the clock of the phase goes on"


def test_drift_is_not_put_onto_a_side_without_pods() -> None:
    world = begun(two_phases(), "full")
    world.edit_phases(lambda phases: [phases[0], phases[1] | {"weight": 50}])
    world.settle()
    world.ready(Side.OLD, 0)
    world.drift(100.0)
    world.run(30)
    assert world.share == 100
    assert world.at(State.HOLDING)
    assert "old (Deployment sync-v1) has 0 of 3 replicas ready: it gets no more weight before" in world.recorded.message

    world.ready(Side.OLD, 3)
    world.settle()
    assert world.share == 50


def test_drift_while_prometheus_is_silent_lowers_new_and_does_not_raise_it() -> None:
    world = begun(two_phases())
    world.read("errors", Unknown.UNREACHABLE)
    world.drift(80.0)
    world.settle()
    assert world.share == 10
    world.drift(0.0)
    world.settle()
    assert world.share == 0

    world.read("errors", 0)
    world.settle()
    assert world.share == 10


def test_drift_to_nothing_long_ago_left_no_data_and_is_still_put_right() -> None:
    """Without traffic there will never be any."""
    world = begun(one_phase(duration="10m"))
    world.drift(0.0)
    world.read("errors", Unknown.NO_DATA)
    world.settle()

    assert world.share == 50


def test_a_quarrel_over_the_route_is_told_twice_and_not_every_time() -> None:
    world = begun(one_phase(duration="2h"))
    for _ in range(100):
        world.drift(0.0)
        world.settle()
        assert world.share == 50
        world.run(3)

    told = [entry for entry in world.told if entry.reason is Reason.DRIFT_REPAIRED]
    assert len(told) == 2
    assert "new had 0 %" in told[0].message
    assert "--show-managed-fields" in told[1].message


def test_a_quarrel_in_which_the_weights_differ_each_time_is_told_twice() -> None:
    world = begun(one_phase(duration="2h"))
    for n in range(60):
        world.drift(float(n % 40))
        world.settle()
        world.run(3)

    assert world.reasons.count(Reason.DRIFT_REPAIRED) == 2


def test_a_slow_quarrel_is_not_told_every_time() -> None:
    """Five repairs within a minute, over and over: the count stays where a quarrel begins."""
    world = begun(one_phase(duration="2h"))
    for _ in range(40):
        world.drift(0.0)
        world.settle()
        world.run(11)

    assert world.reasons.count(Reason.DRIFT_REPAIRED) <= 3


def test_before_the_weights_stand_each_rule_is_raised_only_onto_a_whole_new() -> None:
    """The greatest share is there already, that of another rule is not."""
    world = World(one_phase())
    world.step()
    world.step(crash="act")
    world.drift(50.0, 0.0)
    world.ready(Side.NEW, 2)

    decision = world.step()

    assert decision.actions == ()
    step = movement.toward(world.spec, world.facts(), world.spec.phases[0], None, careful=True)
    assert "new (Deployment sync-v2) has 2 of 3 replicas ready" in step.message


def test_weights_that_add_up_to_nothing_are_not_given_to_an_old_without_pods() -> None:
    world = begun(document([phase("none", 0), phase("full", 100)]))
    facts = replace(
        world.facts(), routes=(RouteFact("HTTPRoute web", 0.0, None),), old=WorkloadFact(3, 0), new=WorkloadFact(3, 3)
    )

    assert movement.toward(world.spec, facts, world.spec.phases[0], None, careful=False).waiting is Reason.OLD_NOT_READY


def test_a_second_quarrel_long_after_is_told_again() -> None:
    world = begun(one_phase(duration="2h"))
    world.drift(0.0)
    world.settle()
    world.run(1200)
    world.drift(0.0)
    world.settle()

    assert world.reasons.count(Reason.DRIFT_REPAIRED) == 2


def test_a_breach_seen_together_with_drift_goes_back() -> None:
    world = begun(two_phases())
    world.drift(80.0)
    world.read("errors", 7)

    assert world.step(1).actions == (SetWeight(0),)


def test_a_share_of_less_than_one_percent_is_shown_as_one() -> None:
    world = begun(two_phases())
    world.ready(Side.NEW, 0)
    world.drift(0.4)
    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.from_weight == 1

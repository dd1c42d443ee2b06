"""Traffic is seen to follow the weights before a phase's time counts, and back at old after a rollback."""

from __future__ import annotations

import pytest

from decide.plans import Document, by_replicas, phase, verified
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State, Unknown, Verdict
from syncrollout.decide.facts import WorkloadFact


def _at_ten(share: float | Unknown, plan: Document | None = None) -> World:
    """The weights stand at ten percent, and this is what is seen of the traffic."""
    world = World(plan or verified())
    world.sees(share)
    for _ in range(4):
        world.settle()
    return world


def _since(world: World) -> float | None:
    assert world.status.phase is not None
    return world.status.phase.since


def test_the_time_of_a_phase_counts_from_when_the_traffic_was_seen_there() -> None:
    world = _at_ten(0.0)
    assert world.share == 10
    world.run(20)
    assert _since(world) is None
    assert world.status.reason is Reason.VERIFYING
    assert "0 % of the traffic reaches new, 10 % is wanted" in world.status.message

    world.sees(9.0)
    world.settle()
    assert _since(world) == world.now
    assert world.status.reason is Reason.PHASE_RUNNING
    seen = world.recorded.verify
    assert seen is not None
    assert (seen.weight, seen.share, seen.verdict, seen.agreed) == (10, 9.0, Verdict.PASS, world.now)


@pytest.mark.parametrize("share", [5.0, 15.0, 10.0])
def test_a_share_within_the_tolerance_agrees(share: float) -> None:
    assert _since(_at_ten(share)) is not None


@pytest.mark.parametrize("share", [4.9, 15.1, 100.0])
def test_a_share_outside_of_the_tolerance_does_not(share: float) -> None:
    assert _since(_at_ten(share)) is None


def test_the_tolerance_is_what_the_spec_says() -> None:
    assert _since(_at_ten(8.0, verified(tolerance=1))) is None
    assert _since(_at_ten(20.0, verified(tolerance=10))) is not None


def test_a_router_that_does_not_obey_holds_the_phase_and_is_named() -> None:
    world = _at_ten(0.0)
    world.run(29.9)
    assert world.at(State.PROGRESSING)
    world.run(0.1)

    assert world.at(State.HOLDING)
    assert world.status.reason is Reason.ROUTER_DISOBEYS
    assert "the router does not obey: HTTPRoute web says 10 % to new, and for 30s" in world.status.message
    assert "0 % now" in world.status.message
    assert world.reasons.count(Reason.ROUTER_DISOBEYS) == 1
    world.run(600)
    assert world.share == 10
    assert _since(world) is None

    world.sees(10.0)
    world.settle()
    assert world.at(State.PROGRESSING)
    assert Reason.RESUMED in world.reasons


def test_all_routes_are_named_where_there_are_several() -> None:
    plan = verified()
    plan["traffic"]["routes"].append({**plan["traffic"]["routes"][0], "name": "api"})
    world = _at_ten(0.0, plan)
    world.run(30)
    assert "HTTPRoute web and HTTPRoute api say 10 % to new" in world.status.message


@pytest.mark.parametrize("weight", [0, 100])
def test_all_or_nothing_is_verified_too(weight: int) -> None:
    world = World(verified([phase("only", weight)]))
    world.sees(50.0)
    for _ in range(4):
        world.settle()
    world.run(30)
    assert world.status.reason is Reason.ROUTER_DISOBEYS
    world.sees(float(weight))
    world.run(70)
    assert world.at(State.COMPLETED)


@pytest.mark.parametrize("unknown", [Unknown.NO_DATA, Unknown.NOT_A_NUMBER, Unknown.UNREACHABLE, Unknown.MANY_SERIES])
def test_a_share_that_cannot_be_seen_holds_with_a_reason_of_its_own(unknown: Unknown) -> None:
    world = begun(verified([phase("none", 0, "30s"), phase("half", 50)]), "none")
    world.sees(unknown)
    world.run(90)

    assert world.at(State.HOLDING)
    assert world.status.reason is Reason.SHARE_UNKNOWN
    assert "is not known after 30s" in world.status.message
    no_requests = unknown in (Unknown.NO_DATA, Unknown.NOT_A_NUMBER)
    assert ("without requests there is no share" in world.status.message) is no_requests
    world.sees(50.0)
    world.run(70)
    assert world.at(State.COMPLETED)


def test_without_requests_a_phase_that_was_verified_goes_on() -> None:
    """A low-traffic system must not hang at night for want of requests."""
    world = _at_ten(10.0)
    world.sees(Unknown.NO_DATA)
    world.run(61)
    assert world.status.phase is not None
    assert world.status.phase.name == "full"


def test_a_share_that_strays_later_holds_the_phase_after_the_timeout_and_no_gap_hides_it() -> None:
    world = _at_ten(10.0)
    world.sees(60.0)
    world.run(10)
    world.sees(Unknown.NO_DATA)
    world.run(10)
    world.sees(60.0)
    world.run(9)
    assert world.at(State.PROGRESSING)
    world.run(1)
    assert world.status.reason is Reason.ROUTER_DISOBEYS
    world.run(120)
    assert world.status.phase is not None
    assert world.status.phase.name == "small"

    world.sees(10.0)
    world.run(10)
    assert world.status.phase.name == "full"


def test_a_moment_elsewhere_is_forgiven() -> None:
    world = _at_ten(10.0)
    for _ in range(3):
        world.sees(60.0)
        world.run(10)
        world.sees(10.0)
        world.run(10)
    assert Reason.ROUTER_DISOBEYS not in world.reasons


def test_the_timeout_survives_a_restart() -> None:
    world = _at_ten(0.0)
    for _ in range(3):
        world.run(10)
        world.restart()
    world.settle()
    assert world.status.reason is Reason.ROUTER_DISOBEYS


def test_a_router_that_does_not_obey_never_hinders_the_way_back() -> None:
    world = _at_ten(0.0)
    world.run(40)
    world.read("errors", 7)
    world.step()
    assert world.at(State.ROLLING_BACK)
    assert world.share == 0


def test_removing_verify_lets_a_held_phase_go_on() -> None:
    world = _at_ten(Unknown.NO_DATA)
    world.run(40)
    assert world.at(State.HOLDING)
    world.edit(traffic={"routes": world.document["traffic"]["routes"]})
    world.run(61)
    assert world.share == 100
    assert world.status.verify is None


# ---- after a rollback ----


def _breached(share: float | Unknown) -> World:
    world = _at_ten(10.0)
    world.sees(share)
    world.read("errors", 7)
    world.step()
    return world


def test_the_rollback_says_when_the_traffic_was_seen_to_be_back() -> None:
    world = _breached(10.0)
    world.run(8)
    assert world.at(State.ROLLING_BACK)
    assert world.share == 0
    assert "traffic is watched until it follows" in world.status.message
    world.sees(0.5)
    world.step(2)

    assert world.at(State.ROLLED_BACK)
    assert "All traffic is back at old after 10s, seen by traffic.verify" in world.status.message
    back = world.recorded.rollback
    assert back is not None
    assert back.confirmed is not None
    assert back.verified == back.confirmed + 10


def test_a_router_that_does_not_obey_ends_the_rollback_at_the_timeout_with_a_warning() -> None:
    world = _breached(10.0)
    world.run(29)
    assert world.at(State.ROLLING_BACK)
    world.run(1)

    assert world.at(State.ROLLED_BACK)
    assert "the router does not obey: after 30s, 10 % of the traffic still reaches new" in world.status.message
    assert world.told[-1].type == "Warning"
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.verified is None


def test_a_share_that_cannot_be_seen_keeps_the_rollback_open_no_longer_than_a_hiccup() -> None:
    world = _breached(Unknown.UNREACHABLE)
    world.run(10)

    assert world.at(State.ROLLED_BACK)
    assert "whether traffic followed was not seen" in world.status.message


def test_weights_that_somebody_moves_meanwhile_are_put_back_at_once() -> None:
    world = _breached(10.0)
    world.settle()
    assert world.at(State.ROLLING_BACK)
    world.drift(50.0)
    world.settle()
    assert world.share == 0


def test_a_deletion_waits_for_weights_alone() -> None:
    world = _at_ten(10.0)
    world.deleting = True
    world.settle()
    assert world.gone
    assert world.share == 0


# ---- by replicas ----


def test_by_replicas_traffic_can_follow_no_more_than_the_rounded_share() -> None:
    plan = by_replicas(4)
    plan["phases"][0]["weight"] = 30
    plan["traffic"]["verify"] = {"query": "share", "tolerance": 1, "timeout": "30s"}
    world = World(plan, replicas=4)
    world.new = WorkloadFact(0, 0)
    world.run_to_phase("some")
    seen = world.status.verify
    assert seen is not None
    assert (seen.weight, seen.share) == (25, 25.0)


def test_a_new_that_dies_while_its_share_is_awaited_sends_it_back() -> None:
    plan = by_replicas(10)
    plan["traffic"]["verify"] = {"query": "share", "timeout": "30s"}
    world = World(plan, replicas=10)
    world.new = WorkloadFact(0, 0)
    world.sees(0.0)
    for _ in range(6):
        world.settle()
    assert world.status.reason is Reason.VERIFYING
    world.ready(Side.NEW, 0)
    world.step()
    assert world.at(State.ROLLING_BACK)
    assert world.status.reason is Reason.NEW_DIED


# ---- before the start ----


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        (Unknown.QUERY_INVALID, Reason.QUERY_INVALID),
        (Unknown.MANY_SERIES, Reason.QUERY_INVALID),
        (Unknown.UNREACHABLE, Reason.PROMETHEUS_UNREACHABLE),
    ],
)
def test_a_query_that_cannot_work_keeps_it_from_starting(unknown: Unknown, reason: Reason) -> None:
    world = World(verified())
    world.sees(unknown)
    world.settle()
    assert world.at(State.PREFLIGHT)
    assert world.status.reason is reason
    assert "traffic.verify: " in world.status.message


def test_that_there_are_no_requests_yet_does_not() -> None:
    world = World(verified())
    world.sees(Unknown.NO_DATA)
    for _ in range(4):
        world.settle()
    assert world.share == 10


def test_a_metric_of_the_spec_can_be_the_share() -> None:
    plan = verified()
    plan["traffic"]["verify"] = {"metric": "latency"}
    world = World(plan)
    world.read("latency", 10.0)
    for _ in range(4):
        world.settle()
    assert _since(world) is not None

"""Phases of mode Shadow: routes mirror requests to new, and stop before anything else happens."""

from __future__ import annotations

import pytest

from decide.plans import shadowed
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide.actions import SetMirror, SetWeight


def _moves(world: World) -> list[SetMirror | SetWeight]:
    return [action for action in world.actions if isinstance(action, SetMirror | SetWeight)]


def test_requests_are_mirrored_for_the_phase_and_no_longer_before_weight_moves() -> None:
    world = begun(shadowed(), "copies")
    assert world.copies == {"HTTPRoute web": 100}
    assert world.share == 0
    world.run_to_phase("small")

    assert world.copies == {}
    assert world.status.mirror is None
    assert _moves(world) == [SetMirror(100), SetMirror(0), SetWeight(10)]


def test_a_part_of_the_requests() -> None:
    world = begun(shadowed(30), "copies")
    assert world.copies == {"HTTPRoute web": 30}


def test_none_of_them_where_workers_alone_run_dry() -> None:
    world = begun(shadowed(0), "copies")
    assert world.copies == {}
    world.run_until(State.COMPLETED)
    assert not [action for action in world.actions if isinstance(action, SetMirror)]


def test_the_time_of_the_phase_counts_from_when_the_mirror_stands() -> None:
    world = World(shadowed())
    while world.status.mirror is None:
        world.step(1)
    assert world.recorded.mirror is not None
    assert world.status.phase is not None
    assert world.status.phase.since is None
    world.settle()
    assert world.status.phase.since == world.now


def test_nothing_is_mirrored_to_a_new_that_is_not_ready() -> None:
    world = World(shadowed())
    world.settle()
    world.copies = {}
    world.restart()
    fresh = World(shadowed())
    while not fresh.status.in_flight:
        fresh.step()
    fresh.ready(Side.NEW, 1)
    fresh.settle()
    assert fresh.copies == {}
    assert "nothing is mirrored to it before" in fresh.status.message
    fresh.run(60)
    assert fresh.at(State.HOLDING)
    assert fresh.status.reason is Reason.NEW_NOT_READY
    fresh.ready(Side.NEW, 3)
    fresh.settle()
    assert fresh.copies == {"HTTPRoute web": 100}


@pytest.mark.parametrize("left", [{}, {"HTTPRoute web": 7}])
def test_a_mirror_that_somebody_takes_away_or_changes_is_put_back_and_told(left: dict[str, int]) -> None:
    world = begun(shadowed(), "copies")
    world.run(5)
    world.copies = left
    world.settle()
    assert world.copies == {"HTTPRoute web": 100}
    assert world.reasons.count(Reason.DRIFT_REPAIRED) == 1
    world.copies = left
    world.settle()
    assert world.reasons.count(Reason.DRIFT_REPAIRED) == 1


@pytest.mark.parametrize("how", ["breach", "emergencyStop", "deletion", "revision"])
def test_whatever_sends_it_back_takes_the_mirror_away(how: str) -> None:
    world = begun(shadowed(), "copies")
    if how == "breach":
        world.read("errors", 7)
    elif how == "deletion":
        world.deleting = True
    else:
        world.edit(**{"emergencyStop": True} if how == "emergencyStop" else {"revision": "2", "suspend": True})
    world.step()
    assert world.copies == {}
    world.settle()
    assert world.gone or world.recorded.mirror is None


def test_a_crash_between_the_record_and_the_mirror_leaves_nothing_behind() -> None:
    world = World(shadowed())
    while world.recorded.mirror is None:
        before = world.status
        world.step(crash="act" if before.in_flight else "")
    assert world.copies == {}
    world.edit(emergencyStop=True)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.recorded.mirror is None


def test_suspended_the_mirror_stays_as_weights_do() -> None:
    world = begun(shadowed(), "copies")
    world.edit(suspend=True)
    world.run(120)
    assert world.at(State.PAUSED)
    assert world.copies == {"HTTPRoute web": 100}


def test_an_edit_that_makes_the_phase_live_takes_the_mirror_away_though_suspended() -> None:
    world = begun(shadowed(), "copies")
    world.edit(suspend=True)
    world.settle()
    world.edit_phases(lambda phases: [phases[0] | {"mode": "Live"}, *phases[1:]])
    world.settle()
    assert world.copies == {}
    assert world.at(State.PAUSED)


def test_an_edit_that_makes_a_running_phase_mirror_begins_its_time_anew() -> None:
    plan = shadowed()
    plan["phases"][0]["mode"] = "Live"
    world = begun(plan, "copies")
    world.run(40)
    world.edit_phases(lambda phases: [phases[0] | {"mode": "Shadow"}, *phases[1:]])
    world.settle()
    assert world.copies == {"HTTPRoute web": 100}
    assert world.status.phase is not None
    assert world.status.phase.since == world.now


def test_a_mirror_to_new_of_the_routes_owner_is_left_alone_and_nothing_starts() -> None:
    world = World(shadowed())
    world.copies = {"HTTPRoute web": 100}
    world.settle()
    assert world.at(State.PREFLIGHT)
    assert world.status.reason is Reason.MIRROR_TAKEN
    assert "HTTPRoute web mirrors to new already" in world.status.message
    assert world.copies == {"HTTPRoute web": 100}
    assert world.condition("Stalled") == "True"
    world.copies = {}
    world.run_to_phase("copies")
    assert world.copies == {"HTTPRoute web": 100}


def test_where_there_is_room_for_one_mirror_the_owners_keeps_it_from_starting() -> None:
    world = World(shadowed())
    world.owners = {"HTTPRoute web": "HTTPRoute web: /spec/http/0 has a mirror of its owner's"}
    world.settle()
    assert world.status.reason is Reason.MIRROR_TAKEN


def test_an_owners_mirror_that_comes_between_the_start_and_the_phase_holds_it() -> None:
    plan = shadowed()
    plan["phases"].insert(0, {"name": "first", "weight": 0, "duration": "10s"})
    world = begun(plan, "first")
    world.copies = {"HTTPRoute web": 5}
    world.run(30)
    assert world.at(State.HOLDING)
    assert world.status.reason is Reason.MIRROR_TAKEN
    assert world.copies == {"HTTPRoute web": 5}
    world.copies = {}
    world.run(10)
    assert world.copies == {"HTTPRoute web": 100}


def test_mirrors_of_a_route_that_no_phase_mirrors_are_nobodys_business() -> None:
    plan = shadowed()
    plan["phases"][0]["mode"] = "Live"
    world = World(plan)
    world.copies = {"HTTPRoute web": 5}
    world.run_until(State.COMPLETED)
    assert world.copies == {"HTTPRoute web": 5}


def test_while_it_mirrors_nothing_is_verified() -> None:
    """What counts requests at the backends would count the copies."""
    plan = shadowed()
    plan["traffic"]["verify"] = {"query": "share", "timeout": "20s"}
    world = World(plan)
    world.sees(50.0)
    for _ in range(6):
        world.settle()
    assert world.status.phase is not None
    assert world.status.phase.since is not None
    assert world.status.verify is None

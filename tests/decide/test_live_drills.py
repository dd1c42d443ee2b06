"""Live drills: traffic really goes to old, stays for its time, and comes back; and whatever goes wrong is safe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decide.plans import INTERVAL, Document, by_replicas, by_shards, one_phase, phase, two_phases, verified
from decide.world import World, begun
from syncrollout.api.status import DrillRun
from syncrollout.api.words import DrillResult, DrillStage, Reason, Request, Side, State, Unknown
from syncrollout.decide.actions import SetWeight
from syncrollout.decide.facts import Problem, WorkloadFact

ASKED = "live: the monthly one"
DAILY = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _plan(plan: Document | None = None, **drill: Any) -> Document:
    plan = plan or one_phase(duration="1h")
    live = {"schedule": "0 0 1 1 *", "mode": "Live", "windows": [{"days": DAILY, "from": "00:00", "to": "24:00"}]}
    plan["rollback"]["drill"] = live | drill
    return plan


def _asked(plan: Document | None = None, phase: str = "", **drill: Any) -> World:
    """A Live drill that a person has asked for, ten minutes into the phase; all stands at old."""
    world = begun(_plan(plan, **drill), phase)
    world.run(600)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    return world


def _running(world: World) -> DrillRun:
    assert world.recorded.drill is not None
    assert world.recorded.drill.running is not None
    return world.recorded.drill.running


def _last(world: World) -> DrillRun:
    assert world.recorded.drill is not None
    assert world.recorded.drill.running is None
    assert world.recorded.drill.last is not None
    return world.recorded.drill.last


def _failed(world: World) -> dict[str, str]:
    return {check.name: check.message for check in _last(world).checks if check.result is DrillResult.FAILED}


def test_traffic_goes_to_old_for_its_time_and_comes_back() -> None:
    world = begun(_plan())
    world.run(600)
    world.ask(Request.DRILL, ASKED)
    world.step()
    assert (world.share, _running(world).stage) == (50, DrillStage.SWITCHING)
    assert world.recorded.phase is not None
    assert world.recorded.phase.since is None, "its time stands still before anything is moved"
    world.step()
    assert world.share == 0
    world.settle()
    assert _running(world).stage is DrillStage.STANDING
    assert (world.recorded.state, world.recorded.reason) == (State.PROGRESSING, Reason.DRILLING)
    assert "a drill has all traffic at old until" in world.recorded.message
    assert world.recorded.next == "50 % to new again"
    world.run(299)
    assert world.share == 0
    world.run(2)
    assert world.share == 50
    last = _last(world)
    assert last.result is DrillResult.PASSED
    assert [check.name for check in last.checks] == ["All traffic at old", "Stood at old", "Back at 50 %"]
    assert world.reasons[-3:] == [Reason.DRILL_STARTED, Reason.DRILL_AT_OLD, Reason.DRILL_PASSED]
    assert world.told[-1].message == "A rollback works: all traffic at old within 0s, back at 50 % within 0s"
    assert world.at(State.PROGRESSING)


def test_the_time_of_the_phase_stands_still_and_what_is_judged_begins_anew() -> None:
    world = _asked()
    world.run(301)
    phase = world.recorded.phase
    assert phase is not None
    assert phase.since is not None
    assert phase.lasted == pytest.approx(600, abs=1)
    back = phase.since
    assert phase.earliest_end == pytest.approx(back + 3600 - phase.lasted, abs=0.01)
    world.run(phase.earliest_end - world.now - 5)
    assert world.at(State.PROGRESSING)
    world.run(15)
    assert world.at(State.COMPLETED)


def test_two_drills_in_one_phase_take_nothing_of_its_time() -> None:
    world = _asked()
    world.run(301)
    world.run(600)
    world.ask(Request.DRILL, "live: once more")
    world.settle()
    world.run(301)
    assert world.recorded.phase is not None
    assert world.recorded.phase.lasted == pytest.approx(1200, abs=15)


@pytest.mark.parametrize("plan", [by_replicas(), by_shards(), by_shards(routes=True)])
def test_however_work_is_moved(plan: Document) -> None:
    for each in plan["phases"]:
        each["duration"] = "1h"
    world = _asked(plan, liveFor="60s")
    assert world.share == 0
    world.run(600)
    assert _last(world).result is DrillResult.PASSED
    assert world.share == plan["phases"][0]["weight"]


def test_traffic_that_is_verified_has_to_be_seen_at_old() -> None:
    plan = verified([phase("half", 50, "1h")])
    world = begun(_plan(plan))
    world.run(60)
    world.ask(Request.DRILL, ASKED)
    world.sees(50)
    world.run(60)
    assert _running(world).stage is DrillStage.SWITCHING
    world.sees(0)
    world.run(20)
    assert _running(world).stage is DrillStage.STANDING
    world.obeys = True
    world.run(330)
    assert _last(world).result is DrillResult.PASSED
    assert _last(world).checks[0].message == "seen by traffic.verify"


def test_a_router_that_does_not_obey_fails_it_and_gets_its_weight_back() -> None:
    plan = verified([phase("half", 50, "1h")])
    world = begun(_plan(plan))
    world.run(60)
    world.ask(Request.DRILL, ASKED)
    world.sees(50)
    world.run(310)
    assert world.share == 50
    world.run(30)
    assert _last(world).result is DrillResult.FAILED
    assert (
        "the router does not obey: 50 % of the traffic reaches new, 0 % is wanted"
        in _failed(world)["All traffic at old"]
    )
    assert world.at(State.PROGRESSING)


def test_an_old_that_is_not_well_ends_it_and_new_gets_its_share_back_at_once() -> None:
    world = _asked()
    world.ready(Side.OLD, 0)
    world.settle()
    assert world.share == 50
    assert _last(world).result is DrillResult.FAILED
    assert "0 of 3 replicas ready" in _failed(world)["Stood at old"]


def test_by_replicas_an_old_that_dies_meanwhile_ends_it() -> None:
    plan = by_replicas()
    for each in plan["phases"]:
        each["duration"] = "1h"
    world = _asked(plan)
    assert _running(world).stage is DrillStage.STANDING
    world.ready(Side.OLD, 0)
    world.settle()
    assert _last(world).result is DrillResult.FAILED
    assert "0 of 10 replicas ready" in _failed(world)["Stood at old"]
    assert world.share == 20


def test_by_replicas_an_old_that_had_none_gets_them_first() -> None:
    plan = by_replicas()
    plan["phases"] = [phase("all", 100, "1h")]
    world = _asked(plan, liveFor="60s")
    assert _running(world).stage is DrillStage.STANDING
    world.run(90)
    assert _last(world).result is DrillResult.PASSED
    assert world.share == 100


def test_a_breach_in_the_middle_is_a_real_rollback() -> None:
    world = _asked()
    world.read("errors", 50.0)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.share == 0
    assert _last(world).result is DrillResult.CUT_SHORT


def test_a_breach_on_the_way_to_old_goes_back_on_that_pass() -> None:
    world = begun(_plan())
    world.ask(Request.DRILL, ASKED)
    world.step()
    world.read("errors", 50.0)
    decision = world.step()
    assert decision.urgent
    assert SetWeight(0) in decision.actions
    assert world.at(State.ROLLING_BACK)


def test_nothing_is_given_back_to_a_new_that_is_not_ready() -> None:
    world = _asked(liveFor="60s")
    world.ready(Side.NEW, 1)
    world.run(200)
    assert world.share == 0
    assert _running(world).stage is DrillStage.RETURNING
    world.run(200)
    assert _last(world).result is DrillResult.FAILED
    assert "1 of 3 replicas ready" in _failed(world)["Back at 50 %"]
    world.ready(Side.NEW, 3)
    world.run(20)
    assert world.share == 50
    assert world.recorded.phase is not None
    assert world.recorded.phase.lasted == pytest.approx(600, abs=1)


def test_nothing_is_given_back_while_an_incident_is_open() -> None:
    plan = _plan(liveFor="60s")
    plan["rollback"]["triggers"].append({"severity": "High", "metric": "latency", "above": 5})
    world = begun(plan)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    world.read("latency", 7.0)
    world.run(120)
    assert world.share == 0
    world.read("latency", 0.5)
    world.run(400)
    assert world.share == 50


def test_suspended_in_the_middle_it_still_comes_back() -> None:
    world = _asked(liveFor="60s")
    world.edit(suspend=True)
    world.run(70)
    assert world.share == 50
    assert _last(world).result is DrillResult.PASSED
    assert world.at(State.PAUSED)
    world.edit(suspend=False)
    world.run(20)
    assert world.at(State.PROGRESSING)
    assert world.recorded.phase is not None
    assert world.recorded.phase.since is not None
    assert world.recorded.phase.lasted == pytest.approx(600, abs=1)


def test_what_a_person_has_to_mend_ends_it() -> None:
    world = _asked()
    world.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service shop/new does not exist")]
    world.run(20)
    assert world.at(State.HOLDING)
    assert world.share == 0
    world.others = []
    world.run(30)
    assert world.share == 50
    assert _last(world).result is DrillResult.FAILED
    assert "Service shop/new does not exist" in _failed(world)["Stood at old"]


def test_an_edit_of_the_weight_ends_it_at_the_new_weight() -> None:
    world = _asked()
    world.edit_phases(lambda phases: [{**phases[0], "weight": 30}])
    world.run(30)
    assert world.share == 30
    assert _last(world).result is DrillResult.FAILED


def test_the_way_back_by_hand_is_a_rollback() -> None:
    world = _asked()
    world.ask(Request.ROLLBACK, "enough")
    world.settle()
    assert world.at(State.ROLLED_BACK)


@pytest.mark.parametrize("stage", list(DrillStage))
def test_a_restart_at_any_stage_goes_on_from_there(stage: DrillStage) -> None:
    world = begun(_plan(liveFor="60s"))
    world.run(600)
    world.ask(Request.DRILL, ASKED)
    for _ in range(200):
        drill = world.recorded.drill
        if drill is not None and drill.running is not None and drill.running.stage is stage:
            break
        world.step(1.0)
    world.restart()
    world.run(80)
    assert _last(world).result is DrillResult.PASSED
    assert world.share == 50


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("no ready", lambda world: world.ready(Side.OLD, 2)),
        ("new has", lambda world: world.ready(Side.NEW, 2)),
        ("is Paused", lambda world: (world.edit(suspend=True), world.settle())),
        ("an incident is open", lambda world: (world.read("latency", 7.0), world.settle())),
    ],
)
def test_where_it_cannot_be_it_is_told_why(why: str, change: Any) -> None:
    plan = _plan()
    plan["rollback"]["triggers"].append({"severity": "High", "metric": "latency", "above": 5})
    world = begun(plan)
    change(world)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    told = next(entry for entry in world.told if entry.reason is Reason.REQUEST_IGNORED)
    assert why in told.message or "replicas ready" in told.message or "Holding" in told.message
    assert world.share == 50
    assert Reason.DRILL_STARTED not in world.reasons


def test_there_is_none_without_traffic_or_with_an_old_that_is_stopped() -> None:
    plan = _plan(two_phases())
    plan["phases"] = [phase("none", 0, "1h")]
    world = begun(plan)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert "new has no traffic in phase none" in world.told[-1].message
    plan["phases"] = [phase("all", 100, "0s"), phase("retired", 100, "1h", retireOld=True)]
    world = begun(plan, "retired")
    world.settle()
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert "old is stopped" in world.told[-1].message
    assert world.old == WorkloadFact(0, 0)


def test_by_the_schedule_it_waits_for_its_window_and_is_overdue_without_one() -> None:
    """START is a Tuesday, 22:13 UTC."""
    window = {"days": ["Wed"], "from": "02:00", "to": "04:00"}
    world = begun(_plan(one_phase(duration="7d"), schedule="0 23 * * *", windows=[window], grace="1h"))
    world.run(3600)
    assert world.recorded.drill is not None
    assert world.recorded.drill.overdue is None
    assert Reason.DRILL_STARTED not in world.reasons
    world.run(2 * 3600)
    assert world.recorded.drill.overdue is not None
    assert next(c.reason for c in world.recorded.conditions if c.type == "RollbackRehearsed") is Reason.DRILL_OVERDUE
    world.run(3600)
    assert world.reasons[1:5] == [
        Reason.DRILL_OVERDUE,
        Reason.DRILL_STARTED,
        Reason.DRILL_AT_OLD,
        Reason.DRILL_PASSED,
    ]


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("errors"), st.sampled_from([0.5, 3.0, 7.0, 50.0, Unknown.NO_DATA])),
        st.tuples(st.just("old"), st.integers(0, 3)),
        st.tuples(st.just("new"), st.integers(0, 3)),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("drift"), st.sampled_from([0.0, 5.0, 30.0])),
        st.tuples(st.just("wait"), st.integers(1, 60)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("drill"), st.integers(0, 9)),
        st.tuples(st.just("rollback"), st.just(0)),
    ),
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@example([("old", 0), ("drift", 30.0), ("errors", 0.5)])
@given(_EVENTS)
def test_whatever_happens_no_more_than_the_phase_and_an_end(events: list[tuple[str, Any]]) -> None:
    """Every pass is held to the invariants of decisions (`World.step`); once all is well it ends where it should."""
    world = World(_plan(two_phases(), liveFor="60s"))
    drifted = 0.0  # what somebody else has given to new stays there for as long as old has no pod that could take it
    for what, value in [("wait", 5), *events]:
        match what:
            case "errors":
                world.read("errors", value)
            case "old" | "new":
                world.ready(Side.OLD if what == "old" else Side.NEW, value)
            case "suspend":
                world.edit(suspend=value)
            case "drift" if world.status.in_flight:
                world.drift(value)
                drifted = value
            case "restart":
                world.restart()
            case "drill":
                world.ask(Request.DRILL, f"live: {value}")
            case "rollback":
                world.ask(Request.ROLLBACK, "now")
        world.run(INTERVAL * (value if what == "wait" else 0))
        allowed = world.recorded.phase.weight if world.recorded.phase is not None else 0
        assert world.share <= max(allowed, drifted)
        drifted = drifted if world.share > allowed else 0.0
    world.edit(suspend=False)
    world.read("errors", 0.5)
    world.ready(Side.OLD, 3)
    world.ready(Side.NEW, 3)
    world.run_until(State.COMPLETED, State.ROLLED_BACK, within=7200)
    world.settle()
    assert world.recorded.drill is None or world.recorded.drill.running is None

"""What a failing phase does besides going back wholly: one phase back, or held for a person to decide."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import Document, by_shards, document, metric, phase, shadowed
from decide.world import World, begun
from syncrollout.api.words import Reason, Request, Side, State
from syncrollout.decide.actions import Scale, SetWeight
from syncrollout.decide.facts import Problem, WorkloadFact


def plan(on_failure: str = "StepBack", **more: Any) -> Document:
    """10, 50, 100, and old stopped; every phase does the same when errors are above 5."""
    phases = [
        phase("small", 10),
        phase("half", 50),
        phase("all", 100),
        phase("alone", 100, "10m", retireOld=True),
    ]
    return document([each | {"onFailure": on_failure} for each in phases], **more)


def fails(w: World, seconds: float = 1.0) -> None:
    """Errors are above the phase's limit, and below the trigger's."""
    w.read("errors", 7)
    w.step(seconds)


# ---- StepBack ----


def test_it_steps_back_to_the_phase_before_traffic_first() -> None:
    w = begun(plan(), "half")
    w.read("errors", 7)
    decision = w.step(1)

    assert decision.urgent
    assert decision.lasting
    assert decision.actions == (SetWeight(10),)
    assert decision.status.state is State.PROGRESSING
    assert decision.status.reason is Reason.STEPPED_BACK
    assert decision.status.phase is not None
    assert (decision.status.phase.label, decision.status.phase.since) == ("1/4 small", None)
    assert decision.status.message == (
        "Stepping back to phase 1/4 small, from 50 % to 10 %: errors reads 7 percent, which is above 5 percent "
        "(rollbackOn of phase half, step back 1 of 3)"
    )
    assert w.reasons[-1] is Reason.STEPPED_BACK


def test_the_phase_begins_anew_and_from_there_it_goes_on_to_the_end() -> None:
    w = begun(plan(), "half")
    fails(w)
    w.read("errors", 0.1)
    w.run(59)
    assert w.share == 10
    w.run_until(State.COMPLETED)

    assert w.recorded.step_back is not None
    assert w.recorded.step_back.count == 1
    assert [reason for reason in w.reasons if reason is not Reason.PHASE_STARTED] == [
        Reason.STEPPED_BACK,
        Reason.COMPLETED,
    ]


def test_what_is_read_right_after_still_speaks_of_the_phase_that_was_left() -> None:
    p = plan(metrics=[metric("errors", window="40s"), metric("latency")])
    w = begun(p, "all")
    fails(w)
    w.run(39)
    assert w.status.phase is not None
    assert w.status.phase.name == "half"
    w.read("errors", 0.1)
    w.run(15)

    assert w.at(State.PROGRESSING)
    assert w.reasons.count(Reason.STEPPED_BACK) == 1


def test_what_goes_on_failing_steps_back_again_and_from_the_first_phase_goes_back_wholly() -> None:
    w = begun(plan(), "all")
    fails(w)
    w.run(100)

    assert w.at(State.ROLLED_BACK)
    assert [reason for reason in w.reasons if reason is not Reason.PHASE_STARTED] == [
        Reason.STEPPED_BACK,
        Reason.STEPPED_BACK,
        Reason.CRITERION_BREACHED,
        Reason.ROLLED_BACK,
    ]


def test_the_number_of_steps_back_in_a_run_is_bounded() -> None:
    p = plan()
    p["rollback"]["maxStepBacks"] = 1
    w = begun(p, "half")
    fails(w)
    w.read("errors", 0.1)
    w.run_to_phase("half")
    w.read("errors", 7)
    w.settle()

    assert w.at(State.ROLLED_BACK)
    w.read("errors", 0.1)
    w.edit(revision="2")
    w.run_to_phase("half")
    assert w.recorded.step_back is None, "each run has its own"


def test_a_critical_trigger_goes_back_wholly() -> None:
    w = begun(plan(), "half")
    w.read("errors", 11)

    assert w.step(1).actions == (SetWeight(0),)


def test_an_old_that_was_stopped_stands_before_the_phase_before_begins() -> None:
    w = begun(plan(), "alone")
    w.settle()
    assert w.old == WorkloadFact(0, 0)
    w.pods_start = False
    w.read("errors", 7)
    decision = w.step(1)
    assert decision.actions == (Scale(Side.OLD, 3),)
    w.read("errors", 0.1)
    w.run(30)
    assert w.status.phase is not None
    assert (w.status.phase.name, w.status.phase.since) == ("all", None)
    assert w.share == 100
    w.ready(Side.OLD, 3)
    w.run(1)

    assert w.recorded.retired is None
    assert w.status.phase.since is not None


def test_weight_returns_to_an_old_that_was_stopped_only_once_it_is_ready() -> None:
    p = plan()
    del p["phases"][2]
    w = begun(p, "alone")
    w.settle()
    w.pods_start = False
    fails(w)
    w.read("errors", 0.1)
    w.ready(Side.OLD, 2)
    w.run(20)
    assert w.share == 100
    w.ready(Side.OLD, 3)
    w.run(1)

    assert w.share == 50


@pytest.mark.parametrize("wrong", ["a problem", "old without pods"])
def test_where_the_way_is_not_free_everything_goes_back(wrong: str) -> None:
    w = begun(plan(), "half")
    if wrong == "a problem":
        w.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service sync-v1 does not exist: create it")]
    else:
        w.ready(Side.OLD, 0)
    fails(w)

    assert w.at(State.ROLLING_BACK)


def test_a_step_back_that_could_not_be_recorded_is_not_taken_back_though_the_breach_passes() -> None:
    w = begun(plan(), "half")
    w.read("errors", 7)
    w.step(1, refuse_write=True)
    assert w.share == 10
    w.read("errors", 0.1)
    w.run(10)

    assert w.share == 10
    assert w.recorded.phase is not None
    assert w.recorded.phase.name == "small"


def test_suspended_it_still_steps_back_and_stays_there() -> None:
    w = begun(plan(), "alone")
    w.settle()
    w.edit(suspend=True)
    w.settle()
    fails(w)
    w.read("errors", 0.1)
    w.run(100)
    assert w.at(State.PAUSED)
    assert w.old == WorkloadFact(3, 3)
    assert w.status.phase is not None
    assert w.status.phase.name == "all"


def test_slots_are_handed_back_one_by_one_and_new_goes_on_with_the_others() -> None:
    p = by_shards()
    for each in p["phases"]:
        each["onFailure"] = "StepBack"
    w = begun(p, "full")
    w.settle()
    fails(w)
    w.read("errors", 0.1)
    w.run(20)

    assert w.workers.assignment is not None
    assert (w.workers.assignment.new_below, w.workers.assignment.old_from) == (300, 300)
    assert not w.workers.assignment.stop
    assert w.status.phase is not None
    assert w.status.phase.name == "some"
    assert w.status.phase.since is not None
    w.run_until(State.COMPLETED)


def test_back_in_the_shadow_copies_are_made_again_once_no_request_goes_to_new() -> None:
    p = shadowed()
    for each in p["phases"]:
        each["onFailure"] = "StepBack"
    w = begun(p, "small")
    fails(w)
    w.read("errors", 0.1)
    w.settle()

    assert w.share == 0
    assert w.copies == {"HTTPRoute web": 100}
    w.run_until(State.COMPLETED)


# ---- Hold ----


def test_held_at_its_weight_until_a_person_decides() -> None:
    w = begun(plan("Hold"), "half")
    w.read("errors", 7)
    w.run(3600)
    assert w.at(State.HOLDING)
    assert w.recorded.reason is Reason.AWAITING_DECISION
    assert w.share == 50
    assert "errors reads 7 percent, which is above 5 percent (rollbackOn of phase half): a person decides by" in (
        w.recorded.message
    )
    w.ask(Request.DECIDE, "rollback")
    w.settle()

    assert w.at(State.ROLLED_BACK)


def test_continue_passes_over_it_and_success_still_has_to_pass() -> None:
    w = begun(plan("Hold"), "half")
    w.read("errors", 7)
    w.run(60)
    w.ask(Request.DECIDE, "continue")
    w.run(100)
    assert w.recorded.reason is Reason.CRITERIA_NOT_MET
    w.read("errors", 0.5)
    w.run(20)

    assert w.share == 100

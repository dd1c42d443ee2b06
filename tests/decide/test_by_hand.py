"""Holds and skips: what people do to a run that is on its way."""

from __future__ import annotations

import pytest

from decide import places
from decide.plans import approved, one_phase, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Request, State, Unknown


def phase_of(world: World) -> str:
    return world.recorded.phase.name if world.recorded.phase is not None else ""


# ---- hold ----


def test_a_hold_keeps_it_where_it_is_and_says_who_and_why() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "the sale is on", "kim"
    w.run(300)

    assert w.at(State.PAUSED)
    assert phase_of(w) == "small"
    assert w.recorded.reason is Reason.HELD
    assert w.recorded.message == (
        "Phase 1/2 small stands at 10 %, held by kim: the sale is on; rollback criteria are still judged"
    )
    assert w.recorded.hold is not None
    assert (w.recorded.hold.by, w.recorded.hold.reason) == ("kim", "the sale is on")
    assert [(each.reason, each.by) for each in w.told[1:]] == [(Reason.HELD, "kim")]


def test_once_it_is_taken_away_the_phase_goes_on_and_that_is_told_with_who() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "wait", "kim"
    w.run(10)
    w.hold, w.requested_by = None, "alex"
    w.run(50)

    assert phase_of(w) == "full"
    assert w.recorded.hold is None
    assert [(each.reason, each.by) for each in w.told[1:3]] == [(Reason.HELD, "kim"), (Reason.RESUMED, "alex")]
    assert w.told[2].message == "The hold is taken away by alex (it was held by kim: wait)"


def test_why_it_goes_on_may_be_said() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "wait", "kim"
    w.run(10)
    w.hold = None
    w.ask(Request.RESUME, "the sale is over", "alex")
    w.run(10)
    assert w.told[-1].message == "The hold is taken away by alex: the sale is over (it was held by kim: wait)"
    assert w.at(State.PROGRESSING)


def test_that_it_goes_on_is_not_enough_the_hold_has_to_go() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "wait", "kim"
    w.run(10)
    w.ask(Request.RESUME, "the sale is over", "alex")
    w.run(10)
    assert w.at(State.PAUSED)
    assert w.told[-1].message.endswith("and nothing was done: the hold is still there: take syncrollout.io/hold away")


def test_a_breach_goes_back_all_the_same() -> None:
    w = places.progressing()
    w.hold = "wait"
    w.run(10)
    w.read("errors", 7)
    w.settle()
    assert w.at(State.ROLLED_BACK)


def test_nothing_starts_while_it_is_held() -> None:
    w = World(two_phases())
    w.hold, w.requested_by = "", "kim"
    w.run(50)
    assert w.at(State.PAUSED)
    assert w.recorded.message == "Not started, held by kim"
    w.hold = None
    w.run(10)
    assert w.at(State.PROGRESSING)


def test_another_reason_is_another_persons_word_of_the_same_hold() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "wait", "kim"
    w.run(10)
    since = w.recorded.hold.since if w.recorded.hold is not None else 0
    w.hold, w.requested_by = "wait longer", "alex"
    w.run(10)
    assert w.recorded.hold is not None
    assert (w.recorded.hold.by, w.recorded.hold.reason, w.recorded.hold.since) == ("alex", "wait longer", since)


def test_the_name_of_a_later_request_changes_nothing_of_who_holds() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "wait", "kim"
    w.run(10)
    w.ask(Request.OVERRIDE, "x", "alex")
    w.run(10)
    assert w.recorded.hold is not None
    assert w.recorded.hold.by == "kim"


def test_a_hold_beside_suspend_is_taken_away_alone() -> None:
    w = places.paused()
    w.hold = "wait"
    w.run(10)
    assert w.recorded.reason is Reason.HELD
    w.hold = None
    w.run(10)
    assert w.at(State.PAUSED)
    assert w.recorded.reason is Reason.SUSPENDED


def test_a_phase_that_is_held_has_no_deadline() -> None:
    w = begun(one_phase(deadline="90s", onDeadline="Rollback"))
    w.read("errors", 2)
    w.hold = "wait"
    w.run(300)
    assert w.at(State.PAUSED)


def test_a_hold_outlives_a_restart() -> None:
    w = places.progressing()
    w.hold, w.requested_by = "wait", "kim"
    w.step(crash="write")
    w.restart()
    w.run(100)
    assert w.at(State.PAUSED)
    assert w.reasons.count(Reason.HELD) == 1


# ---- skip ----


def skip(world: World, words: str = "small: tested elsewhere", by: str = "kim") -> None:
    world.ask(Request.SKIP, words, by)


def test_a_skip_ends_the_time_of_the_phase_at_once() -> None:
    w = places.progressing()
    skip(w)
    w.settle()

    assert phase_of(w) == "full"
    assert w.reasons[1:3] == [Reason.PHASE_SKIPPED, Reason.PHASE_STARTED]
    assert w.told[1].message == ("Phase 1/2 small: kim has ended its time and its success criteria: tested elsewhere")
    assert w.told[1].by == "kim"
    assert w.recorded.skipped is None


@pytest.mark.parametrize("reads", [2.0, Unknown.NO_DATA])
def test_and_its_success_criteria(reads: float | Unknown) -> None:
    w = begun(one_phase(rollbackOn=[]))
    w.edit(rollback={})
    w.read("errors", reads)
    w.run(100)
    assert w.at(State.HOLDING)
    skip(w, "half")
    w.settle()
    assert w.at(State.COMPLETED)


def test_it_is_of_this_phase_alone() -> None:
    w = places.progressing()
    skip(w)
    w.run(59)
    assert phase_of(w) == "full"
    w.run(1)
    assert w.at(State.COMPLETED)


def test_a_criterion_of_rollback_that_cannot_be_judged_holds_all_the_same() -> None:
    w = places.progressing()
    w.read("errors", Unknown.NO_DATA)
    w.run(30)
    skip(w)
    w.run(10)
    assert w.at(State.HOLDING)
    assert phase_of(w) == "small"


def test_an_approval_is_asked_for_all_the_same() -> None:
    w = begun(approved())
    skip(w)
    w.settle()
    assert w.at(State.AWAITING_APPROVAL)
    assert w.recorded.skipped is not None
    assert w.recorded.skipped.by == "kim"
    w.approve("small")
    w.settle()
    assert phase_of(w) == "half"


def test_after_a_step_back_the_phase_has_its_whole_time_again() -> None:
    plan = two_phases()
    plan["phases"][1]["onFailure"] = "StepBack"
    w = begun(plan)
    skip(w)
    w.settle()
    w.read("errors", 7)
    w.settle()
    w.read("errors", 0)
    w.run(50)
    assert phase_of(w) == "small"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("full: x", "the run is in phase small, and not in full"),
        ("smal", "there is no phase smal; begin with its name and a colon"),
    ],
)
def test_a_skip_of_another_phase_is_told_and_does_nothing(words: str, why: str) -> None:
    w = places.progressing()
    skip(w, words)
    w.run(50)
    assert phase_of(w) == "small"
    assert w.told[-1].message.endswith(f"and nothing was done: {why}")


def test_nor_while_an_incident_is_open_or_it_is_held_and_not_later() -> None:
    w = begun(two_phases(rollback={"triggers": [{"severity": "Medium", "metric": "latency", "above": 2}]}))
    w.read("latency", 3)
    w.run(10)
    skip(w)
    w.step()
    assert "and nothing was done: an incident is open" in w.told[-1].message
    w.ask(Request.OVERRIDE, "known", "kim")
    w.hold = "wait"
    w.run(5)
    skip(w, "small: again")
    w.step()
    assert w.told[-1].message.endswith("the rollout is suspended or held: let it go on first")
    w.hold = None
    w.run(20)
    assert phase_of(w) == "small"

"""A phase that never passes: at its deadline a person decides, or it goes back."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import document, phase
from decide.world import START, World, begun
from syncrollout.api.words import Reason, Request, State


def late(**more: Any) -> World:
    """At half, with a deadline of five minutes, and what success asks for is not met."""
    w = begun(document([phase("half", 50, deadline="5m", **more), phase("all", 100, "0s")]))
    w.read("errors", 2)
    return w


def test_at_its_deadline_a_person_decides() -> None:
    w = late()
    w.run(299)
    assert w.recorded.reason is Reason.CRITERIA_NOT_MET
    assert w.step(0).next_due == START + 300
    w.run(2)

    assert w.at(State.HOLDING)
    assert w.recorded.reason is Reason.AWAITING_DECISION
    assert "phase half has not passed within 5m: a person decides by" in w.recorded.message
    w.ask(Request.DECIDE, "rollback")
    w.settle()
    assert w.at(State.ROLLED_BACK)


def test_continue_lets_it_wait_on_for_its_criteria() -> None:
    w = late()
    w.run(310)
    w.ask(Request.DECIDE, "continue")
    w.run(3600)
    assert w.recorded.reason is Reason.CRITERIA_NOT_MET
    assert w.reasons.count(Reason.AWAITING_DECISION) == 1
    w.read("errors", 0.1)
    w.run_until(State.COMPLETED)


def test_once_it_is_decided_nothing_is_left_of_it_in_the_next_phase() -> None:
    w = late()
    w.run(310)
    w.ask(Request.DECIDE, "continue")
    w.read("errors", 0.1)
    w.edit_phases(lambda phases: [phases[0], phases[1] | {"duration": "20m"}])
    w.run(900)

    assert w.share == 100
    assert w.recorded.incident is None


def test_or_it_goes_back() -> None:
    w = late(onDeadline="Rollback")
    w.run(300)
    w.settle()

    assert w.at(State.ROLLED_BACK)
    assert w.recorded.rollback is not None
    assert w.recorded.rollback.reason is Reason.PHASE_OVERDUE
    assert w.recorded.rollback.message == "phase half has not passed within 5m"


@pytest.mark.parametrize("what", ["Hold", "Rollback"])
def test_a_phase_that_passes_in_time_knows_of_no_deadline(what: str) -> None:
    w = late(onDeadline=what)
    w.read("errors", 0.1)
    w.run_until(State.COMPLETED)

    assert {Reason.AWAITING_DECISION, Reason.PHASE_OVERDUE}.isdisjoint(w.reasons)


def test_whoever_suspends_a_rollout_stops_its_deadline() -> None:
    w = late(onDeadline="Rollback")
    w.edit(suspend=True)
    w.run(3600)

    assert w.at(State.PAUSED)


def test_a_restart_keeps_it() -> None:
    w = late(onDeadline="Rollback")
    w.run(200)
    w.restart()
    w.run(100)
    w.settle()

    assert w.at(State.ROLLED_BACK)

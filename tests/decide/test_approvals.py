"""Approvals: a phase that asks for one ends once somebody who may has given it, and never by an old one."""

from __future__ import annotations

from typing import Any

import pytest

from decide import places
from decide.plans import Document, approved, one_phase
from decide.world import World, begun
from syncrollout.api.words import Reason, Request, State
from syncrollout.decide import approvals

ASKED = "waits for an approval by kim, alex: kubectl syncrollout approve sync small -m WHY"


def given(*entries: Document) -> dict[str, Any]:
    return {"approvals": list(entries)}


def phase_of(world: World) -> str:
    return world.recorded.phase.name if world.recorded.phase is not None else ""


def messages(world: World, reason: Reason) -> list[str]:
    return [entry.message for entry in world.told if entry.reason is reason]


# ---- it is asked for ----


def test_once_all_else_is_met_it_waits_and_says_for_whom_and_how() -> None:
    w = places.awaiting_approval()

    assert w.recorded.message == f"Phase 1/3 small {ASKED}"
    assert w.recorded.reason is Reason.APPROVAL_REQUESTED
    assert w.recorded.next == "an approval by kim, alex"
    assert w.reasons[-1] is Reason.APPROVAL_REQUESTED
    assert (w.condition("AwaitingApproval"), w.condition("Reconciling"), w.condition("Ready")) == (
        "True",
        "True",
        "False",
    )
    assert w.condition("Stalled") == "False"


def test_a_rollout_that_asks_for_none_has_no_such_condition() -> None:
    w = places.progressing()
    assert "AwaitingApproval" not in [c.type for c in w.recorded.conditions]


@pytest.mark.parametrize(
    ("approvers", "said"),
    [
        ({}, "whoever may change this SyncRollout"),
        ({"groups": ["leads"]}, "a member of leads"),
        ({"users": ["kim"], "groups": ["leads", "owners"]}, "kim or a member of leads or owners"),
    ],
)
def test_who_may_is_said(approvers: Document, said: str) -> None:
    w = begun(one_phase(approval="Required", approvers=approvers))
    w.run(60)
    assert f"waits for an approval by {said}: " in w.recorded.message


def test_nothing_is_written_while_it_waits_until_it_asks_again() -> None:
    w = places.awaiting_approval()
    writes = w.writes
    w.run(24 * 3600 - 10, every=60.0)
    assert w.writes == writes
    w.run(10)
    assert w.reasons[-1] is Reason.APPROVAL_REMINDER
    assert w.told[-1].message == f"Phase 1/3 small {ASKED} (asked for since 2023-11-14T22:14:20Z)"
    w.run(24 * 3600, every=60.0)
    assert w.reasons.count(Reason.APPROVAL_REMINDER) == 2
    assert w.reasons.count(Reason.APPROVAL_REQUESTED) == 1


def test_it_is_not_asked_for_anew_whenever_a_criterion_comes_and_goes() -> None:
    w = places.awaiting_approval()
    for errors in (2, 0, 2, 0):
        w.read("errors", errors)
        w.run(10)
    assert w.at(State.AWAITING_APPROVAL)
    assert w.reasons.count(Reason.APPROVAL_REQUESTED) == 1


# ---- it is given ----


def test_once_it_is_given_the_next_phase_begins_and_who_it_was_stays() -> None:
    w = places.awaiting_approval()
    w.approve("small", "kim", "looks good")
    w.settle()

    assert phase_of(w) == "half"
    assert w.told[-2].by == "kim"
    assert w.told[-2].message == "Phase 1/3 small is approved by kim, until 2023-11-17T22:14:20Z: looks good"
    assert [(each.phase, each.by, each.reason) for each in w.recorded.approvals] == [("small", "kim", "looks good")]
    assert w.recorded.approval_asked is None


def test_one_that_is_given_while_the_phase_runs_is_not_asked_for() -> None:
    w = begun(approved())
    w.approve("small")
    w.run(60)

    assert phase_of(w) == "half"
    assert Reason.APPROVAL_REQUESTED not in w.reasons


def test_an_approval_alone_ends_no_phase() -> None:
    w = begun(approved())
    w.approve("small")
    w.read("errors", 2)
    w.run(90)

    assert w.at(State.HOLDING)
    assert phase_of(w) == "small"


def test_the_last_phase_completes_once_it_is_approved() -> None:
    w = places.awaiting_the_last()
    w.approve("half")
    w.settle()
    assert w.at(State.COMPLETED)


def test_a_breach_goes_back_whether_it_is_approved_or_not() -> None:
    w = places.awaiting_approval()
    w.approve("small")
    w.read("errors", 12)
    w.settle()
    assert w.at(State.ROLLED_BACK)


def test_a_crash_loses_no_approval() -> None:
    w = begun(approved())
    w.approve("small")
    w.step(crash="write")
    w.restart()
    w.run(60)
    assert phase_of(w) == "half"
    assert w.reasons.count(Reason.APPROVED) == 1


# ---- by whom ----


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("mallory", "mallory may not approve it: that is for kim, alex"),
        ("", "it does not say who approves; give syncrollout.io/requested-by with it"),
    ],
)
def test_who_may_not_has_not_approved(by: str, why: str) -> None:
    w = places.awaiting_approval()
    w.annotations[Request.APPROVE], w.requested_by = "small: x", by
    w.run(10)

    assert w.at(State.AWAITING_APPROVAL)
    assert w.recorded.approvals == ()
    assert messages(w, Reason.REQUEST_IGNORED) == [
        f"syncrollout.io/approve says 'small: x', and nothing was done: {why}"
    ]


def test_of_groups_another_name_is_believed_and_that_is_said() -> None:
    w = begun(one_phase(approval="Required", approvers={"groups": ["leads"]}))
    w.approve("half", "sam")
    w.run(60)
    assert w.at(State.COMPLETED)
    assert "is approved by sam, as a member of leads, until" in messages(w, Reason.APPROVED)[0]


def test_those_of_the_phase_stand_in_place_of_those_of_the_rollout() -> None:
    plan = approved()
    plan["phases"][0]["approvers"] = {"users": ["sam"]}
    w = begun(plan)
    w.approve("small", "kim")
    w.run(60)
    assert w.at(State.AWAITING_APPROVAL)
    w.approve("small", "sam")
    w.settle()
    assert phase_of(w) == "half"


# ---- for what ----


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("half: x", "the run is in phase small, and not in half"),
        ("full: x", "phase full asks for no approval"),
        ("smal: x", "there is no phase smal; begin with its name and a colon"),
        ("small because it is good", "there is no phase small because it is good; begin with its name and a colon"),
    ],
)
def test_one_for_something_else_counts_for_nothing_later_either(value: str, why: str) -> None:
    w = begun(approved())
    w.ask(Request.APPROVE, value, "kim")
    w.step()
    assert w.told[-1].message.endswith(f"and nothing was done: {why}")
    w.run(60)
    assert w.at(State.AWAITING_APPROVAL)
    w.approve("small")
    w.run(70)
    assert phase_of(w) == "half"
    assert w.at(State.AWAITING_APPROVAL)


def test_after_a_step_back_it_has_to_be_given_anew() -> None:
    plan = approved()
    plan["phases"][1]["onFailure"] = "StepBack"
    w = begun(plan)
    w.approve("small")
    w.run(60)
    w.read("errors", 7)
    w.settle()
    w.read("errors", 0)
    w.run(70)

    assert w.at(State.AWAITING_APPROVAL)
    assert phase_of(w) == "small"
    assert w.reasons.count(Reason.APPROVAL_REQUESTED) == 1


def test_nor_does_it_count_in_the_next_run() -> None:
    w = begun(approved())
    w.approve("small")
    w.run(30)
    w.edit(revision="2")
    w.settle()
    w.run(70)

    assert (w.recorded.run, phase_of(w)) == (2, "small")
    assert w.at(State.AWAITING_APPROVAL)
    assert w.recorded.approvals == ()


def test_nor_for_another_weight() -> None:
    w = begun(approved())
    w.approve("small")
    w.run(10)
    w.edit_phases(lambda phases: [phases[0] | {"weight": 20}, *phases[1:]])
    w.run(70)
    assert w.at(State.AWAITING_APPROVAL)


# ---- how long ----


def test_one_that_is_too_old_is_told_and_has_to_be_given_anew() -> None:
    w = begun(approved(approval={"expires": "40s"}))
    w.approve("small")
    w.run(39)
    assert Reason.APPROVAL_EXPIRED not in w.reasons
    w.run(1)
    assert w.told[-1].message == "The approval of phase small by kim is older than 40s: it has to be given anew"
    w.run(20)
    assert w.at(State.AWAITING_APPROVAL)
    w.approve("small")
    w.settle()
    assert phase_of(w) == "half"


def test_a_new_one_counts_from_when_it_was_given() -> None:
    w = begun(approved(approval={"expires": "40s"}))
    w.approve("small")
    w.run(30)
    w.approve("small", "alex")
    w.run(30)
    assert phase_of(w) == "half"
    assert Reason.APPROVAL_EXPIRED not in w.reasons
    assert w.recorded.approvals[0].by == "alex"


# ---- by Git ----


def test_an_entry_of_the_spec_approves() -> None:
    w = places.awaiting_approval()
    w.edit(**given({"phase": "small", "by": "kim", "reason": "in Git"}))
    w.settle()
    assert phase_of(w) == "half"
    assert messages(w, Reason.APPROVED) == ["Phase 1/3 small is approved by kim, until 2023-11-17T22:14:20Z: in Git"]


def test_it_counts_once_though_it_stays() -> None:
    w = places.awaiting_approval()
    w.edit(**given({"phase": "small", "by": "kim"}))
    w.settle()
    w.edit(revision="2")
    w.settle()
    w.run(70)
    assert (phase_of(w), w.recorded.run) == ("small", 2)
    assert w.at(State.AWAITING_APPROVAL)
    w.edit(**given({"phase": "small", "by": "kim"}, {"phase": "small", "by": "kim", "revision": "2"}))
    w.settle()
    assert phase_of(w) == "half"
    w.edit(**given())
    w.settle()
    assert w.recorded.approvals_taken == ""


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"phase": "small", "by": "mallory"}, "mallory may not approve it: that is for kim, alex"),
        ({"phase": "half", "by": "kim"}, "the run is in phase small, and not in half"),
        ({"phase": "small", "by": "kim", "revision": "2"}, "it is meant for revision 2, and the run is one of 1"),
    ],
)
def test_an_entry_that_makes_no_sense_is_told_once_and_never_counts(entry: Document, why: str) -> None:
    w = places.awaiting_approval()
    w.edit(**given(entry))
    w.run(30)
    assert w.at(State.AWAITING_APPROVAL)
    by = entry["by"]
    assert messages(w, Reason.REQUEST_IGNORED) == [
        f"spec.approvals has one of phase {entry['phase']} by {by}, and {why}"
    ]
    w.restart()
    w.run(30)
    assert w.reasons.count(Reason.REQUEST_IGNORED) == 1


def test_what_stands_in_the_spec_from_the_beginning_approves_nothing() -> None:
    w = World(approved(**given({"phase": "small", "by": "kim"}, *({"phase": f"p{n}", "by": "kim"} for n in range(9)))))
    w.run(70)
    assert w.at(State.AWAITING_APPROVAL)
    assert len(messages(w, Reason.REQUEST_IGNORED)) == approvals.TOLD_SINGLY + 1


# ---- beside other things ----


def test_while_it_waits_a_phase_that_asks_no_more_goes_on() -> None:
    w = places.awaiting_approval()
    w.edit_phases(lambda phases: [phases[0] | {"approval": "NotRequired"}, *phases[1:]])
    w.settle()
    assert phase_of(w) == "half"


def test_while_it_waits_weights_that_somebody_changes_are_put_right() -> None:
    w = places.awaiting_approval()
    w.drift(70.0)
    w.settle()
    assert w.share == 10
    assert w.at(State.AWAITING_APPROVAL)
    assert w.reasons[-1] is Reason.DRIFT_REPAIRED


def test_while_it_waits_everything_can_be_sent_back_by_hand() -> None:
    w = places.awaiting_approval()
    w.ask(Request.ROLLBACK, "no", "mallory")
    w.settle()
    assert w.at(State.ROLLED_BACK)
    assert w.recorded.approval_asked is None


def test_a_drill_may_be_rehearsed_while_it_waits() -> None:
    w = places.awaiting_approval()
    w.ask(Request.DRILL, "rehearse: now", "kim")
    w.settle()
    assert Reason.DRILL_STARTED in w.reasons
    assert w.at(State.AWAITING_APPROVAL)


def test_an_incident_comes_before_an_approval() -> None:
    triggers = [{"severity": "Medium", "metric": "latency", "above": 2}]
    w = begun(approved(rollback={"triggers": triggers}))
    w.approve("small")
    w.read("latency", 3)
    w.run(60)
    assert w.at(State.HOLDING)
    assert w.recorded.reason is Reason.AWAITING_DECISION


def test_a_phase_that_comes_next_may_ask_for_one_too() -> None:
    w = places.awaiting_approval()
    w.approve("small")
    w.settle()
    w.run(60)
    assert phase_of(w) == "half"
    assert w.reasons[-1] is Reason.APPROVAL_REQUESTED
    w.approve("half", "alex")
    w.run(120)
    assert w.at(State.COMPLETED)
    assert [each.by for each in w.recorded.approvals] == ["kim", "alex"]


def test_a_phase_that_does_not_pass_by_its_deadline_for_want_of_an_approval_is_overdue_as_ever() -> None:
    w = begun(one_phase(approval="Required", deadline="90s"))
    w.run(100)
    assert w.at(State.HOLDING)
    assert w.recorded.reason is Reason.AWAITING_DECISION

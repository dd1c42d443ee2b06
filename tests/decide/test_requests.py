"""What people ask for by annotations: each value counts once, and what makes no sense is told and never acts later."""

from __future__ import annotations

import pytest

from decide import places
from decide.plans import two_phases
from decide.world import World, begun
from syncrollout.api.status import PERSON_LENGTH, REQUEST_LENGTH, RequestsStatus
from syncrollout.api.words import Reason, Request, State, Unknown
from syncrollout.decide.actions import SetWeight
from syncrollout.decide.requests import remembered

# ---- rollback ----


@pytest.mark.parametrize("name", ["small-traffic", "full-traffic", "full-migration"])
def test_a_rollback_by_hand_in_any_phase(name: str) -> None:
    w = places.standing_in(name)
    w.ask(Request.ROLLBACK, "users complain")
    w.settle()

    assert w.at(State.ROLLED_BACK)
    assert w.share == 0
    assert w.recorded.rollback is not None
    assert w.recorded.rollback.reason is Reason.ROLLBACK_REQUESTED
    assert w.recorded.rollback.message == "a person asked for it: users complain"
    assert w.reasons[-2:] == [Reason.ROLLBACK_REQUESTED, Reason.ROLLED_BACK]


def test_it_waits_for_no_reading() -> None:
    w = begun(two_phases())
    w.ask(Request.ROLLBACK, "now")
    w.read("errors", Unknown.TIMEOUT)

    assert w.step().actions == (SetWeight(0),)


def test_the_same_value_does_not_send_the_next_run_back() -> None:
    w = begun(two_phases())
    w.ask(Request.ROLLBACK, "now")
    w.settle()
    w.edit(revision="2")
    w.run_until(State.COMPLETED)


def test_a_rollback_that_could_not_be_recorded_is_asked_for_once() -> None:
    w = begun(two_phases())
    w.ask(Request.ROLLBACK, "now")
    w.step(refuse_write=True)
    assert w.share == 0
    w.settle()

    assert w.at(State.ROLLED_BACK)
    assert w.recorded.requests is not None
    assert w.recorded.requests.rollback == "now"


# ---- retry ----


def test_a_retry_begins_the_next_run_of_the_same_revision() -> None:
    w = places.rolled_back()
    w.ask(Request.RETRY, "fixed the index")
    w.run_until(State.COMPLETED)

    assert (w.recorded.run, w.recorded.revision) == (2, "1")
    assert w.recorded.retry is None
    assert w.reasons[3] is Reason.RETRY_REQUESTED
    assert w.told[3].message == "The next attempt at revision 1 was asked for: fixed the index"


def test_a_retry_waits_for_what_is_in_the_way() -> None:
    w = places.rolled_back()
    w.read("errors", 12)
    w.ask(Request.RETRY, "again")
    w.run(100)
    assert w.at(State.PREFLIGHT)
    assert w.recorded.retry is not None
    w.restart()
    w.read("errors", 0)
    w.settle()

    assert w.at(State.PROGRESSING)
    assert w.recorded.run == 2


def test_each_retry_is_one_run() -> None:
    w = places.rolled_back()
    w.ask(Request.RETRY, "again")
    w.settle()
    w.read("errors", 7)
    w.settle()
    w.run(100)
    assert w.at(State.ROLLED_BACK)
    assert w.recorded.run == 2
    w.read("errors", 0)
    w.ask(Request.RETRY, "and again")
    w.settle()

    assert w.recorded.run == 3


# ---- what makes no sense ----


@pytest.mark.parametrize(
    ("request_", "value", "why"),
    [
        (Request.OVERRIDE, "known", "no incident is open"),
        (Request.DECIDE, "continue", "no incident is open"),
        (Request.RETRY, "again", "only a run that was rolled back can be tried again"),
    ],
)
def test_what_makes_no_sense_now_is_told_and_forgotten(request_: Request, value: str, why: str) -> None:
    w = begun(two_phases())
    w.ask(request_, value)
    w.run(30)

    assert w.reasons[1:] == [Reason.REQUEST_IGNORED]
    assert w.told[-1].message == f"{request_.value} says {value!r}, and nothing was done: {why}"
    assert w.at(State.PROGRESSING)


@pytest.mark.parametrize("request_", Request)
def test_what_stands_already_when_it_is_applied_does_nothing(request_: Request) -> None:
    w = World(two_phases())
    w.ask(request_, "rollback")
    w.run_until(State.COMPLETED)

    assert w.reasons.count(Reason.REQUEST_IGNORED) == 1
    assert w.recorded.run == 1


@pytest.mark.parametrize(
    ("severity", "value", "why"),
    [
        ("Medium", "perhaps", "it has to begin with continue or rollback"),
        ("High", "continue", "give a reason in syncrollout.io/override instead"),
    ],
    ids=["neither one nor the other", "High without a reason"],
)
def test_a_decision_that_does_not_count_leaves_the_incident_open(severity: str, value: str, why: str) -> None:
    triggers = [{"severity": severity, "metric": "latency", "above": 2}]
    w = begun(two_phases(rollback={"triggers": triggers}))
    w.read("latency", 3)
    w.run(10)
    w.ask(Request.DECIDE, value)
    w.run(10)

    assert w.at(State.HOLDING)
    assert why in w.told[-1].message


def test_at_rest_it_is_told_once_and_then_there_is_rest() -> None:
    w = places.completed()
    w.ask(Request.OVERRIDE, "too late")
    w.settle()
    writes = w.writes
    w.run(100)

    assert w.reasons[-1] is Reason.REQUEST_IGNORED
    assert w.writes == writes
    assert w.at(State.COMPLETED)


def test_no_retry_of_what_another_revision_has_replaced() -> None:
    w = places.completed()
    w.edit(revision="2")
    w.settle()
    w.read("errors", 7)
    w.settle()
    w.edit(revision="1")
    w.settle()
    w.ask(Request.RETRY, "again")
    w.settle()

    assert w.at(State.ROLLED_BACK)
    assert "spec.revision is 1, and the run that was rolled back is one of 2" in w.told[-1].message


# ---- who asks ----


@pytest.mark.parametrize(
    ("request_", "value", "said"),
    [
        (Request.ROLLBACK, "users complain", "Rolling back from 10 %: kim asked for it: users complain"),
        (Request.DRILL, "rehearse: x", "A drill begins (Rehearse), kim asked for it: rehearse: x"),
        (Request.OVERRIDE, "x", "syncrollout.io/override says 'x', and nothing was done: no incident is open"),
    ],
)
def test_the_name_that_is_given_with_it_is_told_and_kept(request_: Request, value: str, said: str) -> None:
    w = begun(two_phases())
    w.ask(request_, value, by="kim")
    w.step()

    entry = next(each for each in w.recorded.history if each.by == "kim")
    assert entry.message == said


@pytest.mark.parametrize(("request_", "value"), [(Request.OVERRIDE, "known"), (Request.DECIDE, "continue: known")])
def test_who_passes_over_an_incident_is_kept_with_it(request_: Request, value: str) -> None:
    w = begun(two_phases(rollback={"triggers": [{"severity": "Medium", "metric": "latency", "above": 2}]}))
    w.read("latency", 3)
    w.run(10)
    w.ask(request_, value, by="kim")
    w.run(10)

    assert w.recorded.incident is not None
    assert w.recorded.incident.overridden_by == "kim"
    assert w.told[-2].message.startswith(f"Goes on in spite of it by kim: {value}")


def test_who_asks_for_the_next_attempt_is_kept_until_it_begins() -> None:
    w = places.rolled_back()
    w.read("errors", 12)
    w.ask(Request.RETRY, "again", by="kim")
    w.run(10)

    assert w.recorded.retry is not None
    assert w.recorded.retry.by == "kim"


def test_a_name_is_kept_as_one_line_of_bounded_length() -> None:
    w = begun(two_phases())
    w.ask(Request.ROLLBACK, "now", by="x\ny" * 500)
    w.step()

    assert w.recorded.history[-1].by is not None
    assert len(w.recorded.history[-1].by) == PERSON_LENGTH
    assert "\n" not in w.recorded.history[-1].by


# ---- how it is kept ----


def test_a_value_is_kept_as_one_line_of_bounded_length_and_long_ones_stay_different() -> None:
    one, other = remembered("x\n" * 5000), remembered("x\n" * 5000 + "y")

    assert len(one) == len(other) == REQUEST_LENGTH
    assert one != other
    assert remembered("  two\tlines\nand \x1b[31mmore ") == "two lines and [31mmore"


@pytest.mark.parametrize("request_", Request)
@pytest.mark.parametrize("value", ["", " \n "])
def test_an_empty_value_does_nothing_and_is_told_once(request_: Request, value: str) -> None:
    w = begun(two_phases())
    w.ask(request_, value)
    w.run(30)

    assert w.at(State.PROGRESSING)
    assert w.reasons == [Reason.PHASE_STARTED, Reason.REQUEST_IGNORED]
    assert w.told[-1].message == (
        f"{request_.value} says '', and nothing was done: it is empty; write why, for those who read the history later"
    )


def test_a_value_is_forgotten_once_its_annotation_is_gone_and_counts_when_it_is_set_again() -> None:
    w = begun(two_phases())
    w.ask(Request.ROLLBACK, "users complain")
    w.settle()
    assert w.at(State.ROLLED_BACK)
    w.annotations.clear()
    w.edit(revision="2")
    w.settle()
    assert w.at(State.PROGRESSING)
    assert w.recorded.requests is None
    w.restart()
    w.ask(Request.ROLLBACK, "users complain")
    w.settle()

    assert w.at(State.ROLLED_BACK)


def test_one_annotation_that_is_gone_leaves_the_others_taken_in() -> None:
    w = begun(two_phases())
    w.ask(Request.OVERRIDE, "known")
    w.ask(Request.DECIDE, "continue")
    w.run(10)
    del w.annotations[Request.OVERRIDE]
    w.run(10)

    assert w.recorded.requests == RequestsStatus(decide="continue")
    assert w.reasons.count(Reason.REQUEST_IGNORED) == 2

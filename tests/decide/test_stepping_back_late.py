"""A step back that does not come about at once: workers that read late, a write that fails, something to be mended."""

from __future__ import annotations

import pytest

from decide.plans import Document, by_shards, document, phase, route
from decide.world import begun
from syncrollout.api.words import Reason, Request, State
from syncrollout.decide.actions import SetWeight
from syncrollout.decide.facts import Problem
from syncrollout.decide.machine import decide

MISSING = Problem(Reason.SERVICE_NOT_FOUND, "Service v2 does not exist: create it")
HIGH = {"triggers": [{"severity": "High", "metric": "latency", "above": 3}]}


def plan(**more: object) -> Document:
    """10, then 50; a failing phase steps back."""
    return document([phase("small", 10), phase("half", 50, onFailure="StepBack")], **more)


def by_slots(*, routes: bool = False, **more: object) -> Document:
    """The same of slots."""
    made = by_shards(routes=routes, **more)
    made["phases"] = plan()["phases"]
    return made


@pytest.mark.parametrize("hindrance", ["suspend", "problem"])
@pytest.mark.parametrize("routes", [False, True])
def test_new_never_gets_back_what_it_is_still_letting_go_of(hindrance: str, routes: bool) -> None:
    w = begun(by_slots(routes=routes), "half")
    w.workers.stuck = {"New"}  # new reads late
    w.read("errors", 7)
    w.step(1)
    written = len(w.workers.written)
    if hindrance == "suspend":
        w.edit(suspend=True)
    else:
        w.others.append(MISSING)
    for _ in range(60):
        w.step(1)
        assert w.workers.assignment is not None
        assert w.workers.assignment.new_below <= 100
    assert len(w.workers.written) - written <= 1, "nothing is written again and again"

    w.workers.stuck = set()  # and then it does
    w.run(30)
    assert w.workers.assignment.old_from == 100, "old has got what was released"


def test_one_whose_first_write_failed_is_tried_again_ahead_of_all_others() -> None:
    w = begun(plan(), "half")
    w.read("errors", 7)
    first = decide(w.spec, w.status, w.facts(), w.now + 1)
    assert first.status.reason is Reason.STEPPED_BACK
    again = decide(w.spec, first.status, w.facts(), w.now + 2)  # the route stands as it stood
    assert again.actions == (SetWeight(10),)
    assert again.urgent


def test_where_something_has_to_be_mended_first_everything_goes_back_soon() -> None:
    w = begun(plan(), "half")
    w.read("errors", 7)
    status = decide(w.spec, w.status, w.facts(), w.now + 1).status
    w.others.append(MISSING)
    early = decide(w.spec, status, w.facts(), w.now + 5)
    assert early.status.state is State.HOLDING
    assert early.next_due == w.now + 11, "ten seconds after it was decided"
    late = decide(w.spec, early.status, w.facts(), w.now + 11)
    assert late.status.state is State.ROLLING_BACK
    assert late.actions == (SetWeight(0),)
    assert late.status.message == (
        "Rolling back: new still has 50 % after a step back to phase small (10 %); Service v2 does not exist: create it"
    )


def test_what_a_person_asks_for_goes_before_a_step_back_that_is_due_at_the_same_time() -> None:
    w = begun(plan(), "half")
    w.read("errors", 7)
    w.ask(Request.ROLLBACK, "users complain")
    w.step(1)
    assert w.reasons[-1] is Reason.ROLLBACK_REQUESTED
    w.run_until(State.ROLLED_BACK)


def test_a_route_that_lags_is_not_raised_while_an_incident_is_open() -> None:
    made = document(
        [phase("small", 10), phase("half", 50)], traffic={"routes": [route("a"), route("b")]}, rollback=HIGH
    )
    w = begun(made, "half")
    w.read("latency", 7)
    w.step(1)
    lags = list(w.routes)[1]
    w.routes[lags] = (10.0,)
    decision = w.step(1)
    assert decision.actions == ()
    assert w.routes[lags] == (10.0,)

    w.routes[lags] = (70.0,)  # what was raised by somebody else is put down all the same
    assert w.step(1).actions == (SetWeight(50),)


def test_a_route_behind_the_slots_is_not_raised_while_an_incident_is_open() -> None:
    w = begun(by_slots(routes=True, rollback=HIGH), "half")
    w.routes = dict.fromkeys(w.routes, (10.0,))
    w.read("latency", 7)
    assert w.step(1).actions == ()

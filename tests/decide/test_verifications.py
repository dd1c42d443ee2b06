"""Verification Jobs of a phase: run by their schedule while its weights stand, never twice at once, each once."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import Document, document, phase
from decide.world import START, World
from syncrollout.api.status import VerificationStatus
from syncrollout.api.words import Reason, Request, State, StepState
from syncrollout.decide.facts import JobFact, JobState

COMPLETE = JobFact(JobState.COMPLETE)
FAILED = JobFact(JobState.FAILED, "BackoffLimitExceeded", 1, "3 duplicates")
JOB: Document = {"template": {"spec": {"containers": [{"name": "check", "image": "check"}]}}}
MINUTE = 60.0


def plan(duration: str = "7d", **more: Any) -> Document:
    check = {"name": "consistency", "schedule": "*/10 * * * *", "job": JOB} | more
    return document([phase("half", 50, duration, verification=[check]), phase("all", 100, "10s")])


def world(**more: Any) -> World:
    w = World(plan(**more))
    w.run(20)
    assert w.share == 50
    return w


def one(w: World) -> VerificationStatus:
    [found] = w.recorded.verifications
    return found


def until_due(w: World) -> None:
    before = len(w.made)
    for _ in range(200):
        if len(w.made) > before:
            return
        w.run(10)
    raise AssertionError


def ends(w: World, fact: JobFact) -> None:
    w.jobs[w.made[-1].name] = fact
    w.run(4)


def test_it_is_run_at_its_times_and_only_once_the_weights_stand() -> None:
    w = world()
    assert w.made == []
    assert one(w).next is not None
    for number in range(1, 4):
        until_due(w)
        assert len(w.made) == number
        ends(w, COMPLETE)
    assert len({each.name for each in w.made}) == 3
    assert one(w).failed is False
    assert one(w).message.startswith("has succeeded after")
    assert w.status.state is State.PROGRESSING


def test_its_times_are_those_of_the_time_zone_of_the_schedule() -> None:
    w = World(plan(schedule="0 3 * * *") | {"schedule": {"timezone": "Asia/Tokyo"}})
    w.run(20)
    assert one(w).next == START - START % 86400 + 18 * 3600 + (86400 if START % 86400 > 18 * 3600 else 0)


def test_it_goes_on_while_an_approval_is_waited_for() -> None:
    asked = plan("60s")
    asked["phases"][0]["approval"] = "Required"
    w = World(asked)
    w.run(80)
    assert w.status.state is State.AWAITING_APPROVAL
    for number in range(1, 3):
        until_due(w)
        assert len(w.made) == number
        ends(w, COMPLETE)
    assert w.status.state is State.AWAITING_APPROVAL
    until_due(w)
    ends(w, FAILED)
    assert (w.status.state, w.status.reason) == (State.HOLDING, Reason.AWAITING_DECISION)


def test_a_failure_of_medium_holds_and_is_over_once_a_later_one_ends_well() -> None:
    w = world()
    until_due(w)
    ends(w, FAILED)
    assert (w.status.state, w.status.reason) == (State.HOLDING, Reason.AWAITING_DECISION)
    assert w.status.incident is not None
    assert "verification consistency has failed after" in w.status.incident.message
    assert "exit code 1: 3 duplicates" in w.status.incident.message
    assert [each.reason for each in w.told].count(Reason.JOB_FAILED) == 1
    until_due(w)
    assert w.status.incident is not None  # while the next one runs, the last one counts
    ends(w, COMPLETE)
    w.run(310)
    assert w.status.incident is None
    assert w.status.state is State.PROGRESSING


def test_a_critical_one_sends_everything_back() -> None:
    w = world(severity="Critical")
    until_due(w)
    ends(w, FAILED)
    assert w.status.state is State.ROLLED_BACK
    assert w.share == 0


def test_never_two_at_once_and_what_was_missed_is_made_up_for_once() -> None:
    w = world(budget="2h")
    until_due(w)
    w.run(45 * MINUTE)
    assert len(w.made) == 1
    ends(w, COMPLETE)
    w.edit(suspend=True)
    w.run(60 * MINUTE)
    assert len(w.made) == 1
    w.edit(suspend=False)
    w.run(60)
    assert len(w.made) == 2
    ends(w, COMPLETE)
    w.run(60)
    assert len(w.made) == 2


def test_one_that_takes_too_long_has_failed() -> None:
    w = world(budget="3m")
    until_due(w)
    assert w.made[-1].seconds == 180
    w.run(240)
    assert one(w).failed
    assert one(w).message.startswith("has used up its 3m")


def test_with_the_phase_it_ends() -> None:
    w = world(duration="15m")
    until_due(w)
    ends(w, COMPLETE)
    w.run_until(State.COMPLETED)
    assert len(w.made) == 1
    assert w.recorded.verifications == ()


def test_going_back_waits_for_none_and_begins_none() -> None:
    w = world()
    until_due(w)
    w.ask(Request.ROLLBACK, "now")
    w.settle()
    assert w.status.state is State.ROLLED_BACK
    task = one(w).task
    assert task is not None
    assert task.state is StepState.SKIPPED
    w.run(60 * MINUTE)
    assert len(w.made) == 1


def test_another_schedule_counts_from_the_edit_on() -> None:
    w = world(schedule="0 3 1 1 *")
    assert one(w).next is not None
    later = one(w).next
    w.edit(**plan())
    w.run(10)
    assert one(w).next != later
    until_due(w)


def test_looking_at_it_costs_no_writes() -> None:
    w = world(schedule="0 3 * * *")
    writes = w.writes
    w.run(30 * MINUTE)
    assert w.writes == writes


FACTS = st.sampled_from([None, COMPLETE, FAILED, JobFact(JobState.UNSEEN)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(FACTS, st.sampled_from(["", "act", "write"]), st.integers(0, 900)), max_size=20))
def test_each_is_made_once_whenever_the_operator_dies(moments: list[tuple[JobFact | None, str, int]]) -> None:
    w = world(severity="Low")
    for fact, crash, seconds in moments:
        if fact is not None and w.made:
            w.jobs[w.made[-1].name] = fact
        w.step(float(seconds), crash=crash)
        if not crash:
            w.settle()
        running = [name for name, each in w.jobs.items() if each.state in (JobState.RUNNING, JobState.UNSEEN)]
        own = {each.task.job for each in w.status.verifications if each.task is not None}
        assert len(running) <= 1 or set(running) - own, "two of a name at once"
    names = [each.name for each in w.made]
    assert len(set(names)) == len(names)

"""Jobs of the checklist and of day one: each is made once, in order, before any traffic moves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.invariants import own_tasks
from decide.plans import Document, two_phases
from decide.world import World
from syncrollout.api.status import CheckStatus, TaskStatus
from syncrollout.api.words import Reason, Request, State, StepState, Task, Verdict
from syncrollout.decide.facts import JobFact, JobState

COMPLETE = JobFact(JobState.COMPLETE)
FAILED = JobFact(JobState.FAILED, "BackoffLimitExceeded", 3, "no such table: listings")
STOPPED = JobFact(JobState.STOPPED)


def job(image: str = "work") -> Document:
    return {"template": {"spec": {"containers": [{"name": "work", "image": image}]}}}


def day_one(**steps: Document) -> Document:
    every = {name: {"job": job(name)} for name in ("backup", "migrate", "testSync")}
    return two_phases(preflight={"dayOne": every | steps})


def check(**more: Any) -> Document:
    return two_phases(preflight={"checks": [{"name": "load", "group": "Code", "job": job()} | more]})


def ends(w: World, fact: JobFact) -> None:
    w.jobs[w.made[-1].name] = fact
    w.run(4)


def made(w: World) -> list[Task]:
    return [Task(each.step.value) for each in w.made if isinstance(each.step, Task)]


def states(w: World) -> list[StepState]:
    return [each.state for each in w.recorded.day_one]


def line(w: World) -> CheckStatus:
    assert w.recorded.preflight is not None
    return w.recorded.preflight.checks[0]


# ---- a line of the checklist ----


def test_a_job_is_run_once_and_the_run_begins_once_it_has_ended_well() -> None:
    w = World(check())
    w.run(20)
    assert made(w) == [Task.CHECK]
    assert w.status.reason is Reason.PREFLIGHT_RUNNING
    assert line(w).verdict is Verdict.UNKNOWN
    ends(w, COMPLETE)
    assert w.status.in_flight
    assert line(w).verdict is Verdict.PASS
    assert len(w.made) == 1


def test_its_name_is_recorded_before_it_is_made() -> None:
    w = World(check())
    w.step()
    assert w.made == []
    assert line(w).task is not None
    w.step()
    assert [each.name for each in w.made] == [line(w).task.job]  # type: ignore[union-attr]


def test_one_that_has_failed_is_run_again_once_somebody_has_deleted_it() -> None:
    w = World(check(budget="1m"))
    w.run(20)
    ends(w, FAILED)
    assert (w.status.state, w.status.reason) == (State.PREFLIGHT, Reason.PREFLIGHT_INCOMPLETE)
    assert "exit code 3: no such table: listings" in line(w).message
    first = w.made[-1].name
    assert f"delete Job {first}: it is run again" in line(w).message
    w.run(600)
    assert len(w.made) == 1
    assert [each.reason for each in w.told].count(Reason.JOB_FAILED) == 1
    del w.jobs[first]
    w.run(40)
    assert len({each.name for each in w.made}) == 2
    ends(w, COMPLETE)
    assert w.status.in_flight


def test_one_that_takes_too_long_has_failed() -> None:
    w = World(check(budget="1m"))
    w.run(20)
    assert w.made[-1].seconds == 60
    ends(w, STOPPED)
    assert line(w).message.startswith("has used up its 1m: Job ")


def test_another_attempt_and_another_source_are_other_jobs() -> None:
    w = World(check())
    w.run(20)
    ends(w, COMPLETE)
    w.ask(Request.ROLLBACK, "now")
    w.run(10)
    w.ask(Request.RETRY, "again")
    w.run(10)
    assert len({each.name for each in w.made}) == 2
    w.edit(preflight={"checks": [{"name": "load", "group": "Code", "job": job("other")}]})
    w.run(10)
    assert len({each.name for each in w.made}) == 3


def test_a_suspended_rollout_makes_none() -> None:
    w = World(check() | {"suspend": True})
    w.run(60)
    assert w.made == []


def test_what_it_is_told() -> None:
    w = World(check())
    w.run(10)
    variables = dict(w.made[-1].variables)
    assert (variables["ROLLOUT_STEP"], variables["ROLLOUT_TASK"], variables["ROLLOUT_REVISION"]) == (
        "Check",
        "load",
        "1",
    )


# ---- day one ----


def test_backup_migrate_and_test_sync_run_in_order_before_any_traffic_moves() -> None:
    w = World(day_one())
    w.run(20)
    for task in (Task.BACKUP, Task.MIGRATE, Task.TEST_SYNC):
        assert made(w)[-1] is task
        assert (w.status.state, w.status.reason) == (State.PROGRESSING, Reason.DAY_ONE)
        assert w.status.in_flight
        assert w.share == 0
        assert w.status.phase is not None
        assert w.status.phase.since is None
        ends(w, COMPLETE)
    assert made(w) == [Task.BACKUP, Task.MIGRATE, Task.TEST_SYNC]
    w.run(10)
    assert w.share == 10
    assert states(w) == [StepState.SUCCEEDED] * 3
    assert [each.reason for each in w.told].count(Reason.JOB_SUCCEEDED) == 3


def test_the_time_of_the_phase_counts_from_when_it_is_over() -> None:
    w = World(day_one())
    w.run(100)
    for _ in range(3):
        ends(w, COMPLETE)
    over = w.now
    w.run(4)
    assert w.status.phase is not None
    assert w.status.phase.since is not None
    assert w.status.phase.since >= over - 5


def test_only_what_is_given_is_run() -> None:
    w = World(two_phases(preflight={"dayOne": {"migrate": {"job": job()}}}))
    w.run(20)
    ends(w, COMPLETE)
    assert made(w) == [Task.MIGRATE]
    w.run(10)
    assert w.share == 10


def test_a_migration_that_fails_sends_everything_back_and_says_why() -> None:
    w = World(day_one())
    w.run(20)
    ends(w, COMPLETE)
    ends(w, FAILED)
    assert w.status.state is State.ROLLED_BACK
    assert made(w) == [Task.BACKUP, Task.MIGRATE]
    assert states(w) == [StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED]
    assert w.status.rollback is not None
    assert w.status.rollback.reason is Reason.TRIGGER_BREACHED
    assert "Migrate of day one has failed after" in w.status.rollback.message
    assert "exit code 3: no such table: listings" in w.status.rollback.message
    assert w.share == 0


def test_the_next_attempt_does_it_all_again() -> None:
    w = World(day_one())
    w.run(20)
    ends(w, FAILED)
    w.ask(Request.RETRY, "mended")
    w.run(20)
    assert w.status.run == 2
    assert made(w) == [Task.BACKUP, Task.BACKUP]
    assert len({each.name for each in w.made}) == 2


def test_a_failure_of_severity_medium_asks_a_person_and_goes_on_as_they_say() -> None:
    w = World(day_one(backup={"job": job(), "severity": "Medium"}))
    w.run(20)
    ends(w, FAILED)
    assert (w.status.state, w.status.reason) == (State.HOLDING, Reason.AWAITING_DECISION)
    w.run(600)
    assert made(w) == [Task.BACKUP]
    assert w.share == 0
    w.ask(Request.DECIDE, "continue: there is another backup")
    w.run(20)
    assert made(w) == [Task.BACKUP, Task.MIGRATE]
    ends(w, COMPLETE)
    ends(w, COMPLETE)
    w.run(20)
    assert w.share == 10


def test_a_failure_of_severity_high_goes_back_by_its_deadline() -> None:
    w = World(day_one(testSync={"job": job(), "severity": "High"}))
    w.run(20)
    for fact in (COMPLETE, COMPLETE, FAILED):
        ends(w, fact)
    assert w.status.reason is Reason.ROLLBACK_DUE
    assert w.share == 0
    w.run(3700)
    assert w.status.state is State.ROLLED_BACK


def test_a_failure_of_severity_low_is_told_and_the_next_one_begins() -> None:
    w = World(day_one(backup={"job": job(), "severity": "Low"}))
    w.run(20)
    ends(w, FAILED)
    assert made(w) == [Task.BACKUP, Task.MIGRATE]
    assert [each.reason for each in w.told].count(Reason.LOW_TRIGGER) == 1


def test_suspended_the_next_one_does_not_begin_and_what_runs_is_watched() -> None:
    w = World(day_one())
    w.run(20)
    w.edit(suspend=True)
    w.run(10)
    assert w.status.state is State.PAUSED
    ends(w, COMPLETE)
    w.run(60)
    assert made(w) == [Task.BACKUP]
    assert states(w)[0] is StepState.SUCCEEDED
    w.edit(suspend=False)
    w.run(10)
    assert made(w) == [Task.BACKUP, Task.MIGRATE]


@pytest.mark.parametrize("how", ["stop", "revision", "breach", "delete"])
def test_no_way_back_waits_for_what_runs(how: str) -> None:
    w = World(day_one())
    w.run(20)
    if how == "stop":
        w.edit(emergencyStop=True)
    elif how == "revision":
        w.edit(revision="2")
    elif how == "breach":
        w.read("errors", 50.0)
    else:
        w.deleting = True
    w.step()
    assert w.status.state in (State.ROLLING_BACK, State.ROLLED_BACK)
    w.settle()
    assert w.share == 0
    if how == "stop":
        assert w.status.state is State.ROLLED_BACK
        assert states(w) == [StepState.SKIPPED] * 3
        assert "runs on until it ends" in w.recorded.day_one[0].message


def test_a_step_that_an_edit_takes_away_is_skipped() -> None:
    w = World(day_one())
    w.run(20)
    w.edit(preflight={"dayOne": {"backup": {"job": job()}}})
    ends(w, COMPLETE)
    w.run(20)
    assert states(w) == [StepState.SUCCEEDED, StepState.SKIPPED, StepState.SKIPPED]
    assert w.share == 10


def test_a_job_that_cannot_be_made_has_failed_once_its_budget_is_used_up() -> None:
    w = World(two_phases(preflight={"dayOne": {"backup": {"job": job(), "budget": "1m"}}}))
    w.run(20)
    w.jobs[w.made[-1].name] = JobFact(JobState.UNSEEN, "the API server does not answer")
    w.run(200)
    assert w.status.state is State.ROLLED_BACK
    assert states(w) == [StepState.OVERRUN]


FACTS = st.sampled_from([None, COMPLETE, FAILED, STOPPED, JobFact(JobState.UNSEEN)])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["Critical", "High", "Medium", "Low"]),
    st.lists(st.tuples(FACTS, st.sampled_from(["", "act", "write"]), st.integers(0, 20)), max_size=25),
)
def test_each_is_made_once_whenever_the_operator_dies(
    severity: str, moments: list[tuple[JobFact | None, str, int]]
) -> None:
    document = day_one(migrate={"job": job(), "severity": severity})
    document["preflight"]["checks"] = [{"name": "load", "group": "Code", "job": job()}]
    w = World(document)
    for fact, crash, seconds in moments:
        if fact is not None and w.made:
            w.jobs[w.made[-1].name] = fact
        w.step(float(seconds), crash=crash)
        if not crash:
            w.settle()
    names = [each.name for each in w.made]
    assert len(set(names)) == len(names)
    order = [each for each in made(w) if each is not Task.CHECK]
    assert order == [Task.BACKUP, Task.MIGRATE, Task.TEST_SYNC][: len(order)]
    assert all(isinstance(each, TaskStatus) for each in own_tasks(w.status))

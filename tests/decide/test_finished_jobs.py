"""A failing Job of a CronJob as a trigger: the last one that has finished since the run began counts, and stays so."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from decide.plans import Document, document, phase, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Request, State, Unknown, Verdict
from syncrollout.decide.facts import CronJobFact, FinishedJob

CHECK = "nightly-check"


def plan(severity: str = "Critical", **trigger: object) -> Document:
    return two_phases(rollback={"triggers": [{"severity": severity, "job": CHECK} | trigger]})


def finished(w: World, *, failed: bool, after: float = 1.0, name: str = "nightly-check-1") -> None:
    """A Job has ended so many seconds from now, which is now."""
    w.now += after
    message = "Job has reached the specified backoff limit" if failed else ""
    w.cron_jobs[CHECK] = CronJobFact(FinishedJob(name, float(int(w.now)), failed=failed, message=message))


def world(severity: str = "Critical", **trigger: object) -> World:
    w = World(plan(severity, **trigger))
    w.cron_jobs[CHECK] = CronJobFact()
    w.run_to_phase("small")
    return w


def test_one_that_fails_goes_back_and_says_which() -> None:
    w = world()
    finished(w, failed=False)
    w.settle()
    assert w.share == 10
    finished(w, failed=True, name="nightly-check-2")
    w.settle()
    assert w.share == 0
    assert w.status.rollback is not None
    assert w.status.rollback.reason is Reason.TRIGGER_BREACHED
    assert w.status.rollback.message.startswith("Job nightly-check-2 of CronJob nightly-check failed at 20")
    assert w.status.rollback.message.endswith(": Job has reached the specified backoff limit (rollback trigger)")


def test_the_longest_name_that_a_cron_job_may_have_is_judged_and_a_longer_one_is_refused() -> None:
    """A status that could not be made would leave the rollout unjudged."""
    longest = "a" * 52
    w = World(two_phases(rollback={"triggers": [{"severity": "Critical", "job": longest}]}))
    w.cron_jobs[longest] = CronJobFact()
    w.run_to_phase("small")
    assert [each.metric for each in w.status.criteria if each.id.startswith("trigger/")] == [f"job:{longest}"]
    with pytest.raises(ValidationError, match="at most 52 characters"):
        World(two_phases(rollback={"triggers": [{"severity": "Critical", "job": longest + "a"}]}))


def test_what_failed_before_the_run_does_not_count_and_what_has_not_run_holds_nothing() -> None:
    w = World(plan())
    finished(w, failed=True)
    w.now += 10
    w.run_to_phase("small")
    [trigger] = [each for each in w.status.criteria if each.id.startswith("trigger/")]
    assert (trigger.verdict, trigger.unknown) == (Verdict.UNKNOWN, Unknown.NO_JOB_YET)
    assert trigger.message == "no Job of CronJob nightly-check has finished since the run began"
    w.run_until(State.COMPLETED)
    assert w.recorded.finished_jobs == ()


def test_one_that_ends_well_later_clears_it() -> None:
    w = world("High")
    finished(w, failed=True)
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE
    finished(w, failed=False, name="nightly-check-2")
    w.run(5 * 60)
    assert Reason.INCIDENT_CLEARED in w.reasons
    w.run_until(State.COMPLETED)


def test_a_failed_job_that_is_deleted_stays_failed_over_a_restart_and_over_phases() -> None:
    w = world("High")
    finished(w, failed=True)
    w.settle()
    w.cron_jobs[CHECK] = CronJobFact()
    w.restart()
    w.run(10 * 60)
    assert w.status.reason is Reason.ROLLBACK_DUE
    w.ask(Request.OVERRIDE, "known")
    w.run_to_phase("full")
    [trigger] = [each for each in w.status.criteria if each.id.startswith("trigger/")]
    assert trigger.verdict is Verdict.FAIL


def test_what_cannot_be_seen_any_more_does_not_clear_a_failure() -> None:
    w = world("High")
    finished(w, failed=True)
    w.settle()
    w.cron_jobs[CHECK] = CronJobFact(None, Unknown.NOT_FOUND, "CronJob shop/nightly-check does not exist")
    w.run(10 * 60)
    assert w.status.reason is Reason.ROLLBACK_DUE


def test_the_next_run_begins_without_what_failed_in_the_last() -> None:
    w = world()
    finished(w, failed=True)
    w.settle()
    assert w.at(State.ROLLED_BACK)
    assert w.recorded.finished_jobs[0].failed
    w.now += 10
    w.ask(Request.RETRY, "mended")
    w.run_until(State.COMPLETED)
    assert w.recorded.finished_jobs == ()


@pytest.mark.parametrize(
    ("unknown", "reason", "stalled"),
    [
        (Unknown.NOT_FOUND, Reason.CRON_JOB_NOT_FOUND, "True"),
        (Unknown.FORBIDDEN, Reason.FORBIDDEN, "True"),
        (Unknown.UNSEEN, Reason.PREFLIGHT_RUNNING, "False"),
    ],
)
def test_nothing_starts_while_it_cannot_be_seen(unknown: Unknown, reason: Reason, stalled: str) -> None:
    w = World(plan())
    w.cron_jobs[CHECK] = CronJobFact(None, unknown, "CronJob shop/nightly-check: no")
    w.run(60)
    assert (w.status.state, w.status.reason) == (State.PREFLIGHT, reason)
    assert w.condition("Stalled") == stalled
    assert "job:nightly-check: CronJob shop/nightly-check: no" in w.status.message
    w.cron_jobs[CHECK] = CronJobFact()
    w.run_until(State.COMPLETED)


def test_one_that_is_deleted_mid_way_is_unknown_and_holds_the_phase() -> None:
    w = world()
    w.cron_jobs[CHECK] = CronJobFact(None, Unknown.NOT_FOUND, "CronJob shop/nightly-check does not exist")
    w.run(120)
    assert (w.status.state, w.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)
    assert "does not exist" in w.status.message
    assert w.share == 10


# ---- success ----


def asking() -> World:
    phases = [phase("small", 10, "10s", success=[{"job": CHECK}], rollbackOn=[]), phase("all", 100, success=[])]
    w = World(document(phases))
    w.cron_jobs[CHECK] = CronJobFact()
    w.run_to_phase("small")
    return w


def test_success_waits_for_a_job_of_the_phase_and_for_it_to_end_well() -> None:
    w = asking()
    w.run(3 * 3600)
    assert (w.status.state, w.status.reason) == (State.HOLDING, Reason.CRITERIA_NOT_MET)
    assert w.status.incident is None, "that a Job has not run yet is no want of data"
    finished(w, failed=True)
    w.run(60)
    assert w.at(State.HOLDING)
    assert "one has to end well" in w.status.message
    finished(w, failed=False, name="nightly-check-2")
    w.run_until(State.COMPLETED)


def test_one_of_the_phase_before_is_no_success_of_this_one() -> None:
    phases = [phase(name, 10, "10s", success=[{"job": CHECK}], rollbackOn=[]) for name in ("one", "two")]
    w = begun(document(phases), "one")
    w.cron_jobs[CHECK] = CronJobFact()
    w.settle()
    finished(w, failed=False)
    w.run_to_phase("two")
    w.run(60)
    assert w.at(State.HOLDING)
    assert "has finished since the phase began; the last: Job nightly-check-1" in w.status.message
    finished(w, failed=False, name="nightly-check-2")
    w.run_until(State.COMPLETED)


def test_the_job_that_ends_the_phase_before_is_no_success_of_the_one_that_begins_in_the_same_second() -> None:
    """It is what the phase before has waited for, and wakes the rollout: weights stand some tenths of a second on."""
    phases = [phase(name, 10, "10s", success=[{"job": CHECK}], rollbackOn=[]) for name in ("one", "two")]
    w = begun(document(phases), "one")
    w.cron_jobs[CHECK] = CronJobFact()
    w.run(60.2)
    assert w.at(State.HOLDING)
    finished(w, failed=False)
    w.run_to_phase("two")
    w.run(60)
    assert (w.status.state, w.status.reason) == (State.HOLDING, Reason.CRITERIA_NOT_MET)
    finished(w, failed=False, name="nightly-check-2")
    w.run_until(State.COMPLETED)


def test_of_two_that_end_in_the_same_second_the_one_that_failed_counts() -> None:
    w = world("High")
    finished(w, failed=True)
    w.settle()
    finished(w, failed=False, after=0.0, name="nightly-check-2")
    w.run(10 * 60)
    assert w.status.reason is Reason.ROLLBACK_DUE


def test_a_phase_may_go_back_by_a_job() -> None:
    w = begun(document([phase("half", 50, success=[], rollbackOn=[{"job": CHECK}])]))
    finished(w, failed=True)
    w.settle()
    assert w.status.rollback is not None
    assert w.status.rollback.reason is Reason.CRITERION_BREACHED


def test_it_waits_for_no_reading_of_prometheus() -> None:
    w = world()
    finished(w, failed=True)
    w.values.clear()
    assert w.step().urgent
    assert w.share == 0

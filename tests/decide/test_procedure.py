"""The steps of a rollback after the switch of traffic, decision by decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import Document, by_replicas, one_phase
from decide.world import World, begun
from syncrollout.api.words import Reason, Request, Side, State, Step, StepState, Unknown
from syncrollout.decide import broken
from syncrollout.decide.actions import AddFinalizer, CreateJob, KeepLogs
from syncrollout.decide.check_facts import SnapshotFact
from syncrollout.decide.facts import (
    JobFact,
    JobState,
    SeriesFact,
    WorkloadFact,
)

COMPLETE, FAILED = JobFact(JobState.COMPLETE), JobFact(JobState.FAILED, "exit", exit_code=2, output="3 lost")
STOPPED, MISSING, UNSEEN = JobFact(JobState.STOPPED), JobFact(JobState.MISSING), JobFact(JobState.UNSEEN, "no answer")
JOB = {"template": {"spec": {"containers": [{"name": "step", "image": "step"}]}}}


def _plan(**procedure: Any) -> Document:
    steps = {"verifyData": {"job": JOB, "budget": "10m"}, "restore": {"job": JOB, "budget": "20m"}} | procedure
    plan = one_phase()
    plan["rollback"]["procedure"] = {name: step for name, step in steps.items() if step is not None}
    return plan


def _going_back(**procedure: Any) -> World:
    """The first Job is made."""
    world = begun(_plan(**procedure))
    world.read("errors", 50.0)
    world.settle()
    return world


def _ends(world: World, fact: JobFact) -> None:
    world.jobs[world.made[-1].name] = fact
    world.settle()


def _states(world: World) -> list[StepState]:
    assert world.recorded.rollback is not None
    return [step.state for step in world.recorded.rollback.steps]


def test_traffic_is_back_before_the_first_job_is_made() -> None:
    world = begun(_plan())
    world.read("errors", 50.0)
    world.step()
    assert world.share == 0
    assert world.made == []
    world.settle()
    assert [made.step for made in world.made] == [Step.VERIFY_DATA]
    assert world.at(State.ROLLING_BACK)
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.confirmed is not None


def test_without_a_procedure_it_ends_as_soon_as_traffic_is_back() -> None:
    world = begun(one_phase())
    world.read("errors", 50.0)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.steps == ()


@pytest.mark.parametrize(
    ("verification", "mode", "restored"),
    [
        (COMPLETE, "WhenNeeded", False),
        (FAILED, "WhenNeeded", True),
        (JobFact(JobState.FAILED), "WhenNeeded", False),
        (STOPPED, "WhenNeeded", False),
        (STOPPED, "Always", True),
        (COMPLETE, "Always", True),
    ],
)
def test_what_is_restored_hangs_on_what_was_found(verification: JobFact, mode: str, restored: bool) -> None:
    world = _going_back(restore={"job": JOB, "mode": mode})
    _ends(world, verification)
    assert [made.step for made in world.made] == [Step.VERIFY_DATA, *([Step.RESTORE] if restored else [])]
    if not restored:
        assert world.at(State.ROLLED_BACK)
        assert _states(world)[2:] == [StepState.SKIPPED, StepState.SKIPPED]
        assert world.reasons[-1] is Reason.ROLLED_BACK
        assert world.told[-1].type == ("Normal" if verification is COMPLETE else "Warning")


@pytest.mark.parametrize("fact", [MISSING, UNSEEN, STOPPED, JobFact(JobState.RUNNING)])
@pytest.mark.parametrize(
    ("source", "by_hand"),
    [
        (JOB, "a Job of restore.job.template"),
        ({"fromCronJob": "mend"}, "kubectl create job mend-by-hand --from=cronjob/mend"),
    ],
)
def test_a_verification_that_could_not_run_leaves_the_restore_to_a_person(
    fact: JobFact, source: Document, by_hand: str
) -> None:
    world = _going_back(restore={"job": source})
    name = world.made[-1].name
    for _ in range(70):
        world.jobs[name] = fact
        world.step(10.0)
    assert {made.step for made in world.made} == {Step.VERIFY_DATA}
    assert world.at(State.ROLLED_BACK)
    [told] = [note for note in world.told if note.reason is Reason.STEP_SKIPPED and "Restore" in note.message]
    assert told.type == "Warning"
    assert "a person has to decide" in told.message
    assert by_hand in told.message
    assert world.told[-1].type == "Warning"


def test_damage_that_a_restore_has_mended_is_no_warning_at_the_end() -> None:
    world = _going_back()
    for fact in (FAILED, COMPLETE, COMPLETE):
        _ends(world, fact)
    assert world.at(State.ROLLED_BACK)
    assert world.told[-1].type == "Normal"
    assert "VerifyData Failed, Restore Succeeded, VerifyAgain Succeeded" in world.told[-1].message


def test_damage_that_is_left_is_a_warning_that_says_what_was_found() -> None:
    world = _going_back()
    for fact in (FAILED, COMPLETE, FAILED):
        _ends(world, fact)
    assert world.told[-1].type == "Warning"
    assert "the data is still damaged, or it could not look: exit code 2: 3 lost" in world.told[-2].message


def test_a_job_is_given_what_is_left_of_the_budget() -> None:
    world = begun(_plan())
    world.read("errors", 50.0)
    while world.status.rollback is None or "Running" not in world.status.rollback.steps[1].state:
        world.step()
    world.jobs.clear()  # the process died before it was made
    world.made.clear()
    world.restart()
    world.step(60.0)
    assert world.made[0].seconds == 540


def test_an_overrun_is_told_once_and_the_next_step_waits_for_the_end_of_the_job() -> None:
    world = _going_back(restore={"job": JOB, "mode": "Always"})
    world.run(599.0)
    assert _states(world)[1] is StepState.RUNNING
    world.run(2.0)
    assert _states(world)[1] is StepState.OVERRUN
    assert len(world.made) == 1
    _ends(world, STOPPED)
    assert len(world.made) == 2
    assert world.reasons.count(Reason.STEP_OVERRUN) == 1


@pytest.mark.parametrize("fact", [JobFact(JobState.RUNNING), UNSEEN])
def test_a_job_that_does_not_end_holds_the_next_step_up_for_a_moment_at_most(fact: JobFact) -> None:
    world = _going_back(restore={"job": JOB, "mode": "Always"})
    world.jobs[world.made[0].name] = fact
    world.run(629.0)
    assert len(world.made) == 1
    world.run(2.0)
    assert [made.step for made in world.made] == [Step.VERIFY_DATA, Step.RESTORE]


def test_a_job_that_was_seen_and_is_gone_is_not_made_again() -> None:
    world = _going_back(restore={"job": JOB, "mode": "Always"})
    _ends(world, MISSING)
    assert [made.step for made in world.made] == [Step.VERIFY_DATA, Step.RESTORE]
    assert any("somebody has deleted" in entry.message for entry in world.told)


def test_a_switch_that_takes_long_is_told_once_and_goes_on() -> None:
    world = begun(_plan(switch={"budget": "2m"}))
    world.old = WorkloadFact(3, 0)
    world.pods_start = False
    world.read("errors", 50.0)
    world.run(300.0)
    assert world.at(State.ROLLING_BACK)
    assert world.reasons.count(Reason.STEP_OVERRUN) == 1
    assert world.made == []
    world.ready(Side.OLD, 3)
    world.settle()
    assert world.share == 0
    assert [made.step for made in world.made] == [Step.VERIFY_DATA]
    assert _states(world)[0] is StepState.OVERRUN


def test_progress_is_written_on_change_and_every_fifteen_seconds_at_most() -> None:
    world = _going_back()
    name = world.made[0].name
    world.step(1.0)
    before = world.writes
    for percent in range(60):
        world.jobs[name] = JobFact(JobState.RUNNING, progress=f"{percent}% checked")
        world.step(1.0)
    assert world.writes - before <= 5
    step = world.recorded.rollback.steps[1] if world.recorded.rollback is not None else None
    assert step is not None
    assert int(step.progress.partition("%")[0]) >= 44
    world.run(60.0)
    again = world.writes
    world.run(300.0)
    assert world.writes - again <= 1, "what does not change is not written"


def test_what_a_step_waits_for_stands_in_its_progress() -> None:
    world = _to_the_system(checks=CHECKS)
    world.read("latency", 9.0, Side.OLD)
    world.run(60.0)
    assert world.recorded.rollback is not None
    assert world.recorded.rollback.steps[1].progress.startswith("latency reads 9 percent")
    before = world.writes
    for reading in range(12):
        world.read("latency", 10.0 + reading, Side.OLD)
        world.run(10.0)
    assert world.writes - before <= 3, "a reading alone is no reason to write"


def test_drift_stops_the_steps_until_traffic_is_back() -> None:
    world = _going_back()
    world.jobs[world.made[0].name] = FAILED
    world.drift(30.0)
    world.step()
    assert world.share == 0
    assert len(world.made) == 1
    world.settle()
    assert len(world.made) == 2


def test_a_deletion_begins_no_step_and_waits_for_the_one_that_runs() -> None:
    world = _going_back()
    world.deleting = True
    world.settle()
    assert not world.is_gone()
    _ends(world, FAILED)
    assert world.is_gone()
    assert len(world.made) == 1


def test_a_deletion_makes_no_job_that_was_recorded_and_not_made() -> None:
    """In a namespace that is being deleted nothing can be made any more."""
    world = _going_back()
    world.jobs.clear()
    world.made.clear()
    assert world.recorded.rollback is not None
    unseen = tuple(step.model_copy(update={"seen": False}) for step in world.recorded.rollback.steps)
    rollback = world.recorded.rollback.model_copy(update={"steps": unseen})
    world.recorded = world.recorded.model_copy(update={"rollback": rollback})
    world.restart()
    world.deleting = True
    world.settle()
    assert world.is_gone()
    assert world.made == []


def test_a_step_that_an_edit_takes_away_is_skipped() -> None:
    world = _going_back()
    world.edit(rollback={"procedure": {"verifyData": {"job": JOB}}})
    _ends(world, FAILED)
    assert world.at(State.ROLLED_BACK)
    assert _states(world)[2:] == [StepState.SKIPPED, StepState.SKIPPED]


def test_the_next_run_waits_for_the_last_step() -> None:
    world = _going_back()
    world.edit(revision="2")
    world.run(60.0)
    assert world.at(State.ROLLING_BACK)
    for fact in (FAILED, COMPLETE, COMPLETE):
        _ends(world, fact)
    assert world.recorded.rollback is None or not world.at(State.ROLLING_BACK)
    assert world.status.revision == "2" or world.at(State.PREFLIGHT, State.ROLLED_BACK, State.PROGRESSING)


def test_names_fit_into_labels_and_tell_steps_and_rollbacks_apart() -> None:
    world = _going_back()
    _ends(world, FAILED)
    names = [made.name for made in world.made]
    assert len(set(names)) == 2
    assert all(name.startswith("sync-") and len(name) <= 63 for name in names)


def test_containers_are_told_what_happened_and_when() -> None:
    world = _going_back()
    told = dict(world.made[0].variables)
    assert (told["ROLLOUT_PHASE"], told["ROLLOUT_WEIGHT"], told["ROLLOUT_RUN"]) == ("half", "50", "1")
    assert told["ROLLOUT_OLD"] == "sync-v1"
    assert told["ROLLOUT_STARTED"] <= told["ROLLOUT_DECIDED"] <= told["ROLLOUT_SWITCHED"]


BACKUP = {"job": JOB, "mode": "Always", "budget": "20m", "backup": {"metric": "latency", "maxAge": "25h"}}


def test_a_restore_waits_for_a_backup_that_is_recent_enough() -> None:
    world = begun(_plan(verifyData=None, restore=BACKUP))
    world.read("latency", 26 * 3600.0)
    world.read("errors", 50.0)
    world.run(60.0)
    assert world.made == []
    assert world.reasons.count(Reason.BACKUP_MISSING) == 1
    assert "the last backup is 1d2h old (metric latency), and may be 1d1h at most" in world.told[-1].message
    world.read("latency", 60.0)
    world.run(20.0)
    assert [made.step for made in world.made] == [Step.RESTORE]
    assert world.made[0].seconds <= 20 * 60 - 60
    _ends(world, COMPLETE)
    assert world.at(State.ROLLED_BACK)


@pytest.mark.parametrize("age", [26 * 3600.0, -5.0, Unknown.NO_DATA, Unknown.TIMEOUT])
def test_without_a_backup_nothing_is_restored_and_that_is_a_warning(age: float | Unknown) -> None:
    world = begun(_plan(restore=BACKUP))
    world.read("latency", age)
    world.read("errors", 50.0)
    world.settle()
    _ends(world, FAILED)
    world.run_until(State.ROLLED_BACK, within=3600.0)
    assert [made.step for made in world.made] == [Step.VERIFY_DATA]
    assert _states(world)[2:] == [StepState.FAILED, StepState.SKIPPED]
    assert world.told[-1].type == "Warning"


def _snapshots() -> Document:
    asked = {"volumeSnapshot": {"name": "nightly"}, "maxAge": "25h"}
    return {"job": JOB, "mode": "Always", "budget": "20m", "backup": asked}


def test_a_snapshot_that_is_recent_enough_is_a_backup() -> None:
    world = begun(_plan(verifyData=None, restore=_snapshots()))
    world.snapshot = SnapshotFact(None, "VolumeSnapshot listings/nightly is not ready to use")
    world.read("errors", 50.0)
    world.run(60.0)
    assert world.made == []
    assert world.reasons.count(Reason.BACKUP_MISSING) == 1
    assert "there is no snapshot to go back to: VolumeSnapshot listings/nightly is not ready" in world.told[-1].message
    world.snapshot = SnapshotFact(world.now - 3600.0, "VolumeSnapshot listings/nightly")
    world.run(20.0)
    assert [made.step for made in world.made] == [Step.RESTORE]
    _ends(world, COMPLETE)
    assert world.told[-2].message.endswith(": VolumeSnapshot listings/nightly was 1h old")


@pytest.mark.parametrize(
    ("age", "says"),
    [(26 * 3600.0, "is 1d2h old, and may be 1d1h at most"), (-3600.0 * 3, "which is yet to come: look at the clocks")],
)
def test_a_snapshot_of_another_time_is_none(age: float, says: str) -> None:
    world = begun(_plan(verifyData=None, restore=_snapshots()))
    world.snapshot = SnapshotFact(world.now - age, "VolumeSnapshot listings/nightly")
    world.read("errors", 50.0)
    world.run(1210.0)
    assert world.at(State.ROLLED_BACK)
    assert world.made == []
    assert says in world.told[-2].message
    assert world.told[-1].type == "Warning"


BACKED_UP: Document = {"job": JOB, "mode": "Always", "budget": "20m", "backup": {"job": {"fromCronJob": "dump"}}}


def test_a_backup_is_made_by_a_job_of_its_own_before_the_restore() -> None:
    world = begun(_plan(verifyData=None, restore=BACKED_UP))
    world.read("errors", 50.0)
    world.settle()
    [dump] = world.made
    assert (dump.backup, dump.source.from_cron_job, dict(dump.variables)["ROLLOUT_STEP"]) == (True, "dump", "Backup")
    world.now += 120.0
    _ends(world, COMPLETE)
    assert [(made.step, made.backup) for made in world.made] == [(Step.RESTORE, True), (Step.RESTORE, False)]
    assert world.made[1].seconds == 18 * 60
    assert len({made.name for made in world.made}) == 2
    _ends(world, COMPLETE)
    assert world.at(State.ROLLED_BACK)
    assert f"the backup by Job {dump.name} has ended well" in world.told[-2].message


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        (FAILED, "exit code 2: 3 lost"),
        (STOPPED, "has not ended in time and is stopped"),
        (MISSING, "somebody has deleted Job"),
    ],
)
def test_without_the_backup_of_its_job_nothing_is_restored(fact: JobFact, says: str) -> None:
    world = begun(_plan(verifyData=None, restore=BACKED_UP))
    world.read("errors", 50.0)
    world.settle()
    world.step(1.0)
    _ends(world, fact)
    assert world.at(State.ROLLED_BACK)
    assert len(world.made) == 1
    assert _states(world)[1] is StepState.FAILED
    assert "Restore was not begun: " in world.told[-2].message
    assert says in world.told[-2].message
    assert world.told[-1].type == "Warning"


@pytest.mark.parametrize("fact", [JobFact(JobState.RUNNING), UNSEEN])
def test_a_backup_that_takes_too_long_restores_nothing(fact: JobFact) -> None:
    world = begun(_plan(verifyData=None, restore=BACKED_UP))
    world.read("errors", 50.0)
    world.settle()
    world.jobs[world.made[0].name] = fact
    world.run(1190.0)
    assert world.at(State.ROLLING_BACK)
    world.run(20.0)
    assert world.at(State.ROLLED_BACK)
    assert len(world.made) == 1
    assert _states(world)[1] is StepState.FAILED


def test_no_restore_begins_after_its_time_though_the_backup_is_there_by_then() -> None:
    world = begun(_plan(verifyData=None, restore=BACKED_UP))
    world.read("errors", 50.0)
    world.settle()
    world.now += 1205.0  # no operator runs meanwhile
    _ends(world, COMPLETE)
    assert world.at(State.ROLLED_BACK)
    assert [made.backup for made in world.made] == [True], "a restore of one second would be killed half way"
    assert _states(world)[1] is StepState.FAILED
    assert "has ended well, but its time was used up by then" in world.told[-2].message


def test_new_is_stopped_before_anything_looks_at_the_data_and_comes_back_for_the_next_attempt() -> None:
    world = begun(_plan(switch={"stopNew": True}))
    world.read("errors", 50.0)
    world.settle()
    assert world.new == WorkloadFact(0, 0)
    scaled = [type(action).__name__ for action in world.actions].index("Scale")
    assert scaled < [type(action).__name__ for action in world.actions].index("CreateJob")
    assert world.recorded.stopped_new is not None
    assert world.recorded.stopped_new.replicas == 3
    _ends(world, COMPLETE)
    world.read("errors", 0.5)
    world.edit(revision="2")
    world.settle()
    assert world.new == WorkloadFact(3, 3)
    assert world.at(State.PROGRESSING)
    assert world.recorded.stopped_new is None


def test_pods_of_new_that_do_not_go_hold_the_steps_up_for_the_budget_of_the_switch() -> None:
    world = begun(_plan(switch={"stopNew": True, "budget": "1m"}))
    world.read("errors", 50.0)
    world.step()
    world.step()
    world.ready(Side.NEW, 2)
    world.run(50.0)
    assert world.made == []
    assert "new (Deployment sync-v2) is being stopped" in world.status.message
    world.run(20.0)
    assert len(world.made) == 1


def test_a_new_that_somebody_has_brought_up_again_is_left_as_it_is() -> None:
    world = begun(_plan(switch={"stopNew": True}))
    world.read("errors", 50.0)
    world.settle()
    _ends(world, COMPLETE)
    world.new = WorkloadFact(1, 1)
    world.read("errors", 0.5)
    world.edit(revision="2")
    world.settle()
    assert world.new == WorkloadFact(1, 1)
    assert world.at(State.PROGRESSING)


CHECKS = [{"metric": "errors", "below": 1}, {"metric": "latency", "atMost": 2}]


def _to_the_system(**verify: Any) -> World:
    """Traffic is back, and nothing but the system is looked at."""
    world = begun(_plan(verifyData=None, restore=None, verifySystem={"budget": "5m"} | verify))
    world.read("errors", 50.0)
    return world


def test_old_is_verified_by_its_own_metrics_and_then_by_a_job() -> None:
    world = _to_the_system(checks=CHECKS, job=JOB)
    world.read("latency", 9.0, Side.OLD)
    world.run(60.0)
    assert world.at(State.ROLLING_BACK)
    assert world.made == []
    world.read("latency", 1.0, Side.OLD)
    world.run(10.0)
    assert [made.step for made in world.made] == [Step.VERIFY_SYSTEM]
    _ends(world, COMPLETE)
    assert world.at(State.ROLLED_BACK)
    assert world.told[-1].type == "Normal"
    assert "VerifySystem Succeeded" in world.told[-1].message


def test_checks_alone_are_enough() -> None:
    world = _to_the_system(checks=CHECKS)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.made == []
    assert _states(world) == [StepState.SUCCEEDED, StepState.SUCCEEDED]


@pytest.mark.parametrize("reading", [9.0, Unknown.NO_DATA, Unknown.UNREACHABLE])
def test_a_system_that_does_not_do_well_is_told_when_the_budget_is_used_up(reading: float | Unknown) -> None:
    world = _to_the_system(checks=CHECKS, job=JOB)
    world.read("latency", reading, Side.OLD)
    world.run(290.0)
    assert world.at(State.ROLLING_BACK)
    world.run(20.0)
    assert world.at(State.ROLLED_BACK)
    assert _states(world)[1] is StepState.OVERRUN
    assert "VerifySystem has used up its 5m: latency" in world.told[-2].message
    assert world.told[-1].type == "Warning"


def test_what_was_measured_before_the_switch_does_not_count_for_old() -> None:
    plan = _plan(verifyData=None, restore=None, verifySystem={"budget": "5m", "checks": CHECKS[:1]})
    plan["metrics"][0] |= {"window": "2m", "query": "errors_total[$window]"}
    world = begun(plan)
    world.read("errors", 50.0)
    world.read("errors", 0.5, Side.OLD)
    world.run(110.0)
    assert world.at(State.ROLLING_BACK)
    world.run(20.0)
    assert world.at(State.ROLLED_BACK)


def test_a_check_with_confidence_counts_what_old_does_since_the_switch() -> None:
    plan = _plan(
        verifyData=None, restore=None, verifySystem={"budget": "1h", "checks": [{"metric": "share", "below": 1}]}
    )
    counted = {"of": "increase(failed[$window])", "over": "increase(items[$window])"}
    sure = {"name": "share", "unit": "percent", "ratio": counted, "window": "1m", "confidence": 95}
    plan["metrics"] = [*plan["metrics"], sure]
    plan["phases"][0]["duration"] = "1h"
    world = begun(plan)
    world.work[("share", Side.OLD)] = (5.0, 0.2)
    world.run(600.0)
    world.read("errors", 50.0)
    world.run(60.0)
    assert world.at(State.ROLLING_BACK), "ten minutes of events from before the switch would be sure"
    world.run(900.0)
    assert world.at(State.ROLLED_BACK)
    assert _states(world)[1] is StepState.SUCCEEDED


def test_old_is_restarted_once_before_it_is_looked_at() -> None:
    world = _to_the_system(restartOld=True, checks=CHECKS, job=JOB)
    world.pods_start = False
    world.run(120.0)
    assert world.restarted == [world.restarted[0]]
    assert world.made == []
    assert world.share == 0
    step = world.recorded.rollback.steps[1] if world.recorded.rollback is not None else None
    assert step is not None
    assert step.message == "old (Deployment sync-v1) is being restarted"
    assert world.old is not None
    world.old = replace(world.old, updated=True)
    world.settle()
    assert [made.step for made in world.made] == [Step.VERIFY_SYSTEM]
    _ends(world, COMPLETE)
    assert world.at(State.ROLLED_BACK)
    assert world.told[-2].message.endswith("of 5m: old was restarted within 2m; all checks pass")
    assert len(world.restarted) == 1


def test_a_restart_that_does_not_end_is_told_when_the_budget_is_used_up() -> None:
    world = _to_the_system(restartOld=True, checks=CHECKS)
    world.pods_start = False
    world.run(310.0)
    assert world.at(State.ROLLED_BACK)
    assert _states(world)[1] is StepState.OVERRUN
    assert "is being restarted: not all of its pods are made anew" in world.told[-2].message
    assert world.told[-1].type == "Warning"


def test_a_restart_alone_is_enough_and_its_pods_have_to_be_ready() -> None:
    world = _to_the_system(restartOld=True)
    world.step()
    world.ready(Side.OLD, 2)
    world.run(30.0)
    assert world.at(State.ROLLING_BACK)
    world.ready(Side.OLD, 3)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert "has succeeded after 30s of 5m: old was restarted within 30s" in world.told[-2].message


def test_a_stamp_that_somebody_takes_away_is_not_written_again() -> None:
    world = _to_the_system(restartOld=True)
    world.pods_start = False
    world.run(20.0)
    assert world.old is not None
    world.old = replace(world.old, restart="")
    world.run(20.0)
    assert len(world.restarted) == 1
    world.old = replace(world.old, updated=True)
    world.settle()
    assert world.at(State.ROLLED_BACK)


def test_a_cron_job_is_not_restarted_and_that_is_said() -> None:
    plan = _plan(verifyData=None, restore=None, verifySystem={"restartOld": True})
    plan["old"] = {"workload": {"kind": "CronJob", "name": "sync-v1"}, "service": "sync-v1"}
    world = World(plan, replicas=1)
    world.old = WorkloadFact(1, 1, scalable=False)
    world.run_to_phase("half")
    world.read("errors", 50.0)
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.restarted == []
    assert "old is a CronJob, so there was nothing to restart" in world.told[-2].message


def test_what_old_did_before_its_restart_does_not_count() -> None:
    plan = _plan(verifyData=None, restore=None, verifySystem={"restartOld": True, "budget": "9m", "checks": CHECKS[:1]})
    plan["metrics"][0] |= {"window": "2m", "query": "errors_total[$window]"}
    world = begun(plan)
    world.pods_start = False
    world.read("errors", 50.0)
    world.read("errors", 0.5, Side.OLD)
    world.run(130.0)
    assert world.old is not None
    world.old = replace(world.old, updated=True)
    world.run(110.0)
    assert world.at(State.ROLLING_BACK)
    world.run(20.0)
    assert world.at(State.ROLLED_BACK)


@pytest.mark.parametrize("crash", ["act", "write"])
def test_a_restart_that_a_crash_cuts_short_is_asked_for_with_the_same_stamp(crash: str) -> None:
    world = _to_the_system(restartOld=True, checks=CHECKS)
    world.pods_start = False
    for _ in range(8):
        world.step(1.0, crash=crash)
        world.step(1.0)
    assert len(set(world.restarted)) == 1
    assert world.old is not None
    world.old = replace(world.old, updated=True)
    world.run_until(State.ROLLED_BACK, within=60.0)


def test_by_replicas_old_may_miss_some_pods_while_it_restarts() -> None:
    plan = by_replicas(10)
    plan["rollback"]["procedure"] = {"verifySystem": {"restartOld": True, "budget": "5m"}}
    world = begun(plan, replicas=10)
    world.read("errors", 50.0)
    while not world.restarted:
        world.step()
    world.ready(Side.OLD, 8)
    world.run(30.0)
    assert world.at(State.ROLLING_BACK)
    assert Reason.OLD_NOT_READY not in world.reasons
    world.ready(Side.OLD, 10)
    world.settle()
    assert world.at(State.ROLLED_BACK)


PROBES = [{"path": "/healthz"}, {"path": "/items"}]


def test_all_probes_have_to_pass_beside_the_checks_and_each_is_told() -> None:
    world = _to_the_system(probes=PROBES, checks=CHECKS)
    world.answers["/items"] = "503, and not 200"
    world.run(60.0)
    assert world.at(State.ROLLING_BACK)
    world.answers.clear()
    world.read("latency", 9.0, Side.OLD)
    world.run(60.0)
    assert world.at(State.ROLLING_BACK)
    world.read("latency", 1.0, Side.OLD)
    world.run(10.0)
    assert world.at(State.ROLLED_BACK)
    assert world.told[-2].message.endswith("all checks pass; all probes pass (GET /healthz: 200; GET /items: 200)")


def test_a_probe_that_does_not_pass_is_told_when_the_budget_is_used_up() -> None:
    world = _to_the_system(probes=PROBES)
    world.answers["/items"] = "no answer within 10 s"
    world.run(310.0)
    assert _states(world)[1] is StepState.OVERRUN
    said = "VerifySystem has used up its 5m: not all probes pass: GET /healthz: 200; GET /items: no answer within 10 s"
    assert world.told[-2].message == said


def test_nothing_is_probed_before_old_is_restarted() -> None:
    world = _to_the_system(restartOld=True, probes=PROBES)
    world.pods_start = False
    world.run(20.0)
    assert world.facts().probes is None
    assert world.old is not None
    world.old = replace(world.old, updated=True)
    world.settle()
    assert world.at(State.ROLLED_BACK)


def _reported(keep: int = 5) -> World:
    world = _going_back(evidence={"keep": keep})
    for fact in (FAILED, COMPLETE, COMPLETE):
        _ends(world, fact)
    return world


def test_the_report_says_what_happened_and_how_long_it_took() -> None:
    world = _reported()
    assert world.at(State.ROLLED_BACK)
    text = world.reports["sync-incident-1"].text
    assert "# Incident report: sync, run 1 of revision 1" in text
    assert "What happened: errors reads 50 percent, which is above 10 percent (rollback trigger)" in text
    assert "| VerifyData | Failed | 0s | 10m |" in text
    assert "Fail: errors reads 50 percent" in text
    assert "TriggerBreached: Rolling back from 50 %" in text
    assert "exit code 2" in text
    assert "3 lost" in text
    assert "- [ ] VerifyData Failed: " in text


def test_what_people_asked_for_stands_in_the_report_with_their_words() -> None:
    world = begun(_plan(verifyData=None, restore=None, evidence={}))
    world.ask(Request.ROLLBACK, "customers complain")
    world.run(60.0)
    text = world.reports["sync-incident-1"].text
    people = text.partition("## Who did what")[2].partition("##")[0]
    assert "RollbackRequested: Rolling back from 50 %: a person asked for it: customers complain" in people
    assert "Nobody asked for anything" not in people


def test_the_logs_of_new_are_kept_once_traffic_is_back_and_before_new_is_stopped() -> None:
    world = begun(_plan(verifyData=None, restore=None, evidence={}, switch={"stopNew": True}))
    world.read("errors", 50.0)
    world.run(60.0)
    assert world.at(State.ROLLED_BACK)
    order = [type(each).__name__ for each in world.actions if not isinstance(each, AddFinalizer)]
    kept = order.index("KeepLogs")
    assert order.index("SetWeight", 1) < kept < order.index("Scale")
    assert order.count("KeepLogs") == 1
    assert "- Of new's pods: under `new.log`" in world.reports["sync-incident-1"].text


def test_logs_that_cannot_be_read_hold_new_up_for_some_seconds_at_most() -> None:
    world = begun(_plan(verifyData=None, restore=None, evidence={}, switch={"stopNew": True}))
    world.logs = None
    world.read("errors", 50.0)
    world.step()
    world.run(15.0)
    assert world.new == WorkloadFact(3, 3)
    assert world.share == 0
    world.run(10.0)
    assert world.new == WorkloadFact(0, 0)
    world.run(30.0)
    assert world.at(State.ROLLED_BACK)
    assert "- Of new's pods: none, for they could not be read in time." in world.reports["sync-incident-1"].text


def test_without_evidence_no_logs_are_read() -> None:
    world = _going_back(switch={"stopNew": True})
    assert not any(isinstance(each, KeepLogs) for each in world.actions)


def _never_ends(world: World) -> None:
    """No Job ends, no backup comes, old does not restart and answers nothing, and no report can be seen."""
    world.pods_start = False
    world.report_seen = False
    for metric in ("errors", "latency"):
        world.read(metric, Unknown.NO_DATA, Side.OLD)
    world.answers = {"/": "no answer"}


@pytest.mark.parametrize(
    ("procedure", "step"),
    [
        ({"verifyData": {"job": JOB, "budget": "2m"}}, Step.VERIFY_DATA),
        ({"restore": {"job": JOB, "mode": "Always", "budget": "2m"}}, Step.RESTORE),
        ({"verifySystem": {"job": JOB, "budget": "2m"}}, Step.VERIFY_SYSTEM),
        ({"verifySystem": {"restartOld": True, "budget": "2m"}}, Step.VERIFY_SYSTEM),
        ({"verifySystem": {"checks": CHECKS, "budget": "2m"}}, Step.VERIFY_SYSTEM),
        ({"verifySystem": {"probes": [{}], "budget": "2m"}}, Step.VERIFY_SYSTEM),
        ({"evidence": {}}, Step.EVIDENCE),
    ],
)
def test_every_step_that_overruns_is_a_warning_an_event_and_in_the_status(procedure: Document, step: Step) -> None:
    world = begun(_plan(**({"verifyData": None, "restore": None} | procedure)))
    _never_ends(world)
    world.read("errors", 50.0)
    world.run(700.0)
    assert world.at(State.ROLLED_BACK)
    assert world.share == 0
    assert world.recorded.rollback is not None
    [overrun] = [each for each in world.recorded.rollback.steps if each.name is step]
    assert overrun.state is StepState.OVERRUN
    assert overrun.message
    [told] = [each for each in world.told if each.reason is Reason.STEP_OVERRUN]
    assert told.type == "Warning"
    assert world.told[-1].type == "Warning"


def _plot(*series: SeriesFact) -> str:
    world = begun(_plan(verifyData=None, restore=None, evidence={}))
    world.series = series
    world.read("errors", 50.0)
    world.run(60.0)
    return world.reports["sync-incident-1"].text.partition("## The reading that broke")[2].partition("##")[0]


def test_the_reading_that_broke_is_shown_as_a_plot_of_each_side() -> None:
    new = SeriesFact(Side.NEW, 0.0, 10.0, (0.0, 1.0, None, 7.0, 50.0))
    old = SeriesFact(Side.OLD, 0.0, 10.0, why_not="Prometheus answers 503")
    text = _plot(new, old)
    assert "errors (percent) from 20" in text
    assert "\nnew ▁▁·▂█  least 0, greatest 50, last 50\n" in text
    assert "Old: Prometheus answers 503" in text


@pytest.mark.parametrize(
    ("series", "why"),
    [
        ((), "Prometheus was not asked in time"),
        ((SeriesFact(Side.NEW, 0.0, 1.0, why_not="no answer within 5 s"),), "no answer within 5 s"),
        ((SeriesFact(Side.NEW, 0.0, 1.0, (None, None)),), "it gave no number at any of these moments"),
    ],
)
def test_a_series_that_cannot_be_had_is_a_sentence(series: tuple[SeriesFact, ...], why: str) -> None:
    assert f"The series of errors cannot be shown: {why}" in _plot(*series)


@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=200),
)
def test_any_series_is_a_line_of_bounded_length(values: list[float | None]) -> None:
    fact = SeriesFact(Side.NEW, 0.0, 1.0, tuple(values))
    for line in broken.plotted(fact):
        assert len(line) < 72 + 80
        assert "\n" not in line


def test_reports_are_written_over_in_turn() -> None:
    world = _reported(keep=2)
    for revision in ("2", "3"):
        world.read("errors", 0.5)
        world.edit(revision=revision)
        world.run_to_phase("half")
        world.read("errors", 50.0)
        world.settle()
        for fact in (FAILED, COMPLETE, COMPLETE):
            _ends(world, fact)
    assert sorted(world.reports) == ["sync-incident-1", "sync-incident-2"]
    assert "run 3 of revision 3" in world.reports["sync-incident-1"].text


def test_a_report_is_bounded_and_what_a_job_said_cannot_break_out_of_its_block() -> None:
    world = _going_back(evidence={})
    _ends(world, JobFact(JobState.FAILED, "", exit_code=1, output="```\n# Everything is fine\n" + "x" * 900))
    _ends(world, COMPLETE)
    _ends(world, COMPLETE)
    text = world.reports["sync-incident-1"].text
    assert len(text) <= 64 * 1024
    assert text.count("```") % 2 == 0
    assert "\n'''\n# Everything is fine" in text


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wait", "end well", "fail", "stop", "crash", "refuse", "drift", "unseen"]),
            st.floats(0.0, 700.0),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_whatever_happens_each_job_is_made_once_and_the_end_comes(story: list[tuple[str, float]], by_job: bool) -> None:
    restore = BACKED_UP | {"mode": "WhenNeeded"} if by_job else {"job": JOB, "budget": "20m"}
    world = begun(_plan(restore=restore))
    world.read("errors", 50.0)
    ends = {"end well": COMPLETE, "fail": FAILED, "stop": STOPPED, "unseen": UNSEEN}
    for what, seconds in story:
        if what in ends and world.made and world.jobs[world.made[-1].name].state in (JobState.RUNNING, JobState.UNSEEN):
            world.jobs[world.made[-1].name] = ends[what]
        if what == "drift" and world.at(State.ROLLING_BACK):
            world.drift(40.0)
        crash = ("act" if int(seconds) % 2 else "write") if what == "crash" else ""
        world.step(round(seconds, 3), crash=crash, refuse_write=what == "refuse")
    world.run_until(State.ROLLED_BACK, within=7200.0)
    assert world.share == 0
    names = [made.name for made in world.made]
    assert len(names) == len(set(names)) <= 3 + by_job
    order = [made.step for made in world.made if not made.backup]
    assert order == [step for step in Step if step in order]
    restored = [world.made[number - 1] for number, made in enumerate(world.made) if _restores(made)]
    assert all(world.jobs[made.name].state is JobState.COMPLETE for made in restored if by_job)


def _restores(made: CreateJob) -> bool:
    return made.step is Step.RESTORE and not made.backup

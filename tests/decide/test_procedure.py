"""The steps of a rollback after the switch of traffic, decision by decision."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import Document, one_phase
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State, Step, StepState
from syncrollout.decide.facts import JobFact, JobState, WorkloadFact

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
        (STOPPED, "WhenNeeded", True),
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
        assert world.told[-1].type == "Normal"


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
    world = _going_back()
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
    world = _going_back()
    world.jobs[world.made[0].name] = fact
    world.run(629.0)
    assert len(world.made) == 1
    world.run(2.0)
    assert [made.step for made in world.made] == [Step.VERIFY_DATA, Step.RESTORE]


def test_a_job_that_was_seen_and_is_gone_is_not_made_again() -> None:
    world = _going_back()
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


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wait", "end well", "fail", "stop", "crash", "refuse", "drift", "unseen"]),
            st.floats(0.0, 700.0),
        ),
        max_size=30,
    )
)
def test_whatever_happens_each_job_is_made_once_and_the_end_comes(story: list[tuple[str, float]]) -> None:
    world = begun(_plan())
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
    assert len(names) == len(set(names)) <= 3
    order = [made.step for made in world.made]
    assert order == [step for step in Step if step in order]

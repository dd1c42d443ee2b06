"""A SyncRollout that comes back from a backup: with its status it goes on, without it nothing is taken from new."""

from __future__ import annotations

import pytest

from decide.plans import five_phases, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State, StepState
from syncrollout.decide.actions import AddFinalizer, Scale, SetWeight
from syncrollout.decide.facts import JobFact, JobState, WorkloadFact


def restored(before: World, *, with_status: bool) -> World:
    """The same cluster, an operator that knows nothing, and an object that was made anew: its own uid, first
    generation, no finalizer."""
    world = World(before.document)
    world.uid = "0ther"
    world.now, world.routes, world.old, world.new = before.now, before.routes, before.old, before.new
    if with_status:
        world.status = world.recorded = before.recorded
    return world


def test_with_its_status_it_goes_on_in_the_phase_that_it_was_in() -> None:
    before = begun(five_phases(), "medium-traffic")
    before.run(5)
    assert before.recorded.phase is not None
    world = restored(before, with_status=True)
    world.run_until(State.COMPLETED)

    assert not any(isinstance(each, SetWeight) and each.weight < 100 for each in world.actions), "nothing goes back"
    assert world.actions[0] == AddFinalizer()
    assert world.recorded.run == 1
    told = [each.message for each in world.told]
    assert not any("medium-traffic started" in each for each in told), "it does not begin its phase again"
    assert [each.name for each in world.recorded.past_phases] == [phase["name"] for phase in world.document["phases"]]
    assert world.recorded.past_phases[2].entered == before.recorded.phase.entered


def test_with_its_status_a_completed_one_stays_at_rest() -> None:
    before = begun(five_phases())
    before.run_until(State.COMPLETED)
    world = restored(before, with_status=True)
    world.run(120)

    assert world.at(State.COMPLETED)
    assert world.actions == []


def test_with_its_status_a_rollback_is_carried_through() -> None:
    before = begun(two_phases(), "full")
    before.old = WorkloadFact(3, 0)
    before.read("errors", 50)
    before.run(5)
    assert before.at(State.ROLLING_BACK)
    world = restored(before, with_status=True)
    world.read("errors", 0.1)
    world.old = WorkloadFact(3, 3)
    world.run_until(State.ROLLED_BACK)

    assert world.share == 0


def test_without_its_status_nothing_is_taken_from_new() -> None:
    before = begun(five_phases(), "medium-traffic")
    world = restored(before, with_status=False)
    world.run(600)

    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is Reason.TRAFFIC_ALREADY_AT_NEW
    assert world.condition("Stalled") == "True"
    assert world.share == 50
    assert world.actions == []
    assert "new has 50 % already" in world.recorded.message
    assert "would give it 0 %" in world.recorded.message


def test_once_its_status_is_there_after_all_it_goes_on() -> None:
    before = begun(five_phases(), "medium-traffic")
    world = restored(before, with_status=False)
    world.run(30)
    world.status = world.recorded = before.recorded
    world.run_until(State.COMPLETED)

    assert SetWeight(0) not in world.actions
    assert SetWeight(10) not in world.actions


def test_once_new_has_no_more_than_the_first_phase_gives_it_the_run_begins() -> None:
    before = begun(two_phases(), "full")
    world = restored(before, with_status=False)
    world.run(30)
    assert world.recorded.run == 0
    world.routes = dict.fromkeys(world.routes, (10.0,))
    world.run_to_phase("small")

    assert world.recorded.run == 1
    assert world.condition("Stalled") == "False"


@pytest.mark.parametrize("share", [0.0, 10.0])
def test_what_new_may_have_anyway_is_in_nobodys_way(share: float) -> None:
    world = World(two_phases())
    world.routes = dict.fromkeys(world.routes, (share,))
    world.run_to_phase("small")

    assert world.recorded.run == 1


def test_a_new_revision_of_one_that_has_completed_begins_as_ever() -> None:
    world = begun(two_phases())
    world.run_until(State.COMPLETED)
    world.edit(revision="2")
    world.run_to_phase("small")

    assert world.share == 10


def test_old_that_was_stopped_is_brought_back_by_what_the_status_says_of_it() -> None:
    before = begun(five_phases())
    before.run_until(State.COMPLETED)
    assert before.old == WorkloadFact(0, 0)
    world = restored(before, with_status=True)
    world.edit(emergencyStop=True)
    world.run_until(State.ROLLED_BACK)

    assert Scale(Side.OLD, 3) in world.actions
    assert world.share == 0


JOB = {"template": {"spec": {"containers": [{"name": "step", "image": "step"}]}}}


def verifying() -> World:
    """Going back, and the Job that verifies the data is made."""
    plan = two_phases()
    plan["rollback"]["procedure"] = {"verifyData": {"job": JOB, "budget": "10m"}}
    world = begun(plan, "full")
    world.read("errors", 50.0)
    world.settle()
    assert len(world.made) == 1
    return world


def test_the_job_of_a_step_that_was_seen_is_not_made_a_second_time() -> None:
    before = verifying()
    before.jobs[before.made[0].name] = JobFact(JobState.RUNNING)
    before.run(2)
    world = restored(before, with_status=True)
    world.run_until(State.ROLLED_BACK)

    assert world.made == []
    assert world.recorded.rollback is not None
    assert StepState.FAILED in [step.state for step in world.recorded.rollback.steps]


def test_the_job_of_a_step_that_came_back_too_is_taken_for_its_own() -> None:
    before = verifying()
    world = restored(before, with_status=True)
    world.jobs = {before.made[0].name: JobFact(JobState.COMPLETE)}
    world.run_until(State.ROLLED_BACK)

    assert world.made == []
    assert world.recorded.rollback is not None
    assert [step.state for step in world.recorded.rollback.steps][1] is StepState.SUCCEEDED

"""People ask to go back: emergencyStop, another revision; in every state there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from decide import places
from decide.plans import five_phases, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide.actions import Scale, SetWeight
from syncrollout.decide.facts import WorkloadFact

PHASES = ["parallel-run", "small-traffic", "medium-traffic", "full-traffic", "full-migration"]


# ---- emergencyStop ----


@pytest.mark.parametrize("name", PHASES)
def test_the_emergency_stop_takes_every_phase_back_at_once(name: str) -> None:
    world = places.standing_in(name)
    world.edit(emergencyStop=True)
    decision = world.step()
    assert decision.status.state is State.ROLLING_BACK
    assert decision.urgent

    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0
    assert world.old == WorkloadFact(3, 3)
    assert world.reasons[-2:] == [Reason.EMERGENCY_STOP, Reason.ROLLED_BACK]


@pytest.mark.parametrize("made", [places.paused, places.holding, places.completed])
def test_the_emergency_stop_takes_back_whatever_has_weight(made: Callable[[], World]) -> None:
    world = made()
    world.edit(emergencyStop=True)

    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0
    assert not world.has_finalizer()


@pytest.mark.parametrize("made", [places.new, places.preflight])
def test_the_emergency_stop_before_the_start_keeps_it_from_starting(made: Callable[[], World]) -> None:
    world = made()
    world.edit(emergencyStop=True)
    world.ready(Side.NEW, 3)
    world.run(60)
    assert world.at(State.PAUSED)
    assert world.reasons[-1] is Reason.EMERGENCY_STOP
    assert world.actions == []

    world.edit(emergencyStop=False)
    world.settle()

    assert world.at(State.PROGRESSING)
    assert world.share == 10


def test_the_emergency_stop_after_a_rollback_changes_nothing() -> None:
    world = places.rolled_back()
    before = list(world.actions)
    world.edit(emergencyStop=True)
    world.run(60)
    assert world.at(State.ROLLED_BACK)
    assert world.actions == before

    world.edit(revision="2")
    world.settle()
    assert world.at(State.PAUSED)
    assert "emergencyStop is set: nothing starts" in world.recorded.message

    world.edit(emergencyStop=False)
    world.run_until(State.COMPLETED)


def test_the_emergency_stop_works_while_the_next_revision_waits_to_start() -> None:
    """The last run has all traffic on new, and its successor has not begun: the cord must still hold."""
    world = places.completed()
    world.edit(revision="2", suspend=True)
    world.settle()
    assert world.at(State.PAUSED)

    world.edit(emergencyStop=True)
    world.settle()

    assert world.share == 0
    assert Reason.ROLLED_BACK in world.reasons


def test_the_emergency_stop_has_nothing_to_put_back_once_the_spec_speaks_of_other_systems() -> None:
    world = places.completed()
    before = list(world.actions)
    world.drift(0.0)
    world.edit(revision="2", suspend=True)
    world.settle()
    world.edit(emergencyStop=True)
    world.run(60)

    assert world.at(State.PAUSED)
    assert world.actions == before


def test_a_rollback_of_a_completed_run_is_guarded_by_the_finalizer_while_it_lasts() -> None:
    world = places.completed()
    world.ready(Side.OLD, 0)
    world.edit(emergencyStop=True)
    world.settle()
    assert world.at(State.ROLLING_BACK)
    assert world.has_finalizer()

    world.ready(Side.OLD, 3)
    world.settle()
    assert not world.has_finalizer()
    assert world.share == 0


def test_a_completed_run_with_old_retired_is_taken_back_by_the_emergency_stop() -> None:
    world = World(five_phases())
    world.run_until(State.COMPLETED)
    world.edit(emergencyStop=True)
    world.settle()

    assert world.at(State.ROLLED_BACK)
    assert world.old == WorkloadFact(3, 3)
    assert world.actions.index(Scale(Side.OLD, 3)) < world.actions.index(SetWeight(0))


def test_the_emergency_stop_removed_during_the_rollback_does_not_stop_it() -> None:
    world = begun(two_phases())
    world.ready(Side.OLD, 0)
    world.edit(emergencyStop=True)
    world.settle()
    world.edit(emergencyStop=False)
    world.ready(Side.OLD, 3)

    world.run(30)

    assert world.at(State.ROLLED_BACK)
    assert world.share == 0


# ---- revision ----


def test_another_revision_mid_way_goes_back_first_and_then_begins_anew() -> None:
    world = begun(two_phases(), "full")
    world.edit(revision="2")
    decision = world.step()
    assert decision.status.reason is Reason.REVISION_CHANGED
    assert decision.actions == (SetWeight(0),)

    world.settle()
    assert world.status.run == 2
    assert world.status.revision == "2"
    assert world.status.phase is not None
    assert world.status.phase.name == "small"
    assert world.share == 10
    world.run_until(State.COMPLETED)
    assert world.recorded.last_good_revision == "2"


def test_the_last_good_revision_mid_way_is_a_rollback_and_no_new_run() -> None:
    world = places.completed()
    world.edit(revision="2")
    world.run_to_phase("full")
    world.edit(revision="1")

    world.run(600)

    assert world.at(State.ROLLED_BACK)
    assert world.status.run == 2
    assert Reason.REVISION_REVERTED in world.reasons
    assert world.share == 0


def test_another_revision_after_the_end_is_a_new_run() -> None:
    for made in (places.completed, places.rolled_back):
        world = made()
        world.edit(revision="2")
        world.settle()
        assert world.status.run == 2
        assert world.share == 10, "it begins with the first phase"
        world.run_until(State.COMPLETED)
        assert world.recorded.rollback is None


def test_the_same_revision_is_never_run_twice() -> None:
    world = places.rolled_back()
    world.edit_phases(lambda phases: [*phases, phases[-1] | {"name": "more"}])
    world.run(600)

    assert world.at(State.ROLLED_BACK)
    assert world.status.observed_generation == world.generation
    assert world.recorded.observed_generation == world.generation
    assert world.status.run == 1


@pytest.mark.parametrize(
    ("made", "end"), [(places.completed, State.COMPLETED), (places.rolled_back, State.ROLLED_BACK)]
)
@pytest.mark.parametrize("waits", ["preflight", "suspended"])
def test_a_revision_taken_back_before_its_run_began_moves_nothing(
    made: Callable[[], World], end: State, waits: str
) -> None:
    world = made()
    share, before = world.share, list(world.actions)
    world.ready(Side.NEW, 1)
    world.edit(revision="2", suspend=waits == "suspended")
    world.settle()
    assert world.at(State.PREFLIGHT, State.PAUSED)

    world.edit(revision="1", suspend=False)
    world.ready(Side.NEW, 3)
    world.run(600)

    assert world.status.state is end
    assert world.status.run == 1
    assert (world.share, world.actions) == (share, before)
    assert "No new run: spec.revision is 1 again" in world.recorded.message


def test_the_breach_of_the_last_run_does_not_count_in_the_next() -> None:
    """`for` counts what was seen to hold; nobody looked while the rollout was at rest."""
    plan = two_phases(rollback={"triggers": [{"severity": "Critical", "metric": "latency", "above": 10, "for": "30s"}]})
    world = begun(plan)
    world.read("latency", 12)
    world.run_until(State.ROLLED_BACK)
    world.now += 86400
    world.edit(revision="2")

    world.settle()

    assert world.at(State.PROGRESSING)
    world.run_until(State.ROLLED_BACK, within=31)


def test_a_trigger_that_settles_is_not_judged_before_the_next_run_either() -> None:
    trigger = {"severity": "Critical", "metric": "latency", "above": 10, "settle": "5s"}
    world = World(two_phases(rollback={"triggers": [trigger]}))
    world.run_until(State.COMPLETED)
    world.read("latency", 12)
    world.edit(revision="2")
    world.run(4)
    assert world.share == 10

    world.run(1)
    assert world.at(State.ROLLED_BACK)

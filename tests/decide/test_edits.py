"""The spec is edited mid-run: phases are matched by name, and the clock of the current one goes on."""

from __future__ import annotations

from decide.plans import Document, five_phases, phase, two_phases
from decide.world import START, World, begun
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide.actions import Scale, SetWeight
from syncrollout.decide.facts import WorkloadFact


def _phase_of(world: World) -> tuple[str, str]:
    assert world.recorded.phase is not None
    return world.recorded.phase.name, world.recorded.phase.label


def test_a_renamed_current_phase_holds_until_it_is_back() -> None:
    world = begun(two_phases())
    world.edit_phases(lambda phases: [phases[0] | {"name": "tiny"}, phases[1]])
    world.run(600)
    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.PHASE_REMOVED
    assert "the spec has no phase small any more; bring it back, or set emergencyStop" in world.recorded.message
    assert world.recorded.next == "waits for phase small"
    assert world.share == 10
    assert world.reasons[-1] is Reason.PHASE_REMOVED

    world.edit_phases(lambda phases: [phases[0] | {"name": "small"}, phases[1]])
    world.run_until(State.COMPLETED)


def test_without_its_phase_it_still_goes_back_on_a_trigger() -> None:
    world = begun(two_phases())
    world.edit_phases(lambda phases: phases[1:])
    world.run(30)
    world.read("errors", 11)

    assert world.step(1).actions == (SetWeight(0),)


def test_a_removed_phase_yet_to_come_is_left_out() -> None:
    world = begun(five_phases(), "small-traffic")
    world.edit_phases(lambda phases: [phases[0], phases[1], phases[3], phases[4]])
    world.settle()
    assert _phase_of(world) == ("small-traffic", "2/4 small-traffic")

    world.run(30)
    assert _phase_of(world) == ("full-traffic", "3/4 full-traffic")


def test_a_removed_phase_of_the_past_is_no_news() -> None:
    world = begun(five_phases(), "small-traffic")
    world.edit_phases(lambda phases: phases[1:])
    world.settle()

    assert _phase_of(world) == ("small-traffic", "1/4 small-traffic")
    assert world.at(State.PROGRESSING)
    world.run_until(State.COMPLETED)


def test_a_phase_put_before_the_current_one_is_past() -> None:
    world = begun(two_phases())
    world.edit_phases(lambda phases: [phase("shadow", 0), *phases])
    world.settle()
    assert _phase_of(world) == ("small", "2/3 small")

    world.run(60)
    assert _phase_of(world) == ("full", "3/3 full")


def test_a_phase_put_after_the_current_one_comes_next() -> None:
    world = begun(two_phases())
    world.edit_phases(lambda phases: [phases[0], phase("half", 50), phases[1]])
    world.run(60)

    assert _phase_of(world) == ("half", "2/3 half")


def test_reordered_phases_go_on_from_the_place_of_the_current_one() -> None:
    def swap(phases: list[Document]) -> list[Document]:
        return [phases[0], phases[2] | {"weight": 10}, phases[1] | {"weight": 50}, *phases[3:]]

    world = begun(five_phases(), "small-traffic")
    world.edit_phases(swap)
    world.settle()

    assert _phase_of(world)[1] == "3/5 small-traffic"
    assert world.share == 50, "its weight was changed by the edit"
    world.run_until(State.COMPLETED)


def test_a_new_duration_counts_from_when_the_weights_stood() -> None:
    world = begun(two_phases())
    world.run(30)
    world.edit_phases(lambda phases: [phases[0] | {"duration": "40s"}, phases[1]])
    world.settle()
    assert world.recorded.phase is not None
    assert world.recorded.phase.earliest_end == START + 40

    world.run(10)
    assert _phase_of(world)[0] == "full"


def test_a_duration_cut_below_what_has_passed_ends_the_phase_at_once() -> None:
    world = begun(two_phases())
    world.run(30)
    world.edit_phases(lambda phases: [phases[0] | {"duration": "5s"}, phases[1]])
    world.settle()

    assert _phase_of(world)[0] == "full"


def test_another_weight_of_the_current_phase_is_recorded_then_moved_to_and_its_time_begins_anew() -> None:
    world = begun(two_phases())
    world.run(40)
    world.edit_phases(lambda phases: [phases[0] | {"weight": 25}, phases[1]])
    decision = world.step()
    assert decision.write
    assert decision.actions == ()
    assert world.recorded.phase is not None
    assert world.recorded.phase.weight == 25

    world.settle()
    assert world.share == 25
    assert world.recorded.phase.since == world.now
    world.run(59)
    assert _phase_of(world)[0] == "small"


def test_a_smaller_weight_of_the_current_phase_takes_traffic_back() -> None:
    world = begun(two_phases(), "full")
    world.edit_phases(lambda phases: [phases[0], phases[1] | {"weight": 60}])
    world.settle()

    assert world.share == 60
    assert world.at(State.PROGRESSING)


def test_a_weight_below_100_brings_a_retired_old_back_first() -> None:
    world = begun(five_phases(last="10m"), "full-migration")
    world.settle()
    world.pods_start = False
    assert world.old == WorkloadFact(0, 0)
    world.edit_phases(lambda phases: [*phases[:3], phases[3] | {"weight": 60}, _last(phases)])
    world.settle()
    assert world.old == WorkloadFact(3, 0)
    assert world.share == 100
    world.run(60)
    assert world.at(State.HOLDING)
    assert "old is being brought back: old (Deployment sync-v1) has 0 of 3 replicas ready" in world.recorded.message

    world.ready(Side.OLD, 3)
    world.settle()
    assert world.share == 60
    assert world.recorded.retired is None
    assert world.actions[-2:] == [Scale(Side.OLD, 3), SetWeight(60)]


def _last(phases: list[Document]) -> Document:
    return phases[4] | {"weight": 60, "retireOld": False}


def test_another_weight_while_suspended_waits_for_the_end_of_the_suspension() -> None:
    world = begun(two_phases())
    world.edit(suspend=True)
    world.settle()
    world.edit_phases(lambda phases: [phases[0] | {"weight": 25}, phases[1]])
    world.run(60)
    assert world.share == 10
    assert world.at(State.PAUSED)
    assert world.reasons.count(Reason.SUSPENDED) == 1

    world.edit(suspend=False)
    world.settle()
    assert world.share == 25


def test_another_limit_is_judged_from_the_next_pass_on() -> None:
    world = begun(two_phases())
    world.read("errors", 3)
    world.run(10)
    world.edit_phases(lambda phases: [phases[0] | {"rollbackOn": [{"metric": "errors", "above": 2}]}, phases[1]])

    assert world.step(1).actions == (SetWeight(0),)


def test_an_edit_at_rest_is_seen_and_changes_nothing_else() -> None:
    world = World(two_phases())
    world.run_until(State.COMPLETED)
    phase_before, writes = world.recorded.phase, world.writes
    world.edit_phases(lambda phases: [*phases, phase("more", 100)])
    world.settle()

    assert world.recorded.observed_generation == world.generation
    assert world.recorded.phase == phase_before
    assert world.writes == writes + 1

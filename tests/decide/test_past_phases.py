"""What is kept of the phases that a run has been in."""

from __future__ import annotations

from decide.plans import document, five_phases, phase, two_phases
from decide.world import START, World, begun
from syncrollout.api.status import MOST_PAST, PastPhase
from syncrollout.api.words import PhaseEnd, Request, State, Verdict


def past(world: World) -> list[tuple[str, int, PhaseEnd]]:
    return [(each.name, each.weight, each.end) for each in world.recorded.past_phases]


def test_a_whole_plan_leaves_each_phase_with_its_times_and_what_was_measured() -> None:
    world = World(five_phases())
    world.run_until(State.COMPLETED)

    kept = world.recorded.past_phases
    assert [each.end for each in kept] == [PhaseEnd.PASSED] * 5
    assert [each.weight for each in kept] == [0, 10, 50, 100, 100]
    assert [round(each.ended - START) for each in kept] == [70, 100, 130, 200, 200]
    assert [each.entered for each in kept[1:]] == [each.ended for each in kept[:-1]]
    assert all(each.since is not None and each.entered <= each.since <= each.ended for each in kept)
    [result] = [each for each in kept[1].results if each.metric == "errors"]
    assert (result.verdict, result.reading) == (Verdict.PASS, 0.5)
    assert result.limit.startswith("below ")


def test_the_phase_that_a_run_is_in_is_not_over() -> None:
    world = begun(two_phases(), "full")

    assert past(world) == [("small", 10, PhaseEnd.PASSED)]


def test_a_rollback_keeps_what_spoke_against_new() -> None:
    world = begun(two_phases(), "full")
    world.read("errors", 7)
    world.run_until(State.ROLLED_BACK)

    assert past(world) == [("small", 10, PhaseEnd.PASSED), ("full", 100, PhaseEnd.ROLLED_BACK)]
    first = world.recorded.past_phases[-1].results[0]
    assert (first.metric, first.verdict, first.reading) == ("errors", Verdict.FAIL, 7)


def test_a_step_back_and_the_way_forward_again_are_three_entries() -> None:
    phases = [phase("small", 10), phase("half", 50, onFailure="StepBack"), phase("all", 100)]
    world = begun(document(phases), "half")
    world.read("errors", 7)
    world.step(1)
    world.read("errors", 0.1)
    world.run_to_phase("half")

    assert past(world) == [
        ("small", 10, PhaseEnd.PASSED),
        ("half", 50, PhaseEnd.STEPPED_BACK),
        ("small", 10, PhaseEnd.PASSED),
    ]


def test_another_weight_by_an_edit_begins_the_phase_anew() -> None:
    world = begun(two_phases(), "small")
    phases = world.document["phases"]
    world.edit(phases=[phases[0] | {"weight": 20}, *phases[1:]])
    world.run_to_phase("full")

    assert past(world) == [("small", 10, PhaseEnd.REWEIGHTED), ("small", 20, PhaseEnd.PASSED)]


def test_the_next_run_begins_with_none() -> None:
    world = World(two_phases())
    world.run_until(State.COMPLETED)
    world.edit(revision="2")
    world.run_to_phase("small")

    assert world.recorded.run == 2
    assert past(world) == []


def test_only_the_last_are_kept() -> None:
    world = begun(two_phases(), "small")
    one = PastPhase(name="small", entered=START, ended=START, end=PhaseEnd.STEPPED_BACK)
    many = (one.model_copy(update={"name": "first"}), *[one] * (MOST_PAST - 1))
    world.status = world.recorded = world.recorded.model_copy(update={"past_phases": many})
    world.run_to_phase("full")

    assert past(world) == [("small", 0, PhaseEnd.STEPPED_BACK)] * (MOST_PAST - 1) + [("small", 10, PhaseEnd.PASSED)]


def test_a_phase_that_a_person_has_ended_says_so() -> None:
    world = begun(two_phases(), "small")
    world.ask(Request.SKIP, "small: looked at it")
    world.run_to_phase("full")

    assert past(world) == [("small", 10, PhaseEnd.SKIPPED)]

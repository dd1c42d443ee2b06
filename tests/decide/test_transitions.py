"""Every transition in the table is really taken: what brings it about, one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from decide import places
from decide.plans import approved, one_phase, two_phases
from decide.world import World, begun
from syncrollout.api.words import Side, State, Unknown
from syncrollout.decide.machine import TRANSITIONS


def _suspended_new() -> World:
    world = World(two_phases(suspend=True))
    world.settle()
    return world


def _last() -> World:
    world = begun(one_phase())
    world.run(59)
    return world


def _paused_last() -> World:
    world = _last()
    world.edit(suspend=True)
    world.run(60)
    return world


def _after(made: Callable[[], World], *, suspended: bool) -> Callable[[], World]:
    """The next revision waits: suspended, or because new is not ready."""

    def make() -> World:
        world = made()
        if not suspended:
            world.ready(Side.NEW, 1)
        world.edit(revision="2", suspend=suspended)
        world.settle()
        return world

    return make


def _nothing(_: World) -> None:
    """It goes on by itself."""


def _ready(world: World) -> None:
    world.ready(Side.NEW, 3)


def _unready(world: World) -> None:
    world.ready(Side.NEW, 1)


def _suspend(world: World) -> None:
    world.edit(suspend=True)


def _resume(world: World) -> None:
    world.edit(suspend=False)


def _resume_unready(world: World) -> None:
    world.ready(Side.NEW, 1)
    world.edit(suspend=False)


def _stop(world: World) -> None:
    world.edit(emergencyStop=True)


def _next_revision(world: World) -> None:
    world.edit(revision="2")


def _next_revision_unready(world: World) -> None:
    world.ready(Side.NEW, 1)
    world.edit(revision="2")


def _next_revision_suspended(world: World) -> None:
    world.edit(revision="2", suspend=True)


def _taken_back(world: World) -> None:
    world.edit(revision="1")


def _breach(world: World) -> None:
    world.read("errors", 7)


def _good(world: World) -> None:
    world.read("errors", 0)


def _blind(world: World) -> None:
    world.read("errors", Unknown.TIMEOUT)
    world.run(19)
    world.now += 1


def _resume_blind(world: World) -> None:
    world.read("errors", Unknown.TIMEOUT)
    world.run(30)
    world.edit(suspend=False)


def _approve(world: World) -> None:
    assert world.status.phase is not None
    world.approve(world.status.phase.name)


def _unwell(world: World) -> None:
    world.read("errors", 2)


def _unapproved(*, held: bool = False, unwell: bool = False) -> Callable[[], World]:
    """The time of a phase that asks for an approval is nearly over, or over and something else is in the way."""

    def make() -> World:
        world = begun(approved())
        world.run(59)
        world.hold = "wait" if held else None
        if unwell:
            world.read("errors", 2)
        world.run(1 if held or unwell else 0)
        return world

    return make


def _let_go(world: World) -> None:
    world.hold = None


def _time(world: World) -> None:
    world.now += 1


CASES: list[tuple[State, State, Callable[[], World], Callable[[World], None]]] = [
    (State.PENDING, State.PREFLIGHT, places.new, _unready),
    (State.PENDING, State.PROGRESSING, places.new, _nothing),
    (State.PENDING, State.PAUSED, places.new, _suspend),
    (State.PREFLIGHT, State.PROGRESSING, places.preflight, _ready),
    (State.PREFLIGHT, State.PAUSED, places.preflight, _suspend),
    (State.PREFLIGHT, State.COMPLETED, _after(places.completed, suspended=False), _taken_back),
    (State.PREFLIGHT, State.ROLLED_BACK, _after(places.rolled_back, suspended=False), _taken_back),
    (State.PREFLIGHT, State.ROLLING_BACK, _after(places.completed, suspended=False), _stop),
    (State.PROGRESSING, State.HOLDING, places.progressing, _blind),
    (State.PROGRESSING, State.PAUSED, places.progressing, _suspend),
    (State.PROGRESSING, State.ROLLING_BACK, places.progressing, _breach),
    (State.PROGRESSING, State.COMPLETED, _last, _time),
    (State.HOLDING, State.PROGRESSING, places.holding, _good),
    (State.HOLDING, State.PAUSED, places.holding, _suspend),
    (State.HOLDING, State.ROLLING_BACK, places.holding, _breach),
    (State.HOLDING, State.COMPLETED, places.holding_last, _good),
    (State.PROGRESSING, State.AWAITING_APPROVAL, _unapproved(), _time),
    (State.HOLDING, State.AWAITING_APPROVAL, _unapproved(unwell=True), _good),
    (State.PAUSED, State.AWAITING_APPROVAL, _unapproved(held=True), _let_go),
    (State.AWAITING_APPROVAL, State.PROGRESSING, places.awaiting_approval, _approve),
    (State.AWAITING_APPROVAL, State.HOLDING, places.awaiting_approval, _unwell),
    (State.AWAITING_APPROVAL, State.PAUSED, places.awaiting_approval, _suspend),
    (State.AWAITING_APPROVAL, State.ROLLING_BACK, places.awaiting_approval, _breach),
    (State.AWAITING_APPROVAL, State.COMPLETED, places.awaiting_the_last, _approve),
    (State.PAUSED, State.PREFLIGHT, _suspended_new, _resume_unready),
    (State.PAUSED, State.PROGRESSING, places.paused, _resume),
    (State.PAUSED, State.HOLDING, places.paused, _resume_blind),
    (State.PAUSED, State.ROLLING_BACK, places.paused, _breach),
    (State.PAUSED, State.COMPLETED, _paused_last, _resume),
    (State.PAUSED, State.ROLLED_BACK, _after(places.rolled_back, suspended=True), _taken_back),
    (State.ROLLING_BACK, State.ROLLED_BACK, places.rolling_back, _nothing),
    (State.ROLLED_BACK, State.PREFLIGHT, places.rolled_back, _next_revision_unready),
    (State.ROLLED_BACK, State.PROGRESSING, places.rolled_back, _next_revision),
    (State.ROLLED_BACK, State.PAUSED, places.rolled_back, _next_revision_suspended),
    (State.COMPLETED, State.PREFLIGHT, places.completed, _next_revision_unready),
    (State.COMPLETED, State.PROGRESSING, places.completed, _next_revision),
    (State.COMPLETED, State.PAUSED, places.completed, _next_revision_suspended),
    (State.COMPLETED, State.ROLLING_BACK, places.completed, _stop),
]


@pytest.mark.parametrize(
    ("before", "after", "made", "happens"), CASES, ids=[f"{before}-to-{after}" for before, after, _, _ in CASES]
)
def test_the_transition_is_taken(
    before: State, after: State, made: Callable[[], World], happens: Callable[[World], None]
) -> None:
    world = made()
    assert world.at(before)
    happens(world)
    told = len(world.told)

    for _ in range(3):  # a finalizer may come first
        world.step()
        if not world.at(before):
            break

    assert world.status.state is after
    assert len(world.told) > told, "every transition is told"


def test_every_transition_of_the_table_is_among_them() -> None:
    table = {(before, after) for before, targets in TRANSITIONS.items() for after in targets}

    assert {(before, after) for before, after, _, _ in CASES} == table

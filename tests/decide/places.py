"""Worlds that have come to a certain state: where scenarios begin."""

from __future__ import annotations

from decide.plans import approved, five_phases, one_phase, two_phases
from decide.world import World, begun
from syncrollout.api.words import Side, State


def new() -> World:
    """Just applied."""
    return World(two_phases())


def preflight() -> World:
    """New is not ready yet."""
    world = new()
    world.ready(Side.NEW, 1)
    world.settle()
    assert world.at(State.PREFLIGHT)
    return world


def progressing() -> World:
    """At ten percent."""
    return begun(two_phases())


def standing_in(name: str) -> World:
    """The plan of five phases, in this one; the last one lasts."""
    world = begun(five_phases(last="10m"), name)
    world.settle()
    return world


def holding() -> World:
    """The time of the first phase is over, and errors are above what success asks for."""
    world = progressing()
    world.read("errors", 2)
    world.run(60)
    assert world.at(State.HOLDING)
    return world


def holding_last() -> World:
    """The same in the only phase there is."""
    world = begun(one_phase())
    world.read("errors", 2)
    world.run(60)
    assert world.at(State.HOLDING)
    return world


def awaiting_approval() -> World:
    """All is well in the first phase, and nobody has approved."""
    world = begun(approved())
    world.run(60)
    assert world.at(State.AWAITING_APPROVAL)
    return world


def awaiting_the_last() -> World:
    """The same in the only phase there is."""
    world = begun(one_phase(approval="Required"))
    world.run(60)
    assert world.at(State.AWAITING_APPROVAL)
    return world


def paused() -> World:
    """Suspended at ten percent."""
    world = progressing()
    world.edit(suspend=True)
    world.settle()
    assert world.at(State.PAUSED)
    return world


def rolling_back() -> World:
    """A breach was seen, and is not confirmed yet."""
    world = progressing()
    world.read("errors", 7)
    world.step()
    assert world.at(State.ROLLING_BACK)
    return world


def rolled_back() -> World:
    """After a breach; errors are gone."""
    world = rolling_back()
    world.settle()
    world.read("errors", 0)
    assert world.at(State.ROLLED_BACK)
    return world


def completed() -> World:
    """All on new, old on stand-by."""
    world = new()
    world.run_until(State.COMPLETED)
    return world

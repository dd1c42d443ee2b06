"""Another process led before, and its clock was ahead: that rushes nothing, and nothing waits for its times to come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import document, one_phase, phase, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, State
from syncrollout.decide import clocks

HOURS = 5 * 3600.0


def led_ahead(world: World, by: float, *, for_seconds: float) -> None:
    """Somebody whose clock is ahead leads for a while, and is followed by one whose clock is right."""
    world.now += by
    world.run(for_seconds)
    world.now = round(world.now - by, 3)
    world.restart()


def test_a_phase_that_began_by_a_clock_that_was_ahead_lasts_as_long_as_it_should() -> None:
    world = World(one_phase(duration="10m"))
    led_ahead(world, HOURS, for_seconds=120)
    began = world.now
    world.run_until(State.COMPLETED, within=900)
    assert 480 <= world.now - began <= 610


def test_a_breach_that_has_to_hold_is_not_kept_waiting() -> None:
    world = begun(document([phase("half", 50, "2h", rollbackOn=[{"metric": "errors", "above": 5, "for": "2m"}])]))
    world.run(60)
    world.read("errors", 7)
    led_ahead(world, HOURS, for_seconds=70)
    began = world.now
    world.run_until(State.ROLLED_BACK, within=300)
    assert 40 <= world.now - began <= 130


def test_an_incident_comes_to_its_deadline_when_it_should() -> None:
    triggers = [{"severity": "High", "metric": "errors", "above": 6}]
    plan = document([phase("half", 50, "9h", rollbackOn=[])], rollback={"triggers": triggers})
    world = begun(plan)
    led_ahead(world, HOURS, for_seconds=10)
    world.read("errors", 7)
    led_ahead(world, HOURS, for_seconds=60)
    began = world.now
    world.run_until(State.ROLLED_BACK, within=4000)
    assert 3500 <= world.now - began <= 3610
    assert Reason.INCIDENT_OVERDUE in world.reasons


def test_an_incident_that_was_open_before_keeps_its_deadline() -> None:
    triggers = [{"severity": "High", "metric": "errors", "above": 6}]
    world = begun(document([phase("half", 50, "9h", rollbackOn=[])], rollback={"triggers": triggers}))
    world.read("errors", 7)
    world.run(30)
    incident = world.recorded.incident
    assert incident is not None
    led_ahead(world, 600.0, for_seconds=120)
    world.step(1)
    assert world.recorded.incident is not None
    assert world.recorded.incident.deadline == incident.deadline


def test_what_is_set_back_is_recorded_so_that_the_next_process_does_not_begin_anew() -> None:
    world = World(one_phase(duration="10m"))
    led_ahead(world, HOURS, for_seconds=120)
    for _ in range(9):
        world.run(60)
        world.restart()
    world.run(80)
    assert world.at(State.COMPLETED)


@settings(deadline=None)
@given(by=st.floats(min_value=6, max_value=1e7), after=st.floats(min_value=0, max_value=300))
def test_a_status_is_as_old_as_it_was_by_the_clock_that_wrote_it(by: float, after: float) -> None:
    world = begun(two_phases())
    status, now = world.recorded, world.now
    assert clocks.set_back(status, now) is status
    later = clocks.set_back(status, round(status.refreshed - by, 3))  # type: ignore[operator]
    assert status.phase is not None
    assert later.phase is not None
    assert later.phase.since == pytest.approx(status.phase.since - by, abs=0.002)  # type: ignore[operator]
    assert later.history == status.history
    assert clocks.set_back(later, round(status.refreshed - by + after, 3)) is later  # type: ignore[operator]

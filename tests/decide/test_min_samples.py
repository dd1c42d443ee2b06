"""Shares of few events: not judged before there are as many as minSamples says."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import Document, document, parse, phase
from decide.world import START, World
from syncrollout.api.words import Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.facts import Part, Reading, ReadingKey, Span

RATIO = {"of": "sum(increase(failed[$window]))", "over": "sum(increase(items[$window]))"}


def share(**more: Any) -> Document:
    return {"name": "failures", "unit": "percent", "ratio": RATIO, "window": "5m"} | more


def plan(role: Role, *, duration: str = "10m", **limit: Any) -> Document:
    """One phase whose only criterion wants a hundred events before it is judged."""
    criterion = {"metric": "failures", "minSamples": 100, "settle": "0s"} | (limit or {"above": 5})
    place: Document = {"success": [], "rollbackOn": []}
    triggers: list[Document] = []
    if role is Role.TRIGGER:
        triggers = [{"severity": "Critical"} | criterion]
    else:
        place["success" if role is Role.SUCCESS else "rollbackOn"] = [criterion]
    return document([phase("half", 50, duration, **place)], metrics=[share()], rollback={"triggers": triggers})


def counts(world: World, reads: float | Unknown, events: float | Unknown, side: Side = Side.NEW) -> None:
    world.read("failures", reads, side)
    counted = Reading(None, events, "asked in vain") if isinstance(events, Unknown) else Reading(events)
    world.values[ReadingKey("failures", side, Part.EVENTS)] = counted


def begun(plan: Document, reads: float, events: float) -> World:
    world = World(plan)
    counts(world, reads, events)
    world.run_to_phase("half")
    world.settle()
    return world


@pytest.mark.parametrize("role", [Role.ROLLBACK_ON, Role.TRIGGER])
def test_what_few_events_say_sends_nothing_back(role: Role) -> None:
    world = begun(plan(role), 50.0, 99.4)
    world.run(300)
    (criterion,) = world.status.criteria
    assert (criterion.verdict, criterion.unknown, criterion.events) == (Verdict.UNKNOWN, Unknown.TOO_FEW, 99.4)
    assert criterion.message == "failures: 99 of 100 events in 5m, too few to judge by"
    assert world.status.state is State.PROGRESSING

    counts(world, 50.0, 100.0)
    world.run_until(State.ROLLED_BACK, within=1)
    assert world.status.criteria[0].events == 100.0


def test_what_few_events_say_passes_nothing() -> None:
    world = begun(plan(Role.SUCCESS, duration="1m", below=1), 0.0, 3.0)
    world.run(300)
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_NOT_MET)
    assert world.status.message.endswith("holds: failures: 3 of 100 events in 5m, too few to judge by")
    assert world.told[-1].type == "Normal", "nothing is wrong: it is waited for"

    counts(world, 0.0, 100.0)
    world.run(1)
    assert world.status.state is State.COMPLETED


@pytest.mark.parametrize("role", list(Role))
def test_few_events_are_no_missing_data_however_long(role: Role) -> None:
    world = begun(plan(role, duration="5h", onNoData="Rollback", below=-1), 0.0, 0.0)
    world.run(4 * 3600)

    assert world.status.incident is None
    assert world.status.state is State.PROGRESSING


def test_a_share_of_no_events_is_too_few_and_not_nan() -> None:
    world = begun(plan(Role.TRIGGER), 0.0, 0.0)
    counts(world, Unknown.NOT_A_NUMBER, 0.0)
    world.run(300)

    assert world.status.criteria[0].unknown is Unknown.TOO_FEW
    assert world.status.state is State.PROGRESSING


@pytest.mark.parametrize("unknown", [Unknown.NO_DATA, Unknown.TIMEOUT, Unknown.QUERY_INVALID])
def test_events_that_cannot_be_counted_are_missing_data(unknown: Unknown) -> None:
    world = begun(plan(Role.TRIGGER), 0.0, 500.0)
    counts(world, 0.0, unknown)
    world.run(100)

    assert world.status.criteria[0].unknown is unknown
    assert world.status.criteria[0].message == "failures: asked in vain"
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)


def test_against_old_both_need_enough() -> None:
    world = World(plan(Role.ROLLBACK_ON, atLeast=2, relativeTo="Old"))
    counts(world, 50.0, 1000.0)
    counts(world, 1.0, 40.0, Side.OLD)
    world.run_to_phase("half")
    world.run(100)
    (criterion,) = world.status.criteria
    assert criterion.unknown is Unknown.TOO_FEW
    assert criterion.message == "failures of old: 40 of 100 events in 5m, too few to judge by"

    counts(world, 1.0, 100.0, Side.OLD)
    world.run_until(State.ROLLED_BACK, within=1)


def test_a_breach_that_is_running_up_is_not_forgotten_for_few_events() -> None:
    world = begun(plan(Role.ROLLBACK_ON, above=5, **{"for": "1m"}), 50.0, 100.0)
    world.run(30)
    counts(world, 50.0, 90.0)
    world.run(20)
    counts(world, 50.0, 100.0)
    world.run_until(State.ROLLED_BACK, within=15)


@pytest.mark.parametrize(("events", "unknown"), [(90.0, Unknown.TOO_FEW), (9000.0, None)])
def test_with_confidence_events_count_since_the_phase_began(events: float, unknown: Unknown | None) -> None:
    """Few events may be sure already: ten of ten that fail are enough for confidence, and not for minSamples."""
    limit = {"metric": "failures", "above": 5, "minSamples": 100}
    spec = parse(
        document([phase("half", 50, success=[], rollbackOn=[limit])], metrics=[share(confidence=95)], rollback={})
    )
    (asked,) = criteria.questions(spec, spec.phases[0])
    span = Span(START, 36_000.0)
    readings = {
        asked.key(Side.NEW, Part.SHARE): Reading(90.0, span=span),
        asked.key(Side.NEW, Part.COUNT): Reading(events, span=span),
        asked.key(Side.NEW, Part.FRESH): Reading(1.0),
    }
    assert set(asked.keys) == set(readings), "no further query"

    judged = criteria.judge(asked, readings, None, START + 36_000, START)

    assert judged.unknown is unknown
    if unknown is not None:
        assert "of 100 events since the phase began, too few to judge by" in judged.message
    else:
        assert judged.verdict is Verdict.FAIL

"""Metrics whose source has stopped: what they still read is not judged."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import Document, document, metric, phase
from decide.world import World
from syncrollout.api.words import Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide.facts import Part, Reading, ReadingKey

ALIVE = [None, Unknown.NOT_A_NUMBER, Unknown.INFINITE, Unknown.MANY_SERIES]
UNANSWERED = [Unknown.TIMEOUT, Unknown.UNREACHABLE, Unknown.SERVER_ERROR, Unknown.QUERY_INVALID, Unknown.REFUSED]


def plan(role: Role, *, duration: str = "1m", **criterion: Any) -> Document:
    """One phase whose only criterion is on a metric with a heartbeat."""
    limit = {"metric": "latency"} | ({"below": 3} if role is Role.SUCCESS else {"above": 3}) | criterion
    place: Document = {"success": [], "rollbackOn": []}
    triggers: list[Document] = []
    if role is Role.TRIGGER:
        triggers = [{"severity": "Critical"} | limit]
    else:
        place["success" if role is Role.SUCCESS else "rollbackOn"] = [limit]
    metrics = [metric("latency", staleAfter="1m", heartbeat="items")]
    return document([phase("half", 50, duration, **place)], metrics=metrics, rollback={"triggers": triggers})


def speaks(world: World, unknown: Unknown | None = None, side: Side = Side.NEW) -> None:
    """Whether the source does; None: it does."""
    fresh = Reading(3.0) if unknown is None else Reading(None, unknown, "asked in vain")
    world.values[ReadingKey("latency", side, Part.FRESH)] = fresh


def begun(plan: Document) -> World:
    world = World(plan)
    speaks(world)
    speaks(world, side=Side.OLD)
    world.run_to_phase("half")
    world.settle()
    return world


def test_a_source_that_speaks_in_several_series_keeps_nothing_from_starting() -> None:
    """Of a ratio, `over` may give more of them than have something that it is held against."""
    world = World(plan(Role.TRIGGER))
    speaks(world, Unknown.MANY_SERIES)
    world.run_to_phase("half")


@pytest.mark.parametrize("role", list(Role))
def test_what_a_dead_source_still_reads_passes_nothing(role: Role) -> None:
    world = begun(plan(role))
    speaks(world, Unknown.NO_DATA)
    world.run(100)

    (criterion,) = world.status.criteria
    assert (criterion.verdict, criterion.unknown) == (Verdict.UNKNOWN, Unknown.STALE)
    assert criterion.message == (
        "latency: its source has stopped, nothing was seen in the last 1m; check that it is scraped (asked in vain)"
    )
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)
    speaks(world)
    world.run(61)
    assert world.status.state is State.COMPLETED


@pytest.mark.parametrize("role", [Role.ROLLBACK_ON, Role.TRIGGER])
def test_what_a_dead_source_still_reads_sends_nothing_back(role: Role) -> None:
    world = begun(plan(role))
    speaks(world, Unknown.NO_DATA)
    world.read("latency", 50.0)
    world.run(100)

    assert world.status.state is State.HOLDING


def test_without_data_it_goes_back_where_that_is_asked_for() -> None:
    world = begun(plan(Role.ROLLBACK_ON, onNoData="Rollback"))
    speaks(world, Unknown.NO_DATA)
    world.run_until(State.ROLLED_BACK, within=30)


@pytest.mark.parametrize("unknown", ALIVE)
def test_any_answer_is_a_sign_of_life(unknown: Unknown | None) -> None:
    world = begun(plan(Role.SUCCESS))
    speaks(world, unknown)
    world.run(10)

    assert world.status.criteria[0].verdict is Verdict.PASS


@pytest.mark.parametrize("unknown", UNANSWERED)
@pytest.mark.parametrize("role", list(Role))
def test_while_it_is_not_known_whether_it_speaks_nothing_passes(role: Role, unknown: Unknown) -> None:
    world = begun(plan(role))
    speaks(world, unknown)
    world.run(100)

    (criterion,) = world.status.criteria
    assert criterion.unknown is unknown
    assert criterion.message == "latency: whether its source still speaks is not known: asked in vain"
    assert world.status.state is State.HOLDING


@pytest.mark.parametrize("unknown", UNANSWERED)
@pytest.mark.parametrize("role", [Role.ROLLBACK_ON, Role.TRIGGER])
def test_a_breach_that_is_seen_waits_for_no_other_answer(role: Role, unknown: Unknown) -> None:
    world = begun(plan(role))
    speaks(world, unknown)
    world.read("latency", 50.0)
    world.run_until(State.ROLLED_BACK, within=1)


def test_what_reads_nothing_is_no_data_as_ever() -> None:
    world = begun(plan(Role.SUCCESS))
    speaks(world, Unknown.NO_DATA)
    world.read("latency", Unknown.NO_DATA)
    world.run(10)

    assert world.status.criteria[0].unknown is Unknown.NO_DATA


def test_against_old_both_sources_have_to_speak() -> None:
    world = begun(plan(Role.SUCCESS, relativeTo="Old"))
    speaks(world, Unknown.NO_DATA, Side.OLD)
    world.run(100)

    assert world.status.criteria[0].unknown is Unknown.STALE
    assert world.status.criteria[0].message.startswith("latency of old: its source has stopped")


def test_a_source_that_has_died_is_not_taken_for_one_with_few_events() -> None:
    plan = document([phase("half", 50, success=[], rollbackOn=[{"metric": "share", "above": 5, "minSamples": 50}])])
    plan["metrics"] = [{"name": "share", "ratio": {"of": "a[$window]", "over": "b[$window]"}, "window": "5m"}]
    plan["metrics"][0]["staleAfter"] = "1m"
    plan["rollback"] = {}
    world = World(plan)
    world.values[ReadingKey("share", part=Part.FRESH)] = Reading(None, Unknown.NO_DATA, "nothing")
    world.values[ReadingKey("share", part=Part.EVENTS)] = Reading(3.0)
    world.run_to_phase("half")
    world.settle()

    assert world.status.criteria[0].unknown is Unknown.STALE

"""The timeline says beforehand what a rollout then does, and afterwards what it has done."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import Document, document, five_phases, phase, two_phases
from decide.test_gates import WEEK, _freeze, _windows
from decide.world import START, World, begun
from syncrollout.api.spec import Freeze
from syncrollout.api.words import State
from syncrollout.decide.timeline import Stage, Timeline, timeline
from syncrollout.decide.waited_for import FreezesFact


def _of(world: World, **more: object) -> Timeline:
    shared = world.freezes.freezes if world.freezes is not None else None
    return timeline(world.spec, world.recorded, shared, world.now)


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# ---- beforehand --------------------------------------------------------------------------------------------------


def _flagship(**more: object) -> Timeline:
    days = [("parallel-run", 0, "7d"), ("small", 10, "3d"), ("medium", 50, "3d"), ("full", 100, "7d")]
    phases = [phase(name, weight, duration) for name, weight, duration in days]
    office = {"days": WEEK[:5], "from": "10:00", "to": "17:00"}
    schedule = {"timezone": "Asia/Tokyo", "windows": [office], **more}
    spec = World(document([*phases, phase("retired", 100, "0s", retireOld=True)], schedule=schedule)).spec
    return timeline(spec, World(two_phases()).recorded, None, _at("2026-11-28T09:00:00+09:00"))


def test_a_plan_of_weeks_in_business_hours() -> None:
    line = _flagship()

    assert [(row.number, row.phase, row.stage, row.start, row.end) for row in line.rows] == [
        (1, "parallel-run", Stage.COMING, _at("2026-11-30T10:00+09:00"), _at("2026-12-07T10:00+09:00")),
        (2, "small", Stage.COMING, _at("2026-12-07T10:00+09:00"), _at("2026-12-10T10:00+09:00")),
        (3, "medium", Stage.COMING, _at("2026-12-10T10:00+09:00"), _at("2026-12-13T10:00+09:00")),
        (4, "full", Stage.COMING, _at("2026-12-14T10:00+09:00"), _at("2026-12-21T10:00+09:00")),
        (5, "retired", Stage.COMING, _at("2026-12-21T10:00+09:00"), None),
    ]
    assert [row.waits for row in line.rows] == ["waits 2d1h for a window", "", "", "waits 1d for a window", ""]
    assert line.rows[4].notes == ("old is stopped", "then it is complete")
    assert (line.zone, line.completes) == ("Asia/Tokyo", _at("2026-12-21T10:00+09:00"))
    assert line.notes == ()
    assert not line.over


def test_a_freeze_that_is_met_is_named() -> None:
    line = _flagship(freezes=[{"from": "2026-12-19", "to": "2027-01-04", "reason": "New Year"}])

    assert line.rows[4].start == _at("2027-01-05T10:00+09:00")
    assert line.rows[4].waits == "waits 15d for a freeze (New Year) and a window"


def test_freezes_that_are_not_known_are_said_and_what_else_is_waited_for_too() -> None:
    line = _flagship(freezesFrom={"configMap": "freezes"})
    assert line.notes == ("the freezes of ConfigMap freezes are not known: it may be later",)

    plan = two_phases(dependsOn=[{"name": "sync", "namespace": "staging"}], pool={"name": "db"})
    line = timeline(World(plan).spec, World(plan).recorded, (), START)
    assert line.rows[0].waits == "after staging/sync; in its turn in pool db"
    assert line.notes == ("spec.schedule is not given: phases are entered at any hour",)


minutes = st.integers(-30, 30)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(minutes, st.integers(1, 200)), max_size=2),
    st.lists(st.tuples(minutes, st.integers(1, 60)), max_size=2),
    st.lists(st.tuples(minutes, st.integers(1, 60)), max_size=2),
    st.lists(st.integers(0, 900), min_size=1, max_size=4),
)
def test_a_rollout_that_nothing_holds_goes_as_its_timeline_said(
    windows: list[tuple[int, int]], own: list[tuple[int, int]], shared: list[tuple[int, int]], durations: list[int]
) -> None:
    schedule: Document = _windows(*((60 * since, 60 * (since + lasts)) for since, lasts in windows))
    schedule["freezes"] = [_freeze(60 * since, 60 * (since + lasts)) for since, lasts in own]
    schedule["freezesFrom"] = {"configMap": "freezes"}
    phases = [phase(f"p{number}", min(100, 20 * number), f"{lasts}s") for number, lasts in enumerate(durations)]
    world = World(document(phases, schedule=schedule))
    world.freezes = FreezesFact(
        tuple(Freeze.model_validate(_freeze(60 * since, 60 * (since + lasts))) for since, lasts in shared)
    )
    said = _of(world)

    world.run_until(State.COMPLETED, within=(len(phases) + 1) * 86_400, every=3600.0)  # a window a day, one phase each

    assert [row.start for row in said.rows] == [each.entered for each in world.recorded.past_phases]
    assert said.completes == world.recorded.finished
    assert [row.start for row in _of(world).rows] == [row.start for row in said.rows]


# ---- on the way, and afterwards ----------------------------------------------------------------------------------


def test_what_is_past_is_as_it_was_and_what_comes_follows_from_now() -> None:
    world = begun(five_phases(), "medium-traffic")
    world.read("errors", 2.0)  # it does not pass, and is not so bad that it goes back
    world.run(100)
    assert world.status.state is State.HOLDING

    line = _of(world)

    assert [row.stage for row in line.rows] == [Stage.PAST, Stage.PAST, Stage.NOW, Stage.COMING, Stage.COMING]
    past = world.recorded.past_phases
    assert [(row.start, row.end) for row in line.rows[:2]] == [(each.entered, each.ended) for each in past]
    assert line.rows[2].end == line.rows[3].start == world.now
    assert line.rows[2].notes[0].startswith("Phase 3/5 medium-traffic holds: ")
    assert line.completes == world.now + 70


def test_a_phase_that_waits_for_the_calendar_says_so() -> None:
    world = begun(two_phases(schedule={"freezes": [_freeze(60, 660)]}))
    world.run(90)

    line = _of(world)

    assert line.rows[1].start == START + 660 - START % 60
    assert line.rows[1].waits.endswith("for a freeze")


def test_a_run_that_completed_is_over_and_one_that_was_rolled_back_shows_what_it_did_not_reach() -> None:
    world = World(five_phases())
    world.run_until(State.COMPLETED)
    line = _of(world)
    assert line.over
    assert (line.starts, line.completes) == (START, world.recorded.finished)
    assert len(line.rows) == 5

    world = begun(five_phases(), "small-traffic")
    world.read("errors", 50.0)
    world.run_until(State.ROLLED_BACK)
    line = _of(world)
    assert line.over
    assert line.completes is None
    assert [row.stage for row in line.rows] == [Stage.PAST, Stage.PAST, Stage.NEVER, Stage.NEVER, Stage.NEVER]
    assert line.rows[1].notes[0] == "rolled back"


def test_the_next_run_is_planned_once_it_is_asked_for() -> None:
    world = World(two_phases())
    world.run_until(State.COMPLETED)
    world.edit(revision="2")

    line = _of(world)

    assert [row.stage for row in line.rows] == [Stage.COMING] * 2
    assert line.starts == world.now


@pytest.mark.parametrize("keep", ["0s", "1h"])
def test_the_watch_after_completion_is_told(keep: str) -> None:
    plan = two_phases(rollback={"keepWatching": keep})
    line = timeline(World(plan).spec, World(plan).recorded, (), START)

    assert line.watched_until == (START + 120 + 3600 if keep == "1h" else None)


def test_a_hold_is_said_with_who_and_why() -> None:
    w = begun(two_phases())
    w.hold, w.requested_by = "the sale is on", "kim"
    w.run(10)
    assert "it is held by kim: the sale is on: nothing moves before that is taken away" in _of(w).notes

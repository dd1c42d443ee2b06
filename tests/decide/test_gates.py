"""What keeps work from moving forward though nothing is wrong with it, and what it never keeps from going back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from decide.plans import Document, five_phases, phase, two_phases
from decide.world import START, World, begun
from syncrollout.api.spec import Freeze
from syncrollout.api.words import Reason, Request, State
from syncrollout.decide.facts import JobFact, JobState
from syncrollout.decide.waited_for import DependencyFact, FreezesFact, PoolFact, WaitedFor

WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _clock(seconds: float) -> str:
    """A time of day, so many seconds after the start of a world."""
    return f"{datetime.fromtimestamp(START + seconds, UTC):%H:%M}"


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(START + seconds, UTC):%Y-%m-%dT%H:%M}"


def _windows(*spans: tuple[float, float]) -> Document:
    """Open from and to so many seconds after the start (to the minute below)."""
    return {"windows": [{"days": WEEK, "from": _clock(since), "to": _clock(to)} for since, to in spans]}


def _freeze(since: float, to: float, reason: str = "") -> Document:
    return {"from": _date(since), "to": _date(to), "reason": reason}


OPEN = (-3600.0, 3600.0)


# ---- the start ---------------------------------------------------------------------------------------------------


def test_a_run_begins_when_the_window_opens_and_not_before() -> None:
    world = World(two_phases(schedule=_windows((600, 7200))))

    decision = world.settle()

    assert (world.status.state, world.status.reason) == (State.PREFLIGHT, Reason.OUTSIDE_WINDOW)
    opens = f"{datetime.fromtimestamp(START + 600, UTC):%Y-%m-%d %H:%M} UTC"
    assert world.status.message == f"Not started: no window of spec.schedule is open until {opens}"
    assert world.status.next == f"small {opens}"
    assert world.condition("Stalled") == "False"
    assert not world.has_finalizer()
    assert decision.next_due is not None
    world.now = decision.next_due
    world.settle()
    assert world.status.phase is not None
    assert world.status.phase.name == "small"
    assert world.now == START + 600 - (START + 600) % 60


def test_waiting_for_the_calendar_is_told_once_and_costs_no_writes() -> None:
    world = World(two_phases(schedule=_windows((7200, 9000))))
    world.settle()
    writes = world.writes

    world.run(3600)

    assert world.writes == writes
    assert world.reasons == [Reason.OUTSIDE_WINDOW]


# ---- phases ------------------------------------------------------------------------------------------------------


def test_a_phase_that_could_end_waits_for_the_calendar_and_says_until_when() -> None:
    freeze = _freeze(60, 660, "books are closed")
    world = begun(two_phases(schedule={"freezes": [freeze]}))
    assert world.status.next == f"full {datetime.fromtimestamp(START + 660, UTC):%Y-%m-%d %H:%M} UTC"

    decision = world.run(90)

    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.FROZEN)
    until = f"{datetime.fromtimestamp(START + 660, UTC):%Y-%m-%d %H:%M} UTC"
    assert world.status.message == (
        f"Phase 1/2 small holds: full waits: a freeze is on (books are closed) until {until}"
    )
    assert world.status.next == f"full {until}"
    assert world.told[-1].type == "Normal"
    assert world.share == 10
    assert decision.next_due == START + 660 - (START + 660) % 60
    world.run_to_phase("full")
    assert world.now == decision.next_due


@pytest.mark.parametrize("what", ["Hold", "Rollback"])
def test_a_phase_that_waits_for_the_calendar_alone_has_passed_and_its_deadline_does_nothing(what: str) -> None:
    phases = [phase("small", 10, deadline="2m", onDeadline=what), phase("full", 100)]
    world = begun({**two_phases(schedule={"freezes": [_freeze(60, 660)]}), "phases": phases})

    world.run(300)

    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.FROZEN)
    assert world.status.incident is None
    assert world.share == 10
    world.run_to_phase("full")


def test_the_deadline_holds_for_a_phase_that_does_not_pass_whatever_the_calendar_says() -> None:
    phases = [phase("small", 10, deadline="2m", onDeadline="Rollback"), phase("full", 100)]
    world = begun({**two_phases(schedule={"freezes": [_freeze(60, 660)]}), "phases": phases})
    world.run(90)
    assert world.status.reason is Reason.FROZEN
    world.read("errors", 2.0)

    world.run(60)

    assert world.share == 0
    assert world.status.rollback is not None
    assert world.status.rollback.reason is Reason.PHASE_OVERDUE


def test_a_freeze_and_a_window_after_it_are_both_told() -> None:
    schedule = {"freezes": [_freeze(0, 600)], **_windows((-7200, 60), (1200, 3600))}
    world = begun(two_phases(schedule=_windows(OPEN)))
    world.edit(schedule=schedule)

    world.run(90)

    until, opens = (f"{datetime.fromtimestamp(START + each, UTC):%Y-%m-%d %H:%M} UTC" for each in (600, 1200))
    assert world.status.message.endswith(f"a freeze is on until {until}, and nothing may move until {opens}")
    assert world.status.next == f"full {opens}"


def test_the_end_of_a_run_asks_no_calendar_for_it_moves_nothing() -> None:
    world = begun(five_phases(), "full-migration")
    world.edit(schedule=_windows((-7200, -3600)))

    world.run_until(State.COMPLETED, within=60)


def test_a_step_that_has_begun_is_finished() -> None:
    world = World(two_phases(schedule=_windows((-3600, 60))))
    world.settle()
    world.run(40)
    world.drift(0.0)
    world.now = START + 200  # the window is closed; that somebody has changed the weights is repaired all the same

    world.settle()

    assert world.share == 10
    assert Reason.DRIFT_REPAIRED in world.reasons


def test_more_weight_by_an_edit_waits_for_the_calendar_and_less_does_not() -> None:
    world = begun(two_phases(schedule=_windows(OPEN)))
    shut = _windows((-7200, -3600))
    world.edit(phases=[phase("small", 30), phase("full", 100)], schedule=shut)
    world.settle()
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.OUTSIDE_WINDOW)
    assert "stays at 10 %, not yet at 30 %: no window" in world.status.message
    assert world.share == 10

    world.drift(0.0)
    world.settle()
    assert world.share == 10, "what somebody else has changed is put back to where it stood"

    world.edit(phases=[phase("small", 5), phase("full", 100)])
    world.settle()
    assert world.share == 5


def test_a_suspended_rollout_keeps_its_weight_through_such_an_edit() -> None:
    world = begun(two_phases(schedule=_windows(OPEN)))
    world.edit(phases=[phase("small", 30), phase("full", 100)], schedule=_windows((-7200, -3600)), suspend=True)

    world.settle()

    assert world.status.state is State.PAUSED
    assert world.share == 10


def test_no_traffic_moves_before_day_one_is_over_through_such_an_edit() -> None:
    job = {"template": {"spec": {"containers": [{"name": "work", "image": "backup"}]}}}
    world = World(two_phases(schedule=_windows(OPEN), preflight={"dayOne": {"backup": {"job": job}}}))
    world.run(20)
    assert world.status.in_flight
    assert world.share == 0

    world.edit(phases=[phase("small", 30), phase("full", 100)], schedule=_windows((-7200, -3600)))
    world.run(20)

    assert world.share == 0, "the backup has not ended"
    world.jobs[world.made[-1].name] = JobFact(JobState.COMPLETE)
    world.run(20)
    assert world.share == 10


def test_nothing_is_raised_while_it_is_held_through_such_an_edit() -> None:
    world = begun(two_phases(schedule=_windows(OPEN)))
    world.hold = "look at it first"
    world.settle()
    world.edit(phases=[phase("small", 20), phase("full", 100)])
    world.settle()
    assert world.share == 10, "recorded, and not moved to"

    world.edit(phases=[phase("small", 30), phase("full", 100)], schedule=_windows((-7200, -3600)))
    world.settle()

    assert (world.status.state, world.status.reason, world.share) == (State.PAUSED, Reason.HELD, 10)


def test_what_was_lowered_is_not_raised_while_an_incident_is_open_through_such_an_edit() -> None:
    trigger = {"metric": "errors", "above": 10, "severity": "High"}
    phases = [phase("small", 10, rollbackOn=[]), phase("full", 100)]
    world = begun({**two_phases(schedule=_windows(OPEN)), "phases": phases, "rollback": {"triggers": [trigger]}})
    world.read("errors", 50.0)
    world.settle()
    assert world.status.reason is Reason.ROLLBACK_DUE
    phases = [phase("small", 30, rollbackOn=[]), phase("full", 100)]
    world.edit(phases=phases, schedule=_windows((-7200, -3600)))
    world.drift(0.0)

    world.settle()

    assert world.share == 0
    assert world.status.reason is Reason.ROLLBACK_DUE


# ---- going back asks no calendar ---------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [_windows((-7200, -3600)), {"freezes": [_freeze(-60, 9000)]}])
def test_everything_goes_back_at_any_hour(schedule: Document) -> None:
    world = begun(two_phases())
    world.edit(schedule=schedule)
    world.read("errors", 50.0)

    world.settle()

    assert world.share == 0
    assert world.status.state in (State.ROLLING_BACK, State.ROLLED_BACK)


def test_a_step_back_asks_no_calendar_and_the_way_forward_from_there_does() -> None:
    phases = [phase("small", 10), phase("half", 50, onFailure="StepBack"), phase("full", 100)]
    world = begun({**two_phases(), "phases": phases, "rollback": {"maxStepBacks": 2}}, "half")
    world.edit(schedule=_windows((-7200, -3600)))
    world.read("errors", 7.0)
    world.settle()
    assert world.share == 10
    world.read("errors", 0.5)

    world.run(300)

    assert world.share == 10
    assert world.status.reason is Reason.OUTSIDE_WINDOW


def test_a_person_takes_it_back_in_a_freeze_that_nobody_can_read() -> None:
    world = _shared()
    world.freezes = FreezesFact(problem="it is gone")
    world.ask(Request.ROLLBACK, "now")

    world.settle()

    assert world.share == 0


# ---- shared freezes ----------------------------------------------------------------------------------------------


def _shared(**more: Any) -> World:
    world = World(two_phases(schedule={"freezesFrom": {"configMap": "freezes"}}, **more))
    world.freezes = FreezesFact()
    world.run_to_phase("small")
    return world


def test_a_shared_freeze_counts_like_ones_own_and_lifting_it_lets_go() -> None:
    world = _shared()
    world.freezes = FreezesFact((Freeze.model_validate(_freeze(0, 90_000, "audit")),))
    world.run(90)
    assert world.status.reason is Reason.FROZEN
    assert "(audit)" in world.status.message

    world.freezes = FreezesFact()
    world.settle()

    assert world.share == 100


def test_freezes_that_cannot_be_read_hold_the_phase_and_a_person_is_told() -> None:
    world = _shared()
    world.freezes = FreezesFact(problem="ConfigMap freezes does not exist")
    world.run(90)

    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.FREEZES_UNKNOWN)
    assert world.status.message == "Phase 1/2 small holds: full waits: ConfigMap freezes does not exist"
    assert world.status.next == "full once its freezes can be read"
    assert world.condition("Stalled") == "True"


def test_freezes_that_cannot_be_read_just_now_are_nothing_that_a_person_has_to_mend() -> None:
    world = World(two_phases(schedule={"freezesFrom": {"configMap": "freezes"}}))
    world.freezes = FreezesFact(problem="the API server does not answer", passing=True)
    world.settle()
    assert (world.status.state, world.status.reason) == (State.PREFLIGHT, Reason.FREEZES_UNKNOWN)
    assert world.condition("Stalled") == "False"

    world.freezes = None  # nobody has looked at all
    world.settle()

    assert world.status.reason is Reason.FREEZES_UNKNOWN


# ---- other rollouts ----------------------------------------------------------------------------------------------

STAGING: Document = {"dependsOn": [{"name": "sync", "namespace": "staging"}]}


def _waits_for(**fact: Any) -> WaitedFor:
    return WaitedFor((DependencyFact(**{"rollout": "staging/sync", "met": False} | fact),))


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ({"state": State.HOLDING, "revision": "1"}, "which is Holding with revision 1"),
        ({"state": State.PENDING}, "which is Pending"),
        ({}, "which does not exist"),
        ({"watched": False}, "whose namespace this operator does not watch: add it to the operator's namespaces"),
    ],
)
def test_a_run_waits_for_the_same_revision_elsewhere(fact: dict[str, Any], said: str) -> None:
    world = World(two_phases(**STAGING))
    world.waited_for = _waits_for(**fact)

    world.settle()

    assert (world.status.state, world.status.reason) == (State.PREFLIGHT, Reason.WAITING_FOR_DEPENDENCY)
    assert world.status.message == f"Not started: it waits for SyncRollout staging/sync to complete revision 1, {said}"
    assert world.status.next == "small once staging/sync has completed"
    assert world.status.waiting_since == START


def test_how_far_the_other_one_is_is_told_at_once() -> None:
    world = World(two_phases(**STAGING))
    world.waited_for = _waits_for()
    world.settle()
    world.waited_for = _waits_for(state=State.PROGRESSING, revision="1")

    world.settle()

    assert world.recorded.message.endswith("which is Progressing with revision 1")


def test_it_begins_once_that_one_is_there_and_does_not_look_again() -> None:
    world = World(two_phases(**STAGING))
    world.waited_for = _waits_for(state=State.PROGRESSING)
    world.run(60)
    world.waited_for = _waits_for(state=State.COMPLETED, met=True)
    world.run_to_phase("small")
    assert world.status.waiting_since is None

    world.waited_for = _waits_for(state=State.ROLLING_BACK)
    world.run_to_phase("full")


def test_what_was_not_looked_at_is_not_there() -> None:
    world = World(two_phases(**STAGING))
    world.settle()

    assert world.status.reason is Reason.WAITING_FOR_DEPENDENCY


def test_rollouts_that_wait_for_each_other_are_told_to_a_person() -> None:
    world = World(two_phases(**STAGING))
    world.waited_for = replace(_waits_for(state=State.PREFLIGHT), cycle=("prod/sync", "staging/sync", "prod/sync"))

    world.settle()

    assert world.status.reason is Reason.DEPENDENCY_CYCLE
    assert "prod/sync -> staging/sync -> prod/sync" in world.status.message
    assert world.condition("Stalled") == "True"


# ---- pools -------------------------------------------------------------------------------------------------------


def _pool(**fact: Any) -> WaitedFor:
    return WaitedFor(pool=PoolFact(**{"limit": 1} | fact))


def test_a_run_waits_for_room_in_its_pool_and_says_who_has_it() -> None:
    world = World(two_phases(pool={"name": "db", "limit": 1}))
    world.waited_for = _pool(in_flight=("a/one",), ahead=("b/two", "c/three"))
    world.settle()
    assert (world.status.state, world.status.reason) == (State.PREFLIGHT, Reason.WAITING_FOR_POOL)
    assert world.status.message == (
        "Not started: pool db lets 1 run at a time: a/one is in flight; b/two, c/three are waiting before it"
    )
    assert world.status.next == "small once pool db has room"

    world.waited_for = _pool(ahead=("b/two",))
    world.settle()
    assert world.status.reason is Reason.WAITING_FOR_POOL
    world.waited_for = _pool()
    world.settle()
    assert world.status.in_flight


def test_how_long_it_has_waited_is_kept_whatever_it_waits_for_next() -> None:
    world = World(two_phases(pool={"name": "db"}, schedule=_windows((600, 7200))))
    world.waited_for = _pool()
    world.settle()
    since = world.recorded.waiting_since
    world.waited_for = _pool(in_flight=("a/one",))

    world.run(900)

    assert world.status.reason is Reason.WAITING_FOR_POOL
    assert world.recorded.waiting_since == since == START


def test_preflight_comes_first_then_other_rollouts_then_the_calendar_then_the_pool() -> None:
    plan = two_phases(**STAGING, pool={"name": "db"}, schedule=_windows((600, 7200)))
    world = World(plan, replicas=3)
    world.waited_for = replace(_waits_for(state=State.PENDING), pool=PoolFact(1, ("a/one",)))
    ready, world.new = world.new, None
    reasons = []
    for change in (
        lambda: None,
        lambda: setattr(world, "new", ready),
        lambda: setattr(world, "waited_for", replace(_waits_for(met=True), pool=PoolFact(1, ("a/one",)))),
        lambda: setattr(world, "now", START + 700),
        lambda: setattr(world, "waited_for", replace(_waits_for(met=True), pool=PoolFact(1))),
    ):
        change()
        world.settle()
        reasons.append(world.status.reason)

    assert reasons == [
        Reason.WORKLOAD_NOT_FOUND,
        Reason.WAITING_FOR_DEPENDENCY,
        Reason.OUTSIDE_WINDOW,
        Reason.WAITING_FOR_POOL,
        Reason.PHASE_RUNNING,
    ]

"""Drills: what is tried, what comes of it, when they begin, and that nothing else ever notices them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import INTERVAL, Document, one_phase, two_phases
from decide.world import START, World, begun
from syncrollout.api.status import DrillCheck, DrillRun, DrillStatus
from syncrollout.api.words import DrillCause, DrillResult, Reason, Request, Side, State, Step, Unknown
from syncrollout.decide.actions import (
    Assign,
    CreateJob,
    EndRehearsal,
    Rehearse,
    RehearseJob,
    Scale,
    SetWeight,
    StampEpoch,
    WriteReport,
)
from syncrollout.decide.check_facts import SnapshotFact
from syncrollout.decide.facts import (
    JobFact,
    JobState,
    Problem,
    WorkloadFact,
)

JOB = {"template": {"spec": {"containers": [{"name": "step", "image": "step"}]}}}
VERIFY = {"verifyData": {"job": JOB, "budget": "10m"}}
COMPLETE, MISSING = JobFact(JobState.COMPLETE), JobFact(JobState.MISSING)
FAILED = JobFact(JobState.FAILED, "exit", exit_code=2, output="checked\n3 lost")
HOURLY = {"schedule": "0 * * * *", "grace": "10m"}
ASKED = "rehearse: before the weekend"
HOUR = 3600.0


def _plan(plan: Document | None = None, *, drill: Document | None = None, **procedure: Any) -> Document:
    plan = plan or one_phase(duration="7d")
    rollback = plan.setdefault("rollback", {})
    if procedure:
        rollback["procedure"] = procedure
    if drill is not None:
        rollback["drill"] = drill
    return plan


def _asked(plan: Document | None = None, **procedure: Any) -> World:
    """A drill that a person has asked for, as far as it comes by itself."""
    world = begun(_plan(plan, **procedure))
    world.ask(Request.DRILL, ASKED)
    world.settle()
    return world


def _drill(world: World) -> DrillStatus:
    assert world.recorded.drill is not None
    return world.recorded.drill


def _last(world: World) -> DrillRun:
    last = _drill(world).last
    assert last is not None
    return last


def _checks(world: World) -> dict[str, DrillCheck]:
    return {check.name: check for check in _last(world).checks}


def _names(world: World) -> list[str]:
    return [each.name for each in world.tried[-1].tries]


def _condition(world: World) -> tuple[str, str] | None:
    found = (c for c in world.recorded.conditions if c.type == "RollbackRehearsed")
    return next(((c.status, c.reason.value) for c in found), None)


# ---- what is tried -----------------------------------------------------------------------------------------------


def test_a_drill_that_a_person_asks_for_tries_the_switch_and_passes() -> None:
    world = _asked()

    assert [each.action for each in world.tried[0].tries] == [SetWeight(0)]
    last = _last(world)
    assert (last.result, last.cause, last.words) == (DrillResult.PASSED, DrillCause.PERSON, ASKED)
    assert (last.phase, last.weight) == (world.recorded.phase.name if world.recorded.phase else "", world.share)
    assert last.finished is not None
    assert _drill(world).running is None
    assert world.reasons[-2:] == [Reason.DRILL_STARTED, Reason.DRILL_PASSED]
    assert world.told[-2].message == f"A drill begins (Rehearse), a person asked for it: {ASKED}"
    assert world.told[-1].message == "A rollback would work: 2 checks, 0s"
    assert _condition(world) == ("True", "DrillPassed")
    assert world.drill is None


def test_it_is_recorded_before_anything_is_tried() -> None:
    world = begun(_plan())
    world.ask(Request.DRILL, ASKED)
    world.step(refuse_write=True)
    assert world.tried == []
    world.step()
    assert _drill(world).running is not None
    assert world.tried == []
    world.step()
    assert len(world.tried) == 1


def test_every_write_of_a_rollback_is_tried() -> None:
    step = {"job": JOB}
    plan = _plan(
        switch={"stopNew": True},
        **VERIFY,
        restore=step,
        verifySystem={"job": JOB, "budget": "3m", "restartOld": True},
        evidence={},
    )
    world = _asked(plan)
    route = next(iter(world.routes))

    assert _names(world) == [
        f"Switch of {route}",
        "Stop of new",
        "Restart of old",
        "Job of step VerifyData",
        "Job of step Restore",
        "Job of step VerifySystem",
        "Incident report",
    ]
    actions = [each.action for each in world.tried[0].tries]
    assert actions[1] == Scale(Side.NEW, 0)
    jobs = [each for each in actions if isinstance(each, CreateJob)]
    assert [(job.step, job.seconds) for job in jobs] == [
        (Step.VERIFY_DATA, 600),
        (Step.RESTORE, 1800),
        (Step.VERIFY_SYSTEM, 180),
    ]
    assert isinstance(actions[-1], WriteReport)
    assert all(len(job.name) <= 63 for job in jobs)


def test_by_replicas_both_scales_are_tried() -> None:
    plan = one_phase() | {"traffic": {"replicas": {"total": 4}}}
    world = begun(plan, replicas=2)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert [each.action for each in world.tried[0].tries] == [Scale(Side.OLD, 4), Scale(Side.NEW, 0)]


def test_slots_are_tried_as_they_would_be_written() -> None:
    handover = {"method": "Restart", "timeout": "1m"}
    plan = one_phase() | {"traffic": {"shards": {"configMap": "slots", "handover": handover}}}
    world = begun(plan)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    stands = world.workers.assignment
    assert stands is not None
    slots, *stamps = [each.action for each in world.tried[0].tries]
    assert isinstance(slots, Assign)
    assert slots.replaces == stands
    assert (slots.assignment.epoch, slots.assignment.stop) == (stands.epoch + 1, True)
    assert stamps == [StampEpoch(Side.OLD, stands.epoch + 1), StampEpoch(Side.NEW, stands.epoch + 1)]


def test_an_old_that_is_stopped_would_be_started() -> None:
    phases = [
        {"name": "all", "weight": 100, "duration": "1m"},
        {"name": "retired", "weight": 100, "duration": "1h", "retireOld": True},
    ]
    world = begun(one_phase() | {"phases": phases}, "retired")
    world.settle()
    assert world.old == WorkloadFact(0, 0)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert Scale(Side.OLD, 3) in [each.action for each in world.tried[0].tries]
    assert _last(world).result is DrillResult.PASSED


# ---- what comes of it --------------------------------------------------------------------------------------------


def test_what_the_api_server_refuses_fails_the_drill_and_nothing_else() -> None:
    world = begun(_plan(evidence={}))
    route = next(iter(world.routes))
    world.refuses[f"Switch of {route}"] = "the operator lacks the right to patch"
    world.refuses["Incident report"] = "admission webhook says no"
    world.ask(Request.DRILL, ASKED)
    world.settle()

    assert _last(world).result is DrillResult.FAILED
    assert _checks(world)[f"Switch of {route}"].message == "the operator lacks the right to patch"
    assert world.told[-1].reason is Reason.DRILL_FAILED
    assert world.told[-1].type == "Warning"
    assert world.told[-1].message == (
        f"A rollback would not work as it is asked for: Switch of {route}: the operator lacks the right to patch "
        "(and 1 more, see status.drill.last)"
    )
    assert _condition(world) == ("False", "DrillFailed")
    assert world.at(State.PROGRESSING)
    assert world.condition("Ready") == "False"  # as for every run in flight
    assert world.condition("Reconciling") == "True"
    assert world.condition("Stalled") == "False"
    world.refuses.clear()
    world.ask(Request.DRILL, "rehearse: again")
    world.settle()
    assert _condition(world) == ("True", "DrillPassed")


@pytest.mark.parametrize(
    ("old", "why"), [(WorkloadFact(3, 0), "0 of 3 replicas ready"), (WorkloadFact(0, 0), "scaled to zero")]
)
def test_an_old_that_could_take_nothing_fails_it(old: WorkloadFact, why: str) -> None:
    world = begun(_plan())
    world.old = old
    world.ask(Request.DRILL, ASKED)
    world.settle()
    check = _checks(world)["Old could take the traffic"]
    assert check.result is DrillResult.FAILED
    assert why in check.message


def test_what_is_missing_is_named_and_holds_no_drill_up() -> None:
    world = begun(_plan())
    world.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service shop/old does not exist")]
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert world.at(State.HOLDING)
    assert _checks(world)["References"].message == "Service shop/old does not exist"
    assert _last(world).result is DrillResult.FAILED


@pytest.mark.parametrize(
    ("age", "result"), [(1800.0, DrillResult.PASSED), (7200.0, DrillResult.FAILED), (None, DrillResult.FAILED)]
)
def test_a_backup_has_to_be_there_and_recent(age: float | None, result: DrillResult) -> None:
    plan = one_phase()
    plan["metrics"].append({"name": "backup-age", "unit": "seconds", "query": "age"})
    world = World(_plan(plan, restore={"job": JOB, "backup": {"metric": "backup-age", "maxAge": "1h"}}))
    world.read("backup-age", Unknown.NO_DATA if age is None else age)
    world.run_to_phase(world.spec.phases[0].name)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert _checks(world)["Backup"].result is result
    assert _last(world).result is result
    assert world.tried[0].backup is not None


@pytest.mark.parametrize(
    ("age", "result"), [(1800.0, DrillResult.PASSED), (7200.0, DrillResult.FAILED), (None, DrillResult.FAILED)]
)
def test_a_snapshot_has_to_be_there_and_recent(age: float | None, result: DrillResult) -> None:
    asked = {"volumeSnapshot": {"name": "nightly"}, "maxAge": "1h"}
    world = begun(_plan(restore={"job": JOB, "backup": asked}))
    world.snapshot = SnapshotFact(None if age is None else world.now - age, "VolumeSnapshot listings/nightly")
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert _checks(world)["Backup"].result is result
    assert "VolumeSnapshot listings/nightly" in _checks(world)["Backup"].message


def test_the_job_that_makes_a_backup_is_tried() -> None:
    world = _asked(restore={"job": JOB, "backup": {"job": JOB}})
    assert "Job of the backup" in _names(world)
    assert "Backup" not in _checks(world)


def test_tries_that_come_to_no_end_fail_it_in_time() -> None:
    world = begun(_plan(**VERIFY))
    world.answers_drills = False
    world.ask(Request.DRILL, ASKED)
    world.run(601)
    assert len(world.tried) == 1
    assert _checks(world)["Tries of the switch"].message.startswith("not done within 10m")
    assert _checks(world)["Verification of the data"].message == "not run, for nothing else was tried"
    assert _last(world).result is DrillResult.FAILED
    assert world.made == []


# ---- the Job -----------------------------------------------------------------------------------------------------


def test_the_data_is_really_verified_after_all_else_and_within_its_budget() -> None:
    world = _asked(**VERIFY)
    running = _drill(world).running
    assert running is not None
    [job] = world.made
    assert (job.name, job.step, job.seconds) == (running.job, Step.VERIFY_DATA, 600)
    told = dict(job.variables)
    assert told["ROLLOUT_DRILL"] == "Rehearse"
    assert told["ROLLOUT_SWITCHED"] == told["ROLLOUT_DECIDED"]
    assert running.seen
    world.run(30)
    assert _drill(world).last is None
    world.jobs[job.name] = COMPLETE
    world.settle()
    assert _last(world).result is DrillResult.PASSED
    check = _checks(world)["Verification of the data"]
    assert check.seconds == 30.0
    assert check.message == f"Job {job.name} ran, and found nothing to restore"


def test_the_name_of_the_job_is_recorded_before_it_is_made() -> None:
    world = begun(_plan(**VERIFY))
    world.ask(Request.DRILL, ASKED)
    while _drill(world).running is None if world.recorded.drill else True:
        world.step()
    for _ in range(20):
        world.step(crash="act")
        running = _drill(world).running
        if running is not None and running.job is not None:
            break
        world.step()
    assert world.made == []
    world.settle()
    running = _drill(world).running
    assert running is not None
    assert [job.name for job in world.made] == [running.job]


@pytest.mark.parametrize("seen", [False, True])
def test_after_a_restart_the_same_job_is_found_and_no_other_made(seen: bool) -> None:
    world = begun(_plan(**VERIFY))
    world.ask(Request.DRILL, ASKED)
    while not world.made:
        world.step()
    if seen:
        world.settle()
    world.restart()
    world.settle()
    assert len(world.made) == 1
    assert len(world.tried) == 1
    world.jobs[world.made[0].name] = COMPLETE
    world.settle()
    assert _last(world).result is DrillResult.PASSED


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        (FAILED, "has found damage, or could not look: exit code 2: 3 lost"),
        (JobFact(JobState.STOPPED), "has used up its budget and was stopped"),
        (MISSING, "somebody has deleted Job"),
    ],
)
def test_a_verification_that_does_not_end_well_fails_it(fact: JobFact, why: str) -> None:
    world = _asked(**VERIFY)
    world.jobs[world.made[0].name] = fact
    world.settle()
    assert _last(world).result is DrillResult.FAILED
    assert why in _checks(world)["Verification of the data"].message
    assert len(world.made) == 1


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.UNSEEN])
def test_a_job_that_never_ends_ends_the_drill_all_the_same(state: JobState) -> None:
    world = _asked(**VERIFY)
    world.jobs[world.made[0].name] = JobFact(state)
    world.run(629)
    assert _drill(world).running is not None
    world.run(2)
    assert _last(world).result is DrillResult.FAILED
    assert "has not ended within its budget" in _checks(world)["Verification of the data"].message


def test_a_job_that_may_not_be_made_is_not_made() -> None:
    world = begun(_plan(**VERIFY))
    world.refuses["Job of step VerifyData"] = "pods must not run as root"
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert world.made == []
    assert _checks(world)["Verification of the data"].message == "not run, for its Job could not be made"


def test_an_edit_has_all_of_it_tried_anew() -> None:
    world = begun(_plan())
    world.answers_drills = False
    world.ask(Request.DRILL, ASKED)
    world.settle()
    world.answers_drills = True
    world.edit(suspend=True)
    world.settle()
    assert len({each.stamp for each in world.tried}) == 2
    assert world.at(State.PAUSED)
    assert _last(world).result is DrillResult.PASSED


# ---- a rollback --------------------------------------------------------------------------------------------------


def _breach(world: World) -> None:
    world.read("errors", 50.0)


@pytest.mark.parametrize("verifying", [False, True])
def test_a_breach_in_the_middle_of_a_drill_goes_back_on_that_pass_and_ends_it(verifying: bool) -> None:
    world = begun(_plan(**VERIFY))
    world.answers_drills = verifying
    world.ask(Request.DRILL, ASKED)
    world.settle()
    _breach(world)
    decision = world.step()

    assert decision.urgent
    assert decision.actions == (SetWeight(0), EndRehearsal())
    assert world.share == 0
    assert world.drill is None
    last = _last(world)
    assert last.result is DrillResult.CUT_SHORT
    assert "everything goes back, and that is no drill" in last.message
    assert ("runs on for the rest of its budget" in last.message) is verifying
    assert _condition(world) == ("Unknown", "DrillCutShort")
    assert world.reasons[-2:] == [Reason.TRIGGER_BREACHED, Reason.DRILL_CUT_SHORT]
    world.settle()
    steps = [job.step for job in world.made if job.drill is None]
    assert steps == [Step.VERIFY_DATA]
    assert len({job.name for job in world.made}) == len(world.made)


def test_none_begins_while_it_goes_back() -> None:
    world = begun(_plan(drill=HOURLY, **VERIFY))
    _breach(world)
    world.settle()
    assert world.at(State.ROLLING_BACK)
    world.ask(Request.DRILL, ASKED)
    world.run(300)
    assert world.tried == []
    assert world.told[-1].reason is Reason.REQUEST_IGNORED
    assert "everything is going back, and that is no drill" in world.told[-1].message


def test_one_that_is_asked_for_as_the_breach_comes_is_told_not_to_begin() -> None:
    world = begun(_plan())
    world.ask(Request.DRILL, ASKED)
    _breach(world)
    world.step()
    world.settle()
    assert world.at(State.ROLLED_BACK)
    assert world.tried == []
    assert Reason.REQUEST_IGNORED in world.reasons


# ---- when --------------------------------------------------------------------------------------------------------


def _at(world: World, text: str) -> None:
    world.now = datetime.fromisoformat(text).timestamp()


def _text(seconds: float | None) -> str:
    assert seconds is not None
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_the_schedule_counts_in_its_own_time_zone() -> None:
    world = World(_plan(drill={"schedule": "0 10 1 * *", "timezone": "Asia/Tokyo"}))
    world.settle()
    assert datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC).timestamp() == START
    assert _text(_drill(world).next) == "2023-12-01T01:00:00+00:00"
    assert _text(_drill(world).latest) == "2023-12-01T02:00:00+00:00"
    assert _condition(world) is None


def test_it_begins_by_itself_at_its_time_and_once() -> None:
    plan = _plan(drill=HOURLY)
    world = begun(plan)
    world.run(2 * HOUR)
    started = [entry.time for entry in world.told if entry.reason is Reason.DRILL_STARTED]
    assert [_text(at) for at in started] == ["2023-11-14T23:00:00+00:00", "2023-11-15T00:00:00+00:00"]
    assert _last(world).cause is DrillCause.SCHEDULE
    assert world.told[-1].reason is Reason.DRILL_PASSED
    assert Reason.DRILL_OVERDUE not in world.reasons


def test_drills_that_were_missed_are_made_up_for_once_and_told() -> None:
    plan = _plan(drill=HOURLY)
    world = begun(plan)
    world.now += 5 * HOUR
    world.restart()
    world.settle()
    world.run(600)
    assert [r for r in world.reasons if r in (Reason.DRILL_OVERDUE, Reason.DRILL_STARTED)] == [
        Reason.DRILL_OVERDUE,
        Reason.DRILL_STARTED,
    ]
    [late] = [entry for entry in world.told if entry.reason is Reason.DRILL_OVERDUE]
    assert late.type == "Warning"
    assert late.message.startswith("The drill of 2023-11-14T23:00:00Z begins 4h13m late")
    assert _text(_drill(world).next) == "2023-11-15T04:00:00+00:00"


def test_one_that_falls_into_a_drill_by_hand_waits_for_its_end_and_is_overdue_after_its_grace() -> None:
    verify = {"verifyData": {"job": JOB, "budget": "2h"}}
    world = begun(_plan(drill=HOURLY, **verify))
    world.run(2700)
    world.ask(Request.DRILL, ASKED)
    world.run(300)
    assert _drill(world).overdue is None
    world.run(600)
    assert _drill(world).overdue is not None
    assert _condition(world) == ("False", "DrillOverdue")
    assert world.at(State.PROGRESSING)
    world.jobs[world.made[0].name] = COMPLETE
    world.settle()
    assert _drill(world).overdue is None
    assert _drill(world).running is not None
    assert _condition(world) == ("True", "DrillPassed")


def test_another_schedule_counts_from_when_it_is_given() -> None:
    plan = _plan(one_phase(duration="40d"), drill={"schedule": "0 0 1 * *"})
    world = begun(plan)
    world.now += 20 * 86400.0
    world.settle()
    before = world.reasons.count(Reason.DRILL_STARTED)
    rollback = dict(world.document["rollback"])
    rollback["drill"] = {"schedule": "30 4 * * *"}
    world.edit(rollback=rollback)
    world.settle()
    assert world.reasons.count(Reason.DRILL_STARTED) == before
    assert _text(_drill(world).next) == "2023-12-05T04:30:00+00:00"
    del rollback["drill"]
    world.edit(rollback=rollback)
    world.settle()
    assert (_drill(world).next, _drill(world).latest, _drill(world).schedule) == (None, None, "")


def test_a_completed_rollout_is_drilled_while_it_is_watched_and_no_longer() -> None:
    plan = _plan(one_phase(), drill=HOURLY)
    plan["rollback"]["keepWatching"] = "2h"
    world = begun(plan)
    world.run_until(State.COMPLETED, within=3 * HOUR)
    count = world.reasons.count(Reason.DRILL_STARTED)
    world.ask(Request.DRILL, ASKED)
    world.settle()
    assert world.reasons.count(Reason.DRILL_STARTED) == count + 1
    assert world.at(State.COMPLETED)
    assert world.condition("Ready") == "True"
    world.run(3 * HOUR)
    count = len(world.tried)
    world.ask(Request.DRILL, "rehearse: once more")
    world.run(3 * HOUR)
    assert len(world.tried) == count
    assert world.told[-1].reason is Reason.REQUEST_IGNORED
    assert world.condition("Ready") == "True"


def test_the_end_of_the_run_ends_its_drill() -> None:
    world = begun(_plan(one_phase(), **VERIFY))
    world.ask(Request.DRILL, ASKED)
    world.settle()
    world.run_until(State.COMPLETED)
    world.settle()
    assert _last(world).result is DrillResult.CUT_SHORT
    assert "the run has ended, and is not watched" in _last(world).message


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("perhaps", "it has to begin with rehearse or live"),
        ("", "it is empty"),
    ],
)
def test_a_request_that_says_nothing_is_told(value: str, why: str) -> None:
    world = begun(_plan())
    world.ask(Request.DRILL, value)
    world.settle()
    assert world.told[-1].reason is Reason.REQUEST_IGNORED
    assert why in world.told[-1].message
    assert world.tried == []


def test_one_at_a_time() -> None:
    world = _asked(**VERIFY)
    world.ask(Request.DRILL, "rehearse: me too")
    world.settle()
    assert "a drill is under way already" in world.told[-1].message
    assert len(world.made) == 1


# ---- what nobody else notices ------------------------------------------------------------------------------------

_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("errors"), st.sampled_from([0.5, 3.0, 50.0])),
        st.tuples(st.just("old"), st.integers(0, 3)),
        st.tuples(st.just("new"), st.integers(0, 3)),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("drift"), st.sampled_from([0.0, 30.0])),
        st.tuples(st.just("wait"), st.integers(1, 90)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("drill"), st.integers(0, 9)),
        st.tuples(st.just("job"), st.sampled_from([COMPLETE, FAILED, MISSING])),
        st.tuples(st.just("answers"), st.booleans()),
        st.tuples(st.just("refuse"), st.booleans()),
        st.tuples(st.just("delete"), st.just(0)),
    ),
    max_size=25,
)
_OF_DRILLS = (Rehearse, RehearseJob, EndRehearsal)


def _happens(world: World, what: str, value: Any) -> None:
    match what:
        case "errors":
            world.read("errors", value)
        case "old" | "new":
            world.ready(Side.OLD if what == "old" else Side.NEW, value)
        case "suspend":
            world.edit(suspend=value)
        case "drift" if world.status.in_flight:
            world.drift(value)
        case "restart":
            world.restart()
        case "delete":
            world.deleting = True


def _seen(world: World) -> tuple[object, ...]:
    s = world.status
    conditions = [(c.type, c.status, c.reason) for c in s.conditions if c.type != "RollbackRehearsed"]
    told = [entry.message for entry in world.told if not entry.reason.value.startswith(("Drill", "Request"))]
    done = [each for each in world.actions if not isinstance(each, _OF_DRILLS)]
    return (s.state, s.reason, s.message, s.phase, s.weight, s.rollback, conditions, told, done, world.share)


@settings(max_examples=60, deadline=None)
@given(_EVENTS)
def test_whatever_happens_a_rollout_with_drills_does_what_one_without_does(events: list[tuple[str, Any]]) -> None:
    """The same weights, at the same moments, for the same reasons; a rollback above all."""
    plain, drilled = World(two_phases()), World(_plan(two_phases(), drill={"schedule": "* * * * *", "grace": "30s"}))
    for what, value in [("wait", 30), *events, ("wait", 60)]:
        for world in (plain, drilled):
            _happens(world, what, value)
        match what:
            case "drill":
                drilled.ask(Request.DRILL, f"rehearse: {value}")
            case "answers":
                drilled.answers_drills = value
            case "refuse":
                drilled.refuses = (
                    dict.fromkeys((f"Switch of {route}" for route in drilled.routes), "no") if value else {}
                )
            case "job":
                for name, fact in drilled.jobs.items():
                    drilled.jobs[name] = value if fact.state is JobState.RUNNING else fact
        for _ in range(value if what == "wait" else 1):
            for world in (plain, drilled):
                world.now += INTERVAL / 10 if what == "wait" else 0.0
                if not world.gone:
                    world.settle()
            assert _seen(plain) == _seen(drilled)

"""Drills, with the real parts of the operator around them: nothing is moved, nobody waits, nothing is run twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.controllers import Course
from fakes.kube import Call
from simulation import people
from simulation.objects import HTTP_ROUTE, JOB, ref
from simulation.plain import succeeded, world
from simulation.procedure import courses, job, with_procedure
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, is_status, once, staged
from simulation.test_crashes import crash_at
from syncrollout.api.words import Request
from syncrollout.ports import ApiError, Forbidden, Invalid, Unavailable

VERIFY = {"verifyData": {"job": job("verify"), "budget": "10s"}}
ASKED = "rehearse: before the weekend"


async def _half(stage: Stage, *, lasts: float = 2.0, well: bool = True, **procedure: Any) -> None:
    """At fifty percent, for long."""
    stage.body["spec"]["phases"][2]["duration"] = "1h"
    with_procedure(stage.body, **procedure)
    stage.world.jobs.course = lambda _: Course(lasts, well=well)
    await stage.begin()
    await stage.reach("Progressing", phase="medium-traffic")
    await stage.when(lambda: stage.status["phase"].get("since") is not None)


def _ask(stage: Stage, value: str = ASKED) -> None:
    people.annotate(stage.plan, Request.DRILL, value)(stage.world)


def _drill(stage: Stage, which: str = "last") -> dict[str, Any]:
    return dict((stage.status.get("drill") or {}).get(which) or {})


async def _drilled(stage: Stage, within: float = 30.0) -> dict[str, Any]:
    """The drill, once it has ended."""
    await stage.when(lambda: bool(_drill(stage)), within=within)
    return _drill(stage)


def _checks(drill: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["result"] for check in drill["checks"]}


def _why(drill: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["message"] for check in drill["checks"]}


def test_all_of_it_is_tried_and_nothing_is_changed() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage, switch={"stopNew": True})
        before = len(stage.world.kube.effects)
        _ask(stage)
        drill = await _drilled(stage)
        assert drill["result"] == "Passed"
        assert list(_checks(drill)) == [
            "Old could take the traffic",
            "Switch of HTTPRoute web",
            "Stop of new",
            "Job of step VerifyData",
            "Job of step Restore",
            "Incident report",
            "Verification of the data",
        ]
        changed = {call.ref.kind.kind for call in stage.world.kube.effects[before:]}
        assert changed <= {"SyncRollout", "Job", "Event", "Pod"}
        tried = [call for call in stage.world.calls if call.dry_run]
        assert {(call.verb, call.ref.kind.kind, call.subresource) for call in tried} == {
            ("patch", "HTTPRoute", ""),
            ("patch", "Deployment", "scale"),
            ("create", "Job", ""),
            ("create", "ConfigMap", ""),
        }
        assert not any(call.urgent for call in tried)
        assert [name.rsplit("-", 1)[0] for name in stage.world.jobs.ran] == ["sync-drill-verify-data"]
        assert stage.share == 50
        made = stage.world.kube.read(ref(JOB, stage.world.jobs.ran[0]))
        assert made is not None
        assert made["metadata"]["labels"]["syncrollout.io/drill"] == "Rehearse"
        told = [entry["reason"] for entry in stage.status["history"]]
        assert told[-2:] == ["DrillStarted", "DrillPassed"]
        assert stage.condition("RollbackRehearsed")["status"] == "True"

    staged(story)


def test_a_route_without_weight_is_tried_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        stage.body["spec"]["phases"][0]["duration"] = "1h"
        await stage.begin()
        await stage.reach("Progressing", phase="parallel-run")
        stage.world.kube.forbid("patch", HTTP_ROUTE)
        _ask(stage)
        drill = await _drilled(stage)
        assert drill["result"] == "Failed"
        assert 'lacks the right to "patch"' in drill["message"]
        assert stage.condition("RollbackRehearsed")["status"] == "False"
        assert stage.state == "Progressing"

    staged(story)


def test_by_the_schedule_it_begins_by_itself() -> None:
    async def story(stage: Stage) -> None:
        stage.body["spec"]["rollback"]["drill"] = {"schedule": "* * * * *"}
        await _half(stage)
        await stage.when(lambda: _drill(stage).get("result") == "Passed", within=90.0)
        first = _drill(stage)["started"]
        await stage.when(lambda: _drill(stage)["started"] != first, within=90.0)
        assert _drill(stage)["cause"] == "Schedule"

    staged(story)


@pytest.mark.parametrize("what", ["tries", "job", "look"])
def test_a_breach_is_back_in_time_while_a_drill_hangs(what: str) -> None:
    """Every call that a drill makes hangs for as long as the client lets it."""

    async def story(stage: Stage) -> None:
        await _half(stage, lasts=8.0)
        usual = stage.world.kube.before
        assert usual is not None
        hung: list[Call] = []

        async def hangs(call: Call) -> None:
            await usual(call)
            of = {
                "tries": call.dry_run,
                "job": call.ref.kind == JOB and call.verb == "create" and not call.dry_run,
                "look": call.ref.kind == JOB and call.verb == "get",
            }
            if of[what] and stage.share:
                hung.append(call)
                await asyncio.sleep(5.0)
                raise Unavailable("no answer within 5 s", status=0)

        stage.world.kube.before = hangs
        _ask(stage)
        await stage.when(lambda: bool(hung))
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.when(lambda: stage.share == 0, within=1.5)
        drill = await _drilled(stage, within=1.0)
        assert drill["result"] == "CutShort"
        await stage.reach("RolledBack")
        assert len({each for each in stage.world.jobs.ran if "-drill-" not in each}) >= 1

    staged(story)


@pytest.mark.parametrize("error", [Unavailable("no answer", status=0), Forbidden("roles are not loaded yet")])
def test_what_an_api_server_cannot_answer_just_now_is_asked_again(error: ApiError) -> None:
    async def story(stage: Stage) -> None:
        await _half(stage)
        stage.spoil(once(error, lambda call: call.dry_run))
        _ask(stage)
        drill = await _drilled(stage)
        assert drill["result"] == "Passed"

    staged(story)


def test_what_it_never_answers_is_no_pass() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage)

        def refused(call: Call) -> ApiError | None:
            mine = call.dry_run and call.ref.kind == HTTP_ROUTE
            return Unavailable("webhook timed out", status=500) if mine else None

        stage.spoil(refused)
        _ask(stage)
        drill = await _drilled(stage, within=90.0)
        assert drill["result"] == "Failed"
        assert "webhook timed out" in drill["message"]

    staged(story)


def test_damage_that_the_verification_finds_fails_the_drill() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage, well=False)
        _ask(stage)
        drill = await _drilled(stage)
        assert drill["result"] == "Failed"
        assert "has found damage, or could not look: exit code 2" in _why(drill)["Verification of the data"]
        assert stage.state == "Progressing"

    staged(story)


def test_a_job_that_admission_refuses_is_named_and_not_made() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage)

        def refused(call: Call) -> ApiError | None:
            return Forbidden("pods must not run as root") if call.ref.kind == JOB and call.verb == "create" else None

        stage.spoil(refused)
        _ask(stage)
        drill = await _drilled(stage)
        assert _why(drill)["Job of step Restore"] == "pods must not run as root"
        assert stage.world.jobs.ran == []

    staged(story)


def test_a_job_that_is_refused_after_all_is_tried_now_and_then_and_not_after_its_time() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage)
        asked: list[float] = []

        def refused(call: Call) -> ApiError | None:
            mine = call.ref.kind == JOB and call.verb == "create" and not call.dry_run
            if mine:
                asked.append(stage.world.now)
            return Invalid("exceeded quota: pods") if mine else None

        stage.spoil(refused)
        _ask(stage)
        drill = await _drilled(stage, within=60.0)
        assert drill["result"] == "Failed"
        assert "exceeded quota: pods" in drill["message"]
        assert 2 <= len(asked) <= 3
        assert asked[-1] - asked[0] <= 10.0, "the budget of the step"

    staged(story)


@pytest.mark.parametrize("after", [False, True])
def test_an_answer_that_is_lost_makes_no_second_job(after: bool) -> None:
    async def story(stage: Stage) -> None:
        await _half(stage)
        lost = Unavailable("no answer", status=0)
        stage.spoil(
            once(lost, lambda call: call.ref.kind == JOB and not call.dry_run and call.verb == "create"), after=after
        )
        _ask(stage)
        drill = await _drilled(stage)
        assert drill["result"] == "Passed"
        assert len(stage.world.jobs.ran) == 1

    staged(story)


def test_an_api_server_that_does_not_record_has_nothing_done() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage)
        refusing = [True]

        def refused(call: Call) -> ApiError | None:
            begun = is_status(call) and "running" in (call.body["status"].get("drill") or {})
            return Unavailable("no", status=500) if refusing[0] and begun else None

        stage.spoil(refused)
        _ask(stage)
        end = stage.world.now + 6.0
        await stage.when(lambda: stage.world.now > end)
        assert not any(call.dry_run for call in stage.world.calls)
        assert stage.world.jobs.ran == []
        refusing[0] = False
        drill = await _drilled(stage, within=60.0)
        assert drill["result"] == "Passed"

    staged(story)


def test_the_deletion_of_the_rollout_waits_for_no_drill() -> None:
    async def story(stage: Stage) -> None:
        await _half(stage, lasts=1000.0)
        _ask(stage)
        await stage.when(lambda: bool(stage.world.jobs.ran))
        stage.world.kube.delete(stage.plan.ref)
        await stage.when(lambda: stage.world.kube.read(stage.plan.ref) is None, within=5.0)
        assert stage.share == 0

    staged(story)


# ---- Live ----

LIVE = {
    "schedule": "0 0 1 1 *",
    "mode": "Live",
    "liveFor": "5s",
    "windows": [{"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "from": "00:00", "to": "24:00"}],
}


def test_live_all_traffic_is_at_old_for_a_while_and_comes_back() -> None:
    async def story(stage: Stage) -> None:
        stage.body["spec"].setdefault("rollback", {})["drill"] = LIVE
        await _half(stage)
        _ask(stage, "live: the monthly one")
        await stage.when(lambda: stage.share == 0, within=3.0)
        began = stage.world.now
        await stage.when(lambda: stage.share == 50, within=10.0)
        assert 4.5 <= stage.world.now - began <= 7.0
        drill = await _drilled(stage)
        assert drill["result"] == "Passed"
        assert list(_checks(drill)) == ["All traffic at old", "Stood at old", "Back at 50 %"]
        assert stage.status["phase"]["lasted"] > 0

    staged(story)


def test_live_a_breach_meanwhile_stays_at_old() -> None:
    async def story(stage: Stage) -> None:
        stage.body["spec"].setdefault("rollback", {})["drill"] = LIVE
        await _half(stage)
        _ask(stage, "live: the monthly one")
        await stage.when(lambda: stage.share == 0, within=3.0)
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack")
        assert stage.share == 0
        assert _drill(stage)["result"] == "CutShort"

    staged(story)


def _live_run() -> Scenario:
    scenario = world(seconds=7, one=True)
    for _, body in scenario.rollouts:
        # Loop time 120 s is a full minute: it stands at ten or at fifty percent then.
        body["spec"]["rollback"]["drill"] = {**LIVE, "schedule": "2 0 1 1 *", "liveFor": "3s"}
    scenario.deadline += 60.0
    return scenario


def test_live_a_crash_at_any_call_brings_everything_back_and_ends_the_same() -> None:
    reference = succeeded(simulate(_live_run()))
    assert _of_drills(reference.shape["sync"]) == ["DrillStarted", "DrillAtOld", "DrillPassed"]
    routes = [number for number, what in enumerate(reference.writes, 1) if what == "patch HTTPRoute "]
    died = 0
    for call in range(routes[1] + 1, routes[3] + 4):
        what = reference.writes[call - 1]
        reads = what.split()[0] in {"list", "watch", "get"}
        for after in (False,) if reads else (False, True):
            report = crash_at(_live_run, call, after=after, restart=0.05 if call % 2 else 4.0)
            died += report.processes - 1
            assert report.ends == reference.ends
            told = _of_drills(report.shape["sync"])
            assert told.count("DrillStarted") == told.count("DrillPassed") == 1, f"call {call} {what}: {told}"
    assert died >= (routes[3] - routes[1]) // 2, "the crashes did not happen"


def _drilled_run() -> Scenario:
    scenario = world(seconds=7, one=True)
    for _, body in scenario.rollouts:
        with_procedure(body, restore=None, evidence=None)
        body["spec"]["rollback"]["procedure"] = VERIFY
        # Loop time 120 s is a full minute; the run begins at 103.
        body["spec"]["rollback"]["drill"] = {"schedule": "* * * * *", "grace": "50s"}
    scenario.courses = courses(damaged=False, lasts=3.0)
    scenario.deadline += 20.0
    return scenario


def _of_drills(reasons: list[str]) -> list[str]:
    return [reason for reason in reasons if reason.startswith("Drill")]


def test_a_crash_at_any_call_of_a_drill_makes_no_second_job_and_loses_no_result() -> None:
    reference = succeeded(simulate(_drilled_run()))
    assert _of_drills(reference.shape["sync"]) == ["DrillStarted", "DrillPassed"]
    assert reference.jobs == ["sync-drill-verify-data"]
    tries = [number for number, what in enumerate(reference.writes, 1) if what.startswith("try")]
    last = max(number for number, what in enumerate(reference.writes, 1) if what == "get Job ")
    died = 0
    for call in range(tries[0] - 4, last + 6):
        what = reference.writes[call - 1]
        reads = what.split()[0] in {"list", "watch", "get", "try"}
        for after in (False,) if reads else (False, True):
            report = crash_at(_drilled_run, call, after=after, restart=0.05 if call % 2 else 4.0)
            died += report.processes - 1
            assert report.ends == reference.ends
            assert len(report.jobs) == len(set(report.jobs)), what
            told = _of_drills(report.shape["sync"])
            assert told[-1] in ("DrillPassed", "DrillCutShort"), f"call {call} {what}: {told}"
            assert told.count("DrillStarted") == told.count("DrillPassed") + told.count("DrillCutShort")
    assert died >= (last - tries[0]) // 2, "the crashes did not happen"

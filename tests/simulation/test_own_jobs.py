"""Jobs of the checklist and of day one: made once, whenever the operator dies, and never in the way of going back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fakes.controllers import Course
from fakes.patching import clone
from simulation.objects import JOB, ref
from simulation.plain import succeeded, world
from simulation.procedure import job
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, staged
from simulation.test_crashes import crash_at, milestones
from syncrollout.ports import Object

CHECKS: list[Object] = [
    {"name": "load", "group": "Code", "job": job("load"), "budget": "30s"},
    {
        "name": "runbook",
        "group": "Documents",
        "resourceExists": {"apiVersion": "v1", "kind": "ConfigMap", "name": "runbook"},
    },
]
DAY_ONE: Object = {
    "backup": {"job": job("backup"), "budget": "20s"},
    "migrate": {"job": job("migrate"), "budget": "20s"},
    "testSync": {"job": job("test-sync"), "budget": "20s"},
}
ALL = ["check", "backup", "migrate", "test-sync"]


def courses(*broken: str, lasts: float = 2.0) -> Callable[[Object], Course]:
    """Jobs that end well, but for those of these images."""

    def course(made: Object) -> Course:
        image = made["spec"]["template"]["spec"]["containers"][0]["image"]
        return Course(lasts, well=image not in broken)

    return course


def prepare(stage: Stage, *broken: str, **day_one: Any) -> None:
    """The rollout with a checklist and a day one; the runbook is there."""
    stage.body["spec"]["preflight"] = {"interval": "2s", "checks": CHECKS, "dayOne": DAY_ONE | day_one}
    stage.world.jobs.course = courses(*broken)
    metadata = {"name": "runbook", "namespace": ref(JOB, "x").namespace}
    stage.world.kube.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def ran(stage: Stage) -> list[str]:
    """What each Job was for, in order."""
    return [name.removeprefix("sync-").rsplit("-", 1)[0] for name in stage.world.jobs.ran]


def test_the_checklist_comes_first_then_day_one_then_traffic() -> None:
    async def story(stage: Stage) -> None:
        prepare(stage)
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        assert ran(stage) == ALL
        assert [each["state"] for each in stage.status["dayOne"]] == ["Succeeded"] * 3

    staged(story)


def test_a_migration_that_fails_goes_back_before_anything_has_moved() -> None:
    async def story(stage: Stage) -> None:
        prepare(stage, "migrate")
        await stage.begin()
        await stage.reach("RolledBack")
        assert ran(stage) == ALL[:3]
        assert stage.share == 0
        assert "Migrate of day one has failed" in stage.status["rollback"]["message"]

    staged(story)


def test_nothing_that_runs_holds_up_an_emergency_stop() -> None:
    async def story(stage: Stage) -> None:
        prepare(stage)
        stage.world.jobs.course = courses(lasts=15.0)
        await stage.begin()
        await stage.when(lambda: len(stage.world.jobs.ran) == 2)
        body = clone(stage.world.kube.read(stage.plan.ref))
        body["spec"]["emergencyStop"] = True
        stage.world.kube.put(body)
        await stage.when(lambda: stage.state == "RolledBack", within=1.5)
        assert [each["state"] for each in stage.status["dayOne"]] == ["Skipped"] * 3

    staged(story)


def _with_jobs(*broken: str) -> Scenario:
    scenario = world(seconds=2, one=True)
    for _, body in scenario.rollouts:
        body["spec"]["preflight"] = {"interval": "2s", "checks": CHECKS[:1], "dayOne": DAY_ONE}
    scenario.courses = courses(*broken)
    scenario.goals = [
        replace(goal, ends=frozenset({"RolledBack" if broken else "Completed"})) for goal in scenario.goals
    ]
    return scenario


WAITS = frozenset({"PreflightRunning", "PreflightIncomplete"})


def test_a_crash_at_any_call_runs_no_job_twice_and_changes_no_result() -> None:
    def make() -> Scenario:
        return _with_jobs("test-sync")

    reference = succeeded(simulate(make()))
    story = [each for each in milestones(reference) if each not in WAITS]
    first = next(number for number, what in enumerate(reference.writes, 1) if what.startswith("create Job"))
    last = max(number for number, what in enumerate(reference.writes, 1) if what.startswith("create Job"))
    died = 0
    for call in range(first - 6, last + 8):
        what = reference.writes[call - 1]
        if what == reference.writes[call - 2]:
            continue  # one look at a Job is like the next
        reads = what.split()[0] in {"list", "watch", "get"}
        for after in (False,) if reads else (False, True):
            restart = 0.05 if call % 2 else 4.0  # at once, and after the Job has ended
            report = crash_at(make, call, after=after, restart=restart)
            died += report.processes - 1
            assert report.ends == reference.ends
            found = [each for each in milestones(report) if each not in WAITS]
            assert found == story, f"call {call} {what}, {after=}, {restart=}"
            assert report.jobs == reference.jobs
    assert died >= (last - first) // 2, "the crashes did not happen"


def _verified(*, fails: bool) -> Scenario:
    """A phase in which a check is run every minute, twice at least."""
    scenario = world(seconds=2, one=True)
    for _, body in scenario.rollouts:
        check = {"name": "consistency", "schedule": "* * * * *", "job": job("check"), "budget": "20s"}
        severity = "Critical" if fails else "Medium"
        body["spec"]["phases"][1] |= {"duration": "125s", "verification": [check | {"severity": severity}]}
    scenario.courses = courses(*(["check"] if fails else []))
    scenario.deadline = 200.0
    ends = frozenset({"RolledBack" if fails else "Completed"})
    scenario.goals = [replace(goal, ends=ends) for goal in scenario.goals]
    return scenario


def test_a_verification_is_run_every_minute_of_its_phase() -> None:
    report = succeeded(simulate(_verified(fails=False)))
    assert {name.rsplit("-", 1)[-1] for name in report.jobs} == {"verification"}
    assert len(report.jobs) in (2, 3)


def test_a_crash_at_any_call_runs_no_verification_twice_and_goes_back_once_it_has_failed() -> None:
    def make() -> Scenario:
        return _verified(fails=True)

    reference = succeeded(simulate(make()))
    assert len(reference.jobs) == 1
    made = next(number for number, what in enumerate(reference.writes, 1) if what.startswith("create Job"))
    for call in range(made - 3, made + 4):
        for after in (False, True):
            report = crash_at(make, call, after=after, restart=0.05)
            assert report.ends == reference.ends
            assert len(report.jobs) == 1, f"call {call} {reference.writes[call - 1]}, {after=}"

"""What people report, while processes die and calls fail: none is lost, none counts twice."""

from __future__ import annotations

import asyncio
import random

import pytest

from fakes.patching import clone
from simulation import objects, people
from simulation.faults import Faults
from simulation.invariants import Plan
from simulation.loop import START
from simulation.people import Deed
from simulation.plain import succeeded, world
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, staged
from simulation.test_crashes import crash_at, milestones
from simulation.world import World, nobody
from syncrollout.api.words import Request
from syncrollout.ports import Object

THREE = {"1": "high by kim: gone", "2": "critical by lee: gone too", "3": "low: it is slow"}
STORY = ["PhaseStarted", "ReportReceived", "ReportReceived", "ReportReceived", "TriggerBreached", "RolledBack"]


def judged_by_reports(spec: Object, *triggers: Object) -> None:
    """Two phases that last, and nothing else that could go back."""
    spec["rollback"] = {"triggers": list(triggers)}
    spec["phases"] = [clone(spec["phases"][place]) for place in (1, 2)]
    for each in spec["phases"]:
        each |= {"success": [], "rollbackOn": [], "duration": "30s"}


def once_it_stands(plan: Plan, act: people.Act) -> people.Act:
    """Done as soon as people can see that the first phase stands."""

    def wait(world: World) -> None:
        if (objects.status_of(world.kube.read(plan.ref)).get("phase") or {}).get("since"):
            act(world)
        elif world.now < START + 100.0:
            asyncio.get_running_loop().call_later(0.5, wait, world, context=nobody())

    return wait


def reported(*, at_least: int = 3) -> Scenario:
    """Three people report at one moment; three are needed."""
    scenario = world(seconds=3, one=True)
    judged_by_reports(scenario.rollouts[0][1]["spec"], {"severity": "Critical", "reports": "Low", "atLeast": at_least})
    [goal] = scenario.goals
    goal.ends, goal.retires = frozenset({"RolledBack"}), False
    act = once_it_stands(goal.plan, people.report(goal.plan, THREE))
    scenario.deeds = [Deed(5.0, "three people report", act)]
    scenario.deadline = 90.0
    return scenario


def test_a_crash_at_any_call_loses_no_report_and_counts_none_twice() -> None:
    reference = succeeded(simulate(reported()))
    assert milestones(reference) == STORY
    for call, what in enumerate(reference.writes, start=1):
        if what.split()[0] in {"list", "watch", "get"} or "Event" in what:
            continue
        for after in (False, True):
            report = crash_at(reported, call, after=after, restart=0.05)
            assert milestones(report) == STORY, f"call {call} ({what}), after={after}"


@pytest.mark.parametrize("number", range(6))
def test_whatever_fails_each_is_counted_once(number: int) -> None:
    chance = random.Random(f"{number}/reported")
    scenario = reported()
    rate = chance.choice([0.01, 0.03, 0.06])
    scenario.seed, scenario.calm_from, scenario.deadline = f"reported {number}", 25.0, 150.0
    scenario.faults = Faults(
        until=25.0, conflict=rate, error=rate, timeout=rate / 4, late=rate / 4, reset=rate, slow=rate, crash=rate / 2
    )
    report = succeeded(simulate(scenario))
    assert milestones(report).count("ReportReceived") == len(THREE)


def test_a_report_wakes_the_rollout_and_waits_for_no_interval() -> None:
    async def story(stage: Stage) -> None:
        stage.body = clone(stage.body)
        judged_by_reports(stage.body["spec"], {"severity": "Critical", "reports": "High"})
        stage.body["spec"]["prometheus"]["interval"] = "30s"
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic", within=300.0)
        await stage.when(lambda: stage.share == 10)
        people.report(stage.plan, {"1": "high by kim: gone"})(stage.world)
        asked = stage.world.now
        await stage.when(lambda: stage.share == 0)
        assert stage.world.now - asked < 0.3
        await stage.reach("RolledBack", within=5.0)
        assert stage.status["reports"]["counted"]["high"] == 1
        [failed] = [each for each in stage.status["criteria"] if each["verdict"] == "Fail"]
        assert failed["id"] == "trigger/0/reports:High"

    staged(story)


def test_at_rest_a_report_costs_one_write_and_says_that_it_counts_nowhere() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        people.annotate(stage.plan, Request.ROLLBACK, "first")(stage.world)
        await stage.reach("RolledBack")
        await asyncio.sleep(10.0)
        stage.invariants.records.clear()  # somebody reports something: it may speak again
        before = len(stage.world.calls)
        people.report(stage.plan, {"1": "high: too late"})(stage.world)
        await asyncio.sleep(60.0)
        made = sorted(call.split()[0] for call in stage.calls(before))
        assert [verb for verb in made if verb not in {"list", "watch"}] == ["create", "patch"]
        assert stage.status["history"][-1]["reason"] == "RequestIgnored"

    staged(story, guarded=False)

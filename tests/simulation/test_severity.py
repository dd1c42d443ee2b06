"""Breaches of every severity, and what people ask for, while processes die and calls fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from fakes.patching import clone
from simulation import objects, people
from simulation.faults import Faults
from simulation.invariants import Plan
from simulation.loop import START
from simulation.metrics import Chances, Trouble
from simulation.people import Deed
from simulation.plain import succeeded, world
from simulation.scenario import Report, Scenario, simulate
from simulation.stage import Stage, staged
from simulation.test_crashes import crash_at, milestones
from simulation.world import World, nobody
from syncrollout.api.words import Request
from syncrollout.ports import Object


def graded(spec: Object, severity: str, **settings: Object) -> None:
    """One trigger on the duration, and no other way back; the phases that matter last for longer than a deadline."""
    spec["rollback"] = {"triggers": [{"metric": "duration", "above": 5, "severity": severity}], **settings}
    spec["phases"] = [clone(spec["phases"][place]) for place in (1, 2)]
    for each in spec["phases"]:
        each["success"], each["rollbackOn"] = [], []


def breached(severity: str, ends: str, *, lasts: float = float("inf"), **settings: Object) -> Scenario:
    """New is slow in the first phase, of two."""
    scenario = world(seconds=3, one=True, breach="small-traffic")
    graded(scenario.rollouts[0][1]["spec"], severity, **settings)
    [breach] = scenario.breaches
    breach.delay, breach.lasts, breach.within = 0.5, lasts, None
    if ends != "RolledBack":
        breach.back = -1.0
    [goal] = scenario.goals
    goal.ends, goal.retires = frozenset({ends}), False
    return scenario


HIGH = {"high": {"within": "4s", "clearFor": "1s"}}
MEDIUM = {"medium": {"decideWithin": "4s", "default": "Rollback", "clearFor": "1s"}}


def once_it_is_there(plan: Plan, act: people.Act) -> people.Act:
    """Done as soon as people can see that an incident is open."""

    def wait(world: World) -> None:
        if objects.status_of(world.kube.read(plan.ref)).get("incident"):
            act(world)
        elif world.now < START + 100.0:
            asyncio.get_running_loop().call_later(0.5, wait, world, context=nobody())

    return wait


def overridden() -> Scenario:
    """A person gives a reason, once the incident is there; it is the same after a restart."""
    scenario = breached("High", "Completed", lasts=30.0, high={"within": "8s"})
    scenario.rollouts[0][1]["spec"]["phases"] = [
        each | {"weight": 100} for each in scenario.rollouts[0][1]["spec"]["phases"][:1]
    ]
    plan = scenario.goals[0].plan
    act = once_it_is_there(plan, people.annotate(plan, Request.OVERRIDE, "known"))
    scenario.deeds = [Deed(5.0, "the incident is overridden", act)]
    return scenario


def decided() -> Scenario:
    """A person sends it back."""
    scenario = breached("Medium", "RolledBack", medium={"decideWithin": "1h"})
    plan = scenario.goals[0].plan
    act = once_it_is_there(plan, people.annotate(plan, Request.DECIDE, "rollback"))
    scenario.deeds = [Deed(5.0, "a person decides", act)]
    return scenario


def stepping(*, shards: str = "") -> Scenario:
    """The second phase of three fails for a moment, and gives way to the first."""
    scenario = world(seconds=3, one=True, breach="medium-traffic", shards=shards)
    spec = scenario.rollouts[0][1]["spec"]
    spec["phases"] = [spec["phases"][place] for place in (1, 2, 4)]
    for each in spec["phases"]:
        each |= {"success": [], "rollbackOn": [], "duration": "6s"}
    for each in spec["phases"][1:]:
        each |= {"rollbackOn": [{"metric": "duration", "above": 5}], "onFailure": "StepBack"}
    spec["rollback"] = {"maxStepBacks": 2}
    [breach] = scenario.breaches
    breach.delay, breach.lasts, breach.within, breach.back = 2.0, 2.5, None, -1.0
    [goal] = scenario.goals
    goal.ends = frozenset({"Completed"})
    scenario.deadline = 90.0
    return scenario


def watched() -> Scenario:
    """New fails once the run has completed, while it is watched; old had been stopped."""
    scenario = world(seconds=1, one=True, breach="full-migration")
    spec = scenario.rollouts[0][1]["spec"]
    spec["phases"] = [spec["phases"][place] for place in (1, 4)]
    for each in spec["phases"]:
        each["success"], each["rollbackOn"] = [], []
    spec["rollback"]["keepWatching"] = "60s"
    [breach] = scenario.breaches
    breach.delay, breach.within = 12.0, None  # also where who leads anew lets the run end only after a while
    scenario.deadline = 90.0
    return scenario


STEPPED = ["PhaseStarted", "PhaseStarted", "SteppedBack", "PhaseStarted", "PhaseStarted", "Completed"]
CASES: dict[str, tuple[Callable[[], Scenario], list[str]]] = {
    "High at its deadline": (
        lambda: breached("High", "RolledBack", **HIGH),
        ["PhaseStarted", "RollbackDue", "IncidentOverdue", "RolledBack"],
    ),
    "Medium by default": (
        lambda: breached("Medium", "RolledBack", **MEDIUM),
        ["PhaseStarted", "AwaitingDecision", "IncidentOverdue", "RolledBack"],
    ),
    "Medium decided": (decided, ["PhaseStarted", "AwaitingDecision", "RollbackRequested", "RolledBack"]),
    "StepBack": (stepping, STEPPED),
    "watched after completion": (
        watched,
        ["PhaseStarted", "PhaseStarted", "Completed", "TriggerBreached", "RolledBack"],
    ),
    "StepBack with slots": (lambda: stepping(shards="Ack"), STEPPED),
    "High overridden": (overridden, ["PhaseStarted", "RollbackDue", "IncidentOverridden", "Completed"]),
}


def told(report: Report) -> list[str]:
    """The story; that a phase goes on is only told where there was time for it, and handovers may be made twice."""
    left_out = ("Resumed", "Shards", "PreflightRunning")
    return [reason for reason in milestones(report) if not reason.startswith(left_out)]


@pytest.mark.parametrize("case", CASES)
def test_a_crash_at_any_call_changes_neither_the_end_nor_the_story(case: str) -> None:
    make, story = CASES[case]
    reference = succeeded(simulate(make()))
    assert told(reference) == story
    for call, what in enumerate(reference.writes, start=1):
        if what.split()[0] in {"list", "watch", "get"} or "Event" in what:
            continue  # a death at a look is one before the next write
        for after in (False, True):
            report = crash_at(make, call, after=after, restart=0.05)
            assert report.ends == reference.ends, f"call {call} ({what}), after={after}"
            assert told(report) == story, f"call {call} ({what}), after={after}"


@pytest.mark.parametrize("number", range(16))
def test_whatever_fails_it_ends_as_its_severity_says(number: int) -> None:
    chance = random.Random(f"{number}/severity")
    make, _ = CASES[list(CASES)[number % len(CASES)]]
    scenario = make()
    rate = chance.choice([0.01, 0.03, 0.06])
    scenario.seed, scenario.calm_from, scenario.deadline = f"severity {number}", 25.0, 150.0
    scenario.faults = Faults(
        until=25.0, conflict=rate, error=rate, timeout=rate / 4, late=rate / 4, reset=rate, slow=rate, crash=rate / 2
    )
    scenario.trouble = Trouble(Chances(timeout=rate, no_data=rate), until=25.0)
    scenario.goals[0].ends = frozenset({"Completed", "RolledBack"})
    for breach in scenario.breaches:
        breach.back = breach.back or -1.0  # an answer that comes too late may let the phase pass
    succeeded(simulate(scenario))


def test_what_a_person_asks_for_wakes_the_rollout_and_is_answered_at_once() -> None:
    async def story(stage: Stage) -> None:
        stage.body = clone(stage.body)
        stage.body["spec"]["prometheus"]["interval"] = "30s"
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic", within=300.0)
        await stage.when(lambda: stage.share == 50)
        people.annotate(stage.plan, Request.ROLLBACK, "users complain")(stage.world)
        asked = stage.world.now
        await stage.when(lambda: stage.share == 0)
        assert stage.world.now - asked < 0.3
        await stage.reach("RolledBack", within=5.0)
        assert stage.status["requests"] == {"rollback": "users complain"}

    staged(story)


def test_at_rest_a_request_costs_one_write_and_a_retry_begins_the_next_run() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        people.annotate(stage.plan, Request.ROLLBACK, "first")(stage.world)
        await stage.reach("RolledBack")
        await asyncio.sleep(10.0)
        stage.invariants.records.clear()  # somebody asks for something: it may speak again
        before = len(stage.world.calls)
        people.annotate(stage.plan, Request.OVERRIDE, "too late")(stage.world)
        await asyncio.sleep(60.0)
        made = sorted(call.split()[0] for call in stage.calls(before))
        assert [verb for verb in made if verb not in {"list", "watch"}] == ["create", "patch"]
        assert stage.status["history"][-1]["reason"] == "RequestIgnored"
        people.annotate(stage.plan, Request.RETRY, "second")(stage.world)
        await stage.reach("Completed")
        assert (stage.status["run"], stage.status["revision"]) == (2, "1")
        await asyncio.sleep(10.0)
        stage.invariants.records.clear()
        before = len(stage.world.calls)
        people.take_back(stage.plan, Request.RETRY)(stage.world)
        await asyncio.sleep(60.0)
        made = sorted(call.split()[0] for call in stage.calls(before))
        assert [verb for verb in made if verb not in {"list", "watch"}] == ["patch"]
        assert stage.status["requests"] == {"override": "too late", "rollback": "first"}

    staged(story, guarded=False)

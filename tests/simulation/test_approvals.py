"""Approvals, holds and skips, while processes die and calls fail: no gate opens by itself, and none stays shut."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulation import approving, objects
from simulation.approving import APPROVER, OTHER
from simulation.faults import Faults
from simulation.people import Deed, pods
from simulation.plain import succeeded, world
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, staged
from simulation.test_crashes import crash_at, milestones
from syncrollout.api.words import HOLD, Request

STORY = [
    *("PhaseStarted", "ApprovalRequested", "Approved"),
    *("PhaseStarted", "ApprovalRequested", "Approved"),
    "Completed",
]


def gated(*, eager: float = 0.0) -> Scenario:
    """Two phases that ask for an approval."""
    scenario = world(seconds=2, one=True)
    body = scenario.rollouts[0][1]
    body["spec"]["phases"] = [body["spec"]["phases"][place] for place in (1, 3)]
    approving.asks_for_approvals(body)
    scenario.goals[0].retires = False
    scenario.deadline = 60.0
    plan = scenario.goals[0].plan
    scenario.deeds = [Deed(4.0, "somebody approves", approving.approves(plan, 59.0, eager=eager, seed="gated"))]
    return scenario


def test_a_crash_at_any_call_opens_no_gate_and_loses_no_approval() -> None:
    reference = succeeded(simulate(gated()))
    assert milestones(reference) == STORY
    for call, what in enumerate(reference.writes, start=1):
        if what.split()[0] in {"list", "watch", "get"} or "Event" in what:
            continue
        for after in (False, True):
            report = crash_at(gated, call, after=after, restart=0.05)
            assert milestones(report) == STORY, f"call {call} ({what}), after={after}"


@pytest.mark.parametrize("number", range(6))
def test_whatever_fails_who_may_lets_it_on_and_nobody_else(number: int) -> None:
    chance = random.Random(f"{number}/approved")
    scenario = gated(eager=chance.choice([0.0, 0.2]))
    plan = scenario.goals[0].plan
    rate = chance.choice([0.01, 0.03, 0.06])
    scenario.seed, scenario.calm_from, scenario.deadline = f"approved {number}", 25.0, 150.0
    scenario.deeds = [Deed(4.0, "kim approves", approving.approves(plan, 149.0, seed=str(number)))]
    for _ in range(4):
        act = approving.of_the_present_phase(plan, chance.choice([OTHER, ""]), Request.APPROVE)
        scenario.deeds.append(Deed(chance.uniform(4.0, 24.0), "mallory approves", act))
    start = chance.uniform(4.0, 15.0)
    scenario.deeds.append(Deed(start, "a hold", approving.says(plan, OTHER, {HOLD: "wait"})))
    scenario.deeds.append(Deed(start + 6.0, "no hold", approving.says(plan, APPROVER, {HOLD: None})))
    scenario.deeds.sort(key=lambda deed: deed.at)
    scenario.faults = Faults(
        until=25.0, conflict=rate, error=rate, timeout=rate / 4, late=rate / 4, reset=rate, slow=rate, crash=rate / 2
    )
    report = succeeded(simulate(scenario))
    assert report.ends == {"sync": "Completed"}


@pytest.mark.parametrize("what", ["awaits an approval", "is held"])
def test_new_dies_while_it_stands_still_and_everything_goes_back(what: str) -> None:
    async def story(stage: Stage) -> None:
        approving.asks_for_approvals(stage.body)
        await stage.begin()
        await stage.reach("AwaitingApproval")
        approving.of_the_present_phase(stage.plan, APPROVER, Request.APPROVE)(stage.world)
        await stage.reach("Progressing", phase="small-traffic")
        await stage.when(lambda: stage.share == 10)
        if what == "is held":
            approving.says(stage.plan, OTHER, {HOLD: "wait"})(stage.world)
            await stage.reach("Paused")
        else:
            await stage.reach("AwaitingApproval")
        died = stage.world.now
        pods(stage.plan.new_ref, crash=True)(stage.world)
        await stage.when(lambda: stage.share == 0)
        assert stage.world.now - died < 2.0
        await stage.reach("RolledBack")

    staged(story)


def test_while_it_waits_for_an_approval_nothing_is_written_but_reminders() -> None:
    async def story(stage: Stage) -> None:
        approving.asks_for_approvals(stage.body)
        stage.body["spec"]["approval"]["remind"] = "1h"
        await stage.begin()
        await stage.reach("AwaitingApproval")
        await asyncio.sleep(70.0)
        before = len(stage.world.calls)
        await asyncio.sleep(50.0)
        made = [call for call in stage.calls(before) if call.split()[0] not in {"list", "watch"}]
        assert len(made) <= 1  # what only brings verdicts up to date, once a minute
        assert objects.state_of(stage.world.kube.read(stage.plan.ref)) == "AwaitingApproval"

    staged(story)

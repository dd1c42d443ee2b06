"""What sends traffic back at once must not wait for a Prometheus that hangs, nor for an API server that asks for
patience."""

from __future__ import annotations

import pytest

from simulation import people
from simulation.faults import Faults
from simulation.people import Act
from simulation.plain import succeeded, world
from simulation.scenario import GONE, Breach, Scenario, simulate
from simulation.world import World
from syncrollout.api.words import Unknown

AT_ONCE = 0.2
"""Seconds."""


def with_deed(act: Act, *, ends: str) -> tuple[Scenario, Breach]:
    """Phases of 20 s; Prometheus hangs from second 30 on, with a time-out of 10 s; the deed is done at 36.5, while new
    has a share. The breach only measures how long traffic takes to be back after the deed."""
    scenario = world(seconds=20, one=True)
    plan = scenario.goals[0].plan
    scenario.rollouts[0][1]["spec"]["prometheus"]["timeout"] = "10s"
    scenario.goals[0].ends = frozenset({ends})
    measure = Breach(plan, "", 0.0, within=AT_ONCE)
    scenario.breaches = [measure]

    def measured(world: World) -> None:
        world.source.bad.clear()  # it is the deed that counts, not what is measured
        measure.since = world.now
        act(world)

    def hang(world: World) -> None:
        world.source.blackouts.append((world.now, world.now + 60.0, Unknown.TIMEOUT))

    scenario.deeds = [people.Deed(30.0, "Prometheus hangs", hang), people.Deed(36.5, "the deed", measured)]
    scenario.deadline = 120.0
    return scenario, measure


@pytest.mark.parametrize("deed", ["emergencyStop", "deletion", "another revision", "new dies"])
def test_prometheus_hangs_and_traffic_goes_back_at_once(deed: str) -> None:
    plan = world(one=True).goals[0].plan
    acts = {
        "emergencyStop": people.edit_spec(plan, {"emergencyStop": True}),
        "deletion": people.delete(plan.ref),
        "another revision": people.edit_spec(plan, {"revision": "2"}),
        "new dies": people.pods(plan.new_ref, crash=True),
    }
    ends = {"deletion": GONE, "another revision": "Completed"}.get(deed, "RolledBack")
    scenario, measure = with_deed(acts[deed], ends=ends)
    scenario.deadline = 300.0
    succeeded(simulate(scenario))
    assert measure.back is not None


def test_weights_changed_by_hand_are_put_right_at_once_though_prometheus_hangs() -> None:
    plan = world(one=True).goals[0].plan
    scenario, measure = with_deed(people.drift(plan.routes[0], {"v1": 20, "v2": 80}), ends="Completed")
    scenario.breaches = []
    scenario.deadline = 300.0
    report = succeeded(simulate(scenario))
    assert measure.since is not None
    repaired = next(
        float(line.split()[0])
        for line in report.lines
        if "p1 patch HTTPRoute" in line and float(line.split()[0]) > measure.since
    )
    assert repaired - measure.since <= AT_ONCE


def test_a_breach_is_seen_while_writes_are_asked_to_wait() -> None:
    """Each write that is not the way back is answered 429 with Retry-After for a while: judging goes on."""
    scenario = world(seconds=3, one=True, breach="small-traffic")
    scenario.breaches[0].delay = 4.0
    scenario.breaches[0].within = 1.0 + 0.3
    scenario.faults = Faults()
    scenario.deeds = [people.Deed(9.0, "the API server asks for patience", _ask_for_patience)]
    report = succeeded(simulate(scenario))
    assert "PhaseStarted" in report.shape["sync"]


def _ask_for_patience(world: World) -> None:
    world.chance.refuse_until = world.now + 20.0

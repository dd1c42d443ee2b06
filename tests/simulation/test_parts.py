"""Several processes share the rollouts, whatever becomes of each of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation import objects
from simulation.faults import Faults
from simulation.invariants import Plan
from simulation.objects import HTTP_ROUTE, ROLLOUT
from simulation.people import Deed
from simulation.plain import succeeded
from simulation.scenario import Goal, Report, Scenario, simulate
from simulation.test_waiting import freezes
from simulation.world import World
from syncrollout.ports import Object

PARTITIONS = 4


def _several(count: int, *, pool: int = 0, seconds: int = 1) -> Scenario:
    """So many rollouts, applied at one moment once three processes share them."""
    plans, bodies, made = [], [], []
    for number in range(count):
        name = f"r{number}"
        old, new = f"{name}-v1", f"{name}-v2"
        plans.append(Plan(name, old, new, 1, (objects.ref(HTTP_ROUTE, name),), 0))
        phases = [objects.phase("some", 10, seconds), objects.phase("all", 100, seconds)]
        body: Object = objects.rollout(
            name, old=old, new=new, phases=phases, routes=((HTTP_ROUTE, name),), metrics=False
        )
        if pool:
            body["spec"]["pool"] = {"name": "db", "limit": pool}
        bodies.append((12.0, body))
        made += [*(objects.deployment(side, 1) for side in (old, new)), *(objects.service(side) for side in (old, new))]
        made.append(objects.route(HTTP_ROUTE, name, old, new))
    return Scenario(
        seed="parts",
        title="several processes",
        objects=made,
        rollouts=bodies,
        goals=[Goal(plan, frozenset({"Completed"}), runs=1, retires=False) for plan in plans],
        partitions=PARTITIONS,
        more=[0.3, 0.6],
        deadline=200.0,
        most_calls=1500,
    )


def _oldest() -> Callable[[World], None]:
    """Its machine stands still for longer than its Leases last."""
    return lambda world: world.freeze(next(each for each in world.processes if each.alive), 25.0)


def _acted(report: Report) -> dict[str, set[str]]:
    """By process, what it has written of rollouts."""
    acted: dict[str, set[str]] = {}
    for line in report.lines:
        words = line.split()
        if len(words) > 3 and words[1].startswith("p") and words[2] == "patch" and words[3] == "SyncRollout":
            acted.setdefault(words[1], set()).add(words[4].split("/")[1].rstrip(":"))
    return acted


def test_three_processes_share_the_rollouts() -> None:
    report = succeeded(simulate(_several(8)))

    acted = _acted(report)
    assert len(acted) == 3
    assert sum(map(len, acted.values())) == 8, "each rollout by one process"


def test_who_comes_later_is_handed_its_part_in_the_middle_of_runs() -> None:
    scenario = _several(8, seconds=8)
    scenario.more = [16.0, 17.0]
    report = succeeded(simulate(scenario))

    assert len(_acted(report)) == 3
    assert any("hands over" in line for line in report.lines)


@pytest.mark.parametrize("number", range(3))
def test_one_that_dies_or_stands_still_is_stood_in_for(number: int) -> None:
    scenario = _several(6, seconds=3)
    scenario.seed = f"parts/{number}"
    scenario.restart_after = (1.0, 30.0, 1.0)[number]
    if number < 2:
        scenario.deeds = [Deed(14.0, "one dies", lambda world: world.crash(world.processes[0]))]
    else:
        scenario.deeds = [Deed(14.0, "one stands still", _oldest())]
    succeeded(simulate(scenario))


@pytest.mark.parametrize("number", range(4))
def test_whatever_goes_wrong_no_pool_is_over_its_limit_and_none_writes_for_anothers(number: int) -> None:
    scenario = _several(5, pool=1 + number % 2)
    scenario.seed = f"parts/pool/{number}"
    scenario.faults = Faults(
        until=50.0, conflict=0.04, too_many=0.02, error=0.04, timeout=0.02, late=0.03, reset=0.03, slow=0.1, crash=0.01
    )
    scenario.calm_from = 50.0
    scenario.deadline = 330.0
    succeeded(simulate(scenario))


@pytest.mark.parametrize("number", range(2))
def test_of_a_pool_one_begins_at_a_time_though_no_process_sees_what_the_others_begin(number: int) -> None:
    """All may begin at one moment, each by a calendar of its own, and watches say nothing from before that."""
    scenario = _several(4, pool=1)
    scenario.seed = f"blind/{number}"
    for since, (_, body) in enumerate(scenario.rollouts):
        body["spec"]["schedule"] = freezes((since, 18))
    scenario.deeds = [
        Deed(17.0, "watches fall silent", lambda world: world.silence(ROLLOUT, on=True)),
        Deed(26.0, "watches speak", lambda world: world.silence(ROLLOUT, on=False)),
    ]
    scenario.calm_from = 27.0
    succeeded(simulate(scenario))

"""Which runs begin now: few at once, in the order in which they came, and nobody is forgotten. On virtual time."""

from __future__ import annotations

import asyncio

import pytest

from simulation import objects
from simulation.invariants import Plan
from simulation.objects import HTTP_ROUTE
from simulation.plain import succeeded
from simulation.scenario import Goal, Scenario, simulate
from syncrollout.runtime.starts import AT_ONCE, HELD_FOR, PROMISED_FOR, Starts

pytestmark = [pytest.mark.looptime]


async def test_as_many_as_there_are_places_begin_and_the_others_in_the_order_in_which_they_came() -> None:
    starts = Starts[str](2)
    assert [starts.enter(key) for key in "abcd"] == [True, True, False, False]
    assert starts.leave("b") == ("c",)
    assert [starts.enter(key) for key in "dc"] == [False, True], "the place was kept for the one that was called"
    assert starts.leave("a") == ("d",)
    assert starts.enter("d")
    assert starts.leave("c") == starts.leave("d") == ()


async def test_who_holds_a_place_keeps_it() -> None:
    starts = Starts[str](1)
    assert starts.enter("a")
    assert starts.enter("a")
    assert not starts.enter("b")


async def test_who_does_not_come_when_called_keeps_nobody_else_from_it_for_long() -> None:
    starts = Starts[str](1)
    starts.enter("a")
    starts.enter("gone")
    assert starts.leave("a") == ("gone",)
    assert not starts.enter("b")
    await asyncio.sleep(PROMISED_FOR + 0.1)
    assert starts.leave("somebody else whose pass ends") == ("b",)
    assert starts.enter("b")


async def test_those_whose_passes_hang_keep_nobody_else_from_it_for_long() -> None:
    starts = Starts[str](2)
    starts.enter("hangs")
    await asyncio.sleep(HELD_FOR - 1.0)
    starts.enter("hangs too")
    assert not starts.enter("a")
    assert not starts.enter("b")
    await asyncio.sleep(1.1)
    assert starts.enter("hangs"), "what has begun goes on"
    assert starts.enter("a")
    assert not starts.enter("b")
    assert starts.leave("hangs") == (), "its place is taken"
    assert starts.leave("hangs too") == ("b",)


async def test_who_was_called_and_does_not_begin_after_all_gives_the_place_on() -> None:
    starts = Starts[str](1)
    starts.enter("a")
    starts.enter("deleted")
    starts.enter("b")
    assert starts.leave("a") == ("deleted",)
    assert starts.leave("deleted") == ("b",)


@pytest.mark.looptime(False)
def test_of_many_that_are_applied_at_one_moment_few_are_half_begun_and_all_complete() -> None:
    """Each takes three writes of some hundredths of a second to begin."""
    names = [f"m{number:02}" for number in range(24)]
    plans, bodies, made = [], [], []
    for name in names:
        old, new = f"{name}-v1", f"{name}-v2"
        plans.append(Plan(name, old, new, 1, (objects.ref(HTTP_ROUTE, name),), 0))
        phases = objects.five_phases(3, retire=True)
        bodies.append((3.0, objects.rollout(name, old=old, new=new, phases=phases, routes=((HTTP_ROUTE, name),))))
        made += [*(objects.deployment(side, 1) for side in (old, new)), *(objects.service(side) for side in (old, new))]
        made.append(objects.route(HTTP_ROUTE, name, old, new))
    scenario = Scenario(
        seed="many",
        title="many at one moment",
        objects=made,
        rollouts=bodies,
        goals=[Goal(plan, frozenset({"Completed"}), runs=1) for plan in plans],
        deadline=90.0,
    )
    scenario.faults.latency = (0.02, 0.05)
    report = succeeded(simulate(scenario))
    begun: set[str] = set()
    most, order = 0, []
    for line in report.lines:
        name = next((name for name in names if f" patch SyncRollout listings/{name}" in line), "")
        if name and "metadata.finalizers" in line and name not in order:
            begun.add(name)
            order.append(name)
        elif f"listings/{name}/status" in line:
            begun.discard(name)
        most = max(most, len(begun))
    assert len(order) == len(names)
    assert 2 <= most <= AT_ONCE

"""Several routes move together: none ahead of what can be written in all of them, and none waits for another that fails
or hangs when traffic goes back."""

from __future__ import annotations

import asyncio

import pytest

from fakes.kube import Call
from simulation import objects
from simulation.objects import GRPC_ROUTE
from simulation.stage import Stage, staged
from simulation.world import World
from syncrollout.ports import KindRef, Unavailable

AT_ONCE = 1.0 + 0.4
"""Seconds: the interval at which Prometheus is asked, and a little."""
HANGS = 5.0
"""Seconds after which a call without an answer is given up."""


def shares(stage: Stage) -> dict[KindRef, float]:
    """New's share in each route."""
    plan = stage.plan
    return {ref.kind: objects.share(stage.world.kube.read(ref), plan.old, plan.new) for ref in plan.routes}


def ail(world: World, verbs: set[str], *, hangs: bool) -> list[bool]:
    """Calls about the second route fail at once, or hang; until the list that is given holds False."""
    ailing = [True]
    usual = world.kube.before
    assert usual is not None

    async def spoiled(call: Call) -> None:
        await usual(call)
        if ailing[0] and call.ref.kind == GRPC_ROUTE and call.verb in verbs:
            if hangs:
                await asyncio.sleep(HANGS)
            raise Unavailable("no answer" if hangs else "webhook failed", status=0 if hangs else 500)

    world.kube.before = spoiled
    return ailing


async def _breach(stage: Stage) -> None:
    """New fails from now on; the first route must be back at once."""
    stage.world.source.bad[stage.plan.new] = lambda: True
    began = stage.world.now
    [first, _] = stage.plan.routes
    await stage.when(lambda: shares(stage)[first.kind] == 0, within=30)
    assert stage.world.now - began <= AT_ONCE, f"after {stage.world.now - began:.2f} s"


BEFORE_OR_DURING = pytest.mark.parametrize("hangs", [False, True], ids=["fails", "hangs"])


@BEFORE_OR_DURING
@pytest.mark.parametrize("verbs", [{"patch"}, {"patch", "get", "list", "watch"}], ids=["written", "anything"])
def test_a_route_that_cannot_be_written_does_not_keep_the_other_from_going_back(verbs: set[str], hangs: bool) -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: set(shares(stage).values()) == {50})
        ailing = ail(stage.world, verbs, hangs=hangs)
        await _breach(stage)
        await asyncio.sleep(20)
        assert stage.state == "RollingBack", "as long as one route is not back, it is not said that all are"
        assert shares(stage)[GRPC_ROUTE] == 50
        ailing[0] = False
        await stage.reach("RolledBack", within=15)
        assert set(shares(stage).values()) == {0}

    staged(story, one=False, seconds=30)


@BEFORE_OR_DURING
def test_a_route_whose_last_write_is_in_doubt_does_not_keep_the_other_from_going_back(hangs: bool) -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await stage.when(lambda: set(shares(stage).values()) == {10})
        ailing = ail(stage.world, {"patch", "get", "list", "watch"}, hangs=True)
        first = stage.plan.routes[0].kind
        await stage.when(lambda: shares(stage)[first] == 50, within=60)
        await asyncio.sleep(HANGS + 2.0)
        await _breach(stage)
        ailing[0] = False
        await stage.reach("RolledBack", within=15)
        assert set(shares(stage).values()) == {0}

    staged(story, one=False, seconds=8)


async def _a_new_process_cannot_read_one(stage: Stage) -> list[bool]:
    """Half of the traffic is at new when the process dies, and the next one cannot read the second route."""
    await stage.begin()
    await stage.reach("Progressing", phase="medium-traffic")
    await stage.when(lambda: set(shares(stage).values()) == {50})
    ailing = ail(stage.world, {"patch", "get", "list", "watch"}, hangs=False)
    stage.world.crash(stage.world.process)
    return ailing


def test_a_route_that_a_new_process_cannot_read_does_not_keep_the_other_from_going_back() -> None:
    async def story(stage: Stage) -> None:
        ailing = await _a_new_process_cannot_read_one(stage)
        await asyncio.sleep(5)
        assert stage.state == "Progressing"
        assert set(shares(stage).values()) == {50}, "nothing is moved, and nothing is said, for a trouble that may pass"
        await _breach(stage)
        await asyncio.sleep(5)
        assert stage.state == "RollingBack"
        assert "GRPCRoute" in stage.status["message"]
        ailing[0] = False
        await stage.reach("RolledBack", within=40)
        assert set(shares(stage).values()) == {0}

    staged(story, one=False, seconds=60)


def test_a_deletion_waits_for_the_route_that_cannot_be_read() -> None:
    async def story(stage: Stage) -> None:
        ailing = await _a_new_process_cannot_read_one(stage)
        await asyncio.sleep(3)
        stage.world.kube.delete(stage.plan.ref)
        await stage.when(lambda: shares(stage)[stage.plan.routes[0].kind] == 0, within=5)
        await asyncio.sleep(10)
        assert stage.world.kube.read(stage.plan.ref) is not None
        ailing[0] = False
        await stage.when(lambda: stage.world.kube.read(stage.plan.ref) is None, within=60)
        assert set(shares(stage).values()) == {0}

    staged(story, one=False, seconds=60)

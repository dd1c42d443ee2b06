"""Phases of mode Shadow, from the objects as an API server holds them."""

from __future__ import annotations

import json

import pytest

from fakes.patching import clone
from simulation import objects
from simulation.stage import Stage, staged
from syncrollout.ports import Object


def _route(stage: Stage) -> Object:
    found = stage.world.kube.read(stage.plan.routes[0])
    assert found is not None
    return found


def _copies(stage: Stage) -> int:
    return objects.mirrored(_route(stage), stage.plan.new)


async def _begun(stage: Stage) -> str:
    """The first phase mirrors. Gives the route's spec as its owner wrote it."""
    stage.body = clone(stage.body)
    stage.body["spec"]["phases"][0] |= {"mode": "Shadow", "mirrorPercent": 40}
    before = json.dumps(_route(stage)["spec"])
    await stage.begin()
    await stage.when(lambda: _copies(stage) == 2)
    return before


def test_copies_come_and_go_with_the_phase() -> None:
    async def story(stage: Stage) -> None:
        before = await _begun(stage)
        assert stage.share == 0
        assert stage.status["mirror"] == {"percent": 40}
        await stage.when(lambda: _copies(stage) == 0)
        assert json.dumps(_route(stage)["spec"]) == before
        await stage.reach("Completed")

    staged(story)


@pytest.mark.parametrize("crash", [False, True])
def test_a_rollback_leaves_the_route_as_its_owner_wrote_it(crash: bool) -> None:
    async def story(stage: Stage) -> None:
        before = await _begun(stage)
        if crash:
            stage.world.process.crash()
            stage.world.start()
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack", within=20.0)
        assert json.dumps(_route(stage)["spec"]) == before
        assert "mirror" not in stage.status

    staged(story)


def test_a_mirror_that_somebody_takes_out_is_put_back() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        await stage.when(lambda: stage.status["phase"].get("since") is not None)
        body = clone(_route(stage))
        del body["spec"]["rules"][0]["filters"]
        stage.world.kube.put(body)
        await stage.when(lambda: _copies(stage) == 2, within=0.2)
        await stage.when(lambda: any(each["reason"] == "DriftRepaired" for each in stage.status["history"]))

    staged(story)

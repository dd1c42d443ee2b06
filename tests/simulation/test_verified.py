"""Routers that do not obey, and how it is noticed and told, from the status as an API server holds it."""

from __future__ import annotations

from typing import Any

from fakes.patching import clone
from simulation import objects
from simulation.stage import Stage, staged
from syncrollout.api.words import Unknown


async def _begun(stage: Stage) -> None:
    """Verified from the start; the traffic follows until somebody says otherwise."""
    stage.body = clone(stage.body)
    stage.body["spec"]["traffic"]["verify"] = dict(objects.VERIFY)
    stage.world.source.traffic[stage.plan.new] = lambda: stage.share
    await stage.begin()


def _calm(stage: Stage) -> Any:
    return stage.status["phase"].get("since")


def test_traffic_that_follows_is_verified_in_each_phase_to_the_end() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        for name, weight in (("small-traffic", 10), ("full-traffic", 100)):
            await stage.reach("Progressing", phase=name)
            await stage.when(lambda: _calm(stage) is not None)
            assert stage.status["verify"]["share"] == weight
        await stage.reach("Completed")

    staged(story)


def test_a_router_that_does_not_obey_holds_the_phase_until_it_does() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        stage.world.source.deaf = [(stage.world.now, stage.world.now + 30.0)]
        await stage.reach("Holding", phase="small-traffic")
        assert stage.status["reason"] == "RouterDisobeys"
        assert "HTTPRoute web says 10 % to new" in stage.status["message"]
        assert _calm(stage) is None
        writes = len(stage.world.calls)
        await stage.when(lambda: stage.state == "Progressing")
        assert stage.world.now >= stage.world.source.deaf[0][1]
        # Live values are on /metrics: while it holds, the status is not written again and again.
        assert len([call for call in stage.calls(writes) if "status" in call]) <= 3
        await stage.reach("Completed")

    staged(story)


def test_a_rollback_goes_back_at_once_and_ends_with_what_was_seen_of_the_traffic() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: _calm(stage) is not None)
        stage.world.source.traffic[stage.plan.new] = lambda: 50.0
        stage.world.source.bad[stage.plan.new] = lambda: True
        broken = stage.world.now
        await stage.when(lambda: stage.share == 0)
        assert stage.world.now - broken < 1.5
        await stage.reach("RolledBack")
        assert 4.0 <= stage.world.now - broken < 6.5
        assert "the router does not obey: after 4s, 50 % of the traffic still reaches new" in stage.status["message"]
        assert "verified" not in stage.status["rollback"]

    staged(story)


def test_a_prometheus_that_hangs_keeps_a_rollback_open_for_one_query_at_most() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        await stage.reach("Progressing", phase="medium-traffic")
        now = stage.world.now
        stage.world.source.blackouts = [(now, now + 60.0, Unknown.TIMEOUT)]
        body = clone(stage.world.kube.read(stage.plan.ref))
        body["spec"]["emergencyStop"] = True
        stage.world.kube.put(body)
        await stage.when(lambda: stage.share == 0, within=0.5)
        await stage.reach("RolledBack", within=8.0)
        assert "whether traffic followed was not seen" in stage.status["message"]

    staged(story)

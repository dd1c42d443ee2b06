"""The rights that are looked at before a run are those that it asks for, and those of its way back: none comes to
light only when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from simulation.plain import succeeded, world
from simulation.procedure import courses, job, with_procedure
from simulation.rights import beyond
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, staged
from simulation.test_accounts import ACCOUNT, MOVER

BACK = ["small-traffic", "full-migration"]
CHECK = {"metric": "error-rate", "below": 1}


def _steps() -> Scenario:
    scenario = world(seconds=2, breach="small-traffic", one=True)
    verify = {"restartOld": True, "checks": [CHECK], "job": job("system"), "budget": "20s"}
    for _, body in scenario.rollouts:
        with_procedure(body, switch={"stopNew": True}, verifySystem=verify)
    scenario.courses = courses()
    return scenario


WORLDS: dict[str, Callable[[], Scenario]] = {
    "two routes": lambda: world(seconds=2),
    **{f"two routes, back from {phase}": partial(world, seconds=2, breach=phase) for phase in BACK},
    "by replicas": lambda: world(seconds=2, replicas=10, breach="full-traffic"),
    "slots by Ack": lambda: world(seconds=2, shards="Ack", one=True, breach="full-traffic"),
    "slots by Restart": lambda: world(seconds=2, shards="Restart", one=True, breach="full-migration"),
    "steps of a rollback": _steps,
}


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_asked_for_as_the_account_that_was_not_looked_at_before(name: str) -> None:
    scenario = WORLDS[name]()
    for _, body in scenario.rollouts:
        body["spec"]["serviceAccountName"] = MOVER.account
    scenario.objects.append(ACCOUNT)
    assert succeeded(simulate(scenario)).beyond == []


def test_an_old_that_somebody_has_stopped_is_brought_back_by_a_right_that_was_looked_at() -> None:
    async def story(stage: Stage) -> None:
        for phase in stage.body["spec"]["phases"]:
            phase.pop("retireOld", None)
        stage.body["spec"]["phases"][2]["duration"] = "1h"
        stage.body["spec"]["serviceAccountName"] = MOVER.account
        stage.world.kube.put(ACCOUNT)
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: stage.status["phase"].get("since") is not None)
        stage.world.kube.edit(stage.plan.old_ref, {"spec": {"replicas": 0}})
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack")
        assert stage.replicas_of_old > 0
        assert beyond(stage.world) == []

    staged(story, seconds=2, guarded=False)

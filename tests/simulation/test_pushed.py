"""Alerts that are pushed, on the simulated control plane: they go before everything that waits for Prometheus."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from simulation.process import KEPT
from simulation.stage import Stage, staged
from syncrollout.api.words import Unknown
from syncrollout.observe.alerts import Payload

TRIGGERS = [{"severity": "Critical", "alert": "DataLoss", "match": {"workload": "$workload"}}]


def payload(workload: str, *, ended: bool = False) -> Payload:
    alert = {
        "status": "resolved" if ended else "firing",
        "labels": {"alertname": "DataLoss", "workload": workload},
        "startsAt": "2030-01-01T10:00:00Z",
        "endsAt": "2030-01-01T10:01:00Z",
    }
    return Payload.model_validate_json(json.dumps({"version": "4", "alerts": [alert]}))


async def in_traffic(stage: Stage, **rollback: Any) -> None:
    """In the phase of half of the traffic."""
    stage.body["spec"]["rollback"] = {"triggers": TRIGGERS, **rollback}
    await stage.begin()
    await stage.reach("Progressing", phase="medium-traffic")
    await stage.when(lambda: stage.share == 50)


def test_traffic_is_back_at_once_whatever_prometheus_does() -> None:
    async def story(stage: Stage) -> None:
        await in_traffic(stage)
        world = stage.world
        world.source.blackouts.append((asyncio.get_running_loop().time(), float("inf"), Unknown.TIMEOUT))
        await asyncio.sleep(0.9)  # a pass waits for Prometheus now, or soon
        pushed = world.now
        taken = world.processes[0].push(payload(stage.plan.new))
        assert [key.name for key in taken.wake] == [stage.plan.ref.name]
        await stage.when(lambda: stage.share == 0, within=1.0)
        assert world.now - pushed < 0.2
        await stage.reach("RolledBack")
        assert "alert DataLoss: it fires, since" in stage.status["rollback"]["message"]
        [judged] = [each for each in stage.status["criteria"] if each["role"] == "Trigger"]
        assert (judged["metric"], judged["verdict"]) == ("alert:DataLoss", "Fail")

    staged(story)


def test_one_for_another_workload_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        await in_traffic(stage)
        assert stage.world.processes[0].push(payload("another")).unasked == 1
        await stage.reach("Completed")

    staged(story)


async def before_the_start(stage: Stage) -> None:
    """Applied, and the alert is pushed before Prometheus has said anything."""
    stage.body["spec"]["rollback"] = {"triggers": TRIGGERS}
    stage.world.source.trouble.latency = 1.0
    await stage.begin(0.0)
    process = stage.world.process
    await stage.when(lambda: any(process.rollouts.in_progress()))
    assert process.push(payload(stage.plan.new)).news == 1
    await stage.reach("Preflight")
    await asyncio.sleep(10)
    assert stage.status["reason"] == "TriggerAlreadyBreached"
    assert stage.share == 0


def test_it_counts_until_it_is_resolved_and_prometheus_is_not_believed_before() -> None:
    async def story(stage: Stage) -> None:
        await before_the_start(stage)
        stage.world.process.push(payload(stage.plan.new, ended=True))
        await stage.reach("Progressing", within=5.0)
        await stage.reach("Completed")

    staged(story)


def test_when_its_time_is_up_prometheus_is_believed_again() -> None:
    async def story(stage: Stage) -> None:
        pushed = stage.world.now
        await before_the_start(stage)
        await stage.reach("Progressing", within=2 * KEPT)
        assert stage.world.now - pushed >= KEPT

    staged(story)


@pytest.mark.parametrize("firing", [0, 1])
def test_a_restart_forgets_what_was_pushed_and_asks_prometheus(firing: int) -> None:
    async def story(stage: Stage) -> None:
        await before_the_start(stage)
        stage.world.source.firing = firing
        stage.world.crash(stage.world.process)
        if firing:
            await asyncio.sleep(30)
            assert stage.status["reason"] == "TriggerAlreadyBreached"
        else:
            await stage.reach("Completed")

    staged(story)

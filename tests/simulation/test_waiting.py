"""Calendars, dependencies and pools in the whole operator: whatever dies, and whenever, nothing moves forward outside
its time, and no pool is ever over its limit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fakes.kube import EPOCH
from simulation import objects
from simulation.faults import Faults
from simulation.invariants import Plan
from simulation.loop import START
from simulation.objects import HTTP_ROUTE
from simulation.plain import succeeded, world
from simulation.scenario import Breach, Goal, Scenario, simulate
from simulation.stage import Stage, staged
from simulation.world import CrashPoint
from syncrollout.ports import Object


def _at(seconds: float) -> str:
    """A moment so many seconds after the beginning, as a freeze gives it."""
    return f"{datetime.fromtimestamp(EPOCH + START + seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def freezes(*spans: tuple[float, float]) -> Object:
    """A schedule with freezes, each from and until so many seconds after the beginning."""
    return {"freezes": [{"from": _at(since), "to": _at(to)} for since, to in spans]}


def _pooled(names: list[str], *, limit: int = 1, seconds: int = 1, **spec: Any) -> Scenario:
    """Rollouts of one pool, applied at one moment."""
    plans, bodies, made = [], [], []
    for name in names:
        old, new = f"{name}-v1", f"{name}-v2"
        plans.append(Plan(name, old, new, 1, (objects.ref(HTTP_ROUTE, name),), 0))
        phases = [objects.phase("some", 10, seconds), objects.phase("all", 100, seconds)]
        body = objects.rollout(name, old=old, new=new, phases=phases, routes=((HTTP_ROUTE, name),), metrics=False)
        body["spec"] |= {"pool": {"name": "db", "limit": limit}, **spec}
        bodies.append((3.0, body))
        made += [*(objects.deployment(side, 1) for side in (old, new)), *(objects.service(side) for side in (old, new))]
        made.append(objects.route(HTTP_ROUTE, name, old, new))
    return Scenario(
        seed="pool",
        title="a pool",
        objects=made,
        rollouts=bodies,
        goals=[Goal(plan, frozenset({"Completed"}), runs=1, retires=False) for plan in plans],
        deadline=150.0,
    )


def _frozen() -> Scenario:
    """A freeze before the start, and one in the middle."""
    scenario = world(seconds=2, one=True)
    scenario.rollouts[0][1]["spec"]["schedule"] = freezes((0, 8), (11, 22))
    return scenario


def _staging_first() -> Scenario:
    scenario = _pooled(["staging", "prod"], limit=5)
    scenario.rollouts[1][1]["spec"]["dependsOn"] = [{"name": "staging"}]
    return scenario


CASES: dict[str, Callable[[], Scenario]] = {
    "freezes": _frozen,
    "a pool of one": lambda: _pooled(["a", "b", "c"]),
    "a pool that waits for its window": lambda: _pooled(["a", "b"], schedule=freezes((0, 9))),
    "staging first": _staging_first,
}


@pytest.mark.parametrize("case", CASES)
def test_a_crash_at_any_write_changes_nothing_of_it(case: str) -> None:
    make = CASES[case]
    reference = succeeded(simulate(make()))
    died = 0
    for call, what in enumerate(reference.writes, start=1):
        if what.split()[0] in {"list", "watch", "get"} or " Event " in what:
            continue
        for after in (False, True):
            scenario = make()
            scenario.crash_point = CrashPoint(call, after=after)
            scenario.restart_after = 0.05
            scenario.deadline += 40.0
            report = simulate(scenario)
            assert not report.failure, f"call {call} ({what}), after={after}: {report.failure}\n" + "\n".join(
                report.lines[-60:]
            )
            assert report.ends == reference.ends
            died += report.processes - 1
    assert died, "the crashes did not happen"


@pytest.mark.parametrize("number", range(12))
def test_whatever_goes_wrong_with_calls_no_pool_is_over_its_limit(number: int) -> None:
    scenario = _pooled(["a", "b", "c", "d"], limit=1 + number % 2, schedule=freezes((20, 40)) if number % 3 else {})
    if not scenario.rollouts[0][1]["spec"]["schedule"]:
        for _, body in scenario.rollouts:
            del body["spec"]["schedule"]
    scenario.seed = f"pool/{number}"
    scenario.faults = Faults(
        until=60.0, conflict=0.05, too_many=0.03, error=0.06, timeout=0.03, late=0.06, reset=0.05, slow=0.1, crash=0.03
    )
    scenario.calm_from = 60.0
    scenario.deadline = 260.0

    succeeded(simulate(scenario))


def test_of_a_pool_one_runs_after_the_other() -> None:
    report = succeeded(simulate(_pooled(["a", "b", "c"])))

    assert sorted("WaitingForPool" in shape for shape in report.shape.values()) == [False, True, True]


def test_a_rollback_in_a_freeze_is_as_fast_as_ever() -> None:
    scenario = world(seconds=3, breach="medium-traffic", one=True)
    plan = scenario.goals[0].plan
    scenario.breaches = [Breach(plan, "medium-traffic", 1.5, within=1.3)]
    begins = 3 + 2 * 3 + 1.0
    scenario.rollouts[0][1]["spec"]["schedule"] = freezes((begins + 1, 200))

    succeeded(simulate(scenario))


def test_a_shared_freeze_that_is_edited_lets_go_at_once_and_one_that_breaks_holds() -> None:
    labels = {"syncrollout.io/freezes": "true"}
    closed: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "closed", "namespace": objects.NAMESPACE, "labels": labels},
    }

    async def story(stage: Stage) -> None:
        kube = stage.world.kube

        def write(text: str) -> None:
            kube.put({**closed, "data": {"freezes": text}})

        stage.body["spec"]["schedule"] = {"freezesFrom": {"configMap": "closed"}}
        await stage.begin()
        assert stage.status["reason"] == "FreezesUnknown"
        write("[]")
        await stage.reach("Progressing", phase="parallel-run", within=3.0)
        write("- {from: 2026-01-01, to: 2026-01-02, reason: audit}")
        await stage.when(lambda: stage.status["reason"] == "Frozen", within=20.0)
        assert "(audit)" in stage.status["message"]
        write("- {from: 2026-01-01}")
        await stage.when(lambda: stage.status["reason"] == "FreezesUnknown", within=3.0)
        assert "freeze 1 cannot be read: it has no to" in stage.status["message"]
        write("[]")
        await stage.reach("Progressing", phase="small-traffic", within=3.0)

    staged(story)

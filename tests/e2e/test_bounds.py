"""The largest spec that the API server takes is carried out like any other."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from testbed import Obj
from testbed.kwok import deployment

pytestmark = pytest.mark.cluster
PHASES, METRICS, CRITERIA, TRIGGERS, ROUTES = 16, 32, 16, 32, 16
RUN = 3
"""Phases that are run to their end; each write of so large an object costs the API server a third of a second."""


def _long(name: str, number: int, length: int = 63) -> str:
    return f"{name}-{number}-".ljust(length - 1, "x") + "z"


def _metric(number: int) -> Obj:
    # half of the query is a comment: length is what counts here
    query = f"vector(0.{number:02}) # $workload $phase ".ljust(4096, "q")
    return {"name": _long("m", number), "unit": "u" * 32, "query": query, "description": "d" * 200}


def _phase(number: int) -> Obj:
    names = [_long("m", (number + each) % METRICS) for each in range(CRITERIA)]
    return {
        "name": _long("p", number),
        "weight": 6 * (number + 1) if number + 1 < PHASES else 100,
        "duration": "0s" if number < RUN else plan.LONG,
        "success": [{"metric": name, "below": 1.0000001} for name in names],
        "rollbackOn": [{"metric": name, "atLeast": 1e300} for name in names],
    }


def test_every_list_full_and_every_name_long(operator: Operator, empty_scene: Scene) -> None:
    scene = empty_scene
    old, new = _long("old", 0), _long("new", 0)
    for name in (old, new):
        scene.kube.create(deployment(name, scene.namespace, 1))
        scene.kube.create(plan.service(name, scene.namespace))
    scene.until_ready(old, 1)
    scene.until_ready(new, 1)
    routes = [_long("route", number, 200) for number in range(ROUTES)]
    for name in routes:
        scene.kube.create(plan.route(name, scene.namespace, old=old, new=new))
    triggers = [{"severity": "Critical", "metric": _long("m", each), "above": 1e300} for each in range(TRIGGERS)]
    rollout = scene.rollout(
        [_phase(number) for number in range(PHASES)],
        _long("n", 0),
        old=plan.system(old),
        new=plan.system(new),
        traffic={"routes": [plan.route_ref(name) for name in routes]},
        metrics=[_metric(number) for number in range(METRICS)],
        rollback={"triggers": triggers},
    )
    status = rollout.until(phase=_long("p", RUN), stands=True)
    assert len(status["criteria"]) == 2 * CRITERIA + TRIGGERS
    assert {each["verdict"] for each in status["criteria"]} == {"Pass"}
    assert {scene.weight(name) for name in routes} == {6 * (RUN + 1)}
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")
    assert {scene.weight(name) for name in routes} == {0}

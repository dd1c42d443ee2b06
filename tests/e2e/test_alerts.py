"""Alerts of a real Prometheus as triggers: asked for on every look at the criteria."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from testbed import Obj

pytestmark = pytest.mark.cluster
CRYPTIC = 'Loss of "data" \\ $5'
"""A name that would break a query in which it is not quoted."""


@pytest.fixture
def rules(scene: Scene) -> Iterator[None]:
    """Two alerts on the metrics of any namespace: one with the labels of its series, one without a namespace."""
    # of this scene's series alone: those of the one before go on firing for a while
    nameless = f'max by (workload) (e2e_errors{{namespace="{scene.namespace}"}})'
    groups = [
        {
            "name": "e2e",
            "rules": [
                {"alert": "TooManyErrors", "expr": "e2e_errors > 50", "labels": {"team": 'the "A" team'}},
                {"alert": CRYPTIC, "expr": f"{nameless} > 50"},
            ],
        }
    ]
    scene.stage.prometheus.set_rules(yaml.safe_dump({"groups": groups}))
    yield
    scene.stage.prometheus.set_rules("")


def _triggers(**of: Any) -> Obj:
    return {"triggers": [{"severity": "Critical", **of}]}


@pytest.mark.usefixtures("rules")
def test_a_firing_alert_sends_back_and_another_ones_does_not(operator: Operator, scene: Scene) -> None:
    labels = {"workload": "$workload", "team": 'the "A" team'}
    asks: Obj = {"success": [], "rollbackOn": []}
    rollout = scene.rollout(
        [plan.phase("half", 50, plan.LONG, **asks)],
        rollback={
            "triggers": [
                {"severity": "Critical", "alert": "TooManyErrors", "match": labels},
                {"severity": "Critical", "alert": CRYPTIC, "match": {"workload": "$workload-beside"}},
            ]
        },
    )
    status = rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy")
    assert [(each["metric"], each["verdict"]) for each in status["criteria"]] == [
        ("alert:TooManyErrors", "Pass"),
        (f"alert:{CRYPTIC}", "Pass"),
    ]
    # the same alert of another workload, and of this workload's name in another namespace, are none of its business
    scene.stage.exporter.set_many(
        [("e2e_errors", scene.labels("old"), 90), ("e2e_errors", {"workload": "new", "namespace": "elsewhere"}, 90)]
    )
    firing = 'ALERTS{alertname="TooManyErrors",alertstate="firing"}'
    scene.stage.prometheus.wait_for(firing, lambda found: len(found) == 2)
    rollout.until(phase="half", also=lambda obj: len(scene.stage.prometheus.query(firing)) == 2)
    assert scene.weight() == 50
    scene.set("errors", 90, "new")
    status = rollout.until("RolledBack")
    assert "alert TooManyErrors: it fires" in status["rollback"]["message"]
    assert scene.weights() == [0, 50, 0]
    scene.stage.exporter.remove("e2e_errors", workload="new", namespace="elsewhere")


@pytest.mark.usefixtures("rules")
def test_an_alert_without_namespace_is_everybodys_and_any_name_can_be_written(operator: Operator, scene: Scene) -> None:
    match = {"workload": "$workload"}
    phases = [plan.phase("half", 50, plan.LONG, success=[], rollbackOn=[])]
    rollout = scene.rollout(phases, rollback=_triggers(alert=CRYPTIC, match=match))
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy")
    scene.set("errors", 90, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]

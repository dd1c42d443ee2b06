"""Alerting rules and dashboards as the operator keeps them: taken by a real API server and a real Prometheus, and what
the dashboards show is there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene, Stage
from monitoring.grafana import expressions
from syncrollout.monitoring.fleet import fleet
from testbed import Obj, TestbedError
from testbed.monitoring import NAME, serve_prometheus_rules
from testbed.served import CRD
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
RULE = ("monitoring.coreos.com/v1", "PrometheusRule")
CONFIG_MAP = ("v1", "ConfigMap")
ASKED: Obj = {
    "alerts": [
        {"metric": "errors", "severity": "Critical", "above": 5, "name": "MoveFails"},
        {"metric": "duration", "severity": "Low", "atLeast": 3, "relativeTo": "Old"},
    ],
    "dashboards": {},
    "rules": {"labels": {"release": "prometheus"}},
}
BOARDS = {f"move-dashboard-{key}" for key in ("realtime", "daily", "weekly")}


@pytest.fixture
def prometheus_rules(stage: Stage) -> Iterator[None]:
    """The kind of the Prometheus Operator is served for as long as the test asks for it."""
    yield
    stage.cluster.kube.delete(*CRD, NAME)


@pytest.fixture
def scraped(stage: Stage, operator: Operator) -> Iterator[None]:
    """Prometheus scrapes the operator too, and forgets rules at the end."""
    stage.prometheus.set_targets([operator.target], {"job": "syncrollout"}, group="operator")
    yield
    stage.prometheus.set_targets([], group="operator")
    stage.prometheus.set_rules("")


def found(scene: Scene, kind: tuple[str, str], name: str) -> Obj | None:
    listed: list[Obj] = scene.kube.list(*kind, scene.namespace)
    return next((obj for obj in listed if obj["metadata"]["name"] == name), None)


def made(scene: Scene, kind: tuple[str, str], name: str = "move-alerts") -> Obj:
    return eventually(lambda: found(scene, kind, name), timeout=15, what=f"{kind[1]} {name} to be made")


def at_half(scene: Scene) -> Rollout:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG, rollbackOn=[])], monitoring=ASKED)
    rollout.until(phase="half", stands=True)
    return rollout


def filled(expression: str) -> str:
    """As Grafana sends it."""
    return expression.replace("$__range", "1h").replace("$namespace", ".*")


@pytest.mark.usefixtures("account", "prometheus_rules")
def test_rules_are_a_config_map_and_once_the_kind_is_served_a_prometheus_rule(operator: Operator, scene: Scene) -> None:
    rollout = at_half(scene)
    text = made(scene, CONFIG_MAP)["data"]["rules.yaml"]
    for name in BOARDS:
        board = made(scene, CONFIG_MAP, name)
        assert board["metadata"]["labels"] == {"grafana_dashboard": "1", "syncrollout.io/rollout": "move"}

    serve_prometheus_rules(scene.kube)
    tries = itertools.count()

    def edited() -> Obj | None:  # which kinds are served is known for seconds, and the rules are looked at upon an edit
        rollout.edit(monitoring={**ASKED, "labels": {"team": f"web-{next(tries)}"}})
        return found(scene, RULE, "move-alerts")

    rule = eventually(edited, timeout=20, interval=1, what="the rules to be a PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    before, now = yaml.safe_load(text)["groups"], rule["spec"]["groups"]
    for group in now:
        for each in group["rules"]:
            assert each["labels"].pop("team").startswith("web-")
    assert now == before, "what the API server keeps is all that was written"
    eventually(lambda: "data" not in made(scene, CONFIG_MAP), what="the ConfigMap to be emptied")

    rollout.edit(monitoring={**ASKED, "labels": None, "dashboards": None})
    eventually(lambda: "data" not in made(scene, CONFIG_MAP, "move-dashboard-daily"), what="dashboards to be emptied")
    eventually(lambda: "team" not in json.dumps(made(scene, RULE)["spec"]), what="the rules to change")
    applied = f'syncrollout_monitoring_applied{{name="move",namespace="{scene.namespace}"}}'
    eventually(lambda: operator.metrics().get(applied) == 1, what="the operator to say that all stands")

    # so that all goes with the rollout; how soon is the garbage collector's business, and it is slow with a new kind
    uid = rollout.obj["metadata"]["uid"]
    for obj in (made(scene, RULE), made(scene, CONFIG_MAP), *(made(scene, CONFIG_MAP, name) for name in BOARDS)):
        [owner] = obj["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == (plan.KIND, uid)


@pytest.mark.usefixtures("scraped")
def test_alerts_fire_and_all_that_dashboards_show_is_there(scene: Scene) -> None:
    stage = scene.stage
    at_half(scene)
    stage.prometheus.set_rules(made(scene, CONFIG_MAP)["data"]["rules.yaml"])
    scene.set("errors", 50, "new")
    scene.set("duration", 9, "new")
    fires = f'ALERTS{{alertstate="firing",namespace="{scene.namespace}",rollout="move"}}'
    told = stage.prometheus.wait_for(fires, lambda samples: len(samples) == 2, timeout=15)
    assert {(each.labels["alertname"], each.labels["severity"]) for each in told} == {
        ("MoveFails", "critical"),
        ("DurationLow", "low"),
    }
    boards = [json.loads(text) for name in sorted(BOARDS) for text in made(scene, CONFIG_MAP, name)["data"].values()]
    wanted = {(title, filled(expression)) for board in [*boards, fleet()] for title, expression in _shown(board)}
    # what only comes with what has not happened here
    quiet = {"Pushed alerts", "... that were not sent", "... that failed", "Last 10 of duration", "Phases"}
    missing = {(title, asked) for title, asked in wanted if title not in quiet}

    def all_there() -> bool:
        missing.difference_update([each for each in missing if stage.prometheus.query(each[1])])
        return not missing

    try:
        eventually(all_there, timeout=20, what="everything that is shown to be there")
    except TestbedError:
        assert missing == set()
        raise
    for _, asked in wanted:
        stage.prometheus.query(asked)  # Prometheus takes every one of them


def _shown(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for title, expression, _ in expressions(board):
        yield title, expression

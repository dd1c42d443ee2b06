"""What the operator says of itself: health, metrics, logs; and how it keeps to the namespaces it was given."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from e2e import plan
from e2e.operators import NAMESPACE, Operator, Operators
from e2e.rights import RBAC, ROLES
from e2e.scene import Scene
from testbed import Process
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster


def test_health_and_metrics_answer(operator: Operator, scene: Scene) -> None:
    assert operator.page("/livez") == (200, "ok\n")
    assert operator.page("/readyz") == (200, "ok\n")
    assert operator.page("/elsewhere")[0] == 404
    rollout = scene.rollout([plan.phase("small", 10, "0s"), plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    me = f'name="move",namespace="{scene.namespace}"'

    def shown(wanted: dict[str, float]) -> bool:
        metrics = operator.metrics()
        return all(metrics.get(series) == value for series, value in wanted.items())

    wanted = {
        f"syncrollout_rollout_weight{{{me}}}": 50,
        f"syncrollout_rollout_phase{{{me}}}": 2,
        f'syncrollout_rollout_state{{{me},phase="half",state="Progressing"}}': 1,
        f'syncrollout_criterion_verdict{{metric="errors",{me},role="Success"}}': 1,
        f'syncrollout_criterion_reading{{metric="errors",{me},side="New"}}': 0.2,
        f'syncrollout_criterion_reading{{metric="duration",{me},side="Old"}}': 1,
    }
    eventually(lambda: shown(wanted), what="the metrics of the rollout")
    before = operator.metrics()['syncrollout_rollbacks_total{reason="CriterionBreached"}']
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    after = {
        f"syncrollout_rollout_weight{{{me}}}": 0.0,
        'syncrollout_rollbacks_total{reason="CriterionBreached"}': before + 1,
    }
    eventually(lambda: shown(after), what="the rollback in the metrics")
    rollout.delete()
    eventually(lambda: not any(me in series for series in operator.metrics()), what="the series to be gone")
    requests = [series for series in operator.metrics() if series.startswith("syncrollout_api_requests_total")]
    assert any('resource="httproutes"' in series and 'verb="patch"' in series for series in requests)
    assert any(series.startswith("syncrollout_prometheus_queries_total") for series in operator.metrics())


def test_each_transition_is_a_json_line_that_names_rollout_and_phase(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10), plan.phase("all", 100, plan.LONG)])
    rollout.until(phase="all", stands=True)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")

    def lines() -> list[dict[str, Any]]:
        return operator.log(rollout=f"{scene.namespace}/move")

    eventually(lambda: lines()[-1]["message"].startswith("RolledBack"), what="the last line")
    told = [(line["level"], line["phase"], line["message"].split(":")[0]) for line in lines()]
    assert told == [
        ("info", "small", "PhaseStarted"),
        ("info", "all", "PhaseStarted"),
        ("warning", "all", "CriterionBreached"),
        ("info", "all", "RolledBack"),
    ]
    assert all(line["time"].endswith("Z") and line["logger"].startswith("syncrollout.") for line in lines())


def test_text_logs_are_for_people(operators: Operators, scene: Scene) -> None:
    own = operators.own("text", "--no-leader-election", "--log-format=text")
    rollout = scene.rollout([plan.phase("half", 50, "0s")])
    rollout.until("Completed")
    wanted = f"INFO    {scene.namespace}/move half: PhaseStarted: Phase 1/1 half started: 50 % to new"
    eventually(lambda: wanted in own.process.log_text(), what="the line of the phase")


def test_restricted_to_namespaces_it_needs_rights_there_alone(
    operators: Operators, scene: Scene, stage_rules: list[dict[str, Any]]
) -> None:
    kube, cluster = scene.kube, scene.stage.cluster
    also, elsewhere = scene.stage.scene("also"), scene.stage.scene("elsewhere")
    also.systems()
    elsewhere.systems()
    metadata = {"name": "own-operator", "namespace": scene.namespace}
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    subject = {"kind": "ServiceAccount", **metadata}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "own-operator"}
    for namespace in (scene.namespace, also.namespace):
        there = {**metadata, "namespace": namespace}
        kube.create({"apiVersion": RBAC, "kind": "Role", "metadata": there, "rules": stage_rules})
        binding = {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": there}
        kube.create({**binding, "roleRef": reference, "subjects": [subject]})
    operators.stop_shared()
    mark = cluster.audit.mark()
    own = operators.make(
        "restricted",
        *(f"--namespace={each}" for each in (scene.namespace, also.namespace)),
        f"--lease-namespace={scene.namespace}",
        account=(scene.namespace, "own-operator"),
    )
    operators.adopt(own).start()
    not_ours = elsewhere.rollout([plan.phase("half", 50, "0s")])
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    other = also.rollout([plan.phase("half", 50, "0s")])
    rollout.until(phase="half", stands=True)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    other.until("Completed")
    assert not_ours.status == {}
    assert elsewhere.weights() == [0]
    asked = [event for event in cluster.audit.since(mark) if event.credential == own.credential]
    assert {event.namespace for event in asked if event.resource} == {scene.namespace, also.namespace}
    assert [event for event in asked if event.forbidden] == []
    assert own.stop() == 0
    elsewhere.end()
    also.end()


@pytest.fixture
def stage_rules(scene: Scene) -> list[dict[str, Any]]:
    """All rules of manifests/, to be granted in one namespace."""
    found = [rule for kind, name, at in ROLES for rule in scene.kube.get(RBAC, kind, name, at)["rules"]]
    return copy.deepcopy(found)


def test_without_a_usable_kubeconfig_it_ends_at_once_with_one_sentence(operators: Operators, scene: Scene) -> None:
    made = operators.make("lost")
    lost = Process(
        "lost", made.process.argv, run_dir=scene.stage.cluster.run_dir, env={"KUBECONFIG": "/nowhere/at/all"}
    )
    lost.launch()
    assert lost.wait(20) == 1
    [line] = lost.log_text().splitlines()
    assert line.startswith("syncrollout: no usable connection to an API server from /nowhere/at/all")


def test_a_port_that_is_taken_is_named(operators: Operators, operator: Operator) -> None:
    second = operators.make("same-port", "--no-leader-election")
    argv = [part for part in operator.process.argv if part.startswith("--listen-port=")]
    second.process.argv += argv
    second.process.launch()
    assert second.process.wait(20) == 1
    port = argv[0].partition("=")[2]
    assert f"127.0.0.1:{port} is in use by another process" in second.process.log_text()
    assert NAMESPACE

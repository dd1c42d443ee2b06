"""The checklist before the start, on real objects, and confirmed by a person with the plugin."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import plan
from e2e.job_runner import JobRunner, template
from e2e.operators import Operator
from e2e.scene import Scene
from e2e.test_plugin import VERBS, person
from testbed import Obj

pytestmark = pytest.mark.cluster

CERTIFICATE = Path(__file__).parents[1] / "observe" / "tls" / "server.pem"
CHECKS: list[Obj] = [
    {"name": "quiet", "group": "Code", "query": {"metric": "errors", "below": 1}},
    {"name": "servers", "group": "Infrastructure", "capacity": {"nodes": 1, "cpu": "4", "memory": "8Gi"}},
    {"name": "old", "group": "Infrastructure", "workloadReady": {"kind": "Deployment", "name": "old"}},
    {"name": "tls", "group": "Infrastructure", "tlsSecret": {"name": "web-tls", "daysLeft": 1}},
    {
        "name": "runbook",
        "group": "Documents",
        "resourceExists": {"apiVersion": "v1", "kind": "ConfigMap", "name": "runbook"},
    },
    {"name": "balancer", "group": "Infrastructure", "resourceExists": plan.route_ref("web")},
    {"name": "on-call", "group": "Team", "attestation": {"text": "Somebody is on call"}},
]


def failing(status: Obj) -> set[str]:
    return {each["name"] for each in status["preflight"]["checks"] if each["verdict"] != "Pass"}


@pytest.mark.usefixtures("account")
def test_it_waits_for_what_is_missing_and_for_a_person_and_begins_once_both_are_there(
    operator: Operator, scene: Scene
) -> None:
    metadata = {"name": "web-tls", "namespace": scene.namespace}
    data = {"tls.crt": base64.b64encode(CERTIFICATE.read_bytes()).decode(), "tls.key": ""}
    scene.kube.create(
        {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
    )
    rollout = scene.rollout([plan.phase("all", 100, "1s")], preflight={"interval": "2s", "checks": CHECKS})
    status = rollout.until("Preflight", reason="PreflightIncomplete", stalled=False, says="2 of 7 checks do not pass")
    assert failing(status) == {"runbook", "on-call"}
    assert "ConfigMap" in status["message"]
    assert scene.weight() == 0

    kim = person(scene, "kim", *VERBS)
    code, said, _ = kim("checklist", "move")
    assert code == 2
    assert "x runbook" in said
    assert "+ tls" in said
    code, said, error = kim("attest", "move", "on-call", "-m", "lee is, until Friday", "-y")
    assert code == 0, said + error
    rollout.until("Preflight", says="1 of 7 checks does not pass: runbook")
    scene.kube.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "runbook", "namespace": scene.namespace},
            "data": {"page": "what to do at night"},
        }
    )
    status = rollout.until("Completed")
    [word] = status["preflight"]["attested"]
    assert word["by"] == f"system:serviceaccount:{scene.namespace}:kim"
    assert word["message"] == "lee is, until Friday"
    assert "Attested" in rollout.reasons


def test_variables_that_one_side_lacks_are_named_with_what_to_add(operator: Operator, scene: Scene) -> None:
    check = {"name": "variables", "group": "Infrastructure", "envVars": {"names": ["BATCH_SIZE", "LOG_LEVEL"]}}
    names = {"env": [{"name": "BATCH_SIZE", "value": "100"}, {"name": "LOG_LEVEL", "value": "info"}]}
    pod = {"spec": {"template": {"spec": {"containers": [{"name": "app", **names}]}}}}
    container = scene.kube.get("apps/v1", "Deployment", "old", scene.namespace)["spec"]["template"]["spec"][
        "containers"
    ]
    pod["spec"]["template"]["spec"]["containers"] = [container[0] | names]
    scene.kube.patch("apps/v1", "Deployment", "old", scene.namespace, pod)
    rollout = scene.rollout([plan.phase("all", 100, "1s")], preflight={"interval": "2s", "checks": [check]})
    status = rollout.until("Preflight", reason="PreflightIncomplete", says="new does not define BATCH_SIZE, LOG_LEVEL")
    assert status["preflight"]["missingNew"] == ["BATCH_SIZE", "LOG_LEVEL"]
    _, said, _ = person(scene, "kim", *VERBS)("checklist", "move")
    assert "# to be added to `env` of the containers of new\n- name: BATCH_SIZE\n" in said
    scene.kube.patch("apps/v1", "Deployment", "new", scene.namespace, pod)
    rollout.until("Completed")


@pytest.fixture
def pods_run(scene: Scene, tmp_path: Path) -> Iterator[JobRunner]:
    """Pods of the operator's Jobs are real processes."""
    with JobRunner(scene, tmp_path) as runner:
        yield runner


def step(script: str) -> Obj:
    return {"job": {"template": template("/bin/sh", "-c", script)}, "budget": "30s"}


def test_a_job_of_the_checklist_and_day_one_run_in_order_before_traffic_moves(
    operator: Operator, scene: Scene, pods_run: JobRunner, tmp_path: Path
) -> None:
    story = tmp_path / "story"
    said = 'echo "$ROLLOUT_STEP" >> ' + str(story)
    check = {"name": "load", "group": "Code", **step(said)}
    day = {name: step(said) for name in ("backup", "migrate", "testSync")}
    rollout = scene.rollout([plan.phase("all", 100, "1s")], preflight={"checks": [check], "dayOne": day})
    status = rollout.until("Completed", timeout=60.0)
    assert story.read_text().split() == ["Check", "Backup", "Migrate", "TestSync"]
    assert [each["state"] for each in status["dayOne"]] == ["Succeeded"] * 3
    assert scene.weights() == [0, 100]
    moved = next(entry["time"] for entry in status["history"] if entry["reason"] == "Completed")
    assert all(each["finished"] < moved for each in status["dayOne"])


def test_a_migration_that_fails_is_rolled_back_before_any_traffic_has_moved(
    operator: Operator, scene: Scene, pods_run: JobRunner
) -> None:
    day = {"migrate": step("echo no such table: listings; exit 3")}
    procedure = {"verifyData": step("echo nothing is damaged")}
    rollout = scene.rollout(
        [plan.phase("all", 100, "1s")], preflight={"dayOne": day}, rollback={"procedure": procedure}
    )
    status = rollout.until("RolledBack", timeout=60.0)
    assert "Migrate of day one has failed" in status["rollback"]["message"]
    assert "exit code 3: no such table: listings" in status["rollback"]["message"]
    assert {each["name"]: each["state"] for each in status["rollback"]["steps"]}["VerifyData"] == "Succeeded"
    assert scene.weights() == [0]
    assert pods_run.ran == ["Migrate", "VerifyData"]

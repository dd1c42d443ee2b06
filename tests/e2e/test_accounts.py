"""What is done for a rollout is done as the ServiceAccount that it names: with its rights, and with no others."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.accounts import Account
from e2e.operators import USER, Operator
from e2e.rights import Right, without
from e2e.scene import Scene
from testbed.audit import AuditEvent

pytestmark = pytest.mark.cluster
OWN = {"syncrollouts", "events", "serviceaccounts", "localsubjectaccessreviews"}
"""What stays the operator's own, whatever a rollout names."""


def _asked(scene: Scene, mark: int) -> list[AuditEvent]:
    """What the operator has asked for in the scene's namespace, but for watches and what else all rollouts share."""
    events = scene.stage.cluster.audit.since(mark)
    mine = [each for each in events if each.user == USER and each.namespace == scene.namespace]
    return [each for each in mine if each.verb not in ("list", "watch")]


def test_all_that_is_done_for_a_rollout_is_done_as_its_account(operator: Operator, scene: Scene) -> None:
    account = Account(scene).create().grant()
    mark = scene.stage.cluster.audit.mark()
    procedure = {"evidence": {}, "verifySystem": {"restartOld": True}}
    phases = [plan.phase("half", 50, plan.LONG)]
    rollout = scene.rollout(phases, serviceAccountName=account.name, rollback={"procedure": procedure})
    rollout.until(phase="half", stands=True)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]
    asked = _asked(scene, mark)
    effects = {(each.verb, each.resource) for each in asked if each.resource not in OWN and each.verb != "get"}
    assert effects >= {("patch", "httproutes"), ("patch", "deployments"), ("create", "configmaps")}
    assert {each.impersonated for each in asked if each.resource not in OWN and each.verb != "get"} == {account.user}
    assert {each.impersonated for each in asked if each.resource in OWN} == {""}


def test_an_account_is_looked_at_before_anything_is_touched(operator: Operator, scene: Scene) -> None:
    account = Account(scene)
    rollout = scene.rollout([plan.phase("half", 50, "0s")], serviceAccountName=account.name)
    where = f"ServiceAccount {scene.namespace}/mover, which spec.serviceAccountName names, "
    rollout.until("Preflight", reason="ServiceAccountNotFound", says=f"{where}does not exist", stalled=True)
    account.create()
    status = rollout.until("Preflight", reason="Forbidden", says=f'{where}lacks the right to "get"', stalled=True)
    assert (
        "; it also lacks: patch HTTPRoute web, get Deployment old, patch Deployment/scale old and 3 more"
        in status["message"]
    )
    assert f"--serviceaccount={scene.namespace}:mover" in status["message"]
    assert scene.weights() == [0]
    account.grant()
    rollout.until("Completed")
    assert scene.weights() == [0, 50]


def test_an_account_that_loses_its_rights_on_the_way_is_told_of_and_goes_back_once_it_has_them(
    operator: Operator, scene: Scene
) -> None:
    account = Account(scene).create().grant()
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], serviceAccountName=account.name)
    rollout.until(phase="half", stands=True)
    account.bar()
    scene.set("errors", 50, "new")
    rollout.until(
        "RollingBack", reason="Forbidden", says='lacks the right to "patch" resource "httproutes"', stalled=True
    )
    account.grant()
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_an_operator_that_may_not_act_as_accounts_says_so_before_the_start(operator: Operator, scene: Scene) -> None:
    account = Account(scene).create().grant()
    with without(scene.stage, Right("authentication.k8s.io", "serviceaccounts", "impersonate:serviceaccount")):
        rollout = scene.rollout([plan.phase("half", 50, "0s")], serviceAccountName=account.name)
        rollout.until(
            "Preflight", reason="Forbidden", says="the operator may not do this as ServiceAccount", stalled=True
        )
    rollout.until("Completed")


def test_a_job_runs_as_the_account_and_pod_security_holds_for_its_pods(operator: Operator, scene: Scene) -> None:
    account = Account(scene).create().grant()
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    scene.kube.patch("v1", "Namespace", scene.namespace, "", level)
    job = {
        "template": {
            "spec": {
                "containers": [{"name": "a", "image": "a"}],
                "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
            }
        }
    }
    checks = [{"name": "run", "group": "Code", "job": job, "budget": "2s"}]
    rollout = scene.rollout(
        [plan.phase("half", 50, "0s")], serviceAccountName=account.name, preflight={"checks": checks}
    )
    rollout.until("Preflight", reason="PreflightIncomplete")
    [made] = scene.kube.list("batch/v1", "Job", scene.namespace)
    assert made["spec"]["template"]["spec"]["serviceAccountName"] == account.name
    assert (made.get("status") or {}).get("failed", 0) == 0, "no pod of it has ever been"
    assert scene.kube.list("v1", "Pod", scene.namespace, selector="syncrollout.io/rollout=move") == []
    assert scene.weights() == [0]

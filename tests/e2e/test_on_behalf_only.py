"""With the chart's `rbac.onBehalfOnly` the operator may change nothing that rollouts name, and read no Secret: what
their accounts may is enough for everything."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from e2e import plan
from e2e.accounts import Account
from e2e.operators import NAMESPACE, ROOT, Operators
from e2e.scene import Scene
from testbed import Obj, build

pytestmark = pytest.mark.cluster
NAME = "behalf-syncrollout"
USER = f"system:serviceaccount:{NAMESPACE}:{NAME}"
KINDS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


@pytest.fixture
def helm() -> str:
    """The program; the name of the fixture has it built beforehand."""
    return str(build.program("helm"))


@pytest.fixture
def installed(helm: str, scene: Scene) -> Iterator[None]:
    """What the chart gives an operator of that kind, beside the one of all other scenarios."""
    values = ("--set=rbac.onBehalfOnly=true", "--set=requireServiceAccount=true", "--set=rbac.people=false")
    command = [helm, "template", "behalf", str(ROOT / "charts" / "syncrollout"), "--namespace", NAMESPACE, *values]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    objects: list[Obj] = [obj for obj in yaml.safe_load_all(text) if obj and obj["kind"] in KINDS]
    assert {obj["kind"] for obj in objects} == KINDS
    kube = scene.kube
    for obj in objects:
        kube.apply(obj)
    yield
    for obj in reversed(objects):
        kube.delete(obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
    kube.delete("coordination.k8s.io/v1", "Lease", NAME, NAMESPACE)


def test_an_operator_that_may_only_act_as_accounts_carries_a_rollout_out_and_back(
    installed: None, operators: Operators, scene: Scene
) -> None:
    account = Account(scene).create().grant()
    value = base64.b64encode(b"known-to-the-account-alone").decode()
    scene.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "token", "namespace": scene.namespace},
            "data": {"value": value},
        }
    )
    prometheus = {
        "address": scene.stage.prometheus.address,
        "interval": "1s",
        "bearerToken": {"name": "token", "key": "value"},
    }
    operators.own("behalf", "--require-service-account", f"--lease-name={NAME}", account=(NAMESPACE, NAME))
    mark = scene.stage.cluster.audit.mark()
    rollout = scene.rollout(
        [plan.phase("half", 50, "1s"), plan.phase("full", 100, plan.LONG, retireOld=True)],
        serviceAccountName=account.name,
        prometheus=prometheus,
        monitoring={"dashboards": {}},
        rollback={"procedure": {"evidence": {}, "verifySystem": {"restartOld": True}}},
    )
    rollout.until(phase="full", stands=True)
    scene.until_ready("old", 0)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    scene.until_ready("old", 2)
    assert scene.weights() == [0, 50, 100, 0]
    asked = [each for each in scene.stage.cluster.audit.since(mark) if each.user == USER]
    assert [each for each in asked if each.forbidden] == []
    as_account = {(each.verb, each.resource, each.subresource) for each in asked if each.impersonated == account.user}
    assert as_account >= {
        ("patch", "httproutes", ""),
        ("patch", "deployments", "scale"),
        ("patch", "deployments", ""),
        ("create", "configmaps", ""),
        ("get", "secrets", ""),
    }

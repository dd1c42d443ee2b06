"""A tenant who may write SyncRollouts in one namespace, and nothing else, gains nothing by it: whatever he names."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import plan
from e2e.accounts import Account
from e2e.operators import USER, Operators
from e2e.scene import Scene
from testbed import Cluster, Obj
from testbed.cluster import KubectlFailed
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
POLICY = Path(__file__).parents[2] / "manifests" / "55-admission-accounts.yaml"
REFUSED = "may not have a rollout carried out as ServiceAccount"
PLANTED = "planted-" + "s3cret"
JOB: Obj = {
    "template": {
        "spec": {
            "serviceAccountName": "mighty",
            "containers": [
                {"name": "a", "image": "a", "envFrom": [{"secretRef": {"name": "treasure"}}]},
            ],
            "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        }
    }
}


@contextmanager
def _policy(cluster: Cluster, namespace: str) -> Iterator[None]:
    """The policy of accounts holds in this namespace."""
    made = list(yaml.safe_load_all(POLICY.read_text()))
    policy, binding = made
    for each in made:
        each["metadata"]["name"] += f"-{namespace}"
    binding["spec"]["policyName"] = policy["metadata"]["name"]
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding["spec"]["matchResources"] = {"namespaceSelector": here}
    try:
        for each in made:
            cluster.kube.create(each)
        yield
    finally:
        for each in reversed(made):
            cluster.kube.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


class Tenant:
    """Somebody with `syncrollout-editor` in a namespace, by kubectl."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        account = Account(scene, "tenant").create()
        account.bind("syncrollout-editor")
        self._token = scene.stage.cluster.token_for(scene.namespace, "tenant")

    def apply(self, rollout: Obj, *flags: str) -> str:
        """What kubectl says, whether it is taken or refused."""
        kubectl = self._scene.stage.cluster.kubectl
        try:
            return kubectl("apply", "-f", "-", *flags, input=json.dumps(rollout), token=self._token)
        except KubectlFailed as error:
            return str(error)


def _greedy(scene: Scene, name: str, **spec: Any) -> Obj:
    """A rollout that names all that its author may not touch."""
    secret = {"name": "treasure", "key": "value"}
    given: dict[str, Any] = {
        "prometheus": {"address": scene.stage.prometheus.address, "bearerToken": secret, "interval": "1s"},
        "notifications": {
            "audiences": [{"name": "me", "channels": [{"name": "mail", "urlFrom": secret}]}],
            "templates": {"configMap": "theirs"},
        },
        "preflight": {
            "checks": [
                {"name": "look", "group": "Code", "tlsSecret": {"name": "treasure"}},
                {
                    "name": "node",
                    "group": "Code",
                    "resourceExists": {"apiVersion": "v1", "kind": "Node", "name": "kwok-0"},
                },
                {"name": "run", "group": "Code", "job": JOB},
            ],
            "interval": "10s",
        },
        "rollback": {
            "procedure": {"verifyData": {"job": {"fromCronJob": "theirs"}}, "evidence": {}, "restore": {"job": JOB}}
        },
        "monitoring": {"dashboards": {}},
        **spec,
    }
    return plan.rollout(name, scene.namespace, scene.stage.prometheus.address, [plan.phase("half", 50, "0s")], **given)


def test_a_tenant_gains_nothing_by_any_field_that_names_something(operators: Operators, scene: Scene) -> None:
    cluster, kube = scene.stage.cluster, scene.kube
    value = base64.b64encode(PLANTED.encode()).decode()
    metadata = {"name": "treasure", "namespace": scene.namespace}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"value": value}})
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "theirs", "namespace": scene.namespace},
            "data": {"Started.en": PLANTED},
        }
    )
    mighty = Account(scene, "mighty").create().grant()
    Account(scene, "poor").create()
    tenant = Tenant(scene)
    operators.own("strict", "--no-leader-election", "--require-service-account")
    with _policy(cluster, scene.namespace):
        mark = cluster.audit.mark()
        # a mighty account is not his to name, when he makes a rollout as little as when he edits one of somebody else's
        bold = _greedy(scene, "greedy", serviceAccountName=mighty.name)
        eventually(
            lambda: REFUSED in tenant.apply(bold, "--dry-run=server"), what="the policy to be obeyed", timeout=30
        )
        assert REFUSED in tenant.apply(bold)
        theirs = _greedy(scene, "theirs", serviceAccountName=mighty.name, suspend=True)
        kube.create(theirs)
        scene.adopt("theirs")
        theirs["spec"]["suspend"] = False
        assert REFUSED in tenant.apply(theirs)
        # but to stop it he may, as anybody must who is called at night, and nothing along with that
        theirs["spec"] |= {"suspend": True, "emergencyStop": True}
        hidden = {**theirs, "spec": {**theirs["spec"], "serviceAccountName": "tenant"}}
        assert REFUSED in tenant.apply(hidden, "--dry-run=server")
        assert "configured" in tenant.apply(theirs)
        assert scene.adopt("theirs").obj["spec"]["emergencyStop"] is True
        less = {**theirs, "spec": {name: value for name, value in theirs["spec"].items() if name != "rollback"}}
        assert REFUSED in tenant.apply(less, "--dry-run=server")
        theirs["spec"]["emergencyStop"] = False
        assert REFUSED in tenant.apply(theirs)
        # without one nothing is done at all
        assert "created" in tenant.apply(_greedy(scene, "greedy"))
        nameless = scene.adopt("greedy")
        nameless.until("Preflight", reason="ServiceAccountRequired", stalled=True)
        # with one that may nothing, or with his own, he may have it named as far as he may impersonate: not at all
        for name in ("poor", "tenant", "default"):
            assert REFUSED in tenant.apply(_greedy(scene, "greedy", serviceAccountName=name))
        # other people's namespaces are named by no field
        elsewhere = _greedy(scene, "greedy")
        elsewhere["spec"]["old"]["workload"]["namespace"] = "kube-system"
        assert 'unknown field "spec.old.workload.namespace"' in tenant.apply(elsewhere)
        # once a person who may has given it an account that may nothing, that is what it may
        kube.patch(plan.API_VERSION, plan.KIND, "greedy", scene.namespace, {"spec": {"serviceAccountName": "poor"}})
        status = nameless.until("Preflight", reason="Forbidden", stalled=True)
        assert "ServiceAccount " + scene.namespace + "/poor" in status["message"]
        asked = [
            each
            for each in cluster.audit.since(mark)
            if each.user == USER and each.namespace == scene.namespace and each.impersonated != mighty.user
        ]
    assert scene.weights() == [0]
    assert kube.list("batch/v1", "Job", scene.namespace) == []
    assert PLANTED not in json.dumps(nameless.obj)
    touched = {(each.verb, each.resource) for each in asked if each.code < 400 and each.verb not in ("list", "watch")}
    own = {"syncrollouts", "events", "serviceaccounts", "localsubjectaccessreviews"}
    assert {each for each in touched if each[1] not in own} == set()

"""`manifests/` on a real API server: it applies, its pods are admitted, the operator may do what is listed, no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncrollout.runtime.settings import Settings
from testbed import Cluster, KubeError
from testbed.waiting import eventually

ROOT = Path(__file__).parents[2]
NAMESPACE = "syncrollout-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:syncrollout"
Obj = dict[str, Any]


def may(cluster: Cluster, verb: str, group: str, resource: str, *, namespace: str, name: str = "") -> bool:
    """Asks the API server's own authorizer. `resource` may have a subresource: deployments/scale."""
    plain, _, sub = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plain, "subresource": sub, "namespace": namespace}
    review = cluster.kube.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": OPERATOR,
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": attributes | {"name": name},
            },
        }
    )
    return bool(review["status"]["allowed"])


MAY = {
    ("syncrollout.io", "syncrollouts"): {"get", "list", "watch", "patch"},
    ("syncrollout.io", "syncrollouts/status"): {"patch"},
    ("", "events"): {"create"},
    ("apps", "deployments"): {"get", "list", "watch", "patch"},
    ("apps", "statefulsets"): {"get", "list", "watch", "patch"},
    ("apps", "deployments/scale"): {"patch"},
    ("apps", "statefulsets/scale"): {"patch"},
    ("autoscaling", "horizontalpodautoscalers"): {"list"},
    ("batch", "cronjobs"): {"get", "list", "watch", "patch"},
    ("", "services"): {"get", "list", "watch"},
    ("", "secrets"): {"get"},
    ("snapshot.storage.k8s.io", "volumesnapshots"): {"get", "list"},
    ("gateway.networking.k8s.io", "httproutes"): {"get", "list", "watch", "patch"},
    ("gateway.networking.k8s.io", "grpcroutes"): {"get", "list", "watch", "patch"},
    ("batch", "jobs"): {"get", "list", "watch", "create"},
    ("", "pods"): {"list", "watch"},
    ("", "pods/log"): {"get"},
    ("", "configmaps"): {"get", "list", "watch", "create", "patch"},
    ("", "serviceaccounts"): {"get"},
    ("authorization.k8s.io", "localsubjectaccessreviews"): {"create"},
    ("", "namespaces"): set(),
    ("apiextensions.k8s.io", "customresourcedefinitions"): set(),
    ("rbac.authorization.k8s.io", "clusterroles"): set(),
    ("projectcontour.io", "httpproxies"): set(),
}
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}


@pytest.mark.cluster
@pytest.mark.parametrize(("group", "resource"), MAY, ids=lambda part: part or "core")
def test_the_operator_may_do_what_is_listed_and_no_more(operator_rights: Cluster, group: str, resource: str) -> None:
    allowed = {verb for verb in VERBS if may(operator_rights, verb, group, resource, namespace="somewhere")}
    assert allowed == MAY[group, resource]


@pytest.mark.cluster
def test_the_lease_is_the_operators_own_in_its_own_namespace_only(operator_rights: Cluster) -> None:
    lease = ("coordination.k8s.io", "leases")
    for verb in ("get", "patch"):
        assert may(operator_rights, verb, *lease, namespace=NAMESPACE, name="syncrollout")
        assert not may(operator_rights, verb, *lease, namespace=NAMESPACE, name="another")
        assert not may(operator_rights, verb, *lease, namespace="somewhere", name="syncrollout")
    assert may(operator_rights, "create", *lease, namespace=NAMESPACE)
    assert not may(operator_rights, "create", *lease, namespace="somewhere")
    for verb in ("delete", "update", "list", "watch"):
        assert not may(operator_rights, verb, *lease, namespace=NAMESPACE, name="syncrollout")


@pytest.mark.cluster
def test_a_labelled_cluster_role_adds_a_kind_of_route(operator_rights: Cluster) -> None:
    example = ROOT / "manifests" / "examples" / "rbac-extra-route.yaml"
    operator_rights.kubectl("apply", "-f", str(example))
    try:
        eventually(
            lambda: may(operator_rights, "patch", "projectcontour.io", "httpproxies", namespace="somewhere"),
            what="the rules of the labelled ClusterRole to reach the operator",
        )
        assert not may(operator_rights, "delete", "projectcontour.io", "httpproxies", namespace="somewhere")
    finally:
        operator_rights.kubectl("delete", "-f", str(example))
    eventually(
        lambda: not may(operator_rights, "patch", "projectcontour.io", "httpproxies", namespace="somewhere"),
        what="the rules to be taken back",
    )


@pytest.mark.cluster
@pytest.mark.parametrize("how", ["-k", "-f"])
def test_it_applies_either_way(operator_rights: Cluster, how: str) -> None:
    said = operator_rights.kubectl("apply", "--dry-run=server", how, str(ROOT / "manifests")).splitlines()
    assert len(said) == 19
    assert any(line.startswith("deployment.apps/syncrollout created") for line in said)


@pytest.mark.cluster
def test_the_pod_is_admitted_under_the_restricted_standard(operator_rights: Cluster, kustomized: list[Obj]) -> None:
    [deployment] = [obj for obj in kustomized if obj["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator", "namespace": NAMESPACE, **template["metadata"]},
        "spec": template["spec"],
    }

    def create() -> Obj:
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        created: Obj = operator_rights.kube.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", pod, query=query)
        return created

    assert create()["spec"]["serviceAccountName"] == "syncrollout"
    pod["spec"] = {**template["spec"], "securityContext": {"runAsNonRoot": False}}
    with pytest.raises(KubeError, match="PodSecurity"):
        create()  # the standard is enforced, and so the first answer means something


def test_every_verb_says_what_it_is_for() -> None:
    text = (ROOT / "manifests" / "20-rbac.yaml").read_text()
    granted = [verb for obj in yaml.safe_load_all(text) for rule in obj.get("rules", ()) for verb in rule["verbs"]]
    explained = re.findall(r"^  - ([a-z:-]+) +# \w+", text, flags=re.MULTILINE)
    assert explained == granted


def test_probes_ask_the_port_that_the_operator_serves(kustomized: list[Obj]) -> None:
    [deployment] = [obj for obj in kustomized if obj["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [port] = container["ports"]
    assert port["containerPort"] == Settings.model_fields["listen_port"].default
    assert {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} == {port["name"]}
    for variable in container["env"]:
        name = variable["name"].removeprefix("SYNCROLLOUT_").lower()
        assert name in Settings.model_fields
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > Settings.model_fields["shutdown_grace"].default


def test_the_namespace_is_the_same_everywhere(kustomized: list[Obj]) -> None:
    for path in sorted((ROOT / "manifests").glob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            assert obj in kustomized, f"{path.name}: {obj['kind']} differs from what -k applies"

"""Every variant of the chart, as an API server takes it; and what the rights of a mode are, and are not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import Cluster, KubeError, build
from testbed.served import until_served

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "syncrollout"
NAMESPACE = "syncrollout-system"
SINGLE = ("listings", "orders")
VARIANTS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "variants.yaml").read_text())
Obj = dict[str, Any]
Helm = Callable[..., Any]
_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")
_OVERLAY = "```yaml\n# "
"""How a file of the overlay begins in docs/install.md."""


@pytest.fixture(scope="module")
def rendered(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Obj]]:
    """The objects of each variant; each has passed `helm lint --strict` before."""
    folder = tmp_path_factory.mktemp("values")

    def render(numbered: tuple[int, str]) -> list[Obj]:
        values = folder / f"{numbered[0]}.yaml"
        values.write_text(yaml.safe_dump(VARIANTS[numbered[1]]))
        helm("lint", "--strict", CHART, "--values", values)
        done = helm("template", "syncrollout", CHART, "--namespace", NAMESPACE, "--values", values)
        return [obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(VARIANTS, pool.map(render, enumerate(VARIANTS)), strict=True))


@pytest.fixture(scope="module")
def monitored(served: Cluster, missing_parts: dict[str, str]) -> Cluster:
    """The control plane with the Prometheus Operator's own CRDs; skipped, with the reason, where they cannot be had."""
    part = "crds-prometheus-operator"
    if part in missing_parts:
        pytest.skip(f"no CRDs of the Prometheus Operator: {missing_parts[part]}")
    if served.lasting:
        pytest.skip("the CRDs of the Prometheus Operator are not put on a cluster that lasts, which may have its own")
    for path in sorted(build.folder(part).glob("*.yaml")):
        served.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
        until_served(served.kube, path.stem)
    return served


def _path(cluster: Cluster, obj: Obj) -> str:
    return cluster.kube.path(obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])


@pytest.mark.cluster
def test_an_api_server_takes_every_variant(rendered: dict[str, list[Obj]], monitored: Cluster) -> None:
    for name in (NAMESPACE, *SINGLE):
        monitored.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    distinct = {json.dumps(obj, sort_keys=True): variant for variant, objects in rendered.items() for obj in objects}
    refused = []
    for text, variant in distinct.items():
        obj = json.loads(text)
        query = {"fieldManager": "chart", "force": "true", "dryRun": "All", "fieldValidation": "Strict"}
        try:
            monitored.kube.request(
                "PATCH", _path(monitored, obj), obj, query=query, content_type="application/apply-patch+yaml"
            )
        except KubeError as error:
            refused.append(f"{variant}: {obj['kind']} {obj['metadata']['name']}: {error}")
    assert not refused
    assert len(distinct) > 50


def test_every_value_is_tried_by_a_variant() -> None:
    def paths(value: Any, path: str = "") -> set[str]:
        if isinstance(value, dict) and value and path != "resources":
            return {inner for key, part in value.items() for inner in paths(part, f"{path}.{key}".lstrip("."))}
        return {path}

    known = yaml.safe_load((CHART / "values.yaml").read_text())
    tried = {path for values in VARIANTS.values() for path in paths(values)}
    untried = paths(known) - tried - {f"{each}.tokenKey" for each in ("alertmanager", "ui")}
    untried = {path for path in untried if not any(each.startswith(f"{path}.") for each in tried)}
    assert untried <= {
        "image.tag",
        "alertmanager.port",
        "monitoring.serviceMonitor.labels",
        "monitoring.rules.labels",
        "monitoring.dashboard.labels",
    }


def test_a_service_monitor_finds_every_replica_once(rendered: dict[str, list[Obj]]) -> None:
    objects = rendered["all of it"]
    [monitor] = [obj for obj in objects if obj["kind"] == "ServiceMonitor"]
    services = [obj for obj in objects if obj["kind"] == "Service"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    [service] = [obj for obj in services if wanted <= obj["metadata"]["labels"].items()]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    [deployment] = [obj for obj in objects if obj["kind"] == "Deployment"]
    pods = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert all(obj["spec"]["selector"].items() <= pods for obj in services)


def test_pods_are_spread_by_their_own_labels(rendered: dict[str, list[Obj]]) -> None:
    [deployment] = [obj for obj in rendered["where pods run"] if obj["kind"] == "Deployment"]
    zone, host = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert zone["labelSelector"] == deployment["spec"]["selector"]
    assert host["labelSelector"] == {"matchLabels": {"app.kubernetes.io/name": "syncrollout"}}


def test_an_operator_of_single_namespaces_has_no_right_outside(rendered: dict[str, list[Obj]]) -> None:
    objects = rendered["single namespaces"]
    assert not [obj for obj in objects if obj["kind"] == "ClusterRoleBinding"]
    bound = [(obj["metadata"]["namespace"], obj["roleRef"]) for obj in objects if obj["kind"] == "RoleBinding"]
    assert {namespace for namespace, _ in bound} == {NAMESPACE, *SINGLE}
    assert {ref["kind"] for _, ref in bound} == {"Role"}
    bindings = [obj for obj in objects if obj["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert len(bindings) == 2
    for binding in bindings:
        [where] = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert where["values"] == list(SINGLE), "others' rollouts are none of its business"


def test_a_release_can_do_without_any_object_of_the_cluster(rendered: dict[str, list[Obj]]) -> None:
    assert all("namespace" in obj["metadata"] for obj in rendered["nothing of the cluster"])


def test_each_release_leads_by_a_lease_of_its_own(rendered: dict[str, list[Obj]]) -> None:
    for variant, name in (("defaults", "syncrollout"), ("another name", "mover")):
        [deployment] = [obj for obj in rendered[variant] if obj["kind"] == "Deployment"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert given.get("SYNCROLLOUT_LEASE_NAME", "syncrollout") == name
        [role] = [obj for obj in rendered[variant] if obj["metadata"]["name"] == f"{name}-leader-election"][:1]
        assert [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule] == [[name]]


@pytest.mark.cluster
def test_a_role_holds_all_that_is_in_a_namespace_and_no_more(rendered: dict[str, list[Obj]], served: Cluster) -> None:
    def rights(kind: str, variant: str) -> set[tuple[str, str, str]]:
        found = next(
            obj for obj in rendered[variant] if obj["kind"] == kind and obj["metadata"]["name"].endswith("-operator")
        )
        return {
            (group, resource, verb)
            for rule in found["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    listed = served.kubectl("api-resources", "--namespaced=false", "--no-headers", "-o", "name").split()
    everywhere, single = rights("ClusterRole", "defaults"), rights("Role", "single namespaces")
    assert single < everywhere
    left_out = {f"{resource}.{group}".rstrip(".") for group, resource, _ in everywhere - single}
    assert left_out
    assert left_out <= set(listed)
    assert not {f"{resource}.{group}".rstrip(".") for group, resource, _ in single} & set(listed)


def test_an_operator_that_acts_on_behalf_of_accounts_alone_changes_nothing_itself(
    rendered: dict[str, list[Obj]],
) -> None:
    objects = rendered["on behalf of accounts alone"]
    [role] = [obj for obj in objects if obj["metadata"]["name"] == "syncrollout-operator" and "rules" in obj]
    left = {(res, verb) for rule in role["rules"] for res in rule["resources"] for verb in rule["verbs"]}
    changes = {(res, verb) for res, verb in left if verb not in ("get", "list", "watch") and ":" not in verb}
    assert changes == {
        ("syncrollouts", "patch"),
        ("syncrollouts/status", "patch"),
        ("events", "create"),
        ("localsubjectaccessreviews", "create"),
    }
    assert not {res for res, verb in left if ":" not in verb} & {"secrets", "pods/log", "volumesnapshots"}
    assert ("secrets", "impersonate-on:serviceaccount:get") in left
    [deployment] = [obj for obj in objects if obj["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["run", "--require-service-account"]


def test_kustomize_gives_single_namespaces_the_same_objects(
    rendered: dict[str, list[Obj]], kustomize: Callable[[Path], list[Obj]], tmp_path: Path
) -> None:
    """The overlay is the one of docs/install.md."""
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    page = (ROOT / "docs" / "install.md").read_text()
    for block in page.split(_OVERLAY)[1:]:
        head, _, text = block.partition("```")[0].partition("\n")
        path = tmp_path / head.split(",")[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "kustomization.yaml").write_text(
        (tmp_path / "listings" / "kustomization.yaml").read_text().replace("listings", "orders")
    )
    ours = {_key(obj): _plain(obj) for obj in kustomize(tmp_path) if obj["kind"] != "Namespace"}
    chart = {
        _key(obj): _plain(obj) for obj in rendered["single namespaces"] if obj["kind"] != "CustomResourceDefinition"
    }
    assert ours.keys() == chart.keys()
    for key, obj in chart.items():
        if key[0] == "Deployment":
            [container] = obj["spec"]["template"]["spec"]["containers"]
            assert container.pop("imagePullPolicy") == "IfNotPresent"
        assert obj == ours[key], key


def _key(obj: Obj) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _plain(obj: Any) -> Any:
    """Without what Helm says of itself."""
    if isinstance(obj, dict):
        return {key: _plain(value) for key, value in obj.items() if key not in _OF_HELM}
    return [_plain(item) for item in obj] if isinstance(obj, list) else obj


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("alertmanager.enabled=true", "alertmanager.enabled needs alertmanager.tokenSecret"),
        ("monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true", "scrape every replica twice"),
        ("alertmanager.enabled=true,alertmanager.tokenSecret=a,ui.enabled=true,ui.port=8081", "both 8081"),
        ("rbac.onBehalfOnly=true", "rbac.onBehalfOnly needs requireServiceAccount"),
        ("rbac.nodes=true", "rbac.nodes is for an operator of single namespaces"),
        ("podDisruptionBudget.maxUnavailable=2", "has to be less than replicas (2)"),
        ("namespaces={a},env[0].name=SYNCROLLOUT_NAMESPACES", "only namespaces brings the rights with it"),
        ("namespaces={a},extraArgs={--namespace=b}", "only namespaces brings the rights with it"),
        ("env[0].name=SYNCROLLOUT_PARTITIONS", "only partitions brings the rights with it"),
        ("extraArgs={--partitions}", "only partitions brings the rights with it"),
        ("extraArgs={--partitions=4}", "only partitions brings the rights with it"),
    ],
)
def test_values_that_do_not_go_together_are_refused_in_a_sentence(values: str, said: str, helm: Helm) -> None:
    refused = helm("template", "syncrollout", CHART, "--set", values, check=False)
    assert refused.returncode != 0
    assert said in refused.stderr

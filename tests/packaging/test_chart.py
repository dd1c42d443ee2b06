"""The chart renders what `manifests/` and `crds/` hold, and refuses values that it does not know."""

from __future__ import annotations

import copy
import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncrollout.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "syncrollout"
NAMESPACE = "syncrollout-system"
Obj = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")


@pytest.fixture
def template(helm: Helm) -> Callable[..., list[Obj]]:
    """Renders the chart with these values."""

    def render(*values: str, release: str = "syncrollout") -> list[Obj]:
        sets = [part for value in values for part in ("--set-json", value)]
        done = helm("template", release, CHART, "--namespace", NAMESPACE, *sets)
        return [obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj]

    return render


def by_kind_and_name(objects: list[Obj]) -> dict[tuple[str, str], Obj]:
    keyed = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    assert len(keyed) == len(objects)
    return keyed


def without(obj: Any, keys: tuple[str, ...]) -> Any:
    """The object without these keys at any depth, and without what is empty then."""
    if isinstance(obj, dict):
        kept = {key: without(value, keys) for key, value in obj.items() if key not in keys}
        return {key: value for key, value in kept.items() if value != {}}
    if isinstance(obj, list):
        return [without(item, keys) for item in obj]
    return obj


def test_it_renders_what_manifests_and_crds_hold(template: Callable[..., list[Obj]], kustomized: list[Obj]) -> None:
    crd = yaml.load((ROOT / "crds" / "syncrollout.io_syncrollouts.yaml").read_text(), yaml.CSafeLoader)
    expected = by_kind_and_name([obj for obj in kustomized if obj["kind"] != "Namespace"] + [crd])
    rendered = by_kind_and_name(template())
    assert rendered.keys() == expected.keys()
    for key, obj in rendered.items():
        ours = without(obj, _OF_HELM)
        if key[0] == "CustomResourceDefinition":
            assert ours["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
            del ours["metadata"]["labels"]
        if key[0] == "Deployment":
            [container] = ours["spec"]["template"]["spec"]["containers"]
            assert container.pop("imagePullPolicy") == "IfNotPresent"  # what the API server fills in for a tag
        assert ours == without(expected[key], _OF_HELM), key


def test_another_name_and_namespace_reach_every_reference(helm: Helm) -> None:
    done = helm("template", "rel", CHART, "--namespace", "elsewhere", "--set", "nameOverride=mover")
    objects = by_kind_and_name([obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj])
    assert NAMESPACE not in done.stdout
    for (kind, _), obj in objects.items():
        if kind == "ValidatingAdmissionPolicyBinding":
            assert ("ValidatingAdmissionPolicy", obj["spec"]["policyName"]) in objects
        elif kind.endswith("Binding"):
            assert obj["subjects"] == [{"kind": "ServiceAccount", "name": "rel-mover", "namespace": "elsewhere"}]
            assert (obj["roleRef"]["kind"], obj["roleRef"]["name"]) in objects
    deployment = objects["Deployment", "rel-mover"]["spec"]
    assert deployment["template"]["spec"]["serviceAccountName"] == "rel-mover"
    assert deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()


def test_values_reach_the_pod(template: Callable[..., list[Obj]]) -> None:
    digest = "sha256:" + "0" * 64
    objects = by_kind_and_name(
        template(
            f'image={{"repository": "example.com/syncrollout", "digest": "{digest}"}}',
            'imagePullSecrets=[{"name": "pull"}]',
            'extraArgs=["--concurrency", "8"]',
            'podAnnotations={"a": "b"}',
            'podLabels={"c": "d"}',
            'nodeSelector={"kubernetes.io/os": "linux"}',
            'tolerations=[{"operator": "Exists"}]',
            'priorityClassName="high"',
            "replicas=1",
            'serviceAccount.annotations={"role": "x"}',
        )
    )
    deployment = objects["Deployment", "syncrollout"]["spec"]
    pod = deployment["template"]["spec"]
    assert pod["containers"][0]["image"] == f"example.com/syncrollout@{digest}"
    assert pod["containers"][0]["args"] == ["run", "--concurrency", "8"]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "high"
    assert deployment["replicas"] == 1
    assert deployment["template"]["metadata"]["annotations"] == {"a": "b"}
    assert deployment["template"]["metadata"]["labels"]["c"] == "d"
    assert objects["ServiceAccount", "syncrollout"]["metadata"]["annotations"] == {"role": "x"}


def test_the_receiver_of_alerts_is_off_unless_asked_for(template: Callable[..., list[Obj]]) -> None:
    assert "alertmanager" not in yaml.safe_dump([obj for obj in template() if obj["kind"] in ("Deployment", "Service")])
    objects = by_kind_and_name(
        template('alertmanager={"enabled": true, "port": 9999, "tokenSecret": "pushers", "tokenKey": "t"}', "env=[]")
    )
    pod = objects["Deployment", "syncrollout"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    settings = Settings(**{name.removeprefix("SYNCROLLOUT_").lower(): value for name, value in environment.items()})
    assert settings.alertmanager_listen_port == 9999
    assert {"name": "alertmanager", "containerPort": 9999} in container["ports"]
    [volume] = pod["volumes"]
    assert volume["secret"] == {"secretName": "pushers", "items": [{"key": "t", "path": "token"}]}
    [mount] = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert settings.alertmanager_token_file == f"{mount['mountPath']}/token"
    service = objects["Service", "syncrollout-alertmanager"]["spec"]
    assert service["ports"] == [{"name": "alertmanager", "port": 9999, "targetPort": "alertmanager"}]
    labels = objects["Deployment", "syncrollout"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def test_the_page_is_off_unless_asked_for_and_reached_from_outside_with_a_token_alone(
    template: Callable[..., list[Obj]],
) -> None:
    def settings(*values: str) -> tuple[Settings, dict[tuple[str, str], Obj]]:
        objects = by_kind_and_name(template(*values, "env=[]"))
        [container] = objects["Deployment", "syncrollout"]["spec"]["template"]["spec"]["containers"]
        given = {each["name"].removeprefix("SYNCROLLOUT_").lower(): each["value"] for each in container.get("env", ())}
        return Settings(**given), objects

    assert not settings()[0].ui
    alone, objects = settings("ui.enabled=true", "ui.port=9000")
    assert (alone.ui, alone.ui_listen_port, alone.ui_listen_address) == (True, 9000, "127.0.0.1")
    assert ("Service", "syncrollout-ui") not in objects
    outside, objects = settings('ui={"enabled": true, "tokenSecret": "viewers", "tokenKey": "t"}')
    assert outside.ui_listen_address == "0.0.0.0"  # noqa: S104 - the pod's own
    pod = objects["Deployment", "syncrollout"]["spec"]["template"]["spec"]
    [volume], [mount] = pod["volumes"], pod["containers"][0]["volumeMounts"]
    assert volume["secret"] == {"secretName": "viewers", "items": [{"key": "t", "path": "token"}]}
    assert outside.ui_token_file == f"{mount['mountPath']}/token"
    service = objects["Service", "syncrollout-ui"]["spec"]
    assert service["ports"] == [{"name": "ui", "port": 8082, "targetPort": "ui"}]
    assert {"name": "ui", "containerPort": 8082} in pod["containers"][0]["ports"]
    both = by_kind_and_name(
        template('ui={"enabled": true, "tokenSecret": "a"}', 'alertmanager={"enabled": true, "tokenSecret": "b"}')
    )
    volumes = both["Deployment", "syncrollout"]["spec"]["template"]["spec"]["volumes"]
    assert [each["name"] for each in volumes] == ["alertmanager-token", "ui-token"]


def test_monitoring_is_off_unless_asked_for_and_is_what_manifests_hold(template: Callable[..., list[Obj]]) -> None:
    kinds = {"PodMonitor", "PrometheusRule", "ConfigMap"}
    assert not [obj for obj in template() if obj["kind"] in kinds]
    on = ("podMonitor", "rules", "dashboard")
    values = [f"monitoring.{each}.enabled=true" for each in on]
    objects = by_kind_and_name(template(*values, 'monitoring.rules.labels={"a": "b"}'))
    monitor = objects["PodMonitor", "syncrollout"]
    ours = yaml.safe_load((ROOT / "manifests" / "prometheus" / "podmonitor.yaml").read_text())
    endpoints, selector = monitor["spec"]["podMetricsEndpoints"], monitor["spec"]["selector"]["matchLabels"]
    assert endpoints == ours["spec"]["podMetricsEndpoints"]
    pod = objects["Deployment", "syncrollout"]["spec"]["template"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert endpoints[0]["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    rules = objects["PrometheusRule", "syncrollout"]
    files = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "manifests" / "prometheus").glob("*.yaml"))]
    assert rules["spec"]["groups"] == [group for file in files for group in file.get("groups", ())]
    assert rules["metadata"]["labels"]["a"] == "b"
    board = objects["ConfigMap", "syncrollout-dashboard"]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    fleet = json.loads((ROOT / "manifests" / "grafana" / "fleet.json").read_text())
    assert json.loads(board["data"]["syncrollout-fleet.json"]) == fleet


def test_the_network_policy_lets_in_what_is_served_and_nothing_else(template: Callable[..., list[Obj]]) -> None:
    assert not [obj for obj in template() if obj["kind"] == "NetworkPolicy"]
    peers = '[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]'
    bare = template("networkPolicy.enabled=true", f"networkPolicy.metricsFrom={peers}")
    [policy] = [obj for obj in bare if obj["kind"] == "NetworkPolicy"]
    assert [each["port"] for rule in policy["spec"]["ingress"] for each in rule["ports"]] == ["http"]
    assert policy["spec"]["ingress"][0]["from"] == yaml.safe_load(peers)
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    served = template(
        "networkPolicy.enabled=true",
        'alertmanager={"enabled": true, "tokenSecret": "alerts"}',
        'ui={"enabled": true, "tokenSecret": "ui"}',
    )
    [policy] = [obj for obj in served if obj["kind"] == "NetworkPolicy"]
    open_to = {each["port"] for rule in policy["spec"]["ingress"] for each in rule["ports"]}
    [deployment] = [obj for obj in served if obj["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert open_to == {each["name"] for each in container["ports"]}
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pods.items()


def test_reviews_come_with_their_rights_which_are_those_of_manifests_and_without_them_there_are_none(
    template: Callable[..., list[Obj]],
) -> None:
    files = (ROOT / "manifests" / "reviews" / "rbac.yaml").read_text()
    expected = by_kind_and_name(list(yaml.safe_load_all(files)))
    assert not [key for key in by_kind_and_name(template()) if key in expected]
    for value in ('ui={"enabled": true, "review": true}', "monitoring.review=true",
                  'alertmanager={"enabled": true, "review": true}'):  # fmt: skip
        rendered = by_kind_and_name(template(value))
        assert {key: without(rendered[key], _OF_HELM) for key in expected} == {
            key: without(obj, _OF_HELM) for key, obj in expected.items()
        }
        [container] = rendered["Deployment", "syncrollout"]["spec"]["template"]["spec"]["containers"]
        assert "_REVIEW" in str(container["env"])
        assert "volumeMounts" not in container


def test_a_certificate_reaches_the_servers_the_probes_and_the_monitors(template: Callable[..., list[Obj]]) -> None:
    objects = by_kind_and_name(
        template(
            'tls.secret="served"',
            'alertmanager={"enabled": true, "clientCaSecret": "pushers", "clientCaKey": "ca.pem"}',
            'ui={"enabled": true, "review": true}',
            "monitoring.podMonitor.enabled=true",
            'monitoring.endpoint={"tlsConfig": {"serverName": "syncrollout"}}',
            "env=[]",
        )
    )
    pod = objects["Deployment", "syncrollout"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    settings = Settings(
        **{each["name"].removeprefix("SYNCROLLOUT_").lower(): each["value"] for each in container["env"]}
    )
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    secrets = {each["name"]: each["secret"] for each in pod["volumes"]}
    assert mounts.keys() == secrets.keys()
    assert settings.tls_cert_file == f"{mounts['tls']}/tls.crt"
    assert settings.tls_key_file == f"{mounts['tls']}/tls.key"
    assert settings.alertmanager_client_ca_file == f"{mounts['alertmanager-ca']}/ca.crt"
    assert secrets["alertmanager-ca"]["items"] == [{"key": "ca.pem", "path": "ca.crt"}]
    assert settings.ui_listen_address == "0.0.0.0"  # noqa: S104 - the pod's own
    assert settings.ui_review
    assert ("Service", "syncrollout-ui") in objects
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    [endpoint] = objects["PodMonitor", "syncrollout"]["spec"]["podMetricsEndpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"serverName": "syncrollout"})


def test_extra_rules_are_aggregated(template: Callable[..., list[Obj]]) -> None:
    rule = {"apiGroups": ["example.com"], "resources": ["shares"], "verbs": ["get", "patch"]}
    objects = by_kind_and_name(
        template('rbac.extraRules=[{"apiGroups": ["example.com"], "resources": ["shares"], "verbs": ["get", "patch"]}]')
    )
    extra = objects["ClusterRole", "syncrollout-extra-rules"]
    assert extra["rules"] == [rule]
    selector = objects["ClusterRole", "syncrollout-operator-extra"]["aggregationRule"]["clusterRoleSelectors"]
    assert selector[0]["matchLabels"].items() <= extra["metadata"]["labels"].items()


def test_the_policy_of_names_can_be_left_out_and_told_whom_to_trust(template: Callable[..., list[Obj]]) -> None:
    assert not [obj for obj in template("admissionPolicy.enabled=false") if "Admission" in obj["kind"]]
    name = "system:serviceaccount:argocd:argocd-application-controller"
    trusted = 'admissionPolicy.trusted={"users": ["' + name + '", "restore"], "groups": ["git"]}'
    policies = [obj for obj in template(trusted) if obj["kind"] == "ValidatingAdmissionPolicy"]
    [policy] = [obj for obj in policies if obj["metadata"]["name"] == "syncrollout-people"]
    conditions = [each["expression"] for each in policy["spec"]["matchConditions"]]
    assert conditions[1:] == [
        f"!(request.userInfo.username in ['{name}', 'restore'])",
        "!has(request.userInfo.groups) || !request.userInfo.groups.exists(g, g in ['git'])",
    ]


def test_the_crd_can_be_left_to_others(template: Callable[..., list[Obj]]) -> None:
    assert not [obj for obj in template("crds.install=false") if obj["kind"] == "CustomResourceDefinition"]
    [crd] = [obj for obj in template("crds.keep=false") if obj["kind"] == "CustomResourceDefinition"]
    assert "annotations" not in crd["metadata"]


def test_it_passes_lint(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART).stdout


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replica=3", "replica"),
        ("replicas=0", "replicas"),
        ("runAsUser=0", "runAsUser"),
        ("runAsUser=2147483648", "runAsUser"),
        ('image.digest="sha256:short"', "digest"),
        ('rbac.extraRules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["delete"]}]', "verbs"),
        ("image.pullPolicy=true", "pullPolicy"),
        ('namespaces=["Listings"]', "namespaces"),
        ('tolerations=[{"kee": "a"}]', "kee"),
        ("alertmanager.port=8080", "port"),
        ("ui.port=80", "port"),
        ("monitoring.rules.enable=true", "enable"),
        ('admissionPolicy.trusted.users=["a\'b"]', "users"),
    ],
)
def test_a_value_that_is_wrong_is_refused_by_name(value: str, said: str, helm: Helm) -> None:
    refused = helm("template", "syncrollout", CHART, "--set-json", value, check=False)
    assert refused.returncode != 0
    assert "values don't meet the specifications of the schema" in refused.stderr
    assert said in refused.stderr


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    def paths(value: Any, path: str = "") -> set[str]:
        if isinstance(value, dict) and value and path not in ("resources", "env"):
            return {inner for key, part in value.items() for inner in paths(part, f"{path}.{key}".lstrip("."))}
        return {path}

    def described(schema: Obj, path: str = "") -> set[str]:
        if "properties" in schema and path != "resources":
            return {
                inner
                for key, part in schema["properties"].items()
                if key != "global"  # Helm's own, where the chart is a part of another
                for inner in described(part, f"{path}.{key}".lstrip("."))
            }
        return {path}

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert paths(values) == described(schema)


def test_versions_are_the_same_everywhere(kustomized: list[Obj]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    [deployment] = [obj for obj in copy.deepcopy(kustomized) if obj["kind"] == "Deployment"]
    assert chart["version"] == version
    assert str(chart["appVersion"]) == version
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"syncrollout:{version}"

"""The control plane, its clients and its audit log."""

from __future__ import annotations

import pytest

from testbed import ControlPlane, Kube, KubectlFailed, KubeError, eventually

pytestmark = pytest.mark.cluster


def test_serves_the_pinned_kubernetes_version(control_plane: ControlPlane) -> None:
    version = control_plane.kube.request("GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "37")
    assert control_plane.version == version["gitVersion"]


def test_kubectl_reads_what_the_client_wrote(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kube.create(_config_map("colours", namespace, {"sky": "blue"}))
    shown = control_plane.kubectl("-n", namespace, "get", "configmap", "colours", "-o", "jsonpath={.data.sky}")
    assert shown == "blue"


def test_kubectl_failure_carries_its_words(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(KubectlFailed, match='configmaps "none" not found') as caught:
        control_plane.kubectl("-n", namespace, "get", "configmap", "none")
    assert caught.value.code == 1


def test_server_certificate_is_verified(control_plane: ControlPlane) -> None:
    stranger = Kube(control_plane.server, control_plane.admin_token)  # knows the system's CAs only
    with pytest.raises(OSError, match="certificate verify failed"):
        stranger.request("GET", "/version")


def test_service_account_token_has_only_its_own_rights(control_plane: ControlPlane, namespace: str) -> None:
    kube = control_plane.kube
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": namespace}})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules}
    kube.create({**role, "metadata": {"name": "reader", "namespace": namespace}})
    kube.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        }
    )
    reader = control_plane.kube_as(control_plane.token_for(namespace, "reader"))
    kube.create(_config_map("colours", namespace, {"sky": "blue"}))
    eventually(lambda: reader.find("v1", "ConfigMap", "colours", namespace), what="the new rights to be known")
    with pytest.raises(KubeError) as caught:
        reader.list("v1", "ConfigMap", namespace)
    assert (caught.value.status, caught.value.reason) == (403, "Forbidden")


def test_audit_log_counts_requests_of_one_user_since_a_mark(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.kube_as(control_plane.admin_token, user_agent="counted/1")
    admin.create(_config_map("before", namespace, {}))
    mark = control_plane.audit.mark()
    admin.create(_config_map("after", namespace, {}))
    for _ in range(3):
        admin.get("v1", "ConfigMap", "after", namespace)
    control_plane.kube.get("v1", "ConfigMap", "after", namespace)  # the testbed's own: not counted

    audit = control_plane.audit
    assert audit.count(mark, user_agent="counted/", resource="configmaps", namespace=namespace) == 4
    assert audit.count(mark, user="admin", verb="get", name="after", namespace=namespace) == 3
    assert audit.table(mark, by=("user_agent", "verb"))["counted/1", "create"] == 1
    assert not [event for event in audit.since(mark) if event.user == "testbed"]


def test_a_hung_api_server_times_out_and_goes_on(control_plane: ControlPlane) -> None:
    client = control_plane.kube_as(control_plane.admin_token)
    client.request("GET", "/version")
    control_plane.pause()
    try:
        with pytest.raises(TimeoutError):
            client.request("GET", "/version", timeout=0.3)
    finally:
        control_plane.resume()
    assert client.request("GET", "/version")["major"] == "1"


def test_a_restarted_api_server_has_the_same_address_and_data(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kube.create(_config_map("kept", namespace, {"a": "b"}))
    control_plane.stop_apiserver()
    try:
        with pytest.raises(ConnectionRefusedError):
            control_plane.kube_as(control_plane.admin_token).request("GET", "/version")
    finally:
        control_plane.start_apiserver()
    assert control_plane.kube.get("v1", "ConfigMap", "kept", namespace)["data"] == {"a": "b"}


def _config_map(name: str, namespace: str, data: dict[str, str]) -> dict[str, object]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}

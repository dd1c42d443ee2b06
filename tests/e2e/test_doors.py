"""The operator's own servers, by TLS and by the cluster's own accounts: an Alertmanager, a Prometheus and a viewer each
come in by the token of a ServiceAccount, as far as the API server says that it may."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.by_push import by_push
from e2e.operators import ROOT, USER, Operators
from e2e.rights import Right
from e2e.scene import Scene
from fakes.authority import Authority
from testbed import Alertmanager
from testbed.ports import free_port
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster

RBAC = "rbac.authorization.k8s.io/v1"
REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
TAKEN = 'syncrollout_alertmanager_requests_total{result="taken"}'


def _account(scene: Scene, name: str, role: str, *, everywhere: bool = False) -> str:
    """A ServiceAccount with a ClusterRole, in the namespace of the scene or everywhere; its token."""
    account = {"kind": "ServiceAccount", "name": name, "namespace": scene.namespace}
    metadata = {"name": name, "namespace": scene.namespace}
    scene.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    scene.kube.apply(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding" if everywhere else "RoleBinding",
            "metadata": {"name": f"{scene.namespace}-{name}"} if everywhere else metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [account],
        }
    )
    return scene.stage.cluster.token_for(scene.namespace, name)


def test_accounts_of_the_cluster_come_in_by_tls_as_far_as_they_may(
    operators: Operators, scene: Scene, tmp_path: Path
) -> None:
    stage, authority = scene.stage, Authority(tmp_path)
    stage.lent |= set(REVIEWS)
    pair, alerts, page = authority.pair("operator"), free_port(), free_port()
    trusts = ssl.create_default_context(cafile=authority.ca)
    granted = [scene.kube.apply(each) for each in _reviews()]
    pusher, scraper, viewer, nobody = (
        _account(scene, "alertmanager", "syncrollout-alerts-pusher"),
        _account(scene, "prometheus", "syncrollout-metrics-reader", everywhere=True),
        _account(scene, "viewer", "syncrollout-viewer"),
        _account(scene, "nobody", "syncrollout-none"),
    )
    operator = operators.make(
        "doors",
        f"--tls-cert-file={pair.cert}",
        f"--tls-key-file={pair.key}",
        "--metrics-review",
        f"--alertmanager-listen-port={alerts}",
        "--alertmanager-review",
        "--ui",
        f"--ui-listen-port={page}",
        "--ui-review",
    )
    operator.trusts, operator.scrapes_as = trusts, scraper
    operators.adopt(operator).start()

    def ask(port: int, path: str, token: str = "", body: bytes | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"https://localhost:{port}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=trusts) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    # who scrapes, and who looks
    assert operator.page("/metrics")[0] == 200
    operator.scrapes_as = viewer
    assert operator.page("/metrics") == (403, f"{_user(scene, 'viewer')} may not get /metrics\n")
    operator.scrapes_as = scraper
    rollout = by_push(scene)
    looked = f"/api/v1/rollouts/{scene.namespace}/{rollout.name}"
    assert [ask(page, looked, each)[0] for each in (viewer, nobody, "guessed", "")] == [200, 403, 401, 401]
    rows = json.loads(ask(page, "/api/v1/rollouts", viewer)[1])["rows"]
    assert {row["namespace"] for row in rows} == {scene.namespace}
    assert json.loads(ask(page, "/api/v1/rollouts", nobody)[1])["rows"] == []

    # who pushes: a real Alertmanager, with its account's token
    loss = {"alertname": "DataLoss", "workload": "new", "namespace": scene.namespace}
    forged = _payload({**loss, "namespace": "elsewhere"}), _payload({"alertname": "DataLoss", "workload": "new"})
    assert [ask(alerts, "/alertmanager", pusher, each)[0] for each in forged] == [403, 403]
    assert [ask(alerts, "/alertmanager", each, _payload(loss))[0] for each in (viewer, "guessed")] == [403, 401]
    assert scene.weight() == 50
    token = tmp_path / "token"
    token.write_text(pusher)
    url = f"https://localhost:{alerts}/alertmanager"
    with Alertmanager(tmp_path, url=url, token_file=token, ca_file=authority.ca) as alertmanager:
        alertmanager.fire(loss)
        rollout.until("RolledBack")
    assert operator.metrics()[TAKEN] >= 1
    used = {
        Right(each.api_group, each.resource, each.verb)
        for each in stage.cluster.audit.since(stage.began)
        if each.user == USER and each.api_group in REVIEWS and each.code < 400
    }
    assert used >= {Right(REVIEWS[0], "tokenreviews", "create"), Right(REVIEWS[1], "subjectaccessreviews", "create")}

    # without the rights nobody is let in whom nothing is known of, and it says which are missing
    for obj in granted:
        if obj["kind"] == "ClusterRoleBinding":
            scene.kube.delete(RBAC, obj["kind"], obj["metadata"]["name"])
    eventually(
        lambda: "tokenreviews" in ask(page, "/api/v1/rollouts", "another")[1],
        timeout=20,
        what="the right that is missing to be named",
    )
    assert ask(page, "/api/v1/rollouts", "another one")[0] == 503


def _payload(labels: dict[str, str]) -> bytes:
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2030-01-01T10:00:00Z"}
    return json.dumps({"version": "4", "receiver": "x", "status": "firing", "alerts": [alert]}).encode()


def _user(scene: Scene, name: str) -> str:
    return f"system:serviceaccount:{scene.namespace}:{name}"


def _reviews() -> list[Any]:
    return list(yaml.safe_load_all((ROOT / "manifests" / "reviews" / "rbac.yaml").read_text()))

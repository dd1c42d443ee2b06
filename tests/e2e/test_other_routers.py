"""Routers beyond the Gateway API, moved by the operator with the rights that `docs/routers.md` prints for them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e import plan
from e2e.operators import ROOT, Operator
from e2e.scene import Scene, Stage
from testbed import Obj
from testbed.kube import load_yaml
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
INGRESS = ("networking.k8s.io/v1", "Ingress")
EXTRA = ("rbac.authorization.k8s.io/v1", "ClusterRole", "syncrollout-operator-extra")
ACTION = "alb.ingress.kubernetes.io/actions.sync"
CANARY = "nginx.ingress.kubernetes.io/canary"
SKIPPER = "zalando.org/backend-weights"
FORWARD = (
    '{"type":"forward", "forwardConfig":{"targetGroups":['
    '{"serviceName":"old","servicePort":80,"weight":100},\n {"serviceName":"new","servicePort":80,"weight":0}]}}'
)


@pytest.fixture(scope="module")
def rights(stage: Stage) -> Iterator[None]:
    """The ClusterRole of the page, applied as it stands there."""
    page = (ROOT / "docs" / "routers.md").read_text("utf-8")
    [role] = load_yaml(page.split("## ingress-nginx canary")[1].split("Rights:")[1].split("```yaml")[1].split("```")[0])
    stage.lent.add("networking.k8s.io")
    stage.cluster.kube.apply(role)
    eventually(
        lambda: "ingresses" in json.dumps(stage.cluster.kube.get(*EXTRA).get("rules")),
        what="the rules of the labelled ClusterRole to reach the operator",
    )
    yield
    stage.cluster.kube.delete(role["apiVersion"], role["kind"], role["metadata"]["name"])


def ingress(scene: Scene, name: str, annotations: dict[str, str], *backends: str) -> dict[str, str]:
    """Create an Ingress; the reference to it."""
    paths = [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
        for service in backends
    ]
    metadata = {"name": name, "namespace": scene.namespace, "annotations": {**annotations, "owner": "équipe"}}
    spec = {"rules": [{"host": "sync.example.com", "http": {"paths": paths}}]}
    scene.kube.create({"apiVersion": INGRESS[0], "kind": INGRESS[1], "metadata": metadata, "spec": spec})
    return {"apiVersion": INGRESS[0], "kind": INGRESS[1], "name": name}


def annotation(scene: Scene, name: str, key: str) -> str:
    obj: Obj = scene.kube.get(*INGRESS, name, scene.namespace)
    assert obj["metadata"]["annotations"]["owner"] == "équipe"
    return str(obj["metadata"]["annotations"][key])


@pytest.mark.usefixtures("rights")
def test_three_kinds_of_ingress_and_an_http_route_move_together(operator: Operator, scene: Scene) -> None:
    routes = [
        plan.route_ref("web"),
        ingress(scene, "canary", {CANARY: "true"}, "new"),
        ingress(scene, "alb", {ACTION: FORWARD}, "sync"),
        ingress(scene, "skipper", {SKIPPER: '{ "old":100,"new": 0 }'}, "old", "new"),
    ]
    rollout = scene.rollout([plan.phase("small", 10), plan.phase("half", 50, plan.LONG)], traffic={"routes": routes})
    rollout.until(phase="half", stands=True)

    def standing() -> tuple[int, str, str, str]:
        return (
            scene.weight("web"),
            annotation(scene, "canary", f"{CANARY}-weight"),
            annotation(scene, "alb", ACTION),
            annotation(scene, "skipper", SKIPPER),
        )

    halved = FORWARD.replace('"weight":100', '"weight":50').replace('"weight":0', '"weight":50')
    assert standing() == (50, "50", halved, '{ "old":50,"new": 50 }')
    # drift in an annotation is seen and repaired as in any route
    drift: Obj = {"metadata": {"annotations": {f"{CANARY}-weight": "90"}}}
    scene.kube.patch(*INGRESS, "canary", scene.namespace, drift)
    eventually(lambda: annotation(scene, "canary", f"{CANARY}-weight") == "50", what="the weight to be put right")
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert standing() == (0, "0", FORWARD, '{ "old":100,"new": 0 }')


@pytest.mark.usefixtures("rights")
def test_a_canary_ingress_that_is_none_is_told_and_nothing_moves(operator: Operator, scene: Scene) -> None:
    routes = [plan.route_ref("web"), ingress(scene, "canary", {f"{CANARY}-weight": "0"}, "new")]
    rollout = scene.rollout([plan.phase("half", 50)], traffic={"routes": routes})
    status = rollout.until("Preflight", reason="InvalidSpec", stalled=True)
    assert f'a canary Ingress needs the annotation {CANARY}: "true"' in status["message"]
    assert scene.weights("web") == [0]
    mended: Obj = {"metadata": {"annotations": {CANARY: "true"}}}
    scene.kube.patch(*INGRESS, "canary", scene.namespace, mended)
    rollout.until("Completed")
    assert annotation(scene, "canary", f"{CANARY}-weight") == "50"

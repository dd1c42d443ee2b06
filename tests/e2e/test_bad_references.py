"""What a person got wrong is a Stalled condition with a reason and a mend; nothing is touched meanwhile, and once it is
mended the rollout starts by itself.

All cases play at once, in one namespace, each with a route of its own; the tests look at what was recorded of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e import invariants, plan
from e2e.scene import Rollout, Scene, Stage, condition
from testbed import Obj, TestbedError
from testbed.kwok import deployment
from testbed.ports import free_port

pytestmark = pytest.mark.cluster

Spec = dict[str, Any]
Mend = Callable[[Scene, Rollout], object]


@dataclass(frozen=True)
class Case:
    """`spec` overrides the rollout's; `route` None makes none, else changes the one that is made."""

    reason: str
    says: tuple[str, ...]
    mend: Mend
    spec: Callable[[Scene], Spec] = field(default=lambda _: {})
    route: Callable[[Obj], Obj] | None = field(default=lambda obj: obj)


def _routes(name: str, **more: Any) -> Spec:
    return {"traffic": {"routes": [plan.route_ref(name, **more)]}}


def _prometheus(scene: Scene, **more: Any) -> Spec:
    return {"prometheus": {"address": scene.stage.prometheus.address, "interval": "1s", **more}}


def _secret(scene: Scene, name: str, key: str) -> Obj:
    metadata = {"name": name, "namespace": scene.namespace}
    return scene.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {key: "s3cret"}})


def _metric(query: str) -> Spec:
    return {"metrics": [{"name": "errors", "query": query}, plan.METRICS[1]]}


def _without_new(route: Obj) -> Obj:
    del route["spec"]["rules"][0]["backendRefs"][1]
    return route


def _add_new(scene: Scene, rollout: Rollout) -> None:
    backend = {"name": "new", "port": 80, "weight": 0}
    body = [{"op": "add", "path": "/spec/rules/0/backendRefs/-", "value": backend}]
    scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", rollout.name, scene.namespace, body, type="json")


def _names_other(name: str) -> Callable[[Obj], Obj]:
    def change(route: Obj) -> Obj:
        route["spec"]["rules"][0]["backendRefs"][1]["name"] = name
        return route

    return change


CASES: dict[str, Case] = {
    "missing-service": Case(
        "ServiceNotFound",
        ("Service {ns}/ghost does not exist: create it, or correct spec.new.service",),
        lambda scene, _: scene.kube.create(plan.service("ghost", scene.namespace)),
        lambda _: {"new": plan.system("new", service="ghost")},
        _names_other("ghost"),
    ),
    "missing-route": Case(
        "RouteNotFound",
        ("the route HTTPRoute {ns}/missing-route does not exist: create it, or correct spec.traffic.routes",),
        lambda scene, rollout: scene.kube.create(plan.route(rollout.name, scene.namespace)),
        route=None,
    ),
    "missing-workload": Case(
        "WorkloadNotFound",
        ("the new workload Deployment {ns}/absent does not exist: create it, or correct spec.new.workload",),
        lambda scene, _: scene.kube.create(deployment("absent", scene.namespace, 1)),
        lambda scene: {"new": plan.system("absent", service="new")},
    ),
    "new-not-in-the-route": Case(
        "RouteNamesNotBoth",
        ("HTTPRoute new-not-in-the-route", "names Service old (old), but not Service new (new)", "with weight 0"),
        _add_new,
        route=_without_new,
    ),
    "kind-not-served": Case(
        "KindNotServed",
        ("Frobnicator", "install its CRD, or correct the apiVersion"),
        lambda _, rollout: rollout.edit(**_routes(rollout.name)),
        lambda _: {
            "traffic": {
                "routes": [
                    {
                        "apiVersion": "frob.example.com/v1",
                        "kind": "Frobnicator",
                        "name": "x",
                        "weightAt": {"new": "spec.a", "old": "spec.b"},
                    }
                ]
            }
        },
    ),
    "kind-without-a-row": Case(
        "RouteKindUnknown",
        ("where Balancer (proxy.example.com/v1) keeps its weights is not known", "say so with weightAt"),
        lambda _, rollout: rollout.edit(**_routes(rollout.name)),
        lambda _: {"traffic": {"routes": [{"apiVersion": "proxy.example.com/v1", "kind": "Balancer", "name": "x"}]}},
    ),
    "missing-secret": Case(
        "SecretInvalid",
        ("Secret {ns}/no-such, named by spec.prometheus.bearerToken, does not exist: create it with the key token",),
        lambda scene, _: _secret(scene, "no-such", "token"),
        lambda scene: _prometheus(scene, bearerToken={"name": "no-such", "key": "token"}),
    ),
    "secret-without-the-key": Case(
        "SecretInvalid",
        ("key token of Secret {ns}/keyless", "does not exist: add the key, or correct the spec"),
        lambda scene, _: _secret(scene, "keyless", "token"),
        lambda scene: (
            _secret(scene, "keyless", "other") and _prometheus(scene, bearerToken={"name": "keyless", "key": "token"})
        ),
    ),
    "metadata-of-a-cloud": Case(
        "DestinationRefused",
        ("spec.prometheus.address is http://169.254.169.254/latest", "link-local", "--allow-destination"),
        lambda scene, rollout: rollout.edit(**_prometheus(scene)),
        lambda _: {"prometheus": {"address": "http://169.254.169.254/latest", "interval": "1s"}},
    ),
    "the-api-server": Case(
        "DestinationRefused",
        ("the API server itself", "--allow-destination"),
        lambda scene, rollout: rollout.edit(**_prometheus(scene)),
        lambda scene: {"prometheus": {"address": scene.stage.cluster.server, "interval": "1s"}},
    ),
    "nobody-at-the-address": Case(
        "PrometheusUnreachable",
        ("cannot be reached: connection refused", "check host and port"),
        lambda scene, rollout: rollout.edit(**_prometheus(scene)),
        lambda _: {"prometheus": {"address": f"http://127.0.0.1:{free_port()}", "interval": "1s"}},
    ),
    "somebody-else-at-the-address": Case(
        "PrometheusUnreachable",
        ("is not the HTTP API of Prometheus", "check scheme, host, port and path prefix of spec.prometheus.address"),
        lambda scene, rollout: rollout.edit(**_prometheus(scene)),
        lambda scene: {"prometheus": {"address": f"http://{scene.stage.exporter.target}", "interval": "1s"}},
    ),
    "query-that-does-not-parse": Case(
        "QueryInvalid",
        ("metric errors of new", "parse error"),
        lambda _, rollout: rollout.edit(metrics=plan.METRICS),
        lambda _: _metric('sum(rate(x{a="$workload"}[5m])'),
    ),
    "unknown-variable": Case(
        "QueryInvalid",
        ("metric errors: $wrkload is not known: use one of $workload, $service, $namespace, $window, $phase",),
        lambda _, rollout: rollout.edit(metrics=plan.METRICS),
        lambda _: _metric('max(x{a="$wrkload"})'),
    ),
    "query-with-two-series": Case(
        "QueryInvalid",
        ("metric errors of new", "series"),
        lambda _, rollout: rollout.edit(metrics=plan.METRICS),
        lambda _: _metric('e2e_errors{namespace="$namespace"}'),
    ),
    "old-scaled-to-zero": Case(
        "OldNotReady",
        ("old (Deployment idle) is scaled to zero; bring it up to begin",),
        lambda scene, _: scene.kube.patch("apps/v1", "Deployment", "idle", scene.namespace, {"spec": {"replicas": 1}}),
        lambda scene: (
            scene.kube.create(deployment("idle", scene.namespace, 0)) and {"old": plan.system("idle", service="old")}
        ),
    ),
}


@dataclass
class Played:
    """What was seen of one case."""

    stalled: Obj | None = None
    """The SyncRollout when it had stalled."""
    touched: list[str] = field(default_factory=list)
    """Routes and rollouts that carried a trace of the operator's hand while it was stalled."""
    ended: Obj | None = None
    """Its status at the end."""
    error: TestbedError | None = None


@pytest.fixture(scope="module")
def played(stage: Stage) -> Iterator[dict[str, Played]]:
    """All cases: broken, stalled, mended, completed."""
    stage.operators.shared()
    scene = stage.scene("bad-references")
    scene.systems(old=1, new=1)
    scene.healthy("idle", "absent")
    found = {name: Played() for name in CASES}
    rollouts = {name: _begin(scene, name) for name in CASES}
    for name, case in CASES.items():
        try:
            rollouts[name].until("Preflight", reason=case.reason, stalled=True)
            found[name].stalled = rollouts[name].obj
        except TestbedError as error:
            found[name].error = error
    for name in CASES:
        found[name].touched = _traces(scene, name)
    for name, case in CASES.items():
        case.mend(scene, rollouts[name])
    for name in CASES:
        try:
            found[name].ended = rollouts[name].until("Completed")
        except TestbedError as error:
            found[name].error = error
    yield found
    invariants.check(scene)
    scene.end()


def _begin(scene: Scene, name: str) -> Rollout:
    case = CASES[name]
    if case.route is not None:
        scene.kube.create(case.route(plan.route(name, scene.namespace)))
    spec = {**_routes(name), **case.spec(scene)}
    return scene.rollout([plan.phase("half", 50, "0s", success=[], rollbackOn=[])], name, **spec)


def _traces(scene: Scene, name: str) -> list[str]:
    rollout = scene.kube.get(plan.API_VERSION, plan.KIND, name, scene.namespace)
    route = scene.kube.find(plan.GATEWAY_API, "HTTPRoute", name, scene.namespace)
    writers = [] if route is None else [entry["manager"] for entry in route["metadata"]["managedFields"]]
    held = ["finalizer"] if rollout["metadata"].get("finalizers") else []
    return held + ["route written"] * ("syncrollout" in writers)


@pytest.mark.parametrize("name", CASES)
def test_a_bad_reference_stalls_and_says_what_to_do(played: dict[str, Played], name: str) -> None:
    seen, case = played[name], CASES[name]
    if seen.error is not None:
        raise seen.error
    assert seen.stalled is not None
    status, namespace = seen.stalled["status"], seen.stalled["metadata"]["namespace"]
    stalled = condition(status, "Stalled")
    for words in case.says:
        assert words.format(ns=namespace) in stalled["message"], stalled["message"]
    assert stalled["reason"] == case.reason
    assert stalled["message"] == status["message"]
    assert condition(status, "Ready")["status"] == condition(status, "Reconciling")["status"] == "False"
    assert status["observedGeneration"] == 1
    assert status["run"] == 0
    # Objects made a moment before may come in one after another: what was in the way first may have passed. Each thing
    # is told once, and what is in the way now is told last.
    told = [entry["reason"] for entry in status["history"]]
    assert len(told) == len(set(told))
    assert (told[-1], status["history"][-1]["type"]) == (case.reason, "Warning")
    assert seen.touched == []


@pytest.mark.parametrize("name", CASES)
def test_a_mended_reference_is_picked_up_by_itself(played: dict[str, Played], name: str) -> None:
    seen = played[name]
    if seen.error is not None:
        raise seen.error
    assert seen.ended is not None
    assert seen.ended["weight"] == 50
    assert condition(seen.ended, "Ready")["status"] == "True"
    assert condition(seen.ended, "Stalled")["status"] == "False"


def test_kubectl_wait_tells_stalled_from_done(stage: Stage, scene: Scene) -> None:
    stage.operators.shared()
    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    rollout = scene.rollout([plan.phase("all", 100, "0s")])
    wait = ("-n", scene.namespace, "wait", "syncrollout/move", "--timeout=30s")
    assert "condition met" in stage.cluster.kubectl(*wait, "--for=condition=Stalled")
    scene.kube.create(plan.route("web", scene.namespace))
    assert "condition met" in stage.cluster.kubectl(*wait, "--for=condition=Ready")
    assert rollout.status["state"] == "Completed"

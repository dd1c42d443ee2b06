"""`kubectl syncrollout diagnose` by a person with reading rights: real API server, Prometheus, operator and kubectl.

Each trouble is found where it is, with the commands filled in, and not found where it is not.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e import plan
from e2e.log_server import log_server
from e2e.operators import NAMESPACE, USER, Operator
from e2e.rights import Right, without
from e2e.scene import Rollout, Scene
from e2e.test_plugin import Plugin
from syncrollout.api.fields import format_time
from syncrollout.cli.measuring import proxy
from syncrollout.diagnosis.words import Trouble
from testbed import Cluster, Obj, Prometheus
from testbed.errors import TestbedError
from testbed.prometheus import Series, openmetrics
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster

RBAC = "rbac.authorization.k8s.io"
MIB = 1024.0**2
LOOKED_BACK = 3600.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside the network namespace
CONTACTS = [{"who": "DBA, #db-oncall", "tells": ["Database"]}, {"who": "the listings team"}]
RULES = [
    {"apiGroups": ["syncrollout.io"], "resources": ["syncrollouts"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps", "pods/log", "services/proxy"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": [plan.GATEWAY_API.partition("/")[0]], "resources": ["httproutes"], "verbs": ["get"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]},
]


@contextmanager
def person(scene: Scene, name: str, rules: list[Obj], *namespaces: str) -> Iterator[Plugin]:
    """A person with these rights in these namespaces."""
    kube, own = scene.kube, scene.namespace
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": own}})
    for namespace in namespaces:
        meta = {"name": f"{own}-{name}", "namespace": namespace}
        kube.create({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": rules})
        bound: Obj = {"subjects": [{"kind": "ServiceAccount", "name": name, "namespace": own}]}
        bound["roleRef"] = {"apiGroup": RBAC, "kind": "Role", "name": meta["name"]}
        kube.create({"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": meta, **bound})
    cluster = scene.stage.cluster
    try:
        yield Plugin(cluster.kubeconfig_for(cluster.token_for(own, name), f"{own}-{name}"), own)
    finally:
        for namespace in set(namespaces) - {own}:
            for kind in ("RoleBinding", "Role"):
                kube.delete(f"{RBAC}/v1", kind, f"{own}-{name}", namespace)


@pytest.fixture
def on_call(scene: Scene) -> Iterator[Plugin]:
    """May read what a diagnosis looks at, and write nothing."""
    with person(scene, "on-call", RULES, scene.namespace, NAMESPACE) as plugin:
        yield plugin


@dataclass
class Said:
    """What came of one diagnosis."""

    code: int
    plain: Obj

    @property
    def found(self) -> dict[str, str]:
        """How sure, by trouble."""
        return {each["trouble"]: each["certainty"] for each in self.plain["findings"]}

    def of(self, trouble: str) -> Obj:
        return next(each for each in self.plain["findings"] if each["trouble"] == trouble)

    def commands(self, trouble: str) -> list[str]:
        return [each["command"] for each in self.of(trouble)["actions"] if "command" in each]

    def evidence(self, trouble: str) -> str:
        return "\n".join(each["text"] for each in self.of(trouble)["evidence"])


def diagnosed(plugin: Plugin, *options: str) -> Said:
    code, said, problem = plugin("diagnose", "move", "-o", "json", *options)
    assert problem == "", problem
    return Said(code, json.loads(said))


@dataclass
class Systems:
    """Both systems with their pods as kubelets tell of them, and what is recorded of them."""

    scene: Scene
    names: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kube, namespace = self.scene.kube, self.scene.namespace
        env = [
            {"name": "API_RATE_LIMIT", "value": "100"},
            {"name": "DB_POOL_SIZE", "value": "20"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "sheets", "key": "token", "optional": True}}},
        ]
        for name in ("old", "new"):
            container = {"name": "main", "env": env, "resources": {"limits": {"memory": "512Mi"}}}
            template = {"spec": {"template": {"spec": {"containers": [container]}}}}
            kube.patch("apps/v1", "Deployment", name, namespace, template, type="strategic")
        for name in ("old", "new"):
            self.scene.kube.wait_for(
                "apps/v1",
                "Deployment",
                name,
                namespace,
                lambda obj: (
                    (obj.get("status") or {}).get("observedGeneration") == obj["metadata"]["generation"]
                    and obj["status"].get("updatedReplicas") == obj["status"].get("readyReplicas") == 2
                    and obj["status"].get("replicas") == 2
                ),
                what="to have its new pods",
                timeout=30,
            )
            pods = kube.list("v1", "Pod", namespace, selector=f"app={name}")
            self.names[name] = sorted(each["metadata"]["name"] for each in pods if _stays(each))
            for pod in self.names[name]:
                self.tell(pod, state={"running": {"startedAt": format_time(time.time() - 2 * LOOKED_BACK)}})

    def tell(self, pod: str, **container: Any) -> None:
        """What the kubelet says of a pod's container from now on."""
        kube, namespace = self.scene.kube, self.scene.namespace
        seen = kube.get("v1", "Pod", pod, namespace)["status"]["containerStatuses"][0]
        status = {"containerStatuses": [{**seen, **container}]}
        kube.patch("v1", "Pod", pod, namespace, {"status": status}, subresource="status")

    def recorded(self, *, climbs: float = 0.0, duration: float = 1.0) -> str:
        """A history up to now: memory of every pod, which of new's first climbs by so much an hour, and durations."""
        now = time.time()
        moments = [now - LOOKED_BACK - 300 + 30 * number for number in range(int((LOOKED_BACK + 300) / 30) + 1)]
        memory: list[Series] = []
        for name, pods in self.names.items():
            for number, pod in enumerate(pods):
                slope = climbs if (name, number) == ("new", 0) else 0.0
                labels = {"namespace": self.scene.namespace, "pod": pod, "container": "main"}
                values = [(at, 200 * MIB + slope * (at - moments[0]) / 3600 + 1e5 * (at % 7)) for at in moments]
                memory.append((labels, values))
        of = {"old": 1.0, "new": duration}
        times: list[Series] = [(self.scene.labels(name), [(at, value) for at in moments]) for name, value in of.items()]
        return openmetrics({"container_memory_working_set_bytes": memory, "e2e_duration": times})


def served(scene: Scene, prometheus: Prometheus) -> str:
    """The address of a Service before it, as the cluster knows it. The API server leads to pods alone, and a program
    that listens everywhere answers for all of the fake ones."""
    metadata: Obj = {"name": "prometheus", "namespace": scene.namespace}
    ports = [{"name": "web", "port": 9090, "targetPort": prometheus.port}]
    spec = {"selector": {"app": "new"}, "ports": ports}
    scene.kube.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    address = f"http://prometheus.{scene.namespace}.svc:9090"
    eventually(lambda: _answers(scene, f"{proxy(address)}/-/ready"), what="the API server to lead to Prometheus")
    return address


def _answers(scene: Scene, path: str) -> bool:
    try:
        scene.stage.cluster.kubectl("get", "--raw", path)
    except TestbedError:
        return False
    return True


def _stays(pod: Obj) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _half(scene: Scene, **spec: Any) -> Rollout:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], **spec)
    rollout.until(phase="half", stands=True)
    return rollout


LOGS = {
    "slow": "ERROR sheets: HTTP 429 Too Many Requests, retrying",
    "inconsistent": 'ERROR: duplicate key value violates unique constraint "listings_pkey"',
    "auth": "sync failed: status code 401 for token=abcdefgh",
    "database": "FATAL: sorry, too many clients already",
}


def test_the_five_troubles_are_found_where_they_are_and_not_where_they_are_not(
    operator: Operator, scene: Scene, on_call: Plugin, tmp_path: Path
) -> None:
    systems = Systems(scene)
    _half(scene, diagnosis={"contacts": CONTACTS})
    lines = {"text": "synced 429 items in 3.2s\n" * 20}

    def printed(pod: str, container: str, previous: bool) -> str | None:
        return lines["text"] if pod.startswith("new-") and not previous else "synced 10 items\n"

    leak, slow = (systems.recorded(climbs=60 * MIB), systems.recorded(duration=2.6))
    with (
        Prometheus(tmp_path, history=systems.recorded(), name="well") as well,
        Prometheus(tmp_path, history=leak, name="leaking", host=EVERYWHERE) as leaking,
        Prometheus(tmp_path, history=slow, name="slow") as slower,
        log_server(scene, printed),
    ):
        healthy = diagnosed(on_call, "--prometheus", well.address)
        assert (healthy.plain["notLookedAt"], healthy.found) == ([], {})
        assert healthy.code == 0
        assert len(healthy.plain["notFound"]) == len(Trouble)

        for two in (("slow", "inconsistent"), ("auth", "database")):
            lines["text"] = "synced 10 items\n" * 15 + "".join(f"{LOGS[each]}\n" * 5 for each in two)
            said = diagnosed(on_call, "--prometheus", well.address)
            assert (said.code, said.found) == (2, dict.fromkeys(two, "likely")), said.plain
            for trouble in two:
                assert "10 of 50 lines of new's logs (20 %, of old's 0 %)" in said.evidence(trouble)
                assert any(each.startswith("kubectl syncrollout rollback move -m ") for each in said.commands(trouble))
        assert "abcdefgh" not in said.evidence("auth")
        assert f"kubectl -n {scene.namespace} edit secret sheets" in said.commands("auth")
        assert (said.of("auth")["call"], said.of("database")["call"]) == (["the listings team"], ["DBA, #db-oncall"])
        connections = "2 pods x DB_POOL_SIZE 20 = 40 connections"
        assert any(connections in each["what"] for each in said.of("database")["actions"])

        lines["text"] = f"{LOGS['slow']}\n" * 5
        said = diagnosed(on_call, "--prometheus", slower.address, "--trouble", "slow", "--trouble", "database")
        assert (said.code, said.found) == (2, {"slow": "certain"}), said.plain
        assert "duration of new reads 2.6 seconds, 2.6 times what old does" in said.evidence("slow")
        change = f"kubectl -n {scene.namespace} set env deployment/new API_RATE_LIMIT=50"
        assert change in said.commands("slow")
        # what is proposed is taken by the real kubectl and the real API server
        scene.stage.cluster.kubectl(*shlex.split(change)[1:], "--dry-run=server")

        lines["text"] = "synced 10 items\n"
        # at an address that only the cluster knows: the API server leads there
        said = diagnosed(on_call, "--prometheus", served(scene, leaking), "--trouble", "memory")
        assert said.found == {"memory": "likely"}, json.dumps(said.plain["notLookedAt"])
        assert f"memory of pod {systems.names['new'][0]} climbs" in said.evidence("memory")
        assert "of 512 MiB: at its limit in " in said.evidence("memory")

    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": format_time(time.time() - 60)}
    systems.tell(systems.names["new"][1], restartCount=1, lastState={"terminated": ended})
    code, text, _ = on_call("diagnose", "move", "--trouble", "memory", "--prometheus", "http://127.0.0.1:1")
    assert code == 2
    assert "1. New runs out of memory (memory, certain)" in text
    assert f"container main of pod {systems.names['new'][1]} was killed for want of memory at " in text
    assert "  - metrics of http://127.0.0.1:1: directly: " in text.partition("What could not be looked at\n")[2]
    assert "Runbook: docs/runbook/metric-resource.md" in text


def test_what_a_person_may_not_look_at_is_no_clean_bill(operator: Operator, scene: Scene) -> None:
    _half(scene)
    with person(scene, "reader", RULES[:1], scene.namespace) as reader:
        said = diagnosed(reader)
    assert (said.code, said.found) == (3, {})
    why = {each["what"]: each["why"] for each in said.plain["notLookedAt"]}
    assert why["Deployment new (new)"].startswith("you may not get deployment.apps here")
    assert why[f"Lease {NAMESPACE}/syncrollout"].startswith("you may not get leases.coordination.k8s.io here")
    assert "handover" in said.plain["notFound"]
    assert {"memory", "auth", "operator"} <= set(said.plain["notFoundAsFarAsLooked"])


def test_the_operators_own_troubles(operator: Operator, scene: Scene, on_call: Plugin) -> None:
    rollout = _half(scene)
    own = [
        option
        for trouble in ("rights", "prometheus", "route", "handover", "clock", "operator")
        for option in ("--trouble", trouble)
    ]
    well = diagnosed(on_call, *own)
    assert (well.code, well.found) == (0, {}), well.plain

    # a route that its controller refuses
    refused = {"type": "Accepted", "status": "False", "reason": "NoMatchingParent", "message": "no such gateway"}
    refused |= {"lastTransitionTime": "2026-01-05T10:00:00Z", "observedGeneration": 1}
    parent = {"parentRef": {"name": "gateway"}, "controllerName": "example.com/router", "conditions": [refused]}
    scene.kube.patch(
        plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, {"status": {"parents": [parent]}}, subresource="status"
    )
    said = diagnosed(on_call, *own)
    assert (said.code, said.found) == (2, {"route": "likely"})
    assert "HTTPRoute web: its controller says Accepted is False (NoMatchingParent): no such gateway" in said.evidence(
        "route"
    )
    scene.stage.cluster.kubectl(*shlex.split(said.commands("route")[0])[1:])

    # an operator that has stepped down, and whose clock was five minutes ahead
    renewed = format_time(time.time() + 300).replace("Z", "000Z")
    spec = {"holderIdentity": "", "leaseDurationSeconds": 15, "renewTime": renewed}
    metadata = {"name": "left", "namespace": scene.namespace}
    scene.kube.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec})
    where = ("--operator-namespace", scene.namespace, "--lease", "left")
    said = diagnosed(on_call, "--trouble", "clock", "--trouble", "operator", *where)
    assert said.found == {"clock": "certain", "operator": "certain"}
    assert " s ahead of the API server's, by what it wrote into the Lease" in said.evidence("clock")
    assert "nobody holds the Lease" in said.evidence("operator")

    # a Prometheus that does not answer
    rollout.edit(prometheus={"address": "http://127.0.0.1:1", "interval": "1s"})
    rollout.until("Holding", reason="CriteriaUnknown")
    said = diagnosed(on_call, "--trouble", "prometheus")
    assert said.found == {"prometheus": "certain"}
    said = diagnosed(on_call, "--trouble", "prometheus", "--prometheus", scene.stage.prometheus.address)
    assert "it answers you, so look at the way from the operator to it" in said.evidence("prometheus")


def test_a_right_that_the_operator_lacks(
    operator: Operator, scene: Scene, on_call: Plugin, control_plane: Cluster
) -> None:
    with without(scene.stage, Right("", "pods", "list")):
        triggers = [{"severity": "Critical", "pods": "CrashLoopBackOff"}]
        rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], rollback={"triggers": triggers})
        rollout.until("Preflight", reason="Forbidden", stalled=True)
        said = diagnosed(on_call, "--trouble", "rights")
        assert (said.code, said.found) == (2, {"rights": "certain"})
        command = said.commands("rights")[0]
        assert command == f"kubectl -n {scene.namespace} auth can-i list pods --as={USER}"
    rollout.until(phase="half", stands=True)
    assert control_plane.kubectl(*shlex.split(command)[1:]).strip() == "yes"
    assert diagnosed(on_call, "--trouble", "rights").found == {}


def test_a_handover_that_is_stuck(operator: Operator, scene: Scene, on_call: Plugin) -> None:
    traffic = {"shards": {"configMap": "slots", "handover": {"method": "Ack", "timeout": "2s"}}}
    sides = {side: plan.system(side, service=None) for side in ("old", "new")}
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], traffic=traffic, **sides)
    rollout.until("Holding", reason="HandoverTimedOut")
    said = diagnosed(on_call, "--trouble", "handover")
    assert said.found in ({"handover": "certain"}, {"handover": "likely"}), "it is tried again and again"
    stuck = rollout.status["shards"]["waitingFor"][0]
    assert f"kubectl -n {scene.namespace} delete pod {stuck}" in said.commands("handover")

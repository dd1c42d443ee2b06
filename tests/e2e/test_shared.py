"""Three replicas of the operator share the rollouts, and one of them is killed in the middle."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

import pytest
import yaml

from e2e import plan
from e2e.operators import NAMESPACE, ROOT, STEADY_LEASE, Operator, Operators
from e2e.rights import RBAC
from e2e.scene import Rollout, Scene, Stage
from syncrollout.runtime.partitions import partition_of
from testbed import AuditEvent, Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
ACCOUNT = "syncrollout-shared"
"""Of its own: what it may do more is in manifests/scaled-out, and not asked of who acts alone."""
PARTITIONS = 4
COUNT = 8


def _account(stage: Stage) -> Iterator[Obj]:
    """A ServiceAccount with the rights of manifests/, and those of the component."""
    role = stage.cluster.kube.get(RBAC, "Role", "syncrollout-leader-election", NAMESPACE)
    component = yaml.safe_load((ROOT / "manifests" / "scaled-out" / "Kustomization").read_text())
    added = [op["value"] for op in yaml.safe_load(component["patches"][0]["patch"])]
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    named = {"name": ACCOUNT, "namespace": NAMESPACE}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named}
    yield {"apiVersion": RBAC, "kind": "Role", "metadata": named, "rules": [*role["rules"], *added]}
    of_role = {"apiGroup": RBAC.partition("/")[0], "kind": "Role", "name": ACCOUNT}
    yield {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": named, "roleRef": of_role, "subjects": [subject]}
    whole = {"apiGroup": RBAC.partition("/")[0], "kind": "ClusterRole", "name": "syncrollout-operator"}
    bound = {"name": ACCOUNT}
    yield {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": bound, "roleRef": whole, "subjects": [subject]}


@pytest.fixture
def replicas(operators: Operators, stage: Stage) -> Iterator[list[Operator]]:
    """Three of them, each with partitions of its own."""
    made = [stage.cluster.kube.apply(obj) for obj in _account(stage)]
    flags = (*STEADY_LEASE, f"--partitions={PARTITIONS}")
    three = [operators.adopt(operators.make("shared", *flags, account=(NAMESPACE, ACCOUNT))) for _ in range(3)]
    for each in three:
        each.process.launch()
    eventually(lambda: _parts(three) == [0.25, 0.25, 0.5], timeout=40, what="each to have its partitions")
    yield three
    operators.end_own()
    for obj in reversed(made):
        metadata = obj["metadata"]
        stage.cluster.kube.delete(obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace", ""))


def _parts(replicas: list[Operator]) -> list[float]:
    return sorted(each.metrics().get("syncrollout_leader", 0.0) for each in replicas)


def _written(events: list[AuditEvent]) -> dict[str, list[tuple[float, str]]]:
    """By rollout: when whose status writes came in, in their order."""
    written: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for event in events:
        if event.resource == "syncrollouts" and event.verb == "patch" and event.code == 200:
            written[event.name].append((event.time, event.credential))
    return written


def _leases(replicas: list[Operator]) -> str:
    """What each has said of its Leases."""
    said = {
        each.credential: [
            f"{line['time']} {line['message']}"
            for line in each.log()
            if line["logger"] in {"syncrollout.runtime.lease", "syncrollout.runtime.membership"}
        ]
        for each in replicas
    }
    return yaml.safe_dump(said, width=200)


def _in_every_partition(scene: Scene) -> list[Rollout]:
    """As many rollouts as it takes, for whose they are is by their uid, which nobody chooses."""
    phases = [plan.phase("some", 10, "12s"), plan.phase("half", 50, "3s"), plan.phase("all", 100)]
    begun: list[Rollout] = []
    empty = set(range(PARTITIONS))
    while empty or len(begun) < COUNT:
        name = f"r{len(begun)}"
        scene.kube.create(plan.route(name, scene.namespace))
        begun.append(scene.rollout(phases, name, traffic={"routes": [plan.route_ref(name)]}))
        made = scene.kube.get(plan.API_VERSION, plan.KIND, name, scene.namespace)
        empty.discard(partition_of(made["metadata"]["uid"], PARTITIONS))
    return begun


def test_one_of_three_is_killed_and_the_others_go_on_for_it(replicas: list[Operator], scene: Scene) -> None:
    mark = scene.stage.cluster.audit.mark()
    rollouts = _in_every_partition(scene)
    for each in rollouts:
        each.until(phase="some", stands=True)
    acting = {name: by[-1][1] for name, by in _written(scene.stage.cluster.audit.since(mark)).items()}
    assert set(acting.values()) == {each.credential for each in replicas}, "they share"
    victim = replicas[0]
    killed = time.time()
    victim.process.kill()
    for each in rollouts:
        each.until("Completed")
    for each in rollouts:
        assert scene.weights(each.name) == [0, 10, 50, 100]
        assert each.reasons == ["PhaseStarted"] * 3 + ["Completed"]
        assert each.status["run"] == 1
    for name, writes in _written(scene.stage.cluster.audit.since(mark)).items():
        by = [credential for _, credential in writes]
        hands = [one for one, before in zip(by, [None, *by], strict=False) if one != before]
        assert len(hands) == len(set(hands)), f"{name} went to and fro: {hands}"
        if acting[name] != victim.credential:
            assert hands == [acting[name]], f"{name} is none of the dead one's; {_leases(replicas)}"
        else:
            assert all(at < killed + 1 for at, who in writes if who == victim.credential)
    eventually(lambda: sum(_parts(replicas)) == 1.0, timeout=10, what="all partitions to be held by the two")

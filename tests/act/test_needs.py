"""What an account has to be allowed, by what the spec asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fakes.kube import FakeKube
from fakes.storage import Served
from syncrollout.act.needs import needs
from syncrollout.act.perform import Performer
from syncrollout.act.target import Target
from syncrollout.api.spec import JobSource, SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND, Side, Step
from syncrollout.decide.actions import (
    Action,
    Assign,
    CreateJob,
    KeepLogs,
    Restart,
    Scale,
    SetWeight,
    StampEpoch,
    WriteReport,
)
from syncrollout.decide.facts import Assignment
from syncrollout.ports import KindRef, Object, ObjectRef
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.informers import Informers

OWN = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")
ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}
JOB = {"template": {"spec": {"containers": [{"name": "a", "image": "a"}]}}}
ALWAYS = {"get Deployment old", "get Deployment new", "patch Deployment/scale old"}
ROUTED = ALWAYS | {"get HTTPRoute web", "patch HTTPRoute web", "get Service old", "get Service new"}


def asked(**spec: Any) -> set[str]:
    given: dict[str, Any] = {
        "serviceAccountName": "mover",
        "old": {"workload": {"kind": "Deployment", "name": "old"}, "service": "old"},
        "new": {"workload": {"kind": "Deployment", "name": "new"}, "service": "new"},
        "traffic": {"routes": [ROUTE]},
        "prometheus": {"address": "http://prometheus:9090"},
        "phases": [{"name": "all", "weight": 100}],
        **spec,
    }
    target = Target(OWN, SyncRolloutSpec.model_validate(given), "1", ())
    found = needs(target)
    assert len(set(found)) == len(found)
    assert {need.ref.namespace for need in found} == {"shop"}
    return {
        f"{need.verb} {need.ref.kind.kind}{f'/{need.subresource}' if need.subresource else ''} {need.ref.name}".rstrip()
        for need in found
    }


def test_what_is_moved_is_seen_and_patched() -> None:
    assert asked() == ROUTED


SHARDS = {"traffic": {"shards": {"configMap": "slots", "handover": {"method": "Drain"}}}}
RESTART = {"traffic": {"shards": {"configMap": "slots", "handover": {"method": "Restart"}}}}
CRON = {
    "old": {"workload": {"kind": "CronJob", "name": "old"}},
    "new": {"workload": {"kind": "CronJob", "name": "new"}},
}
SLOTS = ALWAYS | {"create ConfigMap", "get ConfigMap slots", "patch ConfigMap slots", "patch Deployment/scale new"}
SLOTS |= {"get Service old", "get Service new"}
MORE: dict[str, tuple[dict[str, Any], set[str]]] = {
    "replicas": (
        {"traffic": {"replicas": {"total": 10}}},
        ALWAYS | {"get Service old", "get Service new", "patch Deployment/scale new"},
    ),
    "retiring": (
        {"phases": [{"name": "all", "weight": 100, "retireOld": True}]},
        ROUTED,
    ),
    "shards": (SHARDS, SLOTS),
    "shards by restart": (RESTART, SLOTS | {"patch Deployment old", "patch Deployment new"}),
    "CronJobs": (
        {**CRON, **SHARDS},
        {"get CronJob old", "get CronJob new", "patch CronJob old", "patch CronJob new"}
        | {"create ConfigMap", "get ConfigMap slots", "patch ConfigMap slots"},
    ),
    "secrets": (
        {
            "prometheus": {"address": "https://prometheus", "bearerToken": {"name": "token", "key": "t"}},
            "notifications": {
                "audiences": [
                    {"name": "ops", "channels": [{"name": "chat", "urlFrom": {"name": "chat", "key": "url"}}]}
                ]
            },
        },
        ROUTED | {"get Secret token", "get Secret chat"},
    ),
    "pods": (
        {"rollback": {"triggers": [{"pods": "OOMKilled", "severity": "High"}]}},
        ROUTED | {"list Pod"},
    ),
    "rollback": (
        {
            "rollback": {
                "procedure": {
                    "switch": {"stopNew": True},
                    "verifyData": {"job": {"fromCronJob": "check"}},
                    "restore": {"job": JOB, "backup": {"volumeSnapshot": {"name": "nightly"}, "maxAge": "1d"}},
                    "verifySystem": {"restartOld": True, "probes": [{"service": "front", "port": 80, "path": "/"}]},
                    "evidence": {},
                }
            }
        },
        ROUTED
        | {"patch Deployment/scale new", "patch Deployment old", "get Service front", "list Pod", "create Job"}
        | {"get CronJob check", "get VolumeSnapshot nightly"}
        | {"create ConfigMap", "get ConfigMap", "patch ConfigMap"},
    ),
}


@pytest.mark.parametrize("what", MORE)
def test_what_the_spec_asks_for_besides(what: str) -> None:
    spec, wanted = MORE[what]
    assert asked(**spec) == wanted


KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "CronJob": "batch/v1",
    "Gadget": "example.org/v1",
}
METHODS = ("Restart", "Drain")
GRPC = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute", "name": "rpc"}
MESH = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "mesh"}
SOURCE = JobSource.model_validate(JOB)


def _workload(kind: str, name: str) -> Object:
    pod: Object = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"jobTemplate": {"spec": {"template": pod}}} if kind == "CronJob" else {"replicas": 3, "template": pod}
    return {"apiVersion": KINDS[kind], "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def _route(route: dict[str, str]) -> Object:
    if route is MESH:
        to = [{"destination": {"host": side}, "weight": share} for side, share in (("old", 100), ("new", 0))]
        spec: Object = {"http": [{"route": to}]}
    else:
        spec = {"rules": [{"backendRefs": [{"name": side, "weight": n} for side, n in (("old", 1), ("new", 0))]}]}
    metadata = {"name": route["name"], "namespace": "shop"}
    return {"apiVersion": route["apiVersion"], "kind": route["kind"], "metadata": metadata, "spec": spec}


def _effects(method: str, kind: str) -> Iterator[Action]:
    """Each sort of effect that a run of the spec below, or its way back, may have."""
    yield SetWeight(10)
    yield Scale(Side.OLD, 1)  # a way back does that, whoever has stopped it
    yield Scale(Side.NEW, 0)
    for epoch, standing in ((1, None), (2, Assignment(1, 0, 0))):
        yield Assign(Assignment(epoch, 0, 0), standing)
    for side in Side:
        if method == "Restart" or kind == "CronJob":  # of which the Jobs are told apart by it
            yield StampEpoch(side, 2)
    if method == "Restart":
        yield Restart(Side.OLD, "now")
    yield CreateJob(Step.VERIFY_DATA, "move-verify", SOURCE, 10, ())
    for stamp in ("first", "second"):
        yield KeepLogs("report", stamp, "said")
        yield WriteReport("report", stamp, "told")


@pytest.mark.looptime
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_is_done_as_the_account_is_among_it(kind: str, method: str) -> None:
    kube = FakeKube()
    kube.serve(KindRef("example.org/v1", "Gadget"), Served(status=True, scale=True, generation="custom"))
    kube.serve(KindRef(MESH["apiVersion"], MESH["kind"]), Served(generation="custom"))
    workloads = {side: {"kind": kind, "apiVersion": KINDS[kind], "name": side} for side in ("old", "new")}
    procedure: Object = {"verifyData": {"job": JOB}, "evidence": {}}
    if method == "Restart":
        procedure["verifySystem"] = {"restartOld": True}
    spec = SyncRolloutSpec.model_validate(
        {
            "serviceAccountName": "mover",
            **{side: {"workload": workloads[side], "service": side} for side in workloads},
            "traffic": {
                "routes": [ROUTE, GRPC, MESH],
                "shards": {"configMap": "slots", "handover": {"method": method}},
            },
            "phases": [{"name": "all", "weight": 100}],
            "rollback": {"procedure": procedure},
        }
    )
    target = Target(OWN, spec, "1", (), "u")
    for obj in (*(_workload(kind, name) for name in workloads), *(_route(each) for each in (ROUTE, GRPC, MESH))):
        kube.put(obj)
    informers = Informers(kube, project=trim)
    performer = Performer(kube, WatchedObjects(informers))
    effects = tuple(_effects(method, kind))
    for effect in effects:
        await performer.perform(target, (effect,), urgent=False)
    await informers.close()
    asked = {(call.verb, call.ref, call.subresource) for call in kube.log if call.behalf == target.behalf}
    assert {verb for verb, _, _ in asked} == {"get", "create", "patch"}
    looked_at = {(need.verb, need.ref, need.subresource) for need in needs(target)}
    whole = {(verb, ref.kind, below) for verb, ref, below in looked_at if not ref.name}
    assert {each for each in asked if each not in looked_at and (each[0], each[1].kind, each[2]) not in whole} == set()

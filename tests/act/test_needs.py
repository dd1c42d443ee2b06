"""What an account has to be allowed, by what the spec asks for."""

from __future__ import annotations

from typing import Any

import pytest

from syncrollout.act.needs import needs
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.ports import KindRef, ObjectRef

OWN = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")
ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}
JOB = {"template": {"spec": {"containers": [{"name": "a", "image": "a"}]}}}
ALWAYS = {"get Deployment old", "get Deployment new"}
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
        ALWAYS | {"get Service old", "get Service new", "patch Deployment/scale old", "patch Deployment/scale new"},
    ),
    "retiring": (
        {"phases": [{"name": "all", "weight": 100, "retireOld": True}]},
        ROUTED | {"patch Deployment/scale old"},
    ),
    "shards": (SHARDS, SLOTS),
    "shards by restart": (RESTART, SLOTS | {"patch Deployment old", "patch Deployment new"}),
    "CronJobs": (
        {**CRON, **SHARDS},
        {"get CronJob old", "get CronJob new", "patch CronJob new"}
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

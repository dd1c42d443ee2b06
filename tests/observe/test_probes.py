"""What is asked of a Service, and what counts as an answer."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.kube import FakeKube
from fakes.prober import Answering
from syncrollout.act.target import Target
from syncrollout.api.spec import Probe, SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.observe.probes import Probes, judge
from syncrollout.ports import Answer, KindRef, ObjectRef

pytestmark = [pytest.mark.looptime]

SPEC = SyncRolloutSpec.model_validate(
    {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
        "traffic": {"replicas": {"total": 10}},
        "phases": [{"name": "all", "weight": 100}],
    }
)
TARGET = Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "move"), SPEC, "1", ())


def _service(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}], **spec}}


def _probe(**fields: Any) -> Probe:
    return Probe.model_validate(fields)


async def test_the_service_of_old_is_asked_in_the_rollouts_own_namespace() -> None:
    kube, prober = FakeKube(), Answering()
    kube.put(_service("v1"))
    [fact] = await Probes(kube, prober).look(TARGET, [_probe(path="/healthz")]) or ()
    assert (fact.passes, fact.text) == (True, "GET v1:80/healthz: 200 in 10 ms")
    assert prober.asked == ["shop/v1:80/healthz"]


@pytest.mark.parametrize(
    ("service", "probe", "why"),
    [
        (_service("v1", type="ExternalName", externalName="metadata.internal"), {}, "is not asked"),
        (_service("v1"), {"port": 8080}, "Service shop/v1 has no port 8080; it has 80"),
        (_service("other"), {}, "Service shop/v1 does not exist: create it, or correct the probe's service"),
    ],
)
async def test_what_is_not_a_service_of_the_namespace_is_never_asked(
    service: dict[str, Any], probe: dict[str, Any], why: str
) -> None:
    kube, prober = FakeKube(), Answering()
    kube.put(service)
    [fact] = await Probes(kube, prober).look(TARGET, [_probe(**probe)]) or ()
    assert not fact.passes
    assert why in fact.text
    assert prober.asked == []


async def test_a_right_that_is_missing_and_a_service_that_hangs_are_told() -> None:
    kube, prober = FakeKube(), Answering()
    kube.put(_service("v1"))
    prober.answer = lambda _: None
    [fact] = await Probes(kube, prober).look(TARGET, [_probe()]) or ()
    assert fact.text == "GET v1:80/: no answer: connection refused"
    kube.forbid("get", KindRef("v1", "Service"))
    [fact] = await Probes(kube, prober).look(TARGET, [_probe()]) or ()
    assert not fact.passes
    assert "get" in fact.text


async def test_a_pass_that_comes_soon_asks_nothing_again() -> None:
    kube, prober = FakeKube(), Answering()
    kube.put(_service("v1"))
    probes = Probes(kube, prober)
    assert await probes.look(TARGET, [_probe()]) == await probes.look(TARGET, [_probe()])
    assert len(prober.asked) == 1
    await probes.look(TARGET, [_probe(path="/other")])
    assert len(prober.asked) == 2
    assert await probes.look(TARGET, []) is None


@pytest.mark.parametrize(
    ("probe", "answer", "wrong"),
    [
        ({}, Answer(200, b"", 0.1), ""),
        ({}, Answer(204, b"", 0.1), "204, and not 200"),
        ({"status": [200, 204]}, Answer(301, b"", 0.1), "301, and not 200 or 204"),
        ({"contains": "ready"}, Answer(200, b'{"state": "ready"}', 0.1), ""),
        ({"contains": "ready"}, Answer(200, b"password", 0.1), "200, and what it should say is not in its body"),
        ({"contains": "fertig ü"}, Answer(200, "fertig ü".encode(), 0.1), ""),
        ({"maxLatency": "2s"}, Answer(200, b"", 2.0), ""),
        ({"maxLatency": "2s"}, Answer(200, b"", 2.1), "200 after 2.1 s, and it may take 2 s"),
    ],
)
def test_an_answer_passes_or_it_is_said_why_not(probe: dict[str, Any], answer: Answer, wrong: str) -> None:
    assert judge(_probe(**probe), answer) == wrong

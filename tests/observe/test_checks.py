"""What is found of the checklist before the start, and how seldom anybody is asked for it."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.kube import FakeKube
from fakes.prober import Answering
from syncrollout.act.target import Target
from syncrollout.api.spec import Capacity, SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.decide.check_facts import CheckFact
from syncrollout.observe import capacity
from syncrollout.observe.certificates import valid_until
from syncrollout.observe.checks import Checks
from syncrollout.observe.probes import Probes
from syncrollout.observe.snapshots import Snapshots
from syncrollout.ports import KindRef, ObjectRef

pytestmark = [pytest.mark.looptime]

TLS = Path(__file__).parent / "tls"
Obj = dict[str, Any]


class Stopped:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_700_000_000.0


class World:
    def __init__(self) -> None:
        self.kube, self.prober = FakeKube(), Answering()
        self.checks = Checks(self.kube, Probes(self.kube, self.prober), Snapshots(self.kube), Stopped())

    def put(self, kind: str, name: str, api_version: str = "v1", **fields: Any) -> None:
        metadata = {"name": name, "namespace": "shop"}
        self.kube.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields})

    def pods(self, name: str, *containers: Obj) -> None:
        self.put("Deployment", name, "apps/v1", spec={"template": {"spec": {"containers": list(containers)}}})

    async def look(self, *checks: Obj, interval: str = "30s") -> dict[str, CheckFact]:
        return dict(await self.checks.look(target(*checks, interval=interval)))

    async def one(self, **check: Any) -> CheckFact:
        [fact] = (await self.look({"name": "it", "group": "Code", **check})).values()
        return fact


def target(*checks: Obj, interval: str = "30s", name: str = "move") -> Target:
    document = {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
        "traffic": {"replicas": {"total": 10}},
        "phases": [{"name": "all", "weight": 100}],
        "preflight": {"checks": list(checks), "interval": interval},
    }
    return Target(
        ObjectRef(KindRef(API_VERSION, KIND), "shop", name), SyncRolloutSpec.model_validate(document), "1", ()
    )


# ---- certificates ----


def stamp(path: Path) -> float:
    """When openssl says that the first certificate of a file ends."""
    done = subprocess.run(
        ["openssl", "x509", "-in", str(path), "-noout", "-enddate"], capture_output=True, text=True, check=True
    )
    text = done.stdout.strip().removeprefix("notAfter=").removesuffix(" GMT")
    return datetime.strptime(text, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("name", ["ca.pem", "server.pem"])
def test_the_end_of_a_certificate_is_what_openssl_says(name: str) -> None:
    assert valid_until((TLS / name).read_text()) == stamp(TLS / name)


def test_of_a_chain_the_first_to_end_counts() -> None:
    texts = [(TLS / name).read_text() for name in ("ca.pem", "server.pem")]
    assert valid_until("".join(texts)) == min(stamp(TLS / "ca.pem"), stamp(TLS / "server.pem"))


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    sized = bytes([length]) if length < 128 else bytes([0x82, *length.to_bytes(2)])
    return bytes([tag]) + sized + content


def made(tag: int, text: str, *, version: bool = True, padding: int = 0) -> str:
    """A certificate with nothing in it but when it ends."""
    validity = der(0x30, der(0x17, b"200101000000Z") + der(tag, text.encode()))
    first = der(0xA0, der(0x02, b"\x02")) if version else b""
    body = first + der(0x02, b"\x01" * (1 + padding)) + der(0x30, b"") + der(0x30, b"") + validity
    encoded = base64.b64encode(der(0x30, der(0x30, body))).decode()
    return f"-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("pem", "year"),
    [
        (made(0x17, "491231235959Z"), 2049),
        (made(0x17, "500101000000Z"), 1950),
        (made(0x18, "20500101000000Z"), 2050),
        (made(0x18, "20500101000000Z", version=False), 2050),
        (made(0x18, "20500101000000Z", padding=300), 2050),
    ],
)
def test_both_ways_of_writing_a_time_are_read(pem: str, year: int) -> None:
    assert datetime.fromtimestamp(valid_until(pem), UTC).year == year


@given(st.binary(max_size=200) | st.builds(lambda cut: der(0x30, der(0x30, b"\x30" * cut)), st.integers(0, 90)))
def test_what_is_no_certificate_is_said_to_be_none(content: bytes) -> None:
    text = base64.b64encode(content).decode()
    with pytest.raises(ValueError, match="in it"):
        valid_until(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----")


@pytest.mark.parametrize("text", ["", "a key", (TLS / "ca.pem").read_text() * 17])
def test_a_text_without_a_certificate_or_with_too_many_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="in it"):
        valid_until(text)


async def test_a_secret_is_read_by_its_name_and_of_it_the_certificate_alone() -> None:
    w = World()
    data = {"tls.crt": base64.b64encode((TLS / "server.pem").read_bytes()).decode(), "tls.key": "c2VjcmV0"}
    w.put("Secret", "web-tls", data=data)
    fact = await w.one(tlsSecret={"name": "web-tls"})
    assert (fact.passes, fact.valid_until) == (None, stamp(TLS / "server.pem"))
    assert fact.text == "the certificate of Secret shop/web-tls"


@pytest.mark.parametrize(
    ("data", "passes", "text"),
    [
        (None, False, "Secret shop/web-tls does not exist"),
        ({"other": "eA=="}, False, "Secret shop/web-tls has no key tls.crt"),
        ({"tls.crt": "c2VjcmV0"}, None, "tls.crt cannot be read: there is no certificate in it"),
    ],
)
async def test_a_certificate_that_is_none(data: Obj | None, passes: bool | None, text: str) -> None:
    w = World()
    if data is not None:
        w.put("Secret", "web-tls", data=data)
    fact = await w.one(tlsSecret={"name": "web-tls"})
    assert fact.passes is passes
    assert text in fact.text
    assert "c2Vj" not in fact.text


# ---- objects, workloads, Services ----


async def test_an_object_is_there_or_not() -> None:
    w = World()
    asked = {"apiVersion": "v1", "kind": "ConfigMap", "name": "runbook"}
    assert (await w.one(resourceExists=asked)).passes is False
    w = World()
    w.put("ConfigMap", "runbook")
    fact = await w.one(resourceExists=asked)
    assert (fact.passes, fact.text) == (True, "ConfigMap shop/runbook exists")


async def test_a_right_that_is_missing_is_not_known_and_says_which() -> None:
    w = World()
    w.kube.forbid("get", KindRef("v1", "ConfigMap"))
    fact = await w.one(resourceExists={"apiVersion": "v1", "kind": "ConfigMap", "name": "runbook"})
    assert fact.passes is None
    assert "the operator may not look at it" in fact.text


@pytest.mark.parametrize(("ready", "passes"), [(0, False), (2, False), (3, True)])
async def test_a_workload_has_all_its_replicas(ready: int, passes: bool) -> None:
    w = World()
    w.put("StatefulSet", "db", "apps/v1", spec={"replicas": 3}, status={"readyReplicas": ready})
    fact = await w.one(workloadReady={"kind": "StatefulSet", "name": "db"})
    assert (fact.passes, fact.text) == (passes, f"StatefulSet shop/db has {ready} of 3 replicas ready")


async def test_a_service_outside_of_the_namespace_is_never_asked() -> None:
    w = World()
    w.put("Service", "v1", spec={"type": "ExternalName", "externalName": "metadata.internal"})
    fact = await w.one(http={"path": "/healthz"})
    assert fact.passes is False
    assert "is not asked" in fact.text
    assert w.prober.asked == []


# ---- variables ----

NAMES = {"names": ["BATCH_SIZE", "LOG_LEVEL", "RATE_LIMIT"]}


async def test_both_sides_define_all_of_them_by_whatever_way() -> None:
    w = World()
    w.put("ConfigMap", "settings", data={"SIZE": "10", "LOG_LEVEL": "info"})
    w.put("Secret", "limits", data={"RATE_LIMIT": "c2VjcmV0"})
    brought = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "limits"}}]
    w.pods("v1", {"name": "a", "env": [{"name": name} for name in NAMES["names"]]})
    w.pods("v2", {"name": "a", "env": [{"name": "BATCH_SIZE"}]}, {"name": "b", "envFrom": brought})
    fact = await w.one(envVars=NAMES)
    assert (fact.passes, fact.text) == (True, "old and new define all 3 variables")


async def test_what_is_missing_is_said_of_each_side() -> None:
    w = World()
    w.put("ConfigMap", "names", data={"TIMEOUT": ""})
    w.pods("v1", {"name": "a", "env": [{"name": "BATCH_SIZE"}, {"name": "LOG_LEVEL"}, {"name": "TIMEOUT"}]})
    w.pods("v2", {"name": "a", "envFrom": [{"prefix": "LOG_", "configMapRef": {"name": "settings"}}]})
    w.put("ConfigMap", "settings", data={"LEVEL": "info"})
    fact = await w.one(envVars=NAMES | {"fromConfigMap": "names"})
    assert fact.passes is False
    assert fact.text == "old does not define RATE_LIMIT; new does not define BATCH_SIZE, RATE_LIMIT, TIMEOUT"
    assert (fact.missing_old, fact.missing_new) == (("RATE_LIMIT",), ("BATCH_SIZE", "RATE_LIMIT", "TIMEOUT"))


async def test_each_container_that_is_named_has_to_define_them() -> None:
    w = World()
    every = [{"name": name} for name in NAMES["names"]]
    w.pods("v1", {"name": "a", "env": every}, {"name": "b", "env": every})
    w.pods("v2", {"name": "a", "env": every}, {"name": "b", "env": every[1:]})
    fact = await w.one(envVars=NAMES | {"containers": ["a", "b"]})
    assert fact.missing_new == ("BATCH_SIZE",)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"fromConfigMap": "nowhere"}, "ConfigMap shop/nowhere, which lists the variables, does not exist"),
        ({"containers": ["b"]}, "Deployment shop/v1 has no container b; it has a"),
    ],
)
async def test_what_cannot_be_known_is_not_known(asked: Obj, text: str) -> None:
    w = World()
    w.pods("v1", {"name": "a"})
    w.pods("v2", {"name": "a"})
    fact = await w.one(envVars=NAMES | asked)
    assert fact.passes is None
    assert text in fact.text


async def test_a_secret_whose_values_are_never_said() -> None:
    w = World()
    w.put("Secret", "limits", data={"OTHER": "c2VjcmV0"})
    for name in ("v1", "v2"):
        w.pods(name, {"name": "a", "envFrom": [{"secretRef": {"name": "limits"}}]})
    fact = await w.one(envVars=NAMES)
    assert "c2Vj" not in fact.text
    assert "OTHER" not in fact.text


# ---- nodes ----


def node(name: str, *, ready: bool = True, cordoned: bool = False, **allocatable: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "allocatable": {key.replace("_", "-"): value for key, value in allocatable.items()},
        },
    }


LARGE = {"cpu": "3920m", "memory": "7900Mi", "ephemeral_storage": "47093746742"}
ASKED = Capacity.model_validate({"nodes": 2, "cpu": "3", "memory": "7G", "disk": "40Gi"})


@pytest.mark.parametrize(
    ("nodes", "passes", "text"),
    [
        ([node("a", **LARGE), node("b", **LARGE)], True, "2 of 2 nodes are Ready and take pods with 3 cpu, 7G memory,"),
        ([node("a", **LARGE), node("b", **LARGE, ready=False)], False, "1 of 2 nodes"),
        ([node("a", **LARGE), node("b", **LARGE, cordoned=True)], False, "1 of 2 nodes"),
        ([node("a", **LARGE), node("b", **LARGE | {"cpu": "2"})], False, "it has to be 2 at least: b has 2 cpu"),
        ([], False, "0 of 0 nodes"),
    ],
)
def test_nodes_that_are_large_enough_are_counted(nodes: list[Obj], passes: bool, text: str) -> None:
    enough, said = capacity.judge(ASKED, [capacity.project(each) for each in nodes])
    assert enough is passes
    assert text in said


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", "4"),
        ("500m", "0.5"),
        ("8Gi", "8589934592"),
        ("100G", "100000000000"),
        ("1.5Ki", "1536"),
        ("12e3", "12000"),
        ("2k", "2000"),
        ("47093746742", "47093746742"),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, number: str) -> None:
    assert capacity.quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "Gi", "4 GB", "-1", "1Zi"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        capacity.quantity(text)


async def test_a_fleet_lists_the_nodes_once() -> None:
    w = World()
    w.kube.put(node("a", **LARGE))
    check = {"name": "servers", "group": "Infrastructure", "capacity": {"cpu": "1"}}
    facts = [await w.checks.look(target(check, name=f"move-{number}")) for number in range(5)]
    assert all(each["servers"].passes for each in facts)
    assert len([call for call in w.kube.log if call.verb == "list"]) == 1


# ---- how often ----

RUNBOOK = {
    "name": "runbook",
    "group": "Documents",
    "resourceExists": {"apiVersion": "v1", "kind": "ConfigMap", "name": "runbook"},
}


async def test_what_was_found_stands_for_the_interval() -> None:
    w = World()
    assert (await w.look(RUNBOOK))["runbook"].passes is False
    w.put("ConfigMap", "runbook")
    await asyncio.sleep(29)
    assert (await w.look(RUNBOOK))["runbook"].passes is False
    await asyncio.sleep(1)
    assert (await w.look(RUNBOOK))["runbook"].passes is True


async def test_another_list_is_looked_at_at_once() -> None:
    w = World()
    await w.look(RUNBOOK)
    w.put("Secret", "key")
    other = RUNBOOK | {"resourceExists": {"apiVersion": "v1", "kind": "Secret", "name": "key"}}
    assert (await w.look(other))["runbook"].passes is True


async def test_a_service_that_hangs_keeps_no_pass_waiting_and_is_not_asked_twice_at_once() -> None:
    w = World()
    w.put("Service", "v1", spec={"ports": [{"port": 80}]})
    hangs = asyncio.Event()

    async def hang(*_: Any, **__: Any) -> Any:
        w.prober.asked.append("hang")
        await hangs.wait()

    w.prober.get = hang  # type: ignore[method-assign]
    w.put("ConfigMap", "runbook")
    slow = {"name": "answers", "group": "Infrastructure", "http": {}}
    began = asyncio.get_running_loop().time()
    facts = await w.look(slow, RUNBOOK)
    assert list(facts) == ["runbook"]
    assert asyncio.get_running_loop().time() - began == 1.0
    await w.look(slow, RUNBOOK)
    assert w.prober.asked == ["hang"]
    await w.checks.close()


async def test_an_object_of_another_form_is_unknown_and_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    w = World()
    w.put("Deployment", "v3", "apps/v1", spec={"replicas": "many"}, status={"readyReplicas": []})
    w.put("ConfigMap", "runbook")
    odd = {"name": "odd", "group": "Code", "workloadReady": {"kind": "Deployment", "name": "v3"}}
    facts = await w.look(odd, RUNBOOK)
    assert facts["odd"].passes is None
    assert facts["runbook"].passes is True
    w.put("Deployment", "v3", "apps/v1", spec={"replicas": 1}, status={"readyReplicas": 1})
    await asyncio.sleep(30)
    assert (await w.look(odd, RUNBOOK))["odd"].passes is True


async def test_without_a_checklist_nobody_is_asked() -> None:
    w = World()
    assert await w.look({"name": "on-call", "group": "Team", "attestation": {"text": "Somebody is on call"}}) == {}
    assert w.kube.log == []

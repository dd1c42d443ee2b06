"""The operator's client on a real API server keeps the contract, and what only a real one can show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.kube_contract import CONFIG_MAP, CRON_JOB, DEPLOYMENT, GADGET, JSON, MERGE, config_map, gadget
from contract.kube_contract_streams import KubeContract
from syncrollout.ports import Invalid, KindNotServed, KindRef, KubeApi, NotFound, Object, ObjectRef, Unavailable
from syncrollout.runtime.informer import Informer
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from testbed import ControlPlane
from testbed.served import until_served

pytestmark = [pytest.mark.cluster]

CRD = KindRef("apiextensions.k8s.io/v1", "CustomResourceDefinition")


def definition(plural: str, kind: str) -> dict[str, object]:
    spec = {"type": "object", "properties": {"size": {"type": "integer", "maximum": 10}}}
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": schema}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"{plural}.{GADGET.group}"},
        "spec": {
            "group": GADGET.group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural[:-1], "kind": kind},
            "versions": [version],
        },
    }


def define(control_plane: ControlPlane, plural: str, kind: str) -> None:
    """Apply a CRD and wait until its objects are served."""
    control_plane.kube.apply(definition(plural, kind))
    until_served(control_plane.kube, f"{plural}.{GADGET.group}")


class RealServer:
    """The testbed's API server through the operator's client."""

    def __init__(
        self, control_plane: ControlPlane, namespace: str, connection: Connection, powerless: Connection
    ) -> None:
        self.leading = True
        self.namespace = namespace
        self.observed: list[tuple[str, str, int]] = []
        self.client = AiohttpKubeApi(
            connection,
            user_agent="contract",
            may_write=lambda: self.leading,
            observe=lambda verb, resource, status, _seconds: self.observed.append((verb, resource, status)),
        )
        self.api: KubeApi = self.client
        self.unguarded: KubeApi = self.client.unguarded()
        self.nobody = AiohttpKubeApi(powerless, user_agent="contract")
        self._control_plane = control_plane

    def powerless(self, verb: str, kind: KindRef) -> KubeApi:
        return self.nobody

    def delete(self, ref: ObjectRef) -> None:
        self._control_plane.kube.delete(ref.kind.api_version, ref.kind.kind, ref.name, ref.namespace)

    def expired_version(self) -> str:
        return "1"


@pytest.fixture(scope="module")
def connection(control_plane: ControlPlane) -> Connection:
    define(control_plane, "gadgets", "Gadget")
    return Connection.load(str(control_plane.kubeconfig))


@pytest.fixture(scope="module")
def powerless(control_plane: ControlPlane) -> Connection:
    path: Path = control_plane.kubeconfig_for(control_plane.user_token("alice"), "alice")
    return Connection.load(str(path))


@pytest.fixture
async def server(
    control_plane: ControlPlane, namespace: str, connection: Connection, powerless: Connection
) -> AsyncIterator[RealServer]:
    server = RealServer(control_plane, namespace, connection, powerless)
    yield server
    await server.client.close()
    await server.nobody.close()


class TestAiohttpKubeApi(KubeContract):
    """The contract, with the module's `server`."""


async def test_every_request_is_observed_and_a_kind_is_looked_up_once(server: RealServer) -> None:
    refs = [ObjectRef(CONFIG_MAP, server.namespace, name) for name in "abc"]
    await asyncio.gather(*(server.api.create(ref, config_map()) for ref in refs))
    await server.api.patch(refs[0], {"data": {"value": "2"}}, MERGE)
    with pytest.raises(NotFound):
        await server.api.get(ObjectRef(CONFIG_MAP, server.namespace, "d"))
    assert sorted(server.observed) == [
        ("create", "configmaps", 201),
        ("create", "configmaps", 201),
        ("create", "configmaps", 201),
        ("discover", "discovery", 200),
        ("get", "configmaps", 404),
        ("patch", "configmaps", 200),
    ]


async def test_our_writes_carry_our_name_and_kubectls_copy_is_left_out(
    server: RealServer, control_plane: ControlPlane
) -> None:
    ref = ObjectRef(CONFIG_MAP, server.namespace, "a")
    manifest = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {server.namespace}}}\ndata: {{a: b}}\n"
    )
    control_plane.kubectl("apply", "-f", "-", input=manifest)
    raw = control_plane.kube.get("v1", "ConfigMap", "a", server.namespace)
    assert "kubectl.kubernetes.io/last-applied-configuration" in raw["metadata"]["annotations"]
    assert "annotations" not in (await server.api.get(ref))["metadata"]
    await server.api.patch(ref, {"data": {"a": "c"}}, MERGE)
    raw = control_plane.kube.get("v1", "ConfigMap", "a", server.namespace)
    assert "syncrollout" in {entry["manager"] for entry in raw["metadata"]["managedFields"]}
    assert "kubectl.kubernetes.io/last-applied-configuration" in raw["metadata"]["annotations"], (
        "only left out of sight"
    )


@pytest.mark.parametrize(("value", "said"), [("big", "spec.size"), (99, "less than or equal to 10")])
async def test_what_breaks_the_schema_is_invalid_and_no_conflict(server: RealServer, value: object, said: str) -> None:
    ref = ObjectRef(GADGET, server.namespace, "a")
    await server.api.create(ref, gadget())
    with pytest.raises(Invalid, match=said):
        await server.api.patch(ref, {"spec": {"size": value}}, MERGE)
    with pytest.raises(Invalid, match=said):
        await server.api.patch(ref, [{"op": "replace", "path": "/spec/size", "value": value}], JSON)


async def test_a_namespace_that_is_missing_is_named(server: RealServer) -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await server.api.create(ObjectRef(CONFIG_MAP, "nowhere", "a"), config_map())


async def test_missing_rights_on_a_subresource_are_named_with_it(server: RealServer) -> None:
    ref = ObjectRef(DEPLOYMENT, server.namespace, "a")
    wanted = f'"patch" resource "deployments/scale" of API group apps in namespace {server.namespace}'
    with pytest.raises(Exception, match=wanted):
        await server.nobody.patch(ref, {"spec": {"replicas": 1}}, MERGE, subresource="scale")


async def test_a_token_that_is_not_accepted_is_said_to_be_so(control_plane: ControlPlane) -> None:
    stranger = Connection.load(str(control_plane.kubeconfig_for("nobody-knows-it", "stranger")))
    async with AiohttpKubeApi(stranger) as api:
        with pytest.raises(Unavailable, match="token or certificate is not accepted") as caught:
            await api.get(ObjectRef(CONFIG_MAP, "default", "a"))
        assert caught.value.status == 401


async def test_a_rotated_token_is_taken_up_without_a_failed_request(
    control_plane: ControlPlane, namespace: str
) -> None:
    path = control_plane.kubeconfig_for("expired", "rotated")
    connection = Connection.load(str(path))
    async with AiohttpKubeApi(connection) as api:
        with pytest.raises(Unavailable):
            await api.list(CONFIG_MAP, namespace)
        assert control_plane.kubeconfig_for(control_plane.admin_token, "rotated") == path
        listings = await asyncio.gather(*(api.list(CONFIG_MAP, namespace) for _ in range(5)))
        assert all(listing.resource_version for listing in listings)


async def test_a_crd_that_comes_and_goes_is_noticed(server: RealServer, control_plane: ControlPlane) -> None:
    kind = KindRef(GADGET.api_version, "Widget")
    ref = ObjectRef(kind, server.namespace, "a")
    with pytest.raises(KindNotServed):
        await server.api.get(ref)
    define(control_plane, "widgets", "Widget")
    deadline = time.monotonic() + 10
    while True:  # discovery is asked again every few seconds at most
        try:
            await server.api.create(ref, gadget())
            break
        except KindNotServed:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    control_plane.kube.delete(CRD.api_version, CRD.kind, f"widgets.{GADGET.group}")
    while True:
        try:
            await server.api.get(ref)
        except KindNotServed:
            break
        except NotFound:
            pass
        assert time.monotonic() < deadline + 10
        await asyncio.sleep(0.1)


async def test_a_long_list_comes_in_pages(server: RealServer, control_plane: ControlPlane) -> None:
    namespace = server.namespace
    gate = asyncio.Semaphore(20)

    async def make(number: int) -> None:
        async with gate:
            await server.api.create(ObjectRef(CONFIG_MAP, namespace, f"cm-{number:04d}"), {"data": {"n": str(number)}})

    await asyncio.gather(*(make(number) for number in range(1100)))
    server.observed.clear()
    listing = await server.api.list(CONFIG_MAP, namespace)
    numbers = [int(item["data"]["n"]) for item in listing.items if "n" in item["data"]]
    assert sorted(numbers) == list(range(1100))
    assert server.observed == [("list", "configmaps", 200)] * 3
    await server.api.create(ObjectRef(CONFIG_MAP, namespace, "last"), config_map())
    events = await KubeContract().events(server.api, CONFIG_MAP, namespace, listing.resource_version, 1)
    assert [event.object["metadata"]["name"] for event in events] == ["last"]


async def test_an_object_of_a_megabyte_comes_through_the_watch(server: RealServer) -> None:
    listing = await server.api.list(CONFIG_MAP, server.namespace)
    big = "x" * 900_000
    await server.api.create(ObjectRef(CONFIG_MAP, server.namespace, "big"), {"data": {"big": big}})
    (event,) = await KubeContract().events(server.api, CONFIG_MAP, server.namespace, listing.resource_version, 1)
    assert event.object["data"] == {"big": big}


async def test_a_watch_ends_by_itself_and_can_be_resumed(connection: Connection, namespace: str) -> None:
    async with AiohttpKubeApi(connection, watch_timeout=1.0) as api:
        listing = await api.list(CRON_JOB, namespace)
        started = time.monotonic()
        events = [event async for event in api.watch(CRON_JOB, namespace, listing.resource_version)]
        assert 0.5 <= time.monotonic() - started <= 5
        assert {event.type for event in events} <= {"BOOKMARK"}
        for bookmark in events:
            assert int(bookmark.object["metadata"]["resourceVersion"]) >= int(listing.resource_version)


async def test_a_watch_that_falls_silent_is_given_up(connection: Connection, control_plane: ControlPlane) -> None:
    async with AiohttpKubeApi(connection, watch_silence=0.5) as api:
        listing = await api.list(CRON_JOB, "default")
        with pytest.raises(Unavailable, match="fell silent"):
            async for _event in api.watch(CRON_JOB, "default", listing.resource_version):
                pass


async def test_a_server_that_hangs_or_is_gone_costs_the_time_out_and_no_more(
    connection: Connection, control_plane: ControlPlane, namespace: str
) -> None:
    async with AiohttpKubeApi(connection, timeout=0.5) as api:
        ref = ObjectRef(CONFIG_MAP, namespace, "a")
        await api.create(ref, config_map())
        control_plane.pause()
        try:
            for call in (api.get(ref), api.list(CONFIG_MAP), api.patch(ref, config_map("2"), MERGE, urgent=True)):
                started = time.monotonic()
                with pytest.raises(Unavailable, match=r"no answer within 0\.5 s") as caught:
                    await call
                assert caught.value.status == 0
                assert time.monotonic() - started < 1.0
        finally:
            control_plane.resume()
        assert (await api.get(ref))["metadata"]["name"] == "a"
    nowhere = Connection.load(str(control_plane.kubeconfig))
    nowhere.host = "https://127.0.0.1:9"
    async with AiohttpKubeApi(nowhere) as api:
        with pytest.raises(Unavailable, match=r"https://127\.0\.0\.1:9 cannot be reached.*[Cc]onnect"):
            await api.get(ref)


async def test_an_informer_lives_through_a_restart_of_the_api_server(
    server: RealServer, control_plane: ControlPlane
) -> None:
    told: list[str] = []
    heard = asyncio.Event()

    def hear(ref: ObjectRef, _old: Object | None, _new: Object | None) -> None:
        told.append(ref.name)
        heard.set()

    informer = Informer(server.api, GADGET, namespaces=(server.namespace,), on_change=hear)
    informer.start()
    async with asyncio.timeout(10):
        await informer.synced.wait()
    control_plane.restart_apiserver()
    kube = control_plane.kube
    made = {
        "apiVersion": GADGET.api_version,
        "kind": "Gadget",
        "metadata": {"name": "a", "namespace": server.namespace},
    }
    kube.create({**made, "spec": {"size": 3}})
    async with asyncio.timeout(20):
        await heard.wait()
    assert informer.get(server.namespace, "a")
    assert told == ["a"]
    await informer.stop()

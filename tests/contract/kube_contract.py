"""What every KubeApi does: objects here, lists, watches and rights in `kube_contract_streams`. Run against the fake
(`test_kube_fake.py`) and against a real API server through the operator's client (`test_kube_real.py`): what holds on
one must hold on the other.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol, cast

import pytest

from syncrollout.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KindNotServed,
    KindRef,
    KubeApi,
    NotFound,
    Object,
    ObjectRef,
    PatchType,
    PodLogs,
)

CONFIG_MAP = KindRef("v1", "ConfigMap")
DEPLOYMENT = KindRef("apps/v1", "Deployment")
CRON_JOB = KindRef("batch/v1", "CronJob")
LEASE = KindRef("coordination.k8s.io/v1", "Lease")
GADGET = KindRef("contract.syncrollout.io/v1", "Gadget")
"""A custom kind with a status subresource and the integer spec.size."""
MERGE, JSON = PatchType.MERGE, PatchType.JSON
_numbers = itertools.count(1)


class Server(Protocol):
    """One API server and the ways to it."""

    api: KubeApi
    unguarded: KubeApi
    namespace: str
    leading: bool
    """Whether `api` may write."""

    def powerless(self, verb: str, kind: KindRef) -> KubeApi:
        """A client that lacks at least this right."""
        ...

    def delete(self, ref: ObjectRef) -> None:
        """By a person's hand."""
        ...

    def expired_version(self) -> str:
        """A resourceVersion of GADGET that can no longer be watched from."""
        ...


def config_map(value: str = "1") -> Object:
    return {"data": {"value": value}}


def deployment(replicas: int = 0) -> Object:
    labels = {"app": "contract"}
    containers = [{"name": "main", "image": "example.org/none"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {"spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}}


def cron_job() -> Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.org/none"}]}
    job = {"spec": {"template": {"spec": pod}}}
    return {"spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": job}}


def gadget(size: int = 1) -> Object:
    return {"spec": {"size": size}}


def version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


class ObjectsContract:
    """What is done to single objects. Subclasses give the fixture `server`."""

    @pytest.fixture
    def api(self, server: Server) -> KubeApi:
        return server.api

    def new(self, server: Server, kind: KindRef = CONFIG_MAP) -> ObjectRef:
        """A name that nothing has yet."""
        return ObjectRef(kind, server.namespace, f"thing-{next(_numbers)}")

    async def made(self, server: Server, kind: KindRef, body: Object) -> tuple[ObjectRef, Object]:
        """An object, and its reference."""
        ref = self.new(server, kind)
        return ref, await server.api.create(ref, body)

    # create, get

    async def test_what_is_created_can_be_read(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, CONFIG_MAP, {"metadata": {"labels": {"a": "b"}}, **config_map()})
        for obj in (made, await api.get(ref)):
            assert (obj["apiVersion"], obj["kind"]) == ("v1", "ConfigMap")
            assert obj["data"] == {"value": "1"}
            metadata = obj["metadata"]
            assert metadata["name"] == ref.name
            assert metadata["namespace"] == ref.namespace
            assert metadata["labels"] == {"a": "b"}
            assert metadata["uid"]
            assert metadata["creationTimestamp"].endswith("Z")
            assert metadata["resourceVersion"].isdigit()
            assert "generation" not in metadata
            assert "managedFields" not in metadata

    async def test_a_taken_name_is_refused_and_nothing_changed(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, CONFIG_MAP, config_map())
        with pytest.raises(AlreadyExists, match=ref.name):
            await api.create(ref, config_map("2"))
        assert await api.get(ref) == made

    async def test_a_name_can_be_left_to_the_server(self, server: Server, api: KubeApi) -> None:
        collection = ObjectRef(CONFIG_MAP, server.namespace, "")
        names = set()
        for _ in range(2):
            made = await api.create(collection, {"metadata": {"generateName": "made-"}})
            names.add(made["metadata"]["name"])
        assert len(names) == 2
        assert all(name.startswith("made-") and len(name) > 5 for name in names)

    async def test_nothing_there_is_not_found(self, server: Server, api: KubeApi) -> None:
        ref = self.new(server)
        with pytest.raises(NotFound, match=f"{ref.namespace}/{ref.name}") as caught:
            await api.get(ref)
        assert not isinstance(caught.value, KindNotServed)
        with pytest.raises(NotFound):
            await api.patch(ref, {"data": {"a": "b"}}, MERGE)

    async def test_the_log_of_a_pod_that_is_not_there_is_not_found(self, server: Server, api: KubeApi) -> None:
        ref = self.new(server, KindRef("v1", "Pod"))
        logs: PodLogs = cast("PodLogs", api)
        for previous in (False, True):
            with pytest.raises(NotFound, match=ref.name):
                await logs.logs(ref, "main", lines=5, previous=previous)

    @pytest.mark.parametrize("kind", [KindRef("v1", "ConfigMop"), KindRef("nobody.example/v1", "Gadget")], ids=str)
    async def test_a_kind_that_is_not_served_is_named(self, server: Server, api: KubeApi, kind: KindRef) -> None:
        ref = self.new(server, kind)
        for call in (api.get(ref), api.list(kind), api.patch(ref, {}, MERGE), api.create(ref, {})):
            with pytest.raises(KindNotServed, match=kind.kind):
                await call

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../secrets/x", "a%2Fb"])
    async def test_what_is_no_name_goes_nowhere(self, server: Server, api: KubeApi, name: str) -> None:
        with pytest.raises(Invalid, match="not a name"):
            await api.get(ObjectRef(CONFIG_MAP, server.namespace, name))

    async def test_an_object_of_a_namespace_needs_one(self, api: KubeApi) -> None:
        with pytest.raises(Invalid, match="namespace"):
            await api.get(ObjectRef(CONFIG_MAP, "", "a"))

    # patch

    async def test_a_merge_patch_sets_and_removes(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, CONFIG_MAP, {"data": {"keep": "1", "change": "1", "drop": "1"}})
        patched = await api.patch(ref, {"data": {"change": "2", "drop": None, "new": "1"}}, MERGE)
        assert patched["data"] == {"keep": "1", "change": "2", "new": "1"}
        assert patched["kind"] == "ConfigMap"
        assert version(patched) > version(made)
        assert await api.get(ref) == patched

    @pytest.mark.parametrize("kind", [CONFIG_MAP, GADGET], ids=lambda kind: kind.kind)
    async def test_a_patch_that_changes_nothing_leaves_the_version(self, server: Server, kind: KindRef) -> None:
        ref, made = await self.made(server, kind, config_map() if kind == CONFIG_MAP else gadget())
        same = {"data": {"value": "1"}} if kind == CONFIG_MAP else {"spec": {"size": 1}}
        assert await server.api.patch(ref, same, MERGE) == made
        path, value = ("/data/value", "1") if kind == CONFIG_MAP else ("/spec/size", 1)
        assert await server.api.patch(ref, [{"op": "replace", "path": path, "value": value}], JSON) == made

    async def test_a_merge_patch_for_another_version_or_object_is_a_conflict(
        self, server: Server, api: KubeApi
    ) -> None:
        ref, made = await self.made(server, CONFIG_MAP, config_map())
        now = await api.patch(ref, {"data": {"value": "2"}}, MERGE)
        for metadata in (
            {"resourceVersion": made["metadata"]["resourceVersion"]},
            {"uid": "00000000-0000-0000-0000-000000000000"},
        ):
            with pytest.raises(Conflict, match=ref.name) as caught:
                await api.patch(ref, {"metadata": metadata, "data": {"value": "3"}}, MERGE)
            assert not isinstance(caught.value, AlreadyExists)
        assert await api.get(ref) == now
        metadata = {name: now["metadata"][name] for name in ("resourceVersion", "uid")}
        patched = await api.patch(ref, {"metadata": metadata, "data": {"value": "3"}}, MERGE)
        assert patched["data"] == {"value": "3"}

    @pytest.mark.parametrize("kind", [CONFIG_MAP, GADGET, CRON_JOB], ids=lambda kind: kind.kind)
    async def test_a_test_operation_that_fails_is_a_conflict_and_nothing_changed(
        self, server: Server, api: KubeApi, kind: KindRef
    ) -> None:
        bodies = {CONFIG_MAP: config_map(), GADGET: gadget(), CRON_JOB: cron_job()}
        ref, made = await self.made(server, kind, bodies[kind])
        label = {"op": "add", "path": "/metadata/labels", "value": {"touched": "yes"}}
        failing: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/name", "value": "other"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
            {"op": "test", "path": "/metadata/annotations", "value": {"a": "b"}},
            {"op": "test", "path": "/metadata/nothing/here", "value": 1},
            {"op": "remove", "path": "/metadata/annotations"},
            {"op": "add", "path": "/metadata/annotations/a", "value": "b"},
        ]
        for operation in failing:
            for patch in ([operation, label], [label, operation]):
                with pytest.raises(Conflict, match=ref.name):
                    await api.patch(ref, patch, JSON)
        assert await api.get(ref) == made

    async def test_a_json_patch_whose_tests_hold_is_applied_in_order(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(
            server, CONFIG_MAP, {"metadata": {"annotations": {"example.org/a": "1"}}, "data": {"old": "x"}}
        )
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": made["metadata"]["resourceVersion"]},
            {"op": "test", "path": "/metadata/annotations/example.org~1a", "value": "1"},
            {"op": "test", "path": "/data/missing", "value": None},
            {"op": "replace", "path": "/metadata/annotations/example.org~1a", "value": "2"},
            {"op": "test", "path": "/metadata/annotations/example.org~1a", "value": "2"},
            {"op": "remove", "path": "/data/old"},
            {"op": "add", "path": "/data/new", "value": "1"},
            {"op": "replace", "path": "/data/newer", "value": "1"},
            {"op": "add", "path": "/metadata/finalizers", "value": ["example.org/a"]},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "example.org/c"},
            {"op": "add", "path": "/metadata/finalizers/1", "value": "example.org/b"},
        ]
        patched = await api.patch(ref, patch, JSON)
        assert patched["data"] == {"new": "1", "newer": "1"}
        assert patched["metadata"]["annotations"] == {"example.org/a": "2"}
        assert patched["metadata"]["finalizers"] == ["example.org/a", "example.org/b", "example.org/c"]
        await api.patch(ref, {"metadata": {"finalizers": None}}, MERGE)

    async def test_an_index_past_the_end_is_a_conflict(self, server: Server, api: KubeApi) -> None:
        ref, _ = await self.made(server, CONFIG_MAP, {"metadata": {"finalizers": ["example.org/a"]}})
        for operation in (
            {"op": "test", "path": "/metadata/finalizers/1", "value": "x"},
            {"op": "replace", "path": "/metadata/finalizers/1", "value": "x"},
            {"op": "remove", "path": "/metadata/finalizers/1"},
        ):
            with pytest.raises(Conflict):
                await api.patch(ref, [operation], JSON)
        await api.patch(ref, {"metadata": {"finalizers": None}}, MERGE)

    # generation, subresources

    @pytest.mark.parametrize("kind", [GADGET, CRON_JOB], ids=lambda kind: kind.kind)
    async def test_only_a_change_of_intent_is_a_new_generation(
        self, server: Server, api: KubeApi, kind: KindRef
    ) -> None:
        ref, made = await self.made(server, kind, gadget() if kind == GADGET else cron_job())
        assert made["metadata"]["generation"] == 1
        labelled = await api.patch(ref, {"metadata": {"labels": {"a": "b"}}}, MERGE)
        assert labelled["metadata"]["generation"] == 1
        intent = {"size": 2} if kind == GADGET else {"schedule": "0 0 2 1 *"}
        assert (await api.patch(ref, {"spec": intent}, MERGE))["metadata"]["generation"] == 2

    async def test_status_is_written_by_its_subresource_alone(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, GADGET, {**gadget(1), "status": {"phase": "from create"}})
        assert "status" not in made
        ignored = await api.patch(ref, {"status": {"phase": "from patch"}}, MERGE)
        assert "status" not in ignored
        assert version(ignored) == version(made)
        patch = {"spec": {"size": 9}, "metadata": {"labels": {"a": "b"}}, "status": {"phase": "right"}}
        written = await api.patch(ref, patch, MERGE, subresource="status")
        assert written["kind"] == "Gadget"
        assert written["status"] == {"phase": "right"}
        assert written["spec"] == {"size": 1}
        assert "labels" not in written["metadata"]
        assert written["metadata"]["generation"] == 1
        assert version(written) > version(made)
        with pytest.raises(Conflict):
            await api.patch(
                ref,
                {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": {"phase": "late"}},
                MERGE,
                subresource="status",
            )
        with pytest.raises(Conflict):
            await api.patch(
                ref, [{"op": "test", "path": "/status/phase", "value": "wrong"}], JSON, subresource="status"
            )
        kept = await api.patch(ref, {"spec": {"size": 2}}, MERGE)
        assert kept["status"] == {"phase": "right"}

    async def test_scale_changes_replicas_and_answers_a_scale(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, DEPLOYMENT, deployment(0))
        scale = await api.patch(ref, {"spec": {"replicas": 2}}, MERGE, subresource="scale")
        assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
        assert scale["spec"] == {"replicas": 2}
        assert scale["metadata"]["uid"] == made["metadata"]["uid"]
        now = await api.get(ref)
        assert now["spec"]["replicas"] == 2
        assert now["metadata"]["generation"] == 2
        with pytest.raises(Conflict):
            await api.patch(
                ref,
                {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"replicas": 5}},
                MERGE,
                subresource="scale",
            )
        patch = [
            {"op": "test", "path": "/spec/replicas", "value": 7},
            {"op": "replace", "path": "/spec/replicas", "value": 5},
        ]
        with pytest.raises(Conflict):
            await api.patch(ref, patch, JSON, subresource="scale")
        assert (await api.get(ref))["spec"]["replicas"] == 2

    async def test_scale_tells_which_pods_are_meant(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, DEPLOYMENT, deployment(0))
        scale = await api.get(ref, subresource="scale")
        assert (scale["kind"], scale["spec"].get("replicas", 0)) == ("Scale", 0)
        assert scale["status"]["selector"] == "app=contract"
        assert scale["metadata"]["uid"] == made["metadata"]["uid"]
        cron, _ = await self.made(server, CRON_JOB, cron_job())
        with pytest.raises(NotFound):
            await api.get(cron, subresource="scale")

    async def test_a_subresource_that_is_not_there_is_not_found(self, server: Server, api: KubeApi) -> None:
        ref, _ = await self.made(server, GADGET, gadget())
        with pytest.raises(NotFound):
            await api.patch(ref, {"spec": {"replicas": 2}}, MERGE, subresource="scale")

    # dry runs

    async def test_a_dry_run_answers_what_would_be_and_changes_nothing(self, server: Server, api: KubeApi) -> None:
        ref = self.new(server)
        would = await api.create(ref, config_map(), dry_run=True)
        assert (would["kind"], would["data"]) == ("ConfigMap", {"value": "1"})
        assert (would["metadata"]["name"], would["metadata"]["namespace"]) == (ref.name, ref.namespace)
        with pytest.raises(NotFound):
            await api.get(ref)
        made = await api.create(ref, config_map())
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
            {"op": "add", "path": "/data/value", "value": "2"},
        ]
        for body, kind in (({"data": {"value": "2"}}, MERGE), (patch, JSON)):
            patched = await api.patch(ref, body, kind, dry_run=True)
            assert patched["data"] == {"value": "2"}
            assert patched["metadata"]["uid"] == made["metadata"]["uid"]
        assert await api.get(ref) == made

    async def test_a_dry_run_of_a_subresource_changes_nothing(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, DEPLOYMENT, deployment(0))
        scale = await api.patch(ref, {"spec": {"replicas": 2}}, MERGE, subresource="scale", dry_run=True)
        assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 2})
        now = await api.get(ref)
        assert (now["spec"].get("replicas"), now["metadata"]["generation"]) == (0, made["metadata"]["generation"])

    async def test_a_dry_run_that_only_tests_is_a_patch_all_the_same(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, GADGET, gadget())
        test = {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]}
        assert await api.patch(ref, [test], JSON, dry_run=True) == made
        with pytest.raises(Conflict):
            await api.patch(ref, [{**test, "value": "another"}], JSON, dry_run=True)

    async def test_a_dry_run_is_refused_as_the_write_would_be(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, CONFIG_MAP, config_map())
        with pytest.raises(AlreadyExists):
            await api.create(ref, config_map("2"), dry_run=True)
        stale = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, "data": {"value": "2"}}
        with pytest.raises(Conflict):
            await api.patch(ref, stale, MERGE, dry_run=True)
        with pytest.raises(NotFound):
            await api.patch(self.new(server), {"data": {"value": "2"}}, MERGE, dry_run=True)
        for verb, call in (
            ("create", lambda weak: weak.create(self.new(server, CRON_JOB), cron_job(), dry_run=True)),
            ("patch", lambda weak: weak.patch(self.new(server, CRON_JOB), {}, MERGE, dry_run=True)),
        ):
            with pytest.raises(Forbidden, match=verb):
                await call(server.powerless(verb, CRON_JOB))
        assert await api.get(ref) == made

    # deletion

    async def test_a_finalizer_holds_an_object_until_it_is_removed(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(
            server, GADGET, {"metadata": {"finalizers": ["example.org/a", "example.org/b"]}, **gadget()}
        )
        server.delete(ref)
        going = await api.get(ref)
        assert going["metadata"]["deletionTimestamp"].endswith("Z")
        assert going["metadata"]["generation"] == 2
        assert version(going) > version(made)
        server.delete(ref)
        assert await api.get(ref) == going
        left = await api.patch(ref, {"metadata": {"finalizers": ["example.org/b"]}}, MERGE)
        assert left["metadata"]["finalizers"] == ["example.org/b"]
        patch = [
            {"op": "test", "path": "/metadata/finalizers/0", "value": "example.org/b"},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ]
        last = await api.patch(ref, patch, JSON)
        assert last["metadata"]["deletionTimestamp"]
        with pytest.raises(NotFound):
            await api.get(ref)

    async def test_a_name_made_anew_is_another_object(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, CONFIG_MAP, config_map())
        server.delete(ref)
        with pytest.raises(NotFound):
            await api.get(ref)
        again = await api.create(ref, config_map())
        assert again["metadata"]["uid"] != made["metadata"]["uid"]
        with pytest.raises(Conflict):
            await api.patch(ref, {"metadata": {"uid": made["metadata"]["uid"]}, "data": {"value": "2"}}, MERGE)
        test = {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]}
        with pytest.raises(Conflict):
            await api.patch(ref, [test, {"op": "replace", "path": "/data/value", "value": "2"}], JSON)
        assert await api.get(ref) == again

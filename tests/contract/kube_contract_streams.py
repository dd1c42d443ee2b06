"""The second half of the contract: lists, watches and rights. See `kube_contract`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from contract.kube_contract import (
    CONFIG_MAP,
    CRON_JOB,
    GADGET,
    LEASE,
    MERGE,
    ObjectsContract,
    Server,
    config_map,
    cron_job,
    gadget,
    version,
)
from syncrollout.ports import Expired, Forbidden, Invalid, KindNotServed, KindRef, KubeApi, NotLeading, WatchEvent


class KubeContract(ObjectsContract):
    """All of it."""

    # list

    async def test_a_list_holds_what_is_there_and_can_be_watched_from(self, server: Server, api: KubeApi) -> None:
        refs = [(await self.made(server, GADGET, gadget(size)))[0] for size in (1, 2, 3)]
        listing = await api.list(GADGET, server.namespace)
        by_name = {item["metadata"]["name"]: item for item in listing.items}
        for size, ref in enumerate(refs, 1):
            assert by_name[ref.name]["spec"]["size"] == size
        for item in listing.items:
            assert (item["apiVersion"], item["kind"]) == (GADGET.api_version, GADGET.kind)
            assert item["metadata"]["namespace"] == server.namespace
            assert "managedFields" not in item["metadata"]
        await api.patch(refs[0], {"spec": {"size": 4}}, MERGE)
        (event,) = await self.events(api, GADGET, server.namespace, listing.resource_version, 1)
        assert (event.type, event.object["spec"]) == ("MODIFIED", {"size": 4})

    async def test_a_list_of_everything_and_of_nothing(self, server: Server, api: KubeApi) -> None:
        ref, _ = await self.made(server, GADGET, gadget())
        everywhere = await api.list(GADGET)
        assert ref.name in {item["metadata"]["name"] for item in everywhere.items}
        nothing = await api.list(GADGET, "there-is-no-such-namespace")
        assert nothing.items == []
        assert nothing.resource_version.isdigit()

    async def test_a_list_can_be_of_metadata_alone_and_be_trimmed(self, server: Server, api: KubeApi) -> None:
        ref, _ = await self.made(server, CRON_JOB, {"metadata": {"labels": {"a": "b"}}, **cron_job()})
        names = await api.list(CRON_JOB, server.namespace, names_only=True)
        (mine,) = [item for item in names.items if item["metadata"]["name"] == ref.name]
        assert (mine["apiVersion"], mine["kind"]) == (CRON_JOB.api_version, CRON_JOB.kind)
        assert mine["metadata"]["labels"] == {"a": "b"}
        assert mine["metadata"]["resourceVersion"]
        assert "spec" not in mine
        trimmed = await api.list(CRON_JOB, server.namespace, project=lambda item: {"only": item["metadata"]["name"]})
        assert {"only": ref.name} in trimmed.items

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ("app=sync", {"a", "b"}),
            ("app = sync , tier", {"b"}),
            ("tier", {"b", "c"}),
            ("!tier,app", {"a"}),
            ("app!=sync,app in (sync, other)", {"c"}),
            ("app notin (sync),tier in (low)", {"c"}),
            ("tier in (high, low),app", {"b", "c"}),
            ("example.org/team-name", {"a"}),
            ("nobody=has-this", set()),
        ],
    )
    async def test_a_label_selector_chooses(
        self, server: Server, api: KubeApi, selector: str, chosen: set[str]
    ) -> None:
        labels = {
            "a": {"app": "sync", "example.org/team-name": "x"},
            "b": {"app": "sync", "tier": "high"},
            "c": {"app": "other", "tier": "low"},
        }
        made = {
            name: (await self.made(server, CONFIG_MAP, {"metadata": {"labels": {**own, "mine": "yes"}}}))[0].name
            for name, own in labels.items()
        }
        found = await api.list(CONFIG_MAP, server.namespace, label_selector=f"{selector},mine=yes")
        names = {item["metadata"]["name"] for item in found.items}
        assert {name for name, full in made.items() if full in names} == chosen

    async def test_what_is_no_label_selector_is_invalid(self, server: Server, api: KubeApi) -> None:
        with pytest.raises(Invalid):
            await api.list(CONFIG_MAP, server.namespace, label_selector="app in sync)")

    # watch

    async def events(
        self,
        api: KubeApi,
        kind: KindRef,
        namespace: str,
        since: str,
        count: int,
        *,
        label_selector: str = "",
        names_only: bool = False,
    ) -> list[WatchEvent]:
        """The next events that are not bookmarks."""
        found: list[WatchEvent] = []
        watch = api.watch(kind, namespace, since, label_selector=label_selector, names_only=names_only)
        async with asyncio.timeout(10), aclosing(watch) as events:
            async for event in events:
                if event.type != "BOOKMARK":
                    found.append(event)
                if len(found) == count:
                    break
        return found

    @pytest.mark.parametrize("kind", [CONFIG_MAP, GADGET], ids=lambda kind: kind.kind)
    async def test_a_watch_tells_the_life_of_an_object_in_order(
        self, server: Server, api: KubeApi, kind: KindRef
    ) -> None:
        since = (await api.list(kind, server.namespace)).resource_version
        ref, made = await self.made(server, kind, config_map("1") if kind == CONFIG_MAP else gadget(1))
        change = {"data": {"value": "2"}} if kind == CONFIG_MAP else {"spec": {"size": 2}}
        patched = await api.patch(ref, change, MERGE)
        await api.patch(ref, change, MERGE)
        server.delete(ref)
        added, modified, deleted = await self.events(api, kind, server.namespace, since, 3)
        assert (added.type, added.object) == ("ADDED", made)
        assert (modified.type, modified.object) == ("MODIFIED", patched)
        assert deleted.type == "DELETED"
        assert deleted.object["metadata"]["uid"] == made["metadata"]["uid"]
        assert version(deleted.object) > version(patched)
        rest = await self.events(api, kind, server.namespace, modified.object["metadata"]["resourceVersion"], 1)
        assert rest == [deleted], "resumed from the middle"

    async def test_a_watch_brings_what_happens_while_it_is_open(self, server: Server, api: KubeApi) -> None:
        since = (await api.list(GADGET, server.namespace)).resource_version
        task = asyncio.create_task(self.events(api, GADGET, server.namespace, since, 2))
        await asyncio.sleep(0)
        ref, made = await self.made(server, GADGET, {"metadata": {"finalizers": ["example.org/a"]}, **gadget()})
        server.delete(ref)
        added, going = await task
        assert added.object == made
        assert going.type == "MODIFIED"
        assert going.object["metadata"]["deletionTimestamp"]
        await api.patch(ref, {"metadata": {"finalizers": None}}, MERGE)

    async def test_a_watch_by_label_tells_of_what_comes_into_it_and_what_leaves_it(
        self, server: Server, api: KubeApi
    ) -> None:
        since = (await api.list(CONFIG_MAP, server.namespace)).resource_version
        await self.made(server, CONFIG_MAP, {"metadata": {"labels": {"app": "other"}}})
        ref, made = await self.made(server, CONFIG_MAP, {"metadata": {"labels": {"app": "sync"}}})
        changed = await api.patch(ref, {"data": {"value": "2"}}, MERGE)
        left = await api.patch(ref, {"metadata": {"labels": {"app": None}}, "data": {"value": "3"}}, MERGE)
        await api.patch(ref, {"data": {"value": "4"}}, MERGE)
        back = await api.patch(ref, {"metadata": {"labels": {"app": "sync"}}}, MERGE)
        server.delete(ref)
        events = await self.events(api, CONFIG_MAP, server.namespace, since, 5, label_selector="app=sync")
        assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
        assert [event.object for event in (events[0], events[1], events[3])] == [made, changed, back]
        assert events[2].object["metadata"]["name"] == ref.name
        assert version(events[2].object) == version(left)

    async def test_a_watch_of_metadata_alone(self, server: Server, api: KubeApi) -> None:
        since = (await api.list(GADGET, server.namespace)).resource_version
        ref, _ = await self.made(server, GADGET, gadget())
        (event,) = await self.events(api, GADGET, server.namespace, since, 1, names_only=True)
        assert event.object["metadata"]["name"] == ref.name
        assert (event.object["apiVersion"], event.object["kind"]) == (GADGET.api_version, GADGET.kind)
        assert "spec" not in event.object

    async def test_a_watch_of_one_namespace_does_not_tell_of_another(self, server: Server, api: KubeApi) -> None:
        since = (await api.list(GADGET)).resource_version
        ref, _ = await self.made(server, GADGET, gadget())
        async with asyncio.timeout(10), aclosing(api.watch(GADGET, "", since)) as everywhere:
            async for event in everywhere:  # what another test left may still be going
                if event.object["metadata"]["name"] == ref.name:
                    break
            else:
                pytest.fail("the watch ended before it told of it")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await self.events(api, GADGET, "elsewhere", since, 1)

    async def test_a_watch_from_too_long_ago_is_expired(self, server: Server, api: KubeApi) -> None:
        since = server.expired_version()
        with pytest.raises(Expired):
            await self.events(api, GADGET, server.namespace, since, 1)

    @pytest.mark.parametrize("kind", [KindRef("v1", "ConfigMop"), KindRef("nobody.example/v1", "Gadget")], ids=str)
    async def test_a_watch_of_what_is_not_served_names_it(self, server: Server, api: KubeApi, kind: KindRef) -> None:
        with pytest.raises(KindNotServed, match=kind.kind):
            await self.events(api, kind, server.namespace, "1", 1)

    # whose rights

    async def test_missing_rights_are_named(self, server: Server) -> None:
        ref, made = await self.made(server, CONFIG_MAP, config_map())
        api = server.powerless("patch", CONFIG_MAP)
        with pytest.raises(Forbidden, match=rf'"patch".*(?i:configmap).* in namespace {ref.namespace}'):
            await api.patch(ref, {"data": {"value": "2"}}, MERGE)
        api = server.powerless("list", CONFIG_MAP)
        with pytest.raises(Forbidden, match=r'"list".*(?i:configmap).* in all namespaces'):
            await api.list(CONFIG_MAP)
        api = server.powerless("watch", CONFIG_MAP)
        with pytest.raises(Forbidden, match='"watch"'):
            await self.events(api, CONFIG_MAP, ref.namespace, made["metadata"]["resourceVersion"], 1)
        assert await server.api.get(ref) == made

    async def test_nothing_is_written_by_a_process_that_does_not_lead(self, server: Server, api: KubeApi) -> None:
        ref, made = await self.made(server, LEASE, {"spec": {"holderIdentity": "a"}})
        server.leading = False
        for urgent in (False, True):
            with pytest.raises(NotLeading, match=ref.name):
                await api.patch(ref, {"spec": {"holderIdentity": "b"}}, MERGE, urgent=urgent)
        with pytest.raises(NotLeading):
            await api.create(self.new(server), config_map())
        assert await api.get(ref) == made, "reading is free"
        taken = await server.unguarded.patch(ref, {"spec": {"holderIdentity": "b"}}, MERGE, urgent=True)
        assert taken["spec"]["holderIdentity"] == "b"

"""Informers: what they know, whom they tell, and how they come back from trouble. On virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fakes.kube import FakeKube
from syncrollout.ports import KindRef, Object, ObjectRef, PatchType, Unavailable
from syncrollout.runtime.informer import Informer
from syncrollout.runtime.informers import Informers
from syncrollout.runtime.projections import project_workload

pytestmark = [pytest.mark.looptime]

CONFIG_MAP = KindRef("v1", "ConfigMap")
DEPLOYMENT = KindRef("apps/v1", "Deployment")
CUSTOM = KindRef("example.org/v1", "Gadget")


def config_map(name: str, value: str = "1", namespace: str = "shop") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"value": value},
    }


def labelled(name: str) -> Object:
    obj = config_map(name)
    return {**obj, "metadata": {**obj["metadata"], "labels": {"mine": "x"}}}


def ref(name: str, namespace: str = "shop") -> ObjectRef:
    return ObjectRef(CONFIG_MAP, namespace, name)


class Heard:
    """Changes in words: `+a=1`, `a:1>2`, `-a`."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, ref: ObjectRef, old: Object | None, new: Object | None) -> None:
        def value(obj: Object) -> str:
            return str(obj["data"]["value"])

        if old is None and new is not None:
            self.words.append(f"+{ref.name}={value(new)}")
        elif new is None:
            self.words.append(f"-{ref.name}")
        elif old is not None:
            self.words.append(f"{ref.name}:{value(old)}>{value(new)}")

    def take(self) -> list[str]:
        words, self.words = self.words, []
        return words


@asynccontextmanager
async def watching(kube: FakeKube, **arguments: Any) -> AsyncIterator[tuple[Informer, Heard]]:
    heard = Heard()
    informer = Informer(kube, CONFIG_MAP, on_change=heard, rng=random.Random(1), **arguments)
    informer.start()
    try:
        yield informer, heard
    finally:
        await informer.stop()


async def settle(seconds: float = 0.01) -> None:
    await asyncio.sleep(seconds)


async def test_it_tells_of_each_change_once() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    async with watching(kube) as (informer, heard):
        await informer.synced.wait()
        assert heard.take() == ["+a=1"]
        kube.put(config_map("b"))
        kube.edit(ref("a"), {"data": {"value": "2"}})
        kube.delete(ref("b"))
        await settle()
        assert heard.take() == ["+b=1", "a:1>2", "-b"]
        assert [item["metadata"]["name"] for item in informer.items()] == ["a"]
        assert informer.get("shop", "a") is not None
        assert informer.get("shop", "b") is None
        await settle(3600)
        assert heard.take() == []


async def test_with_a_label_it_knows_only_what_carries_it() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    kube.put(labelled("b"))
    async with watching(kube, label="mine") as (informer, heard):
        await informer.synced.wait()
        kube.edit(ref("a"), {"data": {"value": "2"}})
        kube.edit(ref("a"), {"metadata": {"labels": {"mine": ""}}})
        kube.edit(ref("b"), {"metadata": {"labels": None}, "data": {"value": "2"}})
        await settle()
        assert heard.take() == ["+b=1", "+a=2", "-b"]
        unlabelled = await kube.patch(ref("b"), {"data": {"value": "3"}}, PatchType.MERGE)
        informer.update(unlabelled)
        assert informer.get("shop", "b") is None
        labelled_again = await kube.patch(ref("b"), {"metadata": {"labels": {"mine": "x"}}}, PatchType.MERGE)
        informer.update(labelled_again)
        assert informer.get("shop", "b") == labelled_again
    informers = Informers(kube)
    assert informers.acquire(CONFIG_MAP, label="mine") is not informers.acquire(CONFIG_MAP)
    await informers.close()


async def test_a_lost_watch_is_resumed_without_missing_or_repeating_anything() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    async with watching(kube) as (informer, heard):
        await informer.synced.wait()
        heard.take()
        for step in range(2, 12):
            kube.drop_watches()
            kube.edit(ref("a"), {"data": {"value": str(step)}})
            await settle(30)
        assert heard.take() == [f"a:{step - 1}>{step}" for step in range(2, 12)]
        assert [call.verb for call in kube.log].count("list") == 1


async def test_expired_history_leads_to_a_new_list_that_finds_what_went_and_came() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    kube.put(config_map("b"))
    async with watching(kube) as (informer, heard):
        await informer.synced.wait()
        heard.take()
        kube.drop_watches()
        kube.delete(ref("a"))
        kube.put(config_map("c"))
        kube.expire()
        await settle(30)
        assert sorted(heard.take()) == ["+c=1", "-a"]
        kube.edit(ref("b"), {"data": {"value": "2"}})
        await settle()
        assert heard.take() == ["b:1>2"]


async def test_an_object_made_anew_under_its_old_name_goes_and_comes() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    async with watching(kube) as (informer, heard):
        await informer.synced.wait()
        heard.take()
        kube.drop_watches()
        kube.delete(ref("a"))
        kube.put(config_map("a", "9"))
        kube.expire()
        await settle(30)
        assert heard.take() == ["-a", "+a=9"]


async def test_a_silent_watch_is_found_out_by_the_periodic_list() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    async with watching(kube, relist_every=600.0) as (informer, heard):
        await informer.synced.wait()
        heard.take()
        kube.silence(CONFIG_MAP)
        kube.edit(ref("a"), {"data": {"value": "2"}})
        await settle(500)
        assert heard.take() == []
        await settle(200)
        assert heard.take() == ["a:1>2"]


async def test_last_heard_stands_still_while_the_server_is_silent() -> None:
    kube = FakeKube()
    async with watching(kube, relist_every=600.0) as (informer, _heard):
        loop = asyncio.get_running_loop()
        await informer.synced.wait()
        await settle(200)
        assert loop.time() - informer.last_heard <= 61, "bookmarks keep it alive"
        kube.silence(CONFIG_MAP)

        async def nothing_answers(call: Any) -> None:
            raise Unavailable("no answer")

        kube.before = nothing_answers
        silent_since = informer.last_heard
        await settle(2000)
        assert informer.last_heard <= silent_since + 60
        assert "no answer" in informer.problem
        kube.before = None
        kube.silence(CONFIG_MAP, on=False)
        await settle(60)
        assert loop.time() - informer.last_heard <= 61
        assert informer.problem == ""


async def test_missing_rights_are_named_and_mended_without_a_restart() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    kube.forbid("list", CONFIG_MAP)
    async with watching(kube) as (informer, heard):
        await settle(60)
        assert not informer.synced.is_set()
        assert '"list"' in informer.problem
        assert asyncio.get_running_loop().time() - informer.last_heard <= 11, "a refusal is a sign of life"
        kube.allow("list", CONFIG_MAP)
        await settle(11)
        assert informer.synced.is_set()
        assert informer.problem == ""
        assert heard.take() == ["+a=1"]


async def test_a_server_in_trouble_is_not_hammered() -> None:
    kube = FakeKube()
    attempts: list[float] = []

    async def refuse(call: Any) -> None:
        attempts.append(asyncio.get_running_loop().time())
        raise Unavailable("busy", status=429, retry_after=20.0 if len(attempts) == 3 else None)

    kube.before = refuse
    async with watching(kube):
        await settle(600)
    assert 40 <= len(attempts) <= 130
    assert attempts[3] - attempts[2] >= 20.0, "Retry-After counts"


async def test_a_server_that_ends_every_watch_at_once_is_not_hammered_either() -> None:
    kube = FakeKube(watch_timeout=0.0)
    async with watching(kube) as (informer, _heard):
        await informer.synced.wait()
        await settle(600)
    assert len(kube.log) <= 130


class TestOwnWrites:
    """`update` takes in the answer to one's own write."""

    @staticmethod
    async def write(kube: FakeKube, value: str, name: str = "a") -> Object:
        return await kube.patch(ref(name), {"data": {"value": value}}, PatchType.MERGE)

    @pytest.mark.parametrize("echo_after", [0.0, 0.4, 5.0], ids=["echo first", "answer first", "echo much later"])
    async def test_it_is_visible_at_once_and_its_echo_wakes_nobody(self, echo_after: float) -> None:
        kube = FakeKube(latency=0.2)
        kube.put(config_map("a"))
        async with watching(kube) as (informer, heard):
            await informer.synced.wait()
            heard.take()
            kube.silence(CONFIG_MAP, on=echo_after > 0)
            asyncio.get_running_loop().call_later(echo_after, lambda: kube.silence(CONFIG_MAP, on=False))
            for value in ("2", "3"):
                with informer.writing("shop", "a"):
                    informer.update(await self.write(kube, value))
                assert (informer.get("shop", "a") or {})["data"] == {"value": value}
            await settle(120)
            assert heard.take() == []
            kube.edit(ref("a"), {"data": {"value": "4"}})
            await settle()
            assert heard.take() == ["a:3>4"]

    async def test_somebody_elses_change_that_it_overtook_is_still_told(self) -> None:
        kube = FakeKube()
        kube.put(config_map("a"))
        async with watching(kube) as (informer, heard):
            await informer.synced.wait()
            heard.take()
            kube.silence(CONFIG_MAP)
            kube.edit(ref("a"), {"data": {"value": "theirs"}})
            informer.update(await self.write(kube, "ours"))
            kube.silence(CONFIG_MAP, on=False)
            await settle()
            assert heard.take() == ["a:theirs>ours"]
            assert (informer.get("shop", "a") or {})["data"] == {"value": "ours"}

    async def test_somebody_elses_change_during_the_write_is_told_at_its_end(self) -> None:
        kube = FakeKube(latency=2.0)
        kube.put(config_map("a"))
        async with watching(kube) as (informer, heard):
            await informer.synced.wait()
            await settle(3)
            heard.take()
            loop = asyncio.get_running_loop()
            loop.call_later(0.5, kube.edit, ref("a"), {"data": {"value": "before"}})
            loop.call_later(1.5, kube.edit, ref("a"), {"data": {"value": "after"}})
            with informer.writing("shop", "a"):
                informer.update(await self.write(kube, "ours"))
            await settle()
            assert heard.take() == ["a:1>before", "a:ours>after"]

    async def test_an_answer_that_comes_late_does_not_turn_the_clock_back(self) -> None:
        kube = FakeKube()
        kube.put(config_map("a"))
        async with watching(kube) as (informer, _heard):
            await informer.synced.wait()
            late = await self.write(kube, "2")
            kube.edit(ref("a"), {"data": {"value": "3"}})
            await settle()
            informer.update(late)
            assert (informer.get("shop", "a") or {})["data"] == {"value": "3"}
            kube.delete(ref("a"))
            await settle()
            informer.update(late)
            assert informer.get("shop", "a") is None, "the dead stay dead"

    async def test_what_was_created_is_there_before_its_event_and_survives_a_list_from_before(self) -> None:
        kube = FakeKube()
        async with watching(kube) as (informer, heard):
            await informer.synced.wait()
            before = await kube.list(CONFIG_MAP)
            kube.silence(CONFIG_MAP)
            informer.update(await kube.create(ref("new"), config_map("new")))
            informer.take_list(before, "")
            assert informer.get("shop", "new") is not None
            kube.silence(CONFIG_MAP, on=False)
            await settle()
            assert heard.take() == []

    async def test_a_scale_is_no_deployment(self) -> None:
        kube = FakeKube()
        kube.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "shop"}})
        informer = Informer(kube, DEPLOYMENT)
        informer.start()
        await informer.synced.wait()
        scaled = await kube.patch(
            ObjectRef(DEPLOYMENT, "shop", "a"), {"spec": {"replicas": 3}}, PatchType.MERGE, subresource="scale"
        )
        informer.update(scaled)
        assert (informer.get("shop", "a") or {})["kind"] == "Deployment"
        await informer.stop()


async def test_only_the_given_namespaces_are_watched() -> None:
    kube = FakeKube()
    for namespace in ("shop", "bank", "secret"):
        kube.put(config_map("a", namespace=namespace))
    async with watching(kube, namespaces=("shop", "bank")) as (informer, heard):
        await informer.synced.wait()
        kube.put(config_map("b", namespace="bank"))
        kube.put(config_map("c", namespace="secret"))
        await settle()
        assert sorted(heard.take()) == ["+a=1", "+a=1", "+b=1"]
        assert informer.get("secret", "a") is None
        assert sorted(kube.open_watches) == [(CONFIG_MAP, "bank"), (CONFIG_MAP, "shop")]


async def test_a_callback_that_fails_stops_nothing() -> None:
    kube = FakeKube()
    kube.put(config_map("a"))
    calls = []

    def fail(ref: ObjectRef, old: Object | None, new: Object | None) -> None:
        calls.append(ref.name)
        raise RuntimeError("broken")

    informer = Informer(kube, CONFIG_MAP, on_change=fail)
    informer.start()
    await informer.synced.wait()
    kube.put(config_map("b"))
    await settle()
    await informer.stop()
    assert calls == ["a", "b"]


async def test_names_alone_and_workloads_are_kept_small() -> None:
    kube = FakeKube()
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "shop", "annotations": {"bulky": "x" * 1000}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c"}]}}},
        "status": {"readyReplicas": 1, "conditions": [{"type": "Available"}]},
    }
    kube.put(deployment)
    kinds: list[tuple[bool, Callable[[Object], Object] | None]] = [(True, None), (False, project_workload)]
    kept = []
    for names_only, project in kinds:
        informer = Informer(kube, DEPLOYMENT, names_only=names_only, project=project)
        informer.start()
        await informer.synced.wait()
        kube.edit(ObjectRef(DEPLOYMENT, "shop", "a"), {"metadata": {"labels": {"touched": str(names_only)}}})
        await settle()
        kept.append(informer.get("shop", "a") or {})
        await informer.stop()
    names, workload = kept
    assert sorted(names) == ["apiVersion", "kind", "metadata"]
    assert names["metadata"]["labels"] == {"touched": "True"}
    assert workload["spec"] == {"replicas": 2}
    assert workload["status"] == {"readyReplicas": 1}
    assert "annotations" not in workload["metadata"]


async def test_a_kind_is_watched_from_its_first_user_until_some_minutes_after_its_last() -> None:
    kube = FakeKube()
    informers = Informers(kube, linger=300.0)
    first = informers.acquire(CONFIG_MAP, user="one")
    assert informers.acquire(CONFIG_MAP, user="two") is first
    informers.acquire(CONFIG_MAP, user="two")
    await settle()
    assert kube.open_watches == [(CONFIG_MAP, "")]
    informers.release(CONFIG_MAP, user="two")
    await settle(1000)
    assert kube.open_watches, "one still needs it"
    informers.forget("one")
    await settle(200)
    assert informers.acquire(CONFIG_MAP, user="three") is first, "it lingers"
    await settle(1000)
    assert kube.open_watches
    informers.forget("three")
    await settle(301)
    assert kube.open_watches == []
    assert informers.peek(CONFIG_MAP) is None
    await informers.close()


async def test_a_kind_that_is_not_served_is_named_and_found_once_it_is() -> None:
    kube = FakeKube()
    informers = Informers(kube)
    informer = informers.acquire(CUSTOM)
    await settle(20)
    assert "Gadget" in informers.problems[CUSTOM]
    kube.serve(CUSTOM)
    await settle(11)
    assert informer.synced.is_set()
    assert informers.problems == {}
    await informers.close()
    assert kube.open_watches == []

"""The client in trouble: what it makes of answers that a healthy API server does not give, and who waits for whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from fakes.http_api import HttpApi
from syncrollout.ports import (
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KindRef,
    NotLeading,
    ObjectRef,
    PatchType,
    Turn,
    Unavailable,
)
from syncrollout.runtime.kube import MOST_LOG, AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection

CONFIG_MAP = KindRef("v1", "ConfigMap")
REF = ObjectRef(CONFIG_MAP, "shop", "a")


@pytest.fixture
async def server() -> AsyncIterator[HttpApi]:
    async with HttpApi() as started:
        yield started


@asynccontextmanager
async def client(server: HttpApi, folder: Path, **arguments: Any) -> AsyncIterator[AiohttpKubeApi]:
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(server.kubeconfig()))
    async with AiohttpKubeApi(Connection.load(str(path)), **arguments) as api:
        yield api


async def poll(condition: Any) -> None:
    """Until the condition holds, at most five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server that knows no events
            await asyncio.sleep(0.005)


async def test_the_date_of_an_answer_is_told_whatever_it_says_else(server: HttpApi, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    server.answer = HttpApi.says(503, message="try later")
    async with client(server, tmp_path, dated=lambda *said: told.append(said)) as api:
        with pytest.raises(Unavailable):
            await api.patch(REF, {}, PatchType.MERGE)
    date, spent = told[-1]
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 60
    assert 0 <= spent < 60


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_trouble_of_the_server_is_unavailable(server: HttpApi, tmp_path: Path, status: int) -> None:
    server.answer = HttpApi.says(status, message="try later")
    async with client(server, tmp_path) as api:
        with pytest.raises(Unavailable, match=f"patch ConfigMap shop/a.*{status}.*try later") as caught:
            await api.patch(REF, {}, PatchType.MERGE)
    assert caught.value.status == status
    assert caught.value.retry_after is None
    assert len(server.requests) == 2, "discovery and one attempt: nothing is tried twice"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({}, {"details": {"retryAfterSeconds": 3}}, 3.0),
        ({"Retry-After": "soon"}, {}, None),
    ],
)
async def test_how_long_to_wait_is_handed_on(
    server: HttpApi, tmp_path: Path, headers: dict[str, str], body: dict[str, Any], seconds: float | None
) -> None:
    server.answer = HttpApi.says(429, headers, **body)
    async with client(server, tmp_path) as api:
        with pytest.raises(Unavailable) as caught:
            await api.get(REF)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(("status", "error"), [(400, Invalid), (409, Conflict), (410, Expired), (422, Invalid)])
async def test_refusals_keep_what_the_server_said(
    server: HttpApi, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    server.answer = HttpApi.says(status, reason="Because", message="field x is bad")
    async with client(server, tmp_path) as api:
        with pytest.raises(error, match="patch ConfigMap shop/a"):
            await api.patch(REF, {}, PatchType.MERGE)


async def test_an_admission_check_that_refuses_is_not_taken_for_a_missing_right(
    server: HttpApi, tmp_path: Path
) -> None:
    server.answer = HttpApi.says(403, message='admission webhook "policy.example.org" denied the request: frozen')
    async with client(server, tmp_path) as api:
        with pytest.raises(Forbidden, match=r"admission checks.*policy\.example\.org.*frozen") as caught:
            await api.patch(REF, {}, PatchType.MERGE)
    assert "lacks the right" not in str(caught.value)


async def test_of_a_log_with_long_lines_the_end_is_read_and_not_what_comes_before_it(
    server: HttpApi, tmp_path: Path
) -> None:
    printed = [f"{number} {'x' * 2000}" for number in range(300)] + ["panic: no such table"]

    async def kubelet(request: web.Request) -> web.StreamResponse:
        tail = "\n".join(printed[-int(request.query["tailLines"]) :])
        return web.Response(body=tail.encode()[: int(request.query["limitBytes"])])

    server.answer = kubelet
    async with client(server, tmp_path) as api:
        text = await api.logs(ObjectRef(KindRef("v1", "Pod"), "shop", "one"), "main", lines=200)
        assert text.splitlines()[-1] == "panic: no such table"
        assert len(text) <= MOST_LOG
        printed[:] = ["y" * 2 * MOST_LOG]
        assert len(await api.logs(ObjectRef(KindRef("v1", "Pod"), "shop", "one"), "main", lines=200)) == MOST_LOG


async def test_kubelets_that_hang_hold_up_no_request_but_for_logs(server: HttpApi, tmp_path: Path) -> None:
    hang = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/log"):
            await hang.wait()
        return await HttpApi.empty(request)

    server.answer = answer
    async with client(server, tmp_path) as api:
        pods = [ObjectRef(KindRef("v1", "Pod"), "shop", f"pod-{number}") for number in range(24)]
        logs = [asyncio.create_task(api.logs(pod, "main", lines=200)) for pod in pods]
        await poll(lambda: sum(request.path.endswith("/log") for request in server.requests) >= 8)
        async with asyncio.timeout(2.0):
            await api.get(REF)
            await api.patch(REF, {}, PatchType.MERGE)
        assert not api.crowded()
        assert not any(log.done() for log in logs)
        hang.set()
        await asyncio.gather(*logs)


async def test_an_answer_that_is_no_json_is_named(server: HttpApi, tmp_path: Path) -> None:
    async def login_page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>please log in</html>")

    server.answer = login_page
    async with client(server, tmp_path) as api:
        with pytest.raises(Unavailable, match="not JSON; is a proxy in between"):
            await api.get(REF)


async def test_an_answer_that_drips_ends_with_the_time_out(server: HttpApi, tmp_path: Path) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    server.answer = drip
    async with client(server, tmp_path, timeout=0.3) as api:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
            await api.get(REF)
        assert loop.time() - started < 1.0


async def test_a_connection_cut_before_the_answer_is_unavailable(server: HttpApi, tmp_path: Path) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.answer = cut
    async with client(server, tmp_path) as api:
        with pytest.raises(Unavailable, match="patch ConfigMap shop/a") as caught:
            await api.patch(REF, {}, PatchType.MERGE)
        assert caught.value.status == 0


async def test_routine_requests_pass_a_gate_and_urgent_ones_overtake_them(server: HttpApi, tmp_path: Path) -> None:
    go = asyncio.Event()
    server.answer = HttpApi.after(go)
    async with client(server, tmp_path, routine_limit=3) as api:
        routine = [asyncio.create_task(api.patch(REF, {}, PatchType.MERGE)) for _ in range(20)]
        await poll(lambda: server.under_way == 3)
        urgent = [asyncio.create_task(api.patch(REF, {}, PatchType.MERGE, urgent=True)) for _ in range(5)]
        await poll(lambda: server.under_way == 8)
        go.set()
        await asyncio.gather(*urgent, *routine)
    assert server.most_under_way == 8


async def test_an_urgent_write_without_an_answer_is_waited_for_ever_longer(server: HttpApi, tmp_path: Path) -> None:
    """What is behind a webhook that hangs goes through only if it is waited for."""
    server.answer = HttpApi.after(asyncio.Event())
    async with client(server, tmp_path, timeout=0.1) as api:
        for patient in ("0.1", "0.25", "0.7", "0.1"):
            with pytest.raises(Unavailable, match=rf"no answer within {patient} s"):
                await api.patch(REF, {}, PatchType.MERGE, urgent=True)
            with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
                await api.patch(REF, {}, PatchType.MERGE)
            with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
                await api.unguarded().patch(REF, {}, PatchType.MERGE, urgent=True)
        server.answer = HttpApi.empty
        await api.patch(REF, {}, PatchType.MERGE, urgent=True)
        server.answer = HttpApi.after(asyncio.Event())
        with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
            await api.patch(REF, {}, PatchType.MERGE, urgent=True)


async def test_what_has_begun_is_finished_before_anything_else_begins(server: HttpApi, tmp_path: Path) -> None:
    go = asyncio.Event()
    server.answer = HttpApi.after(go)
    order: list[str] = []

    async def send(api: AiohttpKubeApi, name: str, turn: Turn = Turn.FIRST) -> None:
        await api.patch(REF, {}, PatchType.MERGE, turn=turn)
        order.append(name)

    async with client(server, tmp_path, routine_limit=1) as api:
        first = asyncio.create_task(send(api, "first"))
        await poll(lambda: server.under_way == 1)
        tells = [asyncio.create_task(send(api, f"tells {n}", Turn.LAST)) for n in range(3)]
        records = [asyncio.create_task(send(api, f"records {n}", Turn.STEP)) for n in range(3)]
        carries_out = [asyncio.create_task(send(api, f"carries out {n}")) for n in range(3)]
        given_up = asyncio.create_task(send(api, "given up"))
        await asyncio.sleep(0)
        given_up.cancel()
        go.set()
        await asyncio.gather(first, *tells, *records, *carries_out)
    assert order == ["first", *(f"{what} {n}" for what in ("carries out", "records", "tells") for n in range(3))]


async def test_what_has_begun_always_finds_a_place(server: HttpApi, tmp_path: Path) -> None:
    """What only tells of steps takes a quarter of the places, what records them half: the rest is for what is begun."""
    go = asyncio.Event()
    server.answer = HttpApi.after(go)
    async with client(server, tmp_path, routine_limit=8) as api:

        async def under_way(turn: Turn, expected: int) -> list[asyncio.Task[Any]]:
            sent = [asyncio.create_task(api.patch(REF, {}, PatchType.MERGE, turn=turn)) for _ in range(9)]
            await poll(lambda: server.under_way == expected)
            await asyncio.sleep(0.05)  # for any that should not be there
            assert server.under_way == expected
            return sent

        assert not api.crowded()
        sent = await under_way(Turn.LAST, 2)
        assert api.crowded()
        sent += await under_way(Turn.STEP, 4)
        sent += await under_way(Turn.FIRST, 8)
        go.set()
        await asyncio.gather(*sent)
        assert not api.crowded()


async def test_watches_take_no_place_of_requests(server: HttpApi, tmp_path: Path) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return await HttpApi.empty(request)
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    server.answer = silent
    async with client(server, tmp_path, routine_limit=2, urgent_limit=2) as api:

        async def watch() -> None:
            async for _event in api.watch(CONFIG_MAP, "", "1"):
                pass

        watches = [asyncio.create_task(watch()) for _ in range(10)]
        await poll(lambda: server.under_way == 10)
        await api.get(REF)
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


async def test_waiting_for_a_turn_counts_towards_the_time_out(server: HttpApi, tmp_path: Path) -> None:
    server.answer = HttpApi.after(asyncio.Event())
    async with client(server, tmp_path, routine_limit=1, timeout=0.3) as api:
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcomes = await asyncio.gather(*(api.get(REF) for _ in range(10)), return_exceptions=True)
        assert loop.time() - started < 1.0
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_what_nothing_waits_for_has_its_time_out_from_when_it_is_sent(server: HttpApi, tmp_path: Path) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.4)
        return await HttpApi.empty(request)

    server.answer = slow
    async with client(server, tmp_path, routine_limit=1, timeout=1.5) as api:
        told = (api.patch(REF, {}, PatchType.MERGE, turn=Turn.LEISURE) for _ in range(5))
        assert len(await asyncio.gather(*told)) == 5
        server.answer = HttpApi.after(asyncio.Event())
        async with asyncio.timeout(10.0):
            with pytest.raises(Unavailable, match=r"no answer within 1\.5 s"):
                await api.patch(REF, {}, PatchType.MERGE, turn=Turn.LEISURE)


async def test_leadership_is_asked_after_the_waiting(server: HttpApi, tmp_path: Path) -> None:
    go = asyncio.Event()
    leading = True
    server.answer = HttpApi.after(go)
    async with client(server, tmp_path, routine_limit=1, may_write=lambda: leading) as api:
        first = asyncio.create_task(api.get(REF))
        await poll(lambda: server.under_way == 1)
        write = asyncio.create_task(api.patch(REF, {}, PatchType.MERGE))
        await asyncio.sleep(0)
        leading = False
        go.set()
        with pytest.raises(NotLeading):
            await write
        await first
    assert {request.method for request in server.requests} == {"GET"}


async def test_many_who_ask_for_a_kind_at_once_cost_one_look_up(server: HttpApi, tmp_path: Path) -> None:
    async with client(server, tmp_path) as api:
        await asyncio.gather(*(api.get(REF) for _ in range(30)))
    assert [request.path for request in server.requests].count("/api/v1") == 1


async def test_a_first_user_that_gives_up_does_not_take_the_look_up_along(server: HttpApi, tmp_path: Path) -> None:
    async with client(server, tmp_path) as api:
        impatient = asyncio.create_task(api.get(REF))
        patient = asyncio.create_task(api.get(REF))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient)["kind"] == "ConfigMap"
        await asyncio.gather(impatient, return_exceptions=True)


async def test_a_watch_that_breaks_off_in_the_middle_hands_out_what_was_whole(server: HttpApi, tmp_path: Path) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"metadata":{"na')
        await asyncio.sleep(0.01)
        await response.write(b'me":"a","resourceVersion":"8"}}}\n{"type":"ADDED","obj')
        await asyncio.sleep(0.01)
        assert request.transport is not None
        request.transport.abort()
        return response

    server.answer = half
    seen = []
    async with client(server, tmp_path) as api:
        events = api.watch(CONFIG_MAP, "", "1")
        seen.append((await anext(events)).object["metadata"]["name"])
        with pytest.raises(Unavailable, match="watch ConfigMap everywhere"):
            await anext(events)
    assert seen == ["a"]


async def test_a_closed_client_says_so(server: HttpApi, tmp_path: Path) -> None:
    async with client(server, tmp_path) as api:
        await api.get(REF)
    with pytest.raises(Unavailable, match="closed"):
        await api.get(REF)

"""Health and metrics as a kubelet and a Prometheus ask for them, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from syncrollout.runtime.serve import CannotListen, Check, HealthServer


@asynccontextmanager
async def serving(
    live: Mapping[str, Check] | None = None,
    ready: Mapping[str, Check] | None = None,
    registry: CollectorRegistry | None = None,
    notes: Mapping[str, Check] | None = None,
) -> AsyncIterator[tuple[HealthServer, aiohttp.ClientSession]]:
    registry = registry or CollectorRegistry()
    server = HealthServer("127.0.0.1", 0, registry=registry, live=live or {}, ready=ready or {}, notes=notes)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield server, session
    finally:
        await server.stop()


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as answer:
        return answer.status, await answer.text()


async def test_a_probe_follows_its_checks() -> None:
    trouble: dict[str, str | None] = {"watch": None, "api": None}
    live = {"watch": lambda: trouble["watch"], "api": lambda: trouble["api"]}
    async with serving(live=live, ready={"listed": lambda: "nothing has been listed yet"}) as (_, session):
        assert await get(session, "/livez") == (200, "ok\n")
        trouble["watch"] = "nothing heard for 400 s"
        assert await get(session, "/livez") == (503, "watch: nothing heard for 400 s\n")
        trouble["api"] = "gone"
        assert await get(session, "/livez") == (503, "watch: nothing heard for 400 s\napi: gone\n")
        trouble.update(watch=None, api=None)
        assert await get(session, "/livez") == (200, "ok\n")
        assert await get(session, "/readyz") == (503, "listed: nothing has been listed yet\n")


async def test_a_note_makes_nothing_unready() -> None:
    listed: dict[str, str | None] = {"is": None}
    async with serving(ready={"api": lambda: listed["is"]}, notes={"crd": lambda: "it is old"}) as (_, session):
        assert await get(session, "/readyz") == (200, "ok\ncrd: it is old\n")
        assert await get(session, "/livez") == (200, "ok\n")
        listed["is"] = "nothing has been listed yet"
        assert await get(session, "/readyz") == (503, "api: nothing has been listed yet\ncrd: it is old\n")


async def test_a_check_that_breaks_fails_and_says_how() -> None:
    def broken() -> str | None:
        raise KeyError("watch")

    async with serving(live={"watch": broken}) as (_, session):
        assert await get(session, "/livez") == (503, "watch: the check itself failed: KeyError: 'watch'\n")


async def test_metrics_are_what_a_prometheus_can_read() -> None:
    registry = CollectorRegistry()
    counter = Counter("things", "Things.", registry=registry)
    async with serving(registry=registry) as (_, session):
        counter.inc(3)
        async with session.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            families = list(text_string_to_metric_families(await answer.text()))
        values = [sample.value for family in families for sample in family.samples if sample.name == "things_total"]
        assert values == [3]
        counter.inc()
        assert "things_total 4.0" in (await get(session, "/metrics"))[1]


async def test_many_scrapes_at_once_are_all_answered() -> None:
    async with serving() as (_, session):
        answers = await asyncio.gather(*(get(session, "/metrics") for _ in range(20)))
    assert {status for status, _ in answers} == {200}


async def test_anything_else_is_not_found() -> None:
    async with serving() as (_, session):
        assert (await get(session, "/"))[0] == 404
        async with session.post("/livez") as answer:
            assert answer.status == 405


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    async with serving() as (first, _):
        second = HealthServer("127.0.0.1", first.port, registry=CollectorRegistry(), live={}, ready={})
        with pytest.raises(CannotListen) as caught:
            await second.start()
    assert str(caught.value) == (
        f"127.0.0.1:{first.port} is in use by another process; "
        "choose another port with --listen-port (0 takes any free one)"
    )
    assert caught.value.errno == errno.EADDRINUSE


async def test_an_address_that_is_not_ours_is_named() -> None:
    server = HealthServer("192.0.2.1", 0, registry=CollectorRegistry(), live={}, ready={})
    with pytest.raises(
        CannotListen, match=r"cannot listen on 192\.0\.2\.1:0: .*; choose another with --listen-address"
    ):
        await server.start()


async def test_after_the_stop_the_port_is_free_again() -> None:
    async with serving() as (server, _):
        port = server.port
    await server.stop()  # a second stop does nothing
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    again = HealthServer("127.0.0.1", port, registry=CollectorRegistry(), live={}, ready={})
    await again.start()
    await again.stop()


async def test_a_client_that_only_holds_the_line_does_not_keep_the_server_up() -> None:
    server = HealthServer("127.0.0.1", 0, registry=CollectorRegistry(), live={}, ready={})
    await server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\n")
        async with asyncio.timeout(3):
            await server.stop()

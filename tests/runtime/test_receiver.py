"""The receiver of alerts, over real sockets: who is let in, what is taken, and what wears nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from decide.plans import parse, two_phases
from fakes.reviewer import Reviewer
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.decide import criteria
from syncrollout.observe.alerts import Payload, PushedAlerts, Taken
from syncrollout.ports import Unavailable
from syncrollout.runtime.certificates import ServedCertificate
from syncrollout.runtime.doors import BearerToken, Door, TokenInvalid
from syncrollout.runtime.receiver import MOST_BYTES, PATH, AlertReceiver, Outcome
from syncrollout.runtime.reviews import Reviews
from syncrollout.runtime.rollouts import Key
from syncrollout.runtime.serve import CannotListen

TOKEN = "0123456789abcdef"  # noqa: S105 - a test's
ALERT = {"status": "firing", "labels": {"alertname": "Loss"}, "startsAt": "2030-01-01T10:00:00Z", "other": {"a": [1]}}
BODY = json.dumps({"version": "4", "receiver": "syncrollout", "alerts": [ALERT]}).encode()


class World:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "token"
        self.file.write_text(f"{TOKEN}\n")
        self.taken: list[Payload] = []
        self.outcomes: list[Outcome] = []
        self.acts = True
        self.port = 0
        self.certificate: ServedCertificate | None = None
        self.reviews: Reviews | None = None

    def door(self) -> Door:
        return Door(BearerToken(self.file), self.reviews)

    def take(self, payload: Payload) -> Taken[Key]:
        self.taken.append(payload)
        return Taken((), 1, 2, 3)

    @asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[AlertReceiver]:
        receiver = AlertReceiver(
            "127.0.0.1", take=self.take, acts=lambda: self.acts, observe=self.outcomes.append, **options
        )
        await receiver.start(0, self.door(), self.certificate)
        self.port = receiver.port
        try:
            yield receiver
        finally:
            await receiver.stop()

    async def post(
        self, body: bytes = BODY, *, token: str | None = f"Bearer {TOKEN}", path: str = PATH, **headers: str
    ) -> tuple[int, str]:
        sent = {**headers, **({"Authorization": token} if token is not None else {})}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session,
            session.post(path, data=body, headers=sent) as answer,
        ):
            assert answer.headers.get("Connection") == "close" or answer.status in (404, 405)
            return answer.status, await answer.text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_payload_is_taken_and_the_answer_says_what_came_of_it(world: World) -> None:
    async with world.serving():
        assert await world.post() == (200, "1 new, 2 known already, 3 that no rollout asks about\n")
    [payload] = world.taken
    assert payload.alerts[0].labels == {"alertname": "Loss"}
    assert world.outcomes == [Outcome.TAKEN]


@pytest.mark.parametrize(
    "token",
    [None, "", "Bearer", f"Bearer {TOKEN}0", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, f"Bearer é{TOKEN}"],
)
async def test_who_has_no_token_is_not_let_in_and_nothing_of_it_is_parsed(world: World, token: str | None) -> None:
    async with world.serving():
        assert (await world.post(b"not even JSON", token=token))[0] == 401
        assert (await world.post(token=token))[0] == 401
    assert world.taken == []
    assert world.outcomes == [Outcome.UNAUTHORIZED] * 2


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[", BODY.replace(b'"4"', b'"3"'), BODY[:-1], gzip.compress(BODY), b"\xff" * 100]
)
async def test_what_is_malformed_is_refused_in_a_sentence(world: World, body: bytes) -> None:
    async with world.serving():
        status, text = await world.post(body, **({"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}))
    assert status == 400
    assert text.startswith("not a payload of Alertmanager, version 4")
    assert len(text) <= 201
    assert world.taken == []
    assert world.outcomes == [Outcome.MALFORMED]


async def test_what_is_too_large_is_refused_announced_or_not(world: World) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * (MOST_BYTES // 32)

    announced = io.BytesIO(BODY + b" " * MOST_BYTES)

    async with world.serving():
        url, headers = f"http://127.0.0.1:{world.port}{PATH}", {"Authorization": f"Bearer {TOKEN}"}
        for body in (announced, in_pieces()):
            async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
                assert answer.status == 413
                assert "max_alerts" in await answer.text()
    assert world.taken == []
    assert world.outcomes == [Outcome.TOO_LARGE] * 2


async def test_one_that_does_not_act_asks_to_be_tried_again(world: World) -> None:
    async with world.serving():
        world.acts = False
        assert await world.post() == (503, "another replica acts: try again\n")
        assert (await world.post(token="Bearer wrong"))[0] == 401  # noqa: S106
        world.acts = True
        assert (await world.post())[0] == 200
    assert len(world.taken) == 1
    assert world.outcomes == [Outcome.STANDBY, Outcome.UNAUTHORIZED, Outcome.TAKEN]


async def test_of_what_is_asked_about_elsewhere_too_each_replica_keeps_its_own_and_has_the_rest_tried_again(
    world: World,
) -> None:
    loss = parse(two_phases(rollback={"triggers": [{"severity": "Critical", "alert": "Loss"}]}))
    mine, others = ("mine", loss), ("others", loss)
    pushed: PushedAlerts = PushedAlerts(keep=300.0)

    def take(payload: Payload) -> Taken[Key]:
        def of(namespace: str, spec: SyncRolloutSpec) -> tuple[Key, str, SyncRolloutSpec]:
            return Key(namespace, "move"), namespace, spec

        world.taken.append(payload)
        return pushed.take(payload, [of(*mine)], [of(*others)])

    def body(*namespaces: str) -> bytes:
        alerts = [{**ALERT, "labels": {"alertname": "Loss", "namespace": each}} for each in namespaces]
        return json.dumps({"version": "4", "alerts": alerts}).encode()

    world.take = take  # type: ignore[method-assign]
    later = (503, "another replica acts for some of it: try again\n")
    async with world.serving():
        assert await world.post(body("mine", "others")) == later
        assert await world.post(body("mine", "others")) == later, "the other one may not have it yet"
        assert await world.post(body("others")) == later
        assert (await world.post(body("mine")))[0] == 200
    assert len(pushed) == 1
    assert pushed.readings(loss, "mine", criteria.all_readings(loss))
    assert not pushed.readings(loss, "others", criteria.all_readings(loss)), "its end would be told to the other alone"
    assert world.outcomes == [Outcome.STANDBY] * 3 + [Outcome.TAKEN]


async def test_there_is_nothing_else_on_that_port(world: World) -> None:
    async with world.serving(), aiohttp.ClientSession(f"http://127.0.0.1:{world.port}") as session:
        for path, status in ((PATH, 405), ("/metrics", 404), ("/", 404)):
            async with session.get(path) as answer:
                assert answer.status == status
    assert world.outcomes == []


# ---- the token ----


async def test_a_token_that_is_rotated_counts_at_once_and_the_old_one_no_more(world: World) -> None:
    async with world.serving():
        new = world.file.with_name("new")
        new.write_text("fedcba9876543210")
        new.replace(world.file)
        assert (await world.post())[0] == 401
        assert (await world.post(token="Bearer fedcba9876543210"))[0] == 200  # noqa: S106


@pytest.mark.parametrize("how", ["gone", "empty"])
async def test_a_file_that_loses_its_token_leaves_the_last_one_in_force(
    world: World, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.serving():
        if how == "gone":
            world.file.unlink()
        else:
            world.file.write_text("")
        for _ in range(3):
            assert (await world.post())[0] == 200
        assert (await world.post(token="Bearer "))[0] == 401  # noqa: S106
    complaints = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(complaints) == 1, "once, not at each request"


@pytest.mark.parametrize("content", [None, "", "short", " \n "])
def test_without_a_token_it_does_not_begin(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(TokenInvalid, match=str(file)) as refused:
        BearerToken(file)
    assert ("short" not in str(refused.value)) or content != "short", "a token is not shown"


# ---- accounts that the API server knows ----


def _alerts(*namespaces: str | None) -> bytes:
    labels = [{"alertname": "Loss", **({"namespace": each} if each is not None else {})} for each in namespaces]
    return json.dumps({"version": "4", "alerts": [{**ALERT, "labels": each} for each in labels]}).encode()


async def test_an_account_pushes_alerts_of_the_namespaces_that_it_may(world: World) -> None:
    api = Reviewer()
    api.people = {"teams": "team", "alls": "all", "nones": "none"}
    api.rights = {"team": {"create syncrollouts/alerts shop"}, "all": {"create syncrollouts/alerts *"}}
    world.reviews = Reviews(api, keep=60.0)
    mixed = _alerts("shop", "other", None)
    async with world.serving():
        status, text = await world.post(mixed, token="Bearer teams")  # noqa: S106
        assert (status, "2 of namespaces that this account may push none for" in text) == (200, True)
        assert (await world.post(mixed, token="Bearer alls"))[0] == 200  # noqa: S106
        assert (await world.post(mixed))[0] == 200, "the shared token is for all"
        for token, body in (("nones", mixed), ("teams", _alerts("other")), ("teams", _alerts(None))):
            status, text = await world.post(body, token=f"Bearer {token}")
            assert status == 403
            assert "may not create syncrollouts/alerts" in text
        assert (await world.post(b"nonsense", token="Bearer guessed"))[0] == 401  # noqa: S106
        many = _alerts(*(f"n{number}" for number in range(33)))
        assert (await world.post(many, token="Bearer teams"))[0] == 403  # noqa: S106
    assert [[alert.labels.get("namespace") for alert in each.alerts] for each in world.taken] == [
        ["shop"],
        ["shop", "other", None],
        ["shop", "other", None],
    ]
    assert world.outcomes[3:] == [*[Outcome.FORBIDDEN] * 3, Outcome.UNAUTHORIZED, Outcome.FORBIDDEN]


async def test_where_the_api_server_does_not_answer_alertmanager_is_to_try_again(world: World) -> None:
    api = Reviewer()
    api.trouble = Unavailable("create tokenreviews: the API server cannot be reached")
    world.reviews = Reviews(api, keep=60.0)
    async with world.serving():
        status, text = await world.post(token="Bearer teams")  # noqa: S106
    assert (status, "cannot be reached" in text) == (503, True)
    assert world.outcomes == [Outcome.UNREVIEWED]


# ---- clients that take their time ----


async def connect(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", world.port)


HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(BODY)}\r\n".encode()


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST /alert", HEAD, HEAD + b"\r\n", HEAD + b"\r\n" + BODY[:20]],
    ids=["nothing", "half a line", "half a head", "no body", "half a body"],
)
async def test_a_request_that_never_ends_is_cut_off(world: World, beginning: bytes) -> None:
    async with world.serving(lifetime=0.2):
        reader, writer = await connect(world)
        writer.write(beginning)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b"", "it is cut off, not answered"
        writer.close()
        assert (await world.post())[0] == 200
    assert len(world.taken) == 1


async def test_one_that_drips_is_cut_off_too(world: World) -> None:
    async with world.serving(lifetime=0.3):
        _, writer = await connect(world)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while not writer.is_closing():
                    writer.write(b"P")
                    await writer.drain()
                    await asyncio.sleep(0.01)
        writer.close()


async def test_more_connections_than_are_allowed_are_turned_away_and_the_place_of_one_that_ended_is_free(
    world: World,
) -> None:
    async with world.serving(connections=3):
        idle = [await connect(world) for _ in range(3)]
        for _, writer in idle:
            writer.write(b"POST ")
            await writer.drain()
        await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientError):
            await world.post()
        assert Outcome.CROWDED in world.outcomes
        assert world.taken == []
        idle[0][1].close()
        await idle[0][1].wait_closed()
        async with asyncio.timeout(10):
            while True:
                try:
                    status, _ = await world.post()
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.01)  # the server has yet to notice
        assert status == 200
        for _, writer in idle[1:]:
            writer.close()


async def test_many_at_once_are_all_answered(world: World) -> None:
    async with world.serving():
        answers = await asyncio.gather(*(world.post() for _ in range(40)))
    assert {status for status, _ in answers} == {200}


async def test_a_port_in_use_is_named_with_its_setting(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        receiver = AlertReceiver("127.0.0.1", take=world.take, acts=lambda: True, observe=world.outcomes.append)
        with pytest.raises(CannotListen, match=rf"{port} is in use .* --alertmanager-listen-port"):
            await receiver.start(port, world.door())
        await receiver.stop()

"""TLS of the operator's own servers: whom clients see, that it is rotated, and who may come without one of his own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from fakes.authority import Authority, Pair
from fakes.reviewer import Reviewer
from syncrollout.observe.alerts import Taken
from syncrollout.runtime.certificates import CertificateInvalid, ServedCertificate
from syncrollout.runtime.doors import Door
from syncrollout.runtime.receiver import PATH, AlertReceiver, Outcome
from syncrollout.runtime.reviews import Reviews
from syncrollout.runtime.serve import HealthServer

EMPTY = b'{"version": "4", "alerts": []}'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.pair("server")


def trusting(authority: Authority, mine: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.ca)
    if mine is not None:
        context.load_cert_chain(mine.cert, mine.key)
    return context


@asynccontextmanager
async def receiving(
    certificate: ServedCertificate, **options: float
) -> AsyncIterator[tuple[AlertReceiver, list[Outcome]]]:
    outcomes: list[Outcome] = []
    receiver = AlertReceiver(
        "127.0.0.1",
        take=lambda _: Taken(),
        acts=lambda: True,
        observe=outcomes.append,
        lifetime=options.get("lifetime", 10.0),
        connections=int(options.get("connections", 64)),
    )
    await receiver.start(0, Door(), certificate)
    try:
        yield receiver, outcomes
    finally:
        await receiver.stop()


async def post(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> int:
    url = f"https://{host}:{port}{PATH}"
    async with aiohttp.ClientSession() as session, session.post(url, data=EMPTY, ssl=context) as answer:
        return answer.status


async def test_alerts_come_in_by_tls(authority: Authority, pair: Pair) -> None:
    async with receiving(ServedCertificate(pair.cert, pair.key)) as (receiver, outcomes):
        assert await post(receiver.port, trusting(authority)) == 200
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://127.0.0.1:{receiver.port}{PATH}", data=EMPTY)
    assert outcomes == [Outcome.TAKEN]


async def test_what_comes_with_the_end_of_the_handshake_is_heard(authority: Authority, pair: Pair) -> None:
    """A client sends its first request in one piece with what ends the handshake."""
    request = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(EMPTY)}\r\n\r\n".encode() + EMPTY
    async with receiving(ServedCertificate(pair.cert, pair.key)) as (receiver, outcomes):
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
        client.write(request)
        writer.write(outgoing.read())
        async with asyncio.timeout(10):
            while not outcomes and await reader.read(65_536):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    assert outcomes == [Outcome.TAKEN]


async def test_where_clients_have_to_show_a_certificate_only_who_has_one_comes_in(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    others = Authority(tmp_path, "others")
    certificate = ServedCertificate(pair.cert, pair.key, authority.ca)
    async with receiving(certificate) as (receiver, outcomes):
        assert await post(receiver.port, trusting(authority, authority.pair("alertmanager"))) == 200
        for context in (trusting(authority), trusting(authority, others.pair("alertmanager"))):
            with pytest.raises(aiohttp.ClientError):
                await post(receiver.port, context)
    assert outcomes == [Outcome.TAKEN]


async def test_a_certificate_that_is_rotated_counts_for_the_next_connection(
    authority: Authority, pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    later = Authority(tmp_path / "later", "later")
    mine = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    ca = tmp_path / "ca.crt"

    def mount(new: Pair, new_ca: Path) -> None:
        for source, target in ((new.cert, mine.cert), (new.key, mine.key), (new_ca, ca)):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)

    mount(pair, authority.ca)
    async with receiving(ServedCertificate(mine.cert, mine.key, ca)) as (receiver, _):
        assert await post(receiver.port, trusting(authority, authority.pair("client"))) == 200
        mine.key.write_text("half written")
        assert await post(receiver.port, trusting(authority, authority.pair("client"))) == 200, (
            "the last good one stays"
        )
        mount(later.pair("server"), later.ca)
        assert await post(receiver.port, trusting(later, later.pair("client"))) == 200
        with pytest.raises(aiohttp.ClientError):
            await post(receiver.port, trusting(authority, authority.pair("client")))
        with pytest.raises(aiohttp.ClientError):
            await post(receiver.port, trusting(later, authority.pair("client")))
    said = [each.getMessage() for each in caplog.records if "certificate" in each.getMessage()]
    assert said[0].split(":")[0] == "the certificate stays what it was"
    assert "read anew" in said[-1]


def _posted(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
    """What is answered, and the session by which a client may go on; with `session`, it tries to go on."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as connection,
    ):
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(EMPTY)}\r\n\r\n"
        connection.sendall(head.encode() + EMPTY)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        return answer.partition(b"\r\n")[0], connection.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_nobody_goes_on_with_the_session_of_an_authority_that_counts_no_more(
    authority: Authority, pair: Pair, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    ca = tmp_path / "ca.crt"
    shutil.copy(authority.ca, ca)
    context = trusting(authority, authority.pair("client"))
    context.maximum_version = version
    async with receiving(ServedCertificate(pair.cert, pair.key, ca)) as (receiver, outcomes):
        answer, session = await asyncio.to_thread(_posted, receiver.port, context, None)
        assert answer == b"HTTP/1.1 200 OK"
        shutil.copy(Authority(tmp_path, "later").ca, tmp_path / "new")
        (tmp_path / "new").replace(ca)
        with contextlib.suppress(OSError):  # by TLS 1.3 a client hears only afterwards that it was refused
            answer, _ = await asyncio.to_thread(_posted, receiver.port, context, session)
            assert answer == b""
    assert outcomes == [Outcome.TAKEN]


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"])
async def test_a_handshake_that_never_ends_takes_a_place_and_is_cut_off(
    authority: Authority, pair: Pair, beginning: bytes
) -> None:
    async with receiving(ServedCertificate(pair.cert, pair.key), lifetime=0.3, connections=1) as (receiver, outcomes):
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writer.write(beginning)
        await writer.drain()
        if not beginning.startswith(b"GET"):
            with pytest.raises(aiohttp.ClientError):
                await post(receiver.port, trusting(authority))
            assert outcomes == [Outcome.CROWDED]
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        assert await post(receiver.port, trusting(authority)) == 200


def test_what_is_no_certificate_is_said_at_the_start(pair: Pair, authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(CertificateInvalid, match=r"cannot be read \(No such file"):
        ServedCertificate(tmp_path / "none", pair.key)
    (tmp_path / "empty").write_text("")
    for cert, key in ((tmp_path / "empty", pair.key), (pair.cert, authority.pair("other").key), (pair.key, pair.cert)):
        with pytest.raises(CertificateInvalid, match="no certificate with its key"):
            ServedCertificate(cert, key)


async def test_metrics_are_for_whom_may_get_them_and_probes_for_everybody(authority: Authority, pair: Pair) -> None:
    api = Reviewer()
    api.people = {"prometheus-token": "prometheus", "other-token": "other"}
    api.rights = {"prometheus": {"get /metrics"}}
    server = HealthServer(
        "127.0.0.1",
        0,
        registry=CollectorRegistry(),
        live={},
        ready={},
        door=Door(reviews=Reviews(api, keep=60.0)),
        certificate=ServedCertificate(pair.cert, pair.key),
    )
    await server.start()
    asked = (
        ("/livez", "", 200),
        ("/metrics", "", 401),
        ("/metrics", "Bearer guessed", 401),
        ("/metrics", "Bearer other-token", 403),
        ("/metrics", "Bearer prometheus-token", 200),
    )
    try:
        async with aiohttp.ClientSession(f"https://localhost:{server.port}") as session:
            for path, token, status in asked:
                async with session.get(path, headers={"Authorization": token}, ssl=trusting(authority)) as answer:
                    assert answer.status == status, (path, token)
    finally:
        await server.stop()

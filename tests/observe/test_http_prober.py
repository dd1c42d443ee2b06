"""Probes over real sockets: bounded in time and in bytes, whatever the other side does."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from fakes.authority import Authority
from fakes.raw_http import served
from syncrollout.observe.http_prober import MOST_BODY, HttpProber
from syncrollout.ports import ProbeFailed


async def test_the_host_is_made_of_service_and_namespace_and_the_path_is_sent_as_it_is() -> None:
    heard: list[bytes] = []

    async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(request)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")

    async with served(serve) as port:
        answer = await HttpProber("{namespace}.0.0.{service}").get("127", "1", port, "/a%2Fb?x=1&y=%20", 5.0)
    assert (answer.status, answer.body) == (200, b"fine")
    assert heard[0].startswith(b"GET /a%2Fb?x=1&y=%20 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}".encode() in heard[0]
    assert b"Cookie" not in heard[0]
    assert b"Authorization" not in heard[0]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    asked: list[bytes] = []

    async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with served(serve) as port:
        answer = await HttpProber("127.0.0.1").get("n", "s", port, "/", 5.0)
    assert answer.status == 302
    assert len(asked) == 1


async def test_of_a_body_without_end_the_beginning_is_read() -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with served(serve) as port:
        answer = await HttpProber("127.0.0.1").get("n", "s", port, "/", 5.0)
    assert len(answer.body) == MOST_BODY


async def test_who_drips_bytes_is_given_up_in_time() -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with served(serve) as port:
        with pytest.raises(ProbeFailed, match=r"no answer within 0\.3 s"):
            await HttpProber("127.0.0.1").get("n", "s", port, "/", 0.3)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"SSH-2.0-x\r\n\r\n"])
async def test_what_is_no_answer_is_told(said: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with served(serve) as port:
        with pytest.raises(ProbeFailed, match="no answer: "):
            await HttpProber("127.0.0.1").get("n", "s", port, "/", 5.0)


@pytest.mark.parametrize(
    "said",
    [
        b"-ERR hunter2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header hunter2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2\r\n",
    ],
)
async def test_of_what_is_no_http_nothing_is_quoted(said: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with served(serve) as port:
        with pytest.raises(ProbeFailed, match=r"no answer: .*, is it HTTP") as told:
            await HttpProber("127.0.0.1").get("n", "s", port, "/?key=abc", 5.0)
    assert "hunter2" not in str(told.value)
    assert "abc" not in str(told.value)


async def test_nobody_there_is_told() -> None:
    async with served(lambda *_: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(ProbeFailed, match="no answer: "):
        await HttpProber("127.0.0.1").get("n", "s", port, "/", 5.0)


async def test_by_tls_who_answers_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.pair("server")
    context.load_cert_chain(pair.cert, pair.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ProbeFailed, match=r"its certificate is not trusted .*issuer"):
            await HttpProber("localhost").get("n", "s", port, "/", 5.0, tls=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        answer = await HttpProber("localhost").get("n", "s", port, "/", 5.0, tls=True)
        assert (answer.status, answer.body) == (200, b"fine")
        other = authority.pair("other", names="DNS:elsewhere.svc")
        context.load_cert_chain(other.cert, other.key)
        with pytest.raises(ProbeFailed, match=r"its certificate is not trusted .*mismatch"):
            await HttpProber("localhost").get("n", "s", port, "/", 5.0, tls=True)
    finally:
        server.close()
        await server.wait_closed()

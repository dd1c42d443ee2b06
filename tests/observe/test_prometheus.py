"""PrometheusSource against servers that misbehave: every query ends in time with a reading that says why, and no
server does harm to another."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from observe import misbehaving
from observe.misbehaving import Server
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe import prometheus
from syncrollout.observe.prometheus import THREADS_PER_ADDRESS, PrometheusSource
from syncrollout.ports import Endpoint

QUERY = 'sum(rate(sync_items_failed_total{workload="sync-v2"}[5m]))'
TLS = Path(__file__).parent / "tls"
PRESENTED = "t0ken"
SHORT = 0.25
LONG = 30.0


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
async def source() -> AsyncIterator[PrometheusSource]:
    made = PrometheusSource()
    yield made
    await made.aclose()


async def seen(wait: Callable[[int], bool], value: int) -> bool:
    """What the server counts, waited for without holding up the loop."""
    return await asyncio.to_thread(wait, value)


# ------------------------------------------------------------------------------------------------ what it answers


@pytest.mark.parametrize(("behaviour", "value"), [("ok", 0.5), ("scalar", 42.5), ("chunked", 0.5), ("old-http", 0.5)])
async def test_one_number_is_a_value(source: PrometheusSource, server: Server, behaviour: str, value: float) -> None:
    assert await source.read(Endpoint(server.address(behaviour)), QUERY, LONG) == Reading(value)


ANSWERS = {
    "empty": (Unknown.NO_DATA, "has no data", "is scraped and its labels match"),
    "nan": (Unknown.NOT_A_NUMBER, "NaN", "division of nothing by nothing"),
    "inf": (Unknown.INFINITE, "infinite", "division by zero"),
    "two": (Unknown.MANY_SERIES, "2 series, which differ in instance", "aggregate it, for example sum(...)"),
    "matrix": (Unknown.NOT_A_VECTOR, "a range of values over time", "leave the range [...] out"),
    "string": (Unknown.NOT_A_VECTOR, "a text", "needs one number"),
    "bad-query": (Unknown.QUERY_INVALID, "does not accept the query", "1:5: parse error: unclosed left parenthesis"),
    "execution": (Unknown.SERVER_ERROR, "could not carry out", "found duplicate series"),
    "timeout": (Unknown.TIMEOUT, "gave up", "spec.prometheus.timeout"),
    "error-200": (Unknown.SERVER_ERROR, "storage is broken", ""),
    "500": (Unknown.SERVER_ERROR, "HTTP 500 Internal Server Error", "disk full"),
    "503": (Unknown.SERVER_ERROR, "HTTP 503 Service Unavailable", "look at its own log"),
    "401": (Unknown.REFUSED, "HTTP 401", "check bearerToken or basicAuth"),
    "403": (Unknown.REFUSED, "HTTP 403", "what the account may read"),
    "404": (Unknown.UNREACHABLE, "HTTP 404 Not Found, text/plain", "path prefix of spec.prometheus.address"),
    "html": (Unknown.UNREACHABLE, "is not the HTTP API of Prometheus (HTTP 200 OK, text/html)", "check scheme"),
    "list": (Unknown.UNREACHABLE, "is not the HTTP API of Prometheus", ""),
    "half": (Unknown.UNREACHABLE, "is not the HTTP API of Prometheus", ""),
    "deep": (Unknown.UNREACHABLE, "is not the HTTP API of Prometheus", ""),
    "redirect": (Unknown.UNREACHABLE, "to http://elsewhere:9090/graph)", "write the address of Prometheus itself"),
    "close": (Unknown.UNREACHABLE, "RemoteDisconnected", "before an answer was complete"),
    "short": (Unknown.UNREACHABLE, "IncompleteRead", "before an answer was complete"),
    "not-http": (Unknown.UNREACHABLE, "does not speak HTTP", "check scheme and port"),
    "flood": (Unknown.MANY_SERIES, "more than 1024 KiB of series", "aggregate"),
    "flood-matrix": (Unknown.NOT_A_VECTOR, "more than 1024 KiB of series over time", "one number"),
    "flood-junk": (Unknown.SERVER_ERROR, "more than 1024 KiB", "check spec.prometheus.address"),
    "hang": (Unknown.TIMEOUT, f"did not answer within {SHORT:g} s", "spec.prometheus.timeout"),
    "drip-head": (Unknown.TIMEOUT, f"did not answer within {SHORT:g} s", ""),
    "drip-body": (Unknown.TIMEOUT, f"did not answer within {SHORT:g} s", ""),
}
ENDLESS = {"hang", "drip-head", "drip-body"}


@pytest.mark.parametrize("behaviour", ANSWERS)
async def test_whatever_else_it_does_is_unknown_and_says_why(
    source: PrometheusSource, server: Server, behaviour: str
) -> None:
    reason, says, mend = ANSWERS[behaviour]
    address = server.address(behaviour)
    credentials = Endpoint(address, basic_auth=("reader", "p4ssw0rd"))
    reading = await source.read(credentials, QUERY, SHORT if behaviour in ENDLESS else LONG)
    assert reading.value is None
    assert reading.unknown is reason
    assert says in reading.message
    assert mend in reading.message
    assert QUERY in reading.message
    if reason in {Unknown.REFUSED, Unknown.SERVER_ERROR, Unknown.UNREACHABLE, Unknown.TIMEOUT, Unknown.NO_DATA}:
        assert address in reading.message
    for secret in ("p4ssw0rd", "secret", base64.b64encode(b"reader:p4ssw0rd").decode()):
        assert secret not in reading.message


async def test_nothing_listens(source: PrometheusSource) -> None:
    with Server() as gone:
        address = gone.address()
    reading = await source.read(Endpoint(address), QUERY, LONG)
    assert reading.unknown is Unknown.UNREACHABLE
    assert f"Prometheus at {address} cannot be reached: connection refused: nothing listens there" in reading.message


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://prometheus:99999", "is no address"),
        ("http://prometheus:port", "is no address"),
        ("http://[::1", "is no address"),
        ("http://:9090", "write spec.prometheus.address as http://host:9090"),
        ("http://a..b:9090", "is no address"),
        ("http://reader:p4ssw0rd@prometheus:9090", "put user name and password in a Secret"),
    ],
)
async def test_an_address_that_cannot_be_one_is_not_tried(source: PrometheusSource, address: str, says: str) -> None:
    reading = await source.read(Endpoint(address), QUERY, LONG)
    assert reading.unknown is Unknown.UNREACHABLE
    assert says in reading.message
    assert "p4ssw0rd" not in reading.message


# ------------------------------------------------------------------------------------------------ doing no harm


@pytest.mark.parametrize("behaviour", sorted(ENDLESS))
async def test_a_server_that_never_ends_is_left_at_the_time_out(
    source: PrometheusSource, server: Server, behaviour: str
) -> None:
    began = time.monotonic()
    await source.read(Endpoint(server.address(behaviour)), QUERY, SHORT)
    assert time.monotonic() - began < SHORT + 1.0
    assert await seen(server.open.wait_for, 0), "the connection is still open: a thread is stuck in it"


async def test_of_a_flood_little_is_read(source: PrometheusSource, server: Server) -> None:
    reading = await source.read(Endpoint(server.address("flood")), QUERY, LONG)
    assert reading.unknown is Unknown.MANY_SERIES
    assert await seen(server.open.wait_for, 0)
    assert server.sent < 20 << 20, "no more than the cap and the kernel's buffers"


async def test_a_server_that_hangs_takes_its_own_threads_and_no_others(source: PrometheusSource) -> None:
    with Server() as hanging, Server() as well:
        stuck = [
            asyncio.ensure_future(source.read(Endpoint(hanging.address("hang")), f"{QUERY} + {at}", LONG))
            for at in range(3 * THREADS_PER_ADDRESS)
        ]
        assert await seen(hanging.stuck.wait_for, THREADS_PER_ADDRESS)
        readings = await asyncio.gather(*(source.read(Endpoint(well.address("ok")), QUERY, LONG) for _ in range(50)))
        assert {reading.value for reading in readings} == {0.5}
        assert not any(each.done() for each in stuck)
        assert hanging.stuck.most == THREADS_PER_ADDRESS
        for each in stuck:
            each.cancel()
        assert await seen(hanging.open.wait_for, 0), "cancelled queries still hold their connections"


async def test_queries_that_wait_behind_others_say_so(server: Server) -> None:
    source = PrometheusSource(threads=2)
    endpoint = Endpoint(server.address("hang"))
    first = [asyncio.ensure_future(source.read(endpoint, f"{QUERY} + {at}", LONG)) for at in range(2)]
    assert await seen(server.stuck.wait_for, 2)
    reading = await source.read(endpoint, QUERY, SHORT)
    assert reading.unknown is Unknown.TIMEOUT
    assert "was not even sent" in reading.message
    assert "2 others are being waited for" in reading.message
    await source.aclose()
    await asyncio.gather(*first)


async def test_after_a_hang_the_same_address_is_well_again(
    source: PrometheusSource, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(server.address("hang"))
    readings = await asyncio.gather(
        *(source.read(endpoint, f"{QUERY} + {at}", SHORT) for at in range(2 * THREADS_PER_ADDRESS))
    )
    assert {reading.unknown for reading in readings} == {Unknown.TIMEOUT}
    monkeypatch.setitem(misbehaving.BEHAVIOURS, "hang", misbehaving.BEHAVIOURS["ok"])
    assert await source.read(endpoint, QUERY, LONG) == Reading(0.5)


async def test_the_end_cuts_off_what_is_under_way(server: Server) -> None:
    source = PrometheusSource()
    endpoint = Endpoint(server.address("hang"))
    waiting = asyncio.ensure_future(source.read(endpoint, QUERY, LONG))
    assert await seen(server.stuck.wait_for, 1)
    await source.aclose()
    assert (await waiting).unknown is Unknown.NOT_ASKED
    assert (await source.read(endpoint, QUERY, LONG)).unknown is Unknown.NOT_ASKED
    assert await seen(server.open.wait_for, 0)


# ------------------------------------------------------------------------------------------------ speaking


@pytest.mark.parametrize("behaviour", ["ok", "chunked"])
async def test_one_connection_serves_query_after_query(
    source: PrometheusSource, server: Server, behaviour: str
) -> None:
    for _ in range(20):
        assert await source.read(Endpoint(server.address(behaviour)), QUERY, LONG) == Reading(0.5)
    assert server.accepted == 1
    assert len(server.requests) == 20


async def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(
    source: PrometheusSource, server: Server
) -> None:
    for _ in range(5):
        assert await source.read(Endpoint(server.address("once")), QUERY, LONG) == Reading(1.0)
    assert len(server.requests) == 5, "and no query is sent twice"


async def test_an_answer_to_no_question_is_not_taken_for_one(source: PrometheusSource, server: Server) -> None:
    for at in range(1, 4):
        assert await source.read(Endpoint(server.address("chatter")), QUERY, LONG) == Reading(0.5)
        assert await seen(server.chattered.wait_for, at)


async def test_a_failed_query_is_not_tried_again(source: PrometheusSource, server: Server) -> None:
    for behaviour in ("503", "close", "half"):
        await source.read(Endpoint(server.address(behaviour)), QUERY, LONG)
    assert [request.path.split("/")[1] for request in server.requests] == ["503", "close", "half"]


async def test_the_query_arrives_as_written_with_the_time_that_is_left(
    source: PrometheusSource, server: Server
) -> None:
    query = 'sum by (a) (rate(x{b=~"é+&=?#%"}[5m])) / 2'
    await source.read(Endpoint(server.address("ok") + "/"), query, 7.0)
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/ok/api/v1/query")
    assert request.form["query"] == query
    assert 6.0 < float(request.form["timeout"]) <= 7.0


async def test_a_long_query_is_sent_as_a_form(source: PrometheusSource, server: Server) -> None:
    query = " + ".join(["sum(items)"] * 700)
    assert await source.read(Endpoint(server.address("ok")), query, LONG) == Reading(0.5)
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/ok/api/v1/query")
    assert request.form["query"] == query


async def test_credentials_are_presented_each_to_its_own(source: PrometheusSource, server: Server) -> None:
    address = server.address("ok")
    await source.read(Endpoint(address, bearer_token=PRESENTED), QUERY, LONG)
    await source.read(Endpoint(address, basic_auth=("jürgen", "pä:ss")), QUERY, LONG)
    await source.read(Endpoint(address), QUERY, LONG)
    presented = [request.headers.get("authorization") for request in server.requests]
    assert presented == ["Bearer t0ken", f"Basic {base64.b64encode('jürgen:pä:ss'.encode()).decode()}", None]


async def test_nothing_is_taken_from_the_environment(
    source: PrometheusSource, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert await source.read(Endpoint(server.address("ok")), QUERY, LONG) == Reading(0.5)
    assert "authorization" not in server.requests[0].headers


async def test_addresses_that_are_no_longer_used_are_let_go(server: Server) -> None:
    source = PrometheusSource(addresses=3)
    for at in range(10):
        assert await source.read(Endpoint(server.address(f"ok/{at}")), QUERY, LONG) == Reading(0.5)
    assert await seen(server.open.wait_for, 3)
    await source.aclose()
    assert await seen(server.open.wait_for, 0)


async def test_threads_that_are_idle_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "THREAD_IDLE_SECONDS", 0.01)
    source = PrometheusSource()
    assert await source.read(Endpoint(server.address("ok")), QUERY, LONG) == Reading(0.5)
    assert await seen(server.open.wait_for, 0)
    assert await source.read(Endpoint(server.address("ok")), QUERY, LONG) == Reading(0.5)
    await source.aclose()


# ------------------------------------------------------------------------------------------------ TLS


@pytest.fixture
def tls_server() -> Iterator[Server]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem")
    with Server(tls=context) as started:
        yield started


async def test_https_with_an_authority_from_a_secret(source: PrometheusSource, tls_server: Server) -> None:
    endpoint = Endpoint(tls_server.address("ok"), bearer_token=PRESENTED, ca=(TLS / "ca.pem").read_text())
    for _ in range(5):
        assert await source.read(endpoint, QUERY, LONG) == Reading(0.5)
    assert tls_server.accepted == 1
    assert tls_server.requests[0].headers["host"] == f"127.0.0.1:{tls_server.port}"


async def test_https_is_not_trusted_without_it(source: PrometheusSource, tls_server: Server) -> None:
    reading = await source.read(Endpoint(tls_server.address("ok"), bearer_token=PRESENTED), QUERY, LONG)
    assert reading.unknown is Unknown.UNREACHABLE
    assert "its certificate is not trusted" in reading.message
    assert "spec.prometheus.ca" in reading.message
    assert not tls_server.requests


async def test_https_that_hangs_is_left_at_the_time_out(source: PrometheusSource, tls_server: Server) -> None:
    endpoint = Endpoint(tls_server.address("hang"), ca=(TLS / "ca.pem").read_text())
    assert (await source.read(endpoint, QUERY, SHORT)).unknown is Unknown.TIMEOUT
    assert await seen(tls_server.open.wait_for, 0)


async def test_https_spoken_to_a_port_of_http(source: PrometheusSource, server: Server) -> None:
    address = server.address("not-http").replace("http:", "https:")
    reading = await source.read(Endpoint(address), QUERY, LONG)
    assert reading.unknown is Unknown.UNREACHABLE
    assert f"Prometheus at {address} cannot be reached: TLS fails" in reading.message


async def test_an_authority_that_is_no_certificate(source: PrometheusSource, tls_server: Server) -> None:
    reading = await source.read(Endpoint(tls_server.address("ok"), ca="not a certificate"), QUERY, LONG)
    assert reading.unknown is Unknown.SECRET_INVALID
    assert "is no PEM certificate" in reading.message

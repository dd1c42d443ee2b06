"""Where a rollout may have the operator go: by name, by address, and by what a name leads to when it is called."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.post_office import Hook, webhook
from syncrollout.act.alertmanager import AlertmanagerNotifier
from syncrollout.act.apprise import AppriseNotifier
from syncrollout.api.words import Unknown
from syncrollout.decide.deliveries import Delivered
from syncrollout.net import connecting, threads
from syncrollout.net.destinations import ANYWHERE, Destinations, Entry, Refused
from syncrollout.observe.http_prober import HttpProber
from syncrollout.observe.prometheus import PrometheusSource
from syncrollout.ports import AlertmanagerWay, AppriseWay, Endpoint, Outgoing, ProbeFailed

MESSAGE = Outgoing("id", "title", "body", 1_700_000_000.0, {"namespace": "listings"})
NOBODYS = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2",  # noqa: S104
    "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "224.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "[::1]",
)  # fmt: skip
"""Addresses at which no rollout has anything."""


def made(*allowed: str, refused: tuple[str, ...] = (), api: tuple[str, int] | None = None) -> Destinations:
    entries = Destinations(tuple(map(Entry.of, allowed)), tuple(map(Entry.of, refused)))
    return entries if api is None else entries.beside([api])


@pytest.mark.parametrize("address", NOBODYS)
def test_what_is_nobodys_prometheus_is_refused(address: str) -> None:
    assert "--allow-destination" in made().of_name(address, 80)
    assert "--allow-destination" in made("*").of_address("prometheus.example.com", address, 80)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "93.184.216.34", "fd00::1", "2001:db8::1", "100.64.0.1"]
)
def test_all_else_may_be_called_unless_something_is_set(address: str) -> None:
    assert made().of_address("prometheus.monitoring", address, 9090) == ""


@given(st.ip_addresses())
def test_of_no_address_is_said_what_a_name_leads_to(address: Any) -> None:
    for each in (made(), made("*.example.com"), made(refused=(str(address),))):
        said = each.of_address("prometheus.monitoring", str(address), 9090)
        assert str(address) not in said


def test_hosts_can_be_limited() -> None:
    only = made("*.example.com", "mail.internal")
    for host in ("hooks.example.com", "HOOKS.example.com.", "mail.internal"):
        assert only.of_name(host, 443) == "", host
    for host in ("example.com", "example.com.evil.org", "10.0.0.1", "mail.internal.evil.org"):
        assert "--allow-destination" in only.of_name(host, 443), host
    assert "--allow-destination" in only.of_address("other.org", "10.0.0.1", 443)


def test_a_name_that_is_allowed_opens_nothing_that_it_may_lead_to_one_day() -> None:
    assert "link-local" in made("*.example.com").of_address("hooks.example.com", "169.254.169.254", 80)
    assert "loopback" in made("localhost").of_address("localhost", "127.0.0.1", 80)


def test_a_network_that_is_allowed_is_open_by_any_name_and_no_other_is() -> None:
    only = made("127.0.0.0/8", "10.0.0.0/8")
    assert only.of_name("localhost", 80) == "", "where it leads is not known yet"
    assert only.of_address("localhost", "127.0.0.1", 80) == ""
    assert "--allow-destination" in only.of_address("elsewhere.org", "192.168.0.1", 80)
    assert made("127.0.0.0/8", "*").of_address("elsewhere.org", "192.168.0.1", 80) == ""


def test_what_is_refused_by_name_or_network_is_refused_whatever_allows_it() -> None:
    some = made("*", "10.0.0.0/8", refused=("*.internal", "10.9.0.0/16"))
    assert "--refuse-destination" in some.of_name("vault.internal", 443)
    assert "--refuse-destination" in some.of_address("db.example.com", "10.9.1.1", 443)
    assert "--refuse-destination" in some.of_address("db.example.com", "::ffff:10.9.1.1", 443)
    assert some.of_address("db.example.com", "10.8.1.1", 443) == ""


def test_the_api_server_is_refused_at_its_own_port_unless_that_address_is_allowed() -> None:
    api = ("10.96.0.1", 443)
    assert "API server" in made(api=api).of_address("kubernetes.default", "10.96.0.1", 443)
    assert "API server" in made("10.96.0.0/12", api=api).of_address("anything", "10.96.0.1", 443)
    assert "API server" in made(api=api).of_name("::ffff:10.96.0.1", 443)
    assert made(api=api).of_address("prometheus.monitoring", "10.96.0.1", 9090) == ""
    assert made("10.96.0.1", "*", api=api).of_address("kubernetes.default", "10.96.0.1", 443) == ""
    assert "API server" in Destinations(api_host=("kubernetes.default", 443)).of_name("kubernetes.default", 443)


@pytest.mark.parametrize("text", ["http://example.com", "10.0.0.0/40", "a b", "", "example.com:80", "a/b"])
def test_an_entry_that_is_neither_host_nor_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a host"):
        Entry.of(text)


def test_tls_can_be_asked_for() -> None:
    assert "--tls-only" in Destinations(tls_only=True).of_scheme(False)
    assert Destinations(tls_only=True).of_scheme(True) == ""
    assert Destinations().of_scheme(False) == ""


# ------------------------------------------------------------------------------------------- what really connects


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as receiver:
        yield receiver


def leads_to(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> list[str]:
    """From now on a name leads to these addresses in turn, look-up after look-up, and at last to the last."""
    real = threads._asked  # and not what `socket` has now, which asks that one in its turn once somebody was judged
    left, asked = list(addresses), []

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == name:
            asked.append(host)
            host = left.pop(0) if len(left) > 1 else left[0]
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(threads, "_asked", look_up)
    return asked


async def test_a_prometheus_on_loopback_is_not_asked_and_says_why(hook: Hook) -> None:
    source = PrometheusSource(destinations=made())
    for host in ("127.0.0.1", "localhost"):
        reading = await source.read(Endpoint(f"http://{host}:{hook.port}"), "up", 5.0)
        assert reading.unknown is Unknown.DESTINATION_REFUSED
        assert "loopback" in reading.message
    await source.aclose()


async def test_a_probe_that_its_service_leads_astray_is_not_made(hook: Hook) -> None:
    prober = HttpProber("localhost", destinations=made("*.example.com"))
    with pytest.raises(ProbeFailed, match="not asked: localhost leads to a loopback address"):
        await prober.get("n", "s", hook.port, "/", 5.0)
    with pytest.raises(ProbeFailed, match="not asked: 127"):
        await HttpProber("127.0.0.1", destinations=made()).get("n", "s", hook.port, "/", 5.0)


async def test_what_messages_name_is_refused_however_it_is_written(monkeypatch: pytest.MonkeyPatch, hook: Hook) -> None:
    asked = leads_to(monkeypatch, "hooks.example.com", "127.0.0.1")
    apprise, alertmanager = AppriseNotifier(made("*.example.com"), threads=1), AlertmanagerNotifier(made())
    port = hook.port
    for url in (
        f"json://127.0.0.1:{port}/",
        f"json://hooks.example.com:{port}/",
        f"json://hooks.example.com@127.0.0.1:{port}/",
        f"json://user:pw@127.0.0.1:{port}@hooks.example.com/",
        f"json://2130706433:{port}/",
        f"mailto://hooks.example.com:{port}?from=a@b.example&to=c@d.example&smtp=127.0.0.1&mode=insecure",
        f"mailto://hooks.example.com:{port}?from=a@b.example&to=c@d.example&x=1;smtp=127.0.0.1&mode=insecure",
    ):
        said = await apprise.send(AppriseWay(url), MESSAGE)
        assert said.state is Delivered.FAILED, url
        assert "127.0.0.1" not in said.message, "the URL is a secret"
        assert "example.com" not in said.message
    said = await alertmanager.send(AlertmanagerWay(f"http://localhost:{port}"), MESSAGE)
    assert (said.state, "loopback" in said.message) == (Delivered.FAILED, True)
    said = await alertmanager.send(AlertmanagerWay(f"http://127.0.0.1:{port}"), MESSAGE)
    assert (said.state, "loopback" in said.message) == (Delivered.FAILED, True)
    assert hook.posts == []
    assert asked
    apprise.close()
    await alertmanager.close()


async def test_a_name_that_leads_elsewhere_a_moment_later_gains_nothing(
    monkeypatch: pytest.MonkeyPatch, hook: Hook
) -> None:
    """DNS rebinding: the first look-up is harmless, the second leads to this host. What was judged is called."""
    somewhere = "192.0.2.1"
    for _ in range(2):
        asked = leads_to(monkeypatch, "rebound.example.com", somewhere, "127.0.0.1")
        tried: list[str] = []
        monkeypatch.setattr(socket.socket, "connect", lambda _, where, to=tried: (to.append(where[0]), _refuse())[1])
        with pytest.raises(OSError, match="refused"):
            made().connect("rebound.example.com", hook.port, 1.0)
        assert (tried, len(asked)) == ([somewhere], 1)


def _refuse() -> None:
    raise ConnectionRefusedError(111, "refused")


async def test_the_address_that_a_socket_is_connected_to_is_judged_too(hook: Hook) -> None:
    """aiohttp looks up no address: what is written as one comes to the socket unseen."""
    async with aiohttp.ClientSession(connector=connecting.connector(made())) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.get(f"http://127.0.0.1:{hook.port}/")
    assert "loopback" in connecting.why_refused(failed.value)


def test_other_threads_look_up_what_they_like() -> None:
    with threads.judged(made()), pytest.raises(Refused):
        socket.getaddrinfo("127.0.0.1", 80)
    assert socket.getaddrinfo("127.0.0.1", 80)


async def test_certificates_are_verified_whatever_a_url_asks_for() -> None:
    apprise = AppriseNotifier(ANYWHERE, threads=1)
    for url in ("jsons://hooks.example.com/?verify=no", "mailtos://a:b@mail.example.com?verify=false"):
        said = await apprise.send(AppriseWay(url), MESSAGE)
        assert said.state is Delivered.FAILED
        assert "verify=no" in said.message
    apprise.close()


@pytest.mark.parametrize(
    "url",
    ["json://h.example.com/", "mailtos://a:b@mail.example.com?mode=insecure", "gotify://h.example.com/token12345"],
)
async def test_where_tls_is_asked_for_no_message_goes_in_the_clear(url: str) -> None:
    apprise = AppriseNotifier(Destinations(tls_only=True), threads=1)
    said = await apprise.send(AppriseWay(url), MESSAGE)
    apprise.close()
    assert said.state is Delivered.FAILED
    assert "--tls-only" in said.message

"""A real Prometheus that speaks TLS: who is trusted, and that all others give no reading, in a clear sentence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.authority import Authority, Pair
from syncrollout.api.words import Unknown
from syncrollout.observe.prometheus import PrometheusSource
from syncrollout.ports import Endpoint
from testbed import Prometheus

pytestmark = pytest.mark.cluster


class Served:
    """It, and the certificate that it shows: one that is put in place counts from the next handshake on."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.stranger = Authority(folder / "stranger", "stranger")
        self._shown = Pair(folder / "shown.pem", folder / "shown.key")
        self.shows(self.authority.pair("right"))
        self.prometheus = Prometheus(folder, tls=(self._shown.cert, self._shown.key))

    def shows(self, pair: Pair) -> None:
        shutil.copy(pair.cert, self._shown.cert)
        shutil.copy(pair.key, self._shown.key)


@pytest.fixture(scope="module")
def served(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("prometheus-tls"))
    with made.prometheus:
        yield made


async def test_it_is_believed_by_the_authority_that_is_named_alone(served: Served) -> None:
    pairs = {
        "right": (served.authority.pair("right"), None, ""),
        "another authority": (served.stranger.pair("server"), None, "issuer certificate"),
        "run out": (served.authority.pair("old", days=-1), None, "certificate has expired"),
        "another name": (served.authority.pair("other", names="DNS:prometheus.example.com"), None, "127.0.0.1"),
        "the name that was asked for": (
            served.authority.pair("named", names="DNS:prometheus.example.com"),
            "prometheus.example.com",
            "",
        ),
        "not the name that was asked for": (served.authority.pair("right"), "prometheus.example.com", "mismatch"),
    }
    ca = served.authority.ca.read_text()
    for case, (pair, server_name, why) in pairs.items():
        served.shows(pair)
        source = PrometheusSource()
        endpoint = Endpoint(served.prometheus.address, ca=ca, server_name=server_name)
        reading = await source.read(endpoint, "vector(1)", 10.0)
        await source.aclose()
        if not why:
            assert reading.value == 1.0, (case, reading)
            continue
        assert (reading.value, reading.unknown) == (None, Unknown.UNREACHABLE), case
        assert "its certificate is not trusted" in reading.message
        assert why in reading.message, case
        assert "spec.prometheus.ca" in reading.message


async def test_without_an_authority_of_its_own_the_systems_count(served: Served) -> None:
    served.shows(served.authority.pair("right"))
    source = PrometheusSource()
    reading = await source.read(Endpoint(served.prometheus.address), "vector(1)", 10.0)
    await source.aclose()
    assert reading.unknown is Unknown.UNREACHABLE
    assert "its certificate is not trusted" in reading.message

"""The same cases on the fake Prometheus and on a real one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from contract.metrics_cases import CASES, LONG, Bench
from fakes.metrics import FakeMetrics
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe.prometheus import PrometheusSource
from syncrollout.ports import Endpoint
from testbed import Exporter, Prometheus


class FakeBench:
    """The fake in memory."""

    def __init__(self) -> None:
        self.source = FakeMetrics()
        self.endpoint = Endpoint("http://prometheus.monitoring:9090")

    async def publish(self, name: str, *values: float) -> None:
        self.source.set(re.compile(rf"\b{name}\b"), values)

    async def hang(self) -> None:
        self.source.fail(Unknown.TIMEOUT)

    async def gone(self) -> None:
        self.source.fail(Unknown.UNREACHABLE)

    async def back(self) -> None:
        self.source.mend()


class RealBench:
    """A real Prometheus that scrapes an exporter."""

    def __init__(self, prometheus: Prometheus, exporter: Exporter) -> None:
        self.source = PrometheusSource()
        self.endpoint = Endpoint(prometheus.address)
        self._prometheus = prometheus
        self._exporter = exporter

    async def publish(self, name: str, *values: float) -> None:
        self._exporter.set_many([(name, {"series": str(at)}, value) for at, value in enumerate(values)])

        def there() -> None:
            self._prometheus.wait_for(
                name, lambda samples: [repr(each.value) for each in samples] == [repr(each) for each in values]
            )

        await asyncio.to_thread(there)

    async def hang(self) -> None:
        self._prometheus.pause()

    async def gone(self) -> None:
        await asyncio.to_thread(self._prometheus.stop)

    async def back(self) -> None:
        if self._prometheus.process.running:
            self._prometheus.resume()
        else:
            self._prometheus.start()  # from this thread: what another one starts ends with that


@pytest.fixture(scope="module")
def own_prometheus(
    prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, Exporter]]:
    """One of this file's own, for it is paused and stopped. (`prometheus` sees to it that there is a program.)"""
    del prometheus
    with (
        Exporter() as exporter,
        Prometheus(tmp_path_factory.mktemp("contract"), targets=[exporter.target], scrape_interval="200ms") as started,
    ):
        yield started, exporter


@pytest.fixture
async def real(own_prometheus: tuple[Prometheus, Exporter]) -> AsyncIterator[RealBench]:
    bench = RealBench(*own_prometheus)
    yield bench
    await bench.source.aclose()


Case = Callable[[Bench], Awaitable[None]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_fake(case: Case) -> None:
    await case(FakeBench())


@pytest.mark.cluster
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_real(case: Case, real: RealBench) -> None:
    await case(real)


# ------------------------------------------------------------------------- what only the real one can be asked


@pytest.mark.cluster
async def test_kinds_of_results_of_a_real_prometheus(real: RealBench) -> None:
    async def ask(query: str) -> Reading:
        return await real.source.read(real.endpoint, query, LONG)

    assert await ask("scalar(vector(2)) * 3") == Reading(6.0)
    assert (await ask('"5"')).unknown is Unknown.NOT_A_VECTOR
    assert (await ask("up[1m]")).unknown is Unknown.NOT_A_VECTOR
    assert (await ask("vector(0) / vector(0)")).unknown is Unknown.NOT_A_NUMBER
    assert (await ask("vector(1) / vector(0)")).unknown is Unknown.INFINITE
    assert (await ask("scalar(absent_metric)")).unknown is Unknown.NOT_A_NUMBER
    execution = await ask("up * on() (vector(1) or label_replace(vector(2), 'a', 'b', '', ''))")
    assert execution.unknown is Unknown.SERVER_ERROR
    assert "could not carry out the query" in execution.message


@pytest.mark.cluster
async def test_a_path_that_a_real_prometheus_does_not_have(real: RealBench) -> None:
    reading = await real.source.read(Endpoint(f"{real.endpoint.address}/prefix"), "up", LONG)
    assert reading.unknown is Unknown.UNREACHABLE
    assert "is not the HTTP API of Prometheus (HTTP 404 Not Found" in reading.message
    assert "path prefix" in reading.message


@pytest.mark.cluster
async def test_https_spoken_to_a_real_prometheus_that_has_only_http(real: RealBench) -> None:
    reading = await real.source.read(Endpoint(real.endpoint.address.replace("http:", "https:")), "up", LONG)
    assert reading.unknown is Unknown.UNREACHABLE
    assert "write http:// instead of https://" in reading.message


@pytest.mark.cluster
async def test_a_long_query_on_a_real_prometheus(real: RealBench) -> None:
    query = " + ".join(["vector(1)"] * 800)
    assert await real.source.read(real.endpoint, query, LONG) == Reading(800.0)


@pytest.mark.cluster
async def test_percent_of_a_ratio_with_a_comment_on_a_real_prometheus(real: RealBench) -> None:
    assert await real.source.read(real.endpoint, "(vector(1) # failed\n) / (vector(4)) * 100", LONG) == Reading(25.0)

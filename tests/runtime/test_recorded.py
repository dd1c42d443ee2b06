"""Series of the incident report on the HTTP API of Prometheus: what was recorded, and what stands in for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from fakes.raw_http import served
from syncrollout.api.spec import Metric
from syncrollout.api.spec.metrics import Aggregate
from syncrollout.decide.facts import Part
from syncrollout.observe.aggregates import reduced
from syncrollout.ports import Endpoint, Moments, SeriesUnknown
from syncrollout.runtime.recorded import RecordedSeries

MOMENTS = Moments(1_700_000_000.0, 1_700_000_040.0, 10.0)


@asynccontextmanager
async def _prometheus(body: object, *, status: int = 200, delay: float = 0.0) -> AsyncIterator[tuple[str, list[str]]]:
    asked: list[str] = []

    async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request.split()[1].decode())
        await asyncio.sleep(delay)
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)

    async with served(serve) as port:
        yield f"http://127.0.0.1:{port}", asked


async def test_each_moment_has_its_value_or_none() -> None:
    values = [[1_700_000_000, "1"], [1_700_000_020, "NaN"], [1_700_000_040, "3.5"]]
    result = {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
    async with _prometheus({"status": "success", "data": result}) as (address, asked):
        found = await RecordedSeries().series(Endpoint(address), "up", MOMENTS, 5.0)
    assert found == (1.0, None, None, None, 3.5)
    query = parse_qs(urlsplit(asked[0]).query)
    assert (query["query"], query["step"]) == (["up"], ["10.000"])


@pytest.mark.parametrize("status", [400, 503])
async def test_what_prometheus_refuses_is_told(status: int) -> None:
    async with _prometheus({"status": "error", "errorType": "x", "error": "broken"}, status=status) as (address, _):
        with pytest.raises(SeriesUnknown, match=r"broken|503"):
            await RecordedSeries().series(Endpoint(address), "up", MOMENTS, 5.0)


async def test_credentials_that_are_refused_are_those_of_the_spec() -> None:
    async with _prometheus({}, status=401) as (address, _):
        with pytest.raises(
            SeriesUnknown, match=r"refuses the credentials \(HTTP 401\).*; see spec\.prometheus"
        ) as told:
            await RecordedSeries().series(Endpoint(address), "up", MOMENTS, 5.0)
    assert "--token-file" not in str(told.value), "that is an option of the backtest"


async def test_one_that_hangs_is_given_up() -> None:
    async with _prometheus({}, delay=3.0) as (address, _):
        with pytest.raises(SeriesUnknown):
            await RecordedSeries().series(Endpoint(address), "up", MOMENTS, 0.3)
    with pytest.raises(SeriesUnknown):
        await RecordedSeries().series(Endpoint("http://127.0.0.1:1"), "up", MOMENTS, 1.0)


async def test_a_prometheus_that_hangs_takes_no_thread_of_the_event_loop() -> None:
    """In these the names of hosts are looked up, the API server's among them."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    async with _prometheus({}, delay=5.0) as (address, asked):
        series = [asyncio.create_task(RecordedSeries().series(Endpoint(address), "up", MOMENTS, 1.0)) for _ in range(2)]
        async with asyncio.timeout(5.0):
            while not asked:  # noqa: ASYNC110 - what is waited for happens in a server that knows no events
                await asyncio.sleep(0.01)
        began = loop.time()
        await asyncio.to_thread(lambda: None)
        assert loop.time() - began < 0.5
        found = await asyncio.gather(*series, return_exceptions=True)
    assert all(isinstance(each, SeriesUnknown) for each in found)


async def test_of_several_series_one_number_is_made_where_it_is_said_how() -> None:
    one = {"metric": {"pod": "a"}, "values": [[1_700_000_000, "1"], [1_700_000_010, "5"]]}
    other = {"metric": {"pod": "b"}, "values": [[1_700_000_000, "4"]]}
    data = {"resultType": "matrix", "result": [one, other]}
    highest = Metric(name="cpu", query="x", aggregate=Aggregate.MAX)
    async with _prometheus({"status": "success", "data": data}) as (address, _):
        endpoint = Endpoint(address)
        found = await RecordedSeries().series(endpoint, "cpu", MOMENTS, 5.0, partial(reduced, highest, Part.VALUE))
        assert found[:3] == (4.0, 5.0, None)
        assert (await RecordedSeries().series(endpoint, "cpu", MOMENTS, 5.0))[:2] == (None, 5.0)
        with pytest.raises(SeriesUnknown, match="more than 0 KiB"):
            await RecordedSeries(most_bytes=100).series(endpoint, "cpu", MOMENTS, 5.0)

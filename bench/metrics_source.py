"""What a reading costs: the operator's PrometheusSource beside prometheus-api-client on requests, and beside aiohttp.

    python bench/metrics_source.py [--rate 200] [--seconds 5] [--rounds 3]

Each way asks the same question at an even pace, in a process of its own, of a server in another process that gives a
fixed answer at once; so what is measured is the client alone. Printed: CPU per query (user + system, threads
included), the share of a core at that rate, memory added by the client and its work (resident), latency, and each
way's CPU in relation to aiohttp's, the pace itself (which asks nothing) taken off. Of several rounds the one that cost
the least CPU counts, for what else runs on the machine can only add to it.
"""

# ruff: noqa: PLC0415 - what a way needs is imported where it runs, so that its memory is its own

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

QUERY = (
    '(sum(increase(sync_items_failed_total{workload="listing-sync-v2",namespace="listings"}[5m]))) / '
    '(sum(increase(sync_items_total{workload="listing-sync-v2",namespace="listings"}[5m]))) * 100'
)
BODY = json.dumps(
    {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1e9, "0.5"]}]}}
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
TIMEOUT = 10.0
Ask = Callable[[], Awaitable[float | None]]


@dataclass(frozen=True)
class Cost:
    """Of one way of asking. Milliseconds, share of a core, megabytes."""

    cpu: float
    core: float
    memory: float
    median: float
    p99: float


# ------------------------------------------------------------------------------------------------ the ways


@contextlib.asynccontextmanager
async def prometheus_source(address: str) -> AsyncIterator[Ask]:
    """What the operator uses."""
    from syncrollout.observe.prometheus import PrometheusSource
    from syncrollout.ports import Endpoint

    source = PrometheusSource()
    endpoint = Endpoint(address)

    async def ask() -> float | None:
        return (await source.read(endpoint, QUERY, TIMEOUT)).value

    yield ask
    await source.aclose()


@contextlib.asynccontextmanager
async def api_client_on_requests(address: str) -> AsyncIterator[Ask]:
    """The client library on a requests session, tuned: no environment, no retries, a large pool, a bounded executor."""
    import requests
    from prometheus_api_client.prometheus_connect import PrometheusConnect
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.trust_env = False
    client = PrometheusConnect(address, session=session)
    session.mount(address, HTTPAdapter(pool_connections=64, pool_maxsize=64, max_retries=0))
    executor = ThreadPoolExecutor(16)
    loop = asyncio.get_running_loop()

    def blocking() -> float:
        (series,) = client.custom_query(QUERY, timeout=int(TIMEOUT))
        return float(series["value"][1])

    async def ask() -> float | None:
        async with asyncio.timeout(TIMEOUT):
            return await loop.run_in_executor(executor, blocking)

    yield ask
    executor.shutdown()
    client.close()


@contextlib.asynccontextmanager
async def aiohttp_directly(address: str) -> AsyncIterator[Ask]:
    """No client library, no thread."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT)) as session:

        async def ask() -> float | None:
            async with session.get(f"{address}/api/v1/query", params={"query": QUERY}) as response:
                (series,) = (await response.json())["data"]["result"]
                return float(series["value"][1])

        yield ask


@contextlib.asynccontextmanager
async def pace_alone(address: str) -> AsyncIterator[Ask]:
    """Nothing is asked: what the measurement itself costs."""

    async def ask() -> float | None:
        await asyncio.sleep(0)
        return 0.5

    yield ask


PACE = "(the pace alone)"
AIOHTTP = "aiohttp directly"
WAYS = {
    PACE: pace_alone,
    "PrometheusSource": prometheus_source,
    "prometheus-api-client on requests": api_client_on_requests,
    AIOHTTP: aiohttp_directly,
}


# ------------------------------------------------------------------------------------------------ measuring


async def measure(name: str, address: str, rate: float, seconds: float) -> Cost:
    """Ask `rate` times a second for so many seconds."""
    memory = resident()
    async with WAYS[name](address) as ask:
        assert await ask() == 0.5
        await asyncio.gather(*(ask() for _ in range(64)))
        took: list[float] = []

        async def one() -> None:
            began = time.perf_counter()
            assert await ask() == 0.5
            took.append(time.perf_counter() - began)

        loop = asyncio.get_running_loop()
        tasks = []
        before, began = used(), loop.time()
        for at in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + at / rate - loop.time()))
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)
        cpu, elapsed = used() - before, loop.time() - began
        took.sort()
        return Cost(
            cpu=1000 * cpu / len(took),
            core=cpu / elapsed,
            memory=resident() - memory,
            median=1000 * statistics.median(took),
            p99=1000 * took[int(0.99 * len(took))],
        )


def used() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident() -> float:
    """Resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def run(name: str, address: str, rate: float, seconds: float, result: Connection) -> None:
    """In a process of its own."""
    result.send(asdict(asyncio.run(measure(name, address, rate, seconds))))


class Fixed(asyncio.Protocol):
    """The answer, to every request, at once."""

    def __init__(self) -> None:
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while b"\r\n\r\n" in self._got:
            self._got = self._got.partition(b"\r\n\r\n")[2]
            self._transport.write(ANSWER)


def serve(port: Connection) -> None:
    """In a process of its own."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="queries per second")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each way is measured in a round")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the round that cost the least is printed")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    port, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{port.recv()}"
    costs: dict[str, Cost] = {}
    for name in [*WAYS] * arguments.rounds:
        result, far = context.Pipe()
        measured = context.Process(target=run, args=(name, address, arguments.rate, arguments.seconds, far))
        measured.start()
        cost = Cost(**result.recv())
        measured.join()
        if name not in costs or cost.cpu < costs[name].cpu:
            costs[name] = cost
    server.terminate()
    pace = costs[PACE].cpu
    print(f"{arguments.rate:g} queries/s for {arguments.seconds:g} s, the best of {arguments.rounds}")
    print(f"{'':36}{'CPU/query':>12}{'core':>8}{'memory':>10}{'median':>10}{'p99':>10}{'ratio':>8}")
    for name, cost in costs.items():
        print(
            f"{name:36}{cost.cpu:9.2f} ms{cost.core:8.3f}{cost.memory:7.1f} MB{cost.median:7.1f} ms{cost.p99:7.1f} ms"
            f"{(cost.cpu - pace) / (costs[AIOHTTP].cpu - pace):8.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

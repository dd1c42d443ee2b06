"""MetricsSource on prometheus-api-client.

    read -> threads of the address (at most 16 threads, one connection each) -> prometheus-api-client -> Reading

The client is synchronous, so each query takes a thread while it lasts. The threads belong to one address: a
Prometheus that hangs takes its own 16, and no other's. A query that has used up its time is cut off (`Call.abort`),
which frees its thread at once. The threads are daemons, unlike those of a ThreadPoolExecutor, for one that is caught
in name resolution, which nothing can interrupt, must not hold up the operator's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import cast

import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect

from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.observe.prometheus_answers import Asked, failed, judge, timed_out, too_long
from syncrollout.observe.prometheus_http import (
    MOST_BYTES,
    Aborted,
    AddressInvalid,
    Call,
    Session,
    Target,
    TooLong,
    Trust,
    TrustInvalid,
    headers_of,
)
from syncrollout.ports import Endpoint

THREADS_PER_ADDRESS = 16
MOST_ADDRESSES = 64
THREAD_IDLE_SECONDS = 60.0
ADDRESS_IDLE_SECONDS = 600.0


class PrometheusSource:
    """MetricsSource of any number of Prometheus servers. Use from one event loop; `aclose` at the end."""

    def __init__(
        self,
        *,
        threads: int = THREADS_PER_ADDRESS,
        addresses: int = MOST_ADDRESSES,
        destinations: Destinations = ANYWHERE,
    ) -> None:
        self._most_threads = threads
        self._most_addresses = addresses
        self._destinations = destinations
        self._servers: OrderedDict[tuple[str, str | None, str | None], _Threads] = OrderedDict()
        self._calls: dict[Call, asyncio.Future[Reading]] = {}
        self._closed = False

    async def read(self, endpoint: Endpoint, query: str, timeout: float) -> Reading:
        """The one number that `query` gives now, or why there is none; ends within `timeout` seconds."""
        asked = Asked(endpoint.address, query, timeout)
        if self._closed:
            return asked.unknown(Unknown.NOT_ASKED, "the operator is stopping")
        try:
            threads = self._threads_of(endpoint)
        except AddressInvalid as error:
            return Reading(None, Unknown.UNREACHABLE, str(error))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reading] = loop.create_future()
        call = Call(asked, headers_of(endpoint))
        self._calls[call] = answer

        def deliver(reading: Reading) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, answer, reading)

        threads.submit(call, deliver)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            return timed_out(asked, started=call.started, others=self._most_threads)
        finally:
            del self._calls[call]
            if not answer.done() or answer.cancelled():
                call.abort()

    async def aclose(self) -> None:
        """Cut off what is under way and close all connections; later readings are NotAsked."""
        self._closed = True
        for call, answer in self._calls.items():
            call.abort()
            _settle(answer, call.asked.unknown(Unknown.NOT_ASKED, "the operator is stopping"))
        while self._servers:
            self._servers.popitem()[1].close()

    def _threads_of(self, endpoint: Endpoint) -> _Threads:
        key = (endpoint.address, endpoint.ca, endpoint.server_name)
        threads = self._servers.pop(key, None)
        if threads is None:
            target, trust = Target.of(endpoint.address), Trust(endpoint.ca, endpoint.server_name)
            threads = _Threads(target, trust, self._most_threads, self._destinations)
        self._servers[key] = threads
        now = threads.used = time.monotonic()
        while len(self._servers) > self._most_addresses or self._oldest().used < now - ADDRESS_IDLE_SECONDS:
            self._servers.popitem(last=False)[1].close()
        return threads

    def _oldest(self) -> _Threads:
        return next(iter(self._servers.values()))


def _settle(answer: asyncio.Future[Reading], reading: Reading) -> None:
    if not answer.done():
        answer.set_result(reading)


_Deliver = Callable[[Reading], None]


class _Threads:
    """The threads of one address. They begin as they are needed and end when idle, or closed and out of work."""

    def __init__(self, target: Target, trust: Trust, most: int, destinations: Destinations) -> None:
        self.used = 0.0
        self._target = target
        self._trust = trust
        self._most = most
        self._destinations = destinations
        self._waiting: deque[tuple[Call, _Deliver]] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._busy = 0
        self._closed = False

    def submit(self, call: Call, deliver: _Deliver) -> None:
        """Ask when a thread is free; `deliver` is called from that thread, unless the call is aborted before."""
        with self._changed:
            self._waiting.append((call, deliver))
            if len(self._waiting) + self._busy > self._running and self._running < self._most:
                self._running += 1
                threading.Thread(target=self._work, name=f"prometheus {self._target.host}", daemon=True).start()
            else:
                self._changed.notify()

    def close(self) -> None:
        """No new work: threads end, and close their connections, once they have carried out what is waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        session = Session(self._target, self._trust, destinations=self._destinations)
        client = PrometheusConnect(self._target.base, session=cast("requests.Session", session))
        try:
            while (work := self._next()) is not None:
                call, deliver = work
                reading = _ask(client, session, call)
                with self._changed:
                    self._busy -= 1  # before the answer is out: who asks again at once shall find this thread free
                if reading is not None:
                    deliver(reading)
        finally:
            session.close()

    def _next(self) -> tuple[Call, _Deliver] | None:
        """What is to be asked next; None when it is time to end."""
        with self._changed:
            while not self._waiting:
                woken = not self._closed and self._changed.wait(THREAD_IDLE_SECONDS)
                if not woken and not self._waiting:
                    self._running -= 1
                    return None
            self._busy += 1
            return self._waiting.popleft()


def _ask(client: PrometheusConnect, session: Session, call: Call) -> Reading | None:
    """The reading, or None where nobody waits for it any longer. Blocks for as long as the call lasts."""
    asked = call.asked
    if call.aborted:
        return None
    call.started = True
    session.begin(call)
    client.headers = dict(call.headers)
    try:
        # the server is told how long it may take, so that it does not go on for nobody
        client.custom_query(asked.query, params={"timeout": f"{call.left():.3f}"})
    except Aborted:
        return None
    except TooLong as error:
        return too_long(asked, error.beginning, MOST_BYTES)
    except TrustInvalid:
        return asked.unknown(Unknown.SECRET_INVALID, f"the ca that is given for {asked.where} is no PEM certificate")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is why there is no reading; the waiter must hear of it
        if session.answer is None:
            return failed(asked, error)
        # an answer that the client cannot read (it only looks for data.result) is judged as a whole all the same
    answer = session.answer
    if answer is None:
        return failed(asked, ConnectionError())
    return judge(asked, answer.status_code, answer.headers, answer.parsed())


__all__ = ["PrometheusSource"]

"""The series that are drawn, from Prometheus. Whatever viewers do, no decision waits for them: few queries at once,
none while decisions need the server or it does not answer, each asked once for all viewers, bounded in points, bytes
and time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncrollout.act.target import behalf_of
from syncrollout.decide.facts import Part, Problem, Reading
from syncrollout.decide.phrases import clip
from syncrollout.observe.aggregates import reduced
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.masks import masked
from syncrollout.observe.queries import QueryError
from syncrollout.ports import ApiError, Endpoint, Moments, SeriesSource, SeriesUnknown
from syncrollout.ui import charts
from syncrollout.ui.charts import Stretch, Wanted
from syncrollout.ui.looking import Seen
from syncrollout.ui.rows import Json

AT_ONCE: Final = 2
"""Queries of all viewers that are under way at one moment, and one of each Prometheus."""
MOST_WAITING: Final = 256
"""Queries that wait for that."""
MOST_KEPT: Final = 1024
"""Series that are kept."""
PATIENCE: Final = 5.0
"""Seconds that one query may take at most."""
WAITS: Final = 10.0
"""Seconds for which a query waits for a Prometheus that has more important things to do."""
LOOKS: Final = 0.05
"""Seconds between two looks whether it has time."""
TRY_AGAIN: Final = 10.0
"""Seconds after which something that could not be had is asked for again."""
SLOW: Final = 0.8
"""The part of its time-out that a query takes at least where the server, and not the query, is the trouble."""
_BUSY: Final = (
    "Prometheus is busy with the queries that decisions rest on, or does not answer: drawn as soon as it can be"
)
_CROWD: Final = "too many series are being asked for: drawn as soon as it can be"

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    endpoint: Endpoint
    query: str
    moments: Moments


@dataclass(slots=True)
class _Kept:
    task: asyncio.Task[Values]
    until: float = float("inf")
    """Loop time after which it is asked anew, where it has failed."""


class Recordings:
    """Series for viewers. `has_time` says whether a Prometheus may be asked what no decision rests on."""

    def __init__(
        self,
        source: SeriesSource,
        credentials: Credentials,
        *,
        has_time: Callable[[Endpoint], bool],
        now: Callable[[], float],
    ) -> None:
        self._source = source
        self._credentials = credentials
        self._has_time = has_time
        self._now = now
        self._kept: OrderedDict[_Question, _Kept] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._lines: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sick: dict[Endpoint, tuple[float, str]] = {}

    async def of(self, seen: Seen, stretch: Stretch) -> Json:
        """The series of a rollout, each with its values from `start` on, one every `step` seconds, or why there are
        none."""
        spec, status = seen.spec, seen.status
        moments = charts.moments(status, stretch, self._now())
        made: Json = {"start": moments.start, "step": moments.step, "stretch": stretch.value, "series": [], "why": ""}
        if spec.prometheus is None:
            return {**made, "why": "This rollout has no Prometheus."}
        try:
            endpoint = await self._credentials.endpoint(spec.prometheus, behalf_of(spec, seen.rollout.namespace))
        except ApiError as error:
            return {**made, "why": clip(masked(str(error)), 400)}
        if isinstance(endpoint, Problem):
            return {**made, "why": clip(masked(endpoint.message), 400)}
        timeout = min(spec.prometheus.timeout, PATIENCE)
        wanted = charts.wanted(spec, status)
        phase = status.phase.name if status.phase is not None else ""
        made["series"] = await asyncio.gather(
            *(self._one(each, seen, endpoint, moments, phase=phase, timeout=timeout) for each in wanted)
        )
        return made

    async def close(self) -> None:
        """Ask for nothing any more."""
        tasks = [kept.task for kept in self._kept.values() if not kept.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kept.clear()

    async def _one(
        self, wanted: Wanted, seen: Seen, endpoint: Endpoint, moments: Moments, *, phase: str, timeout: float
    ) -> Json:
        made: Json = {"metric": wanted.name, "side": wanted.side.value, "values": [], "why": ""}
        name, namespace = seen.rollout.name, seen.rollout.namespace
        try:
            question = _Question(endpoint, charts.query(wanted, seen.spec, namespace, name, phase), moments)
            made["values"] = await asyncio.shield(self._ask(question, wanted, timeout))
        except (SeriesUnknown, QueryError) as error:
            made["why"] = clip(masked(str(error).partition("; query: ")[0]), 400)
        return made

    def _ask(self, question: _Question, wanted: Wanted, timeout: float) -> asyncio.Task[Values]:
        """One that is kept, or under way, or begins now. Raises SeriesUnknown where there is no room for another."""
        loop = asyncio.get_running_loop()
        kept = self._kept.get(question)
        if kept is None or loop.time() >= kept.until or kept.task.cancelled():
            if sum(not each.task.done() for each in self._kept.values()) >= MOST_WAITING:
                raise SeriesUnknown(_CROWD)
            kept = self._kept[question] = _Kept(loop.create_task(self._read(question, wanted, timeout)))
            kept.task.add_done_callback(lambda task, of=kept: _ended(task, of))  # type: ignore[misc]
        self._kept.move_to_end(question)
        self._forget()
        return kept.task

    def _forget(self) -> None:
        for question in [each for each, kept in self._kept.items() if kept.task.done()]:
            if len(self._kept) <= MOST_KEPT:
                return
            del self._kept[question]

    async def _read(self, question: _Question, wanted: Wanted, timeout: float) -> Values:
        endpoint = question.endpoint
        async with self._lines[endpoint.address]:
            await self._leisure(endpoint)
            async with self._turns:
                return await self._sent(question, wanted, timeout)

    async def _sent(self, question: _Question, wanted: Wanted, timeout: float) -> Values:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await self._source.series(
                question.endpoint, question.query, question.moments, timeout, _reduce(wanted)
            )
        except SeriesUnknown as error:
            if loop.time() - began >= SLOW * timeout:
                # All that wait behind it would each take as long: they are told so at once.
                self._sick[question.endpoint] = (loop.time() + TRY_AGAIN, str(error))
            raise

    async def _leisure(self, endpoint: Endpoint) -> None:
        """Wait until the Prometheus has time. Raises SeriesUnknown where it has none for long, or is of no use."""
        loop = asyncio.get_running_loop()
        until, why = self._sick.get(endpoint, (0.0, ""))
        if loop.time() < until:
            raise SeriesUnknown(why)
        self._sick.pop(endpoint, None)
        ends = loop.time() + WAITS
        while not self._has_time(endpoint):
            if loop.time() >= ends:
                self._sick[endpoint] = (loop.time() + TRY_AGAIN, _BUSY)
                raise SeriesUnknown(_BUSY)
            await asyncio.sleep(LOOKS)


def _ended(task: asyncio.Task[Values], kept: _Kept) -> None:
    """What failed is asked for again after a while; its error belongs to those who have waited for it."""
    if not task.cancelled() and task.exception() is not None:
        kept.until = task.get_loop().time() + TRY_AGAIN


def _reduce(wanted: Wanted) -> Callable[[Reading], Reading]:
    metric = wanted.metric
    if metric is None:
        return lambda reading: reading
    return lambda reading: reduced(metric, Part.VALUE, reading)


__all__ = ["Recordings"]

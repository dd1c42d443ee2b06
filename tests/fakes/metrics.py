"""A Prometheus in memory at the MetricsSource port: what each query gives is a script, waiting is asyncio's, so that a
virtual-time loop drives it. Answers are judged by the same code as a real Prometheus', and `tests/contract` runs the
same cases on both.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe.prometheus_answers import Asked, failed, judge, timed_out
from syncrollout.ports import Endpoint

Outcome = float | Sequence[float] | Unknown | None
"""What a query gives: one number, one for each series, or what is wrong; None: no series."""
Script = Outcome | Callable[[str, float], Outcome]
"""An outcome, or how it follows from the query and the loop's time in seconds."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query as it came. `at` is the loop's time in seconds."""

    at: float
    endpoint: Endpoint
    query: str
    timeout: float


class FakeMetrics:
    """`syncrollout.ports.MetricsSource`. Without a script a query has no data, as in an empty Prometheus."""

    def __init__(self, *, latency: float = 0.0) -> None:
        self.latency = latency
        """Seconds until an answer."""
        self.asked: list[Query] = []
        self._exact: dict[str, Script] = {}
        self._patterns: dict[re.Pattern[str], Script] = {}
        self._faults: dict[str | None, Unknown] = {}

    def set(self, query: str | re.Pattern[str], script: Script) -> None:
        """What a query gives from now on: by its text, or by a pattern found in it (the one set last wins)."""
        if isinstance(query, str):
            self._exact[query] = script
        else:
            self._patterns.pop(query, None)
            self._patterns[query] = script

    def unset(self, query: str | re.Pattern[str]) -> None:
        """It has no data any longer."""
        if isinstance(query, str):
            self._exact.pop(query, None)
        else:
            self._patterns.pop(query, None)

    def fail(self, how: Unknown, *, address: str | None = None) -> None:
        """Every query of an address (None: of any) is answered so, from now on."""
        self._faults[address] = how

    def mend(self, *, address: str | None = None) -> None:
        """The end of `fail`."""
        self._faults.pop(address, None)

    async def read(self, endpoint: Endpoint, query: str, timeout: float) -> Reading:
        """See the port."""
        now = asyncio.get_running_loop().time()
        self.asked.append(Query(now, endpoint, query, timeout))
        asked = Asked(endpoint.address, query, timeout)
        if self.latency > timeout:
            await asyncio.sleep(timeout)
            return timed_out(asked, started=True)
        await asyncio.sleep(self.latency)
        outcome = self._outcome(endpoint.address, query, now)
        if outcome is Unknown.TIMEOUT:
            await asyncio.sleep(timeout - self.latency)
            return timed_out(asked, started=True)
        if outcome is Unknown.UNREACHABLE:
            return failed(asked, ConnectionRefusedError())
        if isinstance(outcome, Unknown):
            if outcome in _ANSWERS:
                status, body = _ANSWERS[outcome]
                return judge(asked, status, {}, json.loads(body))
            return asked.unknown(outcome, f"{asked.where} is told to give {outcome.value}")
        if outcome is None:
            outcome = ()
        values = (outcome,) if isinstance(outcome, int | float) else outcome
        return judge(asked, 200, {}, json.loads(_vector(values)))

    def _outcome(self, address: str, query: str, now: float) -> Outcome:
        for fault in (self._faults.get(address), self._faults.get(None)):
            if fault is not None:
                return fault
        if not _balanced(query):
            return Unknown.QUERY_INVALID
        script = self._exact.get(query)
        if query not in self._exact:
            found = [script for pattern, script in self._patterns.items() if pattern.search(query)]
            script = found[-1] if found else None
        return script(query, now) if callable(script) else script


def _vector(values: Sequence[float]) -> str:
    result = [{"metric": {"series": str(at)}, "value": [0, _number(value)]} for at, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


def _body(**data: Any) -> str:
    return json.dumps({"status": "success", "data": data})


def _error(kind: str, said: str) -> str:
    return json.dumps({"status": "error", "errorType": kind, "error": said})


_ANSWERS = {
    Unknown.NO_DATA: (200, _vector([])),
    Unknown.NOT_A_NUMBER: (200, _vector([math.nan])),
    Unknown.INFINITE: (200, _vector([math.inf])),
    Unknown.MANY_SERIES: (200, _vector([1.0, 2.0])),
    Unknown.NOT_A_VECTOR: (200, _body(resultType="matrix", result=[])),
    Unknown.QUERY_INVALID: (400, _error("bad_data", 'invalid parameter "query": parse error')),
    Unknown.REFUSED: (401, "null"),
    Unknown.SERVER_ERROR: (503, "null"),
}


def _balanced(query: str) -> bool:
    """The one thing about PromQL that the fake knows: brackets outside string literals close in order."""
    closing = {"(": ")", "[": "]", "{": "}"}
    expected: list[str] = []
    for each in re.findall(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`|[()\[\]{}]', query):
        if each in closing:
            expected.append(closing[each])
        elif each in ")]}" and (not expected or expected.pop() != each):
            return False
    return not expected

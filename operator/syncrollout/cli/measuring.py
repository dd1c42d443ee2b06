"""Series of Prometheus for a diagnosis: asked directly, or else through the API server's proxy of its Service, for the
address in the spec is most often one that is known within the cluster alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from syncrollout.backtest.history import AT_ONCE, History, HistoryError, Moments, Recorded
from syncrollout.backtest.prometheus import PrometheusHistory, RecordedSeries
from syncrollout.cli.answers import Failed
from syncrollout.decide.facts import Reading
from syncrollout.diagnosis.trend import Series
from syncrollout.observe.prometheus_answers import Asked, over_time
from syncrollout.ports import Endpoint

SAMPLES: Final = 120
"""Moments of a series."""
_PROBE: Final = "vector(1)"
_IN_CLUSTER: Final = 2
"""Parts of a host that is a Service and a namespace."""


class Silent(Exception):
    """Prometheus gives no answer. The message says what was tried, and why not."""


class ProxiedHistory:
    """History of a Prometheus behind the API server. No credentials can be presented to it on this way."""

    def __init__(self, raw: Callable[[str], str], base: str, address: str) -> None:
        self._raw = raw
        self._base = base
        self._address = address

    def read(self, query: str, moments: Moments) -> Recorded:
        """See History."""
        asked = Asked(self._address, query, 0.0)
        times = {"start": moments.start / 1000, "end": moments.end / 1000, "step": moments.step / 1000}
        try:
            text = self._raw(f"{self._base}/api/v1/query_range?{urlencode({'query': query} | times, quote_via=quote)}")
            body: Any = json.loads(text)
        except Failed as error:
            raise HistoryError(str(error)) from error
        except ValueError as error:
            msg = f"what answers at {self._base} is not the HTTP API of Prometheus"
            raise HistoryError(msg) from error
        series = over_time(asked, 200, {}, body)
        if isinstance(series, Reading):
            raise HistoryError(series.message)
        return RecordedSeries(asked, body, series)

    def abort(self) -> None:
        """See History; kubectl ends by its own time-out."""


def proxy(address: str) -> str:
    """The path of the API server by which it reaches a Service, for an address such as http://prometheus.monitoring:9090;
    empty where the address is none of a Service of the cluster."""
    parts = urlsplit(address)
    labels = (parts.hostname or "").split(".")
    if ".." in parts.path.split("/"):
        return ""
    if len(labels) < _IN_CLUSTER or (len(labels) > _IN_CLUSTER and labels[2] != "svc"):
        return ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ""
    scheme = "https:" if parts.scheme == "https" else ""
    service = f"{scheme}{labels[0]}:{port}"
    return f"/api/v1/namespaces/{labels[1]}/services/{service}/proxy{parts.path.rstrip('/')}"


@dataclass(slots=True)
class Measuring:
    """A Prometheus that answers, and the moments that are asked for."""

    history: History
    moments: Moments

    @classmethod
    def found(
        cls, endpoint: Endpoint, raw: Callable[[str], str], *, timeout: float, now: float, look_back: float
    ) -> Measuring:
        """By the first way that leads there. Raises Silent."""
        step = max(1000, round(look_back / SAMPLES) * 1000)
        count = max(2, int(look_back * 1000 / step))
        moments = Moments(round(now) * 1000 - (count - 1) * step, step, count)
        said = []
        for how, history in _ways(endpoint, raw, timeout):
            try:
                history.read(_PROBE, moments.part(moments.count - 2, 2))
            except HistoryError as error:
                said.append(f"{how}: {str(error).partition('; query: ')[0]}")
                continue
            return cls(history, moments)
        raise Silent("; ".join(said))

    def all(self, queries: Mapping[str, str]) -> tuple[dict[str, Series], dict[str, str]]:
        """The series of each query, empty where there is no data, and what was said of those that failed."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip(queries, pool.map(self._one, queries.values()), strict=True))
        failed = {name: each for name, each in found.items() if isinstance(each, str)}
        return {name: each for name, each in found.items() if not isinstance(each, str)}, failed

    def _one(self, query: str) -> Series | str:
        try:
            recorded = self.history.read(query, self.moments)
        except HistoryError as error:
            return str(error)
        made = []
        for number in range(self.moments.count):
            moment = self.moments.start + number * self.moments.step
            value = recorded.at(moment).value
            if value is not None:
                made.append((moment / 1000, value))
        return tuple(made)


def _ways(endpoint: Endpoint, raw: Callable[[str], str], timeout: float) -> Iterator[tuple[str, History]]:
    try:
        yield "directly", PrometheusHistory(endpoint, timeout, mend="give --token-file or --login-file")
    except HistoryError as error:
        raise Silent(str(error)) from error
    path = proxy(endpoint.address)
    if path:
        yield "through the API server", ProxiedHistory(raw, path, endpoint.address)


__all__ = ["Measuring", "ProxiedHistory", "Silent", "proxy"]

"""History on the HTTP API of Prometheus: range queries, each answer taken apart into the readings of its moments.

A range query evaluates its expression at each step as an instant query would at that time, lookback included. So the
series of one step are what an operator would have been given, and the same code judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncrollout.api.words import Unknown
from syncrollout.backtest.history import HistoryError, Moments, TooMuch
from syncrollout.decide.facts import Reading
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.observe.prometheus_answers import Asked, failed, of_series, over_time, timed_out, warnings
from syncrollout.observe.prometheus_http import (
    AddressInvalid,
    Answer,
    Call,
    Session,
    Target,
    TooLong,
    Trust,
    TrustInvalid,
    headers_of,
)
from syncrollout.ports import Endpoint

MOST_BYTES: Final = 8 << 20
"""Of one answer; one series over as many moments as Prometheus gives takes 300 kB."""
FILES: Final = "Secrets that the spec names are not read here: give --token-file or --login-file"
_TOO_MUCH: Final = ("too many samples", "maximum resolution", "too many points", "query timed out")
"""What Prometheus, and those that speak like it, say of a query that they can carry out for a shorter time."""


class RecordedSeries:
    """The series of a range answer, looked at one moment at a time."""

    def __init__(self, asked: Asked, body: Mapping[str, Any], series: list[Any]) -> None:
        """Raises HistoryError where the series are not what the API of Prometheus describes."""
        self.warning = warnings(asked, body)
        self._asked = asked
        self._body = body
        self._moments: dict[int, list[Any]] = {}
        try:
            for each in series:
                for several, one in (("values", "value"), ("histograms", "histogram")):
                    for sample in each.get(several, ()):
                        found = self._moments.setdefault(round(sample[0] * 1000), [])
                        found.append({"metric": each.get("metric"), one: sample})
        except (AttributeError, IndexError, TypeError) as error:
            msg = f"{asked.where} answers with series of a form that it should not have; query: {asked.what}"
            raise HistoryError(msg) from error

    def at(self, moment: int) -> Reading:
        """The reading at this moment, milliseconds since the epoch."""
        return of_series(self._asked, self._body, self._moments.get(moment, []))


class PrometheusHistory:
    """History of one Prometheus. Each question has a connection of its own: there are few, and each takes long."""

    def __init__(
        self,
        endpoint: Endpoint,
        timeout: float,
        *,
        mend: str = FILES,
        most_bytes: int = MOST_BYTES,
        destinations: Destinations = ANYWHERE,
    ) -> None:
        """`mend`: what to do where credentials are refused; `most_bytes` are read of one answer. Raises HistoryError
        for an address that cannot be one."""
        self._endpoint = endpoint
        self._mend = mend
        self._timeout = timeout
        self._most_bytes = most_bytes
        self._destinations = destinations
        self._trust = Trust(endpoint.ca, endpoint.server_name)
        self._calls: set[Call] = set()
        try:
            self._target = Target.of(endpoint.address)
        except AddressInvalid as error:
            raise HistoryError(str(error)) from error

    def read(self, query: str, moments: Moments) -> RecordedSeries:
        """See the port."""
        asked = Asked(self._endpoint.address, query, self._timeout)
        answer = self._ask(asked, moments)
        body = answer.parsed()
        series = over_time(asked, answer.status_code, answer.headers, body)
        if isinstance(series, Reading):
            if series.unknown is Unknown.REFUSED:
                raise HistoryError(f"{series.message}; {self._mend}")
            raise (TooMuch if _is_too_much(body) else HistoryError)(series.message)
        return RecordedSeries(asked, body, series)

    def abort(self) -> None:
        """See the port."""
        for call in tuple(self._calls):
            call.abort()

    def _ask(self, asked: Asked, moments: Moments) -> Answer:
        session = Session(self._target, self._trust, self._most_bytes, destinations=self._destinations)
        call = Call(asked, headers_of(self._endpoint))
        session.begin(call)
        self._calls.add(call)
        parameters = {
            "query": asked.query,
            "start": f"{moments.start / 1000:.3f}",
            "end": f"{moments.end / 1000:.3f}",
            "step": f"{moments.step / 1000:.3f}",
            # a little less than is waited for: the server then says that it gave up, and is asked for a shorter time
            "timeout": f"{0.9 * asked.timeout:.3f}",
        }
        url = f"{self._target.base}/api/v1/query_range"
        try:
            return session.request("GET", url, params=parameters, headers=call.headers)
        except TooLong as error:
            size = f"more than {self._most_bytes // 1024} KiB"
            sentence = f"{asked.where} gives {size} for {moments.count} moments: aggregate, for example with sum(...)"
            raise TooMuch(f"{sentence}; query: {asked.what}") from error
        except TimeoutError as error:
            raise HistoryError(timed_out(asked, started=True).message) from error
        except TrustInvalid as error:
            msg = f"the file of certificate authorities for {asked.where} is not PEM"
            raise HistoryError(msg) from error
        except Exception as error:
            raise HistoryError(failed(asked, error).message) from error
        finally:
            self._calls.discard(call)
            session.close()


def _is_too_much(body: Any) -> bool:
    said = str(body.get("error", "")) if isinstance(body, dict) else ""
    return any(each in said for each in _TOO_MUCH)


__all__ = ["PrometheusHistory", "RecordedSeries"]

"""What an answer of Prometheus means: from status and body, or from what went wrong, to a Reading. Pure.

Every reading without a value says in one sentence what is wrong, where, and what to do. Addresses are shown without
user names. Of what a server says, only an error in Prometheus' own form is repeated: an address is written by whoever
writes the rollout, and must not become a way to read what other servers answer.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException
from typing import Any
from urllib.parse import urlsplit

from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading, Series
from syncrollout.net.destinations import Refused

SHOWN_QUERY = 240
SHOWN_ERROR = 300
_RESULT_TYPE = re.compile(rb'"resultType"\s*:\s*"(vector|matrix|scalar|string)"')
_NUMBER = re.compile(r"NaN|[+-]?(Inf|[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?)")
_WRONG_VERSION = {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
_AGGREGATE = "a metric needs one number: aggregate it, for example sum(...) or max(...)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, for the sentences: the address as written in the spec, the query, the time-out in seconds."""

    address: str
    query: str
    timeout: float

    @property
    def where(self) -> str:
        """The server by its address, without credentials."""
        return f"Prometheus at {shown_address(self.address)}"

    @property
    def what(self) -> str:
        """The query on one line, cut where it is long."""
        return shorten(self.query, SHOWN_QUERY)

    def unknown(self, reason: Unknown, sentence: str) -> Reading:
        """A reading without a value; the sentence is followed by the query."""
        return Reading(None, reason, f"{sentence}; query: {self.what}")


def shorten(text: str, longest: int) -> str:
    """Printable text on one line, at most `longest` characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def shown_address(address: str) -> str:
    """An address without user name and password."""
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return shorten(f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}", SHOWN_QUERY)


# ------------------------------------------------------------------------------------------------ answers


def judge(asked: Asked, status: int, headers: Mapping[str, str], body: Any) -> Reading:
    """The reading that an HTTP answer gives. `headers` by their names in small letters; `body` is
    the parsed JSON, or None where it is not JSON."""
    refusal = _refusal(asked, status, headers, body)
    return _success(asked, headers, body) if refusal is None else refusal


def over_time(asked: Asked, status: int, headers: Mapping[str, str], body: Any) -> list[Any] | Reading:
    """The series that the HTTP answer to a range query holds, or the reading that says why there are none."""
    refusal = _refusal(asked, status, headers, body)
    if refusal is not None:
        return refusal
    data = body.get("data") if isinstance(body, dict) and body.get("status") == "success" else None
    result = data.get("result") if isinstance(data, dict) and data.get("resultType") == "matrix" else None
    return result if isinstance(result, list) else _not_prometheus(asked, 200, headers)


def _refusal(asked: Asked, status: int, headers: Mapping[str, str], body: Any) -> Reading | None:
    """What an answer means that is none; None where it is one."""
    if status in (401, 403):
        return asked.unknown(
            Unknown.REFUSED,
            f"{asked.where} refuses the credentials (HTTP {status}): check bearerToken or basicAuth in "
            "spec.prometheus, and what the account may read",
        )
    if isinstance(body, dict) and body.get("status") == "error":
        return _error(asked, status, body)
    if status == 200:
        return None
    if 300 <= status < 400:
        target = shown_address(urlsplit(headers.get("location", ""))._replace(query="", fragment="").geturl())
        return asked.unknown(
            Unknown.UNREACHABLE,
            f"{asked.where} sends elsewhere (HTTP {status}, to {target or 'nowhere'}), which is not followed: "
            "write the address of Prometheus itself in spec.prometheus.address",
        )
    if status >= 500 or status == 429:
        busy = "is overloaded" if status in (429, 503) else "fails"
        return asked.unknown(Unknown.SERVER_ERROR, f"{asked.where} {busy} ({_phrase(status)}): look at its own log")
    return _not_prometheus(asked, status, headers)


def too_long(asked: Asked, beginning: bytes, most: int) -> Reading:
    """The reading of an answer that was cut off after `most` bytes; `beginning` is what was read of it."""
    kind = _RESULT_TYPE.search(beginning[:1024])
    size = f"more than {most // 1024} KiB"
    if kind is not None and kind.group(1) == b"vector":
        return asked.unknown(Unknown.MANY_SERIES, f"{asked.where} gives {size} of series; {_AGGREGATE}")
    if kind is not None and kind.group(1) == b"matrix":
        return asked.unknown(Unknown.NOT_A_VECTOR, f"{asked.where} gives {size} of series over time; {_AGGREGATE}")
    return asked.unknown(
        Unknown.SERVER_ERROR,
        f"{asked.where} answers with {size}, which is not read on: check spec.prometheus.address",
    )


def _error(asked: Asked, status: int, body: Mapping[str, Any]) -> Reading:
    said = shorten(str(body.get("error", "no reason given")), SHOWN_ERROR)
    kind = body.get("errorType")
    if kind == "bad_data":
        return asked.unknown(Unknown.QUERY_INVALID, f"{asked.where} does not accept the query: {said}")
    if kind == "timeout":
        return asked.unknown(
            Unknown.TIMEOUT,
            f"{asked.where} gave up on the query: {said}; make the query cheaper (a recording rule, a shorter window) "
            "or raise spec.prometheus.timeout",
        )
    if kind == "execution":
        return asked.unknown(Unknown.SERVER_ERROR, f"{asked.where} could not carry out the query: {said}")
    return asked.unknown(Unknown.SERVER_ERROR, f"{asked.where} fails ({_phrase(status)}): {said}")


def _not_prometheus(asked: Asked, status: int, headers: Mapping[str, str]) -> Reading:
    kind = shorten(headers.get("content-type", "no content type").partition(";")[0], 40)
    return asked.unknown(
        Unknown.UNREACHABLE,
        f"what answers at {shown_address(asked.address)} is not the HTTP API of Prometheus ({_phrase(status)}, "
        f"{kind}): check scheme, host, port and path prefix of spec.prometheus.address",
    )


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _success(asked: Asked, headers: Mapping[str, str], body: Any) -> Reading:
    data = body.get("data") if isinstance(body, dict) and body.get("status") == "success" else None
    if not isinstance(data, dict):
        return _not_prometheus(asked, 200, headers)
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        return _number(asked, body, result)
    if kind in ("matrix", "string"):
        kinds = {"matrix": "a range of values over time", "string": "a text"}
        return asked.unknown(
            Unknown.NOT_A_VECTOR,
            f"the query gives {kinds[kind]}, but {_AGGREGATE if kind == 'string' else _REDUCE}",
        )
    if kind != "vector" or not isinstance(result, list):
        return _not_prometheus(asked, 200, headers)
    return of_series(asked, body, result)


def of_series(asked: Asked, body: Mapping[str, Any], result: list[Any]) -> Reading:
    """The reading that the series of one moment give; `body` is the answer they came with."""
    if not result:
        return asked.unknown(
            Unknown.NO_DATA,
            f"{asked.where} has no data for the query: check that the metric is scraped and its labels match",
        )
    if len(result) > 1:
        many = asked.unknown(
            Unknown.MANY_SERIES, f"the query gives {len(result)} series{_differing(result)}; {_AGGREGATE}"
        )
        return replace(many, series=Series(tuple(_value(each) for each in result), warnings(asked, body)))
    series = result[0]
    if isinstance(series, dict) and "histogram" in series:
        return asked.unknown(
            Unknown.NOT_A_NUMBER,
            "the query gives a native histogram: take a number of it, for example histogram_quantile(0.99, ...)",
        )
    return _number(asked, body, series.get("value") if isinstance(series, dict) else None)


_REDUCE = "a metric needs one number now: leave the range [...] out, or put a function such as rate(...) around it"


def _differing(result: list[Any]) -> str:
    """The labels in which series differ: what an aggregation has to take away."""
    labels = [
        each["metric"] for each in result[:100] if isinstance(each, dict) and isinstance(each.get("metric"), dict)
    ]
    names = sorted({str(name) for each in labels for name in each})
    differ = [name for name in names if len({str(each.get(name)) for each in labels}) > 1]
    return f", which differ in {shorten(', '.join(differ), 120)}" if differ else ""


def _value(series: Any) -> float | None:
    """The number of one of several series; None where it has none."""
    try:
        return _float(series["value"][1])
    except (KeyError, IndexError, TypeError):
        return None


def _float(text: Any) -> float | None:
    """A number as the API writes it, which is a text. Python reads more than that as one, such as 1_0 and true."""
    return float(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else None


def _number(asked: Asked, body: Mapping[str, Any], sample: Any) -> Reading:
    value = _float(sample[1]) if isinstance(sample, list) and len(sample) == 2 else None
    if value is None:
        return asked.unknown(Unknown.NOT_A_NUMBER, f"{asked.where} gives a value that is no number")
    if math.isnan(value):
        return asked.unknown(
            Unknown.NOT_A_NUMBER,
            "the query gives NaN: often a division of nothing by nothing, while there is no work to count yet",
        )
    if math.isinf(value):
        return asked.unknown(
            Unknown.INFINITE,
            "the query gives an infinite number: often a division by zero; check what it is divided by",
        )
    return Reading(value, None, warnings(asked, body))


def warnings(asked: Asked, body: Mapping[str, Any]) -> str:
    """What a server says against its own answer, in one sentence; empty where it says nothing."""
    # a value that is incomplete (a store of Thanos is away, a vmstorage is down) is still a value; the reader is told
    said = body.get("warnings")
    if isinstance(said, list) and said:
        return f"{asked.where} warns: {shorten('; '.join(str(each) for each in said[:3]), SHOWN_ERROR)}"
    return f"{asked.where} says that its answer is partial" if body.get("isPartial") is True else ""


# ------------------------------------------------------------------------------------------------ no answer


def timed_out(asked: Asked, *, started: bool, others: int = 0) -> Reading:
    """Nothing came in time. `started`: the question was sent, or at least begun; else it waited behind `others`."""
    seconds = f"{asked.timeout:g} s"
    if started:
        return asked.unknown(
            Unknown.TIMEOUT,
            f"{asked.where} did not answer within {seconds}: it hangs, is overloaded or cannot be reached from here; "
            "spec.prometheus.timeout sets the limit",
        )
    return asked.unknown(
        Unknown.TIMEOUT,
        f"{asked.where} is so slow that the query was not even sent within {seconds}: {others} others are being waited "
        "for; look at the server's load and at the costliest queries",
    )


def failed(asked: Asked, error: Exception) -> Reading:
    """The reading of a connection that could not be made, or broke."""
    if isinstance(error, TimeoutError):
        return timed_out(asked, started=True)
    if isinstance(error, Refused):
        return asked.unknown(Unknown.DESTINATION_REFUSED, f"{asked.where} is not asked: {error}")
    return asked.unknown(Unknown.UNREACHABLE, f"{asked.where} cannot be reached: {_cause(error)}")


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = shorten(error.verify_message or "verification failed", 120)
        mend = "give its authority in spec.prometheus.ca, or its name in serverName; else mend the certificate"
        return f"its certificate is not trusted ({why}): {mend}"
    if isinstance(error, ssl.SSLError):
        if error.reason in _WRONG_VERSION:
            return "it does not speak TLS on this port: write http:// instead of https://"
        return f"TLS fails ({shorten(error.reason or str(error), 120)})"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror}): check the host name in spec.prometheus.address"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there; check host and port, and whether it is running"
    if isinstance(error, BadStatusLine) and not isinstance(error, ConnectionError):
        return "what answers there does not speak HTTP: check scheme and port of spec.prometheus.address"
    if isinstance(error, ConnectionError | HTTPException):
        return f"the connection broke ({type(error).__name__}) before an answer was complete"
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}; check the network and network policies in between"
    return f"{type(error).__name__}; check spec.prometheus.address"


__all__ = [
    "Asked",
    "failed",
    "judge",
    "of_series",
    "over_time",
    "shorten",
    "shown_address",
    "timed_out",
    "too_long",
    "warnings",
]

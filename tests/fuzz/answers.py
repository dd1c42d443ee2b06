"""What Prometheus, or whatever stands at its address, may answer: a number only where it gives exactly one, and else a
sentence that says why there is none."""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import Any

from fuzz.choices import Choices
from syncrollout.decide.facts import Reading
from syncrollout.observe.prometheus_answers import Asked, failed, judge, over_time, too_long
from syncrollout.observe.prometheus_http import MOST_BYTES, Answer

ASKED = Asked("http://somebody:secret@prometheus:9090/prefix", "sum(errors_total)", 3.0)
_STATUSES = (200, 200, 200, 200, 204, 301, 400, 401, 403, 404, 422, 429, 500, 503, 999)
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
"""As Go writes one, which is what Prometheus is written in."""
_SHOWN = 1200
"""Characters: a sentence, what the server says of it, and the query."""


def seeds() -> Iterator[bytes]:
    """Answers as Prometheus gives them."""
    vector = {"resultType": "vector", "result": [{"metric": {"job": "a"}, "value": [1.5, "0.25"]}]}
    many = {"resultType": "vector", "result": [{"metric": {"pod": str(n)}, "value": [1.5, "1"]} for n in range(2)]}
    for data in (
        vector,
        many,
        {"resultType": "scalar", "result": [1.5, "NaN"]},
        {"resultType": "string", "result": [1.5, "text"]},
        {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "1"], [2, "+Inf"]]}]},
        {"resultType": "vector", "result": [{"metric": {}, "histogram": [1.5, {"count": "1", "sum": "2"}]}]},
        {"resultType": "vector", "result": []},
    ):
        yield b"\0" + json.dumps({"status": "success", "data": data, "warnings": ["partial"]}).encode()
    for kind in ("bad_data", "timeout", "execution", "internal"):
        yield b"\6" + json.dumps({"status": "error", "errorType": kind, "error": "it is so"}).encode()
    yield b"\5<html>moved</html>"


def try_body(data: bytes) -> None:
    """The first byte is the status, the others are the body."""
    choices = Choices(data)
    answer = Answer(choices.of(_STATUSES), {"location": "http://elsewhere/?token=planted"}, choices.rest())
    _judged(answer)


def wires() -> Iterator[bytes]:
    """Whole answers, as they come through a socket."""
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "1"]}]}}).encode()
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    yield b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\nno healthy upstream"
    yield b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"
    yield b"SSH-2.0-OpenSSH_9.2p1\r\n"


def try_wire(data: bytes) -> None:
    """The bytes are what comes back from the address."""
    here, there = socket.socketpair()
    connection = HTTPConnection("prometheus", 9090)
    try:
        here.settimeout(1.0)
        there.settimeout(1.0)
        connection.sock = here
        connection.request("GET", "/api/v1/query?query=up")
        there.sendall(data[:65_536])
        there.shutdown(socket.SHUT_WR)
        response = connection.getresponse()
        content = response.read(MOST_BYTES + 1)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status, headers, content)
    except (OSError, HTTPException, ValueError) as error:
        _told(failed(ASKED, error))
        return
    finally:
        connection.close()
        there.close()
    _judged(answer)


def _judged(answer: Answer) -> None:
    body = answer.parsed()
    reading = judge(ASKED, answer.status_code, answer.headers, body)
    _told(reading)
    if reading.value is not None:
        assert answer.status_code == 200, "a number out of an answer that is no success"
        assert reading.value == _only_number(body)
    series = over_time(ASKED, answer.status_code, answer.headers, body)
    if isinstance(series, Reading):
        _told(series)
    _told(too_long(ASKED, answer.content[:1024], MOST_BYTES))


def _only_number(body: Any) -> float:
    """The one number of an answer, read by the letter of Prometheus' API."""
    assert body["status"] == "success"
    data = body["data"]
    assert data["resultType"] in ("vector", "scalar")
    if data["resultType"] == "vector":
        assert len(data["result"]) == 1
        sample = data["result"][0]["value"]
    else:
        sample = data["result"]
    assert isinstance(sample, list)
    assert len(sample) == 2
    assert isinstance(sample[1], str)
    assert _NUMBER.fullmatch(sample[1]), sample[1]
    return float(sample[1])


def _told(reading: Reading) -> None:
    """It is a finite number or has a reason, and what it says can be read and gives nothing away."""
    assert (reading.value is None) == (reading.unknown is not None)
    assert reading.value is None or math.isfinite(reading.value)
    assert reading.value is not None or reading.message
    assert "\n" not in reading.message
    assert "secret" not in reading.message
    assert "planted" not in reading.message
    assert len(reading.message) <= _SHOWN, len(reading.message)


__all__ = ["seeds", "try_body", "try_wire", "wires"]

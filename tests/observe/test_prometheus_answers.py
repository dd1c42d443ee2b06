"""What answers mean, where no server is needed to see it."""

from __future__ import annotations

import errno
import json
import socket
from typing import Any

import pytest

from observe.misbehaving import success
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading
from syncrollout.observe.prometheus_answers import Asked, failed, judge, shown_address

ASKED = Asked("http://prometheus.monitoring:9090/prefix", "sum(items)", 10.0)
ONE = [{"metric": {}, "value": [1.0, "3"]}]


def judged(kind: str, result: Any, **more: Any) -> Reading:
    return judge(ASKED, 200, {}, json.loads(success(kind, result, **more)))


def test_a_value_with_warnings_is_a_value_that_tells_of_them() -> None:
    reading = judged("vector", ONE, warnings=["store thanos-7 is away", "and another"])
    assert reading == Reading(
        3.0, None, "Prometheus at http://prometheus.monitoring:9090/prefix warns: store thanos-7 is away; and another"
    )


def test_a_partial_answer_is_told() -> None:
    reading = judged("vector", ONE, isPartial=True)
    assert reading.value == 3.0
    assert "partial" in reading.message


def test_a_native_histogram_is_no_number() -> None:
    reading = judged("vector", [{"metric": {}, "histogram": [1.0, {"count": "4", "sum": "9"}]}])
    assert reading.unknown is Unknown.NOT_A_NUMBER
    assert "histogram_quantile" in reading.message


@pytest.mark.parametrize(
    "value", [[1.0, "three"], [1.0, "1_0"], [1.0, 7], [1.0, True], [1.0, "7", "8"], "17", {"a": 1, "b": 2}]
)
def test_what_is_no_number_by_the_letter_of_the_api_is_none(value: Any) -> None:
    assert judged("vector", [{"metric": {}, "value": value}]).unknown is Unknown.NOT_A_NUMBER


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-1.5", -1.5), ("1e+06", 1e6), ("2.5e-07", 2.5e-7), ("+3", 3)])
def test_numbers_as_prometheus_writes_them_are_read(text: str, number: float) -> None:
    assert judged("vector", [{"metric": {}, "value": [1.0, text]}]).value == number


@pytest.mark.parametrize("result", [[{"metric": {}}], [None], [{"metric": {}, "value": [1.0, "three"]}], [[1, 2, 3]]])
def test_a_series_without_a_number_is_no_number(result: Any) -> None:
    assert judged("vector", result).unknown is Unknown.NOT_A_NUMBER


@pytest.mark.parametrize("body", [None, {}, {"status": "success"}, {"status": "success", "data": []}, "text", 7])
def test_what_is_not_in_the_form_of_prometheus_is_not_a_prometheus(body: Any) -> None:
    reading = judge(ASKED, 200, {}, body)
    assert reading.unknown is Unknown.UNREACHABLE
    assert "what answers at http://prometheus.monitoring:9090/prefix is not the HTTP API" in reading.message


def test_only_labels_that_differ_are_named() -> None:
    result = [{"metric": {"job": "sync", "pod": f"p{at}", "zone": "a"}, "value": [1, "1"]} for at in range(1000)]
    reading = judged("vector", result)
    assert reading.unknown is Unknown.MANY_SERIES
    assert "1000 series, which differ in pod;" in reading.message


def test_words_of_a_server_are_kept_to_one_short_line() -> None:
    body = {"status": "error", "errorType": "bad_data", "error": "line one\nline two\x1b[31m " + "x" * 10_000}
    reading = judge(ASKED, 400, {}, body)
    assert reading.unknown is Unknown.QUERY_INVALID
    assert "line one line two [31m xxx" in reading.message
    assert len(reading.message) < 700


def test_a_long_query_is_cut_in_the_message() -> None:
    reading = judge(Asked(ASKED.address, " + ".join(["sum(items)"] * 500), 10.0), 503, {}, None)
    assert reading.message.endswith("...")
    assert len(reading.message) < 500


@pytest.mark.parametrize("status", [429, 500, 502, 504, 599])
def test_a_server_in_trouble(status: int) -> None:
    reading = judge(ASKED, status, {}, None)
    assert reading.unknown is Unknown.SERVER_ERROR
    assert f"HTTP {status}" in reading.message


def test_a_name_that_does_not_resolve() -> None:
    reading = failed(ASKED, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert reading.unknown is Unknown.UNREACHABLE
    assert "its name cannot be resolved (Name or service not known): check the host name" in reading.message


def test_no_way_there() -> None:
    reading = failed(ASKED, OSError(errno.ENETUNREACH, "Network is unreachable"))
    assert reading.unknown is Unknown.UNREACHABLE
    assert "Network is unreachable; check the network and network policies" in reading.message


def test_an_address_is_shown_without_its_credentials() -> None:
    assert shown_address("https://reader:p4ss@word@host:9090/a@b") == "https://host:9090/a@b"
    assert shown_address("http://host:9090/prefix") == "http://host:9090/prefix"

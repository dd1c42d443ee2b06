"""The same cases on the fake past and on that of a real Prometheus."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from contract.history_cases import CASES, SERIES, START
from fakes.history import FakeHistory
from syncrollout.backtest.history import Archive, History, HistoryError, Moments
from syncrollout.backtest.prometheus import PrometheusHistory
from syncrollout.ports import Endpoint
from testbed import Prometheus
from testbed.prometheus import openmetrics

Case = Callable[[History], None]


@pytest.fixture(scope="module")
def recorded_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("history"), history=openmetrics(SERIES)) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_fake(case: Case) -> None:
    case(FakeHistory(SERIES))


@pytest.mark.cluster
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_real(case: Case, recorded_prometheus: Prometheus) -> None:
    case(PrometheusHistory(Endpoint(recorded_prometheus.address), timeout=30.0))


@pytest.mark.cluster
def test_a_path_that_a_real_prometheus_does_not_have(recorded_prometheus: Prometheus) -> None:
    history = PrometheusHistory(Endpoint(f"{recorded_prometheus.address}/prefix"), timeout=30.0)
    with pytest.raises(HistoryError, match="is not the HTTP API of Prometheus"):
        history.read("up", Moments(1_741_000_000_000, 1000, 2))


@pytest.mark.cluster
def test_a_real_prometheus_gives_scalars_and_refuses_ranges(recorded_prometheus: Prometheus) -> None:
    history = PrometheusHistory(Endpoint(recorded_prometheus.address), timeout=30.0)
    moments = Moments(1_741_000_000_000, 1000, 2)
    assert history.read("scalar(vector(2)) * 3", moments).at(1_741_000_001_000).value == 6.0
    with pytest.raises(HistoryError, match="range vector"):
        history.read("up[1m]", moments)


@pytest.mark.cluster
def test_more_than_is_read_of_one_answer_is_asked_for_in_parts(
    recorded_prometheus: Prometheus,
) -> None:
    archive = Archive(
        PrometheusHistory(Endpoint(recorded_prometheus.address), timeout=30.0, most_bytes=20_000),
        Moments(round(START * 1000), 1000, 3600),
    )
    for number in (0, 600, 1800):
        archive.fetch(["history_minutes"], number)
        assert archive.reading("history_minutes", number).value == number / 60
    assert len(archive.asked) > 3, "asked again for less"


def test_what_is_given_up_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        history = PrometheusHistory(Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}"), timeout=3600.0)
        ended: list[HistoryError] = []

        def ask() -> None:
            try:
                history.read("up", Moments(0, 1000, 2))
            except HistoryError as error:
                ended.append(error)

        waiting = threading.Thread(target=ask)
        waiting.start()
        connection, _ = silent.accept()
        with connection:
            connection.recv(4096)
            history.abort()
            waiting.join(timeout=60)
        assert ended


def test_where_nothing_listens() -> None:
    history = PrometheusHistory(Endpoint("http://127.0.0.1:1"), timeout=5.0)
    with pytest.raises(HistoryError, match="connection refused: nothing listens there"):
        history.read("up", Moments(0, 1000, 2))


def test_an_address_that_is_none() -> None:
    with pytest.raises(HistoryError, match=r"write spec\.prometheus\.address as http"):
        PrometheusHistory(Endpoint("prometheus:9090"), timeout=5.0)

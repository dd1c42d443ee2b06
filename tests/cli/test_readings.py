"""`kubectl syncrollout status --readings`: the last hour as sparklines."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from cli.cluster import FakeCluster, Obj
from cli.test_status import CRITERION, rollout
from syncrollout.cli import readings, status
from syncrollout.cli.answers import Failed
from syncrollout.cli.plugin import main
from syncrollout.cli.readings import LOOK_BACK, section, spark
from syncrollout.cli.rollout import parse

NOW = 1_800_000_000.0


def test_a_spark_has_the_greatest_of_each_stretch_and_a_dot_where_there_is_nothing() -> None:
    assert spark([(0, 0), (1, 1), (2, 7), (3.5, 2)], 0, 4, width=4) == "▁▂█▃"
    assert spark([(0, 1), (0.5, 3), (3, 2)], 0, 4, width=4) == "█··▁"
    assert spark([(0, 5), (3, 5)], 0, 4, width=4) == "▁··▁", "what never changes is flat"
    assert spark([], 0, 4, width=4) == "····"
    assert spark([(0, math.nan), (1, math.inf), (2, 1)], 0, 4, width=4) == "··▁·"
    assert spark([(-9, 1), (99, 2)], 0, 4, width=4) == "▁··█", "what is off the edge stands at it"


def judged(**more: Any) -> Obj:
    found = rollout(criteria=[CRITERION], **more)
    found["spec"]["prometheus"]["address"] = "http://prometheus.monitoring.svc:1"
    return found


def answers(values: list[float]) -> Any:
    """The API server's proxy of a Prometheus."""

    def raw(path: str) -> str:
        asked.append(path)
        start = NOW - LOOK_BACK
        samples = [[start + 60 * number, str(value)] for number, value in enumerate(values)]
        result = [{"metric": {}, "values": samples}] if values else []
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})

    asked: list[str] = []
    return raw


def test_without_a_prometheus_that_answers_that_is_said() -> None:
    def refuses(path: str) -> str:
        raise Failed("you may not get services/proxy here")

    [line] = section(parse(judged()), refuses, NOW)
    assert line.startswith("Readings: not shown, for Prometheus does not answer from here: directly: ")
    assert "through the API server: you may not get services/proxy here" in line


def test_where_nothing_is_judged_by_a_metric_that_is_said() -> None:
    def never(path: str) -> str:
        raise AssertionError(path)

    assert section(parse(rollout()), never, NOW) == ["Readings: no criterion that is judged now goes by a metric"]


def test_a_metric_without_data_says_so() -> None:
    [_, line] = section(parse(judged()), answers([]), NOW)
    assert line.split() == ["duration", "·" * readings.WIDTH, "no", "data"]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """What the command reaches instead of a cluster."""
    found = FakeCluster(judged())
    monkeypatch.setattr(status, "Kubectl", lambda *_: found)
    return found


def test_they_follow_what_status_shows(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeCluster, "raw", lambda _, path: answers([])(path), raising=False)
    assert main(["status", "move", "--readings"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("Criteria") < printed.index("\n\nReadings of new, the last 1h to ")
    assert main(["status", "move"]) == 0
    assert "Readings" not in capsys.readouterr().out


def test_while_it_is_watched_they_are_asked_for_again_no_sooner_than_after_some_seconds() -> None:
    class Asked(FakeCluster):
        times = 0

        def raw(self, path: str) -> str:
            self.times += 1
            return answers([1.0, 2.0])(path)

    at, found = [NOW], Asked(judged())
    lately = status.Lately(found, now=lambda: at[0])
    times = []
    for at[0] in (NOW, NOW + 1, NOW + 14, NOW + 16):
        assert "duration" in lately.lines(parse(judged()))[-1]
        times.append(found.times)
    once = times[0]
    assert times == [once, once, once, 2 * once]

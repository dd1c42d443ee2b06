"""`kubectl syncrollout backtest` as it is typed, on a real Prometheus with a known history."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from backtest import page
from backtest.plan import MINUTE, ROLLOUT, T0, history, minute
from syncrollout.api.fields import format_time
from syncrollout.cli.plugin import main
from testbed import Prometheus
from testbed.prometheus import openmetrics

pytestmark = pytest.mark.cluster
Backtest = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def recorded_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("backtest"), history=openmetrics(history())) as started:
        yield started


@pytest.fixture
def backtest(recorded_prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Backtest:
    """Runs one in a namespace; its exit code and what it printed as JSON."""

    def run(namespace: str, *more: str, to: float = 290, rollout: str = ROLLOUT) -> tuple[int, dict[str, Any]]:
        file = tmp_path / "rollout.yaml"
        file.write_text(rollout)
        times = ("--from", minute(0), "--to", minute(to))
        address = ("--prometheus", recorded_prometheus.address)
        code = main(["backtest", "-f", str(file), "-n", namespace, *times, *address, "-o", "json", *more])
        printed = capsys.readouterr()
        assert not printed.err
        return code, json.loads(printed.out)

    return run


def _phases(told: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(each["name"], each["result"], each["ended"]) for each in told["phases"]]


def test_a_clean_history_completes_when_the_phases_have_lasted_their_time(backtest: Backtest) -> None:
    code, told = backtest("clean")
    assert (code, told["outcome"], told["ended"]) == (0, "Completes", minute(240))
    assert _phases(told) == [
        ("small", "passed", minute(60)),
        ("medium", "passed", minute(180)),
        ("full", "passed", minute(240)),
    ]
    assert not any(each["holds"] for each in told["phases"])
    (small, *_) = told["phases"]
    read = {each["metric"]: (each["lowest"], each["highest"]) for each in small["readings"]}
    assert read["duration"] == (0.9, 0.9)
    assert read["error-rate"] == pytest.approx((0.2, 0.2), abs=0.001)


def test_a_breach_goes_back_at_its_minute_and_says_why(backtest: Backtest) -> None:
    code, told = backtest("slow")
    assert (code, told["outcome"]) == (2, "RollsBack")
    back = told["rollback"]
    assert (back["at"], back["phase"], back["weight"]) == (minute(97), "medium", 50)
    assert back["message"].startswith("duration reads 2.5 seconds, old 1 seconds, which is at least 2 times old")
    criterion = back["criterion"]
    assert criterion["id"] == "medium/rollbackOn/0/duration"
    assert (criterion["reading"], criterion["baseline"], criterion["threshold"]) == (2.5, 1.0, 2.0)
    assert _phases(told) == [("small", "passed", minute(60)), ("medium", "rolled back", minute(97))]


def test_a_breach_that_has_to_last_goes_back_when_it_has(backtest: Backtest) -> None:
    lasting = ROLLOUT.replace("atLeast: 2, relativeTo: Old", "atLeast: 2, relativeTo: Old, for: 20m")
    code, told = backtest("slow", rollout=lasting)
    assert (code, told["rollback"]["at"]) == (2, minute(117))
    assert told["rollback"]["criterion"]["heldSince"] == minute(97)


def test_a_gap_holds_for_as_long_as_it_lasts(backtest: Backtest) -> None:
    code, told = backtest("gap")
    assert (code, told["ended"]) == (0, minute(270)), "half an hour later than without the gap"
    ((hold,),) = [each["holds"] for each in told["phases"] if each["holds"]]
    # The last sample before the gap counts for five minutes; a phase holds at the third look without data.
    assert (hold["since"], hold["until"]) == (minute(156), minute(210))
    assert hold["reason"] == "CriteriaUnknown"
    assert "has no data for the query" in hold["message"]
    assert _phases(told)[1] == ("medium", "passed", minute(210))


def test_what_is_not_over_at_the_end_is_told_as_it_stands(backtest: Backtest) -> None:
    code, told = backtest("gap", to=200)
    assert (code, told["outcome"]) == (3, "Holds")
    assert told["phases"][-1]["holds"][-1]["until"] is None
    code, told = backtest("clean", to=100)
    assert (code, told["outcome"]) == (3, "Unfinished")
    assert _phases(told)[-1] == ("medium", "running", None)


def test_it_goes_back_at_the_very_look_at_which_an_operator_would(
    backtest: Backtest, recorded_prometheus: Prometheus
) -> None:
    code, told = backtest("errors")
    back = told["rollback"]
    assert (code, back["phase"], back["criterion"]["id"]) == (2, "full", "trigger/0/error-rate")
    assert minute(200) < back["at"] < minute(205), "less than the window after failures began"
    of, over = (
        f'sum(increase({name}{{namespace="errors",workload="sync-v2"}}[5m]))'
        for name in ("sync_items_failed_total", "sync_items_total")
    )

    def instant(at: float) -> float:
        """What an operator would have been answered."""
        answer = recorded_prometheus.api(f"/api/v1/query?query={quote(f'({of}) / ({over}) * 100')}&time={at:.3f}")
        return float(answer["data"]["result"][0]["value"][1])

    looks = [T0 + 200 * MINUTE + 30.0 * number for number in range(10)]
    first = next(at for at in looks if instant(at) > 10)
    assert (back["at"], back["criterion"]["reading"]) == (format_time(first), instant(first))


def test_people_read_the_same_as_the_page_quotes(recorded_prometheus: Prometheus, tmp_path: Path) -> None:
    assert page.run(recorded_prometheus, tmp_path) == page.quoted(page.PAGE.read_text())

"""What of an endurance run could be wrong without anybody noticing: the town's clocks, the shorter plan, counting."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from soak.compress import Compression
from soak.plot import Band, Line, Panel
from soak.zone import NAME, Town

from soak import flagship, plot, samples
from syncrollout.api.spec import Schedule, SyncRolloutSpec
from syncrollout.decide import calendar

BEGAN = 1_796_000_000
LENGTHS = [3, 45]
STEP = 5
"""Seconds between the moments that are looked at; clocks and windows change at whole minutes of the town."""


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[Path]:
    zoneinfo.reset_tzpath([str(tmp_path)])
    yield tmp_path
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.parametrize("minutes", LENGTHS)
def test_the_town_has_a_gap_and_a_fold_and_the_operator_sees_its_windows_as_it_does(minutes: int, zones: Path) -> None:
    town = Town(BEGAN + minutes, minutes)  # another town each time: calendars are kept by name
    town.write(zones)
    zoneinfo.ZoneInfo.clear_cache()
    zone = zoneinfo.ZoneInfo(NAME)
    end = town.began + 60 * minutes
    for moment in range(town.began, end, STEP):
        assert datetime.fromtimestamp(moment, zone).replace(tzinfo=None) == town.local(moment)
    forward, back = town.changes
    assert town.began < forward < back <= end
    jump = town.local(forward) - town.local(forward - 1)
    assert jump.total_seconds() == 60 * town.shift + 1
    assert town.local(back) < town.local(back - 1)
    theirs = calendar.calendar(Schedule.model_validate(town.schedule()))
    assert theirs is not None
    assert [at for at in range(town.began, end, STEP) if theirs.open_at(at) != town.open_at(at)] == []


def test_a_window_begins_in_the_hour_that_is_missing_and_one_comes_twice() -> None:
    town = Town(BEGAN, 45)
    forward, back = town.changes
    opened = [since for since, _ in town.openings()]
    assert float(forward) in opened
    assert any(since < back for since in opened)
    assert any(since > back for since in opened)
    assert all(town.open_at(since) and not town.open_at(until) for since, until in town.openings()[:-1])


def test_the_plan_gets_shorter_by_one_factor_and_what_is_quick_stays() -> None:
    made = Compression(45)
    assert math.isclose(made.factor, 35 * 86400 / (0.75 * 45 * 60))
    week = made.seconds("7d", phase=True)
    assert week == math.ceil(7 * 86400 / made.factor)
    assert made.seconds("3d", phase=True) == pytest.approx(3 / 7 * week, abs=1)
    assert (made.seconds("5m"), made.seconds("10s"), made.seconds("0s")) == (20, 10, 0)
    assert made.seconds("1h", phase=True) == 5


@pytest.mark.parametrize("minutes", LENGTHS)
def test_the_flagship_is_a_valid_plan_at_every_length(minutes: int, zones: Path) -> None:
    town = Town(BEGAN, minutes)
    town.write(zones)
    zoneinfo.ZoneInfo.clear_cache()
    made = flagship.rollout(Compression(minutes), "http://127.0.0.1:1", "http://127.0.0.1:2", town.schedule())
    spec = SyncRolloutSpec.model_validate(made["spec"])
    whole = yaml.safe_load((flagship.EXAMPLE / "20-syncrollout.yaml").read_text())["spec"]
    assert [each.name for each in spec.phases] == [each["name"] for each in whole["phases"]]
    assert sum(each.duration for each in spec.phases) < 60 * minutes
    assert len(spec.metrics) == len(whole["metrics"])
    assert len(spec.rollback.triggers) == len(whole["rollback"]["triggers"])


def test_lateness_and_requests_are_read_from_the_metrics_as_what_came_since() -> None:
    page = {
        "syncrollout_pass_seconds_count": 10.0,
        'syncrollout_pass_lateness_seconds_bucket{le="0.1"}': 8.0,
        'syncrollout_pass_lateness_seconds_bucket{le="5.0"}': 9.0,
        'syncrollout_pass_lateness_seconds_bucket{le="+Inf"}': 10.0,
        'syncrollout_api_requests_total{code="200",resource="leases",verb="get"}': 4.0,
        'syncrollout_api_requests_total{code="200",resource="jobs",verb="get"}': 3.0,
    }
    before = samples.counters(page)
    assert before.requests == {"get": 7.0}
    assert samples.quantile(before.late, 0.5) == 0.1
    assert samples.quantile(before.late, 0.99) == math.inf
    assert samples.later_than(before.late, 5.0) == 1
    later = samples.counters({series: value + 5.0 for series, value in page.items()})
    assert samples.since(later, before).passes == 5.0
    assert samples.since(before, later) == before, "another process counts from 0"
    both = samples.together([before, later])
    assert (both.passes, both.requests["get"]) == (25.0, 24.0)


def test_the_plot_is_one_whole_picture_that_fetches_nothing() -> None:
    lines = [Line("leader", [(0.0, 1.0), (60.0, None), (120.0, 130.0)]), Line("other", [(0.0, 0.5)])]
    panels = [Panel("memory", lines), Panel("late", [Line("p99", [(0.0, 0.01), (60.0, 30.0)])], ladder=True)]
    text = plot.svg("A & B", 180.0, panels, bands=[Band("away", 30.0, 60.0)], marks=[(90.0, "clocks forward")])
    root = ET.fromstring(text)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}polyline")) == 4
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "A &amp; B" in text

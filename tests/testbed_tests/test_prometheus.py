"""Prometheus sees what the exporter is told to show."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from testbed import Exporter, Prometheus, eventually
from testbed.prometheus import QueryFailed


def test_a_flipped_value_is_seen_at_the_next_scrape(prometheus: Prometheus, exporter: Exporter) -> None:
    exporter.set("errors", 1, workload="new")
    prometheus.wait_for('errors{workload="new"}', lambda found: found and found[0].value == 1)
    flipped = exporter.set("errors", 7, workload="new")
    prometheus.wait_for('errors{workload="new"}', lambda found: found[0].value == 7)
    assert time.time() - flipped < 4  # the interval is 1 s; the rest is for a busy machine


def test_two_thousand_series_flip_at_one_moment(prometheus: Prometheus, exporter: Exporter) -> None:
    exporter.set_many([("load", {"n": str(number)}, 0) for number in range(2000)])
    prometheus.wait_for("count(load)", lambda found: found and found[0].value == 2000)
    exporter.set_many([("load", {"n": str(number)}, 1) for number in range(2000)])
    sums = {found[0].value for found in [prometheus.wait_for("sum(load)", lambda found: found[0].value > 0)]}
    assert sums == {2000}


def test_special_values_and_vanishing_series(prometheus: Prometheus, exporter: Exporter) -> None:
    exporter.set("odd", math.nan, kind="nan")
    exporter.set("odd", -math.inf, kind="inf", text='a "quoted"\nline \\')
    found = {one.labels["kind"]: one for one in prometheus.wait_for("odd", lambda found: len(found) == 2)}
    assert math.isnan(found["nan"].value)
    assert found["inf"].value == -math.inf
    assert found["inf"].labels["text"] == 'a "quoted"\nline \\'
    exporter.remove("odd", kind="nan")
    prometheus.wait_for("odd", lambda found: len(found) == 1)


def test_a_counter_grows_at_its_rate(prometheus: Prometheus, exporter: Exporter) -> None:
    exporter.set_rate("done_total", 100)
    rate = prometheus.wait_for("rate(done_total[3s])", lambda found: found and found[0].value > 90)
    assert rate[0].value == pytest.approx(100, rel=0.1)


def test_a_failing_target_is_down_and_comes_back(prometheus: Prometheus, exporter: Exporter) -> None:
    up = f'up{{instance="{exporter.target}"}}'
    exporter.respond(503)
    prometheus.wait_for(up, lambda found: found and found[0].value == 0)
    exporter.respond(None)
    prometheus.wait_for(up, lambda found: found[0].value == 1)


def test_targets_and_rules_change_while_it_runs(prometheus: Prometheus, exporter: Exporter) -> None:
    with Exporter() as second:
        second.set("late_comer", 5)
        prometheus.set_targets([second.target], {"source": "second"}, group="second")
        found = prometheus.wait_for("late_comer", bool)
        assert (found[0].value, found[0].labels["source"]) == (5, "second")
        prometheus.set_targets([], group="second")
    rule = "groups: [{name: test, rules: [{alert: Broken, expr: 'broken > 0'}]}]"
    prometheus.set_rules(rule)
    exporter.set("broken", 1)
    alert = eventually(prometheus.alerts, what="the alert")
    assert (alert[0]["labels"]["alertname"], alert[0]["state"]) == ("Broken", "firing")
    prometheus.set_rules("")


def test_a_query_that_does_not_parse_is_told_apart(prometheus: Prometheus) -> None:
    with pytest.raises(QueryFailed, match=r"bad_data.*parse error"):
        prometheus.query("sum(")


def test_a_hung_and_a_stopped_prometheus(run_dir: Path) -> None:
    with Prometheus(run_dir) as own:
        assert own.value("scalar(vector(3))") == 3
        own.stop()
        with pytest.raises(ConnectionRefusedError):
            own.query("1")
        own.start()
        assert own.value("1") == 1

"""The flagship's alerting rules: Prometheus' own tool reads them, and each fires where the plan's table says so, and
nowhere else."""

from __future__ import annotations

import math
import operator
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from monitoring.subjects import alerting
from monitoring.test_rules import SCALARS, VECTORS
from syncrollout.api.spec import MetricAlert, SyncRolloutSpec
from syncrollout.api.words import Severity, Side
from syncrollout.monitoring import Subject
from syncrollout.monitoring.objects import rules_text
from syncrollout.monitoring.rules import NO_DATA

Obj = dict[str, Any]
ROLLOUT = Path(__file__).parents[2] / "manifests" / "examples" / "listing-sync" / "20-syncrollout.yaml"
RUNBOOK = ROLLOUT.parents[3] / "docs" / "runbook"
SUBJECT: Final = Subject(
    "listings", "listing-sync", SyncRolloutSpec.model_validate(yaml.safe_load(ROLLOUT.read_text())["spec"])
)
ALERTS: Final = SUBJECT.monitoring.alerts
RULES: Final[list[Obj]] = yaml.safe_load(rules_text(SUBJECT))["groups"][0]["rules"]
OLD_DURATION: Final = 250.0
"""Seconds; a multiple of it is a limit of new."""
MINUTES: Final = 72
_HOLDS: Final = {"above": operator.gt, "below": operator.lt, "at_least": operator.ge, "at_most": operator.le}


def _steady(series: str, value: float) -> Obj:
    return {"series": series, "values": f"{value!r}x{MINUTES}"}


def _counted(series: str, each_minute: float) -> Obj:
    return {"series": series, "values": f"0+{each_minute!r}x{MINUTES}"}


def _used(resource: str) -> Callable[[float, str], list[Obj]]:
    return lambda value, of: [_steady(f'resource_use_ratio{{workload="{of}", resource="{resource}"}}', value / 100)]


def _failing(name: str) -> Callable[[float, str], list[Obj]]:
    def series(value: float, of: str) -> list[Obj]:
        part, whole = f'sync_{name}_failed_total{{workload="{of}"}}', f'sync_{name}_total{{workload="{of}"}}'
        return [_counted(part, value), _counted(whole, 100.0)]

    return series


def _succeeding(value: float, of: str) -> list[Obj]:
    return [
        _counted(f'sync_runs_total{{workload="{of}"}}', value),
        _counted(f'sync_runs_failed_total{{workload="{of}"}}', 100.0 - value),
    ]


def _gauge(name: str, labels: str = 'workload="$"', scale: float = 1.0) -> Callable[[float, str], list[Obj]]:
    return lambda value, of: [_steady(f"{name}{{{labels.replace('$', of)}}}", value * scale)]


def _up(value: float, of: str) -> list[Obj]:
    return [
        _steady(f'up{{namespace="listings", service="{of}", pod="{pod}"}}', 1.0 if pod < value else 0.0)
        for pod in range(2)
    ]


def _functions(value: float, of: str) -> list[Obj]:
    del of
    return [
        _steady(f'probe_success{{job="listing-functions", function="{each}"}}', 0.0 if each < value else 1.0)
        for each in range(3)
    ]


def _database(value: float, of: str) -> list[Obj]:
    del of
    return [_steady('pg_stat_activity_count{datname="listings"}', value), _steady("pg_settings_max_connections", 100.0)]


def _change(value: float, of: str) -> list[Obj]:
    # so many listings for an hour, and then so much more
    now = 1000.0 * (1 + value / 100)
    return [{"series": f'listings_synced{{workload="{of}"}}', "values": f"1000x59 {now!r}x{MINUTES - 60}"}]


def _breaches(value: float, of: str) -> list[Obj]:
    del of
    return [_steady(f'ALERTS{{alertname="Listing{n}Breach", alertstate="firing"}}', 1.0) for n in range(int(value))]


READS: Final[dict[str, Callable[[float, str], list[Obj]]]] = {
    "error-rate": _failing("items"),
    "success-rate": _succeeding,
    "duration": _gauge("sync_duration_seconds"),
    "api-quota": _gauge("api_quota_used_ratio", scale=0.01),
    "cpu": _used("cpu"),
    "memory": _used("memory"),
    "network": _used("network"),
    "disk": _used("disk"),
    "database-load": _database,
    "lost-listings": _gauge("sync_listings_lost"),
    "mismatches": _gauge("sync_listings_mismatched"),
    "listings-change": _change,
    "targets-up": _up,
    "functions-failing": _functions,
    "security-alerts": _breaches,
}
"""The series that make a metric of the flagship read a value, from a value and the workload that is read."""
COUNTED: Final = {"targets-up", "functions-failing", "security-alerts", "lost-listings", "mismatches"}
"""Whole numbers."""
INEXACT: Final = {"error-rate", "success-rate", "listings-change"}
"""What Prometheus works out of differences: not to the last digit what it is meant to be."""
ALWAYS_THERE: Final = {"security-alerts"}
"""Reads 0 where there is nothing, and has no heartbeat."""


def _limit(alert: MetricAlert) -> tuple[str, float]:
    field, number = next((field, number) for field in _HOLDS if (number := getattr(alert, field)) is not None)
    return field, number * (OLD_DURATION if alert.relative_to else 1.0)


@dataclass(frozen=True, slots=True)
class Case:
    """A metric reads this value from the start on."""

    metric: str
    side: Side
    value: float

    def __str__(self) -> str:
        return f"{self.metric}-of-{self.side.value.lower()}-at-{self.value:g}"

    @property
    def reads(self) -> float:
        return 100 * (self.value / 100) if "resource_use_ratio" in str(self.series) else self.value

    @property
    def series(self) -> list[Obj]:
        system = SUBJECT.spec.new if self.side is Side.NEW else SUBJECT.spec.old
        series = READS[self.metric](self.value, system.workload.name)
        if self.metric == "duration":
            series += READS["duration"](OLD_DURATION, SUBJECT.spec.old.workload.name)
        return series

    @property
    def firing(self) -> list[MetricAlert]:
        of_metric = [each for each in ALERTS if (each.metric, each.side) == (self.metric, self.side)]
        return [each for each in of_metric if _HOLDS[(limit := _limit(each))[0]](self.reads, limit[1])]


def _cases() -> Iterable[Case]:
    for metric, side in sorted({(each.metric, each.side) for each in ALERTS}):
        limits = sorted({_limit(each)[1] for each in ALERTS if (each.metric, each.side) == (metric, side)})
        step = 1.0 if metric in COUNTED else 0.1
        moves = (-step, step) if metric in INEXACT else (-step, 0.0, step)
        for value in sorted({round(limit + move, 6) for limit in limits for move in moves} - {-1.0}):
            yield Case(metric, side, value)


CASES: Final = list(_cases())


def _rule(alert: MetricAlert) -> Obj:
    named = [rule for rule in RULES if rule["labels"]["metric"] == alert.metric and not rule["alert"].endswith(NO_DATA)]
    [found] = [
        rule
        for rule in named
        if rule["labels"]["severity"] == alert.severity.value.lower()
        and rule["labels"]["side"] == alert.side.value.lower()
        and (alert.name is None or rule["alert"] == alert.name)
        and (alert.name is not None or rule["alert"].startswith("".join(map(str.title, alert.metric.split("-")))))
    ]
    return found


def _expected(rule: Obj, value: float) -> Obj:
    texts = {
        key: text.replace('{{ printf "%.4g" $value }}', f"{value:.4g}".replace("inf", "+Inf"))
        for key, text in rule["annotations"].items()
    }
    assert "{{" not in str(texts)
    return {"exp_labels": rule["labels"], "exp_annotations": texts}


def _asked(at: float, firing: dict[str, list[Obj]]) -> list[Obj]:
    """All rules are looked at: those that are not named do not fire."""
    moment = f"{round(at)}s"
    return [
        {"eval_time": moment, "alertname": rule["alert"], "exp_alerts": firing.get(rule["alert"], [])} for rule in RULES
    ]


def _seconds(rule: Obj) -> float:
    number, unit = re.fullmatch("([0-9]+)([smh])", rule.get("for", "0s")).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def _run(promtool: Path, tmp_path: Path, tests: list[Obj]) -> None:
    rules, file = tmp_path / "rules.yaml", tmp_path / "tests.yaml"
    rules.write_text(rules_text(SUBJECT))
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_them(promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(rules_text(SUBJECT))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


@pytest.mark.parametrize(
    "metric",
    [
        *({"query": query} for query in (*SCALARS, *VECTORS)),
        *({"query": query, "aggregate": "max"} for query in ("up", "scalar(up)")),
        {"ratio": {"of": "scalar(a)", "over": "scalar(b) # all"}, "unit": "percent"},
        {"ratio": {"of": "a", "over": "sum(increase(b[$window])) # all"}, "window": "5m", "staleAfter": "2m"},
    ],
    ids=str,
)
def test_prometheus_reads_what_is_made_of_any_metric(metric: Obj, promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    several = (
        {"above": 1},
        {"atMost": 1, "orNoData": True, "severity": "Low"},
        {"below": 2, "relativeTo": "Old", "severity": "Medium"},
    )
    file.write_text(rules_text(alerting(*several, metric={"name": "m", **metric})))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    for alert in ALERTS:
        of_metric = [case for case in CASES if (case.metric, case.side) == (alert.metric, alert.side)]
        assert any(alert in case.firing for case in of_metric), alert
        assert any(alert not in case.firing for case in of_metric), alert


def _rows() -> Iterable[list[Case]]:
    """One case of each metric at a time: they do not look at each other's series."""
    by_metric = {(case.metric, case.side): [] for case in CASES}  # type: dict[tuple[str, Side], list[Case]]
    for case in CASES:
        by_metric[case.metric, case.side].append(case)
    for number in range(max(map(len, by_metric.values()))):
        yield [cases[number % len(cases)] for cases in by_metric.values()]


def test_they_fire_on_the_wrong_side_of_their_limits_and_nowhere_else(promtool: Path, tmp_path: Path) -> None:
    """Steady from the start: at every limit and a step to either side of it, for long enough, and not before."""
    tests = []
    for row in _rows():
        firing = {(rule := _rule(alert))["alert"]: (rule, case) for case in row for alert in case.firing}
        waiting = [rule for rule, _ in firing.values() if _seconds(rule) >= 120]
        tests.append(
            {
                "interval": "1m",
                "name": ", ".join(map(str, row)),
                "input_series": list({each["series"]: each for case in row for each in case.series}.values()),
                "alert_rule_test": [
                    *_asked(61 * 60.0, {name: [_expected(rule, case.reads)] for name, (rule, case) in firing.items()}),
                    *({"eval_time": f"{round(_seconds(each)) - 60}s", "alertname": each["alert"]} for each in waiting),
                ],
            }
        )
    assert sum(len(row) for row in _rows()) >= len(CASES)
    _run(promtool, tmp_path, tests)


def test_what_cannot_be_read_is_told_after_an_hour_and_fires_nothing_else(promtool: Path, tmp_path: Path) -> None:
    told = {rule["alert"]: rule for rule in RULES if rule["alert"].endswith(NO_DATA)}
    assert {rule["labels"]["metric"] for rule in told.values()} == {a.metric for a in ALERTS if a.side is Side.NEW}
    absent = {
        name: [_expected(rule, 1.0)] for name, rule in told.items() if rule["labels"]["metric"] not in ALWAYS_THERE
    }
    down = next(rule for rule in RULES if rule["alert"] == "ListingSyncDown")
    gone = {"ListingSyncDown": [_expected(down, 1.0)]}
    no_number = [
        *_succeeding(0.0, "listing-sync-v2"),  # 0 of 100: that is a number
        _counted('sync_items_failed_total{workload="listing-sync-v2"}', 0.0),
        _counted('sync_items_total{workload="listing-sync-v2"}', 0.0),
        *_database(5.0, "")[:1],
        _steady("pg_settings_max_connections", 0.0),
        *_up(1.0, "listing-sync-v2"),
    ]
    read = {"SuccessRateNoData", "TargetsUpNoData"}
    unread = {name: each for name, each in absent.items() if name not in read}
    failing = {rule["alert"]: [_expected(rule, 0.0)] for rule in map(_rule, Case("success-rate", Side.NEW, 0.0).firing)}
    # what is divided by nothing is no reading to the operator either, but past every limit it is
    infinite = _rule(next(alert for alert in ALERTS if alert.metric == "database-load"))
    failing[infinite["alert"]] = [_expected(infinite, math.inf)]
    there = {each["series"]: each for case in CASES if not case.firing for each in case.series}
    _run(
        promtool,
        tmp_path,
        [
            {"interval": "1m", "input_series": [], "alert_rule_test": _asked(59 * 60.0, gone)},
            {"interval": "1m", "input_series": [], "alert_rule_test": _asked(61 * 60.0, gone | absent)},
            {
                "interval": "1m",
                "input_series": no_number,
                "alert_rule_test": _asked(61 * 60.0, failing | unread),
            },
            {"interval": "1m", "input_series": list(there.values()), "alert_rule_test": _asked(70 * 60.0, {})},
        ],
    )


def test_they_say_the_plans_table() -> None:
    """Metric and limit by severity, as the plan has them."""
    table = {
        severity: {
            (each.metric, *_limit(each)) for each in ALERTS if each.severity is severity and each.side is Side.NEW
        }
        for severity in Severity
    }
    assert table[Severity.CRITICAL] >= {
        ("success-rate", "below", 95),
        ("error-rate", "above", 5),
        ("targets-up", "below", 1),
        ("lost-listings", "at_least", 1),
    }
    assert table[Severity.HIGH] >= {
        ("success-rate", "below", 98),
        ("error-rate", "above", 1),
        ("duration", "above", 600),
        *((each, "above", 90) for each in ("cpu", "memory", "network", "disk")),
        ("mismatches", "at_least", 1),
    }
    assert table[Severity.MEDIUM] >= {
        ("duration", "above", 420),
        *((each, "above", 80) for each in ("cpu", "memory", "network", "disk")),
        ("api-quota", "above", 90),
        ("listings-change", "above", 20),
    }
    assert table[Severity.LOW] >= {
        ("duration", "above", 300),
        *((each, "above", 70) for each in ("cpu", "memory", "network", "disk")),
        ("api-quota", "above", 80),
    }


def test_each_links_to_a_page_that_there_is() -> None:
    for rule in RULES:
        base, _, page = rule["annotations"]["runbook_url"].rpartition("/")
        assert base == SUBJECT.monitoring.runbook_base
        assert (RUNBOOK / page).is_file(), page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_nothing_in_an_alert_changes_with_the_phase(rule: Obj) -> None:
    assert rule["labels"].keys() == {"severity", "rollout", "namespace", "metric", "side", "team"}
    assert (rule["labels"]["rollout"], rule["labels"]["namespace"]) == ("listing-sync", "listings")
    assert rule["labels"]["severity"] in {"critical", "high", "medium", "low"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert not any(phase.name in str(rule) for phase in SUBJECT.spec.phases)

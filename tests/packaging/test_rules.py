"""The rules for Prometheus that come with the operator: its own tool reads them, and they fire when they say so."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from syncrollout.api.words import DeliveryState, Severity, State, Unknown
from syncrollout.runtime.telemetry import Telemetry

ROOT = Path(__file__).parents[2]
FILES: Final = sorted(path for path in (ROOT / "manifests" / "prometheus").glob("*.yaml") if path.stem != "podmonitor")
RUNBOOK: Final = "docs/runbook/alerts"
Obj = dict[str, Any]
OF = {"namespace": "listings", "name": "listing-sync"}
JOB = {"job": "sync"}


def _promtool(promtool: Path, *arguments: str | Path) -> str:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


RULES: Final[dict[str, Obj]] = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
}


def _series(name: str, labels: dict[str, str], values: str) -> Obj:
    written = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"syncrollout_{name}{{{written}}}", "values": values}


@dataclass(frozen=True, slots=True)
class Case:
    """These series make the alert fire at the moment, with these labels and value; `fine` do not."""

    alert: str
    at: str
    fires: tuple[Obj, ...]
    fine: tuple[Obj, ...]
    labels: dict[str, str]
    value: float = 1.0


def _requests(code: str, per_minute: float, verb: str = "patch") -> Obj:
    return _series(
        "api_requests_total", {**JOB, "verb": verb, "resource": "routes", "code": code}, f"0+{per_minute}x60"
    )


def _queries(outcome: str, per_minute: float) -> Obj:
    return _series("prometheus_queries_total", {**JOB, "outcome": outcome}, f"0+{per_minute}x60")


def _late(quick: float, all_of_them: float) -> tuple[Obj, ...]:
    """So many passes a minute that begin within half a second, of so many."""
    name = "pass_lateness_seconds_bucket"
    bounds = {"0.5": quick, "30.0": all_of_them, "+Inf": all_of_them}
    return tuple(_series(name, {**JOB, "le": le}, f"0+{each}x60") for le, each in bounds.items())


def _state(state: State, values: str = "1x120", **labels: str) -> Obj:
    return _series("rollout_state", {**OF, "state": state.value, "phase": "half", **labels}, values)


def _weight(values: str) -> Obj:
    return _series("rollout_weight", OF, values)


def _messages(state: DeliveryState) -> Obj:
    return _series("rollout_messages", {**OF, "audience": "team", "channel": "chat", "delivery": state.value}, "2x60")


CASES: Final = (
    # Passed, then failed, then (by another replica, which leads from then on) passed.
    Case(
        "SyncRolloutDrillFailed",
        "12m",
        (
            _series("drill_result", {**OF, "mode": "Rehearse", "pod": "a"}, "1x9 -1x10 _x20"),
            _series("drill_result", {**OF, "mode": "Rehearse", "pod": "b"}, "_x19 1x20"),
        ),
        (_series("drill_result", {**OF, "mode": "Rehearse", "pod": "a"}, "1x20"),),
        OF,
        -1,
    ),
    Case(
        "SyncRolloutDrillOverdue",
        "36m",
        (_series("drill_latest_timestamp_seconds", OF, "1800x39 9000x10"),),
        (_series("drill_latest_timestamp_seconds", OF, "2400x39"),),
        OF,
        2160,
    ),
    Case(
        "SyncRolloutNoLeader",
        "5m",
        (_series("leader", {**JOB, "pod": "a"}, "0x20"), _series("leader", {**JOB, "pod": "b"}, "0x20")),
        (_series("leader", {**JOB, "pod": "a"}, "0x20"), _series("leader", {**JOB, "pod": "b"}, "1x20")),
        JOB,
        0,
    ),
    Case(
        "SyncRolloutNoLeader",
        "5m",
        (),
        # the lease changes hands: nobody leads for a minute
        (_series("leader", {**JOB, "pod": "a"}, "1x3 0x20"), _series("leader", {**JOB, "pod": "b"}, "0x4 1x20")),
        {},
    ),
    Case(
        "SyncRolloutTwoLeaders",
        "10m",
        (_series("leader", {**JOB, "pod": "a"}, "1x20"), _series("leader", {**JOB, "pod": "b"}, "1x20")),
        (_series("leader", {**JOB, "pod": "a"}, "1x20"), _series("leader", {"job": "other", "pod": "b"}, "1x20")),
        JOB,
        2,
    ),
    Case("SyncRolloutPassesLate", "20m", _late(50, 100), _late(99.5, 100), JOB, 29.41),
    Case(
        "SyncRolloutWritesFailing",
        "20m",
        (_requests("503", 30), _requests("200", 70)),
        # a conflict, and a read that fails, are no failing writes
        (_requests("503", 10), _requests("409", 60), _requests("200", 40), _requests("503", 500, "get")),
        JOB,
        0.3,
    ),
    Case(
        "SyncRolloutRightsMissing",
        "20m",
        (_requests("403", 1),),
        (_requests("404", 100), _requests("403", 0)),
        {**JOB, "verb": "patch", "resource": "routes"},
        10,
    ),
    Case(
        "SyncRolloutCRDOld",
        "15m",
        (_series("crd_match", {**JOB, "pod": "a", "match": "older"}, "1x40"),),
        # the operator is upgraded after the CRD, or right before it
        (
            _series("crd_match", {**JOB, "pod": "a", "match": "newer"}, "1x40"),
            _series("crd_match", {**JOB, "pod": "b", "match": "older"}, "1x5 0x40"),
        ),
        JOB,
    ),
    Case(
        "SyncRolloutPrometheusFailing",
        "20m",
        (_queries("Timeout", 60), _queries("ok", 40)),
        # no data is an answer
        (_queries("Timeout", 40), _queries("NoData", 500), _queries("ok", 60)),
        JOB,
        0.6,
    ),
    Case(
        "SyncRolloutTrafficNotBack",
        "10m",
        (_state(State.ROLLING_BACK), _weight("50x120")),
        (_state(State.ROLLING_BACK), _weight("50x3 0x120"), _state(State.PROGRESSING, name="other")),
        OF,
        50,
    ),
    Case(
        "SyncRolloutTrafficNotBack",
        "10m",
        (_state(State.ROLLING_BACK), _weight("10x120")),
        (_state(State.PROGRESSING), _weight("50x120")),
        OF,
        10,
    ),
    Case(
        "SyncRolloutRollbackOverdue",
        "95m",
        (_state(State.ROLLING_BACK), _weight("0x120")),
        (_state(State.ROLLING_BACK, "1x80"), _state(State.ROLLED_BACK, "_x80 1x40"), _weight("0x120")),
        OF,
    ),
    Case(
        "SyncRolloutMessagesLost",
        "10m",
        (_messages(DeliveryState.GIVEN_UP), _messages(DeliveryState.UNCONFIRMED)),
        (_messages(DeliveryState.PENDING), _messages(DeliveryState.SENDING)),
        {**OF, "audience": "team", "channel": "chat"},
        4,
    ),
    Case(
        "SyncRolloutMonitoringNotApplied",
        "20m",
        (_series("monitoring_applied", OF, "0x40"),),
        (_series("monitoring_applied", OF, "0x12 1x40"),),
        OF,
        0,
    ),
)


def test_prometheus_reads_them(promtool: Path) -> None:
    said = _promtool(promtool, "check", "rules", *FILES)
    assert sum(map(int, re.findall("([0-9]+) rules found", said))) == len(RULES)


def test_they_ask_for_metrics_and_words_that_the_operator_has() -> None:
    known = {each.name: set(each.labels) for each in Telemetry().described}
    for rule in RULES.values():
        for name in re.findall(r"syncrollout_[a-z_]+", rule["expr"]):
            assert name.removesuffix("_bucket") in known, name
    asked = re.findall('(?:state|delivery|outcome)=~?"([^"]*)"', str([rule["expr"] for rule in RULES.values()]))
    words = {word for text in asked for word in text.split("|")}
    assert words <= {each.value for kind in (State, DeliveryState, Unknown) for each in kind}


@pytest.mark.parametrize("name", RULES)
def test_each_says_how_grave_it_is_and_has_its_page(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {severity.value.lower() for severity in Severity}
    assert (ROOT / RUNBOOK / f"{name}.md").is_file()
    assert f"{RUNBOOK}/{name}.md" in rule["annotations"]["description"] or "drill" in name.lower()


def test_each_has_a_case() -> None:
    assert {case.alert for case in CASES} == RULES.keys()


def test_they_fire_when_they_say_so_and_no_other(promtool: Path, tmp_path: Path) -> None:
    tests = []
    for case in CASES:
        rule = RULES[case.alert]
        fires = {
            "exp_labels": {**rule["labels"], **case.labels},
            "exp_annotations": _filled_in(rule["annotations"], case),
        }
        for series, expected in ((case.fires, [fires]), (case.fine, [])):
            asked = {"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}
            tests.append({"interval": "1m", "input_series": list(series), "alert_rule_test": [asked]})
    file = tmp_path / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(file) for file in FILES], "evaluation_interval": "1m", "tests": tests})
    )
    _promtool(promtool, "test", "rules", file)


def _filled_in(texts: dict[str, str], case: Case) -> dict[str, str]:
    """As a person reads it."""
    filled = {
        **{f"{{{{ $labels.{label} }}}}": value for label, value in case.labels.items()},
        "{{ $value }}": f"{case.value:g}",
        '{{ printf "%.3g" $value }}': f"{case.value:.3g}",
        "{{ humanizePercentage $value }}": f"{100 * case.value:.4g}%",
    }
    for written, text in filled.items():
        texts = {key: each.replace(written, text) for key, each in texts.items()}
    assert not any("{{" in text for text in texts.values())
    return texts

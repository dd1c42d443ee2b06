"""The rules for Prometheus that come with the operator: its own tool reads them, and they fire when they say so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from syncrollout.runtime.telemetry import Telemetry

ROOT = Path(__file__).parents[2]
RULES = ROOT / "manifests" / "prometheus" / "drills.yaml"
Obj = dict[str, Any]
SERIES = '{namespace="listings", name="listing-sync"'


def _promtool(promtool: Path, *arguments: str | Path) -> str:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _rules() -> list[Obj]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_prometheus_reads_them(promtool: Path) -> None:
    assert f"{len(_rules())} rules found" in _promtool(promtool, "check", "rules", RULES)


def test_they_ask_for_metrics_that_the_operator_has() -> None:
    names = {each.name for each in Telemetry().described if each.name.startswith("syncrollout_drill_")}
    asked = {name for name in names if any(name in rule["expr"] for rule in _rules())}
    assert asked == {"syncrollout_drill_result", "syncrollout_drill_latest_timestamp_seconds"}


def test_a_failed_and_an_overdue_drill_fire_and_no_other(promtool: Path, tmp_path: Path) -> None:
    result = f'syncrollout_drill_result{SERIES}, mode="Rehearse", pod="%s"}}'
    latest = f'syncrollout_drill_latest_timestamp_seconds{SERIES}, pod="%s"}}'
    other = result.replace("listing-sync", "fine")
    series = [
        # Passed, then failed, then (by another replica, which leads from then on) passed.
        {"series": result % "a", "values": "1x9 -1x10 _x20"},
        {"series": result % "b", "values": "_x19 1x20"},
        {"series": other % "a", "values": "0x40"},
        # Overdue from the half hour on, and then begun.
        {"series": latest % "a", "values": "1800x39 9000x10"},
    ]
    labels = {"severity": "warning", "namespace": "listings", "name": "listing-sync"}

    def alert(at: str, name: str, *fires: Obj) -> Obj:
        says = next(_filled_in(rule["annotations"]) for rule in _rules() if rule["alert"] == name)
        expected = [{"exp_labels": each, "exp_annotations": says} for each in fires]
        return {"eval_time": at, "alertname": name, "exp_alerts": expected}

    tests = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    alert("9m", "SyncRolloutDrillFailed"),
                    alert("12m", "SyncRolloutDrillFailed", labels),
                    alert("30m", "SyncRolloutDrillFailed"),
                    alert("29m", "SyncRolloutDrillOverdue"),
                    alert("36m", "SyncRolloutDrillOverdue", labels),
                    alert("42m", "SyncRolloutDrillOverdue"),
                ],
            }
        ],
    }
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(tests))
    _promtool(promtool, "test", "rules", file)


def _filled_in(texts: dict[str, str]) -> dict[str, str]:
    """As a person reads it."""
    labels = {"{{ $labels.namespace }}": "listings", "{{ $labels.name }}": "listing-sync"}
    for label, value in labels.items():
        texts = {key: text.replace(label, value) for key, text in texts.items()}
    assert not any("{{" in text for text in texts.values())
    return texts

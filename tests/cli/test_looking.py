"""Rules and dashboards as the plugin writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cli.cluster import FakeCluster
from cli.test_asking import rollout
from syncrollout.cli import looking
from syncrollout.cli.plugin import main

FLAGSHIP = Path(__file__).parents[2] / "manifests" / "examples" / "listing-sync" / "20-syncrollout.yaml"
MINIMAL = FLAGSHIP.parents[1] / "minimal.yaml"


def _fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_the_rules_of_a_file_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "-f", str(FLAGSHIP)]) == 0
    [group] = yaml.safe_load(capsys.readouterr().out)["groups"]
    assert group["name"] == "syncrollout-listings-listing-sync"
    assert {rule["labels"]["severity"] for rule in group["rules"]} == {"critical", "high", "medium", "low"}


def test_they_are_written_to_a_file_as_the_object_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    to = tmp_path / "rule.yaml"
    assert main(["alerts", "-f", str(FLAGSHIP), "--as", "PrometheusRule", "--to", str(to)]) == 0
    assert capsys.readouterr().out.startswith(f"{to}: ")
    assert yaml.safe_load(to.read_text())["kind"] == "PrometheusRule"


def test_those_of_a_rollout_in_the_cluster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    obj = rollout()
    obj["spec"]["metrics"] = [{"name": "errors", "query": "errors"}]
    obj["spec"]["prometheus"] = {"address": "http://prometheus:9090"}
    obj["spec"]["monitoring"] = {"alerts": [{"metric": "errors", "severity": "High", "above": 1}]}
    monkeypatch.setattr(looking, "Kubectl", lambda *_: FakeCluster(obj))
    assert main(["alerts", "move"]) == 0
    [group] = yaml.safe_load(capsys.readouterr().out)["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["ErrorsHigh", "ErrorsNoData"]


def test_the_dashboards_of_a_file_are_written_to_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    assert main(["dashboards", "-f", str(FLAGSHIP), "--to", str(folder)]) == 0
    names = [f"listing-sync-{key}.json" for key in ("realtime", "daily", "weekly")]
    assert capsys.readouterr().out.split() == [str(folder / name) for name in names]
    titles = [json.loads((folder / name).read_text())["title"] for name in names]
    assert titles == [f"listings/listing-sync: {title}" for title in ("real time", "daily", "weekly")]


def test_or_the_config_maps_that_the_operator_would_apply(tmp_path: Path) -> None:
    assert main(["dashboards", "-f", str(FLAGSHIP), "--as", "ConfigMap", "--to", str(tmp_path)]) == 0
    obj = yaml.safe_load((tmp_path / "listing-sync-dashboard-daily.yaml").read_text())
    assert (obj["kind"], obj["metadata"]["annotations"]) == ("ConfigMap", {"grafana_folder": "Listings"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["alerts"], "say which SyncRollout: give either NAME or -f FILE"),
        (["alerts", "move", "-f", "FILE"], "say which SyncRollout: give either NAME or -f FILE"),
        (["alerts", "-f", "absent.yaml"], "absent.yaml cannot be read: "),
        (["dashboards", "-f", str(FLAGSHIP)], "Missing option '--to'"),
        (["dashboards", "-f", str(FLAGSHIP), "--to", "/proc/x"], "/proc/x cannot be made: "),
        (["alerts", "-f", str(MINIMAL)], "asks for no alerts: add some to spec.monitoring.alerts"),
        (["alerts", "-f", str(FLAGSHIP), "--to", "/proc/x"], "/proc/x cannot be written: "),
        (
            ["alerts", "-f", str(FLAGSHIP.parent / "10-route.yaml")],
            "one SyncRollout is wanted, and the file holds none",
        ),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in _fails(arguments, capsys)

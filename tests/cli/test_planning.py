"""The plan as people read it: a table, Markdown week by week, a picture, and data for programs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from cli.cluster import FakeCluster
from cli.test_asking import rollout
from syncrollout.cli import planning
from syncrollout.cli.plugin import main

FLAGSHIP = Path(__file__).parents[2] / "manifests" / "examples" / "listing-sync" / "20-syncrollout.yaml"
START = ["--start", "2026-12-05T09:00"]


def _plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def test_the_flagship_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    printed = _plan(capsys, "-f", str(FLAGSHIP), *START).splitlines()

    assert printed[0] == (
        "listings/listing-sync: begins Mon 2026-12-07 10:00 JST at the earliest, "
        "complete Tue 2027-01-05 10:00 JST at the earliest, 5 weeks"
    )
    rows = [" ".join(line.split()) for line in printed[2:8]]
    assert rows[0] == "WEEK PHASE WEIGHT BEGINS ENDS LASTS NOTES"
    assert rows[1].startswith("1-2 1 parallel-run 0 % Mon 2026-12-07 10:00 JST Mon 2026-12-14 10:00 JST 7d")
    assert "waits 2d1h for a window" in rows[1]
    assert rows[5].startswith("5 5 full-migration 100 % Tue 2027-01-05 10:00 JST - -")
    assert "waits 8d for a freeze (New Year) and a window; old is stopped" in rows[5]


def test_the_page_of_the_plugin_quotes_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = (FLAGSHIP.parents[3] / "docs" / "kubectl.md").read_text()
    command = "plan -f manifests/examples/listing-sync/20-syncrollout.yaml --start 2026-12-05T09:00\n"
    quoted = page.partition(command)[2].partition("```")[0]

    assert quoted == _plan(capsys, "-f", str(FLAGSHIP), *START)


def test_week_by_week_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    printed = _plan(capsys, "-f", str(FLAGSHIP), *START, "-o", "markdown")

    assert "# Plan of listings/listing-sync" in printed
    assert "| 3-4 | 4 full-traffic | 100 % | Mon 2026-12-21 10:00 JST | Mon 2026-12-28 10:00 JST | 7d |" in printed
    assert "## Week 2: 2026-12-14 to 2026-12-20" in printed
    assert "- Thu 2026-12-17 10:00 JST: 3 medium-traffic begins: 50 %" in printed
    assert "- Tue 2027-01-05 10:00 JST: complete, at the earliest" in printed


def test_a_gantt_chart_for_mermaid(capsys: pytest.CaptureFixture[str]) -> None:
    printed = _plan(capsys, "-f", str(FLAGSHIP), *START, "-o", "mermaid").splitlines()

    assert printed[0] == "gantt"
    assert "    10 % :p1, 2026-12-14 10:00, 2026-12-17 10:00" in printed
    assert "    100 % :milestone, p4, 2027-01-05 10:00, 0d" in printed


def test_a_picture_that_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    printed = _plan(capsys, "-f", str(FLAGSHIP), *START, "-o", "svg")

    picture = ElementTree.fromstring(printed)  # noqa: S314 - made by the plugin itself
    space = "{http://www.w3.org/2000/svg}"
    bars = picture.findall(f".//{space}g/{space}rect")
    titles = [each.text or "" for each in picture.iter(f"{space}title")]
    assert len(bars) == 5
    assert titles[0] == "Plan of listings/listing-sync"
    assert "freeze: New Year" in titles
    assert "2 small-traffic: 10 %, from Mon 2026-12-14 10:00 JST to Thu 2026-12-17 10:00 JST" in titles
    assert "http" not in printed.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched"
    lefts = [float(bar.attrib["x"]) for bar in bars]
    assert lefts == sorted(lefts)


def test_data_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(_plan(capsys, "-f", str(FLAGSHIP), *START, "-o", "json"))
    assert (data["timezone"], data["starts"]) == ("Asia/Tokyo", "2026-12-07T01:00:00.000Z")
    assert [each["phase"] for each in data["phases"]][:2] == ["parallel-run", "small-traffic"]
    assert data["phases"][0]["stage"] == "Coming"

    assert yaml.safe_load(_plan(capsys, "-f", str(FLAGSHIP), *START, "-o", "yaml")) == data


# ---- freezes that are shared -------------------------------------------------------------------------------------

SHARED = """
apiVersion: syncrollout.io/v1alpha1
kind: SyncRollout
metadata: {name: move}
spec:
  old: {workload: {kind: Deployment, name: v1}}
  new: {workload: {kind: Deployment, name: v2}}
  traffic: {replicas: {total: 10}}
  phases: [{name: all, weight: 100, duration: 1h}]
  schedule: {freezesFrom: {configMap: closed}}
"""
CLOSED = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: closed}
data:
  freezes: |
    - {from: 2026-12-05, to: 2026-12-06, reason: audit}
"""


def test_the_freezes_of_a_config_map_in_the_same_file_count(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(SHARED + CLOSED)
    assert "waits 1d15h for a freeze (audit)" in _plan(capsys, "-f", str(file), *START)

    file.write_text(SHARED)
    printed = _plan(capsys, "-f", str(file), *START)
    assert "The freezes of ConfigMap closed are not known: it may be later." in printed

    given = tmp_path / "freezes.yaml"
    given.write_text("- {from: 2026-12-05, to: 2026-12-05}")
    assert "waits 15h for a freeze" in _plan(capsys, "-f", str(file), *START, "--freezes", str(given))
    given.write_text("- {from: 2026-12-05}")
    assert main(["plan", "-f", str(file), "--freezes", str(given)]) == 1
    assert "freeze 1 cannot be read: it has no to" in capsys.readouterr().err


def test_those_of_the_cluster_are_read_with_the_persons_own_rights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = yaml.safe_load(SHARED)
    obj["metadata"] |= {"namespace": "listings", "resourceVersion": "7"}
    cluster = FakeCluster(obj)
    monkeypatch.setattr(planning, "Kubectl", lambda *_: cluster)
    assert main(["plan", "move", *START]) == 0
    printed = capsys.readouterr()
    assert "There is no ConfigMap closed" in printed.err
    assert "are not known" in printed.out

    cluster.objects["configmaps", "closed"] = next(
        each for each in yaml.safe_load_all(CLOSED) if each and each["kind"] == "ConfigMap"
    )
    assert "waits 1d15h for a freeze (audit)" in _plan(capsys, "move", *START)


def test_a_rollout_of_the_cluster_with_what_is_past(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rollout()["spec"]["phases"][0]["name"]
    since = "2026-12-01T10:00:00.000Z"
    phase = {"name": first, "index": 1, "label": f"1/2 {first}", "weight": 10, "entered": since, "since": since}
    obj = rollout(phase=phase, started=since, state="Holding", message="Phase 1/2 holds: errors 3, below 1 wanted")
    monkeypatch.setattr(planning, "Kubectl", lambda *_: FakeCluster(obj))

    printed = _plan(capsys, "move", *START)

    assert "began Tue 2026-12-01 10:00 UTC" in printed.splitlines()[0]
    assert "now; Phase 1/2 holds: errors 3, below 1 wanted" in printed


def test_one_week_is_said_as_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    short = FLAGSHIP.read_text("utf-8").replace("duration: 7d", "duration: 1h").replace("duration: 3d", "duration: 1h")
    (tmp_path / "short.yaml").write_text(short, "utf-8")

    assert _plan(capsys, "-f", str(tmp_path / "short.yaml"), *START).splitlines()[0].endswith(", 1 week")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "say which SyncRollout: give either NAME or -f FILE"),
        (["move", "-f", "x"], "say which SyncRollout"),
        (["-f", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["-f", str(FLAGSHIP), "--start", "soon"], "--start: 'soon' is no time"),
    ],
)
def test_what_cannot_be_planned(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *arguments]) == 1
    assert says in capsys.readouterr().err

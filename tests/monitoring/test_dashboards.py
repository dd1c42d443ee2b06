"""Dashboards: Grafana knows every field, panels do not lie on each other, and what they show is there in Prometheus."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.grafana import expressions, panels, unknown_fields
from monitoring.recorded import Asked, Recording, of_the_demo, of_the_flagship
from monitoring.subjects import alerting, subject
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.dashboards import DAILY, REALTIME, WEEKLY, dashboards
from syncrollout.monitoring.fleet import FILES, fleet
from syncrollout.monitoring.objects import LARGEST, dashboard_files, dashboard_objects
from syncrollout.runtime.telemetry import Telemetry
from testbed import Prometheus

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
NOW = 1_700_000_000.0


def of_manifest(path: str) -> Subject:
    [obj] = [each for each in yaml.safe_load_all((ROOT / path).read_text()) if each["kind"] == "SyncRollout"]
    spec = SyncRolloutSpec.model_validate(obj["spec"])
    return Subject(obj["metadata"]["namespace"], obj["metadata"]["name"], spec)


FLAGSHIP = of_manifest("manifests/examples/listing-sync/20-syncrollout.yaml")
DEMO = of_manifest("demo/manifests/rollout.yaml")
EVERY = {
    **{f"flagship-{key}": each for key, each in dashboards(FLAGSHIP).items()},
    **{f"demo-{key}": each for key, each in dashboards(DEMO).items()},
    **{f"bare-{key}": each for key, each in dashboards(subject(metrics=[])).items()},
    "fleet": fleet(),
}


@pytest.mark.parametrize("name", EVERY)
def test_grafana_knows_every_field(name: str) -> None:
    assert unknown_fields(EVERY[name]) == []


@pytest.mark.parametrize(
    ("misspell", "found"),
    [
        (lambda d: d.__setitem__("refreshEvery", "10s"), ".refreshEvery"),
        (lambda d: d["panels"][1]["options"].__setitem__("colourMode", "value"), ".panels[1].options.colourMode"),
        (lambda d: d["panels"][1]["targets"][0].__setitem__("query", "up"), ".panels[1].targets[0].query"),
        (
            lambda d: d["panels"][1]["fieldConfig"]["defaults"].__setitem__("units", "s"),
            ".panels[1].fieldConfig.defaults.units",
        ),
        (lambda d: d["templating"]["list"][0].__setitem__("queries", "x"), ".templating.list[0].queries"),
        (lambda d: d["annotations"]["list"][0].__setitem__("expression", "x"), ".annotations.list[0].expression"),
    ],
)
def test_a_misspelt_field_would_be_found(misspell: Callable[[Json], None], found: str) -> None:
    dashboard = copy.deepcopy(EVERY["flagship-realtime"])
    misspell(dashboard)
    assert unknown_fields(dashboard) == [found]


@pytest.mark.parametrize("name", EVERY)
def test_panels_have_places_of_their_own(name: str) -> None:
    everything = EVERY[name]["panels"]
    assert [panel["id"] for panel in everything] == list(range(1, len(everything) + 1))
    for one, other in itertools.combinations([panel["gridPos"] for panel in everything], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in everything)


def test_each_is_a_dashboard_of_its_own_and_stays_the_same() -> None:
    uids = [each["uid"] for each in EVERY.values()]
    assert len(set(uids)) == len(uids) - 3, "demo and flagship are of one name and namespace"
    assert all(re.fullmatch("[-a-zA-Z0-9_]{8,40}", uid) for uid in uids)
    assert dashboards(FLAGSHIP) == dashboards(FLAGSHIP)


def test_ranges_and_refreshes_are_the_plans() -> None:
    made = dashboards(FLAGSHIP)
    assert {key: (each["time"]["from"], each["refresh"]) for key, each in made.items()} == {
        REALTIME: ("now-1h", "10s"),
        DAILY: ("now-24h", "1h"),
        WEEKLY: ("now-7d", "1d"),
    }
    titles = {key: [panel["title"] for panel in panels(each)] for key, each in made.items()}
    now = ["State", "Phase", "Share of new", "success-rate", "error-rate", "Last 10 of duration", "api-quota"]
    assert set(titles[REALTIME]) >= {*now, "cpu", "memory", "disk", "In use now", "Quotas now"}
    assert "Alerts fired" in titles[DAILY]
    assert set(titles[WEEKLY]) >= {"success-rate", "duration", "listings-change"}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_shown_of_now_is_asked_for_now(name: str) -> None:
    """A state that was left within the range would be shown beside the one that holds, by its last value."""
    for panel in panels(EVERY[name]):
        instants = {target["instant"] for target in panel["targets"]}
        if panel["type"] in ("stat", "bargauge"):
            assert instants == {True}, panel["title"]
        if panel["type"] in ("timeseries", "state-timeline"):
            assert instants == {False}, panel["title"]


def test_new_is_shown_beside_old_and_what_they_share_once() -> None:
    by_title = {panel["title"]: panel for panel in panels(dashboards(FLAGSHIP)[DAILY])}
    assert [each["legendFormat"] for each in by_title["error-rate"]["targets"]] == ["new", "old"]
    assert [each["legendFormat"] for each in by_title["database-load"]["targets"]] == ["all"]
    assert by_title["error-rate"]["fieldConfig"]["defaults"]["unit"] == "percent"
    assert by_title["duration"]["fieldConfig"]["defaults"]["unit"] == "s"
    assert by_title["mismatches"]["fieldConfig"]["defaults"]["unit"] == "suffix: listings"


def _steps(of: Subject) -> list[tuple[float | None, str]]:
    [panel] = [each for each in panels(dashboards(of)[DAILY]) if each["title"] == "errors"]
    return [(step["value"], step["color"]) for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def test_limits_are_those_of_alerts_or_of_triggers() -> None:
    up = ({"above": 5, "severity": "Critical"}, {"atLeast": 1, "severity": "Medium"}, {"above": 1, "severity": "Low"})
    assert _steps(alerting(*up)) == [(None, "green"), (1, "yellow"), (5, "red")]
    down = ({"below": 95, "severity": "Critical"}, {"atMost": 98, "severity": "High"})
    assert _steps(alerting(*down)) == [(None, "red"), (95, "orange"), (98, "green")]
    triggers = {"triggers": [{"metric": "errors", "severity": "High", "above": 3}]}
    assert _steps(subject(rollback=triggers)) == [(None, "green"), (3, "orange")]
    assert _steps(alerting({"above": 2, "relativeTo": "Old"})) == [(None, "green")]


def test_a_metric_of_the_phase_is_shown_as_the_operator_read_it() -> None:
    of = subject(metrics=[{"name": "errors", "query": 'errors{phase="$phase"}'}])
    [panel] = [each for each in panels(dashboards(of)[DAILY]) if each["title"] == "errors"]
    [target] = panel["targets"]
    assert (
        target["expr"] == 'max by (side) (syncrollout_criterion_reading{namespace="web", name="move", metric="errors"})'
    )
    assert target["datasource"]["uid"] == "${operator}"


def test_a_query_that_cannot_be_filled_in_is_said() -> None:
    with pytest.raises(MonitoringError, match=r"metric errors: \$interval is known to Grafana alone"):
        dashboards(subject(metrics=[{"name": "errors", "query": "errors[$interval]"}]))


def test_files_and_config_maps_hold_the_same() -> None:
    of = alerting({"above": 1}, dashboards={"labels": {"grafana": "yes"}, "folder": "Web"})
    files, objects = dashboard_files(of), dashboard_objects(of)
    assert list(files) == ["move-realtime.json", "move-daily.json", "move-weekly.json"]
    assert [json.loads(text) for text in files.values()] == list(dashboards(of).values())
    for key, obj in zip(dashboards(of), objects, strict=True):
        assert (obj["apiVersion"], obj["kind"]) == ("v1", "ConfigMap")
        assert obj["metadata"] == {
            "name": f"move-dashboard-{key}",
            "namespace": "web",
            "labels": {"grafana": "yes", "syncrollout.io/rollout": "move"},
            "annotations": {"grafana_folder": "Web"},
        }
        [(file, text)] = obj["data"].items()
        assert file == f"syncrollout-web-move-{key}.json"
        assert json.loads(text) == dashboards(of)[key]
    unless_told = dashboard_objects(subject())[0]["metadata"]
    assert unless_told["labels"]["grafana_dashboard"] == "1"
    assert "annotations" not in unless_told


def test_more_than_a_config_map_holds_is_refused() -> None:
    metrics = [
        {"name": f"m{number}", "ratio": {"of": "a" * 4096, "over": "$workload" * 455}, "kind": kind}
        for number, kind in zip(range(32), itertools.cycle(["system", "resource", "business"]), strict=False)
    ]
    longest = subject(metrics=metrics)
    for obj in dashboard_objects(longest):
        assert sum(len(text.encode()) for text in obj["data"].values()) <= LARGEST
    long_names = {"workload": {"kind": "Deployment", "name": "x" * 253}}
    with pytest.raises(MonitoringError, match=r"the dashboard realtime of spec\.metrics comes to [0-9]+ bytes"):
        dashboard_objects(subject(metrics=metrics, new=long_names))


def test_the_fleets_is_the_same_in_manifests_and_chart() -> None:
    for file in FILES:
        assert json.loads((ROOT / file).read_text()) == fleet()


def test_the_operator_has_every_metric_that_is_asked_of_it() -> None:
    known = {each.name for each in Telemetry().described}
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    asked = {name for each in EVERY.values() for name in re.findall(r"syncrollout_[a-z_]+", json.dumps(each))}
    assert asked - known == set()


@pytest.fixture(scope="module")
def recorded_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Prometheus]]:
    """A Prometheus that holds what was recorded of this."""
    running: dict[str, Prometheus] = {}

    def of(name: str) -> Prometheus:
        if name not in running:
            recording = Recording()
            if name == "demo":
                of_the_demo(recording, NOW)
            else:
                of_the_flagship(recording, FLAGSHIP, NOW)
            running[name] = Prometheus(tmp_path_factory.mktemp(name), history=recording.text(), name=name).start()
        return running[name]

    yield of
    for each in running.values():
        each.stop()


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("bare")])
def test_everything_that_is_shown_is_there(name: str, recorded_prometheus: Callable[[str], Prometheus]) -> None:
    of = "demo" if name.startswith("demo") else "flagship"
    asked = Asked(recorded_prometheus(of), NOW)
    since = {"realtime": 3600.0, "daily": 86400.0, "weekly": 604800.0}.get(name.rpartition("-")[2], 21600.0)
    step = (1.0 if of == "demo" else 30.0) if since <= 3600.0 else 60.0
    empty = [
        (title, expression)
        for title, expression, _ in expressions(EVERY[name])
        if not asked.series(expression, since, step)
    ]
    if of == "demo":  # which has no alerts
        empty = [(title, expression) for title, expression in empty if title != "Alerts fired"]
    assert empty == []


def test_the_last_durations_are_those_of_different_runs(recorded_prometheus: Callable[[str], Prometheus]) -> None:
    asked = Asked(recorded_prometheus("flagship"), NOW)
    [panel] = [each for each in panels(EVERY["flagship-realtime"]) if each["title"] == "Last 10 of duration"]
    assert (panel["timeFrom"], panel["interval"]) == ("24h", "1m")
    [(_, values)] = asked.series(panel["targets"][0]["expr"], 86400.0, 60.0)
    assert values == pytest.approx([1.2 * (200 + run) for run in range(1, 13)])


def test_a_mark_stands_where_a_phase_begins(recorded_prometheus: Callable[[str], Prometheus]) -> None:
    asked = Asked(recorded_prometheus("flagship"), NOW)
    [mark] = EVERY["flagship-weekly"]["annotations"]["list"]
    marked = {(labels["state"], labels["phase"]): values for labels, values in asked.series(mark["expr"], 7200.0, 60.0)}
    assert marked.keys() == {
        ("Progressing", "small-traffic"),
        ("Progressing", "medium-traffic"),
        ("Holding", "medium-traffic"),
    }
    assert all(len(values) == 1 for values in marked.values())


def test_alerts_that_fired_are_listed_with_when_they_began(recorded_prometheus: Callable[[str], Prometheus]) -> None:
    asked = Asked(recorded_prometheus("flagship"), NOW)
    [panel] = [each for each in panels(EVERY["flagship-daily"]) if each["title"] == "Alerts fired"]
    for target, value in zip(panel["targets"], ((NOW - 600) * 1000, 1.0), strict=True):
        [(labels, values)] = asked.series(target["expr"], 86400.0, 86400.0)
        assert labels == {"alertname": "ErrorRateLow", "severity": "low", "metric": "error-rate", "side": "new"}
        assert values[-1] == value
    assert asked.series("sync_nothing_of_this_name", 86400.0, 60.0) == []

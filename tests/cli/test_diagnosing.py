"""`kubectl syncrollout diagnose`, without a cluster: what is asked, and what is said where that is not to be had."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from backtest.plan import ROLLOUT
from cli.test_status import rollout
from diagnosis import made
from syncrollout.api.fields import parse_time
from syncrollout.api.installed import INDEX, own
from syncrollout.api.spec import Sign
from syncrollout.api.words import Side
from syncrollout.cli import chosen, diagnosing, objects
from syncrollout.cli.answers import Failed
from syncrollout.cli.gathering import Gathering, Manner
from syncrollout.cli.kubectl import RESOURCE, NotThere
from syncrollout.cli.measuring import proxy
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse
from syncrollout.diagnosis.facts import Logs, Matched, Reading, Workload
from syncrollout.diagnosis.find import Diagnosis, diagnose
from syncrollout.diagnosis.words import Certainty, Trouble
from syncrollout.ports import Endpoint

Obj = dict[str, Any]
TIME = "2026-01-05T12:00:00Z"
NOW = parse_time(TIME)
ADDRESS = "http://prometheus.monitoring:9090"


def deployment(name: str, **container: Any) -> Obj:
    template = {"spec": {"containers": [{"name": "app"} | container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def pod(name: str, **status: Any) -> Obj:
    container = {
        "name": "app",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-05T09:00:00Z"}},
    }
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-01-05T09:00:00Z"},
        "spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "512Mi"}}}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [container | status],
        },
    }


class Asked:
    """A cluster in which all is well; what is named in `refused` may not be asked."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.namespaces: list[str] = []
        self.objects: dict[tuple[str, str], Obj] = {
            ("deployment.apps", "sync-v1"): deployment("sync-v1"),
            ("deployment.apps", "sync-v2"): deployment("sync-v2"),
            ("httproute.gateway.networking.k8s.io", "listing-sync"): {"metadata": {"generation": 1}, "status": {}},
            ("leases.coordination.k8s.io", "syncrollout"): {
                "metadata": {
                    "name": "syncrollout",
                    "namespace": "syncrollout-system",
                    "managedFields": [{"manager": "syncrollout", "time": "2026-01-05T11:59:58Z"}],
                },
                "spec": {
                    "holderIdentity": "operator-a",
                    "leaseDurationSeconds": 15,
                    "renewTime": "2026-01-05T11:59:58.412000Z",
                },
            },
        }
        self.pods = {"app=sync-v1": [pod("old-a")], "app=sync-v2": [pod("new-a")]}
        self.printed: dict[tuple[str, bool], str] = {}
        self.series: Callable[[str], Callable[[float], float] | None] = lambda query: None
        self.queries: list[str] = []
        self.schema: Obj = copy.deepcopy(dict(own()))

    def _may(self, what: str) -> None:
        if what in self.refused:
            raise Failed(f"you may not get {what} here")

    def get(self, resource: str, name: str) -> Obj:
        self._may(resource)
        if (resource, name) not in self.objects:
            raise NotThere(f"{name} (NotFound)")
        return copy.deepcopy(self.objects[resource, name])

    whole = get

    def every(self, resource: str, *, selector: str = "") -> list[Obj]:
        self._may(resource)
        return self.pods.get(selector, [])

    def logs(self, pod: str, *, since: int, lines: int, most_bytes: int, previous: bool = False) -> str:
        self._may("pods/log")
        return self.printed.get((pod, previous), "")

    def clock(self) -> str:
        return TIME

    def raw(self, path: str) -> str:
        """The schemas of the API server, and Prometheus behind it."""
        if path.startswith(INDEX):
            self._may(INDEX)
            if path == INDEX:
                key = "apis/syncrollout.io/v1alpha1"
                return json.dumps({"paths": {key: {"serverRelativeURL": f"{INDEX}/{key}?hash=1"}}})
            return json.dumps({"components": {"schemas": {"io.syncrollout.v1alpha1.SyncRollout": self.schema}}})
        if "/proxy/" not in path:
            raise Failed("the server could not find the requested resource")
        self._may("services/proxy")
        asked = parse_qs(urlsplit(path).query)
        query = asked["query"][0]
        self.queries.append(query)
        value = (lambda _: 1.0) if query == "vector(1)" else self.series(query)
        start, end, step = (float(asked[each][0]) for each in ("start", "end", "step"))
        moments = [start + number * step for number in range(int((end - start) / step) + 1)]
        values = [[at, str(value(at))] for at in moments] if value is not None else []
        result = [{"metric": {}, "values": values}] if values else []
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def healthy(query: str) -> Callable[[float], float]:
    """What Prometheus has of two systems that are well."""
    return lambda _: 100e6 if "memory" in query else 0.01 if "throttled" in query else 1.0


def looked(cluster: Asked, *wanted: Trouble, spec: Obj | None = None, **status: Any) -> Diagnosis:
    obj = rollout(**status)
    obj["spec"] |= spec or {}
    obj["metadata"]["managedFields"] = []
    manner = Manner(Endpoint("http://prometheus.monitoring.svc:9090"), timeout=0.2)
    troubles = wanted or tuple(Trouble)
    return diagnose(Gathering(cluster, cluster, manner, troubles).facts(parse(obj), obj), troubles)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a Service is none outside of its cluster."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no such host")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


def test_where_all_is_well_nothing_is_found_and_all_was_looked_at() -> None:
    cluster = Asked()
    cluster.series = healthy
    diagnosis = looked(cluster)
    assert diagnosis.findings == ()
    assert diagnosis.gaps == ()
    assert diagnosing.exit_code(diagnosis) == 0
    assert any(
        'max(sync_duration_seconds{namespace="listings", workload="sync-v2"})' in each for each in cluster.queries
    )


def test_a_leak_is_seen_through_the_api_server() -> None:
    cluster = Asked()
    leak = lambda at: 400e6 + (at - NOW) * 30_000.0  # noqa: E731
    cluster.series = lambda query: leak if 'pod="new-a"' in query and "memory" in query else None
    diagnosis = looked(cluster, Trouble.MEMORY)
    assert [(each.trouble, each.certainty, each.sides) for each in diagnosis.findings] == [
        (Trouble.MEMORY, Certainty.LIKELY, (Side.NEW,))
    ]
    assert "at its limit in 1h" in diagnosis.findings[0].signs[0].text
    assert diagnosing.exit_code(diagnosis) == 2


def test_what_was_used_before_a_restart_is_no_leak() -> None:
    cluster = Asked()
    cluster.pods["app=sync-v2"] = [pod("new-a", state={"running": {"startedAt": "2026-01-05T11:30:00Z"}})]
    began = parse_time("2026-01-05T11:30:00Z")
    cluster.series = lambda query: lambda at: 400e6 + (at - NOW) * 30_000.0 if at < began else 100e6
    assert looked(cluster, Trouble.MEMORY).findings == ()


def test_logs_are_matched_before_and_after_a_restart_and_secrets_are_masked() -> None:
    cluster = Asked()
    cluster.pods["app=sync-v2"] = [pod("new-a", restartCount=1)]
    cluster.printed["new-a", True] = "status code 401 token=abcdefgh\n" * 2
    cluster.printed["new-a", False] = "status code 401 token=abcdefgh\n\x1b[2J"
    (finding,) = looked(cluster, Trouble.AUTH).findings
    assert finding.certainty is Certainty.LIKELY
    (sign,) = finding.signs
    assert "3 of 4 lines of new's logs" in sign.text
    assert "abcdefgh" not in sign.text
    assert "token=***" in sign.text


def test_words_of_the_spec_are_looked_for_and_one_that_is_no_expression_is_said() -> None:
    cluster = Asked()
    cluster.printed["new-a", False] = "the sheet is full\n" * 4
    given = {"logs": [{"pattern": "sheet is (full|locked)", "tells": "Slow"}, {"pattern": "(", "tells": "Auth"}]}
    diagnosis = looked(cluster, Trouble.SLOW, Trouble.AUTH, spec={"diagnosis": given})
    assert [each.trouble for each in diagnosis.findings] == [Trouble.SLOW]
    assert any(gap.what == "lines like '('" for gap in diagnosis.gaps)
    assert diagnosis.blind == (Trouble.AUTH,)


@pytest.mark.parametrize(
    ("refused", "troubles"),
    [
        ("services/proxy", {Trouble.SLOW, Trouble.MEMORY}),
        ("pods/log", {Trouble.SLOW, Trouble.INCONSISTENT, Trouble.MEMORY, Trouble.AUTH, Trouble.DATABASE}),
        ("leases.coordination.k8s.io", {Trouble.OPERATOR, Trouble.CLOCK}),
        ("httproute.gateway.networking.k8s.io", {Trouble.ROUTE}),
        ("/openapi/v3", {Trouble.CRD}),
    ],
)
def test_what_may_not_be_looked_at_is_said_and_nothing_found_is_not_nothing_there(
    refused: str, troubles: set[Trouble]
) -> None:
    cluster = Asked()
    cluster.series = healthy
    cluster.refused = {refused}
    diagnosis = looked(cluster)
    assert diagnosis.findings == ()
    assert set(diagnosis.blind) == troubles
    assert diagnosing.exit_code(diagnosis) == 3
    assert all(refused in gap.why for gap in diagnosis.gaps)


def test_a_prometheus_that_does_not_scrape_kubelets_leaves_the_slope_open() -> None:
    cluster = Asked()
    diagnosis = looked(cluster, Trouble.MEMORY)
    assert diagnosis.findings == ()
    assert [gap.what for gap in diagnosis.gaps] == ["how memory climbs"]


def test_a_metric_without_data_is_not_taken_for_a_good_one() -> None:
    cluster = Asked()
    cluster.series = lambda query: healthy(query) if "container" in query else None
    diagnosis = looked(cluster, Trouble.SLOW)
    assert [gap.what for gap in diagnosis.gaps] == ["metric duration of new", "metric duration of old"]
    assert diagnosing.exit_code(diagnosis) == 3


def test_a_workload_that_is_gone_or_has_no_pods_was_not_looked_at() -> None:
    cluster = Asked()
    cluster.series = healthy
    cluster.pods["app=sync-v1"] = []
    del cluster.objects["deployment.apps", "sync-v2"]
    diagnosis = looked(cluster, Trouble.AUTH)
    assert [(gap.what, gap.why[:16]) for gap in diagnosis.gaps] == [
        ("Deployment sync-v2 (new)", "it does not exis"),
        ("pods of old", "there is none: i"),
    ]
    cluster.objects["deployment.apps", "sync-v1"]["spec"]["replicas"] = 0  # retired: there is nothing to look at
    assert [gap.what for gap in looked(cluster, Trouble.AUTH).gaps] == ["Deployment sync-v2 (new)"]


def test_a_crd_that_is_older_than_the_plugin_is_named_by_what_it_drops() -> None:
    cluster = Asked()
    del cluster.schema["properties"]["spec"]["properties"]["pool"]
    (finding,) = looked(cluster, Trouble.CRD).findings
    assert (finding.certainty, finding.page) == (Certainty.CERTAIN, "crd")
    assert "spec.pool is not known" in finding.signs[0].text
    assert any("apply --server-side -f crds/" in action.command for action in finding.actions)


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    cluster = Asked()
    cluster.refused = {"pods", "pods/log", "services/proxy", "deployment.apps"}
    diagnosis = looked(cluster, Trouble.ROUTE, Trouble.HANDOVER)
    assert (diagnosis.findings, diagnosis.gaps) == ((), ())


def test_it_is_said_for_a_person_and_for_a_program() -> None:
    cluster = Asked()
    cluster.printed["new-a", False] = "FATAL: too many clients already\n" * 5
    cluster.refused = {"services/proxy"}
    contacts = {"contacts": [{"who": "DBA, #db-oncall", "tells": ["Database"]}]}
    diagnosis = looked(cluster, Trouble.DATABASE, Trouble.MEMORY, spec={"diagnosis": contacts})
    made = rollout()
    said = diagnosing.lines(parse(made), diagnosis, 3600.0)
    assert said[:2] == ["listings/move is Progressing: Phase 1/3 small: new has 10 %.", "Looked back over 1h."]
    assert "1. New gets no connection to the database (database, likely)" in said
    assert "   Call: DBA, #db-oncall" in said
    assert "   Runbook: docs/runbook/metric-system.md" in said
    assert "       kubectl -n listings rollout restart deployment/sync-v2" in said
    assert "Not found, as far as could be looked: memory" in said
    plain = diagnosing.as_plain(parse(made), diagnosis, 3600.0)
    assert json.loads(json.dumps(plain)) == plain
    (finding,) = plain["findings"]
    assert (finding["trouble"], finding["certainty"], finding["sides"]) == ("database", "likely", ["New"])
    assert finding["evidence"][0]["source"] == "logs"
    assert plain["notFoundAsFarAsLooked"] == ["memory"]
    assert plain["notLookedAt"][0]["what"].startswith("metrics of http://prometheus.monitoring.svc:9090")


def test_the_command_ends_with_what_it_has_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Asked()
    obj = rollout(state="Holding", reason="RouterDisobeys", message="the router does not obey")
    cluster.objects[RESOURCE, "move"] = obj
    for method in ("get", "whole", "every", "raw", "logs", "clock"):
        monkeypatch.setattr(
            f"syncrollout.cli.diagnosing.Kubectl.{method}", lambda _, *a, m=method, **k: getattr(cluster, m)(*a, **k)
        )
    assert main(["diagnose", "move", "--trouble", "route", "-o", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["findings"][0]["trouble"] == "route"
    assert main(["diagnose", "move", "--trouble", "handover"]) == 0
    assert "Not found: handover" in capsys.readouterr().out
    assert main(["diagnose", "move", "--trouble", "toothache"]) == 1
    assert main(["diagnose", "move", "--since", "0s"]) == 1
    assert main(["diagnose", "gone"]) == 1


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (ADDRESS, "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"),
        ("https://prom.mon.svc.cluster.local/prom/", "/api/v1/namespaces/mon/services/https:prom:443/proxy/prom"),
        ("http://prom.mon.svc", "/api/v1/namespaces/mon/services/prom:80/proxy"),
        ("https://prometheus.example.com", ""),
        ("http://prometheus:9090", ""),
        ("http://10.0.0.1:9090", ""),
        ("http://prom.mon/../../secrets", ""),
    ],
)
def test_the_way_through_the_api_server(address: str, path: str) -> None:
    assert proxy(address) == path


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("512Mi", 512 * 1024**2),
        ("1Gi", 1024**3),
        ("500M", 5e8),
        ("1500", 1500),
        ("2e9", 2e9),
        ("100m", 0.1),
        ("lots", None),
    ],
)
def test_quantities(text: str, number: float | None) -> None:
    assert objects.quantity(text) == (None if number is None else pytest.approx(number))


def test_metrics_of_time_tell_of_slowness_unless_the_spec_says_which_do() -> None:
    obj = {"metadata": {"name": "move"}, "spec": yaml.safe_load(ROLLOUT)["spec"]}
    backup = {"name": "backup-age", "unit": "seconds", "query": "time() - max(last_backup)"}
    obj["spec"]["metrics"].append(backup)
    told, given = chosen.told_by(parse(obj))
    assert ([each.metric for each in told], given) == (["duration"], False)
    obj["spec"]["diagnosis"] = {"metrics": [{"metric": "error-rate", "tells": "Auth", "above": 5}]}
    told, given = chosen.told_by(parse(obj))
    assert ([each.metric for each in told], given) == (["error-rate"], True)


def test_what_a_kubelet_says_of_a_pod() -> None:
    obj = pod("new-a", lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": TIME}})
    obj["spec"]["initContainers"] = [{"name": "migrate", "resources": {"limits": {"memory": "4Gi"}}}]
    waits = {"name": "migrate", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    obj["status"]["initContainerStatuses"] = [waits]
    found = objects.pod(obj, Side.NEW)
    first, app = found.containers
    assert (first.name, first.first, first.waiting, first.restarts) == ("migrate", True, "CrashLoopBackOff", 2)
    assert (app.ended, app.exit_code, app.ended_at) == ("OOMKilled", 137, NOW)
    assert found.limit == 512 * 1024**2
    obj["status"] |= {"phase": "Failed", "reason": "Evicted"}
    assert objects.pod(obj, Side.NEW).failed == "Evicted"


def test_a_pod_that_is_going_is_no_trouble() -> None:
    cluster = Asked()
    going = pod("new-b")
    going["metadata"]["deletionTimestamp"] = TIME
    going["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    cluster.pods["app=sync-v2"].append(going)
    assert looked(cluster, Trouble.PODS).findings == ()


def test_what_a_pod_template_says_of_environment_and_secrets() -> None:
    container = {
        "env": [
            {"name": "RATE_LIMIT", "value": "10"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api-token", "key": "token"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "knobs"}}, {"secretRef": {"name": "database"}}],
    }
    obj = deployment("sync-v2", **container)
    obj["spec"]["template"]["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "tls"}}]
    assert objects.taken_from(obj) == ("knobs",)
    new = parse({"metadata": {"name": "move"}, "spec": yaml.safe_load(ROLLOUT)["spec"]}).spec.new.workload
    found = objects.workload(new, obj, {"knobs": {"BATCH_SIZE": "5"}})
    assert found.environment == {"BATCH_SIZE": "5", "RATE_LIMIT": "10"}
    assert found.secrets == ("api-token", "database", "tls")
    assert (found.reference, found.selector, found.restartable) == ("deployment/sync-v2", "app=sync-v2", True)


def test_the_documentation_shows_what_it_prints() -> None:
    line = "ERROR sheets: HTTP 429 Too Many Requests"
    limited = Matched(Side.NEW, Trouble.SLOW, "an API limits the rate of requests", strong=True, lines=41, sample=line)
    knobs = {"API_RATE_LIMIT": "100", "SYNC_BATCH_SIZE": "500"}
    series = {"new": made.line(2.6, 2.6), "old": made.line(1.0, 1.0)}
    contacts = {"contacts": [{"who": "listings team, #listings-oncall"}]}
    some = made.facts(
        name="listing-sync",
        spec=made.spec(diagnosis=contacts),
        readings=(Reading(Sign.model_validate({"metric": "duration", "tells": "Slow"}), "seconds", **series),),
        logs=(Logs(Side.NEW, 800, (limited,)), Logs(Side.OLD, 800)),
        workloads={Side.NEW: Workload("deployment/listing-sync-v2", selector="app=listing-sync-v2", environment=knobs)},
    )
    message = "Phase 2/5 small-traffic holds: duration reads 2.6 seconds, old 1 seconds"
    stands = parse(rollout("listing-sync", state="Holding", reason="CriteriaNotMet", message=message))
    printed = "\n".join(diagnosing.lines(stands, diagnose(some), 3600.0))
    page = (Path(__file__).parents[2] / "docs" / "diagnose.md").read_text()
    assert f"$ kubectl syncrollout diagnose listing-sync\n{printed}\n```" in page

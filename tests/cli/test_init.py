"""`kubectl syncrollout init`: what is found, what is asked, and what is written."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncrollout.api.spec import RouteRef, SyncRolloutSpec
from syncrollout.cli import finding, init
from syncrollout.cli.answers import Failed
from syncrollout.cli.draft import Draft, Plan, manifest
from syncrollout.cli.init import Choosing, Wishes, drafted
from syncrollout.cli.mistakes import check
from syncrollout.cli.plugin import main

Obj = dict[str, Any]
GATEWAY = "gateway.networking.k8s.io/v1"


def deployment(name: str, replicas: int = 3, **labels: str) -> Obj:
    template = {"metadata": {"labels": {"app": name} | labels}}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "template": template}}


def service(name: str, port: int = 80, namespace: str = "shop", labels: Obj | None = None, **selector: str) -> Obj:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"selector": selector, "ports": [{"port": port}]},
    }


def route(name: str, *weights: tuple[str, int], kind: str = "HTTPRoute") -> Obj:
    backends = [{"name": each, "weight": weight} for each, weight in weights]
    return {
        "apiVersion": GATEWAY,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"rules": [{"backendRefs": backends}]},
    }


class FakeCluster:
    """What init may ask for."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Obj]] = {
            "deployments.apps": [deployment("web-v1"), deployment("web-v2"), deployment("other")],
            "services": [
                service("web-v1", app="web-v1"),
                service("web-v2", app="web-v2"),
                service("all", namespace="shop"),
            ],
            "httproutes.gateway.networking.k8s.io": [
                route("web", ("web-v1", 100), ("web-v2", 0)),
                route("old-only", ("web-v1", 1)),
            ],
            "everywhere": [service("prometheus-operated", 9090, "monitoring")],
        }
        self.refuses = ""
        self.forbidden: set[str] = set()

    def every(self, resource: str, *, selector: str = "", everywhere: bool = False) -> list[Obj]:
        """See Cluster."""
        if resource in self.forbidden or (everywhere and "everywhere" in self.forbidden):
            raise Failed(f"you may not list {resource} here")
        return self.objects["everywhere"] if everywhere else self.objects.get(resource, [])

    def served(self) -> list[str]:
        """See Looked."""
        return [*self.objects, "pods"]

    def accepts(self, file: str) -> str:
        """See Looked."""
        if self.refuses:
            raise Failed(self.refuses)
        return "configured"


class Person:
    """Answers by the first words of the question; what is likeliest where nothing is said."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.heard: list[str] = []
        self.asked: list[str] = []

    def choosing(self) -> Choosing:
        """This one."""
        return Choosing(self.heard.append, self._choose)

    def _choose(self, question: str, choices: Sequence[str], likely: str) -> str:
        self.asked.append(question)
        for words, answer in self.answers.items():
            if words in question.lower():
                return answer
        assert likely, question
        return likely


def test_two_deployments_are_enough_to_find_the_rest() -> None:
    person = Person()
    found = drafted(FakeCluster(), person.choosing(), Wishes(old="web-v1", new="web-v2", plan=Plan.HOUR))

    assert (found.old_service, found.new_service) == ("web-v1", "web-v2")
    assert [str(each) for each in found.routes] == ["HTTPRoute web"]
    assert found.prometheus == "http://prometheus-operated.monitoring:9090"
    assert found.name == "web"
    assert "route: HTTPRoute web" in person.heard
    spec = yaml.safe_load(manifest(found))["spec"]
    assert spec["traffic"] == {"routes": [{"apiVersion": GATEWAY, "kind": "HTTPRoute", "name": "web"}]}


def test_what_is_not_said_is_asked() -> None:
    person = Person(replaced="web-v2", takes="other", fast="days", called="mine")
    found = drafted(FakeCluster(), person.choosing(), Wishes())

    assert (found.old, found.new, found.plan, found.name) == ("web-v2", "other", Plan.DAYS, "mine")
    assert len(person.asked) == 4


def test_without_a_route_that_names_both_it_moves_by_replicas() -> None:
    cluster = FakeCluster()
    cluster.objects["httproutes.gateway.networking.k8s.io"] = []
    cluster.objects["services"].append(service("web", tier="web"))
    for each in cluster.objects["deployments.apps"]:
        each["spec"]["template"]["metadata"]["labels"]["tier"] = "web"
    person = Person()
    found = drafted(cluster, person.choosing(), Wishes(old="web-v1", new="web-v2", plan=Plan.WEEKS))

    assert (list(found.routes), found.replicas, found.old_service) == ([], 3, "")
    assert any("it moves by replica counts, 3 in all (Service web" in each for each in person.heard)
    assert yaml.safe_load(manifest(found))["spec"]["traffic"] == {"replicas": {"total": 3}}


def test_kinds_that_may_not_be_read_are_said_and_passed_over() -> None:
    cluster, person = FakeCluster(), Person()
    cluster.objects["grpcroutes.gateway.networking.k8s.io"] = []
    cluster.forbidden = {"grpcroutes.gateway.networking.k8s.io", "everywhere"}
    found = drafted(cluster, person.choosing(), Wishes(old="web-v1", new="web-v2", plan=Plan.WEEKS))

    assert len(found.routes) == 1
    assert any("grpcroutes" in each and "may not list" in each for each in person.heard)
    assert found.prometheus == "", "none was found where it may look"


def test_traffic_that_new_has_already_is_pointed_out() -> None:
    cluster, person = FakeCluster(), Person()
    cluster.objects["httproutes.gateway.networking.k8s.io"] = [route("web", ("web-v1", 1), ("web-v2", 1))]
    drafted(cluster, person.choosing(), Wishes(old="web-v1", new="web-v2", plan=Plan.WEEKS))

    assert any(each.startswith("CHECK: new has 50 % already") for each in person.heard)


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        (Wishes(old="web-v1", new="web-v1"), "the same"),
        (Wishes(old="web-v1", new="none"), "there is no Deployment none here; there is other, web-v1, web-v2"),
        (Wishes(kind="StatefulSet"), "there are 0 StatefulSets here"),
    ],
)
def test_what_cannot_be(wishes: Wishes, says: str) -> None:
    with pytest.raises(Failed, match=says):
        drafted(FakeCluster(), Person().choosing(), wishes)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("web-v1", "web-v2", "web"),
        ("listing-sync-v1", "listing-sync-v2", "listing-sync"),
        ("a", "b", "b"),
        ("shop", "shop2", "shop"),
        ("app.v1", "app.v2", "app"),
    ],
)
def test_it_is_called_what_both_are_called(old: str, new: str, name: str) -> None:
    assert finding.name_for(old, new) == name


def test_what_looks_like_a_prometheus_and_is_none() -> None:
    services = [
        service("prometheus-node-exporter", 9100, "monitoring"),
        service("alertmanager", 9093, "monitoring"),
        service("vmselect", 8481, "metrics"),
        service("kps", 9090, "monitoring", labels={"app.kubernetes.io/name": "prometheus"}),
        service("prometheus", 9090, "monitoring"),
        service("prometheus-operator", 8080, "monitoring"),
    ]
    assert finding.prometheus_of(services) == [
        "http://prometheus.monitoring:9090",
        "http://kps.monitoring:9090",
        "http://vmselect.metrics:8481",
    ]


def test_routes_of_every_kind_of_the_table_are_looked_for() -> None:
    served = ["httproutes.gateway.networking.k8s.io", "virtualservices.networking.istio.io", "pods"]
    assert finding.router_resources(served) == served[:2]


ROUTE = RouteRef.model_validate({"apiVersion": GATEWAY, "kind": "HTTPRoute", "name": "web"})


@pytest.mark.parametrize(
    ("plan", "routed", "prometheus"), list(itertools.product(Plan, [True, False], ["http://p.m:9090", ""]))
)
def test_whatever_is_written_is_valid(plan: Plan, routed: bool, prometheus: str) -> None:
    draft = Draft(
        name="web",
        namespace="1234" if routed else "",
        kind="Deployment",
        old="web-v1",
        new="web-v2",
        old_service="web-v1" if routed else "",
        new_service="web-v2" if routed else "",
        routes=[ROUTE] if routed else [],
        replicas=10,
        prometheus=prometheus,
        others=["http://q.m:9090"],
        plan=plan,
    )
    text = manifest(draft)

    assert check(text, "x").mistakes == ()
    made = yaml.safe_load(text)
    spec = SyncRolloutSpec.model_validate(made["spec"])
    assert spec.phases[-1].weight == 100
    assert all(each.success for each in spec.phases if each.weight) == bool(prometheus)
    assert made["metadata"] == {"name": "web"} | ({"namespace": "1234"} if routed else {})
    assert max(map(len, text.splitlines())) <= 120


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """What the command reaches instead of a cluster."""
    made = FakeCluster()
    monkeypatch.setattr(init, "Kubectl", lambda *_: made)
    return made


LINE = ["init", "--old", "web-v1", "--new", "web-v2", "--yes"]


def test_it_is_printed_for_a_pipe_and_what_is_said_beside_it_is_not_in_it(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*LINE]) == 0
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["kind"] == "SyncRollout"
    assert "route: HTTPRoute web" in printed.err


def test_a_file_that_is_there_is_not_written_over_unless_said(
    cluster: FakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text("mine")
    assert main([*LINE, "-o", str(file)]) == 1
    assert file.read_text() == "mine"
    assert "is not written over: give --force" in capsys.readouterr().err
    assert main([*LINE, "-o", str(file), "--force"]) == 0
    assert yaml.safe_load(file.read_text())["metadata"]["name"] == "web"
    assert "The API server would accept it" in capsys.readouterr().err


def test_what_the_api_server_refuses_is_1_and_where_it_cannot_be_asked_that_is_said(
    cluster: FakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.refuses = 'The SyncRollout "web" is invalid: spec: no'
    assert main([*LINE, "-o", str(tmp_path / "one")]) == 1
    assert "would refuse it" in capsys.readouterr().err
    cluster.refuses = "this cluster knows no SyncRollouts"
    assert main([*LINE, "-o", str(tmp_path / "two")]) == 0
    assert "could not be asked" in capsys.readouterr().err


def test_where_nobody_can_be_asked_what_is_missing_is_said(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--yes"]) == 1
    assert "Which one is replaced (--old)? Say so: there is other, web-v1, web-v2" in capsys.readouterr().err


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        """See TextIO."""
        return True


def test_somebody_at_a_terminal_is_asked_until_the_answer_is_one_of_those(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Typed("web-v1\nno-such\nweb-v2\nhour\n\n"))
    assert main(["init"]) == 0
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["metadata"]["name"] == "web"
    assert "no-such is none of them" in printed.err
    assert "Which one is replaced" in printed.err


def test_a_name_that_is_none_is_said_with_the_field(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LINE, "--prometheus", "prometheus:9090"]) == 1
    assert "spec.prometheus.address" in capsys.readouterr().err

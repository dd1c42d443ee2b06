"""The stage on which the scenarios play: control plane, fake pods, Prometheus, and the operator with its own rights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import invariants, plan
from e2e.accounts import Account
from e2e.operators import OWN_FAULT, Operator, Operators, install
from e2e.plan import API_VERSION, GATEWAY_API, KIND
from e2e.recorder import Recorder
from e2e.scene import WHOLE, Scene, Stage
from testbed import Backend, Cluster, DataPlane, Exporter, Kwok, Obj, Prometheus, build
from testbed.errors import TimedOut
from testbed.served import serve_gateway_api, until_served
from testbed.waiting import eventually

PORTS = {"old": 9101, "new": 9102}
LAST = "test_rights_used.py"
WATCHED = [
    (API_VERSION, KIND),
    (GATEWAY_API, "HTTPRoute"),
    (GATEWAY_API, "GRPCRoute"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What looks back on the whole folder comes at its end."""
    here = Path(__file__).parent
    ours = [item for item in items if item.path.parent == here]
    if ours:
        last = [item for item in ours if item.path.name == LAST]
        at = max(items.index(item) for item in ours) + 1
        items[at:at] = last
        for item in last:
            items.remove(item)
    config.stash[WHOLE] = {item.path.name for item in ours} == {path.name for path in here.glob("test_*.py")}


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Some scenario is left out."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.config.stash[WHOLE] = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is needed beyond the root conftest's parts, before the process leaves the network."""
    if session.config.option.collectonly:
        return
    if any("stage" in getattr(item, "fixturenames", ()) for item in session.items):
        capture: Any = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            build.ensure("contour", "prometheus")
            for part in ("alertmanager", "helm"):
                if any(part in getattr(item, "fixturenames", ()) for item in session.items):
                    build.ensure(part)


@pytest.fixture(scope="package")
def stage(control_plane: Cluster, kwok: Kwok, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything but the operator. Of this folder alone: tests elsewhere want no operator near their objects."""
    run_dir: Path = tmp_path_factory.mktemp("e2e")
    undo = install(control_plane)
    serve_gateway_api(control_plane.kube)
    until_served(control_plane.kube, "syncrollouts.syncrollout.io")
    with (
        Exporter() as exporter,
        # a Prometheus of its own: scenarios stop and hang it; it scrapes often, so that they need not wait
        Prometheus(run_dir, scrape_interval="200ms", targets=[exporter.target], name="e2e") as prometheus,
        Recorder(control_plane, WATCHED) as recorder,
    ):
        operators = Operators(control_plane, run_dir)
        began = 0 if control_plane.lasting else control_plane.audit.mark()
        yield Stage(control_plane, kwok, prometheus, exporter, recorder, operators, began)
        operators.stop()
    if control_plane.lasting:
        undo()


@pytest.fixture
def operator(stage: Stage) -> Operator:
    """The operator that scenarios share, running and leading."""
    return stage.operators.shared()


@pytest.fixture
def operators(stage: Stage) -> Iterator[Operators]:
    """For scenarios that start, kill and pause operators of their own."""
    yield stage.operators

    def let_go() -> bool:
        return not any(map(invariants.ended_and_held, stage.cluster.kube.list(API_VERSION, KIND)))

    with contextlib.suppress(TimedOut):  # what is held still is found at the end of its scene
        eventually(let_go, timeout=5, what="what has ended to be let go by whoever has carried it out")
    stage.operators.end_own()


@pytest.fixture
def empty_scene(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A fresh namespace; at the end the invariants are checked, and it is deleted (not waited for)."""
    scene = stage.scene(request.node.name.removeprefix("test_"))
    logged = {operator.name: len(operator.log()) for operator in stage.operators.all}
    yield scene
    try:
        invariants.check(scene)
        for each in stage.operators.all:
            faults = [line for line in each.log()[logged.get(each.name, 0) :] if _is_fault(line)]
            assert not faults, f"{each.name} logged: {faults}"
    finally:
        scene.end()


@dataclass(frozen=True)
class Proxied:
    """Two systems behind the real proxy: the host that the route `web` takes, and the server of each side."""

    host: str
    old: Backend
    new: Backend


@pytest.fixture
def proxied(data_plane: DataPlane, empty_scene: Scene) -> Iterator[Proxied]:
    """Two systems with pods behind Services, a process each that answers for all of its pods, and a route to them."""
    scene = empty_scene
    name = f"{scene.namespace}.example.com"
    scene.systems()
    for side, port in PORTS.items():
        body = {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": port}]}}
        scene.kube.patch("v1", "Service", side, scene.namespace, body)
    gateway_namespace, gateway = data_plane.gateway
    route: Obj = {
        "spec": {
            "hostnames": [name],
            "parentRefs": [{"name": gateway, "namespace": gateway_namespace}],
            "rules": [{"backendRefs": plan.route("web", scene.namespace)["spec"]["rules"][0]["backendRefs"]}],
        }
    }
    scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, route)
    run_dir = scene.stage.cluster.run_dir
    everywhere = "0.0.0.0"  # noqa: S104 - inside the network namespace
    with (
        Backend("old", everywhere, PORTS["old"], run_dir=run_dir) as old,
        Backend("new", everywhere, PORTS["new"], run_dir=run_dir) as new,
    ):
        data_plane.wait_for_split(name, {"old"}, timeout=20)
        yield Proxied(name, old, new)


@pytest.fixture
def host(proxied: Proxied) -> str:
    """The host that the proxy splits between old and new."""
    return proxied.host


@pytest.fixture
def proxy_counts(data_plane: DataPlane, stage: Stage) -> Iterator[None]:
    """Prometheus scrapes the proxy's own counters of requests by backend."""
    stage.prometheus.set_targets([data_plane.stats], data_plane.stats_labels, group="proxy")
    yield
    stage.prometheus.set_targets([], group="proxy")


def _is_fault(line: dict[str, Any]) -> bool:
    return OWN_FAULT in line["message"] or "exception" in line or line["message"].startswith("Traceback")


@pytest.fixture
def scene(empty_scene: Scene) -> Scene:
    """A fresh namespace with two systems, ready, and a route at old."""
    empty_scene.systems()
    return empty_scene


@pytest.fixture
def account(empty_scene: Scene) -> Account:
    """Rollouts of the scene are carried out as this one: all that is done for them is done by impersonation."""
    made = Account(empty_scene).create().grant()
    empty_scene.account = made.name
    return made

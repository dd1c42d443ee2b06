"""Fixtures that hand the testbed's real parts to tests. Each part is started when first asked for.

Before the first test that needs one, missing programs are built (the only step that uses the network)
and the test process moves into a network namespace of its own (see testbed/netns.py). A part that
cannot be had makes the tests that need it fail with the reason: nothing is skipped silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from testbed import (
    Cluster,
    DataPlane,
    Exporter,
    GitOps,
    Kwok,
    NamespaceForbidden,
    NotHere,
    Prometheus,
    TestbedError,
    build,
    given,
    netns,
)
from testbed.namespaces import create_namespace

_BUILDS = {  # what each fixture needs
    "control_plane": ("k8s",),
    "kwok": ("k8s", "kwok"),
    "prometheus": ("prometheus",),
    "recorded_prometheus": ("prometheus", "promtool"),
    "data_plane": ("k8s", "contour", "envoy"),
    "gitops": ("gitops",),
    "node": ("k8s", "contour", "prometheus"),
}
_FORBIDDEN = pytest.StashKey[NamespaceForbidden]()

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_sessionstart() -> None:
    """Say that there is no event loop: asked before the first one, asyncio would make one that nobody closes, and
    looptime asks ahead of every test."""
    asyncio.set_event_loop(None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build and enter the namespace once it is known that a chosen test needs a real part."""
    if session.config.option.collectonly:
        return
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    parts = {part for name, needed in _BUILDS.items() if name in fixtures for part in needed}
    if not parts:
        return
    capture: Any = session.config.pluginmanager.getplugin("capturemanager")
    try:
        somebody_elses = bool(given.wanted())
        with capture.global_and_fixture_disabled():
            build.ensure(*sorted(parts - {"k8s"} if somebody_elses else parts))
    except TestbedError as error:
        pytest.exit(f"testbed: {error}", returncode=1)
    if somebody_elses:
        return  # it is outside, and the namespace has no way out
    try:
        netns.enter()
    except NamespaceForbidden as error:
        session.config.stash[_FORBIDDEN] = error  # only the data plane cannot do without
    except TestbedError as error:
        pytest.exit(f"testbed: {error}", returncode=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """What a given cluster cannot do is skipped, and the summary says why."""
    try:
        return (yield)
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The same for faults that a test causes half-way."""
    try:
        return (yield)
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def session_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's parts keep their files and logs."""
    return tmp_path_factory.mktemp("testbed")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Where processes of this test keep their files and logs."""
    return tmp_path


@pytest.fixture(scope="session")
def control_plane(session_dir: Path) -> Iterator[Cluster]:
    """A real API server with its controllers and scheduler, shared by the session; no nodes (see kwok).

    It is the testbed's own, unless CLUSTER says otherwise (testbed/given.py).
    """
    with given.open_cluster(session_dir) as opened:
        yield opened


@pytest.fixture(scope="session")
def kwok(control_plane: Cluster) -> Iterator[Kwok]:
    """Fake nodes and pods on the session's control plane."""
    with Kwok(control_plane) as started:
        yield started


@pytest.fixture(scope="session")
def _exporter() -> Iterator[Exporter]:
    with Exporter() as started:
        yield started


@pytest.fixture(scope="session")
def prometheus(session_dir: Path, _exporter: Exporter) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes every second; the `exporter` fixture is among its targets."""
    with Prometheus(session_dir, targets=[_exporter.target]) as started:
        yield started


@pytest.fixture
def exporter(prometheus: Prometheus, _exporter: Exporter) -> Iterator[Exporter]:
    """An exporter that `prometheus` scrapes; empty at the start of each test. Label what you set."""
    yield _exporter
    _exporter.respond(None)
    _exporter.hang(0)
    _exporter.clear()


@pytest.fixture(scope="session")
def gitops() -> Iterator[GitOps]:
    """What Argo CD and Flux make of objects."""
    with GitOps() as tools:
        yield tools


@pytest.fixture(scope="session")
def data_plane(control_plane: Cluster, session_dir: Path, request: pytest.FixtureRequest) -> Iterator[DataPlane]:
    """A real proxy that obeys the HTTPRoutes of the session's control plane."""
    if control_plane.lasting:
        raise NotHere(
            "the testbed's proxy stands beside the testbed's own control plane only (make demo uses others too)"
        )
    forbidden = request.config.stash.get(_FORBIDDEN, None)
    if forbidden is not None:
        pytest.fail(str(forbidden), pytrace=False)
    with DataPlane(control_plane, session_dir) as started:
        yield started


@pytest.fixture
def namespace(control_plane: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh Kubernetes namespace, deleted (not waited for) at the end."""
    name = create_namespace(control_plane.kube, request.node.name.removeprefix("test_"))
    yield name
    control_plane.kube.delete("v1", "Namespace", name)

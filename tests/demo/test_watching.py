"""The demo's watch against the real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo.watching import Mirror, Obj, Server

from testbed import ControlPlane
from testbed.waiting import eventually


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own, as its API server is going to be restarted."""
    with ControlPlane(tmp_path_factory.mktemp("watching"), audit=False, scheduler=False) as started:
        yield started


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def mirror(control_plane: ControlPlane, namespace: str, seen: list[tuple[str, str]]) -> Iterator[Mirror]:
    def changed(_when: float, kind: str, item: Obj) -> None:
        if item["metadata"]["name"] != "kube-root-ca.crt":
            seen.append((kind, item["metadata"]["name"]))

    server = Server(control_plane.server, control_plane.ca_file, control_plane.user_token("testbed"))
    mirror = Mirror(server, f"/api/v1/namespaces/{namespace}/configmaps", changed)
    mirror.start()
    yield mirror
    mirror.stop()


def _config(name: str, namespace: str, value: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"value": value},
    }


@pytest.mark.cluster
def test_changes_arrive_and_an_api_server_that_was_away_is_caught_up_with(
    control_plane: ControlPlane, namespace: str, mirror: Mirror, seen: list[tuple[str, str]]
) -> None:
    kube = control_plane.kube
    kube.create(_config("a", namespace, "1"))
    kube.create(_config("b", namespace, "1"))
    eventually(lambda: len(seen) == 2, what="both to be seen")
    kube.apply(_config("a", namespace, "2"))
    kube.delete("v1", "ConfigMap", "b", namespace)
    eventually(lambda: len(seen) == 4, what="the change and the deletion to be seen")
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert mirror.get("b") is None

    control_plane.restart_apiserver()
    kube.apply(_config("a", namespace, "3"))
    eventually(lambda: (mirror.get("a") or {})["data"]["value"] == "3", what="the change after the restart")
    assert seen[4:] == [("MODIFIED", "a")]


@pytest.mark.cluster
def test_stopping_does_not_wait_for_the_next_event(mirror: Mirror) -> None:
    eventually(lambda: mirror.get("kube-root-ca.crt"), what="the first list")
    mirror.stop()
    assert not mirror.running

"""Real requests are split as an HTTPRoute says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import Backend, ControlPlane, DataPlane, Kwok, LoadGenerator, eventually, kwok
from testbed.dataplane import GATEWAY_API
from testbed.load import Request

pytestmark = [pytest.mark.cluster, pytest.mark.dataplane]


@pytest.fixture
def old_and_new(data_plane: DataPlane, namespace: str, run_dir: Path) -> Iterator[str]:
    """Two Services with a real backend each, and a route that gives 10 % to the new one; its host."""
    host = f"{namespace}.example"
    with (
        Backend("old", "10.200.0.1", 9000, run_dir=run_dir),
        Backend("new", "10.200.0.2", 9000, run_dir=run_dir),
    ):
        data_plane.add_backend("old", namespace, "10.200.0.1", 9000)
        data_plane.add_backend("new", namespace, "10.200.0.2", 9000)
        data_plane.add_route("route", namespace, host, {"old": 90, "new": 10})
        data_plane.wait_for_split(host, {"old", "new"}, n=60)
        yield host


def test_ninety_to_ten_splits_near_it(data_plane: DataPlane, old_and_new: str) -> None:
    counted = data_plane.split(old_and_new, 1000)
    assert set(counted) == {"old", "new"}
    # four standard deviations of a binomial (9.5 each) either side
    assert 62 <= counted["new"] <= 138


def test_it_says_what_it_has_for_a_host(data_plane: DataPlane, old_and_new: str, namespace: str) -> None:
    known = data_plane.explain(old_and_new)
    assert f"Envoy has for {old_and_new}: " in known
    assert f"'{namespace}/new': 10" in known
    assert "10.200.0.1:9000::health_flags::healthy" in known
    assert "contour.log:" in known
    assert "Envoy has for nobody.example: nothing" in data_plane.explain("nobody.example")


def test_a_change_of_weights_loses_no_request(
    data_plane: DataPlane, old_and_new: str, control_plane: ControlPlane, namespace: str
) -> None:
    with LoadGenerator(data_plane.address, old_and_new, rate=300, max_seconds=10) as load:
        for weight in (50, 0, 100):
            body = [
                {"op": "replace", "path": f"/spec/rules/0/backendRefs/{place}/weight", "value": value}
                for place, value in ((0, 100 - weight), (1, weight))
            ]
            control_plane.kube.patch(GATEWAY_API, "HTTPRoute", "route", namespace, body, type="json")
            _wait_weights(data_plane, old_and_new, {f"{namespace}/old": 100 - weight, f"{namespace}/new": weight})
            after = [request.backend for request in _next(load, 100)]
            assert after.count("new") / len(after) == pytest.approx(weight / 100, abs=0.2 if weight == 50 else 0)
    assert load.failed == 0
    assert {request.status for request in load.samples} == {200}


def test_pods_that_are_not_ready_get_no_traffic(
    data_plane: DataPlane, control_plane: ControlPlane, kwok: Kwok, namespace: str, run_dir: Path
) -> None:
    host = f"{namespace}.example"
    kube = control_plane.kube
    kube.create(_deployment("web", namespace))
    ports = [{"name": "http", "port": 80, "targetPort": 9100}]
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"selector": {"app": "web"}, "ports": ports},
        }
    )
    data_plane.add_route("route", namespace, host, {"web": 1})
    with Backend("pods", "0.0.0.0", 9100, run_dir=run_dir):  # noqa: S104 - inside the network namespace
        data_plane.wait_for_split(host, {"pods"})
        kwok.set_pods(namespace, "app=web", "not-ready")
        eventually(lambda: not data_plane.split(host, 5)["pods"], what="the proxy to send nothing to unready pods")
        kwok.set_pods(namespace, "app=web", None)
        data_plane.wait_for_split(host, {"pods"})


def _wait_weights(data_plane: DataPlane, host: str, wanted: dict[str, int]) -> None:
    eventually(lambda: data_plane.weights_in_envoy(host) == wanted, what=f"Envoy to have {wanted}")


def _next(load: LoadGenerator, count: int) -> list[Request]:
    """The next `count` requests; the one under way is left out."""
    begin = len(load.samples) + 1
    return eventually(lambda: load.samples[begin:] if len(load.samples) > begin + count else None, what="more load")


def _deployment(name: str, namespace: str) -> dict[str, object]:
    return kwok.deployment(name, namespace, replicas=2)

"""A Prometheus that asks who is asking: credentials and certificate authority from Secrets of its namespace."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from e2e import plan
from e2e.auth_proxy import CA, AuthProxy
from e2e.operators import Operator
from e2e.scene import Scene, Stage

pytestmark = pytest.mark.cluster
BY_TOKEN = {"bearerToken": {"name": "prometheus", "key": "token"}, "ca": {"name": "prometheus", "key": "ca.crt"}}


@pytest.fixture
def proxy(stage: Stage) -> Iterator[AuthProxy]:
    """In front of the Prometheus of the scenarios."""
    with AuthProxy(stage.prometheus.port) as started:
        yield started


def _secret(scene: Scene, **data: str) -> None:
    metadata = {"name": "prometheus", "namespace": scene.namespace}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"ca.crt": CA, **data}}
    scene.kube.apply(body)


def _asking(proxy: AuthProxy, **credentials: Any) -> dict[str, Any]:
    return {"address": proxy.address, "interval": "1s", "timeout": "3s", **credentials}


def test_a_bearer_token_and_a_ca(operator: Operator, scene: Scene, proxy: AuthProxy) -> None:
    proxy.accepts = "Bearer sesame"
    _secret(scene, token="sesame\n")  # noqa: S106 - with the newline that echo leaves
    rollout = scene.rollout([plan.phase("all", 100)], prometheus=_asking(proxy, **BY_TOKEN))
    rollout.until("Completed")
    assert proxy.refused == 0


def test_basic_auth_and_a_ca(operator: Operator, scene: Scene, proxy: AuthProxy) -> None:
    proxy.accepts = "Basic " + base64.b64encode(b"reader:open sesame").decode()
    _secret(scene, user="reader", password="open sesame")  # noqa: S106
    basic = {
        "basicAuth": {
            "username": {"name": "prometheus", "key": "user"},
            "password": {"name": "prometheus", "key": "password"},
        },
        "ca": BY_TOKEN["ca"],
    }
    rollout = scene.rollout([plan.phase("all", 100)], prometheus=_asking(proxy, **basic))
    rollout.until("Completed")
    assert proxy.refused == 0


def test_without_the_ca_nobody_is_trusted_and_no_token_is_shown(
    operator: Operator, scene: Scene, proxy: AuthProxy
) -> None:
    proxy.accepts = "Bearer sesame"
    _secret(scene, token="sesame")  # noqa: S106
    asking = _asking(proxy, bearerToken=BY_TOKEN["bearerToken"])
    rollout = scene.rollout([plan.phase("all", 100)], prometheus=asking)
    status = rollout.until("Preflight", reason="PrometheusUnreachable", stalled=True)
    assert "certificate" in status["message"]
    assert "spec.prometheus.ca" in status["message"]
    assert proxy.refused == 0
    rollout.edit(prometheus=_asking(proxy, **BY_TOKEN))
    rollout.until("Completed")


def test_a_token_that_is_refused_stalls(operator: Operator, scene: Scene, proxy: AuthProxy) -> None:
    proxy.accepts = "Bearer sesame"
    _secret(scene, token="guess")  # noqa: S106
    rollout = scene.rollout([plan.phase("all", 100)], prometheus=_asking(proxy, **BY_TOKEN))
    status = rollout.until("Preflight", reason="PrometheusRefused", stalled=True)
    assert "401" in status["message"]
    assert "guess" not in status["message"]
    assert scene.weights() == [0]


def test_a_token_revoked_mid_way_holds_until_the_secret_has_the_new_one(
    operator: Operator, scene: Scene, proxy: AuthProxy
) -> None:
    proxy.accepts = "Bearer sesame"
    _secret(scene, token="sesame")  # noqa: S106
    phases = [plan.phase("half", 50, "2s"), plan.phase("all", 100)]
    rollout = scene.rollout(phases, prometheus=_asking(proxy, **BY_TOKEN))
    rollout.until(phase="half", stands=True)
    proxy.accepts = "Bearer other"
    rollout.until("Holding", reason="CriteriaUnknown", says="401")
    assert scene.weights() == [0, 50]
    _secret(scene, token="other")  # noqa: S106
    rollout.until("Completed")
    assert all("sesame" not in line["message"] for line in operator.log())

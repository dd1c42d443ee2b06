"""A real Alertmanager that pushes what fires: the affected rollout goes back, though nobody has asked Prometheus."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.by_push import by_push
from e2e.operators import SHORT_LEASE, Operator, Operators
from e2e.scene import Scene
from testbed import Alertmanager
from testbed.ports import free_port
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
TOKEN = "kept-in-a-secret-of-the-cluster"  # noqa: S105 - of these tests
RECEIVED = 'syncrollout_alertmanager_requests_total{result="%s"}'


@dataclass(frozen=True)
class Pushed:
    """Where operators listen for alerts, and an Alertmanager that posts there."""

    alertmanager: Alertmanager
    port: int
    flags: tuple[str, ...]


@pytest.fixture
def pushed(alertmanager: Callable[[int, Path], Alertmanager], tmp_path: Path) -> Pushed:
    token, port = tmp_path / "token", free_port()
    token.write_text(TOKEN)
    flags = (f"--alertmanager-listen-port={port}", f"--alertmanager-token-file={token}")
    return Pushed(alertmanager(port, token), port, flags)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Callable[[int, Path], Alertmanager]]:
    """Starts one that posts to this port with the token of this file."""
    started: list[Alertmanager] = []

    def start(port: int, token: Path) -> Alertmanager:
        url = f"http://127.0.0.1:{port}/alertmanager"
        started.append(Alertmanager(tmp_path, url=url, token_file=token).start())
        return started[-1]

    yield start
    for each in started:
        each.process.stop()


def _counted(operator: Operator, outcome: str, at_least: int = 1) -> None:
    eventually(
        lambda: operator.metrics()[RECEIVED % outcome] >= at_least, timeout=30, what=f"a request to be {outcome}"
    )


def test_a_pushed_alert_sends_back_and_what_is_forged_or_not_meant_does_not(
    pushed: Pushed, operators: Operators, scene: Scene
) -> None:
    operator = operators.own("pushed", *pushed.flags)
    rollout = by_push(scene)
    loss = {"alertname": "DataLoss", "workload": "new", "namespace": scene.namespace}
    # forged, malformed, another workload's, another namespace's
    assert _post(pushed.port, b"{}", "Bearer guessed-by-somebody-else") == 401
    assert _post(pushed.port, b"{}", f"Bearer {TOKEN}") == 400
    assert _post(pushed.port, b" " * (2 << 20), f"Bearer {TOKEN}") == 413
    pushed.alertmanager.fire({**loss, "workload": "old"}, {**loss, "namespace": "elsewhere"})
    _counted(operator, "taken", 2)
    assert scene.weight() == 50
    pushed.alertmanager.fire(loss, annotations={"summary": "3 listings are lost"})
    status = rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]
    assert "as Alertmanager says: 3 listings are lost" in status["rollback"]["message"]
    assert status["rollback"]["reason"] == "TriggerBreached"
    # it is repeated every second, and resolved: nothing comes of either
    eventually(lambda: not rollout.obj["metadata"].get("finalizers"), what="the run to let go")
    before = rollout.obj["metadata"]["resourceVersion"]
    taken = operator.metrics()[RECEIVED % "taken"]
    pushed.alertmanager.resolve(loss)
    _counted(operator, "taken", int(taken) + 2)
    assert rollout.obj["metadata"]["resourceVersion"] == before
    assert {operator.metrics()[RECEIVED % what] for what in ("unauthorized", "malformed", "too_large")} == {1}


def _post(port: int, body: bytes, authorization: str) -> int:
    url = f"http://127.0.0.1:{port}/alertmanager"
    request = urllib.request.Request(url, body, {"Authorization": authorization})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_one_that_does_not_lead_has_alertmanager_try_again_until_it_does(
    pushed: Pushed, operators: Operators, scene: Scene
) -> None:
    leader = operators.own("leader", *SHORT_LEASE)
    standby = operators.own("standby", *SHORT_LEASE, *pushed.flags, leading=False)
    rollout = by_push(scene)
    pushed.alertmanager.fire({"alertname": "DataLoss", "workload": "new"})
    _counted(standby, "standby")
    assert scene.weight() == 50
    leader.process.kill()
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]
    _counted(standby, "taken")

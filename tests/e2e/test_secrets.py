"""Secrets stay secret: all that the operator writes or serves is searched for what was planted in Secrets it reads."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import plan
from e2e.auth_proxy import CA, AuthProxy
from e2e.operators import Operator, Operators
from e2e.scene import Scene, Stage
from fakes.post_office import Hook, webhook
from testbed import Obj
from testbed.ports import free_port
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster

PLANTED = {
    "token": "planted-prometheus-token",
    "chat": "planted-password-of-chat",
    "dead": "planted-password-of-mail",
    "value": "planted-value-of-the-environment",
    "page": "planted-token-of-the-page",
}


@pytest.fixture
def proxy(stage: Stage) -> Iterator[AuthProxy]:
    with AuthProxy(stage.prometheus.port) as started:
        started.accepts = f"Bearer {PLANTED['token']}"
        yield started


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as receiver:
        yield receiver


def _secret(scene: Scene, name: str, **data: str) -> None:
    metadata = {"name": name, "namespace": scene.namespace}
    scene.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})


def _served(url: str, path: str) -> str:
    headers = {"Authorization": f"Bearer {PLANTED['page']}"}
    asked = urllib.request.Request(f"{url}{path}", headers=headers)  # noqa: S310 - of this machine
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        return str(answer.read().decode())


def _written(scene: Scene) -> str:
    """Every object of the namespace but Secrets and what stood in it before."""
    kinds = [(plan.API_VERSION, plan.KIND), ("v1", "Event"), ("events.k8s.io/v1", "Event"), ("v1", "ConfigMap")]
    return json.dumps(
        [obj for kind in [*kinds, ("batch/v1", "Job")] for obj in scene.kube.list(*kind, scene.namespace)]
    )


def test_nothing_that_was_planted_is_written_or_served(
    operators: Operators, scene: Scene, proxy: AuthProxy, hook: Hook, tmp_path: Path
) -> None:
    page, port = tmp_path / "token", free_port()
    page.write_text(PLANTED["page"])
    operator: Operator = operators.own(
        "secretive", "--ui", f"--ui-listen-port={port}", f"--ui-token-file={page}", "--log-level=debug"
    )
    _secret(scene, "prometheus", token=PLANTED["token"], **{"ca.crt": CA})
    _secret(
        scene,
        "urls",
        chat=f"json://team:{PLANTED['chat']}@127.0.0.1:{hook.port}/hook",
        dead=f"mailto://team:{PLANTED['dead']}@127.0.0.1:{free_port()}/?from=a@example.com&to=b@example.com",
    )
    _secret(scene, "environment", BATCH_SIZE=PLANTED["value"])
    for side in ("old", "new"):
        container: Obj = {"name": "main", "envFrom": [{"secretRef": {"name": "environment"}}]}
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        scene.kube.patch("apps/v1", "Deployment", side, scene.namespace, body, type="strategic")
        scene.until_ready(side, 2)
    ca, token = ({"name": "prometheus", "key": key} for key in ("ca.crt", "token"))
    channels = [{"name": name, "urlFrom": {"name": "urls", "key": name}} for name in ("chat", "dead")]
    names = {"name": "variables", "group": "Infrastructure", "envVars": {"names": ["BATCH_SIZE", "LEVEL"]}}
    rollout = scene.rollout(
        [plan.phase("half", 50, plan.LONG)],
        prometheus={"address": proxy.address, "interval": "1s", "bearerToken": token, "ca": ca},
        notifications={"audiences": [{"name": "team", "channels": channels}]},
        preflight={"interval": "5s", "checks": [names]},
    )
    rollout.until("Preflight", says="does not define LEVEL")
    rollout.edit(preflight=None)
    rollout.until(phase="half", stands=True)
    proxy.accepts = "Bearer another"
    rollout.until("Holding", says="401")
    proxy.accepts = f"Bearer {PLANTED['token']}"
    rollout.until("Progressing")
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    eventually(lambda: len(hook.posts) >= 3, timeout=30, what="the chat to be told")
    eventually(lambda: "dead" in str(rollout.status["notifications"]), timeout=30, what="mails to be tried")

    url = f"http://127.0.0.1:{port}/"
    where = f"api/v1/rollouts/{scene.namespace}/move"
    told = {
        "log": operator.process.log_text(),
        "objects": _written(scene),
        "metrics": operator.page("/metrics")[1],
        "messages": json.dumps([body for _, body in hook.posts]),
        "page": "".join(_served(url, path) for path in ("", "api/v1/rollouts", where, f"{where}/series")),
    }
    assert all(scene.namespace in text for kind, text in told.items() if kind != "messages"), "it was looked at"
    for kind, text in told.items():
        for name, secret in PLANTED.items():
            for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret[len("planted-") :]):
                assert form not in text, f"{kind} shows the secret {name}"

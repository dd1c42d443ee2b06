"""People are told: a real mail server, a real receiver of webhooks and a real Alertmanager get each message once,
though the operator is killed and channels are down."""

from __future__ import annotations

import base64
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e import plan
from e2e.operators import Operator, Operators
from e2e.recorder import Moment, Seen
from e2e.scene import Rollout, Scene
from fakes.post_office import Hook, Mailbox, mail_server, webhook
from testbed import Alertmanager, Obj
from testbed.ports import free_port
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
ALONE = "--no-leader-election"


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as receiver:
        yield receiver


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    token = tmp_path / "token"
    token.write_text("nobody listens there")
    with Alertmanager(tmp_path, url=f"http://127.0.0.1:{free_port()}/", token_file=token) as started:
        yield started


def _secret(scene: Scene, **urls: str) -> None:
    data = {key: base64.b64encode(url.encode()).decode() for key, url in urls.items()}
    metadata = {"name": "message-urls", "namespace": scene.namespace}
    scene.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def _channel(name: str, **more: object) -> Obj:
    return {"name": name, "urlFrom": {"name": "message-urls", "key": name}, **more}


def _deliveries(rollout: Rollout) -> list[Obj]:
    box = rollout.status.get("notifications") or {}
    return [each for message in box.get("messages", ()) for each in message.get("deliveries", ())]


def _all_told(rollout: Rollout, state: str = "Sent") -> Callable[[], bool]:
    return lambda: bool(_deliveries(rollout)) and all(each["state"] == state for each in _deliveries(rollout))


def test_a_rollback_is_told_by_mail_in_japanese_by_chat_in_english_and_to_alertmanager(
    operator: Operator, scene: Scene, mails: Mailbox, hook: Hook, alertmanager: Alertmanager
) -> None:
    _secret(scene, mail=mails.url, chat=hook.url)
    alerts = {"name": "alerts", "alertmanager": {"address": alertmanager.address}, "severities": ["Critical"]}
    metadata = {"name": "words", "namespace": scene.namespace}
    own = {"Started.en.title": "{{ name }} goes", "Started.en": "{{ name.upper() }}"}
    scene.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": own})
    rollout = scene.rollout(
        [plan.phase("half", 50, plan.LONG)],
        notifications={
            "audiences": [
                {"name": "team", "channels": [_channel("chat"), alerts]},
                {"name": "stakeholders", "language": "ja", "channels": [_channel("mail")]},
            ],
            "templates": {"configMap": "words"},
        },
    )
    rollout.until("Preflight", reason="TemplateInvalid", says="Started.en: line 1: a call cannot be used")
    mended = {"data": {"Started.en": "{{ name }} goes by {{ weight }} %"}}
    scene.kube.patch("v1", "ConfigMap", "words", scene.namespace, mended)
    rollout.until(phase="half", stands=True)
    held = "[Medium] move: held in the beginning"
    eventually(lambda: hook.titles() == [held, "move goes"], timeout=20, what="the start to be told")
    assert hook.posts[1][1]["message"].strip() == "move goes by 50 %"
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    eventually(_all_told(rollout), timeout=20, what="all to be told")
    assert hook.titles()[2:] == ["[Critical] move: rolling back", "[Critical] move: rolled back"]
    assert "errors: 50 %" in hook.posts[2][1]["message"]
    assert mails.subjects() == [
        "【注意】【move】移行を保留しています",
        "【move】移行を開始しました",
        "【緊急】【move】切り戻しを開始しました",
        "【緊急】【move】切り戻しが完了しました",
    ]
    assert sorted(each["labels"]["alertname"] for each in alertmanager.alerts()) == [
        "SyncRolloutRolledBack",
        "SyncRolloutRollingBack",
    ]
    assert rollout.condition("NotificationsDelivered")["status"] == "True"
    known = str(rollout.obj) + "".join(str(line) for line in operator.log()) + str(rollout.events())
    assert str(hook.port) not in known
    assert str(mails.port) not in known
    assert operator.metrics()['syncrollout_message_attempts_total{attempt="Sent"}'] >= 8


def _notified(*states: str) -> Moment:
    def moment(seen: Seen) -> bool:
        box = (seen.obj.get("status") or {}).get("notifications") or {}
        each = box.get("messages") or ()
        return [one["state"] for message in each for one in message["deliveries"]] == list(states)

    return moment


def test_killed_at_moments_it_tells_each_thing_once(operators: Operators, scene: Scene, hook: Hook) -> None:
    """Recorded and not begun it is sent by the next process; begun, and nobody knows, it is not sent again."""
    _secret(scene, chat=hook.url)
    audience = {"name": "team", "events": ["Started", "RollingBack", "RolledBack"], "channels": [_channel("chat")]}
    moments = {
        "it is to be told": _notified("Pending"),
        "it was told": _notified("Sent"),
        "there is more to tell": _notified("Sent", "Pending"),
    }
    rollout: Rollout | None = None
    for name, moment in moments.items():
        own = operators.adopt(operators.make("killed", ALONE))
        if name == "there is more to tell":
            scene.set("errors", 50, "new")
        with scene.stage.recorder.at(scene.namespace, moment, own.process.kill) as come:
            if come.is_set():
                continue
            own.process.launch()
            if rollout is None:
                phases = [plan.phase("half", 50, plan.LONG)]
                rollout = scene.rollout(phases, notifications={"audiences": [audience]})
            eventually(come.is_set, timeout=30, interval=0.01, what=f"the moment when {name}")
        assert own.process.wait(5) == -signal.SIGKILL
    assert rollout is not None
    operators.own("last", ALONE)
    rollout.until("RolledBack")
    eventually(
        lambda: not [each for each in _deliveries(rollout) if each["state"] in ("Pending", "Sending")],
        timeout=20,
        what="all to have come to an end",
    )
    ids = [headers["Idempotency-Key"] for headers, _ in hook.posts]
    assert len(ids) == len(set(ids))
    unknown = [each for each in _deliveries(rollout) if each["state"] == "Unconfirmed"]
    assert len(ids) + len(unknown) >= 3
    assert bool(unknown) is ("MessageUndelivered" in rollout.reasons)


def test_a_channel_that_is_down_holds_nothing_up_and_gets_it_once_it_is_back(operator: Operator, scene: Scene) -> None:
    port = free_port()
    _secret(scene, chat=f"json://127.0.0.1:{port}/hook")
    audience = {"name": "team", "events": ["RolledBack"], "channels": [_channel("chat")]}
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], notifications={"audiences": [audience]})
    rollout.until(phase="half", stands=True)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    eventually(lambda: bool(_deliveries(rollout)[0].get("error")), timeout=20, what="the first attempt to fail")
    assert _deliveries(rollout)[0]["error"] == "nobody could be reached there"
    with webhook(port) as hook:
        eventually(_all_told(rollout), timeout=40, what="it to be told after all")
        assert hook.titles() == ["[Critical] move: rolled back"]

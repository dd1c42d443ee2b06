"""The ends of logs for the incident report: whose, how much, and without secrets."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.kube import FakeKube
from syncrollout.act.reports import Reporter
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.decide.actions import KeepLogs, WriteReport
from syncrollout.observe.incident_logs import CONFIG_MAP, LONGEST, IncidentLogs, end
from syncrollout.observe.pods import POD
from syncrollout.ports import KindRef, Object, ObjectRef, Unavailable

pytestmark = [pytest.mark.looptime]

SPEC = SyncRolloutSpec.model_validate(
    {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}},
        "traffic": {"replicas": {"total": 10}},
        "phases": [{"name": "all", "weight": 100}],
    }
)
TARGET = Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "move"), SPEC, "1", (), "u1")


def _pod(name: str, *, restarts: int = 0, ready: bool = True, **labels: str) -> Object:
    status: dict[str, Any] = {"name": "main", "restartCount": restarts, "state": {"running": {}}}
    if restarts:
        status["lastState"] = {"terminated": {"exitCode": 1}}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels or {"app": "v2"}},
        "spec": {},
        "status": {"conditions": conditions, "containerStatuses": [status]},
    }


@pytest.fixture
async def kube() -> FakeKube:
    kube = FakeKube()
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "v2"}}}
    metadata = {"name": "v2", "namespace": "shop"}
    kube.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    return kube


async def test_pods_that_are_worst_off_come_first_and_what_was_before_a_restart_too(kube: FakeKube) -> None:
    for number in range(4):
        kube.put(_pod(f"well-{number}"))
    kube.put(_pod("loops", restarts=7, ready=False))
    kube.put(_pod("other", app="v1"))
    kube.printed[("loops", "main", False)] = "starting"
    kube.printed[("loops", "main", True)] = "panic: no such table\nDB_PASSWORD=hunter2"
    kept, text = await IncidentLogs(kube, kube).of_new(TARGET, "move-incident-1", "now")
    assert kept == ""
    assert text is not None
    assert text.startswith("== pod loops, container main, before its last restart ==\npanic: no such table\n")
    assert "== pod loops, container main ==\nstarting" in text
    assert "hunter2" not in text
    assert "pod other" not in text
    assert text.endswith("(2 more pods are left out)")


async def test_what_is_kept_is_not_read_again_and_what_cannot_be_read_says_so(kube: FakeKube) -> None:
    logs = IncidentLogs(kube, kube)
    assert await logs.of_new(TARGET, "", "now") == (None, None)
    assert await logs.of_new(TARGET, "move-incident-1", "now") == ("", "no pod of new is there")
    kube.put(_pod("one"))
    kube.forbid("get", POD)
    _, text = await logs.of_new(TARGET, "move-incident-1", "now")
    assert text is not None
    assert "(not read: " in text
    kube.forbid("list", POD)
    _, text = await logs.of_new(TARGET, "move-incident-1", "now")
    assert text is not None
    assert text.startswith("(the logs could not be read: ")

    async def fails(*_: object) -> None:
        raise Unavailable("no")

    kube.before = fails
    assert await logs.of_new(TARGET, "move-incident-1", "now") == (None, None)


def test_of_a_long_log_whole_lines_at_its_end_are_kept_and_nothing_that_moves_a_cursor() -> None:
    text = end("\n".join(f"{number} {'x' * 50}" for number in range(1000)) + "\x1b[2J\x00")
    assert len(text) <= LONGEST
    assert text.splitlines()[0].endswith("x" * 50)
    assert "\x1b" not in text
    assert "\x00" not in text


@pytest.mark.parametrize("letter", ["x", "é", "店", "🜲"])
def test_what_is_kept_is_bounded_in_bytes_for_so_a_config_map_is(letter: str) -> None:
    assert len(end(f"{letter * 30}\n" * 1000).encode()) <= LONGEST
    assert end(letter * 20_000).strip(letter) == ""
    assert len(end(letter * 20_000).encode()) <= LONGEST


def test_a_secret_that_begins_before_what_is_kept_is_masked_too() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "c2VjcmV0\n" * 1200 + "-----END RSA PRIVATE KEY-----\nbye"
    assert end(key) == "***\nbye"
    assert end(key[5000:]) == "***\nbye", "only its last lines were printed of late"
    assert "hunter2" not in end(f"DB_PASSWORD={'hunter2' * 1200} and {'y' * 2000}")


async def _written(kube: FakeKube, *actions: KeepLogs | WriteReport) -> dict[str, str]:
    async def write(_: ObjectRef, sent: Any) -> Object:
        return dict(await sent)

    reporter = Reporter(kube, write)
    for action in actions:
        await (reporter.keep(TARGET, action) if isinstance(action, KeepLogs) else reporter.write(TARGET, action))
    obj = kube.read(ObjectRef(CONFIG_MAP, "shop", "move-incident-1"))
    assert obj is not None
    return dict(obj["data"])


async def test_logs_stand_beside_the_report_of_their_own_rollback_alone(kube: FakeKube) -> None:
    name = "move-incident-1"
    data = await _written(kube, KeepLogs(name, "a", "first"), KeepLogs(name, "a", "later"), WriteReport(name, "a", "A"))
    assert data == {"new.log": "first", "report.md": "A"}
    data = await _written(kube, KeepLogs(name, "b", "of b"))
    assert data == {"new.log": "of b"}, "what an earlier rollback left is gone"
    data = await _written(kube, WriteReport(name, "b", "B", "jobs"))
    assert data == {"new.log": "of b", "report.md": "B", "jobs.log": "jobs"}
    data = await _written(kube, WriteReport(name, "c", "C"))
    assert data == {"report.md": "C"}

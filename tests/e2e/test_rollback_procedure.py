"""A rollback with its data: Jobs that really run, on a database that new has really spoilt."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from e2e import ledger, plan
from e2e.job_runner import JobRunner, template
from e2e.log_server import log_server
from e2e.operators import SHORT_LEASE, Operator, Operators
from e2e.rights import Right, without
from e2e.scene import Rollout, Scene, Stage, ready_replicas
from testbed import Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
SCRIPT = Path(ledger.__file__)
ALONE = "--no-leader-election"


class Database:
    """The database of one scenario."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run("make")

    def run(self, work: str) -> None:
        """A program of its own writes to it."""
        subprocess.run([sys.executable, SCRIPT, work, self.path], check=True)

    def rows(self) -> list[Any]:
        """Every row of the table that matters."""
        with sqlite3.connect(self.path) as db:
            return db.execute("SELECT * FROM listings ORDER BY id").fetchall()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """As old has left it."""
    return Database(tmp_path / "listings.db")


@pytest.fixture
def runner(scene: Scene, tmp_path: Path) -> Iterator[JobRunner]:
    """Pods of steps run."""
    with JobRunner(scene, tmp_path) as running:
        yield running


def _step(work: str, database: Database) -> Obj:
    return template(sys.executable, SCRIPT, work, args=[str(database.path)])


def _procedure(database: Database, *, verify: str = "check", budget: str = "60s") -> Obj:
    return {
        "verifyData": {"job": {"template": _step(verify, database)}, "budget": budget},
        "restore": {"job": {"template": _step("restore", database)}, "budget": "60s"},
    }


def _half(scene: Scene, procedure: Obj) -> Rollout:
    triggers = [{"severity": "Critical", "metric": "errors", "above": 10}]
    rollback = {"triggers": triggers, "procedure": procedure}
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], rollback=rollback)
    rollout.until(phase="half", stands=True)
    return rollout


def _steps(status: Obj) -> dict[str, Obj]:
    return {step["name"]: step for step in (status.get("rollback") or {}).get("steps", ())}


def _states(status: Obj) -> dict[str, str]:
    return {name: step["state"] for name, step in _steps(status).items()}


@pytest.mark.usefixtures("account")
def test_lost_and_doubled_rows_are_found_and_mended_row_for_row(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    nightly = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": scene.namespace},
        "spec": {
            "schedule": "0 3 * * *",
            "suspend": True,
            "jobTemplate": {"spec": {"template": _step("check", database)}},
        },
    }
    nightly["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    scene.kube.create(nightly)
    before = database.rows()
    procedure = _procedure(database)
    procedure["verifyData"]["job"] = {"fromCronJob": "nightly"}
    procedure["switch"] = {"stopNew": True}
    procedure["evidence"] = {"keep": 1}
    rollout = _half(scene, procedure)
    database.run("spoil")
    assert database.rows() != before
    scene.set("errors", 50, "new")
    scene.until_weight(0)
    status = rollout.until("RolledBack", timeout=60)
    assert database.rows() == before
    assert _states(status) == {
        "Switch": "Succeeded",
        "VerifyData": "Failed",
        "Restore": "Succeeded",
        "VerifyAgain": "Succeeded",
        "Evidence": "Succeeded",
    }
    report = scene.kube.get("v1", "ConfigMap", "move-incident-1", scene.namespace)["data"]["report.md"]
    assert "4 duplicates, 4 lost, 1 changed" in report
    assert "hunter2" not in report
    found = _steps(status)["VerifyData"]
    assert found["exitCode"] == 2
    assert found["output"].endswith("4 duplicates, 4 lost, 1 changed; first lost: [11]")
    assert "checked for move, run 1, DB_PASSWORD=***" in found["output"]
    assert runner.ran == ["VerifyData", "Restore", "VerifyAgain"]
    jobs = {job["metadata"]["name"] for job in scene.kube.list("batch/v1", "Job", scene.namespace)}
    assert jobs == {step["job"] for step in _steps(status).values() if "job" in step}
    reasons = [event["reason"] for event in rollout.events()]
    assert (reasons.count("StepStarted"), reasons.count("StepFailed"), reasons.count("StepSucceeded")) == (3, 1, 4)
    scene.until_ready("new", 0)
    scene.healthy("new")
    rollout.edit(revision="2")
    rollout.until(phase="half", stands=True)
    scene.until_ready("new", 2)


def test_nothing_is_restored_where_nothing_is_wrong_and_old_is_verified(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    before = database.rows()
    procedure = _procedure(database)
    job = {"template": _step("check", database)}
    procedure["verifySystem"] = {"checks": [{"metric": "errors", "below": 1}], "job": job, "budget": "60s"}
    rollout = _half(scene, procedure)
    scene.set("errors", 3, "old")
    scene.set("errors", 50, "new")
    rollout.until("RollingBack", says="VerifySystem runs")
    assert runner.ran == ["VerifyData"]
    scene.set("errors", 0.2, "old")
    status = rollout.until("RolledBack", timeout=60)
    assert _states(status) == {
        "Switch": "Succeeded",
        "VerifyData": "Succeeded",
        "Restore": "Skipped",
        "VerifyAgain": "Skipped",
        "VerifySystem": "Succeeded",
    }
    assert runner.ran == ["VerifyData", "VerifySystem"]
    assert database.rows() == before


def test_a_verification_that_hangs_is_stopped_by_kubernetes_and_nothing_is_restored_by_itself(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    procedure = _procedure(database, verify="hang", budget="3s")
    rollout = _half(scene, procedure)
    database.run("spoil")
    left = database.rows()
    scene.set("errors", 50, "new")
    scene.until_weight(0)
    status = rollout.until("RolledBack", timeout=90)
    assert database.rows() == left
    states = _states(status)
    assert (states["VerifyData"], states["Restore"], states["VerifyAgain"]) == ("Overrun", "Skipped", "Skipped")
    assert "has used up its 3s" in _steps(status)["VerifyData"]["message"]
    assert runner.killed == ["VerifyData"]
    assert status["history"][-1]["type"] == "Warning"


def test_operators_that_are_upgraded_or_killed_run_no_step_twice(
    operators: Operators, scene: Scene, database: Database, runner: JobRunner
) -> None:
    """The next one stands by each time: it goes on with the very Job that the one before has made."""
    before = database.rows()
    own = operators.own("first", *SHORT_LEASE)
    rollout = _half(scene, _procedure(database))
    database.run("spoil")
    scene.set("errors", 50, "new")
    for step, upgraded in (("VerifyData", True), ("Restore", False), ("VerifyAgain", True)):
        following = operators.own("next", *SHORT_LEASE, leading=False)
        rollout.until(also=lambda obj, name=step: "job" in _steps(obj["status"]).get(name, {}))  # type: ignore[misc]
        if upgraded:
            assert own.stop() == 0
        else:
            own.process.kill()
        own = following
        eventually(lambda: own.leading, timeout=20, what=f"the next to lead while {step} is under way")  # noqa: B023
    status = rollout.until("RolledBack", timeout=60)
    assert database.rows() == before
    assert runner.ran == ["VerifyData", "Restore", "VerifyAgain"]
    assert _states(status)["VerifyAgain"] == "Succeeded"
    assert own.process.running


@pytest.mark.usefixtures("account")
def test_old_is_restarted_under_its_traffic_and_then_tried(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    job = {"template": _step("check", database)}
    checks = [{"metric": "errors", "below": 1}]
    rollout = _half(scene, {"verifySystem": {"restartOld": True, "checks": checks, "job": job, "budget": "60s"}})
    before = scene.pods("old")
    scene.set("errors", 50, "new")
    status = rollout.until("RolledBack", timeout=60)
    step = _steps(status)["VerifySystem"]
    assert step["state"] == "Succeeded"
    assert "old was restarted within" in step["message"]
    assert step["restart"] == status["rollback"]["decided"]
    assert scene.pods("old").isdisjoint(before)
    old = scene.kube.get("apps/v1", "Deployment", "old", scene.namespace)
    assert old["spec"]["template"]["metadata"]["annotations"]["syncrollout.io/restart"] == step["restart"]
    assert runner.ran == ["VerifySystem"]
    seen = [each.obj for each in scene.stage.recorder.story(scene.namespace, "Deployment") if each.name == "old"]
    assert all(ready_replicas(each) > 0 for each in seen[-5:])


@contextmanager
def _front() -> Iterator[tuple[int, dict[str, int]]]:
    """A port at which old answers, and what it answers by path; 404 to all else."""
    answers: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.get(self.path, 404))
            self.end_headers()
            self.wfile.write(b"listings: 1000")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, answers
    server.shutdown()
    thread.join(10)
    server.server_close()


SNAPSHOT = ("snapshot.storage.k8s.io/v1", "VolumeSnapshot")


@pytest.fixture(scope="module")
def snapshots(stage: Stage) -> Iterator[None]:
    """The kind that the CSI snapshotter brings along, as far as it matters here."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    crd: Obj = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "volumesnapshots.snapshot.storage.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"},
        },
        "spec": {
            "group": "snapshot.storage.k8s.io",
            "scope": "Namespaced",
            "names": {"plural": "volumesnapshots", "singular": "volumesnapshot", "kind": "VolumeSnapshot"},
            "versions": [version],
        },
    }
    kube = stage.cluster.kube
    kube.apply(crd)
    eventually(lambda: kube.list(*SNAPSHOT) == [], what="VolumeSnapshots to be served")
    yield
    kube.delete(crd["apiVersion"], "CustomResourceDefinition", crd["metadata"]["name"])


def _restoring(database: Database, **backup: Any) -> Obj:
    job = {"template": _step("restore", database)}
    return {"restore": {"job": job, "mode": "Always", "budget": "60s", "backup": backup}}


def _is_restored(rollout: Rollout, database: Database, before: list[Any]) -> Obj:
    status = rollout.until("RolledBack", timeout=60)
    assert _states(status)["Restore"] == "Succeeded"
    assert database.rows() == before
    return status


def test_a_cluster_without_snapshots_says_so(operator: Operator, scene: Scene, database: Database) -> None:
    procedure = _restoring(database, volumeSnapshot={"name": "nightly"}, maxAge="25h")
    procedure["restore"]["budget"] = "4s"
    rollout = _half(scene, procedure)
    scene.set("errors", 50, "new")
    status = rollout.until("RolledBack", timeout=60)
    assert _states(status)["Restore"] == "Failed"
    assert "this cluster has no VolumeSnapshots" in _steps(status)["Restore"]["message"]


@pytest.mark.usefixtures("account", "snapshots")
@pytest.mark.parametrize(
    "found", [{"name": "nightly"}, {"matchLabels": {"app": "listings-db"}}], ids=["name", "labels"]
)
def test_a_restore_waits_for_a_snapshot_that_is_ready(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner, found: Obj
) -> None:
    before = database.rows()
    rollout = _half(scene, _restoring(database, volumeSnapshot=found, maxAge="25h"))
    database.run("spoil")
    metadata = {"name": "nightly", "namespace": scene.namespace, "labels": {"app": "listings-db"}}
    scene.kube.create({"apiVersion": SNAPSHOT[0], "kind": SNAPSHOT[1], "metadata": metadata, "spec": {}})
    scene.set("errors", 50, "new")
    rollout.until(also=lambda obj: "BackupMissing" in [each["reason"] for each in obj["status"].get("history", ())])
    assert runner.ran == []
    taken = datetime.now(UTC).isoformat()
    ready = {"status": {"readyToUse": True, "creationTime": taken}}
    scene.kube.patch(*SNAPSHOT, "nightly", scene.namespace, ready, subresource="status")
    _is_restored(rollout, database, before)


def test_a_backup_is_made_before_the_restore(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    before = database.rows()
    rollout = _half(scene, _restoring(database, job={"template": _step("check", database)}))
    scene.set("errors", 50, "new")
    status = _is_restored(rollout, database, before)
    assert runner.ran == ["Backup", "Restore"]
    assert _steps(status)["Restore"]["backupJob"].startswith("move-restore-backup-")


@pytest.mark.usefixtures("account")
def test_old_answers_its_probes_before_the_end(operators: Operators, scene: Scene) -> None:
    operators.own("prober", ALONE, "--probe-host", "127.0.0.1")
    with _front() as (port, answers):
        service = plan.service("front", scene.namespace)
        service["spec"]["ports"] = [{"port": port}]
        scene.kube.create(service)
        answers |= {"/healthz": 200, "/items?limit=10": 503}
        probe = {"service": "front", "port": port}
        probes = [{**probe, "path": "/healthz"}, {**probe, "path": "/items?limit=10", "contains": "listings: 1000"}]
        rollout = _half(scene, {"verifySystem": {"probes": probes, "budget": "60s"}})
        scene.set("errors", 50, "new")
        rollout.until("RollingBack", says="VerifySystem runs")
        answers["/items?limit=10"] = 200
        status = rollout.until("RolledBack", timeout=60)
    step = _steps(status)["VerifySystem"]
    assert step["state"] == "Succeeded"
    assert f"all probes pass (GET front:{port}/healthz: 200 in " in step["message"]


def test_a_service_that_stands_for_another_host_is_not_asked(operators: Operators, scene: Scene) -> None:
    operators.own("prober", ALONE, "--probe-host", "127.0.0.1")
    with _front() as (port, answers):
        answers["/"] = 200
        outside = plan.service("outside", scene.namespace)
        outside["spec"] = {"type": "ExternalName", "externalName": "example.com", "ports": [{"port": port}]}
        scene.kube.create(outside)
        probes = [{"service": "outside", "port": port}]
        rollout = _half(scene, {"verifySystem": {"probes": probes, "budget": "4s"}})
        scene.set("errors", 50, "new")
        status = rollout.until("RolledBack", timeout=60)
    step = _steps(status)["VerifySystem"]
    assert step["state"] == "Overrun"
    assert "stands for a host outside of the namespace (ExternalName), and is not asked" in step["message"]


def test_a_restore_that_runs_says_how_far_it_is(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    halfway = "print('restoring'); print('progress: 40% restored 400 of 1000', flush=True); time.sleep(9)"
    job = {"template": template(sys.executable, "-c", f"import time; {halfway}")}
    rollout = _half(scene, {"restore": {"job": job, "mode": "Always", "budget": "60s"}})
    with log_server(scene, runner.printed):
        scene.set("errors", 50, "new")
        rollout.until(
            also=lambda obj: _steps(obj["status"]).get("Restore", {}).get("progress") == "40% restored 400 of 1000"
        )
        status = rollout.until("RolledBack", timeout=60)
    assert _states(status)["Restore"] == "Succeeded"


def test_without_the_right_to_read_logs_a_restore_is_the_same_but_for_its_progress(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    job = {"template": template(sys.executable, "-c", "import time; time.sleep(9)")}
    with without(scene.stage, Right("", "pods/log", "get")):
        rollout = _half(scene, {"restore": {"job": job, "mode": "Always", "budget": "60s"}})
        scene.set("errors", 50, "new")
        status = rollout.until("RolledBack", timeout=60)
    step = _steps(status)["Restore"]
    assert step["state"] == "Succeeded"
    assert step["progress"] == "not known: the operator lacks the right to get pods/log"


@pytest.mark.usefixtures("account")
def test_the_report_keeps_the_logs_of_a_new_that_is_stopped(
    operator: Operator, scene: Scene, database: Database, runner: JobRunner
) -> None:
    def printed(pod: str, container: str, previous: bool) -> str | None:
        if not pod.startswith("new-"):
            return runner.printed(pod, container, previous)
        return "listening\npanic: listing 17 has no price\nDB_PASSWORD=hunter2\n"

    procedure = {**_procedure(database), "switch": {"stopNew": True}, "evidence": {}}
    rollout = _half(scene, procedure)
    database.run("spoil")
    with log_server(scene, printed):
        scene.set("errors", 50, "new")
        status = rollout.until("RolledBack", timeout=90)
    assert _states(status)["Evidence"] == "Succeeded"
    scene.until_ready("new", 0)
    kept = scene.kube.get("v1", "ConfigMap", "move-incident-1", scene.namespace)["data"]
    assert "panic: listing 17 has no price" in kept["new.log"]
    assert "4 duplicates, 4 lost, 1 changed" in kept["jobs.log"]
    assert "hunter2" not in "".join(kept.values())
    assert "under `new.log` of ConfigMap move-incident-1" in kept["report.md"]
    plot = kept["report.md"].partition("## The reading that broke")[2].partition("##")[0]
    assert "errors (percent) from 20" in plot
    assert "greatest 50, last 50" in plot
    assert scene.pods("new") == set()

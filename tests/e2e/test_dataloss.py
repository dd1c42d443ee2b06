"""New loses, doubles and changes rows of a database that both systems write to, while people go on editing what they
sync from. What is found and mended is compared row for row, by a referee that knows none of the Jobs."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from demo.database import Database
from demo.services.faults import Fault
from demo.services.spreadsheet import new_sheet, read_sheet, write_sheet
from demo.services.store import Store
from demo.services.worker import result_of
from demo.workspace import Workspace

from e2e import plan
from e2e.job_runner import JobRunner, template
from e2e.operators import Operator
from e2e.programs import HERE, MODULES, ROOT
from e2e.scene import Rollout, Scene
from e2e.sharded import CONFIG_MAP, Workers
from syncrollout.shards import slot
from testbed import Obj, Process
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
ITEMS = 120
LOST = 'max(sync_listings_lost{workload="$workload"})'


class Company:
    """The spreadsheet, the people who edit it, the database, and the two systems as processes of pods."""

    def __init__(self, scene: Scene, directory: Path) -> None:
        self.scene = scene
        self.data = Workspace(directory)
        self.database = Database(self.data, "old", "new")
        self.crew = Workers(scene, directory, (HERE / "listing_sync.py", directory))
        argv = [sys.executable, "-m", "demo.services.spreadsheet", "--file", self.data.sheet, "--every", "0.3"]
        self.people = Process("people", argv, run_dir=directory, env={"PYTHONPATH": MODULES}, cwd=ROOT)
        write_sheet(self.data.sheet, new_sheet(ITEMS).rows)

    def open(self) -> None:
        """Both systems run and are scraped, old has synced everything, and the backup is made."""
        self.crew.start()
        for side in ("old", "new"):
            self.crew.make(side, side, replicas=1)
            self.scene.kube.create(plan.service(side, self.scene.namespace))
        self.scene.kube.create(plan.route("web", self.scene.namespace))
        eventually(lambda: len((self.data.folder / "targets").read_text().split()) == 2, what="both to run")
        self.crew.scraped()
        eventually(lambda: self.data.store.exists() and self._synced(), what="old to have synced all", timeout=30)
        self.database.back_up()
        self.people.launch()

    def close(self) -> None:
        self.people.stop()
        self.crew.stop()

    def spoil(self) -> None:
        """From now on new does damage."""
        self.database.remember()
        for target in (self.data.folder / "targets").read_text().split():
            host, port = target.split(":")
            if 'version="new"' in _ask(host, int(port), "GET", "/metrics"):
                assert '"dataloss"' in _ask(host, int(port), "POST", "/fault", json.dumps({"kind": "dataloss"}))

    def differences(self) -> list[str]:
        """What is not as it must be, once nobody edits any more and old has gone through the sheet."""
        self.people.stop()
        demand = {row.id: row.revision for row in read_sheet(self.data.sheet).rows}
        since = time.monotonic()

        def handled() -> bool:
            items = [item for item in self.crew.items() if item.begin >= since and item.side == "old"]
            return demand.keys() <= {item.key for item in items}

        eventually(handled, timeout=30, what="old to go through the sheet once more")
        return self.database.compare(undone=True).differences

    def _synced(self) -> bool:
        self.database.remember()
        return self.database.compare(undone=True).differences == []


def _ask(host: str, port: int, method: str, path: str, body: str | None = None) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path, body)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.fixture
def company(empty_scene: Scene, tmp_path: Path) -> Iterator[Company]:
    """At work, with everything at old."""
    made = Company(empty_scene, tmp_path)
    try:
        made.open()
        yield made
    finally:
        made.close()
    made.crew.check()


@pytest.fixture
def runner(company: Company, tmp_path: Path) -> Iterator[JobRunner]:
    """Pods of steps run."""
    with JobRunner(company.scene, tmp_path) as running:
        yield running


def _job(company: Company, *work: str) -> Obj:
    env = [{"name": "LISTINGS_DATA", "value": str(company.data.folder)}, {"name": "PYTHONPATH", "value": MODULES}]
    return {"template": template(sys.executable, "-m", "demo.jobs", *work, env=env)}


def _half(company: Company, *restore: str, verify_system: bool = True) -> Rollout:
    """Half of the requests and items are at new, and a loss of data is Critical."""
    metrics = [
        *plan.METRICS,
        {"name": "lost", "unit": "listings", "query": LOST},
        {"name": "backup-age", "unit": "seconds", "query": "time() - max(listings_backup_timestamp_seconds)"},
    ]
    procedure: Obj = {
        "switch": {"stopNew": True, "budget": "60s"},
        "verifyData": {"job": _job(company, "check"), "budget": "60s"},
        "restore": {
            "backup": {"metric": "backup-age", "maxAge": "1h"},
            "job": _job(company, "restore", *restore),
            "budget": "60s",
        },
        "evidence": {"keep": 1},
    }
    if verify_system:
        checks = [{"metric": "lost", "below": 1}]
        procedure["verifySystem"] = {"checks": checks, "job": _job(company, "test-sync"), "budget": "60s"}
    rollout = company.scene.rollout(
        [plan.phase("half", 50, plan.LONG)],
        metrics=metrics,
        traffic={
            "routes": [plan.route_ref()],
            "shards": {"configMap": CONFIG_MAP, "handover": {"method": "Ack", "timeout": "20s"}},
        },
        rollback={"triggers": [{"severity": "Critical", "metric": "lost", "above": 3}], "procedure": procedure},
    )
    rollout.until(phase="half", stands=True)
    company.crew.scraped()
    return rollout


@pytest.mark.usefixtures("account")
def test_lost_doubled_and_changed_rows_are_found_and_mended_row_for_row_while_old_works_on(
    operator: Operator, company: Company, runner: JobRunner
) -> None:
    rollout = _half(company)
    eventually(lambda: _by_new(company) >= 5, what="new to have edits of its own to write", timeout=30)
    company.spoil()
    prometheus = company.scene.stage.prometheus
    prometheus.wait_for(f"{LOST.replace('$workload', 'new')} > 3", bool)
    visible = time.monotonic()
    company.scene.until_weight(0)
    requests = time.monotonic() - visible
    status = rollout.until("RolledBack", timeout=120)
    steps = {step["name"]: step for step in status["rollback"]["steps"]}
    assert {name: step["state"] for name, step in steps.items()} == {
        "Switch": "Succeeded",
        "VerifyData": "Failed",
        "Restore": "Succeeded",
        "VerifyAgain": "Succeeded",
        "VerifySystem": "Succeeded",
        "Evidence": "Succeeded",
    }
    assert runner.ran == ["VerifyData", "Restore", "VerifyAgain", "VerifySystem"]
    found = steps["VerifyData"]
    assert found["exitCode"] == 1
    assert "damage: " in found["output"]
    assert " 0 lost" not in found["output"]
    assert " 0 doubled" not in found["output"]
    report = company.scene.kube.get("v1", "ConfigMap", "move-incident-1", company.scene.namespace)["data"]["report.md"]
    assert found["output"].splitlines()[-1] in report
    assert company.differences() == []
    print(f"\nrequests at old {requests:.2f} s after the trigger's reading was visible")
    for name, step in steps.items():
        print(f"{name}: {step['started']} to {step['finished']}, budget {step['budgetSeconds']} s")


def test_a_restore_that_leaves_a_row_out_is_found_out_by_the_verification_and_by_the_referee(
    operator: Operator, company: Company, runner: JobRunner
) -> None:
    rows = [row.parse() for row in read_sheet(company.data.sheet).rows if row.price.isdecimal()]
    victim = next(row.id for row in rows if slot(row.id) < 500 and not result_of(row, Fault.DATALOSS))
    rollout = _half(company, "--leave", victim, verify_system=False)
    company.spoil()
    status = rollout.until("RolledBack", timeout=120)
    states = {step["name"]: step["state"] for step in status["rollback"]["steps"]}
    assert (states["Restore"], states["VerifyAgain"]) == ("Succeeded", "Failed")
    assert [each.partition(":")[0] for each in company.differences()] == [victim]
    assert status["history"][-1]["type"] == "Warning"


def _by_new(company: Company) -> int:
    with closing(Store(company.data.store)) as store:
        return sum(row.writer == "new" for row in store.rows())

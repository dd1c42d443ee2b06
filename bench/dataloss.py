"""A loss of data that is Critical, from the reading that shows it to everything back at old and the rows mended.

Both systems are the demo's, and so are the Jobs of the rollback; requests follow a route and items a ConfigMap. Each
run ends with the database as it must be, row for row, or the scenario fails.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demo.database import Database
from demo.services.spreadsheet import new_sheet, write_sheet
from demo.services.store import Store
from demo.workspace import Workspace

from bench.report import Report, Row, spread
from bench.scenarios import ROUTES, visible_at
from bench.watching import Watching, weight_of_new
from bench.workers import marks, scrape, until, workers
from bench.world import ROLLOUT, ROOT, World, route, service
from e2e.job_runner import JobRunner, template
from e2e.programs import MODULES
from testbed.journal import NEVER, Ledger
from testbed.kube import Kube
from testbed.waiting import eventually

NAME = "loss"
CONFIG_MAP = "loss"
OLD, NEW = f"old-{NAME}", f"new-{NAME}"
ITEMS = 400
LOST = 'max(sync_listings_lost{workload="$workload"})'
TARGET = "max < 5 s"


@dataclass(frozen=True, slots=True)
class _Place:
    kube: Kube
    namespace: str


def goes_back(world: World, report: Report, *, count: int = 5) -> None:
    """Half of everything to new, which then loses, doubles and changes rows; and once more, from a new backup."""
    place = _Place(world.kube, world.testbed.new_namespace("dataloss"))
    requests, granted, items, steps = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="dataloss-") as name:
        data = Workspace(Path(name))
        database = Database(data, OLD, NEW)
        write_sheet(data.sheet, new_sheet(ITEMS).rows)
        world.start_operator()
        program = [str(ROOT / "tests" / "e2e" / "listing_sync.py"), str(data.folder), f"-{NAME}"]
        path = f"/api/v1/namespaces/{place.namespace}/configmaps"
        with (
            workers(world, place.namespace, NAME, program, config_map=CONFIG_MAP, directory=data.folder, pods=1),
            Watching(world.testbed.control_plane, ROUTES, weight_of_new) as routes,
            Watching(world.testbed.control_plane, path, marks) as config_maps,
            JobRunner(place, data.folder),
        ):
            world.kube.create(route(NAME, place.namespace))
            for side in (OLD, NEW):
                world.kube.create(service(side, place.namespace))
            eventually(lambda: _rows(data) == ITEMS - 1, timeout=60, what="old to have synced everything")
            database.back_up()
            world.apply(_rollout(world, place.namespace, data))
            for run in range(1, count + 1):
                until(world, place.namespace, NAME, run, "Progressing")
                _fault(eventually(lambda: _both(world, place.namespace, data), what="new to be scraped"))
                visible = visible_at(world, f"{LOST.replace('$workload', NEW)} > 3")
                status = until(world, place.namespace, NAME, run, "RolledBack")
                decided = _time(status["rollback"]["decided"])
                requests.append(routes.first(NAME, lambda weight: weight == 0, decided - 1.0) - visible)
                granted.append(config_maps.first(CONFIG_MAP, lambda at: at == (0, 0), decided - 1.0) - visible)
                items.append(_last_item_of_new(data) - visible)
                done = {step["name"]: step for step in status["rollback"]["steps"]}
                assert [done[step]["state"] for step in ("VerifyData", "Restore", "VerifyAgain")] == [
                    *("Failed", "Succeeded", "Succeeded")
                ], done
                steps.append(_time(done["VerifyAgain"]["finished"]) - visible)
                database.remember()
                differences = database.compare(undone=True).differences
                assert not differences, differences
                database.back_up()
                world.kube.patch(*ROLLOUT, NAME, place.namespace, {"spec": {"revision": str(run + 1)}})
    report.section(
        "Loss of data, Critical, interval 1s",
        f"{count} times half of the requests and of {ITEMS} items from new back to old, handover Ack; from the first "
        "query that shows more than 3 lost listings. The database is SQLite, the systems and the Jobs of the steps are "
        "processes; after each run every row is as it must be. min / **median** / max.",
        [
            Row("Critical trigger visible to the route at 0", spread(requests), TARGET),
            Row("Critical trigger visible to the end of the last item that new handled", spread(items), TARGET),
            Row("Critical trigger visible to the assignment that grants old every slot", spread(granted), TARGET),
            Row("Critical trigger visible to data restored and verified again", spread(steps), "-"),
        ],
    )


def _both(world: World, namespace: str, data: Workspace) -> list[str]:
    """The two targets; none while new is still on its way back."""
    targets = scrape(world, namespace, data.folder)
    return targets if len(targets) == 2 else []


def _rows(data: Workspace) -> int:
    if not data.store.exists():
        return 0
    store = Store(data.store)
    try:
        return len(store.rows())
    finally:
        store.close()


def _last_item_of_new(data: Workspace) -> float:
    """When new ended its last item, in wall-clock seconds."""
    ledger = Ledger(data.journal, lambda _pod, _begin: NEVER)
    ledger.read()
    return max(item.end for item in ledger.done if item.side == "new") + time.time() - time.monotonic()


def _fault(targets: list[str]) -> None:
    """Tells new to lose data from now on."""
    for target in targets:
        host, port = target.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request("GET", "/metrics")
            if 'version="new"' in connection.getresponse().read().decode():
                connection.request("POST", "/fault", json.dumps({"kind": "dataloss"}))
                assert connection.getresponse().status == 200
        finally:
            connection.close()


def _rollout(world: World, namespace: str, data: Workspace) -> dict[str, Any]:
    made = world.rollout(NAME, namespace, interval="1s", weights=(50,), duration="1h")
    spec = made["spec"]
    spec["traffic"]["shards"] = {"configMap": CONFIG_MAP, "handover": {"method": "Ack"}}
    spec["metrics"] = [{"name": "lost", "unit": "listings", "query": LOST}]
    spec["phases"][0] |= {"success": [{"metric": "lost", "below": 1}], "rollbackOn": []}
    env = [{"name": "LISTINGS_DATA", "value": str(data.folder)}, {"name": "PYTHONPATH", "value": MODULES}]

    def job(work: str) -> dict[str, Any]:
        return {"template": template(sys.executable, "-m", "demo.jobs", work, env=env)}

    spec["rollback"] = {
        "triggers": [{"severity": "Critical", "metric": "lost", "above": 3}],
        "procedure": {
            "switch": {"stopNew": True},
            "verifyData": {"job": job("check")},
            "restore": {"job": job("restore")},
        },
    }
    return made


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


__all__ = ["goes_back"]

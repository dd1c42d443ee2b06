"""Alerts that are pushed: from the moment at which a payload is sent to the weights that are back at old."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.report import Report, Row, spread, times
from bench.scenarios import ROUTES
from bench.watching import Watching, weight_of_new
from bench.world import World
from testbed.ports import free_port
from testbed.waiting import eventually

TOKEN = "a-token-for-the-benchmark"  # noqa: S105 - of a port on loopback, for a minute
ALERT = "BenchLoss"
TARGET = "median < 0.15 s"


def restores(world: World, report: Report, *, count: int = 20, interval: str = "30s") -> None:
    """One after another, a payload each; then as many more by one payload. All of them are in flight all the time."""
    namespace = world.testbed.new_namespace("push")
    single, together = ([f"{kind}{number}" for number in range(count)] for kind in ("s", "t"))
    names = [*single, *together]
    world.systems(namespace, names)
    port, token = free_port(), Path(world.testbed.run_dir) / "token"
    token.write_text(TOKEN)
    world.start_operator(f"--alertmanager-listen-port={port}", f"--alertmanager-token-file={token}")
    trigger = {"severity": "Critical", "alert": ALERT, "match": {"workload": "$workload"}}
    with Watching(world.testbed.control_plane, ROUTES, weight_of_new) as routes:
        baseline = world.baseline(names[0], namespace)
        for name in names:
            rollout = world.rollout(name, namespace, interval=interval, weights=(50, 100), duration="1h")
            rollout["spec"]["rollback"] = {"triggers": [trigger]}
            world.apply(rollout)
        for name in names:
            routes.first(name, lambda weight: weight == 50, 0, timeout=60)
        eventually(lambda: _post(port, []) == 200, timeout=30, what="the receiver of alerts to take payloads")
        time.sleep(3.0)
        alone = []
        for name in single:
            sent = time.time()
            assert _post(port, [name]) == 200
            alone.append(routes.first(name, lambda weight: weight == 0, sent) - sent)
            time.sleep(0.25)
        sent = time.time()
        assert _post(port, together) == 200
        at_once = [routes.first(name, lambda weight: weight == 0, sent) - sent for name in together]
    report.section(
        "Alert pushed to weight 0",
        f"{2 * count} rollouts in flight, interval {interval}; from before a payload, as Alertmanager posts it, is "
        "sent to the route seen at 0. min / **median** / max.",
        [
            Row(f"one alert a payload, {count} times", spread(alone, 3), TARGET, baseline=times(alone, baseline)),
            Row(f"{count} alerts in one payload", spread(at_once, 3), "max < 1 s", baseline=times(at_once, baseline)),
        ],
    )


def _post(port: int, names: Sequence[str]) -> int:
    """Post a payload in which these rollouts' alert fires; the status of the answer."""
    alerts: list[dict[str, Any]] = [
        {
            "status": "firing",
            "labels": {"alertname": ALERT, "workload": f"new-{name}", "severity": "critical"},
            "annotations": {"summary": "listings are lost"},
            "startsAt": datetime.now(UTC).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": f"{hash(name) & 0xFFFFFFFF:016x}",
        }
        for name in names
    ]
    body = json.dumps({"version": "4", "receiver": "syncrollout", "status": "firing", "alerts": alerts})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/alertmanager", body, {"Authorization": f"Bearer {TOKEN}"})
        with connection.getresponse() as answer:
            return answer.status
    finally:
        connection.close()

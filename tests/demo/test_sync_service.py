"""The demo's sync systems as processes: what their users, Prometheus and the fault switch get, over loopback."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from demo.services.spreadsheet import new_sheet, write_sheet
from prometheus_client.parser import text_string_to_metric_families

from syncrollout.shards import Assignment, Mode

ROOT = Path(__file__).parents[2]
DEADLINE = 20.0


@dataclass
class Service:
    version: str
    process: subprocess.Popen[str]
    port: int
    admin: int

    def get(self, path: str) -> tuple[int, dict[str, str], str]:
        return _request("GET", self.port, path)

    def series(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """name and label values other than the workload's -> value"""
        text = _request("GET", self.admin, "/metrics")[2]
        found: dict[tuple[str, tuple[str, ...]], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                assert sample.labels.get("workload", "") in {"listing-sync-v1", "listing-sync-v2"} or (
                    sample.labels == {"uid": f"uid-{self.version}"}
                ), sample
                rest = tuple(value for name, value in sorted(sample.labels.items()) if name != "workload")
                found[sample.name, rest] = sample.value
        return found

    def fault(self, kind: str) -> tuple[int, str]:
        code, _, body = _request("POST", self.admin, "/fault", json.dumps({"kind": kind}))
        return code, body

    def wait_ready(self) -> None:
        def ready() -> bool:
            try:
                return self.get("/healthz")[0] == 200
            except OSError:
                assert self.process.poll() is None, "the service ended"
                return False

        _until(ready)


def _request(method: str, port: int, path: str, body: str | None = None) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {condition}"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, version: str, *more: str) -> Service:
    port, admin = _free_port(), _free_port()
    command = [sys.executable, "-m", "demo.services.sync", "--version", version]
    command += ["--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{admin}"]
    command += ["--source", str(folder / "listings.csv"), "--store", str(folder / "listings.sqlite")]
    command += ["--every", "0.05", "--page-latency", "0.001", *more]
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "tests"),
        "SYNCROLLOUT_SIDE": version,
        "SYNCROLLOUT_SHARDS": Assignment(7, 0, 0, Mode.SHADOW).dump(),
        "SYNCROLLOUT_POD_UID": f"uid-{version}",
    }
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, text=True)
    return Service(version, process, port, admin)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    write_sheet(tmp_path / "listings.csv", new_sheet(100).rows)
    old = _start(tmp_path, "old")
    new = _start(tmp_path, "new")
    try:
        old.wait_ready()
        new.wait_ready()
        yield old, new
    finally:
        for service in (old, new):
            service.process.kill()
            service.process.wait()


def test_replies_name_the_version_and_the_metrics_tell_the_story(pair: tuple[Service, Service]) -> None:
    old, new = pair
    for service, version in ((old, "old"), (new, "new")):
        code, headers, body = service.get("/")
        assert (code, headers["X-Sync-Version"], json.loads(body)["version"]) == (200, version, version)
        _until(lambda service=service: json.loads(service.get("/")[2])["listings"] == 99)
        items = json.loads(service.get("/items?limit=5")[2])["items"]
        assert [item["id"] for item in items] == ["L00000", "L00001", "L00002", "L00003", "L00004"]
    assert new.get("/nowhere")[0] == 404
    assert new.get("/items?limit=many")[0] == 400

    _until(lambda: ("sync_agreement_percent", ()) in new.series())
    series = new.series()
    assert series["sync_agreement_percent", ()] == 100.0
    assert series["listings_synced", ()] == 99
    assert series["sync_items_failed_total", ()] * 100 == series["sync_items_total", ()] > 0  # dry-runs are items
    assert 0 < series["sync_duration_seconds", ()] < 5
    assert 0 < series["resource_use_ratio", ("memory",)] < 1
    assert series["http_requests_total", ("200",)] >= 3
    assert series["http_requests_total", ("404",)] == 1
    assert ("sync_agreement_percent", ()) not in old.series()
    for service in (old, new):
        assert service.series()["syncrollout_shards_epoch", (f"uid-{service.version}",)] == 7


def test_faults_come_and_go_at_run_time(pair: tuple[Service, Service]) -> None:
    new = pair[1]
    assert new.fault("fire")[0] == 400
    assert "choose one of none, errors" in new.fault("fire")[1]

    assert new.fault("errors")[0] == 200
    codes = [new.get("/")[0] for _ in range(9)]
    assert codes.count(500) == 3
    assert new.get("/healthz")[0] == 200
    before = new.series()["sync_items_failed_total", ()]
    _until(lambda: new.series()["sync_items_failed_total", ()] > before + 60)

    new.fault("nodata")
    assert not [name for name, _ in new.series() if name.startswith(("sync_items", "sync_duration", "listings"))]
    new.fault("none")
    assert ("sync_items_total", ()) in new.series()

    new.fault("dataloss")
    _until(lambda: new.series()["sync_agreement_percent", ()] < 95)
    assert new.series()["sync_listings_lost", ()] > 0

    new.fault("slow")
    started = time.monotonic()
    assert new.get("/")[0] == 200
    assert time.monotonic() - started >= 0.2


def test_a_crash_ends_the_process_and_sigterm_ends_it_cleanly(pair: tuple[Service, Service]) -> None:
    old, new = pair
    assert new.fault("crash")[0] == 200
    assert new.process.wait(DEADLINE) == 1
    old.process.send_signal(signal.SIGTERM)
    assert old.process.wait(DEADLINE) == 0


def test_a_wrong_address_is_refused_in_one_sentence(tmp_path: Path) -> None:
    service = _start(tmp_path, "old", "--listen", "nowhere")
    assert service.process.wait(DEADLINE) == 2

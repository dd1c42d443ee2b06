"""What a sync system tells Prometheus. Every series carries ``workload``, the name of its Deployment."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from demo.services.faults import Fault
from demo.services.worker import RunResult


class SyncMetrics:
    """Two registries: what the sync reports (silent under the fault ``nodata``), and all the rest."""

    def __init__(self, workload: str, *, cpu_limit: float, memory_limit: int, backup: Path | None = None) -> None:
        """``cpu_limit`` in cores, ``memory_limit`` in bytes: what the resource ratios are ratios of. ``backup``: the
        file whose age is told, as soon as there is one."""
        self._cpu_limit = cpu_limit
        self._memory_limit = memory_limit
        self._cpu_before = (time.monotonic(), time.process_time())
        self.sync = CollectorRegistry()
        self.rest = CollectorRegistry()

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ["workload"], registry=self.sync).labels(workload)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["workload"], registry=self.sync)

        self._workload = workload
        self._items = counter("sync_items_total", "Items handled by all runs, dry-runs included.")
        self._failed = counter("sync_items_failed_total", "Items that could not be synced.")
        self._runs = counter("sync_runs_total", "Runs that came to their end.")
        self._runs_failed = counter("sync_runs_failed_total", "Runs that could not read their source at all.")
        self._duration = gauge("sync_duration_seconds", "How long the last run took.")
        self._listings = gauge("listings_synced", "Listings in the database after the last run.")
        self._agreement = gauge("sync_agreement_percent", "Dry-runs with the result that old wrote, 0-100.")
        self._lost = gauge("sync_listings_lost", "Listings that are not there after they were handled.")
        self._duplicates = gauge("sync_listings_duplicated", "Rows too many for one listing.")
        self._wrong = gauge("sync_listings_wrong", "Listings whose row is not what the sheet says.")
        self._requests = Counter(
            "http_requests_total", "Requests answered, by code.", ["workload", "code"], registry=self.rest
        )
        self._resources = Gauge(
            "resource_use_ratio", "Use over limit, 0-1.", ["workload", "resource"], registry=self.rest
        )
        self._up = Gauge("sync_build_info", "1; says which version runs.", ["workload", "version"], registry=self.rest)
        self._backup = backup
        self._backed_up = Gauge(
            "listings_backup_timestamp_seconds", "When the last backup was made.", ["workload"], registry=self.rest
        )
        self._requests.labels(workload, "200")  # a rate needs a zero to start from

    def describe(self, version: str) -> None:
        self._up.labels(self._workload, version).set(1)

    def ran(self, result: RunResult | Exception) -> None:
        """Takes one run into the metrics."""
        if isinstance(result, Exception):
            self._runs_failed.inc()
            return
        workload = self._workload
        self._runs.inc()
        self._items.inc(result.items)
        self._failed.inc(result.failed)
        self._duration.labels(workload).set(result.seconds)
        self._listings.labels(workload).set(len(result.stored))
        self._lost.labels(workload).set(result.lost)
        self._duplicates.labels(workload).set(result.duplicates)
        self._wrong.labels(workload).set(result.wrong)
        if result.agreement is not None:
            self._agreement.labels(workload).set(result.agreement)
        else:
            self._agreement.clear()  # what was true of the last rehearsal says nothing of now
        self._sample_resources()

    def answered(self, code: int) -> None:
        self._requests.labels(self._workload, str(code)).inc()

    def render(self, fault: Fault) -> bytes:
        """The text that a scrape gets."""
        if self._backup is not None and self._backup.exists():
            self._backed_up.labels(self._workload).set(self._backup.stat().st_mtime)
        rest = generate_latest(self.rest)
        return rest if fault is Fault.NODATA else generate_latest(self.sync) + rest

    def _sample_resources(self) -> None:
        now = (time.monotonic(), time.process_time())
        wall, cpu = now[0] - self._cpu_before[0], now[1] - self._cpu_before[1]
        self._cpu_before = now
        if wall > 0:
            self._resources.labels(self._workload, "cpu").set(cpu / wall / self._cpu_limit)
        self._resources.labels(self._workload, "memory").set(_resident_bytes() / self._memory_limit)


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: the highest value so far is the nearest thing to be had
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

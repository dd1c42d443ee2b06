"""The sync itself: one run reads the whole sheet page by page and brings the store up to it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo.services.faults import ERROR_SHARE, SLOW_FACTOR, Fault, FaultSwitch
from demo.services.spreadsheet import Listing, read_sheet
from demo.services.store import Comparison, Snapshot, Store, compare, read_snapshot


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: ``items`` looked at, of which ``failed`` could not be synced, in ``seconds``."""

    items: int
    failed: int
    seconds: float
    stored: Snapshot
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """``page_latency``: seconds that the source takes to hand over one page of ``page_size`` items."""

    source: Path
    page_size: int = 50
    page_latency: float = 0.0
    compare_with: Path | None = None


class SyncWorker:
    """Owns the store; `run_once` is the unit of work and `run_forever` its schedule."""

    def __init__(
        self,
        options: SyncOptions,
        store: Store,
        faults: FaultSwitch,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options
        self._store = store
        self._faults = faults
        self._clock = clock
        self._sleep = sleep
        self._runs = 0

    def run_once(self) -> RunResult:
        """Syncs everything once. Raises OSError or ValueError where the source cannot be read at all."""
        started = self._clock()
        fault = self._faults.current
        self._runs += 1
        sheet = read_sheet(self._options.source)
        before = {listing.id: listing for listing in self._store.snapshot().listings}
        latency = self._options.page_latency * (SLOW_FACTOR if fault is Fault.SLOW else 1.0)
        failed = 0
        changed: list[Listing] = []
        drop: list[str] = []
        twice: set[str] = set()
        for index, row in enumerate(sheet.rows):
            if index % self._options.page_size == 0:
                self._sleep(latency)
            if fault is Fault.ERRORS and (index + self._runs) % ERROR_SHARE == 0:
                failed += 1
                continue
            try:
                listing = row.parse()
            except ValueError:
                failed += 1
                continue
            if fault is Fault.LOSE and _bucket(row.id) % 5 == 0:
                drop.append(row.id)
                continue
            if fault is Fault.LOSE and _bucket(row.id) % 7 == 0 and before.get(row.id) != listing:
                twice.add(row.id)
            if before.get(row.id) != listing:
                changed.append(listing)
        self._store.apply(sheet.revision, changed, drop=drop, keep_previous=frozenset(twice))
        seconds = self._clock() - started
        stored = self._store.snapshot()
        return RunResult(len(sheet.rows), failed, seconds, stored, self._compare(stored))

    def _compare(self, stored: Snapshot) -> Comparison | None:
        if self._options.compare_with is None:
            return None
        old = read_snapshot(self._options.compare_with)
        return compare(old, stored) if old is not None else None

    def run_forever(self, every: float, stop: threading.Event, done: Callable[[RunResult | Exception], None]) -> None:
        """A run every ``every`` seconds, from start to start, until ``stop``; ``done`` hears of each."""
        due = self._clock()
        while not stop.wait(max(0.0, due - self._clock())):
            due = max(due + every, self._clock())
            try:
                done(self.run_once())
            except (OSError, ValueError) as error:
                done(error)


def _bucket(key: str) -> int:
    """A number that stays with the id, so that a lossy run loses the same listings each time."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")

"""The sync itself: one run goes through the whole sheet page by page and handles the items that are this system's.

Which ones those are it asks `syncrollout.shards`, item by item, right before each begins. In shadow it handles all of
them in dry-run: it works out what it would write and holds that against what the old system wrote.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from demo.services.faults import ERROR_SHARE, SLOW_FACTOR, Fault, FaultSwitch
from demo.services.spreadsheet import Listing, Row, read_sheet
from demo.services.store import Store
from syncrollout.shards import NotOwned, Shards
from testbed.journal import Journal

DRY, LIVE = "dry", "live"
DONE, FAILED, UNREADABLE = "done", "failed", "unreadable"
"""How an item ended; an unreadable one cannot be read by anybody."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: ``items`` handled, of which ``failed`` could not be synced, in ``seconds``.

    rehearsed   results of dry-runs that could be compared: old had synced the same state of the listing
    agreeing    of those, the ones that old had written just so
    lost        listings that should be there after they were handled, and are not
    duplicates  rows too many of those that were handled
    """

    items: int
    failed: int
    seconds: float
    stored: tuple[Listing, ...]
    rehearsed: int = 0
    agreeing: int = 0
    lost: int = 0
    duplicates: int = 0

    @property
    def agreement(self) -> float | None:
        """Percent; None where nothing was rehearsed."""
        return 100.0 * self.agreeing / self.rehearsed if self.rehearsed else None


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """``page_latency``: seconds that the source takes to hand over one page of ``page_size`` items."""

    source: Path
    page_size: int = 50
    page_latency: float = 0.0


class SyncWorker:
    """`run_once` is the unit of work and `run_forever` its schedule. Without ``shards`` everything is its own."""

    def __init__(
        self,
        options: SyncOptions,
        store: Store,
        faults: FaultSwitch,
        *,
        shards: Shards | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options
        self._store = store
        self._faults = faults
        self._shards = shards
        self._journal = journal
        self._clock = clock
        self._sleep = sleep
        self._runs = 0

    def run_once(self) -> RunResult:
        """Goes through the sheet once. Raises OSError or ValueError where the source cannot be read at all."""
        started = self._clock()
        fault = self._faults.current
        self._runs += 1
        sheet = read_sheet(self._options.source)
        latency = self._options.page_latency * (SLOW_FACTOR if fault is Fault.SLOW else 1.0)
        tally: Counter[str] = Counter()
        for index, row in enumerate(sheet.rows):
            if index % self._options.page_size == 0:
                self._sleep(latency)
            failing = fault is Fault.ERRORS and (index + self._runs) % ERROR_SHARE == 0
            with suppress(NotOwned), self._item(row.id) as dry_run:
                self._handle(row, dry_run, FAILED if failing else DONE, fault, tally)
        return RunResult(
            items=tally["items"],
            failed=tally[FAILED] + tally[UNREADABLE],
            seconds=self._clock() - started,
            stored=self._store.listings(),
            rehearsed=tally["rehearsed"],
            agreeing=tally["agreeing"],
            lost=tally["lost"],
            duplicates=tally["duplicates"],
        )

    @contextmanager
    def _item(self, key: str) -> Iterator[bool]:
        """Whether it is a dry-run. Raises NotOwned."""
        if self._shards is None:
            yield False
            return
        with self._shards.item(key) as item:
            yield item.dry_run

    def _handle(self, row: Row, dry_run: bool, outcome: str, fault: Fault, tally: Counter[str]) -> None:
        how = f"{DRY if dry_run else LIVE}:{row.revision}"
        if self._journal is not None:
            self._journal.begin(row.id, how)
        if outcome == DONE:
            outcome = self._sync(row, dry_run, fault, tally)
        tally["items"] += 1
        tally[outcome] += 1
        if self._journal is not None:
            self._journal.end(row.id, f"{how}:{outcome}")

    def _sync(self, row: Row, dry_run: bool, fault: Fault, tally: Counter[str]) -> str:
        try:
            listing = row.parse()
        except ValueError:
            return UNREADABLE
        there = self._store.find(row.id)
        result = _result(listing, fault)
        if not dry_run and result != there:
            self._store.put(row.id, result)
        if dry_run and there and there[-1].revision == row.revision:  # else one of the two has not seen this edit yet
            tally["rehearsed"] += 1
            tally["agreeing"] += result == there
        tally["lost"] += not result
        tally["duplicates"] += max(0, len(result) - 1)
        return DONE

    def run_forever(self, every: float, stop: threading.Event, done: Callable[[RunResult | Exception], None]) -> None:
        """A run every ``every`` seconds, from start to start, until ``stop``; ``done`` hears of each."""
        due = self._clock()
        while not stop.wait(max(0.0, due - self._clock())):
            due = max(due + every, self._clock())
            try:
                done(self.run_once())
            except (OSError, ValueError) as error:
                done(error)


def _result(listing: Listing, fault: Fault) -> tuple[Listing, ...]:
    """The rows that the listing should have: one, unless something is wrong with the system."""
    if fault is Fault.LOSE and _bucket(listing.id) % 5 == 0:
        return ()
    if fault is Fault.LOSE and _bucket(listing.id) % 7 == 0:
        return (listing, listing)
    return (listing,)


def _bucket(key: str) -> int:
    """A number that stays with the id, so that a lossy run loses the same listings each time."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")

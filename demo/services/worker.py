"""The sync itself: one run goes through the whole sheet page by page and handles the items that are this system's.

Which ones those are it asks `syncrollout.shards`, item by item, right before each begins. In shadow it handles all of
them in dry-run: it works out what it would write and holds that against what the old system wrote.

It goes by the sync state: of a listing whose revision was handled already nothing is written, whoever handled it. So
what is lost from the database after that stays lost, until somebody edits the row of the sheet, or restores it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
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
    wrong       of those that were handled, the ones whose row is not what the sheet says
    """

    items: int
    failed: int
    seconds: float
    stored: tuple[Listing, ...]
    rehearsed: int = 0
    agreeing: int = 0
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0

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


@dataclass(frozen=True, slots=True)
class _Turn:
    """How one item is handled: as of which assignment, and with what wrong."""

    dry_run: bool
    epoch: int
    fault: Fault


class SyncWorker:
    """`run_once` is the unit of work and `run_forever` its schedule. Without ``shards`` everything is its own.

    ``system`` is the name that stands at what it writes.
    """

    def __init__(
        self,
        options: SyncOptions,
        store: Store,
        faults: FaultSwitch,
        *,
        system: str,
        shards: Shards | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options
        self._store = store
        self._faults = faults
        self._system = system
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
            with suppress(NotOwned), self._item(row.id) as (dry_run, epoch):
                outcome = FAILED if failing else DONE
                self._handle(row, outcome, _Turn(dry_run, epoch, fault), tally)
        return RunResult(
            items=tally["items"],
            failed=tally[FAILED] + tally[UNREADABLE],
            seconds=self._clock() - started,
            stored=self._store.listings(),
            rehearsed=tally["rehearsed"],
            agreeing=tally["agreeing"],
            lost=tally["lost"],
            duplicates=tally["duplicates"],
            wrong=tally["wrong"],
        )

    @contextmanager
    def _item(self, key: str) -> Iterator[tuple[bool, int]]:
        """Whether it is a dry-run, and as of which assignment. Raises NotOwned."""
        if self._shards is None:
            yield False, 0
            return
        with self._shards.item(key) as item:
            yield item.dry_run, item.epoch

    def _handle(self, row: Row, outcome: str, turn: _Turn, tally: Counter[str]) -> None:
        how = f"{DRY if turn.dry_run else LIVE}:{row.revision}"
        if self._journal is not None:
            self._journal.begin(row.id, how)
        if outcome == DONE:
            outcome = self._sync(row, turn, tally)
        tally["items"] += 1
        tally[outcome] += 1
        if self._journal is not None:
            self._journal.end(row.id, f"{how}:{outcome}")

    def _sync(self, row: Row, turn: _Turn, tally: Counter[str]) -> str:
        try:
            listing = row.parse()
        except ValueError:
            return UNREADABLE
        there = self._store.find(row.id)
        if turn.dry_run:
            stands = result_of(listing, turn.fault)
            if there and there[-1].revision == row.revision:  # else one of the two has not seen this edit yet
                tally["rehearsed"] += 1
                tally["agreeing"] += stands == there
        else:
            stands = self._write(listing, there, turn)
        tally["lost"] += not stands
        tally["duplicates"] += max(0, len(stands) - 1)
        tally["wrong"] += len(stands) == 1 and stands[0] != listing
        return DONE

    def _write(self, listing: Listing, there: tuple[Listing, ...], turn: _Turn) -> tuple[Listing, ...]:
        """What stands in the database afterwards."""
        state = self._store.synced(listing.id)
        done = state is not None and state.revision == listing.revision
        if done and turn.fault is not Fault.DATALOSS:
            return there
        result = result_of(listing, turn.fault)
        if not done or result != there:
            self._store.put(listing.id, result, listing.revision, writer=self._system, epoch=turn.epoch)
        return result

    def run_forever(self, every: float, stop: threading.Event, done: Callable[[RunResult | Exception], None]) -> None:
        """A run every ``every`` seconds, from start to start, until ``stop``; ``done`` hears of each."""
        due = self._clock()
        while not stop.wait(max(0.0, due - self._clock())):
            due = max(due + every, self._clock())
            try:
                done(self.run_once())
            except (OSError, ValueError) as error:
                done(error)


def result_of(listing: Listing, fault: Fault = Fault.NONE) -> tuple[Listing, ...]:
    """The rows that the listing should have: one, unless something is wrong with the system."""
    if fault is Fault.DATALOSS:
        number = _bucket(listing.id)
        if number % 5 == 0:
            return ()
        if number % 7 == 0:
            return (listing, listing)
        if number % 11 == 0:
            return (replace(listing, price=listing.price // 10),)
    return (listing,)


def _bucket(key: str) -> int:
    """A number that stays with the id, so that a bad run does the same to the same listings each time."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")

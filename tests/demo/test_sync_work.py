"""What the demo's sync systems do to a sheet and a store, with no process and no clock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from demo.services.faults import Fault, FaultSwitch, parse_fault
from demo.services.spreadsheet import Listing, Row, edit, new_sheet, read_sheet, write_sheet
from demo.services.store import Backup, Store
from demo.services.worker import SyncOptions, SyncWorker

from syncrollout.shards import Assignment, Mode, Shards, slot
from testbed.journal import NEVER, Item, Journal, Ledger


class Bench:
    """An old and a new system on one sheet and one database, new in the shadow; time stands still except where the
    source is waited for."""

    def __init__(self, folder: Path, items: int = 200) -> None:
        self.folder = folder
        self.sheet = folder / "listings.csv"
        self.now = 0.0
        self.faults = FaultSwitch()
        self.store = Store(folder / "listings.sqlite")
        write_sheet(self.sheet, new_sheet(items, malformed=1).rows)
        self.old = self.worker("old", Assignment(1, 0, 0, Mode.SHADOW), page_latency=0.5)
        self.new = self.worker("new", Assignment(1, 0, 0, Mode.SHADOW), page_latency=0.25, faults=self.faults)

    def worker(
        self, side: str, assignment: Assignment, page_latency: float = 0.0, faults: FaultSwitch | None = None
    ) -> SyncWorker:
        return SyncWorker(
            SyncOptions(self.sheet, page_latency=page_latency),
            self.store,
            faults or FaultSwitch(),
            system=f"sync-{side}",
            shards=Shards(side, assignment=assignment, dry_run=True),
            journal=Journal(self.folder / "journal", side, f"pod-{side}"),
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def edit(self, seed: int = 1) -> None:
        write_sheet(self.sheet, edit(read_sheet(self.sheet), random.Random(seed), changes=10).rows)

    def readable(self) -> list[str]:
        return sorted(row.id for row in read_sheet(self.sheet).rows if row.price.isdecimal())

    def items(self) -> list[Item]:
        ledger = Ledger(self.folder / "journal", lambda _pod, _begin: NEVER)
        ledger.read()
        return ledger.done


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def test_in_the_shadow_old_writes_everything_and_new_agrees_without_writing(bench: Bench) -> None:
    before = bench.new.run_once()
    assert (before.items, before.stored, before.agreement) == (200, (), None)
    old = bench.old.run_once()
    assert [listing.id for listing in old.stored] == bench.readable()
    new = bench.new.run_once()
    assert new.stored == old.stored
    assert (new.items, new.failed, new.rehearsed) == (200, 1, 199)
    assert new.agreement == 100.0
    assert old.agreement is None


def test_an_edit_that_only_one_of_them_has_seen_is_no_disagreement(bench: Bench) -> None:
    bench.old.run_once()
    bench.edit()
    ahead = bench.new.run_once()
    assert ahead.agreement == 100.0
    assert 150 < ahead.rehearsed < 199


def test_each_handles_what_is_its_own_and_writes_down_every_item(bench: Bench) -> None:
    assignment = Assignment(2, 300, 300)
    old, new = bench.worker("old", assignment), bench.worker("new", assignment)
    by_old, by_new = old.run_once(), new.run_once()
    assert by_old.items + by_new.items == 200
    assert by_new.items == sum(slot(row.id) < 300 for row in read_sheet(bench.sheet).rows)
    assert [listing.id for listing in by_new.stored] == bench.readable()
    assert {(item.key, item.side) for item in bench.items()} == {
        (row.id, assignment.owner(row.id)) for row in read_sheet(bench.sheet).rows
    }
    bench.edit()
    old.run_once()
    assert new.run_once().stored == tuple(sorted(_parsed(bench.sheet), key=lambda listing: listing.id))


def test_losing_data_is_called_a_success_but_shows_in_the_comparison_and_is_not_mended_by_syncing(bench: Bench) -> None:
    bench.old.run_once()
    bench.faults.set(Fault.DATALOSS)
    rehearsed = bench.new.run_once()
    assert rehearsed.failed == 1
    assert rehearsed.agreement is not None
    assert 60 < rehearsed.agreement < 90
    assert len(rehearsed.stored) == 199
    for_real = bench.worker("new", Assignment(2, 1000, 1000), faults=bench.faults).run_once()
    assert 10 < for_real.lost < 80
    assert for_real.duplicates > 0
    assert for_real.wrong > 0
    assert for_real.failed == 1
    assert len(for_real.stored) == 199 - for_real.lost + for_real.duplicates
    bench.faults.set(Fault.NONE)
    old = bench.worker("old", Assignment(3, 0, 0)).run_once()
    assert old.stored == for_real.stored
    assert (old.lost, old.duplicates, old.wrong) == (for_real.lost, for_real.duplicates, for_real.wrong)


def test_each_row_says_who_wrote_it_and_when_and_keeps_the_moment_at_which_it_was_first_listed(bench: Bench) -> None:
    bench.old.run_once()
    first = {row.id: row for row in bench.store.rows()}
    assert {(row.writer, row.epoch, row.listed == row.at) for row in first.values()} == {("sync-old", 1, True)}
    bench.edit()
    bench.worker("new", Assignment(9, 1000, 1000)).run_once()
    rows = bench.store.rows()
    again = [row for row in rows if row.writer == "sync-new" and row.id in first]
    assert 0 < len(again) <= 10
    for row in again:
        assert row.epoch == 9
        assert row.listed == first[row.id].listed < row.at
    assert all(row == first[row.id] for row in rows if row.writer == "sync-old")


def test_a_backup_is_whole_at_any_moment_and_does_not_change_any_more(bench: Bench) -> None:
    bench.old.run_once()
    path = bench.folder / "backup.sqlite"
    bench.store.backup(path)
    kept = bench.store.rows()
    bench.edit()
    bench.worker("old", Assignment(9, 0, 0)).run_once()
    with closing(Backup(path)) as backup:
        assert backup.rows() == kept != bench.store.rows()
        assert backup.last_write() == 199


def test_a_third_of_the_items_fail_under_errors_and_heal_after(bench: Bench) -> None:
    assignment = Assignment(2, 1000, 1000)
    worker = bench.worker("new", assignment, faults=bench.faults)
    bench.faults.set(Fault.ERRORS)
    assert 60 <= worker.run_once().failed <= 70
    bench.faults.set(Fault.NONE)
    healed = worker.run_once()
    assert healed.failed == 1
    assert len(healed.stored) == 199


def test_new_is_twice_as_fast_as_old_until_it_is_told_to_be_slow(bench: Bench) -> None:
    old, new = bench.old.run_once(), bench.new.run_once()
    assert (old.seconds, new.seconds) == (2.0, 1.0)
    bench.faults.set(Fault.SLOW)
    assert bench.new.run_once().seconds == 8.0


def test_a_sheet_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("who,what\n")
    with pytest.raises(ValueError, match=r"notes\.csv: the first line must be id,title,price,status,revision"):
        read_sheet(path)


def test_edits_raise_the_revision_and_keep_every_row(tmp_path: Path) -> None:
    sheet = new_sheet(50)
    later = sheet
    for seed in range(20):
        later = edit(later, random.Random(seed))
    assert later.revision == 21
    assert {row.id for row in sheet.rows} <= {row.id for row in later.rows}
    path = tmp_path / "listings.csv"
    write_sheet(path, later.rows)
    assert read_sheet(path).rows == later.rows


def test_a_row_with_no_price_cannot_be_read() -> None:
    row = Row("L1", "1 Mill Street", "90000", "active", 1)
    assert row.parse().price == 90000
    with pytest.raises(ValueError, match="on request"):
        replace(row, price="on request").parse()


def test_an_unknown_fault_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'fire'.*errors, slow, nodata, crash, dataloss"):
        parse_fault("fire")


def _parsed(sheet: Path) -> list[Listing]:
    return [row.parse() for row in read_sheet(sheet).rows if row.price.isdecimal()]

"""What the demo's sync systems do to a sheet and a store, with no process and no clock."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from demo.services.faults import Fault, FaultSwitch, parse_fault
from demo.services.spreadsheet import Row, edit, new_sheet, read_sheet, write_sheet
from demo.services.store import Store
from demo.services.worker import RunResult, SyncOptions, SyncWorker


class Bench:
    """An old and a new system on one sheet; time stands still except where the source is waited for."""

    def __init__(self, folder: Path, items: int = 200) -> None:
        self.sheet = folder / "listings.csv"
        self.now = 0.0
        self.faults = FaultSwitch()
        write_sheet(self.sheet, new_sheet(items, malformed=1).rows)
        old_db, new_db = folder / "old.sqlite", folder / "new.sqlite"
        self.old = self._worker(SyncOptions(self.sheet, page_latency=0.5), old_db, FaultSwitch())
        self.new = self._worker(SyncOptions(self.sheet, page_latency=0.25, compare_with=old_db), new_db, self.faults)

    def _worker(self, options: SyncOptions, path: Path, faults: FaultSwitch) -> SyncWorker:
        return SyncWorker(options, Store(path), faults, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def edit(self, seed: int = 1) -> None:
        write_sheet(self.sheet, edit(read_sheet(self.sheet), random.Random(seed), changes=10).rows)

    def agreement(self, result: RunResult) -> float:
        assert result.comparison is not None
        return result.comparison.percent


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_both_systems_end_with_what_the_sheet_says(bench: Bench) -> None:
    old, new = bench.old.run_once(), bench.new.run_once()
    readable = [row for row in read_sheet(bench.sheet).rows if row.price.isdecimal()]
    assert [listing.id for listing in old.stored.listings] == sorted(row.id for row in readable)
    assert new.stored.listings == old.stored.listings
    assert (new.items, new.failed) == (200, 1)
    assert bench.agreement(new) == 100.0


def test_an_edit_that_only_one_of_them_has_seen_is_no_disagreement(bench: Bench) -> None:
    bench.old.run_once()
    bench.new.run_once()
    bench.edit()
    assert bench.agreement(bench.new.run_once()) == 100.0  # new is ahead
    bench.old.run_once()
    bench.edit(seed=2)
    bench.old.run_once()  # old is ahead
    ahead = bench.new.run_once()
    assert bench.agreement(ahead) == 100.0
    assert ahead.comparison is not None
    assert ahead.comparison.compared >= 199


def test_new_says_nothing_about_agreement_before_old_has_synced(bench: Bench) -> None:
    assert bench.new.run_once().comparison is None


def test_losing_data_is_called_a_success_but_shows_in_the_comparison(bench: Bench) -> None:
    bench.old.run_once()
    bench.new.run_once()
    bench.faults.set(Fault.LOSE)
    for seed in range(1, 5):
        bench.edit(seed)
        bench.old.run_once()
        result = bench.new.run_once()
    assert result.failed == 1
    assert result.comparison is not None
    assert 10 < result.comparison.lost < 80
    assert result.comparison.duplicates > 0
    assert bench.agreement(result) < 95.0
    bench.faults.set(Fault.NONE)
    bench.edit(9)
    bench.old.run_once()
    mended = bench.new.run_once().comparison
    assert mended is not None
    assert mended.lost == 0


def test_a_third_of_the_items_fail_under_errors_and_heal_after(bench: Bench) -> None:
    bench.faults.set(Fault.ERRORS)
    assert 60 <= bench.new.run_once().failed <= 70
    bench.faults.set(Fault.NONE)
    healed = bench.new.run_once()
    assert healed.failed == 1
    assert len(healed.stored.listings) == 199


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
    with pytest.raises(ValueError, match=r"'fire'.*errors, slow, nodata, crash, lose"):
        parse_fault("fire")

"""What the Jobs of a rollback find and mend in a database that was spoilt, and whether the referee would notice."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from demo.database import Database
from demo.jobs import restore
from demo.jobs.__main__ import main
from demo.jobs.window import Window
from demo.services.faults import Fault, FaultSwitch
from demo.services.spreadsheet import edit, new_sheet, read_sheet, write_sheet
from demo.services.store import Backup, Store, Stored, Synced
from demo.services.worker import SyncOptions, SyncWorker
from demo.workspace import Workspace
from hypothesis import given, settings
from hypothesis import strategies as st

from syncrollout.api.fields import format_time
from syncrollout.shards import Assignment, Shards

HALF = Assignment(2, 500, 500)
OLD_ALONE = Assignment(3, 0, 0)


@dataclass
class Company:
    """A sheet that is edited, and a rollout that gets as far as half of the items. Nothing waits; the time is told."""

    folder: Path
    items: int = 120
    now: float = 1_700_000_000.0
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    faults: FaultSwitch = field(default_factory=FaultSwitch)

    def __post_init__(self) -> None:
        self.data = Workspace(self.folder)
        self.store = Store(self.data.store, clock=lambda: self.now)
        self.referee = Database(self.data, "old", "new")
        write_sheet(self.data.sheet, new_sheet(self.items, malformed=1).rows)
        self.times: dict[str, float] = {}

    def sync(self, side: str, assignment: Assignment) -> None:
        self.now += 1.0
        SyncWorker(
            SyncOptions(self.data.sheet),
            self.store,
            self.faults if side == "new" else FaultSwitch(),
            system=side,
            shards=Shards(side, assignment=assignment, dry_run=True),
        ).run_once()

    def edit(self, changes: int = 12) -> None:
        write_sheet(self.data.sheet, edit(read_sheet(self.data.sheet), self.rng, changes).rows)

    def mark(self, name: str) -> None:
        self.now += 1.0
        self.times[name] = self.now

    def work(self, *arguments: str) -> int:
        """One Job, with the variables that it would have."""
        environ = {
            "LISTINGS_DATA": str(self.folder),
            "ROLLOUT_OLD": "old",
            "ROLLOUT_NEW": "new",
            "TERMINATION_LOG": str(self.folder / "termination-log"),
        }
        environ |= {f"ROLLOUT_{name.upper()}": format_time(at) for name, at in self.times.items()}
        return main(list(arguments), environ)

    @property
    def window(self) -> Window:
        return Window("old", "new", self.times["started"], self.times["switched"])

    def said(self) -> str:
        return (self.folder / "termination-log").read_text()

    def goes_half_way(self) -> None:
        """A backup, then edits in every phase: old alone, and both with new still well."""
        (self.folder / "termination-log").touch()
        self.sync("old", OLD_ALONE)
        self.store.backup(self.data.backup)
        self.mark("started")
        for assignment in (OLD_ALONE, HALF):
            for _ in range(3):
                self.edit()
                self.sync("old", assignment)
                self.sync("new", assignment)

    def goes_bad_and_back(self) -> None:
        """New damages its half while both are edited on; then old has everything, and new nothing."""
        self.referee.remember()
        self.faults.set(Fault.DATALOSS)
        for _ in range(2):
            self.edit()
            self.sync("old", HALF)
            self.sync("new", HALF)
        self.mark("switched")

    def differences(self) -> list[str]:
        return self.referee.compare(undone=True).differences


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    made = Company(tmp_path)
    made.goes_half_way()
    yield made
    made.store.close()


def test_a_healthy_run_is_no_damage_and_nothing_of_it_is_touched(company: Company) -> None:
    company.mark("switched")
    before = company.store.rows()
    assert company.work("check") == 0
    assert company.said() == "no damage: 0 lost, 0 doubled, 0 changed"
    assert company.store.rows() == before


def test_damage_is_counted_by_kind_and_by_system(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.goes_bad_and_back()
    assert company.work("check") == 1
    counts: dict[str, int] = {}
    for row in company.store.rows():
        counts[row.id] = counts.get(row.id, 0) + 1
    readable = [row.id for row in read_sheet(company.data.sheet).rows if row.price.isdecimal()]
    lost = len([key for key in readable if key not in counts])
    doubled = len([key for key, number in counts.items() if number > 1])
    told = capsys.readouterr().out
    assert f"lost: {lost} ({lost} by new): L" in told
    assert f"doubled: {doubled} ({doubled} by new): L" in told
    assert company.said().startswith(f"damage: {lost} lost, {doubled} doubled, ")
    assert min(lost, doubled) >= 3
    assert ", 0 changed" not in company.said()


def test_restored_and_synced_on_by_old_every_row_is_as_it_must_be(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    company.goes_bad_and_back()
    assert company.differences()
    assert company.work("restore") == 0
    progress = [line for line in capsys.readouterr().out.splitlines() if line.startswith("progress: ")]
    assert progress[0].startswith("progress: 3")
    assert progress[-1].startswith("progress: 100% ")
    assert not [row for row in company.store.rows() if row.writer == "new"]
    assert company.work("check") == 0, company.said()
    company.sync("old", OLD_ALONE)
    assert company.differences() == []
    assert company.work("test-sync", "--patience", "0") == 0
    assert company.said() == "test sync of 10 items, in dry-run: all of them agree with the database"


def test_what_old_writes_after_the_switch_stays_and_gets_back_when_it_was_first_listed(company: Company) -> None:
    company.goes_bad_and_back()
    company.edit(changes=60)
    company.sync("old", OLD_ALONE)  # on top of the damage: a lost row comes back as if it were new
    on_top = {row.id: row for row in company.store.rows() if row.at == company.now}
    assert any(row.listed == company.now for row in on_top.values())
    assert company.work("restore") == 0
    rows = {row.id: row for row in company.store.rows()}
    for key, row in on_top.items():
        assert (rows[key].listing, rows[key].at) == (row.listing, row.at)
    company.sync("old", OLD_ALONE)
    assert company.differences() == []


def test_what_old_wrote_after_the_backup_and_new_lost_comes_back_as_old_wrote_it(company: Company) -> None:
    with closing(Backup(company.data.backup)) as backup:
        backed_up = {row.id: row for row in backup.rows()}
    by_old: dict[str, Stored] = {row.id: row for row in company.store.writes() if row.writer == "old"}
    company.goes_bad_and_back()
    by_old |= {row.id: row for row in company.store.writes() if row.writer == "old"}
    assert company.work("restore") == 0
    rows = {row.id: row for row in company.store.rows()}
    newer = [key for key, row in by_old.items() if row != backed_up.get(key)]
    assert len(newer) > 20
    assert [key for key in newer if rows[key] != by_old[key]] == []


def test_rows_that_somebody_deletes_without_a_trace_come_back_too(company: Company) -> None:
    company.goes_bad_and_back()
    victims = [row.id for row in company.store.rows() if row.writer == "old"][:7]
    with company.store.transaction("IMMEDIATE"):
        for key in victims:
            company.store._db.execute("DELETE FROM listings WHERE id = ?", (key,))
            company.store._db.execute("DELETE FROM synced WHERE id = ?", (key,))
    assert company.work("check") == 1
    assert company.work("restore") == 0
    company.sync("old", OLD_ALONE)
    assert company.differences() == []


def test_a_restore_that_leaves_one_row_out_is_noticed_by_the_check_and_by_the_referee(company: Company) -> None:
    company.goes_bad_and_back()
    there = {row.id for row in company.store.rows()}
    lost = next(row.id for row in company.store.writes() if row.id not in there)
    assert company.work("restore", "--leave", lost) == 0
    assert company.said().endswith(f"; left as they are: {lost}")
    assert company.work("check") == 1
    assert company.said().startswith("damage: 1 lost, 0 doubled, 0 changed")
    company.sync("old", OLD_ALONE)
    assert company.differences() == [f"{lost}: it is lost"]


def test_a_lost_row_that_is_merely_synced_anew_is_not_what_it_was(company: Company) -> None:
    company.goes_bad_and_back()
    there = {row.id for row in company.store.rows()}
    lost = next(row.id for row in company.store.writes() if row.id not in there)
    assert company.work("restore", "--leave", lost) == 0
    with company.store.transaction("IMMEDIATE"):
        company.store._db.execute("DELETE FROM synced WHERE id = ?", (lost,))
    company.sync("old", OLD_ALONE)
    assert company.store.find(lost) != ()
    (only,) = company.differences()
    assert only.startswith(f"{lost}: it was first listed +")
    assert company.work("check") == 1


def test_a_restore_that_was_stopped_half_way_is_run_again_and_a_third_changes_nothing(company: Company) -> None:
    company.goes_bad_and_back()
    half = [row.id for row in company.store.writes() if row.writer == "new"][::2]
    assert company.work("restore", *[word for key in set(half) for word in ("--leave", key)]) == 0
    assert company.work("restore") == 0
    once = company.store.rows()
    assert company.work("restore") == 0
    assert company.said().startswith("restored 0 of ")
    assert company.store.rows() == once
    company.sync("old", OLD_ALONE)
    assert company.differences() == []


def test_what_new_wrote_before_the_run_is_none_of_the_restores_business(company: Company) -> None:
    company.store.backup(company.data.backup)
    taken = company.now
    company.edit()
    company.sync("new", HALF)
    earlier = company.store.rows()
    assert [row for row in earlier if row.writer == "new" and row.at > taken]
    company.mark("started")
    company.sync("new", HALF)
    company.mark("switched")
    assert company.work("restore") == 0
    assert company.store.rows() == earlier


def test_a_restore_that_dies_within_a_listing_leaves_it_as_it_was(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Store, key: str, rows: list[Stored], state: Synced | None) -> None:
        replaced.append(key)
        replace(self, key, rows[:-1] if len(replaced) == 7 else rows, None)
        if len(replaced) == 7:
            raise MemoryError

    company.goes_bad_and_back()
    spoilt = company.store.rows()
    replaced: list[str] = []
    replace = Store.replace
    monkeypatch.setattr(Store, "replace", dies)
    with closing(Backup(company.data.backup)) as backup, pytest.raises(MemoryError):
        restore.run(company.store, backup, company.window)
    assert company.store.rows() == spoilt
    monkeypatch.undo()
    assert company.work("restore") == 0
    company.sync("old", OLD_ALONE)
    assert company.differences() == []


def test_a_restore_refuses_a_backup_from_within_the_run_and_a_new_system_that_still_writes(company: Company) -> None:
    company.goes_bad_and_back()
    spoilt = company.store.rows()
    company.sync("new", HALF)
    company.edit()
    company.sync("new", HALF)
    assert company.work("restore") == 2
    assert "rows after it had nothing left to do: stop it first" in company.said()
    company.mark("switched")
    assert company.work("backup") == 0
    assert company.said().startswith("backed up: ")
    assert company.work("restore") == 2
    assert "after the run began: take one from before it" in company.said()
    company.data.backup.unlink()
    assert company.work("restore") == 2
    assert "there is no backup" in company.said()
    assert {row.id for row in spoilt} <= {row.id for row in company.store.rows()}


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00"])
def test_a_window_that_cannot_be_told_is_refused(company: Company, text: str) -> None:
    environ = {"LISTINGS_DATA": str(company.folder), "ROLLOUT_OLD": "old", "ROLLOUT_NEW": "new"}
    assert main(["check"], environ) == 2
    assert main(["check"], environ | {"ROLLOUT_STARTED": text, "ROLLOUT_SWITCHED": text}) == 2


WELL = st.sampled_from(["edit", "old", "new", "more", "less"])
ILL = st.sampled_from(["edit", "old", "new", "delete", "more", "less"])


@given(st.lists(WELL, max_size=12), st.lists(ILL, max_size=12), st.lists(st.booleans(), max_size=4), st.integers())
@settings(max_examples=30, deadline=None)
def test_whatever_happened_and_whatever_old_does_meanwhile_a_restore_ends_with_every_row_as_it_must_be(
    before: list[str], during: list[str], meanwhile: list[bool], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        company = Company(Path(name), items=50, rng=random.Random(seed))
        company.sync("old", OLD_ALONE)
        company.store.backup(company.data.backup)
        company.mark("started")
        mark = [500]
        _play(company, before, mark)
        company.referee.remember()
        company.faults.set(Fault.DATALOSS)
        _play(company, during, mark)
        company.mark("switched")
        busy = list(meanwhile)

        def works_on(_seconds: float) -> None:
            if busy and busy.pop():
                company.edit(changes=8)
            company.sync("old", OLD_ALONE)

        works_on(0.0)
        window = company.window
        with closing(Backup(company.data.backup)) as backup:
            code, _ = restore.run(company.store, backup, window, chunk=5, sleep=works_on)
        company.sync("old", OLD_ALONE)
        assert (code, company.differences()) == (0, [])
        assert company.work("check") == 0
        company.store.close()


def _play(company: Company, acts: list[str], mark: list[int]) -> None:
    """People edit, the systems sync what is theirs, slots move, and rows vanish without a trace."""
    for act in acts:
        if act == "edit":
            company.edit()
        elif act in {"old", "new"}:
            company.sync(act, Assignment(2, mark[0], mark[0]))
        elif act in {"more", "less"}:
            mark[0] = max(0, min(1000, mark[0] + (250 if act == "more" else -250)))
        else:
            rows = company.store.rows()
            company.store._db.execute("DELETE FROM listings WHERE id = ?", (company.rng.choice(rows).id,))

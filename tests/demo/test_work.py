"""The count of items: what workers wrote down of a bad run must be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from demo.services.spreadsheet import Row, write_sheet
from demo.watching import Moment
from demo.work import Counts, Work

from syncrollout.shards import Assignment, slot
from testbed.journal import NEVER

LOW = next(f"L{number}" for number in range(1000) if slot(f"L{number}") < 100)
HIGH = next(f"L{number}" for number in range(1000) if slot(f"L{number}") >= 500)


@dataclass
class Book:
    """A journal written by hand: who handled which key from when to when."""

    folder: Path
    log: list[Moment] = field(default_factory=lambda: [Moment(0.0, Assignment(1, 0, 0))])
    deaths: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write_sheet(self.folder / "sheet", [Row(key, "1 Mill Street", "1", "active", 3) for key in (LOW, HIGH)])
        self.work = Work(self.folder / "journal", self.folder / "sheet", lambda: self.log, self._ended)

    def _ended(self, pod: str, _begin: float) -> float:
        return self.deaths.get(pod, NEVER)

    def item(
        self, side: str, key: str, begin: float, end: float | None, *, how: str = "live:3", ended: str = "done"
    ) -> None:
        with (self.folder / "journal").open("a") as file:
            file.write(f"{key} {side} pod-{side} begin {begin:.6f} {how}\n")
            if end is not None:
                file.write(f"{key} {side} pod-{side} end {end:.6f} {how}:{ended}\n")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_items_are_counted_by_who_ended_them_and_when(book: Book) -> None:
    book.item("old", HIGH, 1.0, 1.1)
    book.item("old", LOW, 2.0, 2.1)
    book.item("new", LOW, 2.2, 2.3, how="dry:3")
    book.item("new", LOW, 2.6, 2.7)
    assert book.work.counts(0.0) == Counts(old=2, new=1, rehearsed=1)
    assert book.work.counts(2.0) == Counts(old=1, new=1, rehearsed=1)
    assert book.work.counts(2.0, 2.5).share == 0.0


def test_a_handover_in_order_is_in_order(book: Book) -> None:
    book.item("old", LOW, 1.0, 1.1)
    book.item("new", LOW, 1.05, 1.15, how="dry:3")
    book.log += [Moment(2.0, Assignment(2, 0, 100)), Moment(3.0, Assignment(3, 100, 100))]
    book.item("new", LOW, 3.0, 3.1)
    account = book.work.account(0.0)
    assert (account.at_once, account.to_and_fro, account.keys) == ([], [], 1)
    assert account.longest_wait == 2.0


def test_a_key_that_two_systems_handle_at_once_is_named(book: Book) -> None:
    book.item("old", LOW, 1.0, 1.5)
    book.item("new", LOW, 1.2, 1.3)
    assert book.work.account(0.0).at_once == [f"{LOW} by old and new at once, 0.300 s long"]


@pytest.mark.parametrize(("died", "at_once"), [(1.1, 0), (1.6, 1)])
def test_an_item_that_was_cut_off_lasts_until_its_process_has_ended(book: Book, died: float, at_once: int) -> None:
    book.item("old", LOW, 1.0, None)
    book.deaths["pod-old"] = died
    book.item("new", LOW, 1.5, 1.6)
    assert len(book.work.account(0.0).at_once) == at_once


def test_two_that_take_turns_with_a_key_are_found_though_never_at_it_at_once(book: Book) -> None:
    book.log.append(Moment(1.5, Assignment(2, 100, 100)))
    for second in range(1, 5):
        book.item("old", LOW, second, second + 0.1)
        book.item("new", LOW, second + 0.5, second + 0.6)
    account = book.work.account(0.0)
    assert account.at_once == []
    assert account.to_and_fro == [f"{LOW} went to and fro 7 times, handed over as often as 1"]


def test_what_nobody_handles_well_in_its_latest_state_is_lost(book: Book) -> None:
    demand = book.work.demand(10.0)
    book.item("old", LOW, 9.0, 9.1)  # before it was asked for
    book.item("old", LOW, 11.0, 11.1, how="live:2")  # an edit behind
    book.item("old", LOW, 12.0, 12.1, ended="failed")
    book.item("new", LOW, 13.0, 13.1, how="dry:3")
    book.item("old", HIGH, 12.0, None)
    assert book.work.lost(demand) == sorted([LOW, HIGH])
    book.item("old", LOW, 14.0, 14.1)
    book.item("old", HIGH, 14.0, 14.1, how="live:4", ended="unreadable")
    assert book.work.lost(demand) == []


def test_an_item_of_the_wrong_side_is_named_until_the_next_assignment(book: Book) -> None:
    demand = book.work.demand(10.0)
    book.item("new", HIGH, 11.0, 11.1)
    book.item("old", LOW, 11.0, 11.1)
    book.log.append(Moment(12.0, Assignment(2, 100, 100)))
    book.item("new", LOW, 13.0, 13.1)
    assert book.work.lost(demand) == []
    assert book.work.strays(demand) == [f"{HIGH} was handled by new and belongs to old"]

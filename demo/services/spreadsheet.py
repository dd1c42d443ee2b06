"""The source of the sync: a spreadsheet kept as a CSV file that people keep editing.

Columns: ``id,title,price,status,revision``. Every edit raises the sheet's revision and stamps the rows it
touched with it, so that two systems that read at different moments can be compared on what both could see.
Rows are never removed (a listing that is gone is ``withdrawn``), as in the sheets this stands for.

Run as ``python -m demo.services.spreadsheet --file listings.csv --every 1`` it is the people who edit.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

COLUMNS = ("id", "title", "price", "status", "revision")
_STREETS = ("Harbour", "Mill", "Station", "Church", "Park", "Castle", "River", "Garden", "Market", "Bridge")


@dataclass(frozen=True, slots=True)
class Listing:
    """One property. ``price`` is in whole currency units; ``revision`` is the sheet's at its last edit."""

    id: str
    title: str
    price: int
    status: str
    revision: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the sheet as it was typed: cells are text and may be nonsense."""

    id: str
    title: str
    price: str
    status: str
    revision: int

    def parse(self) -> Listing:
        """The listing that the row stands for. Raises ValueError when the price is no number."""
        return Listing(self.id, self.title, int(self.price), self.status, self.revision)


@dataclass(frozen=True, slots=True)
class Sheet:
    """All rows, and the sheet's revision: the highest of theirs."""

    revision: int
    rows: tuple[Row, ...]


def read_sheet(path: Path) -> Sheet:
    """Raises FileNotFoundError where there is no file, ValueError where it is no sheet of ours."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if header is None or tuple(header) != COLUMNS:
            raise ValueError(f"{path}: the first line must be {','.join(COLUMNS)}, not {header}")
        rows = tuple(Row(key, title, price, status, int(rev)) for key, title, price, status, rev in reader)
    return Sheet(max((row.revision for row in rows), default=0), rows)


def write_sheet(path: Path, rows: Iterable[Row]) -> None:
    """Replaces the file in one step, so that a reader never sees half a sheet."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows((r.id, r.title, r.price, r.status, r.revision) for r in rows)
    os.replace(partial, path)


def new_sheet(items: int, malformed: int = 1, seed: int = 1) -> Sheet:
    """A first sheet of ``items`` rows, of which ``malformed`` have a price that is no number."""
    rng = random.Random(seed)
    rows = [_invent(rng, number, 1) for number in range(items)]
    for number in rng.sample(range(items), min(malformed, items)):
        rows[number] = replace(rows[number], price="on request")
    return Sheet(1, tuple(rows))


def edit(sheet: Sheet, rng: random.Random, changes: int = 3) -> Sheet:
    """One round: ``changes`` rows get a new price or are withdrawn, and now and then a row is added."""
    revision = sheet.revision + 1
    rows = list(sheet.rows)
    for index in rng.sample(range(len(rows)), min(changes, len(rows))):
        row = rows[index]
        if not row.price.isdecimal():
            continue  # nobody mends the malformed rows: their error rate stays what it is
        if rng.random() < 0.1:
            status = "active" if row.status == "withdrawn" else "withdrawn"
            rows[index] = replace(row, status=status, revision=revision)
        else:
            price = max(1, int(int(row.price) * rng.uniform(0.95, 1.06)))
            rows[index] = replace(row, price=str(price), revision=revision)
    if rng.random() < 0.3:
        rows.append(_invent(rng, len(rows), revision))
    return Sheet(revision, tuple(rows))


def _invent(rng: random.Random, number: int, revision: int) -> Row:
    title = f"{rng.randint(1, 99)} {rng.choice(_STREETS)} Street"
    return Row(f"L{number:05d}", title, str(rng.randint(80, 900) * 1000), "active", revision)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.services.spreadsheet", description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="the CSV file; made when it is missing")
    parser.add_argument("--items", type=int, default=400, help="rows of a new sheet")
    parser.add_argument("--malformed", type=int, default=1, help="rows of a new sheet that cannot be read")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between edits")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    rng = random.Random(args.seed)
    if not args.file.exists():
        write_sheet(args.file, new_sheet(args.items, args.malformed, args.seed).rows)
    sheet = read_sheet(args.file)
    while not stop.wait(args.every):
        sheet = edit(sheet, rng)
        write_sheet(args.file, sheet.rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Where a sync system keeps its result: one SQLite file a system, readable by the other one for comparison.

The table has no unique key on the listing's id, because the systems this stands for had none either: a bug
can therefore leave a listing twice, and `compare` counts that.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from demo.services.spreadsheet import Listing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS listings
    (id TEXT NOT NULL, title TEXT, price INTEGER, status TEXT, revision INTEGER);
CREATE INDEX IF NOT EXISTS listings_id ON listings (id);
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO progress VALUES (1, 0);
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a store held at one moment; ``revision`` is that of the last sheet it was synced with, or 0."""

    revision: int
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """New's result beside old's, over the listings that both had seen in their latest state.

    compared    listings looked at
    agreeing    of those, the ones that are there once and equal
    lost        of those, the ones that new does not have at all
    duplicates  rows that new has too many
    """

    compared: int
    agreeing: int
    lost: int
    duplicates: int

    @property
    def percent(self) -> float:
        """Agreement, 0-100; 100 where there was nothing to compare."""
        return 100.0 * self.agreeing / self.compared if self.compared else 100.0


class Store:
    """One system's database. Safe for one thread at a time; readers open their own."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def apply(
        self,
        revision: int,
        changed: Iterable[Listing],
        *,
        drop: Iterable[str] = (),
        keep_previous: frozenset[str] = frozenset(),
    ) -> None:
        """Writes one run's result in one transaction.

        ``changed`` replace what is there, ``drop`` are ids to forget, and the ids in ``keep_previous`` keep
        their earlier row beside the new one (which is how a duplicate comes to be).
        """
        rows = list(changed)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            gone = [(row.id,) for row in rows if row.id not in keep_previous]
            gone += [(key,) for key in drop]
            self._db.executemany("DELETE FROM listings WHERE id = ?", gone)
            self._db.executemany(
                "INSERT INTO listings VALUES (?, ?, ?, ?, ?)",
                [(r.id, r.title, r.price, r.status, r.revision) for r in rows],
            )
            self._db.execute("UPDATE progress SET revision = ?", (revision,))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def snapshot(self) -> Snapshot:
        return _snapshot(self._db)

    def close(self) -> None:
        self._db.close()


def read_snapshot(path: Path) -> Snapshot | None:
    """Another system's store, read only; None where it does not exist yet or cannot be read just now."""
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1, isolation_level=None)
    except sqlite3.OperationalError:
        return None
    try:
        return _snapshot(db)
    except sqlite3.OperationalError:
        return None
    finally:
        db.close()


def _snapshot(db: sqlite3.Connection) -> Snapshot:
    db.execute("BEGIN")  # both reads must be of one moment
    try:
        (revision,) = db.execute("SELECT revision FROM progress").fetchone()
        rows = db.execute("SELECT id, title, price, status, revision FROM listings ORDER BY id, rowid").fetchall()
    finally:
        db.execute("COMMIT")
    return Snapshot(revision, tuple(Listing(*row) for row in rows))


def compare(old: Snapshot, new: Snapshot) -> Comparison | None:
    """New's result judged by old's; None while one of the two has not synced at all.

    A listing edited after the earlier of the two last read the sheet says nothing yet and is left out.
    """
    seen_by_both = min(old.revision, new.revision)
    if seen_by_both == 0:
        return None
    expected = {listing.id: listing for listing in old.listings if listing.revision <= seen_by_both}
    copies = Counter(listing.id for listing in new.listings)
    found = {listing.id: listing for listing in new.listings}
    compared = agreeing = lost = 0
    for key, listing in expected.items():
        other = found.get(key)
        if other is not None and other.revision > seen_by_both:
            continue
        compared += 1
        lost += other is None
        agreeing += other == listing and copies[key] == 1
    return Comparison(compared, agreeing, lost, sum(count - 1 for count in copies.values()))

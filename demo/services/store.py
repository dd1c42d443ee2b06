"""The listings as the company has them: one SQLite file that both systems write to, each the items that are its own.

The table has no unique key on the listing's id, because the database this stands for had none either: a bug can
therefore leave a listing twice, and so could two systems that handle one item at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from demo.services.spreadsheet import Listing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS listings
    (id TEXT NOT NULL, title TEXT, price INTEGER, status TEXT, revision INTEGER);
CREATE INDEX IF NOT EXISTS listings_id ON listings (id);
"""
_COLUMNS = "id, title, price, status, revision"


class Store:
    """One system's connection. Safe for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def find(self, key: str) -> tuple[Listing, ...]:
        """The rows of one listing: one, unless it is missing or something went wrong."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM listings WHERE id = ? ORDER BY rowid", (key,))  # noqa: S608
        return tuple(Listing(*row) for row in rows)

    def put(self, key: str, rows: Sequence[Listing]) -> None:
        """Replaces the rows of one listing, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("DELETE FROM listings WHERE id = ?", (key,))
            self._db.executemany(
                "INSERT INTO listings VALUES (?, ?, ?, ?, ?)",
                [(r.id, r.title, r.price, r.status, r.revision) for r in rows],
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def listings(self) -> tuple[Listing, ...]:
        """All rows, by id."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM listings ORDER BY id, rowid")  # noqa: S608
        return tuple(Listing(*row) for row in rows)

    def close(self) -> None:
        self._db.close()

"""The listings as the company has them: one SQLite file that both systems write to, each the items that are its own.

    listings   what a sync has made of the sheet, with the moment at which each was first listed, which the sheet does
               not know and which is kept from write to write; and who wrote the row last, under which assignment, when
    synced     the sync state: which revision of each listing was handled last, and by whom
    writes     a trail of all rows that were ever written. Nothing is taken out of it

`listings` has no unique key on the id, because the database this stands for had none either: a bug can therefore leave
a listing twice, and so could two systems that handle one item at once. Times are seconds since 1970.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.services.spreadsheet import Listing

_COLUMNS = "id, title, price, status, revision"
_ORIGIN = "listed, writer, epoch, at"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS listings (
    id TEXT NOT NULL, title TEXT, price INTEGER, status TEXT, revision INTEGER,
    listed REAL NOT NULL, writer TEXT NOT NULL, epoch INTEGER NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS listings_id ON listings (id);
CREATE TABLE IF NOT EXISTS synced (
    id TEXT PRIMARY KEY, revision INTEGER NOT NULL, writer TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS writes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, title TEXT, price INTEGER, status TEXT, revision INTEGER,
    listed REAL NOT NULL, writer TEXT NOT NULL, epoch INTEGER NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS writes_id ON writes (id);
"""
_BUSY = 10.0
"""Seconds for which a writer waits for another to end its transaction."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of `listings` or `writes`: the listing, and where it comes from."""

    listing: Listing
    listed: float
    writer: str
    epoch: int
    at: float

    @property
    def id(self) -> str:
        return self.listing.id


@dataclass(frozen=True, slots=True)
class Synced:
    """The sync state of one listing."""

    revision: int
    writer: str
    at: float


class Reader:
    """One connection to a database of listings. Safe for one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def find(self, key: str) -> tuple[Listing, ...]:
        """The rows of one listing: one, unless it is missing or something went wrong."""
        return tuple(row.listing for row in self.rows(key))

    def synced(self, key: str) -> Synced | None:
        """None for a listing that was never handled."""
        row = self._db.execute("SELECT revision, writer, at FROM synced WHERE id = ?", (key,)).fetchone()
        return Synced(*row) if row else None

    def listings(self) -> tuple[Listing, ...]:
        """All rows, by id, without where they come from."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM listings ORDER BY id, rowid")  # noqa: S608
        return tuple(Listing(*row) for row in rows)

    def rows(self, key: str | None = None) -> list[Stored]:
        """The rows of one listing, or all of them by id."""
        return sorted(self._select("listings", key, "rowid"), key=lambda row: row.id)

    def writes(self, key: str | None = None, after: int = 0) -> list[Stored]:
        """The trail, of one listing or of all, in the order of the writes; those after one of its ``last_write``."""
        return self._select("writes", key, "seq", after)

    def last_write(self) -> int:
        """How far the trail goes: a number that only grows."""
        (found,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM writes").fetchone()
        return int(found)

    def states(self) -> dict[str, Synced]:
        """The sync state of every listing that has one."""
        return {key: Synced(*rest) for key, *rest in self._db.execute("SELECT id, revision, writer, at FROM synced")}

    @contextmanager
    def transaction(self, kind: str = "DEFERRED") -> Iterator[None]:
        """All that is read within is of one moment; all that is written counts, or nothing of it. "IMMEDIATE": nobody
        else writes meanwhile."""
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def _select(self, table: str, key: str | None, order: str, after: int = 0) -> list[Stored]:
        where, values = ["TRUE"], []
        if key is not None:
            where, values = ["id = ?"], [key]
        if after:
            where.append(f"{order} > {after:d}")
        query = f"SELECT {_COLUMNS}, {_ORIGIN} FROM {table} WHERE {' AND '.join(where)} ORDER BY {order}"  # noqa: S608
        return [Stored(Listing(*row[:5]), *row[5:]) for row in self._db.execute(query, values)]


class Store(Reader):
    """The database in use, made where there is none. Any number of processes may have one.

    Raises sqlite3.Error where ``path`` cannot be opened, or is no database.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False))
        self._clock = clock
        self._log_ahead()
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def _log_ahead(self) -> None:
        """Readers and a writer keep each other waiting no more. SQLite waits for nobody when it changes to that, so
        processes that start at one moment would end with "database is locked"."""
        until = time.monotonic() + _BUSY
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.02)

    def put(self, key: str, rows: Sequence[Listing], revision: int, *, writer: str, epoch: int = 0) -> None:
        """Replaces the rows of one listing, and says that its ``revision`` has been handled, in one transaction."""
        with self.transaction("IMMEDIATE"):
            now = self._clock()
            (listed,) = self._db.execute("SELECT min(listed) FROM listings WHERE id = ?", (key,)).fetchone()
            since = now if listed is None else listed
            self.replace(key, [Stored(row, since, writer, epoch, now) for row in rows], Synced(revision, writer, now))

    def replace(self, key: str, rows: Sequence[Stored], state: Synced | None) -> None:
        """The rows and the sync state of one listing, as given. Within a transaction."""
        self._db.execute("DELETE FROM listings WHERE id = ?", (key,))
        values = [_values(row) for row in rows]
        self._db.executemany("INSERT INTO listings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._db.executemany(
            f"INSERT INTO writes ({_COLUMNS}, {_ORIGIN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            values,
        )
        self._db.execute("DELETE FROM synced WHERE id = ?", (key,))
        if state is not None:
            self._db.execute("INSERT INTO synced VALUES (?, ?, ?, ?)", (key, state.revision, state.writer, state.at))

    def backup(self, path: Path) -> None:
        """Writes a copy of the whole database as it stands, by SQLite's backup API, beside all writers. ``path`` is
        there only once it is whole, and says in itself when it was made."""
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial)) as copy:
            self._db.backup(copy)
            copy.execute("CREATE TABLE IF NOT EXISTS backup (taken REAL NOT NULL)")
            with copy:
                copy.execute("DELETE FROM backup")
                copy.execute("INSERT INTO backup VALUES (?)", (self._clock(),))
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, that can be read where nothing can be written
        os.replace(partial, path)


class Backup(Reader):
    """A copy that `Store.backup` made, at the time ``taken``; opened to be read alone. Raises FileNotFoundError where
    there is none, sqlite3.Error where it is no backup."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"there is no backup at {path}: make one with python -m demo.jobs backup")
        super().__init__(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None))
        (self.taken,) = self._db.execute("SELECT taken FROM backup").fetchone()


def _values(row: Stored) -> tuple[object, ...]:
    it = row.listing
    return (it.id, it.title, it.price, it.status, it.revision, row.listed, row.writer, row.epoch, row.at)

"""A small real database, run as a program: python ledger.py make|spoil|check|restore|hang DATABASE

`source` is the spreadsheet that listings are copied from. `listings` is what a sync has made of it, with who wrote each
row and when; `backup` is as it stood before. `spoil` is what a bad new system does: rows twice, lost and changed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from datetime import UTC, datetime

ROWS = 200


def make(db: sqlite3.Connection) -> int:
    """As old has left it."""
    db.executescript(
        """
        CREATE TABLE source (key INTEGER PRIMARY KEY, title TEXT, price INTEGER);
        CREATE TABLE listings (id INTEGER PRIMARY KEY, key INTEGER, title TEXT, price INTEGER, writer TEXT, at TEXT);
        """
    )
    for key in range(ROWS):
        db.execute("INSERT INTO source VALUES (?, ?, ?)", (key, f"house {key}", 1000 + key))
        row = (key, f"house {key}", 1000 + key, "old", "2026-01-01T00:00:00.000Z")
        db.execute("INSERT INTO listings (key, title, price, writer, at) VALUES (?, ?, ?, ?, ?)", row)
    db.execute("CREATE TABLE backup AS SELECT * FROM listings")
    return 0


def spoil(db: sqlite3.Connection) -> int:
    """As new leaves it."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    db.execute(
        "INSERT INTO listings (key, title, price, writer, at) "
        "SELECT key, title, price, 'new', ? FROM listings WHERE key % 50 = 7",
        (now,),
    )
    db.execute("DELETE FROM listings WHERE key % 60 = 11")
    db.execute("UPDATE listings SET price = 0, writer = 'new', at = ? WHERE key = 42", (now,))
    return 0


def check(db: sqlite3.Connection) -> int:
    """0 where listings are what the source says, 2 where they are not."""
    twice = [key for (key,) in db.execute("SELECT key FROM listings GROUP BY key HAVING count(*) > 1")]
    lost = [key for (key,) in db.execute("SELECT key FROM source WHERE key NOT IN (SELECT key FROM listings)")]
    wrong = db.execute("SELECT l.key FROM listings l JOIN source s USING (key) WHERE l.price <> s.price").fetchall()
    print(f"checked for {os.environ['ROLLOUT_NAME']}, run {os.environ['ROLLOUT_RUN']}, DB_PASSWORD=hunter2")
    print(f"{len(twice)} duplicates, {len(lost)} lost, {len(wrong)} changed; first lost: {lost[:1]}")
    return 2 if twice or lost or wrong else 0


def restore(db: sqlite3.Connection) -> int:
    """What was written since the run began is taken from the backup, and nothing else."""
    since = os.environ["ROLLOUT_STARTED"]
    db.execute("DELETE FROM listings WHERE at >= ?", (since,))
    db.execute("INSERT INTO listings SELECT * FROM backup WHERE id NOT IN (SELECT id FROM listings)")
    return 0


def hang(db: sqlite3.Connection) -> int:
    """For longer than anybody waits."""
    del db
    time.sleep(600)
    return 0


def main() -> int:
    """See the module."""
    work, path = sys.argv[1:]
    with sqlite3.connect(path, timeout=10) as db:
        return {"make": make, "spoil": spoil, "check": check, "restore": restore, "hang": hang}[work](db)


if __name__ == "__main__":
    sys.exit(main())

"""A sync worker, run as a program: handles all keys that are its side's, again and again, and writes down each item.

    python sync_worker.py JOURNAL KEYS [--once]

Pods of one side share their keys by locks. A file `hang` beside the assignment makes it begin an item of the
highest slot that it owns, and not end it for as long as the file is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from syncrollout.shards import NotOwned, Shards, serve, slot
from testbed.journal import Journal

ITEM = 0.004
STEP = 0.02


class Worker:
    """One process of one pod."""

    def __init__(self, journal: Path, keys: int) -> None:
        self.home = Path(os.environ["POD_DIR"])
        self.shards = Shards.from_env(alone=os.environ["SYNCROLLOUT_SIDE"] == "old", dry_run=False)
        self.keys = [f"key-{number}" for number in range(keys)]
        self.locks = journal.parent / f"locks-{self.shards.side}"
        self.locks.mkdir(exist_ok=True)
        self.journal = Journal(journal, self.shards.side, os.environ["POD_NAME"])
        self.ending = False
        signal.signal(signal.SIGTERM, self.end)

    def end(self, _number: int, _frame: FrameType | None) -> None:
        """Finish the item in hand, and no other."""
        self.ending = True

    @contextlib.contextmanager
    def mine_alone(self, key: str) -> Iterator[bool]:
        """No other pod of this side handles the key; the lock goes with the process."""
        with (self.locks / key).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True

    def handle(self, key: str, *, hang: bool = False) -> None:
        """One item."""
        with self.mine_alone(key) as free, contextlib.suppress(NotOwned):
            if free:
                with self.shards.item(key):
                    self.journal.begin(key)
                    time.sleep(ITEM)
                    while hang and (self.home / "hang").exists():
                        time.sleep(STEP)
                    self.journal.end(key)

    def round(self) -> None:
        """Every key once."""
        for key in self.keys:
            if self.ending:
                return
            if (self.home / "hang").exists():
                owned = [each for each in self.keys if self.shards.owns(each)]
                # the lowest of old and the highest of new are what moves next
                for each in sorted(owned, key=slot, reverse=str(self.shards.side) == "new")[:1]:
                    self.handle(each, hang=True)
            self.handle(key)
        self.shards.look()


def main() -> None:
    """See the module."""
    worker = Worker(Path(sys.argv[1]), int(sys.argv[2]))
    if "--once" in sys.argv:
        while not (worker.home / "finish").exists() and not worker.ending:
            worker.round()
        return
    server = serve(worker.shards, int(os.environ["METRICS_PORT"]), "127.0.0.1") if worker.shards.uid else None
    while not worker.ending:
        worker.round()
    if server is not None:
        server.stop()


if __name__ == "__main__":
    main()

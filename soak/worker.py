"""A worker of the flagship's systems, run as a program: that of the scenarios, at a pace that a long run can bear."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from e2e.sync_worker import Worker
from syncrollout.shards import serve

PAUSE = 0.05
"""Seconds between two items."""


class Slow(Worker):
    """Pauses after each item."""

    def handle(self, key: str, *, hang: bool = False) -> None:
        """One item."""
        super().handle(key, hang=hang)
        time.sleep(PAUSE)
        self.shards.look()


def main() -> None:
    """See the module."""
    worker = Slow(Path(sys.argv[1]), int(sys.argv[2]))
    server = serve(worker.shards, int(os.environ["METRICS_PORT"]), "127.0.0.1")
    while not worker.ending:
        worker.round()
    server.stop()


if __name__ == "__main__":
    main()

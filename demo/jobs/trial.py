"""A test sync: some listings are read from the sheet and handled in dry-run; the database must hold just that."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from demo.services.spreadsheet import Row, read_sheet
from demo.services.store import Store
from demo.services.worker import result_of

_LOOK = 0.2


def run(
    sheet: Path,
    store: Store,
    *,
    items: int,
    patience: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, str]:
    """Exit code and last line. An edit of the sheet that the running system has not seen yet is waited for."""
    deadline = clock() + patience
    chosen = [row.id for row in _spread(_readable(sheet), items)]
    while True:
        wrong = [
            row.id for row in _readable(sheet) if row.id in chosen and store.find(row.id) != result_of(row.parse())
        ]
        if not wrong:
            return 0, f"test sync of {len(chosen)} items, in dry-run: all of them agree with the database"
        if clock() >= deadline:
            return 1, f"test sync of {len(chosen)} items, in dry-run: {len(wrong)} do not agree: {', '.join(wrong)}"
        sleep(_LOOK)


def _readable(sheet: Path) -> list[Row]:
    return [row for row in read_sheet(sheet).rows if row.price.isdecimal()]


def _spread(rows: list[Row], number: int) -> list[Row]:
    """So many of them, from all over the sheet."""
    step = max(1, len(rows) // max(1, number))
    return rows[::step][:number]

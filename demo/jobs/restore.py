"""Undoes what the new system did, and nothing else, while the old one goes on working.

Of each listing the rows that new wrote in this run are taken out. What is left is kept: old wrote it, before or since.
Where nothing is left, as new lost the row or wrote over it, the listing gets what was written last by anybody but new:
after the backup (from the trail of writes), else before it (from the backup). Its sync state goes back with it, so
that old handles it anew where the sheet has moved on; of a listing that new brought in nothing stays, and old will
find it in the sheet. The moment at which a listing was first listed is put right also where old has since written on
top of the damage.

Each chunk is one transaction, so a restore that is stopped half way has mended whole listings, and can be run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from demo.jobs.trail import Trail, redated
from demo.jobs.window import Unusable, Window
from demo.services.store import Backup, Store, Stored, Synced

CHUNK = 40
"""Listings in one transaction."""


def run(
    store: Store,
    backup: Backup,
    window: Window,
    *,
    leave: frozenset[str] = frozenset(),
    chunk: int = CHUNK,
    pace: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, str]:
    """Prints how far it is; exit code and last line. Raises Unusable where new still writes."""
    written = store.writes(after=backup.last_write())
    late = [row for row in written if row.writer == window.new and row.at > window.switched]
    if late:
        raise Unusable(f"{window.new} has written {len(late)} rows after it had nothing left to do: stop it first")
    trail = Trail(store, backup, window)
    keys = sorted(trail.ids() | store.states().keys())
    mended = removed = 0
    for start in range(0, len(keys), chunk):
        with store.transaction("IMMEDIATE"):
            for key in keys[start : start + chunk]:
                if key not in leave:
                    gone = _mend(store, trail, window, key)
                    mended += gone is not None
                    removed += gone or 0
        seen = min(start + chunk, len(keys))
        print(f"progress: {100 * seen // len(keys)}% {seen} of {len(keys)} listings, {mended} restored", flush=True)
        sleep(pace)
    left = f"; left as they are: {', '.join(sorted(leave))}" if leave else ""
    return 0, f"restored {mended} of {len(keys)} listings, {removed} rows of {window.new} taken out{left}"


def _mend(store: Store, trail: Trail, window: Window, key: str) -> int | None:
    """How many rows of new were taken out; None where the listing was as it should be."""
    stand = store.rows(key)
    state = store.synced(key)
    kept = [row for row in stand if not window.undoes(row)]
    if kept:
        listed = trail.listed(key)
        should = kept if listed is None else [redated(row, listed) for row in kept]
    else:
        should = trail.rows(key)
    back = _state(should, state, window)
    if should == stand and back == state:
        return None
    store.replace(key, should, back)
    return len(stand) - len(kept)


def _state(rows: list[Stored], state: Synced | None, window: Window) -> Synced | None:
    """The sync state that goes with these rows: what old has handled stays handled."""
    if not rows:
        return None
    newest = max(rows, key=lambda row: row.at)
    if state is not None and state.writer != window.new and state.revision == newest.listing.revision:
        return state
    return Synced(newest.listing.revision, newest.writer, newest.at)

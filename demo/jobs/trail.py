"""What a listing would be, had the new system never run: the backup, and on it what was written since by others."""

from __future__ import annotations

from collections import defaultdict

from demo.jobs.window import Unusable, Window
from demo.services.store import Backup, Store, Stored


class Trail:
    """``backup`` must be from before the run. Raises Unusable where it is not: it may hold what is to be undone."""

    def __init__(self, store: Store, backup: Backup, window: Window) -> None:
        if backup.taken > window.started:
            late = backup.taken - window.started
            raise Unusable(f"the backup was made {late:.0f} s after the run began: take one from before it")
        self._store, self._window = store, window
        self._rows: dict[str, list[Stored]] = defaultdict(list)
        for row in backup.rows():
            self._rows[row.id].append(row)
        self._last_write = backup.last_write()

    def ids(self) -> set[str]:
        """All listings that were ever heard of."""
        since = self._store.writes(after=self._last_write)
        return {*self._rows, *(row.id for row in since), *(row.id for row in self._store.rows())}

    def rows(self, key: str) -> list[Stored]:
        """The rows that the listing would have; none where the new system has brought it in."""
        since = self._since(key)
        known = [*self._rows.get(key, ()), *since]
        listed = min((row.listed for row in known), default=0.0)
        return [redated(row, listed) for row in since[-1:] or self._rows.get(key, [])]

    def listed(self, key: str) -> float | None:
        """When it was first listed; None for one that the new system has brought in."""
        known = [*self._rows.get(key, ()), *self._since(key)]
        return min((row.listed for row in known), default=None)

    def _since(self, key: str) -> list[Stored]:
        return [row for row in self._store.writes(key, after=self._last_write) if not self._window.undoes(row)]


def redated(row: Stored, listed: float) -> Stored:
    """The row, first listed then."""
    return Stored(row.listing, listed, row.writer, row.epoch, row.at)

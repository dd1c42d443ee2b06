"""The referee of the data: what the database must hold at the end, row for row, and whether it does.

It goes by two sources that no Job of the rollback reads: the sheet itself, once nobody edits it any more and the system
in charge has gone through it, says what each row must be; and a copy of the database from the moment before the fault
says when each listing was first listed, which the sheet does not know and a lost row cannot get back by being synced
anew. `work.py` counts what the workers did; this is about what is left of it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from demo.services.spreadsheet import read_sheet
from demo.services.store import Backup, Store
from demo.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Comparison:
    """``rows`` of the database against ``listings`` that can be read in the sheet; a sentence for each listing with
    which something is wrong."""

    listings: int
    rows: int
    differences: list[str]


class Database:
    """Of one demo. ``old`` and ``new`` are the names of the two workloads."""

    def __init__(self, workspace: Workspace, old: str, new: str) -> None:
        self._workspace = workspace
        self._old, self._new = old, new

    def back_up(self) -> None:
        """What is to be done before a rollout begins: a backup to restore from."""
        self._copy("backup")

    def remember(self) -> None:
        """The referee's own copy. The database is known to be good now, and no Job knows of the copy."""
        self._copy("good")

    def compare(self, *, undone: bool) -> Comparison:
        """Nobody edits the sheet any more, and all of it was handled. ``undone``: nothing of new may be left."""
        with closing(Store(self._workspace.store)) as store:
            stored = store.rows()
        with closing(Backup(self._workspace.folder / "good.sqlite")) as good:
            listed = {row.id: row.listed for row in good.rows()}
            first: dict[str, str] = {}
            for row in good.writes():
                first.setdefault(row.id, row.writer)
        sheet = {row.id: row.parse() for row in read_sheet(self._workspace.sheet).rows if row.price.isdecimal()}
        found: dict[str, list[str]] = {key: [] for key in sheet}
        for row in stored:
            wrong = found.setdefault(row.id, ["it is not in the sheet"])
            if row.id in sheet and row.listing != sheet[row.id]:
                wrong.append(f"{row.listing}, and the sheet has {sheet[row.id]}")
            made_anew = undone and first.get(row.id) == self._new
            if row.id in listed and row.listed != listed[row.id] and not made_anew:
                wrong.append(f"it was first listed {row.listed - listed[row.id]:+.1f} s from what it was")
            if undone and row.writer != self._old:
                wrong.append(f"it was written by {row.writer}")
        counts = dict.fromkeys(sheet, 0)
        for row in stored:
            counts[row.id] = counts.get(row.id, 0) + 1
        for key, number in counts.items():
            if number != 1:
                found[key].append("it is lost" if not number else f"it is there {number} times")
        differences = [f"{key}: {', '.join(wrong)}" for key, wrong in sorted(found.items()) if wrong]
        return Comparison(len(sheet), len(stored), differences)

    def _copy(self, name: str) -> None:
        with closing(Store(self._workspace.store)) as store:
            store.backup(self._workspace.folder / f"{name}.sqlite")


__all__ = ["Comparison", "Database"]

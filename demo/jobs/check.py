"""The consistency check: is each listing in the database, once, and what the sheet says? Counted by system."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from demo.jobs.trail import Trail
from demo.jobs.window import Window
from demo.services.spreadsheet import Row, Sheet
from demo.services.store import Backup, Store, Stored, Synced

_SHOWN = 5
NOBODY = "nobody"


@dataclass(slots=True)
class Findings:
    """Damage: id of a listing -> the system that is to blame, where that is known."""

    lost: dict[str, str] = field(default_factory=dict)
    doubled: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        return bool(self.lost or self.doubled or self.changed)


def run(sheet: Sheet, store: Store, backup: Backup, window: Window) -> tuple[int, str]:
    """Prints what was found; exit code and last line. The sheet was read before the database, which may be ahead."""
    trail = Trail(store, backup, window)
    with store.transaction():
        rows, states = store.rows(), store.states()
        findings = look(sheet, rows, states, trail)
    readable = {row.id: row.revision for row in sheet.rows if row.price.isdecimal()}
    behind = sum(states[key].revision < revision for key, revision in readable.items() if key in states)
    print(f"listings: {len(readable)} in the sheet, {len(rows)} rows in the database{_by(r.writer for r in rows)}")
    print(f"sync state: {len(states)} listings{_by(s.writer for s in states.values())}; {behind} behind the sheet")
    for what, found in (("lost", findings.lost), ("doubled", findings.doubled), ("changed", findings.changed)):
        print(f"{what}: {len(found)}{_by(found.values())}{_first(found)}")
    words = f"{len(findings.lost)} lost, {len(findings.doubled)} doubled, {len(findings.changed)} changed"
    return (1, f"damage: {words}, of {len(readable)} listings") if findings.any else (0, f"no damage: {words}")


def look(sheet: Sheet, rows: list[Stored], states: dict[str, Synced], trail: Trail) -> Findings:
    """The damage in one state of the database."""
    findings = Findings()
    by_id: dict[str, list[Stored]] = defaultdict(list)
    for row in rows:
        by_id[row.id].append(row)
    wanted = {row.id: row for row in sheet.rows if row.price.isdecimal()}
    for key in sorted(wanted.keys() | trail.ids()):
        stand, state = by_id.get(key, []), states.get(key)
        if not stand:
            if state is not None or trail.rows(key):  # else nobody has handled it yet
                findings.lost[key] = state.writer if state else NOBODY
        elif len(stand) > 1:
            findings.doubled[key] = stand[-1].writer
        elif _is_changed(stand[0], state, wanted.get(key), trail):
            findings.changed[key] = stand[0].writer
    return findings


def _is_changed(stands: Stored, state: Synced | None, wanted: Row | None, trail: Trail) -> bool:
    """One row, that is not what it should be. One that is merely behind the sheet, or ahead of it, is."""
    listed = trail.listed(stands.id)
    if listed is not None and stands.listed != listed:
        return True
    if state is not None and stands.listing.revision < state.revision:
        return True  # handled, it says, and it was not
    if wanted is None or wanted.revision != stands.listing.revision:
        return False
    return wanted.parse() != stands.listing


def _by(systems: Iterable[str]) -> str:
    counted = Counter(systems)
    told = ", ".join(f"{number} by {name}" for name, number in sorted(counted.items()))
    return f" ({told})" if told else ""


def _first(found: dict[str, str]) -> str:
    more = ", ..." if len(found) > _SHOWN else ""
    return f": {', '.join(sorted(found)[:_SHOWN])}{more}" if found else ""

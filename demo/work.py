"""The items: how many each system handled, counted from what the workers themselves wrote down of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from demo.services.spreadsheet import read_sheet
from demo.services.worker import DONE, DRY, UNREADABLE
from demo.watching import Moment
from syncrollout.shards import Assignment, Side
from testbed.journal import NEVER, Item, Ledger, at_once

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """Items that ended: ``old`` and ``new`` for real, ``rehearsed`` by new in dry-run."""

    old: int = 0
    new: int = 0
    rehearsed: int = 0

    @property
    def share(self) -> float | None:
        """Percent of new, of those for real; None where there are none."""
        return 100.0 * self.new / (self.old + self.new) if self.old + self.new else None


NOTHING = Counts()


@dataclass(frozen=True, slots=True)
class Account:
    """What the journal comes to. The lists hold a sentence for each key with which something is wrong."""

    counts: Counts
    keys: int
    at_once: list[str]
    to_and_fro: list[str]
    longest_wait: float
    """Seconds from one turn of a key to its next, the longest of all."""


@dataclass(frozen=True, slots=True)
class Demand:
    """From ``since`` on each of these keys is to be handled, in this revision of the sheet or a later one."""

    since: float
    revisions: Mapping[str, int]
    assignment: Assignment | None


class Work:
    """Reads the journal as it grows. ``assignments``: each change of the ConfigMap."""

    def __init__(
        self,
        journal: Path,
        sheet: Path,
        assignments: Callable[[], list[Moment]],
        ended: Callable[[str, float], float],
    ) -> None:
        self._sheet = sheet
        self._ledger = Ledger(journal, ended)
        self.assignments = assignments

    @property
    def assignment(self) -> Assignment | None:
        """The last that was seen; None while there never was one."""
        log = self.assignments()
        return log[-1].value if log else None

    def counts(self, since: float, until: float = float("inf")) -> Counts:
        """Of items that ended in this time."""
        self._ledger.read()
        found: Counter[str] = Counter()
        for item in reversed(self._ledger.done):
            if item.end < since - 1.0:  # lines of two processes are not in the order of their times, but nearly so
                break
            if since <= item.end < until:
                found["rehearsed" if _dry(item) else item.side] += 1
        return Counts(found["old"], found["new"], found["rehearsed"])

    def demand(self, now: float) -> Demand:
        """Everything that is in the sheet now, to be handled from now on."""
        revisions = {row.id: row.revision for row in read_sheet(self._sheet).rows}
        return Demand(now, revisions, self.assignment)

    def lost(self, demand: Demand) -> list[str]:
        """Keys that nobody has handled well since, in the state of then or a later one."""
        self._ledger.read()
        left = dict(demand.revisions)
        for item in reversed(self._ledger.done):
            if item.end < demand.since - 1.0:
                break
            well = item.begin >= demand.since and not _dry(item) and _outcome(item) in {DONE, UNREADABLE}
            if well and item.key in left and left[item.key] <= _revision(item):
                del left[item.key]
        return sorted(left)

    def strays(self, demand: Demand) -> list[str]:
        """Items since then, and before the next assignment, that were not handled by their owner. A sentence each."""
        self._ledger.read()
        owners = demand.assignment
        if owners is None:
            return ["there never was an assignment"]
        until = min((m.when for m in self.assignments() if m.value.epoch > owners.epoch), default=NEVER)
        recent = (item for item in self._ledger.done if demand.since <= item.begin < until and not _dry(item))
        wrong = {item.key: item for item in recent if owners.owner(item.key) != item.side}
        return [
            f"{key} was handled by {item.side} and belongs to {owners.owner(key) or 'nobody'}"
            for key, item in sorted(wrong.items())
        ]

    def account(self, since: float) -> Account:
        """Of all items that began since then."""
        items = [item for item in self._ledger.items() if item.begin >= since and not _dry(item)]
        both = [
            f"{second.key} by {first.side} and {second.side} at once, {first.end - second.begin:.3f} s long"
            for first, second in at_once(items)
        ]
        by_key: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            by_key[item.key].append(item)
        log = [moment.value for moment in self.assignments()]
        restless = []
        waits = [0.0]
        for key, turns in sorted(by_key.items()):
            changes = sum(a.side != b.side for a, b in pairwise(turns))
            allowed = _grants(key, log)
            if changes > allowed:
                restless.append(f"{key} went to and fro {changes} times, handed over as often as {allowed}")
            waits += [b.begin - a.begin for a, b in pairwise(turns)]
        return Account(self.counts(since), len(by_key), both, restless, max(waits))


def _grants(key: str, log: list[Assignment]) -> int:
    """How often a key got another owner than before; old has all before there is an assignment."""
    owners: list[Side] = [Side.OLD]
    for assignment in log:
        owner = assignment.owner(key)
        if owner is not None and owner != owners[-1]:
            owners.append(owner)
    return len(owners) - 1


def some(sentences: list[str]) -> str:
    """The first few in one line."""
    more = f"; and {len(sentences) - _SHOWN} more" if len(sentences) > _SHOWN else ""
    return "; ".join(sentences[:_SHOWN]) + more


def _dry(item: Item) -> bool:
    return item.detail.startswith(f"{DRY}:")


def _revision(item: Item) -> int:
    return int(item.detail.split(":")[1])


def _outcome(item: Item) -> str:
    return item.detail.rpartition(":")[2]


__all__ = ["NOTHING", "Account", "Counts", "Demand", "Work", "some"]

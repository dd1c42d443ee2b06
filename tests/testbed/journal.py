"""What workers write down of each item, and what their lines come to: was a key ever handled by two systems at once?

One line a step, `key side pod begin|end monotonic-seconds detail`, written whole before an item begins and when it has
ended, so that what a `kill -9` cut off is seen as well: such an item ended with its process. `detail` is the worker's
own word for the item, or -.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

SLACK = 0.002
"""Seconds between the end of an item and the line that says so."""
NEVER = float("inf")


class Journal:
    """The writing side, for one process of one pod; many processes write to one file."""

    def __init__(self, path: Path, side: str, pod: str) -> None:
        self._who = f"{side} {pod}"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)

    def begin(self, key: str, detail: str = "-") -> None:
        """Before an item begins."""
        self._note(key, "begin", detail)

    def end(self, key: str, detail: str = "-") -> None:
        """When it has ended."""
        self._note(key, "end", detail)

    def _note(self, key: str, what: str, detail: str) -> None:
        os.write(self._file, f"{key} {self._who} {what} {time.monotonic():.6f} {detail}\n".encode())


@dataclass(frozen=True, slots=True)
class Item:
    """One item, from its begin to its end, in seconds of time.monotonic; `cut`: it ended with its process."""

    key: str
    side: str
    pod: str
    begin: float
    end: float
    detail: str = "-"
    cut: bool = False


class Ledger:
    """The reading side. `ended(pod, begin)`: when the pod's process ended that had begun an item then; `NEVER` where it
    runs on."""

    def __init__(self, path: Path, ended: Callable[[str, float], float]) -> None:
        self._path = path
        self._ended = ended
        self._offset = 0
        self._open: dict[tuple[str, str], Item] = {}
        self._cut: list[Item] = []
        self.done: list[Item] = []
        """Items that ended by themselves, in the order in which they did."""

    def read(self) -> None:
        """Take in the lines that were written since the last time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            key, side, pod, what, at, detail = line.split(" ")
            before = self._open.pop((pod, key), None)
            if what == "begin":
                if before is not None:
                    self._cut.append(before)
                self._open[pod, key] = Item(key, side, pod, float(at), NEVER, detail)
            elif before is not None:
                self.done.append(Item(key, side, pod, before.begin, float(at), detail))

    def under_way(self, pod: str) -> list[Item]:
        """Items that a pod has begun and not ended, as far as was read."""
        return [item for item in self._open.values() if item.pod == pod]

    def items(self) -> list[Item]:
        """All items until now, in the order of their beginnings."""
        self.read()
        now = time.monotonic()
        cut = [self._ending(item, NEVER) for item in self._cut]
        cut += [self._ending(item, now) for item in self._open.values()]
        return sorted([*self.done, *cut], key=lambda item: item.begin)

    def _ending(self, item: Item, otherwise: float) -> Item:
        end = min(self._ended(item.pod, item.begin), otherwise)
        return Item(item.key, item.side, item.pod, item.begin, end, item.detail, cut=True)


def at_once(items: Iterable[Item]) -> list[tuple[Item, Item]]:
    """For each key that two systems ever handled at once, the first two such items. `items` in order of beginnings."""
    latest: dict[str, dict[str, Item]] = defaultdict(dict)
    found: dict[str, tuple[Item, Item]] = {}
    for item in items:
        sides = latest[item.key]
        for side, other in sides.items():
            if side != item.side and other.end > item.begin + SLACK:
                found.setdefault(item.key, (other, item))
        before = sides.get(item.side)
        if before is None or before.end < item.end:
            sides[item.side] = item
    return list(found.values())

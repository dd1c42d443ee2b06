"""A town of the run's own, whose clocks are put forward and back again while the run lasts.

The machine's clock is left alone. The operator reads the town from a file of the time zone database (`PYTHONTZPATH`),
so it meets the two changes as it would meet those of a real town. What is open when is worked out here once more,
minute by minute and without the operator's calendar, so that the two can be held against each other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NAME = "Soak/Town"
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
OPENS_AT = 10 * 60
"""Minutes of the day that the town's clocks show when the run begins."""
BEYOND = 10
"""Minutes after the run in which what is under way comes to its end."""
FROZEN = 20
"""Minutes of a run from which on there is a freeze."""
_NORMAL, _SUMMER = "TNT", "TST"


@dataclass(frozen=True)
class Town:
    """Its clocks show ten when the run begins, jump by `shift` minutes after `gap` minutes, and are put back after
    `fold` minutes. `began` is in whole seconds since the epoch, `minutes` the length of the run."""

    began: int
    minutes: int

    @property
    def shift(self) -> int:
        """Minutes by which clocks are changed."""
        return max(1, round(self.minutes / 9))

    @property
    def gap(self) -> int:
        """Minutes of the run after which clocks are put forward."""
        return max(1, round(0.4 * self.minutes))

    @property
    def fold(self) -> int:
        """Minutes of the run after which they are put back."""
        return max(self.gap + 1, round(0.65 * self.minutes))

    @property
    def _offset(self) -> int:
        """Seconds that the town is ahead of UTC when the run begins; less than a day either way."""
        return OPENS_AT * 60 - self.began % 86400

    @property
    def changes(self) -> tuple[int, int]:
        """When clocks are put forward and back, seconds since the epoch."""
        return self.began + 60 * self.gap, self.began + 60 * self.fold

    def offset(self, moment: float) -> int:
        """Seconds ahead of UTC."""
        forward, back = self.changes
        return self._offset + (60 * self.shift if forward <= moment < back else 0)

    def local(self, moment: float) -> datetime:
        """What its clocks show, without a time zone."""
        return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None) + timedelta(seconds=self.offset(moment))

    def write(self, folder: Path) -> Path:
        """The file of the time zone database; the folder goes into PYTHONTZPATH."""
        path = folder / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        offsets = (self._offset, self._offset + 60 * self.shift)
        names = f"{_NORMAL}\0{_SUMMER}\0".encode()
        first = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 1) + struct.pack(">lBB", 0, 0, 0) + b"\0"
        second = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 2, 2, len(names))
        second += struct.pack(">2q", *self.changes) + bytes((1, 0))
        second += struct.pack(">lBB", offsets[0], 0, 0) + struct.pack(">lBB", offsets[1], 1, len(_NORMAL) + 1)
        path.write_bytes(first + second + names + b"\n\n")
        return path

    # ---- when work may move forward ----------------------------------------------------------------------------

    def windows(self) -> list[tuple[int, int]]:
        """From and to, in minutes that the clocks show after ten: some usual ones, one that lies wholly in the gap, one
        that should begin in it, one that the clocks show twice, and the last one, which lasts beyond the run."""
        gap, fold, shift, whole = self.gap, self.fold, self.shift, self.minutes
        wanted = [
            (0, round(0.45 * gap)),
            (round(0.6 * gap), round(0.9 * gap)),
            (gap + 1, gap + shift - 1),
            (gap + shift - 1, gap + shift + max(1, round(0.08 * whole))),
            (fold + 1, fold + shift),
            (round(0.85 * whole), whole + 90),
        ]
        return [(since, until) for since, until in wanted if since < until]

    def schedule(self) -> dict[str, Any]:
        """spec.schedule."""
        windows = [{"days": DAYS, "from": _clock(since), "to": _clock(until)} for since, until in self.windows()]
        return {"timezone": NAME, "windows": windows, "freezes": self._freezes()}

    def _freezes(self) -> list[dict[str, str]]:
        """Half a minute of the second window; none where that is as short as the gap."""
        since, until = self._frozen()
        if self.minutes < FROZEN:
            return []
        return [{"from": f"{since:%Y-%m-%dT%H:%M:%S}", "to": f"{until:%Y-%m-%dT%H:%M:%S}", "reason": "stock-taking"}]

    def _frozen(self) -> tuple[datetime, datetime]:
        since = self.local(self.began) + timedelta(minutes=round(0.6 * self.gap), seconds=30)
        return since, since + timedelta(seconds=30)

    def open_at(self, moment: float) -> bool:
        """Whether a window is open and no freeze."""
        shown = self.local(moment)
        minute = shown.hour * 60 + shown.minute - OPENS_AT
        since, until = self._frozen()
        frozen = self.minutes >= FROZEN and since <= shown < until
        return not frozen and any(first <= minute < last for first, last in self.windows())

    def openings(self) -> list[tuple[float, float]]:
        """The stretches in which work may move forward, of the run and a while beyond, looked at second by second."""
        found: list[tuple[float, float]] = []
        since: float | None = None
        end = self.began + 60 * (self.minutes + BEYOND)
        for moment in range(self.began, end + 1):
            opened = self.open_at(moment)
            if opened and since is None:
                since = float(moment)
            elif not opened and since is not None:
                found.append((since, float(moment)))
                since = None
        return [*found, (since, float(end))] if since is not None else found


def _clock(minutes: int) -> str:
    shown = OPENS_AT + minutes
    return f"{shown // 60:02}:{shown % 60:02}"

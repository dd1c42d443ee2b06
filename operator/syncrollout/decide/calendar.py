"""When work may move forward, by the windows and freezes of a schedule in its time zone.

A moment is open where the clock on the wall of that zone shows a time of a window, and no freeze covers it. Without
windows every moment is in one. Where clocks are put forward, a window that should begin in the hour that is missing
begins when that is over, and one that lies wholly in it does not come that week; where they are put back, what the
clock shows twice is a time of the window twice. A freeze is one stretch of time: from when the clock first shows its
beginning until it last shows its end.

Pure but for the table of time zones, which comes with the program as its code does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from syncrollout.api.spec import Freeze, Schedule, Window
from syncrollout.api.words import Day

_WEEK: Final = tuple(Day)
_SOON: Final = 9
_LATE: Final = 24
"""Days within which a window comes, and comes for sure: one that falls into a missing hour comes the week after."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A freeze as moments: from `since` until before `until`."""

    since: float
    until: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Windows and freezes in a time zone. One without either is always open."""

    zone: str
    windows: tuple[Window, ...] = ()
    freezes: tuple[Stretch, ...] = ()

    def open_at(self, moment: float) -> bool:
        """Whether work may move forward at a moment."""
        return self.frozen_at(moment) is None and inside(self.windows, self.zone, moment)

    def frozen_at(self, moment: float) -> Stretch | None:
        """The freeze that covers a moment: of several the one that ends last."""
        covering = [each for each in self.freezes if each.since <= moment < each.until]
        return max(covering, key=lambda each: each.until, default=None)

    def next_open(self, moment: float) -> float | None:
        """The first moment from then on that is open; that moment itself where it is. None: there is none."""
        return _next_open(self, moment)


def calendar(schedule: Schedule | None, shared: Iterable[Freeze] = ()) -> Calendar | None:
    """The calendar of a schedule, with the freezes that it shares; None where there is none."""
    if schedule is None:
        return None
    return of(schedule.timezone, schedule.windows, (*schedule.freezes, *shared))


def of(zone: str, windows: Iterable[Window], freezes: Iterable[Freeze] = ()) -> Calendar:
    """A calendar."""
    stretches = tuple(_stretch(zone, each.start, each.to, each.reason) for each in freezes)
    return Calendar(zone, tuple(windows), stretches)


def inside(windows: tuple[Window, ...], zone: str, moment: float) -> bool:
    """Whether the clock shows a time of one of the windows, or there is none."""
    local = datetime.fromtimestamp(moment, ZoneInfo(zone))
    shows, today, yesterday = f"{local:%H:%M}", _WEEK[local.weekday()], _WEEK[local.weekday() - 1]
    return not windows or any(_shown(window, shows, today, yesterday) for window in windows)


def _shown(window: Window, shows: str, today: Day, yesterday: Day) -> bool:
    if window.start < window.to:
        return today in window.days and window.start <= shows < window.to
    begun, goes_on = today in window.days and shows >= window.start, yesterday in window.days and shows < window.to
    return begun or goes_on


def shown(zone: str, moment: float) -> str:
    """A moment as the clock of a zone shows it, such as ``2026-12-01 10:00 JST``; with seconds where it has some."""
    local = datetime.fromtimestamp(moment, ZoneInfo(zone))
    seconds = f"{local:%S}"
    return f"{local:%Y-%m-%d %H:%M}{'' if seconds == '00' else f':{seconds}'} {local.tzname()}"


@lru_cache(maxsize=1024)
def _next_open(calendar: Calendar, moment: float) -> float | None:
    at: float | None = moment
    while at is not None:
        frozen = calendar.frozen_at(at)
        if frozen is not None:
            at = frozen.until
            continue
        opens = _next_inside(calendar, at)
        if opens == at:
            return at
        at = opens
    return None


def _next_inside(calendar: Calendar, moment: float) -> float | None:
    if inside(calendar.windows, calendar.zone, moment):
        return moment
    for days in (_SOON, _LATE):
        coming = sorted(each for each in _openings(calendar, moment, days) if each > moment)
        found = next((each for each in coming if inside(calendar.windows, calendar.zone, each)), None)
        if found is not None:
            return found
    return None


def _openings(calendar: Calendar, moment: float, days: int) -> Iterable[float]:
    """The moments of some days at which a window may begin: its own time, and where clocks are changed."""
    zone = ZoneInfo(calendar.zone)
    # The day before: clocks that are put back at midnight show it again.
    first = datetime.fromtimestamp(moment, zone).date() - timedelta(days=1)
    for day in (first + timedelta(days=number) for number in range(days + 1)):
        yield from _changes(zone, day)
        for window in calendar.windows:
            if _WEEK[day.weekday()] in window.days:
                yield from _moments(calendar.zone, datetime.combine(day, time.fromisoformat(window.start)))


def _changes(zone: ZoneInfo, day: date) -> Iterable[float]:
    """When clocks are changed on a day."""
    begins = datetime.combine(day, time(), zone).timestamp()
    ends = datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
    if _offset(zone, begins) != _offset(zone, ends):
        yield _change(zone, begins, ends)


@lru_cache(maxsize=1024)
def _stretch(zone: str, start: str, to: str, reason: str) -> Stretch:
    begins = datetime.fromisoformat(start)
    ends = datetime.fromisoformat(to) + (timedelta(days=1) if len(to) == len("2026-12-28") else timedelta())
    return Stretch(_moments(zone, begins)[0], _moments(zone, ends)[1], reason)


@lru_cache(maxsize=4096)
def _moments(zone: str, local: datetime) -> tuple[float, float]:
    """The first and the last moment at which the clock shows a time; where it never does, when it jumps over it."""
    info = ZoneInfo(zone)
    early, late = (local.replace(tzinfo=info, fold=fold).timestamp() for fold in (0, 1))
    if early <= late:
        return early, late
    change = _change(info, late, early)
    return change, change


def _change(zone: ZoneInfo, since: float, until: float) -> float:
    """The moment between two at which clocks are changed, to the second."""
    before, low, high = _offset(zone, since), int(since), int(until) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return float(high)


def _offset(zone: ZoneInfo, moment: float) -> timedelta | None:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()


__all__ = ["Calendar", "Stretch", "calendar", "inside", "of", "shown"]

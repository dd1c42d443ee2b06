"""Moments by a cron expression and a time zone: what crontab(5) and a CronJob say.

Pure but for the table of time zones, which comes with the program as its code does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS: Final = 5
_MONTHS: Final = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS: Final = "SUN|MON|TUE|WED|THU|FRI|SAT"


def _field(number: str, *, also: str = "") -> str:
    """One field: numbers, ranges and steps, as a list with commas; `also` is what may stand instead of a number."""
    item = rf"([*]|({number})(-({number}))?{also})(/[0-9]*[1-9][0-9]*)?"
    return rf"{item}(,{item})*"


CRON_PATTERN: Final = (
    "^(?i)"
    + " ".join(
        (
            _field("[0-5]?[0-9]"),
            _field("[01]?[0-9]|2[0-3]"),
            _field("0?[1-9]|[12][0-9]|3[01]", also="|LW?"),
            _field(f"0?[1-9]|1[0-2]|{_MONTHS}"),
            _field(f"[0-7]|{_DAYS}", also="|[0-7]L|([0-7]|" + _DAYS + ")#[1-5]"),
        )
    )
    + "$"
)
"""What an API server can see of it; that a range is the right way round, and that its day ever comes, is seen here."""
ZONE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"


def expression(text: str) -> str:
    """The expression as it is given. Raises ValueError, with what is wrong, where it is none or never comes true."""
    if len(text.split()) != FIELDS:
        msg = f"{text!r} is not a cron expression: write minute, hour, day of month, month and day of week"
        raise ValueError(msg)
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        msg = f"{text!r} is not a cron expression: {str(error)[:1].lower()}{str(error)[1:]}"
        raise ValueError(msg) from error
    except StopIteration:
        msg = f"{text!r} names a day that never comes"
        raise ValueError(msg) from None
    return text


def zone(name: str) -> str:
    """The name as it is given. Raises ValueError where there is no such time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = f"there is no time zone {name!r}: write a name of the IANA database, such as Asia/Tokyo or Etc/UTC"
        raise ValueError(msg) from error
    return name


@lru_cache(maxsize=1024)
def next_after(text: str, zone_name: str, seconds: float) -> float:
    """The first moment after `seconds` (since the epoch) that the expression names in that zone.

    Where clocks are put forward, what falls into the hour that is missing comes as soon as it is over; where they are
    put back, what names an hour comes once.
    """
    local = datetime.fromtimestamp(seconds, ZoneInfo(zone_name))
    found = next(CronSim(text, local))
    return found.timestamp()


__all__ = ["CRON_PATTERN", "ZONE_PATTERN", "expression", "next_after", "zone"]

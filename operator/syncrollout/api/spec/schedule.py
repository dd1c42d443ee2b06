"""When work may move forward: windows of the week, freezes, and the time zone that both are of."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field

from syncrollout.api import cron
from syncrollout.api.fields import Model, ObjectName, pattern, rule, rules
from syncrollout.api.words import Day

UTC: Final = "Etc/UTC"
MOST_WINDOWS: Final = 14
MOST_FREEZES: Final = 32
"""Of one schedule."""

TimeZone = Annotated[
    str,
    Field(
        max_length=64,
        **pattern(cron.ZONE_PATTERN, "not a time zone; write a name of the IANA database, such as Asia/Tokyo"),
    ),
    AfterValidator(cron.zone),
]
_START: Final = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
Start = Annotated[str, Field(max_length=5, **pattern(_START, "not a time of day; write it as 10:00"))]
TimeOfDay = Annotated[
    str,
    Field(
        max_length=5,
        **pattern(
            r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "not a time of day; write it as 10:00, the last one as 24:00"
        ),
    ),
]
LOCAL_PATTERN: Final = (
    "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?$"
)


def local(text: str) -> str:
    """A date, or a date and a time of day, as it is given. Raises ValueError where there is no such day."""
    try:
        date.fromisoformat(text) if len(text) == len("2026-12-28") else datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no day of the calendar: {error}"
        raise ValueError(msg) from error
    return text


Local = Annotated[
    str,
    Field(
        max_length=19,
        **pattern(LOCAL_PATTERN, "not a date; write 2026-12-28, or 2026-12-28T18:00 in the time zone of the schedule"),
    ),
    AfterValidator(local),
]


class Window(Model):
    """A time of some days of the week, in the time zone of the schedule."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.from != self.to",
                "the window has no length; give from and to that differ, from 00:00 to 24:00 for the whole day",
            ),
        ),
    )

    days: Annotated[
        tuple[Day, ...], Field(min_length=1, max_length=7, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """Such as [Mon, Tue, Wed, Thu, Fri]: the days on which it begins."""
    start: Annotated[Start, Field(alias="from")]
    """From when on, such as 10:00."""
    to: TimeOfDay
    """Until when, such as 17:00. One that is not after from is of the next day: from 22:00 to 04:00 crosses
    midnight."""


Windows = Annotated[
    tuple[Window, ...], Field(max_length=MOST_WINDOWS, json_schema_extra={"x-kubernetes-list-type": "atomic"})
]


class Freeze(Model):
    """A time in which nothing moves forward."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.from < (self.to.size() > 10 ? self.to : self.to + 'U')",
                "the freeze ends before it begins; give a to after from, or the same date for one day",
            ),
        ),
    )

    start: Annotated[Local, Field(alias="from")]
    """Its first day, such as 2026-12-28, or when on it, such as 2026-12-28T18:00; in the time zone of the schedule."""
    to: Local
    """Its last day, all of it; or until when, such as 2027-01-04T09:00."""
    reason: Annotated[str, Field(max_length=200)] = ""
    """Why, for people: it is quoted wherever the rollout says what it waits for."""

    def wrong(self) -> str:
        """What is wrong with it, in words; empty where nothing is. The API server says it of a freeze in the spec, and
        nobody of one in a ConfigMap."""
        ends_after = self.start < (self.to if len(self.to) > len("2026-12-28") else f"{self.to}U")
        return "" if ends_after else f"it ends ({self.to}) before it begins ({self.start})"


class FreezesFrom(Model):
    """Freezes that several rollouts share."""

    config_map: ObjectName
    """A ConfigMap of the rollout's own namespace."""
    key: Annotated[
        str,
        Field(
            max_length=253,
            **pattern("^[-._a-zA-Z0-9]{1,253}$", "not a key of a ConfigMap; write letters, digits, -, _ and ."),
        ),
    ] = "freezes"
    """Its key; the value is a YAML list of freezes as they stand in spec.schedule.freezes."""


class Schedule(Model):
    """When the rollout may start and enter its phases. Everything that goes back asks no calendar."""

    timezone: TimeZone = UTC
    """The time zone of windows and freezes, and of rollback.drill where that gives none, such as Asia/Tokyo."""
    windows: Windows = ()
    """When work may move forward; at any time where there is none. A Live drill begins in them too."""
    freezes: Annotated[
        tuple[Freeze, ...], Field(max_length=MOST_FREEZES, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """When nothing moves forward, windows or not."""
    freezes_from: FreezesFrom | None = None
    """More freezes, of a ConfigMap. While they cannot be read, nothing moves forward."""

"""Drills: whether a rollback would work is tried on a schedule, before it is needed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from syncrollout.api import cron
from syncrollout.api.fields import Model, PositiveDuration, pattern, rule, rules
from syncrollout.api.words import Day, DrillMode

Schedule = Annotated[
    str,
    Field(
        max_length=100,
        **pattern(
            cron.CRON_PATTERN,
            "not a cron expression; write minute, hour, day of month, month and day of week with one space between, "
            "such as 0 10 1 * *",
        ),
    ),
    AfterValidator(cron.expression),
]
TimeZone = Annotated[
    str,
    Field(
        max_length=64,
        **pattern(cron.ZONE_PATTERN, "not a time zone; write a name of the IANA database, such as Asia/Tokyo"),
    ),
    AfterValidator(cron.zone),
]


TimeOfDay = Annotated[
    str,
    Field(
        max_length=5,
        **pattern(
            r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "not a time of day; write it as 10:00, the last one as 24:00"
        ),
    ),
]


class Window(Model):
    """When, on some days of the week, in the time zone of the schedule."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.from < self.to", "the window ends before it begins; give from and to of one day")
        ),
    )

    days: Annotated[
        tuple[Day, ...], Field(min_length=1, max_length=7, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """Such as [Mon, Tue, Wed, Thu, Fri]."""
    start: Annotated[TimeOfDay, Field(alias="from")]
    """From when on, such as 10:00."""
    to: TimeOfDay
    """Until when, such as 17:00."""


class Drill(Model):
    """When it is tried whether a rollback would work."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.mode) || self.mode != 'Live' || has(self.window)",
                "a drill of mode Live really moves all traffic; give window, with days, from and to",
            ),
        ),
    )

    schedule: Schedule
    """A cron expression, such as 0 10 1 * * (on the first of each month, at ten)."""
    time_zone: TimeZone = "Etc/UTC"
    """The time zone of the schedule, such as Asia/Tokyo."""
    mode: DrillMode = DrillMode.REHEARSE
    """Rehearse: everything that a rollback would do is tried without being done, and the data is verified. Live: all
    traffic really goes to old for liveFor, and comes back."""
    live_for: PositiveDuration = Field(default="5m", validate_default=True)
    """How long everything stays at old in a Live drill."""
    window: Window | None = None
    """A Live drill begins in it; it may end after it."""
    grace: PositiveDuration = Field(default="1h", validate_default=True)
    """A drill that has not begun so long after its time is overdue."""

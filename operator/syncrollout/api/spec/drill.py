"""Drills: whether a rollback would work is tried on a schedule, before it is needed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from syncrollout.api import cron
from syncrollout.api.fields import Model, PositiveDuration, pattern
from syncrollout.api.words import DrillMode

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


class Drill(Model):
    """When it is tried whether a rollback would work."""

    schedule: Schedule
    """A cron expression, such as 0 10 1 * * (on the first of each month, at ten)."""
    time_zone: TimeZone = "Etc/UTC"
    """The time zone of the schedule, such as Asia/Tokyo."""
    mode: DrillMode = DrillMode.REHEARSE
    """Rehearse: everything that a rollback would do is tried without being done, and the data is verified."""
    grace: PositiveDuration = Field(default="1h", validate_default=True)
    """A drill that has not begun so long after its time is overdue."""

"""Drills: whether a rollback would work is tried on a schedule, before it is needed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from syncrollout.api import cron
from syncrollout.api.fields import Model, PositiveDuration, pattern
from syncrollout.api.spec.schedule import TimeZone, Windows
from syncrollout.api.words import DrillMode

CronSchedule = Annotated[
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


class Drill(Model):
    """When it is tried whether a rollback would work."""

    schedule: CronSchedule
    """A cron expression, such as 0 10 1 * * (on the first of each month, at ten)."""
    timezone: TimeZone | None = None
    """The time zone of the schedule and of windows, such as Asia/Tokyo; that of spec.schedule unless given, else
    Etc/UTC."""
    mode: DrillMode = DrillMode.REHEARSE
    """Rehearse: everything that a rollback would do is tried without being done, and the data is verified. Live: all
    traffic really goes to old for liveFor, and comes back."""
    live_for: PositiveDuration = Field(default="5m", validate_default=True)
    """How long everything stays at old in a Live drill."""
    windows: Windows = ()
    """A Live drill begins in one of them, and in no freeze of spec.schedule; it may end after it. Those of
    spec.schedule unless given."""
    grace: PositiveDuration = Field(default="1h", validate_default=True)
    """A drill that has not begun so long after its time is overdue."""

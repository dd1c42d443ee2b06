"""Jobs that are run by a schedule while a phase lasts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Model, PositiveDuration
from syncrollout.api.spec.drill import CronSchedule
from syncrollout.api.spec.jobs import JobSource
from syncrollout.api.spec.preflight import CheckName
from syncrollout.api.spec.schedule import TimeZone
from syncrollout.api.words import Severity

MOST_VERIFICATIONS = 4
"""Of one phase."""


class Verification(Model):
    """A Job that says, again and again, whether all is well."""

    name: CheckName
    """Unique within the phase."""
    schedule: CronSchedule
    """A cron expression, such as 0 3 * * * (every night at three). What is missed is not made up for, but once."""
    timezone: TimeZone | None = None
    """The time zone of the schedule; that of spec.schedule unless given, else UTC."""
    job: JobSource
    """What is run; it ends well where all is well. Never twice at a time."""
    severity: Severity = Severity.MEDIUM
    """What it leads to that the last one has failed, as for a trigger."""
    budget: PositiveDuration = Field(default="1h", validate_default=True)
    """How long it may take; then it is stopped, and has failed."""


Verifications = Annotated[
    tuple[Verification, ...],
    Field(
        max_length=MOST_VERIFICATIONS,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]

__all__ = ["MOST_VERIFICATIONS", "Verification", "Verifications"]

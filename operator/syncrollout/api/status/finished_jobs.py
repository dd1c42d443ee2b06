"""The Jobs that triggers and criteria go by."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Written

MOST_CRON_JOBS = 64
"""CronJobs whose last Job is remembered."""


class FinishedJobStatus(Written):
    """The last Job of a CronJob that has finished since the run began. It stays so when the Job is deleted."""

    cron_job: Annotated[str, Field(max_length=253)]
    """The CronJob's name."""
    job: Annotated[str, Field(max_length=253)]
    """The Job's name."""
    at: Time
    """When it finished, in whole seconds."""
    failed: bool
    """Whether it has failed."""
    message: Annotated[str, Field(max_length=256)] = ""
    """What Kubernetes says of it."""

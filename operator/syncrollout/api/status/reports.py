"""What people have reported."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Written
from syncrollout.api.words import Severity

MOST_REPORTS = 16
"""Reports that are kept in words."""
REPORT_LENGTH = 256
"""Characters that are kept of what is reported."""
REPORTER_LENGTH = 128
"""Characters that are kept of who it is."""
MOST_TAKEN_IN = 1000
"""Annotations that are remembered while they are there."""
DIGEST_LENGTH = 6
"""Characters by which an annotation is remembered: 36 bits."""


class ReportCounts(Written):
    """How many reports there are of each severity."""

    critical: int = 0
    """Of severity Critical."""
    high: int = 0
    """Of severity High."""
    medium: int = 0
    """Of severity Medium."""
    low: int = 0
    """Of severity Low."""


class ReportStatus(Written):
    """One problem that somebody has reported."""

    number: int
    """Counts up over the life of the object."""
    run: int
    """The run that it was reported in."""
    phase: Annotated[str, Field(max_length=63)]
    """The phase that the run was in."""
    at: Time
    """When it was taken in."""
    severity: Severity
    """How grave the reporter finds it."""
    by: Annotated[str, Field(max_length=REPORTER_LENGTH)] = ""
    """Who has reported it, by the reporter's own word."""
    message: Annotated[str, Field(max_length=REPORT_LENGTH)]
    """What users see."""


class ReportsStatus(Written):
    """What people have reported by annotations syncrollout.io/report-<id>: each counts once."""

    number: int = 0
    """The number of the last report."""
    open: ReportCounts = ReportCounts()
    """Those of the phase that nobody has answered: what triggers and criteria on reports go by."""
    counted: ReportCounts = ReportCounts()
    """All of the run."""
    run: int = 0
    """The run that is counted."""
    phase: Annotated[str, Field(max_length=63)] = ""
    """The phase whose reports are open."""
    entered: Time | None = None
    """When it was entered; an edit of its weight begins its time anew, and changes nothing of its reports."""
    answered: int = 0
    """The number of the last report that was answered, with all before it."""
    answer: Annotated[str, Field(max_length=REPORT_LENGTH)] = ""
    """What was said then."""
    latest: Annotated[
        tuple[ReportStatus, ...],
        Field(max_length=MOST_REPORTS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """The last reports, oldest first."""
    taken: Annotated[str, Field(max_length=MOST_TAKEN_IN * DIGEST_LENGTH)] = ""
    """Six characters of a digest for each annotation that was taken in and is still there."""

"""The checklist as last looked at, and what people have confirmed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.spec.preflight import MOST_CHECKED, MOST_VARIABLES
from syncrollout.api.status.base import Written
from syncrollout.api.status.tasks import TaskStatus
from syncrollout.api.words import CheckGroup, Verdict

CHECK_LENGTH = 300
"""Characters that are kept of what one check has found."""
ATTESTED_LENGTH = 256
"""Characters that are kept of what somebody confirms."""
_Names = Annotated[
    tuple[Annotated[str, Field(max_length=128, description="The name of a variable.")], ...],
    Field(max_length=MOST_VARIABLES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]


class CheckStatus(Written):
    """One line of the checklist."""

    name: Annotated[str, Field(max_length=50)]
    """Of spec.preflight.checks."""
    group: CheckGroup
    """Its group."""
    verdict: Verdict
    """Pass, Fail or Unknown; only Pass lets the run begin."""
    message: Annotated[str, Field(max_length=CHECK_LENGTH)] = ""
    """What was found, in words."""
    since: Time
    """Since when the verdict is so."""
    checked_at: Time | None = None
    """When it was last looked at, as of the last write of this status."""
    attempt: int = 0
    """Of a Job: which of those that were made for it counts; one is made anew once a failed one has been deleted."""
    task: TaskStatus | None = None
    """Its Job."""


class AttestedStatus(Written):
    """What somebody has confirmed by annotation."""

    check: Annotated[str, Field(max_length=50)]
    """Which check."""
    revision: Annotated[str, Field(max_length=63)]
    """spec.revision when it was taken in; it counts for that one alone."""
    by: Annotated[str, Field(max_length=253)] = ""
    """Who, by the annotation's own word, which the admission policy holds to be true."""
    message: Annotated[str, Field(max_length=ATTESTED_LENGTH)]
    """What was said with it."""
    at: Time
    """When it was taken in."""
    taken: Annotated[str, Field(max_length=16)]
    """By which the annotation is known again: each value counts once."""
    refused: Annotated[str, Field(max_length=ATTESTED_LENGTH)] = ""
    """Why it does not count; empty where it does."""


class PreflightStatus(Written):
    """The checklist of the run that is to begin, or has begun last."""

    revision: Annotated[str, Field(max_length=63)] = ""
    """spec.revision that was looked at."""
    checks: Annotated[
        tuple[CheckStatus, ...],
        Field(
            max_length=MOST_CHECKED,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Its lines, in the order of the spec."""
    missing_old: _Names = ()
    """Variables that the pod template of old does not define, of all lines that ask for some."""
    missing_new: _Names = ()
    """The same of new."""
    attested: Annotated[
        tuple[AttestedStatus, ...],
        Field(
            max_length=MOST_CHECKED,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["check"]},
        ),
    ] = ()
    """What people have confirmed, the last of each check."""


__all__ = ["ATTESTED_LENGTH", "CHECK_LENGTH", "AttestedStatus", "CheckStatus", "PreflightStatus"]

"""Drills: the one that runs, the last one, and when the next is due."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Sentence, Written
from syncrollout.api.status.people import PERSON_LENGTH, REQUEST_LENGTH
from syncrollout.api.words import DrillCause, DrillMode, DrillResult, DrillStage

MOST_CHECKS = 64
"""Checks of a drill that are kept."""


class DrillCheck(Written):
    """One thing that a rollback would do, and whether it would work."""

    name: Annotated[str, Field(max_length=320)]
    """What was tried."""
    result: DrillResult
    """Passed or Failed."""
    message: Annotated[str, Field(max_length=512)] = ""
    """What came of it, in words."""
    seconds: float = 0.0
    """How long it took."""


class DrillRun(Written):
    """One drill."""

    mode: DrillMode
    """Rehearse or Live."""
    cause: DrillCause
    """Schedule, or a Person."""
    words: Annotated[str, Field(max_length=REQUEST_LENGTH)] = ""
    """What that person has said."""
    by: Annotated[str, Field(max_length=PERSON_LENGTH)] | None = None
    """Who that is, where a name was given with it."""
    phase: Annotated[str, Field(max_length=63)] = ""
    """The phase that it began in."""
    weight: int = 0
    """Share of new when it began, percent."""
    started: Time
    """When it began; recorded before anything is done for it."""
    finished: Time | None = None
    """When it ended."""
    result: DrillResult | None = None
    """Passed, Failed or CutShort; none while it runs."""
    message: Sentence = ""
    """What came of it, in words."""
    job: Annotated[str, Field(max_length=63)] | None = None
    """The Job that verifies the data; recorded before it is made."""
    deadline: Time | None = None
    """When the budget of that Job is used up."""
    seen: bool = False
    """The Job was seen: it is not made a second time, whatever becomes of it."""
    stage: DrillStage | None = None
    """How far a Live drill is: Switching to old, Standing there, Returning."""
    until: Time | None = None
    """When that stage ends, or has taken too long."""
    trouble: Sentence = ""
    """What went wrong in a Live drill, before its traffic was brought back."""
    checks: Annotated[
        tuple[DrillCheck, ...], Field(max_length=MOST_CHECKS, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """What was tried, in order."""


class DrillStatus(Written):
    """Whether a rollback would work, as last tried."""

    running: DrillRun | None = None
    """The drill that is under way."""
    last: DrillRun | None = None
    """The last one that has ended."""
    schedule: Annotated[str, Field(max_length=200)] = ""
    """Schedule and time zone that `next` is of."""
    counted: Time | None = None
    """From when on the schedule counts: the last drill that it began, or when it was first seen."""
    next: Time | None = None
    """When the next one is due."""
    latest: Time | None = None
    """When it counts as overdue."""
    overdue: Time | None = None
    """Since when it is overdue; none while it is not."""

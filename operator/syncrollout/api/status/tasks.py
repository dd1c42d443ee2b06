"""Jobs that are run once: before the start, on day one, and by the schedule of a phase."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Written
from syncrollout.api.words import StepState

MOST_DAY_ONE = 3
MOST_VERIFICATIONS = 4
"""Of one phase."""
WORDS_LENGTH = 512
"""Characters that are kept of what a Job has said, and of what came of it."""


class TaskStatus(Written):
    """One Job, and what came of it."""

    name: Annotated[str, Field(max_length=50)]
    """What it is for."""
    state: StepState = StepState.WAITING
    """How far it is."""
    budget_seconds: int
    """How long it may take, in seconds."""
    started: Time | None = None
    """When it began; recorded before the Job is made."""
    deadline: Time | None = None
    """When its budget is used up."""
    finished: Time | None = None
    """When it ended."""
    job: Annotated[str, Field(max_length=63)] | None = None
    """The Job, in the rollout's own namespace."""
    seen: bool = False
    """The Job was seen: it is not made a second time, whatever becomes of it."""
    exit_code: int | None = None
    """Of the container of the Job that failed, else of the first."""
    output: Annotated[str, Field(max_length=WORDS_LENGTH)] = ""
    """What its containers have said last, with what looks like a secret masked."""
    message: Annotated[str, Field(max_length=WORDS_LENGTH)] = ""
    """What came of it, in words."""


class VerificationStatus(Written):
    """One verification of the present phase, and what the last of its Jobs has said."""

    name: Annotated[str, Field(max_length=50)]
    """Of phases[].verification."""
    entered: Time
    """When the phase was entered; what it said in another phase, or before it was entered anew, counts no more."""
    schedule: Annotated[str, Field(max_length=170)] = ""
    """The schedule and time zone that `next` goes by."""
    next: Time | None = None
    """When it begins next; None before the weights of the phase stand."""
    task: TaskStatus | None = None
    """The Job that runs, or ran last."""
    at: Time | None = None
    """When the last one ended."""
    failed: bool = False
    """Whether that one has failed."""
    message: Annotated[str, Field(max_length=WORDS_LENGTH)] = ""
    """What came of it, in words."""


__all__ = ["MOST_DAY_ONE", "MOST_VERIFICATIONS", "WORDS_LENGTH", "TaskStatus", "VerificationStatus"]

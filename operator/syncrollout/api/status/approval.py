"""What people have said of phases: that one may end, that its time is over, that all stands still."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.spec.approval import MOST_APPROVALS
from syncrollout.api.status.base import Written
from syncrollout.api.status.people import PERSON_LENGTH, REQUEST_LENGTH
from syncrollout.api.status.reports import DIGEST_LENGTH

GIVEN_LENGTH = MOST_APPROVALS * DIGEST_LENGTH


class SaidOfPhase(Written):
    """What a person has said of a phase, and of one entering of it: after a step back, and in the next run, it says
    nothing."""

    phase: Annotated[str, Field(max_length=63)]
    """The phase."""
    entered: Time
    """When that had been entered."""
    by: Annotated[str, Field(max_length=PERSON_LENGTH)] = ""
    """Who it was."""
    reason: Annotated[str, Field(max_length=REQUEST_LENGTH)] = ""
    """Why."""
    at: Time
    """When it was taken in."""


class AskedStatus(Written):
    """That an approval is asked for."""

    entered: Time
    """When the phase had been entered."""
    since: Time
    """Since when nothing else is missing."""
    reminded: Time | None = None
    """When it was asked for again, last."""


class HoldStatus(Written):
    """A person holds the rollout where it is, by the annotation syncrollout.io/hold."""

    by: Annotated[str, Field(max_length=PERSON_LENGTH)] = ""
    """Who it is, where a name was given with it."""
    reason: Annotated[str, Field(max_length=REQUEST_LENGTH)] = ""
    """Why."""
    since: Time
    """When it was first seen."""

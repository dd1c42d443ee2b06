"""Whose word a phase needs before it ends."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Model, Name, PositiveDuration
from syncrollout.api.spec.persons import Persons

MOST_APPROVALS = 64
"""Approvals that a spec may hold."""


class Approval(StrEnum):
    """Whether a person has to say that a phase may end."""

    NOT_REQUIRED = "NotRequired"
    REQUIRED = "Required"


class ApprovalRules(Model):
    """What holds of every approval of the rollout."""

    approvers: Persons = Persons()
    """Who may approve, of phases that do not say so themselves; with nobody named whoever may change the rollout."""
    expires: PositiveDuration = Field(default="72h", validate_default=True)
    """How long an approval counts: one that is older when the phase could end has to be given anew."""
    remind: PositiveDuration = Field(default="24h", validate_default=True)
    """After how long it is asked for once more, and again after as long, while it is all that is missing."""


class GivenApproval(Model):
    """An approval by Git. It counts once, when it first stands here: for the phase that the run is in then."""

    phase: Name
    """The phase that may end."""
    by: Annotated[str, Field(min_length=1, max_length=256)]
    """Who approves."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """Why; another reason makes it another approval, after a step back for instance."""
    revision: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """The revision that it is meant for; it counts for no other. Any, unless given."""

"""Going back, in any phase."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Duration, Model, PositiveDuration
from syncrollout.api.spec.criteria import Trigger
from syncrollout.api.spec.drill import Drill
from syncrollout.api.spec.procedure import Procedure


class High(Model):
    """What a breach of severity High leads to: no step forward, and back by a deadline."""

    within: PositiveDuration = Field(default="1h", validate_default=True)
    """The rollout goes back so long after the breach, unless it is clear by then or a person overrides it."""
    clear_for: Duration = Field(default="5m", validate_default=True)
    """How long the trigger must be clear, without a break, before the breach counts as over. Unknown is not clear."""


class Undecided(StrEnum):
    """What happens where nobody decides in time."""

    ROLLBACK = "Rollback"
    CONTINUE = "Continue"


class Medium(Model):
    """What a breach of severity Medium leads to: the phase is held, and a person decides."""

    decide_within: PositiveDuration = Field(default="24h", validate_default=True)
    """How long a person has to decide."""
    default: Undecided = Undecided.ROLLBACK
    """What happens when nobody has: Rollback or Continue."""
    clear_for: Duration = Field(default="5m", validate_default=True)
    """How long the trigger must be clear, without a break, before there is nothing left to decide."""
    unknown_for: PositiveDuration = Field(default="1h", validate_default=True)
    """A criterion that cannot be judged for want of data for so long counts as a breach of severity Medium."""


class Rollback(Model):
    """What sends the rollout back in any phase."""

    triggers: Annotated[
        tuple[Trigger, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Judged in every phase."""
    keep_watching: Duration = 0.0
    """How long after completion triggers are judged on, and everything can still go back, by a trigger or by hand."""
    max_step_backs: Annotated[int, Field(ge=0, le=100)] = 3
    """How often a run may step back, by a phase's onFailure; after that it goes back wholly."""
    high: High = High()
    """What severity High leads to."""
    medium: Medium = Medium()
    """What severity Medium leads to."""
    procedure: Procedure | None = None
    """What a rollback does beyond the switch of traffic: verify the data, restore it."""
    drill: Drill | None = None
    """When it is tried whether a rollback would work."""

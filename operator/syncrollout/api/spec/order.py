"""What a run waits for before it begins: other rollouts, and its turn among those of a pool."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Model, Name, ObjectName


class DependsState(StrEnum):
    """How far another rollout must be."""

    COMPLETED = "Completed"
    STARTED = "Started"


class Dependency(Model):
    """Another SyncRollout that goes first."""

    name: ObjectName
    """Its name."""
    namespace: Name | None = None
    """Its namespace; the rollout's own unless given."""
    state: DependsState = DependsState.COMPLETED
    """Completed: its run has completed. Started: its first phase has begun, and it has not gone back since."""
    same_revision: bool = True
    """Whether it must be the run of the same spec.revision as this one; else its last run counts."""


class Pool(Model):
    """Rollouts of which only so many are in flight at one time."""

    name: Name
    """Its name; the rollouts of all namespaces that name it are in it."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many of them may be in flight at one time. Where they say different things, the least of it counts."""

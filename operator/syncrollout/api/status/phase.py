"""Where a run stands, and what it has stopped on its way."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Sentence, Written

MOST_RESTARTED = 64
"""Pods whose restarts from before a phase are kept."""


class PodRestarts(Written):
    """A pod of new with how often its containers had been restarted."""

    uid: Annotated[str, Field(max_length=64)]
    """metadata.uid of the pod."""
    count: int
    """Of all its containers together, over its whole life."""


class PhaseStatus(Written):
    """The phase that the rollout is in."""

    name: Annotated[str, Field(max_length=63)]
    """Its name in spec.phases."""
    index: int
    """Its place in spec.phases, from 1."""
    label: Annotated[str, Field(max_length=80)]
    """Place and name as printed, such as 2/5 small-traffic."""
    weight: int = 0
    """Share of new that it moves to, percent."""
    entered: Time
    """When it was decided on."""
    since: Time | None = None
    """Since when its weights stand; its duration counts from here."""
    lasted: float = 0.0
    """Seconds that it had lasted before a Live drill took its traffic away; they count once it is back."""
    earliest_end: Time | None = None
    """When its duration has passed."""
    restarts: Annotated[tuple[PodRestarts, ...], Field(max_length=MOST_RESTARTED)] | None = None
    """Restarts of new's pods from before the phase, which triggers on Restarts do not count: of the pods with the most;
    one that is not here had none."""


class MirrorStatus(Written):
    """What routes mirror to new by the operator's doing."""

    percent: int
    """Share of the requests, percent."""


class WatchStatus(Written):
    """A completed run is watched: a trigger, or a person, may still send everything back."""

    until: Time
    """When that ends."""
    moves: Annotated[str, Field(max_length=16)]
    """A fingerprint of spec.old, spec.new and spec.traffic as they were: another one ends it."""
    last_good_revision: Annotated[str, Field(max_length=63)] | None = None
    """The last completed revision before this one."""


class StepBackStatus(Written):
    """The last step back to the phase before, by the phase's onFailure."""

    count: int
    """How often this run has stepped back."""
    from_phase: Annotated[str, Field(max_length=63)]
    """The phase that failed."""
    to_phase: Annotated[str, Field(max_length=63)]
    """The one before it."""
    message: Sentence
    """What failed, in words."""
    at: Time
    """When it was decided."""


class Retired(Written):
    """What the old workload was before it was stopped, so that it can be brought back the same."""

    replicas: int | None = None
    """Its replicas; none for a CronJob, which is suspended instead."""
    at: Time
    """When stopping it was decided."""


class Stopped(Written):
    """What the new workload was before a rollback stopped it, so that it can be brought back for the next attempt."""

    workload: Annotated[str, Field(max_length=320)]
    """Its kind and name."""
    replicas: int
    """Its replicas; 1 for a CronJob, which is suspended instead."""
    at: Time
    """When stopping it was decided."""

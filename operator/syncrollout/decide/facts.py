"""What is known of the world at one moment: the input of every decision. Plain frozen values, no behaviour of weight.

Weights and shares are percent of new (0-100); times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncrollout.api.words import Reason, Side, Unknown


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric as read for one side: a finite `value`, or None with `unknown` and a message that says why."""

    value: float | None
    unknown: Unknown | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ReadingKey:
    """Which reading: a metric's name, and the side it is asked for."""

    metric: str
    side: Side = Side.NEW


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person has to mend before anything is touched."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class WorkloadFact:
    """A workload as it stands. `desired` and `ready` are replicas; a CronJob counts as one, none when suspended."""

    desired: int = 0
    ready: int = 0
    scalable: bool = True
    """False for a CronJob, which is suspended and resumed instead."""

    @property
    def alive(self) -> bool:
        """At least one replica can take work."""
        return self.ready > 0

    @property
    def complete(self) -> bool:
        """All replicas that are asked for can take work, and there is at least one."""
        return self.desired > 0 and self.ready >= self.desired


@dataclass(frozen=True, slots=True)
class RouteFact:
    """The weights of one route: `share` is the greatest share of new in any of its rules, `exact` the weight that
    all of its rules stand at, or None where they differ or do not add up."""

    name: str
    share: float
    exact: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one decision rests on."""

    generation: int
    deleting: bool = False
    has_finalizer: bool = False
    old: WorkloadFact | None = None
    """None where it does not exist; `problems` then says so."""
    new: WorkloadFact | None = None
    routes: tuple[RouteFact, ...] = ()
    """Every route that could be read; `problems` says why one is missing; only ROUTE_NOT_FOUND says it is gone."""
    readings: Mapping[ReadingKey, Reading] = field(default_factory=dict)
    """Before the start all that the rollout will ever need, in flight those of its phase; none while it goes back."""
    problems: tuple[Problem, ...] = ()
    """References that do not resolve, rights that are missing, routes taken by another rollout."""
    refused: Problem | None = None
    """The last attempt to act for this rollout was refused for good (a right is missing, a request is invalid); it is
    tried again, and people are told."""
    recent_repairs: int = 0
    """How often drift was repaired in the last minute; somebody else may be fighting for the route."""

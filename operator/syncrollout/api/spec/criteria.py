"""Criteria: readings held against limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Duration, Model, Name, rule, rules
from syncrollout.api.words import Severity


class Comparison(Model):
    """A metric's reading held against one limit."""

    metric: Name
    """A name from spec.metrics."""
    above: float | None = None
    """True while the reading is greater than this."""
    below: float | None = None
    """True while the reading is less than this."""
    at_least: float | None = None
    """True while the reading is this or greater."""
    at_most: float | None = None
    """True while the reading is this or less."""
    relative_to: Literal["Old"] | None = None
    """Old: the limit is a multiple of the same metric read for the old system."""
    for_: Annotated[Duration, Field(alias="for")] = 0.0
    """How long the comparison must have held without a break before it counts."""
    settle: Duration | None = None
    """How long after the phase began readings are not judged yet; success criteria default to the metric's window."""


_ONE_COMPARISON = rule(
    "[has(self.above), has(self.below), has(self.atLeast), has(self.atMost)].filter(x, x).size() == 1",
    "give exactly one of above, below, atLeast and atMost",
)


class Criterion(Comparison):
    """A comparison that a phase asks: of success, or for going back."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_COMPARISON))


class Trigger(Comparison):
    """A comparison that sends the rollout back in any phase."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_COMPARISON))

    severity: Severity
    """Critical acts at once."""


Criteria = Annotated[
    tuple[Criterion, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
]

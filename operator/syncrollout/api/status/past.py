"""What is over: the phases that this run has been in, for those who read later what was really done."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Written
from syncrollout.api.words import PhaseEnd, Role, Verdict

MOST_PAST = 24
"""Phases that are kept, those that a run has been in twice counted twice."""
MOST_RESULTS = 8
"""Criteria that are kept of each."""


class PastResult(Written):
    """A criterion as it stood when its phase ended."""

    role: Role
    """Success, RollbackOn or Trigger."""
    metric: Annotated[str, Field(max_length=120)]
    """The metric it reads; of an alert `alert:` and its name."""
    limit: Annotated[str, Field(max_length=100)]
    """The comparison in words."""
    verdict: Verdict
    """Pass, Fail or Unknown."""
    reading: float | None = None
    """The metric's reading for new."""
    baseline: float | None = None
    """The metric's reading for old, where the limit is relative to it."""


class PastPhase(Written):
    """A phase that this run has been in."""

    name: Annotated[str, Field(max_length=63)]
    """Its name in spec.phases."""
    weight: int = 0
    """Share of new, percent."""
    entered: Time
    """When it was decided on."""
    since: Time | None = None
    """Since when its weights stood; none where they never did."""
    ended: Time
    """When it ended."""
    end: PhaseEnd
    """How: Passed, Skipped by a person, SteppedBack, RolledBack, or Reweighted where an edit began its time anew."""
    results: Annotated[
        tuple[PastResult, ...],
        Field(max_length=MOST_RESULTS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Its criteria of success as they stood then, and what spoke against new."""

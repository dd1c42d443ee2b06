"""What was judged, and what traffic was seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Sentence, Written
from syncrollout.api.words import Role, Severity, Unknown, Verdict


class CriterionStatus(Written):
    """One criterion as last judged."""

    id: Annotated[str, Field(max_length=200)]
    """Unique within the status: role, place and metric."""
    role: Role
    """Success, RollbackOn or Trigger."""
    severity: Severity | None = None
    """Of a trigger: how grave it is."""
    metric: Annotated[str, Field(max_length=120)]
    """The metric it reads; of an alert `alert:` and its name."""
    limit: Annotated[str, Field(max_length=100)]
    """The comparison in words, such as below 1 percent; of an alert firing."""
    verdict: Verdict
    """Pass, Fail or Unknown."""
    reading: float | None = None
    """The metric's reading for new."""
    baseline: float | None = None
    """The metric's reading for old, where the limit is relative to it."""
    threshold: float | None = None
    """The number that the reading was held against."""
    events: float | None = None
    """Of a ratio with confidence, or minSamples: how many events of new's the verdict rests on."""
    lowest: float | None = None
    """The least that the metric may truly be with that confidence; with relativeTo, as a multiple of old's."""
    highest: float | None = None
    """The most, likewise; not there while there is no telling."""
    unknown: Unknown | None = None
    """Why the verdict is Unknown; of a Fail by onNoData, why there is no data."""
    message: Sentence = ""
    """The verdict in words."""
    since: Time
    """Since when the verdict is what it is."""
    lacking_since: Time | None = None
    """Since when there is no data, where onNoData is Rollback or Ignore: its patience counts from here."""
    last: Verdict | None = None
    """Where onNoData is Ignore: what it said when there was data."""
    held_since: Time | None = None
    """Since when the comparison holds without a break; `for` counts from here."""
    told: Time | None = None
    """When it was last told that a trigger of severity Low is breached, or that a criterion is ignored."""


class VerifyStatus(Written):
    """Whether traffic follows the weights, as traffic.verify says."""

    weight: int
    """The share of new that is wanted, percent: what the weights say."""
    share: float | None = None
    """The share that was measured, percent."""
    verdict: Verdict
    """Pass within the tolerance, Fail outside of it, Unknown where it cannot be seen."""
    unknown: Unknown | None = None
    """Why the verdict is Unknown."""
    message: Sentence = ""
    """The verdict in words."""
    since: Time
    """Since when the verdict is what it is."""
    agreed: Time | None = None
    """When the share was first seen to agree with these weights."""
    apart_since: Time | None = None
    """Since when it does not agree; the timeout counts from here."""

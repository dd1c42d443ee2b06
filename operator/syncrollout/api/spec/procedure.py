"""What follows once traffic is back at old: steps that look at the data and mend it, each with a budget of time."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Name, PositiveDuration, rule, rules
from syncrollout.api.spec.backup import Backup
from syncrollout.api.spec.criteria import COMPARISONS, WRONG_NUMBER
from syncrollout.api.spec.jobs import JobSource
from syncrollout.api.spec.probes import Probe


class Switch(Model):
    """The first step, which is always there: all traffic back to old. It is tried again for as long as it takes."""

    budget: PositiveDuration = Field(default="5m", validate_default=True)
    """How long it may take before people are told that it takes longer."""
    stop_new: bool = False
    """Once traffic is back, new is scaled to zero (a CronJob suspended), and brought back before the next attempt."""


class VerifyData(Model):
    """Looks whether new has done damage. The Job ends well where there is nothing to restore, and fails otherwise."""

    job: JobSource
    """What looks."""
    budget: PositiveDuration = Field(default="15m", validate_default=True)
    """How long it may take; then it is stopped, and what it would have said is not known."""


class RestoreMode(StrEnum):
    """When data is restored."""

    WHEN_NEEDED = "WhenNeeded"
    ALWAYS = "Always"


class Restore(Model):
    """Mends the data. Where there is a verification, it runs once more afterwards."""

    job: JobSource
    """What mends it."""
    mode: RestoreMode = RestoreMode.WHEN_NEEDED
    """WhenNeeded: if the verification has failed with an exit code. Always: whatever it said."""
    backup: Backup | None = None
    """Without a recent backup nothing is restored."""
    budget: PositiveDuration = Field(default="30m", validate_default=True)
    """How long it may take; then it is stopped."""


class Check(Model):
    """What a metric has to read for old, once all of the traffic is there again."""

    model_config = ConfigDict(json_schema_extra=rules(rule(f"{COMPARISONS} == 1", WRONG_NUMBER)))

    metric: Name
    """A name from spec.metrics."""
    above: float | None = None
    """Passes while the reading is greater than this."""
    below: float | None = None
    """Passes while the reading is less than this."""
    at_least: float | None = None
    """Passes while the reading is this or greater."""
    at_most: float | None = None
    """Passes while the reading is this or less."""


class VerifySystem(Model):
    """Looks whether old does its work again: it is restarted where that is asked, checks and probes
    all have to pass, then a Job runs (a sync for a test, say)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.job) || (has(self.checks) && self.checks.size() > 0) || "
                "(has(self.probes) && self.probes.size() > 0) || (has(self.restartOld) && self.restartOld)",
                "nothing says how to verify the system; give checks, probes, a job, restartOld, or several of them",
            ),
        ),
    )

    restart_old: bool = False
    """Before anything is looked at, old's pods are made anew, a few at a time, as its own update strategy says."""
    checks: Annotated[
        tuple[Check, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Judged at every interval until all of them pass."""
    probes: Annotated[
        tuple[Probe, ...], Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """What old has to answer; asked again until all of them pass at once."""
    job: JobSource | None = None
    """What is run then; it ends well where the system works."""
    budget: PositiveDuration = Field(default="15m", validate_default=True)
    """How long all of it may take."""


class Evidence(Model):
    """An incident report in Markdown, in a ConfigMap."""

    keep: Annotated[int, Field(ge=1, le=20)] = 5
    """How many reports there are at most; then the oldest is written over."""


class Procedure(Model):
    """What a rollback does beyond the switch of traffic, in this order; no step ever holds up the switch."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.restore) || has(self.verifyData) || self.restore.mode == 'Always'",
                "nothing says whether a restore is needed; give verifyData, or restore.mode Always",
                fieldPath=".restore",
            ),
        ),
    )

    switch: Switch = Switch()
    """Traffic back to old."""
    verify_data: VerifyData | None = None
    """Looks whether new has done damage."""
    restore: Restore | None = None
    """Mends the data."""
    verify_system: VerifySystem | None = None
    """Looks whether old does its work again."""
    evidence: Evidence | None = None
    """Writes an incident report."""


__all__ = [
    "Check",
    "Evidence",
    "Procedure",
    "Restore",
    "RestoreMode",
    "Switch",
    "VerifyData",
    "VerifySystem",
]

"""What `kubectl syncrollout diagnose` goes by beyond what it knows itself. The operator reads none of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Name, PositiveDuration, rule, rules


class Ailment(StrEnum):
    """What may be wrong with a system."""

    SLOW = "Slow"
    INCONSISTENT = "Inconsistent"
    MEMORY = "Memory"
    AUTH = "Auth"
    DATABASE = "Database"


class Sign(Model):
    """A metric that tells of a trouble, of new and of old alike."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.above), has(self.below), has(self.timesOld)].filter(given, given).size() <= 1",
                "give above, below or timesOld, and one of them only",
            ),
        ),
    )

    metric: Name
    """The metric's name in spec.metrics."""
    tells: Ailment
    """What it tells of."""
    above: float | None = None
    """It does when it reads more than this."""
    below: float | None = None
    """It does when it reads less than this."""
    times_old: Annotated[float, Field(ge=1)] | None = None
    """It does when new reads so many times what old does; 2 where nothing is given."""


class LogSign(Model):
    """Lines of logs that tell of a trouble, beside those that are known for it."""

    pattern: Annotated[str, Field(min_length=1, max_length=200)]
    """A regular expression, looked for anywhere in a line, whatever its case."""
    tells: Ailment
    """What such a line tells of."""


class Contact(Model):
    """Whom to call."""

    who: Annotated[str, Field(min_length=1, max_length=200)]
    """Name and number, or channel."""
    tells: Annotated[tuple[Ailment, ...], Field(max_length=5, json_schema_extra={"x-kubernetes-list-type": "set"})] = ()
    """For which troubles; for all where none is given."""


class Diagnosis(Model):
    """What tells of which trouble, and whom to call."""

    look_back: PositiveDuration = Field(default="1h", validate_default=True)
    """How far back metrics and logs are looked at."""
    metrics: Annotated[
        tuple[Sign, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Metrics that tell of troubles. Without any, those of kind system in seconds tell of Slow."""
    logs: Annotated[
        tuple[LogSign, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """What else to look for in logs."""
    contacts: Annotated[
        tuple[Contact, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Whom to call."""

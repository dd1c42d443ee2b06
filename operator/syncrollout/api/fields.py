"""Field types shared by spec and status: durations, times and names, with the schema the CRD shows for them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]{1,6})(s|m|h|d|w)")
DURATION_PATTERN = r"^([0-9]{1,6}[sm]|[0-9]{1,5}h|[0-9]{1,4}d|[0-9]{1,3}w){1,5}$"
"""So bounded that now and any duration make a moment that can be written: a century, not twenty millennia."""
POSITIVE_DURATION_PATTERN = r"^([1-9][0-9]{0,5}[sm]|[1-9][0-9]{0,4}h|[1-9][0-9]{0,3}d|[1-9][0-9]{0,2}w){1,5}$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


def parse_duration(text: object) -> float:
    """Seconds of a duration such as ``90s``, ``10m``, ``1h30m`` or ``7d``.

    Raises ValueError, with the accepted form, for anything else.
    """
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        how = "write whole numbers with units s, m, h, d or w, such as 90s, 10m, 7d, at most 999w"
        msg = f"{text!r} is not a duration: {how}"
        raise ValueError(msg)
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """A duration a person reads at a glance: the two largest units, such as ``2d3h`` or ``45s``."""
    rest = max(0, round(seconds))
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, int(_UNITS[unit]))
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts[:2]) or "0s"


def parse_time(value: object) -> float:
    """Seconds since the epoch, to the millisecond, of an RFC 3339 time (or of such a number of seconds)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(float(value), 3)
    if not isinstance(value, str):
        msg = f"{value!r} is not an RFC 3339 time"
        raise ValueError(msg)
    return round(datetime.fromisoformat(value).timestamp(), 3)


def format_time(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds: whole seconds would let a phase end early. Never raises: a moment before the
    year 1 or after 9999, which cannot be written, is the first or the last of them."""
    seconds = min(max(seconds, _FIRST), _LAST)
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()

PATTERN_MESSAGE = "x-pattern-message"
"""Schema key: the sentence a person reads when `pattern` does not match. The CRD carries the two as one CEL rule."""


def pattern(expression: str, message: str) -> dict[str, Any]:
    """Arguments of a Field whose text must match a pattern, with the sentence for when it does not."""
    return {"pattern": expression, "json_schema_extra": {PATTERN_MESSAGE: message}}


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 30,
            "pattern": DURATION_PATTERN,
            PATTERN_MESSAGE: "not a duration; write whole numbers with units s, m, h, d or w, "
            "such as 90s, 1h30m or 7d, at most 999w",
        }
    ),
]
PositiveDuration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 30,
            "pattern": POSITIVE_DURATION_PATTERN,
            PATTERN_MESSAGE: "not a duration above zero; write whole numbers with units s, m, h, d or w, such as 30s, "
            "at most 999w",
        }
    ),
]
QueryTimeout = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0, le=300),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 30,
            "pattern": r"^([1-9]|[1-9][0-9]|[12][0-9]{2}|300)s$|^[1-5]m$",
            PATTERN_MESSAGE: "not a time-out of a query; write 1s to 300s, or 1m to 5m",
        }
    ),
]
"""Bounded, for a query that hangs holds one of the threads of its Prometheus for so long."""
Time = Annotated[
    float,
    BeforeValidator(parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Name = Annotated[
    str,
    Field(
        max_length=63,
        **pattern(NAME_PATTERN, "not a name; write lower case letters, digits and -, such as small-traffic"),
    ),
]
ObjectName = Annotated[
    str,
    Field(
        max_length=253,
        **pattern(
            OBJECT_NAME_PATTERN,
            "not the name of an object; write lower case letters, digits, - and ., such as listing-sync-v1",
        ),
    ),
]
Text = Annotated[str, Field(max_length=1024)]


def rule(expression: str, message: str, **more: str) -> dict[str, str]:
    """One CEL validation rule of the CRD; `message` is the sentence that the person applying it reads."""
    return {"rule": expression, "message": message, **more}


def rules(*each: dict[str, str]) -> dict[str, Any]:
    """The `json_schema_extra` that carries CEL rules from a model into the CRD."""
    return {"x-kubernetes-validations": list(each)}


class Model(BaseModel):
    """Base of every model: camelCase on the wire, immutable, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

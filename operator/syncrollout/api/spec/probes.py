"""What old has to answer over HTTP, once all of the traffic is there again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from syncrollout.api.fields import PATTERN_MESSAGE, Model, Name, parse_duration, pattern

PROBE_TIMEOUT = 10.0
"""Seconds that a whole answer may take."""

Latency = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0, le=PROBE_TIMEOUT),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 3,
            "pattern": r"^([1-9]|10)s$",
            PATTERN_MESSAGE: "not a latency of a probe; write 1s to 10s, for after 10s it is given up",
        }
    ),
]


class ProbeScheme(StrEnum):
    """How a Service is spoken to."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class Probe(Model):
    """One GET of a Service in the rollout's own namespace. No redirect is followed."""

    service: Name | None = None
    """The Service; that of spec.old where none is named."""
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    """One of the Service's ports, by number."""
    scheme: ProbeScheme = ProbeScheme.HTTP
    """HTTPS verifies the certificate, by the operator's authorities and for the name `<service>.<namespace>.svc`."""
    path: Annotated[
        str, Field(max_length=1024, **pattern(r"^/[!-\"$-~]*$", "not a path; begin with /, without spaces and #"))
    ] = "/"
    """The path, with its query."""
    status: Annotated[
        tuple[Annotated[int, Field(ge=100, le=599, description="A status code.")], ...],
        Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = (200,)
    """It passes with one of these status codes; 200 where none is given."""
    contains: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """What must stand in the first 64 KiB of the body, letter by letter."""
    max_latency: Latency | None = None
    """How long the whole answer may take."""


__all__ = ["PROBE_TIMEOUT", "Probe", "ProbeScheme"]

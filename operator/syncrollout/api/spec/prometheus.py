"""The Prometheus that is asked, and how it is spoken to."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, ObjectName, PositiveDuration, QueryTimeout, pattern, rule, rules


class SecretKey(Model):
    """One key of a Secret in the rollout's own namespace."""

    name: ObjectName
    """The Secret's name."""
    key: Annotated[
        str,
        Field(
            max_length=253,
            **pattern(r"^[-._a-zA-Z0-9]+$", "not a key of a Secret; write letters, digits, -, _ and ., such as ca.crt"),
        ),
    ]
    """The key within it."""


class BasicAuth(Model):
    """User name and password for Prometheus."""

    username: SecretKey
    """Where the user name stands."""
    password: SecretKey
    """Where the password stands."""


class PrometheusSpec(Model):
    """The Prometheus (or anything that speaks its HTTP API) that is asked before each step."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.bearerToken) && has(self.basicAuth))",
                "give Prometheus either bearerToken or basicAuth, not both",
            ),
        ),
    )

    address: Annotated[
        str,
        Field(
            max_length=512,
            **pattern(
                r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
                "not the base URL of a Prometheus; write http:// or https://, host, port and, where there is one, "
                "a path prefix, such as http://prometheus.monitoring:9090",
            ),
        ),
    ]
    """Base URL, such as http://prometheus.monitoring:9090; a path prefix is kept."""
    interval: PositiveDuration = Field(default="30s", validate_default=True)
    """How often the criteria of the current phase are judged; at least 1s."""
    timeout: QueryTimeout = Field(default="10s", validate_default=True)
    """How long one query may take in all, 5m at most; a slower one reads as Unknown."""
    bearer_token: SecretKey | None = None
    """A bearer token to present."""
    basic_auth: BasicAuth | None = None
    """A user name and password to present."""
    ca: SecretKey | None = None
    """A PEM bundle of certificate authorities to trust for https, instead of the system's."""
    server_name: (
        Annotated[
            str,
            Field(
                max_length=253,
                **pattern(
                    r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$",
                    "not a name that a certificate could be for; write it without scheme and port, such as "
                    "prometheus.example.com",
                ),
            ),
        ]
        | None
    ) = None
    """The name that the certificate has to be for, where it is not that of the address."""

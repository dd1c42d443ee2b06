"""The two systems, and how objects are named."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, ObjectName, pattern, rule, rules

_KNOWN_API_VERSIONS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "CronJob": "batch/v1"}
ApiVersion = Annotated[
    str,
    Field(
        max_length=120,
        **pattern(
            r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$",
            "not an apiVersion; write group and version, such as apps/v1, or v1 for the core group",
        ),
    ),
]
Kind = Annotated[
    str,
    Field(
        max_length=63,
        **pattern(r"^[A-Z][A-Za-z0-9]*$", "not a kind; write it as in a manifest, such as Deployment or HTTPRoute"),
    ),
]


class WorkloadRef(Model):
    """The workload that runs one side: a Deployment, a StatefulSet, a CronJob, or anything with a scale subresource."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.apiVersion) || self.kind in ['Deployment', 'StatefulSet', 'CronJob']",
                "give apiVersion; only Deployment, StatefulSet and CronJob are known without it",
                fieldPath=".apiVersion",
            ),
        ),
    )

    api_version: ApiVersion | None = None
    """The workload's apiVersion; may be left out for Deployment, StatefulSet and CronJob."""
    kind: Kind
    """The workload's kind, such as Deployment."""
    name: ObjectName
    """The workload's name, in the rollout's own namespace."""

    @property
    def resolved_api_version(self) -> str:
        """The apiVersion as written, else the well-known one of the kind."""
        return self.api_version or _KNOWN_API_VERSIONS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class SystemSpec(Model):
    """One of the two systems: its workload, and the Service in front of it where there is one."""

    workload: WorkloadRef
    """What runs it."""
    service: ObjectName | None = None
    """The Service that routes name as backend; needed when traffic moves by routes without weightAt."""

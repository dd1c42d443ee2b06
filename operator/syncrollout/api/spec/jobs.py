"""What the Job of a step runs: a pod, written here or taken from a CronJob."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, ObjectName, rule, rules


class Open(Model):
    """Base of what belongs to a Kubernetes object: fields that are not named here are kept as they are written."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})


class Container(Open):
    """A container, as in any pod."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Its name."""
    image: Annotated[str, Field(min_length=1, max_length=1024)]
    """Its image."""


class PodSpec(Open):
    """The pod, as in a Job's spec.template.spec. Its restartPolicy is Never, whatever is written."""

    containers: Annotated[
        tuple[Container, ...],
        Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """Its containers."""


class PodTemplate(Open):
    """The pod that a Job runs, as in a Job's spec.template."""

    spec: PodSpec
    """The pod."""

    @property
    def manifest(self) -> dict[str, Any]:
        """As it was written."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class JobSource(Model):
    """What a step runs: once, in one pod, with variables ROLLOUT_* in every container."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.template) != has(self.fromCronJob)",
                "a Job needs one source; give either template, or fromCronJob with the name of a CronJob",
            ),
        ),
    )

    template: PodTemplate | None = None
    """The pod, written here."""
    from_cron_job: ObjectName | None = None
    """The name of a CronJob (it may be suspended), whose pod template is taken when the step begins."""


__all__ = ["Container", "JobSource", "PodSpec", "PodTemplate"]

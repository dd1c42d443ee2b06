"""What must be there before data is restored: a backup, and how to see it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Name, ObjectName, PositiveDuration, pattern, rule, rules
from syncrollout.api.spec.jobs import JobSource

LabelValue = Annotated[
    str,
    Field(
        max_length=63,
        **pattern(
            r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
            "not the value of a label; write letters, digits, -, _ and ., such as listings-db",
        ),
    ),
]


class VolumeSnapshot(Model):
    """A VolumeSnapshot (snapshot.storage.k8s.io/v1) in the rollout's own namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.name) != (has(self.matchLabels) && self.matchLabels.size() > 0)",
                "a snapshot is named, or found by its labels; give either name or matchLabels",
            ),
            rule(
                "!has(self.matchLabels) || self.matchLabels.all(l, "
                "l.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))",
                "matchLabels names labels, such as app or app.kubernetes.io/name",
                fieldPath=".matchLabels",
            ),
        ),
    )

    name: ObjectName | None = None
    """Its name."""
    match_labels: Annotated[dict[str, LabelValue], Field(max_length=8)] = Field(default_factory=dict)
    """Labels that it has, with these very values; of several the newest that is ready counts."""

    @property
    def selector(self) -> str:
        """The labels as a selector."""
        return ",".join(f"{label}={value}" for label, value in sorted(self.match_labels.items()))


class Backup(Model):
    """What must be there before data is restored."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.metric), has(self.job), has(self.volumeSnapshot)].filter(x, x).size() == 1",
                "one thing says whether there is a backup; give exactly one of metric, job and volumeSnapshot",
            ),
            rule(
                "has(self.maxAge) != has(self.job)",
                "maxAge says how old a backup may be; give it with metric or volumeSnapshot, and not with a job, "
                "which makes one",
            ),
        ),
    )

    metric: Name | None = None
    """A name from spec.metrics; it reads how old the last good backup is, in seconds."""
    volume_snapshot: VolumeSnapshot | None = None
    """A snapshot of the volume that the data is on."""
    job: JobSource | None = None
    """What makes a backup, or makes sure of one: run before the restore, which begins only once it has ended well."""
    max_age: PositiveDuration | None = None
    """How old it may be. The restore waits for one that is recent enough, within its budget, and fails without."""


__all__ = ["Backup", "VolumeSnapshot"]

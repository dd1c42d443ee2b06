"""What was found of things that somebody looks at by name: snapshots, and lines of the checklist before the start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SnapshotFact:
    """The VolumeSnapshot that is a backup: when it was taken, seconds since the epoch, or why there is none."""

    taken: float | None
    text: str
    """Its name; where there is none that can be used, why."""


@dataclass(frozen=True, slots=True)
class CheckFact:
    """What was found of one line of the checklist before the start, and when somebody looked."""

    at: float
    passes: bool | None = None
    """None where that is not known, or is the decision's to say."""
    text: str = ""
    """What was found, or why nothing was."""
    valid_until: float | None = None
    """Of a certificate."""
    snapshot: SnapshotFact | None = None
    """The snapshot that is a backup."""
    missing_old: tuple[str, ...] = ()
    """Variables that the pod template of old does not define."""
    missing_new: tuple[str, ...] = ()
    """The same of new."""


__all__ = ["CheckFact", "SnapshotFact"]

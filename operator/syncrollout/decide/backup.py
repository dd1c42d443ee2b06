"""Whether there is a backup to restore from, where `restore.backup` says how to see it."""

from __future__ import annotations

from syncrollout.api.spec import Backup, SyncRolloutSpec, VolumeSnapshot
from syncrollout.api.status import RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import Reason, State, Step, StepState
from syncrollout.decide import backup_job
from syncrollout.decide.backup_age import There, judge
from syncrollout.decide.facts import ReadingKey
from syncrollout.decide.firsts import First
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View


def of(spec: SyncRolloutSpec) -> Backup | None:
    """The precondition of a restore; None where there is none."""
    procedure = spec.rollback.procedure
    return procedure.restore.backup if procedure is not None and procedure.restore is not None else None


def awaited(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> Backup | None:
    """The precondition that a restore waits for now."""
    if status.state is not State.ROLLING_BACK or status.rollback is None:
        return None
    waits = any(
        step.name is Step.RESTORE and step.state is StepState.RUNNING and step.job is None
        for step in status.rollback.steps
    )
    return of(spec) if waits else None


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> frozenset[ReadingKey]:
    """The readings that a restore waits for now."""
    asked = awaited(spec, status)
    return frozenset({ReadingKey(asked.metric)}) if asked is not None and asked.metric is not None else frozenset()


def snapshot(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> VolumeSnapshot | None:
    """The snapshot that a restore waits for now."""
    asked = awaited(spec, status)
    return asked.volume_snapshot if asked is not None else None


def words(spec: SyncRolloutSpec) -> str:
    """What comes before a restore, in words; empty where nothing does."""
    asked = of(spec)
    if asked is None:
        return ""
    return "is there a backup?" if asked.job is None else "a backup comes first"


def look(v: View, cause: RollbackStatus, step: StepStatus) -> First:
    """Whether there is one that is recent enough. That there is none is told once."""
    asked = of(v.spec)
    if asked is None:
        return First(step)
    if asked.job is not None:
        return backup_job.look(v, cause, step, asked.job)
    reading = v.facts.readings.get(ReadingKey(asked.metric)) if asked.metric is not None else None
    seen = judge(asked, reading, v.facts.snapshot, v.now)
    if not isinstance(seen, str):
        return First(step, said=seen.said)
    if not seen or step.message:
        return First(step, waits=seen)
    text = clip(f"{step.name.value} waits: {seen}; see to a backup, or restore by hand")
    waiting = step.model_copy(update={"message": text})
    return First(waiting, waits=seen, notes=(Note(Reason.BACKUP_MISSING, text, "Warning"),))


__all__ = ["There", "judge", "look", "of", "readings", "snapshot", "words"]

"""Whether there is a backup to restore from, where `restore.backup` says how to see it."""

from __future__ import annotations

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Backup, SyncRolloutSpec
from syncrollout.api.status import StepStatus, SyncRolloutStatus
from syncrollout.api.words import Reason, State, Step, StepState
from syncrollout.decide.facts import Facts, Reading, ReadingKey
from syncrollout.decide.firsts import First
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View


def of(spec: SyncRolloutSpec) -> Backup | None:
    """The precondition of a restore; None where there is none."""
    procedure = spec.rollback.procedure
    return procedure.restore.backup if procedure is not None and procedure.restore is not None else None


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> frozenset[ReadingKey]:
    """The readings that a restore waits for now."""
    asked = of(spec)
    if asked is None or status.state is not State.ROLLING_BACK or status.rollback is None:
        return frozenset()
    waits = any(
        step.name is Step.RESTORE and step.state is StepState.RUNNING and step.job is None
        for step in status.rollback.steps
    )
    return frozenset({ReadingKey(asked.metric)}) if waits else frozenset()


def look(v: View, step: StepStatus) -> First:
    """Whether there is one that is recent enough. That there is none is told once."""
    missing = _missing(v.spec, v.facts)
    if not missing or step.message:
        return First(step, waits=missing)
    text = clip(f"{step.name.value} waits: {missing}; see to a backup, or restore by hand")
    waiting = step.model_copy(update={"message": text})
    return First(waiting, waits=missing, notes=(Note(Reason.BACKUP_MISSING, text, "Warning"),))


def _missing(spec: SyncRolloutSpec, facts: Facts) -> str | None:
    """Why there is none that is recent enough, in words; empty where nobody has looked yet, None where there is one."""
    asked = of(spec)
    if asked is None:
        return None
    reading = facts.readings.get(ReadingKey(asked.metric))
    return too_old(asked, reading) if reading is not None else ""


def too_old(asked: Backup, reading: Reading) -> str | None:
    """Why there is none that is recent enough, by this reading, in words; None where there is one."""
    if reading.value is None:
        return f"whether there is a backup is not known: metric {asked.metric}: {reading.message}"
    if not 0 <= reading.value <= asked.max_age:
        age, most = (format_duration(each) for each in (reading.value, asked.max_age))
        return f"the last backup is {age} old (metric {asked.metric}), and may be {most} at most"
    return None


__all__ = ["look", "of", "readings", "too_old"]

"""A Job that has to end well before the Job of a restore is made: it makes a backup, or makes sure of one.

Like the Job of a step it is recorded before it is made, made once, and stopped by Kubernetes itself when the
step's budget is used up.
"""

from __future__ import annotations

from typing import Any

from syncrollout.api.spec import JobSource
from syncrollout.api.status import RollbackStatus, StepStatus
from syncrollout.api.words import Reason
from syncrollout.decide import step_jobs
from syncrollout.decide.actions import BACKUP
from syncrollout.decide.facts import JobFact, JobState
from syncrollout.decide.firsts import First
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View


def look(v: View, cause: RollbackStatus, step: StepStatus, source: JobSource) -> First:
    """How far it is."""
    if step.backup_job is None:
        name = step_jobs.job_name(v, cause, f"{step.name.value}{BACKUP}")
        begun = step.model_copy(update={"backup_job": name})
        note = Note(Reason.STEP_STARTED, f"{step.name.value}: the backup before it is made by Job {name}")
        return _made(v, cause, begun, source, notes=(note,))
    fact = v.facts.jobs.get(step.backup_job, step_jobs.UNSEEN)
    job = f"Job {step.backup_job}"
    match fact.state:
        case JobState.COMPLETE:
            return First(step, said=f"the backup by {job} has ended well")
        case JobState.FAILED:
            return First(step, waits=clip(f"the backup has failed: {job}{_why(fact)}"), fails=True)
        case JobState.MISSING if step.backup_seen:
            return First(step, waits=f"somebody has deleted {job}, which made the backup", fails=True)
        case JobState.MISSING:
            return _made(v, cause, step, source)
        case JobState.STOPPED:
            return First(step, waits=f"the backup by {job} has not ended in time and is stopped", fails=True)
    seen = step if fact.state is not JobState.RUNNING else step.model_copy(update={"backup_seen": True})
    return First(seen, waits=f"the backup by {job} has not ended")


def _made(v: View, cause: RollbackStatus, step: StepStatus, source: JobSource, **more: Any) -> First:
    make = step_jobs.make_backup(v, cause, step, source)
    return First(step, waits=f"the backup by Job {step.backup_job} was never seen to run", actions=(make,), **more)


def _why(fact: JobFact) -> str:
    last = fact.output.splitlines()[-1:] or ([fact.message] if fact.message else [])
    code = [f"exit code {fact.exit_code}"] if fact.exit_code is not None else []
    return "".join(f": {each}" for each in (*code, *last))


__all__ = ["look"]

"""One Job that is run once, outside of a rollback: a line of the checklist, a step of day one, a verification.

Its name is recorded before it is made, so that after a crash the same one is made, or found; once it was seen it is
never made again. How long it may run stands in the Job itself, so that Kubernetes stops it in time even while no
operator runs.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

from syncrollout.api.fields import format_duration, format_time
from syncrollout.api.spec import JobSource, SyncRolloutSpec
from syncrollout.api.status import WORDS_LENGTH, SyncRolloutStatus, TaskStatus
from syncrollout.api.words import StepState, Task
from syncrollout.decide.actions import CreateJob
from syncrollout.decide.facts import Facts, JobFact, JobState
from syncrollout.decide.job_names import STOPPING, UNSEEN, dashed, named
from syncrollout.decide.phrases import clip, moment

LOOK: Final = 2.0
"""Seconds between looks at a Job that runs."""
ENDED_BADLY: Final = frozenset({StepState.FAILED, StepState.OVERRUN})


def job_name(facts: Facts, task: Task, *origin: object) -> str:
    """The one name that a Job of this origin can have."""
    return named(facts.name, dashed(task.value), "/".join([facts.uid, task.value, *map(str, origin)]))


def fingerprint(source: JobSource) -> str:
    """What tells one source from another."""
    return hashlib.sha256(source.model_dump_json(by_alias=True).encode()).hexdigest()[:10]


def begun(task: TaskStatus, job: str, budget: float, now: float) -> TaskStatus:
    """It begins: recorded before the Job is made."""
    return task.model_copy(
        update={
            "state": StepState.RUNNING,
            "budget_seconds": math.ceil(budget),
            "started": now,
            "deadline": round(now + budget, 3),
            "finished": None,
            "job": job,
            "seen": False,
            "exit_code": None,
            "output": "",
            "message": "",
        }
    )


def develop(task: TaskStatus, facts: Facts, now: float) -> TaskStatus:
    """As its Job stands now. One that has ended stays as it is."""
    if task.state is not StepState.RUNNING or task.job is None:
        return task
    fact = facts.jobs.get(task.job, UNSEEN)
    late = task.deadline is not None and now >= task.deadline
    match fact.state:
        case JobState.COMPLETE:
            return _ended(task, fact, StepState.SUCCEEDED, f"has succeeded after {_took(task, now)}", now)
        case JobState.FAILED:
            return _ended(task, fact, StepState.FAILED, f"has failed after {_took(task, now)}: {_why(task, fact)}", now)
        case JobState.STOPPED:
            return _ended(task, fact, StepState.OVERRUN, _stopped(task, fact), now)
        case JobState.MISSING if task.seen:
            text = f"somebody has deleted Job {task.job} before it ended; it is not run a second time"
            return _ended(task, fact, StepState.FAILED, text, now)
        case JobState.RUNNING if not late:
            return task.model_copy(update={"seen": True})
    if late and (fact.state is JobState.MISSING or now >= (task.deadline or 0.0) + STOPPING):
        return _ended(task, fact, StepState.OVERRUN, _stopped(task, fact), now)
    return task


def unmade(task: TaskStatus, facts: Facts) -> bool:
    """Whether its Job is to be made: it was neither seen nor is it there now."""
    if task.state is not StepState.RUNNING or task.job is None or task.seen:
        return False
    return facts.jobs.get(task.job, UNSEEN).state is JobState.MISSING


def make(
    task: TaskStatus,
    purpose: Task,
    source: JobSource,
    status: SyncRolloutStatus,
    *,
    spec: SyncRolloutSpec,
    facts: Facts,
    now: float,
) -> CreateJob:
    """The action that makes its Job; it may run until the deadline."""
    assert task.job is not None
    assert task.deadline is not None
    phase = status.phase if status.in_flight else None
    return CreateJob(
        step=purpose,
        name=task.job,
        source=source,
        seconds=max(1, math.ceil(task.deadline - now)),
        variables=(
            ("ROLLOUT_NAME", facts.name),
            ("ROLLOUT_RUN", str(status.run)),
            ("ROLLOUT_REVISION", spec.revision),
            ("ROLLOUT_STEP", purpose.value),
            ("ROLLOUT_TASK", task.name),
            ("ROLLOUT_OLD", spec.old.workload.name),
            ("ROLLOUT_NEW", spec.new.workload.name),
            ("ROLLOUT_PHASE", phase.name if phase is not None else ""),
            ("ROLLOUT_WEIGHT", str(status.weight if phase is not None else 0)),
            ("ROLLOUT_STARTED", format_time(status.started) if phase is not None and status.started else ""),
        ),
    )


def running(task: TaskStatus) -> str:
    """What is said while it runs."""
    since = f" since {moment(task.started)}" if task.started is not None else ""
    return f"Job {task.job} runs{since}, for {format_duration(task.budget_seconds)} at most"


def _ended(task: TaskStatus, fact: JobFact, state: StepState, text: str, now: float) -> TaskStatus:
    return task.model_copy(
        update={
            "state": state,
            "finished": now,
            "seen": True,
            "exit_code": fact.exit_code,
            "output": clip(fact.output, WORDS_LENGTH),
            "message": clip(text, WORDS_LENGTH),
        }
    )


def _why(task: TaskStatus, fact: JobFact) -> str:
    last = fact.output.splitlines()[-1:] or ([fact.message] if fact.message else [])
    code = [f"exit code {fact.exit_code}"] if fact.exit_code is not None else []
    return f"Job {task.job}" + "".join(f": {each}" for each in (*code, *last))


def _stopped(task: TaskStatus, fact: JobFact) -> str:
    budget = format_duration(task.budget_seconds)
    if fact.state in (JobState.MISSING, JobState.UNSEEN):
        detail = f", {fact.message}" if fact.message else ""
        return f"has used up its {budget}: Job {task.job} was never seen to run{detail}"
    return f"has used up its {budget}: Job {task.job} is stopped"


def _took(task: TaskStatus, now: float) -> str:
    return f"{format_duration(now - (task.started or now))} of {format_duration(task.budget_seconds)}"


__all__ = [
    "ENDED_BADLY",
    "LOOK",
    "begun",
    "develop",
    "fingerprint",
    "job_name",
    "make",
    "running",
    "unmade",
]

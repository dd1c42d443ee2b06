"""Day one (spec.preflight.dayOne): a backup, a migration of the data, a test sync, before any traffic moves.

The run has begun by then, so that what they have done is undone by a rollback like anything else. They run one after
the other, at the phase's beginning and once in a run:

    waiting    -> running       no incident is open, and the rollout is not suspended; its Job's name is recorded first
    running    -> ended         its Job has ended, or its budget is used up
    ended well -> the next one; after the last one traffic moves, and only then does the phase's time count
    ended badly                 what its severity says, as for a trigger: all goes back, or an incident is opened
    waiting    -> skipped       the spec does not ask for it any more, or everything goes back

Going back waits for none of them: a Job that runs then goes on until it ends, or its budget is used up.
"""

from __future__ import annotations

from dataclasses import replace

from syncrollout.api.fields import format_duration
from syncrollout.api.status import TaskStatus
from syncrollout.api.words import Reason, State, StepState, Task
from syncrollout.decide import incidents, own_jobs, standing_still, tasks
from syncrollout.decide.notes import Note
from syncrollout.decide.outcome import Outcome, next_text, resumes
from syncrollout.decide.view import View


def prepares(v: View) -> Outcome | None:
    """What is left of day one; None once it is over, and without one."""
    if v.phase is None or v.status.phase is None or v.status.phase.since is not None or not v.status.day_one:
        return None
    current = next((each for each in v.status.day_one if each.finished is None), None)
    if current is None:
        return _stands(v)
    if current.state is StepState.WAITING:
        return _stands(v) or _begins(v, current)
    standing = _stands(v) or Outcome(
        State.PROGRESSING,
        Reason.DAY_ONE,
        f"Phase {v.status.phase.label}: day one: {current.name}: {tasks.running(current)}; no traffic moves before",
        notes=resumes(v),
        next=next_text(v, v.index, None),
    )
    step = own_jobs.steps(v.spec).get(Task(current.name))
    if step is None or not tasks.unmade(current, v.facts):
        return replace(standing, due=v.now + tasks.LOOK)
    job = tasks.make(current, Task(current.name), step.job, v.status, spec=v.spec, facts=v.facts, now=v.now)
    return replace(standing, actions=(*standing.actions, job), due=v.now + tasks.LOOK)


def _stands(v: View) -> Outcome | None:
    """What keeps the next one from beginning: an incident that is open, or suspend."""
    if v.incident is not None and incidents.is_open(v.incident):
        return standing_still.incident(v)
    return standing_still.paused(v)


def _begins(v: View, task: TaskStatus) -> Outcome:
    assert v.status.phase is not None
    step = own_jobs.steps(v.spec)[Task(task.name)]
    job = tasks.job_name(v.facts, Task(task.name), v.status.run)
    began = tasks.begun(task, job, step.budget, v.now)
    text = f"Day one: {task.name} begins: Job {job}, for {format_duration(step.budget)} at most"
    return Outcome(
        State.PROGRESSING,
        Reason.DAY_ONE,
        f"Phase {v.status.phase.label}: day one: {task.name}: {tasks.running(began)}; no traffic moves before",
        changes={"day_one": tuple(began if each.name == task.name else each for each in v.status.day_one)},
        notes=(*resumes(v), Note(Reason.JOB_STARTED, text)),
        next=next_text(v, v.index, None),
        due=v.now,
    )


__all__ = ["prepares"]

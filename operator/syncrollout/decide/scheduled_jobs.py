"""Verification Jobs of a phase (phases[].verification), run by a schedule while its weights stand.

They go beside the rules: what one of them finds is a reading of its own, and a failure a breach of its severity until a
later one ends well. For each, on each pass of a run that goes forward:

    its time has come, none runs    -> begins: the name of its Job is recorded, and when it comes next
    recorded                        -> the Job is made
    its time has come, one runs     -> that time is passed over: never two at once
    it has ended                    -> the result is kept until the next one ends

Times that were missed, while no operator ran or the rollout was suspended, are made up for once. With the phase, and on
a way back, all of it ends; a Job that runs then goes on until it ends, or its budget is used up.
"""

from __future__ import annotations

from dataclasses import replace

from syncrollout.api import cron
from syncrollout.api.spec import Phase, SyncRolloutSpec, Verification
from syncrollout.api.status import PhaseStatus, TaskStatus, VerificationStatus
from syncrollout.api.words import State, StepState, Task
from syncrollout.decide import tasks
from syncrollout.decide.actions import CreateJob
from syncrollout.decide.outcome import Outcome
from syncrollout.decide.view import View

_GOES_ON = frozenset({State.PROGRESSING, State.HOLDING, State.AWAITING_APPROVAL})


def beside(v: View, outcome: Outcome) -> Outcome:
    """The outcome of the rules, with what is run beside it."""
    phase = v.status.phase
    stays = phase is not None and outcome.changes.get("phase", phase) == phase and "in_flight" not in outcome.changes
    if v.phase is None or phase is None or phase.since is None or not stays:
        return outcome
    if not v.phase.verification or outcome.silent or outcome.urgent or outcome.state not in _GOES_ON or v.suspended:
        return outcome
    after, jobs = [], []
    for asked in v.phase.verification:
        before = next(each for each in v.status.verifications if each.name == asked.name)
        now, job = _step(v, v.phase, phase, asked, before)
        after.append(now)
        jobs += [job] if job is not None else []
    moments = [outcome.due, *(_wakes(v, each) for each in after)]
    return replace(
        outcome,
        changes={**outcome.changes, "verifications": tuple(after)},
        actions=(*outcome.actions, *jobs),
        due=min((each for each in moments if each is not None), default=None),
    )


def _step(
    v: View, phase: Phase, entered: PhaseStatus, asked: Verification, before: VerificationStatus
) -> tuple[VerificationStatus, CreateJob | None]:
    runs = before.task is not None and before.task.state is StepState.RUNNING
    due = before.next is not None and v.now >= before.next
    if not due:
        if before.task is None or not tasks.unmade(before.task, v.facts):
            return before, None
        purpose = Task.VERIFICATION
        made = tasks.make(before.task, purpose, asked.job, v.status, spec=v.spec, facts=v.facts, now=v.now)
        return before, made
    after = before.model_copy(update={"next": _next(v.spec, asked, v.now)})
    if runs:
        return after, None
    origin = (v.status.run, phase.name, f"{entered.entered:.3f}", asked.name, f"{before.next:.3f}")
    job = tasks.job_name(v.facts, Task.VERIFICATION, *origin)
    fresh = TaskStatus(name=asked.name, budget_seconds=0)
    return after.model_copy(update={"task": tasks.begun(fresh, job, asked.budget, v.now)}), None


def _wakes(v: View, each: VerificationStatus) -> float | None:
    """When it is looked at again by the clock alone."""
    if each.task is not None and each.task.state is StepState.RUNNING:
        return v.now + tasks.LOOK if each.task.job in v.facts.jobs else v.now
    return each.next


def _next(spec: SyncRolloutSpec, asked: Verification, now: float) -> float:
    return round(cron.next_after(asked.schedule, asked.timezone or spec.timezone, now), 3)


__all__ = ["beside"]

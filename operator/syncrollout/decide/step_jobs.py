"""The Jobs of a rollback's steps, and of drills: how they are called, what they run, what their containers are told."""

from __future__ import annotations

import math
from dataclasses import replace

from syncrollout.api.fields import format_time
from syncrollout.api.spec import JobSource, SyncRolloutSpec
from syncrollout.api.status import DrillRun, RollbackStatus, StepStatus
from syncrollout.api.words import Reason, Step
from syncrollout.decide.actions import BACKUP, CreateJob
from syncrollout.decide.job_names import STOPPING, UNSEEN, dashed, named
from syncrollout.decide.view import View


def source_of(spec: SyncRolloutSpec, step: Step) -> JobSource | None:
    """What a step runs, as the spec stands now; None where it runs nothing, or an edit has taken it away."""
    procedure = spec.rollback.procedure
    if procedure is None:
        return None
    if step is Step.RESTORE:
        return procedure.restore.job if procedure.restore is not None else None
    if step is Step.VERIFY_SYSTEM:
        return procedure.verify_system.job if procedure.verify_system is not None else None
    if step in (Step.VERIFY_DATA, Step.VERIFY_AGAIN):
        return procedure.verify_data.job if procedure.verify_data is not None else None
    return None


def job_name(v: View, cause: RollbackStatus, called: str) -> str:
    """The one name that the Job of this step (of this purpose) of this rollback can have."""
    origin = f"{v.facts.uid}/{v.status.run}/{cause.decided:.3f}/{called}"
    return named(v.facts.name, dashed(called), origin)


def drill_job_name(v: View, drill: DrillRun, called: str) -> str:
    """The one name that the Job of this step (of this purpose) can have in this drill."""
    origin = f"{v.facts.uid}/drill/{drill.started:.3f}/{called}"
    return named(v.facts.name, f"drill-{dashed(called)}", origin)


def of_drill(
    v: View, drill: DrillRun, step: Step, source: JobSource, seconds: float, *, backup: bool = False
) -> CreateJob:
    """The action that makes the Job of a step as a drill runs it: as if everything had gone back when it began."""
    cause = RollbackStatus(
        reason=Reason.DRILL_STARTED,
        message=f"a drill ({drill.mode.value}): nothing is wrong, and nothing was moved",
        decided=drill.started,
        from_phase=drill.phase,
        from_weight=drill.weight,
        confirmed=drill.started,
    )
    called = BACKUP if backup else step.value
    return CreateJob(
        step=step,
        name=drill_job_name(v, drill, called),
        source=source,
        seconds=max(1, math.ceil(seconds)),
        variables=_variables(v, cause, called, drill=drill.mode.value),
        drill=drill.mode,
        backup=backup,
    )


def make(v: View, cause: RollbackStatus, step: StepStatus, source: JobSource) -> CreateJob:
    """The action that makes the Job of a step; it may run until the step's deadline."""
    assert step.job is not None
    assert step.deadline is not None
    return CreateJob(
        step=step.name,
        name=step.job,
        source=source,
        seconds=max(1, math.ceil(step.deadline - v.now)),
        variables=_variables(v, cause, step.name.value),
    )


def make_backup(v: View, cause: RollbackStatus, step: StepStatus, source: JobSource) -> CreateJob:
    """The action that makes the Job before the restore's own; it may use up the step's budget."""
    assert step.backup_job is not None
    own = make(v, cause, step.model_copy(update={"job": step.backup_job}), source)
    return replace(own, variables=_variables(v, cause, BACKUP), backup=True)


def _variables(v: View, cause: RollbackStatus, called: str, *, drill: str = "") -> tuple[tuple[str, str], ...]:
    """What the containers of a step are told. `docs/rollback.md` has the list."""
    return (
        ("ROLLOUT_NAME", v.facts.name),
        ("ROLLOUT_RUN", str(v.status.run)),
        ("ROLLOUT_REVISION", v.status.revision or ""),
        ("ROLLOUT_STEP", called),
        ("ROLLOUT_DRILL", drill),
        ("ROLLOUT_OLD", v.spec.old.workload.name),
        ("ROLLOUT_NEW", v.spec.new.workload.name),
        ("ROLLOUT_PHASE", cause.from_phase),
        ("ROLLOUT_WEIGHT", str(cause.from_weight)),
        ("ROLLOUT_REASON", cause.reason.value),
        ("ROLLOUT_MESSAGE", cause.message),
        ("ROLLOUT_STARTED", _when(v.status.started)),
        ("ROLLOUT_DECIDED", _when(cause.decided)),
        ("ROLLOUT_SWITCHED", _when(cause.confirmed)),
    )


def _when(at: float | None) -> str:
    return format_time(at) if at is not None else ""


__all__ = ["STOPPING", "UNSEEN", "drill_job_name", "job_name", "make", "make_backup", "of_drill", "source_of"]

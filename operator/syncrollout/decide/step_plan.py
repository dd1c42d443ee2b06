"""Which steps a rollback has, as `rollback.procedure` asks for them, and their budgets."""

from __future__ import annotations

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import StepStatus
from syncrollout.api.words import Step, StepState
from syncrollout.decide import evidence


def planned(spec: SyncRolloutSpec, decided: float) -> tuple[StepStatus, ...]:
    """The steps of a rollback that is decided now; none where nothing but the switch is asked for."""
    procedure = spec.rollback.procedure
    if procedure is None:
        return ()
    budget = procedure.switch.budget
    switch = StepStatus(
        name=Step.SWITCH,
        state=StepState.RUNNING,
        budget_seconds=round(budget),
        started=decided,
        deadline=round(decided + budget, 3),
    )
    steps = [switch]
    if procedure.verify_data is not None:
        steps.append(StepStatus(name=Step.VERIFY_DATA, budget_seconds=round(procedure.verify_data.budget)))
    if procedure.restore is not None:
        steps.append(StepStatus(name=Step.RESTORE, budget_seconds=round(procedure.restore.budget)))
        if procedure.verify_data is not None:
            steps.append(StepStatus(name=Step.VERIFY_AGAIN, budget_seconds=round(procedure.verify_data.budget)))
    if procedure.verify_system is not None:
        steps.append(StepStatus(name=Step.VERIFY_SYSTEM, budget_seconds=round(procedure.verify_system.budget)))
    if procedure.evidence is not None:
        steps.append(StepStatus(name=Step.EVIDENCE, budget_seconds=evidence.BUDGET))
    return tuple(steps)


__all__ = ["planned"]

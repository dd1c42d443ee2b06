"""Whether old is well after a rollback, as the checks of `verifySystem` say it: each reads its metric for old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from syncrollout.api.spec import Check, Criterion, SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import Role, Side, State, Step, StepState, Verdict
from syncrollout.decide import criteria, restarting_old
from syncrollout.decide.facts import Facts, ReadingKey
from syncrollout.decide.firsts import First
from syncrollout.decide.view import View


def of(spec: SyncRolloutSpec) -> tuple[Check, ...]:
    """The checks; none without the step."""
    procedure = spec.rollback.procedure
    return procedure.verify_system.checks if procedure is not None and procedure.verify_system is not None else ()


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> frozenset[ReadingKey]:
    """The readings that the step waits for now."""
    keys = (key for question in _questions(spec) for key in question.keys)
    return frozenset(replace(key, side=Side.OLD) for key in keys) if awaited(spec, status) else frozenset()


def awaited(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> bool:
    """Whether the step looks at old just now: it has begun, old need not be restarted first, and no Job is made yet."""
    if status.state is not State.ROLLING_BACK or status.rollback is None:
        return False
    return any(
        step.name is Step.VERIFY_SYSTEM
        and step.state is StepState.RUNNING
        and step.job is None
        and not restarting_old.awaited(spec, step)
        for step in status.rollback.steps
    )


def _unmet(spec: SyncRolloutSpec, cause: RollbackStatus, facts: Facts, now: float) -> str | None:
    """The first check that does not pass, in words; empty where nobody has looked yet, None where all pass.

    Data from before the switch, or from before a restart of old, says nothing about old with all of the traffic: a
    metric with a window is not judged before that has passed; one with confidence counts from then on, and is waited
    for until it is sure.
    """
    of_old = {replace(key, side=Side.NEW): reading for key, reading in facts.readings.items() if key.side is Side.OLD}
    for question in _questions(spec):
        if any(key not in of_old for key in question.keys):
            return ""
        judged = criteria.judge(question, of_old, None, now, cause.old_since)
        if judged.verdict is not Verdict.PASS:
            return judged.message
    return None


def look(v: View, cause: RollbackStatus, step: StepStatus) -> First:
    """Whether all of them pass."""
    waits = _unmet(v.spec, cause, v.facts, v.now)
    return First(step, waits=waits, said="all checks pass" if of(v.spec) and waits is None else "")


def _questions(spec: SyncRolloutSpec) -> Iterator[criteria.Question]:
    for number, check in enumerate(of(spec)):
        limits = {name: getattr(check, name) for name in ("above", "below", "at_least", "at_most")}
        yield criteria.Question(
            id=f"verifySystem/{number}/{check.metric}",
            role=Role.SUCCESS,
            comparison=Criterion.model_construct(metric=check.metric, **limits),
            metric=spec.metric(check.metric),
        )


__all__ = ["awaited", "look", "of", "readings"]

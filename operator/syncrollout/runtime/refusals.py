"""What keeps a rollout from being carried out: a spec that is not right, and what the API server does not take."""

from __future__ import annotations

from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Reason
from syncrollout.decide.conditions import conditions
from syncrollout.decide.facts import Problem
from syncrollout.ports import Forbidden, Invalid, Unavailable
from syncrollout.runtime.rollouts import Rollout

REFUSAL_PATIENCE, FAILURE_PATIENCE = 3.0, 5.0
"""Seconds for which a right that is refused, and an API server that fails, may be a passing trouble: then the status
says so."""


def note_refusal(rollout: Rollout, error: Forbidden | Invalid | Unavailable, now: float) -> None:
    """Remember what keeps a decision from being carried out, once it is no passing trouble. `now`: loop time."""
    rollout.refused_since = rollout.refused_since or now
    since = now - rollout.refused_since
    # an API server that has just started refuses everybody until it has loaded its roles
    if isinstance(error, Forbidden) and since < REFUSAL_PATIENCE:
        return
    if isinstance(error, Unavailable) and since < FAILURE_PATIENCE:
        return
    reason = Reason.FORBIDDEN if isinstance(error, Forbidden) else Reason.INVALID_SPEC
    if isinstance(error, Unavailable):
        reason = Reason.API_SERVER_FAILS
    elif rollout.refused is None:
        rollout.failures = 0  # told at once: the next pass writes it
    rollout.refused = Problem(reason, str(error)[:1024])


def with_invalid_spec(rollout: Rollout, now: float) -> SyncRolloutStatus:
    """The status of one whose spec does not parse, where there is no earlier one to go by. `now`: the time of day."""
    problem = rollout.spec_problem
    assert problem is not None
    assert rollout.status is not None
    message = problem.message[:2048]
    return rollout.status.model_copy(
        update={
            "observed_generation": rollout.generation,
            "reason": Reason.INVALID_SPEC,
            "message": message,
            "conditions": conditions(
                rollout.status.conditions,
                state=rollout.status.state,
                reason=Reason.INVALID_SPEC,
                message=message,
                stalled=True,
                generation=rollout.generation,
                now=now,
                drill=rollout.status.drill,
            ),
        }
    )


__all__ = ["FAILURE_PATIENCE", "REFUSAL_PATIENCE", "note_refusal", "with_invalid_spec"]

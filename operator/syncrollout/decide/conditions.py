"""Standard conditions from a state: kstatus' three, and this resource's own."""

from __future__ import annotations

from syncrollout.api.status import Condition
from syncrollout.api.words import ConditionType, Reason, State


def conditions(
    before: tuple[Condition, ...],
    *,
    state: State,
    reason: Reason,
    message: str,
    stalled: bool,
    generation: int,
    now: float,
) -> tuple[Condition, ...]:
    """All conditions, in a fixed order. A condition keeps its transition time while its status stays."""
    holds = {
        ConditionType.READY: state is State.COMPLETED,
        ConditionType.RECONCILING: not stalled and state not in (State.COMPLETED, State.ROLLED_BACK),
        ConditionType.STALLED: stalled or state is State.ROLLED_BACK,
        ConditionType.PAUSED: state is State.PAUSED,
        ConditionType.ROLLING_BACK: state is State.ROLLING_BACK,
        ConditionType.ROLLED_BACK: state is State.ROLLED_BACK,
    }
    known = {condition.type: condition for condition in before}
    made = []
    for kind, value in holds.items():
        status = "True" if value else "False"
        was = known.get(kind)
        since = was.last_transition_time if was is not None and was.status == status else now
        made.append(
            Condition(
                type=kind,
                status="True" if value else "False",
                observed_generation=generation,
                last_transition_time=since,
                reason=reason,
                message=message,
            )
        )
    return tuple(made)

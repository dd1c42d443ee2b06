"""Standard conditions from a state: kstatus' three, and this resource's own."""

from __future__ import annotations

from syncrollout.api.status import Condition, DrillStatus
from syncrollout.api.words import ConditionType, DrillResult, Reason, State
from syncrollout.decide.phrases import moment


def conditions(
    before: tuple[Condition, ...],
    *,
    state: State,
    reason: Reason,
    message: str,
    stalled: bool,
    generation: int,
    now: float,
    drill: DrillStatus | None = None,
    approval: bool = False,
) -> tuple[Condition, ...]:
    """All conditions, in a fixed order. A condition keeps its transition time while its status stays. `approval`: a
    phase asks for one."""
    holds = {
        ConditionType.READY: state is State.COMPLETED,
        ConditionType.RECONCILING: not stalled and state not in (State.COMPLETED, State.ROLLED_BACK),
        ConditionType.STALLED: stalled or state is State.ROLLED_BACK,
        ConditionType.PAUSED: state is State.PAUSED,
        ConditionType.ROLLING_BACK: state is State.ROLLING_BACK,
        ConditionType.ROLLED_BACK: state is State.ROLLED_BACK,
    }
    if approval:
        holds[ConditionType.AWAITING_APPROVAL] = state is State.AWAITING_APPROVAL
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
    kept = known.get(ConditionType.NOTIFICATIONS_DELIVERED)  # `telling` says it anew
    return (
        *made,
        *_rehearsed(known.get(ConditionType.ROLLBACK_REHEARSED), drill, generation=generation, now=now),
        *((kept,) if kept is not None else ()),
    )


def _rehearsed(
    was: Condition | None, drill: DrillStatus | None, *, generation: int, now: float
) -> tuple[Condition, ...]:
    """Whether a rollback would work, by the last drill: Unknown where that was cut short. None before the first one.

    One condition and not two: what is asked of it is one question. It never touches Ready, Reconciling and Stalled, for
    a rollout whose drill has failed goes on all the same.
    """
    if drill is None or (drill.last is None and drill.overdue is None):
        return ()
    last = drill.last
    if drill.overdue is not None and drill.next is not None:
        value, reason, message = "False", Reason.DRILL_OVERDUE, f"The drill of {moment(drill.next)} has not begun"
    elif last is not None and last.result is DrillResult.PASSED:
        value, reason, message = "True", Reason.DRILL_PASSED, last.message
    elif last is not None and last.result is DrillResult.FAILED:
        value, reason, message = "False", Reason.DRILL_FAILED, last.message
    else:
        value, reason, message = "Unknown", Reason.DRILL_CUT_SHORT, last.message if last is not None else ""
    return (
        Condition(
            type=ConditionType.ROLLBACK_REHEARSED,
            status=value,
            observed_generation=generation,
            last_transition_time=was.last_transition_time if was is not None and was.status == value else now,
            reason=reason,
            message=message,
        ),
    )

"""What there is to tell of a pass: from the transitions that it adds to the history to messages, each with an id that
follows from its transition, so that the same event makes one message whatever is restarted.

    transition                                         message            severity
    ------------------------------------------------   ----------------   ----------------------------------------
    a run begins                                       Started            Low
    another phase begins                               PhaseChanged       Low
    the run completes                                  Completed          Low
    it is decided to go back                           RollingBack        Critical; High where a person asked for it
    everything is back at old                          RolledBack         the same
    a step back to the phase before                    SteppedBack        High
    an incident of severity High, or Medium, opens     DecisionNeeded     High, Medium
    something else holds it that does not pass by      Held               Medium
      itself
    it is over: clear again, or overridden             IncidentEnded      that of the incident
    an approval is all that is missing                 ApprovalRequested  Low
    it is still missing                                ApprovalReminder   Medium
    a trigger of severity Low is breached              LowTrigger         Low
    a drill has ended                                  DrillResult        Low; High where it has failed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from syncrollout.api.status import (
    MOST_RESULTS,
    TOLD_LENGTH,
    CriterionStatus,
    HistoryEntry,
    MessageStatus,
    PastResult,
    SyncRolloutStatus,
)
from syncrollout.api.words import MessageEvent, Reason, Role, Severity, State, Verdict
from syncrollout.decide.phrases import clip

_BY_REASON: Final = {
    Reason.PHASE_STARTED: (MessageEvent.PHASE_CHANGED, Severity.LOW),
    Reason.COMPLETED: (MessageEvent.COMPLETED, Severity.LOW),
    Reason.ROLLED_BACK: (MessageEvent.ROLLED_BACK, Severity.CRITICAL),
    Reason.STEPPED_BACK: (MessageEvent.STEPPED_BACK, Severity.HIGH),
    Reason.ROLLBACK_DUE: (MessageEvent.DECISION_NEEDED, Severity.HIGH),
    Reason.AWAITING_DECISION: (MessageEvent.DECISION_NEEDED, Severity.MEDIUM),
    Reason.APPROVAL_REQUESTED: (MessageEvent.APPROVAL_REQUESTED, Severity.LOW),
    Reason.APPROVAL_REMINDER: (MessageEvent.APPROVAL_REMINDER, Severity.MEDIUM),
    Reason.LOW_TRIGGER: (MessageEvent.LOW_TRIGGER, Severity.LOW),
    Reason.DRILL_PASSED: (MessageEvent.DRILL_RESULT, Severity.LOW),
    Reason.DRILL_CUT_SHORT: (MessageEvent.DRILL_RESULT, Severity.LOW),
    Reason.DRILL_FAILED: (MessageEvent.DRILL_RESULT, Severity.HIGH),
    Reason.DRILL_OVERDUE: (MessageEvent.DRILL_RESULT, Severity.HIGH),
}
_BY_A_PERSON: Final = frozenset(
    {
        Reason.ROLLBACK_REQUESTED,
        Reason.EMERGENCY_STOP,
        Reason.REVISION_REVERTED,
        Reason.REVISION_CHANGED,
        Reason.DELETED,
    }
)
_ENDS_INCIDENT: Final = frozenset({Reason.INCIDENT_CLEARED, Reason.INCIDENT_OVERRIDDEN})
_OF_SUCCESS: Final = frozenset(
    {
        MessageEvent.PHASE_CHANGED,
        MessageEvent.COMPLETED,
        MessageEvent.APPROVAL_REQUESTED,
        MessageEvent.APPROVAL_REMINDER,
    }
)
_WITHOUT: Final = frozenset(
    {MessageEvent.STARTED, MessageEvent.DRILL_RESULT, MessageEvent.ROLLED_BACK, MessageEvent.INCIDENT_ENDED}
)
_STANDS: Final = frozenset({State.PENDING, State.PREFLIGHT, State.HOLDING})


def of_pass(
    before: SyncRolloutStatus, after: SyncRolloutStatus, judged: Sequence[CriterionStatus]
) -> tuple[MessageStatus, ...]:
    """The messages that a pass gives rise to, without deliveries. `judged`: the criteria as that pass has judged
    them, of the phase that it found."""
    seen = before.history[-1].sequence if before.history else 0
    added = [entry for entry in after.history if entry.sequence > seen]
    made = []
    goes_back = after.state is State.ROLLING_BACK and before.state is not State.ROLLING_BACK
    for entry in added:
        kind = _kind(entry, before, after, goes_back=goes_back)
        if kind is not None:
            made.append(_message(entry, *kind, before=before, after=after, judged=judged))
    return tuple(made)


def severity_of_rollback(after: SyncRolloutStatus) -> Severity:
    """How grave it is that everything goes back: less where a person wanted it."""
    return Severity.HIGH if wanted_by_a_person(after) else Severity.CRITICAL


def wanted_by_a_person(status: SyncRolloutStatus) -> bool:
    """Whether the rollback is one that somebody asked for."""
    return status.rollback is not None and status.rollback.reason in _BY_A_PERSON


def _kind(
    entry: HistoryEntry, before: SyncRolloutStatus, after: SyncRolloutStatus, *, goes_back: bool
) -> tuple[MessageEvent, Severity] | None:
    cause = after.rollback.reason if after.rollback is not None else after.reason
    if goes_back and entry.reason is cause:
        return MessageEvent.ROLLING_BACK, severity_of_rollback(after)
    if entry.reason is Reason.PHASE_STARTED and not before.in_flight:
        return MessageEvent.STARTED, Severity.LOW
    if entry.reason is Reason.ROLLED_BACK:
        return MessageEvent.ROLLED_BACK, severity_of_rollback(after)
    if entry.reason in _ENDS_INCIDENT and before.incident is not None:
        return MessageEvent.INCIDENT_ENDED, before.incident.severity
    known = _BY_REASON.get(entry.reason)
    if known is not None:
        return known
    holds = entry.type == "Warning" and after.state in _STANDS and entry.reason is after.reason
    return (MessageEvent.HELD, Severity.MEDIUM) if holds else None


def _message(
    entry: HistoryEntry,
    event: MessageEvent,
    severity: Severity,
    *,
    before: SyncRolloutStatus,
    after: SyncRolloutStatus,
    judged: Sequence[CriterionStatus],
) -> MessageStatus:
    changes = event in (MessageEvent.PHASE_CHANGED, MessageEvent.STEPPED_BACK)
    return MessageStatus(
        id=f"{entry.sequence}-{event.value}",
        event=event,
        severity=severity,
        time=entry.time,
        run=entry.run,
        phase=after.phase.label if after.phase is not None else "",
        before=before.phase.label if changes and before.phase is not None else "",
        weight=after.phase.weight if after.phase is not None and after.in_flight else after.weight,
        text=clip(entry.message, TOLD_LENGTH),
        next=after.next,
        results=_results(event, judged),
    )


def _results(event: MessageEvent, judged: Sequence[CriterionStatus]) -> tuple[PastResult, ...]:
    """Of what has passed, what success asked for; of trouble, what speaks against new."""
    if event in _WITHOUT:
        return ()
    if event in _OF_SUCCESS:
        shown = [each for each in judged if each.role is Role.SUCCESS]
    else:
        shown = [each for each in judged if _speaks_against(each)]
    return tuple(
        PastResult(
            role=each.role,
            metric=each.metric,
            limit=each.limit,
            verdict=each.verdict,
            reading=each.reading,
            baseline=each.baseline,
        )
        for each in shown[:MOST_RESULTS]
    )


def _speaks_against(criterion: CriterionStatus) -> bool:
    """A comparison of rollbackOn or of a trigger that holds is recorded as Fail, like a success that is not met."""
    return criterion.verdict is not Verdict.PASS


__all__ = ["of_pass", "severity_of_rollback", "wanted_by_a_person"]

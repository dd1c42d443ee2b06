"""Messages as they could be, to try templates on and to show what would be sent: of a rollout as far as it has come,
and where it has not come to something yet, of a moment that is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncrollout.api.spec import Phase, SyncRolloutSpec
from syncrollout.api.status import (
    CriterionStatus,
    IncidentStatus,
    MessageStatus,
    PastResult,
    RollbackStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import FollowUpAbout, Language, MessageEvent, Reason, Role, Severity, State, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.limits import describe
from syncrollout.messages.facts import About, facts
from syncrollout.messages.limited import TextInvalid, filled_in
from syncrollout.messages.writing import keys

_SEVERITIES: Final = {
    MessageEvent.ROLLING_BACK: Severity.CRITICAL,
    MessageEvent.ROLLED_BACK: Severity.CRITICAL,
    MessageEvent.FOLLOW_UP: Severity.CRITICAL,
    MessageEvent.ESCALATED: Severity.CRITICAL,
    MessageEvent.STEPPED_BACK: Severity.HIGH,
    MessageEvent.DECISION_NEEDED: Severity.MEDIUM,
    MessageEvent.INCIDENT_ENDED: Severity.MEDIUM,
    MessageEvent.HELD: Severity.MEDIUM,
    MessageEvent.APPROVAL_REMINDER: Severity.MEDIUM,
}
_BACK: Final = (MessageEvent.ROLLING_BACK, MessageEvent.ROLLED_BACK, MessageEvent.FOLLOW_UP)
_PASSED: Final = (MessageEvent.PHASE_CHANGED, MessageEvent.COMPLETED)
_TROUBLE: Final = "a sample: what would be wrong stands here"


def sample(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, event: MessageEvent, now: float
) -> tuple[MessageStatus, SyncRolloutStatus]:
    """The last message of that event, or one as it could be now, with the status that it is told of."""
    box = status.notifications
    told = [each for each in (box.messages if box is not None else ()) if each.event is event]
    if told:
        return told[-1], status
    index, phase = _phase(spec, status, event)
    message = MessageStatus(
        id=f"0-{event.value}",
        event=event,
        severity=_SEVERITIES.get(event, Severity.LOW),
        time=now,
        run=max(1, status.run),
        phase=f"{index + 1}/{len(spec.phases)} {phase.name}",
        before=f"{index}/{len(spec.phases)} {spec.phases[index - 1].name}" if index else "",
        weight=0 if event is MessageEvent.ROLLED_BACK else phase.weight,
        text=_TROUBLE,
        next=spec.phases[index + 1].name if index + 1 < len(spec.phases) else "completion",
        about=FollowUpAbout.FIRST_CAUSE if event is MessageEvent.FOLLOW_UP else None,
        level="level-1" if event is MessageEvent.ESCALATED else "",
        results=_results(spec, status, event),
    )
    return message, _status(status, event, phase, now)


def mistakes(spec: SyncRolloutSpec, name: str, own: Mapping[str, str]) -> list[str]:
    """What is wrong with templates of one's own, a sentence each."""
    known = {key: (event, language) for event in MessageEvent for language in Language for key in keys(event, language)}
    found = []
    for key, source in sorted(own.items()):
        if key not in known:
            found.append(f"{key}: no message has that key; write an event and a language, such as RolledBack.en.title")
            continue
        event, language = known[key]
        message, status = sample(spec, SyncRolloutStatus(), event, 0.0)
        try:
            filled_in(source, facts(About(name, "default", spec, status), message, "team", language))
        except TextInvalid as error:
            found.append(f"{key}: {error}")
    return found


def _phase(spec: SyncRolloutSpec, status: SyncRolloutStatus, event: MessageEvent) -> tuple[int, Phase]:
    last = len(spec.phases) - 1
    index = status.phase.index - 1 if status.phase is not None else min(1, last)
    if event is MessageEvent.STARTED:
        index = 0
    if event is MessageEvent.COMPLETED:
        index = last
    index = min(max(index, 0), last)
    return index, spec.phases[index]


def _results(spec: SyncRolloutSpec, status: SyncRolloutStatus, event: MessageEvent) -> tuple[PastResult, ...]:
    if event in _PASSED:
        judged = [each for each in status.criteria if each.role is Role.SUCCESS]
        return tuple(_result(each) for each in judged[:8]) or _asked(spec)
    if event in (MessageEvent.ROLLING_BACK, MessageEvent.DECISION_NEEDED, MessageEvent.HELD):
        return tuple(_result(each) for each in status.criteria if each.verdict is not Verdict.PASS)[:8]
    return ()


def _result(each: CriterionStatus) -> PastResult:
    return PastResult(
        role=each.role,
        metric=each.metric,
        limit=each.limit,
        verdict=each.verdict,
        reading=each.reading,
        baseline=each.baseline,
    )


def _asked(spec: SyncRolloutSpec) -> tuple[PastResult, ...]:
    """What the first phase with criteria asks for, as if it were met; nothing has been read."""
    for phase in spec.phases:
        questions = [each for each in criteria.questions(spec, phase) if each.role is Role.SUCCESS]
        if questions:
            return tuple(
                PastResult(role=Role.SUCCESS, metric=each.comparison.source, limit=describe(each), verdict=Verdict.PASS)
                for each in questions[:8]
            )
    return ()


def _status(status: SyncRolloutStatus, event: MessageEvent, phase: Phase, now: float) -> SyncRolloutStatus:
    changes: dict[str, object] = {} if status.started is not None else {"started": now}
    if event in _BACK and status.rollback is None:
        changes["rollback"] = RollbackStatus(
            reason=Reason.TRIGGER_BREACHED,
            message=_TROUBLE,
            decided=now,
            from_phase=phase.name,
            from_weight=phase.weight,
            confirmed=now if event is not MessageEvent.ROLLING_BACK else None,
        )
        changes |= {
            "state": State.ROLLING_BACK if event is MessageEvent.ROLLING_BACK else State.ROLLED_BACK,
            "message": _TROUBLE,
        }
    if event is MessageEvent.DECISION_NEEDED and status.incident is None:
        changes["incident"] = IncidentStatus(
            severity=Severity.MEDIUM, criterion="", message=_TROUBLE, since=now, deadline=now + 86400.0
        )
    return status.model_copy(update=changes)


__all__ = ["mistakes", "sample"]

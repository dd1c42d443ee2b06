"""What is told on a clock: follow-ups after a rollback, and levels of escalation while nobody has acknowledged that
there is trouble.

Their moments follow from when the rollback was decided and when the trouble began. status.notifications.looked is the
moment up to which they were told; what fell due while no operator ran is told once, late.

An alarm is opened by a message of severity Critical or High that tells of trouble, or by one of another severity that
a level asks for; not by a rollback that a person asked for. It ends when somebody acknowledges it, or when the rollout
goes on or completes; a graver one takes its place. Once it has ended no level is told any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from syncrollout.api.spec import EscalationLevel, FollowUp, Notifications
from syncrollout.api.status import TOLD_LENGTH, AlarmStatus, MessageStatus, NotificationsStatus, SyncRolloutStatus
from syncrollout.api.words import FollowUpAbout, MessageEvent, Severity, State
from syncrollout.decide.occasions import severity_of_rollback, wanted_by_a_person
from syncrollout.decide.phrases import clip

FOLLOW_UPS: Final = (
    FollowUp(audience="team", after="30m", about=FollowUpAbout.FIRST_CAUSE),
    FollowUp(audience="team", after="2h", about=FollowUpAbout.DETAILED_CAUSE),
    FollowUp(audience="stakeholders", after="1h", about=FollowUpAbout.WHAT_HAPPENED),
    FollowUp(audience="stakeholders", after="4h", about=FollowUpAbout.NEXT_STEPS),
    FollowUp(audience="stakeholders", after="24h", about=FollowUpAbout.REPORT),
)
LEVELS: Final = (
    EscalationLevel(name="level-1", audience="developer", after="15m"),
    EscalationLevel(name="level-2", audience="senior-developer", after="1h"),
    EscalationLevel(name="level-3", audience="tech-lead", after="4h"),
    EscalationLevel(name="level-4", audience="cto", after="0s", severities=(Severity.CRITICAL,)),
)
_ALARMING: Final = (Severity.CRITICAL, Severity.HIGH)
_TROUBLE: Final = frozenset(
    {
        MessageEvent.ROLLING_BACK,
        MessageEvent.DECISION_NEEDED,
        MessageEvent.HELD,
    }
)
_GRAVITY: Final = tuple(Severity)
"""The gravest first."""


def follow_ups(spec: Notifications) -> tuple[FollowUp, ...]:
    """Those that are asked for, or built in, for audiences that there are."""
    wanted = FOLLOW_UPS if spec.follow_ups is None else spec.follow_ups
    return tuple(each for each in wanted if spec.audience(each.audience) is not None)


def levels(spec: Notifications) -> tuple[EscalationLevel, ...]:
    """Those that are asked for, or built in, for audiences that there are."""
    wanted = LEVELS if spec.escalation is None else spec.escalation
    return tuple(each for each in wanted if spec.audience(each.audience) is not None)


def coming_follow_ups(spec: Notifications, status: SyncRolloutStatus, audience: str) -> tuple[tuple[float, str], ...]:
    """When an audience hears more of the rollback of this run, and of what."""
    if status.rollback is None:
        return ()
    each = [(status.rollback.decided + f.after, f.about.value) for f in follow_ups(spec) if f.audience == audience]
    return tuple(sorted(each))


def alarmed(
    spec: Notifications,
    told: NotificationsStatus,
    new: tuple[MessageStatus, ...],
    status: SyncRolloutStatus,
    now: float,
) -> NotificationsStatus:
    """With the alarm that new messages open, or that is over by itself."""
    alarm = told.alarm
    if alarm is not None and alarm.ended is None and _over(status):
        alarm = alarm.model_copy(update={"ended": now})
    asked = {severity for level in levels(spec) for severity in level.severities or _ALARMING}
    for message in new:
        if message.event not in _TROUBLE or message.severity not in asked:
            continue
        if message.event is MessageEvent.ROLLING_BACK and wanted_by_a_person(status):
            continue
        rings = alarm is not None and alarm.ended is None
        if rings and alarm is not None and _GRAVITY.index(alarm.severity) <= _GRAVITY.index(message.severity):
            continue
        alarm = AlarmStatus(id=message.id, severity=message.severity, since=message.time, text=message.text)
    return told if alarm is told.alarm else told.model_copy(update={"alarm": alarm})


def acknowledged(told: NotificationsStatus, words: str, by: str, now: float) -> NotificationsStatus:
    """With the alarm ended by a person."""
    if told.alarm is None or told.alarm.ended is not None:
        return told
    alarm = told.alarm.model_copy(update={"ended": now, "acknowledged": clip(words, 256), "by": by})
    return told.model_copy(update={"alarm": alarm})


def due(
    spec: Notifications, told: NotificationsStatus, status: SyncRolloutStatus, *, since: float, now: float
) -> tuple[tuple[str, MessageStatus], ...]:
    """What has fallen due after `since`: messages without deliveries, each with the audience that it is for."""
    return tuple((audience, made) for at, audience, made in _moments(spec, told, status) if since < at <= now)


def next_due(
    spec: Notifications, told: NotificationsStatus, status: SyncRolloutStatus, *, since: float
) -> float | None:
    """When, after `since`, the clock alone gives something to tell; None for never."""
    return min((at for at, _, _ in _moments(spec, told, status) if at > since), default=None)


def _over(status: SyncRolloutStatus) -> bool:
    """Nobody has to be woken any more: it goes on, or has completed."""
    if status.state in (State.PROGRESSING, State.AWAITING_APPROVAL):
        return status.incident is None or status.incident.overridden is not None
    return status.state is State.COMPLETED


def _moments(
    spec: Notifications, told: NotificationsStatus, status: SyncRolloutStatus
) -> Iterator[tuple[float, str, MessageStatus]]:
    phase = status.phase.label if status.phase is not None else ""
    cause = status.rollback
    if cause is not None and status.state in (State.ROLLING_BACK, State.ROLLED_BACK):
        for each in follow_ups(spec):
            at = round(cause.decided + each.after, 3)
            yield (
                at,
                each.audience,
                MessageStatus(
                    id=f"{int(cause.decided)}-{MessageEvent.FOLLOW_UP.value}-{each.about.value}-{each.audience}",
                    event=MessageEvent.FOLLOW_UP,
                    severity=severity_of_rollback(status),
                    time=at,
                    run=status.run,
                    phase=phase,
                    weight=status.weight,
                    text=clip(cause.message, TOLD_LENGTH),
                    about=each.about,
                ),
            )
    alarm = told.alarm
    if alarm is not None and alarm.ended is None:
        for level in levels(spec):
            if alarm.severity in (level.severities or _ALARMING):
                at = round(alarm.since + level.after, 3)
                yield (
                    at,
                    level.audience,
                    MessageStatus(
                        id=f"{alarm.id}-{MessageEvent.ESCALATED.value}-{level.name}"[:120],
                        event=MessageEvent.ESCALATED,
                        severity=alarm.severity,
                        time=at,
                        run=status.run,
                        phase=phase,
                        weight=status.weight,
                        text=alarm.text,
                        level=level.name,
                    ),
                )


__all__ = ["acknowledged", "alarmed", "coming_follow_ups", "due", "follow_ups", "levels", "next_due"]

"""The outbox: what people are to be told, and how far it is, for each channel.

Messages stand in the status from the write that records what they tell of. What becomes of one on one channel:

    recorded                                        Pending
    Pending, its time has come, and no earlier one
    is on its way on that channel                   Sending, recorded before it is sent,
                                                    but by no process that is about to stop
    Sending, and it was accepted                    Sent
    Sending, and it was refused or not reached      Pending, later; after so many attempts GivenUp
    Sending, and nobody knows what came of it       Unconfirmed: it is not sent again;
                                                    Pending again where the channel takes the same message once
    its channel is not in the spec any more         GivenUp

Nobody knows where the process that sent it is gone, or where a connection broke after it was handed over. So no message
is sent twice, at the price of one that may be lost in such a moment; status and a condition say so.

On each channel messages arrive in the order in which things happened; but what is more severe waits for nothing that is
less, and nothing waits for what is tried again later.

All of this goes beside the rules: no decision rests on it, and nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncrollout.api.spec import Audience, Channel, Notifications, SyncRolloutSpec
from syncrollout.api.status import (
    HISTORY_LENGTH,
    MOST_MESSAGES,
    Condition,
    CriterionStatus,
    DeliveryStatus,
    HistoryEntry,
    MessageStatus,
    NotificationsStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import ConditionType, DeliveryState, Reason, Severity
from syncrollout.decide import occasions, on_the_clock
from syncrollout.decide.deliveries import Delivered, Delivery
from syncrollout.decide.phrases import clip

WAITS: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0)
"""Seconds after each attempt that has failed; the last one counts for all that follow."""
MOST_ATTEMPTS: Final = 12
"""After so many, about three hours, a message is given up on a channel."""
DELAYED_AFTER: Final = 3
"""Attempts that have failed before the condition says that messages do not arrive."""
_MOMENT: Final = 0.001
"""Times are kept to the millisecond; what falls due at the very moment is told."""
_LOST: Final = frozenset({DeliveryState.UNCONFIRMED, DeliveryState.GIVEN_UP})


@dataclass(frozen=True, slots=True)
class Heard:
    """What the outbox goes by, besides spec and status."""

    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    """What this process knows of attempts, by `key`."""
    judged: Sequence[CriterionStatus] = ()
    """The criteria as this pass has judged them."""
    acknowledged: str = ""
    """What was said with an acknowledgement that is new,"""
    by: str = ""
    """and who said it, where that is known."""
    mute: bool = False
    """This process begins to send nothing more: what is Pending is for the next one."""


def key(message: MessageStatus, delivery: DeliveryStatus) -> str:
    """Which attempt: of which message, on which channel."""
    return f"{message.id}/{delivery.audience}/{delivery.channel}/{delivery.attempts}"


def told(
    spec: SyncRolloutSpec, before: SyncRolloutStatus, after: SyncRolloutStatus, heard: Heard, now: float
) -> SyncRolloutStatus:
    """The status with the outbox as it is after this pass. `before` is what the pass began with."""
    if spec.notifications is None:
        gone = tuple(each for each in after.conditions if each.type is not ConditionType.NOTIFICATIONS_DELIVERED)
        return after.model_copy(update={"notifications": None, "conditions": gone})
    wanted = spec.notifications
    was = before.notifications or NotificationsStatus()
    lines = _Lines(shut=heard.mute)
    messages = tuple(_moved_on(wanted, message, heard.deliveries, lines, now) for message in was.messages)
    box = was
    if heard.acknowledged:
        box = on_the_clock.acknowledged(box, heard.acknowledged, heard.by, now)
    new = occasions.of_pass(before, after, heard.judged)
    box = on_the_clock.alarmed(wanted, box, new, after, now)
    since = box.looked if box.looked is not None else now - _MOMENT
    fallen = on_the_clock.due(wanted, box, after, since=since, now=now)
    since = now if fallen else since
    waits = on_the_clock.next_due(wanted, box, after, since=since) is not None
    box = box.model_copy(update={"looked": round(since, 3) if waits else None})
    fresh = (*(_to_all(wanted, each) for each in new), *(_to_one(wanted, name, each) for name, each in fallen))
    known = {message.id for message in messages}
    fresh = tuple(each for each in fresh if each.deliveries and each.id not in known)
    box = box.model_copy(update={"messages": _kept(messages, fresh)})
    if before.notifications is None and box == NotificationsStatus():
        return after
    crowded = [each for each in (*messages, *fresh) if each.open and each.id not in {kept.id for kept in box.messages}]
    after = _given_up(was, box, crowded, after, now)
    return after.model_copy(update={"notifications": box, "conditions": _conditions(before, after, box, now)})


def next_due(spec: SyncRolloutSpec, status: SyncRolloutStatus, now: float, *, mute: bool = False) -> float | None:
    """When the clock alone moves the outbox on; None for not before there is news. `mute`: as in `Heard`."""
    wanted, box = spec.notifications, status.notifications
    if wanted is None or box is None:
        return None
    since = box.looked if box.looked is not None else now
    moments = [on_the_clock.next_due(wanted, box, status, since=since)]
    lines = _Lines(shut=mute)
    for message in box.messages:
        for each in message.deliveries:
            lines.note(message, each)
            if each.state is DeliveryState.PENDING:
                waits = each.next_try is not None and each.next_try > now
                moments.append(each.next_try if waits else now if lines.free(message, each) else None)
    return min((max(each, now) for each in moments if each is not None), default=None)


# ---- what becomes of one ---------------------------------------------------------------------------------------


class _Lines:
    """What is on its way on each channel, while messages are gone through from the oldest to the newest. Nothing more
    may go where it is `shut`."""

    def __init__(self, *, shut: bool = False) -> None:
        self._shut = shut
        self._taken: dict[tuple[str, str], int] = {}

    def note(self, message: MessageStatus, delivery: DeliveryStatus) -> None:
        """Whether it is on its way is known."""
        if delivery.state is DeliveryState.SENDING:
            line = delivery.audience, delivery.channel
            rank = _RANKS[message.severity]
            self._taken[line] = min(rank, self._taken.get(line, rank))

    def free(self, message: MessageStatus, delivery: DeliveryStatus) -> bool:
        """Whether it may go, as far as earlier ones on its channel are concerned."""
        taken = self._taken.get((delivery.audience, delivery.channel))
        return not self._shut and (taken is None or _RANKS[message.severity] < taken)


def _moved_on(
    spec: Notifications, message: MessageStatus, known: Mapping[str, Delivery], lines: _Lines, now: float
) -> MessageStatus:
    if not message.open:
        return message
    moved: list[DeliveryStatus] = []
    for delivery in message.deliveries:
        moved.append(_next(spec, message, delivery, known, lines, now))
        lines.note(message, moved[-1])
    deliveries = tuple(moved)
    return message if deliveries == message.deliveries else message.model_copy(update={"deliveries": deliveries})


def _next(  # noqa: PLR0917 - one delivery, and all that it depends on
    spec: Notifications,
    message: MessageStatus,
    delivery: DeliveryStatus,
    known: Mapping[str, Delivery],
    lines: _Lines,
    now: float,
) -> DeliveryStatus:
    if not delivery.open:
        return delivery
    channel = channel_of(spec, delivery)
    if delivery.state is DeliveryState.SENDING:
        delivery = _answered(delivery, channel, known.get(key(message, delivery)), now)
    if delivery.state is not DeliveryState.PENDING:
        return delivery
    if channel is None:
        return _ended(delivery, DeliveryState.GIVEN_UP, now, "its channel is not in spec.notifications any more")
    if (delivery.next_try is not None and delivery.next_try > now) or not lines.free(message, delivery):
        return delivery
    return delivery.model_copy(
        update={"state": DeliveryState.SENDING, "attempts": delivery.attempts + 1, "next_try": None}
    )


def _answered(delivery: DeliveryStatus, channel: Channel | None, fact: Delivery | None, now: float) -> DeliveryStatus:
    once = channel is not None and channel.alertmanager is not None
    if fact is not None and fact.state is Delivered.UNDER_WAY:
        return delivery
    if fact is not None and fact.state is Delivered.SENT:
        return _ended(delivery, DeliveryState.SENT, now)
    uncertain = fact is None or fact.state is Delivered.UNCERTAIN
    why = fact.message if fact is not None else "the operator was restarted while it was sent"
    if uncertain and not once:
        return _ended(delivery, DeliveryState.UNCONFIRMED, now, why)
    if delivery.attempts >= MOST_ATTEMPTS:
        return _ended(delivery, DeliveryState.GIVEN_UP, now, why)
    wait = WAITS[min(delivery.attempts, len(WAITS)) - 1] if fact is not None else 0.0
    return delivery.model_copy(
        update={"state": DeliveryState.PENDING, "next_try": round(now + wait, 3), "error": clip(why, 256)}
    )


def _ended(delivery: DeliveryStatus, state: DeliveryState, now: float, why: str = "") -> DeliveryStatus:
    return delivery.model_copy(update={"state": state, "ended": now, "next_try": None, "error": clip(why, 256)})


def channel_of(spec: Notifications, delivery: DeliveryStatus) -> Channel | None:
    """The channel that a delivery goes by; None where the spec does not have it any more."""
    audience = spec.audience(delivery.audience)
    channels = audience.channels if audience is not None else ()
    return next((each for each in channels if each.name == delivery.channel), None)


# ---- whom for --------------------------------------------------------------------------------------------------


def _to_all(spec: Notifications, message: MessageStatus) -> MessageStatus:
    to = [each for each in spec.audiences if each.events is None or message.event in each.events]
    return _addressed(message, to)


def _to_one(spec: Notifications, name: str, message: MessageStatus) -> MessageStatus:
    return _addressed(message, [each for each in spec.audiences if each.name == name])


def _addressed(message: MessageStatus, audiences: Sequence[Audience]) -> MessageStatus:
    return message.model_copy(
        update={
            "deliveries": tuple(
                DeliveryStatus(audience=audience.name, channel=channel.name)
                for audience in audiences
                for channel in channels(audience, message)
            )
        }
    )


def channels(audience: Audience, message: MessageStatus) -> tuple[Channel, ...]:
    """The channels of an audience that a message takes."""
    return tuple(each for each in audience.channels if each.severities is None or message.severity in each.severities)


def _kept(messages: tuple[MessageStatus, ...], fresh: tuple[MessageStatus, ...]) -> tuple[MessageStatus, ...]:
    """All that are open, and the last of the others. Of those nobody needs the results any more. Where more are open
    than there is room for, the oldest of the least severe goes."""
    every = [each if each.open else each.model_copy(update={"results": ()}) for each in (*messages, *fresh)]
    while len(every) > MOST_MESSAGES:
        ended = next((each for each in every if not each.open), None)
        every.remove(ended if ended is not None else max(every, key=lambda each: _RANKS[each.severity]))
    return tuple(every)


_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


# ---- what is said of it ----------------------------------------------------------------------------------------


def _given_up(
    was: NotificationsStatus,
    box: NotificationsStatus,
    crowded: Sequence[MessageStatus],
    after: SyncRolloutStatus,
    now: float,
) -> SyncRolloutStatus:
    """A transition for all that is lost with this pass: what has happened to the rollout is not to be crowded out of
    its history by it."""
    open_before = {(m.id, d.audience, d.channel) for m in was.messages for d in m.deliveries if d.open}
    lost = [
        (message, each)
        for message in box.messages
        for each in message.deliveries
        if each.state in _LOST and (message.id, each.audience, each.channel) in open_before
    ]
    said = [_loss(message, each) for message, each in lost]
    said += [f"Message {each.id} was given up before it arrived: there is no room for so many" for each in crowded]
    if not said:
        return after
    last = after.history[-1].sequence if after.history else 0
    entry = HistoryEntry(
        sequence=last + 1,
        run=after.run,
        time=now,
        reason=Reason.MESSAGE_UNDELIVERED,
        type="Warning",
        message=clip("; ".join(said)),
    )
    return after.model_copy(update={"history": (*after.history, entry)[-HISTORY_LENGTH:]})


def _loss(message: MessageStatus, delivery: DeliveryStatus) -> str:
    to = f"{delivery.audience} by {delivery.channel}"
    if delivery.state is DeliveryState.UNCONFIRMED:
        return f"Message {message.id} to {to} may have been sent, and is not sent again: {delivery.error}"
    return f"Message {message.id} to {to} was given up after {delivery.attempts} attempts: {delivery.error}"


def _conditions(
    before: SyncRolloutStatus, after: SyncRolloutStatus, box: NotificationsStatus, now: float
) -> tuple[Condition, ...]:
    """Whether messages arrive, by the newest of which anything is known. None before the first."""
    kind = ConditionType.NOTIFICATIONS_DELIVERED
    rest = tuple(each for each in after.conditions if each.type is not kind)
    was = next((each for each in before.conditions if each.type is kind), None)
    failed = _failing(box)
    if failed:
        value, reason, message = "False", Reason.MESSAGE_UNDELIVERED, failed
    elif any(each.state is DeliveryState.SENT for message in box.messages for each in message.deliveries):
        value, reason, message = "True", Reason.MESSAGES_DELIVERED, "What was to be told has been told"
    else:
        return (*rest, was) if was is not None else rest
    same = was is not None and was.status == value
    made = Condition(
        type=kind,
        status="True" if value == "True" else "False",
        observed_generation=after.observed_generation,
        last_transition_time=was.last_transition_time if was is not None and same else now,
        reason=reason,
        message=clip(message),
    )
    return (*rest, made)


def _failing(box: NotificationsStatus) -> str:
    """What does not arrive, in words: on each channel the newest message of which something is known counts."""
    newest: dict[tuple[str, str], tuple[MessageStatus, DeliveryStatus]] = {}
    for message in box.messages:
        for each in message.deliveries:
            if not each.open or each.attempts > DELAYED_AFTER or (each.attempts == DELAYED_AFTER and each.error):
                newest[each.audience, each.channel] = (message, each)
    said = [
        _loss(message, each)
        if each.state in _LOST
        else f"Message {message.id} to {each.audience} by {each.channel} does not arrive: {each.error}"
        for message, each in newest.values()
        if each.state is not DeliveryState.SENT
    ]
    return "; ".join(said)


__all__ = ["Heard", "channel_of", "channels", "key", "next_due", "told"]

"""What people are told, and what has become of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Written
from syncrollout.api.status.past import MOST_RESULTS, PastResult
from syncrollout.api.status.people import PERSON_LENGTH
from syncrollout.api.words import DeliveryState, FollowUpAbout, MessageEvent, Severity

MOST_MESSAGES = 16
"""Messages that are kept: all that are open, and the last of the others."""
MOST_DELIVERIES = 64
TOLD_LENGTH = 1024


class DeliveryStatus(Written):
    """One message on one channel."""

    audience: Annotated[str, Field(max_length=63)]
    """Whom it is for."""
    channel: Annotated[str, Field(max_length=63)]
    """By which way."""
    state: DeliveryState = DeliveryState.PENDING
    """How far it is; recorded as Sending before it is sent."""
    attempts: int = 0
    """How often it was tried."""
    next_try: Time | None = None
    """When it is tried again."""
    ended: Time | None = None
    """When it came to its end."""
    error: Annotated[str, Field(max_length=256)] = ""
    """Why the last attempt failed, without what is secret."""

    @property
    def open(self) -> bool:
        """Whether there is still something to do for it."""
        return self.state in (DeliveryState.PENDING, DeliveryState.SENDING)


class MessageStatus(Written):
    """One message: what happened, as it stood at that moment."""

    id: Annotated[str, Field(max_length=120)]
    """The same for the same event, whatever is restarted."""
    event: MessageEvent
    """What it tells of."""
    severity: Severity
    """How grave that is; Low where it is no trouble."""
    time: Time
    """When it happened."""
    run: int
    """In which run."""
    phase: Annotated[str, Field(max_length=80)] = ""
    """Place and name of the phase, such as 2/5 small-traffic."""
    before: Annotated[str, Field(max_length=80)] = ""
    """Of a change of phase: the one before."""
    weight: int = 0
    """Share of new, percent."""
    text: Annotated[str, Field(max_length=TOLD_LENGTH)] = ""
    """What happened, in words."""
    next: Annotated[str, Field(max_length=200)] = ""
    """What came next then."""
    about: FollowUpAbout | None = None
    """Of a follow-up: what it is about."""
    level: Annotated[str, Field(max_length=63)] = ""
    """Of an escalation: its level."""
    results: Annotated[tuple[PastResult, ...], Field(max_length=MOST_RESULTS)] = ()
    """How the criteria stood."""
    deliveries: Annotated[tuple[DeliveryStatus, ...], Field(max_length=MOST_DELIVERIES)] = ()
    """What has become of it, for each channel."""

    @property
    def open(self) -> bool:
        """Whether it is still on its way to somebody."""
        return any(each.open for each in self.deliveries)


class AlarmStatus(Written):
    """Trouble that somebody has to take upon himself."""

    id: Annotated[str, Field(max_length=120)]
    """The message that told of it first."""
    severity: Severity
    """How grave it is."""
    since: Time
    """When it began; levels of escalation count from here."""
    text: Annotated[str, Field(max_length=TOLD_LENGTH)] = ""
    """What it is."""
    ended: Time | None = None
    """When it was acknowledged, or was over by itself."""
    acknowledged: Annotated[str, Field(max_length=256)] = ""
    """What was said with the acknowledgement; empty without one."""
    by: Annotated[str, Field(max_length=PERSON_LENGTH)] = ""
    """Who acknowledged it, where that is known."""


class NotificationsStatus(Written):
    """What people are told."""

    messages: Annotated[
        tuple[MessageStatus, ...],
        Field(max_length=MOST_MESSAGES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """The last ones, oldest first."""
    looked: Time | None = None
    """Up to when follow-ups and levels of escalation were told."""
    alarm: AlarmStatus | None = None
    """The last trouble that asks for an acknowledgement."""

    @property
    def open(self) -> bool:
        """Whether a message is still on its way."""
        return any(each.open for each in self.messages)

"""Sending messages, beside the passes: tasks of their own, so that no pass, and the way back above all, ever waits for
a channel. What has come of an attempt is kept until a pass has taken it in.

A message is sent only once it is recorded as being sent, by the process that has recorded it: an attempt is claimed
before that write and begun after it. What another process has begun is never begun again here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from syncrollout.act.target import behalf_of
from syncrollout.api.spec import Channel, SecretKey, SyncRolloutSpec
from syncrollout.api.status import DeliveryStatus, MessageStatus, SyncRolloutStatus
from syncrollout.api.words import DeliveryState, Severity
from syncrollout.decide import telling
from syncrollout.decide.deliveries import Delivered, Delivery
from syncrollout.decide.facts import Problem
from syncrollout.messages.facts import About
from syncrollout.messages.writing import write
from syncrollout.ports import (
    AlertmanagerWay,
    ApiError,
    AppriseWay,
    Behalf,
    Forbidden,
    KindRef,
    NotFound,
    Notifier,
    ObjectRef,
    OnBehalf,
    Outgoing,
)

log = logging.getLogger(__name__)

CONFIG_MAP: Final = KindRef("v1", "ConfigMap")
NOT_LEADING_POLL: Final = 1.0
"""Seconds until it is seen whether this process leads again, which nobody tells of."""
CLOSING_POLL: Final = 0.02
"""Seconds between looks whether all has arrived."""
AT_ONCE: Final = 8
"""Messages of all rollouts that are on their way at one moment, of one namespace a quarter of them; as many again of
those that are urgent."""
URGENT: Final = frozenset({Severity.CRITICAL, Severity.HIGH})


class SecretReader(Protocol):
    """Values of Secrets; `observe.credentials` has the real one."""

    async def text(self, path: str, key: SecretKey, behalf: Behalf) -> str | Problem:
        """One value, or what a person has to mend. Raises ApiError."""
        ...

    def doubt(self, path: str, key: SecretKey, behalf: Behalf) -> None:
        """What was told did not serve: it is read anew before long."""
        ...


@dataclass(slots=True)
class _Known:
    """What is known of the attempts of one rollout, by `telling.key`."""

    uid: str
    attempts: dict[str, Delivery] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    """Claimed, and not begun."""
    latest: set[str] = field(default_factory=set)
    """Of those: claimed for the last write."""
    under_way: int = 0
    behind: set[tuple[str, str]] = field(default_factory=set)
    """Audience and channel of messages that may wait until an earlier one has come to its end."""
    unsaid: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Attempts that have ended and that nobody was woken for, with their audience and channel."""


class Messenger:
    """Sends what is recorded. `wake` is told of each rollout whose messages have come to their ends for now, or one
    that others wait behind; `observe` of each attempt that has ended. `may_send` is asked right before anything is
    begun, as it is before each write: what a process records that leads now is not for one to send that has led."""

    def __init__(
        self,
        api: OnBehalf,
        secrets: SecretReader,
        notifier: Notifier,
        *,
        wake: Callable[[ObjectRef], None],
        observe: Callable[[Delivered], None] = lambda _: None,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api = api
        self._secrets = secrets
        self._notifier = notifier
        self._wake = wake
        self._observe = observe
        self._may_send = may_send
        self._known: dict[ObjectRef, _Known] = {}
        self._turns = {urgent: asyncio.Semaphore(AT_ONCE) for urgent in (False, True)}
        self._turns_of: dict[tuple[bool, str], asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False
        """Nothing more is to be recorded as being sent; what was before, and was claimed, is sent yet."""
        self._closed = False

    def found(self, owner: ObjectRef, uid: str) -> Mapping[str, Delivery]:
        """What is known of the attempts of a rollout."""
        known = self._known.get(owner)
        return dict(known.attempts) if known is not None and known.uid == uid else {}

    def claim(self, owner: ObjectRef, uid: str, recorded: Mapping[str, Any], status: SyncRolloutStatus) -> None:
        """Before `status` is written over `recorded`: what it says is being sent from now on is this process's to
        send."""
        if (before := self._known.get(owner)) is not None:
            before.latest = set()
        sending = {telling.key(m, d) for m, d in _sending(status)}
        news = sending - _recorded(recorded) if sending else set()
        if not news or self._closed:
            return
        known = self._of(owner, uid)
        known.latest = news - known.attempts.keys()
        known.waiting |= known.latest
        known.attempts |= dict.fromkeys(known.latest, Delivery(Delivered.UNDER_WAY))

    def begin(
        self, owner: ObjectRef, uid: str, spec: SyncRolloutSpec, recorded: Mapping[str, Any], status: SyncRolloutStatus
    ) -> None:
        """After a pass: what was claimed and stands recorded is sent, without waiting; what has ended is forgotten."""
        known = self._known.get(owner)
        if known is None or known.uid != uid or self._closed:
            return
        if not self._may_send():
            if known.waiting:  # the Lease may only have been renewed late
                asyncio.get_running_loop().call_later(NOT_LEADING_POLL, self._wake, owner)
            return
        stands = _recorded(recorded)
        sending = {telling.key(m, d): (m, d) for m, d in _sending(status)}
        known.behind = {(d.audience, d.channel) for _, d in _in(status, DeliveryState.PENDING)}
        known.unsaid = {each: line for each, line in known.unsaid.items() if each in sending}
        for gone in [each for each in known.attempts if each not in sending and each not in known.waiting]:
            del known.attempts[gone]
        about = About(owner.name, owner.namespace, spec, status)
        for each in [key for key in sending if key in known.waiting and key in stands]:
            known.waiting.discard(each)
            known.under_way += 1
            work = self._attempt(owner, known, each, about, *sending[each])
            task = asyncio.get_running_loop().create_task(work, name="message")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._say(owner, known)  # what has ended while this pass was under way, and was not waited for until now
        if not known.attempts and not known.waiting:
            del self._known[owner]

    def disclaim(self, owner: ObjectRef) -> None:
        """What was claimed for the last write was certainly not written: another process may write the same. What was
        claimed for one before, whose answer was lost, may stand."""
        known = self._known.get(owner)
        if known is not None:
            self._drop_claims(known, known.latest)

    def abandon(self, which: Callable[[ObjectRef], bool] = lambda _: True) -> None:
        """This process leads no more, or no more for these rollouts. What was claimed and not begun may be begun by
        another one: not by this, even if it leads again."""
        for owner, known in self._known.items():
            if which(owner):
                self._drop_claims(known, known.waiting)

    def busy(self, which: Callable[[ObjectRef], bool]) -> bool:
        """Whether messages of these rollouts are on their way, or have arrived and no pass has taken that in."""
        return any(known.attempts and which(owner) for owner, known in self._known.items())

    @staticmethod
    def _drop_claims(known: _Known, claims: set[str]) -> None:
        for each in claims & known.waiting:
            known.attempts.pop(each, None)
            known.waiting.discard(each)

    def forget(self, owner: ObjectRef) -> None:
        """The rollout is gone."""
        self._known.pop(owner, None)

    async def close(self, grace: float) -> None:
        """Let what is on its way come to its end, and what is just recorded as being sent, for `grace` seconds at most;
        after that begin nothing more."""
        self.closing = True
        for _ in range(round(grace / CLOSING_POLL)):
            if not self._tasks and not any(known.waiting for known in self._known.values()):
                break
            await asyncio.sleep(CLOSING_POLL)
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _of(self, owner: ObjectRef, uid: str) -> _Known:
        known = self._known.get(owner)
        if known is None or known.uid != uid:
            known = self._known[owner] = _Known(uid)
        return known

    async def _attempt(  # noqa: PLR0917 - one attempt, and all that it is about
        self,
        owner: ObjectRef,
        known: _Known,
        key: str,
        about: About,
        message: MessageStatus,
        delivery: DeliveryStatus,
    ) -> None:
        result = Delivery(Delivered.UNCERTAIN, "the operator stopped while it was sent")
        try:
            result = await self._deliver(known.uid, about, message, delivery)
        except ApiError as error:
            result = Delivery(Delivered.FAILED, str(error))
        except Exception:  # it must not go unseen in a task that nobody awaits
            log.exception("message %s of %s ended in an error of the operator's own", message.id, owner)
            result = Delivery(Delivered.UNCERTAIN, "an error of the operator's own: see its log")
        finally:
            known.attempts[key] = result
            known.under_way -= 1
        self._observe(result.state)
        to = f"{delivery.audience} by {delivery.channel}"
        if result.state is Delivered.SENT:
            log.info("message %s of %s was sent to %s", message.id, owner, to)
        else:
            log.warning("message %s of %s to %s: %s: %s", message.id, owner, to, result.state.value, result.message)
        known.unsaid[key] = delivery.audience, delivery.channel
        self._say(owner, known)

    def _say(self, owner: ObjectRef, known: _Known) -> None:
        """Wake the rollout for attempts that have ended, once for each, as soon as somebody waits for one."""
        if known.unsaid and not (known.under_way and known.behind.isdisjoint(known.unsaid.values())):
            known.unsaid.clear()
            self._wake(owner)

    async def _deliver(self, uid: str, about: About, message: MessageStatus, delivery: DeliveryStatus) -> Delivery:
        """Raises ApiError before anything is sent."""
        wanted = about.spec.notifications
        behalf = behalf_of(about.spec, about.namespace)
        audience = wanted.audience(delivery.audience) if wanted is not None else None
        channel = telling.channel_of(wanted, delivery) if wanted is not None else None
        if audience is None or channel is None:
            return Delivery(Delivered.FAILED, "its channel is not in spec.notifications any more")
        way = await self._way(behalf, audience.name, channel)
        if isinstance(way, Problem):
            return Delivery(Delivered.FAILED, way.message)
        written = write(about, message, audience.name, audience.language, await self._own(about))
        if written.wrong:
            log.warning("a template of %s/%s is passed over: %s", about.namespace, about.name, written.wrong)
        urgent = message.severity in URGENT
        outgoing = Outgoing(
            id=f"{uid}-{message.id}-{audience.name}-{channel.name}",
            title=written.title,
            body=written.body,
            time=message.time,
            labels={
                "event": message.event.value,
                "severity": message.severity.value,
                "rollout": about.name,
                "namespace": about.namespace,
                "audience": audience.name,
            },
            urgent=urgent,
        )
        turn_of_its_namespace = self._turns_of.setdefault((urgent, about.namespace), asyncio.Semaphore(AT_ONCE // 4))
        async with turn_of_its_namespace, self._turns[urgent]:
            result = await self._notifier.send(way, outgoing)
        if result.state is Delivered.FAILED:  # whoever corrects the Secret now is heard at the next attempt
            for path, key in _named(audience.name, channel):
                self._secrets.doubt(path, key, behalf)
        return result

    async def _way(self, behalf: Behalf, audience: str, channel: Channel) -> AppriseWay | AlertmanagerWay | Problem:
        value: str | None = None
        for path, key in _named(audience, channel):
            found = await self._secrets.text(path, key, behalf)
            if isinstance(found, Problem):
                return found
            value = found
        if channel.alertmanager is not None:
            return AlertmanagerWay(channel.alertmanager.address, value)
        assert value is not None
        return AppriseWay(value.strip())

    async def _own(self, about: About) -> Mapping[str, str]:
        """Templates of one's own; none where the ConfigMap is not there, or may not be read, for that keeps no message
        back."""
        templates = about.spec.notifications.templates if about.spec.notifications is not None else None
        if templates is None:
            return {}
        try:
            api = self._api.acting_as(behalf_of(about.spec, about.namespace))
            found = await api.get(ObjectRef(CONFIG_MAP, about.namespace, templates.config_map))
        except Forbidden as error:
            log.warning("the templates of %s/%s may not be read: %s", about.namespace, about.name, error)
            return {}
        except NotFound:
            log.warning("the templates of %s/%s are not there: %s", about.namespace, about.name, templates.config_map)
            return {}
        return {str(key): str(value) for key, value in (found.get("data") or {}).items()}


def _named(audience: str, channel: Channel) -> Iterator[tuple[str, SecretKey]]:
    """The value of a Secret that a channel wants, if any, and the field of the spec that says so."""
    where = f"spec.notifications.audiences[{audience}].channels[{channel.name}]"
    if channel.alertmanager is not None:
        if channel.alertmanager.bearer_token is not None:
            yield f"{where}.alertmanager.bearerToken", channel.alertmanager.bearer_token
    elif channel.url_from is not None:
        yield f"{where}.urlFrom", channel.url_from


def _sending(status: SyncRolloutStatus) -> Iterator[tuple[MessageStatus, DeliveryStatus]]:
    return _in(status, DeliveryState.SENDING)


def _in(status: SyncRolloutStatus, state: DeliveryState) -> Iterator[tuple[MessageStatus, DeliveryStatus]]:
    """Deliveries in this state, the oldest messages' first."""
    for message in status.notifications.messages if status.notifications is not None else ():
        for delivery in message.deliveries:
            if delivery.state is state:
                yield message, delivery


def _recorded(status: Mapping[str, Any]) -> set[str]:
    """What stands recorded as being sent; `status` as it is on the wire."""
    return {
        f"{message.get('id')}/{each.get('audience')}/{each.get('channel')}/{each.get('attempts', 0)}"
        for message in (status.get("notifications") or {}).get("messages") or ()
        for each in message.get("deliveries") or ()
        if each.get("state") == DeliveryState.SENDING.value
    }


__all__ = ["Messenger", "SecretReader"]

"""Sending beside the passes: only what this process has recorded itself, each attempt once, and few at one moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.kube import FakeKube
from fakes.notifier import FakeNotifier
from simulation.objects import NAMESPACE, ROLLOUT, ref, secret
from syncrollout.act.messenger import AT_ONCE, Messenger
from syncrollout.act.record import status_json
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import DeliveryStatus, MessageStatus, NotificationsStatus, SyncRolloutStatus
from syncrollout.api.words import DeliveryState, MessageEvent, Severity
from syncrollout.decide.deliveries import Delivered, Delivery
from syncrollout.observe.credentials import READ_AGAIN_SECONDS, Credentials
from syncrollout.ports import AlertmanagerWay, AppriseWay, ObjectRef, Outgoing

pytestmark = [pytest.mark.looptime]
OWNER, UID = ref(ROLLOUT, "sync"), "6f1c"
CHAT, MAIL = ({"name": name, "urlFrom": {"name": "urls", "key": name}} for name in ("chat", "mail"))


def _spec() -> SyncRolloutSpec:
    return SyncRolloutSpec.model_validate(
        {
            "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
            "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
            "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
            "phases": [{"name": "all", "weight": 100}],
            "notifications": {"audiences": [{"name": "team", "channels": [CHAT, MAIL]}]},
        }
    )


def _status(*states: DeliveryState) -> SyncRolloutStatus:
    """A message in each of these states."""
    messages = tuple(
        MessageStatus(
            id=f"{number}-Started",
            event=MessageEvent.STARTED,
            severity=Severity.LOW,
            time=0.0,
            run=1,
            deliveries=(DeliveryStatus(audience="team", channel="chat", state=state, attempts=1),),
        )
        for number, state in enumerate(states, start=1)
    )
    return SyncRolloutStatus(notifications=NotificationsStatus(messages=messages))


PENDING, SENDING, SENT = _status(DeliveryState.PENDING), _status(DeliveryState.SENDING), _status(DeliveryState.SENT)


class Post:
    """A messenger with all that it needs."""

    def __init__(self, people: FakeNotifier | None = None) -> None:
        self.kube, self.woken = FakeKube(), list[ObjectRef]()
        self.people = people or FakeNotifier(delay=1.0)
        self.kube.put(secret("urls", chat="json://chat.example.com/hook"))
        self.leads = True
        self.messenger = Messenger(
            self.kube,
            Credentials(self.kube),
            self.people,
            wake=self.woken.append,
            may_send=lambda: self.leads,
        )

    def claim(self, before: SyncRolloutStatus, after: SyncRolloutStatus, owner: ObjectRef = OWNER) -> None:
        self.messenger.claim(owner, UID, status_json(before), after)

    def begin(self, recorded: SyncRolloutStatus, owner: ObjectRef = OWNER, uid: str = UID) -> None:
        self.messenger.begin(owner, uid, _spec(), status_json(recorded), recorded)

    def states(self) -> list[Delivered]:
        return [each.state for each in self.messenger.found(OWNER, UID).values()]


async def test_what_is_claimed_and_recorded_is_sent_once_and_told_when_it_has_ended() -> None:
    post = Post()
    post.claim(PENDING, SENDING)
    post.begin(SENDING)
    post.begin(SENDING)
    assert post.states() == [Delivered.UNDER_WAY]
    await asyncio.sleep(2.0)
    assert [message.id for message in post.people.arrived] == ["6f1c-1-Started-team-chat"]
    assert (post.states(), post.woken) == ([Delivered.SENT], [OWNER])
    assert post.messenger.busy(lambda owner: owner == OWNER), "no pass has taken it in: whoever is next would not know"
    post.begin(SENT)
    assert post.states() == []
    assert not post.messenger.busy(lambda _: True)


class _SlowMail(FakeNotifier):
    async def send(self, way: AppriseWay | AlertmanagerWay, message: Outgoing) -> Delivery:
        if isinstance(way, AppriseWay) and way.url.startswith("mailto:"):
            await asyncio.sleep(20.0)
        return await super().send(way, message)


@pytest.mark.parametrize("another", [True, False])
async def test_what_waits_behind_a_message_on_its_channel_waits_for_no_other_channel(another: bool) -> None:
    post = Post(_SlowMail(delay=1.0))
    post.kube.put(secret("urls", chat="json://chat.example.com/hook", mail="mailto://mail.example.com"))
    status = _status(DeliveryState.SENDING, *([DeliveryState.PENDING] if another else []))
    assert status.notifications is not None
    first, *others = status.notifications.messages
    deliveries = (*first.deliveries, first.deliveries[0].model_copy(update={"channel": "mail"}))
    messages = (first.model_copy(update={"deliveries": deliveries}), *others)
    status = SyncRolloutStatus(notifications=NotificationsStatus(messages=messages))
    post.claim(PENDING, status)
    post.begin(status)
    await asyncio.sleep(5.0)
    assert sorted(post.states()) == [Delivered.SENT, Delivered.UNDER_WAY]
    assert post.woken == [OWNER] * another
    await asyncio.sleep(20.0)
    assert post.woken == [OWNER] * (1 + another)


@pytest.mark.parametrize("again", [False, True], ids=["for the first time", "again"])
async def test_what_comes_to_wait_behind_a_message_that_has_just_ended_waits_for_no_other_channel(again: bool) -> None:
    """The pass that records it did not know yet that the earlier one has ended."""
    post = Post(_SlowMail(delay=1.0))
    post.kube.put(secret("urls", chat="json://chat.example.com/hook", mail="mailto://mail.example.com"))
    both = _status(DeliveryState.SENDING, DeliveryState.PENDING).notifications
    assert both is not None
    first, later = both.messages
    mail = first.deliveries[0].model_copy(update={"channel": "mail"})
    first = first.model_copy(update={"deliveries": (*first.deliveries, mail)})
    tried = later.deliveries[0].model_copy(update={"next_try": 1.0 if again else None})
    later = later.model_copy(update={"deliveries": (tried,)})
    sending = SyncRolloutStatus(notifications=NotificationsStatus(messages=(first,)))
    waiting = SyncRolloutStatus(notifications=NotificationsStatus(messages=(first, later)))
    post.claim(PENDING, sending)
    post.begin(sending)
    await asyncio.sleep(5.0)
    assert (sorted(post.states()), post.woken) == ([Delivered.SENT, Delivered.UNDER_WAY], [])
    post.begin(waiting)
    assert post.woken == [OWNER]
    post.begin(waiting)  # nothing could be written
    assert post.woken == [OWNER], "once for each that has ended"
    await asyncio.sleep(20.0)
    assert post.woken == [OWNER] * 2


async def test_what_another_process_has_recorded_is_not_sent() -> None:
    post = Post()
    post.claim(SENDING, SENDING)
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert post.people.arrived == []


@pytest.mark.parametrize("how", ["disclaimed", "abandoned"])
async def test_a_claim_that_came_to_nothing_is_no_claim_on_what_another_process_writes(how: str) -> None:
    """Its write was refused, or it lost the lead before it knew: another one records the same, sends it, and dies."""
    post = Post()
    post.claim(PENDING, SENDING)
    if how == "disclaimed":
        post.messenger.disclaim(OWNER)
    else:
        post.messenger.abandon()
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert post.people.arrived == []
    assert post.states() == [], "nobody knows: it is Unconfirmed"


async def test_a_write_that_stands_though_its_answer_was_lost_is_one_that_was_claimed() -> None:
    post = Post()
    post.claim(PENDING, SENDING)
    assert post.states() == [Delivered.UNDER_WAY]
    post.begin(PENDING)  # it is not seen yet
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert len(post.people.arrived) == 1


async def test_it_stays_claimed_where_the_next_write_is_refused_because_the_one_before_stands() -> None:
    post = Post()
    post.claim(PENDING, SENDING)
    post.claim(PENDING, SENDING)  # nothing was heard of the first
    post.messenger.disclaim(OWNER)
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert len(post.people.arrived) == 1


async def test_what_was_claimed_is_not_begun_by_a_process_that_does_not_lead_any_more() -> None:
    """Its write was lost on the way, and whoever leads now has recorded the same and sends it."""
    post = Post()
    post.claim(PENDING, SENDING)
    post.leads = False
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert (post.people.arrived, post.woken) == ([], [OWNER])
    post.leads = True  # its Lease was only renewed late
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert len(post.people.arrived) == 1


async def test_another_rollout_of_the_same_name_has_nothing_of_it() -> None:
    post = Post()
    post.claim(PENDING, SENDING)
    assert post.messenger.found(OWNER, "another") == {}
    post.begin(SENDING, uid="another")
    await asyncio.sleep(2.0)
    assert post.people.arrived == []


async def test_one_namespace_takes_no_more_than_its_part_of_the_turns() -> None:
    post = Post()
    many = _status(*[DeliveryState.SENDING] * 12)
    post.claim(SyncRolloutStatus(), many)
    post.begin(many)
    await asyncio.sleep(0.5)
    assert post.people.at_once == AT_ONCE // 4
    await asyncio.sleep(12.0)
    assert len(post.people.arrived) == 12
    assert post.people.most_at_once == AT_ONCE // 4


async def test_an_urgent_message_waits_for_none_that_is_not() -> None:
    post = Post(FakeNotifier(delay=60.0))
    many = _status(*[DeliveryState.SENDING] * AT_ONCE)
    assert many.notifications is not None
    *lesser, last = many.notifications.messages
    urgent = last.model_copy(update={"severity": Severity.CRITICAL})
    many = SyncRolloutStatus(notifications=NotificationsStatus(messages=(*lesser, urgent)))
    post.claim(SyncRolloutStatus(), many)
    post.begin(many)
    await asyncio.sleep(0.5)
    assert len(post.people.arrived) == AT_ONCE // 4 + 1
    assert [message.id for message in post.people.arrived if message.urgent] == [f"{UID}-{last.id}-team-chat"]


async def test_a_namespace_without_its_secret_keeps_no_other_from_its_messages() -> None:
    post = Post()
    elsewhere = ObjectRef(ROLLOUT, "elsewhere", "sync")
    for owner in (elsewhere, OWNER):
        post.claim(PENDING, SENDING, owner)
        post.begin(SENDING, owner)
    await asyncio.sleep(2.0)
    assert [message.labels["namespace"] for message in post.people.arrived] == [NAMESPACE]
    (failed,) = post.messenger.found(elsewhere, UID).values()
    assert failed.state is Delivered.FAILED
    assert "Secret elsewhere/urls" in failed.message


async def test_at_the_end_what_is_on_its_way_arrives_and_nothing_more_begins() -> None:
    post = Post()
    post.claim(PENDING, SENDING)
    post.begin(SENDING)
    await post.messenger.close(2.0)
    assert post.states() == [Delivered.SENT]
    two = _status(DeliveryState.SENT, DeliveryState.SENDING)
    post.claim(SENT, two)
    post.begin(two)
    await asyncio.sleep(2.0)
    assert len(post.people.arrived) == 1


async def test_what_is_just_being_recorded_when_the_end_comes_is_sent_yet() -> None:
    post = Post()
    post.claim(PENDING, SENDING)
    ending = asyncio.create_task(post.messenger.close(5.0))
    await asyncio.sleep(1.0)
    assert post.messenger.closing
    post.begin(SENDING)
    await ending
    assert (post.states(), len(post.people.arrived)) == ([Delivered.SENT], 1)


async def test_an_error_of_our_own_leaves_it_open_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    post = Post()

    def fails(_: Any) -> Delivered:
        raise RuntimeError("a bug")

    post.people.answers = fails
    post.claim(PENDING, SENDING)
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert post.states() == [Delivered.UNCERTAIN]
    assert "ended in an error of the operator's own" in caplog.text


async def test_what_is_corrected_in_a_secret_counts_at_the_next_attempt() -> None:
    post = Post()
    post.people.answers = lambda _: Delivered.FAILED
    post.claim(PENDING, SENDING)
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert post.states() == [Delivered.FAILED]
    post.begin(PENDING)

    post.kube.put(secret("urls", chat="json://chat.example.com/corrected"))
    post.people.answers = lambda _: Delivered.SENT
    await asyncio.sleep(READ_AGAIN_SECONDS)
    post.claim(PENDING, SENDING)
    post.begin(SENDING)
    await asyncio.sleep(2.0)
    assert [way for way, _ in post.people.came] == [AppriseWay("json://chat.example.com/corrected")]

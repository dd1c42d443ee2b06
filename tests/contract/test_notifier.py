"""The same cases on the fake that the simulation tells people by, and on the real ways to reach them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from fakes.notifier import FakeNotifier
from fakes.post_office import Hook, Mailbox, mail_server, webhook
from syncrollout.act.channels import Channels
from syncrollout.decide.deliveries import Delivered
from syncrollout.ports import AlertmanagerWay, AppriseWay, Notifier, Outgoing


@dataclass
class Bench:
    """A way to reach people, and what can be wrong with it."""

    notifier: Notifier
    way: AppriseWay | AlertmanagerWay
    refuse: Callable[[], None]
    """From now on it refuses all messages."""
    lose: Callable[[], None]
    """From now on it takes them and does not say so."""
    arrived: Callable[[], int]
    """How many have arrived."""


def _message(number: int) -> Outgoing:
    labels = {"event": "Started", "severity": "Low", "rollout": "sync", "namespace": "listings", "audience": "team"}
    return Outgoing(f"6f1c-{number}-Started-team-chat", "It has started", "- **When:** now\n", 1_764_550_800.0, labels)


def _fake() -> Bench:
    fake = FakeNotifier()

    def answers(result: Delivered) -> Callable[[], None]:
        return lambda: setattr(fake, "answers", lambda _: result)

    way = AppriseWay("json://chat.example.com/hook")
    return Bench(fake, way, answers(Delivered.FAILED), answers(Delivered.UNCERTAIN), lambda: len(fake.arrived))


def _hooked(hook: Hook, channels: Channels, way: AppriseWay | AlertmanagerWay) -> Bench:
    return Bench(
        channels,
        way,
        lambda: setattr(hook, "status", 503),
        lambda: setattr(hook, "silent", True),
        lambda: len(hook.posts),
    )


def _mailed(box: Mailbox, channels: Channels) -> Bench:
    return Bench(
        channels,
        AppriseWay(box.url),
        lambda: setattr(box, "refuses", True),
        lambda: setattr(box, "drops", True),
        lambda: len(box.mails),
    )


@pytest.fixture(params=["fake", "webhook", "mail", "alertmanager"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "fake":
        yield _fake()
        return
    channels = Channels()
    with contextlib.ExitStack() as running:
        if request.param == "mail":
            yield _mailed(running.enter_context(mail_server()), channels)
        else:
            hook = running.enter_context(webhook())
            address = f"http://127.0.0.1:{hook.port}"
            alerts = request.param == "alertmanager"
            yield _hooked(hook, channels, AlertmanagerWay(address) if alerts else AppriseWay(hook.url))
        await channels.close()


async def test_what_is_accepted_has_arrived_once(bench: Bench) -> None:
    for number in range(2):
        assert (await bench.notifier.send(bench.way, _message(number))).state is Delivered.SENT
    assert bench.arrived() == 2


async def test_what_is_refused_has_certainly_not_arrived_and_says_why(bench: Bench) -> None:
    bench.refuse()
    result = await bench.notifier.send(bench.way, _message(1))
    assert result.state is Delivered.FAILED
    assert result.message
    assert bench.arrived() == 0


async def test_what_was_taken_and_never_confirmed_may_have_arrived(bench: Bench) -> None:
    bench.lose()
    result = await bench.notifier.send(bench.way, _message(1))
    assert result.state is Delivered.UNCERTAIN
    assert result.message

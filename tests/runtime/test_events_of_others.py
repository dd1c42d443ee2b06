"""Events of rollouts that this process acts for no more keep none of the others waiting."""

from __future__ import annotations

import asyncio
import random

import pytest

from fakes.kube import FakeKube
from syncrollout.ports import ACTING_FOR, KindRef, Object, ObjectRef
from syncrollout.runtime.story import LED_AGAIN, WORKERS, Story

pytestmark = [pytest.mark.looptime]


def _event(uid: str, number: int) -> tuple[ObjectRef, Object]:
    ref = ObjectRef(KindRef("v1", "Event"), "shop", f"{uid}-{number}")
    named = {"name": ref.name, "namespace": ref.namespace}
    return ref, {"involvedObject": {"uid": uid, **named}, "reason": "PhaseStarted", "metadata": named}


async def test_what_is_not_acted_for_waits_apart_and_is_posted_once_it_is_again() -> None:
    kube = FakeKube()
    led = {"mine"}
    kube.may_write = lambda: ACTING_FOR.get() in led
    story = Story(kube, random.Random(1))
    story.start()
    for number in range(400):
        story.post(*_event("lost", number))
    story.post(*_event("mine", 0))
    await asyncio.sleep(1.0)
    assert [call.ref.name for call in kube.log] == ["mine-0"]
    led.add("lost")
    await story.stop(2.0)
    assert len(kube.log) == 401, "once it is led again nothing is waited for"


async def test_what_is_never_acted_for_again_is_given_up_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    kube = FakeKube()
    kube.may_write = lambda: False
    story = Story(kube, random.Random(1))
    story.start()
    story.post(*_event("lost", 0))
    await story.stop(LED_AGAIN + 5.0)
    assert kube.log == []
    assert "the event 'PhaseStarted' was given up" in caplog.text


async def test_an_answer_that_nobody_could_foresee_ends_no_worker() -> None:
    kube = FakeKube()

    async def break_down(_: object) -> None:
        raise KeyError("metadata")

    kube.after = break_down
    story = Story(kube, random.Random(1))
    story.start()
    for number in range(2 * WORKERS):
        story.post(*_event("mine", number))
    await asyncio.sleep(1.0)
    kube.after = None
    story.post(*_event("mine", 100))
    await story.stop(2.0)
    assert "mine-100" in [call.ref.name for call in kube.log]

"""What comes into the controller reaches everybody who has to know of it."""

from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

import pytest

from fakes.kube import FakeKube
from monitoring.subjects import spec
from syncrollout.ports import Object
from syncrollout.runtime.controller import Controller
from syncrollout.runtime.reconciler import Reconciler
from syncrollout.runtime.rollouts import Key, Rollouts
from syncrollout.runtime.telemetry import Telemetry

pytestmark = [pytest.mark.looptime]


class Keeper:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def seen(self, raw: Object) -> None:
        self.heard.append(raw["metadata"]["generation"])

    def gone(self, namespace: str, name: str) -> None:
        self.heard.append((namespace, name))

    def lead(self) -> None:
        self.heard.append("lead")

    def follow(self) -> None:
        self.heard.append("follow")


def _raw(version: int, generation: int) -> Object:
    metadata = {
        "name": "move",
        "namespace": "web",
        "uid": "u",
        "resourceVersion": str(version),
        "generation": generation,
    }
    return {"metadata": metadata, "spec": spec()}


async def test_an_edit_that_came_in_first_with_the_answer_to_a_write_is_shown_to_the_keeper() -> None:
    keeper, rollouts = Keeper(), Rollouts()
    controller = Controller(
        api=FakeKube(),
        rollouts=rollouts,
        reconciler=create_autospec(Reconciler, instance=True),
        observer=Telemetry(),
        concurrency=1,
        keeper=keeper,
    )
    controller.seen(_raw(1, 1))
    rollouts.put(_raw(3, 2))  # the answer to a write of the status, which was made after the edit
    controller.seen(_raw(2, 2))  # the edit itself, by watch
    controller.seen(_raw(3, 2))
    assert keeper.heard == [1, 2, 2]
    controller.follow()
    controller.gone(Key("web", "move"))
    assert keeper.heard[3:] == ["follow", ("web", "move")]

"""What is still told of a rollout at rest: messages on their way, and those that are told by the clock. Nothing else
of it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from syncrollout.decide import telling
from syncrollout.decide.actions import Decision
from syncrollout.ports import Clock
from syncrollout.runtime.recorder import Recorder
from syncrollout.runtime.rollouts import Rollout

ROUNDS: Final = 4
"""A message is recorded, recorded as being sent, and then waited for."""


class AtRest:
    """Brings the outbox of rollouts at rest on. Holds no state."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    async def tell(self, rollout: Rollout, hear: Callable[[Rollout], telling.Heard]) -> float | None:
        """As far as it goes now; when the clock brings it on, in seconds since the epoch. Raises ApiError."""
        assert rollout.spec is not None
        for _ in range(ROUNDS):
            assert rollout.status is not None
            now = round(self._clock.now(), 3)
            heard = hear(rollout)
            status = telling.told(rollout.spec, rollout.status, rollout.status, heard, now)
            write = status != rollout.status
            if write:
                status = status.model_copy(update={"refreshed": now})
            await self._recorder.record(rollout, Decision(status, write=write))
            due = telling.next_due(rollout.spec, status, now, mute=heard.mute)
            if due is None or due > now:
                return due
        return due


__all__ = ["AtRest"]

"""When a rollout is looked at again: on its own beat, or as soon as the clock alone changes something."""

from __future__ import annotations

import zlib

from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import State
from syncrollout.decide import procedure
from syncrollout.decide.actions import Decision
from syncrollout.ports import Clock
from syncrollout.runtime.rollouts import Rollout

WAITING_POLL = 15.0
"""Seconds between looks at a rollout that waits for something that no watch tells of."""
ROLLBACK_POLL = 1.0
NEXT_TRY_TO_CONFIRM = 5.0
"""Seconds, at most, until it is asked again whether the API server is still busy."""


class Beats:
    """Answers in seconds from now. Holds no state."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def after(self, rollout: Rollout, decision: Decision) -> float | None:
        """Until the next look after a decision that is carried out; None for not before something happens."""
        now = self._clock.now()
        moments = [decision.next_due - now] if decision.next_due is not None else []
        poll = _poll(rollout, decision.status)
        if poll is not None:
            moments.append(self._beat(rollout, poll))
        if rollout.put_off:
            # On a beat, which is another moment for each rollout.
            moments.append(self._beat(rollout, NEXT_TRY_TO_CONFIRM))
        return max(0.0, min(moments)) if moments else None

    def within(self, rollout: Rollout, delay: float) -> float:
        """In `delay` seconds, or earlier where criteria are judged before."""
        if not rollout.in_flight or rollout.spec is None or rollout.status is None:
            return delay
        poll = _poll(rollout, rollout.status)
        return delay if poll is None else min(delay, self._beat(rollout, poll))

    def waiting(self, rollout: Rollout) -> float:
        """Of a run that cannot begin yet."""
        assert rollout.status is not None
        return self._beat(rollout, _poll(rollout, rollout.status) or WAITING_POLL)

    def _beat(self, rollout: Rollout, poll: float) -> float:
        """Until the next look of every `poll` seconds. Each rollout has its own beat, spread evenly by uid: many that
        started together do not ask together."""
        offset = zlib.crc32(rollout.uid.encode()) / 2**32 * poll
        return poll - (self._clock.now() - offset) % poll


def _poll(rollout: Rollout, status: SyncRolloutStatus) -> float | None:
    assert rollout.spec is not None
    if status.state in (State.COMPLETED, State.ROLLED_BACK) and status.watch is None:
        return None
    if status.state is State.ROLLING_BACK:
        # Nothing but the clock and Prometheus is waited for then; drift wakes the rollout by itself.
        if rollout.spec.prometheus is not None and procedure.readings(rollout.spec, status):
            return rollout.spec.prometheus.interval
        return ROLLBACK_POLL
    if rollout.spec.prometheus is not None:
        return rollout.spec.prometheus.interval
    return WAITING_POLL


__all__ = ["ROLLBACK_POLL", "Beats"]

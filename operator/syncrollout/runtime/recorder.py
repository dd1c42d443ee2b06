"""Writing down what was decided: the one status write of a pass, when it is worth a request; Events and log lines after
it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from syncrollout.act.record import status_patch
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import HistoryEntry, SyncRolloutStatus
from syncrollout.api.words import State
from syncrollout.decide.actions import Decision
from syncrollout.decide.deliveries import Delivery
from syncrollout.ports import Clock, Conflict, KubeApi, ObjectRef, PatchType, Turn
from syncrollout.runtime.logs import log_context
from syncrollout.runtime.rollouts import Rollout, Rollouts

log = logging.getLogger(__name__)

LATEST_CONFIRMATION = 60.0
"""Seconds for which a status that only confirms a step may go unwritten while the API server is busy."""
RETELL = 60.0
"""Seconds that a transition may be old for its Event to be posted again after a restart: the process that recorded it
may have died before, and the one after that too."""


class Storyteller(Protocol):
    """Posts Events in its own time; `runtime.story` has the real one."""

    def tell(self, rollout: Rollout, entries: tuple[HistoryEntry, ...]) -> None:
        """Post the Events of these transitions, without waiting."""
        ...


class Postman(Protocol):
    """Sends messages in its own time; `act.messenger` has the real one."""

    @property
    def closing(self) -> bool:
        """It is about to stop: nothing more is to be recorded as being sent."""
        ...

    def found(self, owner: ObjectRef, uid: str) -> Mapping[str, Delivery]:
        """What is known of attempts that are recorded as under way."""
        ...

    def claim(self, owner: ObjectRef, uid: str, recorded: Mapping[str, Any], status: SyncRolloutStatus) -> None:
        """This status is about to be written over `recorded`: what it says is being sent is to be sent here."""
        ...

    def begin(
        self, owner: ObjectRef, uid: str, spec: SyncRolloutSpec, recorded: Mapping[str, Any], status: SyncRolloutStatus
    ) -> None:
        """What was claimed and stands recorded is sent, without waiting."""
        ...

    def disclaim(self, owner: ObjectRef) -> None:
        """What was claimed for the last write was certainly not written."""
        ...

    def abandon(self, which: Callable[[ObjectRef], bool] = ...) -> None:
        """This process leads no more, or no more for these rollouts."""
        ...

    def busy(self, which: Callable[[ObjectRef], bool]) -> bool:
        """Whether something of these rollouts is on its way."""
        ...

    def forget(self, owner: ObjectRef) -> None:
        """The rollout is gone."""
        ...


class Recorder:
    """Writes decisions down. `crowded` says whether what can wait had better."""

    def __init__(
        self,
        *,
        api: KubeApi,
        rollouts: Rollouts,
        story: Storyteller,
        postman: Postman | None,
        clock: Clock,
        crowded: Callable[[], bool],
    ) -> None:
        self._api = api
        self._rollouts = rollouts
        self._story = story
        self._postman = postman
        self._clock = clock
        self._crowded = crowded

    async def record(self, rollout: Rollout, decision: Decision) -> None:
        """One write at most, guarded by the resourceVersion that the decision rests on; what has happened is told only
        once it stands. Raises ApiError: then nothing was told, and the next pass decides anew, but for a rollback."""
        if rollout.told is None:
            # After a restart the last transitions may be recorded and their Events not posted: once more, same names.
            history = rollout.status.history if rollout.status is not None else ()
            rollout.logged = history[-1].sequence if history else 0
            again = [entry.sequence for entry in history if self._clock.now() - entry.time < RETELL]
            rollout.told = min(again, default=rollout.logged) - 1 if history else 0
        status = decision.status
        if decision.write or rollout.unrecorded or rollout.put_off:
            if self._put_off(rollout, decision):
                rollout.status = status
                return
            if not decision.write:
                status = status.model_copy(update={"refreshed": round(self._clock.now(), 3)})
            await self._write(rollout, decision, status)
        rollout.status = status
        self._tell(rollout, status)
        if self._postman is not None and rollout.spec is not None:
            self._postman.begin(rollout.key.ref, rollout.uid, rollout.spec, rollout.recorded, status)

    def catch_up(self, rollout: Rollout) -> None:
        """Tell what stands in the status of a rollout at rest, for which nothing more is written: the write that
        recorded it may be one whose answer was lost."""
        if rollout.told is None:
            return
        recorded = rollout.raw.get("status") or {}
        history = recorded.get("history")
        if history and history[-1]["sequence"] > rollout.told:
            self._tell(rollout, SyncRolloutStatus.model_validate(recorded))

    async def _write(self, rollout: Rollout, decision: Decision, status: SyncRolloutStatus) -> None:
        another_run = rollout.status is not None and rollout.status.run != status.run
        keep(rollout, decision, status)
        if (rollout.raw.get("status") or {}) != rollout.recorded:
            # The resourceVersion would not tell: it is that of what came in since.
            raise Conflict("another status was recorded meanwhile than the one that this decision rests on")
        if self._postman is not None and status.notifications is not None:
            self._postman.claim(rollout.key.ref, rollout.uid, rollout.recorded, status)
        try:
            answer = await self._api.patch(
                rollout.key.ref,
                status_patch(rollout.recorded, status, rollout.resource_version),
                PatchType.MERGE,
                subresource="status",
                urgent=decision.urgent,
                turn=_turn(rollout, decision),
            )
        except Conflict:
            if self._postman is not None:
                self._postman.disclaim(rollout.key.ref)
            raise
        self._rollouts.put(answer)
        rollout.recorded, rollout.unrecorded, rollout.put_off = answer.get("status") or {}, False, 0.0
        if decision.lasting or another_run:
            rollout.gone_back = None

    def _tell(self, rollout: Rollout, status: SyncRolloutStatus) -> None:
        entries = tuple(entry for entry in status.history if entry.sequence > (rollout.told or 0))
        if not entries:
            return
        rollout.told = entries[-1].sequence
        self._story.tell(rollout, entries)
        for entry in entries:
            if entry.sequence > rollout.logged:
                rollout.logged = entry.sequence
                level = logging.WARNING if entry.type == "Warning" else logging.INFO
                with log_context(phase=phase_name(status)):  # which may have begun in this very pass
                    log.log(level, "%s: %s", entry.reason.value, entry.message)

    def _put_off(self, rollout: Rollout, decision: Decision) -> bool:
        """Whether to write later what says nothing but that the step stands which is recorded already. Where many
        rollouts change phase at one moment, the next steps of all go before the confirmations of any, which most often
        go with the next step then; should this process die before, the time of the phase begins with the one after it,
        some seconds later."""
        before, after = rollout.status, decision.status
        confirms = (
            before is not None
            and before.state is after.state is State.PROGRESSING
            and before.run == after.run
            and (before.history, before.retired) == (after.history, after.retired)
            and (before.shards, before.mirror) == (after.shards, after.mirror)
            and (before.incident, before.requests, before.drill) == (after.incident, after.requests, after.drill)
            and (before.approvals, before.skipped, before.hold) == (after.approvals, after.skipped, after.hold)
            and (before.reports, before.finished_jobs) == (after.reports, after.finished_jobs)
            and before.notifications == after.notifications
            and (before.day_one, before.verifications) == (after.day_one, after.verifications)
            and before.observed_generation == after.observed_generation
        )
        if not confirms or decision.actions or rollout.unrecorded or not self._crowded():
            return False
        now = asyncio.get_running_loop().time()
        rollout.put_off = rollout.put_off or now
        return now < rollout.put_off + LATEST_CONFIRMATION


def keep(rollout: Rollout, decision: Decision, status: SyncRolloutStatus | None = None) -> None:
    """Whatever becomes of carrying it out and of the write: what lasts is never decided otherwise by a later pass of
    this process. `status`: the decision's, as it is about to be written."""
    if decision.lasting:
        rollout.status, rollout.unrecorded = status or decision.status, True


def _turn(rollout: Rollout, decision: Decision) -> Turn:
    """When a status is written, of many: a run whose finalizer is set has begun, and goes before steps that have not.
    A status that nothing waits for lets them all go before it."""
    told = rollout.status is not None and rollout.status.history == decision.status.history
    if told and not decision.actions:
        return Turn.LAST
    return Turn.FIRST if rollout.starting else Turn.STEP


def phase_name(status: SyncRolloutStatus | None) -> str:
    """The phase as log lines name it; empty before the first."""
    return "" if status is None or status.phase is None else status.phase.name


__all__ = ["Postman", "Recorder", "Storyteller", "keep", "phase_name"]

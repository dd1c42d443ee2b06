"""Carrying out the steps of a handover: the assignment is written, pod templates are stamped."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from syncrollout.act import assignment
from syncrollout.act.target import Target, shards_ref, workload_ref
from syncrollout.api.words import EPOCH_ANNOTATION, SHARDS_LABEL, Reason
from syncrollout.decide.actions import Assign, StampEpoch
from syncrollout.decide.facts import Assignment, Problem
from syncrollout.observe import workloads
from syncrollout.ports import ActingApi, Conflict, Invalid, KubeApi, NotFound, Object, ObjectCache, ObjectRef, PatchType


class Write(Protocol):
    """Sends a write, and remembers where its answer was lost."""

    async def __call__(self, ref: ObjectRef, sent: Awaitable[Object]) -> Object:
        """The answer."""
        ...


class Handover:
    """Writes assignments and stamps. Every write names what it rests on, and finds itself done where it is."""

    def __init__(self, api: ActingApi, cache: ObjectCache, write: Write) -> None:
        self._api = api
        self._cache = cache
        self._write = write

    async def assign(self, target: Target, action: Assign, *, urgent: bool) -> None:
        """Write an assignment where what it replaces stands. Raises Conflict where something else does."""
        ref = shards_ref(target)
        if ref is None:
            raise Invalid(f"{target.ref}: without spec.traffic.shards there is nowhere to write {action.assignment}")
        obj = await self._cache.fetch(ref, user=str(target.ref), label=SHARDS_LABEL)
        try:
            await self._replace(target, ref, obj or await self._api.get(ref), action, urgent=urgent)
        except NotFound:
            if action.replaces is not None:
                raise Conflict(f"{ref} is gone; looking again") from None
            body = assignment.create(action.assignment, target.migration)
            self._cache.update(await self._write(ref, self._on_behalf(target).create(ref, body)))
        except Conflict:
            # The cache was behind, or somebody has changed labels: once more on what stands now.
            await self._replace(target, ref, await self._api.get(ref), action, urgent=urgent)

    def _on_behalf(self, target: Target) -> KubeApi:
        return self._api.acting_as(target.behalf, moves=True)

    async def _replace(self, target: Target, ref: ObjectRef, obj: Object, action: Assign, *, urgent: bool) -> None:
        stands = assignment.read(obj, target.migration)
        if stands == action.assignment:
            self._cache.update(obj)
            return
        readable = stands if isinstance(stands, Assignment) else None
        theirs = isinstance(stands, Problem) and stands.reason is not Reason.ASSIGNMENT_INVALID
        if theirs or readable != action.replaces:
            self._cache.update(obj)
            raise Conflict(f"{ref} does not hold what it should ({action.replaces}), but {stands}; looking again")
        operations = assignment.patch(obj, action.assignment, target.migration)
        answer = self._on_behalf(target).patch(ref, operations, PatchType.JSON, urgent=urgent)
        self._cache.update(await self._write(ref, answer))

    async def stamp(self, target: Target, action: StampEpoch, *, urgent: bool) -> None:
        """Write the epoch on a side's pod template, so that its pods are made anew; of a CronJob, those to come."""
        ref = workload_ref(target.system(action.side), target.ref.namespace)
        obj = await self._cache.fetch(ref, user=str(target.ref))
        if obj is None or workloads.epoch(workloads.template(obj) or {}) >= action.epoch:
            return  # gone, which the facts of the next pass say; or done
        if ref.kind.kind not in workloads.TEMPLATED and workloads.template(obj) is None:
            raise Invalid(
                f"{ref} has no pod template at spec.template that could be stamped: use method Ack or Drain in "
                "spec.traffic.shards.handover"
            )
        # of this very object: one made anew under the name has pods that know the assignment
        body = workloads.stamped(obj, {EPOCH_ANNOTATION: str(action.epoch)})
        answer = self._on_behalf(target).patch(ref, body, PatchType.MERGE, urgent=urgent)
        self._cache.update(await self._write(ref, answer))


__all__ = ["Handover"]

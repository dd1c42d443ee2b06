"""What is known of a rollout's shards: the assignment as it stands, and who still has to let go of slots."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from syncrollout.act import assignment
from syncrollout.act.target import Target, shards_ref, workload_ref
from syncrollout.api.spec import HandoverMethod
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import SHARDS_LABEL, Reason, Side
from syncrollout.decide.facts import Assignment, Facts, HoldersFact, Problem, ShardsFact
from syncrollout.decide.shards import awaited
from syncrollout.observe import workloads
from syncrollout.observe.holders import Holders, Question
from syncrollout.ports import ApiError, Forbidden, KindNotServed, KubeApi, NotFound, Object, ObjectCache

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looks:
    """At whose pods to look, and for which assignment."""

    assignment: Assignment
    sides: frozenset[Side]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the holders has brought; it speaks of this assignment and of no other."""

    assignment: Assignment
    old: HoldersFact | None = None
    new: HoldersFact | None = None
    problems: tuple[Problem, ...] = ()

    def on(self, facts: Facts) -> Facts:
        """The facts with this look in them, where it still speaks of them."""
        if facts.shards is None or facts.shards.assignment != self.assignment:
            return facts
        shards = replace(facts.shards, old=self.old, new=self.new)
        return replace(facts, shards=shards, problems=(*facts.problems, *self.problems))


class Shards:
    """Looks at ConfigMaps and holders on behalf of the gatherer."""

    def __init__(self, api: KubeApi, cache: ObjectCache, holders: Holders) -> None:
        self._api = api
        self._cache = cache
        self._holders = holders

    async def fact(self, target: Target, found: list[Problem]) -> ShardsFact | None:
        """The assignment as it stands; None without shards, and where nothing is known of it: `found` says why."""
        ref = shards_ref(target)
        if ref is None:
            return None
        found += await self._unfit(target)
        try:
            obj = await self._cache.fetch(ref, user=str(target.ref), label=SHARDS_LABEL)
            # One that does not carry our label is not seen by the watch, and one made a moment ago not yet.
            obj = obj or await self._api.get(ref)
        except KindNotServed:
            raise
        except NotFound:
            return ShardsFact(None)
        except Forbidden as error:
            found.append(Problem(Reason.FORBIDDEN, str(error)))
            return None
        stands = assignment.read(obj, target.migration)
        if isinstance(stands, Problem):
            found.append(stands)
            return ShardsFact(None) if stands.reason is Reason.ASSIGNMENT_INVALID else None
        return ShardsFact(stands)

    def looks(self, target: Target, status: SyncRolloutStatus, facts: Facts) -> Looks | None:
        """At whose pods a handover has to look now; None where none waits."""
        spec = target.spec.traffic.shards
        if spec is None or facts.shards is None or facts.shards.assignment is None:
            return None
        sides = awaited(spec, facts.shards.assignment, status.shards)
        return Looks(facts.shards.assignment, sides) if sides else None

    async def look(self, target: Target, looks: Looks | None) -> Looked | None:
        """Who holds slots of these sides."""
        if looks is None:
            return None
        sides = [side for side in Side if side in looks.sides]
        answers = await asyncio.gather(*(self._one(target, Question(side, looks.assignment.epoch)) for side in sides))
        seen = {side: each for side, each in zip(sides, answers, strict=True) if isinstance(each, HoldersFact)}
        problems = tuple(each for each in answers if isinstance(each, Problem))
        return Looked(looks.assignment, seen.get(Side.OLD), seen.get(Side.NEW), problems)

    async def _one(self, target: Target, question: Question) -> HoldersFact | Problem | None:
        try:
            return await self._holders.look(target, question, await self._workload(target, question.side))
        except ApiError as error:
            # Not known is not let go; the next look comes soon, and what else the pass has to do goes on.
            log.warning("who holds slots of %s cannot be seen: %s", question.side.value.lower(), error)
            return None

    async def _workload(self, target: Target, side: Side) -> Object | None:
        try:
            return await self._cache.fetch(
                workload_ref(target.system(side), target.ref.namespace), user=str(target.ref)
            )
        except (Forbidden, KindNotServed):
            return None

    async def _unfit(self, target: Target) -> list[Problem]:
        """Workloads that cannot be restarted by their pod template."""
        spec = target.spec.traffic.shards
        if spec is None or spec.handover.method is not HandoverMethod.RESTART:
            return []
        found = []
        for side in Side:
            ref = workload_ref(target.system(side), target.ref.namespace)
            obj = None if ref.kind.kind in workloads.TEMPLATED else await self._workload(target, side)
            if obj is not None and workloads.template(obj) is None:
                message = (
                    f"{ref} has no pod template at spec.template that could be stamped, so method Restart cannot "
                    "restart it: use method Ack or Drain in spec.traffic.shards.handover"
                )
                found.append(Problem(Reason.INVALID_SPEC, message))
        return found


__all__ = ["Looked", "Looks", "Shards"]

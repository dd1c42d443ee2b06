"""What drills ask and make, beside the passes: tasks of their own, one at a time for each rollout, so that a pass, and
the way back above all, never waits for any of it. What they have found is kept until the drill has ended.

What is tried is tried by the code that a rollback runs, on an API server that changes nothing (`trying`). All of it may
be done again: after a restart it is, but for the Job, whose name was recorded before it is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from syncrollout.act.jobs import KEEP, JobMaker
from syncrollout.act.perform import Performer
from syncrollout.act.target import Target
from syncrollout.act.trying import TryingApi, UntouchedCache
from syncrollout.api.spec import SyncRolloutSpec, VolumeSnapshot
from syncrollout.decide.actions import Rehearse, RehearseJob, SetMirror, SetWeight, Try
from syncrollout.decide.check_facts import SnapshotFact
from syncrollout.decide.facts import (
    JobFact,
    JobState,
    Reading,
    ReadingKey,
    Rehearsal,
    Tried,
)
from syncrollout.ports import (
    ActingApi,
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    NotLeading,
    Object,
    ObjectCache,
    ObjectRef,
    PatchType,
    Unavailable,
)

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""Drills of all rollouts whose tries are under way at one moment; the others wait for their turn."""
PATIENCE: Final = 60.0
"""Seconds for which a try is repeated that an API server could not answer, or that something else came before."""
REFUSED_FOR: Final = 3.0
"""Seconds for which a right that is refused may be a passing trouble: an API server that has just started refuses
everybody until it has loaded its roles."""
AGAIN_AFTER: Final = 2.0
MADE_AGAIN_AFTER: Final = 5.0
"""Seconds after which a Job that an API server would not have is tried to be made again."""
LOOK_EVERY: Final = 1.0
"""Seconds between looks at the Job of a drill."""
_ENDED: Final = frozenset({JobState.COMPLETE, JobState.FAILED, JobState.STOPPED})


class MetricReader(Protocol):
    """Readings of a rollout's metrics; `observe.metrics` has the real one."""

    def read(
        self, spec: SyncRolloutSpec, owner: ObjectRef, phase: str, keys: frozenset[ReadingKey], since: float | None
    ) -> Coroutine[None, None, Mapping[ReadingKey, Reading]]:
        """A reading for every key."""
        ...


class JobReader(Protocol):
    """How far Jobs are; `observe.jobs` has the real one."""

    async def look(self, target: Target, names: tuple[str, ...]) -> Mapping[str, JobFact]:
        """Each of these Jobs as it stands now. Never raises for what an API server can answer."""
        ...


class SnapshotReader(Protocol):
    """VolumeSnapshots as backups; `observe.snapshots` has the real one."""

    async def look(self, target: Target, asked: VolumeSnapshot | None) -> SnapshotFact | None:
        """The snapshot that counts. Never raises for what an API server can answer."""
        ...


@dataclass(slots=True)
class _Drill:
    """What goes on for one rollout."""

    stamp: str
    found: Rehearsal = field(default_factory=Rehearsal)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Rehearsals:
    """Carries out what drills ask for. `wake` is told of each rollout about which there is news."""

    def __init__(
        self,
        api: ActingApi,
        cache: ObjectCache,
        metrics: MetricReader,
        jobs: JobReader,
        *,
        snapshots: SnapshotReader,
        wake: Callable[[ObjectRef], None],
        keep_jobs: float = KEEP,
    ) -> None:
        self._api = api
        self._cache = cache
        self._metrics = metrics
        self._jobs = jobs
        self._snapshots = snapshots
        self._maker = JobMaker(api, _sent, keep_jobs)
        self._wake = wake
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._drills: dict[str, _Drill] = {}

    def found(self, owner: ObjectRef) -> tuple[str, Rehearsal] | None:
        """The stamp of the drill that goes on for a rollout, and what it has found; None where none does."""
        drill = self._drills.get(str(owner))
        return (drill.stamp, drill.found) if drill is not None else None

    def begin(self, target: Target, action: Rehearse | RehearseJob) -> None:
        """Begin it, and come back at once. What goes on for an earlier stamp is given up."""
        drill = self._drills.get(str(target.ref))
        if drill is None or drill.stamp != action.stamp:
            self.end(str(target.ref))
            drill = self._drills[str(target.ref)] = _Drill(action.stamp)
        if isinstance(action, RehearseJob):
            drill.found = replace(drill.found, job=JobFact(JobState.UNSEEN))
            work = self._run(target, drill, action)
        else:
            work = self._try_all(target, drill, action)
        drill.tasks.append(asyncio.get_running_loop().create_task(self._minding(target, drill, work), name="drill"))

    def end(self, owner: str) -> None:
        """Nothing more is done, and nothing known, for the drill of this rollout: `owner` is its reference as text."""
        drill = self._drills.pop(owner, None)
        for task in drill.tasks if drill is not None else ():
            task.cancel()

    async def close(self) -> None:
        """End all of them."""
        tasks = [task for drill in self._drills.values() for task in drill.tasks]
        for owner in list(self._drills):
            self.end(owner)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _minding(self, target: Target, drill: _Drill, work: Coroutine[None, None, None]) -> None:
        """An error of our own costs the drill, and nothing else: its deadline ends it."""
        try:
            await work
        except NotLeading:
            self._forget(target, drill)  # whoever leads goes on from what is recorded, and so may this process later
        except Exception:  # it must not go unseen in a task that nobody awaits
            log.exception("the drill of %s ended in an error of the operator's own", target.ref)

    def _forget(self, target: Target, drill: _Drill) -> None:
        if self._drills.get(str(target.ref)) is drill:
            del self._drills[str(target.ref)]

    # ---- tries -------------------------------------------------------------------------------------------------

    async def _try_all(self, target: Target, drill: _Drill, action: Rehearse) -> None:
        backup: Reading | None = None
        async with self._turns:
            tried = tuple([await self._try(target, each) for each in action.tries])
            if action.backup is not None:
                keys = frozenset({action.backup})
                read = await self._metrics.read(target.spec, target.ref, target.spec.phases[0].name, keys, None)
                backup = read.get(action.backup)
            snapshot = await self._snapshots.look(target, action.snapshot)
        drill.found = replace(drill.found, tried=tried, backup=backup, snapshot=snapshot)
        self._wake(target.ref)

    async def _try(self, target: Target, each: Try) -> Tried:
        """Tried until there is an answer: what cannot be asked just now says nothing of a rollback."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            asked = clock()
            try:
                await self._once(target, each)
            except NotLeading:
                raise
            except (Unavailable, Conflict, Forbidden) as error:
                if clock() - began < (REFUSED_FOR if isinstance(error, Forbidden) else PATIENCE):
                    await asyncio.sleep(AGAIN_AFTER)
                    continue
                return Tried(each.name, str(error), clock() - asked)
            except ApiError as error:
                return Tried(each.name, str(error), clock() - asked)
            return Tried(each.name, "", clock() - asked)

    async def _once(self, target: Target, each: Try) -> None:
        api = TryingApi(self._api)
        performer = Performer(api, UntouchedCache(self._cache))
        if not isinstance(each.action, SetWeight | SetMirror):
            await performer.perform(target, (each.action,), urgent=False)
            return
        target = target.only(each.route)
        ref = target.route(target.spec.traffic.routes[0])
        obj = await self._cache.fetch(ref, user=str(target.ref))
        if obj is None:
            raise NotFound(f"{ref} does not exist")
        await performer.perform(target, (each.action,), urgent=False)
        if not api.sent:  # it stands there already: may it be written all the same?
            same = {"op": "test", "path": "/metadata/uid", "value": obj["metadata"]["uid"]}
            await api.acting_as(target.behalf).patch(ref, [same], PatchType.JSON)

    # ---- the Job -----------------------------------------------------------------------------------------------

    async def _run(self, target: Target, drill: _Drill, action: RehearseJob) -> None:
        """Make the Job unless it was seen, and look at it until it has ended. Not made once its budget is used up: it
        would run on for all of it when nobody listens any more."""
        clock = asyncio.get_running_loop().time
        seen, name, ends, again = action.seen, action.job.name, clock() + action.job.seconds, 0.0
        while True:
            fact = (await self._jobs.look(target, (name,)))[name]
            if fact.state is JobState.MISSING and not seen:
                if again <= clock() < ends:
                    refused = await self._make(target, action)
                    again = clock() + (MADE_AGAIN_AFTER if refused else 0.0)
                    fact = JobFact(JobState.UNSEEN, refused)
                else:
                    fact = drill.found.job or fact
            elif fact.state not in (JobState.MISSING, JobState.UNSEEN):
                seen = True
            if fact != drill.found.job:
                drill.found = replace(drill.found, job=fact)
                self._wake(target.ref)
            if fact.state in _ENDED or (fact.state is JobState.MISSING and seen):
                return
            await asyncio.sleep(LOOK_EVERY)

    async def _make(self, target: Target, action: RehearseJob) -> str:
        """What the API server has against it, in words; empty where it is made."""
        try:
            await self._maker.create(target, action.job)
        except NotLeading:
            raise
        except ApiError as error:
            return str(error)[:500]
        return ""


async def _sent(ref: ObjectRef, sent: Awaitable[Object]) -> Object:
    """Whether a Job was made although no answer came is seen by looking at it."""
    del ref
    return await sent


__all__ = ["JobReader", "MetricReader", "Rehearsals"]

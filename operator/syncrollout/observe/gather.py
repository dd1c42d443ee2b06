"""Gathering the facts of one rollout: workloads, services and routes from the cache, readings from Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from syncrollout.act import mirrors, weights
from syncrollout.act.perform import MOMENT
from syncrollout.act.target import Target, workload_ref
from syncrollout.api.spec import PODS, RouteRef, SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Reason, Request, Side, State
from syncrollout.decide import (
    checklist,
    criteria,
    procedure,
    rehearsal,
    verify,
)
from syncrollout.decide.check_facts import CheckFact
from syncrollout.decide.facts import (
    CronJobFact,
    Facts,
    MirrorFact,
    Problem,
    Reading,
    ReadingKey,
    Rehearsal,
    RouteFact,
    WorkloadFact,
)
from syncrollout.decide.waited_for import FreezesFact
from syncrollout.observe import workloads
from syncrollout.observe.autoscalers import Autoscalers
from syncrollout.observe.finished_jobs import CronJobReader
from syncrollout.observe.pods import PodReader, Seen
from syncrollout.observe.shards import Looked, Looks, Shards
from syncrollout.observe.steps import Asked, Steps
from syncrollout.observe.steps import Seen as StepsSeen
from syncrollout.ports import ApiError, Forbidden, KindNotServed, KindRef, Object, ObjectCache, ObjectRef, Unavailable

SERVICE = KindRef("v1", "Service")


class MetricReader(Protocol):
    """Readings of a rollout's metrics; `observe.metrics` has the real one."""

    def read(
        self, spec: SyncRolloutSpec, owner: ObjectRef, phase: str, keys: frozenset[ReadingKey], since: float | None
    ) -> Coroutine[None, None, Mapping[ReadingKey, Reading]]:
        """A reading for every key; what cannot be read is a Reading with `unknown`. `since`: when the phase began."""
        ...


class AlertReader(Protocol):
    """Alerts that were pushed; `observe.alerts` has the real one."""

    def readings(
        self, spec: SyncRolloutSpec, namespace: str, wanted: Iterable[ReadingKey]
    ) -> Mapping[ReadingKey, Reading]:
        """A reading above 0 for each wanted alert that fires by push; none for the others."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked for beyond the cache."""

    readings: Mapping[ReadingKey, Reading]
    looked: Looked | None
    steps: StepsSeen
    checks: Mapping[str, CheckFact]

    def on(self, facts: Facts) -> Facts:
        """The facts with the answers in them. What was pushed is newer than what was answered."""
        facts = self.steps.on(replace(facts, readings={**self.readings, **facts.readings}, checks=self.checks))
        return facts if self.looked is None else self.looked.on(facts)


def wanted(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> frozenset[ReadingKey]:
    """The readings that a decision will rest on. A rollback asks for none: it waits for nothing; once everything stands
    at old it may be seen whether traffic is there too."""
    if status.state is State.ROLLING_BACK:
        cause = status.rollback
        stands = cause is not None and cause.confirmed is not None and not procedure.switched(cause)
        return procedure.readings(spec, status) | (verify.readings(spec) if stands else frozenset())
    if spec.emergency_stop:
        return frozenset()
    if _watched(status):
        return criteria.phase_readings(spec, None)
    if not status.in_flight:
        return criteria.all_readings(spec) | checklist.readings(spec)
    name = status.phase.name if status.phase is not None else ""
    return criteria.phase_readings(spec, next((phase for phase in spec.phases if phase.name == name), None))


class CheckReader(Protocol):
    """What was found of the checklist before the start; `observe.checks` has the real one."""

    async def look(self, target: Target) -> Mapping[str, CheckFact]:
        """Of each line that somebody has to look at, by its name."""
        ...


async def _nothing() -> Mapping[str, CheckFact]:
    return {}


class DrillReader(Protocol):
    """What drills have found; `act.rehearsals` has the real one."""

    def found(self, owner: ObjectRef) -> tuple[str, Rehearsal] | None:
        """The stamp of the drill that goes on for a rollout, and what it has found."""
        ...


class FreezeReader(Protocol):
    """Freezes that rollouts share; `observe.freezes` has the real one."""

    async def look(self, target: Target, status: SyncRolloutStatus) -> FreezesFact | None:
        """The freezes of a ConfigMap, or why they are not known; None where there is nothing to look at."""
        ...


class TemplateReader(Protocol):
    """Templates of messages; `observe.templates` has the real one."""

    async def problem(self, target: Target) -> Problem | None:
        """What a person has to mend before a run begins."""
        ...


class HostReader(Protocol):
    """Hosts that a spec names; `observe.named_hosts` has the real one."""

    def problem(self, spec: SyncRolloutSpec) -> Problem | None:
        """What a person has to mend before a run begins."""
        ...


class AccountReader(Protocol):
    """Accounts that rollouts are carried out as; `observe.accounts` has the real one."""

    async def problem(self, target: Target) -> Problem | None:
        """What a person has to mend before a run begins."""
        ...


class Gatherer:
    """Gathers facts through the ports: what the API server knows, and apart from it what Prometheus says."""

    def __init__(
        self,
        cache: ObjectCache,
        metrics: MetricReader,
        shards: Shards,
        autoscalers: Autoscalers,
        alerts: AlertReader,
        *,
        steps: Steps,
        pods: PodReader,
        drills: DrillReader,
        finished: CronJobReader,
        checks: CheckReader,
        freezes: FreezeReader,
        templates: TemplateReader,
        hosts: HostReader,
        accounts: AccountReader,
    ) -> None:
        self._cache = cache
        self._metrics = metrics
        self._shards = shards
        self._autoscalers = autoscalers
        self._alerts = alerts
        self._steps = steps
        self._pods = pods
        self._drills = drills
        self._finished = finished
        self._checks = checks
        self._freezes = freezes
        self._templates = templates
        self._hosts = hosts
        self._accounts = accounts

    async def gather(
        self,
        target: Target,
        status: SyncRolloutStatus,
        *,
        generation: int,
        deleting: bool,
        has_finalizer: bool,
        problems: tuple[Problem, ...] = (),
        refused: Problem | None = None,
        recent_repairs: int = 0,
        requests: Mapping[Request, str] | None = None,
        requested_by: str = "",
        hold: str | None = None,
        reports: Mapping[str, str] | None = None,
        attestations: Mapping[str, str] | None = None,
        unread: Mapping[ObjectRef, ApiError] | None = None,
    ) -> Facts:
        """The facts now, of readings only alerts that were pushed, and how new's pods are. Does not wait once all is
        watched. `unread` are routes that are not known to be as the cache has them, and why. In flight one that cannot
        be read is a problem of its own (ROUTE_UNREADABLE), for the others may have to go back all the same.

        Raises Unavailable where the API server cannot be asked: the pass is then tried again.
        """
        facts = Facts(
            generation=generation,
            deleting=deleting,
            has_finalizer=has_finalizer,
            old=None,
            new=None,
            routes=(),
            problems=problems,
            refused=refused,
            recent_repairs=recent_repairs,
            requests=requests or {},
            requested_by=requested_by,
            hold=hold,
            reports=reports or {},
            attestations=attestations or {},
            name=target.ref.name,
            uid=target.uid,
            rehearsal=self._rehearsal(target, status, generation),
        )
        # An account that may not look at something is told nothing of it; once a run is under way that counts no more.
        barred = None if _active(status) else await self._accounts.problem(target)
        if barred is not None:
            return replace(facts, barred=True, problems=(barred, *problems))
        found = list(problems)
        old, new, (routes, copies), shards, _, (cron_jobs, freezes, _) = await asyncio.gather(
            self._workload(target, status, Side.OLD, found),
            self._workload(target, status, Side.NEW, found),
            self._routes(target, status, found, unread or {}),
            self._shards.fact(target, found),
            self._services(target, found, in_flight=_active(status)),
            asyncio.gather(
                self._cron_jobs(target, status, deleting=deleting),
                self._shared_freezes(target, status, deleting=deleting),
                self._words(target, status, found),
            ),
        )
        keys = wanted(target.spec, status)
        pods = Seen()
        if any(key.metric.startswith(PODS) for key in keys) and not deleting:
            pods = await self._pods.look(target, status, new)
        return replace(
            facts,
            old=old,
            new=new,
            routes=routes,
            mirrors=copies,
            readings={**self._alerts.readings(target.spec, target.ref.namespace, keys), **pods.readings},
            restarts=pods.restarts,
            shards=shards,
            problems=tuple(found),
            cron_jobs=cron_jobs,
            freezes=freezes,
        )

    async def _words(self, target: Target, status: SyncRolloutStatus, found: list[Problem]) -> None:
        """Of messages and hosts, before a run: nothing of them is in the way once it is under way."""
        if _active(status):
            return
        problems = (self._hosts.problem(target.spec), await self._templates.problem(target))
        found.extend(each for each in problems if each is not None)

    async def _cron_jobs(
        self, target: Target, status: SyncRolloutStatus, *, deleting: bool
    ) -> Mapping[str, CronJobFact]:
        # What is going back by a person's will has no Job to wait for, not even for a moment.
        return {} if deleting or target.spec.emergency_stop else await self._finished.look(target, status)

    async def _shared_freezes(self, target: Target, status: SyncRolloutStatus, *, deleting: bool) -> FreezesFact | None:
        return None if deleting or target.spec.emergency_stop else await self._freezes.look(target, status)

    def _rehearsal(self, target: Target, status: SyncRolloutStatus, generation: int) -> Rehearsal | None:
        """What was found for the drill that is recorded, and for nothing else."""
        running = status.drill.running if status.drill is not None else None
        found = self._drills.found(target.ref) if running is not None else None
        if running is None or found is None:
            return None
        return found[1] if found[0] == rehearsal.stamp(running, generation) else None

    def read(self, target: Target, status: SyncRolloutStatus, facts: Facts) -> Coroutine[None, None, Answers] | None:
        """What a decision on these facts rests on and has to be asked for, still to be awaited: readings, and who
        holds slots. None where it needs nothing more."""
        keys = wanted(target.spec, status)
        # Before the start a person has that problem to mend first; in flight, criteria are judged whatever is wrong.
        if facts.deleting or (facts.problems and not _active(status)):
            keys = frozenset()
        # New's pods are looked at with the facts; what is not among them then is of no use now.
        keys = frozenset(key for key in keys - facts.readings.keys() if not key.metric.startswith(PODS))
        looks = self._shards.looks(target, status, facts)
        asked = self._steps.asked(target, status, deleting=facts.deleting)
        open_checks = not (facts.deleting or facts.barred) and checklist.wanted(target.spec, status)
        if not (keys or looks or asked.anything or open_checks):
            return None
        return self._read(target, status, keys, looks, asked, open_checks=open_checks)

    async def _read(
        self,
        target: Target,
        status: SyncRolloutStatus,
        keys: frozenset[ReadingKey],
        looks: Looks | None,
        asked: Asked,
        *,
        open_checks: bool,
    ) -> Answers:
        return Answers(
            *await asyncio.gather(
                self._readings(target, status, keys),
                self._shards.look(target, looks),
                self._steps.look(target, status, asked),
                self._checks.look(target) if open_checks else _nothing(),
            )
        )

    async def _readings(
        self, target: Target, status: SyncRolloutStatus, keys: frozenset[ReadingKey]
    ) -> Mapping[ReadingKey, Reading]:
        if not keys or target.spec.prometheus is None:
            return {}
        phase = status.phase if _active(status) else None
        name = phase.name if phase is not None else target.spec.phases[0].name
        return await self._metrics.read(target.spec, target.ref, name, keys, criteria.counted_since(status))

    async def _workload(
        self, target: Target, status: SyncRolloutStatus, side: Side, found: list[Problem]
    ) -> WorkloadFact | None:
        ref = workload_ref(target.system(side), target.ref.namespace)
        try:
            obj = await self._cache.fetch(ref, user=str(target.ref))
        except (Forbidden, KindNotServed) as error:
            found.append(_refusal(error, ref))
            return None
        if obj is None:
            message = (
                f"the {side.value.lower()} workload {ref} does not exist: create it, or correct spec.{_path(side)}"
            )
            found.append(Problem(Reason.WORKLOAD_NOT_FOUND, message))
            return None
        fact = workloads.read(obj)
        if target.spec.traffic.replicas is None:
            return fact
        try:
            going_back = status.state is State.ROLLING_BACK
            scaled_by = await self._autoscalers.of(ref, wait=not going_back, sure=not status.in_flight)
            return replace(fact, autoscaler=scaled_by)
        except Forbidden as error:
            found.append(Problem(Reason.FORBIDDEN, str(error)))
            return fact

    async def _services(self, target: Target, found: list[Problem], *, in_flight: bool) -> None:
        for side in Side:
            name = target.system(side).service
            if name is None:
                continue
            ref = ObjectRef(SERVICE, target.ref.namespace, name)
            try:
                obj = await self._cache.fetch(ref, user=str(target.ref), names_only=True)
            except (Forbidden, KindNotServed) as error:
                found.append(_refusal(error, ref))
                continue
            except Unavailable:
                if in_flight:
                    continue  # a Service alone must not stand in the way back
                raise
            if obj is None:
                message = f"{ref} does not exist: create it, or correct spec.{side.value.lower()}.service"
                found.append(Problem(Reason.SERVICE_NOT_FOUND, message))

    async def _routes(
        self, target: Target, status: SyncRolloutStatus, found: list[Problem], unread: Mapping[ObjectRef, ApiError]
    ) -> tuple[tuple[RouteFact, ...], tuple[MirrorFact, ...]]:
        facts: list[RouteFact] = []
        copies: list[MirrorFact] = []
        aim, mirrored = _aim(target.spec, status), any(phase.mirrored for phase in target.spec.phases)
        routes: list[RouteRef] = []
        for route in target.spec.traffic.routes:
            unreadable = weights.unreadable(route)
            if unreadable is not None:
                found.append(unreadable)
            else:
                routes.append(route)
        refs = [target.route(route) for route in routes]
        objects = await asyncio.gather(
            *(self._route(target, ref, unread.get(ref), in_flight=_active(status)) for ref in refs)
        )
        for route, ref, obj in zip(routes, refs, objects, strict=True):
            unable = mirrors.unable(route) if mirrored else None
            if unable is not None:
                found.append(unable)
            if isinstance(obj, ApiError):
                found.append(_refusal(obj, ref))
                continue
            if obj is None:
                message = f"the route {ref} does not exist: create it, or correct spec.traffic.routes"
                found.append(Problem(Reason.ROUTE_NOT_FOUND, message))
                continue
            fact = weights.read(route, obj, target.spec.old.service, target.spec.new.service, aim=aim)
            if isinstance(fact, Problem):
                found.append(fact)
            else:
                facts.append(fact)
            if unable is None and (mirrored or status.mirror is not None):
                mirror = mirrors.read(route, obj, target.spec.old.service, target.spec.new.service)
                if isinstance(mirror, Problem):
                    found.append(mirror)
                elif mirror is not None:
                    copies.append(mirror)
        return tuple(facts), tuple(copies)

    async def _route(
        self, target: Target, ref: ObjectRef, unread: ApiError | None, *, in_flight: bool
    ) -> Object | ApiError | None:
        """A route, None where it does not exist, or why it cannot be read."""
        if unread is not None:
            if not in_flight:
                raise unread
            return unread
        try:
            if not in_flight:
                return await self._cache.fetch(ref, user=str(target.ref))
            async with asyncio.timeout(MOMENT):
                return await self._cache.fetch(ref, user=str(target.ref))
        except (Forbidden, KindNotServed) as error:
            return error
        except Unavailable as error:
            if not in_flight:
                raise
            return error
        except TimeoutError:
            return Unavailable(f"{ref} could not be read within {MOMENT:.0f} s")


def _watched(status: SyncRolloutStatus) -> bool:
    return status.watch is not None and not status.in_flight


def _active(status: SyncRolloutStatus) -> bool:
    """Whether there is something that could go back."""
    return status.in_flight or status.watch is not None


def _path(side: Side) -> str:
    return f"{side.value.lower()}.workload"


def _aim(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> int | None:
    if status.state is State.ROLLING_BACK:
        return 0
    if not _active(status) or status.phase is None:
        return spec.phases[0].weight
    name = status.phase.name
    return next((phase.weight for phase in spec.phases if phase.name == name), None)


def _refusal(error: ApiError, ref: ObjectRef) -> Problem:
    if isinstance(error, KindNotServed):
        message = f"{ref.kind} is not served by this cluster: install its CRD, or correct the apiVersion"
        return Problem(Reason.KIND_NOT_SERVED, message)
    if isinstance(error, Forbidden):
        return Problem(Reason.FORBIDDEN, str(error))
    return Problem(Reason.ROUTE_UNREADABLE, f"{ref} cannot be read just now: {error}")

"""One run: a world, what happens in it, where it must end, and the judgement."""

from __future__ import annotations

import asyncio
import gc
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from fakes.controllers import Course
from fakes.kube import Call
from fakes.patching import clone
from simulation import objects
from simulation.faults import Faults
from simulation.invariants import ENDED, Invariants, Plan, only_tells
from simulation.loop import START, VirtualLoop, run
from simulation.metrics import Trouble
from simulation.objects import EVENT, LEASE, ROLLOUT, ROUTES, WORKLOADS
from simulation.people import Deed, edit_spec, pods
from simulation.rights import beyond
from simulation.workers import Workers
from simulation.world import CrashPoint, LogHandler, World, nobody, until
from syncrollout.decide import requests
from syncrollout.decide.deliveries import Delivered
from syncrollout.ports import AppriseWay, KindNotServed, Object, ObjectRef, Outgoing

A_START = 4
"""API requests of a process that is started anew: its lists and watches, before it has decided anything."""
QUIET = 45.0
"""Seconds after the end for which nothing may be written."""
DEAD_FOR = 14.0
"""Seconds, of calm, for which traffic may stay at a side without pods: the longest back-off of a watch, and some."""
LAST_ANSWER = 6.0
"""Seconds after the last fault by which the calls that it befell have ended."""
GONE = "gone"
WAITING = "waiting"
"""No run is in flight, none will start before a person does something."""


@dataclass(slots=True)
class Goal:
    """Where a rollout may end: Completed, RolledBack or gone; with which share of new and how many replicas of old."""

    plan: Plan
    ends: frozenset[str]
    runs: int | None = None
    """How many runs it takes, where that is certain."""
    retires: bool = True
    """Old is at none when it completes."""
    again_after: float | None = None
    """So many seconds after its first run was rolled back, somebody asks for the next."""
    anew: tuple[float, Object] | None = None
    """So many seconds after it is gone, this one is applied."""
    restarts: bool = False
    """By shards: workers read the assignment at their start alone."""
    successor: bool = False
    """Its new becomes the old of another rollout, so that its weights are moved on."""


@dataclass(slots=True)
class Breach:
    """New misbehaves once a phase's weights have stood for `delay` seconds, for `lasts` seconds from then on."""

    plan: Plan
    phase: str
    delay: float
    lasts: float = float("inf")
    pods: bool = False
    """It is not what it measures: its pods crash, until `lasts` after all is calm."""
    within: float | None = None
    """Traffic must be back so many seconds after it is visible, or after the last fault if that is later."""
    since: float | None = None
    back: float | None = None


@dataclass(slots=True)
class Scenario:
    """What a seed means."""

    seed: str
    title: str
    objects: list[Object]
    rollouts: list[tuple[float, Object]]
    """Created so many seconds after the beginning."""
    goals: list[Goal]
    faults: Faults = field(default_factory=Faults)
    trouble: Trouble = field(default_factory=Trouble)
    deeds: list[Deed] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    calm_from: float = 0.0
    """Seconds after the beginning from which on nothing goes wrong any more."""
    worker_deaths: float = 0.0
    worker_hangs: float = 0.0
    """Chances of what happens to workers by shards; see `Workers`."""
    courses: Callable[[Object], Course] | None = None
    """What Jobs do."""
    answers: Callable[[Outgoing], Delivered] | None = None
    """What comes of messages."""
    deaf: list[tuple[float, float]] = field(default_factory=list)
    """From and until so many seconds after the beginning routers do not obey."""
    deadline: float = 200.0
    """Seconds after the beginning by which all must have ended."""
    crash_point: CrashPoint | None = None
    restart_after: float = 1.0
    most_calls: int = 600
    """API requests within any minute of virtual time."""
    elected: bool = False
    """Two processes stand for election; else there is one."""
    partitions: int = 1
    """Into how many the rollouts are divided; with several, two processes share them."""
    more: list[float] = field(default_factory=list)
    """So many seconds after the beginning another process comes."""
    namespaces: tuple[str, ...] | None = None
    """The operator's namespaces; None for all."""
    concurrency: int = 64
    """Passes at once."""


@dataclass(slots=True)
class Report:
    """What came of a run."""

    seed: str
    title: str
    failure: str
    lines: list[str]
    digest: str
    calls: int
    ends: dict[str, str]
    shape: dict[str, list[str]]
    """By rollout: the reasons of its history, in order; the same after a crash as without."""
    processes: int
    most_calls: int
    """In a minute."""
    slowest_back: float
    virtual: float
    """Seconds of virtual time."""
    writes: list[str]
    """The operator's calls in order, as short text."""
    jobs: list[str] = field(default_factory=list)
    """The steps whose Jobs were run, in order."""
    told: list[str] = field(default_factory=list)
    """The ids of the messages that have reached people, in order."""
    beyond: list[str] = field(default_factory=list)
    """Of `rights.beyond`."""


def simulate(scenario: Scenario, *, echo: bool = False) -> Report:
    """Run a scenario on a loop of its own."""
    collecting = gc.isenabled()
    gc.disable()  # a collection would run finalizers at moments that differ from run to run
    try:
        return run(_simulate(scenario, echo=echo))
    finally:
        if collecting:
            gc.enable()
            gc.collect(0)


async def _simulate(scenario: Scenario, *, echo: bool) -> Report:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    world = World(
        scenario.seed,
        _from_start(scenario.faults),
        elected=scenario.elected or scenario.partitions > 1,
        echo=echo,
    )
    handler = LogHandler(world)
    logger = logging.getLogger("syncrollout")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    failure = ""
    runner = _Run(scenario, world)
    try:
        await runner.go()
    except AssertionError as error:
        failure = str(error) or repr(error)
    finally:
        for process in world.processes:
            if process.alive:
                process.crash()
        world.controllers.stop()
        world.jobs.stop()
        loop.cancel_timers_all()
        await asyncio.sleep(0.01)
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
    if not failure and loop.unhandled:
        failure = f"errors that nobody took: {loop.unhandled}"
    return runner.report(failure)


def _traffic(world: World, plan: Plan) -> float:
    if plan.replicas:
        old, new = (objects.replicas_of(world.kube.read(ref)) for ref in (plan.old_ref, plan.new_ref))
        return 100.0 * new / (old + new) if old + new else 0.0
    return max((objects.share(world.kube.read(route), plan.old, plan.new) for route in plan.routes), default=0.0)


def _from_start(faults: Faults) -> Faults:
    faults.until += START
    faults.outages = [(start + START, end + START) for start, end in faults.outages]
    return faults


class _Run:
    def __init__(self, scenario: Scenario, world: World) -> None:
        self.scenario = scenario
        self.world = world
        self.invariants: Invariants
        self.workers: list[Workers] = []
        self.begun: set[str] = set()
        """Rollouts of which a run was ever in flight."""
        self.completed: set[str] = set()
        """Rollouts whose last run completed."""
        self.touched: dict[ObjectRef, float] = {}
        """When a person last wrote a route or workload."""
        self.unseen: dict[str, set[ObjectRef]] = {}
        """By rollout: what a person wrote too late for the operator to see before it came to its end."""

    async def go(self) -> None:
        """All of it; raises AssertionError."""
        scenario, world = self.scenario, self.world
        world.say(f"seed {scenario.seed}: {scenario.title}")
        for obj in scenario.objects:
            world.kube.put(obj)
        world.source.trouble = scenario.trouble
        world.source.trouble.until += START
        world.source.old |= {goal.plan.old for goal in scenario.goals}
        world.source.traffic |= {goal.plan.new: partial(_traffic, world, goal.plan) for goal in scenario.goals}
        self.workers = [
            Workers(
                world,
                goal.plan,
                restarts=goal.restarts,
                deaths=scenario.worker_deaths,
                hangs=scenario.worker_hangs,
                until=START + scenario.calm_from,
            )
            for goal in scenario.goals
            if goal.plan.config_map
        ]
        world.source.deaf = [(start + START, end + START) for start, end in scenario.deaf]
        world.source.blackouts = [(a + START, b + START, what) for a, b, what in world.source.blackouts]
        world.crash_point = scenario.crash_point
        world.jobs.course = scenario.courses or world.jobs.course
        world.people.answers = scenario.answers or world.people.answers
        world.partitions = scenario.partitions
        world.kube.scatter_uids(on=scenario.partitions > 1)
        world.namespaces, world.concurrency = scenario.namespaces, scenario.concurrency
        world.restart_after = scenario.restart_after
        self.invariants = Invariants(world, tuple(goal.plan for goal in scenario.goals))
        for breach in scenario.breaches:
            self._watch_breach(breach)
        self.invariants.dead_for = DEAD_FOR
        self.invariants.calm_from = START + scenario.calm_from + LAST_ANSWER
        world.look = self.invariants.look_at_the_dead
        world.kube.on_effect.append(self._note)
        loop = asyncio.get_running_loop()
        for at, obj in scenario.rollouts:
            loop.call_at(START + at, self._create, obj)
        for deed in scenario.deeds:
            loop.call_at(START + deed.at, self._do, deed)
        world.start()
        if scenario.elected:
            loop.call_at(START + 0.4, world.start)
        for at in scenario.more:
            loop.call_at(START + at, world.start)
        start = max([at for at, _ in scenario.rollouts] + [deed.at for deed in scenario.deeds] + [scenario.calm_from])
        await until(world, lambda: False, START + start + LAST_ANSWER)
        ended = await until(world, self._all_ended, START + scenario.deadline)
        assert ended, f"not at its end after {scenario.deadline:.0f} s: {self._where()}"
        await until(world, lambda: False, world.now + 2.0)  # last Events, stragglers
        writes = self._writes()
        await until(world, lambda: False, world.now + QUIET)
        if WAITING not in map(self._end, scenario.goals):  # verdicts are still brought up to date once a minute
            assert self._writes() == writes, "something is written after the end"
        self._judge()

    def _note(self, call: Call) -> None:
        for goal in self.scenario.goals:
            if call.ref == goal.plan.ref and call.after is None and goal.anew is not None:
                (after, body), goal.anew = goal.anew, None
                asyncio.get_running_loop().call_later(after, self._create, body, context=nobody())
        if call.ref.kind in (*ROUTES, *WORKLOADS) and call.by == "person" and call.subresource != "status":
            self.touched[call.ref] = self.world.now
        if call.ref.kind == ROLLOUT and self.world.unserved and objects.status_of(call.before).get("inFlight"):
            # A kind that is served no longer counts as gone with all its objects, as it is when a CRD is deleted.
            gone = {ref for ref in self._routes(call.ref.name) if ref.kind in self.world.unserved}
            self.unseen.setdefault(call.ref.name, set()).update(gone)
        if call.ref.kind != ROLLOUT or call.after is None or call.by == "person":
            return
        state, status = objects.state_of(call.after), objects.status_of(call.after)
        if state == "Completed":
            self.completed.add(call.ref.name)
        elif status.get("inFlight"):
            self.begun.add(call.ref.name)
            self.completed.discard(call.ref.name)
        if state == "RolledBack" and objects.state_of(call.before) != state and status["run"] == 1:
            for goal in self.scenario.goals:
                if goal.plan.ref == call.ref and goal.again_after is not None:
                    self._mend(goal.plan)
                    deed = Deed(0.0, "the next revision", edit_spec(goal.plan, {"revision": "2"}))
                    asyncio.get_running_loop().call_later(goal.again_after, self._do, deed, context=nobody())
        if state in ENDED and objects.state_of(call.before) != state:
            stale = self.world.chance.faults.stale()
            self.unseen.setdefault(call.ref.name, set()).update(
                ref for ref, at in self.touched.items() if at > self.world.knows_since(ref.kind) - stale
            )

    def _routes(self, name: str) -> tuple[ObjectRef, ...]:
        return next((goal.plan.routes for goal in self.scenario.goals if goal.plan.name == name), ())

    def _mend(self, plan: Plan) -> None:
        for breach in self.scenario.breaches:
            if breach.plan == plan and breach.since is not None:
                breach.lasts = self.world.now - breach.since

    def _create(self, obj: Object) -> None:
        self.world.kube.put(clone(obj))

    def _do(self, deed: Deed) -> None:
        try:
            deed.act(self.world)
            self.world.say(f"people: {deed.text}")
        except KindNotServed:  # once it is served again
            asyncio.get_running_loop().call_later(1.0, self._do, deed, context=nobody())

    def _writes(self) -> int:
        """Events aside, and what has become of messages: the last of both may come late."""
        written = (call for call in self.world.kube.log if call.applied and call.by == "operator")
        return sum(
            1
            for call in written
            if call.ref.kind not in (EVENT, LEASE) and not (call.ref.kind == ROLLOUT and only_tells(call))
        )

    def _all_ended(self) -> bool:
        return all(self._end(goal) in goal.ends for goal in self.scenario.goals) and not any(
            breach.since is not None and breach.back is None and not breach.pods for breach in self.scenario.breaches
        )

    def _end(self, goal: Goal) -> str:
        obj = self.world.kube.read(goal.plan.ref)
        if goal.anew is not None:
            return "not yet: not gone"
        if obj is None:
            return GONE
        status = objects.status_of(obj)
        ended = status.get("state") in ENDED and not objects.held(obj)
        current = status.get("observedGeneration") == obj["metadata"]["generation"]
        if current and not status.get("inFlight") and self._stands_still(goal.plan, str(status.get("reason"))):
            return WAITING
        ran = goal.runs is None or status.get("run", 0) >= goal.runs
        unheard = requests.fresh(objects.requests_of(obj), status.get("requests") or {})
        if ended and current and ran and not unheard:
            return str(status["state"])
        return f"not yet: {status.get('state')}{', asked for ' if unheard else ''}{', '.join(unheard)}"

    def _stands_still(self, plan: Plan, reason: str) -> bool:
        stopped = objects.replicas_of(self.world.kube.read(plan.old_ref)) == 0
        # One that was deleted after its end and made anew finds all traffic at new; a person has to say what is meant.
        return reason in ("EmergencyStop", "TrafficAlreadyAtNew") or (reason == "OldNotReady" and stopped)

    def _where(self) -> str:
        parts = []
        for goal in self.scenario.goals:
            obj = self.world.kube.read(goal.plan.ref)
            status = objects.status_of(obj)
            parts.append(
                f"{goal.plan.name} should be {' or '.join(sorted(goal.ends))} and is {self._end(goal)} "
                f"({status.get('reason')}: {status.get('message')}; run {status.get('run')})"
            )
        return " | ".join(parts)

    # Breaches.

    def _watch_breach(self, breach: Breach) -> None:
        plan, world = breach.plan, self.world

        def bad() -> bool:
            return breach.since is not None and breach.since <= world.now < breach.since + breach.lasts

        if not breach.pods:
            world.source.bad[plan.new] = bad

        def hear(_: object) -> None:
            status = objects.status_of(world.kube.read(plan.ref))
            phase = status.get("phase") or {}
            stands = phase.get("name") == breach.phase and phase.get("since")
            # Where the API server is busy that the phase stands is recorded with the step after it.
            over = any(each["name"] == breach.phase for each in status.get("pastPhases") or ())
            if breach.since is None and (stands or over):
                breach.since = world.now + breach.delay
                if breach.pods:
                    self._crash(breach)
            if breach.since is not None and breach.since <= world.now and breach.back is None and self._back(plan):
                breach.back = world.now

        world.kube.on_effect.append(hear)

    def _crash(self, breach: Breach) -> None:
        loop, plan = asyncio.get_running_loop(), breach.plan
        recovers = max(self.world.now + breach.delay, START + self.scenario.calm_from) + breach.lasts
        for at, text, act in (
            (self.world.now + breach.delay, "new crashes", pods(plan.new_ref, crash=True)),
            (recovers, "new recovers", pods(plan.new_ref, crash=False)),
        ):
            loop.call_at(at, self._do, Deed(0.0, text, act), context=nobody())

    def _back(self, plan: Plan) -> bool:
        if plan.replicas:
            return objects.replicas_of(self.world.kube.read(plan.new_ref)) == 0
        routes = [self.world.kube.read(route) for route in plan.routes]
        return all(objects.share(route, plan.old, plan.new) == 0 for route in routes)

    # Judgement.

    def _judge(self) -> None:
        for goal in self.scenario.goals:
            self._judge_end(goal)
            self._judge_story(goal)
        for breach in self.scenario.breaches:
            if breach.within is None or breach.since is None or breach.back is None:
                continue
            took = breach.back - max(breach.since, START + self.scenario.calm_from)
            assert took <= breach.within, f"traffic of {breach.plan.name} was back {took:.2f} s after the breach"
        for workers in self.workers:
            lost = workers.lost()
            assert not lost, f"{workers.plan.name}: {lost}"
        arrived = [message.id for way, message in self.world.people.came if isinstance(way, AppriseWay)]
        assert len(arrived) == len(set(arrived)), f"a message has arrived twice: {sorted(arrived)}"
        most = self._most_calls(of_a_start=A_START)
        assert most <= self.scenario.most_calls, f"{most} API requests within a minute, those of starts aside"

    def _judge_end(self, goal: Goal) -> None:
        plan, end = goal.plan, self._end(goal)
        old, new = (self.world.kube.read(ref) for ref in (plan.old_ref, plan.new_ref))
        forward = end == "Completed" or (end in (GONE, WAITING) and goal.plan.name in self.completed)
        if not goal.successor:
            for route in plan.routes:
                if route in self.unseen.get(plan.name, set()):
                    continue
                obj = self.world.kube.read(route)
                found = objects.shares(obj, plan.old, plan.new) if obj is not None else []
                assert objects.mirrored(obj, plan.new) == 0, f"{plan.name}: {end}, and {route} still mirrors to new"
                assert set(found) == {100.0 if forward else 0.0}, f"{plan.name}: {end}, and {route} stands at {found}"
        unseen = self.unseen.get(plan.name, set())
        if plan.replicas and (plan.name not in self.begun or unseen & {plan.old_ref, plan.new_ref}):
            return
        if plan.replicas:
            counts = objects.replicas_of(old), objects.replicas_of(new)
            wanted = (0, plan.replicas) if forward else (plan.replicas, 0)
            assert counts == wanted, f"{plan.name}: {end}, and old and new have {counts} replicas"
        elif forward and goal.retires:
            assert objects.replicas_of(old) == 0, f"{plan.name}: Completed, and old still runs"
        else:
            assert objects.ready_of(old) >= plan.old_replicas, (
                f"{plan.name}: {end}, and old has {objects.ready_of(old)}"
            )
        obj = self.world.kube.read(plan.ref)
        if obj is not None and end != WAITING:
            status = objects.status_of(obj)
            # a route that is moved on by its successor no longer says what this one left
            assert status["weight"] == (100 if forward else 0), f"{plan.name}: {end}, status.weight {status['weight']}"
            conditions = {each["type"]: each["status"] for each in status["conditions"]}
            assert conditions["Ready"] == str(forward), f"{plan.name}: {end}, conditions {conditions}"
            assert conditions["Reconciling"] == "False", f"{plan.name}: {end}, conditions {conditions}"

    def _judge_story(self, goal: Goal) -> None:
        """Without crashes and with few enough faults each transition has its Event."""
        obj, faults = self.world.kube.read(goal.plan.ref), self.scenario.faults
        if obj is None or self.world.leaders > 1 or faults.outages or _spoils(faults) > 0.3:
            return
        known = self.invariants.record(obj).histories
        told = {sequence for uid, sequence in self.invariants.events if uid == obj["metadata"]["uid"]}
        assert told == set(known), f"{goal.plan.name}: transitions {sorted(set(known) - told)} have no Event"

    def _most_calls(self, *, of_a_start: int = 0) -> int:
        """In a minute, less so many for each process that was started within it, but for one."""
        times, starts = [call.at for call in self.world.calls], self.world.starts
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] > 60.0:
                first += 1
            begun = bisect_right(starts, at) - bisect_left(starts, times[first])
            most = max(most, last - first + 1 - of_a_start * max(0, begun - 1))
        return most

    def report(self, failure: str) -> Report:
        """What came of it."""
        world = self.world
        shape = {}
        for goal in self.scenario.goals:
            obj = world.kube.read(goal.plan.ref)
            if obj is not None:
                histories = self.invariants.record(obj).histories
                shape[goal.plan.name] = [histories[each]["reason"] for each in sorted(histories)]
        backs = [
            each.back - each.since
            for each in self.scenario.breaches
            if each.back is not None and each.since is not None
        ]
        return Report(
            seed=self.scenario.seed,
            title=self.scenario.title,
            failure=failure,
            lines=world.trace.lines,
            digest=world.trace.digest(),
            calls=len(world.calls),
            ends={goal.plan.name: self._end(goal) for goal in self.scenario.goals},
            shape=shape,
            processes=len(world.processes),
            most_calls=self._most_calls(),
            slowest_back=max(backs, default=0.0),
            virtual=world.now - START,
            writes=[
                f"{'try ' * call.dry_run}{call.verb} {call.ref.kind.kind} {call.subresource}" for call in world.calls
            ],
            jobs=[name.rsplit("-", 1)[0] for name in world.jobs.ran],
            told=[message.id.split("-", 1)[1] for message in world.people.arrived],
            beyond=beyond(world),
        )


def _spoils(faults: Faults) -> float:
    """The chance that a call comes to nothing."""
    return faults.too_many + faults.late + 2 * (faults.error + faults.timeout + faults.reset)


__all__ = ["GONE", "WAITING", "Breach", "Goal", "Report", "Scenario", "simulate"]

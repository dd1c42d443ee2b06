"""A small world for decisions to act on: a perfect cluster, a clock, and an API server that keeps what is written.

Every pass goes through `World.step`, which checks what must hold of every decision (see `invariants`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from decide import invariants
from decide.plans import INTERVAL, Document, parse
from decide.post import Post
from decide.workers import Workers
from syncrollout.api.spec import VERIFY, SyncRolloutSpec
from syncrollout.api.status import HistoryEntry, SyncRolloutStatus
from syncrollout.api.words import (
    Reason,
    Request,
    Side,
    State,
    Task,
    Unknown,
)
from syncrollout.decide import (
    backup,
    checklist,
    criteria,
    evidence,
    keeping_logs,
    own_jobs,
    procedure,
    rehearsal,
    system_probes,
    verifications,
    verify,
)
from syncrollout.decide.actions import (
    Action,
    AddFinalizer,
    Assign,
    CreateJob,
    Decision,
    EndRehearsal,
    KeepLogs,
    Rehearse,
    RehearseJob,
    RemoveFinalizer,
    Restart,
    Scale,
    SetMirror,
    SetWeight,
    StampEpoch,
    WriteReport,
)
from syncrollout.decide.check_facts import CheckFact, SnapshotFact
from syncrollout.decide.facts import (
    CronJobFact,
    Facts,
    JobFact,
    JobState,
    MirrorFact,
    Part,
    ProbeFact,
    Problem,
    Reading,
    ReadingKey,
    Rehearsal,
    RouteFact,
    SeriesFact,
    Span,
    Tried,
    WorkloadFact,
)
from syncrollout.decide.machine import decide
from syncrollout.decide.waited_for import FreezesFact, WaitedFor

START = 1_700_000_000.0
_MISSING = JobFact(JobState.MISSING)
REPAIR_WINDOW = 60.0
MANY_ROUNDS = 40
"""Decisions that may follow each other without time passing; more would be a loop."""


class World:
    """What is true, and what has been recorded. Change its attributes to make things happen."""

    def __init__(self, spec: Document, *, replicas: int = 3) -> None:
        self.document = copy.deepcopy(spec)
        self.spec: SyncRolloutSpec = parse(self.document)
        self.now = START
        self.generation = 1
        self.uid = "6f1c"
        self.deleting = False
        self.finalizer = False
        self.gone = False
        self.pods_start = True
        """Whether replicas that are asked for become ready."""
        self.old: WorkloadFact | None = WorkloadFact(replicas, replicas)
        self.new: WorkloadFact | None = WorkloadFact(replicas, replicas)
        self.routes: dict[str, tuple[float, ...]] = {str(r): (0.0,) for r in self.spec.traffic.routes}
        """Share of new in each rule of each route that exists."""
        self.post = Post()
        """What sends messages, where the spec has audiences."""
        self.workers = Workers(self)
        """The ConfigMap and the pods, where the spec moves shards."""
        self.copies: dict[str, int] = {}
        """What routes mirror to new, percent."""
        self.owners: dict[str, str] = {}
        """By route: why there is no room for a mirror of ours."""
        self.autoscalers: dict[Side, str] = {}
        """Who else scales a side."""
        self.others: list[Problem] = []
        """Problems besides those that follow from what is missing."""
        self.refused: Problem | None = None
        self.values: dict[ReadingKey, Reading] = {}
        for metric in self.spec.metrics:
            self.read(metric.name, 0.5)
            self.read(metric.name, 0.5, side=Side.OLD)
        self.pods_are_well()
        self.work: dict[tuple[str, Side], tuple[float, float]] = {}
        """Of ratios with confidence: events a second, and what the ratio reads of them."""
        self.obeys = True
        """Whether traffic follows the weights at once; else `traffic.verify` reads what `sees` says."""
        self.restarts: dict[str, int] | None = {} if any(t.pods for t in self.spec.rollback.triggers) else None
        """How often each pod of new was restarted, by uid; None where nothing asks for it."""
        self.annotations: dict[Request, str] = {}
        """What people ask for."""
        self.requested_by = ""
        """The name that stands with it."""
        self.approver = ""
        """Who approves as soon as it is asked for, while time passes until something is reached."""
        self.hold: str | None = None
        """Why somebody holds the rollout."""
        self.problems: dict[str, str] = {}
        """What people report: values of annotations by id."""
        self.attestations: dict[str, str] = {}
        """What people confirm: values of annotations by check."""
        self.own_jobs_end: JobFact | None = None
        """How Jobs that are no steps of a rollback end, as soon as they are made; None: they run on."""
        self.found: dict[str, CheckFact] = {}
        """By check: what somebody who looks finds."""
        self.cron_jobs: dict[str, CronJobFact] = {}
        """How the last Jobs of CronJobs have ended."""
        self.freezes: FreezesFact | None = None
        """What the ConfigMap with shared freezes says."""
        self.waited_for: WaitedFor | None = None
        """The rollouts that the run waits for."""
        self.repairs: list[float] = []
        self.restarted: list[str] = []
        """What a side's pod template was stamped with, each time."""
        self.logs: str | None = "an error"
        """What new's pods have printed; None: nobody can read it."""
        self.series: tuple[SeriesFact, ...] = ()
        """What Prometheus has recorded of what broke."""
        self.kept: dict[str, str] = {}
        """The stamps of logs in ConfigMaps."""
        self.snapshot: SnapshotFact | None = None
        """The VolumeSnapshot that there is."""
        self.answers: dict[str, str] = {}
        """By path: what is wrong with what old answers to a probe."""
        self.jobs: dict[str, JobFact] = {}
        """Every Job that was made."""
        self.reports: dict[str, WriteReport] = {}
        """ConfigMaps with reports."""
        self.refuses: dict[str, str] = {}
        """By the name of a check: what the API server has against it when a drill tries it."""
        self.answers_drills = True
        """Whether what a drill tries comes to an end."""
        self.drill: tuple[str, Rehearsal] | None = None
        """The stamp of the drill that the process works for, and what it has found."""
        self.tried: list[Rehearse] = []
        """What drills have tried."""
        self.report_seen = True
        """Whether the ConfigMap of the report can be seen."""
        self.made: list[CreateJob] = []
        """What each of them was made from, in order."""
        self.status = SyncRolloutStatus()
        """As last decided; what the operator remembers."""
        self.recorded = SyncRolloutStatus()
        """As last written; what a restart finds."""
        self.unrecorded = False
        """A rollback is decided and could not be written yet."""
        self.told: list[HistoryEntry] = []
        """Every transition, in the order in which people were told."""
        self.actions: list[Action] = []
        self.writes = 0

    # ---- making things happen ----

    def read(self, metric: str, value: float | Unknown, side: Side = Side.NEW) -> None:
        """From now on the metric reads this, or is Unknown."""
        reading = Reading(None, value, f"asked, but {value}") if isinstance(value, Unknown) else Reading(value)
        self.values[ReadingKey(metric, side)] = reading

    def pods_are_well(self) -> None:
        """Nothing of what triggers ask of new's pods is the case."""
        for trigger in self.spec.rollback.triggers:
            if trigger.pods is not None:
                self.values[ReadingKey(trigger.source)] = Reading(0.0, message=f"{trigger.source}: 0")

    def sees(self, share: float | Unknown) -> None:
        """From now on `traffic.verify` reads this, wherever the weights stand."""
        self.obeys = False
        self.read(VERIFY, share)

    def edit(self, **changes: Any) -> None:
        """A person applies the spec with these fields changed."""
        self.document |= changes
        self.spec = parse(self.document)
        self.generation += 1

    def edit_phases(self, change: Callable[[list[Document]], list[Document]]) -> None:
        """A person applies the spec with other phases."""
        self.edit(phases=change(copy.deepcopy(self.document["phases"])))

    def ask(self, request: Request, value: str, by: str = "") -> None:
        """A person sets an annotation, and gives a name with it."""
        self.annotations[request] = value
        self.requested_by = by or self.requested_by

    def approve(self, phase: str, by: str = "kim", words: str = "") -> None:
        """A person approves a phase; each time is another one."""
        self.ask(Request.APPROVE, f"{phase}: {words or f'at {self.now}'}", by)

    def report(self, value: str, name: str = "") -> None:
        """A person reports a problem."""
        self.problems[name or f"r{len(self.problems) + 1}"] = value

    def drift(self, *shares: float) -> None:
        """Somebody else moves every rule of every route there is; one share for each rule."""
        self.routes = dict.fromkeys(self.routes, shares)

    def ready(self, side: Side, ready: int) -> None:
        """So many replicas of a side are ready."""
        workload = self.old if side is Side.OLD else self.new
        assert workload is not None
        self._workload(side, replace(workload, ready=ready))

    def restart(self) -> None:
        """The operator dies and starts: what is not recorded is forgotten."""
        self.status, self.unrecorded, self.drill = self.recorded, False, None
        self.post.restart()

    # ---- passes ----

    def facts(self) -> Facts:
        """The world as the operator sees it."""
        problems = list(self.others)
        for side, workload in ((Side.OLD, self.old), (Side.NEW, self.new)):
            if workload is None:
                problems.append(Problem(Reason.WORKLOAD_NOT_FOUND, f"the {side.value.lower()} workload does not exist"))
        problems += [
            Problem(Reason.ROUTE_NOT_FOUND, f"the route {ref} does not exist")
            for ref in self.spec.traffic.routes
            if str(ref) not in self.routes
        ]
        routes = tuple(
            RouteFact(name, max(shares), int(shares[0]) if len(set(shares)) == 1 and shares[0] % 1 == 0 else None)
            for name, shares in self.routes.items()
        )
        returning = self.status.state is State.ROLLING_BACK and self.status.rollback is not None
        asked = not self.deleting and not self.spec.emergency_stop and self.status.state is not State.ROLLING_BACK
        wanted = criteria.all_readings(self.spec) | checklist.readings(self.spec) if asked else frozenset[ReadingKey]()
        if asked and self.status.in_flight:
            name = self.status.phase.name if self.status.phase is not None else ""
            phase = next((phase for phase in self.spec.phases if phase.name == name), None)
            wanted = criteria.phase_readings(self.spec, phase)
        if returning and self.status.rollback is not None and self.status.rollback.confirmed is not None:
            wanted = verify.readings(self.spec)
        wanted |= procedure.readings(self.spec, self.status)
        return Facts(
            generation=self.generation,
            deleting=self.deleting,
            has_finalizer=self.finalizer,
            old=self._seen(Side.OLD),
            new=self._seen(Side.NEW),
            routes=routes,
            mirrors=self._mirrors(),
            readings={key: self.values[key] for key in wanted if key in self.values}
            | self._counted(wanted)
            | self._share_read(wanted),
            shards=self.workers.fact(self.status.shards),
            problems=tuple(problems),
            refused=self.refused,
            requests=dict(self.annotations),
            requested_by=self.requested_by,
            hold=self.hold,
            reports=dict(self.problems),
            cron_jobs=dict(self.cron_jobs),
            attestations=dict(self.attestations),
            checks=self._checked(),
            restarts=self.restarts,
            name="sync",
            uid=self.uid,
            probes=self._probed(),
            snapshot=self.snapshot if backup.snapshot(self.spec, self.status) is not None else None,
            kept=self.kept.get(keeping_logs.place(self.status), ""),
            logs=self.logs if keeping_logs.place(self.status) and keeping_logs.wanted(self.status) else None,
            series=self.series,
            report=self._report(evidence.awaited(self.status)),
            rehearsal=self._rehearsal(),
            freezes=self.freezes,
            waited_for=self.waited_for,
            jobs={name: self.jobs.get(name, _MISSING) for name in self._watched()},
            recent_repairs=sum(self.now - at < REPAIR_WINDOW for at in self.repairs),
            deliveries=dict(self.post.known),
            mute=self.post.mute,
        )

    def _watched(self) -> tuple[str, ...]:
        return (
            *procedure.watched(self.status),
            *own_jobs.watched(self.spec, self.status),
            *verifications.watched(self.spec, self.status),
        )

    def _checked(self) -> dict[str, CheckFact]:
        if not checklist.wanted(self.spec, self.status) or self.deleting:
            return {}
        return {name: replace(fact, at=self.now) for name, fact in self.found.items()}

    def _probed(self) -> tuple[ProbeFact, ...] | None:
        wrong = [
            (probe.path, self.answers.get(probe.path, "")) for probe in system_probes.asked(self.spec, self.status)
        ]
        return tuple(ProbeFact(not why, f"GET {path}: {why or 200}") for path, why in wrong) or None

    def _rehearsal(self) -> Rehearsal | None:
        running = self.status.drill.running if self.status.drill is not None else None
        if running is None or self.drill is None or self.drill[0] != rehearsal.stamp(running, self.generation):
            return None
        found = self.drill[1]
        return replace(found, job=self.jobs.get(running.job or "", _MISSING)) if found.job is not None else found

    def _report(self, name: str) -> str | None:
        if not name or not self.report_seen:
            return None
        return self.reports[name].stamp if name in self.reports else ""

    def _seen(self, side: Side) -> WorkloadFact | None:
        workload = self.old if side is Side.OLD else self.new
        by_replicas = self.spec.traffic.replicas is not None
        return replace(workload, autoscaler=self.autoscalers.get(side, "")) if workload and by_replicas else workload

    def _mirrors(self) -> tuple[MirrorFact, ...]:
        if self.status.mirror is None and not any(phase.mirrored for phase in self.spec.phases):
            return ()
        return tuple(
            MirrorFact(name, self.copies.get(name, 0), name in self.copies, self.owners.get(name, ""))
            for name in self.routes
        )

    def _counted(self, wanted: frozenset[ReadingKey]) -> dict[ReadingKey, Reading]:
        """What is counted, where a test has said what goes on; the source speaks unless it says
        otherwise."""
        began = criteria.counted_since(self.status)
        found: dict[ReadingKey, Reading] = {}
        for key in wanted:
            per_second, reads = self.work.get((key.metric, key.side), (0.0, 0.0))
            span = None if began is None else Span(began + key.settle, max(0.0, self.now - began - key.settle))
            number = per_second * span.seconds if span is not None else 0.0
            if key in self.values or (key.metric, key.side) not in self.work:
                continue
            if key.part is Part.COUNT:
                found[key] = Reading(number, span=span)
            elif key.part is Part.SHARE:
                nothing = Reading(None, Unknown.NOT_A_NUMBER, "nothing to count", span)
                found[key] = Reading(reads, span=span) if number else nothing
            elif key.part is Part.FRESH:
                found[key] = Reading(per_second)
        return found

    def _share_read(self, wanted: frozenset[ReadingKey]) -> dict[ReadingKey, Reading]:
        followed = ReadingKey(VERIFY) in wanted and self.obeys
        return {ReadingKey(VERIFY): Reading(self.share)} if followed else {}

    def step(self, seconds: float = 0.0, *, crash: str = "", refuse_write: bool = False) -> Decision:
        """One pass, `seconds` later. `crash` kills the operator before it comes to "act" or to "write".

        With `refuse_write` the API server does not take the status, and nothing that needs it to is done.
        """
        self.now = round(self.now + seconds, 3)
        facts = self.facts()
        decision = decide(self.spec, self.status, facts, self.now)
        invariants.check(
            spec=self.spec,
            status=self.status,
            recorded=self.recorded,
            facts=facts,
            now=self.now,
            decision=decision,
        )
        order = ["act", "write"] if decision.urgent else ["write", "act"]
        if refuse_write:
            order = order[: order.index("write")]
        if crash:
            order = order[: order.index(crash)]
        for name in order:
            {"act": self._act, "write": self._write}[name](decision)
        if crash:
            self.restart()
        elif not refuse_write:
            self.status = decision.status
        elif decision.lasting:
            # What is decided is not decided otherwise because it could not be written.
            self.status, self.unrecorded = decision.status, True
        return decision

    def _write(self, decision: Decision) -> None:
        if decision.write or self.unrecorded:
            self.unrecorded = False
            self.writes += 1
            last = self.recorded.history[-1].sequence if self.recorded.history else 0
            self.told += [entry for entry in decision.status.history if entry.sequence > last]
            before, self.recorded = self.recorded, decision.status
            self.post.recorded(before, self.recorded)

    def _act(self, decision: Decision) -> None:
        self.actions += decision.actions
        if decision.urgent and decision.actions and not decision.lasting:
            self.repairs.append(self.now)
        for action in decision.actions:
            match action:
                case SetWeight(weight=weight):
                    self.routes = dict.fromkeys(self.routes, (float(weight),))
                case SetMirror(percent=percent):
                    self.copies = dict.fromkeys(self.routes, percent) if percent else {}
                case Scale(side=side, replicas=replicas):
                    self._scale(side, replicas)
                case Assign():
                    self.workers.write(action)
                case StampEpoch(side=side, epoch=epoch):
                    self._workload(side, replace(self._of(side), epoch=epoch))
                case Restart(side=side, stamp=stamp):
                    self.restarted.append(stamp)
                    before = self._of(side)
                    anew = before.updated if before.restart == stamp else self.pods_start
                    self._workload(side, replace(before, restart=stamp, updated=anew))
                case CreateJob(name=name):
                    if name not in self.jobs:
                        own = self.own_jobs_end if isinstance(action.step, Task) else None
                        self.jobs[name] = own or JobFact(JobState.RUNNING)
                        self.made.append(action)
                case Rehearse():
                    self.tried.append(action)
                    tried = tuple(Tried(each.name, self.refuses.get(each.name, ""), 0.1) for each in action.tries)
                    backup = self.values.get(action.backup) if action.backup is not None else None
                    found = Rehearsal(tried, backup, self.snapshot) if self.answers_drills else Rehearsal()
                    self.drill = (action.stamp, found)
                case RehearseJob(stamp=stamp, job=job):
                    if job.name not in self.jobs and not action.seen:
                        self.jobs[job.name] = JobFact(JobState.RUNNING)
                        self.made.append(job)
                    rehearsed = self.drill[1] if self.drill is not None and self.drill[0] == stamp else Rehearsal()
                    self.drill = (stamp, replace(rehearsed, job=self.jobs.get(job.name, _MISSING)))
                case EndRehearsal():
                    self.drill = None
                case KeepLogs(name=name, stamp=stamp):
                    self.kept[name] = stamp
                case WriteReport(name=name):
                    self.reports[name] = action
                case AddFinalizer():
                    self.finalizer = True
                case RemoveFinalizer():
                    self.finalizer = False
                    self.gone = self.deleting

    def _scale(self, side: Side, replicas: int) -> None:
        workload = self.old if side is Side.OLD else self.new
        if workload is None:
            return
        ready = replicas if self.pods_start else min(replicas, workload.ready)
        self._workload(side, replace(workload, desired=replicas, ready=ready))

    def _of(self, side: Side) -> WorkloadFact:
        return (self.old if side is Side.OLD else self.new) or WorkloadFact()

    def _workload(self, side: Side, workload: WorkloadFact) -> None:
        if side is Side.OLD:
            self.old = workload
        else:
            self.new = workload

    def settle(self) -> Decision:
        """Passes without time going by, until nothing is left to do. Fails where that has no end."""
        for _ in range(MANY_ROUNDS):
            decision = self.step()
            if self.gone or not self._again(decision):
                return decision
        msg = f"still busy after {MANY_ROUNDS} decisions: {self.status.message}"
        raise AssertionError(msg)

    def _again(self, decision: Decision) -> bool:
        due = decision.next_due is not None and decision.next_due <= self.now
        return bool(decision.actions) or decision.write or due

    def run(self, seconds: float, *, every: float = INTERVAL) -> Decision:
        """Let time pass as the reconciler does: at every interval, and when a decision is due."""
        end = round(self.now + seconds, 3)
        decision = self.settle()
        while self.now < end:
            at = min(end, self.now + every)
            if decision.next_due is not None:
                at = min(at, max(self.now, decision.next_due))
            self.now = round(at, 3)
            decision = self.settle()
        return decision

    def run_until(self, *states: State, within: float = 3600.0, every: float = INTERVAL) -> Decision:
        """Let time pass until one of these states is reached. Fails where it is not within so many seconds. `every` so
        many at most it is looked at, and whenever a decision asks for it."""
        end = self.now + within
        while self.now < end:
            decision = self.settle()
            if self.status.state in states:
                return decision
            if self._approves():
                continue
            at = self.now + every
            self.now = round(min(at, decision.next_due or at), 3)
        msg = f"{self.status.state} after {within:.0f} s, not {states}: {self.status.message}"
        raise AssertionError(msg)

    def run_to_phase(self, name: str) -> Decision:
        """Let time pass until the weights of this phase stand."""
        for _ in range(1000):
            decision = self.settle()
            if self.status.phase is not None and self.status.phase.name == name and self.status.phase.since is not None:
                return decision
            if self._approves():
                continue
            at = self.now + INTERVAL
            self.now = round(min(at, decision.next_due or at), 3)
        msg = f"phase {name} was not reached: {self.status.message}"
        raise AssertionError(msg)

    def _approves(self) -> bool:
        asked = self.at(State.AWAITING_APPROVAL) and bool(self.approver) and self.status.phase is not None
        if asked and self.status.phase is not None:
            self.approve(self.status.phase.name, self.approver)
        return asked

    # ---- what a person sees ----

    @property
    def share(self) -> float:
        """The greatest share of new in percent, over all routes, or by replicas."""
        if self.spec.traffic.shards is not None and not self.spec.traffic.routes:
            return self.workers.assignment.new_below / 10 if self.workers.assignment is not None else 0.0
        if self.spec.traffic.replicas is None:
            return max((share for shares in self.routes.values() for share in shares), default=0.0)
        old, new = (self.old or WorkloadFact()).desired, (self.new or WorkloadFact()).desired
        return 100 * new / (old + new) if old + new else 0.0

    def at(self, *states: State) -> bool:
        """Whether the rollout is in one of these states, as the operator remembers it."""
        return self.status.state in states

    def has_finalizer(self) -> bool:
        """Whether a deletion would wait."""
        return self.finalizer

    def is_gone(self) -> bool:
        """Whether the object was deleted and let go."""
        return self.gone

    @property
    def reasons(self) -> list[Reason]:
        """The reasons of all transitions told."""
        return [entry.reason for entry in self.told]

    def condition(self, kind: str) -> str:
        """The status of a condition."""
        return next(c.status for c in self.recorded.conditions if c.type == kind)


def begun(spec: Document, phase: str = "", *, replicas: int = 3) -> World:
    """A world in which the run has come to where the weights of `phase` (the first one by default) stand."""
    world = World(spec, replicas=replicas)
    world.run_to_phase(phase or world.spec.phases[0].name)
    return world

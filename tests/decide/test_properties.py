"""Whatever happens, in whatever order: the invariants hold on every pass, and there is always a way to an end.

Every pass goes through `World.step`, which checks `invariants`. A failure prints the steps that led to it, and a blob
that replays it. `PROPERTY_EXAMPLES=2000 pytest tests/decide/test_properties.py` looks longer.
"""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from decide.plans import (
    Document,
    approved,
    by_replicas,
    by_shards,
    document,
    five_phases,
    metric,
    phase,
    route,
    shadowed,
    two_phases,
    verified,
)
from decide.world import START, World
from syncrollout.api.spec import Freeze
from syncrollout.api.words import (
    Reason,
    Request,
    Side,
    State,
    Task,
    Unknown,
)
from syncrollout.decide import criteria
from syncrollout.decide.check_facts import CheckFact
from syncrollout.decide.facts import (
    CronJobFact,
    FinishedJob,
    JobFact,
    JobState,
    Part,
    Problem,
    Reading,
    ReadingKey,
    WorkloadFact,
)
from syncrollout.decide.machine import decide
from syncrollout.decide.waited_for import FreezesFact

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))
ACK: Document = {"configMap": "sync-shards", "handover": {"method": "Ack", "timeout": "30s"}}
PASSES_TO_AN_END = 600
REPLICAS = 3
AT_REST = (State.COMPLETED, State.ROLLED_BACK)


def _of_all_kinds() -> Document:
    """Windows, `for`, `settle` and limits relative to old, on two routes."""
    back = [{"metric": "errors", "above": 5, "for": "20s"}, {"metric": "latency", "atLeast": 2, "relativeTo": "Old"}]
    good = [{"metric": "errors", "below": 1, "for": "15s"}, {"metric": "latency", "atMost": 1.5, "relativeTo": "Old"}]
    triggers = [
        {"severity": "Critical", "metric": "errors", "above": 10, "for": "5s"},
        {"severity": "Critical", "metric": "latency", "above": 9, "settle": "12s"},
        {"severity": "Low", "metric": "latency", "above": 1},
    ]
    return document(
        [
            phase("small", 10, "30s", success=good, rollbackOn=back),
            phase("half", 50, "20s", success=good, rollbackOn=back),
            phase("all", 100, "10s", rollbackOn=back, retireOld=True),
        ],
        traffic={"routes": [route("web"), route("api")]},
        metrics=[metric("errors", window="10s"), metric("latency")],
        rollback={"triggers": triggers},
    )


def _graded(traffic: Document | None = None, *, default: str = "Rollback") -> Document:
    """Triggers of every severity, and settings in seconds for hours."""
    triggers = [
        {"severity": "Critical", "metric": "errors", "above": 11},
        {"severity": "High", "metric": "errors", "above": 6},
        {"severity": "Medium", "metric": "errors", "above": 1},
        {"severity": "High", "metric": "latency", "above": 8, "for": "15s"},
        {"severity": "Medium", "metric": "latency", "above": 4},
        {"severity": "Low", "metric": "latency", "above": 1},
    ]
    rollback = {
        "keepWatching": "50s",
        "triggers": triggers,
        "high": {"within": "40s", "clearFor": "15s"},
        "medium": {"decideWithin": "90s", "default": default, "clearFor": "10s", "unknownFor": "45s"},
    }
    phases = [phase("small", 10, "30s"), phase("half", 50, "20s"), phase("all", 100, "10s", retireOld=True)]
    for each in phases:
        each["rollbackOn"] = []
    return document(phases, rollback=rollback, **({"traffic": traffic} if traffic is not None else {}))


def _stepping(traffic: Document | None = None, *, last: str = "Hold") -> Document:
    """Each phase does something else when it fails; the last one stops old."""
    plan = _graded(traffic)
    for each, what in zip(plan["phases"], ("StepBack", "StepBack", last), strict=True):
        each |= {"onFailure": what, "rollbackOn": [{"metric": "latency", "above": 3}]}
        each |= {"deadline": "100s", "onDeadline": "Rollback" if what == "Hold" else "Hold"}
    plan["rollback"]["maxStepBacks"] = 2
    return plan


def _without_data(on_failure: str = "StepBack") -> Document:
    """Criteria of every role that go back, or are ignored, for want of data."""
    plan = _graded()
    for each, what in zip(plan["phases"], ("Hold", on_failure, "Rollback"), strict=True):
        each["success"] = [
            {"metric": "errors", "below": 1, "onNoData": "Ignore"},
            {"metric": "latency", "atMost": 2, "relativeTo": "Old", "onNoData": "Rollback"},
        ]
        each["rollbackOn"] = [{"metric": "latency", "above": 3, "for": "15s", "onNoData": "Ignore"}]
        each["onFailure"] = what
    for trigger, what in zip(plan["rollback"]["triggers"], ("Rollback", "Rollback", "Ignore") * 2, strict=True):
        trigger["onNoData"] = what
    return plan


def _few_events() -> Document:
    """A ratio that wants some events first, of either side."""
    ratio = {"of": "sum(increase(failed[$window]))", "over": "sum(increase(items[$window]))"}
    plan = _graded()
    plan["metrics"][0] = {"name": "errors", "unit": "percent", "ratio": ratio, "window": "10s"}
    plan["metrics"][1] |= {"staleAfter": "10s", "heartbeat": "items"}
    plan["phases"][0]["success"] = [{"metric": "errors", "below": 1, "minSamples": 5}]
    plan["phases"][1]["rollbackOn"] = [{"metric": "errors", "atLeast": 2, "relativeTo": "Old", "minSamples": 5}]
    plan["rollback"]["triggers"][0]["minSamples"] = 5
    return plan


def _no_metrics() -> Document:
    plan = document(
        [phase("half", 50, "20s", success=[], rollbackOn=[]), phase("all", 100, "5s", success=[], rollbackOn=[])],
        metrics=[],
        rollback={},
    )
    del plan["prometheus"]
    return plan


def _by_pods() -> Document:
    """No Prometheus: how new's pods are is all that is judged."""
    plan = _no_metrics()
    plan["rollback"] = {
        "keepWatching": "50s",
        "triggers": [
            {"severity": "Critical", "pods": "CrashLoopBackOff", "above": 2},
            {"severity": "High", "pods": "Restarts", "above": 3},
            {"severity": "Medium", "pods": "Restarts", "above": 1},
            {"severity": "Low", "pods": "NotReady", "for": "15s"},
        ],
        "high": {"within": "40s", "clearFor": "15s"},
        "medium": {"decideWithin": "90s", "clearFor": "10s", "unknownFor": "45s"},
    }
    return plan


def _by_reports() -> Document:
    """The same with what people report; the first phase passes only while nothing is open."""
    plan = _no_metrics()
    plan["phases"][0] |= {"success": [{"reports": "Low"}], "rollbackOn": [{"reports": "High", "atLeast": 3}]}
    plan["phases"][0]["onFailure"] = "Hold"
    plan["rollback"] = _by_pods()["rollback"] | {
        "triggers": [
            {"severity": "Critical", "reports": "Critical", "above": 1},
            {"severity": "High", "reports": "High", "atLeast": 2},
            {"severity": "Medium", "reports": "Medium"},
            {"severity": "Low", "reports": "Low"},
        ],
    }
    return plan


def _by_jobs() -> Document:
    """The same with checks of the data."""
    plan = _no_metrics()
    plan["phases"][1] |= {"rollbackOn": [{"job": "hourly"}], "onFailure": "Hold"}
    plan["rollback"] = _by_pods()["rollback"] | {
        "triggers": [
            {"severity": "Critical", "job": "nightly", "for": "15s"},
            {"severity": "High", "job": "hourly"},
            {"severity": "Medium", "job": "nightly"},
        ],
    }
    return plan


OWN: Document = {"template": {"spec": {"containers": [{"name": "work", "image": "work"}]}}}


def _prepared(traffic: Document | None = None) -> Document:
    """A checklist of every kind of line, a day one, and a check that is run every minute."""
    plan = _graded(traffic)
    plan["preflight"] = {
        "checks": [
            {"name": "load", "group": "Code", "job": OWN, "budget": "30s"},
            {"name": "database", "group": "Infrastructure", "workloadReady": {"kind": "StatefulSet", "name": "db"}},
            {"name": "quiet", "group": "Code", "query": {"metric": "errors", "below": 1}},
            {"name": "on-call", "group": "Team", "attestation": {"text": "Somebody is", "by": {"users": ["kim"]}}},
        ],
        "dayOne": {
            "backup": {"job": OWN, "budget": "20s", "severity": "Low"},
            "migrate": {"job": OWN, "budget": "20s"},
            "testSync": {"job": OWN, "budget": "20s", "severity": "Medium"},
        },
    }
    check = {"name": "consistency", "schedule": "* * * * *", "job": OWN, "budget": "30s", "severity": "High"}
    plan["phases"][1] |= {"duration": "70s", "verification": [check]}
    return plan


def _replicas_to_the_end() -> Document:
    plan = by_replicas()
    plan["phases"][1]["retireOld"] = True
    return plan


def _verified_replicas() -> Document:
    plan = by_replicas()
    plan["traffic"]["verify"] = {"query": "share", "timeout": "20s"}
    return plan


def _shards_to_the_end(method: str = "Ack", *, routes: bool = False) -> Document:
    """In shadow, some, all; old is stopped at the end, and a handover may take half a minute."""
    plan = by_shards(method, routes=routes)
    plan["phases"].insert(0, phase("shadow", 0, "10s", mode="Shadow", mirrorPercent=0))
    plan["phases"][-1]["retireOld"] = True
    plan["traffic"]["shards"]["handover"]["timeout"] = "30s"
    return plan


def _shadowed_shards() -> Document:
    """Requests and work items, both as copies first."""
    plan = by_shards(routes=True)
    plan["phases"].insert(0, {"name": "copies", "weight": 0, "duration": "20s", "mode": "Shadow"})
    return plan


def _approved(**more: Any) -> Document:
    """In seconds for days, the last phase too; one of them by a group."""
    plan = approved(approval={"approvers": {"users": ["kim"]}, "expires": "50s", "remind": "20s"}, **more)
    for each, seconds in zip(plan["phases"], ("30s", "20s", "10s"), strict=True):
        each |= {"approval": "Required", "duration": seconds, "onFailure": "Rollback"}
    plan["phases"][1] |= {"approvers": {"groups": ["leads"]}, "onFailure": "StepBack"}
    return plan


def _by_the_calendar() -> Document:
    """A freeze of 45 s in every 90 s, for some while, and freezes that are shared."""

    def at(seconds: float) -> str:
        return f"{datetime.fromtimestamp(START + seconds, UTC):%Y-%m-%dT%H:%M:%S}"

    freezes = [{"from": at(90 * number + 30), "to": at(90 * number + 75)} for number in range(32)]
    return five_phases(last="20s", schedule={"freezes": freezes, "freezesFrom": {"configMap": "closed"}})


PLANS = (
    _by_the_calendar(),
    _prepared(),
    _prepared({"shards": ACK}),
    _prepared({"replicas": {"total": 10}}),
    _approved(),
    _approved(traffic={"shards": ACK}),
    five_phases(last="20s"),
    two_phases(),
    _of_all_kinds(),
    _no_metrics(),
    _by_pods(),
    _by_reports(),
    _by_jobs(),
    _graded(),
    _stepping(),
    _without_data(),
    _without_data("Hold"),
    _few_events(),
    _stepping({"routes": [route("web"), route("api")]}, last="StepBack"),
    _stepping({"replicas": {"total": 10}}, last="StepBack"),
    _stepping({"shards": ACK}, last="StepBack"),
    _graded({"replicas": {"total": 10}}, default="Continue"),
    _graded({"shards": ACK}),
    by_replicas(),
    _replicas_to_the_end(),
    verified(),
    shadowed(),
    _shadowed_shards(),
    shadowed(30, traffic={"routes": [route("web"), route("api")], "verify": {"query": "share", "timeout": "20s"}}),
    _verified_replicas(),
    _shards_to_the_end(),
    _shards_to_the_end("Restart", routes=True),
    _shards_to_the_end("Drain"),
)

PLACES = ("applied", "suspended", "first", "last", "completed", "rolled back")

UNREAD = tuple(each for each in Unknown if each not in criteria.NOT_BLIND or each is Unknown.NOT_ASKED)
"""What a reading may say instead of a number; the other words are verdicts'."""
UNSEEN = (Unknown.NOT_FOUND, Unknown.FORBIDDEN, Unknown.UNSEEN)

OWN_JOBS = (
    None,
    JobFact(JobState.COMPLETE),
    JobFact(JobState.FAILED, "BackoffLimitExceeded", 1, "3 duplicates"),
    JobFact(JobState.STOPPED),
    JobFact(JobState.UNSEEN),
)
sides = st.sampled_from(Side)
durations = st.sampled_from(["0s", "1s", "10s", "45s"])
values = st.one_of(
    st.sampled_from([0.0, 0.4, 0.4, 0.4, 2.0, 7.0, 12.0, -1.0, 1e308]),
    st.floats(0, 15),
    st.sampled_from(UNREAD),
)
problems = st.sampled_from(
    [
        Problem(Reason.FORBIDDEN, "get httproutes is not allowed: grant it"),
        Problem(Reason.SERVICE_NOT_FOUND, "Service sync-v1 does not exist: create it"),
        Problem(Reason.SECRET_INVALID, "Secret prometheus has no key token: add it"),
        Problem(Reason.ROUTE_TAKEN, "held by another"),
    ]
)
SHARED_FREEZES = (
    None,
    FreezesFact(),
    FreezesFact(problem="ConfigMap closed does not exist: create it"),
    FreezesFact((Freeze.model_validate({"from": "2023-11-14", "to": "2023-11-20", "reason": "audit"}),)),
)
moments = st.sampled_from([0.0, 0.001, 0.5, 5.0, 9.999, 10.0, 10.0, 20.0, 61.0, 130.0, -3.0])


class Rollout(RuleBasedStateMachine):
    """One rollout, and everything that may happen to it."""

    @initialize(plan=st.sampled_from(PLANS), place=st.sampled_from(PLACES), eager=st.booleans())
    def begun(self, plan: Document, place: str, eager: bool) -> None:
        """It has been applied, and has come some way. `eager`: every change is seen by a pass of its own."""
        self.eager = eager
        self.world = World(copy.deepcopy(plan), replicas=REPLICAS)
        self.world.approver = "kim"
        self._mend()
        phases = self.world.spec.phases
        if place in ("first", "last"):
            self.world.run_to_phase(phases[0 if place == "first" else -1].name)
        elif place == "completed":
            self.world.run_until(State.COMPLETED)
        elif place in ("suspended", "rolled back"):
            self.world.edit(suspend=place == "suspended")
            self.world.settle()
            if place == "rolled back":
                self.world.edit(emergencyStop=True)
                self.world.run_until(State.ROLLED_BACK)
                self.world.edit(emergencyStop=False)

    @invariant()
    def everything_comes_to_rest(self) -> None:
        """With the world as it is, decisions stop asking for anything."""
        if hasattr(self, "world") and self.eager and not self._over:
            self.world.settle()

    # ---- the operator ----

    @precondition(lambda self: not self._over)
    @rule(seconds=moments, crash=st.sampled_from(["", "", "", "act", "write"]), refuse_write=st.booleans())
    def one_pass(self, seconds: float, crash: str, refuse_write: bool) -> None:
        """One pass, that may die or lose its write."""
        self.world.step(seconds, crash=crash, refuse_write=refuse_write and not crash)

    @precondition(lambda self: not self._over)
    @rule(seconds=st.sampled_from([0.0, 10.0, 35.0, 70.0]))
    def time_goes_by(self, seconds: float) -> None:
        """Passes as the reconciler makes them; at each moment decisions come to rest."""
        self.world.run(seconds)

    @precondition(lambda self: not self._over)
    @rule()
    def a_restart(self) -> None:
        """What was not recorded is forgotten."""
        self.world.restart()

    @precondition(lambda self: not self._over)
    @rule(metric=st.sampled_from(["errors", "latency"]), value=st.floats(0, 15))
    def a_reading_that_changes_no_verdict_is_not_written(self, metric: str, value: float) -> None:
        """No write, whatever the number."""
        world = self.world
        known = world.values.get(ReadingKey(metric))
        world.settle()
        if self._over or known is None or known.value is None:
            return
        world.read(metric, value)
        decision = decide(world.spec, world.status, world.facts(), world.now)
        before = [(c.id, c.verdict, c.unknown) for c in world.status.criteria]
        if before == [(c.id, c.verdict, c.unknown) for c in decision.status.criteria]:
            assert not decision.write
            assert not decision.actions

    @precondition(lambda self: not self._over)
    @rule(seconds=st.sampled_from([0.0, 10.0, 35.0, 70.0]))
    def all_is_well_for_a_while(self, seconds: float) -> None:
        """Whatever was wrong is mended, and time goes by."""
        self._mend()
        self.world.run(seconds)

    # ---- the world ----

    @rule(metric=st.sampled_from(["errors", "errors", "latency"]), value=values, side=sides)
    def a_reading(self, metric: str, value: float | Unknown, side: Side) -> None:
        """A metric reads this from now on."""
        if any(known.name == metric for known in self.world.spec.metrics):
            self.world.read(metric, value, side)

    @rule(events=st.one_of(st.sampled_from([0.0, 4.9, 5.0, 80.0]), st.sampled_from(UNREAD)), side=sides)
    def events(self, events: float | Unknown, side: Side) -> None:
        """So many events are counted from now on."""
        key = ReadingKey("errors", side, Part.EVENTS)
        self.world.values[key] = Reading(None, events, "why") if isinstance(events, Unknown) else Reading(events)

    @rule(speaks=st.one_of(st.just(3.0), st.sampled_from(UNREAD)), side=sides)
    def a_source_stops_or_speaks(self, speaks: float | Unknown, side: Side) -> None:
        """Of latency, or nobody knows."""
        key = ReadingKey("latency", side, Part.FRESH)
        self.world.values[key] = Reading(None, speaks, "why") if isinstance(speaks, Unknown) else Reading(speaks)

    @rule(number=st.integers(0, 3), value=st.one_of(st.integers(0, 5), st.sampled_from(UNREAD)))
    def trouble_with_pods(self, number: int, value: int | Unknown) -> None:
        """So many of new's pods are in some trouble from now on, or nobody can see it."""
        asked = [trigger for trigger in self.world.spec.rollback.triggers if trigger.pods is not None]
        if asked:
            self.world.read(asked[number % len(asked)].source, value)

    @rule(name=st.sampled_from(["nightly", "hourly"]), what=st.sampled_from(["well", "failed", "none", *UNSEEN]))
    def a_job_ends(self, name: str, what: str | Unknown) -> None:
        """A Job of a CronJob ends now, or all of them are deleted, or nobody can see them."""
        if isinstance(what, Unknown):
            self.world.cron_jobs[name] = CronJobFact(None, what, f"CronJob {name}: {what.value}")
        elif what == "none":
            self.world.cron_jobs[name] = CronJobFact()
        else:
            job = FinishedJob(f"{name}-{self.world.now:.0f}", float(int(self.world.now)), failed=what == "failed")
            self.world.cron_jobs[name] = CronJobFact(job)

    @rule(fact=st.sampled_from(OWN_JOBS), all_of_them=st.booleans())
    def own_jobs_end(self, fact: JobFact | None, all_of_them: bool) -> None:
        """Those that run end so, and those that are made from now on; or somebody deletes the last one."""
        world = self.world
        world.own_jobs_end = fact if all_of_them else None
        for made in world.made[-1:]:
            if isinstance(made.step, Task) and fact is None:
                world.jobs.pop(made.name, None)
            elif isinstance(made.step, Task) and fact is not None:
                world.jobs[made.name] = fact

    @rule(passes=st.sampled_from([None, True, False]), words=st.sampled_from(["", "by kim: yes", "by lee: yes"]))
    def the_checklist(self, passes: bool | None, words: str) -> None:
        """What is found, and what somebody confirms."""
        self.world.found = {"database": CheckFact(0.0, passes, "as it is")}
        self.world.attestations = {"on-call": words} if words else {}

    @rule(restarts=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)))
    def pods_are_restarted(self, restarts: dict[str, int]) -> None:
        """So often since they were made; pods come and go."""
        if self.world.restarts is not None:
            self.world.restarts = restarts

    @rule(share=st.one_of(st.none(), values))
    def traffic(self, share: float | Unknown | None) -> None:
        """What is seen of the traffic: that it follows the weights, something else, or nothing."""
        if share is None:
            self.world.obeys = True
        else:
            self.world.sees(share)

    @rule(side=sides, ready=st.integers(0, REPLICAS))
    def pods(self, side: Side, ready: int) -> None:
        """Pods get ready or die."""
        workload = self._workload(side)
        if workload is not None:
            self._put(side, replace(workload, ready=min(ready, workload.desired)))

    @rule(side=sides, desired=st.integers(0, REPLICAS))
    def scaled_by_somebody_else(self, side: Side, desired: int) -> None:
        """A person or an autoscaler changes the replicas."""
        workload = self._workload(side)
        if workload is not None:
            self._put(side, replace(workload, desired=desired, ready=min(desired, workload.ready)))

    @rule(side=sides, there=st.booleans())
    def a_workload_goes_or_comes(self, side: Side, there: bool) -> None:
        """It is deleted, or created again."""
        self._put(side, WorkloadFact(REPLICAS, REPLICAS) if there else None)

    @rule(stuck=st.sets(st.sampled_from(["Old", "New"])), undying=st.booleans())
    def workers_hang(self, stuck: set[str], undying: bool) -> None:
        """Workers read no assignment any more and keep what they have in their hands, or go on."""
        self.world.workers.stuck, self.world.workers.undying = stuck, undying

    @rule(side=sides)
    def workers_die(self, side: Side) -> None:
        """All pods of a side are killed; those made instead read what is written now."""
        self.world.workers.pods = [pod for pod in self.world.workers.pods if pod.side is not side]

    @rule(start=st.booleans())
    def pods_start_or_do_not(self, start: bool) -> None:
        """Whether the cluster has room."""
        self.world.pods_start = start

    @rule(shares=st.lists(st.sampled_from([0.0, 0.4, 5.0, 10.0, 33.4, 50.0, 100.0]), min_size=1, max_size=2))
    def drift(self, shares: list[float]) -> None:
        """Somebody else changes the weights of all routes."""
        self.world.drift(*shares)

    @rule(side=sides, there=st.booleans())
    def an_autoscaler(self, side: Side, there: bool) -> None:
        """A HorizontalPodAutoscaler is made for a side, or deleted."""
        self.world.autoscalers[side] = "hpa" if there else ""

    @rule(percent=st.sampled_from([0, 30, 100]))
    def mirrors_are_changed(self, percent: int) -> None:
        """Somebody puts mirrors to new into all routes, or takes them out."""
        world = self.world
        if world.status.mirror is not None:
            world.copies = dict.fromkeys(world.routes, percent) if percent else {}

    @rule(taken=st.booleans())
    def an_owners_mirror(self, taken: bool) -> None:
        """The owner of the routes mirrors them, or stops doing so."""
        self.world.owners = dict.fromkeys(self.world.routes, "it has a mirror") if taken else {}

    @rule(there=st.booleans(), share=st.sampled_from([0.0, 10.0, 50.0]))
    def a_route_goes_or_comes(self, there: bool, share: float) -> None:
        """The first route is deleted, or created again."""
        for ref in self.world.spec.traffic.routes[:1]:
            self.world.routes.pop(str(ref), None)
            if there:
                self.world.routes[str(ref)] = (share,)

    @rule(problem=st.one_of(st.none(), problems))
    def a_problem(self, problem: Problem | None) -> None:
        """Something has to be mended, or was."""
        self.world.others = [problem] if problem is not None else []

    @rule(problem=st.one_of(st.none(), problems.filter(lambda p: p.reason is Reason.FORBIDDEN)))
    def a_refusal(self, problem: Problem | None) -> None:
        """The API server refused the last attempt to act, or took it."""
        self.world.refused = problem

    # ---- people ----

    @rule(suspend=st.booleans())
    def suspend(self, suspend: bool) -> None:
        """Suspended or resumed."""
        self.world.edit(suspend=suspend)

    @rule(hold=st.sampled_from(["wait", "wait longer", "", None, None]), by=st.sampled_from(["kim", "alex"]))
    def hold(self, hold: str | None, by: str) -> None:
        """Somebody holds it, or lets it go on."""
        self.world.hold, self.world.requested_by = hold, by

    @rule(verb=st.sampled_from([Request.APPROVE, Request.SKIP]), by=st.sampled_from(["kim", "alex", ""]))
    def a_word_on_the_phase(self, verb: Request, by: str) -> None:
        """Somebody, who may or may not, approves the present phase or ends its time."""
        if self.world.status.phase is not None:
            self.world.requested_by = by
            self.world.annotations[verb] = f"{self.world.status.phase.name}: at {self.world.now}"

    @rule(
        entries=st.lists(
            st.fixed_dictionaries(
                {"phase": st.sampled_from(["small", "half", "full"]), "by": st.sampled_from(["kim", "alex"])},
                optional={"revision": st.sampled_from(["1", "2"]), "reason": st.sampled_from(["good", "again"])},
            ),
            max_size=3,
        )
    )
    def approvals_in_git(self, entries: list[Document]) -> None:
        """The list in the spec is another one."""
        self.world.edit(approvals=entries)

    @rule(request=st.sampled_from(Request), value=st.sampled_from(["continue", "continue 2", "rollback", "", "known"]))
    def asks(self, request: Request, value: str) -> None:
        """Somebody sets an annotation."""
        self.world.ask(request, value)

    @rule(
        names=st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3),
        value=st.sampled_from(["low: a", "medium by kim: b", "high: c", "high: d", "critical: e", "grave: f", ""]),
    )
    def report(self, names: set[str], value: str) -> None:
        """Some people report something at one moment."""
        self.world.problems |= dict.fromkeys(names, value)

    @rule(name=st.sampled_from("abcdefgh"))
    def a_report_is_taken_away(self, name: str) -> None:
        """Somebody removes an annotation."""
        self.world.problems.pop(name, None)

    @rule(back=st.integers(0, 3))
    def answer(self, back: int) -> None:
        """Somebody answers reports, the last few left out."""
        reports = self.world.status.reports
        if reports is not None:
            self.world.ask(Request.ANSWER, f"{reports.number - back}: seen at {self.world.now}")

    @rule(stop=st.sampled_from([True, False, False]))
    def emergency_stop(self, stop: bool) -> None:
        """The cord is pulled, or put back."""
        self.world.edit(emergencyStop=stop)

    @rule(revision=st.sampled_from(["1", "2", "3"]))
    def revision(self, revision: str) -> None:
        """Another revision, or the same again."""
        self.world.edit(revision=revision)

    @rule(data=st.data())
    def phases_are_edited(self, data: st.DataObject) -> None:
        """Renamed, removed, added, reordered, reweighted: whatever the CRD lets through."""
        phases = copy.deepcopy(self.world.document["phases"])
        match data.draw(st.sampled_from(["rename", "remove", "add", "swap", "duration", "reweight"])):
            case "rename":
                data.draw(st.sampled_from(phases))["name"] = data.draw(st.sampled_from(["one", "other"]))
            case "remove":
                del phases[data.draw(st.integers(0, len(phases) - 1))]
            case "add":
                place = data.draw(st.integers(0, len(phases)))
                phases.insert(place, copy.deepcopy(data.draw(st.sampled_from(phases))) | {"name": "added"})
            case "swap":
                phases.insert(0, phases.pop())
            case "duration":
                data.draw(st.sampled_from(phases))["duration"] = data.draw(durations)
            case _:
                data.draw(st.sampled_from(phases))["weight"] = data.draw(st.sampled_from([0, 10, 30, 60, 100]))
        if not phases or len({each["name"] for each in phases}) < len(phases):
            return  # the CRD refuses it
        for each, weight in zip(phases, sorted(each["weight"] for each in phases), strict=True):
            each["weight"] = weight
            each["retireOld"] = bool(each.get("retireOld")) and weight == 100
            if weight or each is phases[-1]:
                each.pop("mode", None)
                each.pop("mirrorPercent", None)
        self.world.edit(phases=phases)

    @precondition(lambda self: self.world.status.run > 0)
    @rule(really=st.integers(0, 9).map(lambda n: n == 9))
    def deleted(self, really: bool) -> None:
        """Somebody deletes it, now and then."""
        self.world.deleting = self.world.deleting or really

    @precondition(lambda self: not self._over and self.world.spec.schedule is not None)
    @rule(known=st.sampled_from(SHARED_FREEZES))
    def freezes(self, known: FreezesFact | None) -> None:
        """Somebody calls a freeze, breaks the list, or ends both."""
        self.world.freezes = known

    # ---- the end ----

    def teardown(self) -> None:
        """Mended and left alone, it comes to an end."""
        if not hasattr(self, "world"):
            return
        self._mend()
        world = self.world
        for _ in range(PASSES_TO_AN_END):
            if self._over:
                return
            decision = world.settle()
            if self._over or world.at(*AT_REST):
                return
            if world.at(State.AWAITING_APPROVAL) and world.status.phase is not None:
                world.approve(world.status.phase.name)
                continue
            due = decision.next_due if decision.next_due is not None else world.now + 10
            world.now = round(max(world.now + 0.001, min(due, world.now + 10)), 3)
        msg = f"no end after {PASSES_TO_AN_END} passes: {world.status.state}: {world.status.message}"
        raise AssertionError(msg)

    def _mend(self) -> None:
        world = self.world
        world.freezes = FreezesFact()
        world.others, world.refused, world.pods_start, world.obeys, world.hold = [], None, True, True, None
        for side in Side:
            workload = self._workload(side)
            desired = workload.desired if workload is not None else 0
            stopped = side is Side.OLD and world.status.retired is not None and world.status.in_flight
            if not desired and not stopped and not (side is Side.NEW and world.spec.traffic.replicas):
                desired = REPLICAS
            epoch = workload.epoch if workload is not None else 0
            self._put(side, WorkloadFact(desired, desired, epoch=epoch))
        world.owners, world.autoscalers = {}, {}
        world.problems = {}
        world.now += 2  # times of Jobs are whole seconds
        for name in ("nightly", "hourly"):
            self.a_job_ends(name=name, what="well")
        world.own_jobs_end = JobFact(JobState.COMPLETE)
        for made in world.made:
            if isinstance(made.step, Task) and world.jobs.get(made.name) != world.own_jobs_end:
                world.jobs.pop(made.name, None)  # of the checklist it is run again, any other has failed
        self.the_checklist(passes=True, words=f"by kim: yes, at {world.now}")
        self.answer(back=0)
        world.pods_are_well()
        world.workers.stuck, world.workers.undying = set(), False
        for ref in world.spec.traffic.routes:
            world.routes.setdefault(str(ref), (0.0,))
        if not world.recorded.run:
            world.drift(0.0)  # what stands at new before the first run is nothing that the operator may take away
        for each in world.spec.metrics:
            world.read(each.name, 0.4)
            world.read(each.name, 0.4, Side.OLD)
            for side in Side:
                for part in (Part.EVENTS, Part.FRESH):
                    world.values[ReadingKey(each.name, side, part)] = Reading(9.0)
        changes: dict[str, Any] = {"suspend": False, "emergencyStop": False}
        current = world.status.phase.name if world.status.in_flight and world.status.phase is not None else None
        phases = world.document["phases"]
        if current is not None and all(each["name"] != current for each in phases):
            changes["phases"] = [*phases, copy.deepcopy(phases[-1]) | {"name": current, "weight": 100}]
        world.edit(**changes)

    @property
    def _over(self) -> bool:
        return self.world.gone or (self.world.deleting and not self.world.finalizer and not self.world.status.in_flight)

    def _workload(self, side: Side) -> WorkloadFact | None:
        return self.world.old if side is Side.OLD else self.world.new

    def _put(self, side: Side, workload: WorkloadFact | None) -> None:
        if side is Side.OLD:
            self.world.old = workload
        else:
            self.world.new = workload


TestRollout = Rollout.TestCase
TestRollout.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

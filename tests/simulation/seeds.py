"""From a seed to a scenario. Each kind of fault and of deed is in some seeds and not in others, at rates of their own:
a run with everything in it never gets far enough to find what only a calmer one reaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from fakes.controllers import Course
from fakes.kube import Verb
from simulation import approving, objects, people
from simulation.faults import Faults
from simulation.invariants import Plan
from simulation.metrics import Chances, Trouble
from simulation.objects import CRON_JOB, DEPLOYMENT, GRPC_ROUTE, HTTP_ROUTE, ROLLOUT, SERVICE, STATEFUL_SET
from simulation.people import Deed
from simulation.procedure import courses, with_procedure
from simulation.scenario import DEAD_FOR, GONE, LAST_ANSWER, WAITING, Breach, Goal, Scenario
from simulation.world import World
from syncrollout.api.words import HOLD, Request, Unknown
from syncrollout.decide.deliveries import Delivered
from syncrollout.ports import KindRef, Object, ObjectRef, Outgoing

COMPLETED, ROLLED_BACK = "Completed", "RolledBack"
KINDS = (ROLLOUT, DEPLOYMENT, STATEFUL_SET, CRON_JOB, HTTP_ROUTE, SERVICE)
VERBS: tuple[Verb, ...] = ("get", "list", "watch", "patch")
PHASES = ("parallel-run", "small-traffic", "medium-traffic", "full-traffic", "full-migration")


@dataclass(slots=True)
class _Build:
    """A scenario being put together."""

    rng: random.Random
    seconds: int
    """Of each phase."""
    end_of_faults: float
    objects: list[Object] = field(default_factory=list)
    rollouts: list[tuple[float, Object]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    title: list[str] = field(default_factory=list)

    def system(self, kind: KindRef, name: str, replicas: int) -> None:
        """A workload and its Service."""
        self.objects += [objects.workload(kind, name, replicas), objects.service(name)]

    def deed(self, at: float, text: str, act: people.Act) -> None:
        """Somebody does something."""
        self.deeds.append(Deed(at, text, act))

    def moment(self, low: float = 4.0) -> float:
        """Some time before all calms down; as often as not while a run that nothing holds up is under way."""
        last = self.end_of_faults - 1.0
        if self.rng.random() < 0.5:
            last = min(last, 5.0 + 5.0 * self.seconds)
        return self.rng.uniform(low, max(low + 1.0, last))

    def once_there(self, low: float) -> float:
        """Some time when the last rollout is there."""
        return max(self.moment(low), self.rollouts[-1][0] + 0.05)

    def span(self, low: float, high: float) -> tuple[float, float]:
        """A beginning and an end, the latter before all calms down."""
        start = self.moment()
        return start, min(self.end_of_faults, start + self.rng.uniform(low, high))


def scenario(seed: int) -> Scenario:
    """What this seed means; the same at all times."""
    rng = random.Random(f"{seed}/scenario")
    build = _Build(rng, seconds=rng.choice([0, 1, 3, 5, 8]), end_of_faults=rng.uniform(15.0, 70.0))
    rng.choices([_one_route, _two_routes, _by_replicas, _chain, _crowd], weights=[4, 3, 3, 2, 1])[0](build)
    faults, trouble = _faults(build), _trouble(build)
    elected = rng.random() < 0.25
    deaf = _verified(build, seed)
    _shadowed(build, seed)
    course = _stepwise(build, seed)
    drilled = _drilled(build, seed)
    answers = _told(build, seed)
    approved = _approved(build, seed)
    _disturbances(build, elected=elected)
    calm = build.end_of_faults
    slower = 120.0 if course is not None else 0.0
    return Scenario(
        seed=str(seed),
        title=", ".join(build.title),
        objects=build.objects,
        rollouts=build.rollouts,
        goals=build.goals,
        faults=faults,
        trouble=trouble,
        deeds=sorted(build.deeds, key=lambda deed: deed.at),
        breaches=build.breaches,
        deaf=deaf,
        courses=course,
        answers=answers,
        calm_from=calm,
        deadline=calm + slower + 15.0 + 2 * 6 * build.seconds + 40.0 + 40.0 * len(build.rollouts) + 30.0 * elected,
        restart_after=rng.uniform(0.3, 4.0),
        elected=elected,
        namespaces=rng.choice([None, None, (objects.NAMESPACE,)]),
        concurrency=rng.choice([1, 64]),
        most_calls=200
        + 100 * drilled
        + (150 * len(build.rollouts) if answers is not None else 0)
        + 100 * approved
        + (200 if course else 100) * len(build.rollouts)
        + 100 * elected,
    )


def _told(build: _Build, seed: int) -> Callable[[Outgoing], Delivered] | None:
    """In some seeds people are told, by channels that may be down, or break."""
    rng = random.Random(f"{seed}/told")
    if rng.random() < 0.6:
        return None
    build.title.append("people are told")
    build.objects.append(objects.secret("urls", chat="json://chat.example.com/hook"))
    chat = {"name": "chat", "urlFrom": {"name": "urls", "key": "chat"}}
    alerts = {"name": "alerts", "alertmanager": {"address": "http://alertmanager:9093"}}
    audiences = [{"name": "team", "channels": [chat]}, {"name": "cto", "events": [], "channels": [alerts]}]
    for _, body in build.rollouts:
        body["spec"]["notifications"] = {"audiences": audiences[: rng.choice([1, 2])]}
    chances = rng.choice([(1.0, 0.0, 0.0), (0.6, 0.2, 0.2), (0.3, 0.6, 0.1)])
    results = (Delivered.SENT, Delivered.FAILED, Delivered.UNCERTAIN)
    return lambda _: rng.choices(results, weights=chances)[0]


# Worlds.


def _one_route(build: _Build) -> None:
    build.title.append("one route")
    kind = build.rng.choice([DEPLOYMENT, DEPLOYMENT, STATEFUL_SET, CRON_JOB])
    build.title.append(kind.kind)
    _rollout(build, "sync", "v1", "v2", [(HTTP_ROUTE, "web")], rules=build.rng.choice([1, 1, 3]), kind=kind)


def _two_routes(build: _Build) -> None:
    build.title.append("two routes")
    _rollout(build, "sync", "v1", "v2", [(HTTP_ROUTE, "web"), (GRPC_ROUTE, "rpc")], rules=2)


def _by_replicas(build: _Build) -> None:
    build.title.append("by replicas")
    _rollout(build, "sync", "v1", "v2", [], replicas=10)


def _chain(build: _Build) -> None:
    """Two rollouts on one route at one time: v1 to v2, then v2 to v3."""
    build.title.append("two rollouts on one route")
    first = _rollout(build, "first", "v1", "v2", [(HTTP_ROUTE, "web")], fate="healthy", successor=True, calm=True)
    gap = build.rng.choice([0.001, 0.001, 0.01, 1.5])
    _rollout(build, "second", "v2", "v3", [(HTTP_ROUTE, "web")], at=build.rollouts[0][0] + gap, shared=True)
    route = next(obj for obj in build.objects if obj["kind"] == "HTTPRoute")
    for rule in route["spec"]["rules"]:
        rule["backendRefs"].append({"name": "v3", "port": 80, "weight": 0})
    del first


def _crowd(build: _Build) -> None:
    build.title.append("three rollouts at once")
    for letter in "abc":
        at = 3.0 if letter == "a" else build.rng.uniform(2.0, 6.0)
        _rollout(build, f"sync-{letter}", f"{letter}1", f"{letter}2", [(HTTP_ROUTE, f"web-{letter}")], at=at)


def _rollout(
    build: _Build,
    name: str,
    old: str,
    new: str,
    routes: list[tuple[KindRef, str]],
    *,
    replicas: int = 0,
    rules: int = 1,
    at: float = 3.0,
    fate: str = "",
    shared: bool = False,
    successor: bool = False,
    calm: bool = False,
    kind: KindRef = DEPLOYMENT,
) -> Plan:
    rng = build.rng
    count = 1 if kind == CRON_JOB else replicas or rng.choice([1, 3])
    if not shared:
        build.system(kind, old, count)
        build.objects += [objects.route(*route, old, new, rules=rules) for route in routes]
    build.system(kind, new, rng.choice([1, 2]) if replicas else count)
    old_count = count if not shared else _count(build, old)
    plan = Plan(name, old, new, old_count, tuple(objects.ref(*route) for route in routes), replicas, kind)
    retire = not successor and not replicas and rng.random() < 0.7
    hold = rng.choice([0, 0, 0, 2])
    phases = objects.five_phases(build.seconds, retire=retire, hold_for=hold)
    body = objects.rollout(name, old=old, new=new, phases=phases, routes=tuple(routes), replicas=replicas, kind=kind)
    build.rollouts.append((at, body))
    chosen = (
        fate
        or rng.choices(
            ["healthy", "breach", "retry", "deleted", "recreated", "stopped", "revised", "dies"],
            weights=[8, 5, 2, 2, 2, 2, 2, 2 * (kind != CRON_JOB)],
        )[0]
    )
    build.title.append(f"{name} {chosen}")
    goal = Goal(plan, frozenset({COMPLETED}), retires=retire, successor=successor)
    build.goals.append(goal)
    _FATES[chosen](build, goal, body, hold)
    if not calm:
        unfit = {_old_crashes} if shared else {_old_crashes, _autoscales} if kind == CRON_JOB else set()
        _meddling(build, plan, body, [each for each in _MEDDLING if each not in unfit])
    return plan


def _count(build: _Build, name: str) -> int:
    found = next(obj for obj in build.objects if obj["kind"] == "Deployment" and obj["metadata"]["name"] == name)
    return int(found["spec"]["replicas"])


def _shadowed(build: _Build, seed: int) -> None:
    """In some seeds new first gets copies."""
    rng = random.Random(f"{seed}/shadowed")
    if rng.random() > 0.25:
        return
    build.title.append("shadowed")
    for _, body in build.rollouts:
        if "routes" in body["spec"]["traffic"]:
            body["spec"]["phases"][0] |= {"mode": "Shadow", "mirrorPercent": rng.choice([1, 50, 100])}


def _verified(build: _Build, seed: int) -> list[tuple[float, float]]:
    """In some seeds the share of traffic is verified, and for a while routers may not obey."""
    rng = random.Random(f"{seed}/verified")
    if rng.random() > 0.3:
        return []
    build.title.append("verified")
    for _, body in build.rollouts:
        body["spec"]["traffic"]["verify"] = dict(objects.VERIFY)
    if rng.random() < 0.5:
        return []
    start = rng.uniform(4.0, build.end_of_faults - 2.0)
    build.title.append("routers do not obey for a while")
    return [(start, min(build.end_of_faults, start + rng.uniform(1.0, 12.0)))]


def _stepwise(build: _Build, seed: int) -> Callable[[Object], Course] | None:
    """In some seeds a rollback has steps after the switch, whose Jobs last for some time, some longer than they may."""
    rng = random.Random(f"{seed}/stepwise")
    if rng.random() > 0.3:
        return None
    build.title.append("with steps")
    stop = {"switch": {"stopNew": True}} if rng.random() < 0.5 else {}
    for _, body in build.rollouts:
        with_procedure(body, **stop)
    return courses(damaged=rng.random() < 0.7, lasts=rng.choice([0.2, 2.0, 6.0, 15.0]), mends=rng.random() < 0.8)


def _drilled(build: _Build, seed: int) -> bool:
    """In some seeds the way back is rehearsed: at every full minute, and when somebody asks for it."""
    rng = random.Random(f"{seed}/drilled")
    if rng.random() > 0.3:
        return False
    build.title.append("with drills")
    always = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "from": "00:00", "to": "24:00"}
    live = {"liveFor": "2s"} | ({"mode": "Live", "windows": [always]} if rng.random() < 0.4 else {})
    for _, body in build.rollouts:
        body["spec"].setdefault("rollback", {})["drill"] = {"schedule": "* * * * *", "grace": "20s"} | live
    plans = [goal.plan for goal in build.goals]
    for number in range(rng.randint(0, 3)):
        at, mode = rng.uniform(4.0, build.end_of_faults), rng.choice(["rehearse", "live"])
        build.deed(
            at, "somebody asks for a drill", people.annotate(rng.choice(plans), Request.DRILL, f"{mode}: {number}")
        )
    return True


def _approved(build: _Build, seed: int) -> bool:
    """In some seeds phases end with a person's word, others try to give it, and people hold and skip."""
    rng = random.Random(f"{seed}/approved")
    if rng.random() > 0.3:
        return False
    build.title.append("with approvals")
    for _, body in build.rollouts:
        names = [phase["name"] for phase in body["spec"]["phases"]]
        asks = rng.sample(names, rng.randint(1, len(names)))
        approving.asks_for_approvals(body, *asks, expires=rng.choice(["3s", "20s", "1h"]))
    for goal in build.goals:
        plan, eager = goal.plan, rng.choice([0.0, 0.0, 0.2])
        build.deed(3.5, "kim approves", approving.approves(plan, 900.0, eager=eager, seed=f"{seed}/{plan.name}"))
        for _ in range(rng.choice([0, 1, 3])):
            act = approving.of_the_present_phase(plan, approving.OTHER, Request.APPROVE)
            build.deed(rng.uniform(4.0, build.end_of_faults), "mallory approves", act)
        if rng.random() < 0.4:
            start = rng.uniform(4.0, build.end_of_faults - 1.0)
            build.deed(start, "somebody holds it", approving.says(plan, approving.OTHER, {HOLD: "wait"}))
            end = min(build.end_of_faults, start + rng.uniform(1.0, 12.0))
            build.deed(end, "and lets it go on", approving.says(plan, approving.APPROVER, {HOLD: None}))
        if rng.random() < 0.3 and not any(breach.plan == plan for breach in build.breaches):
            act = approving.of_the_present_phase(plan, approving.APPROVER, Request.SKIP)
            build.deed(rng.uniform(4.0, build.end_of_faults), "somebody skips", act)
    return True


# Fates: what decides where a rollout ends.


def _healthy(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    del build, goal, body, hold


def _breach(build: _Build, goal: Goal, body: Object, hold: int) -> Breach:
    del body
    phase = build.rng.choice(PHASES[1:] if not build.seconds else PHASES)
    if build.seconds == 0:
        phase = PHASES[build.rng.randrange(5)]
    delay = build.rng.uniform(0.0, max(0.0, build.seconds - 2.0 - hold))
    breach = Breach(goal.plan, phase, delay, within=12.0 + hold)
    build.breaches.append(breach)
    # One that passes faster than it can be seen may be missed: the phase, and the run, may be over before.
    passing = build.rng.random() < 0.3
    if passing:
        breach.lasts = build.rng.uniform(0.5, 3.0)
        build.title.append("for a moment")
    visible = build.seconds - delay > 3.0 + hold and not passing
    goal.ends = frozenset({ROLLED_BACK}) if visible else frozenset({ROLLED_BACK, COMPLETED})
    if not visible:
        breach.within = None
        breach.back = -1.0
    build.title.append(f"in {phase} after {delay:.1f} s" + ("" if visible else ", perhaps unseen"))
    return breach


def _retry(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    """Rolled back, mended, and once more."""
    breach = _breach(build, goal, body, hold)
    if ROLLED_BACK not in goal.ends or COMPLETED in goal.ends:
        return
    breach.within = None
    goal.ends = frozenset({COMPLETED})
    goal.again_after, goal.runs = 2.0, 2


def _deleted(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    del body, hold
    build.deed(build.once_there(3.1), f"{goal.plan.name} is deleted", people.delete(goal.plan.ref))
    goal.ends = frozenset({GONE})


def _recreated(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    """Deleted, and applied again as soon as it is gone, or a while after."""
    del hold
    build.deed(build.once_there(3.1), f"{goal.plan.name} is deleted", people.delete(goal.plan.ref))
    goal.anew = (build.rng.choice([0.0, 0.05, 5.0]), body)
    # had the first one completed, the next one waits for an old that is stopped
    goal.ends = frozenset({COMPLETED, WAITING} if goal.retires or goal.plan.replicas else {COMPLETED})


def _stopped(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    del body, hold
    build.deed(build.once_there(3.5), "emergencyStop", people.edit_spec(goal.plan, {"emergencyStop": True}))
    goal.ends = frozenset({ROLLED_BACK, WAITING})


def _revised(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    del body, hold
    build.deed(build.once_there(3.1), "another revision", people.edit_spec(goal.plan, {"revision": "2"}))
    if goal.retires or goal.plan.replicas:  # had it completed, the next run waits for an old that is stopped
        goal.ends = frozenset({COMPLETED, WAITING})


def _dies(build: _Build, goal: Goal, body: Object, hold: int) -> None:
    del body, hold
    goal.ends = frozenset({ROLLED_BACK, COMPLETED})
    if build.rng.random() < 0.5:
        start, end = build.span(2.0, 10.0)
        build.deed(start, "new crashes", people.pods(goal.plan.new_ref, crash=True))
        build.deed(end, "new recovers", people.pods(goal.plan.new_ref, crash=False))
        return
    phase = build.rng.choice(PHASES[1:4])
    delay = build.rng.uniform(0.0, max(0.1, build.seconds - 1.0))
    build.breaches.append(Breach(goal.plan, phase, delay, lasts=LAST_ANSWER + DEAD_FOR + 5.0, pods=True))
    build.title.append(f"in {phase} after {delay:.1f} s")


_FATES: dict[str, Callable[[_Build, Goal, Object, int], Any]] = {
    "healthy": _healthy,
    "breach": _breach,
    "retry": _retry,
    "deleted": _deleted,
    "recreated": _recreated,
    "stopped": _stopped,
    "revised": _revised,
    "dies": _dies,
}


# Meddling: what must make no difference in the end.


_Meddler = Callable[[_Build, Plan, Object], None]


def _meddling(build: _Build, plan: Plan, body: Object, kinds: list[_Meddler]) -> None:
    for _ in range(build.rng.choice([0, 0, 1, 2, 4])):
        build.rng.choice(kinds)(build, plan, body)


def _suspends(build: _Build, plan: Plan, body: Object) -> None:
    del body
    start, end = build.span(1.0, 12.0)
    build.deed(start, "suspend", people.edit_spec(plan, {"suspend": True}))
    build.deed(end, "resume", people.edit_spec(plan, {"suspend": None}))


def _drifts(build: _Build, plan: Plan, body: Object) -> None:
    del body
    if not plan.routes:
        side = build.rng.choice([plan.old_ref, plan.new_ref])
        wanted = build.rng.choice([1, 4, 12] if side == plan.new_ref else [0, 1, 4, 12])
        build.deed(
            build.moment(), f"{side.name} is scaled to {wanted}", _while_in_flight(plan, people.scale(side, wanted))
        )
        return
    new = build.rng.choice([0, 30, 100])
    route, rule = build.rng.choice(plan.routes), build.rng.choice([None, 0])
    act = people.drift(route, {plan.old: 100 - new, plan.new: new}, rule)
    for _ in range(build.rng.choice([1, 1, 8])):
        build.deed(build.moment(), f"weights of {route.name} set to {new} by hand", _while_in_flight(plan, act))


def _while_in_flight(plan: Plan, act: people.Act) -> people.Act:
    def guarded(world: World) -> None:
        if objects.status_of(world.kube.read(plan.ref)).get("inFlight"):
            act(world)

    return guarded


def _reorders(build: _Build, plan: Plan, body: Object) -> None:
    del body
    for route in plan.routes:
        build.deed(build.moment(), f"backends of {route.name} reversed", people.reverse_backends(route))


def _touches(build: _Build, plan: Plan, body: Object) -> None:
    del body
    for ref in (*plan.routes, plan.old_ref, plan.new_ref, plan.ref):
        build.deed(build.moment(), f"{ref} gets a label", people.relabel(ref, f"{build.rng.random():.3f}"))


def _old_crashes(build: _Build, plan: Plan, body: Object) -> None:
    del body
    start, end = build.span(1.0, 10.0)
    build.deed(start, "old crashes", people.pods(plan.old_ref, crash=True))
    build.deed(end, "old recovers", people.pods(plan.old_ref, crash=False))


def _autoscales(build: _Build, plan: Plan, body: Object) -> None:
    del body
    if plan.routes:
        wanted = build.rng.choice([1, 2, 5])
        build.deed(build.moment(), f"new is scaled to {wanted}", people.scale(plan.new_ref, wanted))


def _service_goes(build: _Build, plan: Plan, body: Object) -> None:
    del body
    side = build.rng.choice([plan.old, plan.new])
    start, end = build.span(0.5, 10.0)
    build.deed(start, f"Service {side} is deleted", people.delete(objects.ref(SERVICE, side)))
    build.deed(end, f"Service {side} is back", people.put(objects.service(side)))


def _route_goes(build: _Build, plan: Plan, body: Object) -> None:
    del body
    if len(plan.routes) != 1 or any(len(goal.plan.routes) and goal.plan is not plan for goal in build.goals):
        return
    route = plan.routes[0]
    start, end = build.span(0.5, 10.0)
    build.deed(start, f"{route} is deleted", _while_in_flight(plan, people.delete(route)))
    made = objects.route(route.kind, route.name, plan.old, plan.new)
    build.deed(end, f"{route} is back", people.put(made))


def _durations(build: _Build, plan: Plan, body: Object) -> None:
    del body
    more = build.rng.choice([0, 2, 6])
    # a phase that was cut short could be over before its breach is seen
    seconds = more if all(breach.plan is not plan for breach in build.breaches) else build.seconds + more

    def change(phases: list[Object]) -> list[Object]:
        return [{**each, "duration": f"{seconds}s"} for each in phases]

    build.deed(build.moment(), f"phases of {seconds} s", people.edit_phases(plan, change))


def _weights(build: _Build, plan: Plan, body: Object) -> None:
    del body
    small, medium = build.rng.choice([(20, 60), (10, 20), (30, 30), (10, 50)])

    def change(phases: list[Object]) -> list[Object]:
        given = {"small-traffic": small, "medium-traffic": medium}
        return [{**each, "weight": given.get(each["name"], each["weight"])} for each in phases]

    build.deed(build.moment(), f"weights edited to {small} and {medium}", people.edit_phases(plan, change))


def _phase_goes(build: _Build, plan: Plan, body: Object) -> None:
    name = build.rng.choice(PHASES[:4])
    start, end = build.span(0.5, 8.0)
    whole = body["spec"]["phases"]
    build.deed(
        start,
        f"phase {name} is taken out",
        people.edit_phases(plan, lambda phases: [each for each in phases if each["name"] != name]),
    )

    def restore(phases: list[Object]) -> list[Object]:
        names = {each["name"] for each in whole}
        more = [each for each in phases if each["name"] not in names]
        return sorted([*whole, *more], key=lambda each: int(each["weight"]))

    build.deed(end, "all phases are back", people.edit_phases(plan, restore))


def _phase_comes(build: _Build, plan: Plan, body: Object) -> None:
    del body

    def change(phases: list[Object]) -> list[Object]:
        if any(each["name"] == "one-more" for each in phases):
            return phases
        at = next((i for i, each in enumerate(phases) if each["weight"] >= 50), len(phases))
        more = objects.phase("one-more", 50 if at < len(phases) else 100, build.seconds)
        return [*phases[:at], more, *phases[at:]]

    build.deed(build.moment(), "one more phase", people.edit_phases(plan, change))


def _blackout(build: _Build, plan: Plan, body: Object) -> None:
    del body
    start, end = build.span(1.0, 12.0)
    what = build.rng.choice([Unknown[each.name.upper()] for each in fields(Chances)])

    def act(world: World) -> None:
        world.source.blackouts.append((world.now, world.now + end - start, what))

    build.deed(start, f"Prometheus: {what.value} for {end - start:.1f} s", act)
    del plan


def _clock_steps(build: _Build, plan: Plan, body: Object) -> None:
    del plan, body
    offset = build.rng.uniform(-2.0, 2.0)

    def act(world: World) -> None:
        world.clock.offset += offset

    build.deed(build.moment(), f"the clock is set by {offset:+.2f} s", act)


def _right_goes(build: _Build, plan: Plan, body: Object) -> None:
    del body
    verb = build.rng.choice(VERBS)
    kind = build.rng.choice([plan.kind, SERVICE, HTTP_ROUTE, ROLLOUT])
    start, end = build.span(1.0, 15.0)
    build.deed(start, f"the right to {verb} {kind.kind} is taken away", lambda world: world.kube.forbid(verb, kind))
    build.deed(end, f"the right to {verb} {kind.kind} is back", lambda world: world.kube.allow(verb, kind))


def _kind_goes(build: _Build, plan: Plan, body: Object) -> None:
    del body
    if not plan.routes:
        return
    kind = plan.routes[0].kind
    start, end = build.span(1.0, 15.0)
    build.deed(start, f"{kind.kind} is served no longer", lambda world: world.unserve(kind, on=True))
    build.deed(end, f"{kind.kind} is served again", lambda world: world.unserve(kind, on=False))


_MEDDLING = (
    _right_goes,
    _kind_goes,
    _suspends,
    _drifts,
    _drifts,
    _reorders,
    _touches,
    _old_crashes,
    _autoscales,
    _service_goes,
    _route_goes,
    _durations,
    _weights,
    _phase_goes,
    _phase_comes,
    _blackout,
    _clock_steps,
)


# Faults.


def _faults(build: _Build) -> Faults:
    rng = build.rng
    faults = Faults(until=build.end_of_faults)
    if rng.random() < 0.15:
        build.title.append("no faults")
        return faults
    for name in ("conflict", "too_many", "error", "timeout", "late", "reset", "slow", "expired", "crash"):
        if rng.random() < 0.5:
            rate = 10.0 ** rng.uniform(-2.3, -0.8)
            setattr(faults, name, round(rate / 2 if name == "crash" else rate, 4))
            build.title.append(f"{name} {getattr(faults, name):.3f}")
    for _ in range(rng.choice([0, 0, 1, 2])):
        start, end = build.span(0.5, 15.0)
        faults.outages.append((start, end))
        build.title.append(f"outage {start:.1f}-{end:.1f}")
    if rng.random() < 0.3:
        faults.latency = (0.001, 0.3)
    if rng.random() < 0.4:
        faults.crowded = rng.choice([0.3, 1.0])
        build.title.append(f"crowded {faults.crowded:.1f}")
    return faults


def _trouble(build: _Build) -> Trouble:
    rng = build.rng
    trouble = Trouble(until=build.end_of_faults)
    for each in fields(Chances):
        if rng.random() < 0.3:
            setattr(trouble.chances, each.name, 10.0 ** rng.uniform(-2.0, -0.6))
    return trouble


def _disturbances(build: _Build, *, elected: bool) -> None:
    """Of watches, of leadership, and deaths."""
    rng = build.rng
    for _ in range(rng.choice([0, 0, 1, 3])):
        build.deed(build.moment(0.5), "watches break off", lambda world: world.drop_watches())
    for _ in range(rng.choice([0, 0, 1, 2])):
        build.deed(build.moment(0.5), "watches expire", lambda world: world.expire())
    if rng.random() < 0.3:
        kind = rng.choice(KINDS)
        start, end = build.span(2.0, 30.0)
        build.deed(start, f"watches of {kind.kind} fall silent", lambda world: world.silence(kind, on=True))
        build.deed(end, f"watches of {kind.kind} speak again", lambda world: world.silence(kind, on=False))
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        build.deed(build.moment(0.5), "the process is killed", lambda world: world.crash(world.process))
    if elected:
        build.title.append("elected")
        for _ in range(rng.choice([0, 1, 2])):
            start, end = build.span(0.5, 20.0)
            build.deed(start, f"the leader freezes for {end - start:.1f} s", _freeze(end - start))
        for _ in range(rng.choice([0, 1, 2])):
            start, end = build.span(0.5, 20.0)
            build.deed(start, f"the leader is cut off for {end - start:.1f} s", _cut_off(end - start))
    elif rng.random() < 0.2:
        start, end = build.span(0.2, 8.0)
        build.deed(start, "leadership is lost", _follow)
        build.deed(end, "leadership is won", _lead)


def _freeze(seconds: float) -> people.Act:
    return lambda world: world.freeze(world.process, seconds)


def _cut_off(seconds: float) -> people.Act:
    return lambda world: world.cut_off(world.process, seconds)


def _follow(world: World) -> None:
    if world.process.alive and world.process.ready:
        world.process.stop_leading()


def _lead(world: World) -> None:
    if world.process.alive and world.process.ready and not world.process.leading:
        world.process.lead()


__all__ = ["ObjectRef", "scenario"]

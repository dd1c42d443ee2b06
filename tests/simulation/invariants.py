"""What must hold after every single effective call, whatever went wrong before. Reads the API server alone.

Truth and knowledge: a pod can die in the very moment in which weight is given to it. What is asked for is therefore
that a side had ready pods at some moment at which the operator can have looked: `stale` seconds ago at the earliest,
or as long ago as its watch has been blind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fakes.kube import Call
from simulation import approving, objects, parts, queues
from simulation.objects import CONFIG_MAP, CRON_JOB, DEPLOYMENT, EVENT, JOB, LEASE, ROLLOUT, ROUTES, WORKLOADS
from simulation.process import CALLER, LATE_CALL
from simulation.world import World
from syncrollout.api.words import DRILL_LABEL, FINALIZER, RESTART_ANNOTATION, STEP_LABEL, State, Step, Task
from syncrollout.decide.machine import TRANSITIONS
from syncrollout.ports import KindRef, Object, ObjectRef

ENDED = {State.COMPLETED.value, State.ROLLED_BACK.value}
BACK = {State.ROLLING_BACK.value, State.ROLLED_BACK.value}


@dataclass(frozen=True, slots=True)
class Plan:
    """One rollout as the test knows it."""

    name: str
    old: str
    new: str
    old_replicas: int
    routes: tuple[ObjectRef, ...] = ()
    replicas: int = 0
    """In all, without a router."""
    kind: KindRef = DEPLOYMENT
    """Of both workloads."""
    config_map: str = ""
    """By shards: what tells the workers who owns what."""

    @property
    def ref(self) -> ObjectRef:
        """The SyncRollout."""
        return objects.ref(ROLLOUT, self.name)

    @property
    def old_ref(self) -> ObjectRef:
        """Old's workload."""
        return objects.ref(self.kind, self.old)

    @property
    def new_ref(self) -> ObjectRef:
        """New's workload."""
        return objects.ref(self.kind, self.new)


@dataclass(slots=True)
class _Record:
    """What was seen of one rollout."""

    histories: dict[int, Object] = field(default_factory=dict)
    """By sequence: every history entry ever recorded."""
    stopped_at: float | None = None
    """When a person asked for its end (emergencyStop, deletion), if that still stands."""
    sent_back_by: int = 0
    """The process that put traffic to old though the recorded phase has weight, and has not recorded why yet."""
    released: bool = False
    """It has ended, our finalizer is gone, and nobody has asked for anything since."""


@dataclass(slots=True)
class Invariants:
    """Listens to a world."""

    world: World
    plans: tuple[Plan, ...]
    records: dict[str, _Record] = field(default_factory=lambda: defaultdict(_Record))
    """By uid."""
    ready: dict[ObjectRef, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    events: dict[tuple[str, int], str] = field(default_factory=dict)
    """Names of Events by the uid and sequence that they tell of."""
    dead_for: float = float("inf")
    """Seconds, after `calm_from`, for which traffic may stay at a new without pods while old has some."""
    calm_from: float = 0.0
    dead_since: dict[str, float] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    """Names of Jobs that were ever made."""

    def __post_init__(self) -> None:
        for kind in WORKLOADS:
            for obj in self.world.kube.all(kind):
                name = objects.ref(kind, obj["metadata"]["name"])
                self.ready[name].append((self.world.now, objects.ready_of(obj)))
        self.world.kube.on_effect.append(self.look)

    def look(self, call: Call) -> None:
        """After one effective call."""
        if call.ref.kind in WORKLOADS:
            self.ready[call.ref].append((self.world.now, objects.ready_of(call.after)))
        if call.by == "person":
            self._person(call)
            return
        for check in _CHECKS:
            if LATE_CALL.get() and check in (_weight, _mirror, _replicas):
                continue  # it was right when it was sent; that it is put right is seen at the end
            wrong = check(self, call)
            if wrong:
                self.world.violate(f"{call}: {wrong}")

    def look_at_the_dead(self) -> None:
        """Traffic does not stay where nobody is."""
        for plan in self.plans:
            status = self.status(plan)
            routes = [self.world.kube.look(route) for route in plan.routes]
            old, new = self.world.kube.look(plan.old_ref), self.world.kube.look(plan.new_ref)
            dead = (
                bool(status.get("inFlight"))
                and objects.ready_of(new) == 0
                and objects.ready_of(old) > 0
                and any(objects.share(route, plan.old, plan.new) > 0 for route in routes)
            )
            if not dead:
                self.dead_since.pop(plan.name, None)
                continue
            since = max(self.dead_since.setdefault(plan.name, self.world.now), self.calm_from)
            if self.world.now - since > self.dead_for:
                self.world.violate(f"{plan.name}: new has traffic and no pods for {self.world.now - since:.1f} s")

    def _person(self, call: Call) -> None:
        if call.ref.kind == ROLLOUT and call.after is not None:
            record = self.record(call.after)
            record.released = False
            stop = call.after["spec"].get("emergencyStop") or call.after["metadata"].get("deletionTimestamp")
            record.stopped_at = (record.stopped_at or self.world.now) if stop else None

    # Helpers.

    def record(self, obj: Object) -> _Record:
        """What was seen of this very object."""
        return self.records[obj["metadata"]["uid"]]

    def status(self, plan: Plan) -> Object:
        """As recorded now."""
        return objects.status_of(self.world.kube.look(plan.ref))

    def seen_since(self, kind: KindRef) -> float:
        """What happened to objects of a kind before this loop time, the operator must know."""
        return min(self.world.knows_since(kind), self.world.now) - self.world.chance.faults.stale()

    def was_ready(self, workload: ObjectRef, wanted: int = 1) -> bool:
        """Whether it had so many ready pods at some moment at which the operator can have looked."""
        since = self.seen_since(workload.kind)
        history = self.ready[workload]
        last_before = next((ready for at, ready in reversed(history) if at <= since), 0)
        return last_before >= wanted or any(ready >= wanted for at, ready in history if at > since)

    def _cord_pulled(self, plan: Plan) -> bool:
        """After the end only emergencyStop, or what is seen while it is watched, moves traffic before that is recorded,
        and only back."""
        obj = self.world.kube.read(plan.ref)
        if obj is None or objects.state_of(obj) != "Completed":
            return False
        return obj["spec"].get("emergencyStop") is True or "watch" in objects.status_of(obj)

    def mover(self, plans: list[Plan]) -> Plan | None:
        """The one of these that is in flight."""
        return next((plan for plan in plans if self.status(plan).get("inFlight")), None)


def _only_what_is_ours(self: Invariants, call: Call) -> str:
    """The operator writes weights, replicas, suspend, our finalizer, status, Events and the Lease."""
    kind = call.ref.kind
    ours = {plan.config_map for plan in self.plans}
    if kind == CONFIG_MAP and call.ref.name in ours:
        return ""
    if call.verb == "create":
        report = kind == CONFIG_MAP and "-incident-" in call.ref.name
        return "" if kind in (EVENT, JOB, LEASE) or report else "the operator created something else than an Event"
    if kind == LEASE or (kind == CONFIG_MAP and "-incident-" in call.ref.name):
        return ""
    if kind == ROLLOUT:
        if call.subresource == "status":
            return _differs(call, lambda o: {key: value for key, value in o.items() if key != "status"})
        return _differs(call, _without_finalizer)
    if kind in WORKLOADS:
        size = "suspend" if kind == CRON_JOB else "replicas"
        stamped = any(plan.config_map for plan in self.plans if call.ref in (plan.old_ref, plan.new_ref))
        hidden = {size: None} | ({"template": None} if stamped or _restarted(self, call) else {})
        return _differs(call, lambda o: {**o, "spec": {**o["spec"], **hidden}})
    if kind in ROUTES:
        return _differs(call, _without_weights)
    return "the operator has no business with this kind"


def _restarted(self: Invariants, call: Call) -> bool:
    """Whether old's pods are made anew as is recorded, and nothing but a stamp does it."""
    plan = next((each for each in self.plans if call.ref == each.old_ref), None)
    if plan is None or call.before is None or call.after is None or call.ref.kind == CRON_JOB:
        return False
    steps = (self.status(plan).get("rollback") or {}).get("steps", [])
    recorded = [step["restart"] for step in steps if "restart" in step]
    before, after = (dict(obj["spec"]["template"]["metadata"]) for obj in (call.before, call.after))
    stamps = dict(after.pop("annotations", None) or {})
    given = stamps.pop(RESTART_ANNOTATION, None)
    rest = {key: text for key, text in (before.pop("annotations", None) or {}).items() if key != RESTART_ANNOTATION}
    pods = [obj["spec"]["template"]["spec"] for obj in (call.before, call.after)]
    return recorded == [given] and (before, rest, pods[0]) == (after, stamps, pods[1])


def _differs(call: Call, rest: Callable[[Object], Object]) -> str:
    if call.before is None:
        return "there was nothing before"
    if call.after is None:  # our finalizer held it
        return ""
    before, after = _bare(rest(call.before)), _bare(rest(call.after))
    return "" if before == after else f"something else was changed: {before} became {after}"


def _bare(obj: Object) -> Object:
    kept = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "generation")}
    return {**obj, "metadata": kept}


def _without_finalizer(obj: Object) -> Object:
    rest = [each for each in obj["metadata"].get("finalizers") or [] if each != FINALIZER]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
    return {**obj, "metadata": {**metadata, "finalizers": rest}}


def _without_weights(obj: Object) -> Object:
    rules = []
    for each in obj["spec"]["rules"]:
        refs = [{k: v for k, v in backend.items() if k != "weight"} for backend in each.get("backendRefs", [])]
        rules.append({**objects.without_mirrors(each, refs), "backendRefs": refs})
    return {**obj, "spec": {**obj["spec"], "rules": rules}}


def _guarded(self: Invariants, call: Call) -> str:
    """Every write of a SyncRollout names the version that it rests on."""
    if call.ref.kind != ROLLOUT:
        return ""
    named = ((call.body or {}).get("metadata") or {}).get("resourceVersion")
    return "" if named else "the write carries no resourceVersion"


def _finalizer_once(self: Invariants, call: Call) -> str:
    """Never twice."""
    if call.ref.kind != ROLLOUT or call.after is None:
        return ""
    count = (call.after["metadata"].get("finalizers") or []).count(FINALIZER)
    return "" if count <= 1 else f"our finalizer is there {count} times"


def _weight(self: Invariants, call: Call) -> str:
    """New never has more than the recorded phase gives, none once going back is recorded; nobody gets any without
    ready pods; nothing moves for a rollout that holds no finalizer, or is not in flight."""
    plans = [plan for plan in self.plans if call.ref in plan.routes]
    if not plans or call.after is None or call.before is None:
        return "" if plans or call.ref.kind not in ROUTES else "it belongs to no rollout"
    plan = self.mover(plans) or next((each for each in plans if self._cord_pulled(each)), None)
    if plan is None:
        return "nobody is in flight"
    status = self.status(plan)
    bound = _bound(status)
    pairs = list(zip(_shares(plan, call.before), _shares(plan, call.after), strict=True))
    before, after = max(b for b, _ in pairs), max(a for _, a in pairs)
    if after > bound and after > before:
        return f"new gets {after:g} %, recorded are {bound} % of {plan.name}"
    obj = self.world.kube.read(plan.ref)
    if after > before and (obj is None or not objects.held(obj)):
        return "weight was raised without our finalizer"
    stopped_at = self.record(obj).stopped_at if obj is not None else None
    if after > before and stopped_at is not None and stopped_at < self.seen_since(ROLLOUT):
        return f"weight was raised {self.world.now - stopped_at:.1f} s after its end was asked for"
    by = CALLER.get()
    if obj is not None and by is not None:
        record = self.record(obj)
        if after > before and record.sent_back_by == by.number:
            return "traffic was put to old, and now goes forward again without a word"
        drilled = ((status.get("drill") or {}).get("running") or {}).get("stage") in ("Switching", "Standing")
        if after == 0 and after < before and bound > 0 and (call.urgent or not drilled):
            record.sent_back_by = by.number
    if any(a > b for b, a in pairs) and not self.was_ready(plan.new_ref):
        return f"new gets {after:g} % and has no ready pod"
    if any(a < b for b, a in pairs):
        # With new dead any replica of old is better than none.
        retired = status.get("retired") if self.was_ready(plan.new_ref) else None
        wanted = int((retired or {}).get("replicas", 1))
        if not self.was_ready(plan.old_ref, wanted):
            return f"old gets {100 - after:g} % and has not {wanted} ready pods"
    return ""


def _mirror(self: Invariants, call: Call) -> str:
    """Routes mirror to new only while that is recorded and new can take it, and never beside weight on new."""
    plans = [plan for plan in self.plans if call.ref in plan.routes]
    if not plans or call.after is None or call.before is None:
        return ""
    plan = self.mover(plans) or plans[0]
    before, after = objects.mirrored(call.before, plan.new), objects.mirrored(call.after, plan.new)
    status = self.status(plan)
    if after > before:
        if status.get("state") in BACK or not status.get("inFlight") or "mirror" not in status:
            return "requests are mirrored, and that is not recorded"
        if not self.was_ready(plan.new_ref):
            return "requests are mirrored to new, which has no ready pod"
    raised = max(_shares(plan, call.after), default=0.0) > max(_shares(plan, call.before), default=0.0)
    return "weight is raised beside a mirror" if raised and after else ""


def _shares(plan: Plan, obj: Object) -> list[float]:
    return objects.shares(obj, plan.old, plan.new)


def _bound(status: Object) -> int:
    if status.get("state") in BACK or not status.get("inFlight"):
        return 0
    return int(status["phase"]["weight"])


def _replicas(self: Invariants, call: Call) -> str:
    """Old keeps its last pod until its retirement is recorded; by replicas, new never has more than its share, and no
    side shrinks before the other one has pods to take over."""
    if call.ref.kind not in WORKLOADS or call.before is None:
        return ""
    plans = [plan for plan in self.plans if call.ref in (plan.old_ref, plan.new_ref)]
    plan = self.mover(plans) or next((each for each in plans if self._cord_pulled(each)), None)
    stopped = [each for each in plans if call.ref == each.new_ref and "stoppedNew" in self.status(each)]
    if stopped and not stopped[0].replicas:
        return _stopped(self, stopped[0], call)
    if plan is None:
        return "nobody is in flight, and something is scaled"
    status = self.status(plan)
    before, after = objects.replicas_of(call.before), objects.replicas_of(call.after)
    if plan.replicas:
        return _split(self, plan, call, status)
    if call.ref == plan.new_ref:
        return "" if plan.config_map and after <= before else "new is scaled, though routes move the traffic"
    if after < before and not status.get("retired"):
        return f"old goes from {before} to {after} and its retirement is not recorded"
    return ""


def _stopped(self: Invariants, plan: Plan, call: Call) -> str:
    """New goes to none once traffic is back, and comes back as it was for the next attempt."""
    status, after = self.status(plan), objects.replicas_of(call.after)
    if after == 0:
        return "" if status.get("state") == "RollingBack" else "new is stopped, and nothing is rolled back"
    as_it_was = after == status["stoppedNew"]["replicas"]
    return "" if as_it_was and not status.get("inFlight") else f"new gets {after} replicas after it was stopped"


def _split(self: Invariants, plan: Plan, call: Call, status: Object) -> str:
    ref, before, after = call.ref, objects.replicas_of(call.before), objects.replicas_of(call.after)
    most = plan.replicas * _bound(status) // 100
    if ref == plan.new_ref and after > before and after > most:
        return f"new gets {after} replicas, recorded are {most}"
    if ref == plan.old_ref and after < plan.replicas - most and after < before:
        return f"old goes to {after} replicas, recorded are {plan.replicas - most}"
    other = plan.new_ref if ref == plan.old_ref else plan.old_ref
    if after < before and not self.was_ready(other):
        return f"work moves from {ref.name} to {other.name}, which has no ready pod"
    return ""


def _story(self: Invariants, call: Call) -> str:
    """States follow the table; history only grows; sequences rise."""
    if call.ref.kind != ROLLOUT or call.subresource != "status" or call.after is None:
        return ""
    record = self.record(call.after)
    status = objects.status_of(call.after)
    if status.get("state") in BACK:
        record.sent_back_by = 0
    was, now = State(objects.state_of(call.before)), State(objects.state_of(call.after))
    fresh = [each for each in status.get("history", []) if each["sequence"] not in record.histories]
    back_at_once = now is State.ROLLED_BACK and State.ROLLING_BACK in TRANSITIONS[was] and len(fresh) >= 2
    if was is not now and now not in TRANSITIONS[was] and not back_at_once:
        return f"the state went from {was} to {now}"
    sequences = [each["sequence"] for each in status.get("history", [])]
    if sequences != sorted(set(sequences)):
        return f"sequences do not rise: {sequences}"
    for each in status.get("history", []):
        known = record.histories.setdefault(each["sequence"], each)
        if known != each:
            return f"history was rewritten: {known} became {each}"
    expected = list(range(len(record.histories) - len(fresh) + 1, len(record.histories) + 1))
    if [each["sequence"] for each in fresh] != expected:
        return f"sequences were left out: {fresh}, expected {expected}"
    return ""


def _one_event(self: Invariants, call: Call) -> str:
    """One Event for each recorded transition, and none for what is not recorded."""
    if call.ref.kind != EVENT or call.after is None:
        return ""
    body = call.after
    owner = body["involvedObject"]["uid"]
    known = self.records[owner].histories.values()
    same = [each for each in known if (each["reason"], each["message"]) == (body["reason"], body["message"])]
    if not same:
        return f"an Event of what is recorded nowhere: {body['reason']}: {body['message']}"
    told = [sequence for uid, sequence in self.events if uid == owner]
    free = [each["sequence"] for each in same if each["sequence"] not in told]
    if not free:
        return f"told twice: {body['reason']}: {body['message']}"
    self.events[owner, free[0]] = call.ref.name
    return ""


def _jobs_once(self: Invariants, call: Call) -> str:
    """A Job is made once, for a step that is recorded as running, with all traffic at old; or for a drill that is
    recorded with its name."""
    if call.ref.kind != JOB or call.after is None or call.before is not None:
        return ""
    if call.ref.name in self.jobs:
        return "this Job is made a second time"
    self.jobs.append(call.ref.name)
    owner = call.after["metadata"]["ownerReferences"][0]["uid"]
    for plan in self.plans:
        obj = self.world.kube.read(plan.ref)
        if obj is None or obj["metadata"]["uid"] != owner:
            continue
        status = self.status(plan)
        if DRILL_LABEL in call.after["metadata"]["labels"]:
            drill = status.get("drill") or {}
            # One that has just been cut short may have sent it already.
            names = [(drill.get(which) or {}).get("job") for which in ("running", "last")]
            return "" if call.ref.name in names else f"a Job is made for no drill that is recorded: {drill}"
        steps = (status.get("rollback") or {}).get("steps", [])
        backs_up = call.ref.name in [each.get("backupJob") for each in steps]
        if call.after["metadata"]["labels"][STEP_LABEL] not in set(Step) and not backs_up:
            return _own_job(status, call)
        if status.get("state") != "RollingBack" or steps[0].get("finished") is None:
            return "a Job is made before the switch of traffic has ended"
        current = [each for each in steps if each["state"] in ("Running", "Overrun") and "finished" not in each]
        if [each.get("job", each.get("backupJob")) for each in current] != [call.ref.name] and not LATE_CALL.get():
            return f"a Job is made for no step that is recorded: {current}"
        return ""
    return "a Job of nobody"


def _own_job(status: Object, call: Call) -> str:
    """One that is no step of a rollback is made for what is recorded as running, before any traffic has moved."""
    lines = (status.get("preflight") or {}).get("checks", [])
    own = [*(each.get("task") or {} for each in lines), *status.get("dayOne", [])]
    own += [each.get("task") or {} for each in status.get("verifications", [])]
    running = [each["job"] for each in own if each.get("state") == "Running"]
    if call.ref.name not in running and not LATE_CALL.get():
        return f"a Job is made that is not recorded: {running}"
    begun = call.after is not None and call.after["metadata"]["labels"][STEP_LABEL] != Task.VERIFICATION
    if begun and (status.get("phase") or {}).get("since") is not None and status.get("inFlight"):
        return "a Job of day one is made once traffic stands"
    return ""


def _one_holder(self: Invariants, call: Call) -> str:
    """At most one rollout in flight moves a route, or by replicas a workload."""
    if call.ref.kind != ROLLOUT:
        return ""
    holders: dict[Any, str] = {}
    for plan in self.plans:
        if not self.status(plan).get("inFlight"):
            continue
        for moved in plan.routes or (plan.old_ref, plan.new_ref):
            other = holders.setdefault(moved, plan.name)
            if other != plan.name:
                return f"{moved} is moved by {other} and {plan.name} at once"
    return ""


def only_tells(call: Call) -> bool:
    """Whether a status says nothing new but what has become of messages."""
    before, after = (
        {name: value for name, value in objects.status_of(obj).items() if name not in _OF_MESSAGES}
        for obj in (call.before, call.after)
    )
    return before == after and "notifications" in objects.status_of(call.after)


_OF_MESSAGES = {"notifications", "conditions", "history", "requests", "refreshed", "observedGeneration"}


def _silence_after_the_end(self: Invariants, call: Call) -> str:
    """After the end, recorded and released, nothing is written any more."""
    if call.ref.kind in (EVENT, LEASE):
        return ""  # the last Event may come late
    if call.ref.kind != ROLLOUT or call.after is None:
        return ""
    record = self.record(call.after)
    if record.released and not only_tells(call):
        return "the rollout has ended, and something is written"
    record.released = objects.state_of(call.after) in ENDED and not objects.held(call.after) and _answered(call.after)
    return ""


def _answered(obj: Object) -> bool:
    """No further run is asked for."""
    status = objects.status_of(obj)
    revision = obj["spec"]["revision"]
    reverted = status.get("state") == "RolledBack" and revision == status.get("lastGoodRevision")
    current = status.get("observedGeneration") == obj["metadata"]["generation"]
    return current and "watch" not in status and (revision == status.get("revision") or reverted)


_CHECKS: tuple[Callable[[Invariants, Call], str], ...] = (
    parts.of_its_own,
    _only_what_is_ours,
    _guarded,
    _finalizer_once,
    _weight,
    _mirror,
    _replicas,
    _story,
    _one_event,
    _jobs_once,
    _one_holder,
    queues.pool_within_its_limit,
    queues.forward_when_allowed,
    approving.approved_before_it_ends,
    approving.not_forward_while_held,
    _silence_after_the_end,
)

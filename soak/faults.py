"""What goes wrong, one thing after another, in an order that follows from the seed.

Each fault is a generator that yields for how many seconds it wants to be left alone; the main loop goes on with it
then, so that several may be under way and nothing ever blocks. In the second half of a run the replica that leads is
left alone: its memory is judged over that half, and a new process has a new memory.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from e2e.plan import API_VERSION, GATEWAY_API, KIND
from soak import flagship, small
from soak.replicas import Replica
from soak.story import weight_of
from soak.world import NODES, World
from testbed import KubeError
from testbed.stages import MODE_KEY

Obj = dict[str, Any]
Fault = Iterator[float]


@dataclass(frozen=True)
class Outage:
    """A time in which something that the operator needs was away."""

    what: str
    since: float
    until: float


@dataclass
class Faults:
    """`tick` often. `clock` is the wall clock."""

    world: World
    seed: int
    clock: Callable[[], float]
    in_flight: Callable[[], list[tuple[str, str]]]
    """Namespace and name of the rollouts whose traffic the operator watches over now."""
    outages: list[Outage] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    weights_set: int = 0
    """How often a fault has set weights by hand."""
    order: list[str] = field(default_factory=list)
    _under_way: list[tuple[float, Fault]] = field(default_factory=list)
    _bag: list[str] = field(default_factory=list)
    _due: float = 0.0
    _busy: set[str] = field(default_factory=set)
    _away: int = 0
    """Outages that are not over."""

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._due = self.clock() + 10.0

    def tick(self, *, gap: tuple[float, float], spare_leader: bool, stop: bool) -> None:
        """Go on with what is under way, and begin the next where it is time."""
        now = self.clock()
        waiting, self._under_way = self._under_way, []
        for due, fault in waiting:
            if due > now:
                self._under_way.append((due, fault))
                continue
            with contextlib.suppress(StopIteration):
                self._under_way.append((self.clock() + next(fault), fault))
        if not stop and now >= self._due:
            self._due = now + self._rng.uniform(*gap)
            self._begin(spare_leader=spare_leader)

    @property
    def quiet(self) -> bool:
        """Nothing is under way."""
        return not self._under_way

    @property
    def restarting(self) -> bool:
        """A replica is being restarted."""
        return "operator" in self._busy

    def _begin(self, *, spare_leader: bool) -> None:
        if not self._bag:
            self._bag = list(_KINDS)
            self._rng.shuffle(self._bag)
        name = self._bag[-1]
        if spare_leader and name in _OF_LEADER:
            name = _OF_LEADER[name]
        group = _GROUPS.get(name, "")
        if group and group in self._busy:
            self._due = self.clock() + 1.0  # it comes in its turn all the same, once the other is over
            return
        self._bag.pop()
        self.counted[name] += 1
        self.order.append(name)
        self._under_way.append((0.0, self._alone(group, _KINDS_AND_MORE[name](self))))

    def _alone(self, group: str, fault: Fault) -> Fault:
        self._busy.add(group)
        yield from fault
        self._busy.discard(group)

    @property
    def away(self) -> bool:
        """Something that the operator needs is away."""
        return self._away > 0

    def _gone(self) -> float:
        """An outage begins; when."""
        self._away += 1
        return self.clock()

    def _back(self, what: str, since: float) -> None:
        """It is over."""
        self._away -= 1
        self.outages.append(Outage(what, since, self.clock()))

    # ---- the operator ------------------------------------------------------------------------------------------

    def _which(self, *, leader: bool) -> Replica:
        leads = self.world.leader
        others = [each for each in self.world.replicas if each is not leads]
        return leads if leader and leads is not None else others[0]

    def killed(self, *, leader: bool) -> Fault:
        """SIGKILL."""
        replica = self._which(leader=leader)
        since = self._gone() if leader else 0.0
        replica.process.kill()
        yield self._rng.uniform(0.5, 3.0)
        replica.launch()
        yield from self._until_lead(replica, leader=leader, since=since)

    def terminated(self, *, leader: bool) -> Fault:
        """SIGTERM."""
        replica = self._which(leader=leader)
        since = self._gone() if leader else 0.0
        replica.terminate()
        yield from self._until_ended(replica)
        replica.launch()
        yield from self._until_lead(replica, leader=leader, since=since)

    def upgrade(self) -> Fault:
        """One replica after the other, as a Deployment replaces them: the next once this one is ready."""
        for leader in (False, True):
            yield from self.terminated(leader=leader)

    def _until_ended(self, replica: Replica) -> Fault:
        waited = 0.0
        while replica.process.running:
            yield 0.2
            waited += 0.2
            if waited > 30.0:
                replica.process.kill()
                self.counted["did not end within 30 s of SIGTERM"] += 1

    def _until_lead(self, replica: Replica, *, leader: bool, since: float) -> Fault:
        """The one that was started is ready, and somebody leads."""
        while not replica.ready or self.world.leader is None:
            yield 0.5
        if leader:
            yield 2.0  # what became due meanwhile is late
            self._back("nobody led", since)

    # ---- Prometheus --------------------------------------------------------------------------------------------

    def prometheus_gone(self) -> Fault:
        """It refuses connections."""
        process, since = self.world.testbed.prometheus.process, self._gone()
        process.kill()
        yield self._rng.uniform(8.0, 16.0)
        process.launch()
        yield 6.0
        self._back("Prometheus was gone", since)

    def prometheus_hangs(self) -> Fault:
        """It takes questions and answers none."""
        prometheus, since = self.world.testbed.prometheus, self._gone()
        prometheus.pause()
        yield self._rng.uniform(6.0, 12.0)
        prometheus.resume()
        yield 6.0
        self._back("Prometheus hung", since)

    # ---- nodes -------------------------------------------------------------------------------------------------

    def drain(self) -> Fault:
        """A node's pods lose their readiness; then it is cordoned, and they are evicted as their budgets allow it."""
        kube, node = self.world.kube, f"fake-{self._rng.randrange(NODES)}"
        pods = self._pods(node)
        for pod in pods:
            self._annotate(pod, "not-ready")
        yield self._rng.uniform(3.0, 6.0)
        kube.patch("v1", "Node", node, "", {"spec": {"unschedulable": True}})
        for _ in range(20):
            refused = [pod for pod in self._pods(node) if not self._evicted(pod)]
            if not refused:
                break
            yield 1.0
            for pod in refused:
                self._annotate(pod, None)
        yield 2.0
        kube.patch("v1", "Node", node, "", {"spec": {"unschedulable": None}})

    def _pods(self, node: str) -> list[Obj]:
        kube = self.world.kube
        pods = [*kube.list("v1", "Pod", small.NAMESPACE), *kube.list("v1", "Pod", flagship.NAMESPACE)]
        owned = [(pod, [each["kind"] for each in pod["metadata"].get("ownerReferences") or ()]) for pod in pods]
        return [
            pod
            for pod, owners in owned
            if pod["spec"].get("nodeName") == node
            and "Job" not in owners
            and not pod["metadata"].get("deletionTimestamp")
        ]

    def _annotate(self, pod: Obj, mode: str | None) -> None:
        metadata = pod["metadata"]
        with contextlib.suppress(KubeError, OSError):
            body = {"metadata": {"annotations": {MODE_KEY: mode}}}
            self.world.kube.patch("v1", "Pod", metadata["name"], metadata["namespace"], body)

    def _evicted(self, pod: Obj) -> bool:
        metadata = pod["metadata"]
        path = self.world.kube.path("v1", "Pod", metadata["namespace"], metadata["name"]) + "/eviction"
        named = {"name": metadata["name"], "namespace": metadata["namespace"]}
        try:
            self.world.kube.request("POST", path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named})
        except KubeError as error:
            return error.status == 404
        self.counted["pods evicted"] += 1
        return True

    # ---- people who change things ------------------------------------------------------------------------------

    def weights_drift(self) -> Fault:
        """Somebody sets the weights of three routes by hand, and those of the flagship; of rollouts in flight, for what
        becomes of a route before and after is its owner's business."""
        weights = [self._rng.choice((0, 30, 100)) for _ in range(4)]
        flying = self.in_flight()
        lead = (flagship.NAMESPACE, flagship.NAME)
        others = sorted(each for each in flying if each != lead)
        chosen = [others[self._rng.randrange(len(others))] for _ in range(3) if others]
        chosen += [each for each in flying if each == lead]
        for (namespace, name), weight in zip(chosen, weights, strict=False):
            self._set_weights(name, namespace, weight)
        yield 0.0

    def _set_weights(self, name: str, namespace: str, weight: int) -> None:
        kube = self.world.kube
        with contextlib.suppress(KubeError, OSError):
            found = kube.get(GATEWAY_API, "HTTPRoute", name, namespace)
            if weight_of(found) == weight:
                return
            for rule in found["spec"]["rules"]:
                if len(rule["backendRefs"]) == 2:
                    rule["backendRefs"][0]["weight"], rule["backendRefs"][1]["weight"] = 100 - weight, weight
            kube.replace(found)
            self.weights_set += 1

    def replicas_drift(self) -> Fault:
        """Somebody scales systems: new of a small one to none and back, old of another up."""
        kube = self.world.kube
        for side, replicas in (("new", 0), ("old", 2)):
            name = f"{side}-{small.name_of(self._rng.randrange(self.world.rollouts))}"
            kube.patch("apps/v1", "Deployment", name, small.NAMESPACE, {"spec": {"replicas": replicas}})
            yield 4.0
            kube.patch("apps/v1", "Deployment", name, small.NAMESPACE, {"spec": {"replicas": 1}})

    def suspended(self) -> Fault:
        """Somebody suspends two rollouts and the flagship, and lets them go on."""
        chosen = [(small.name_of(self._rng.randrange(self.world.rollouts)), small.NAMESPACE) for _ in range(2)]
        chosen.append((flagship.NAME, flagship.NAMESPACE))
        for suspend in (True, False):
            for name, namespace in chosen:
                self._edit(name, namespace, {"suspend": suspend})
            yield self._rng.uniform(3.0, 6.0)

    def edited(self) -> Fault:
        """Somebody edits specs mid-way: durations, texts and limits, of small ones and of the flagship."""
        for _ in range(3):
            name = small.name_of(self._rng.randrange(self.world.rollouts))
            self._edit_phases(name, small.NAMESPACE, duration=f"{self._rng.randint(4, 10)}s")
        note = f"As decided in meeting {self.counted['edited']}."
        self._edit_phases(flagship.NAME, flagship.NAMESPACE, description=note)
        yield 0.0

    def _edit_phases(self, name: str, namespace: str, **changes: str) -> None:
        with contextlib.suppress(KubeError, OSError):
            found = self.world.kube.get(API_VERSION, KIND, name, namespace)
            phases = [{**phase, **changes} for phase in found["spec"]["phases"]]
            self._edit(name, namespace, {"phases": phases})

    def _edit(self, name: str, namespace: str, spec: Obj) -> None:
        with contextlib.suppress(KubeError, OSError):
            self.world.kube.patch(API_VERSION, KIND, name, namespace, {"spec": spec})


_KINDS: dict[str, Callable[[Faults], Fault]] = {
    "kill -9 of the leader": lambda f: f.killed(leader=True),
    "SIGTERM of the leader": lambda f: f.terminated(leader=True),
    "upgrade of both": Faults.upgrade,
    "kill -9 of the other replica": lambda f: f.killed(leader=False),
    "Prometheus gone": Faults.prometheus_gone,
    "Prometheus hangs": Faults.prometheus_hangs,
    "node drained": Faults.drain,
    "weights set by hand": Faults.weights_drift,
    "replicas set by hand": Faults.replicas_drift,
    "suspended and resumed": Faults.suspended,
    "specs edited": Faults.edited,
}
_OF_LEADER = {
    "kill -9 of the leader": "kill -9 of the other replica",
    "SIGTERM of the leader": "SIGTERM of the other replica",
    "upgrade of both": "SIGTERM of the other replica",
}
"""What is done in its place in the second half."""
_GROUPS = {
    **dict.fromkeys((*_OF_LEADER, *_OF_LEADER.values()), "operator"),
    "Prometheus gone": "Prometheus",
    "Prometheus hangs": "Prometheus",
}
"""Of which there is never more than one under way."""
_KINDS_AND_MORE: dict[str, Callable[[Faults], Fault]] = {
    **_KINDS,
    "SIGTERM of the other replica": lambda f: f.terminated(leader=False),
}

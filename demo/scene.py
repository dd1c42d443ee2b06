"""What the demo sees: one place that gathers the API server, Prometheus and the proxy into plain values."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demo.live import OperatorPort, Verdicts
from demo.plan import Plan
from demo.traffic import Answer, Traffic, share_of_new
from demo.watching import Mirror, Moment, Server
from demo.work import NOTHING, Counts, Work

Obj = dict[str, Any]
Ask = Callable[[str], float | None]
SHARE_SECONDS = 3.0
_READ_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the view. ``verdict`` is of the operator's last pass, ``why`` the status' word for Unknown; ``live``
    and ``live_old`` were asked of Prometheus."""

    role: str
    metric: str
    unit: str
    limit: str
    verdict: str
    why: str
    live: float | None
    live_old: float | None


@dataclass(frozen=True, slots=True)
class Slots:
    """How far the items are, as the status tells it: new owns the slots below ``new_below``, old those from
    ``old_from`` up. ``stage`` is that of the handover, ``waiting_for`` names pods that have not let go yet."""

    new_below: int
    old_from: int
    epoch: int
    stage: str
    shadow: bool = False
    stop: bool = False
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the rollback, as the status tells it. ``taken`` is in seconds, until now where it runs; None before
    its turn. ``says`` is what its Job said last, else what came of it."""

    name: str
    state: str
    budget: float
    taken: float | None
    says: str

    @property
    def late(self) -> bool:
        """It took longer than its budget; the state must then say so."""
        return self.taken is not None and self.taken > self.budget


@dataclass(frozen=True, slots=True)
class Frame:
    """All that the view shows. ``share`` is percent of new at the proxy, ``items`` what the workers handled, both over
    the last seconds; ``progress`` is of the step under way."""

    elapsed: float
    phases: tuple[tuple[str, int], ...]
    state: str
    phase: str
    message: str
    weight: int | None
    share: float | None
    requests: int
    failed: int
    criteria: tuple[Criterion, ...]
    events: tuple[str, ...]
    old_processes: int
    new_processes: int
    slots: Slots | None = None
    items: Counts = NOTHING
    steps: tuple[Step, ...] = ()
    progress: str = ""


class Scene:
    """Watches while it is open. Weights are those of the HTTPRoute, not what the status says of them."""

    def __init__(  # noqa: PLR0917 - all that there is to be seen
        self, server: Server, plan: Plan, ask: Ask, traffic: Traffic, work: Work, operator: OperatorPort
    ) -> None:
        self.plan, self._ask, self.traffic, self.work, self._operator = plan, ask, traffic, work, operator
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._weights: list[Moment] = []
        self._states: list[Moment] = []
        self._available: list[Moment] = []
        self._events: dict[str, str] = {}  # in the order of arrival: event times are of whole seconds
        self._live: dict[tuple[str, str], float | None] = {}
        self._verdicts: Verdicts = {}
        self._stopped = threading.Event()
        namespace = plan.namespace
        groups = {
            "rollouts": (f"/apis/syncrollout.io/v1alpha1/namespaces/{namespace}/syncrollouts", self._rollout_changed),
            "routes": (
                f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes",
                self._route_changed,
            ),
            "deployments": (f"/apis/apps/v1/namespaces/{namespace}/deployments", self._deployment_changed),
            "events": (f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", self._event_seen),
        }
        self._mirrors = {name: Mirror(server, path, changed) for name, (path, changed) in groups.items()}
        self._reader = threading.Thread(target=self._read, name="readings", daemon=True)

    def start(self) -> None:
        """From here on the seconds of the view count."""
        self._began = time.monotonic()
        for mirror in self._mirrors.values():
            mirror.start()
        self._reader.start()

    def stop(self) -> None:
        self._stopped.set()
        for mirror in self._mirrors.values():
            mirror.stop()
        if self._reader.is_alive():
            self._reader.join(5.0)

    @staticmethod
    def clock() -> float:
        """Seconds of time.monotonic: the clock of all moments here."""
        return time.monotonic()

    @property
    def began(self) -> float:
        return self._began

    @property
    def status(self) -> Obj:
        """The rollout's status as last seen; empty while there is none."""
        rollout = self._mirrors["rollouts"].get(self.plan.name)
        return (rollout or {}).get("status") or {}

    @property
    def state(self) -> str:
        return str(self.status.get("state", ""))

    @property
    def phase(self) -> str:
        return str((self.status.get("phase") or {}).get("name", ""))

    @property
    def weight(self) -> int | None:
        """New's weight in the HTTPRoute, in percent of both; None before it was seen."""
        weights = self.weights()
        return weights[-1].value if weights else None

    @property
    def slots(self) -> Slots | None:
        """Of the status; None while it says nothing of slots."""
        shards = self.status.get("shards")
        if not shards:
            return None
        return Slots(
            new_below=int(shards["newBelow"]),
            old_from=int(shards["oldFrom"]),
            epoch=int(shards["epoch"]),
            stage=str(shards["stage"]),
            shadow=bool(shards.get("shadow")),
            stop=bool(shards.get("stop")),
            waiting_for=tuple(shards.get("waitingFor", ())),
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """Those of the rollback; none before it, and without a procedure."""
        told = (self.status.get("rollback") or {}).get("steps") or ()
        return tuple(read_step(one, time.time()) for one in told)

    def weights(self) -> list[Moment]:
        """Each change of new's weight in the HTTPRoute."""
        with self._lock:
            return list(self._weights)

    def states(self) -> list[Moment]:
        """Each change of (state, phase) of the rollout."""
        with self._lock:
            return list(self._states)

    def available(self) -> list[Moment]:
        """Each change of the number of new's available pods."""
        with self._lock:
            return list(self._available)

    def frame(self, old_processes: int, new_processes: int, progress: str = "") -> Frame:
        status = self.status
        now = time.monotonic()
        answers = self.traffic.answers()
        recent = [answer for answer in answers if answer.ended >= now - SHARE_SECONDS]
        with self._lock:
            events = tuple(self._events.values())
        return Frame(
            elapsed=now - self._began,
            phases=tuple((phase.name, phase.weight) for phase in self.plan.spec.phases),
            state=self.state,
            phase=self.phase,
            message=str(status.get("message", "")),
            weight=self.weight,
            share=share_of_new(recent),
            requests=len(answers),
            failed=sum(answer.failed for answer in answers),
            criteria=tuple(self._criterion(item) for item in status.get("criteria", [])),
            events=events,
            old_processes=old_processes,
            new_processes=new_processes,
            slots=self.slots,
            items=self.work.counts(now - SHARE_SECONDS),
            steps=self.steps,
            progress=progress,
        )

    def answers(self, since: float = 0.0) -> list[Answer]:
        return self.traffic.answers(since)

    def read(self, metric: str, version: str) -> float | None:
        """The metric's reading now, asked of Prometheus with the operator's own query."""
        return self._ask(self.plan.query(self.plan.spec.metric(metric), version))

    def _criterion(self, item: Obj) -> Criterion:
        name = str(item["metric"])
        with self._lock:
            live, live_old = self._live.get((name, "new")), self._live.get((name, "old"))
            verdict = self._verdicts.get((str(item["role"]), name), str(item["verdict"]))
        relative = "times old" in str(item.get("limit", ""))
        return Criterion(
            role=str(item["role"]),
            metric=name,
            unit=self.plan.spec.metric(name).unit,
            limit=str(item.get("limit", "")),
            verdict=verdict,
            why=str(item.get("unknown", "")) if verdict == item["verdict"] else "",
            live=live,
            live_old=live_old if relative else None,
        )

    def _read(self) -> None:
        while True:
            verdicts = self._operator.verdicts(self.plan.namespace, self.plan.name)
            with self._lock:
                self._verdicts = verdicts
            for metric in self.plan.spec.metrics:
                for version in ("new", "old"):
                    value = self.read(metric.name, version)
                    with self._lock:
                        self._live[metric.name, version] = value
            if self._stopped.wait(_READ_EVERY):
                return

    def _rollout_changed(self, when: float, kind: str, rollout: Obj) -> None:
        status = rollout.get("status") or {}
        value = (str(status.get("state", "")), str((status.get("phase") or {}).get("name", "")))
        if kind != "DELETED" and rollout["metadata"]["name"] == self.plan.name:
            self._note(self._states, when, value)

    def _route_changed(self, when: float, kind: str, route: Obj) -> None:
        if kind == "DELETED" or route["metadata"]["name"] != self.plan.route["metadata"]["name"]:
            return
        backends = route["spec"]["rules"][0]["backendRefs"]
        weights = {backend["name"]: int(backend.get("weight", 1)) for backend in backends}
        new, total = weights.get(self.plan.deployments["new"], 0), sum(weights.values())
        self._note(self._weights, when, round(100 * new / total) if total else 0)

    def _deployment_changed(self, when: float, kind: str, deployment: Obj) -> None:
        if deployment["metadata"]["name"] == self.plan.deployments["new"]:
            count = 0 if kind == "DELETED" else int(deployment.get("status", {}).get("availableReplicas", 0))
            self._note(self._available, when, count)

    def _event_seen(self, _when: float, kind: str, event: Obj) -> None:
        if kind == "DELETED" or event.get("regarding", {}).get("kind") != "SyncRollout":
            return
        text = f"{event.get('type', ''):8}{event.get('reason', '')}: {event.get('note', '')}"
        with self._lock:
            self._events[str(event["metadata"]["name"])] = text

    def _note(self, log: list[Moment], when: float, value: object) -> None:
        with self._lock:
            if not log or log[-1].value != value:
                log.append(Moment(when, value))


def read_step(told: Obj, now: float) -> Step:
    """One of the status' steps; ``now`` in seconds since 1970."""
    began, ended = _seconds(told.get("started")), _seconds(told.get("finished"))
    running = began is not None and ended is None and told["state"] != "Waiting"
    taken = None if began is None else (now if running else ended or began) - began
    says = (str(told.get("output") or "").strip().splitlines() or [str(told.get("message") or "")])[-1]
    return Step(str(told["name"]), str(told["state"]), float(told["budgetSeconds"]), taken, says)


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None

"""What people do to the rollouts: they begin them, approve, break new, try again, delete and begin anew.

Called again and again from the main loop; each call looks at one rollout as the API server last told of it, and does at
most one thing. The moments are drawn from the seed, so that the same seed brings the same wishes in the same order.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any

from e2e.plan import API_VERSION, GATEWAY_API, KIND
from soak import flagship, small
from soak.world import World
from testbed import KubeError

Obj = dict[str, Any]
ENDED = ("Completed", "RolledBack")
PATIENCE = 20.0
"""Seconds after which somebody decides of an incident."""
BY = {"syncrollout.io/requested-by": "kim"}


def annotate(world: World, name: str, namespace: str, **words: str) -> None:
    """Ask for something by annotations."""
    body = {"metadata": {"annotations": {f"syncrollout.io/{key}": value for key, value in words.items()} | BY}}
    world.kube.patch(API_VERSION, KIND, name, namespace, body)


@dataclass
class Owner:
    """Whoever looks after one small rollout."""

    world: World
    number: int
    rng: random.Random
    made: int = 0
    """How often it was created."""
    asked: int = 0
    """Counts what was asked for, so that no value comes twice."""
    due: float = 0.0
    """When the next thing is done, at the earliest."""
    breaks_at: str = ""
    """The phase in which new is to fail in this run; empty where it is not."""
    broken: bool = False
    planned: tuple[str, int] = ("", 0)
    """The uid and run that this was drawn for."""
    deleting: bool = False
    waiting: bool = False
    """It was created, and not seen yet."""
    weights_set: int = 0
    """How often it has set the weights itself."""
    incident_since: float = field(default=0.0)

    @property
    def lasting(self) -> bool:
        """It is never deleted: each of its runs is of another revision, or another attempt."""
        return self.number % 2 == 0

    @property
    def name(self) -> str:
        """Of the rollout."""
        return small.name_of(self.number)

    def look(self, obj: Obj | None, now: float, *, ending: bool) -> None:
        """One look. `ending`: nothing new is begun any more."""
        if now < self.due:
            return
        with contextlib.suppress(KubeError, OSError):
            if obj is None:
                self._create(now, ending=ending)
                return
            self.waiting = False
            if not obj["metadata"].get("deletionTimestamp"):
                self._care(obj, obj.get("status") or {}, now, ending=ending)

    def _create(self, now: float, *, ending: bool) -> None:
        world = self.world
        if self.waiting:
            return  # the mirror has not seen it yet
        if self.deleting:
            self._as_before()
            self.deleting = False
            self.due = now + 3.0
        elif not ending:
            addresses = world.testbed.prometheus.address, world.alertmanager.address
            seconds = self.rng.randint(5, 9)
            world.kube.create(small.rollout(self.number, *addresses, world.town.schedule(), seconds))
            self.waiting = True
            self.made += 1
            self.due = now + 2.0

    def _as_before(self) -> None:
        """As its owner puts everything back for another beginning."""
        kube = self.world.kube
        self.world.heal(self.name)
        self.broken = False
        spec = {"spec": {"rules": small.route(self.name)["spec"]["rules"]}}
        before = kube.get(GATEWAY_API, "HTTPRoute", self.name, small.NAMESPACE)["metadata"]["resourceVersion"]
        after = kube.patch(GATEWAY_API, "HTTPRoute", self.name, small.NAMESPACE, spec)["metadata"]["resourceVersion"]
        self.weights_set += before != after
        kube.patch("apps/v1", "Deployment", f"old-{self.name}", small.NAMESPACE, {"spec": {"replicas": 1}})

    def _care(self, obj: Obj, status: Obj, now: float, *, ending: bool) -> None:
        state, phase = status.get("state", ""), status.get("phase") or {}
        self._plan(obj, status)
        if state == "Completed":
            self._after_completion(status, now, ending=ending)
        elif state == "RolledBack":
            self._after_rollback(status, now, ending=ending)
        elif state == "AwaitingApproval":
            self._say(approve=f"{phase.get('name')}: fine, {self._count()}")
            self.due = now + 3.0
        elif status.get("incident") and not self.broken:
            self._decide(status, now)
        elif (
            state == "Progressing"
            and self.breaks_at
            and not self.broken
            and phase.get("name") == self.breaks_at
            and phase.get("since")
        ):
            if not ending:
                self.broken = True
                self.world.break_(f"new-{self.name}", 50.0)
            self.due = now + 2.0
        elif self.broken and phase.get("name") and phase["name"] != self.breaks_at and state != "RollingBack":
            self.world.heal(self.name)  # it has stepped back: that was it
            self.broken, self.breaks_at = False, ""

    def _plan(self, obj: Obj, status: Obj) -> None:
        run = (obj["metadata"]["uid"], int(status.get("run") or 0))
        if run != self.planned:
            self.planned = run
            phases = [each["name"] for each in obj["spec"]["phases"]]
            self.breaks_at = self.rng.choice(phases) if self.rng.random() < 0.45 else ""

    def _after_completion(self, status: Obj, now: float, *, ending: bool) -> None:
        if ending or (telling(status) and self.rng.random() < 0.9):
            self.due = now + 1.0
        elif self.lasting:
            self._as_before()
            body = {"spec": {"revision": f"r{self._count()}"}}
            self.world.kube.patch(API_VERSION, KIND, self.name, small.NAMESPACE, body)
            self.due = now + 3.0
        else:
            self._delete(now)

    def _delete(self, now: float) -> None:
        self.deleting = True
        self.world.kube.delete(API_VERSION, KIND, self.name, small.NAMESPACE)
        self.due = now + 1.0

    def _after_rollback(self, status: Obj, now: float, *, ending: bool) -> None:
        if self.broken:
            self.world.heal(self.name)
            self.broken = False
            self.due = now + 3.0
            return
        if ending:
            return
        if not self.lasting and self.rng.random() < 0.2:
            self._delete(now)
            return
        if not status.get("retry"):
            self._say(retry=f"mended, {self._count()}")
        self.due = now + 4.0

    def _decide(self, status: Obj, now: float) -> None:
        since = self.incident_since or now
        self.incident_since = since
        if now - since > PATIENCE:
            self.incident_since = 0.0
            if status.get("reason") == "AwaitingDecision":
                self._say(decide=f"continue: it was the measuring, {self._count()}")
            else:
                self._say(override=f"it was the measuring, {self._count()}")
            self.due = now + 5.0

    def _count(self) -> int:
        self.asked += 1
        return self.asked

    def _say(self, **words: str) -> None:
        annotate(self.world, self.name, small.NAMESPACE, **words)


def telling(status: Obj) -> bool:
    """Whether a message of it is still on its way."""
    messages = (status.get("notifications") or {}).get("messages") or ()
    return any(each["state"] in ("Pending", "Sending") for one in messages for each in one.get("deliveries") or ())


class Lead:
    """Whoever looks after the flagship: confirms the checklist, approves each cut-over, and lets it go on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due = 0.0
        self._asked = 0
        self.retries = 0

    def begin(self) -> None:
        """Apply it, and confirm what people confirm."""
        world = self._world
        addresses = world.testbed.prometheus.address, world.alertmanager.address
        made = flagship.rollout(world.compression, *addresses, world.town.schedule())
        made["metadata"]["annotations"] = flagship.attestations(made["spec"]) | BY
        world.kube.create(made)

    def look(self, obj: Obj | None, now: float) -> None:
        """One look."""
        if obj is None or now < self._due:
            return
        status = obj.get("status") or {}
        state, phase = status.get("state", ""), status.get("phase") or {}
        self._asked += 1
        words: dict[str, str] = {}
        if state == "AwaitingApproval":
            words = {"approve": f"{phase['name']}: all quiet, {self._asked}"}
        elif state == "RolledBack" and not status.get("retry"):
            self.retries += 1
            words = {"retry": f"mended, {self._asked}"}
        elif status.get("reason") == "AwaitingDecision":
            words = {"decide": f"continue: it was the measuring, {self._asked}"}
        if words:
            self._due = now + 6.0
            with contextlib.suppress(KubeError, OSError):
                annotate(self._world, flagship.NAME, flagship.NAMESPACE, **words)


def owners(world: World, seed: int) -> list[Owner]:
    """One for each small rollout; they begin one after the other."""
    begun = time.monotonic()
    made = [Owner(world, number, random.Random(f"{seed}/{number}")) for number in range(world.rollouts)]
    for owner in made:
        owner.due = begun + owner.number * 0.4
    return made

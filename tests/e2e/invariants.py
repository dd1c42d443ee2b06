"""What is true in every scenario, checked at its end over all that the watches have told.

Each check walks through the versions in the order in which the API server accepted them, so it holds after every single
write and not only where a scenario happens to look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from e2e import plan
from e2e.recorder import Seen
from e2e.scene import ENDED, Scene, ready_replicas
from testbed import Obj
from testbed.waiting import eventually

ROUTES = ("HTTPRoute", "GRPCRoute")
WORKLOADS = ("Deployment", "StatefulSet")


@dataclass
class _World:
    """The namespace at one moment."""

    workloads: dict[tuple[str, str], Obj] = field(default_factory=dict)
    rollouts: dict[str, Obj] = field(default_factory=dict)
    weights: dict[tuple[str, str], int] = field(default_factory=dict)


def check(scene: Scene) -> None:
    """All of them; every broken one in one AssertionError."""
    scene.stage.recorder.caught_up(scene.namespace)
    story = scene.stage.recorder.story(scene.namespace)
    broken = [*_weights(scene, story), *_traces(story)]
    assert not broken, "\n".join(broken)
    for rollout in scene.rollouts:
        _no_finalizer(scene, rollout.name)
        if not scene.events_lost:
            _events_match(scene, rollout.name)


def _weights(scene: Scene, story: list[Seen]) -> Iterator[str]:
    """Never more weight than the recorded phase's; never any more for a side without ready pods."""
    world = _World()
    for seen in story:
        if seen.kind in WORKLOADS:
            world.workloads[seen.kind, seen.name] = {} if seen.gone else seen.obj
        elif seen.kind == plan.KIND:
            world.rollouts[seen.name] = {} if seen.gone else seen.obj
        elif seen.kind in ROUTES and not seen.gone and not _in_a_gap(scene, seen):
            yield from _of_route(scene, world, seen)


def _in_a_gap(scene: Scene, seen: Seen) -> bool:
    return any(after < seen.version <= until for after, until in scene.stage.recorder.gaps)


def _of_route(scene: Scene, world: _World, seen: Seen) -> Iterator[str]:
    backends = seen.obj["spec"]["rules"][0]["backendRefs"]
    if len(backends) < 2:
        return  # a route that names one side only: nothing to move
    now = int(backends[1].get("weight", 1))
    before = world.weights.get((seen.kind, seen.name), now)
    world.weights[seen.kind, seen.name] = now
    if now == before or last_writer(seen.obj) != "syncrollout":
        return
    where = f"{seen.kind} {seen.name} went from {before} to {now} % of new at version {seen.version}"
    gaining = backends[1 if now > before else 0]["name"]
    workload = next((obj for (_, name), obj in world.workloads.items() if name == gaining and obj), None)
    if workload is not None and ready_replicas(workload) == 0 and not scene.torn_down:
        yield f"{where}, when {gaining} had no ready pod"
    if now > before and (seen.kind, seen.name) not in scene.by_hand:
        allowed = [
            int(status["phase"]["weight"])
            for obj in world.rollouts.values()
            if (status := obj.get("status") or {}).get("inFlight") and status.get("phase")
        ]
        if now > max(allowed, default=0):
            yield f"{where}, when the recorded phases allowed {allowed}"


def last_writer(route: Obj) -> str:
    """The field manager that wrote the rules last: it owns them."""
    for entry in route["metadata"].get("managedFields") or ():
        if "f:rules" in (entry.get("fieldsV1") or {}).get("f:spec", {}):
            return str(entry["manager"])
    return ""


def _traces(story: list[Seen]) -> Iterator[str]:
    """Nothing of kopf's on anybody's object, and finalizers on none of theirs."""
    for seen in story:
        metadata = seen.obj["metadata"]
        foreign = [key for key in metadata.get("annotations") or {} if "kopf" in key]
        if foreign:
            yield f"{seen.kind} {seen.name} has annotations {foreign} at version {seen.version}"
        if seen.kind in (*ROUTES, *WORKLOADS) and metadata.get("finalizers"):
            yield f"{seen.kind} {seen.name} has finalizers {metadata['finalizers']}"


def _no_finalizer(scene: Scene, name: str) -> None:
    """One that has ended is held by nothing."""

    def free() -> bool:
        obj = scene.kube.find(plan.API_VERSION, plan.KIND, name, scene.namespace)
        return obj is None or not ended_and_held(obj)

    eventually(free, timeout=5, what=f"{name} to be without a finalizer, for it has ended")


def ended_and_held(obj: Obj) -> bool:
    """A rollout that says that it has ended, and has its finalizer: the write that lets go follows a moment later."""
    status = obj.get("status") or {}
    return bool(status.get("state") in ENDED and not status.get("inFlight") and obj["metadata"].get("finalizers"))


def _events_match(scene: Scene, name: str) -> None:
    """Each transition of the history has one Event and no other Event is there."""
    rollout = next(each for each in scene.rollouts if each.name == name)
    obj = scene.kube.find(plan.API_VERSION, plan.KIND, name, scene.namespace)
    if obj is None or (obj.get("status") or {}).get("state") not in ENDED:
        return

    def told() -> Any:
        history = Counter((entry["reason"], entry["message"][:1024]) for entry in rollout.status["history"])
        events = Counter((event["reason"], event["message"]) for event in rollout.events())
        if events != history:
            differences.update(missing=history - events, too_many=events - history)
        return events == history

    differences: dict[str, Counter[tuple[str, str]]] = {}
    try:
        eventually(told, timeout=10, what="an Event for each transition")
    except Exception as error:
        raise AssertionError(f"{name}: {error}: {differences}") from error

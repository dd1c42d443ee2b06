"""What people, and controllers that are not ours, do to a running rollout. Each act is told in the trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fakes.kube import ref_of
from fakes.patching import clone
from simulation.invariants import Plan
from simulation.world import World
from syncrollout.api.words import PROBLEM_ANNOTATION, Request
from syncrollout.ports import Object, ObjectRef

Act = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Deed:
    """An act at a moment, seconds after the beginning."""

    at: float
    text: str
    act: Act


def edit_spec(plan: Plan, patch: Object) -> Act:
    """A merge patch of spec, where the rollout is still there."""

    def act(world: World) -> None:
        if world.kube.read(plan.ref) is not None:
            world.kube.edit(plan.ref, {"spec": patch})

    return act


def annotate(plan: Plan, request: Request, value: str) -> Act:
    """kubectl annotate, where the rollout is still there."""

    def act(world: World) -> None:
        if world.kube.read(plan.ref) is not None:
            world.kube.edit(plan.ref, {"metadata": {"annotations": {request.value: value}}})

    return act


def report(plan: Plan, values: dict[str, str]) -> Act:
    """Several people report something at one moment, each by an annotation of its own."""

    def act(world: World) -> None:
        for name, value in values.items():
            if world.kube.read(plan.ref) is not None:
                world.kube.edit(plan.ref, {"metadata": {"annotations": {f"{PROBLEM_ANNOTATION}{name}": value}}})

    return act


def take_back(plan: Plan, request: Request) -> Act:
    """kubectl annotate with a minus: the annotation is gone."""

    def act(world: World) -> None:
        world.kube.edit(plan.ref, {"metadata": {"annotations": {request.value: None}}})

    return act


def edit_phases(plan: Plan, change: Callable[[list[Object]], list[Object]]) -> Act:
    """Another list of phases."""

    def act(world: World) -> None:
        obj = world.kube.read(plan.ref)
        if obj is not None:
            world.kube.edit(plan.ref, {"spec": {"phases": change(clone(obj["spec"]["phases"]))}})

    return act


def delete(ref: ObjectRef) -> Act:
    """kubectl delete."""

    def act(world: World) -> None:
        if world.kube.read(ref) is not None:
            world.kube.delete(ref)

    return act


def put(obj: Object) -> Act:
    """kubectl apply of a whole object, where it is not there."""

    def act(world: World) -> None:
        name = ref_of(obj)
        if world.kube.read(name) is None:
            world.kube.put(clone(obj))

    return act


def drift(route: ObjectRef, numbers: dict[str, int], rule: int | None = None) -> Act:
    """Somebody sets weights by hand, in one rule or in all."""

    def act(world: World) -> None:
        obj = world.kube.read(route)
        if obj is None:
            return
        operations = [
            {"op": "add", "path": f"/spec/rules/{i}/backendRefs/{j}/weight", "value": numbers[backend["name"]]}
            for i, each in enumerate(obj["spec"]["rules"])
            for j, backend in enumerate(each["backendRefs"])
            if backend["name"] in numbers and (rule is None or rule == i)
        ]
        world.kube.edit(route, operations)

    return act


def reverse_backends(route: ObjectRef) -> Act:
    """Somebody writes the backends in another order: positions mean something else now."""

    def act(world: World) -> None:
        obj = world.kube.read(route)
        if obj is not None:
            rules = [{**each, "backendRefs": each["backendRefs"][::-1]} for each in obj["spec"]["rules"]]
            world.kube.edit(route, {"spec": {"rules": rules}})

    return act


def relabel(ref: ObjectRef, value: str) -> Act:
    """Somebody edits something that is none of our business."""

    def act(world: World) -> None:
        if world.kube.read(ref) is not None:
            world.kube.edit(ref, {"metadata": {"labels": {"touched": value}}})

    return act


def scale(ref: ObjectRef, replicas: int) -> Act:
    """An autoscaler, or a person."""

    def act(world: World) -> None:
        if world.kube.read(ref) is not None:
            world.kube.edit(ref, {"spec": {"replicas": replicas}})

    return act


def pods(ref: ObjectRef, *, crash: bool) -> Act:
    """All pods crash, or recover."""

    def act(world: World) -> None:
        world.controllers.crash(ref, on=crash)

    return act


__all__ = [
    "Act",
    "Deed",
    "annotate",
    "delete",
    "drift",
    "edit_phases",
    "edit_spec",
    "pods",
    "put",
    "relabel",
    "report",
    "reverse_backends",
    "scale",
    "take_back",
]

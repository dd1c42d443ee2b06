"""Tiny controllers for the fake API server: Deployments and StatefulSets get their replicas ready after a while."""

from __future__ import annotations

import asyncio
from typing import Any

from fakes.kube import Call, FakeKube
from syncrollout.ports import KindRef, ObjectRef

DEPLOYMENT = KindRef("apps/v1", "Deployment")
STATEFUL_SET = KindRef("apps/v1", "StatefulSet")


class WorkloadController:
    """Brings `status` of Deployments and StatefulSets to `spec`: at once down, after `ready_after` seconds up.

    Everything is driven by timers of the running loop; `crash` takes ready replicas away and keeps them away.
    """

    def __init__(self, kube: FakeKube, *, ready_after: float = 1.0) -> None:
        self.ready_after = ready_after
        self._kube = kube
        self._crashed: set[ObjectRef] = set()
        self._timers: dict[ObjectRef, asyncio.TimerHandle] = {}
        self._running = False

    def start(self) -> None:
        """Take charge of all that is there and of all that comes."""
        self._running = True
        self._kube.on_effect.append(self._hear)
        for kind in (DEPLOYMENT, STATEFUL_SET):
            for obj in self._kube.all(kind):
                self._look(ObjectRef(kind, obj["metadata"]["namespace"], obj["metadata"]["name"]))

    def stop(self) -> None:
        """Let go; timers that are under way come to nothing."""
        self._running = False
        self._kube.on_effect.remove(self._hear)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def crash(self, ref: ObjectRef, *, on: bool = True) -> None:
        """All pods of a workload crash and go on crashing; with `on=False` they become ready again in time."""
        if on:
            self._crashed.add(ref)
        else:
            self._crashed.discard(ref)
        self._look(ref)

    def _hear(self, call: Call) -> None:
        if call.ref.kind in {DEPLOYMENT, STATEFUL_SET} and call.subresource != "status":
            if call.after is None:
                self._cancel(call.ref)
            else:
                self._look(call.ref)

    def _look(self, ref: ObjectRef) -> None:
        obj = self._kube.read(ref)
        if obj is None or not self._running:
            return
        wanted = _wanted(obj)
        ready = min(int(obj.get("status", {}).get("readyReplicas", 0)), wanted)
        if ref in self._crashed:
            ready = 0
        self._cancel(ref)
        self._report(ref, obj, wanted, ready)
        if ready < wanted and ref not in self._crashed:
            self._timers[ref] = asyncio.get_running_loop().call_later(self.ready_after, self._ready, ref)

    def _ready(self, ref: ObjectRef) -> None:
        self._timers.pop(ref, None)
        obj = self._kube.read(ref)
        if obj is not None:
            self._report(ref, obj, _wanted(obj), _wanted(obj))

    def _report(self, ref: ObjectRef, obj: dict[str, Any], wanted: int, ready: int) -> None:
        status = {
            "replicas": wanted or None,
            "readyReplicas": ready or None,
            "availableReplicas": ready or None,
            "observedGeneration": obj["metadata"]["generation"],
        }
        # Real controllers leave counts of zero out; null removes them.
        self._kube.edit_status(ref, status)

    def _cancel(self, ref: ObjectRef) -> None:
        timer = self._timers.pop(ref, None)
        if timer is not None:
            timer.cancel()


def _wanted(obj: dict[str, Any]) -> int:
    return int(obj.get("spec", {}).get("replicas", 1))

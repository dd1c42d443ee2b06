"""Tiny controllers for the fake API server: Deployments and StatefulSets get their replicas ready after a while, Jobs
run and end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fakes.kube import Call, FakeKube
from syncrollout.ports import KindRef, ObjectRef

DEPLOYMENT = KindRef("apps/v1", "Deployment")
STATEFUL_SET = KindRef("apps/v1", "StatefulSet")
JOB = KindRef("batch/v1", "Job")


class WorkloadController:
    """Brings `status` of Deployments and StatefulSets to `spec`: at once down, after `ready_after` seconds up. Where
    the pod template has changed, pods are made anew one after the other, so that all others stay ready.

    Everything is driven by timers of the running loop; `crash` takes ready replicas away and keeps them away.
    """

    def __init__(self, kube: FakeKube, *, ready_after: float = 1.0) -> None:
        self.ready_after = ready_after
        self._kube = kube
        self._crashed: set[ObjectRef] = set()
        self._timers: dict[ObjectRef, asyncio.TimerHandle] = {}
        self._running = False
        self.anew: dict[ObjectRef, int] = {}
        """How many pods are of the template as it stands."""
        self._templates: dict[ObjectRef, Any] = {}

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
        template = obj.get("spec", {}).get("template")
        if self._templates.setdefault(ref, template) != template:
            self._templates[ref], self.anew[ref] = template, 0
        self._report(ref, obj, wanted, ready)
        if (ready < wanted or self.anew.get(ref, wanted) < wanted) and ref not in self._crashed:
            self._timers[ref] = asyncio.get_running_loop().call_later(self.ready_after, self._ready, ref)

    def _ready(self, ref: ObjectRef) -> None:
        self._timers.pop(ref, None)
        obj = self._kube.read(ref)
        if obj is None:
            return
        if ref in self.anew:
            self.anew[ref] += 1
            if self.anew[ref] < _wanted(obj):
                self._timers[ref] = asyncio.get_running_loop().call_later(self.ready_after, self._ready, ref)
            else:
                del self.anew[ref]
        self._report(ref, obj, _wanted(obj), _wanted(obj))

    def _report(self, ref: ObjectRef, obj: dict[str, Any], wanted: int, ready: int) -> None:
        status = {
            "replicas": wanted or None,
            "readyReplicas": ready or None,
            "availableReplicas": ready or None,
            "updatedReplicas": min(self.anew.get(ref, wanted), wanted) or None,
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


@dataclass(frozen=True, slots=True)
class Course:
    """What a Job does: it lasts so many seconds, and ends well or not."""

    lasts: float = 1.0
    well: bool = True


class JobController:
    """Runs Jobs, each once, by timers of the running loop: `course` says what one does. It is stopped when its
    activeDeadlineSeconds are over, and fails with the reason that a real one has then."""

    def __init__(self, kube: FakeKube) -> None:
        self.course: Callable[[dict[str, Any]], Course] = lambda _: Course()
        self.ran: list[str] = []
        """The names of all Jobs that were ever run, in order."""
        self._kube = kube
        self._timers: dict[ObjectRef, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Take charge of all that comes."""
        self._kube.on_effect.append(self._hear)

    def stop(self) -> None:
        """Let go."""
        self._kube.on_effect.remove(self._hear)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _hear(self, call: Call) -> None:
        if call.ref.kind != JOB or call.subresource == "status":
            return
        if call.after is None:
            timer = self._timers.pop(call.ref, None)
            if timer is not None:
                timer.cancel()
        elif call.before is None:
            self.ran.append(call.ref.name)
            course = self.course(call.after)
            limit = float(call.after["spec"].get("activeDeadlineSeconds", float("inf")))
            at, ended = (course.lasts, _ended(course)) if course.lasts < limit else (limit, _STOPPED)
            self._timers[call.ref] = asyncio.get_running_loop().call_later(at, self._end, call.ref, ended)

    def _end(self, ref: ObjectRef, condition: dict[str, str]) -> None:
        self._timers.pop(ref, None)
        if self._kube.read(ref) is not None:
            if condition.get("reason") == _FAILED:
                self._kube.put(_pod_that_failed(ref))
            self._kube.edit_status(ref, {"conditions": [condition]})


_FAILED = "BackoffLimitExceeded"
_STOPPED = {
    "type": "Failed",
    "status": "True",
    "reason": "DeadlineExceeded",
    "message": "Job was active longer than specified deadline",
}


def _ended(course: Course) -> dict[str, str]:
    if course.well:
        return {"type": "Complete", "status": "True", "reason": "CompletionsReached"}
    message = "Job has reached the specified backoff limit"
    return {"type": "Failed", "status": "True", "reason": _FAILED, "message": message}


def _pod_that_failed(job: ObjectRef) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-name": job.name}
    status = {"containerStatuses": [{"name": "step", "state": {"terminated": {"exitCode": 2}}}]}
    meta = {"name": f"{job.name}-x", "namespace": job.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}, "status": status}

"""Workloads as facts: how many replicas are asked for, and how many can take work."""

from __future__ import annotations

from syncrollout.decide.facts import WorkloadFact
from syncrollout.ports import Object


def read(obj: Object) -> WorkloadFact:
    """The fact of a Deployment, StatefulSet, CronJob, or of anything with spec.replicas and status.readyReplicas.

    A CronJob has no pods of its own at rest: not suspended counts as one replica, ready.
    """
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if obj.get("kind") == "CronJob":
        running = 0 if spec.get("suspend") else 1
        return WorkloadFact(desired=running, ready=running, scalable=False)
    desired = spec.get("replicas")
    ready = status.get("readyReplicas")
    return WorkloadFact(
        desired=1 if desired is None else int(desired),
        ready=int(ready or 0),
    )

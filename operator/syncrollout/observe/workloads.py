"""Workloads as facts: how many replicas are asked for, how many can take work, and what their pods are stamped with."""

from __future__ import annotations

from typing import Any

from syncrollout.api.words import EPOCH_ANNOTATION, RESTART_ANNOTATION
from syncrollout.decide.facts import WorkloadFact
from syncrollout.ports import Object

CRON_JOB = "CronJob"
TEMPLATED = frozenset({"Deployment", "StatefulSet", CRON_JOB})
"""Kinds that are known to have a pod template; of these, what is kept in memory need not hold it."""


def template_path(kind: str) -> tuple[str, ...]:
    """Where a workload of this kind keeps its pod template."""
    return ("spec", "jobTemplate", "spec", "template") if kind == CRON_JOB else ("spec", "template")


def template(obj: Object) -> Object | None:
    """The pod template of a workload; None where it has none."""
    found: Any = obj
    for name in template_path(str(obj.get("kind", ""))):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def stamped(obj: Object, annotations: dict[str, str]) -> Object:
    """The merge patch that writes these annotations on the pod template of this very object."""
    body: Object = {"metadata": {"annotations": annotations}}
    for name in reversed(template_path(str(obj.get("kind", "")))):
        body = {name: body}
    return {"metadata": {"uid": obj["metadata"]["uid"]}, **body}


def epoch(obj: Object) -> int:
    """The epoch that an object (a pod, a pod template) is stamped with; 0 where it has none."""
    stamp = str(((obj.get("metadata") or {}).get("annotations") or {}).get(EPOCH_ANNOTATION, ""))
    return int(stamp) if stamp.isascii() and stamp.isdigit() else 0


def restart(obj: Object) -> str:
    """The stamp that a pod template has from the last restart; empty where it has none."""
    return str(((obj.get("metadata") or {}).get("annotations") or {}).get(RESTART_ANNOTATION) or "")


def read(obj: Object) -> WorkloadFact:
    """The fact of a Deployment, StatefulSet, CronJob, or of anything with spec.replicas and status.readyReplicas.

    A CronJob has no pods of its own at rest: not suspended counts as one replica, ready.
    """
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    pod = template(obj) or {}
    stamped, restarted = epoch(pod), restart(pod)
    if obj.get("kind") == CRON_JOB:
        running = 0 if spec.get("suspend") else 1
        return WorkloadFact(desired=running, ready=running, scalable=False, epoch=stamped, restart=restarted)
    desired = spec.get("replicas")
    ready = status.get("readyReplicas")
    return WorkloadFact(
        desired=1 if desired is None else int(desired),
        ready=int(ready or 0),
        epoch=stamped,
        restart=restarted,
        updated=_updated(obj, 1 if desired is None else int(desired)),
    )


def _updated(obj: Object, desired: int) -> bool:
    """Whether all pods are of the template as it stands, and none of an earlier one is left."""
    status = obj.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(obj["metadata"].get("generation") or 0):
        return False
    anew = int(status.get("updatedReplicas") or 0)
    return anew >= desired and int(status.get("replicas") or 0) <= anew

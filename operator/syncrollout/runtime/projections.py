"""What is kept in memory of an object: as little as is asked of it later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncrollout.api.words import EPOCH_ANNOTATION, RESTART_ANNOTATION
from syncrollout.observe import finished_jobs, pods, workloads
from syncrollout.ports import Object


def project_names(obj: Object) -> Object:
    """Metadata alone, and of that what identifies the object, its labels and annotations."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "generation", "deletionTimestamp", "labels", "annotations")
    return {
        "apiVersion": obj.get("apiVersion", ""),
        "kind": obj.get("kind", ""),
        "metadata": _pick(metadata, kept),
    }


def project_workload(obj: Object) -> Object:
    """What counts about a workload of any kind: how many replicas it should have, and has; which pods are its own, and
    what they are stamped with."""
    metadata = ("name", "namespace", "uid", "resourceVersion", "generation", "deletionTimestamp")
    status = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "observedGeneration")
    return {
        "apiVersion": obj.get("apiVersion", ""),
        "kind": obj.get("kind", ""),
        "metadata": _pick(obj["metadata"], metadata),
        "spec": _pick(obj.get("spec") or {}, ("replicas", "suspend", "selector")) | _stamp(obj),
        "status": _pick(obj.get("status") or {}, status),
    }


def project_pod(obj: Object) -> Object:
    """What counts about a pod: which Job it is of, and how it is."""
    metadata = _pick(
        obj["metadata"], ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
    )
    job = (obj["metadata"].get("labels") or {}).get(pods.JOB_NAME)
    return {
        "apiVersion": obj.get("apiVersion", ""),
        "kind": obj.get("kind", ""),
        "metadata": metadata | ({"labels": {pods.JOB_NAME: job}} if job is not None else {}),
        "health": pods.health(obj),
    }


def project_job(obj: Object) -> Object:
    """What counts about a Job: which CronJob has made it, and how it has ended."""
    metadata = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
    return {
        "apiVersion": obj.get("apiVersion", ""),
        "kind": obj.get("kind", ""),
        "metadata": _pick(obj["metadata"], metadata),
        "madeBy": finished_jobs.made_by(obj),
        "ended": finished_jobs.ended(obj),
    }


def _stamp(obj: Object) -> dict[str, Any]:
    """Of a workload's spec the pod template, and of that our own annotations alone."""
    template = workloads.template(obj)
    annotations = ((template or {}).get("metadata") or {}).get("annotations") or {}
    ours = _pick(annotations, (EPOCH_ANNOTATION, RESTART_ANNOTATION))
    if not ours:
        return {}
    stamp: dict[str, Any] = {"metadata": {"annotations": ours}}
    for name in reversed(workloads.template_path(str(obj.get("kind", "")))[1:]):
        stamp = {name: stamp}
    return stamp


def _pick(source: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: source[name] for name in names if name in source}

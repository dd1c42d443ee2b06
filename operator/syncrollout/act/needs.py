"""What an account has to be allowed so that a rollout can be carried out, and taken back, on its behalf. Pure.

Only what a run, or its way back, would stop without: what is merely missing then (logs, dashboards, a line of the
checklist) says so itself where it is. That the account may `get` what the rollout names is among it, though the
operator reads that by itself: nobody learns by a rollout what he could not look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from syncrollout.act.target import Target, freezes_ref, shards_ref, workload_ref
from syncrollout.api.spec import HandoverMethod, JobSource, SecretKey, SyncRolloutSpec
from syncrollout.api.words import Side
from syncrollout.decide import finished_jobs
from syncrollout.ports import KindRef, ObjectRef

_CONFIG_MAP: Final = KindRef("v1", "ConfigMap")
_CRON_JOB: Final = KindRef("batch/v1", "CronJob")
_JOB: Final = KindRef("batch/v1", "Job")
_POD: Final = KindRef("v1", "Pod")
_SECRET: Final = KindRef("v1", "Secret")
_SERVICE: Final = KindRef("v1", "Service")
_SNAPSHOT: Final = KindRef("snapshot.storage.k8s.io/v1", "VolumeSnapshot")


@dataclass(frozen=True, slots=True)
class Need:
    """One verb on one object; on all of its kind where `ref` has no name."""

    verb: str
    ref: ObjectRef
    subresource: str = ""


def needs(target: Target) -> tuple[Need, ...]:
    """All of them, each once."""
    return tuple(dict.fromkeys(_needs(target)))


def _needs(target: Target) -> Iterator[Need]:
    spec, namespace = target.spec, target.ref.namespace
    for route in spec.traffic.routes:
        for verb in ("get", "patch"):
            yield Need(verb, target.route(route))
    for side in Side:
        yield from _of_side(target, side)
    for kind, name in _looked_at(spec):
        yield Need("get", ObjectRef(kind, namespace, name))
    shards, freezes = shards_ref(target), freezes_ref(spec, namespace)
    if shards is not None:
        yield Need("create", ObjectRef(_CONFIG_MAP, namespace, ""))
        for verb in ("get", "patch"):
            yield Need(verb, shards)
    if freezes is not None:
        yield Need("get", freezes)
    if any(trigger.pods is not None for trigger in spec.rollback.triggers):
        yield Need("list", ObjectRef(_POD, namespace, ""))
    yield from _of_procedure(target)
    sources = list(_jobs(spec))
    if sources:
        yield Need("create", ObjectRef(_JOB, namespace, ""))
    for source in sources:
        if source.from_cron_job is not None:
            yield Need("get", ObjectRef(_CRON_JOB, namespace, source.from_cron_job))


def _of_side(target: Target, side: Side) -> Iterator[Need]:
    spec = target.spec
    ref = workload_ref(target.system(side), target.ref.namespace)
    yield Need("get", ref)
    if _scaled(spec, side):
        yield Need("patch", ref) if ref.kind == _CRON_JOB else Need("patch", ref, "scale")
    procedure, shards = spec.rollback.procedure, spec.traffic.shards
    restarts = procedure is not None and procedure.verify_system is not None and procedure.verify_system.restart_old
    # Which Jobs of a CronJob know an assignment is told by its stamp, whatever the method.
    stamps = shards is not None and (shards.handover.method is HandoverMethod.RESTART or ref.kind == _CRON_JOB)
    if stamps or (restarts and side is Side.OLD):
        yield Need("patch", ref)


def _scaled(spec: SyncRolloutSpec, side: Side) -> bool:
    """Whether the replicas of a side may ever be set. Those of old: a way back starts it, whoever has stopped it. Those
    of new where it may have to be stopped."""
    if side is Side.OLD or spec.traffic.replicas is not None:
        return True
    procedure = spec.rollback.procedure
    return spec.traffic.shards is not None or (procedure is not None and procedure.switch.stop_new)


def _of_procedure(target: Target) -> Iterator[Need]:
    procedure, namespace = target.spec.rollback.procedure, target.ref.namespace
    if procedure is None:
        return
    if procedure.evidence is not None:
        for verb in ("create", "get", "patch"):
            yield Need(verb, ObjectRef(_CONFIG_MAP, namespace, ""))
    if procedure.restore is not None:
        # The exit code of verifyData's Job says whether a restore is needed, and stands in its pod.
        yield Need("list", ObjectRef(_POD, namespace, ""))
        backup = procedure.restore.backup
        snapshot = backup.volume_snapshot if backup is not None else None
        if snapshot is not None:
            yield Need("get" if snapshot.name else "list", ObjectRef(_SNAPSHOT, namespace, snapshot.name or ""))


def _looked_at(spec: SyncRolloutSpec) -> Iterator[tuple[KindRef, str]]:
    """What is read by name."""
    procedure = spec.rollback.procedure
    verify = procedure.verify_system if procedure is not None else None
    probes = verify.probes if verify is not None else ()
    for service in (spec.old.service, spec.new.service, *(probe.service for probe in probes)):
        if service is not None:
            yield _SERVICE, service
    for key in _secrets(spec):
        yield _SECRET, key.name
    if spec.notifications is not None and spec.notifications.templates is not None:
        yield _CONFIG_MAP, spec.notifications.templates.config_map
    for cron_job in finished_jobs.asked(spec):
        yield _CRON_JOB, cron_job


def _secrets(spec: SyncRolloutSpec) -> Iterator[SecretKey]:
    prometheus = spec.prometheus
    if prometheus is not None:
        pair = prometheus.basic_auth
        keys = (prometheus.bearer_token, prometheus.ca, *((pair.username, pair.password) if pair is not None else ()))
        yield from (key for key in keys if key is not None)
    for audience in spec.notifications.audiences if spec.notifications is not None else ():
        for channel in audience.channels:
            token = channel.alertmanager.bearer_token if channel.alertmanager is not None else None
            yield from (key for key in (channel.url_from, token) if key is not None)


def _jobs(spec: SyncRolloutSpec) -> Iterator[JobSource]:
    """The Jobs that are made."""
    preflight, procedure = spec.preflight, spec.rollback.procedure
    if preflight is not None:
        yield from (check.job for check in preflight.checks if check.job is not None)
        if preflight.day_one is not None:
            yield from (step.job for step in preflight.day_one.steps.values())
    for phase in spec.phases:
        yield from (each.job for each in phase.verification)
    if procedure is None:
        return
    if procedure.verify_data is not None:
        yield procedure.verify_data.job
    if procedure.restore is not None:
        yield procedure.restore.job
        if procedure.restore.backup is not None and procedure.restore.backup.job is not None:
            yield procedure.restore.backup.job
    if procedure.verify_system is not None and procedure.verify_system.job is not None:
        yield procedure.verify_system.job


__all__ = ["Need", "needs"]

"""Who may still hold slots of a side, and who of them obeys an epoch.

Pods are listed anew each time, after the assignment was written, never taken from a watch: a pod that was made after
the list reads the new assignment from the start. Every pod that has not ended counts, those that are being deleted
too. Of a CronJob each Job that has not ended counts as well: it holds its slots until its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from syncrollout.act.target import Target, workload_ref
from syncrollout.api.spec import HandoverMethod, SyncRolloutSpec
from syncrollout.api.words import Reason, Side
from syncrollout.decide.facts import HoldersFact, Problem, Reading
from syncrollout.observe import acks, workloads
from syncrollout.observe.acks import Ack
from syncrollout.observe.selectors import selector_text
from syncrollout.ports import Forbidden, KindNotServed, KindRef, KubeApi, NotFound, Object, ObjectRef

POD: Final = KindRef("v1", "Pod")
JOB: Final = KindRef("batch/v1", "Job")
ENDED: Final = frozenset({"Succeeded", "Failed"})
TEMPLATE_HASH: Final = "pod-template-hash"
NAMED: Final = 5
"""Names of pods that are told."""
ASKING: Final = 5.0
"""Seconds at most that one look waits for Prometheus: it is tried again, and much may have happened meanwhile."""


class Asker(Protocol):
    """Asks a rollout's Prometheus; `observe.metrics` has the real one."""

    async def ask(
        self, spec: SyncRolloutSpec, owner: ObjectRef, queries: Mapping[str, str], timeout: float
    ) -> Mapping[str, Reading]:
        """A reading for each query."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be known of one side: who of its pods obeys this epoch, which is the latest one."""

    side: Side
    epoch: int


class _Mend(Exception):
    """Something that a person has to mend; never leaves this module."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)


class Holders:
    """Looks who holds slots. Remembers nothing."""

    def __init__(self, api: KubeApi, asker: Asker) -> None:
        self._api = api
        self._asker = asker

    async def look(self, target: Target, question: Question, workload: Object | None) -> HoldersFact | Problem:
        """Who holds slots of a side, or what has to be mended before that can be said. `workload`: as last seen, None
        where it is gone; its pods may outlive it.

        Raises Unavailable where the API server cannot be asked.
        """
        ref = workload_ref(target.system(question.side), target.ref.namespace)
        try:
            if ref.kind.kind == workloads.CRON_JOB:
                return _fact(_of_jobs(*await self._jobs(ref, workload), question.epoch))
            pods = await self._pods(ref, workload)
        except _Mend as mend:
            return mend.problem
        except (Forbidden, KindNotServed) as error:
            return Problem(Reason.FORBIDDEN if isinstance(error, Forbidden) else Reason.KIND_NOT_SERVED, str(error))
        assert target.spec.traffic.shards is not None
        match target.spec.traffic.shards.handover.method:
            case HandoverMethod.RESTART:
                return _fact({_name(pod): workloads.epoch(pod) >= question.epoch for pod in pods})
            case HandoverMethod.DRAIN:
                return _fact({_name(pod): False for pod in pods})  # time alone tells; none is seen to obey
            case HandoverMethod.ACK:
                return await self._acks(target, question, pods)

    # ---- which pods --------------------------------------------------------------------------------------------

    async def _pods(self, ref: ObjectRef, workload: Object | None) -> list[Object]:
        if workload is None:
            everything = await self._listed(POD, ref.namespace)
            return [pod for pod in everything if _living(pod) and _made_for(pod, ref)]
        selector = await self._selector(ref, workload)
        if not selector:
            message = f"{ref} does not say which pods are its own, so nobody can wait for them to let go of slots"
            raise _Mend(Reason.INVALID_SPEC, f"{message}: give it a selector (of a scale subresource: status.selector)")
        return [pod for pod in await self._listed(POD, ref.namespace, selector) if _living(pod)]

    async def _selector(self, ref: ObjectRef, workload: Object) -> str:
        if ref.kind.group == "apps" and isinstance((workload.get("spec") or {}).get("selector"), dict):
            return selector_text(workload["spec"]["selector"])
        try:
            scale = await self._api.get(ref, subresource="scale")
        except NotFound as error:
            message = f"{ref} has no scale subresource: shards need a workload whose pods can be told and scaled"
            raise _Mend(Reason.INVALID_SPEC, message) from error
        return str((scale.get("status") or {}).get("selector") or "")

    async def _jobs(self, ref: ObjectRef, workload: Object | None) -> tuple[list[Object], list[Object]]:
        """The unfinished Jobs of a CronJob, and the living pods of those that have finished or are gone."""
        uid = workload["metadata"].get("uid") if workload is not None else None
        # In this order: a pod that is made between the two is one of a Job that has been seen, or began since.
        jobs = [job for job in await self._listed(JOB, ref.namespace) if _owned(job, ref, uid)]
        pods = await self._listed(POD, ref.namespace, "batch.kubernetes.io/job-name")
        unfinished = [job for job in jobs if not _finished(job)]
        running = {_uid(job) for job in unfinished}
        known = {_uid(job) for job in jobs}
        left = [pod for pod in pods if _living(pod) and not running & _owners(pod)]
        return unfinished, [pod for pod in left if known & _owners(pod) or _named_for(pod, ref)]

    async def _listed(self, kind: KindRef, namespace: str, selector: str = "") -> list[Object]:
        return (await self._api.list(kind, namespace, label_selector=selector, project=_kept)).items

    # ---- who obeys ---------------------------------------------------------------------------------------------

    async def _acks(self, target: Target, question: Question, pods: Sequence[Object]) -> HoldersFact | Problem:
        assert target.spec.prometheus is not None
        chunks = [pods[at : at + acks.MOST] for at in range(0, len(pods), acks.MOST)]
        queries = {
            str(number): acks.query([_uid(pod) for pod in chunk], question.epoch) for number, chunk in enumerate(chunks)
        }
        timeout = min(ASKING, target.spec.prometheus.timeout)
        readings = await self._asker.ask(target.spec, target.ref, queries, timeout) if queries else {}
        obeying: dict[str, bool] = {}
        doubt = ""
        for number, chunk in enumerate(chunks):
            reading = readings[str(number)]
            if reading.value is None:
                doubt = doubt or reading.message.partition("; query: ")[0]
                obeying.update((_name(pod), False) for pod in chunk)
                continue
            for pod, ack in zip(chunk, acks.answers(reading.value, len(chunk)), strict=True):
                if ack is Ack.AHEAD:
                    return _ahead(question, pod)
                obeying[_name(pod)] = ack is Ack.OBEYS
        return _fact(obeying, doubt)


def _ahead(question: Question, pod: Object) -> Problem:
    message = (
        f"pod {_name(pod)} of {question.side.value.lower()} reports by {acks.METRIC} that it obeys an epoch later than "
        f"{question.epoch}, which is the latest: it reads another ConfigMap, or its clockwork is not the protocol's; "
        "correct what it reads, and restart it"
    )
    return Problem(Reason.EPOCH_AHEAD, message)


def _fact(obeying: Mapping[str, bool], doubt: str = "") -> HoldersFact:
    waiting = sorted(name for name, obeys in obeying.items() if not obeys)
    return HoldersFact(
        pods=len(obeying),
        obeying=len(obeying) - len(waiting),
        waiting=tuple(waiting[:NAMED]),
        names=frozenset(obeying),
        doubt=doubt,
    )


def _of_jobs(jobs: Sequence[Object], pods: Sequence[Object], epoch: int) -> dict[str, bool]:
    stamped: Callable[[Object], int] = workloads.epoch
    found = {_name(job): stamped(workloads.template(job) or {}) >= epoch for job in jobs}
    return found | {_name(pod): stamped(pod) >= epoch for pod in pods}


def _kept(obj: Object) -> Object:
    """Of a pod or Job what counts here; a list of many pods does not stand in memory in full."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    kept: Object = {
        "kind": obj["kind"],
        "metadata": {
            name: metadata[name]
            for name in ("name", "uid", "labels", "annotations", "ownerReferences")
            if name in metadata
        },
        "status": {name: status[name] for name in ("phase", "conditions") if name in status},
    }
    if obj["kind"] == JOB.kind:
        template: dict[str, Any] = workloads.template(obj) or {}
        kept["spec"] = {"template": {"metadata": template.get("metadata") or {}}}
    return kept


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def _living(pod: Object) -> bool:
    return pod["status"].get("phase") not in ENDED


def _finished(job: Object) -> bool:
    conditions = job["status"].get("conditions") or ()
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)


def _owners(obj: Object) -> set[str]:
    return {str(each.get("uid")) for each in obj["metadata"].get("ownerReferences") or ()}


def _owned(job: Object, cron_job: ObjectRef, uid: str | None) -> bool:
    """Whether a Job is one of the CronJob's; by name where the CronJob itself is gone."""
    owners = job["metadata"].get("ownerReferences") or ()
    return any(
        each.get("uid") == uid if uid else (each.get("kind"), each.get("name")) == (cron_job.kind.kind, cron_job.name)
        for each in owners
    )


def _named_for(pod: Object, cron_job: ObjectRef) -> bool:
    """Whether a pod's Job, which may be gone, bears the name that the CronJob gives."""
    job = (pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name", "")
    return re.fullmatch(re.escape(cron_job.name) + r"-\d+", job) is not None


def _made_for(pod: Object, workload: ObjectRef) -> bool:
    """Whether a pod was made for a workload that is gone: by what its owner is called."""
    suffix = (pod["metadata"].get("labels") or {}).get(TEMPLATE_HASH)
    names = {(workload.kind.kind, workload.name)} | ({("ReplicaSet", f"{workload.name}-{suffix}")} if suffix else set())
    owners = pod["metadata"].get("ownerReferences") or ()
    return any((each.get("kind"), each.get("name")) in names for each in owners)


__all__ = ["Asker", "Holders", "Question"]

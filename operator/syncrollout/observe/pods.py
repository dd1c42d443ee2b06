"""How the pods of new are, for triggers on pods: counted from what a watch knows of them, so that a look asks nobody.

What is counted, each over the pods that exist now:

    CrashLoopBackOff  pods with a container that waits to be started again, for that reason
    Restarts          restarts of all containers since the phase was entered
    NotReady          pods that are not Ready and have not ended; at least the replicas asked for that are not ready
    OOMKilled         pods with a container that was killed for want of memory since the phase was entered
    Failed            pods that have failed since the phase was entered

Kubernetes counts the restarts of a pod over its whole life. What a pod had when the phase was entered is kept in
status.phase.restarts, so that the count is the same whoever counts it; a pod that is not in there had none, or was
made since. The times are those of the kubelets, in whole seconds: an end counts where it may have been in the phase.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from syncrollout.act.perform import MOMENT
from syncrollout.act.target import Target, workload_ref
from syncrollout.api.fields import parse_time
from syncrollout.api.spec import PODS, PodTrouble
from syncrollout.api.status import MOST_RESTARTED, SyncRolloutStatus
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Reading, ReadingKey, WorkloadFact
from syncrollout.observe import workloads
from syncrollout.observe.selectors import selector_text
from syncrollout.ports import (
    ApiError,
    Forbidden,
    KindNotServed,
    KindRef,
    KubeApi,
    NotFound,
    Object,
    ObjectCache,
    ObjectRef,
    Selections,
)

POD: Final = KindRef("v1", "Pod")
JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""Label that Kubernetes puts on the pods of a Job."""
NAMED: Final = 3
"""Names of pods that are told."""
_FAILED: Final = "Failed"
_ENDED: Final = frozenset({"Succeeded", _FAILED})


def health(pod: Object) -> dict[str, Any]:
    """What is kept of a pod's status: all that is counted, and nothing that changes without being counted."""
    status = pod.get("status") or {}
    kinds = ("initContainerStatuses", "containerStatuses")
    containers = [container for kind in kinds for container in status.get(kind) or ()]
    states = [container.get(name) or {} for container in containers for name in ("state", "lastState")]
    ends = [state["terminated"] for state in states if state.get("terminated")]
    phase = str(status.get("phase") or "")
    conditions = status.get("conditions") or ()
    moments = [end.get("finishedAt") for end in ends] + [each.get("lastTransitionTime") for each in conditions]
    return {
        "phase": phase,
        "ready": any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions),
        "restarts": sum(int(container.get("restartCount") or 0) for container in containers),
        "crashing": any(
            ((container.get("state") or {}).get("waiting") or {}).get("reason") == PodTrouble.CRASH_LOOP_BACK_OFF
            for container in containers
        ),
        "oomKilled": _latest(end.get("finishedAt") for end in ends if end.get("reason") == PodTrouble.OOM_KILLED),
        "failed": _latest(moments) if phase == _FAILED else None,
    }


def _latest(moments: Iterable[Any]) -> str | None:
    return max((str(moment) for moment in moments if moment), default=None)


def differ(old: Object, new: Object) -> bool:
    """Whether a change of a pod is one of what is counted."""
    gone = "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]
    return gone or bool(old["health"] != new["health"])


def worse(old: Object | None, new: Object) -> bool:
    """Whether a pod that was there got into trouble by this change."""
    if old is None:
        return False
    before, now = old["health"], new["health"]
    return any(now[name] and now[name] != before[name] for name in ("restarts", "crashing", "oomKilled", "failed"))


class PodReader(Protocol):
    """How the pods of a rollout's new side are."""

    async def look(self, target: Target, status: SyncRolloutStatus, fact: WorkloadFact | None) -> Seen:
        """All that triggers of the spec ask of pods, answered or Unknown. `fact` is new's workload."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A reading for each thing that triggers ask of the pods, and how often each pod was restarted, by uid."""

    readings: Mapping[ReadingKey, Reading] = field(default_factory=dict)
    restarts: Mapping[str, int] | None = None


class Pods:
    """Looks at pods on behalf of the gatherer. What it remembers only saves requests: the selectors of workloads that
    have to be asked for theirs."""

    def __init__(self, api: KubeApi, cache: ObjectCache, selections: Selections) -> None:
        self._api = api
        self._cache = cache
        self._selections = selections
        self._selectors: dict[str, str] = {}

    async def look(self, target: Target, status: SyncRolloutStatus, fact: WorkloadFact | None) -> Seen:
        """See PodReader. What cannot be seen, or not at once, is Unknown: it must not hold up the way back."""
        asked = {trigger.pods for trigger in target.spec.rollback.triggers if trigger.pods is not None}
        if not asked:
            return Seen()
        ref = workload_ref(target.spec.new, target.ref.namespace)
        try:
            async with asyncio.timeout(MOMENT if status.in_flight or status.watch is not None else None):
                pods = await self._pods(target, ref)
        except TimeoutError:
            return _unseen(asked, Unknown.UNSEEN, f"the pods of {ref} could not be listed within {MOMENT:.0f} s")
        except (Forbidden, KindNotServed) as error:
            return _unseen(asked, Unknown.FORBIDDEN, str(error))
        except ApiError as error:
            return _unseen(asked, Unknown.UNSEEN, f"the pods of {ref} cannot be seen just now: {error}")
        phase = status.phase if status.in_flight or status.watch is not None else None
        since = phase.entered if phase is not None else None
        before = _before(status) if phase is not None else None
        readings = {
            ReadingKey(f"{PODS}{trouble.value}"): _count(trouble, pods, fact, since=since, before=before)
            for trouble in asked
        }
        restarts = {_uid(pod): count for pod in pods if (count := pod["health"]["restarts"])}
        return Seen(readings, restarts if PodTrouble.RESTARTS in asked else None)

    async def _pods(self, target: Target, ref: ObjectRef) -> Sequence[Object]:
        """Raises Forbidden, KindNotServed, Unavailable; NotFound where it cannot be told which pods are meant."""
        user = str(target.ref)
        if ref.kind.kind == workloads.CRON_JOB:
            of_jobs = await self._selections.select(POD, ref.namespace, JOB_NAME, user=user)
            return [pod for pod in of_jobs if made_by(pod, ref.name)]
        workload = await self._cache.fetch(ref, user=user)
        if workload is None:
            raise NotFound(f"{ref} does not exist")
        selector = await self._selector(ref, workload)
        return await self._selections.select(POD, ref.namespace, selector, user=user)

    async def _selector(self, ref: ObjectRef, workload: Object) -> str:
        if ref.kind.group == "apps" and isinstance((workload.get("spec") or {}).get("selector"), dict):
            return selector_text(workload["spec"]["selector"])
        uid = str(workload["metadata"].get("uid", ""))
        if uid not in self._selectors:
            scale = await self._api.get(ref, subresource="scale")
            selector = str((scale.get("status") or {}).get("selector") or "")
            if not selector:
                raise NotFound(f"{ref} does not say in status.selector of its scale which pods are its own")
            while len(self._selectors) >= _MOST_SELECTORS:
                del self._selectors[next(iter(self._selectors))]
            self._selectors[uid] = selector
        return self._selectors[uid]


_MOST_SELECTORS: Final = 1024


def made_by(obj: Object, cron_job: str) -> bool:
    """Whether a pod is one of a Job that bears the name which this CronJob gives."""
    job = (obj["metadata"].get("labels") or {}).get(JOB_NAME, "")
    return re.fullmatch(re.escape(cron_job) + r"-\d+", job) is not None


def _unseen(asked: Iterable[PodTrouble], unknown: Unknown, message: str) -> Seen:
    return Seen({ReadingKey(f"{PODS}{trouble.value}"): Reading(None, unknown, message) for trouble in asked})


def _before(status: SyncRolloutStatus) -> Mapping[str, int] | None:
    """What each pod had when the phase was entered; None where nothing is recorded yet."""
    if status.phase is None or status.phase.restarts is None:
        return None
    return {each.uid: each.count for each in status.phase.restarts}


def _count(
    trouble: PodTrouble,
    pods: Sequence[Object],
    fact: WorkloadFact | None,
    *,
    since: float | None,
    before: Mapping[str, int] | None,
) -> Reading:
    match trouble:
        case PodTrouble.RESTARTS:
            grown = [(pod, _restarts(pod, before, since)) for pod in pods] if before is not None else []
            total = sum(count for _, count in grown)
            worst = sorted((each for each in grown if each[1]), key=lambda each: -each[1])
            return _reading(total, "restarts of containers in this phase", [pod for pod, _ in worst])
        case PodTrouble.CRASH_LOOP_BACK_OFF:
            found = [pod for pod in pods if _alive(pod) and pod["health"]["crashing"]]
            return _reading(len(found), "pods in CrashLoopBackOff", found)
        case PodTrouble.NOT_READY:
            found = [pod for pod in pods if _alive(pod) and not pod["health"]["ready"]]
            missing = fact.desired - fact.ready if fact is not None and fact.scalable else 0
            what = "pods that are not Ready" if len(found) >= missing else "replicas that are not ready"
            return _reading(max(len(found), missing), what, found)
        case PodTrouble.OOM_KILLED:
            found = [pod for pod in pods if _in_phase(pod["health"]["oomKilled"], since)]
            return _reading(len(found), "pods OOMKilled in this phase", found)
        case PodTrouble.FAILED:
            found = [pod for pod in pods if _in_phase(pod["health"]["failed"], since)]
            return _reading(len(found), "pods that failed in this phase", found)


def _reading(count: int, what: str, pods: Sequence[Object]) -> Reading:
    names = [str(pod["metadata"]["name"]) for pod in pods]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    told = f" ({', '.join(names[:NAMED])}{more})" if names else ""
    return Reading(float(count), message=f"{what}: {count}{told}")


def _restarts(pod: Object, before: Mapping[str, int], since: float | None) -> int:
    # What is kept is bounded, and those that had the most are: one that is left out had no more than the least of them.
    had = before.get(_uid(pod))
    if had is None:
        had = min(before.values()) if len(before) >= MOST_RESTARTED and not _in_phase(_made(pod), since) else 0
    return max(0, int(pod["health"]["restarts"]) - had)


def _in_phase(moment: str | None, since: float | None) -> bool:
    """Whether what ended then may have ended in the phase; times of Kubernetes are whole seconds, cut off."""
    return since is not None and bool(moment) and parse_time(moment) + 1.0 > since


def _alive(pod: Object) -> bool:
    return pod["health"]["phase"] not in _ENDED and "deletionTimestamp" not in pod["metadata"]


def _made(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def _uid(pod: Object) -> str:
    return str(pod["metadata"].get("uid", ""))


__all__ = ["JOB_NAME", "POD", "PodReader", "Pods", "Seen", "differ", "health", "made_by", "worse"]

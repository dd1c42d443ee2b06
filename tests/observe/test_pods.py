"""How new's pods are, by the watch of them: what is counted, since when, of which pods, and what cannot be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes.kube import EPOCH, FakeKube
from fakes.storage import Served
from syncrollout.act.target import Target
from syncrollout.api.fields import format_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import PhaseStatus, PodRestarts, SyncRolloutStatus
from syncrollout.api.words import API_VERSION, KIND, State, Unknown
from syncrollout.decide.facts import Reading, ReadingKey, WorkloadFact
from syncrollout.observe.pods import POD, Pods, Seen
from syncrollout.ports import KindRef, Object, ObjectRef, Unavailable
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.informers import Informers

pytestmark = [pytest.mark.looptime]

GADGET = KindRef("example.org/v1", "Gadget")
ENTERED = EPOCH + 100.0
ALL = ("CrashLoopBackOff", "Restarts", "NotReady", "OOMKilled", "Failed")


def moment(seconds: float) -> str:
    """So long after the phase was entered, as a kubelet writes it."""
    return format_time(ENTERED + seconds)[:19] + "Z"


def container(restarts: int = 0, *, waits: str = "", ended: str = "", reason: str = "Error") -> Object:
    """The status of one container; `ended`: when it ended last."""
    state: Object = {"waiting": {"reason": waits}} if waits else {"running": {}}
    last = {"terminated": {"reason": reason, "finishedAt": ended}} if ended else {}
    return {"name": "main", "restartCount": restarts, "state": state, "lastState": last}


class Cluster:
    """A namespace with new, named sync, and whatever pods a test puts there; a rollout in its first phase."""

    def __init__(self, kind: str = "Deployment", *asked: str, api_version: str | None = None) -> None:
        self.kube = FakeKube()
        self.changes: list[tuple[tuple[Any, ...], Object | None, Object | None]] = []
        self.informers = Informers(self.kube, project=trim, on_selected=lambda *change: self.changes.append(change))
        self.cache = WatchedObjects(self.informers)
        self.pods = Pods(self.kube, self.cache, self.cache)
        workload: Object = {"kind": kind, "name": "sync"} | ({"apiVersion": api_version} if api_version else {})
        spec = {
            "old": {"workload": {"kind": "Deployment", "name": "other"}},
            "new": {"workload": workload},
            "traffic": {"replicas": {"total": 10}},
            "phases": [{"name": "all", "weight": 100}],
            "rollback": {"triggers": [{"severity": "High", "pods": each} for each in asked or ALL]},
        }
        ref = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")
        self.target = Target(ref, SyncRolloutSpec.model_validate(spec), "1", ())
        self.before: tuple[PodRestarts, ...] | None = ()

    def workload(self, api_version: str = "apps/v1", kind: str = "Deployment", **more: Any) -> None:
        metadata = {"name": "sync", "namespace": "shop"}
        body = {"spec": {"selector": {"matchLabels": {"app": "sync"}}}} | more
        self.kube.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, **body})

    def pod(self, name: str, *containers: Object, phase: str = "Running", ready: bool = True, **labels: str) -> Object:
        """One pod; answers it."""
        metadata: Object = {"name": name, "namespace": "shop", "labels": labels or {"app": "sync"}}
        status = {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": moment(5)}],
            "containerStatuses": list(containers),
        }
        return self.kube.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})

    def had(self, **restarts: int) -> None:
        """What pods had been restarted when the phase was entered."""
        uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.kube.all(POD, "shop")}
        self.before = tuple(PodRestarts(uid=uids[name], count=count) for name, count in restarts.items())

    async def look(self, *, in_flight: bool = True, fact: WorkloadFact | None = None) -> Seen:
        phase = PhaseStatus(name="all", index=1, label="1/1 all", entered=ENTERED, restarts=self.before)
        status = SyncRolloutStatus(state=State.PROGRESSING, in_flight=in_flight, phase=phase if in_flight else None)
        return await self.pods.look(self.target, status, fact)

    async def reads(self, trouble: str, **how: Any) -> Reading:
        seen = await self.look(**how)
        return seen.readings[ReadingKey(f"pods:{trouble}")]

    async def counts(self, **how: Any) -> dict[str, float | None]:
        seen = await self.look(**how)
        return {key.metric.removeprefix("pods:"): reading.value for key, reading in seen.readings.items()}


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    made.workload()
    yield made
    await made.informers.close()


async def test_pods_that_are_well_count_nothing(cluster: Cluster) -> None:
    cluster.pod("a", container())
    cluster.pod("stranger", container(9, waits="CrashLoopBackOff"), ready=False, app="other")
    assert await cluster.counts() == dict.fromkeys(ALL, 0.0)


async def test_restarts_are_those_of_the_phase_of_all_containers(cluster: Cluster) -> None:
    cluster.pod("long-there", container(40), container(2))
    cluster.pod("made-since", container(3))
    cluster.had(**{"long-there": 41})
    reading = await cluster.reads("Restarts")
    assert reading.value == 4
    assert reading.message == "restarts of containers in this phase: 4 (made-since, long-there)"
    seen = await cluster.look()
    assert seen.restarts is not None
    assert sorted(seen.restarts.values()) == [3, 42]


async def test_nothing_is_counted_before_it_is_known_what_pods_had(cluster: Cluster) -> None:
    cluster.pod("a", container(7))
    cluster.before = None
    assert (await cluster.reads("Restarts")).value == 0


async def test_where_more_pods_had_restarts_than_are_kept_none_is_counted_that_was_before(cluster: Cluster) -> None:
    cluster.before = tuple(PodRestarts(uid=f"gone-{number}", count=5) for number in range(64))
    cluster.pod("old-one", container(6))
    assert (await cluster.reads("Restarts")).value == 1


async def test_a_crash_loop_and_a_pod_that_is_not_ready(cluster: Cluster) -> None:
    cluster.pod("a", container(4, waits="CrashLoopBackOff"), ready=False)
    cluster.pod("b", container(0, waits="ImagePullBackOff"), ready=False)
    assert (await cluster.reads("CrashLoopBackOff")).message == "pods in CrashLoopBackOff: 1 (a)"
    assert (await cluster.reads("NotReady")).message == "pods that are not Ready: 2 (a, b)"


async def test_replicas_that_have_no_pod_are_not_ready_either(cluster: Cluster) -> None:
    cluster.pod("a", container())
    reading = await cluster.reads("NotReady", fact=WorkloadFact(desired=3, ready=1))
    assert (reading.value, reading.message) == (2.0, "replicas that are not ready: 2")


async def test_a_pod_that_goes_or_has_ended_is_not_waited_for(cluster: Cluster) -> None:
    cluster.pod("ended", container(), phase="Succeeded", ready=False)
    going = cluster.pod("going", container(waits="CrashLoopBackOff"), ready=False)
    going["metadata"]["finalizers"] = ["example.org/wait"]
    cluster.kube.put(going)
    cluster.kube.delete(ObjectRef(POD, "shop", "going"))
    counts = await cluster.counts()
    assert (counts["NotReady"], counts["CrashLoopBackOff"]) == (0.0, 0.0)


@pytest.mark.parametrize(("ended", "counted"), [(-2.0, 0.0), (0.0, 1.0), (30.0, 1.0)])
async def test_what_ended_in_the_phase_counts(cluster: Cluster, ended: float, counted: float) -> None:
    cluster.pod("a", container(1, ended=moment(ended), reason="OOMKilled"))
    cluster.pod("b", container(1, ended=moment(ended), reason="Error"))
    assert (await cluster.reads("OOMKilled")).value == counted
    assert (await cluster.reads("OOMKilled", in_flight=False)).value == 0  # no phase yet


async def test_failed_pods_of_the_phase_count(cluster: Cluster) -> None:
    cluster.pod("evicted", phase="Failed", ready=False)
    assert (await cluster.reads("Failed")).message == "pods that failed in this phase: 1 (evicted)"


async def test_of_many_a_few_are_named(cluster: Cluster) -> None:
    for number in range(5):
        cluster.pod(f"p{number}", container(), ready=False)
    assert (await cluster.reads("NotReady")).message == "pods that are not Ready: 5 (p0, p1, p2 and 2 more)"


async def test_of_a_cron_job_the_pods_of_its_jobs_count() -> None:
    cluster = Cluster("CronJob", "Failed", "NotReady")
    cluster.workload("batch/v1", "CronJob", spec={"suspend": False})
    job = "batch.kubernetes.io/job-name"
    cluster.pod("a", container(), phase="Failed", ready=False, **{job: "sync-29380000"})
    cluster.pod("b", container(), phase="Failed", ready=False, **{job: "sync-other-29380000"})
    fact = WorkloadFact(desired=1, ready=0, scalable=False)
    assert await cluster.counts(fact=fact) == {"Failed": 1.0, "NotReady": 0.0}
    await cluster.informers.close()


async def test_of_any_other_kind_its_scale_says_which_pods_and_is_asked_once() -> None:
    cluster = Cluster("Gadget", "NotReady", api_version="example.org/v1")
    cluster.kube.serve(GADGET, Served(status=True, scale=True, generation="custom"))
    cluster.workload("example.org/v1", "Gadget")
    cluster.pod("a", container(), ready=False)
    for _ in range(3):
        assert (await cluster.reads("NotReady")).value == 1
    assert sum(call.subresource == "scale" for call in cluster.kube.log) == 1
    await cluster.informers.close()


async def test_looking_again_asks_nobody_and_changes_come_by_themselves(cluster: Cluster) -> None:
    cluster.pod("a", container())
    await cluster.look()
    await asyncio.sleep(1)
    asked = len(cluster.kube.log)
    cluster.pod("a", container(3, waits="CrashLoopBackOff"), ready=False)
    counts = await cluster.counts()
    while counts["CrashLoopBackOff"] == 0:
        await asyncio.sleep(0.1)
        counts = await cluster.counts()
    assert counts["Restarts"] == 3
    assert [call for call in cluster.kube.log[asked:] if call.by == "operator"] == []
    users, old, new = cluster.changes[-1]
    assert users == ("SyncRollout shop/move",)
    assert old is not None
    assert new is not None
    assert (old["health"]["restarts"], new["health"]["restarts"]) == (0, 3)


async def test_pods_that_may_not_be_seen_are_unknown(cluster: Cluster) -> None:
    cluster.kube.forbid("list", POD)
    seen = await cluster.look()
    assert {reading.unknown for reading in seen.readings.values()} == {Unknown.FORBIDDEN}
    assert all(reading.value is None for reading in seen.readings.values())
    assert seen.restarts is None


async def test_a_workload_that_is_gone_says_nothing() -> None:
    cluster = Cluster("Deployment", "NotReady")
    reading = await cluster.reads("NotReady")
    assert (reading.value, reading.unknown) == (None, Unknown.UNSEEN)
    assert "Deployment shop/sync does not exist" in reading.message
    await cluster.informers.close()


async def test_a_rollout_that_asks_nothing_of_pods_watches_none(cluster: Cluster) -> None:
    spec = cluster.target.spec
    cluster.target = Target(
        cluster.target.ref,
        spec.model_copy(update={"rollback": spec.rollback.model_copy(update={"triggers": ()})}),
        "1",
        (),
    )
    assert await cluster.look() == Seen()
    assert cluster.kube.log == [call for call in cluster.kube.log if call.by == "person"]


async def test_a_list_that_hangs_holds_nothing_up(cluster: Cluster) -> None:
    async def hang(call: Any) -> None:
        if call.verb == "list" and call.ref.kind == POD:
            await asyncio.sleep(3600)

    cluster.kube.before = hang
    began = asyncio.get_running_loop().time()
    reading = await cluster.reads("NotReady")
    assert reading.unknown is Unknown.UNSEEN
    assert asyncio.get_running_loop().time() - began <= 1.1


async def test_what_was_seen_long_ago_says_nothing_of_now(cluster: Cluster) -> None:
    cluster.pod("a", container())
    assert (await cluster.reads("NotReady")).value == 0

    async def down(call: Any) -> None:
        if call.ref.kind == POD and call.by == "operator":
            raise Unavailable("the API server is away")

    await asyncio.sleep(1)
    cluster.kube.before = down
    cluster.kube.drop_watches()
    await asyncio.sleep(5)
    assert (await cluster.reads("NotReady")).value == 0
    await asyncio.sleep(30)
    reading = await cluster.reads("NotReady")
    assert (reading.value, reading.unknown) == (None, Unknown.UNSEEN)
    assert "the API server is away" in reading.message

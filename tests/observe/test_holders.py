"""Who may still hold slots, and who of them has let go: pods of every kind of workload, by every method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fakes.kube import FakeKube
from fakes.storage import Served
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, EPOCH_ANNOTATION, KIND, Reason, Side, Unknown
from syncrollout.decide.facts import HoldersFact, Problem, Reading
from syncrollout.observe import acks
from syncrollout.observe.holders import Holders, Question
from syncrollout.ports import KindRef, Object, ObjectRef, Unavailable
from syncrollout.runtime.cache import trim

pytestmark = [pytest.mark.looptime]

EPOCH = 7
GADGET = KindRef("example.org/v1", "Gadget")


class FakePrometheus:
    """Answers of workers by their pods' uids; `silent`: it does not answer at all."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}
        self.silent: Reading | None = None
        self.asked: list[str] = []
        self.timeouts: list[float] = []

    async def ask(
        self, spec: SyncRolloutSpec, owner: ObjectRef, queries: Mapping[str, str], timeout: float
    ) -> Mapping[str, Reading]:
        self.asked += queries.values()
        self.timeouts.append(timeout)
        return {name: self.silent or Reading(self._answer(query)) for name, query in queries.items()}

    def _answer(self, query: str) -> float:
        number = 0
        for place, part in enumerate(query.split(" or vector(0))")[:-1]):
            uid = part.split('uid="')[1].split('"')[0]
            epoch = self.epochs.get(uid, 0)
            number |= ((epoch >= EPOCH) + 2 * (epoch > EPOCH)) << 2 * place
        return float(number)


class Cluster:
    """A namespace with the workload of old, named sync, and whatever pods a test puts there."""

    def __init__(self, method: str = "Ack", kind: str = "Deployment", api_version: str | None = None) -> None:
        self.kube = FakeKube()
        self.prometheus = FakePrometheus()
        self.holders = Holders(self.kube, self.prometheus)
        workload: Object = {"kind": kind, "name": "sync"} | ({"apiVersion": api_version} if api_version else {})
        spec = {
            "old": {"workload": workload},
            "new": {"workload": {"kind": "Deployment", "name": "other"}},
            "traffic": {"shards": {"configMap": "slots", "handover": {"method": method}}},
            "prometheus": {"address": "http://prometheus:9090", "timeout": "30s"},
            "phases": [{"name": "all", "weight": 100}],
        }
        ref = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")
        self.target = Target(ref, SyncRolloutSpec.model_validate(spec), "1", ())
        self.workload: Object | None = None

    def made(self, body: Object, api_version: str = "apps/v1", kind: str = "Deployment") -> Object:
        """The workload, as the cache holds it."""
        metadata = {"name": "sync", "namespace": "shop"}
        made = self.kube.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, **body})
        self.workload = trim(made)
        return made

    def pod(
        self,
        name: str,
        *,
        phase: str = "Running",
        stamp: str | None = None,
        owner: tuple[str, str, str] | None = None,
        **labels: str,
    ) -> str:
        """One pod; its uid. `owner`: kind, name, uid."""
        metadata: Object = {"name": name, "namespace": "shop", "labels": {"app": "sync"} | labels}
        if stamp is not None:
            metadata["annotations"] = {EPOCH_ANNOTATION: stamp}
        if owner is not None:
            metadata["ownerReferences"] = [dict(zip(("kind", "name", "uid"), owner, strict=True))]
        made = self.kube.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase}})
        return str(made["metadata"]["uid"])

    def job(self, name: str, cron_job: str, *, stamp: str | None = None, ended: str | None = None) -> str:
        """One Job of a CronJob; its uid. `ended`: Complete or Failed."""
        annotations = {"annotations": {EPOCH_ANNOTATION: stamp}} if stamp is not None else {}
        owner = {"kind": "CronJob", "name": "sync", "uid": cron_job, "controller": True}
        made = self.kube.put(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": "shop", "ownerReferences": [owner]},
                "spec": {"template": {"metadata": annotations}},
                "status": {"conditions": [{"type": ended, "status": "True"}] if ended else []},
            }
        )
        return str(made["metadata"]["uid"])

    async def look(self) -> HoldersFact | Problem:
        return await self.holders.look(self.target, Question(Side.OLD, EPOCH), self.workload)


def deployment(**selector: Any) -> Object:
    return {"spec": {"replicas": 2, "selector": selector or {"matchLabels": {"app": "sync"}}}}


def names(fact: HoldersFact | Problem) -> set[str]:
    assert isinstance(fact, HoldersFact), fact
    return set(fact.names)


async def test_every_pod_that_has_not_ended_counts_also_one_that_is_being_deleted() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    for phase in ("Pending", "Running", "Unknown", "Succeeded", "Failed"):
        cluster.pod(phase.lower(), phase=phase)
    cluster.pod("going")
    cluster.kube.edit(ObjectRef(KindRef("v1", "Pod"), "shop", "going"), {"metadata": {"finalizers": ["a/b"]}})
    cluster.kube.delete(ObjectRef(KindRef("v1", "Pod"), "shop", "going"))
    cluster.pod("other", app="other")
    assert names(await cluster.look()) == {"pending", "running", "unknown", "going"}


async def test_a_side_without_pods_has_let_go_and_nobody_is_asked() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    fact = await cluster.look()
    assert fact == HoldersFact(pods=0, obeying=0)
    assert isinstance(fact, HoldersFact)
    assert fact.let_go
    assert cluster.prometheus.asked == []


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ({"key": "tier", "operator": "In", "values": ["a", "b"]}, {"a", "b"}),
        ({"key": "tier", "operator": "NotIn", "values": ["a", "b"]}, {"c", "plain"}),
        ({"key": "tier", "operator": "Exists"}, {"a", "b", "c"}),
        ({"key": "tier", "operator": "DoesNotExist"}, {"plain"}),
    ],
)
async def test_a_selector_with_expressions_is_understood(expression: Object, chosen: set[str]) -> None:
    cluster = Cluster()
    cluster.made(deployment(matchLabels={"app": "sync"}, matchExpressions=[expression]))
    for tier in "abc":
        cluster.pod(tier, tier=tier)
    cluster.pod("plain")
    assert names(await cluster.look()) == chosen


async def test_by_ack_who_reports_the_epoch_has_let_go() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    uids = {name: cluster.pod(name) for name in ("done", "late", "mute")}
    cluster.prometheus.epochs = {uids["done"]: EPOCH, uids["late"]: EPOCH - 1}
    fact = await cluster.look()
    assert fact == HoldersFact(pods=3, obeying=1, waiting=("late", "mute"), names=frozenset(uids))
    cluster.prometheus.epochs = dict.fromkeys(uids.values(), EPOCH)
    fact = await cluster.look()
    assert isinstance(fact, HoldersFact)
    assert fact.let_go
    assert set(cluster.prometheus.timeouts) == {5.0}, "a query may take 30 s, but a look does not wait so long"


async def test_many_pods_are_asked_in_parts_and_five_are_named() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    uids = [cluster.pod(f"pod-{number:03d}") for number in range(2 * acks.MOST + 3)]
    cluster.prometheus.epochs = dict.fromkeys(uids[10:], EPOCH)
    fact = await cluster.look()
    assert isinstance(fact, HoldersFact)
    assert (fact.pods, fact.obeying) == (len(uids), len(uids) - 10)
    assert fact.waiting == tuple(f"pod-{number:03d}" for number in range(5))
    assert len(cluster.prometheus.asked) == 3


async def test_what_prometheus_does_not_say_is_not_let_go_and_why_is_told() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    cluster.pod("a")
    cluster.prometheus.silent = Reading(None, Unknown.TIMEOUT, "Prometheus at x gave no answer; query: long")
    fact = await cluster.look()
    assert fact == HoldersFact(1, 0, ("a",), frozenset({"a"}), doubt="Prometheus at x gave no answer")


async def test_a_worker_ahead_of_the_latest_epoch_is_a_problem_that_names_it() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    cluster.prometheus.epochs = {cluster.pod("stray"): EPOCH + 1, cluster.pod("well"): EPOCH}
    problem = await cluster.look()
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.EPOCH_AHEAD
    assert "pod stray of old" in problem.message
    assert "later than 7" in problem.message


async def test_by_restart_pods_made_after_the_epoch_have_let_go() -> None:
    cluster = Cluster("Restart")
    cluster.made(deployment())
    for name, stamp in (("older", "6"), ("exact", "7"), ("newer", "8"), ("plain", None), ("odd", "x")):
        cluster.pod(name, stamp=stamp)
    fact = await cluster.look()
    assert isinstance(fact, HoldersFact)
    assert (fact.pods, fact.obeying, fact.waiting) == (5, 2, ("odd", "older", "plain"))
    assert cluster.prometheus.asked == []


async def test_by_drain_nobody_is_asked_and_time_alone_tells() -> None:
    cluster = Cluster("Drain")
    cluster.made(deployment())
    cluster.pod("a", stamp="9")
    fact = await cluster.look()
    assert isinstance(fact, HoldersFact)
    assert (fact.pods, fact.obeying) == (1, 0)
    assert cluster.prometheus.asked == []


# ---- CronJobs ----


@pytest.mark.parametrize("method", ["Ack", "Restart", "Drain"])
async def test_jobs_that_began_before_the_epoch_hold_until_they_end(method: str) -> None:
    cluster = Cluster(method, "CronJob")
    uid = str(cluster.made({"spec": {}}, "batch/v1", "CronJob")["metadata"]["uid"])
    cluster.job("sync-1", uid, stamp="6")
    cluster.job("sync-2", uid)
    cluster.job("sync-3", uid, stamp="7")
    cluster.job("sync-4", uid, ended="Complete")
    cluster.job("sync-5", uid, ended="Failed")
    cluster.job("else-1", "another")
    fact = await cluster.look()
    assert isinstance(fact, HoldersFact)
    assert (fact.pods, fact.obeying, fact.waiting) == (3, 1, ("sync-1", "sync-2"))
    assert cluster.prometheus.asked == []


async def test_pods_that_outlive_their_job_hold_as_well() -> None:
    cluster = Cluster("Ack", "CronJob")
    uid = str(cluster.made({"spec": {}}, "batch/v1", "CronJob")["metadata"]["uid"])
    label = "batch.kubernetes.io/job-name"
    failed = cluster.job("sync-5", uid, ended="Failed")
    running = cluster.job("sync-6", uid)
    cluster.pod("of-failed", owner=("Job", "sync-5", failed), **{label: "sync-5"})
    cluster.pod("of-running", owner=("Job", "sync-6", running), **{label: "sync-6"})
    cluster.pod("of-deleted", owner=("Job", "sync-4", "gone"), **{label: "sync-4"})
    cluster.pod("of-another", owner=("Job", "sync-daily-4", "gone"), **{label: "sync-daily-4"})
    cluster.pod("done", phase="Succeeded", owner=("Job", "sync-4", "gone"), **{label: "sync-4"})
    assert names(await cluster.look()) == {"sync-6", "of-failed", "of-deleted"}


# ---- other kinds, and workloads that are gone ----


async def test_another_kind_is_asked_by_its_scale_which_pods_are_its_own() -> None:
    cluster = Cluster(kind="Gadget", api_version=GADGET.api_version)
    cluster.kube.serve(GADGET)
    cluster.made({"spec": {"selector": {}}}, GADGET.api_version, GADGET.kind)
    problem = await cluster.look()
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.INVALID_SPEC
    assert "has no scale subresource" in problem.message
    cluster.kube.serve(GADGET, Served(status=True, scale=True, generation="custom"))
    problem = await cluster.look()
    assert isinstance(problem, Problem)
    assert "status.selector" in problem.message, "an empty selector would mean every pod"
    cluster.made({"spec": {"selector": {"matchLabels": {"app": "sync"}}}}, GADGET.api_version, GADGET.kind)
    cluster.pod("a")
    cluster.pod("b", app="other")
    assert names(await cluster.look()) == {"a"}


async def test_pods_of_a_workload_that_is_gone_still_count() -> None:
    cluster = Cluster("Restart")
    cluster.pod("a", owner=("ReplicaSet", "sync-abc12", "x"), **{"pod-template-hash": "abc12"})
    cluster.pod("b", owner=("ReplicaSet", "sync-api-abc12", "x"), **{"pod-template-hash": "abc12"})
    cluster.pod("c")
    assert names(await cluster.look()) == {"a"}
    stateful = Cluster("Restart", "StatefulSet")
    stateful.pod("sync-0", owner=("StatefulSet", "sync", "x"))
    stateful.pod("else-0", owner=("StatefulSet", "else", "x"))
    assert names(await stateful.look()) == {"sync-0"}


# ---- the API server says no ----


async def test_a_missing_right_is_a_problem_and_silence_an_error() -> None:
    cluster = Cluster()
    cluster.made(deployment())
    cluster.kube.forbid("list", KindRef("v1", "Pod"))
    problem = await cluster.look()
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.FORBIDDEN
    assert '"list"' in problem.message
    cluster.kube.allow("list", KindRef("v1", "Pod"))

    async def fail(_: object) -> None:
        raise Unavailable("no answer", status=0)

    cluster.kube.before = fail
    with pytest.raises(Unavailable):
        await cluster.look()

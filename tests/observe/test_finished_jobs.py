"""How the last Jobs of CronJobs have ended, by the watch of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable

import pytest

from fakes.kube import EPOCH, Call, FakeKube
from syncrollout.act.target import Target
from syncrollout.api.fields import format_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import API_VERSION, KIND, State, Unknown
from syncrollout.decide.facts import CronJobFact, FinishedJob
from syncrollout.observe.finished_jobs import JOB, FinishedJobs, news, worse
from syncrollout.ports import KindRef, Object, ObjectRef
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.informers import Informers

pytestmark = [pytest.mark.looptime]

CRON_JOB = KindRef("batch/v1", "CronJob")
CHECK = "nightly-check"
Change = tuple[tuple[Hashable, ...], Object | None, Object | None]


def moment(seconds: float) -> str:
    return format_time(EPOCH + seconds)[:19] + "Z"


class Cluster:
    """A namespace with the CronJob, and whatever Jobs a test puts there; a rollout in flight."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.changes: list[Change] = []
        self.informers = Informers(self.kube, project=trim, on_selected=lambda *change: self.changes.append(change))
        cache = WatchedObjects(self.informers)
        self.jobs = FinishedJobs(cache, cache)
        spec = {
            "old": {"workload": {"kind": "Deployment", "name": "other"}},
            "new": {"workload": {"kind": "Deployment", "name": "sync"}},
            "traffic": {"replicas": {"total": 10}},
            "phases": [{"name": "all", "weight": 100, "success": [{"job": "hourly"}]}],
            "rollback": {"triggers": [{"severity": "High", "job": CHECK}]},
        }
        ref = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")
        self.target = Target(ref, SyncRolloutSpec.model_validate(spec), "1", ())
        for name in (CHECK, "hourly"):
            self.kube.put(
                {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": "shop"}}
            )

    def job(self, name: str, of: str = CHECK, *, ended: str = "", at: float = 0.0, namespace: str = "shop") -> Object:
        """A Job; `ended`: Complete or Failed."""
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": of, "uid": "u", "controller": True}
        metadata: Object = {"name": name, "namespace": namespace, "ownerReferences": [owner] if of else []}
        status: Object = {"conditions": [self.condition(ended, at)] if ended else []}
        return self.kube.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "status": status})

    def ends(self, name: str, ended: str, at: float) -> None:
        """One that runs ends."""
        self.kube.edit_status(ObjectRef(JOB, "shop", name), {"conditions": [self.condition(ended, at)]})

    @staticmethod
    def condition(ended: str, at: float) -> Object:
        return {"type": ended, "status": "True", "lastTransitionTime": moment(at), "message": f"it is {ended}"}

    @property
    def asked(self) -> list[Call]:
        """What the API server was asked."""
        return [call for call in self.kube.log if call.by == "operator"]

    async def look(self, state: State = State.PROGRESSING) -> dict[str, CronJobFact]:
        return dict(await self.jobs.look(self.target, SyncRolloutStatus(state=state, in_flight=True)))


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    yield made
    await made.informers.close()


async def test_the_last_that_has_finished_counts_whatever_runs(cluster: Cluster) -> None:
    cluster.job("a", ended="Failed", at=10)
    cluster.job("b", ended="Complete", at=20)
    cluster.job("c")
    cluster.job("stranger", of="other", ended="Failed", at=30)
    cluster.job("by-hand", of="", ended="Failed", at=30)
    cluster.job("elsewhere", ended="Failed", at=30, namespace="other")
    seen = await cluster.look()
    message = "it is Complete"
    assert seen == {
        CHECK: CronJobFact(FinishedJob("b", EPOCH + 20, failed=False, message=message)),
        "hourly": CronJobFact(),
    }


async def test_of_two_in_one_second_the_one_that_failed_counts(cluster: Cluster) -> None:
    cluster.job("a", ended="Failed", at=20)
    cluster.job("b", ended="Complete", at=20)
    newest = (await cluster.look())[CHECK].newest
    assert newest is not None
    assert newest.failed


async def test_one_that_is_about_to_fail_has_not_ended_yet(cluster: Cluster) -> None:
    cluster.job("a", ended="FailureTarget", at=20)
    assert (await cluster.look())[CHECK] == CronJobFact()


async def test_a_cron_job_that_does_not_exist_is_said(cluster: Cluster) -> None:
    cluster.kube.delete(ObjectRef(CRON_JOB, "shop", CHECK))
    fact = (await cluster.look())[CHECK]
    assert fact.unknown is Unknown.NOT_FOUND
    assert fact.message == (
        "CronJob shop/nightly-check does not exist: create it, or correct the name where the spec says job"
    )


async def test_without_the_right_to_watch_jobs_it_is_unknown(cluster: Cluster) -> None:
    cluster.kube.forbid("list", JOB)
    seen = await cluster.look()
    assert {fact.unknown for fact in seen.values()} == {Unknown.FORBIDDEN}


async def test_on_the_way_back_and_where_nothing_goes_by_a_job_nobody_looks(cluster: Cluster) -> None:
    assert await cluster.look(State.ROLLING_BACK) == {}
    rollback = cluster.target.spec.rollback.model_copy(update={"triggers": ()})
    phases = tuple(phase.model_copy(update={"success": ()}) for phase in cluster.target.spec.phases)
    spec = cluster.target.spec.model_copy(update={"rollback": rollback, "phases": phases})
    cluster.target = Target(cluster.target.ref, spec, "1", ())
    assert await cluster.look() == {}
    assert cluster.asked == []


async def test_a_look_asks_nobody_and_one_that_fails_is_told_as_grave(cluster: Cluster) -> None:
    cluster.job("a")
    await cluster.look()
    await asyncio.sleep(0.1)  # the watches begin
    asked = len(cluster.asked)
    cluster.changes.clear()
    cluster.ends("a", "Failed", 30)
    await asyncio.sleep(0.1)
    newest = (await cluster.look())[CHECK].newest
    assert newest == FinishedJob("a", EPOCH + 30, failed=True, message="it is Failed")
    assert len(cluster.asked) == asked
    [(users, old, new)] = cluster.changes
    assert users == ("SyncRollout shop/move",)
    assert news(old, new)
    assert worse(new)


async def test_what_is_kept_of_a_job_is_little_and_what_says_nothing_wakes_nobody(cluster: Cluster) -> None:
    running = trim(cluster.job("a"))
    assert running.keys() == {"apiVersion", "kind", "metadata", "madeBy", "ended"}
    well = trim(cluster.job("b", ended="Complete", at=5))
    other = trim(cluster.job("c", of="", ended="Failed", at=5))
    assert not news(None, running)
    assert not news(running, None)
    assert not news(well, well)
    assert not news(None, other)
    assert news(running, well)
    assert not worse(well)

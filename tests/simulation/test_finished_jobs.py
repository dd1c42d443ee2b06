"""A verification Job of a CronJob that fails while a rollout is in flight."""

from __future__ import annotations

import asyncio

from fakes.kube import Call
from fakes.patching import clone
from simulation import people
from simulation.stage import Stage, staged
from simulation.test_reported import judged_by_reports
from syncrollout.api.fields import format_time
from syncrollout.ports import KindRef, Object, ObjectRef

JOB, CRON_JOB = KindRef("batch/v1", "Job"), KindRef("batch/v1", "CronJob")
CHECK = "nightly-check"


def checked(stage: Stage, severity: str) -> None:
    """The CronJob is there, and a trigger goes by it."""
    namespace = stage.plan.ref.namespace
    meta = {"name": CHECK, "namespace": namespace}
    stage.world.kube.put({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": {}})
    stage.body = clone(stage.body)
    judged_by_reports(stage.body["spec"], {"severity": severity, "job": CHECK})
    stage.body["spec"]["rollback"]["high"] = {"within": "40s", "clearFor": "2s"}
    stage.body["spec"]["prometheus"]["interval"] = "20s"


def ends(stage: Stage, name: str, *, failed: bool) -> None:
    """The CronJob's Job has run, and has ended now."""
    now = stage.world.clock.now()
    namespace = stage.plan.ref.namespace
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": CHECK, "uid": "u", "controller": True}
    metadata: Object = {"name": name, "namespace": namespace, "ownerReferences": [owner]}
    stage.world.kube.put(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}, "status": {"conditions": []}}
    )
    at = format_time(now)[:19] + "Z"
    condition = {"type": "Failed" if failed else "Complete", "status": "True", "lastTransitionTime": at}
    stage.world.kube.edit_status(ObjectRef(JOB, namespace, name), {"conditions": [condition]})


def test_one_that_fails_wakes_the_rollout_and_waits_for_no_interval() -> None:
    async def story(stage: Stage) -> None:
        checked(stage, "Critical")
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await stage.when(lambda: stage.share == 10)
        await asyncio.sleep(2.0)
        failed = stage.world.now
        ends(stage, "nightly-check-1", failed=True)
        await stage.when(lambda: stage.share == 0)
        assert stage.world.now - failed < 0.3
        await stage.reach("RolledBack", within=5.0)
        [kept] = stage.status["finishedJobs"]
        assert (kept["cronJob"], kept["job"], kept["failed"]) == (CHECK, "nightly-check-1", True)
        [broken] = [each for each in stage.status["criteria"] if each["verdict"] == "Fail"]
        assert broken["id"] == f"trigger/0/job:{CHECK}"

    staged(story)


def test_a_failure_outlives_its_job_and_the_process_and_a_later_job_clears_it() -> None:
    async def story(stage: Stage) -> None:
        checked(stage, "High")
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await stage.when(lambda: stage.share == 10)
        await asyncio.sleep(2.0)
        ends(stage, "nightly-check-1", failed=True)
        await stage.reach("Holding", within=5.0)
        people.delete(ObjectRef(JOB, stage.plan.ref.namespace, "nightly-check-1"))(stage.world)
        stage.world.crash(stage.world.process)
        await asyncio.sleep(15.0)
        assert stage.state == "Holding"
        assert stage.status["incident"]["criterion"] == f"trigger/0/job:{CHECK}"
        ends(stage, "nightly-check-2", failed=False)
        await stage.reach("Progressing", within=5.0)
        assert stage.status["history"][-2]["reason"] == "IncidentCleared"

    staged(story)


def test_a_stop_by_hand_waits_for_no_list_of_jobs() -> None:
    """The operator has just started, and the API server is slow to list them."""

    async def story(stage: Stage) -> None:
        checked(stage, "Critical")
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await stage.when(lambda: stage.share == 10)
        usual = stage.world.kube.before
        assert usual is not None

        async def slow(call: Call) -> None:
            await usual(call)
            if (call.verb, call.ref.kind) == ("list", JOB):
                await asyncio.sleep(4.0)

        stage.world.kube.before = slow
        stage.world.crash(stage.world.process)
        people.edit_spec(stage.plan, {"emergencyStop": True})(stage.world)
        await stage.when(lambda: stage.share == 0, within=1.5)

    staged(story)


def test_a_rollout_that_goes_by_no_job_watches_none() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Completed")
        assert not [call for call in stage.world.calls if call.ref.kind in (JOB, CRON_JOB)]

    staged(story)

"""The steps of a rollback after the switch: Jobs that are made once, budgets that hold, traffic that never waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fakes.controllers import Course
from fakes.kube import Call
from fakes.patching import clone
from simulation import objects
from simulation.objects import DEPLOYMENT, JOB, ref
from simulation.plain import succeeded, world
from simulation.procedure import courses, job, steps, with_procedure
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, is_status, once, staged
from simulation.test_crashes import crash_at, milestones
from syncrollout.ports import ApiError, Unavailable


async def _broken(stage: Stage, course: Any = None, **procedure: Any) -> None:
    """At fifty percent, with new failing from now on."""
    with_procedure(stage.body, **procedure)
    stage.world.jobs.course = course or courses()
    await stage.begin()
    await stage.reach("Progressing", phase="medium-traffic")
    await stage.when(lambda: stage.status["phase"].get("since") is not None)
    stage.world.source.bad[stage.plan.new] = lambda: True


def _seen(stage: Stage) -> bool:
    return any(step.get("seen") for step in (stage.status.get("rollback") or {}).get("steps", []))


def _reasons(stage: Stage) -> list[str]:
    reasons = [entry["reason"] for entry in stage.status["history"]]
    return reasons[reasons.index("TriggerBreached") :]


def test_damage_is_found_mended_and_looked_for_once_more() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage)
        await stage.when(lambda: stage.share == 0, within=1.5)
        await stage.reach("RolledBack")
        assert steps(stage.status) == {
            "Switch": "Succeeded",
            "VerifyData": "Failed",
            "Restore": "Succeeded",
            "VerifyAgain": "Succeeded",
            "Evidence": "Succeeded",
        }
        assert [name.rsplit("-", 1)[0] for name in stage.world.jobs.ran] == [
            "sync-verify-data",
            "sync-restore",
            "sync-verify-again",
        ]
        last = stage.status["history"][-1]
        assert last["type"] == "Normal"
        report = stage.world.kube.read(ref(objects.CONFIG_MAP, "sync-incident-1"))
        assert report is not None
        assert "| Restore | Succeeded | " in report["data"]["report.md"]
        assert "VerifyData Failed, Restore Succeeded, VerifyAgain Succeeded" in last["message"]
        assert _reasons(stage) == [
            "TriggerBreached",
            *("StepSucceeded", "StepStarted", "StepFailed"),
            *("StepStarted", "StepSucceeded", "StepStarted", "StepSucceeded"),
            "StepSucceeded",
            "RolledBack",
        ]

    staged(story)


def test_nothing_is_restored_where_the_verification_finds_nothing() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(damaged=False))
        await stage.reach("RolledBack")
        assert steps(stage.status) == {
            "Switch": "Succeeded",
            "VerifyData": "Succeeded",
            "Restore": "Skipped",
            "VerifyAgain": "Skipped",
            "Evidence": "Succeeded",
        }
        assert len(stage.world.jobs.ran) == 1
        told = [entry["message"] for entry in stage.status["history"] if entry["reason"] == "StepSkipped"]
        assert told[0] == "Restore is skipped: the verification has found nothing to restore"

    staged(story)


def test_always_restores_without_asking() -> None:
    async def story(stage: Stage) -> None:
        restore = {"job": job("restore"), "mode": "Always", "budget": "20s"}
        await _broken(stage, courses(damaged=False), restore=restore, verifyData=None)
        del stage.body  # nothing is read from it any more
        await stage.reach("RolledBack")
        assert steps(stage.status) == {"Switch": "Succeeded", "Restore": "Succeeded", "Evidence": "Succeeded"}

    staged(story)


def test_a_verification_that_hangs_is_stopped_and_restores_nothing_by_itself() -> None:
    async def story(stage: Stage) -> None:
        def course(made: Any) -> Course:
            return Course(1.0) if "restore" in made["metadata"]["name"] else Course(1000.0)

        await _broken(stage, course)
        await stage.when(lambda: steps(stage.status).get("VerifyData") == "Running")
        began = stage.world.now
        await stage.when(lambda: steps(stage.status)["VerifyData"] == "Overrun")
        assert 9.0 <= stage.world.now - began <= 11.5
        await stage.reach("RolledBack", within=60.0)
        assert steps(stage.status)["Restore"] == "Skipped"
        assert steps(stage.status)["VerifyAgain"] == "Skipped"
        assert _reasons(stage).count("StepOverrun") == 1
        assert stage.status["history"][-1]["type"] == "Warning"

    staged(story)


def test_a_job_controller_that_does_nothing_holds_no_step_for_ever() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage)
        stage.world.jobs.stop()
        stage.world.jobs.start = lambda: None  # type: ignore[method-assign]
        stage.world.jobs.stop = lambda: None  # type: ignore[method-assign]
        await stage.reach("RolledBack", within=150.0)
        assert [*steps(stage.status).values()] == ["Succeeded", "Overrun", "Skipped", "Skipped", "Succeeded"]
        assert _reasons(stage).count("StepOverrun") == 1

    staged(story)


def test_jobs_that_cannot_be_made_hold_up_neither_traffic_nor_the_end() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage)
        stage.world.kube.forbid("create", JOB)
        await stage.when(lambda: stage.share == 0, within=1.5)
        await stage.when(lambda: "lacks the right" in stage.status["message"], within=12.0)
        await stage.reach("RolledBack", within=150.0)
        assert [*steps(stage.status).values()] == ["Succeeded", "Overrun", "Skipped", "Skipped", "Succeeded"]
        assert stage.world.jobs.ran == []

    staged(story)


def test_a_cron_job_lends_its_pod() -> None:
    async def story(stage: Stage) -> None:
        pod = {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "check", "image": "nightly"}]}}
        nightly = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"namespace": "listings", "name": "nightly"},
            "spec": {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": {"template": pod}}},
        }
        stage.world.kube.put(nightly)
        verify = {"job": {"fromCronJob": "nightly"}, "budget": "10s"}
        await _broken(stage, courses(damaged=False), verifyData=verify)
        await stage.reach("RolledBack")
        made = stage.world.kube.read(ref(JOB, stage.world.jobs.ran[0]))
        assert made is not None
        template = made["spec"]["template"]["spec"]
        assert (template["restartPolicy"], template["containers"][0]["image"]) == ("Never", "nightly")
        told = {each["name"]: each["value"] for each in template["containers"][0]["env"]}
        assert told["ROLLOUT_PHASE"] == "medium-traffic"
        assert told["ROLLOUT_NAMESPACE"] == "listings"
        assert stage.world.kube.read(ref(JOB, "nightly")) is None

    staged(story)


def test_a_cron_job_that_is_missing_is_named() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, verifyData={"job": {"fromCronJob": "nightly"}, "budget": "10s"})
        await stage.when(lambda: "CronJob listings/nightly does not exist" in stage.status["message"])
        await stage.reach("RolledBack", within=100.0)
        assert steps(stage.status)["VerifyData"] == "Overrun"

    staged(story)


def test_a_job_that_somebody_deletes_is_not_made_again() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(lasts=6.0))
        await stage.when(lambda: _seen(stage))
        stage.world.kube.delete(ref(JOB, stage.world.jobs.ran[0]))
        await stage.reach("RolledBack")
        assert "somebody has deleted" in stage.status["rollback"]["steps"][1]["message"]
        assert len(stage.world.jobs.ran) == 1

    staged(story)


def test_drift_while_a_step_runs_is_put_right_at_once() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(lasts=8.0))
        await stage.when(lambda: steps(stage.status).get("VerifyData") == "Running")
        route = clone(stage.world.kube.read(stage.plan.routes[0]))
        for rule in route["spec"]["rules"]:
            rule["backendRefs"][1]["weight"] = 30
        stage.world.kube.put(route)
        await stage.when(lambda: stage.share == 0, within=1.0)
        await stage.reach("RolledBack")
        assert len(stage.world.jobs.ran) == 3

    staged(story)


def test_a_deletion_runs_the_switch_alone() -> None:
    async def story(stage: Stage) -> None:
        with_procedure(stage.body)
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        stage.world.kube.delete(stage.plan.ref)
        await stage.when(lambda: stage.world.kube.read(stage.plan.ref) is None, within=5.0)
        assert stage.share == 0
        assert stage.world.jobs.ran == []

    staged(story)


def test_a_deletion_waits_for_the_job_that_runs_and_begins_no_other() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(lasts=5.0))
        await stage.when(lambda: bool(stage.world.jobs.ran))
        stage.world.kube.delete(stage.plan.ref)
        began = stage.world.now
        await stage.when(lambda: stage.world.kube.read(stage.plan.ref) is None, within=10.0)
        assert stage.world.now - began > 4.0
        assert len(stage.world.jobs.ran) == 1

    staged(story)


def test_new_is_stopped_and_comes_back_for_the_next_attempt() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, switch={"stopNew": True})
        await stage.reach("RolledBack")
        assert objects.replicas_of(stage.world.kube.read(stage.plan.new_ref)) == 0
        began = next(each for each in stage.status["rollback"]["steps"] if each["name"] == "VerifyData")["started"]
        assert stage.status["stoppedNew"]["at"] < began
        stage.world.source.bad[stage.plan.new] = lambda: False
        body = clone(stage.world.kube.read(stage.plan.ref))
        body["spec"]["revision"] = "2"
        stage.world.kube.put(body)
        await stage.reach("Progressing", phase="medium-traffic")
        assert objects.replicas_of(stage.world.kube.read(stage.plan.new_ref)) == 3
        assert "stoppedNew" not in stage.status

    staged(story)


def test_a_restore_begins_once_its_backup_is_seen() -> None:
    async def story(stage: Stage) -> None:
        backup = {"metric": "duration", "maxAge": "1h"}  # which reads some seconds
        restore = {"job": job("restore"), "mode": "Always", "budget": "20s", "backup": backup}
        await _broken(stage, verifyData=None, restore=restore)
        await stage.reach("RolledBack")
        assert steps(stage.status)["Restore"] == "Succeeded"

    staged(story)


def _restarting(**more: Any) -> Any:
    """Old is restarted, looked at, and tried by a Job."""
    checks = [{"metric": "error-rate", "below": 1}]
    return {"restartOld": True, "checks": checks, "job": job("sync"), "budget": "20s", **more}


def _is_stamp(call: Call) -> bool:
    return call.ref.kind == DEPLOYMENT and call.verb == "patch" and "template" in call.body.get("spec", {})


def _stamps(stage: Stage) -> list[Call]:
    return [call for call in stage.world.calls if call.ref == stage.plan.old_ref and _is_stamp(call)]


def test_old_is_restarted_while_it_has_all_of_the_traffic() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(damaged=False), verifySystem=_restarting())
        await stage.when(lambda: bool(_stamps(stage)))
        assert stage.share == 0
        await stage.reach("RolledBack")
        assert steps(stage.status)["VerifySystem"] == "Succeeded"
        assert [call.applied for call in _stamps(stage)] == [True]
        step = next(each for each in stage.status["rollback"]["steps"] if each["name"] == "VerifySystem")
        assert step["restart"] == stage.status["rollback"]["decided"]
        made = stage.world.kube.read(ref(JOB, step["job"]))
        assert made is not None
        assert step["restarted"][:19] <= made["metadata"]["creationTimestamp"]
        assert not stage.world.controllers.anew

    staged(story)


def test_old_is_verified_once_it_answers_its_probes() -> None:
    async def story(stage: Stage) -> None:
        probes = [{"path": "/healthz"}, {"path": "/items", "maxLatency": "2s"}]
        stage.world.prober.answer = lambda what: 503 if what.endswith("/items") else 200
        await _broken(stage, courses(damaged=False), verifySystem={"probes": probes, "budget": "20s"})
        await stage.when(lambda: steps(stage.status).get("VerifySystem") == "Running")
        end = stage.world.now + 6.0
        await stage.when(lambda: stage.world.now > end)
        assert steps(stage.status)["VerifySystem"] == "Running"
        assert 2 <= len([each for each in stage.world.prober.asked if each == "listings/v1:80/items"]) <= 4
        stage.world.prober.answer = lambda _: 200
        await stage.reach("RolledBack")
        assert steps(stage.status)["VerifySystem"] == "Succeeded"

    staged(story)


@pytest.mark.parametrize("after", [False, True])
def test_a_restart_whose_answer_is_lost_is_not_a_second_one(after: bool) -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(damaged=False), verifySystem=_restarting())
        lost = Unavailable("no answer", status=0)
        stage.spoil(once(lost, _is_stamp), after=after)
        await stage.reach("RolledBack")
        assert steps(stage.status)["VerifySystem"] == "Succeeded"
        assert sum(call.applied for call in _stamps(stage)) == 1

    staged(story)


BACKED_UP = {"job": job("restore"), "mode": "Always", "budget": "20s", "backup": {"job": job("dump")}}


def test_a_restore_begins_once_the_job_before_it_has_made_a_backup() -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage, courses(damaged=False), verifyData=None, restore=BACKED_UP)
        await stage.reach("RolledBack")
        assert steps(stage.status)["Restore"] == "Succeeded"
        ran = [name.rsplit("-", 1)[0] for name in stage.world.jobs.ran]
        assert ran == ["sync-restore-backup", "sync-restore"]
        made = stage.world.kube.read(ref(JOB, stage.world.jobs.ran[0]))
        assert made is not None
        assert made["metadata"]["labels"]["syncrollout.io/step"] == "Backup"

    staged(story)


def test_a_backup_that_fails_leaves_the_data_as_it_is() -> None:
    async def story(stage: Stage) -> None:
        def course(made: Any) -> Course:
            return Course(1.0, well="dump" not in str(made))

        await _broken(stage, course, verifyData=None, restore=BACKED_UP)
        await stage.reach("RolledBack")
        assert steps(stage.status)["Restore"] == "Failed"
        assert len(stage.world.jobs.ran) == 1
        assert "the backup has failed: Job sync-restore-backup-" in stage.status["rollback"]["steps"][1]["message"]

    staged(story)


@pytest.mark.parametrize("after", [False, True])
def test_an_answer_that_is_lost_makes_no_second_job(after: bool) -> None:
    async def story(stage: Stage) -> None:
        await _broken(stage)
        lost = Unavailable("no answer", status=0)
        stage.spoil(once(lost, lambda call: call.ref.kind == JOB and call.verb == "create"), after=after)
        await stage.reach("RolledBack")
        assert len(stage.world.jobs.ran) == 3

    staged(story)


def test_an_api_server_that_does_not_record_makes_no_job() -> None:
    """What is not written down could be forgotten: a Job is made for it only then."""

    async def story(stage: Stage) -> None:
        await _broken(stage)
        refusing = [True]

        def refused(call: Call) -> ApiError | None:
            back = refusing[0] and is_status(call) and steps(call.body["status"]).get("VerifyData") == "Running"
            return Unavailable("no", status=500) if back else None

        stage.spoil(refused)
        await stage.when(lambda: stage.share == 0, within=1.5)
        await stage.when(lambda: "confirmed" in stage.status.get("rollback", {}))
        end = stage.world.now + 6.0
        await stage.when(lambda: stage.world.now > end)
        assert stage.world.jobs.ran == []
        refusing[0] = False
        await stage.reach("RolledBack")
        assert len(stage.world.jobs.ran) == 3

    staged(story)


def _back_by_steps(*, damaged: bool = True, **procedure: Any) -> Scenario:
    scenario = world(seconds=2, breach="small-traffic", one=True)
    for _, body in scenario.rollouts:
        with_procedure(body, **procedure)
    scenario.courses = courses(damaged=damaged)
    return scenario


def _restarts_in_between() -> Scenario:
    only = {"verifyData": None, "restore": None, "evidence": None}
    return _back_by_steps(**only, verifySystem=_restarting(job=None))


def _backed_up() -> Scenario:
    return _back_by_steps(damaged=False, verifyData=None, evidence=None, restore=BACKED_UP)


CRASHES: dict[str, tuple[Callable[[], Scenario], str, list[str]]] = {
    "backup": (_backed_up, "create Job", ["StepStarted", "StepStarted", "StepStarted", "StepSucceeded", "RolledBack"]),
    "jobs": (_back_by_steps, "create Job", ["StepStarted", "StepSucceeded", "StepSucceeded", "RolledBack"]),
    "restart": (_restarts_in_between, "patch Deployment", ["StepStarted", "StepSucceeded", "RolledBack"]),
}


@pytest.mark.parametrize("case", CRASHES)
def test_a_crash_at_any_call_runs_no_step_twice_and_changes_no_result(case: str) -> None:
    make, effect, end = CRASHES[case]
    reference = succeeded(simulate(make()))
    story = milestones(reference)
    assert story[-len(end) :] == end
    first = next(number for number, what in enumerate(reference.writes, 1) if what.startswith(effect))
    died = 0
    for call in range(first - 8, len(reference.writes) + 1):
        what = reference.writes[call - 1]
        if what == reference.writes[call - 2]:
            continue  # one look at a Job is like the next
        reads = what.split()[0] in {"list", "watch", "get"}
        for after in (False,) if reads else (False, True):
            restart = 0.05 if call % 2 else 6.0  # at once, and after the Job has ended
            report = crash_at(make, call, after=after, restart=restart)
            died += report.processes - 1
            assert report.ends == reference.ends
            assert milestones(report) == story, f"call {call} {what}, {after=}, {restart=}"
            assert report.jobs == reference.jobs
    assert died >= (len(reference.writes) - first) // 2, "the crashes did not happen"

"""A check of the data, run by a CronJob, as a trigger: Jobs of a real controller, whose pods are real processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import plan
from e2e.job_runner import LABEL, JobRunner, template
from e2e.operators import USER, Operator
from e2e.rights import Right, without
from e2e.scene import Rollout, Scene
from syncrollout.api.fields import parse_time
from syncrollout.observe.finished_jobs import ended
from testbed import Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster


class Check:
    """A CronJob that never runs by itself; each of its Jobs fails while there is damage."""

    def __init__(self, scene: Scene, directory: Path) -> None:
        self.scene = scene
        self.damage = directory / "damage"
        self.made = 0

    def create(self) -> None:
        """The CronJob."""
        pod = template("/bin/sh", "-c", f"test ! -e {self.damage}")
        pod["metadata"]["labels"] = {LABEL: "Check"}
        pod["spec"]["restartPolicy"] = "Never"
        spec: Obj = {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"backoffLimit": 0, "template": pod}}}
        metadata = {"name": "check", "namespace": self.scene.namespace}
        self.scene.kube.create({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec})

    def run(self) -> str:
        """A Job of it, as a person makes one; its name."""
        self.made += 1
        name = f"check-{self.made}"
        self.scene.stage.cluster.kubectl(
            "create", "job", "--from=cronjob/check", name, "-n", self.scene.namespace, timeout=60
        )
        return name


@pytest.fixture
def check(scene: Scene, tmp_path: Path) -> Iterator[Check]:
    """Not created yet; pods of its Jobs run."""
    with JobRunner(scene, tmp_path):
        yield Check(scene, tmp_path)


def judged_by_jobs(scene: Scene, *triggers: Obj, success: bool = False) -> Rollout:
    """At half of the traffic, with these triggers and no Prometheus at all."""
    asked = [{"job": "check"}] if success else []
    phases = [plan.phase("half", 50, "1s" if success else plan.LONG, success=asked, rollbackOn=[])]
    high = {"within": "10m", "clearFor": "1s"}
    return scene.rollout(phases, prometheus=None, metrics=None, rollback={"triggers": list(triggers), "high": high})


def test_a_check_that_fails_opens_an_incident_that_outlives_its_job_and_the_next_check_ends(
    operator: Operator, scene: Scene, check: Check
) -> None:
    check.create()
    check.damage.touch()
    mark = scene.stage.cluster.audit.mark()
    rollout = judged_by_jobs(scene, {"severity": "High", "job": "check"}, success=True)
    rollout.until("Holding", reason="CriteriaNotMet", says="no Job of CronJob check has finished since the run began")
    name = check.run()
    status = rollout.until("Holding", reason="RollbackDue", says=f"Job {name} of CronJob check failed at ")
    assert status["finishedJobs"][0]["failed"] is True
    scene.kube.delete("batch/v1", "Job", name, scene.namespace, propagation="Background")
    check.damage.unlink()
    annotated = {"metadata": {"annotations": {"syncrollout.io/decide": "rollback?"}}}  # it looks anew, and says so
    scene.kube.patch(plan.API_VERSION, plan.KIND, "move", scene.namespace, annotated)
    told = rollout.until(also=lambda obj: obj["status"]["history"][-1]["reason"] == "RequestIgnored")
    assert told["incident"]["criterion"] == "trigger/0/job:check"
    assert told["reason"] == "RollbackDue"
    check.run()
    status = rollout.until("Completed")
    assert [(each["job"], each["failed"]) for each in status["finishedJobs"]] == [("check-2", False)]
    # the operator asked for the Jobs once: what came since, the watch has told
    requests = [each for each in scene.stage.cluster.audit.since(mark) if each.user == USER]
    verbs = [each.verb for each in requests if (each.resource, each.namespace) == ("jobs", scene.namespace)]
    assert verbs.count("list") == 1
    assert set(verbs) == {"list", "watch"}


def test_a_critical_check_sends_everything_back_at_once(operator: Operator, scene: Scene, check: Check) -> None:
    check.create()
    check.damage.touch()
    check.run()  # before the run: it says nothing about new
    job = scene.kube.wait_for("batch/v1", "Job", "check-1", scene.namespace, ended, what="to fail", timeout=60)
    failed_at = parse_time((ended(job) or {})["at"])
    eventually(lambda: time.time() > failed_at + 1.0, what="another second, for times of Jobs have no parts of one")
    rollout = judged_by_jobs(scene, {"severity": "Critical", "job": "check"})
    rollout.until(phase="half", stands=True)
    assert scene.weight() == 50
    name = check.run()
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "TriggerBreached"
    assert f"Job {name} of CronJob check failed at " in status["rollback"]["message"]
    assert scene.weights() == [0, 50, 0]


def test_a_cron_job_that_is_not_there_and_a_right_that_is_missing_are_said_before_the_start(
    operator: Operator, scene: Scene, check: Check
) -> None:
    with without(scene.stage, Right("batch", "jobs", "list")):
        rollout = judged_by_jobs(scene, {"severity": "Critical", "job": "check"})
        status = rollout.until("Preflight", reason="Forbidden", stalled=True)
        assert 'the operator lacks the right to "list" resource "jobs"' in status["message"]
    status = rollout.until("Preflight", reason="CronJobNotFound", stalled=True)
    assert f"CronJob {scene.namespace}/check does not exist: create it, or correct the name" in status["message"]
    assert scene.weights() == [0]
    check.create()
    rollout.until(phase="half", stands=True)

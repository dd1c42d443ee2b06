"""Drills on a real API server: dry runs that really are none, a Job that really runs, a rollback that does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import plan
from e2e.job_runner import JobRunner, template
from e2e.operators import Operator, Operators
from e2e.rights import Right, without
from e2e.scene import Rollout, Scene
from e2e.test_plugin import VERBS, person
from testbed import Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
ALONE = "--no-leader-election"
DRILL = "syncrollout.io/drill"
TRIGGERS = [{"severity": "Critical", "metric": "errors", "above": 10}]


@pytest.fixture
def runner(scene: Scene, tmp_path: Path) -> Iterator[JobRunner]:
    """Pods of Jobs run."""
    with JobRunner(scene, tmp_path) as running:
        yield running


def _job(script: str = 'test "$ROLLOUT_DRILL" = Rehearse') -> Obj:
    return {"template": template("/bin/sh", "-c", script)}


def _half(scene: Scene, *, verify: Obj | None = None, **rollback: Any) -> Rollout:
    procedure = {
        "switch": {"stopNew": True},
        "verifyData": {"job": verify or _job(), "budget": "60s"},
        "restore": {"job": _job("true")},
        "evidence": {},
    }
    rollout = scene.rollout(
        [plan.phase("half", 50, plan.LONG)], rollback={"triggers": TRIGGERS, "procedure": procedure, **rollback}
    )
    rollout.until(phase="half", stands=True)
    return rollout


def _ask(scene: Scene, rollout: Rollout, value: str = "rehearse: now") -> None:
    metadata = {"metadata": {"annotations": {DRILL: value}}}
    scene.kube.patch(plan.API_VERSION, plan.KIND, rollout.name, scene.namespace, metadata)


def _last(status: Obj) -> Obj:
    return dict((status.get("drill") or {}).get("last") or {})


def _drilled(rollout: Rollout, result: str) -> Obj:
    status = rollout.until(also=lambda obj: _last(obj["status"]).get("result"))
    assert _last(status)["result"] == result, _last(status)
    return status


def _failed(status: Obj) -> dict[str, str]:
    return {check["name"]: check["message"] for check in _last(status)["checks"] if check["result"] == "Failed"}


def test_a_person_has_it_tried_and_nothing_is_changed(operator: Operator, scene: Scene, runner: JobRunner) -> None:
    rollout = _half(scene)
    before = scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    replicas = scene.kube.get("apps/v1", "Deployment", "new", scene.namespace)

    code, said, problem = person(scene, "on-call", *VERBS)("drill", "move", "-m", "before the weekend")
    assert (code, problem) == (0, "")
    assert "This tries all that a rollback would do, without doing it" in said
    assert "DrillStarted: A drill begins (Rehearse), " in said
    assert " asked for it: rehearse: before the weekend" in said
    status = _drilled(rollout, "Passed")

    assert [check["name"] for check in _last(status)["checks"]] == [
        "Old could take the traffic",
        "Switch of HTTPRoute web",
        "Stop of new",
        "Job of step VerifyData",
        "Job of step Restore",
        "Incident report",
        "Verification of the data",
    ]
    assert _failed(status) == {}
    assert runner.ran == ["VerifyData"]
    [job] = scene.kube.list("batch/v1", "Job", scene.namespace)
    assert job["metadata"]["name"] == _last(status)["job"]
    assert job["metadata"]["labels"][DRILL] == "Rehearse"
    assert scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)["metadata"] == before["metadata"]
    after = scene.kube.get("apps/v1", "Deployment", "new", scene.namespace)
    assert after["metadata"]["generation"] == replicas["metadata"]["generation"]
    assert scene.kube.find("v1", "ConfigMap", "move-incident-1", scene.namespace) is None
    assert rollout.condition("RollbackRehearsed")["status"] == "True"
    assert rollout.status["state"] == "Progressing"
    reasons = [event["reason"] for event in rollout.events()]
    assert (reasons.count("DrillStarted"), reasons.count("DrillPassed")) == (1, 1)

    code, said, _ = person(scene, "somebody", *VERBS)("drill", "move", "-m", "once more", "--dry-run=server")
    assert code == 0
    assert f"{DRILL}=rehearse: once more" in said
    assert said.endswith("(server dry run: nothing was done)\n")


def test_what_a_rollback_would_find_out_too_late(operator: Operator, scene: Scene, runner: JobRunner) -> None:
    """A Job that its schema refuses, a CronJob that is missing, damage: each is named before it is needed."""
    verify = _job("echo 3 lost; exit 2")
    wrong = {"template": template("/bin/true")}
    wrong["template"]["spec"]["volumes"] = [{"name": "a", "configMap": {}}]
    wrong["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "b", "mountPath": "/b"}]
    rollout = _half(scene, verify=verify)
    procedure = {"restore": {"job": wrong}, "verifySystem": {"job": {"fromCronJob": "test-sync"}}}
    rollout.edit(rollback={"procedure": procedure})
    _ask(scene, rollout)
    status = _drilled(rollout, "Failed")
    failed = _failed(status)
    assert set(failed) == {"Job of step Restore", "Job of step VerifySystem", "Verification of the data"}
    assert "volumeMounts" in failed["Job of step Restore"]
    assert f"CronJob {scene.namespace}/test-sync does not exist" in failed["Job of step VerifySystem"]
    assert "exit code 2: 3 lost" in failed["Verification of the data"]
    assert rollout.condition("RollbackRehearsed")["reason"] == "DrillFailed"
    assert rollout.status["state"] == "Progressing"
    assert scene.weight() == 50


def test_a_right_that_is_missing_is_named(operator: Operator, scene: Scene, runner: JobRunner) -> None:
    rollout = _half(scene)
    right = Right("gateway.networking.k8s.io", "httproutes", "patch")
    with without(scene.stage, right):
        _ask(scene, rollout)
        status = _drilled(rollout, "Failed")
    said = _failed(status)["Switch of HTTPRoute web"]
    assert '"patch"' in said
    assert "httproutes" in said
    _ask(scene, rollout, "rehearse: it is back")
    rollout.until(also=lambda obj: _last(obj["status"]).get("result") == "Passed")


def test_a_breach_while_the_verification_runs_goes_back_at_once(
    operator: Operator, scene: Scene, runner: JobRunner
) -> None:
    rollout = _half(scene, verify=_job('test -z "$ROLLOUT_DRILL" || sleep 30'))
    _ask(scene, rollout)
    eventually(lambda: runner.ran == ["VerifyData"], what="the Job of the drill to run")
    scene.set("errors", 50, "new")
    scene.until_weight(0, timeout=10)
    assert _last(rollout.until(also=lambda obj: _last(obj["status"])))["result"] == "CutShort"
    status = rollout.until("RolledBack", timeout=60)
    assert runner.ran == ["VerifyData", "VerifyData"]
    assert [step["state"] for step in status["rollback"]["steps"]][:2] == ["Succeeded", "Succeeded"]


def test_live_all_traffic_goes_to_old_for_a_while_and_comes_back(operator: Operator, scene: Scene) -> None:
    window = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "from": "00:00", "to": "24:00"}
    drill = {"schedule": "0 0 1 1 *", "mode": "Live", "liveFor": "3s", "windows": [window]}
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], rollback={"triggers": TRIGGERS, "drill": drill})
    rollout.until(phase="half", stands=True)
    plugin = person(scene, "on-call", *VERBS)
    code, said, problem = plugin("drill", "move", "--mode", "live", "-m", "the monthly one")
    assert (code, problem) == (1, "nothing was done: nobody can be asked here, for this is no terminal; give --yes\n")
    assert "This really sends all traffic and work to old for a while" in said
    assert scene.weights() == [0, 50]

    code, said, problem = plugin("drill", "move", "--mode", "live", "-m", "the monthly one", "--yes")
    assert (code, problem) == (0, "")
    assert "DrillStarted: A drill begins (Live), " in said
    assert " asked for it: live: the monthly one" in said
    status = _drilled(rollout, "Passed")
    assert scene.weights() == [0, 50, 0, 50]
    assert [check["name"] for check in _last(status)["checks"]] == [
        "All traffic at old",
        "Stood at old",
        "Back at 50 %",
    ]
    assert status["phase"]["lasted"] > 0
    assert rollout.condition("RollbackRehearsed")["status"] == "True"
    assert [each for each in rollout.reasons if each.startswith("Drill")] == [
        "DrillStarted",
        "DrillAtOld",
        "DrillPassed",
    ]


def test_live_a_breach_meanwhile_stays_at_old(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], rollback={"triggers": TRIGGERS})
    rollout.until(phase="half", stands=True)
    _ask(scene, rollout, "live: for five minutes")
    scene.until_weight(0)
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]
    assert _last(rollout.status)["result"] == "CutShort"
    assert rollout.reasons.count("TriggerBreached") == 1


def test_by_its_schedule_through_operators_that_are_killed(
    operators: Operators, scene: Scene, runner: JobRunner
) -> None:
    own = operators.own("doomed", ALONE)
    rollout = _half(scene, verify=_job("sleep 3"), drill={"schedule": "* * * * *", "timezone": "Asia/Tokyo"})
    running = rollout.until(also=lambda obj: (obj["status"].get("drill") or {}).get("running"), timeout=90)
    assert running["drill"]["running"]["cause"] == "Schedule"
    own.process.kill()
    own = operators.own("second", ALONE)
    rollout.until(also=lambda obj: ((obj["status"].get("drill") or {}).get("running") or {}).get("job"))
    own.process.kill()
    own = operators.own("third", ALONE)
    status = _drilled(rollout, "Passed")
    assert runner.ran[:1] == ["VerifyData"]
    jobs = [job["metadata"]["name"] for job in scene.kube.list("batch/v1", "Job", scene.namespace)]
    assert jobs.count(_last(status)["job"]) == 1
    assert own.process.running


def test_a_zone_that_does_not_exist_is_said(operator: Operator, scene: Scene, runner: JobRunner) -> None:
    rollout = _half(scene)
    rollout.edit(rollback={"drill": {"schedule": "0 10 1 * *", "timezone": "Mars/Olympus"}})
    rollout.until(says="spec.rollback.drill.timezone: Value error, there is no time zone 'Mars/Olympus'", stalled=True)
    rollout.edit(rollback={"drill": {"timezone": "Asia/Tokyo"}})
    status = rollout.until("Progressing", also=lambda obj: (obj["status"].get("drill") or {}).get("next"))
    assert status["drill"]["schedule"] == "0 10 1 * * Asia/Tokyo"
    assert status["drill"]["next"].endswith("-01T01:00:00.000Z")

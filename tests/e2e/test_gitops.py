"""Rollouts under GitOps tools: what they show of one, and that their self-heal and the operator do not fight."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene, condition
from syncrollout import argocd
from syncrollout.api.words import State
from testbed import GitOps, Obj

pytestmark = pytest.mark.cluster

ARGO_CD = "argocd-controller"
HEALTHS = {
    "Pending": {"Progressing"},
    "Preflight": {"Progressing"},
    "Progressing": {"Progressing"},
    "Holding": {"Progressing", "Suspended"},  # Suspended: a person has to decide
    "Paused": {"Suspended"},
    "AwaitingApproval": {"Suspended"},
    "RollingBack": {"Degraded"},
    "RolledBack": {"Degraded"},
    "Completed": {"Healthy"},
}
KSTATUS = {"Healthy": {"Current"}, "Degraded": {"Failed", "InProgress"}}
"""What Flux and kpt make of what Argo CD shows so; of all else InProgress. RollingBack: it is not at its end yet."""


def _versions(rollout: Rollout) -> list[Obj]:
    """All versions of a rollout that the API server has had, with a status that was made for them."""
    recorder = rollout.scene.stage.recorder
    recorder.caught_up(rollout.scene.namespace)
    return [
        seen.obj
        for seen in recorder.story(rollout.scene.namespace, plan.KIND)
        if seen.name == rollout.name and not seen.gone and "deletionTimestamp" not in seen.obj["metadata"]
    ]


def _check(gitops: GitOps, obj: Obj) -> str:
    """Compare what is shown of one version with what it is; the state that it is in, where one was said for it."""
    status: Obj = obj.get("status") or {}
    shown = gitops.lua(argocd.read()["health"], obj)
    read = gitops.kstatus(obj)
    if status.get("observedGeneration", 0) < obj["metadata"]["generation"]:
        assert shown["status"] == "Progressing"
        assert read == "InProgress" or not status
        return ""
    stalled = condition(status, "Stalled")["status"] == "True"
    expected = {"Degraded"} if stalled else HEALTHS[status["state"]]
    assert shown["status"] in expected, (status["state"], shown)
    assert shown["message"] == status["message"]
    assert read in KSTATUS.get(shown["status"], {"InProgress"}), (status["state"], shown, read)
    return str(status["state"])


def test_every_state_is_shown_as_what_it_is(operator: Operator, scene: Scene, gitops: GitOps) -> None:
    medium = {"triggers": [{"severity": "Medium", "metric": "errors", "above": 20}]}
    asks = plan.phase("small", 10, "1s", approval="Required")
    good = scene.rollout([asks, plan.phase("all", 100, "1s")], name="good", suspend=True)
    good.until("Paused")
    good.edit(suspend=False)
    good.until("AwaitingApproval")
    good.edit(approvals=[{"phase": "small", "by": "kim"}])
    good.until("Completed")

    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    bad = scene.rollout([plan.phase("half", 50, plan.LONG, rollbackOn=[])], name="bad", rollback=medium)
    bad.until("Preflight", reason="RouteNotFound", stalled=True)
    scene.kube.create(plan.route("web", scene.namespace))
    bad.until(phase="half", stands=True)
    scene.set("errors", 50, "new")
    bad.until("Holding", reason="AwaitingDecision")
    bad.edit(emergencyStop=True)
    bad.until("RolledBack")

    seen = {_check(gitops, obj) for rollout in (good, bad) for obj in _versions(rollout)}
    # what it is before the first look, and the moment of a switch back, may be too short to be recorded
    assert set(State) - seen <= {"Pending", "RollingBack"}


def _press(gitops: GitOps, rollout: Rollout, name: str) -> None:
    """Carry out an action that Argo CD offers at the moment: the script's object is written back as a patch."""
    before = rollout.obj
    assert not gitops.lua(argocd.read()["actions/discovery"], before)[name]["disabled"]
    after = gitops.lua(argocd.read()[f"actions/{name}"], before, time.time())
    removed = set(before["metadata"].get("annotations") or ()) - set(after["metadata"].get("annotations") or ())
    annotations = {**(after["metadata"].get("annotations") or {}), **dict.fromkeys(removed)}
    patch = {"metadata": {"annotations": annotations}}
    rollout.scene.kube.patch(plan.API_VERSION, plan.KIND, rollout.name, rollout.scene.namespace, patch)


def test_actions_do_what_they_say(operator: Operator, scene: Scene, gitops: GitOps) -> None:
    medium = {"triggers": [{"severity": "Medium", "metric": "errors", "above": 20}]}
    asks = plan.phase("small", 10, "0s", approval="Required", rollbackOn=[])
    rollout = scene.rollout([asks, plan.phase("half", 50, plan.LONG, rollbackOn=[])], rollback=medium)
    rollout.until("AwaitingApproval")
    _press(gitops, rollout, "hold")
    rollout.until("Paused", reason="Held")
    _press(gitops, rollout, "resume")
    rollout.until("AwaitingApproval")
    _press(gitops, rollout, "approve")
    rollout.until(phase="half", stands=True)
    assert rollout.status["approvals"][0]["by"] == "system:serviceaccount:argocd:argocd-server"
    scene.set("errors", 50, "new")
    rollout.until("Holding", reason="AwaitingDecision")
    _press(gitops, rollout, "continue")
    rollout.until(also=lambda obj: obj["status"]["incident"].get("overridden"))
    _press(gitops, rollout, "rollback")
    rollout.until("RolledBack")
    scene.set_and_scraped("errors", 0.2, "new")
    _press(gitops, rollout, "retry")
    rollout.until("AwaitingApproval", also=lambda obj: obj["status"]["run"] == 2)
    offered = gitops.lua(argocd.read()["actions/discovery"], rollout.obj)
    assert {name for name, each in offered.items() if not each["disabled"]} == {"approve", "hold", "rollback"}
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")


def test_self_heal_and_the_operator_leave_each_other_alone(operator: Operator, scene: Scene, gitops: GitOps) -> None:
    git = _as_git_has_it(scene)
    phases = [plan.phase(name, weight) for name, weight in (("small", 10), ("half", 50), ("all", 100))]
    rollout = scene.rollout([*phases, plan.phase("retired", 100, retireOld=True)])
    git.append(plan.rollout("move", scene.namespace, scene.stage.prometheus.address, rollout.obj["spec"]["phases"]))
    syncs = 0
    while rollout.status.get("state") != "Completed":
        syncs += _heal(scene, gitops, git, respecting=True)
    assert scene.weights() == [0, 10, 50, 100]
    assert scene.kube.get("apps/v1", "Deployment", "old", scene.namespace)["spec"]["replicas"] == 0
    assert rollout.reasons.count("PhaseStarted") == 4
    assert "DriftRepaired" not in rollout.reasons
    assert syncs == 0
    # what is not the operator's is put back all the same
    scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, {"metadata": {"labels": {"team": "x"}}})
    assert _heal(scene, gitops, git, respecting=True) == 1
    assert scene.weight() == 100


def test_without_what_it_is_told_self_heal_would_fight(operator: Operator, scene: Scene, gitops: GitOps) -> None:
    git = _as_git_has_it(scene)
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    scene.by_hand.append(("HTTPRoute", "web"))
    assert _heal(scene, gitops, git, respecting=False) >= 1
    rollout.until(also=lambda obj: obj["status"]["history"][-1]["reason"] == "DriftRepaired")
    scene.until_weight(50)
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")


def test_a_cron_job_that_the_operator_has_suspended_stays_so(operator: Operator, scene: Scene, gitops: GitOps) -> None:
    git = plan.cron_job("nightly", scene.namespace)
    scene.kube.apply(git, ARGO_CD)
    scene.healthy("nightly")
    phases = [plan.phase("all", 100), plan.phase("retire", 100, retireOld=True)]
    rollout = scene.rollout(phases, old=plan.system("nightly", "CronJob", service="old"))
    rollout.until("Completed")
    assert _heal(scene, gitops, [git], respecting=True) == 0
    assert scene.kube.get("batch/v1", "CronJob", "nightly", scene.namespace)["spec"]["suspend"] is True


def _as_git_has_it(scene: Scene) -> list[Obj]:
    """The objects of the scene as they are written in Git, applied once as Argo CD applies them."""
    git = [plan.route("web", scene.namespace)]
    for side in ("old", "new"):
        made = scene.kube.get("apps/v1", "Deployment", side, scene.namespace)
        metadata = {"name": side, "namespace": scene.namespace}
        git.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": made["spec"]})
    for obj in git:
        scene.kube.apply(obj, ARGO_CD)
    return git


def _heal(scene: Scene, gitops: GitOps, git: list[Obj], *, respecting: bool) -> int:
    """One round of self-heal over all objects: how many were out of step with Git, and were applied."""
    applied = 0
    for wanted in git:
        live = scene.kube.get(wanted["apiVersion"], wanted["kind"], wanted["metadata"]["name"], scene.namespace)
        ignored = _ignored(wanted) if respecting else {}
        healing = gitops.heals(live, wanted, **ignored)
        if healing.differs:
            scene.kube.apply(healing.applies, ARGO_CD)
            applied += 1
    return applied


def _ignored(wanted: Obj) -> dict[str, Any]:
    """What is to be ignored of this object: by the shipped ConfigMap, and as the example Application says it."""
    group, _, _ = str(wanted["apiVersion"]).rpartition("/")
    customization = argocd.customizations().get((group, wanted["kind"]), {})
    application = yaml.safe_load((argocd.FOLDER / "application.yaml").read_text())
    of_kind = {
        pointer
        for each in application["spec"]["ignoreDifferences"]
        if (each["group"], each["kind"]) == (group, wanted["kind"])
        for pointer in each["jsonPointers"]
    }
    return {
        "managers": customization.get("managedFieldsManagers", ()),
        "expressions": [
            *customization.get("jqPathExpressions", ()),
            *(pointer.replace("/", ".") for pointer in sorted(of_kind)),
        ],
    }

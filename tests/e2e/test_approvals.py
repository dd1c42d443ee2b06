"""Approvals, holds and skips, by people with the plugin, under the admission policy and a real operator."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.policies import REFUSES, policy_of
from e2e.scene import Scene
from e2e.test_plugin import VERBS, person
from testbed import Obj
from testbed.cluster import KubectlFailed

pytestmark = pytest.mark.cluster


def test_an_approver_lets_it_on_and_anybody_holds_it_skips_and_sends_it_back(operator: Operator, scene: Scene) -> None:
    cluster, namespace = scene.stage.cluster, scene.namespace
    kim, alex = (f"system:serviceaccount:{namespace}:{name}" for name in ("kim", "alex"))
    phases = [
        plan.phase("small", 10, approval="Required", approvers={"users": [kim]}),
        plan.phase("half", 50, plan.LONG),
        plan.phase("all", 100, plan.LONG),
    ]
    with policy_of(cluster, namespace):
        rollout = scene.rollout(phases)
        as_kim, as_alex = person(scene, "kim", *VERBS), person(scene, "alex", *VERBS)
        status = rollout.until("AwaitingApproval", reason="ApprovalRequested")
        assert status["message"] == (
            f"Phase 1/3 small waits for an approval by {kim}: kubectl syncrollout approve move small -m WHY"
        )

        code, said, _ = as_alex("approve", "move", "-m", "looks good to me")
        assert code == 2
        assert said.splitlines()[-1] == f"Nothing was done: {alex} may not approve it: that is for {kim}"
        forged = ["syncrollout.io/approve=small: x", f"syncrollout.io/requested-by={kim}"]
        token = cluster.token_for(namespace, "alex")
        with pytest.raises(KubectlFailed, match=REFUSES):
            cluster.kubectl("-n", namespace, "annotate", "syncrollout", "move", *forged, token=token)

        code, said, problem = as_kim("approve", "move", "-m", "all quiet")
        assert (code, problem) == (0, "")
        assert f"Approved: Phase 1/3 small is approved by {kim}, until " in said
        status = rollout.until(phase="half", stands=True)
        assert [(each["phase"], each["by"], each["reason"]) for each in status["approvals"]] == [
            ("small", kim, "all quiet")
        ]

        assert as_alex("hold", "move", "-m", "the sale is on")[0] == 0
        status = rollout.until("Paused", reason="Held")
        assert status["hold"]["by"] == alex
        assert scene.weight() == 50
        assert as_kim("resume", "move", "-m", "it is over")[0] == 0
        rollout.until("Progressing")

        assert as_alex("skip", "move", "half", "-m", "tested elsewhere", "--yes")[0] == 0
        status = rollout.until(phase="all", stands=True)
        told = {each["reason"]: each for each in status["history"]}
        assert (told["Held"]["by"], told["Resumed"]["by"], told["PhaseSkipped"]["by"]) == (alex, kim, alex)
        assert told["Resumed"]["message"].startswith(f"The hold is taken away by {kim}: it is over (it was held by")

        assert as_alex("rollback", "move", "-m", "users complain", "--yes")[0] == 0
        status = rollout.until("RolledBack")
        assert f"{alex} asked for it: users complain" in status["rollback"]["message"]


def test_an_approval_by_git_counts_once_and_a_breach_waits_for_nobody(operator: Operator, scene: Scene) -> None:
    asks: Obj = {"approval": "Required"}
    rollout = scene.rollout([plan.phase("small", 10, **asks), plan.phase("all", 100, **asks)])
    rollout.until("AwaitingApproval")
    rollout.edit(approvals=[{"phase": "small", "by": "kim", "reason": "in Git"}])
    status = rollout.until("AwaitingApproval", phase="all")
    assert [(each["phase"], each["by"]) for each in status["approvals"]] == [("small", "kim")]
    scene.set("errors", 15, "new")
    rollout.until("RolledBack")
    scene.until_weight(0)

"""Breaches of severities High, Medium and Low, and what people ask for by annotation, on the real control plane."""

from __future__ import annotations

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Rollout, Scene
from testbed import Obj

pytestmark = pytest.mark.cluster

TRIGGERS = [
    {"severity": "Critical", "metric": "errors", "above": 40},
    {"severity": "High", "metric": "errors", "above": 20},
    {"severity": "Medium", "metric": "errors", "above": 10},
    {"severity": "Low", "metric": "errors", "above": 5},
]


def graded(scene: Scene, *, within: str = "1h", decide_within: str = "24h", duration: str = plan.LONG) -> Rollout:
    """At half of the traffic, with triggers of every severity and no other way back."""
    settings: Obj = {
        "triggers": TRIGGERS,
        "high": {"within": within, "clearFor": "2s"},
        "medium": {"decideWithin": decide_within, "clearFor": "2s"},
    }
    phases = [plan.phase("half", 50, duration, success=[], rollbackOn=[])]
    rollout = scene.rollout(phases, rollback=settings)
    rollout.until(phase="half", stands=True)
    return rollout


def annotate(scene: Scene, verb: str, value: str) -> None:
    """As a person does it."""
    name = f"syncrollout.io/{verb}={value}"
    scene.stage.cluster.kubectl("-n", scene.namespace, "annotate", "--overwrite", "syncrollout/move", name)


def test_high_goes_back_at_its_deadline_and_the_table_says_when(operator: Operator, scene: Scene) -> None:
    rollout = graded(scene, within="6s")
    scene.set("errors", 25, "new")
    status = rollout.until("Holding", reason="RollbackDue")
    assert status["incident"]["severity"] == "High"
    deadline = status["incident"]["deadline"]
    assert status["next"] == f"rollback {deadline[:19]}Z unless clear or overridden"
    assert scene.weight() == 50
    status = rollout.until("RolledBack", reason="RolledBack")
    assert status["rollback"]["reason"] == "IncidentOverdue"
    assert status["rollback"]["decided"] >= deadline
    assert scene.weights() == [0, 50, 0]
    reasons = [reason for reason in rollout.reasons if reason != "LowTrigger"]
    assert reasons == ["PhaseStarted", "RollbackDue", "IncidentOverdue", "RolledBack"]


def test_high_that_clears_and_one_that_is_overridden_go_on(operator: Operator, scene: Scene) -> None:
    rollout = graded(scene)
    scene.set("errors", 25, "new")
    rollout.until("Holding", reason="RollbackDue")
    scene.set("errors", 0.1, "new")
    rollout.until("Progressing", also=lambda obj: "incident" not in obj["status"])
    scene.set("errors", 25, "new")
    rollout.until("Holding", reason="RollbackDue")
    annotate(scene, "override", "the load test of tonight")
    status = rollout.until("Progressing")
    assert status["incident"]["overridden"] == "the load test of tonight"
    assert status["requests"] == {"override": "the load test of tonight"}
    rollout.edit(phases=[plan.phase("half", 50, "0s", success=[], rollbackOn=[])])
    rollout.until("Completed")
    assert "IncidentCleared" in rollout.reasons
    assert "IncidentOverridden" in rollout.reasons


def test_medium_waits_for_a_person_who_sends_it_back_and_then_tries_again(operator: Operator, scene: Scene) -> None:
    rollout = graded(scene, duration="2s")
    scene.set("errors", 15, "new")
    status = rollout.until("Holding", reason="AwaitingDecision")
    assert "annotate it with syncrollout.io/decide=continue or =rollback" in status["message"]
    annotate(scene, "decide", "rollback after a look at the logs")
    status = rollout.until("RolledBack")
    assert status["rollback"]["reason"] == "RollbackRequested"
    scene.set_and_scraped("errors", 0.1, "new")
    annotate(scene, "retry", "the index is there now")
    status = rollout.until("Completed")
    assert (status["run"], status["revision"]) == (2, "1")
    assert scene.weights() == [0, 50, 0, 50]


def test_a_rollback_by_hand_low_that_is_only_told_and_what_comes_too_late(operator: Operator, scene: Scene) -> None:
    rollout = graded(scene)
    scene.set("errors", 7, "new")
    rollout.until("Progressing", also=lambda obj: obj["status"]["history"][-1]["reason"] == "LowTrigger")
    assert scene.weight() == 50
    annotate(scene, "rollback", "users complain")
    rollout.until("RolledBack")
    annotate(scene, "override", "too late")
    rollout.until("RolledBack", also=lambda obj: obj["status"]["history"][-1]["reason"] == "RequestIgnored")
    assert scene.weights() == [0, 50, 0]


def test_a_failing_phase_steps_back_and_comes_again(operator: Operator, scene: Scene) -> None:
    worse = [{"metric": "errors", "above": 5}]
    phases = [
        plan.phase("small", 10, "3s", success=[], rollbackOn=[]),
        plan.phase("half", 50, plan.LONG, success=[], rollbackOn=worse, onFailure="StepBack"),
    ]
    rollout = scene.rollout(phases)
    rollout.until(phase="half", stands=True)
    scene.set("errors", 7, "new")
    rollout.until(phase="small", stands=True)
    scene.set("errors", 0.1, "new")
    status = rollout.until(phase="half", stands=True)
    assert status["stepBack"]["count"] == 1
    assert scene.weights() == [0, 10, 50, 10, 50]
    assert rollout.reasons == ["PhaseStarted", "PhaseStarted", "SteppedBack", "PhaseStarted"]
    annotate(scene, "rollback", "enough seen")
    rollout.until("RolledBack")


def test_a_completed_run_is_ready_and_watched_and_still_goes_back(operator: Operator, scene: Scene) -> None:
    phases = [plan.phase("alone", 100, "1s", success=[], rollbackOn=[], retireOld=True)]
    rollout = scene.rollout(phases, rollback={"triggers": TRIGGERS, "keepWatching": "1h"})
    status = rollout.until("Completed", also=lambda obj: obj["status"]["next"].startswith("watched until "))
    scene.stage.cluster.kubectl(
        *("-n", scene.namespace, "wait", "--for=condition=Ready", "syncrollout/move", "--timeout=0s")
    )
    assert status["watch"]["until"] > status["finished"]
    scene.until_ready("old", 0)
    scene.set("errors", 50, "new")
    status = rollout.until("RolledBack")
    assert scene.weights() == [0, 100, 0]
    scene.until_ready("old", 2)
    assert "watch" not in status

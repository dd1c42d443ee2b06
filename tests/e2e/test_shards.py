"""Work items move between sync workers, which are real processes; what each of them handled is in a journal. Whatever
happens, no key is handled by two systems at once, and every key is handled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from e2e import plan
from e2e.operators import Operator, Operators
from e2e.recorder import Seen
from e2e.scene import Scene
from e2e.sharded import CONFIG_MAP, Workers, workers
from syncrollout.shards import BadAssignment
from testbed import Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
ALONE = "--no-leader-election"


@pytest.fixture
def crew(empty_scene: Scene) -> Iterator[Workers]:
    """A fresh namespace in which pods are processes."""
    with workers(empty_scene) as made:
        yield made


def _ready(crew: Workers, old: int = 2, new: int = 2) -> None:
    """All processes run and are scraped."""
    eventually(lambda: (len(crew.pods("old")), len(crew.pods("new"))) == (old, new), what="workers to run")
    eventually(lambda: len((crew.directory / "targets").read_text().split()) == old + new, what="targets")
    crew.scraped()


def _both(crew: Workers) -> None:
    crew.make("old", "old")
    crew.make("new", "new")
    _ready(crew)


def _releasing(seen: Seen) -> bool:
    status: Obj = seen.obj.get("status") or {}
    return seen.kind == plan.KIND and (status.get("shards") or {}).get("stage") == "Releasing"


@pytest.mark.usefixtures("account")
def test_forward_by_ack_in_three_phases_and_back(operator: Operator, crew: Workers) -> None:
    _both(crew)
    crew.until_all_handled(0)
    last = plan.phase("all", 100, plan.LONG)
    rollout = crew.rollout([plan.phase("small", 10), plan.phase("half", 50), last])
    rollout.until(phase="half", stands=True)
    crew.until_all_handled(500)
    status = rollout.until(phase="all", stands=True)
    assert status["weight"] == 100
    assert status["shards"]["stage"] == "Settled"
    crew.until_all_handled(1000)
    crew.scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    crew.until_all_handled(0)
    assert (crew.assignment.new_below, crew.assignment.old_from, crew.assignment.stop) == (0, 0, True)
    assert "HandoverTimedOut" not in rollout.reasons, "new let go by itself"
    assert crew.pods("new"), "and was not stopped for it"


def test_killed_in_the_middle_of_handovers_operator_and_workers(operators: Operators, crew: Workers) -> None:
    _both(crew)
    for step, way in enumerate(("forward", "back")):
        own = operators.adopt(operators.make("killed", ALONE))
        moment = _releasing if way == "forward" else _going_back
        with crew.scene.stage.recorder.at(crew.scene.namespace, moment, own.process.kill) as come:
            own.process.launch()
            if way == "forward":
                rollout = crew.rollout([plan.phase("half", 50, plan.LONG)])
            else:
                crew.scene.set("errors", 50, "new")
            eventually(come.is_set, timeout=30, interval=0.01, what=f"slots to be on their way {way}")
        for side in ("old", "new"):
            crew.kill(crew.pods(side)[step])
        operators.own(f"after-{way}", ALONE)
        rollout.until(**({"phase": "half", "stands": True} if way == "forward" else {"state": "RolledBack"}))
        crew.until_all_handled(500 if way == "forward" else 0)
        operators.end_own()
    assert rollout.reasons.count("RolledBack") == 1


def test_a_worker_that_never_lets_go(operator: Operator, crew: Workers) -> None:
    _both(crew)
    stuck = crew.pods("old")[0]
    crew.hang(stuck)
    rollout = crew.rollout([plan.phase("half", 50, plan.LONG)], handover={"timeout": "3s"})
    status = rollout.until(
        "Holding",
        reason="HandoverTimedOut",
        says=stuck,
        also=lambda obj: obj["status"]["shards"]["stage"] == "GivenBack",
    )
    assert stuck in status["shards"]["waitingFor"]  # and maybe another that was merely slow
    assert (crew.assignment.new_below, crew.assignment.old_from) == (0, 0)
    crew.hang(stuck, on=False)
    rollout.until(phase="half", stands=True)
    crew.until_all_handled(500)
    # and new, which is not waited for twice
    crew.hang(crew.pods("new")[0])
    crew.scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert crew.kube.get("apps/v1", "Deployment", "new", crew.scene.namespace)["spec"]["replicas"] == 0
    crew.until_all_handled(0)


def test_by_restart_pods_are_made_anew_by_their_own_controllers(operator: Operator, crew: Workers) -> None:
    theirs = {"name": CONFIG_MAP, "namespace": crew.scene.namespace}
    crew.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs, "data": {"a": "b"}})
    crew.make("old", "old", by="env")
    crew.make("new", "new", kind="StatefulSet", by="env")
    new = plan.system("new", "StatefulSet", service=None)
    rollout = crew.rollout([plan.phase("half", 50, plan.LONG)], "Restart", new=new)
    rollout.until("Preflight", reason="ConfigMapTaken", stalled=True, says="belongs to nobody")
    assert crew.kube.get("v1", "ConfigMap", CONFIG_MAP, crew.scene.namespace)["data"] == {"a": "b"}
    crew.kube.delete("v1", "ConfigMap", CONFIG_MAP, crew.scene.namespace)
    rollout.until(phase="half", stands=True)
    crew.until_all_handled(500)
    crew.scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    crew.until_all_handled(0)


def test_a_job_that_began_before_holds_its_slots_until_it_ends(operator: Operator, crew: Workers) -> None:
    crew.make("new", "new", by="env")
    crew.cron_job("old", "old")
    crew.scene.healthy("old")
    old = plan.system("old", "CronJob", service=None)
    rollout = crew.rollout([plan.phase("none", 0), plan.phase("half", 50, plan.LONG)], "Restart", old=old, suspend=True)
    eventually(lambda: crew.assignment.old_from == 0, what="the assignment to be there")
    crew.job("old-1", "old")
    eventually(lambda: crew.pods("old"), what="the Job to run")
    [pod] = crew.pods("old")
    crew.until_all_handled(0)
    rollout.edit(suspend=False)
    rollout.until(phase="half", says="old-1")
    crew.kube.wait_for("batch/v1", "CronJob", "old", crew.scene.namespace, _is_stamped, what="to be stamped")
    crew.job("old-2", "old")
    eventually(lambda: len(crew.pods("old")) == 2, what="the next Job to run")
    assert (crew.assignment.new_below, crew.assignment.old_from) == (0, 500)
    crew.finish(pod)
    rollout.until(phase="half", stands=True)
    crew.until_all_handled(500)


def test_somebody_elses_hands_on_the_assignment(operator: Operator, crew: Workers) -> None:
    _both(crew)
    rollout = crew.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    epoch = crew.assignment.epoch
    at = ("v1", "ConfigMap", CONFIG_MAP, crew.scene.namespace)
    crew.kube.patch(*at, {"data": {"SYNCROLLOUT_SHARDS": "nonsense"}})
    rollout.until("Holding", reason="AssignmentInvalid", stalled=True, says="delete the ConfigMap")
    crew.kube.delete(*at)
    rollout.until("Progressing", phase="half")
    stands = replace(crew.assignment, new_below=200)
    for value in (stands.dump(), replace(stands, epoch=stands.epoch + 9).dump()):
        assert crew.assignment.epoch > epoch
        epoch = crew.assignment.epoch
        crew.kube.patch(*at, {"metadata": {"labels": None}, "data": {"SYNCROLLOUT_SHARDS": value}})
        eventually(lambda: _stands(crew, 500), what="the assignment to be put back", timeout=30)
    crew.until_all_handled(500)
    rollout.delete()
    rollout.until_gone()
    crew.until_all_handled(0)


def test_what_a_deletion_leaves_is_there_for_workers_that_read_late_and_for_those_that_start_later(
    operator: Operator, crew: Workers
) -> None:
    _both(crew)
    rollout = crew.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    # The kubelet stands still from the last assignment on; and what belongs to the object is deleted even before it.
    with crew.scene.stage.recorder.at(crew.scene.namespace, _given_back_to_old, crew.process.pause) as come:
        rollout.delete(foreground=True)
        rollout.until_gone()
        eventually(come.is_set, what="all slots to be old's")
    crew.process.resume()
    crew.until_all_handled(0)
    left = crew.assignment
    assert (left.new_below, left.old_from, left.stop) == (0, 0, True)

    again = crew.rollout([plan.phase("all", 100)])
    again.until("Completed")
    assert crew.assignment.epoch > left.epoch, "it went on from what was left"
    again.delete()
    again.until_gone()
    for pod in crew.pods("new"):
        crew.kube.delete("v1", "Pod", pod, crew.scene.namespace)
    eventually(lambda: len(crew.pods("new")) == 2, what="other workers to run")
    crew.until_all_handled(1000)

    left = crew.assignment
    reverse = {"old": plan.system("new", service=None), "new": plan.system("old", service=None)}
    other = crew.rollout([plan.phase("half", 50)], **reverse)
    other.until("Preflight", reason="ConfigMapTaken", stalled=True, says="between Deployment/old (old)")
    assert crew.assignment == left


def _given_back_to_old(seen: Seen) -> bool:
    shards: Obj = (seen.obj.get("status") or {}).get("shards") or {}
    return seen.kind == plan.KIND and (shards.get("oldFrom"), shards.get("stop")) == (0, True)


def _stands(crew: Workers, mark: int) -> bool:
    try:
        now = crew.assignment
    except BadAssignment:
        return False
    return now.new_below == now.old_from == mark


def _is_stamped(cron_job: Obj) -> bool:
    metadata = cron_job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]
    return "syncrollout.io/epoch" in metadata["annotations"]


def _going_back(seen: Seen) -> bool:
    status: Obj = seen.obj.get("status") or {}
    return status.get("state") == "RollingBack" and _releasing(seen)

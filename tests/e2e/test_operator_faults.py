"""The operator is killed, stopped, frozen, or cut off from the API server in the middle of a rollout."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

import pytest

from e2e import plan
from e2e.operators import SHORT_LEASE, Operator, Operators
from e2e.recorder import Moment, Seen
from e2e.scene import Scene, Stage, weight_of
from testbed import AuditEvent, Obj
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
ALONE = "--no-leader-election"
"""For restarts: the next process need not wait for the Lease of the one that was killed."""
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def _status(seen: Seen) -> Obj:
    return (seen.obj.get("status") or {}) if seen.kind == plan.KIND else {}


def _phase(seen: Seen) -> Obj:
    return _status(seen).get("phase") or {}


def _route_at(weight: int) -> Moment:
    return lambda seen: seen.kind == "HTTPRoute" and weight_of(seen.obj) == weight


FORWARD: Mapping[str, Moment] = {
    "the finalizer is there": lambda seen: seen.kind == plan.KIND and bool(seen.obj["metadata"].get("finalizers")),
    "a phase is recorded": lambda seen: _phase(seen).get("name") == "small-traffic",
    "weights stand": _route_at(50),
    "old is to be retired": lambda seen: "retired" in _status(seen),
    "it is done": lambda seen: _status(seen).get("state") == "Completed",
}
BACK: Mapping[str, Moment] = {
    "old is asked for": lambda seen: (
        seen.kind == "Deployment" and seen.name == "old" and bool(seen.obj["spec"]["replicas"])
    ),
    "the rollback is recorded": lambda seen: _status(seen).get("state") == "RollingBack",
    "traffic is back": _route_at(0),
    "that is recorded": lambda seen: _status(seen).get("state") == "RolledBack",
}


def _killed_at(operators: Operators, scene: Scene, moments: Mapping[str, Moment], begin: Callable[[], object]) -> None:
    """One operator after the other is killed, each as soon as a watch tells of its moment; `begin` is done under the
    first. A moment that the one before it had time to bring about is over."""
    for name, moment in moments.items():
        own = operators.adopt(operators.make("killed", ALONE))
        with scene.stage.recorder.at(scene.namespace, moment, own.process.kill) as come:
            if come.is_set():
                continue
            own.process.launch()
            begin()
            eventually(come.is_set, timeout=30, interval=0.01, what=f"the moment when {name}")
        begin = bool
        assert own.process.wait(5) == -signal.SIGKILL


def test_killed_at_every_turn_it_completes_with_each_step_done_once(operators: Operators, scene: Scene) -> None:
    _killed_at(operators, scene, FORWARD, lambda: scene.rollout(plan.five_phases()))
    [rollout] = scene.rollouts
    operators.own("last", ALONE)
    status = rollout.until("Completed")
    assert status["run"] == 1
    assert scene.weights() == [0, 10, 50, 100]
    assert rollout.reasons == ["PhaseStarted"] * 5 + ["Completed"]
    scene.until_ready("old", 0)


def test_killed_at_every_turn_of_a_rollback_it_ends_at_old(operators: Operators, scene: Scene) -> None:
    own = operators.own("first", ALONE)
    rollout = scene.rollout([plan.phase("all", 100), plan.phase("retire", 100, plan.LONG, retireOld=True)])
    rollout.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
    scene.until_ready("old", 0)
    own.process.kill()
    _killed_at(operators, scene, BACK, lambda: scene.set("errors", 50, "new"))
    operators.own("last", ALONE)
    rollout.until("RolledBack")
    assert scene.weights() == [0, 100, 0]
    assert rollout.reasons.count("RolledBack") == rollout.reasons.count("CriterionBreached") == 1
    scene.until_ready("old", 2)


def test_a_rollback_that_was_recorded_is_carried_through_though_new_is_well_again(
    operators: Operators, scene: Scene
) -> None:
    first = operators.own("first", ALONE)
    rollout = scene.rollout([plan.phase("all", 100, plan.LONG)])
    rollout.until(phase="all", stands=True)
    scene.stage.kwok.set_pods(scene.namespace, "app=old", "crash")
    scene.until_ready("old", 0)
    scene.set("errors", 50, "new")
    rollout.until("RollingBack", reason="OldNotReady")
    first.process.kill()
    scene.set_and_scraped("errors", 0.1, "new")
    operators.own("second", ALONE)
    scene.stage.kwok.set_pods(scene.namespace, "app=old", None)
    rollout.until("RolledBack")
    assert scene.weights() == [0, 100, 0]


def test_sigterm_mid_way_ends_with_0_and_nothing_half_done(operators: Operators, scene: Scene) -> None:
    own = operators.own("stopped", ALONE)
    asked: list[float] = []

    def terminate() -> None:
        asked.append(time.monotonic())
        os.kill(own.process.pid, signal.SIGTERM)

    with scene.stage.recorder.at(scene.namespace, FORWARD["a phase is recorded"], terminate) as come:
        rollout = scene.rollout([plan.phase("small-traffic", 10), plan.phase("all", 100)])
        eventually(come.is_set, timeout=30, interval=0.01, what="a phase to be recorded")
    assert own.process.wait(10) == 0
    assert time.monotonic() - asked[0] < 5
    assert own.log()[-1]["message"] == "stopped"
    # the pass that it was in has ended: the weights of the phase stand, and that is recorded
    assert scene.weight() == 10
    assert rollout.status["phase"]["since"] is not None
    operators.own("next", ALONE)
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 100]


def test_a_clean_stop_hands_over_long_before_the_lease_runs_out(operators: Operators, scene: Scene) -> None:
    first = operators.own("first")
    second = operators.own("second", leading=False)
    assert not second.leading
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    assert first.stop() == 0
    eventually(lambda: second.leading, timeout=10, what="the second to lead before the Lease's 15 s are over")
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]


def test_frozen_past_its_lease_it_writes_nothing_when_it_thaws(operators: Operators, scene: Scene) -> None:
    first = operators.own("first", *SHORT_LEASE)
    second = operators.own("second", *SHORT_LEASE, leading=False)
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    first.process.pause()
    scene.set("errors", 50, "new")
    rollout.until("RolledBack")
    assert second.leading
    scene.set_and_scraped("errors", 0.1, "new")
    rollout.edit(revision="2")
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["run"] == 2)
    audit = scene.stage.cluster.audit
    mark = audit.mark()
    first.process.resume()

    def of_first() -> list[AuditEvent]:
        return [event for event in audit.since(mark) if event.credential == first.credential]

    # it has looked at the Lease several times, and had time enough for passes
    eventually(
        lambda: sum(event.resource == "leases" for event in of_first()) >= 4,
        timeout=30,
        interval=0.3,
        what="the first to look at the Lease again",
    )
    assert [event for event in of_first() if event.verb in WRITES] == []
    assert not first.leading
    assert (scene.weight(), rollout.status["run"], rollout.status["state"]) == (50, 2, "Progressing")
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0, 50, 0]


@pytest.fixture
def answering(stage: Stage) -> Stage:
    """The stage, on a control plane that can be hung and that answers again afterwards."""
    stage.cluster.resume()
    return stage


def test_an_api_server_that_hangs_during_a_breach_delays_the_way_back_and_nothing_else(
    operators: Operators, scene: Scene, answering: Stage
) -> None:
    """Writes get no answer, so what became of them is read again. Old is a Deployment here, a CronJob there."""
    cluster = answering.cluster
    scene.healthy("nightly")
    scene.kube.create(plan.cron_job("nightly", scene.namespace))
    scene.kube.create(plan.route("rpc", scene.namespace, kind="GRPCRoute"))
    scene.kube.create(plan.route("second", scene.namespace))
    own = operators.own("cut-off", ALONE, "--request-timeout=1s", "--late-effect=5s")
    deployments = scene.rollout(
        [plan.phase("half", 50, plan.LONG)],
        "deployments",
        traffic={"routes": [plan.route_ref("web"), plan.route_ref("rpc", "GRPCRoute")]},
    )
    nightly = scene.rollout(
        [plan.phase("retire", 100, plan.LONG, retireOld=True)],
        "nightly",
        old=plan.system("nightly", "CronJob", service="old"),
        traffic={"routes": [plan.route_ref("second")]},
    )
    deployments.until(phase="half", stands=True)
    nightly.until(phase="retire", also=lambda obj: obj["status"].get("retired"))
    scene.kube.wait_for("batch/v1", "CronJob", "nightly", scene.namespace, lambda obj: obj["spec"]["suspend"])
    mark = cluster.audit.mark()
    cluster.pause()
    try:
        scene.set("errors", 50, "new")
        for resource in ("httproutes", "grpcroutes", "cronjobs"):
            series = f'syncrollout_api_requests_total{{code="0",resource="{resource}",verb="patch"}}'
            eventually(lambda: own.metrics().get(series), timeout=30, what=f"a patch of {resource} without an answer")  # noqa: B023
        assert own.page("/livez")[0] == 200
    finally:
        cluster.resume()
    deployments.until("RolledBack")
    nightly.until("RolledBack")
    assert scene.weight("web") == scene.weight("second") == scene.weight("rpc", "GRPCRoute") == 0
    read = {event.resource for event in cluster.audit.since(mark) if event.verb == "get" and event.namespace}
    assert {"httproutes", "grpcroutes", "cronjobs"} <= read


def test_cut_off_for_longer_than_its_lease_it_stops_leading_and_leads_again(
    operators: Operators, scene: Scene, answering: Stage
) -> None:
    own = operators.own("cut-off", *SHORT_LEASE)
    rollout = scene.rollout([plan.phase("half", 50, "4s"), plan.phase("all", 100)])
    rollout.until(phase="half", stands=True)
    answering.cluster.pause()
    try:
        own.says("is not held any more", "was not renewed within 1.5 s")
        eventually(lambda: not own.leading, what="it to say that it does not lead")
    finally:
        answering.cluster.resume()
    rollout.until("Completed")
    assert own.leading
    assert scene.weights() == [0, 50, 100]
    assert rollout.reasons == ["PhaseStarted", "PhaseStarted", "Completed"]


def test_an_api_server_that_crashes_and_comes_back_is_survived(operator: Operator, scene: Scene, stage: Stage) -> None:
    rollout = scene.rollout([plan.phase("small", 10, "2s"), plan.phase("half", 50), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    pid, began = operator.process.pid, time.time()
    stage.cluster.kill_apiserver()
    stage.cluster.start_apiserver()
    rollout.until("Completed", timeout=60)
    stage.deprived.append((began, time.time()))  # it refuses everybody until it has loaded its roles
    assert operator.process.pid == pid
    assert operator.process.running
    assert scene.weights() == [0, 10, 50, 100]
    assert rollout.reasons == ["PhaseStarted"] * 3 + ["Completed"]
    # its watches are back: what another rollout does is seen at once
    scene.kube.delete(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    scene.kube.create(plan.route("web", scene.namespace))
    other = scene.rollout([plan.phase("half", 50, plan.LONG)], "other", revision="9")
    other.until(phase="half", stands=True)
    other.edit(emergencyStop=True)
    other.until("RolledBack")


def test_somebody_who_keeps_touching_the_object_does_not_stop_it(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout(plan.five_phases())

    def touch() -> bool:
        body = {"metadata": {"labels": {"touched": str(time.monotonic_ns())}}}
        scene.kube.patch(plan.API_VERSION, plan.KIND, rollout.name, scene.namespace, body)
        state: str = rollout.status.get("state", "")
        return state == "Completed"

    eventually(touch, timeout=30, interval=0, what="it to be completed, touched all the while")
    assert scene.weights() == [0, 10, 50, 100]
    assert rollout.reasons == ["PhaseStarted"] * 5 + ["Completed"]

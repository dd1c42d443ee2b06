"""A migration that goes well, as its user sees it."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime
from itertools import pairwise

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene, condition
from testbed import Obj
from testbed.cluster import kubectl_program
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.mark.usefixtures("account")
def test_five_phases_from_apply_to_completed(operator: Operator, scene: Scene) -> None:
    cluster = scene.stage.cluster
    before = scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    rollout = scene.rollout(plan.five_phases("2s"))
    waiting = subprocess.Popen(
        [
            *(kubectl_program(), "--kubeconfig", str(cluster.kubeconfig), "-n", scene.namespace),
            *("wait", "--for=condition=Ready", "syncrollout/move", "--timeout=60s"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    rollout.until(phase="small-traffic", stands=True, also=lambda obj: obj["status"]["health"] == "Healthy")
    header, row = cluster.kubectl("-n", scene.namespace, "get", "syncrollouts").splitlines()
    assert header.split() == ["NAME", "PHASE", "WEIGHT", "STATUS", "HEALTH", "NEXT", "AGE"]
    shown = re.fullmatch(
        rf"move +(\d/5) ([a-z-]+) +(\d+) +Progressing +(Healthy|Unknown) +([a-z-]+) ({TIMESTAMP}) +\d+s", row
    )
    assert shown is not None, row
    # kubectl takes a moment: what it shows may be the phase after
    assert shown.groups()[:3] in {("2/5", "small-traffic", "10"), ("3/5", "medium-traffic", "50")}, row

    status = rollout.until("Completed")
    assert waiting.wait(10) == 0
    assert waiting.stdout is not None
    assert "condition met" in waiting.stdout.read()
    waiting.stdout.close()

    assert status["phase"]["label"] == "5/5 full-migration"
    assert status["weight"] == 100
    assert scene.weights() == [0, 10, 50, 100]
    scene.until_ready("old", 0)
    scene.until_ready("new", 2)
    obj = rollout.obj
    assert status["observedGeneration"] == obj["metadata"]["generation"] == 1
    assert "annotations" not in obj["metadata"]
    eventually(lambda: "finalizers" not in rollout.obj["metadata"], what="the finalizer to be gone")
    assert [condition(status, kind)["status"] for kind in ("Ready", "Reconciling", "Stalled")] == [
        "True",
        "False",
        "False",
    ]
    assert rollout.reasons == ["PhaseStarted"] * 5 + ["Completed"]
    _phases_lasted(scene, 2.0)
    _only_weights_changed(before, scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace))


def _phases_lasted(scene: Scene, seconds: float) -> None:
    """Each phase was there, in order, for its duration at least, and its finalizer stood meanwhile."""
    began: dict[str, float] = {}
    finalizers: dict[str, bool] = {}
    for seen in scene.stage.recorder.story(scene.namespace, plan.KIND):
        status = seen.obj.get("status") or {}
        if status.get("inFlight"):
            assert seen.obj["metadata"]["finalizers"] == [plan.FINALIZER]
            finalizers[status["phase"]["name"]] = True
        if (status.get("phase") or {}).get("since"):
            began.setdefault(status["phase"]["name"], _seconds(status["phase"]["since"]))
        if status.get("state") == "Completed":
            began.setdefault("end", _seconds(status["finished"]))
    assert list(began) == [*(phase["name"] for phase in plan.five_phases()), "end"]
    times = list(began.values())
    assert all(later - earlier >= seconds for earlier, later in pairwise(times)), began


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _only_weights_changed(before: Obj, after: Obj) -> None:
    for obj in (before, after):
        for backend in obj["spec"]["rules"][0]["backendRefs"]:
            del backend["weight"]
    assert after["spec"] == before["spec"]
    same = ("name", "namespace", "labels", "uid", "creationTimestamp", "annotations", "ownerReferences", "finalizers")
    assert [after["metadata"].get(name) for name in same] == [before["metadata"].get(name) for name in same]
    written = [entry for entry in after["metadata"]["managedFields"] if entry["manager"] == "syncrollout"]
    assert [entry["fieldsV1"] for entry in written] == [{"f:spec": {"f:rules": {}}}]


def test_describe_tells_the_story_as_events(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10), plan.phase("all", 100)])
    rollout.until("Completed")
    kubectl = scene.stage.cluster.kubectl
    wide = kubectl("-n", scene.namespace, "get", "sro", "move", "-o", "wide").splitlines()
    assert wide[0].split()[-1] == "MESSAGE"
    assert re.search(r"Completed after \d[\w.]*: new has 100 %$", wide[1].rstrip()), wide[1]
    # the last Event is posted after the status
    told = [("PhaseStarted", "Phase 1/2 small started: 10 % to new"), ("PhaseStarted", "Phase 2/2 all started: 100 %")]

    def described() -> str:
        text = kubectl("-n", scene.namespace, "describe", "syncrollout", "move")
        return text if re.search(r"Normal +Completed .* syncrollout +Completed after", text) else ""

    text = eventually(described, timeout=10, what="describe to show the last event")
    for reason, message in told:
        assert re.search(rf"Normal +{reason} .* syncrollout +{re.escape(message)}", text), text


def test_what_others_change_in_the_route_meanwhile_is_kept(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("small", 10, plan.LONG), plan.phase("all", 100)])
    rollout.until(phase="small", stands=True)
    edit = [
        {"op": "replace", "path": "/spec/rules/0/timeouts/request", "value": "9s"},
        {"op": "add", "path": "/spec/hostnames", "value": ["shop.example.com"]},
        {"op": "add", "path": "/spec/rules/0", "value": {"backendRefs": [{"name": "third", "port": 80}]}},
        {"op": "add", "path": "/metadata/annotations", "value": {"mine": "yes"}},
    ]
    mine = scene.kube.patch(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace, edit, type="json")
    rollout.edit(phases=[plan.phase("small", 10, "0s"), plan.phase("all", 100)])
    rollout.until("Completed")
    now = scene.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", scene.namespace)
    weights = [backend["weight"] for backend in now["spec"]["rules"][1]["backendRefs"]]
    assert weights == [0, 100]
    for backend, before in zip(now["spec"]["rules"][1]["backendRefs"], (90, 10), strict=True):
        backend["weight"] = before
    assert now["spec"] == mine["spec"]
    assert now["metadata"]["annotations"] == {"mine": "yes"}


def test_a_run_costs_few_requests_and_waiting_costs_none(operator: Operator, scene: Scene) -> None:
    audit = scene.stage.cluster.audit
    mark = audit.mark()
    rollout = scene.rollout([*plan.five_phases()[:4], plan.phase("last", 100, plan.LONG)])
    rollout.until(phase="last", stands=True)
    eventually(lambda: len(rollout.events()) == 5, what="the Event of the last phase")

    def asked(since: int) -> list[str]:
        """What the operator asked for about this namespace; its Lease and its watches are not of any rollout."""
        events = [event for event in audit.since(since) if event.credential == operator.credential]
        return [f"{event.verb} {event.resource}" for event in events if event.namespace == scene.namespace]

    def passes() -> float:
        return operator.metrics()["syncrollout_pass_seconds_count"]

    waiting, before = audit.mark(), passes()
    eventually(lambda: passes() >= before + 4, what="some passes in which nothing happens")
    assert asked(waiting) == []
    rollout.edit(phases=[*plan.five_phases()[:4], plan.phase("last", 100, "0s", retireOld=True)])
    rollout.until("Completed")
    scene.until_ready("old", 0)
    eventually(lambda: len(rollout.events()) == 6, what="the last Event")
    assert len(asked(mark)) <= 25, asked(mark)


def test_ready_is_taken_back_when_another_revision_is_asked_for(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, "0s")])
    rollout.until("Completed")
    # an edit that asks for no run is observed, and moves nothing
    rollout.edit(phases=[plan.phase("half", 50, "0s", description="what it is for")])
    status = rollout.until("Completed", also=lambda obj: obj["status"]["observedGeneration"] == 2)
    assert condition(status, "Ready")["observedGeneration"] == 2
    assert status["run"] == 1
    rollout.edit(revision="2", phases=[plan.phase("half", 50, plan.LONG)])
    status = rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["run"] == 2)
    assert [condition(status, kind)["status"] for kind in ("Ready", "Reconciling")] == ["False", "True"]
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")

"""What people report by the plugin, several at one moment, and what the rollout makes of it: real processes, a real API
server, a real operator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e import plan
from e2e.operators import Operator, Operators
from e2e.scene import Rollout, Scene
from e2e.test_operator_faults import ALONE
from e2e.test_plugin import VERBS, person
from testbed import Obj

pytestmark = pytest.mark.cluster


def judged_by_reports(scene: Scene, *triggers: Obj, success: Obj | None = None, **spec: object) -> Rollout:
    """At half of the traffic, with these triggers and no Prometheus at all."""
    asked = [success] if success is not None else []
    phases = [plan.phase("half", 50, "1s" if asked else plan.LONG, success=asked, rollbackOn=[])]
    rollback = {"triggers": list(triggers), "procedure": {"evidence": {}}}
    return scene.rollout(phases, prometheus=None, metrics=None, rollback=rollback, **spec)


def annotate(scene: Scene, name: str, value: str) -> None:
    """By hand."""
    body = {"metadata": {"annotations": {f"syncrollout.io/{name}": value}}}
    scene.kube.patch(plan.API_VERSION, plan.KIND, "move", scene.namespace, body)


def test_several_people_report_at_one_moment_and_it_goes_back_with_all_of_them(
    operator: Operator, scene: Scene
) -> None:
    rollout = judged_by_reports(scene, {"severity": "Critical", "reports": "High", "atLeast": 4})
    rollout.until(phase="half", stands=True)
    desks = {f"desk-{number}": person(scene, f"desk-{number}", *VERBS) for number in range(4)}

    def report(name: str) -> tuple[int, str, str]:
        said = f"listings are gone, says {name}"
        return desks[name]("report", "move", "--severity", "high", "-m", said)

    with ThreadPoolExecutor(4) as at_once:
        ended = list(at_once.map(report, desks))
    assert [(code, problem) for code, _, problem in ended] == [(0, "")] * 4
    assert all("Taken in. Open in this phase: " in said for _, said, _ in ended)
    status = rollout.until("RolledBack")
    assert status["reports"]["number"] == 4
    assert status["reports"]["counted"]["high"] == 4
    account = f"system:serviceaccount:{scene.namespace}:"
    assert {each["by"] for each in status["reports"]["latest"]} == {f"{account}{name}" for name in desks}
    assert "problems of severity High or graver reported in this phase: 4 (the last by " in status["message"]
    assert scene.weights() == [0, 50, 0]
    assert [each["reason"] for each in rollout.events()].count("ReportReceived") == 4

    code, said, _ = desks["desk-0"]("report-incident", "move")
    assert code == 0
    assert "## What people reported\n\n4 High. The last of them:\n" in said
    assert f"High by {account}desk-2, in phase half: listings are gone, says desk-2" in said
    code, said, _ = desks["desk-0"]("report", "move", "--severity", "critical", "-m", "still gone")
    assert code == 2
    assert said.splitlines()[-1] == "Nothing was done: no run is under way, so the report would count nowhere"
    annotate(scene, "report-late", "critical: still gone")
    status = rollout.until(also=lambda obj: obj["status"]["history"][-1]["reason"] == "RequestIgnored")
    assert (
        "report-late was not counted, for no run is under way: Critical: still gone"
        in (status["history"][-1]["message"])
    )
    assert status["reports"]["number"] == 4


def test_a_report_holds_the_phase_over_a_restart_until_it_is_answered(operators: Operators, scene: Scene) -> None:
    first = operators.own("doomed", ALONE)
    rollout = judged_by_reports(scene, success={"reports": "Low"}, suspend=True)
    rollout.until("Paused")
    rollout.edit(suspend=False, phases=[plan.phase("half", 50, "5s", success=[{"reports": "Low"}], rollbackOn=[])])
    rollout.until(phase="half", stands=True)
    annotate(scene, "report-4711", "low by lee: a label is cut off")
    annotate(scene, "report-4712", "grave: everything is gone")
    rollout.until("Holding", reason="CriteriaNotMet", says="reported in this phase: 1 (the last by lee: a label is")
    first.process.kill()
    operators.own("next", ALONE)
    annotate(scene, "report-4713", "medium: it is slow")
    status = rollout.until("Holding", also=lambda obj: obj["status"]["reports"]["number"] == 2)
    assert status["reports"]["open"] == {"critical": 0, "high": 0, "medium": 1, "low": 1}
    assert "report-4712 was not counted: write <severity> by <who>: <what users see>" in str(status["history"])
    assert rollout.reasons.count("RequestIgnored") == 1
    code, said, problem = person(scene, "on-call", *VERBS)("answer", "move", "-m", "both known, ticket 12")
    assert (code, problem) == (0, "")
    assert "Open in this phase: 1 Medium, 1 Low\n  1: Low by lee: a label is cut off\n  2: Medium: it is slow" in said
    caller = f"system:serviceaccount:{scene.namespace}:on-call"
    assert f"ReportsAnswered: Reports up to number 2 are answered by {caller}: both known, ticket 12" in said
    rollout.until("Completed")
    assert rollout.reasons.count("ReportReceived") == 2

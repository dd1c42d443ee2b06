"""Trouble with new's own pods as a trigger: counted, held against a limit, and Unknown where they cannot be seen."""

from __future__ import annotations

import pytest

from decide.plans import Document, document, parse, phase, two_phases
from decide.world import World
from syncrollout.api.words import Reason, State, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.facts import Reading, ReadingKey

RESTARTS = ReadingKey("pods:Restarts")


def counted(count: int) -> Reading:
    return Reading(float(count), message=f"restarts of containers in this phase: {count} (sync-v2-a)")


def plan(severity: str = "Critical", **trigger: object) -> Document:
    more = {"pods": "Restarts", "above": 2} | trigger
    return two_phases(rollback={"triggers": [{"severity": severity, **more}]})


def world(severity: str = "Critical", **trigger: object) -> World:
    w = World(plan(severity, **trigger))
    w.values[RESTARTS] = counted(0)
    w.run_to_phase("small")
    return w


def test_more_than_the_limit_goes_back_at_once_and_says_which_pods() -> None:
    w = world()
    w.values[RESTARTS] = counted(2)
    w.settle()
    assert w.share == 10
    w.values[RESTARTS] = counted(3)
    w.settle()
    assert w.share == 0
    assert w.status.rollback is not None
    assert w.status.rollback.reason is Reason.TRIGGER_BREACHED
    assert w.status.rollback.message == (
        "restarts of containers in this phase: 3 (sync-v2-a), which is above 2 restarts (rollback trigger)"
    )


def test_without_a_limit_one_is_too_many() -> None:
    w = World(two_phases(rollback={"triggers": [{"severity": "Critical", "pods": "CrashLoopBackOff"}]}))
    w.values[ReadingKey("pods:CrashLoopBackOff")] = Reading(0.0, message="pods in CrashLoopBackOff: 0")
    w.run_to_phase("small")
    w.values[ReadingKey("pods:CrashLoopBackOff")] = Reading(1.0, message="pods in CrashLoopBackOff: 1 (a)")
    w.settle()
    assert w.at(State.ROLLED_BACK)


def test_severity_high_opens_an_incident_that_a_pod_which_recovers_ends() -> None:
    w = world("High")
    w.values[RESTARTS] = counted(5)
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE
    assert w.share == 10
    w.values[RESTARTS] = counted(1)
    w.run(5 * 60)
    assert Reason.INCIDENT_CLEARED in w.reasons


@pytest.mark.parametrize("unknown", [Unknown.FORBIDDEN, Unknown.UNSEEN])
def test_pods_that_cannot_be_seen_are_unknown_and_hold_the_phase(unknown: Unknown) -> None:
    w = world()
    w.values[RESTARTS] = Reading(None, unknown, "may not list pods")
    w.run(120)
    assert w.at(State.HOLDING)
    assert w.share == 10
    trigger = next(each for each in w.status.criteria if each.id.startswith("trigger/"))
    assert (trigger.verdict, trigger.unknown) == (Verdict.UNKNOWN, unknown)
    assert "may not list pods" in w.status.message


def test_nothing_starts_while_pods_cannot_be_seen() -> None:
    w = World(plan())
    w.values[RESTARTS] = Reading(None, Unknown.FORBIDDEN, "may not list pods")
    w.run(60)
    assert w.status.reason is Reason.FORBIDDEN
    assert w.condition("Stalled") == "True"
    assert "pods:Restarts: may not list pods" in w.status.message
    w.values[RESTARTS] = Reading(None, Unknown.UNSEEN, "not listed yet")
    w.run(60)
    assert w.condition("Stalled") == "False"
    assert w.share == 0
    w.values[RESTARTS] = counted(0)
    w.run_until(State.COMPLETED)


def test_it_needs_no_prometheus() -> None:
    phases = [phase("half", 50, success=[], rollbackOn=[]), phase("all", 100, success=[], rollbackOn=[])]
    spec = document(phases, rollback={"triggers": [{"severity": "Critical", "pods": "NotReady", "for": "30s"}]})
    del spec["prometheus"], spec["metrics"]
    w = World(spec)
    key = ReadingKey("pods:NotReady")
    w.values[key] = Reading(0.0, message="pods that are not Ready: 0")
    w.run_to_phase("half")
    w.values[key] = Reading(1.0, message="pods that are not Ready: 1 (a)")
    w.run(29)
    assert w.share == 50
    w.run(1)
    assert w.share == 0


def test_what_pods_had_before_is_kept_for_each_phase_until_the_next() -> None:
    w = World(plan("Low"))
    w.values[RESTARTS] = counted(0)
    w.restarts = {"a": 3, "b": 1}
    w.run_to_phase("small")
    assert w.recorded.phase is not None
    assert {each.uid: each.count for each in w.recorded.phase.restarts or ()} == {"a": 3, "b": 1}
    w.restarts = {"a": 9, "b": 1}
    w.run(10)
    w.restart()
    w.run(10)
    assert w.recorded.phase.restarts is not None
    assert w.recorded.phase.restarts[0].count == 3
    w.run_to_phase("full")
    assert w.recorded.phase.restarts is not None
    assert {each.uid: each.count for each in w.recorded.phase.restarts} == {"a": 9, "b": 1}


def test_what_is_kept_is_bounded_to_the_pods_with_the_most() -> None:
    w = World(plan("Low"))
    w.values[RESTARTS] = counted(0)
    w.restarts = {f"pod-{number}": number + 1 for number in range(100)}
    w.run_to_phase("small")
    assert w.recorded.phase is not None
    assert [each.count for each in w.recorded.phase.restarts or ()] == list(range(100, 36, -1))


def test_it_is_named_by_what_it_counts() -> None:
    spec = parse(plan(atLeast=2, above=None))
    question = criteria.questions(spec, None)[0]
    assert question.id == "trigger/0/pods:Restarts"
    assert criteria.describe(question) == "at least 2 restarts"

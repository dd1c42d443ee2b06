"""After completion: triggers are judged on for a while, and everything may still go back."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import Document, by_replicas, by_shards, five_phases
from decide.world import World
from syncrollout.api.words import Reason, Request, Side, State
from syncrollout.decide.actions import Scale, SetWeight
from syncrollout.decide.facts import Problem, WorkloadFact

HOUR = 3600.0
SELDOM = 120.0
"""Seconds between looks where a day goes by."""


def plan(made: Document | None = None, **more: Any) -> Document:
    """The plan of five phases, watched for a day after its end."""
    made = made if made is not None else five_phases()
    triggers = [
        {"severity": "Critical", "metric": "errors", "above": 10, "settle": "5s"},
        {"severity": "High", "metric": "latency", "above": 3},
    ]
    made["rollback"] = {"keepWatching": "24h", "triggers": triggers} | more
    return made


def completed(made: Document | None = None) -> World:
    """All on new, and watched."""
    w = World(plan(made))
    w.run_until(State.COMPLETED)
    w.settle()
    return w


def test_it_is_completed_and_ready_and_says_until_when_it_is_watched() -> None:
    w = completed()
    assert w.condition("Ready") == "True"
    assert w.condition("Reconciling") == "False"
    assert not w.has_finalizer()
    assert not w.recorded.in_flight
    assert w.recorded.watch is not None
    assert w.recorded.watch.until == w.now + 24 * HOUR
    assert w.recorded.next == "watched until 2023-11-15T22:16:45Z"
    assert w.recorded.message == "Completed after 3m25s: new has 100 %; watched until 2023-11-15T22:16:45Z"


def test_it_ends_by_itself_and_then_nothing_is_looked_at() -> None:
    w = completed()
    writes = w.writes
    w.run(24 * HOUR, every=SELDOM)
    assert w.recorded.watch is None
    assert w.reasons[-2:] == [Reason.COMPLETED, Reason.WATCH_ENDED]
    assert w.writes - writes == 1, "that it has ended"
    w.read("errors", 50)
    decision = w.step(HOUR)

    assert w.at(State.COMPLETED)
    assert (decision.write, decision.actions, decision.next_due) == (False, (), None)


def test_a_critical_trigger_brings_old_back_and_then_the_traffic() -> None:
    w = completed()
    w.run(HOUR)
    w.read("errors", 11)
    decision = w.step(1)
    assert decision.urgent
    assert Scale(Side.OLD, 3) in decision.actions
    assert decision.status.in_flight
    w.settle()

    assert w.at(State.ROLLED_BACK)
    assert w.share == 0
    assert w.old == WorkloadFact(3, 3)
    assert w.condition("Ready") == "False"
    assert w.recorded.last_good_revision is None
    assert w.recorded.watch is None
    assert not w.has_finalizer()


@pytest.mark.parametrize("made", [by_replicas, by_shards])
def test_without_a_router_too(made: Any) -> None:
    w = completed(made())
    w.run(HOUR)
    w.read("errors", 11)
    w.run(60)

    assert w.at(State.ROLLED_BACK)
    assert w.share == 0


def test_a_rollback_by_hand_and_another_attempt() -> None:
    w = completed()
    w.run(HOUR)
    w.ask(Request.ROLLBACK, "orders are missing")
    w.settle()
    assert w.at(State.ROLLED_BACK)
    w.ask(Request.RETRY, "mended")
    w.run_until(State.COMPLETED)

    assert w.recorded.run == 2


def test_after_the_watch_a_rollback_by_hand_makes_no_sense_any_more() -> None:
    w = completed()
    w.run(25 * HOUR, every=SELDOM)
    w.ask(Request.ROLLBACK, "orders are missing")
    w.settle()

    assert w.at(State.COMPLETED)
    assert w.reasons[-1] is Reason.REQUEST_IGNORED


def test_high_opens_an_incident_that_holds_the_watch_open() -> None:
    w = completed()
    w.run(24 * HOUR - 60, every=SELDOM)
    w.read("latency", 4)
    w.run(600)
    assert w.at(State.COMPLETED)
    assert w.recorded.watch is not None
    assert w.recorded.reason is Reason.ROLLBACK_DUE
    assert w.recorded.next.startswith("rollback ")
    w.run(HOUR)

    assert w.at(State.ROLLED_BACK)
    assert w.recorded.rollback is not None
    assert w.recorded.rollback.reason is Reason.INCIDENT_OVERDUE


def test_an_override_lets_the_watch_go_on() -> None:
    w = completed()
    w.read("latency", 4)
    w.run(60)
    w.ask(Request.OVERRIDE, "known")
    w.run(25 * HOUR, every=SELDOM)

    assert w.at(State.COMPLETED)
    assert w.recorded.watch is None
    assert w.recorded.incident is None


def test_what_was_overridden_in_a_phase_stays_so_after_completion() -> None:
    w = World(plan())
    w.run_to_phase("full-traffic")
    w.read("latency", 4)
    w.run(10)
    w.ask(Request.OVERRIDE, "known")
    w.run_until(State.COMPLETED)
    w.run(2 * HOUR)

    assert w.at(State.COMPLETED)
    assert w.recorded.reason is Reason.COMPLETED
    assert w.reasons.count(Reason.ROLLBACK_DUE) == 1


def test_a_restart_goes_on_watching() -> None:
    w = completed()
    w.run(HOUR)
    w.restart()
    w.read("errors", 11)
    w.settle()

    assert w.at(State.ROLLED_BACK)


def test_the_next_revision_ends_the_watch_and_begins() -> None:
    w = completed()
    w.old = WorkloadFact(3, 3)
    w.drift(0.0)
    w.edit(revision="2")
    w.settle()

    assert w.at(State.PROGRESSING)
    assert w.recorded.watch is None
    assert w.recorded.run == 2


def test_an_incident_of_the_watch_ends_with_it_and_is_none_of_the_next_run() -> None:
    w = completed()
    w.read("latency", 4)
    w.run(60)
    assert w.recorded.reason is Reason.ROLLBACK_DUE
    w.edit(revision="2")
    w.step()
    assert w.at(State.PREFLIGHT), "old has been retired"
    assert w.recorded.watch is None
    assert w.recorded.incident is None
    assert not w.recorded.next.startswith("rollback")


def test_what_it_would_put_back_is_another_after_an_edit() -> None:
    w = completed()
    w.edit(new={"workload": {"kind": "Deployment", "name": "sync-v3"}, "service": "sync-v3"})
    w.read("errors", 11)
    w.run(60)

    assert w.at(State.COMPLETED)
    assert w.recorded.watch is None
    assert w.told[-1].message == "Watched no longer: spec.old, spec.new or spec.traffic was changed"


def test_another_rollout_that_begins_on_the_same_route_ends_the_watch() -> None:
    w = completed()
    w.others = [Problem(Reason.ROUTE_TAKEN, "HTTPRoute web is held by SyncRollout next")]
    w.read("errors", 11)
    w.run(60)

    assert w.at(State.COMPLETED)
    assert w.recorded.watch is None
    assert not [action for action in w.actions if isinstance(action, SetWeight) and action.weight == 0]


def test_deleted_while_it_is_watched_everything_stays_as_it_is() -> None:
    w = completed()
    w.deleting = True
    w.read("errors", 11)
    w.step(1)

    assert w.share == 100
    assert w.at(State.COMPLETED)


def test_thresholds_may_be_edited_and_the_watch_goes_on() -> None:
    w = completed()
    w.edit(rollback=w.document["rollback"] | {"triggers": [{"severity": "Critical", "metric": "errors", "above": 5}]})
    w.read("errors", 7)
    w.settle()

    assert w.at(State.ROLLED_BACK)

"""Breaches that do not send the rollout back at once: High by a deadline, Medium for a person to decide, Low told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from decide.plans import Document, document, metric, phase
from decide.world import START, World, begun
from syncrollout.api.words import Reason, Request, Severity, Side, State, Unknown
from syncrollout.decide.actions import Scale, SetWeight

HOUR = 3600.0


def graded(*, high: Document | None = None, medium: Document | None = None, **more: Any) -> Document:
    """Ten percent for a minute, then all; load above 90 is High, above 80 Medium, above 70 Low; errors Critical."""
    triggers = [
        {"severity": "Critical", "metric": "errors", "above": 10},
        {"severity": "High", "metric": "load", "above": 90},
        {"severity": "Medium", "metric": "load", "above": 80},
        {"severity": "Low", "metric": "load", "above": 70},
        {"severity": "High", "metric": "latency", "above": 3},
        {"severity": "Medium", "metric": "latency", "above": 2},
    ]
    rollback: Document = {"triggers": triggers}
    rollback |= {"high": high} if high is not None else {}
    rollback |= {"medium": medium} if medium is not None else {}
    phases = [phase("small", 10), phase("full", 100, retireOld=True)]
    metrics = [metric("errors"), metric("latency"), metric("load")]
    return document(phases, metrics=metrics, rollback=rollback, **more)


def world(**more: Any) -> World:
    """At ten percent, all well."""
    return begun(graded(**more))


# ---- High ----


def test_high_is_told_holds_the_phase_and_goes_back_at_the_deadline() -> None:
    w = world()
    w.read("load", 95)
    decision = w.step(10)

    assert decision.status.state is State.HOLDING
    assert decision.status.reason is Reason.ROLLBACK_DUE
    assert decision.actions == ()
    incident = decision.status.incident
    assert incident is not None
    assert (incident.severity, incident.since, incident.deadline) == (Severity.HIGH, w.now, w.now + HOUR)
    assert incident.criterion == "trigger/1/load"
    assert decision.status.next == "rollback 2023-11-14T23:13:30Z unless clear or overridden"
    assert "load reads 95 percent, which is above 90 percent (High trigger): everything goes back at" in (
        decision.status.message
    )
    w.run(HOUR - 1)
    assert w.at(State.HOLDING)
    assert w.share == 10
    assert w.status.phase is not None
    assert w.status.phase.name == "small", "its time was over long ago"

    decision = w.step(1)
    assert decision.urgent
    assert decision.actions == (SetWeight(0),)
    assert decision.status.reason is Reason.INCIDENT_OVERDUE
    w.settle()
    assert w.at(State.ROLLED_BACK)
    assert w.recorded.rollback is not None
    assert "not clear within 1h, and nobody has overridden it" in w.recorded.rollback.message
    assert w.recorded.incident is None
    told = [reason for reason in w.reasons[1:] if reason is not Reason.LOW_TRIGGER]
    assert told == [Reason.ROLLBACK_DUE, Reason.INCIDENT_OVERDUE, Reason.ROLLED_BACK]


def test_the_deadline_is_looked_at_when_it_comes_whatever_the_interval() -> None:
    w = world(high={"within": "125s"})
    w.read("load", 95)
    w.step(3)
    w.run(120)

    assert w.step(1).next_due == START + 3 + 125


def test_the_longest_deadline_that_can_be_asked_for_is_a_moment_that_can_be_written() -> None:
    w = world(high={"within": "9999d9999d9999d9999d9999d"})
    w.read("load", 95)
    w.step(10)

    assert w.recorded.next == "rollback 2160-10-01T22:13:30Z unless clear or overridden"


def test_high_that_is_clear_long_enough_is_over_and_the_phase_goes_on() -> None:
    w = world()
    w.read("load", 95)
    w.run(100)
    w.read("load", 50)
    w.run(299)
    assert w.at(State.HOLDING)
    assert "clear since" in w.recorded.message
    w.run(2)

    assert w.status.incident is None
    assert Reason.INCIDENT_CLEARED in w.reasons
    w.run_until(State.COMPLETED)


def test_a_breach_in_between_begins_the_time_of_clearing_anew() -> None:
    w = world()
    w.read("load", 95)
    w.run(100)
    w.read("load", 50)
    w.run(250)
    w.read("load", 95)
    w.run(10)
    w.read("load", 50)
    w.run(250)
    assert w.at(State.HOLDING)
    w.run(60)

    assert w.status.incident is None


def test_it_is_not_taken_for_clear_since_before_a_breach_that_a_restart_has_forgotten() -> None:
    w = world()
    w.read("load", 95)
    w.run(100)
    w.read("load", 50)
    w.run(100)
    assert w.recorded.incident is not None
    assert w.recorded.incident.clear_since is not None
    w.read("load", 95)
    w.step(10)
    w.restart()
    w.read("load", 50)
    w.run(290)

    assert w.at(State.HOLDING)


def _suspended(w: World) -> None:
    w.edit(suspend=True)


def _unknown(w: World) -> None:
    w.read("load", Unknown.NO_DATA)


def _asked_in_vain(w: World) -> None:
    w.read("load", Unknown.TIMEOUT)


def _started_again_with_a_clock_that_is_late(w: World) -> None:
    w.restart()
    w.now -= 900
    w.run(900)
    w.restart()


@pytest.mark.parametrize("meanwhile", [_suspended, _unknown, _asked_in_vain, _started_again_with_a_clock_that_is_late])
def test_whatever_happens_meanwhile_it_goes_back_at_the_deadline(meanwhile: Callable[[World], None]) -> None:
    w = world()
    w.read("load", 95)
    w.run(1200)
    meanwhile(w)
    w.run(HOUR - 1210)
    assert not w.at(State.ROLLING_BACK, State.ROLLED_BACK)
    w.run(20)

    assert w.at(State.ROLLED_BACK)
    assert w.recorded.rollback is not None
    assert w.recorded.rollback.reason is Reason.INCIDENT_OVERDUE


def test_another_trigger_that_cannot_be_judged_does_not_keep_a_breach_from_clearing() -> None:
    w = world()
    w.read("load", 95)
    w.run(60)
    w.read("load", 50)
    w.read("latency", Unknown.NO_DATA)
    w.run(310)

    assert w.status.incident is None


def test_no_weight_is_raised_while_it_is_open() -> None:
    """The next phase is recorded and its weights do not stand yet."""
    w = world()
    w.now += 60
    w.step(crash="act")
    assert w.recorded.phase is not None
    assert w.recorded.phase.name == "full"
    w.read("load", 95)
    w.run(600)

    assert w.share == 10
    assert w.recorded.reason is Reason.ROLLBACK_DUE
    assert "new stands at 10 % and is not raised to 100 % while this is open" in w.recorded.message


def test_old_is_not_stopped_while_it_is_open() -> None:
    w = world()
    w.run(59)
    w.step(1)
    assert w.share == 100
    w.read("load", 95)
    w.run(600)
    w.restart()
    w.run(600)

    assert not [action for action in w.actions if isinstance(action, Scale)]
    w.read("load", 50)
    w.run(600)
    assert Scale(Side.OLD, 0) in w.actions


def test_a_critical_breach_does_not_wait_for_the_deadline() -> None:
    w = world()
    w.read("load", 95)
    w.run(60)
    w.read("errors", 11)

    decision = w.step(1)
    assert decision.status.reason is Reason.TRIGGER_BREACHED
    assert decision.actions == (SetWeight(0),)


def test_after_a_restart_past_the_deadline_it_is_asked_before_it_goes_back() -> None:
    """The deadline passed while nobody looked: it had been clear for long enough."""
    w = world()
    w.read("load", 95)
    w.run(100)
    w.read("load", 50)
    w.run(100)
    w.restart()
    w.now += 2 * HOUR
    w.settle()

    assert not w.at(State.ROLLING_BACK, State.ROLLED_BACK)


# ---- overridden ----


def test_a_person_overrides_it_with_a_reason_and_the_rollout_goes_on_to_its_end() -> None:
    w = world()
    w.read("load", 95)
    w.run(60)
    w.ask(Request.OVERRIDE, "the load test of tonight")
    w.settle()

    assert w.recorded.incident is not None
    assert w.recorded.incident.overridden == "the load test of tonight"
    assert w.recorded.incident.deadline is None
    assert Reason.INCIDENT_OVERRIDDEN in w.reasons
    w.run_until(State.COMPLETED)
    assert w.share == 100
    assert Reason.INCIDENT_OVERDUE not in w.reasons


def test_an_override_counts_once_and_covers_this_incident_alone() -> None:
    w = world(high={"clearFor": "30s"})
    w.edit_phases(lambda phases: [phases[0] | {"duration": "10h"}, *phases[1:]])
    w.read("load", 95)
    w.ask(Request.OVERRIDE, "known")
    w.run(10)
    assert w.recorded.reason is Reason.ROLLBACK_DUE, "it stood before the incident opened"
    assert set(w.reasons[-3:]) == {Reason.REQUEST_IGNORED, Reason.LOW_TRIGGER, Reason.ROLLBACK_DUE}
    w.ask(Request.OVERRIDE, "known, really")
    w.run(60)
    assert w.at(State.PROGRESSING)
    w.read("load", 50)
    w.run(60)
    assert w.recorded.incident is None
    w.read("load", 95)
    w.run(10)

    assert w.recorded.reason is Reason.ROLLBACK_DUE
    w.run(HOUR)
    assert w.at(State.ROLLED_BACK)


@pytest.mark.parametrize(("name", "value"), [("load", 95), ("latency", 3.5)], ids=["a graver one", "another one"])
def test_what_an_override_did_not_speak_of_opens_an_incident_of_its_own(name: str, value: float) -> None:
    w = world()
    w.edit_phases(lambda phases: [phases[0] | {"duration": "10h"}, *phases[1:]])
    w.read("load", 85)
    w.run(10)
    w.ask(Request.DECIDE, "continue: known")
    w.run(100)
    assert w.at(State.PROGRESSING)
    w.read(name, value)
    w.run(10)

    assert w.at(State.HOLDING)
    assert w.recorded.incident is not None
    assert w.recorded.incident.severity is Severity.HIGH
    assert w.recorded.incident.since == w.now - 10
    assert w.recorded.incident.overridden is None


def overridden(**more: Any) -> World:
    """Load is High at ten percent, where the phase has long to go, and a person has passed over it."""
    w = world(**more)
    w.edit_phases(lambda phases: [phases[0] | {"duration": "20m"}, *phases[1:]])
    w.read("load", 95)
    w.run(10)
    w.ask(Request.OVERRIDE, "the load test of tonight")
    w.run(10)
    assert w.at(State.PROGRESSING)
    return w


@pytest.mark.parametrize(
    ("value", "severity", "patience"), [(2.5, Severity.MEDIUM, 24 * HOUR), (3.5, Severity.HIGH, HOUR)]
)
def test_the_next_incident_is_of_what_was_not_overridden_alone(
    value: float, severity: Severity, patience: float
) -> None:
    w = overridden()
    w.read("latency", value)
    w.step(10)

    incident = w.recorded.incident
    assert incident is not None
    assert (incident.severity, incident.deadline) == (severity, w.now + patience)
    assert all(each.endswith("/latency") for each in incident.criteria)
    assert "load" not in w.recorded.message
    w.restart()
    w.run(600)
    assert w.recorded.incident == incident


def test_once_the_next_incident_is_over_what_was_overridden_still_is() -> None:
    w = overridden()
    w.read("latency", 2.5)
    w.run(100)
    w.read("latency", 0.5)
    w.run(320)
    told = [reason for reason in w.reasons[1:] if reason is not Reason.LOW_TRIGGER]

    assert w.at(State.PROGRESSING)
    assert told[-3:] == [Reason.AWAITING_DECISION, Reason.INCIDENT_CLEARED, Reason.RESUMED]
    assert w.recorded.incident is not None
    assert w.recorded.incident.overridden == "the load test of tonight"
    w.run_until(State.COMPLETED)


def test_what_was_overridden_and_what_a_person_decides_after_it_are_passed_over_together() -> None:
    w = overridden(high={"clearFor": "30s"})
    w.read("latency", 2.5)
    w.run(10)
    w.ask(Request.DECIDE, "continue: that too")
    w.run(600)
    assert w.at(State.PROGRESSING)
    w.read("load", 50)
    w.run(100)
    assert w.recorded.incident is not None, "of latency nothing is clear"
    w.read("latency", 0.5)
    w.run(100)
    assert w.recorded.incident is None
    w.read("load", 95)
    w.run(10)

    assert w.recorded.reason is Reason.ROLLBACK_DUE, "all of it was clear"


def test_a_critical_breach_goes_back_whatever_was_overridden() -> None:
    w = world()
    w.read("load", 95)
    w.run(10)
    w.ask(Request.OVERRIDE, "known")
    w.run(10)
    w.read("errors", 11)
    w.run(1)

    assert w.at(State.ROLLED_BACK)


# ---- Medium ----


def test_medium_holds_until_a_person_says_that_it_goes_on() -> None:
    w = world()
    w.read("load", 85)
    w.run(10 * HOUR, every=60.0)
    assert w.at(State.HOLDING)
    assert w.recorded.reason is Reason.AWAITING_DECISION
    assert w.recorded.next == "a decision by 2023-11-15T22:13:20Z, else rollback"
    assert "annotate it with syncrollout.io/decide=continue or =rollback" in w.recorded.message
    w.ask(Request.DECIDE, "Continue, seen with the team")
    w.run_until(State.COMPLETED)

    assert Reason.INCIDENT_OVERRIDDEN in w.reasons


def test_a_person_decides_to_go_back() -> None:
    w = world()
    w.read("load", 85)
    w.run(100)
    w.ask(Request.DECIDE, "rollback it is")

    decision = w.step(1)
    assert decision.urgent
    assert decision.actions == (SetWeight(0),)
    assert decision.status.reason is Reason.ROLLBACK_REQUESTED
    assert "a person decided so (rollback it is) of: load reads 85 percent" in decision.status.message


@pytest.mark.parametrize("default", ["Rollback", "Continue"])
def test_nobody_decides_and_the_default_applies(default: str) -> None:
    w = world(medium={"decideWithin": "2h", "default": default})
    w.read("load", 85)
    w.run(2 * HOUR - 1)
    assert w.at(State.HOLDING)
    w.run(2)

    if default == "Rollback":
        assert w.at(State.ROLLED_BACK)
        assert w.recorded.rollback is not None
        assert "nobody decided within 2h" in w.recorded.rollback.message
    else:
        assert w.share == 100
        assert Reason.INCIDENT_OVERRIDDEN in w.reasons


def test_what_could_not_be_judged_for_too_long_counts_as_medium() -> None:
    w = world()
    w.read("errors", Unknown.TIMEOUT)
    w.run(HOUR - 10)
    assert w.recorded.reason is Reason.CRITERIA_UNKNOWN
    assert w.recorded.incident is None
    w.run(20)

    assert w.recorded.reason is Reason.AWAITING_DECISION
    assert "errors could not be judged for 1h" in w.recorded.message
    w.read("errors", 0.1)
    w.run(310)
    assert w.recorded.incident is None
    assert w.share == 100


def test_continue_does_not_make_a_success_criterion_pass() -> None:
    w = world()
    w.read("errors", Unknown.NO_DATA)
    w.run(HOUR + 10)
    w.ask(Request.DECIDE, "continue")
    w.run(HOUR)

    assert w.share == 10
    assert w.recorded.reason is Reason.CRITERIA_UNKNOWN


# ---- several at once ----


def test_a_graver_breach_brings_the_deadline_nearer() -> None:
    w = world()
    w.read("load", 85)
    w.run(100)
    w.read("latency", 4)
    w.run(10)

    incident = w.recorded.incident
    assert incident is not None
    assert incident.severity is Severity.HIGH
    assert incident.since == START
    assert incident.deadline == START + 100 + HOUR
    assert w.reasons[-2:] == [Reason.AWAITING_DECISION, Reason.ROLLBACK_DUE]


def test_a_graver_breach_never_puts_the_deadline_off() -> None:
    w = world(medium={"decideWithin": "10m"})
    w.read("load", 85)
    w.run(500)
    w.read("load", 95)
    w.run(100)

    assert w.at(State.ROLLED_BACK), "at the ten minutes of Medium"


def test_where_high_is_clear_again_and_medium_is_not_a_person_decides() -> None:
    w = world()
    w.read("load", 95)
    w.run(1000)
    w.read("load", 85)
    w.run(310)

    incident = w.recorded.incident
    assert incident is not None
    assert incident.severity is Severity.MEDIUM
    assert incident.deadline == START + 24 * HOUR, "from the beginning"
    assert w.recorded.reason is Reason.AWAITING_DECISION
    assert w.reasons[-2:] == [Reason.ROLLBACK_DUE, Reason.AWAITING_DECISION]


# ---- Low ----


def test_low_is_told_and_nothing_else() -> None:
    w = world()
    w.read("load", 75)
    w.run_until(State.COMPLETED)

    assert w.reasons.count(Reason.LOW_TRIGGER) == 1
    assert w.share == 100
    assert "load reads 75 percent, which is above 70 percent (Low trigger)" in [entry.message for entry in w.told]


def test_low_that_comes_and_goes_is_told_once_an_hour() -> None:
    w = world()
    w.edit(suspend=True)
    writes = w.writes
    for n in range(720):
        w.read("load", 75 if n % 2 else 50)
        w.run(10)

    assert 2 <= w.reasons.count(Reason.LOW_TRIGGER) <= 3
    assert w.writes - writes <= 130, "verdicts are brought up to date once a minute"


def test_a_low_trigger_that_cannot_be_judged_holds_nothing() -> None:
    plan = graded()
    plan["rollback"]["triggers"] = [{"severity": "Low", "metric": "load", "above": 70}]
    w = begun(plan)
    w.read("load", Unknown.NO_DATA)
    w.run_until(State.COMPLETED)


# ---- the start, and what is written ----


def test_a_run_does_not_begin_while_high_is_breached_and_does_while_low_is() -> None:
    w = World(graded())
    w.read("load", 95)
    w.run(60)
    assert w.recorded.reason is Reason.TRIGGER_ALREADY_BREACHED
    w.read("load", 75)
    w.run(10)

    assert w.at(State.PROGRESSING)


def test_a_trigger_that_comes_and_goes_is_not_written_each_time() -> None:
    w = world()
    w.read("load", 95)
    w.run(10)
    writes = w.writes
    for n in range(120):
        w.read("load", 50 if n % 2 else 95)
        w.run(10)

    assert w.writes - writes <= 45, "two a minute at most, for twenty minutes"


def test_the_next_run_begins_without_the_incident_of_the_last() -> None:
    w = world()
    w.read("load", 95)
    w.run(HOUR)
    w.read("load", 50)
    w.edit(revision="2")
    w.run(10)

    assert w.at(State.PROGRESSING)
    assert w.recorded.incident is None

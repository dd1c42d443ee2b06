"""What people report: counted once each, in the phase, until it is answered; bounded, and never lost."""

from __future__ import annotations

import pytest

from decide.plans import Document, document, phase, two_phases
from decide.world import World, begun
from syncrollout.api.status import MOST_REPORTS, MOST_TAKEN_IN, ReportCounts
from syncrollout.api.words import Reason, Request, Severity, Side, State, Verdict
from syncrollout.decide import reported


def plan(severity: str = "Critical", **trigger: object) -> Document:
    return two_phases(rollback={"triggers": [{"severity": severity, "reports": "High"} | trigger]})


def world(severity: str = "Critical", **trigger: object) -> World:
    return begun(plan(severity, **trigger), "small")


def number(w: World) -> int:
    return w.recorded.reports.number if w.recorded.reports is not None else 0


# ---- triggers ----


def test_a_serious_report_sends_everything_back_and_says_what_users_see() -> None:
    w = world()
    w.report("medium by lee: a button is grey")
    w.settle()
    assert w.share == 10
    w.report("high by kim@example.com: half of the listings are gone")
    w.settle()
    assert w.share == 0
    assert w.status.rollback is not None
    assert w.status.rollback.reason is Reason.TRIGGER_BREACHED
    assert w.status.rollback.message == (
        "problems of severity High or graver reported in this phase: 1 (the last by kim@example.com: half of the "
        "listings are gone), which is above 0 reports (rollback trigger)"
    )


def test_several_are_needed_where_the_trigger_says_so() -> None:
    w = world("High", atLeast=2)
    w.report("high: gone")
    w.run(10)
    assert w.status.incident is None
    w.report("critical: gone altogether")
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE


def test_two_in_one_moment_are_two_and_a_restart_counts_none_again() -> None:
    w = world("High", atLeast=3)
    w.report("high: a")
    w.report("high: b")
    w.settle()
    assert number(w) == 2
    for _ in range(3):
        w.restart()
        w.run(10)
    assert number(w) == 2
    assert w.status.incident is None


def test_one_that_could_not_be_recorded_is_counted_once() -> None:
    w = world("High", atLeast=2)
    w.report("high: a")
    w.step(crash="write")
    w.step(refuse_write=True)
    w.settle()
    assert number(w) == 1
    assert w.reasons.count(Reason.REPORT_RECEIVED) == 1


def test_it_waits_for_no_reading() -> None:
    w = world()
    w.report("critical: everything is down")
    w.values.clear()
    assert w.step().urgent
    assert w.share == 0


def test_what_was_reported_in_a_phase_does_not_count_in_the_next() -> None:
    w = world("High", atLeast=2)
    w.report("high: a")
    w.run_to_phase("full")
    w.report("high: b")
    w.run(30)
    assert w.status.incident is None
    assert w.recorded.reports is not None
    assert w.recorded.reports.open == ReportCounts(high=1)
    assert w.recorded.reports.counted == ReportCounts(high=2)
    assert [each.phase for each in w.recorded.reports.latest] == ["small", "full"]


def test_after_completion_reports_count_while_the_run_is_watched() -> None:
    w = World(plan() | {"rollback": {"keepWatching": "1h", "triggers": [{"severity": "Critical", "reports": "High"}]}})
    w.run_until(State.COMPLETED)
    w.report("high: the nightly export is empty")
    w.settle()
    assert w.at(State.ROLLED_BACK)


def test_it_needs_no_prometheus() -> None:
    phases = [phase("half", 50, success=[], rollbackOn=[]), phase("all", 100, success=[], rollbackOn=[])]
    spec = document(phases, rollback={"triggers": [{"severity": "Critical", "reports": "Low"}]})
    del spec["prometheus"], spec["metrics"]
    w = begun(spec, "half")
    w.report("low: it is slow")
    w.settle()
    assert w.at(State.ROLLED_BACK)
    failed = [each for each in w.recorded.criteria if each.verdict is Verdict.FAIL]
    assert [(each.id, each.limit) for each in failed] == [("trigger/0/reports:Low", "above 0 reports")]


# ---- success, and answers ----


def asking(**success: object) -> World:
    phases = [
        phase("small", 10, "10s", success=[{"reports": "Low"} | success], rollbackOn=[{"reports": "High"}]),
        phase("all", 100, success=[], rollbackOn=[]),
    ]
    return begun(document(phases), "small")


def test_a_phase_passes_while_nobody_reports_anything() -> None:
    asking().run_until(State.COMPLETED)


def test_a_report_holds_the_phase_until_somebody_answers_it() -> None:
    w = asking()
    w.report("low by lee: a label is cut off")
    w.run(300)
    assert w.at(State.HOLDING)
    assert w.status.reason is Reason.CRITERIA_NOT_MET
    assert "problems reported in this phase: 1 (the last by lee: a label is cut off)" in w.status.message
    w.ask(Request.ANSWER, "1: known since March")
    w.run_until(State.COMPLETED)
    assert Reason.REPORTS_ANSWERED in w.reasons
    assert w.recorded.reports is not None
    assert (w.recorded.reports.answered, w.recorded.reports.answer) == (1, "known since March")


def test_an_answer_does_not_cover_what_came_after_it_was_written() -> None:
    w = asking()
    w.report("low: a")
    w.settle()
    w.ask(Request.ANSWER, "1: known")
    w.report("low: b")
    w.run(300)
    assert w.at(State.HOLDING)
    assert w.recorded.reports is not None
    assert w.recorded.reports.open == ReportCounts(low=1)
    w.ask(Request.ANSWER, "2: known too")
    w.run_until(State.COMPLETED)


def test_rollback_on_of_a_phase_goes_by_reports() -> None:
    w = asking()
    w.report("high: a")
    w.settle()
    assert w.status.rollback is not None
    assert w.status.rollback.reason is Reason.CRITERION_BREACHED


def test_an_answer_ends_the_incident_that_the_reports_have_opened() -> None:
    w = world("High")
    w.report("high: a")
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE
    w.ask(Request.ANSWER, "1: a proxy of one office")
    w.run(5 * 60)
    assert Reason.INCIDENT_CLEARED in w.reasons
    w.report("high: b")
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("known", "write the number of the last report that it answers"),
        ("1:", "write the number of the last report that it answers"),
        ("-1: known", "write the number of the last report that it answers"),
        ("99999999999999999999: known", "write the number of the last report that it answers"),
        ("3: known", "there is no report of number 3: the last is 2"),
        ("0: known", "no report up to that number is open"),
    ],
)
def test_an_answer_that_makes_no_sense_is_told(value: str, why: str) -> None:
    w = world("Low")
    w.report("low: a")
    w.report("low: b")
    w.settle()
    w.ask(Request.ANSWER, value)
    w.settle()
    assert w.told[-1].reason is Reason.REQUEST_IGNORED
    assert why in w.told[-1].message
    assert w.recorded.reports is not None
    assert w.recorded.reports.open == ReportCounts(low=2)


def test_reports_that_are_not_kept_in_words_are_answered_together() -> None:
    w = world("Low")
    for count in range(MOST_REPORTS + 4):
        w.report("medium: it is slow", f"n{count}")
    w.settle()
    w.ask(Request.ANSWER, "3: known")
    w.settle()
    assert "reports up to 4 have to be answered together" in w.told[-1].message
    w.ask(Request.ANSWER, "5: known")
    w.settle()
    assert w.recorded.reports is not None
    assert w.recorded.reports.open == ReportCounts(medium=MOST_REPORTS - 1)


# ---- what is no report, and when ----


@pytest.mark.parametrize(
    "value", ["", "high", "grave: gone", "high:", "high by kim", '{"severity": "high"}', "h\u0131gh: x"]
)
def test_what_is_no_report_is_told_once_and_does_nothing(value: str) -> None:
    w = world()
    w.report(value, "x")
    w.run(20)
    w.restart()
    w.run(20)
    assert w.share == 10
    assert number(w) == 0
    assert w.reasons.count(Reason.REQUEST_IGNORED) == 1
    assert w.told[-1].message.startswith("syncrollout.io/report-x was not counted: ")


@pytest.mark.parametrize(
    ("value", "severity", "by", "message"),
    [
        ("high: gone", Severity.HIGH, "", "gone"),
        ("Critical by kim: gone: all of it", Severity.CRITICAL, "kim", "gone: all of it"),
        ("low by system:serviceaccount:a:b: slow", Severity.LOW, "system:serviceaccount:a:b", "slow"),
        ("medium : it is\n  slow\x07", Severity.MEDIUM, "", "it is slow"),
        ("high by Kim Lee: by: the way", Severity.HIGH, "Kim Lee", "by: the way"),
    ],
)
def test_how_a_report_is_written(value: str, severity: Severity, by: str, message: str) -> None:
    assert reported.parse(value) == reported.Problem(severity, by, message)


@pytest.mark.parametrize("by", ["", "kim", "a: b", "x" * 500, "kim\nlee", ": ", "by"])
@pytest.mark.parametrize("message", ["gone", "a: b", "by x: y", "z" * 5000, "two\nlines"])
def test_what_is_written_reads_as_it_was_meant(by: str, message: str) -> None:
    found = reported.parse(reported.written(Severity.HIGH, by, message))
    assert isinstance(found, reported.Problem)
    assert found.severity is Severity.HIGH
    assert found.message[:200] == " ".join(message.split())[:200]
    assert bool(found.by) == bool(by.strip(": "))
    assert len(found.by) <= 128
    assert len(found.message) <= 256


def test_outside_a_run_a_report_is_told_and_counts_nowhere() -> None:
    w = World(plan())
    w.report("critical: left over in the manifest")
    w.run_until(State.COMPLETED)
    assert w.reasons.count(Reason.REQUEST_IGNORED) == 1
    assert "for no run is under way: Critical: left over in the manifest" in w.told[0].message
    w.report("critical: too late")
    w.settle()
    assert w.at(State.COMPLETED)
    assert w.reasons.count(Reason.REQUEST_IGNORED) == 2
    assert number(w) == 0


def test_what_was_reported_in_a_run_that_went_back_does_not_keep_the_next_from_starting() -> None:
    w = world()
    w.report("high: gone")
    w.settle()
    assert w.at(State.ROLLED_BACK)
    w.ask(Request.RETRY, "again")
    w.run_until(State.COMPLETED)
    assert w.recorded.reports is not None
    assert w.recorded.reports.counted == ReportCounts()


def test_a_report_on_the_way_back_is_kept_for_the_incident_report() -> None:
    w = world()
    w.ready(Side.OLD, 0)
    w.report("high: gone")
    w.settle()
    assert w.at(State.ROLLING_BACK)
    w.report("high: and the images too")
    w.settle()
    assert number(w) == 2
    assert w.recorded.reports is not None
    assert w.recorded.reports.latest[-1].message == "and the images too"


# ---- bounds ----


def test_a_hundred_reports_are_counted_and_the_last_are_kept() -> None:
    w = world("High", atLeast=100)
    for count in range(99):
        w.report(f"high by user {count}: listing {count} is gone")
        w.step(0.1)
    w.settle()
    assert w.status.incident is None
    assert number(w) == 99
    reports = w.recorded.reports
    assert reports is not None
    assert [each.number for each in reports.latest] == list(range(84, 100))
    assert w.reasons.count(Reason.REPORT_RECEIVED) < 16, "the history is not flooded"
    w.restart()
    w.report("critical: one more")
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE


def test_more_than_can_be_remembered_count_all_the_same_and_never_twice() -> None:
    w = world("High", atLeast=MOST_TAKEN_IN + 3)
    for count in range(MOST_TAKEN_IN + 2):
        w.report("high: gone", f"n{count}")
    w.run(10)
    assert w.status.incident is None
    assert number(w) == MOST_TAKEN_IN
    w.restart()
    w.run(10)
    assert number(w) == MOST_TAKEN_IN
    for count in range(2):
        del w.problems[f"n{count}"]  # somebody tidies up: there is room for those that were not remembered
    w.run(10)
    assert number(w) == MOST_TAKEN_IN + 2
    assert w.status.incident is None
    w.report("high: gone", "last")
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE


def test_a_report_whose_annotation_is_gone_still_counts() -> None:
    w = world("High", atLeast=2)
    w.report("high: a", "one")
    w.settle()
    w.problems.clear()
    w.settle()
    assert w.recorded.reports is not None
    assert w.recorded.reports.taken == ""
    w.report("high: a", "one")
    w.settle()
    assert w.status.reason is Reason.ROLLBACK_DUE


def test_another_value_under_the_same_name_is_another_report() -> None:
    w = world("High", atLeast=2)
    w.report("high: gone", "one")
    w.settle()
    w.report("high: gone, all of it", "one")
    w.settle()
    assert number(w) == 2


def test_a_phase_whose_weight_is_edited_keeps_what_was_reported_in_it() -> None:
    """Who lowers it for the sake of what was reported has answered nothing."""
    w = world("High", atLeast=2)
    w.report("high: a")
    w.report("high: b")
    w.run(20)
    assert w.status.reason is Reason.ROLLBACK_DUE
    w.edit_phases(lambda phases: [{**phases[0], "weight": 5}, *phases[1:]])
    w.run(600)
    assert (w.share, w.status.reason) == (5, Reason.ROLLBACK_DUE)
    w.ask(Request.ANSWER, "1: known")
    w.settle()
    assert w.recorded.reports is not None
    assert w.recorded.reports.open == ReportCounts(high=1)
    w.run_until(State.COMPLETED, within=1800)

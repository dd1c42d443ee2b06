"""Readings held against limits: three verdicts, `for`, `settle`, and limits relative to old."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import Document, document, metric, one_phase, parse, phase
from decide.world import START, World, begun
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Health, Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.facts import Reading, ReadingKey

_BAD = {ReadingKey("errors"): Reading(7.0)}
BLIND = [kind for kind in Unknown if kind not in criteria.NOT_BLIND]


def _question(role: Role, *, window: str | None = None, **comparison: Any) -> criteria.Question:
    comparison = {"metric": "errors"} | comparison
    place: Document = {"success": [], "rollbackOn": []}
    trigger: list[Document] = []
    if role is Role.SUCCESS:
        place["success"] = [comparison]
    elif role is Role.ROLLBACK_ON:
        place["rollbackOn"] = [comparison]
    else:
        trigger = [comparison | {"severity": "Critical"}]
    metrics = [metric("errors", **({"window": window} if window else {}))]
    plan = document([phase("half", 50, **place)], metrics=metrics, rollback={"triggers": trigger})
    spec = parse(plan)
    return criteria.questions(spec, spec.phases[0])[0]


def _judge(
    question: criteria.Question,
    new: float | Unknown,
    old: float | Unknown | None = None,
    *,
    previous: CriterionStatus | None = None,
    at: float = 0.0,
    since: float | None = -1000.0,
) -> CriterionStatus:
    readings = {ReadingKey("errors"): _reading(new)}
    if old is not None:
        readings[ReadingKey("errors", Side.OLD)] = _reading(old)
    moment = START + since if since is not None else None
    return criteria.judge(question, readings, previous, START + at, moment)


def _reading(value: float | Unknown) -> Reading:
    return Reading(None, value, "why") if isinstance(value, Unknown) else Reading(value)


@pytest.mark.parametrize(
    ("comparison", "reading", "holds"),
    [
        ({"above": 5}, 5.01, True),
        ({"above": 5}, 5, False),
        ({"below": 5}, 4.99, True),
        ({"below": 5}, 5, False),
        ({"atLeast": 5}, 5, True),
        ({"atLeast": 5}, 4.99, False),
        ({"atMost": 5}, 5, True),
        ({"atMost": 5}, 5.01, False),
        ({"above": 0}, 0, False),
        ({"atLeast": 0}, 0, True),
        ({"below": 0}, -3, True),
    ],
)
@pytest.mark.parametrize("role", list(Role))
def test_each_comparison_at_its_limit(comparison: Document, reading: float, holds: bool, role: Role) -> None:
    wanted = holds if role is Role.SUCCESS else not holds
    verdict = _judge(_question(role, **comparison), reading).verdict

    assert verdict is (Verdict.PASS if wanted else Verdict.FAIL)


@pytest.mark.parametrize("unknown", BLIND)
@pytest.mark.parametrize("role", list(Role))
def test_missing_or_unusable_data_neither_passes_nor_fails(unknown: Unknown, role: Role) -> None:
    judged = _judge(_question(role, above=5), unknown)

    assert judged.verdict is Verdict.UNKNOWN
    assert judged.unknown is unknown
    assert judged.message == "errors: why"
    assert criteria.is_blind(judged)


def test_a_reading_that_was_not_asked_for_is_unknown() -> None:
    judged = criteria.judge(_question(Role.TRIGGER, above=5), {}, None, START, START)

    assert (judged.verdict, judged.unknown) == (Verdict.UNKNOWN, Unknown.NOT_ASKED)


@pytest.mark.parametrize(
    ("comparison", "new", "old", "verdict"),
    [
        ({"atMost": 1.0}, 2.0, 2.0, Verdict.PASS),
        ({"atMost": 1.0}, 2.1, 2.0, Verdict.FAIL),
        ({"below": 1.5}, 2.9, 2.0, Verdict.PASS),
        ({"below": 1.5}, 3.0, 2.0, Verdict.FAIL),
        ({"atMost": 1.0}, 0.0, 2.0, Verdict.PASS),
        ({"atMost": 1.0}, 2.0, 0.0, Verdict.UNKNOWN),
        ({"atMost": 1.0}, 0.0, 0.0, Verdict.UNKNOWN),
        ({"atMost": 1.0}, 2.0, -1.0, Verdict.UNKNOWN),
        ({"atMost": 1.0}, 2.0, Unknown.NO_DATA, Verdict.UNKNOWN),
        ({"atMost": 1.0}, Unknown.NO_DATA, 2.0, Verdict.UNKNOWN),
        ({"atMost": 10.0}, 2.0, 1e308, Verdict.UNKNOWN),
    ],
)
def test_a_limit_relative_to_old(
    comparison: Document, new: float | Unknown, old: float | Unknown, verdict: Verdict
) -> None:
    judged = _judge(_question(Role.SUCCESS, relativeTo="Old", **comparison), new, old)

    assert judged.verdict is verdict


def test_a_baseline_of_zero_says_what_to_do() -> None:
    judged = _judge(_question(Role.ROLLBACK_ON, atLeast=2, relativeTo="Old"), 0.1, 0.0)

    assert judged.unknown is Unknown.BASELINE_ZERO
    assert "errors of old reads 0 percent" in judged.message
    assert "give the criterion a limit of its own without relativeTo" in judged.message


def test_a_missing_baseline_names_old() -> None:
    judged = _judge(_question(Role.SUCCESS, atMost=1, relativeTo="Old"), 1.0, Unknown.NO_DATA)

    assert judged.message == "errors of old: why"


def test_the_message_tells_reading_baseline_and_limit() -> None:
    judged = _judge(_question(Role.ROLLBACK_ON, atLeast=2, relativeTo="Old"), 7.5, 3.0)

    assert judged.message == "errors reads 7.5 percent, old 3 percent, which is at least 2 times old"
    assert (judged.reading, judged.baseline, judged.threshold) == (7.5, 3.0, 6.0)


def test_the_message_tells_what_a_reading_was_made_of() -> None:
    question = _question(Role.ROLLBACK_ON, atLeast=2, relativeTo="Old")
    readings = {
        ReadingKey("errors"): Reading(7.5, made_of="max of 3 series"),
        ReadingKey("errors", Side.OLD): Reading(3.0, made_of="max of 1 series"),
    }
    judged = criteria.judge(question, readings, None, START, START)
    expected = (
        "errors reads 7.5 percent (max of 3 series), old 3 percent (max of 1 series), which is at least 2 times old"
    )
    assert judged.message == expected

    judged = criteria.judge(_question(Role.SUCCESS, below=1), readings, None, START, START)
    assert judged.message == "errors reads 7.5 percent (max of 3 series), has to be below 1 percent"


def test_a_long_error_of_prometheus_is_clipped() -> None:
    readings = {ReadingKey("errors"): Reading(None, Unknown.QUERY_INVALID, "x" * 100_000)}
    judged = criteria.judge(_question(Role.SUCCESS, below=1), readings, None, START, START)

    assert len(judged.message) == criteria.LONGEST_MESSAGE


# ---- settle ----


def test_success_settles_for_the_window_of_its_metric() -> None:
    question = _question(Role.SUCCESS, window="5m", below=1)
    early = _judge(question, 0.1, at=299.999, since=0)
    assert (early.verdict, early.unknown) == (Verdict.UNKNOWN, Unknown.SETTLING)
    assert criteria.next_change(question, early, START) == START + 300

    assert _judge(question, 0.1, at=300, since=0).verdict is Verdict.PASS


def test_going_back_does_not_settle_unless_it_is_asked_to() -> None:
    assert _judge(_question(Role.ROLLBACK_ON, window="5m", above=5), 7, at=1, since=0).verdict is Verdict.FAIL
    asked = _judge(_question(Role.ROLLBACK_ON, above=5, settle="1m"), 7, at=59, since=0)
    assert asked.unknown is Unknown.SETTLING
    assert _judge(_question(Role.ROLLBACK_ON, above=5, settle="1m"), 7, at=60, since=0).verdict is Verdict.FAIL


def test_success_is_not_judged_before_the_weights_stand() -> None:
    judged = _judge(_question(Role.SUCCESS, below=1), 0.1, since=None)

    assert judged.unknown is Unknown.SETTLING


def test_a_trigger_is_judged_even_before_the_weights_stand() -> None:
    assert _judge(_question(Role.TRIGGER, above=5), 7, since=None).verdict is Verdict.FAIL


def test_settle_of_zero_is_no_settling() -> None:
    assert _judge(_question(Role.SUCCESS, window="5m", below=1, settle="0s"), 0.1, since=0).verdict is Verdict.PASS


# ---- for ----


def test_a_comparison_counts_once_it_has_held_without_a_break() -> None:
    question = _question(Role.SUCCESS, below=1, **{"for": "60s"})
    first = _judge(question, 0.1, at=0)
    assert (first.verdict, first.unknown) == (Verdict.UNKNOWN, Unknown.NOT_YET)
    assert criteria.next_change(question, first, START - 1000) == START + 60
    early = _judge(question, 0.1, at=59.999, previous=first)
    assert early.unknown is Unknown.NOT_YET

    assert _judge(question, 0.1, at=60, previous=early).verdict is Verdict.PASS


def test_for_and_settle_are_over_to_the_millisecond_wherever_they_began() -> None:
    """Seconds since the epoch are floats: a difference may come out a hair short."""
    question = _question(Role.ROLLBACK_ON, above=5, settle="7s", **{"for": "10s"})
    for millisecond in range(0, 1000, 7):
        start = round(START + millisecond / 1000, 3)
        settled, over = round(start + 7, 3), round(start + 17, 3)
        assert criteria.judge(question, _BAD, None, round(settled - 0.001, 3), start).unknown is Unknown.SETTLING
        first = criteria.judge(question, _BAD, None, settled, start)
        assert first.held_since == settled
        assert criteria.next_change(question, first, start) == over
        assert criteria.judge(question, _BAD, first, round(over - 0.001, 3), start).verdict is Verdict.UNKNOWN
        assert criteria.judge(question, _BAD, first, over, start).verdict is Verdict.FAIL


def test_a_gap_in_the_data_breaks_it_for_success_and_not_for_going_back() -> None:
    for role, limit, after in ((Role.SUCCESS, 10, Verdict.UNKNOWN), (Role.ROLLBACK_ON, 5, Verdict.FAIL)):
        comparison: Document = {"below": limit} if role is Role.SUCCESS else {"above": limit}
        question = _question(role, **comparison, **{"for": "60s"})
        before = _judge(question, 7, at=0)
        gap = _judge(question, Unknown.NO_DATA, at=30, previous=before)

        assert _judge(question, 7, at=61, previous=gap).verdict is after


def test_one_good_reading_breaks_it_for_going_back() -> None:
    question = _question(Role.TRIGGER, above=5, **{"for": "60s"})
    before = _judge(question, 7, at=0)
    good = _judge(question, 5, at=30, previous=before)

    assert good.verdict is Verdict.PASS
    assert _judge(question, 7, at=61, previous=good).unknown is Unknown.NOT_YET


def test_what_held_before_it_settled_does_not_count() -> None:
    question = _question(Role.TRIGGER, above=5, settle="2m", **{"for": "60s"})
    before = _judge(question, 7, at=0, since=-200)
    assert before.held_since == START
    settling = _judge(question, 7, at=10, since=5, previous=before)
    assert settling.unknown is Unknown.SETTLING

    assert _judge(question, 7, at=125, since=5, previous=settling).unknown is Unknown.NOT_YET


def test_another_limit_begins_anew() -> None:
    before = _judge(_question(Role.ROLLBACK_ON, above=5, **{"for": "60s"}), 7, at=0)

    assert _judge(_question(Role.ROLLBACK_ON, above=6, **{"for": "60s"}), 7, at=61, previous=before).held_since == (
        START + 61
    )


def test_the_wall_clock_stepping_back_does_not_break_it() -> None:
    question = _question(Role.ROLLBACK_ON, above=5, **{"for": "60s"})
    before = _judge(question, 7, at=10)
    back = _judge(question, 7, at=5, previous=before)
    assert back.unknown is Unknown.NOT_YET

    assert _judge(question, 7, at=70, previous=back).verdict is Verdict.FAIL


# ---- within a run ----


def test_for_of_a_rollback_criterion_is_kept_to_the_millisecond_between_polls() -> None:
    world = begun(one_phase(duration="10m", rollbackOn=[{"metric": "errors", "above": 5, "for": "25s"}]))
    world.run(60)
    world.read("errors", 7)
    world.settle()
    began = world.now

    world.run_until(State.ROLLED_BACK)

    assert world.now == began + 25


def test_all_criteria_are_on_record_with_reading_and_limit() -> None:
    world = begun(one_phase())
    world.read("errors", 3)
    world.run(70)

    shown = {c.id: (c.verdict, c.reading, c.limit) for c in world.recorded.criteria}
    assert shown == {
        "half/success/0/errors": (Verdict.FAIL, 3, "below 1 percent"),
        "half/rollbackOn/0/errors": (Verdict.PASS, 3, "above 5 percent"),
        "trigger/0/errors": (Verdict.PASS, 3, "above 10 percent"),
    }
    assert world.recorded.health is Health.FAILING


@pytest.mark.parametrize("unknown", [Unknown.NO_DATA, Unknown.NOT_A_NUMBER, Unknown.TIMEOUT, Unknown.MANY_SERIES])
def test_two_intervals_without_data_hold_the_phase_and_data_lets_it_go_on(unknown: Unknown) -> None:
    world = begun(one_phase(duration="10m"))
    world.run(30)
    world.read("errors", unknown)
    world.run(19)
    assert world.at(State.PROGRESSING)
    world.run(1)
    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.CRITERIA_UNKNOWN
    assert "Phase 1/1 half holds: errors: asked, but" in world.recorded.message
    assert world.share == 50, "no data is no reason to go back"

    world.run(300)
    assert world.reasons == [Reason.PHASE_STARTED, Reason.CRITERIA_UNKNOWN], "it is said once"
    world.read("errors", 0.1)
    world.settle()
    assert world.at(State.PROGRESSING)
    assert world.reasons[-1] is Reason.RESUMED


def test_when_patience_with_missing_data_ends_is_known_beforehand() -> None:
    world = begun(one_phase(duration="10m"))
    world.now += 3
    world.read("errors", Unknown.TIMEOUT)

    assert world.step().next_due == world.now + 20


def test_one_lost_answer_is_no_news() -> None:
    world = begun(one_phase(duration="10m"))
    world.run(30)
    for _ in range(5):
        world.read("errors", Unknown.TIMEOUT)
        world.run(10)
        world.read("errors", 0.1)
        world.run(10)

    assert world.reasons == [Reason.PHASE_STARTED]


def test_one_kind_of_blindness_after_the_other_is_one_blindness() -> None:
    world = begun(one_phase(duration="10m"))
    world.read("errors", Unknown.TIMEOUT)
    world.run(10)
    world.read("errors", Unknown.NO_DATA)
    world.run(10)

    assert world.at(State.HOLDING)


def test_a_blind_phase_that_sees_a_breach_goes_back() -> None:
    world = begun(one_phase(duration="10m"))
    world.read("errors", Unknown.TIMEOUT)
    world.run(60)
    world.read("errors", 7)
    world.settle()

    assert world.at(State.ROLLED_BACK)


def test_no_data_never_lets_a_run_complete() -> None:
    world = World(one_phase(success=[], rollbackOn=[]))
    world.run_to_phase("half")
    world.read("errors", Unknown.NO_DATA)
    world.run(3600)

    assert world.at(State.HOLDING)
    assert world.share == 50

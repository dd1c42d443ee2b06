"""Ratios with confidence: judged by what was counted since the phase began."""

from __future__ import annotations

from typing import Any

import pytest

from decide.plans import Document, document, parse, phase
from decide.world import START, World
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.facts import Part, Reading, ReadingKey, Span

WINDOW = 60.0


def failures(**more: Any) -> Document:
    """A ratio with confidence."""
    counted = {"of": "sum(increase(failed[$window]))", "over": "sum(increase(items[$window]))"}
    return {"name": "failures", "unit": "percent", "ratio": counted, "window": "60s", "confidence": 95} | more


def plan(*, duration: str = "5m", success: Document | None = None, back: Document | None = None) -> Document:
    """One phase at fifty percent that looks at failures alone."""
    place = {
        "success": [{"metric": "failures"} | (success or {"below": 1})],
        "rollbackOn": [{"metric": "failures"} | (back or {"above": 5})],
    }
    return document([phase("half", 50, duration, **place)], metrics=[failures()], rollback={})


def begun(document: Document, per_second: float, reads: float) -> World:
    """The phase stands, and new handles so many items a second, of which so many percent fail."""
    world = World(document)
    world.work[("failures", Side.NEW)] = (per_second, reads)
    world.work[("failures", Side.OLD)] = (per_second, 1.0)
    world.run_to_phase("half")
    return world


def question(role: Role = Role.SUCCESS, **comparison: Any) -> criteria.Question:
    place: Document = {"success": [], "rollbackOn": []}
    place["success" if role is Role.SUCCESS else "rollbackOn"] = [{"metric": "failures"} | comparison]
    spec = parse(document([phase("half", 50, **place)], metrics=[failures()], rollback={}))
    return criteria.questions(spec, spec.phases[0])[0]


def judged(
    asked: criteria.Question,
    share: float | Unknown,
    events: float | Unknown,
    *,
    old: tuple[float, float] | None = None,
    seconds: float = 3600.0,
    began: float = 0.0,
    fresh: Unknown | None = None,
) -> CriterionStatus:
    """The verdict on so many percent of so many events, counted for so long from `began` seconds after the phase on."""
    span = Span(START + began, seconds)
    readings: dict[ReadingKey, Reading] = {}
    sides = {Side.NEW: (share, events)} | ({Side.OLD: old} if old else {})
    for side, (reads, number) in sides.items():
        readings[asked.key(side, Part.SHARE)] = _reading(reads, span)
        readings[asked.key(side, Part.COUNT)] = _reading(number, span)
        readings[asked.key(side, Part.FRESH)] = _reading(1.0 if fresh is None else fresh, None)
    return criteria.judge(asked, readings, None, START + began + seconds, START)


def _reading(value: float | Unknown, span: Span | None) -> Reading:
    return Reading(None, value, "why", span) if isinstance(value, Unknown) else Reading(value, span=span)


# ---- one criterion ----


@pytest.mark.parametrize(
    ("comparison", "share", "verdict"),
    [
        ({"below": 1}, 0.5, Verdict.PASS),
        ({"atMost": 1}, 0.5, Verdict.PASS),
        ({"below": 1}, 2.0, Verdict.FAIL),
        ({"below": 1}, 0.95, Verdict.UNKNOWN),
        ({"below": 1}, 1.05, Verdict.UNKNOWN),
        ({"above": 99}, 99.5, Verdict.PASS),
        ({"atLeast": 99}, 98.0, Verdict.FAIL),
        ({"above": 99}, 99.05, Verdict.UNKNOWN),
    ],
)
def test_it_passes_and_fails_only_where_it_is_sure(comparison: Document, share: float, verdict: Verdict) -> None:
    seen = judged(question(**comparison), share, 10_000)

    assert seen.verdict is verdict
    assert (seen.unknown is Unknown.UNDECIDED) == (verdict is Verdict.UNKNOWN)
    assert not criteria.is_blind(seen)


@pytest.mark.parametrize(("share", "verdict"), [(7.0, Verdict.FAIL), (3.0, Verdict.PASS), (5.1, Verdict.UNKNOWN)])
def test_going_back_is_as_sure(share: float, verdict: Verdict) -> None:
    assert judged(question(Role.ROLLBACK_ON, above=5), share, 10_000).verdict is verdict


def test_few_events_decide_nothing_that_many_decide() -> None:
    asked = question(below=1)
    assert judged(asked, 0.5, 400).unknown is Unknown.UNDECIDED
    assert judged(asked, 0.5, 40_000).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("comparison", "share", "verdict"),
    [
        ({"atMost": 1.2}, 0.4, Verdict.PASS),
        ({"atMost": 1.2}, 1.2, Verdict.UNKNOWN),
        ({"atMost": 1.2}, 3.0, Verdict.FAIL),
    ],
)
def test_old_against_new(comparison: Document, share: float, verdict: Verdict) -> None:
    seen = judged(question(relativeTo="Old", **comparison), share, 10_000, old=(1.0, 10_000))

    assert seen.verdict is verdict
    assert seen.baseline == 1.0
    assert seen.lowest is not None
    assert seen.highest is not None
    assert seen.lowest < share < seen.highest, "as multiples of old, which is at 1 percent"


def test_a_baseline_without_failures_is_no_obstacle() -> None:
    asked = question(Role.ROLLBACK_ON, relativeTo="Old", atLeast=2)

    assert judged(asked, 4.0, 10_000, old=(0.0, 10_000)).verdict is Verdict.FAIL
    assert judged(asked, 0.0, 10_000, old=(0.0, 10_000)).unknown is Unknown.UNDECIDED


def test_the_message_tells_what_was_counted_and_how_sure_it_is() -> None:
    seen = judged(question(below=1), 0.5, 10_000, seconds=3600)

    assert seen.message == (
        "failures reads 0.5 percent of 9908 events, for 95 % sure 0.269 to 0.835 percent, has to be below 1 percent"
    )
    assert (seen.reading, seen.threshold, seen.limit) == (0.5, 1.0, "below 1 percent, 95 % sure")
    assert seen.events == pytest.approx(10_000 * (1 - 0.55 * WINDOW / 3600))


def test_another_confidence_begins_anew() -> None:
    spec = parse(plan() | {"metrics": [failures(confidence=99)]})
    stricter = criteria.questions(spec, spec.phases[0])[0]
    before = judged(question(below=1), 0.5, 10_000)
    readings = {stricter.key(Side.NEW, part): Reading(None, Unknown.NO_DATA, "why") for part in Part}

    assert criteria.judge(stricter, readings, before, START + 99, START).since == START + 99


# ---- what is no count ----


@pytest.mark.parametrize(("share", "events"), [(101.0, 500.0), (-0.1, 500.0), (5.0, 0.0), (5.0, -3.0)])
def test_more_failures_than_events_are_never_cut_to_size(share: float, events: float) -> None:
    seen = judged(question(below=1), share, events)

    assert (seen.verdict, seen.unknown) == (Verdict.UNKNOWN, Unknown.NOT_A_SHARE)
    assert "check that what ratio.of counts is among what ratio.over counts" in seen.message
    assert criteria.is_blind(seen)


@pytest.mark.parametrize("unknown", [Unknown.NO_DATA, Unknown.MANY_SERIES, Unknown.TIMEOUT, Unknown.NOT_A_NUMBER])
def test_a_count_that_is_missing_is_no_verdict(unknown: Unknown) -> None:
    for seen in (judged(question(below=1), unknown, 500), judged(question(below=1), 0.5, unknown)):
        assert (seen.verdict, seen.unknown) == (Verdict.UNKNOWN, unknown)
        assert seen.message == "failures: why"


def test_events_from_before_the_phase_do_not_count() -> None:
    seen = judged(question(below=1), 0.5, 10_000, began=-10)

    assert (seen.verdict, seen.unknown) == (Verdict.UNKNOWN, Unknown.SETTLING)


def test_settle_begins_the_count_later() -> None:
    asked = question(below=1, settle="10m")
    assert asked.key(Side.NEW, Part.COUNT).settle == 600
    assert judged(asked, 0.5, 10_000, began=599, seconds=3600).unknown is Unknown.SETTLING
    assert judged(asked, 0.5, 10_000, began=600, seconds=3600).verdict is Verdict.PASS


def test_a_phase_younger_than_half_a_window_has_counted_nothing_for_sure() -> None:
    for unknown in (0.5, Unknown.NO_DATA, Unknown.NOT_A_NUMBER):
        seen = judged(question(below=1), unknown, 1e6, seconds=33)
        assert seen.unknown is Unknown.SETTLING
        assert not criteria.is_blind(seen)
    assert judged(question(below=1), 0.5, 1e6, seconds=34).verdict is Verdict.PASS


def test_a_phase_older_than_a_window_without_events_is_blind() -> None:
    assert judged(question(below=1), Unknown.NO_DATA, Unknown.NO_DATA, seconds=59).unknown is Unknown.SETTLING
    assert criteria.is_blind(judged(question(below=1), Unknown.NO_DATA, Unknown.NO_DATA, seconds=60))


def test_a_source_that_has_stopped_is_unknown_however_much_was_counted_before() -> None:
    seen = judged(question(below=1), 0.5, 10_000, fresh=Unknown.NO_DATA)

    assert (seen.verdict, seen.unknown) == (Verdict.UNKNOWN, Unknown.STALE)
    assert "its source has stopped, nothing was seen in the last 1m" in seen.message
    assert judged(question(below=1), 0.5, 10_000, fresh=Unknown.MANY_SERIES).verdict is Verdict.PASS, "a sign of life"
    young = judged(question(below=1), 0.5, 100_000, seconds=59, fresh=Unknown.NO_DATA)
    assert young.verdict is Verdict.PASS, "new pods may not have been scraped for as long as that"


# ---- within a run ----


def test_a_phase_that_is_good_ends_with_its_duration() -> None:
    world = begun(plan(duration="30m"), 10.0, 0.2)
    world.run(29 * 60)
    assert world.at(State.PROGRESSING)
    world.run(60)
    assert world.at(State.COMPLETED)


def test_a_phase_that_is_too_close_to_tell_waits_for_more_and_says_so_once() -> None:
    world = begun(plan(duration="5m"), 10.0, 0.7)
    world.run(10 * 60)
    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.CRITERIA_NOT_MET
    assert "too close to tell, more is counted" in world.recorded.message
    assert world.told[-1].type == "Normal"
    assert world.reasons == [Reason.PHASE_STARTED, Reason.CRITERIA_NOT_MET]

    world.run(60 * 60)
    assert world.at(State.COMPLETED)


def test_a_bad_one_is_taken_back_as_soon_as_it_is_sure() -> None:
    world = begun(plan(duration="1h"), 10.0, 8.0)
    world.run(40)
    assert world.at(State.PROGRESSING), "a third of the first minute is not enough"
    world.run_until(State.ROLLED_BACK, within=600)
    assert world.recorded.rollback is not None
    assert "% sure" in world.recorded.rollback.message


def test_each_phase_counts_anew() -> None:
    document_ = plan(duration="30m")
    document_["phases"].append(document_["phases"][0] | {"name": "full", "weight": 100})
    world = begun(document_, 10.0, 0.2)
    world.run_to_phase("full")
    world.work[("failures", Side.NEW)] = (10.0, 0.9)
    world.run(60)

    criterion = world.status.criteria[0]
    assert criterion.id == "full/success/0/failures"
    assert criterion.events is not None
    assert criterion.events < 10.0 * 60
    assert criterion.verdict is Verdict.UNKNOWN


def test_a_source_that_stops_holds_the_phase() -> None:
    world = begun(plan(duration="30m"), 10.0, 0.2)
    world.run(20 * 60)
    world.values[ReadingKey("failures", part=Part.FRESH)] = Reading(None, Unknown.NO_DATA, "none")
    world.run(30 * 60)

    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.CRITERIA_UNKNOWN
    assert world.share == 50


def test_a_respite_delays_the_verdict_and_not_the_count() -> None:
    spec = parse(
        document(
            [phase("half", 50, success=[], rollbackOn=[{"metric": "failures", "above": 5}])],
            metrics=[failures()],
            rollback={},
        )
    )
    asked = criteria.questions(spec, spec.phases[0], respite=300)[0]

    assert asked.keys == criteria.questions(spec, spec.phases[0])[0].keys, "what is asked for is what is looked at"
    assert judged(asked, 50.0, 10_000, seconds=299).unknown is Unknown.SETTLING
    assert judged(asked, 50.0, 10_000, seconds=300).verdict is Verdict.FAIL


def test_being_too_close_to_tell_for_longer_than_unknown_for_is_no_incident() -> None:
    world = begun(plan(duration="5m"), 0.1, 0.99)
    world.run(2 * 3600)

    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.CRITERIA_NOT_MET
    assert world.recorded.incident is None

"""Rollouts carried out on a past in memory."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from decide.plans import document, five_phases, metric, one_phase, phase, route, two_phases
from fakes.history import FakeHistory, Script, Values
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Reason, Unknown
from syncrollout.backtest.history import LONGEST, Archive, HistoryError, Moments, TooMuch
from syncrollout.backtest.prometheus import RecordedSeries
from syncrollout.backtest.replay import Replay
from syncrollout.backtest.story import Outcome, Result, Story

T0 = 1_740_992_400.0
DAY = 86400.0


def _after(seconds: float, before: Values, then: Values) -> Script:
    """Reads `before` for so many seconds after the rollout began."""
    return lambda time: before if time < T0 + seconds else then


def replay(
    spec: dict[str, Any],
    seconds: float,
    errors: Script = lambda _: 0.5,
    *,
    latency: Script = lambda _: 0.5,
    step: float = 10.0,
    every_look: bool = False,
    history: FakeHistory | None = None,
) -> Story:
    """A rollout of one of the plans of decide's tests, over so many seconds."""
    past = history or FakeHistory()
    past.set("errors_total", errors)
    past.set("latency_total", latency)
    moments = Moments(round(T0 * 1000), round(step * 1000), int(seconds / step) + 1)
    return Replay(SyncRolloutSpec.model_validate(spec), "default", Archive(past, moments), every_look=every_look).run()


def test_phases_pass_one_after_the_other_and_the_last_one_retires_old() -> None:
    story = replay(five_phases(last="20s"), 3600)
    assert (story.outcome, story.ended) == (Outcome.COMPLETES, T0 + 220)
    assert [(visit.name, visit.entered - T0, visit.result) for visit in story.visits] == [
        ("parallel-run", 0, Result.PASSED),
        ("small-traffic", 70, Result.PASSED),
        ("medium-traffic", 100, Result.PASSED),
        ("full-traffic", 130, Result.PASSED),
        ("full-migration", 200, Result.PASSED),
    ]


def test_phases_that_pass_at_one_moment_are_told_one_by_one() -> None:
    story = replay(document([phase("one", 10, "0s"), phase("two", 50, "0s"), phase("three", 100, "1m")]), 3600)
    assert [(visit.name, visit.entered - T0) for visit in story.visits] == [("one", 0), ("two", 0), ("three", 0)]
    assert story.ended == T0 + 60


def test_what_is_not_met_holds_until_it_is() -> None:
    story = replay(two_phases(), 3600, _after(300, 2.0, 0.5))
    (hold,) = story.visits[0].holds
    assert (hold.reason, hold.since, hold.until) == (Reason.CRITERIA_NOT_MET, T0 + 60, T0 + 300)
    assert "errors reads 2 percent, has to be below 1 percent" in hold.message
    assert story.ended == T0 + 360


def test_without_data_it_goes_back_or_goes_on_as_on_no_data_says() -> None:
    back = [{"metric": "errors", "above": 5, "onNoData": "Rollback"}]
    story = replay(one_phase(rollbackOn=back, success=[]), 3600, _after(35, 0.5, None))
    assert story.back is not None
    assert story.ended == T0 + 60, "two intervals after the first look without data"
    assert "no data for 20s counts as a breach (onNoData: Rollback)" in story.back.message

    ignored = [{"metric": "errors", "below": 1, "onNoData": "Ignore"}]
    story = replay(
        one_phase(rollbackOn=[], success=ignored, duration="5m") | {"rollback": {}}, 3600, _after(35, 0.5, None)
    )
    assert (story.outcome, story.ended) == (Outcome.COMPLETES, T0 + 300)
    assert story.visits[0].holds == []


def test_several_series_are_aggregated_as_the_metric_says() -> None:
    plan = two_phases(metrics=[metric("errors", aggregate="max"), metric("latency")])
    back = replay(plan, 3600, _after(35, [0.1, 0.5], [0.1, 7.0, 0.2])).back
    assert back is not None
    assert "errors reads 7 percent (max of 3 series), which is above 5 percent" in back.message
    assert replay(two_phases(), 60, lambda _: [0.1, 0.5]).outcome is Outcome.HOLDS


def test_a_source_that_has_stopped_is_stale_whatever_it_reads() -> None:
    history = FakeHistory()
    history.set("count(count_over_time(items[1m]))", _after(60, 3.0, None))
    plan = two_phases(metrics=[metric("errors", staleAfter="1m", heartbeat="items"), metric("latency")])
    story = replay(plan, 600, history=history)
    assert story.outcome is Outcome.HOLDS
    assert story.visits[0].name == "small"
    holds = story.visits[0].holds
    assert [(hold.reason, hold.since - T0) for hold in holds] == [
        (Reason.CRITERIA_NOT_MET, 60),
        (Reason.CRITERIA_UNKNOWN, 80),
    ]
    hold = holds[1]
    assert "errors: its source has stopped, nothing was seen in the last 1m" in hold.message


def test_few_events_are_waited_for() -> None:
    history = FakeHistory()
    history.set("(bad) / (all)", lambda _: 0.0)
    history.set("all", _after(90, 99.0, 100.0))
    success = [{"metric": "share", "below": 1, "minSamples": 100}]
    plan = one_phase(success=success, rollbackOn=[]) | {"rollback": {}}
    plan["metrics"] = [{"name": "share", "ratio": {"of": "bad", "over": "all"}}]
    for every_look in (False, True):
        story = replay(plan, 3600, history=history, every_look=every_look)
        (hold,) = story.visits[0].holds
        assert (hold.since, hold.until) == (T0 + 60, T0 + 90)
        assert "share: 99 of 100 events, too few to judge by" in hold.message
        assert story.outcome is Outcome.COMPLETES


def test_what_is_asked_in_a_phase_is_asked_for_that_phase() -> None:
    history = FakeHistory()
    history.set('errors{phase="small"}', lambda _: 0.5)
    history.set('errors{phase="full"}', lambda _: 7.0)
    plan = two_phases(metrics=[metric("errors", query='errors{phase="$phase"}')])
    story = replay(plan, 3600, history=history)
    assert story.back is not None
    assert (story.back.at, story.back.phase) == (T0 + 60, "full")


def test_a_trigger_breached_from_the_beginning_keeps_it_from_starting() -> None:
    story = replay(two_phases(), 3600, _after(600, 20.0, 0.5))
    (before,) = story.before
    assert (before.reason, before.since, before.until) == (Reason.TRIGGER_ALREADY_BREACHED, T0, T0 + 600)
    assert story.visits[0].entered == T0 + 600
    assert story.outcome is Outcome.COMPLETES


def test_what_preflight_refuses_never_starts() -> None:
    story = replay(two_phases(), 3600, lambda _: (0.5, 0.5))
    assert story.outcome is Outcome.HOLDS
    assert [(hold.reason, hold.until) for hold in story.before] == [(Reason.QUERY_INVALID, None)]
    assert not story.visits
    assert "2 series, which differ in series" in story.message


def test_nobody_decides_so_a_grave_breach_goes_back_at_its_deadline() -> None:
    triggers = [
        {"severity": "Low", "metric": "latency", "above": 0},
        {"severity": "High", "metric": "errors", "above": 3},
    ]
    plan = two_phases(rollback={"triggers": triggers, "high": {"within": "10m", "clearFor": "1m"}})
    story = replay(plan, 3600, lambda time: 0.5 if time < T0 + 30 else 4.0 + (time - T0) / 1e4)
    assert story.back is not None
    assert story.back.at == T0 + 630
    assert story.back.criterion is not None
    assert story.back.criterion.id == "trigger/1/errors"
    (hold,) = story.visits[0].holds
    assert (hold.since, hold.until) == (T0 + 30, T0 + 630)


def test_a_phase_that_fails_steps_back_and_comes_again() -> None:
    plan = two_phases(rollback={"maxStepBacks": 1})
    plan["phases"][1]["onFailure"] = "StepBack"
    story = replay(plan, 3600, lambda time: 7.0 if 100 <= time - T0 < 110 else 0.5)
    assert story.outcome is Outcome.COMPLETES
    assert [(visit.name, visit.entered - T0, visit.result) for visit in story.visits] == [
        ("small", 0, Result.PASSED),
        ("full", 60, Result.STEPPED_BACK),
        ("small", 100, Result.PASSED),
        ("full", 160, Result.PASSED),
    ]


def test_a_completed_rollout_is_watched_and_may_go_back() -> None:
    plan = two_phases(
        rollback={"triggers": [{"severity": "Critical", "metric": "errors", "above": 10}], "keepWatching": "1h"}
    )
    quiet = replay(plan, 7200, _after(3730, 0.5, 20.0))
    assert (quiet.outcome, quiet.completed, quiet.ended) == (Outcome.COMPLETES, T0 + 120, T0 + 3720)
    cut = replay(plan, 600)
    assert (cut.outcome, cut.completed, cut.ended, cut.watched_until) == (
        Outcome.COMPLETES,
        T0 + 120,
        T0 + 600,
        T0 + 3720,
    )
    late = replay(plan, 7200, _after(1000, 0.5, 20.0))
    assert late.back is not None
    assert (late.outcome, late.back.at) == (Outcome.ROLLS_BACK, T0 + 1000)
    assert late.visits[-1].result is Result.ROLLED_BACK


def test_a_phase_that_does_not_pass_by_its_deadline() -> None:
    plan = one_phase(duration="1m", deadline="10m", onDeadline="Rollback")
    story = replay(plan, 7200, lambda _: 2.0)
    assert story.back is not None
    assert (story.back.at, story.back.criterion) == (T0 + 600, None)


def test_an_alert_that_fired_goes_back() -> None:
    plan = two_phases(rollback={"triggers": [{"severity": "Critical", "alert": "ListingDataLoss"}]})
    history = FakeHistory()
    history.set(_FIRING, _after(70, 0.0, 1.0))
    story = replay(plan, 3600, history=history)
    assert story.back is not None
    assert (story.back.at, story.back.phase) == (T0 + 70, "full")
    assert story.back.message.startswith("alert ListingDataLoss: it fires")


class _Partial(FakeHistory):
    """Says from 200 s after the beginning on that its answers are not whole, and gives few moments at once."""

    most = 16

    def read(self, query: str, moments: Moments) -> RecordedSeries:
        self.warns = "a store is away" if moments.start >= (T0 + 200) * 1000 else ""
        return super().read(query, moments)


def test_an_alert_of_which_not_all_is_known_holds() -> None:
    plan = one_phase(duration="1h")
    plan["rollback"] = {"triggers": [{"severity": "Critical", "alert": "ListingDataLoss"}]}
    history = _Partial()
    history.set(_FIRING, lambda _: 0.0)
    story = replay(plan, 1800, history=history)
    (hold,) = story.visits[0].holds
    assert (hold.reason, hold.since - T0) == (Reason.CRITERIA_UNKNOWN, 340), "the third answer begins at 320 s"


_FIRING = 'count(ALERTS{alertname="ListingDataLoss",alertstate="firing",namespace=~"|default"}) or vector(0)'


def test_what_cannot_be_judged_for_long_waits_for_a_person_and_none_comes() -> None:
    plan = two_phases(rollback={"medium": {"unknownFor": "10m", "decideWithin": "20m"}})
    story = replay(plan, 7200, _after(30, 0.5, None))
    assert story.back is not None
    assert story.back.at == T0 + 30 + 600 + 1200
    assert story.back.criterion is not None
    assert story.back.criterion.unknown is Unknown.NO_DATA
    assert [hold.reason for hold in story.visits[0].holds] == [Reason.CRITERIA_UNKNOWN, Reason.AWAITING_DECISION]


def test_a_rollback_is_over_with_the_switch_for_no_job_is_run() -> None:
    plan = two_phases()
    plan["rollback"]["procedure"] = {"verifyData": {"job": {"fromCronJob": "nightly"}}}
    story = replay(plan, 3600, _after(30, 0.5, 50.0))
    assert (story.outcome, story.ended) == (Outcome.ROLLS_BACK, T0 + 30)


def test_a_phase_that_steps_in_the_dark_and_a_rollout_that_is_stopped_are_carried_out_all_the_same() -> None:
    plan = document([phase("dark", 0, mode="Shadow"), phase("all", 100)], suspend=True, emergencyStop=True)
    plan["traffic"] = {
        "routes": [route()],
        "shards": {"configMap": "slots", "handover": {"method": "Drain"}},
        "verify": {"query": "share"},
    }
    assert replay(plan, 3600).outcome is Outcome.COMPLETES


def test_the_least_and_the_greatest_reading_of_each_phase_are_told() -> None:
    story = replay(two_phases(), 3600, lambda time: {20: 0.1, 40: 0.9}.get(int(time - T0), 0.5))
    seen = story.visits[0].seen["errors"]
    assert (seen.lowest, seen.lowest_at, seen.highest, seen.highest_at) == (0.1, T0 + 20, 0.9, T0 + 40)
    assert seen.limits == ("passes below 1 percent", "goes back above 5 percent", "trigger above 10 percent")
    assert "latency" not in story.visits[0].seen, "no criterion looks at it"


# ------------------------------------------------------------------------------------------------ jumping


def _jagged(seed: int) -> Script:
    """Long quiet stretches, and now and then breaches, gaps and several series, of random length."""
    rng = random.Random(seed)
    stretches: list[tuple[float, Values | str]] = []
    at = T0
    while at < T0 + 20_000:
        at += rng.choice((5.0, 25.0, 130.0, 1200.0))
        kind: Values | str = rng.choice(("noise", "noise", "noise", "noise", 1.5, 3.5, None, (1.0, 2.0), float("nan")))
        stretches.append((at, kind))

    def read(time: float) -> Values:
        kind = next((kind for until, kind in stretches if time < until), "noise")
        return random.Random(f"{seed} {time}").uniform(0.1, 0.9) if isinstance(kind, str) else kind

    return read


def _long_plan() -> dict[str, Any]:
    """With everything that looks at a clock: settle, for, deadlines of severities."""
    plan = document(
        [
            phase("one", 10, "20m", success=[{"metric": "errors", "below": 1, "settle": "1m"}]),
            phase(
                "two",
                50,
                "30m",
                success=[{"metric": "errors", "below": 1, "for": "5m"}, {"metric": "latency", "atMost": 1}],
                rollbackOn=[{"metric": "errors", "above": 3, "for": "2m"}],
                onFailure="StepBack",
            ),
            phase(
                "three", 100, "20m", onFailure="Hold", success=[{"metric": "latency", "atMost": 3, "relativeTo": "Old"}]
            ),
        ],
        rollback={
            "triggers": [
                {"severity": "High", "metric": "errors", "above": 3, "for": "1m"},
                {"severity": "Low", "metric": "latency", "above": 1},
            ],
            "high": {"within": "10m", "clearFor": "1m"},
            "keepWatching": "30m",
        },
    )
    plan["metrics"] = [metric("errors"), metric("latency")]
    return plan


SEEDS = range(8)


def _jagged_story(seed: int, *, every_look: bool) -> Story:
    return replay(_long_plan(), 20_000, _jagged(seed), latency=_jagged(seed + 100), every_look=every_look)


@pytest.mark.parametrize("seed", SEEDS)
def test_jumping_tells_what_deciding_at_each_look_tells(seed: int) -> None:
    jumped, looked = (_jagged_story(seed, every_look=every) for every in (False, True))
    if jumped.back is None:  # the last word is of the last decision: the numbers in it may be older
        jumped, looked = (replace(each, message="") for each in (jumped, looked))
    assert jumped == looked


def test_the_histories_of_that_test_take_different_ways() -> None:
    stories = [_jagged_story(seed, every_look=False) for seed in SEEDS]
    assert {story.outcome for story in stories} >= {Outcome.COMPLETES, Outcome.ROLLS_BACK}
    assert Result.STEPPED_BACK in {visit.result for story in stories for visit in story.visits}
    reasons = {hold.reason for story in stories for visit in story.visits for hold in visit.holds}
    assert len(reasons) >= 3, reasons


# ------------------------------------------------------------------------------------------------ asking


def test_each_query_is_asked_once_for_each_stretch_of_time() -> None:
    history = FakeHistory()
    plan = two_phases()
    plan["phases"][0]["duration"] = plan["phases"][1]["duration"] = "10d"
    plan["prometheus"]["interval"] = "30s"
    story = replay(plan, 30 * DAY, step=30.0, history=history)
    assert story.outcome is Outcome.COMPLETES
    assert len(set(history.asked)) == len(history.asked)
    asked = [moments for query, moments in history.asked if query == "errors_total"]
    assert all(moments.count <= LONGEST for moments in asked)
    assert asked[0].start == T0 * 1000
    assert all(after.start == before.end + 30_000 for before, after in pairwise(asked))
    assert story.ended == T0 + 20 * DAY
    assert len(asked) == 6, "57,601 moments, and none that is not needed"


def test_a_prometheus_that_gives_less_at_once_is_asked_for_less() -> None:
    history = FakeHistory()
    history.most = 100
    assert replay(two_phases(), 3600, history=history).outcome is Outcome.COMPLETES
    history.most = 5
    with pytest.raises(TooMuch):
        replay(two_phases(), 3600, history=history)


def test_what_prometheus_says_against_its_answers_is_kept_once() -> None:
    history = FakeHistory()
    history.warns = "a store is away"
    history.set("up", lambda _: 1.0)
    archive = Archive(history, Moments(0, 1000, 30_000))
    for number in (0, 11_000, 22_000):
        archive.fetch(["up"], number)
    (warning,) = archive.warnings
    assert warning.endswith("warns: a store is away")


def test_what_cannot_be_had_ends_it() -> None:
    broken = two_phases(metrics=[metric("errors", query="sum(errors")])
    with pytest.raises(HistoryError, match="parse error"):
        replay(broken, 3600)


def test_what_is_counted_since_a_phase_began_is_refused_rather_than_judged_otherwise() -> None:
    counted = {"of": "sum(increase(failed[$window]))", "over": "sum(increase(items[$window]))"}
    sure = {"name": "errors", "unit": "percent", "ratio": counted, "window": "1m"}
    with pytest.raises(HistoryError, match="metric errors is judged by more than it reads at one moment"):
        replay(two_phases(metrics=[sure | {"confidence": 95}]), 3600)


def test_steps_longer_than_the_interval_are_what_it_looks_at() -> None:
    story = replay(one_phase(duration="1h"), 1800, _after(90, 0.5, None), step=60.0)
    (hold,) = story.visits[-1].holds
    assert (hold.since - T0, story.outcome) == (240, Outcome.HOLDS), "no data at one look, a minute apart, is no news"

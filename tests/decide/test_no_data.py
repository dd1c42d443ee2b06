"""Criteria without data: held, gone back for, or ignored, as their onNoData says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decide.plans import Document, document, metric, one_phase, parse, phase
from decide.world import START, World, begun
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Health, Reason, Role, Side, State, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.facts import Reading, ReadingKey

ANSWERED = [
    Unknown.NO_DATA,
    Unknown.NOT_A_NUMBER,
    Unknown.STALE,
    Unknown.INFINITE,
    Unknown.MANY_SERIES,
    Unknown.NOT_A_SHARE,
]
UNANSWERED = [Unknown.TIMEOUT, Unknown.UNREACHABLE, Unknown.SERVER_ERROR]
TO_BE_MENDED = [
    Unknown.QUERY_INVALID,
    Unknown.NOT_A_VECTOR,
    Unknown.REFUSED,
    Unknown.DESTINATION_REFUSED,
    Unknown.SECRET_INVALID,
]
PATIENCE = 20.0
"""Two intervals."""


def plan(role: Role, on_no_data: str, *, duration: str = "10m", window: str = "", **criterion: Any) -> Document:
    """One phase whose only criterion is on latency, of this role."""
    limit = {"metric": "latency", ("below" if role is Role.SUCCESS else "above"): 3, "onNoData": on_no_data} | criterion
    place: Document = {"success": [], "rollbackOn": []}
    triggers: list[Document] = []
    if role is Role.TRIGGER:
        triggers = [{"severity": "Critical"} | limit]
    else:
        place["success" if role is Role.SUCCESS else "rollbackOn"] = [limit]
    metrics = [metric("latency", **({"window": window} if window else {}))]
    return document([phase("half", 50, duration, **place)], metrics=metrics, rollback={"triggers": triggers})


def the(world: World) -> CriterionStatus:
    (criterion,) = world.status.criteria
    return criterion


# ---- Hold ----


@pytest.mark.parametrize("role", list(Role))
def test_hold_is_what_happens_where_nothing_is_said(role: Role) -> None:
    document = plan(role, "Hold")
    world = begun(document)
    world.read("latency", Unknown.NO_DATA)
    world.run(500)

    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)
    assert the(world).lacking_since is None


# ---- Rollback ----


@pytest.mark.parametrize("unknown", ANSWERED)
@pytest.mark.parametrize("role", list(Role))
def test_data_that_is_missing_for_two_intervals_goes_back(role: Role, unknown: Unknown) -> None:
    world = begun(plan(role, "Rollback"))
    world.run(30)
    world.read("latency", unknown)
    world.run(PATIENCE - 0.001)
    assert world.status.state in (State.PROGRESSING, State.HOLDING)
    assert the(world).verdict is Verdict.UNKNOWN

    world.run_until(State.ROLLED_BACK, within=0.002)

    assert world.status.rollback is not None
    assert world.status.rollback.reason is Reason.WITHOUT_DATA
    assert "no data for 20s counts as a breach (onNoData: Rollback)" in world.status.rollback.message
    assert (the(world).verdict, the(world).unknown) == (Verdict.FAIL, unknown)
    assert Reason.WITHOUT_DATA in world.reasons


@pytest.mark.parametrize("unknown", UNANSWERED)
@pytest.mark.parametrize("role", list(Role))
def test_a_prometheus_that_does_not_answer_counts_after_two_minutes_and_not_before(
    role: Role, unknown: Unknown
) -> None:
    world = begun(plan(role, "Rollback"))
    world.read("latency", unknown)
    world.run(119.9)
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)

    world.run_until(State.ROLLED_BACK, within=0.2)


def test_an_alert_that_part_of_prometheus_cannot_be_asked_for_is_waited_for_as_long() -> None:
    """A store that is away, say: Prometheus answers, and warns that its answer is not whole."""
    trigger = {"severity": "Critical", "alert": "DataLoss", "onNoData": "Rollback"}
    world = World(document([phase("half", 50, "1h", success=[], rollbackOn=[])], rollback={"triggers": [trigger]}))
    key = ReadingKey("alert:DataLoss")
    world.values[key] = Reading(0.0)
    world.run_to_phase("half")
    world.values[key] = Reading(0.0, message="a store is away")
    world.run(119)
    assert world.status.state is State.HOLDING
    assert the(world).unknown is Unknown.NO_DATA
    world.run_until(State.ROLLED_BACK, within=1.1)


def test_an_alert_that_now_one_part_and_now_all_of_prometheus_does_not_answer_for_is_waited_for_no_longer() -> None:
    trigger = {"severity": "Critical", "alert": "DataLoss", "onNoData": "Rollback"}
    world = World(document([phase("half", 50, "1h", success=[], rollbackOn=[])], rollback={"triggers": [trigger]}))
    key = ReadingKey("alert:DataLoss")
    world.values[key] = Reading(0.0)
    world.run_to_phase("half")
    for part in range(4):
        away = Reading(0.0, message="a store is away"), Reading(None, Unknown.TIMEOUT, "no answer within 10 s")
        world.values[key] = away[part % 2]
        world.run(29.9)
        assert world.status.state in (State.PROGRESSING, State.HOLDING)
    world.run_until(State.ROLLED_BACK, within=10)


@pytest.mark.parametrize("unknown", TO_BE_MENDED)
def test_what_a_person_has_to_mend_is_waited_for(unknown: Unknown) -> None:
    world = begun(plan(Role.TRIGGER, "Rollback"))
    world.read("latency", unknown)
    world.run(1000)

    assert world.status.state is State.HOLDING


def test_an_outage_does_not_count_towards_what_is_missing_after_it() -> None:
    """A Prometheus that has started again has no data yet: that is another matter than an outage."""
    world = begun(plan(Role.TRIGGER, "Rollback"))
    world.read("latency", Unknown.UNREACHABLE)
    world.run(110)
    world.read("latency", Unknown.NO_DATA)
    world.run(10)
    assert world.status.state is State.HOLDING
    world.read("latency", 0.5)
    world.run(10)

    assert world.status.state is State.PROGRESSING


def test_data_that_comes_back_in_time_is_no_breach() -> None:
    world = begun(plan(Role.ROLLBACK_ON, "Rollback"))
    for _ in range(5):
        world.read("latency", Unknown.NO_DATA)
        world.run(15)
        world.read("latency", 0.5)
        world.run(10)

    assert world.status.state is State.PROGRESSING
    assert the(world).lacking_since is None


def test_a_longer_for_is_waited_for_as_well() -> None:
    world = begun(plan(Role.ROLLBACK_ON, "Rollback", **{"for": "1m"}))
    world.read("latency", Unknown.NO_DATA)
    world.run(59)
    assert world.status.state is State.HOLDING
    world.run_until(State.ROLLED_BACK, within=1.1)


@pytest.mark.parametrize("role", list(Role))
def test_a_phase_younger_than_the_window_is_not_gone_back_from(role: Role) -> None:
    """What new could be counted by takes a window to come about."""
    world = World(plan(role, "Rollback", window="60s"))
    world.read("latency", Unknown.NO_DATA)
    world.run_to_phase("half")
    world.run(79)
    assert world.status.state in (State.PROGRESSING, State.HOLDING)
    world.run_until(State.ROLLED_BACK, within=1.1)


def test_before_the_start_new_has_nothing_to_be_judged_by() -> None:
    world = World(plan(Role.TRIGGER, "Rollback"))
    world.edit(suspend=True)
    world.read("latency", Unknown.NO_DATA)
    world.run(300)
    world.edit(suspend=False)
    world.run(5)

    assert world.status.state is State.PROGRESSING


def test_data_of_old_that_is_missing_is_waited_for() -> None:
    """To go back to a system that nobody can see is no way out."""
    world = begun(plan(Role.ROLLBACK_ON, "Rollback", relativeTo="Old"))
    world.read("latency", Unknown.NO_DATA, Side.OLD)
    world.run(300)
    assert world.status.state is State.HOLDING
    world.read("latency", Unknown.NO_DATA)
    world.run_until(State.ROLLED_BACK, within=30)


@pytest.mark.parametrize("role", [Role.SUCCESS, Role.ROLLBACK_ON])
def test_in_a_phase_that_holds_a_person_decides(role: Role) -> None:
    document = plan(role, "Rollback", duration="1h")
    document["phases"][0]["onFailure"] = "Hold"
    world = begun(document)
    world.read("latency", Unknown.NO_DATA)
    world.run(30)

    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.AWAITING_DECISION)
    place = "success" if role is Role.SUCCESS else "rollbackOn"
    assert f"({place} of phase half)" in world.status.message
    incident = world.status.incident
    assert incident is not None
    world.run(600)
    assert world.status.incident == incident, "what has no data is not clear, and the same deadline stands"
    world.read("latency", 0.5)
    world.run(301)
    assert world.status.incident is None
    assert world.status.state is State.PROGRESSING


@pytest.mark.parametrize("role", [Role.SUCCESS, Role.ROLLBACK_ON])
def test_a_phase_that_steps_back_does_so(role: Role) -> None:
    document = plan(role, "Rollback")
    document["phases"].insert(0, phase("small", 10, "1m", success=[], rollbackOn=[]))
    document["phases"][1]["onFailure"] = "StepBack"
    world = begun(document, "half")
    world.read("latency", Unknown.NO_DATA)
    world.run(25)

    assert world.status.step_back is not None
    assert world.status.phase is not None
    assert world.status.phase.name == "small"


def test_a_trigger_does_what_its_severity_says() -> None:
    world = begun(plan(Role.TRIGGER, "Rollback", severity="High"))
    world.read("latency", Unknown.NO_DATA)
    world.run(25)
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.ROLLBACK_DUE)
    world.run_until(State.ROLLED_BACK, within=3700)
    assert world.status.rollback is not None
    assert world.status.rollback.reason is Reason.INCIDENT_OVERDUE


def test_a_restart_of_the_operator_does_not_forget_for_how_long_there_was_no_data() -> None:
    world = begun(plan(Role.TRIGGER, "Rollback", **{"for": "5m"}))
    world.read("latency", Unknown.NO_DATA)
    world.run(200)
    world.restart()
    world.run_until(State.ROLLED_BACK, within=101)


# ---- Ignore ----


@pytest.mark.parametrize("unknown", [Unknown.NO_DATA, Unknown.NOT_A_NUMBER, Unknown.STALE])
@pytest.mark.parametrize("role", list(Role))
def test_what_is_ignored_holds_nothing_and_says_so(role: Role, unknown: Unknown) -> None:
    world = begun(plan(role, "Ignore", duration="5m"))
    world.read("latency", unknown)
    world.run(30)

    criterion = the(world)
    assert (criterion.verdict, criterion.unknown) == (Verdict.UNKNOWN, Unknown.IGNORED)
    assert criterion.message.startswith("ignored without data, for 30s (onNoData: Ignore): latency: asked, but ")
    assert world.status.health is None
    assert world.reasons.count(Reason.CRITERION_IGNORED) == 1
    world.run_until(State.COMPLETED, within=300)
    assert Reason.CRITERIA_UNKNOWN not in world.reasons


@pytest.mark.parametrize("role", list(Role))
def test_what_is_ignored_never_becomes_a_matter_for_a_person(role: Role) -> None:
    world = begun(plan(role, "Ignore", duration="3h"))
    world.read("latency", Unknown.NO_DATA)
    world.run(2 * 3600)

    assert world.status.incident is None
    assert world.status.state is State.PROGRESSING


@pytest.mark.parametrize("unknown", [*UNANSWERED, *TO_BE_MENDED, Unknown.INFINITE, Unknown.MANY_SERIES])
@pytest.mark.parametrize("role", list(Role))
def test_only_data_that_is_not_there_is_ignored(role: Role, unknown: Unknown) -> None:
    """A Prometheus that cannot be asked may well have data that speaks against new."""
    world = begun(plan(role, "Ignore", duration="1m"))
    world.read("latency", unknown)
    world.run(300)

    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)


def test_what_last_spoke_against_new_is_not_ignored() -> None:
    """Else a source that dies would pass what it has just failed."""
    world = begun(plan(Role.SUCCESS, "Ignore", duration="1m"))
    world.read("latency", 7.0)
    world.run(100)
    world.read("latency", Unknown.NO_DATA)
    world.run(600)
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_UNKNOWN)
    world.read("latency", 0.5)
    world.run(1)
    assert world.status.state is State.COMPLETED


def test_a_breach_that_is_running_up_is_not_ignored() -> None:
    world = begun(plan(Role.ROLLBACK_ON, "Ignore", **{"for": "30s"}))
    world.read("latency", 7.0)
    world.run(15)
    world.read("latency", Unknown.NO_DATA)
    world.run(100)
    assert world.status.state is State.HOLDING
    world.read("latency", 7.0)
    world.run_until(State.ROLLED_BACK, within=1)


def test_what_was_ignored_is_judged_as_soon_as_there_is_data() -> None:
    world = begun(plan(Role.ROLLBACK_ON, "Ignore", duration="1h"))
    world.read("latency", Unknown.NO_DATA)
    world.run(100)
    world.read("latency", 0.5)
    world.run(10)
    assert the(world).verdict is Verdict.PASS
    assert world.status.health is Health.HEALTHY
    world.read("latency", 7.0)
    world.run_until(State.ROLLED_BACK, within=1)


def test_an_incident_is_not_kept_open_by_what_is_ignored() -> None:
    """It was in for a Prometheus that did not answer; it does again, and has no data, which is as it should be."""
    world = begun(plan(Role.TRIGGER, "Ignore", duration="1d"))
    world.read("latency", Unknown.UNREACHABLE)
    world.run(3700)
    assert world.status.incident is not None
    world.read("latency", Unknown.NO_DATA)
    world.run(330)

    assert world.status.incident is None


def test_an_incident_of_high_is_not_cleared_by_a_source_that_dies() -> None:
    world = begun(plan(Role.TRIGGER, "Ignore", severity="High"))
    world.read("latency", 7.0)
    world.run(10)
    world.read("latency", Unknown.NO_DATA)
    world.run_until(State.ROLLED_BACK, within=3700)


def test_what_comes_and_goes_is_told_once_an_hour() -> None:
    world = begun(plan(Role.TRIGGER, "Ignore", duration="3h"))
    for _ in range(10):
        world.read("latency", Unknown.NO_DATA)
        world.run(60)
        world.read("latency", 0.5)
        world.run(60)

    assert world.reasons.count(Reason.CRITERION_IGNORED) == 1


def test_other_criteria_are_judged_all_the_same() -> None:
    document = one_phase(
        success=[{"metric": "errors", "below": 1}, {"metric": "latency", "below": 1, "onNoData": "Ignore"}]
    )
    world = begun(document)
    world.read("latency", Unknown.NO_DATA)
    world.read("errors", 2.0)
    world.run(100)
    assert (world.status.state, world.status.reason) == (State.HOLDING, Reason.CRITERIA_NOT_MET)
    world.read("errors", 0.5)
    world.run_until(State.COMPLETED, within=20)


# ---- whatever comes, in whatever order ----

_MISSING = frozenset({Unknown.NO_DATA, Unknown.NOT_A_NUMBER, Unknown.STALE})
looks = st.lists(
    st.tuples(
        st.sampled_from([0.0, 5.0, 10.0, 15.0, 60.0, 130.0]),
        st.one_of(st.sampled_from([0.5, 7.0]), st.sampled_from([*ANSWERED, *UNANSWERED, *TO_BE_MENDED])),
    ),
    max_size=25,
)


def _verdicts(
    role: Role, on_no_data: str, steps: list[tuple[float, float | Unknown]], **criterion: Any
) -> list[tuple[float, float | Unknown, CriterionStatus]]:
    """What one criterion says at each look: when, what was read, and its status."""
    spec = parse(plan(role, on_no_data, **criterion))
    (question,) = criteria.questions(spec, spec.phases[0])
    told, before, now = [], None, START
    for seconds, value in steps:
        now += seconds
        reading = Reading(None, value, "why") if isinstance(value, Unknown) else Reading(value)
        before = criteria.judge(question, {ReadingKey("latency"): reading}, before, now, START)
        told.append((now, value, before))
    return told


@given(role=st.sampled_from(Role), steps=looks, lasting=st.sampled_from(["0s", "12s"]))
def test_what_is_ignored_has_been_missing_for_a_while_and_did_not_speak_against_new(
    role: Role, steps: list[tuple[float, float | Unknown]], lasting: str
) -> None:
    held = _verdicts(role, "Hold", steps, **{"for": lasting})
    ignored = _verdicts(role, "Ignore", steps, **{"for": lasting})
    for number, ((now, value, one), (_, _, other)) in enumerate(zip(held, ignored, strict=True)):
        assert other.verdict is one.verdict, "to ignore is to leave Unknown what is Unknown"
        assert other.held_since == one.held_since
        if other.unknown is not Unknown.IGNORED:
            assert other.unknown is one.unknown
            continue
        assert value in _MISSING
        since = now
        for at, earlier, _ in reversed(held[: number + 1]):
            if earlier not in _MISSING:
                break
            since = at
        assert now - since >= PATIENCE
        judged = [each.verdict for _, _, each in held[:number] if each.verdict is not Verdict.UNKNOWN]
        assert judged[-1:] != [Verdict.FAIL]


@given(role=st.sampled_from(Role), steps=looks, lasting=st.sampled_from(["0s", "45s"]))
def test_what_goes_back_for_want_of_data_has_had_none_for_as_long_as_is_waited(
    role: Role, steps: list[tuple[float, float | Unknown]], lasting: str
) -> None:
    held = _verdicts(role, "Hold", steps, **{"for": lasting})
    back = _verdicts(role, "Rollback", steps, **{"for": lasting})
    for number, ((now, value, one), (_, _, other)) in enumerate(zip(held, back, strict=True)):
        if other.unknown is None or other.verdict is Verdict.UNKNOWN:
            assert (other.verdict, other.unknown) == (one.verdict, one.unknown)
            continue
        assert other.verdict is Verdict.FAIL
        assert one.verdict is Verdict.UNKNOWN
        kinds = next(each for each in (ANSWERED, UNANSWERED) if value in each)
        since = now
        for at, earlier, _ in reversed(held[: number + 1]):
            if earlier not in kinds:
                break
            since = at
        patience = max(PATIENCE if kinds is ANSWERED else 120.0, 45.0 if lasting == "45s" else 0.0)
        assert now - since >= patience

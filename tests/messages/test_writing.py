"""What messages say: in each language all that the plan asks for, and templates of one's own instead."""

from __future__ import annotations

import re
from typing import Any

import pytest

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import (
    IncidentStatus,
    MessageStatus,
    PastResult,
    PhaseStatus,
    RollbackStatus,
    StepStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import (
    FollowUpAbout,
    Language,
    MessageEvent,
    Reason,
    Role,
    Severity,
    State,
    Step,
    StepState,
    Verdict,
)
from syncrollout.messages.facts import About
from syncrollout.messages.writing import BUILT_IN, LONGEST_TITLE, Written, keys, write

AT = 1_764_550_800.0  # 2025-12-01 01:00 UTC
DAY = 86_400.0
EVERY = [(event, language) for event in MessageEvent for language in Language]


def _spec(**more: Any) -> SyncRolloutSpec:
    def phase(name: str, weight: int, days: int, **rest: Any) -> dict[str, Any]:
        success = [{"metric": "error-rate", "below": 1}]
        return {"name": name, "weight": weight, "duration": f"{days}d", "success": success} | rest

    channel = {"name": "chat", "urlFrom": {"name": "urls", "key": "chat"}}
    return SyncRolloutSpec.model_validate(
        {
            "old": {"workload": {"kind": "Deployment", "name": "sync-v1"}, "service": "sync-v1"},
            "new": {"workload": {"kind": "Deployment", "name": "sync-v2"}, "service": "sync-v2"},
            "traffic": {
                "routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "sync"}]
            },
            "prometheus": {"address": "http://prometheus:9090"},
            "metrics": [{"name": "error-rate", "unit": "percent", "query": "errors"}],
            "phases": [
                phase("parallel-run", 0, 7, mode="Shadow", description="Both run."),
                phase("small-traffic", 10, 3),
                phase("full-traffic", 100, 7),
            ],
            "rollback": {"triggers": [{"severity": "Critical", "metric": "error-rate", "above": 10}]},
            "notifications": {
                "audiences": [{"name": name, "channels": [channel]} for name in ("team", "stakeholders")],
            },
        }
        | more
    )


def _status(**more: Any) -> SyncRolloutStatus:
    status = SyncRolloutStatus(
        state=State.PROGRESSING,
        message="Phase 2/3 small-traffic runs",
        weight=10,
        run=1,
        in_flight=True,
        started=AT - 7 * DAY,
        phase=PhaseStatus(name="small-traffic", index=2, label="2/3 small-traffic", weight=10, entered=AT),
    )
    return status.model_copy(update=more)


def _rolled_back(state: State = State.ROLLED_BACK) -> SyncRolloutStatus:
    return _status(
        state=state,
        weight=0,
        message="Rolled back: new has 0 %",
        rollback=RollbackStatus(
            reason=Reason.TRIGGER_BREACHED,
            message="error-rate reads 12 percent",
            decided=AT,
            from_phase="small-traffic",
            from_weight=10,
            confirmed=AT + 60,
            steps=(
                StepStatus(name=Step.VERIFY_DATA, state=StepState.SUCCEEDED, budget_seconds=900, message="0 lost"),
                StepStatus(name=Step.EVIDENCE, budget_seconds=60, config_map="sync-incident-1"),
            ),
        ),
    )


def _message(event: MessageEvent, **more: Any) -> MessageStatus:
    result = PastResult(
        role=Role.SUCCESS, metric="error-rate", limit="below 1 percent", verdict=Verdict.PASS, reading=0.3, baseline=0.4
    )
    message = MessageStatus(
        id="3-x",
        event=event,
        severity=Severity.HIGH,
        time=AT,
        run=1,
        phase="2/3 small-traffic",
        before="1/3 parallel-run",
        weight=10,
        text="error-rate reads 12 percent",
        next="full-traffic 2025-12-04T01:00:00Z",
        results=(result,),
    )
    return message.model_copy(update=more)


def _write(
    event: MessageEvent,
    language: Language = Language.EN,
    status: SyncRolloutStatus | None = None,
    spec: SyncRolloutSpec | None = None,
    **more: Any,
) -> Written:
    about = About("sync", "listings", spec or _spec(), status or _status())
    return write(about, _message(event, **more), "team", language)


@pytest.mark.parametrize(("event", "language"), EVERY)
def test_each_message_is_there_in_each_language(event: MessageEvent, language: Language) -> None:
    extra = {"about": FollowUpAbout.FIRST_CAUSE, "level": "level-2"}
    written = _write(event, language, _rolled_back(), **extra)
    assert written.wrong == ""
    assert "sync" in written.title
    assert "{" not in written.title + written.body
    assert "\n\n\n" not in written.body
    assert not re.search(r"[^\n]- \*\*", written.body), "each point is a line of its own"
    japanese = re.search(r"[\u3040-\u30ff]", written.body) is not None
    assert japanese is (language is Language.JA)


@pytest.mark.parametrize(("event", "language"), EVERY)
def test_each_message_can_be_written_when_next_to_nothing_is_known(event: MessageEvent, language: Language) -> None:
    bare = MessageStatus(id="1-x", event=event, severity=Severity.LOW, time=AT, run=1)
    written = write(About("sync", "listings", _spec(), SyncRolloutStatus()), bare, "nobody", language)
    assert written.title
    assert written.body.strip()


def test_a_start_says_when_how_long_what_it_means_for_users_and_what_happens_on_trouble() -> None:
    body = _write(MessageEvent.STARTED, status=SyncRolloutStatus()).body
    for told in (
        "2025-12-01 01:00 UTC",
        "17d at least, so not before 2025-12-18 01:00 UTC",
        "HTTPRoute sync in namespace listings",
        "- parallel-run: 0 %, from 2025-12-01 01:00 UTC, 7d - none: new works on copies",
        "Both run.",
        "- small-traffic: 10 %, from 2025-12-08 01:00 UTC, 3d - about 10 % of the work is done by new",
        "- Critical: error-rate above 10 percent",
    ):
        assert told in body, told


def test_a_change_of_phase_says_results_weights_and_the_next_step_with_its_date() -> None:
    body = _write(MessageEvent.PHASE_CHANGED).body
    for told in (
        "**Weights:** new 10 %, old 90 %",
        "**Next:** full-traffic, not before 2025-12-04 01:00 UTC",
        "- error-rate: 0.3 % (old: 0.4 %, -25 %), below 1 percent: Pass",
    ):
        assert told in body, told


def test_the_next_date_is_a_guess_until_the_weights_stand() -> None:
    body = _write(MessageEvent.PHASE_CHANGED, next="full-traffic").body
    assert "**Next:** full-traffic, not before 2025-12-04 01:00 UTC" in body


def test_dates_go_by_the_windows_and_the_time_zone_of_the_schedule() -> None:
    window = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "10:00", "to": "17:00"}
    spec = _spec(schedule={"timezone": "Asia/Tokyo", "windows": [window]})
    standing = PhaseStatus(name="small-traffic", index=2, label="2/3 small-traffic", weight=10, entered=AT, since=AT)
    status = _status(phase=standing.model_copy(update={"since": AT + 2 * DAY}))
    body = _write(MessageEvent.PHASE_CHANGED, status=status, spec=spec).body
    assert "**When:** 2025-12-01 10:00 JST" in body
    assert "**Next:** full-traffic, not before 2025-12-08 10:00 JST" in body, "the 6th is a Saturday"


def test_a_rollback_says_cause_scope_state_and_when_one_hears_more() -> None:
    body = _write(MessageEvent.ROLLED_BACK, status=_rolled_back()).body
    for told in (
        "**Cause:** error-rate reads 12 percent",
        "new had 10 % in phase small-traffic",
        "**Present state:** RolledBack, new has 0 %",
        "- VerifyData: Succeeded - 0 lost",
        "ConfigMap sync-incident-1",
        "- 2025-12-01 01:30 UTC: first cause",
        "- 2025-12-01 03:00 UTC: detailed cause",
    ):
        assert told in body, told
    assert "report\n" not in body.split("You will hear more")[1]  # that one is for stakeholders


def test_one_that_is_told_late_says_nothing_of_a_scope_that_is_not_known_any_more() -> None:
    for language in Language:
        body = _write(MessageEvent.ROLLED_BACK, language=language).body
        assert "HTTPRoute" in body
        assert "in phase" not in body
        assert "の時点" not in body


def test_the_end_says_how_long_it_took_and_how_new_does_beside_old() -> None:
    body = _write(MessageEvent.COMPLETED, weight=100).body
    assert "**It took:** 7d, since 2025-11-24 01:00 UTC" in body
    assert "(old: 0.4 %, -25 %)" in body


def test_a_decision_that_is_needed_says_by_when_and_how() -> None:
    incident = IncidentStatus(severity=Severity.MEDIUM, criterion="x", message="x", since=AT, deadline=AT + DAY)
    body = _write(MessageEvent.DECISION_NEEDED, status=_status(incident=incident), severity=Severity.MEDIUM).body
    assert "**Decide by:** 2025-12-02 01:00 UTC" in body
    assert "kubectl syncrollout decide sync continue -n listings" in body


def test_japanese_has_dates_numbers_and_limits_as_they_are_written_there() -> None:
    body = _write(MessageEvent.PHASE_CHANGED, Language.JA).body
    assert "2025年12月01日 01:00 UTC" in body
    assert "- error-rate: 0.3 %(旧システム: 0.4 %、-25 %) / 基準: 1%未満 → 適合" in body
    assert "17日" in _write(MessageEvent.STARTED, Language.JA).body


def test_a_template_of_ones_own_is_used_and_a_broken_one_keeps_nothing_back() -> None:
    about, message = About("sync", "listings", _spec(), _status()), _message(MessageEvent.STARTED)
    own = {"Started.en": "Hello {{ audience }}, {{ name }} at {{ weight }} %", "Started.en.title": "{{ name.upper() }}"}
    written = write(about, message, "team", Language.EN, own)
    assert written.body == "Hello team, sync at 10 %\n"
    assert written.title == "sync: the migration has started"
    assert written.wrong.startswith("Started.en.title: line 1: a call cannot be used")


def test_titles_are_one_line_and_bounded() -> None:
    about = About("sync", "listings", _spec(), _status())
    own = {"Started.en.title": "{{ text }}\n{{ text }}"}
    written = write(about, _message(MessageEvent.STARTED, text="long " * 200), "team", Language.EN, own)
    assert "\n" not in written.title
    assert len(written.title) <= LONGEST_TITLE


def test_every_event_has_its_keys() -> None:
    assert keys(MessageEvent.ROLLED_BACK, Language.JA) == ("RolledBack.ja.title", "RolledBack.ja")
    assert all(BUILT_IN[language].keys() == set(MessageEvent) for language in Language)

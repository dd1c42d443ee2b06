"""The operator's own metrics, as a Prometheus would read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from syncrollout.api.status import (
    CriterionStatus,
    DeliveryStatus,
    DrillRun,
    DrillStatus,
    MessageStatus,
    NotificationsStatus,
    PhaseStatus,
    RollbackStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import DeliveryState, DrillCause, DrillMode, DrillResult, Reason, Role, State, Verdict
from syncrollout.decide.deliveries import Delivered
from syncrollout.observe.alerts import Taken
from syncrollout.runtime import metrics_page
from syncrollout.runtime.metrics_page import markdown
from syncrollout.runtime.receiver import Outcome
from syncrollout.runtime.telemetry import Telemetry

ROOT = Path(__file__).parents[2]


class Watch:
    """A wall clock that stands where it is put."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Watch:
    return Watch(1000.0)


@pytest.fixture
def telemetry(clock: Watch) -> Telemetry:
    return Telemetry(clock)


def read(telemetry: Telemetry, name: str, /, **labels: str) -> dict[tuple[str, ...], float]:
    """Values of the series of that name which have these labels, by the values of their other labels."""
    text = generate_latest(telemetry.registry).decode()
    return {
        tuple(value for key, value in sample.labels.items() if key not in labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    }


def criterion(metric: str, role: Role, verdict: Verdict, **more: Any) -> CriterionStatus:
    return CriterionStatus(
        id=f"{role}-{metric}-{more.get('threshold')}",
        role=role,
        metric=metric,
        limit="",
        verdict=verdict,
        since=0,
        **more,
    )


def status(phase: str | None = "small-traffic", index: int = 2, **more: Any) -> SyncRolloutStatus:
    standing = PhaseStatus(name=phase, index=index, label="", entered=0) if phase else None
    return SyncRolloutStatus(phase=standing, **more)


def rollback(decided: float, reason: Reason = Reason.TRIGGER_BREACHED) -> RollbackStatus:
    return RollbackStatus(reason=reason, message="", decided=decided)


def test_a_rollout_is_shown_where_it_is(telemetry: Telemetry) -> None:
    at = {"namespace": "listings", "name": "sync"}
    telemetry.observe_status("listings", "sync", status(state=State.PROGRESSING, weight=10))
    assert read(telemetry, "syncrollout_rollout_phase", **at) == {(): 2}
    assert read(telemetry, "syncrollout_rollout_weight", **at) == {(): 10}
    assert read(telemetry, "syncrollout_rollout_state", **at, phase="small-traffic") == {("Progressing",): 1}


def test_a_rollout_is_in_one_state_only(telemetry: Telemetry) -> None:
    telemetry.observe_status("a", "b", status(None, state=State.PENDING))
    telemetry.observe_status("a", "b", status(state=State.PROGRESSING))
    telemetry.observe_status("a", "b", status(state=State.ROLLING_BACK))
    assert read(telemetry, "syncrollout_rollout_state", namespace="a", name="b", phase="small-traffic") == {
        ("RollingBack",): 1
    }
    assert len(read(telemetry, "syncrollout_rollout_state")) == 1


def test_verdicts_and_readings_are_shown_and_go_when_they_are_no_more(telemetry: Telemetry) -> None:
    telemetry.observe_status(
        "a",
        "b",
        status(
            criteria=(
                criterion("errors", Role.SUCCESS, Verdict.PASS, reading=0.5),
                criterion("errors", Role.TRIGGER, Verdict.PASS, reading=0.5, threshold=5.0),
                criterion("errors", Role.TRIGGER, Verdict.FAIL, reading=0.5, threshold=0.1),
                criterion("duration", Role.SUCCESS, Verdict.UNKNOWN, reading=12.0, baseline=10.0),
            )
        ),
    )
    verdict = "syncrollout_criterion_verdict"
    assert read(telemetry, verdict, namespace="a", name="b", metric="errors", role="Success") == {(): 1}
    assert read(telemetry, verdict, namespace="a", name="b", metric="errors", role="Trigger") == {(): -1}
    assert read(telemetry, verdict, namespace="a", name="b", metric="duration", role="Success") == {(): 0}
    reading = "syncrollout_criterion_reading"
    assert read(telemetry, reading, namespace="a", name="b", side="New") == {("errors",): 0.5, ("duration",): 12.0}
    assert read(telemetry, reading, namespace="a", name="b", side="Old") == {("duration",): 10.0}

    telemetry.observe_status("a", "b", status(criteria=(criterion("errors", Role.SUCCESS, Verdict.UNKNOWN),)))
    assert read(telemetry, verdict, namespace="a", name="b", metric="errors") == {("Success",): 0}
    assert len(read(telemetry, verdict)) == 1
    assert read(telemetry, reading) == {}


def test_a_deleted_rollout_leaves_no_series(telemetry: Telemetry) -> None:
    before = read_names(telemetry)
    for name in ("b", "c"):
        telemetry.observe_status(
            "a", name, status(criteria=(criterion("errors", Role.SUCCESS, Verdict.PASS, reading=1.0),))
        )
    telemetry.forget("a", "b")
    assert 'name="b"' not in generate_latest(telemetry.registry).decode()
    assert 'name="c"' in generate_latest(telemetry.registry).decode()
    telemetry.forget("a", "c")
    telemetry.forget("a", "never-seen")
    assert read_names(telemetry) == before


def read_names(telemetry: Telemetry) -> set[str]:
    text = generate_latest(telemetry.registry).decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_a_rollback_is_counted_once_by_its_reason(telemetry: Telemetry, clock: Watch) -> None:
    total = "syncrollout_rollbacks_total"
    assert read(telemetry, total, reason="TriggerBreached") == {(): 0}  # known before the first, so increase() sees it
    for _ in range(3):
        telemetry.observe_status("a", "b", status(state=State.ROLLING_BACK, rollback=rollback(1001.0)))
    telemetry.observe_status("a", "b", status())
    telemetry.observe_status("a", "b", status(rollback=rollback(1050.0, Reason.NEW_DIED)))
    assert read(telemetry, total, reason="TriggerBreached") == {(): 1}
    assert read(telemetry, total, reason="NewDied") == {(): 1}


def test_a_rollback_that_another_process_decided_is_not_counted_again(telemetry: Telemetry, clock: Watch) -> None:
    telemetry.observe_status("a", "b", status(rollback=rollback(999.0)))
    clock.now = 2000.0
    telemetry.leading(True)
    telemetry.observe_status("a", "c", status(rollback=rollback(1999.0)))
    telemetry.observe_status("a", "d", status(rollback=rollback(2001.0)))
    assert sum(read(telemetry, "syncrollout_rollbacks_total").values()) == 1


def test_passes_are_counted_with_duration_and_lateness(telemetry: Telemetry) -> None:
    telemetry.pass_done(0.004, 0.0)
    telemetry.pass_done(0.02, 3.0)
    assert read(telemetry, "syncrollout_pass_seconds_count") == {(): 2}
    assert read(telemetry, "syncrollout_pass_seconds_sum") == {(): pytest.approx(0.024)}
    assert read(telemetry, "syncrollout_pass_lateness_seconds_bucket", le="2.5") == {(): 1}
    assert read(telemetry, "syncrollout_pass_lateness_seconds_bucket", le="5.0") == {(): 2}


def test_the_queue_is_asked_when_scraped(telemetry: Telemetry) -> None:
    waiting = [1, 2, 3]
    telemetry.queue_depth(lambda: len(waiting))
    assert read(telemetry, "syncrollout_queue_depth") == {(): 3}
    waiting.pop()
    assert read(telemetry, "syncrollout_queue_depth") == {(): 2}


def test_requests_are_counted_by_verb_resource_and_code(telemetry: Telemetry) -> None:
    telemetry.api_call("patch", "httproutes", 200, 0.02)
    telemetry.api_call("patch", "httproutes", 200, 0.02)
    telemetry.api_call("patch", "httproutes", 0, 5.0)
    telemetry.api_call("watch", "deployments", 200, 290.0)
    total = "syncrollout_api_requests_total"
    assert read(telemetry, total, verb="patch", resource="httproutes", code="200") == {(): 2}
    assert read(telemetry, total, verb="patch", resource="httproutes", code="0") == {(): 1}
    assert read(telemetry, total, verb="watch", resource="deployments", code="200") == {(): 1}
    # how long a watch lasts says nothing about how fast the API server is
    assert read(telemetry, "syncrollout_api_request_seconds_count", resource="deployments") == {}
    assert read(telemetry, "syncrollout_api_request_seconds_count", resource="httproutes") == {("patch",): 3}


def test_queries_are_counted_by_outcome_and_shared_ones_apart(telemetry: Telemetry) -> None:
    telemetry.query("ok", 0.01)
    telemetry.query("Timeout", 5.0)
    telemetry.query("ok", None)
    assert read(telemetry, "syncrollout_prometheus_queries_total") == {("ok",): 1, ("Timeout",): 1}
    assert read(telemetry, "syncrollout_prometheus_query_seconds_count") == {(): 2}
    assert read(telemetry, "syncrollout_prometheus_queries_shared_total") == {(): 1}


def test_leading(telemetry: Telemetry) -> None:
    assert read(telemetry, "syncrollout_leader") == {(): 0}
    telemetry.leading(True)
    assert read(telemetry, "syncrollout_leader") == {(): 1}
    telemetry.leading(False)
    assert read(telemetry, "syncrollout_leader") == {(): 0}


def test_every_name_has_the_prefix_and_a_description(telemetry: Telemetry) -> None:
    telemetry.observe_status("a", "b", status())
    telemetry.api_call("get", "pods", 200, 0.1)
    for family in text_string_to_metric_families(generate_latest(telemetry.registry).decode()):
        assert family.name.startswith(("syncrollout_", "process_")), family.name
        assert family.documentation.endswith("."), family.name
        assert not any(sample.name.endswith("_created") for sample in family.samples)


def _drilled(result: DrillResult, **more: Any) -> DrillStatus:
    last = DrillRun(mode=DrillMode.REHEARSE, cause=DrillCause.SCHEDULE, started=900, finished=942.5, result=result)
    return DrillStatus(last=last, next=5000, latest=8600, **more)


def test_the_last_drill_and_the_next_are_shown(telemetry: Telemetry) -> None:
    at = {"namespace": "a", "name": "b"}
    result, ended, took = (f"syncrollout_drill_{each}" for each in ("result", "finished_timestamp_seconds", "seconds"))
    coming = [f"syncrollout_drill_{each}_timestamp_seconds" for each in ("next", "latest")]
    telemetry.observe_status("a", "b", status(in_flight=True))
    assert [read(telemetry, name, **at) for name in (result, ended, took, *coming)] == [{}] * 5
    telemetry.observe_status("a", "b", status(in_flight=True, drill=_drilled(DrillResult.FAILED)))
    assert read(telemetry, result, **at) == {("Rehearse",): -1}
    assert [read(telemetry, name, **at) for name in (ended, took)] == [{(): 942.5}, {(): 42.5}]
    assert [read(telemetry, name, **at) for name in coming] == [{(): 5000}, {(): 8600}]
    telemetry.observe_status("a", "b", status(in_flight=True, drill=_drilled(DrillResult.PASSED)))
    assert read(telemetry, result, **at) == {("Rehearse",): 1}
    telemetry.observe_status("a", "b", status(drill=_drilled(DrillResult.CUT_SHORT)))
    assert read(telemetry, result, **at) == {("Rehearse",): 0}
    assert [read(telemetry, name, **at) for name in coming] == [{}, {}], "there is nothing that could be drilled"
    telemetry.forget("a", "b")
    assert read(telemetry, result) == {}


def _undelivered() -> NotificationsStatus:
    lost = (
        DeliveryStatus(audience="team", channel="chat", state=DeliveryState.SENT),
        DeliveryStatus(audience="team", channel="sms", state=DeliveryState.UNCONFIRMED),
    )
    message = {"id": "3-Started", "event": "Started", "severity": "Low", "time": 0, "run": 1, "deliveries": lost}
    return NotificationsStatus(messages=(MessageStatus.model_validate(message),))


def test_messages_that_are_lost_or_on_their_way_are_counted(telemetry: Telemetry) -> None:
    of, at = "syncrollout_rollout_messages", {"namespace": "a", "name": "b"}
    telemetry.observe_status("a", "b", status(notifications=_undelivered()))
    assert read(telemetry, of, **at) == {("team", "sms", "Unconfirmed"): 1}
    telemetry.observe_status("a", "b", status())
    assert read(telemetry, of, **at) == {}
    telemetry.message(Delivered.FAILED)
    assert read(telemetry, "syncrollout_message_attempts_total") == {
        ("Sent",): 0,
        ("Failed",): 1,
        ("Uncertain",): 0,
    }


def test_what_is_described_is_what_is_scraped(telemetry: Telemetry) -> None:
    judged = (criterion("errors", Role.SUCCESS, Verdict.PASS, reading=1.0),)
    shown = status(criteria=judged, in_flight=True, drill=_drilled(DrillResult.PASSED), notifications=_undelivered())
    telemetry.observe_status("a", "b", shown)
    telemetry.api_call("get", "pods", 200, 0.1)
    telemetry.query("ok", 0.1)
    telemetry.query("ok", None)
    telemetry.monitored("a", "b", True)
    scraped = {}
    for family in text_string_to_metric_families(generate_latest(telemetry.registry).decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("syncrollout_"):
            labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
            scraped[name] = (family.type, labels, family.documentation)
    assert scraped == {each.name: (each.kind, {frozenset(each.labels)}, each.text) for each in telemetry.described}


def test_two_in_one_process_do_not_mix() -> None:
    one, two = Telemetry(), Telemetry()
    one.pass_done(1.0, 1.0)
    assert read(two, "syncrollout_pass_seconds_count") == {(): 0}


def test_the_page_is_what_the_metrics_say() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text("utf-8") == markdown(), "run: make generate"


def test_a_label_that_the_page_does_not_explain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(metrics_page.LABELS, "outcome")
    with pytest.raises(ValueError, match="outcome"):
        markdown()


def test_what_is_pushed_is_counted_from_nought(telemetry: Telemetry) -> None:
    requests, alerts = "syncrollout_alertmanager_requests_total", "syncrollout_alertmanager_alerts_total"
    assert read(telemetry, requests) == {(each.value,): 0 for each in Outcome}
    telemetry.pushed(Outcome.UNAUTHORIZED)
    telemetry.alerts(Taken((), news=1, repeated=2, unasked=3))
    assert read(telemetry, requests)["unauthorized",] == 1
    assert read(telemetry, alerts) == {("news",): 1, ("repeated",): 2, ("unasked",): 3}


def test_whether_rules_and_dashboards_stand_is_shown_where_they_are_asked_for(telemetry: Telemetry) -> None:
    of, at = "syncrollout_monitoring_applied", {"namespace": "a", "name": "b"}
    telemetry.monitored("a", "b", None)
    assert read(telemetry, of, **at) == {}
    for applied, shown in ((True, {(): 1}), (False, {(): 0}), (None, {})):
        telemetry.monitored("a", "b", applied)
        assert read(telemetry, of, **at) == shown

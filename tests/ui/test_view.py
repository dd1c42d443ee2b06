"""What the page shows of a rollout, from spec and status alone: and nothing that it must not show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncrollout.cli import rollout as reading
from syncrollout.ui.rows import Mark, mark, order, row
from syncrollout.ui.view import view

SPEC: dict[str, Any] = {
    "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
    "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
    "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
    "prometheus": {
        "address": "http://prometheus.example:9090",
        "bearerToken": {"name": "secret-of-the-team", "key": "token"},
    },
    "metrics": [
        {"name": "errors", "unit": "percent", "query": 'max(errors{workload="$workload",password="hunter2"})'},
        {"name": "duration", "unit": "seconds", "query": 'max(duration{workload="$workload"})'},
    ],
    "phases": [
        {"name": "small", "weight": 10, "duration": "1h", "success": [{"metric": "errors", "below": 1}]},
        {
            "name": "half",
            "weight": 50,
            "duration": "2h",
            "deadline": "4h",
            "rollbackOn": [{"metric": "duration", "atLeast": 2, "relativeTo": "Old", "for": "5m"}],
        },
        {"name": "all", "weight": 100, "duration": "3h"},
    ],
    "rollback": {"triggers": [{"severity": "High", "metric": "errors", "above": 5}, {"severity": "Low", "alert": "A"}]},
}
TEN, ELEVEN = "2026-03-01T10:00:00.000Z", "2026-03-01T11:00:00.000Z"
AT_TEN = 1_772_359_200.0
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "run": 1,
    "revision": "1",
    "state": "Progressing",
    "reason": "PhaseRunning",
    "message": "Phase 2/3 half: new has 50 %",
    "phase": {"name": "half", "index": 2, "label": "2/3 half", "weight": 50, "entered": ELEVEN, "since": ELEVEN,
              "earliestEnd": "2026-03-01T13:00:00.000Z"},
    "pastPhases": [{"name": "small", "weight": 10, "entered": TEN, "since": TEN, "ended": ELEVEN, "end": "Passed",
                    "results": [{"role": "Success", "metric": "errors", "limit": "below 1 percent", "verdict": "Pass",
                                 "reading": 0.2}]}],
    "weight": 50,
    "health": "Healthy",
    "inFlight": True,
    "started": TEN,
    "criteria": [
        {"id": "half/rollbackOn/0/duration", "role": "RollbackOn", "metric": "duration",
         "limit": "at least 2 times old", "verdict": "Pass", "reading": 1.0, "baseline": 2.0, "threshold": 4.0,
         "since": ELEVEN},
        {"id": "trigger/1/alert:A", "role": "Trigger", "severity": "Low", "metric": "alert:A", "limit": "firing",
         "verdict": "Pass", "since": ELEVEN},
        {"id": "gone/success/7/errors", "role": "Success", "metric": "errors", "limit": "below 9 percent",
         "verdict": "Unknown", "unknown": "NoData", "since": ELEVEN},
    ],
    "history": [
        {"sequence": 1, "run": 1, "time": TEN, "reason": "PhaseStarted", "message": "Phase 1/3 small started"},
        {"sequence": 2, "run": 1, "time": ELEVEN, "reason": "PhaseStarted", "message": "Phase 2/3 half started"},
    ],
}  # fmt: skip


def seen(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    raw = {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "generation": 1, "resourceVersion": "5"},
        "spec": {**SPEC, **(spec or {})},
        "status": {**STATUS, **status},
    }
    return view(raw, reading.parse(raw), AT_TEN + 2 * 3600)


def test_phases_have_their_dates_as_they_were_and_as_they_can_come() -> None:
    small, half, everything = seen()["timeline"]
    assert (small["state"], small["entered"], small["left"]) == ("passed", AT_TEN, AT_TEN + 3600)
    assert [(each["metric"], each["verdict"], each["reading"]) for each in small["results"]] == [
        ("errors", "Pass", 0.2)
    ]
    assert (half["state"], half["since"], half["earliestEnd"]) == ("current", AT_TEN + 3600, AT_TEN + 3 * 3600)
    assert (half["deadline"], half["onDeadline"]) == (AT_TEN + 5 * 3600, "Hold")
    assert (everything["state"], everything["notBefore"], everything["duration"]) == ("coming", AT_TEN + 10800, 10800)


def test_weights_are_those_that_new_was_to_have_when() -> None:
    gone = {"reason": "NewDied", "message": "m", "decided": "2026-03-01T11:30:00.000Z"}
    assert [(each["at"] - AT_TEN, each["weight"]) for each in seen()["weights"]] == [(0, 10), (3600, 50)]
    back = seen(state="RolledBack", rollback=gone, inFlight=False)
    assert [each["weight"] for each in back["weights"]] == [10, 50, 0]
    assert [each["state"] for each in back["timeline"]] == ["passed", "left", "coming"]
    assert seen(run=0, phase=None, pastPhases=[])["weights"] == []


def test_a_criterion_goes_with_its_limit_and_series_and_one_that_was_edited_away_with_neither() -> None:
    duration, alert, gone = seen()["criteria"]
    assert (duration["compares"], duration["number"], duration["relative"], duration["for"]) == (
        "at_least",
        2,
        True,
        300,
    )
    assert (duration["series"], duration["unit"], duration["threshold"]) == ("duration", "seconds", 4.0)
    assert (alert["series"], alert["compares"], alert["severity"]) == ("", "", "Low")
    assert (gone["series"], gone["compares"], gone["unknown"]) == ("", None, "NoData")


def test_an_incident_has_its_deadline_its_consequence_and_the_commands_filled_in() -> None:
    found = {
        "severity": "High",
        "criterion": "trigger/0/errors",
        "message": "errors are high",
        "since": TEN,
        "deadline": ELEVEN,
        "criteria": ["trigger/0/errors"],
    }
    shown = seen(state="Holding", reason="RollbackDue", incident=found)["incident"]
    assert (shown["deadline"], shown["coming"]) == (
        AT_TEN + 3600,
        "rollback 2026-03-01T11:00:00Z unless clear or overridden",
    )
    assert "kubectl syncrollout override web -m WHY -n shop" in [each["command"] for each in shown["commands"]]
    passed_over = seen(incident={**found, "deadline": None, "overridden": "a load test", "overriddenAt": TEN})
    assert (passed_over["incident"]["overridden"], passed_over["incident"]["coming"]) == ("a load test", "")


def test_steps_of_a_rollback_stand_against_their_budgets() -> None:
    steps = [
        {"name": "Switch", "state": "Succeeded", "budgetSeconds": 300, "started": TEN, "finished": ELEVEN},
        {"name": "VerifyData", "state": "Running", "budgetSeconds": 900, "started": ELEVEN, "output": "x" * 900},
    ]
    rollback = {"reason": "NewDied", "message": "m", "decided": TEN, "confirmed": ELEVEN, "steps": steps}
    first, second = seen(state="RollingBack", rollback=rollback)["rollback"]["steps"]
    assert (first["budget"], first["started"], first["finished"]) == (300, AT_TEN, AT_TEN + 3600)
    assert (second["state"], len(second["output"])) == ("Running", 600)


def test_no_query_no_credential_and_no_address_comes_out_and_what_looks_like_a_secret_is_masked() -> None:
    said = "http://admin:hunter2@host/ PASSWORD=hunter2"
    history = [{"sequence": 1, "run": 1, "time": TEN, "reason": "Resumed", "message": said}]
    text = json.dumps(seen(message="asked with Authorization: Bearer abcdefghijkl", history=history))
    for secret in ("hunter2", "abcdefghijkl", "secret-of-the-team", "prometheus.example", "max(errors"):
        assert secret not in text


def test_an_object_without_a_status_is_shown_as_not_looked_at_yet() -> None:
    raw = {"metadata": {"namespace": "shop", "name": "web", "generation": 1}, "spec": SPEC}
    shown = view(raw, reading.parse(raw), AT_TEN + 2 * 3600)
    assert (shown["state"], shown["message"]) == ("Pending", "The operator has not looked at it yet.")
    assert [phase["state"] for phase in shown["timeline"]] == ["coming", "coming", "coming"]
    assert not shown["seen"]


STALLED = [{"type": "Stalled", "status": "True", "reason": "RouteNotFound"}]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, Mark.COMING),
        ({"state": "Preflight"}, Mark.COMING),
        ({"state": "Preflight", "conditions": STALLED}, Mark.TROUBLE),
        ({"state": "Progressing"}, Mark.MOVING),
        ({"state": "Progressing", "incident": {"severity": "High"}}, Mark.TROUBLE),
        ({"state": "Progressing", "incident": {"severity": "High", "overridden": "why"}}, Mark.MOVING),
        ({"state": "Holding"}, Mark.WAITING),
        ({"state": "Paused"}, Mark.WAITING),
        ({"state": "SomethingOfALaterRelease"}, Mark.WAITING),
        ({"state": "RollingBack", "conditions": STALLED}, Mark.BACK),
        ({"state": "RolledBack", "conditions": STALLED}, Mark.RETURNED),
        ({"state": "Completed"}, Mark.DONE),
    ],
)
def test_the_mark_says_who_needs_looking_at(status: dict[str, Any], expected: Mark) -> None:
    assert mark(status) is expected


def test_rows_come_in_the_order_in_which_they_need_looking_at() -> None:
    def one(name: str, **status: Any) -> dict[str, Any]:
        return row({"metadata": {"namespace": "a", "name": name}, "spec": SPEC, "status": status})

    late = {"severity": "High", "deadline": "2026-03-01T12:00:00Z"}
    soon = {"severity": "High", "deadline": "2026-03-01T11:00:00Z"}
    rows = [
        one("done", state="Completed"),
        one("late", state="Holding", incident=late),
        one("going", state="Progressing"),
        one("soon", state="Holding", incident=soon),
    ]
    assert [each["name"] for each in sorted(rows, key=order)] == ["soon", "late", "going", "done"]
    assert rows[1]["phases"] == 3
    assert one("odd", conditions=[{}], incident={"deadline": "nonsense"})["deadline"] is None


def test_a_phase_says_who_has_to_let_it_end_and_who_has() -> None:
    phases = [{**each, "approval": "Required", "approvers": {"users": ["ann"]}} for each in SPEC["phases"]]
    small, half, everything = seen({"phases": phases}, approvalAsked={"entered": ELEVEN, "since": ELEVEN}, approvals=[
        {"phase": "small", "entered": TEN, "by": "ann", "reason": "looks good", "at": ELEVEN},
    ])["timeline"]  # fmt: skip
    assert small["approval"]["given"] == {"by": "ann", "at": AT_TEN + 3600, "reason": "looks good"}
    assert (half["approval"]["given"], half["approval"]["asked"]) == (None, AT_TEN + 3600)
    assert "ann" in everything["approval"]["who"]
    assert everything["approval"]["asked"] is None
    given = [{"phase": "half", "entered": ELEVEN, "by": "ann", "at": ELEVEN}]
    approved = seen({"phases": phases}, approvalAsked={"entered": ELEVEN, "since": ELEVEN}, approvals=given)
    assert approved["timeline"][1]["approval"]["given"]["by"] == "ann"
    assert seen()["timeline"][1]["approval"] is None


def test_phases_to_come_begin_when_the_calendar_allows_it() -> None:
    hours = {"days": ["Mon"], "from": "09:00", "to": "10:00"}  # the first of March 2026 is a Sunday
    shown = seen({"schedule": {"timezone": "UTC", "windows": [hours]}})["timeline"]
    assert shown[2]["notBefore"] == AT_TEN + 23 * 3600
    assert shown[2]["waits"]


def test_a_phase_that_is_held_past_its_time_puts_off_those_to_come() -> None:
    past = {**STATUS["phase"], "earliestEnd": "2026-03-01T11:30:00.000Z"}
    spec = {"phases": [{**each, "duration": "30m"} for each in SPEC["phases"]]}
    shown = seen(spec, state="Holding", phase=past)["timeline"]
    assert shown[2]["notBefore"] == AT_TEN + 2 * 3600


def test_the_checklist_is_shown_by_group_and_says_whether_it_is_waited_for() -> None:
    check = {"name": "tests", "group": "Code", "verdict": "Fail", "message": "nobody has confirmed", "since": TEN}
    said = {"check": "tests", "revision": "1", "by": "ann", "message": "green", "at": TEN, "taken": "x"}
    waits = seen(inFlight=False, state="Preflight", preflight={"revision": "1", "checks": [check]})["preflight"]
    assert (waits["waits"], waits["confirmed"]) == (True, [])
    assert [(each["group"], each["checks"][0]["name"]) for each in waits["groups"]] == [("Code", "tests")]
    over = seen(preflight={"revision": "1", "checks": [{**check, "verdict": "Pass"}], "attested": [said]})["preflight"]
    assert (over["waits"], over["confirmed"][0]["by"]) == (False, "ann")
    assert seen()["preflight"] is None


def test_messages_are_shown_with_what_has_become_of_them() -> None:
    deliveries = [
        {"audience": "team", "channel": "chat", "state": "Sent"},
        {"audience": "team", "channel": "mail", "state": "GivenUp", "error": "smtp://user:hunter2@mail refused"},
    ]
    message = {"id": "m1", "event": "Held", "severity": "High", "time": TEN, "run": 1, "deliveries": deliveries}
    alarm = {"id": "m1", "severity": "High", "since": TEN}
    shown = seen(notifications={"messages": [message], "alarm": alarm})["messages"]
    assert shown["told"][0]["deliveries"] == {"Sent": 1, "GivenUp": 1}
    assert shown["told"][0]["audiences"] == ["team"]
    assert "hunter2" not in shown["told"][0]["error"]
    assert (shown["alarm"]["ended"], shown["alarm"]["acknowledged"]) == (None, "")


def test_the_page_of_the_runbook_is_linked_where_it_has_an_address() -> None:
    published = {"monitoring": {"runbookBase": "https://wiki.example/runbook/"}}
    assert seen(published, reason="RollbackDue")["runbook"] == "https://wiki.example/runbook/RollbackDue.md"
    assert seen(published)["runbook"] is None, "all is well"
    assert seen(reason="RollbackDue")["runbook"] is None

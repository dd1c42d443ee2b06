"""`kubectl syncrollout status`."""

from __future__ import annotations

import copy
import json
import subprocess
from typing import Any

import pytest
import yaml

from backtest.plan import ROLLOUT
from cli.cluster import FakeCluster, Obj
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.cli import kubectl, picture, status
from syncrollout.cli.answers import Failed
from syncrollout.cli.kubectl import Kubectl, NotThere
from syncrollout.cli.moments import Here
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse

SINCE = "2026-01-05T10:00:00.000Z"
PHASE = {"name": "small", "index": 1, "label": "1/3 small", "weight": 10, "entered": SINCE}
STANDS = PHASE | {"since": SINCE, "earliestEnd": "2026-01-05T11:00:00.000Z"}
RUNNING: Obj = {
    "observedGeneration": 1,
    "run": 1,
    "revision": "1",
    "state": "Progressing",
    "reason": "PhaseRunning",
    "message": "Phase 1/3 small: new has 10 %",
    "health": "Healthy",
    "next": "medium 2026-01-05T11:00:00Z",
    "weight": 10,
    "phase": STANDS,
    "inFlight": True,
}
CRITERION: Obj = {
    "id": "trigger/0/duration",
    "role": "Trigger",
    "severity": "Medium",
    "metric": "duration",
    "limit": "above 2 seconds",
    "verdict": "Fail",
    "reading": 2.5,
    "threshold": 2,
    "message": "duration is 2.5 seconds",
    "since": SINCE,
}
INCIDENT: Obj = {
    "severity": "Medium",
    "criterion": "trigger/0/duration",
    "message": "duration is 2.5 seconds",
    "since": SINCE,
    "deadline": "2026-01-06T10:00:00.000Z",
}


def rollout(name: str = "move", **more: Any) -> Obj:
    """A SyncRollout as the API server has it; None takes a field of the status away."""
    made: Obj = yaml.safe_load(ROLLOUT)
    made["metadata"] = {"name": name, "namespace": "listings", "resourceVersion": "7", "generation": 1}
    changed = copy.deepcopy(RUNNING) | more
    made["status"] = {field: value for field, value in changed.items() if value is not None}
    return made


def drawn(obj: Obj, here: Here | None = None) -> list[str]:
    """The picture, each run of blanks as one."""
    return [" ".join(line.split()) for line in picture.lines(parse(obj), here or Here())]


def section(lines: list[str], title: str) -> list[str]:
    """The lines from that one to the next empty one."""
    begins = next(number for number, line in enumerate(lines) if line.startswith(title))
    rest = lines[begins:]
    return rest[: rest.index("")] if "" in rest else rest


def test_the_head_says_where_it_is_and_what_comes_next() -> None:
    assert drawn(rollout())[:4] == [
        "listings/move is Progressing: Phase 1/3 small: new has 10 %",
        "PhaseRunning, run 1 of revision 1: new has 10 %, criteria Healthy",
        "progress: [>..] phase 1 of 3, all over 2026-01-05T14:00:00Z at the earliest",
        "next: medium 2026-01-05T11:00:00Z",
    ]


def test_the_progress_line_has_a_mark_for_each_phase() -> None:
    def progress(**status: Any) -> list[str]:
        return [line for line in drawn(rollout(**status)) if line.startswith("progress: ")]

    medium = PHASE | {"name": "medium", "index": 2, "label": "2/3 medium"}
    assert progress(phase=medium) == ["progress: [#>.] phase 2 of 3"], "its weights do not stand yet"
    assert progress(phase=medium, state="RolledBack", inFlight=False) == ["progress: [#x.] phase 2 of 3"]
    assert progress(state="Completed", inFlight=False) == ["progress: [###] all 3 phases"]
    assert progress(phase=None) == progress(phase=PHASE | {"name": "gone"}) == []


def test_phases_that_are_over_have_their_dates() -> None:
    past = {"name": "small", "entered": SINCE, "since": SINCE, "ended": "2026-01-05T11:00:00.000Z", "end": "Passed"}
    medium = PHASE | {"name": "medium", "index": 2, "label": "2/3 medium"}
    rows = section(drawn(rollout(phase=medium, pastPhases=[past])), "Phases")
    assert rows[1] == "+ small 10 % passed, 2026-01-05T10:00:00Z to 2026-01-05T11:00:00Z"
    back = past | {"name": "medium", "end": "RolledBack"}
    rows = section(drawn(rollout(phase=medium, pastPhases=[past, back], state="RolledBack", inFlight=False)), "Phases")
    assert rows[2] == "x medium 50 % left, 2026-01-05T10:00:00Z to 2026-01-05T11:00:00Z"


def test_the_page_of_the_reason_is_named_where_there_is_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    stands = rollout(state="Holding", reason="AwaitingDecision")
    assert "runbook: docs/runbook/AwaitingDecision.md" in drawn(stands)
    assert not any(line.startswith("runbook: ") for line in drawn(rollout()))
    monkeypatch.setenv("KUBECTL_SYNCROLLOUT_RUNBOOK", "https://wiki.example.com/runbook/")
    assert "runbook: https://wiki.example.com/runbook/AwaitingDecision.md" in drawn(stands)
    stands["spec"]["monitoring"] = {"runbookBase": "https://our.example.com/r"}
    assert "runbook: https://our.example.com/r/AwaitingDecision.md" in drawn(stands)


def test_later_phases_have_the_earliest_dates_that_durations_allow() -> None:
    assert section(drawn(rollout()), "Phases") == [
        "Phases",
        "> small 10 % since 2026-01-05T10:00:00Z, not over before 2026-01-05T11:00:00Z",
        "medium 50 % not before 2026-01-05T11:00:00Z, lasts 2h",
        "full 100 % not before 2026-01-05T13:00:00Z, lasts 1h",
    ]


def test_no_date_is_promised_while_the_weights_do_not_stand() -> None:
    obj = rollout(phase=STANDS | {"name": "medium", "index": 2, "since": None, "earliestEnd": None})
    assert section(drawn(obj), "Phases") == [
        "Phases",
        "+ small 10 % passed",
        "> medium 50 % entered 2026-01-05T10:00:00Z, its weights do not stand yet",
        "full 100 % lasts 1h",
    ]


def test_the_deadline_of_a_phase_and_what_happens_then() -> None:
    obj = rollout()
    obj["spec"]["phases"][0] |= {"deadline": "3h", "onDeadline": "Rollback"}
    assert "to be over by 2026-01-05T13:00:00Z (else rollback)" in section(drawn(obj), "Phases")[1]


def test_phases_of_a_run_that_has_ended() -> None:
    completed = section(drawn(rollout(state="Completed")), "Phases")[1:]
    assert [line.split()[0] for line in completed] == ["+", "+", "+"]
    back = section(drawn(rollout(state="RolledBack", phase=STANDS | {"name": "medium", "index": 2})), "Phases")[1:]
    assert back == ["+ small 10 % passed", "x medium 50 % left", "full 100 %"]


def test_a_phase_that_is_gone_from_the_spec_is_named() -> None:
    obj = rollout(phase=STANDS | {"name": "gone", "label": "1/3 gone"})
    assert section(drawn(obj), "Phases")[-1] == "1/3 gone is not in spec.phases any more"


def test_each_criterion_has_its_verdict_and_its_reading_against_its_limit() -> None:
    good = CRITERION | {
        "id": "success/0",
        "role": "Success",
        "severity": None,
        "limit": "at most 1 times old",
        "verdict": "Pass",
        "baseline": 3.0,
        "threshold": 3.0,
        "message": "fine",
    }
    unknown = CRITERION | {
        "id": "x",
        "verdict": "Unknown",
        "reading": None,
        "unknown": "NoData",
        "message": "no series",
    }
    assert section(drawn(rollout(criteria=[good, CRITERION, unknown])), "Criteria")[1:] == [
        "VERDICT CRITERION LIMIT READING SINCE",
        "Pass Success duration at most 1 times old 2.5 against 3 (old has 3) 2026-01-05T10:00:00Z",
        "Fail Trigger Medium duration above 2 seconds 2.5 2026-01-05T10:00:00Z",
        "duration is 2.5 seconds",
        "Unknown Trigger Medium duration above 2 seconds NoData 2026-01-05T10:00:00Z",
        "no series",
    ]


def test_an_incident_has_its_deadline_and_the_commands_that_decide_of_it() -> None:
    obj = rollout(state="Holding", reason="AwaitingDecision", incident=INCIDENT)
    assert section(drawn(obj, Here(context="prod eu")), "Incident") == [
        "Incident of severity Medium since 2026-01-05T10:00:00Z: duration is 2.5 seconds",
        "a decision by 2026-01-06T10:00:00Z, else rollback",
        "to let it go on: kubectl syncrollout decide move continue -m WHY -n listings --context 'prod eu'",
        (
            "to send everything back to old: kubectl syncrollout decide move rollback -m WHY -n listings "
            "--context 'prod eu'"
        ),
        (
            "to let it go on in spite of the incident: kubectl syncrollout override move -m WHY -n listings "
            "--context 'prod eu'"
        ),
    ]


def test_an_incident_of_severity_high_is_not_to_be_continued_but_overridden() -> None:
    lines = section(drawn(rollout(incident=INCIDENT | {"severity": "High"})), "Incident")
    assert lines[1] == "rollback 2026-01-06T10:00:00Z unless clear or overridden"
    assert [line for line in lines if "continue" in line] == []
    assert any("syncrollout override move" in line for line in lines)


def test_an_overridden_incident_asks_nothing_of_anybody() -> None:
    over = {"deadline": None, "overridden": "known", "overriddenAt": SINCE}
    assert section(drawn(rollout(incident=INCIDENT | over)), "Incident")[1:] == [
        "overridden 2026-01-05T10:00:00Z: known"
    ]


def test_steps_of_a_rollback_have_their_time_against_their_budget() -> None:
    steps = [
        {
            "name": "Switch",
            "state": "Succeeded",
            "budgetSeconds": 300,
            "started": SINCE,
            "finished": "2026-01-05T10:00:42.000Z",
        },
        {
            "name": "VerifyData",
            "state": "Running",
            "budgetSeconds": 900,
            "started": SINCE,
            "deadline": "2026-01-05T10:15:42Z",
            "progress": "40 %",
        },
        {"name": "Restore", "budgetSeconds": 1800},
    ]
    back = {
        "reason": "TriggerBreached",
        "message": "many errors",
        "decided": SINCE,
        "fromWeight": 10,
        "confirmed": SINCE,
        "steps": steps,
    }
    assert section(drawn(rollout(state="RollingBack", rollback=back)), "Rollback") == [
        "Rollback decided 2026-01-05T10:00:00Z from 10 %: TriggerBreached: many errors",
        "everything at old: 2026-01-05T10:00:00Z",
        "STEP STATE TOOK BUDGET STARTED",
        "Switch Succeeded 42s 5m 2026-01-05T10:00:00Z",
        "VerifyData Running until 2026-01-05T10:15:42Z 15m 2026-01-05T10:00:00Z",
        "40 %",
        "Restore Waiting - 30m -",
    ]


def test_slots_reports_drills_and_what_is_stalled_are_shown_where_they_are() -> None:
    shards = {
        "configMap": "s",
        "epoch": 7,
        "newBelow": 100,
        "oldFrom": 500,
        "newReach": 100,
        "oldReach": 100,
        "stage": "Releasing",
        "since": SINCE,
        "deadline": SINCE,
        "waitingFor": ["old-1"],
    }
    report = {
        "number": 3,
        "run": 1,
        "phase": "small",
        "at": SINCE,
        "severity": "High",
        "by": "kim",
        "message": "half are gone",
    }
    drill = {"last": {"mode": "Rehearse", "cause": "Schedule", "started": SINCE, "result": "Failed", "message": "no"}}
    stalled = {
        "type": "Stalled",
        "status": "True",
        "observedGeneration": 1,
        "lastTransitionTime": SINCE,
        "reason": "RouteNotFound",
        "message": "there is no web",
    }
    lines = drawn(
        rollout(
            shards=shards,
            reports={"number": 3, "open": {"high": 1}, "latest": [report]},
            drill=drill | {"next": SINCE, "overdue": SINCE},
            conditions=[stalled, stalled | {"type": "Ready", "status": "False"}],
        )
    )
    assert section(lines, "Stalled") == ["Stalled since 2026-01-05T10:00:00Z: RouteNotFound: there is no web"]
    assert section(lines, "Shards") == [
        "Shards (ConfigMap s, epoch 7): Releasing since 2026-01-05T10:00:00Z",
        "new owns the slots below 100, old those from 500, 400 between them belong to nobody yet",
        "waits for old-1, until 2026-01-05T10:00:00Z",
    ]
    assert section(lines, "Reports") == [
        "Reports open in this phase: 1 High",
        "#3 2026-01-05T10:00:00Z High kim half are gone",
    ]
    assert section(lines, "Last drill") == [
        "Last drill 2026-01-05T10:00:00Z: Failed: no",
        "Next drill 2026-01-05T10:00:00Z",
        "Drill overdue since 2026-01-05T10:00:00Z",
    ]
    assert [line for line in drawn(rollout()) if line.startswith(("Stalled", "Shards", "Reports", "Last"))] == []


def test_a_drill_that_is_under_way() -> None:
    run = {"mode": "Rehearse", "cause": "Person", "started": SINCE}
    assert "Rehearse drill under way since 2026-01-05T10:00:00Z (Person)" in drawn(rollout(drill={"running": run}))
    live = run | {"mode": "Live", "stage": "Standing", "until": SINCE}
    assert drawn(rollout(drill={"running": live}))[-1] == (
        "Live drill under way since 2026-01-05T10:00:00Z (Person), Standing until 2026-01-05T10:00:00Z"
    )


def entry(number: int, reason: str = "PhaseStarted") -> Obj:
    return {"sequence": number, "run": 1, "time": SINCE, "reason": reason, "message": f"event {number}"}


def test_the_last_events_are_shown() -> None:
    lines = section(drawn(rollout(history=[entry(number) for number in range(1, 9)])), "Last events")
    assert lines[1:] == [f"2026-01-05T10:00:00Z PhaseStarted event {number}" for number in range(4, 9)]


def test_a_rollout_that_nobody_has_looked_at() -> None:
    obj = rollout()
    del obj["status"]
    assert "the operator has not looked at it yet: is it running?" in drawn(obj)[0]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """What the command reaches instead of a cluster."""
    made = FakeCluster(rollout())
    monkeypatch.setattr(status, "Kubectl", lambda *_: made)
    return made


def changes(**more: Any) -> Any:
    return lambda obj: obj["status"].update(more)


def test_what_has_changed_is_added_until_it_completes(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.changes = [
        changes(weight=10),
        changes(history=[entry(1)]),
        changes(state="Completed", reason="Completed", message="Done"),
        changes(message="never seen"),
    ]
    assert main(["status", "move", "-w"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("medium 2026-01-05T11:00:00Z") == 1
    assert printed.count("event 1") == 1
    assert "listings/move is Completed: Done" in printed
    assert "never seen" not in printed


def test_a_run_that_was_rolled_back_has_an_exit_code_of_its_own(cluster: FakeCluster) -> None:
    cluster.changes = [changes(state="RollingBack"), changes(state="RolledBack")]
    assert main(["status", "move", "-w"]) == 2


def test_without_watching_a_rollback_is_no_failure(cluster: FakeCluster) -> None:
    changes(state="RolledBack")(cluster.objects["syncrollouts.syncrollout.io", "move"])
    assert main(["status", "move"]) == 0


def test_an_end_of_before_what_is_asked_now_is_waited_out(cluster: FakeCluster) -> None:
    """The operator has not seen the edited spec; then it has, and an attempt that was asked for has not begun."""
    obj = cluster.objects["syncrollouts.syncrollout.io", "move"]
    obj["metadata"]["generation"] = 2
    changes(state="RolledBack")(obj)
    retry = {"revision": "1", "reason": "again", "asked": SINCE}
    cluster.changes = [changes(observedGeneration=2, retry=retry), changes(state="Completed", retry=None)]
    assert main(["status", "move", "-w"]) == 0


def test_one_that_is_deleted_meanwhile_is_said(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "move", "-w"]) == 1
    assert capsys.readouterr().err == "move has been deleted\n"


def test_a_terminal_is_drawn_anew(capsys: pytest.CaptureFixture[str]) -> None:
    screen = status.Screen(status.Form.TEXT, Here(), terminal=True)
    screen.show(rollout())
    screen.show(rollout())
    assert capsys.readouterr().out.count("\x1b[H\x1b[2Jlistings/move is Progressing") == 2


def test_programs_get_the_object(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "move", "-o", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert SyncRolloutStatus.model_validate(made["status"]).weight == 10
    assert main(["status", "move", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == made


def test_another_name_is_proposed(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "mvoe"]) == 1
    assert capsys.readouterr().err == "there is no SyncRollout mvoe here; did you mean move?\n"


# ---- the watch, with a program in the place of kubectl ----------------------------------------------------------


def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, body: str) -> Kubectl:
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("KUBECTL_SYNCROLLOUT_KUBECTL", str(program))
    monkeypatch.setattr(kubectl, "_WATCH_AGAIN", 0.0)
    return Kubectl("listings")


def event(kind: str, number: int, indent: int | None = None) -> str:
    return json.dumps({"type": kind, "object": {"number": number, "within": {"text": "}\n}"}}}, indent=indent)


def test_a_watch_that_ends_is_begun_anew_until_the_object_is_deleted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    first, second = (
        event("ADDED", 1) + "\n" + event("MODIFIED", 2, indent=4),
        event("ADDED", 3) + "\n" + event("DELETED", 3),
    )
    for name, text in (("first", first), ("second", second)):
        (tmp_path / name).write_text(text + "\n")
    body = f'cd {tmp_path}; echo "$@" >> asked; if [ -f was ]; then cat second; else touch was; cat first; fi'
    changes = scripted(monkeypatch, tmp_path, body).watch("kind", "move")
    assert [next(changes)["number"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(NotThere, match="move has been deleted"):
        next(changes)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["get kind move --watch --output-watch-events -o json --namespace=listings"] * 2


def test_what_an_admission_policy_refuses_is_not_told_as_a_missing_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    policy = "ValidatingAdmissionPolicy 'syncrollout-people' with binding 'syncrollout-people'"
    said = f"Error from server (Forbidden): move is forbidden: {policy} denied request: lee may not approve"
    body = f'echo "{said}" >&2; exit 1'
    with pytest.raises(Failed) as failed:
        scripted(monkeypatch, tmp_path, body).patch("kind", "move", {})
    assert str(failed.value).startswith("refused: lee may not approve (kubectl: Error from server")
    assert "'syncrollout-people')" in str(failed.value)


def test_a_watch_that_is_refused_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    body = "echo 'Error (Forbidden): user kim cannot watch resource syncrollouts' >&2; exit 1"
    with pytest.raises(Failed, match=r"^you may not watch kind here: ask for that right"):
        next(scripted(monkeypatch, tmp_path, body).watch("kind", "move"))


def test_no_kubectl_is_left_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "one").write_text(event("ADDED", 1) + "\n")
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    changes = scripted(monkeypatch, tmp_path, f"cat {tmp_path}/one; exec sleep 600").watch("kind", "move")
    assert next(changes)["number"] == 1
    changes.close()
    assert started[0].returncode is not None


def test_trouble_that_nobody_has_acknowledged_and_messages_that_do_not_arrive_are_said() -> None:
    alarm = {"id": "3-RollingBack", "severity": "Critical", "since": SINCE, "text": "errors read 12 percent"}
    undelivered = {
        "type": "NotificationsDelivered",
        "status": "False",
        "observedGeneration": 1,
        "lastTransitionTime": SINCE,
        "reason": "MessageUndelivered",
        "message": "Message 3-RollingBack does not arrive: nobody could be reached there",
    }
    lines = drawn(rollout(notifications={"alarm": alarm}, conditions=[undelivered]))
    assert "Nobody has acknowledged since 2026-01-05T10:00:00Z (Critical): errors read 12 percent" in lines
    assert any(line.startswith("so that nobody else is called: kubectl syncrollout ack move -m WHAT") for line in lines)
    assert "Messages: Message 3-RollingBack does not arrive: nobody could be reached there" in lines
    ended = alarm | {"ended": SINCE, "acknowledged": "I am on it", "by": "kim"}
    assert "Acknowledged 2026-01-05T10:00:00Z by kim: I am on it" in drawn(rollout(notifications={"alarm": ended}))

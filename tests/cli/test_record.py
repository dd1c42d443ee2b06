"""`kubectl syncrollout record`: the document of what was really deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.cluster import FakeCluster, Obj
from cli.test_status import CRITERION, INCIDENT, STANDS, rollout
from syncrollout.cli import record
from syncrollout.cli.deployed import document
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse

BEGAN, MOVED, ENDED = "2026-01-05T10:00:00.000Z", "2026-01-05T10:00:05.000Z", "2026-01-05T11:00:05.000Z"
RESULT = {"role": "Success", "metric": "error-rate", "limit": "below 1 percent", "verdict": "Pass", "reading": 0.31}
SMALL: Obj = {"name": "small", "weight": 10, "entered": BEGAN, "since": MOVED, "ended": ENDED, "end": "Passed"}


def entry(sequence: int, reason: str, message: str, **more: Any) -> Obj:
    return {"sequence": sequence, "run": 1, "time": ENDED, "reason": reason, "message": message} | more


def made(run: int | None = None, **status: Any) -> str:
    return document(parse(rollout(**status)), run)


def section(text: str, title: str) -> list[str]:
    """Its lines that say something."""
    [found] = [each for each in text.split("\n## ") if each.partition("\n")[0] == title]
    return [line for line in found.splitlines()[1:] if line]


COMPLETED: Obj = {
    "state": "Completed",
    "reason": "Completed",
    "message": "Completed after 3d: new has 100 %",
    "inFlight": False,
    "started": BEGAN,
    "finished": "2026-01-08T10:00:00.000Z",
    "refreshed": "2026-01-08T10:00:00.000Z",
    "weight": 100,
    "pastPhases": [
        SMALL | {"results": [RESULT]},
        SMALL | {"name": "medium", "weight": 50, "entered": ENDED, "since": None, "end": "Passed"},
        SMALL | {"name": "full", "weight": 100},
    ],
}


def test_a_finished_run_says_when_it_was_and_what_came_of_it() -> None:
    text = made(**COMPLETED)

    assert text.startswith("# What was deployed: move, run 1\n\nWritten from the spec and the status of the ")
    assert "as of 2026-01-08T10:00:00Z. In its last words: Completed after 3d: new has 100 %\n" in text
    assert "| result | completed: new has taken over |" in text
    assert "| began | 2026-01-05T10:00:00Z |" in text
    assert "| took | 3d |" in text
    assert "| share of new | 100 % |" in text


def test_each_phase_has_its_dates_beside_what_was_planned() -> None:
    titles, _, *rows = section(made(**COMPLETED), "Phases")

    assert titles.startswith("| phase | new | entered | weights stood | ended | stood for | planned | result |")
    first = "| small | 10 % | 2026-01-05T10:00:00Z | 2026-01-05T10:00:05Z | 2026-01-05T11:00:05Z | 1h | 1h | passed |"
    assert rows[0] == first
    assert [row.split(" | ")[0] for row in rows] == ["| small", "| medium", "| full"]
    assert "| - |" in rows[1], "the weights of this one never stood"


def test_results_stand_against_their_criteria() -> None:
    rows = section(made(**COMPLETED), "What was measured")

    assert rows[2:] == ["| small | 2026-01-05T11:00:05Z | Pass | error-rate | below 1 percent | 0.31 | - |"]


def test_a_run_under_way_says_what_is_to_come_and_how_it_stands_so_far() -> None:
    success = CRITERION | {"id": "small/success/0/duration", "role": "Success", "severity": None}
    text = made(started=BEGAN, criteria=[success, CRITERION], incident=INCIDENT, phase=STANDS)

    rows = section(text, "Phases")[2:]
    assert rows[0].endswith("| under way |")
    assert all(row.endswith("| still to come |") for row in rows[1:])
    assert section(text, "What was measured")[2:] == [
        "| small | so far | Fail | duration | above 2 seconds | 2.5 | - |"
    ]
    assert section(text, "Open incident") == [
        "- severity Medium, since 2026-01-05T10:00:00Z: duration is 2.5 seconds",
        "- to be decided by 2026-01-06T10:00:00Z",
    ]


ROLLBACK: Obj = {
    "reason": "RollbackRequested",
    "message": "a person asked for it: users complain",
    "decided": BEGAN,
    "confirmed": MOVED,
    "fromPhase": "small",
    "fromWeight": 10,
    "steps": [
        {"name": "Switch", "state": "Succeeded", "budgetSeconds": 300, "started": BEGAN, "finished": MOVED},
        {"name": "VerifyData", "state": "Failed", "budgetSeconds": 900, "message": "3 rows lost"},
    ],
}


def test_a_rollback_has_its_steps_against_their_budgets_and_phases_that_were_not_reached() -> None:
    ended = SMALL | {"end": "RolledBack", "results": [RESULT | {"role": "RollbackOn", "verdict": "Fail"}]}
    text = made(state="RolledBack", inFlight=False, rollback=ROLLBACK, pastPhases=[ended])

    lines = section(text, "Rollback")
    assert "- everything at old: 2026-01-05T10:00:05Z (5s)" in lines
    assert "| Switch | Succeeded | 2026-01-05T10:00:00Z | 5s | 5m | - |" in lines
    assert "| VerifyData | Failed | - | - | 15m | 3 rows lost |" in lines
    rows = section(text, "Phases")[2:]
    assert [row.rpartition(" | ")[2] for row in rows] == ["left by the rollback |", "not reached |", "not reached |"]
    assert "| RollbackOn below 1 percent |" in text


def test_who_asked_for_what_is_told_with_their_names() -> None:
    history = [
        entry(1, "PhaseStarted", "Phase 1/3 small started: 10 % to new"),
        entry(2, "RollbackRequested", "Rolling back: a person asked for it", by="kim@example.com"),
    ]
    text = made(history=history)

    assert section(text, "Who asked for what")[2:] == [
        "| 2026-01-05T11:00:05Z | kim\\@example.com | RollbackRequested | Rolling back: a person asked for it |"
    ]
    assert len(section(text, "Timeline")) == 4
    assert section(made(), "Who asked for what") == ["Nobody asked for anything."]


def test_what_was_checked_before_the_start_and_by_whom_it_was_confirmed() -> None:
    check = {"name": "review", "group": "Code", "verdict": "Pass", "message": "confirmed", "since": BEGAN}
    attested = {"check": "review", "revision": "1", "by": "kim", "message": "read it all", "at": BEGAN, "taken": "x"}
    other = attested | {"check": "tests", "revision": "0"}
    task = {"name": "backup", "state": "Succeeded", "budgetSeconds": 900, "started": BEGAN, "finished": MOVED}
    preflight = {"revision": "1", "checks": [check, check | {"name": "tests"}], "attested": [attested, other]}
    text = made(preflight=preflight, dayOne=[task])

    rows = section(text, "Before the start of revision 1")[2:]
    assert rows[0] == "| Code | review | Pass | confirmed | kim, 2026-01-05T10:00:00Z: read it all |"
    assert rows[1].endswith("| - |"), "what was confirmed of another revision says nothing of this one"
    assert section(text, "Day one")[2:] == ["| backup | Succeeded | 2026-01-05T10:00:00Z | 5s | 15m | - |"]


def test_who_approved_which_phase() -> None:
    given = {"phase": "small", "entered": BEGAN, "by": "kim", "reason": "looks good", "at": ENDED}
    text = made(approvals=[given], pastPhases=[SMALL | {"end": "Skipped"}])

    assert section(text, "Approvals")[2:] == ["| small | kim | 2026-01-05T11:00:05Z | looks good |"]
    assert section(text, "Phases")[2].endswith("| ended by a person before its time |")


def test_drills_and_reports_of_the_run_are_told() -> None:
    drill = {"mode": "Rehearse", "cause": "Person", "words": "before the weekend", "started": BEGAN, "finished": MOVED}
    drill |= {
        "result": "Passed",
        "message": "a rollback would work",
        "checks": [{"name": "switch", "result": "Passed"}],
    }
    report = {"number": 4, "run": 1, "phase": "small", "at": BEGAN, "severity": "High", "message": "gone"}
    text = made(
        drill={"last": drill},
        reports={"run": 1, "counted": {"high": 1}, "latest": [report, report | {"run": 0, "number": 3}]},
    )

    assert "- Passed: a rollback would work" in section(text, "Last drill")
    rows = section(text, "Problems that people reported")
    assert rows[0] == "1 High."
    assert [row for row in rows if "gone" in row] == ["| \\#4 | 2026-01-05T10:00:00Z | High | small | - | gone |"]


def test_nothing_that_people_write_means_anything_to_markdown() -> None:
    evil = "**bold** | <img src=x> [link](http://x) `code`\n\n# Title @everyone $x$"
    text = made(history=[entry(1, "RollbackRequested", evil, by=evil)], message=evil)

    assert "\n# Title" not in text
    [row] = section(text, "Who asked for what")[2:]
    assert row.replace("\\|", "").count("|") == 5
    for harmful in ("<img", "*bold", "[link", "`code", "@everyone", "$x"):
        assert text.count(harmful) == text.count(f"\\{harmful}") > 0, harmful


def test_what_the_status_does_not_keep_any_more_is_said() -> None:
    text = made(run=None, history=[entry(40, "Completed", "done")])

    assert "39 earlier transitions are not kept in the status any more." in text


def test_of_an_earlier_run_there_are_its_transitions() -> None:
    history = [entry(1, "RolledBack", "back"), entry(2, "PhaseStarted", "again") | {"run": 2}]
    text = document(parse(rollout(run=2, history=history)), 1)

    assert text.startswith("# What was deployed: move, run 1\n\nAn earlier run")
    assert "again" not in text
    assert "## Phases" not in text


def test_before_anything_has_happened_there_is_a_document_too() -> None:
    obj = rollout()
    del obj["status"]
    text = document(parse(obj))

    assert text.startswith("# What was deployed: move, before its first run\n")
    assert "the operator has not looked at it yet" in text
    assert "still to come" in text
    assert "| result | not begun: " in text


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """What the command reaches instead of a cluster."""
    found = FakeCluster(rollout(**COMPLETED))
    monkeypatch.setattr(record, "Kubectl", lambda *_: found)
    return found


def test_it_is_printed_or_written_over_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "move"]) == 0
    printed = capsys.readouterr().out
    file = tmp_path / "record.md"
    file.write_text("old")
    assert main(["record", "move", "-o", str(file)]) == 0
    assert file.read_text() == printed
    assert capsys.readouterr().out.startswith(f"{file}: listings/move is Completed: ")


def test_what_cannot_be_written_and_runs_that_there_were_not_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "move", "-o", str(tmp_path / "no" / "record.md")]) == 1
    assert "record.md cannot be written: No such file or directory" in capsys.readouterr().err
    assert main(["record", "move", "--run", "3"]) == 1
    assert capsys.readouterr().err == "move has had 1 runs, and none of number 3\n"

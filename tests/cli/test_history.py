"""`kubectl syncrollout history`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from cli.cluster import FakeCluster, Obj
from cli.test_status import rollout
from syncrollout.cli import history
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse


def entry(sequence: int, run: int, reason: str = "PhaseStarted", **more: Any) -> Obj:
    time = f"2026-01-05T10:{sequence:02}:00.000Z"
    return {"sequence": sequence, "run": run, "time": time, "reason": reason, "message": f"event {sequence}"} | more


TWO_RUNS = [
    entry(1, 1),
    entry(2, 1, "RollbackRequested", type="Warning", message="a person asked for it: kim: the index is missing"),
    entry(3, 1, "RolledBack"),
    entry(4, 2),
]


def printed(entries: list[Obj], run: int | None = None, runs: int = 2) -> list[str]:
    read = parse(rollout(run=runs, history=entries))
    return [" ".join(line.split()) for line in history.lines(read, history.of(read, run))]


def test_each_run_has_its_transitions_with_time_reason_and_who_said_so() -> None:
    assert printed(TWO_RUNS) == [
        "Run 1: 2026-01-05T10:01:00Z to 2026-01-05T10:03:00Z (2m)",
        "2026-01-05T10:01:00Z PhaseStarted event 1",
        "2026-01-05T10:02:00Z ! RollbackRequested a person asked for it: kim: the index is missing",
        "2026-01-05T10:03:00Z RolledBack event 3",
        "",
        "Run 2: 2026-01-05T10:04:00Z to 2026-01-05T10:04:00Z (0s)",
        "2026-01-05T10:04:00Z PhaseStarted event 4",
    ]


def test_one_run_alone() -> None:
    assert printed(TWO_RUNS, run=2)[0].startswith("Run 2: ")
    assert len(printed(TWO_RUNS, run=2)) == 2


def test_what_the_status_does_not_keep_any_more_is_said() -> None:
    assert printed([entry(34, 2)])[0] == "(33 earlier transitions are not kept in the status any more)"
    assert printed([entry(34, 2)], run=1) == [
        "Nothing of that run is kept any more: the status keeps the last 1 transitions"
    ]


def test_what_was_before_the_first_run() -> None:
    assert printed([entry(1, 0, "RouteNotFound", type="Warning")], runs=0)[0] == "Before the first run"


def test_nothing_has_happened_yet() -> None:
    assert printed([]) == ["Nothing has happened yet. listings/move is Progressing: Phase 1/3 small: new has 10 %"]


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """What the command reaches instead of a cluster."""
    made = FakeCluster(rollout(run=2, history=TWO_RUNS))
    monkeypatch.setattr(history, "Kubectl", lambda *_: made)
    return made


def test_programs_get_the_entries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "move", "--run", "1", "-o", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [each["sequence"] for each in made] == [1, 2, 3]
    assert (made[0]["time"], made[0]["type"]) == ("2026-01-05T10:01:00.000Z", "Normal")
    assert main(["history", "move", "--run", "1", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == made


def test_a_run_that_there_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "move", "--run", "3"]) == 1
    assert capsys.readouterr().err == "move has had 2 runs, and none of number 3\n"

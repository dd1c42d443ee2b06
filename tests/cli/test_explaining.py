"""`kubectl syncrollout explain-decision`."""

from __future__ import annotations

from typing import Any

import pytest

from cli.cluster import FakeCluster
from cli.test_status import CRITERION, INCIDENT, SINCE, STANDS, rollout
from syncrollout.api.words import Reason
from syncrollout.cli import explaining
from syncrollout.cli.moments import Here
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse
from syncrollout.cli.sentences import MEANINGS, meaning

SUCCESS = CRITERION | {"id": "s", "role": "Success", "severity": None, "limit": "below 1 percent", "metric": "errors"}


def explained(**more: Any) -> list[str]:
    return explaining.lines(parse(rollout(**more)), Here())


def part(lines: list[str], title: str) -> list[str]:
    """The items under that title."""
    if title not in lines:
        return []
    rest = lines[lines.index(title) + 1 :]
    rest = rest[: rest.index("")] if "" in rest else rest
    return [line.removeprefix("  - ") for line in rest]


def test_every_reason_has_a_sentence_of_its_own() -> None:
    assert set(MEANINGS) == set(Reason)
    whats = [each.what for each in MEANINGS.values()]
    assert len(set(whats)) == len(whats)
    assert [what for what in whats if not what.endswith(".")] == []


def test_a_reason_of_a_later_release_is_no_failure() -> None:
    assert meaning(Reason("Levitating")).what == "Levitating is a word of a later release than this plugin: update it."
    assert "Levitating" in explained(reason="Levitating")[0]


def test_the_page_of_the_reason_is_named() -> None:
    assert explained(reason="OldNotReady")[-1] == "Runbook: docs/runbook/OldNotReady.md"


def test_a_phase_that_runs_waits_for_its_duration_and_for_what_does_not_pass() -> None:
    lines = explained(criteria=[SUCCESS | {"verdict": "Pass"}, SUCCESS | {"id": "t", "metric": "load"}])
    assert lines[0] == (
        "listings/move is Progressing: Phase 1/3 small: new has 10 %. The phase runs as it should. The next phase "
        "begins once the phase's duration is over and all its success criteria pass."
    )
    assert part(lines, "What it waits for") == [
        "the duration of phase small, over 2026-01-05T11:00:00Z",
        "load to be below 1 percent",
    ]
    assert part(lines, "Why") == ["Fail since 2026-01-05T10:00:00Z, Success: duration is 2.5 seconds"]


def test_weights_that_do_not_stand_are_waited_for() -> None:
    lines = explained(reason="MovingTraffic", phase=STANDS | {"since": None, "earliestEnd": None})
    assert part(lines, "What it waits for") == ["the weights of the phase to stand; its duration counts from then on"]


def test_an_incident_is_told_with_its_deadline_and_what_a_person_can_do() -> None:
    lines = explained(state="Holding", reason="AwaitingDecision", incident=INCIDENT, criteria=[CRITERION])
    assert part(lines, "Why") == [
        "incident of severity Medium since 2026-01-05T10:00:00Z: duration is 2.5 seconds",
        "Fail since 2026-01-05T10:00:00Z, trigger of severity Medium: duration is 2.5 seconds",
    ]
    assert part(lines, "What it waits for")[0] == "a decision by 2026-01-06T10:00:00Z, else rollback"
    assert [line.partition(": ")[2] for line in part(lines, "What you can do")] == [
        "kubectl syncrollout decide move continue -m WHY -n listings",
        "kubectl syncrollout decide move rollback -m WHY -n listings",
        "kubectl syncrollout override move -m WHY -n listings",
        "kubectl syncrollout diagnose move -n listings",
        "kubectl syncrollout status move -w -n listings",
    ]


def test_a_rollback_waits_for_its_steps_and_offers_nothing_that_makes_no_sense() -> None:
    steps = [
        {"name": "VerifyData", "state": "Running", "budgetSeconds": 900, "started": SINCE, "deadline": SINCE},
        {"name": "Restore", "budgetSeconds": 900},
    ]
    back = {"reason": "TriggerBreached", "message": "many errors", "decided": SINCE, "fromWeight": 10, "steps": steps}
    lines = explained(state="RollingBack", reason="TriggerBreached", rollback=back, incident=INCIDENT)
    assert part(lines, "What it waits for") == [
        "all traffic and work to stand at old",
        "step VerifyData (Running, its budget until 2026-01-05T10:00:00Z)",
        "step Restore (Waiting)",
    ]
    assert part(lines, "What you can do") == [
        "find out what is wrong: kubectl syncrollout diagnose move -n listings",
        "watch it: kubectl syncrollout status move -w -n listings",
    ]
    assert "sent back 2026-01-05T10:00:00Z from 10 %: many errors" in part(lines, "Why")


def test_a_run_that_was_rolled_back_waits_for_a_retry() -> None:
    lines = explained(state="RolledBack", reason="RolledBack", inFlight=False)
    assert part(lines, "What it waits for") == []
    assert "begin the next attempt, at the first phase: kubectl syncrollout retry move -m WHY -n listings" in lines[-5]


def test_one_that_nobody_has_looked_at_waits_for_the_operator() -> None:
    obj = rollout()
    del obj["status"]
    lines = explaining.lines(parse(obj), Here())
    assert lines[0] == (
        "listings/move is Pending: the operator has not looked at it yet: is it running? It has not begun yet. It "
        "begins with the operator's next look."
    )
    assert part(lines, "What it waits for") == ["the operator, which has not looked at the present spec yet"]


def test_what_is_stalled_besides_and_an_operator_that_has_not_looked() -> None:
    stalled = {
        "type": "Stalled",
        "status": "True",
        "observedGeneration": 1,
        "lastTransitionTime": SINCE,
        "reason": "RouteNotFound",
        "message": "there is no web",
    }
    lines = explained(conditions=[stalled], observedGeneration=0)
    assert part(lines, "Why") == ["RouteNotFound: A route of spec.traffic.routes does not exist. there is no web"]
    assert part(lines, "What it waits for")[0] == "the operator, which has not looked at the present spec yet"


def test_slots_that_are_handed_over_and_open_reports() -> None:
    shards = {
        "configMap": "s",
        "epoch": 7,
        "newBelow": 1,
        "oldFrom": 5,
        "newReach": 1,
        "oldReach": 1,
        "stage": "Releasing",
        "since": SINCE,
        "deadline": SINCE,
        "waitingFor": ["old-1"],
    }
    lines = explained(shards=shards, reports={"number": 1, "open": {"high": 1}})
    assert "old-1 to let go of slots, until 2026-01-05T10:00:00Z" in part(lines, "What it waits for")
    assert any("syncrollout answer move" in line for line in part(lines, "What you can do"))


def test_it_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(explaining, "Kubectl", lambda *_: FakeCluster(rollout()))
    assert main(["explain-decision", "move", "--context", "prod"]) == 0
    assert "kubectl syncrollout rollback move -m WHY -n listings --context prod" in capsys.readouterr().out

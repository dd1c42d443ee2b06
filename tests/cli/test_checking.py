"""`kubectl syncrollout checklist` and `attest`."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cli.cluster import FakeCluster, Obj
from cli.test_asking import Person, annotations
from cli.test_status import SINCE, drawn, rollout, section
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.cli import checking, choices, explaining
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import NOT_TAKEN_IN, POINTLESS, DryRun, Manner
from syncrollout.cli.checking import Attesting
from syncrollout.cli.moments import Here
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse
from syncrollout.decide import attested, reported

ON_CALL: Obj = {"name": "on-call", "group": "Team", "attestation": {"text": "Somebody is on call"}}
ANNOTATION = "syncrollout.io/attest-on-call"
LINES: list[Obj] = [
    {"name": "dump", "group": "Backups", "verdict": "Fail", "message": "is 2d old", "since": SINCE},
    {"name": "on-call", "group": "Team", "verdict": "Fail", "message": "nobody has", "since": SINCE},
    {"name": "database", "group": "Infrastructure", "verdict": "Pass", "message": "3 of 3", "since": SINCE},
    {
        "name": "variables",
        "group": "Infrastructure",
        "verdict": "Unknown",
        "message": "cannot be seen",
        "since": SINCE,
    },
]


def waiting(*, by: Obj | None = None, run: int | None = None) -> Obj:
    obj = rollout(
        state="Preflight",
        reason="PreflightIncomplete",
        inFlight=False,
        phase=None,
        preflight={"revision": "1", "checks": LINES, "missingNew": ["BATCH_SIZE", "LOG_LEVEL"]},
        run=run,
    )
    attestation = ON_CALL["attestation"] | ({"by": by} if by is not None else {})
    obj["spec"]["preflight"] = {"checks": [ON_CALL | {"attestation": attestation}]}
    return obj


def takes_in(refused: str = "") -> Any:
    def run(obj: Obj) -> None:
        value = obj["metadata"]["annotations"][ANNOTATION]
        word = attested.parse(value)
        one = {"check": "on-call", "revision": "1", "by": word.by, "message": word.message, "at": SINCE}
        obj["status"]["preflight"]["attested"] = [
            one | {"taken": reported.digest("on-call", value), "refused": refused}
        ]

    return run


def said(cluster: FakeCluster, person: Person | None = None, check: str = "on-call", **manner: Any) -> list[str]:
    person = person or Person()
    Attesting(cluster, check, "lee is, until Friday", Manner(**manner), person.terminal()).run("move")
    return person.read


def test_a_word_is_given_by_name_and_for_a_revision() -> None:
    cluster = FakeCluster(waiting())
    cluster.operator = takes_in()
    read = said(cluster)
    assert read[1] == "This confirms, as kim@example.com, for revision 1: Somebody is on call"
    assert "Go on?" in read
    assert annotations(cluster) == {ANNOTATION: "by kim@example.com: lee is, until Friday"}


def test_the_same_word_for_another_revision_is_another_value() -> None:
    obj = waiting()
    obj["metadata"]["annotations"] = {ANNOTATION: "by kim@example.com: lee is, until Friday"}
    cluster = FakeCluster(obj)
    cluster.operator = takes_in()
    said(cluster, yes=True)
    assert annotations(cluster)[ANNOTATION].startswith("by kim@example.com: lee is, until Friday (2023-")


@pytest.mark.parametrize(
    ("obj", "why"),
    [
        (waiting(by={"users": ["lee"]}), "kim@example.com may not confirm it, but lee"),
        (waiting(run=1), "no run is to begin; another spec.revision, or a retry, asks for one"),
        (rollout() | {"spec": waiting()["spec"]}, "the run has begun, and its checklist is closed"),
    ],
)
def test_what_makes_no_sense_is_not_written(obj: Obj, why: str) -> None:
    cluster, person = FakeCluster(obj), Person()
    with pytest.raises(Ended) as ended:
        said(cluster, person)
    assert ended.value.code == POINTLESS
    assert why in person.read[-1]
    assert annotations(cluster) == {}


def test_a_line_that_nobody_confirms_is_named_with_those_that_people_do() -> None:
    with pytest.raises(Failed, match="no line dump of the checklist is confirmed by a person; there is on-call"):
        said(FakeCluster(waiting()), check="dump")


def test_a_person_who_says_no_writes_nothing() -> None:
    cluster = FakeCluster(waiting())
    with pytest.raises(Ended):
        said(cluster, Person(yes=False))
    assert annotations(cluster) == {}


@pytest.mark.parametrize("dry_run", [DryRun.CLIENT, DryRun.SERVER])
def test_a_dry_run_writes_nothing(dry_run: DryRun) -> None:
    cluster = FakeCluster(waiting())
    read = said(cluster, dry_run=dry_run)
    assert f"{dry_run} dry run: nothing was done" in read[-1]
    assert annotations(cluster) == {}
    assert len(cluster.tried) == (dry_run is DryRun.SERVER)


def test_an_operator_that_does_not_answer_or_says_no() -> None:
    with pytest.raises(Ended) as ended:
        said(FakeCluster(waiting()), yes=True)
    assert ended.value.code == NOT_TAKEN_IN
    cluster, person = FakeCluster(waiting()), Person()
    cluster.operator = takes_in("kim may not confirm it")
    with pytest.raises(Ended) as ended:
        said(cluster, person, yes=True)
    assert ended.value.code == POINTLESS
    assert person.read[-1] == "RequestIgnored: kim may not confirm it"


# ---- looking ----


def test_status_shows_it_by_group_with_marks() -> None:
    assert section(drawn(waiting()), "Checklist") == [
        "Checklist of revision 1: 1 of 4 pass",
        "Infrastructure",
        "+ database Pass 3 of 3",
        "? variables Unknown cannot be seen",
        "Team",
        "x on-call Fail nobody has",
        "Backups",
        "x dump Fail is 2d old",
    ]


def test_once_the_run_has_begun_it_says_who_has_confirmed_what() -> None:
    word = {"check": "on-call", "revision": "1", "by": "kim", "message": "lee is", "at": SINCE, "taken": "x"}
    lines = drawn(rollout(preflight={"revision": "1", "checks": LINES, "attested": [word]}))
    assert "Confirmed before the start by kim 2026-01-05T10:00:00Z: on-call: lee is" in lines
    assert not any(line.startswith("Checklist") for line in lines)


def test_explain_names_what_is_missing_and_the_command_for_it() -> None:
    lines = explaining.lines(parse(waiting()), Here())
    assert "  - check dump (Backups), Fail since 2026-01-05T10:00:00Z: is 2d old" in lines
    command = "kubectl syncrollout attest move on-call -m WHAT -n listings"
    assert f"  - confirm: Somebody is on call: {command}" in lines


def test_there_is_nothing_to_confirm_once_it_is_or_the_run_has_begun() -> None:
    obj = rollout(preflight={"revision": "1", "checks": LINES})
    obj["spec"]["preflight"] = {"checks": [ON_CALL]}
    assert not any("attest" in command for command, _ in choices.of_all(parse(obj), Here()))


def test_the_template_is_yaml_that_defines_what_is_missing() -> None:
    status = SyncRolloutStatus.model_validate(waiting()["status"])
    lines = checking.template(status.preflight)
    assert lines[1] == "# to be added to `env` of the containers of new"
    assert yaml.safe_load("\n".join(lines)) == [{"name": "BATCH_SIZE", "value": ""}, {"name": "LOG_LEVEL", "value": ""}]


@pytest.mark.parametrize(
    ("obj", "code"),
    [(waiting(), 2), (rollout(), 0), (rollout(preflight={"revision": "1", "checks": LINES[2:3]}), 0)],
)
def test_the_command_ends_by_whether_something_is_missing(
    obj: Obj, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = FakeCluster(obj)
    monkeypatch.setattr(checking, "Kubectl", lambda *_: cluster)
    assert main(["checklist", "move"]) == code
    assert main(["checklist", "move", "-o", "json"]) == code
    assert capsys.readouterr().out


def test_day_one_is_shown_until_traffic_has_moved_and_what_went_wrong_after_that() -> None:
    done = {"name": "Backup", "state": "Succeeded", "budgetSeconds": 1800, "started": SINCE, "finished": SINCE}
    runs = {"name": "Migrate", "state": "Running", "budgetSeconds": 600, "started": SINCE, "deadline": SINCE}
    phase = {"name": "small", "index": 1, "label": "1/3 small", "weight": 10, "entered": SINCE}
    obj = rollout(dayOne=[done, runs], phase=phase)
    assert section(drawn(obj), "DAY ONE")[1:] == [
        "Backup Succeeded 0s 30m 2026-01-05T10:00:00Z",
        "Migrate Running until 2026-01-05T10:00:00Z 10m 2026-01-05T10:00:00Z",
    ]
    assert "  - Migrate of day one (Running, its budget until 2026-01-05T10:00:00Z)" in explaining.lines(
        parse(obj), Here()
    )
    moved = rollout(dayOne=[done])
    assert not any(line.startswith("DAY ONE") for line in drawn(moved))
    failed = rollout(dayOne=[done | {"state": "Failed", "message": "has failed: exit code 1"}])
    assert "has failed: exit code 1" in drawn(failed)


def test_verifications_say_what_they_have_found_and_when_they_come_next() -> None:
    one = {"name": "consistency", "entered": SINCE, "next": SINCE, "at": SINCE, "failed": True, "message": "3 doubles"}
    runs = {"name": "consistency", "state": "Running", "budgetSeconds": 60, "started": SINCE, "job": "sync-1"}
    obj = rollout(verifications=[one | {"task": runs}, {"name": "performance", "entered": SINCE, "next": SINCE}])
    said = "failed 2026-01-05T10:00:00Z: 3 doubles, Job sync-1 runs since 2026-01-05T10:00:00Z"
    assert section(drawn(obj), "Verifications") == [
        "Verifications",
        f"consistency: {said}; next 2026-01-05T10:00:00Z",
        "performance: not run yet; next 2026-01-05T10:00:00Z",
    ]

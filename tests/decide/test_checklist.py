"""The checklist before the start: what is missing is waited for, and nothing of it is asked once the run has begun."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import Document, two_phases
from decide.world import START, World
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import CHECK_LENGTH, CheckStatus
from syncrollout.api.words import Reason, Request, State, Unknown, Verdict
from syncrollout.decide import attested, checklist
from syncrollout.decide.actions import SetWeight
from syncrollout.decide.check_facts import CheckFact, SnapshotFact

DAY = 86400.0
ON_CALL = {"name": "on-call", "group": "Team", "attestation": {"text": "Somebody is on call"}}
DATABASE = {"name": "database", "group": "Infrastructure", "workloadReady": {"kind": "StatefulSet", "name": "db"}}


def plan(*checks: Document, **more: object) -> Document:
    return two_phases(preflight={"checks": list(checks)} | more)


def line(w: World, name: str) -> CheckStatus:
    assert w.recorded.preflight is not None
    return next(each for each in w.recorded.preflight.checks if each.name == name)


def confirm(w: World, name: str = "on-call", value: str = "by kim: lee is") -> None:
    w.attestations[name] = value


def found(passes: bool | None, text: str = "") -> CheckFact:
    return CheckFact(START, passes, text)


def test_it_waits_with_the_list_of_what_is_missing_and_begins_once_nothing_is() -> None:
    w = World(plan(ON_CALL, DATABASE))
    w.found["database"] = found(False, "StatefulSet listings/db has 0 of 1 replicas ready")
    w.run(20)
    assert (w.status.state, w.status.reason) == (State.PREFLIGHT, Reason.PREFLIGHT_INCOMPLETE)
    assert w.status.message == (
        "Not started: 2 of 2 checks do not pass: on-call (Team, Fail): Somebody is on call - anybody confirms it: "
        "kubectl syncrollout attest, or syncrollout.io/attest-on-call | database (Infrastructure, Fail): StatefulSet "
        "listings/db has 0 of 1 replicas ready"
    )
    confirm(w)
    w.run(20)
    assert "1 of 2 checks does not pass: database" in w.status.message
    assert line(w, "on-call").message == "confirmed by kim 2023-11-14T22:13:40Z: lee is"
    w.found["database"] = found(True, "StatefulSet listings/db has 1 of 1 replicas ready")
    w.run(10)
    assert w.status.in_flight
    assert {each.verdict for each in w.recorded.preflight.checks} == {Verdict.PASS}  # type: ignore[union-attr]


@pytest.mark.parametrize("passes", [None, False])
def test_unknown_never_passes(passes: bool | None) -> None:
    w = World(plan(DATABASE))
    w.found["database"] = found(passes, "cannot be seen")
    w.run(300)
    assert w.status.state is State.PREFLIGHT
    assert line(w, "database").verdict is not Verdict.PASS


def test_what_was_not_looked_at_yet_is_looked_at_soon() -> None:
    w = World(plan(DATABASE))
    decision = w.settle()
    assert w.status.reason is Reason.PREFLIGHT_RUNNING
    assert decision.next_due == START + checklist.SOON


def test_it_is_looked_at_again_at_its_interval_and_nothing_is_written_for_that() -> None:
    w = World(plan(DATABASE, interval="40s"))
    w.found["database"] = found(False, "no replicas")
    decision = w.settle()
    assert decision.next_due == START + 40
    writes = w.writes
    w.run(600)
    assert w.writes == writes


def test_other_words_for_what_is_missing_are_written_once_a_minute_at_most() -> None:
    w = World(plan(DATABASE))
    for ready in range(30):
        w.found["database"] = found(False, f"{ready} replicas")
        w.run(10)
    assert w.writes <= 300 / 60 + 2
    assert line(w, "database").message != "0 replicas"


def test_nothing_is_asked_once_the_run_has_begun() -> None:
    w = World(plan(DATABASE))
    w.found["database"] = found(True, "ready")
    w.run(20)
    assert w.status.in_flight
    w.found["database"] = found(False, "gone")
    w.run(20)
    assert w.status.in_flight
    assert line(w, "database").verdict is Verdict.PASS
    assert not checklist.wanted(w.spec, w.status)


def test_a_suspended_rollout_asks_nothing_and_takes_in_who_confirms() -> None:
    w = World(plan(ON_CALL) | {"suspend": True})
    confirm(w)
    w.run(20)
    assert w.status.state is State.PAUSED
    assert w.recorded.preflight is not None
    assert [each.by for each in w.recorded.preflight.attested] == ["kim"]
    w.edit(suspend=False)
    w.run(10)
    assert w.status.in_flight


def test_a_rollback_asks_nothing_of_it() -> None:
    w = World(plan(DATABASE))
    w.found["database"] = found(True, "ready")
    w.run(20)
    w.found["database"] = found(None, "hangs")
    w.ask(Request.ROLLBACK, "now")
    w.settle()
    assert w.status.state is State.ROLLED_BACK
    w.run(10)
    w.ask(Request.RETRY, "again")
    w.run(20)
    assert w.status.reason is Reason.PREFLIGHT_INCOMPLETE


def test_a_rollout_without_it_writes_nothing_of_it() -> None:
    w = World(two_phases())
    confirm(w)
    w.run(20)
    assert w.recorded.preflight is None


# ---- people ----


def test_what_was_confirmed_of_one_revision_says_nothing_of_the_next() -> None:
    w = World(plan(ON_CALL))
    confirm(w)
    w.run_until(State.COMPLETED)
    w.edit(revision="2")
    w.run(20)
    assert w.status.state is State.PREFLIGHT
    assert line(w, "on-call").message.startswith("was confirmed for revision 1; ")
    confirm(w, value="by kim: lee is again")
    w.run(10)
    assert w.status.in_flight


def test_the_next_attempt_at_a_revision_needs_no_second_word() -> None:
    w = World(plan(ON_CALL))
    confirm(w)
    w.run(20)
    w.ask(Request.ROLLBACK, "now")
    w.run(20)
    w.ask(Request.RETRY, "mended")
    w.run(20)
    assert w.status.in_flight
    assert w.status.run == 2


def test_taking_the_annotation_away_takes_the_word_back_before_the_start_and_changes_nothing_after_it() -> None:
    w = World(plan(ON_CALL, DATABASE))
    w.found["database"] = found(False, "no")
    confirm(w)
    w.run(20)
    del w.attestations["on-call"]
    w.run(20)
    assert line(w, "on-call").verdict is Verdict.FAIL
    assert [each.reason for each in w.told].count(Reason.ATTESTATION_WITHDRAWN) == 1
    confirm(w, value="by lee: kim is")
    w.found["database"] = found(True, "yes")
    w.run(20)
    del w.attestations["on-call"]
    w.run(20)
    assert w.status.in_flight
    assert w.recorded.preflight is not None
    assert [each.by for each in w.recorded.preflight.attested] == ["lee"]


def test_an_edit_of_the_list_takes_no_record_away_once_the_run_has_begun() -> None:
    w = World(plan(ON_CALL))
    confirm(w)
    w.run(20)
    w.edit(preflight={"checks": []})
    w.run(20)
    assert w.recorded.preflight is not None
    assert [each.by for each in w.recorded.preflight.attested] == ["kim"]


@pytest.mark.parametrize(
    ("by", "value", "counts"),
    [
        ({"users": ["kim"]}, "by kim: yes", True),
        ({"users": ["kim"]}, "by lee: yes", False),
        ({"users": ["kim"]}, "yes", False),
        ({"groups": ["leads"]}, "by lee: yes", True),
        ({"groups": ["leads"]}, "yes", False),
        ({}, "by lee: yes", False),
        (None, "yes", True),
        (None, "by lee: ", False),
        (None, " ", False),
    ],
)
def test_who_may_confirm_it_and_that_something_is_said(by: Document | None, value: str, counts: bool) -> None:
    attestation = {"text": "Somebody is on call"} | ({"by": by} if by is not None else {})
    w = World(plan(ON_CALL | {"attestation": attestation}))
    confirm(w, value=value)
    w.run(20)
    assert w.status.in_flight is counts
    told = [each.reason for each in w.told]
    assert (told.count(Reason.ATTESTED), told.count(Reason.REQUEST_IGNORED)) == ((1, 0) if counts else (0, 1))


def test_what_is_confirmed_is_told_once_whatever_restarts() -> None:
    w = World(plan(ON_CALL, DATABASE))
    confirm(w)
    for _ in range(5):
        w.run(20)
        w.restart()
    assert [each.message for each in w.told if each.reason is Reason.ATTESTED] == [
        "on-call is confirmed for revision 1 by kim: lee is"
    ]


@given(st.text(max_size=400), st.text(max_size=400))
def test_whatever_is_written_can_be_read_and_is_bounded(by: str, message: str) -> None:
    word = attested.parse(attested.written(by, message))
    assert len(word.by) <= 253
    assert len(word.message) <= 256
    attested.parse(message)


def test_what_is_written_is_read_as_it_was_meant() -> None:
    assert attested.parse(attested.written("kim@example.com", "the dump: 3 GB")) == attested.Word(
        "kim@example.com", "the dump: 3 GB"
    )
    name = "system:serviceaccount:shop:deployer"
    assert attested.parse(attested.written(name, "yes")) == attested.Word(name, "yes")


# ---- what a line says ----


def test_a_query_is_held_against_its_number() -> None:
    line_of = {"name": "quiet", "group": "Code", "query": {"metric": "errors", "atMost": 0.2}}
    w = World(plan(line_of))
    w.run(20)
    assert line(w, "quiet").message == "errors reads 0.5 percent, has to be at most 0.2 percent"
    w.read("errors", Unknown.NO_DATA)
    w.run(70)
    assert line(w, "quiet").verdict is Verdict.UNKNOWN
    w.read("errors", 0.1)
    w.run(10)
    assert w.status.in_flight


def test_a_query_of_its_own_is_asked_for_before_the_start_alone() -> None:
    w = World(plan({"name": "disk", "group": "Infrastructure", "query": {"promql": "disk_free", "above": 10}}))
    w.run(20)
    assert line(w, "disk").verdict is Verdict.UNKNOWN
    w.read("check:disk", 11)
    w.run(20)
    assert w.status.in_flight


def test_a_certificate_has_to_be_valid_for_some_days() -> None:
    w = World(plan({"name": "tls", "group": "Infrastructure", "tlsSecret": {"name": "web-tls", "daysLeft": 30}}))
    w.found["tls"] = CheckFact(START, None, "the certificate of Secret listings/web-tls", START + 29 * DAY)
    w.run(20)
    assert line(w, "tls").message == (
        "the certificate of Secret listings/web-tls is valid until 2023-12-13T22:13:20Z, 29.0 days; it has to be 30 "
        "at least: renew it"
    )
    w.found["tls"] = CheckFact(START, None, "the certificate of Secret listings/web-tls", START + 31 * DAY)
    w.run(10)
    assert w.status.in_flight


def test_one_that_has_ended_is_said_to_have() -> None:
    w = World(plan({"name": "tls", "group": "Infrastructure", "tlsSecret": {"name": "web-tls", "daysLeft": 0}}))
    w.found["tls"] = CheckFact(START, None, "the certificate of Secret listings/web-tls", START - 1)
    w.run(20)
    assert "has been invalid since 2023-11-14T22:13:19Z" in line(w, "tls").message


def test_a_backup_has_to_be_recent_enough() -> None:
    w = World(plan({"name": "dump", "group": "Backups", "backupAge": {"metric": "latency", "maxAge": "25h"}}))
    w.read("latency", 26 * 3600)
    w.run(20)
    assert line(w, "dump").verdict is Verdict.FAIL
    w.read("latency", Unknown.NO_DATA)
    w.run(20)
    assert line(w, "dump").verdict is Verdict.UNKNOWN
    w.read("latency", 3600)
    w.run(10)
    assert w.status.in_flight


def test_a_snapshot_is_a_backup_too() -> None:
    asked = {"volumeSnapshot": {"name": "nightly"}, "maxAge": "1d"}
    w = World(plan({"name": "dump", "group": "Backups", "backupAge": asked}))
    w.found["dump"] = CheckFact(START, snapshot=SnapshotFact(START - 2 * DAY, "VolumeSnapshot listings/nightly"))
    w.run(20)
    assert line(w, "dump").message == "VolumeSnapshot listings/nightly is 2d old, and may be 1d at most"
    w.found["dump"] = CheckFact(START, snapshot=SnapshotFact(START, "VolumeSnapshot listings/nightly"))
    w.run(10)
    assert w.status.in_flight


def test_long_words_are_cut() -> None:
    w = World(plan(DATABASE))
    w.found["database"] = found(False, "x" * 5000)
    w.run(20)
    assert len(line(w, "database").message) == CHECK_LENGTH
    assert len(w.status.message) <= 2048


VERDICTS = st.sampled_from([None, True, False])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(VERDICTS, VERDICTS, st.booleans(), st.sampled_from(["", "act", "write"])), max_size=12),
)
def test_no_traffic_moves_before_every_line_has_passed_at_one_moment(
    moments: list[tuple[bool | None, bool | None, bool, str]],
) -> None:
    other = {"name": "queue", "group": "Infrastructure", "workloadReady": {"kind": "Deployment", "name": "queue"}}
    w = World(plan(ON_CALL, DATABASE, other))
    complete = False
    for database, queue, confirmed, crash in moments:
        w.found = {"database": found(database), "queue": found(queue)}
        w.attestations = {"on-call": "by kim: yes"} if confirmed else {}
        complete = complete or (database is True and queue is True and confirmed)
        w.step(5, crash=crash)
        w.settle()
        assert complete or (not w.status.in_flight and w.share == 0)
        assert complete or not any(isinstance(action, SetWeight) for action in w.actions)


def test_its_names_are_read_from_the_spec_as_it_is_written() -> None:
    spec = SyncRolloutSpec.model_validate(plan(ON_CALL, DATABASE))
    assert [each.name for each in attested.checks(spec)] == ["on-call"]
    assert checklist.readings(spec) == frozenset()

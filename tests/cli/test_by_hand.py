"""What people say of a rollout that is on its way, by the plugin: approve, skip, hold, resume."""

from __future__ import annotations

from typing import Any

import pytest

from cli.cluster import FakeCluster, Obj, takes_in
from cli.test_asking import Person, annotations, rollout
from cli.test_status import drawn, section
from syncrollout.api.words import HOLD, REQUESTED_BY, Request
from syncrollout.cli import choices, explaining, history
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import NOT_TAKEN_IN, POINTLESS, Asking, DryRun, Manner, Wish
from syncrollout.cli.holding import Holding
from syncrollout.cli.moments import Here
from syncrollout.cli.plugin import main
from syncrollout.cli.rollout import parse

AT = "2026-11-28T09:00:00.000Z"
PHASE = {"name": "small", "index": 1, "label": "1/3 small", "weight": 10, "entered": AT, "since": AT, "earliestEnd": AT}
HELD = {"by": "alex", "reason": "the sale is on", "since": AT}


def asks(approvers: Obj | None = None, **status: Any) -> Obj:
    """A rollout whose first phase asks for an approval."""
    made = rollout(phase=PHASE, **status)
    made["spec"]["phases"][0] |= {"approval": "Required", "approvers": approvers or {}}
    return made


def said(cluster: FakeCluster, request: Request, value: str) -> list[str]:
    person = Person()
    wish = Wish(request, value, "effect", final=request is Request.SKIP)
    Asking.of(cluster, wish, Manner(), person.terminal()).run("move")
    return person.read


def holds(cluster: FakeCluster, why: str = "the sale is on", *, held: bool = True, **manner: Any) -> list[str]:
    person = Person()
    Holding(cluster, why, Manner(**manner), person.terminal(), held=held).run("move")
    return person.read


def sees_holds(obj: Obj) -> None:
    """An operator that takes in holds alone."""
    found = obj["metadata"].get("annotations", {})
    obj["status"].pop("hold", None)
    if HOLD in found:
        obj["status"]["hold"] = {"by": found[REQUESTED_BY], "reason": found[HOLD], "since": AT}


# ---- approve and skip ----


def test_an_approval_names_the_phase_and_who() -> None:
    cluster = FakeCluster(asks())
    cluster.operator = takes_in("Approved", "Phase 1/3 small is approved by kim@example.com")
    assert "Approved: Phase 1/3 small is approved by kim@example.com" in said(cluster, Request.APPROVE, "small: good")
    assert annotations(cluster) == {Request.APPROVE.value: "small: good", REQUESTED_BY: "kim@example.com"}


def test_who_may_not_approve_is_told_before_anything_is_asked() -> None:
    cluster = FakeCluster(asks({"users": ["alex"]}))
    person = Person()
    with pytest.raises(Ended) as ended:
        Asking.of(cluster, Wish(Request.APPROVE, "small: x", "effect"), Manner(), person.terminal()).run("move")
    assert ended.value.code == POINTLESS
    assert person.read[-1] == "Nothing was done: kim@example.com may not approve it: that is for alex"
    assert annotations(cluster) == {}


def test_a_skip_asks_first() -> None:
    cluster = FakeCluster(asks())
    cluster.operator = takes_in("PhaseSkipped", "x")
    assert "Go on?" in said(cluster, Request.SKIP, "small: x")


@pytest.mark.parametrize("verb", ["approve", "skip"])
def test_without_a_phase_it_is_the_present_one(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(asks())
    cluster.operator = takes_in("Approved", "x")
    for name in ("get", "who", "patch"):
        monkeypatch.setattr(f"syncrollout.cli.kubectl.Kubectl.{name}", _of(cluster, name))
    assert main([verb, "move", "-m", "good", "--yes"]) == 0
    assert annotations(cluster)[f"syncrollout.io/{verb}"] == "small: good"
    assert main([verb, "move", "half", "-m", "good", "--yes"]) == POINTLESS


def _of(cluster: FakeCluster, name: str) -> Any:
    return lambda _, *arguments, **more: getattr(cluster, name)(*arguments, **more)


def test_between_runs_there_is_no_present_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(rollout(state="Completed", inFlight=False))
    monkeypatch.setattr("syncrollout.cli.kubectl.Kubectl.get", _of(cluster, "get"))
    assert main(["approve", "move", "-m", "good"]) == POINTLESS


@pytest.mark.parametrize("verb", ["approve", "skip", "hold", "resume"])
def test_each_wants_to_know_why(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "move", "-m", " "]) == 1
    assert "--message: say why" in capsys.readouterr().err


# ---- hold and resume ----


def test_a_hold_is_set_and_seen() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = sees_holds
    read = holds(cluster)
    assert read[1] == "This holds it where it is. Whatever sends it back does so all the same."
    assert annotations(cluster) == {HOLD: "the sale is on", REQUESTED_BY: "kim@example.com"}


def test_resume_takes_it_away_and_says_whose_it_was() -> None:
    made = rollout(state="Paused", hold=HELD)
    made["metadata"]["annotations"] = {HOLD: "the sale is on", REQUESTED_BY: "alex"}
    cluster = FakeCluster(made)
    cluster.operator = sees_holds
    assert "This lets it go on. It is held by alex: the sale is on." in holds(cluster, "it is over", held=False)
    assert annotations(cluster) == {Request.RESUME.value: "it is over", REQUESTED_BY: "kim@example.com"}


@pytest.mark.parametrize(
    ("status", "held", "why"),
    [
        ({"state": "Completed", "inFlight": False}, True, "no run is under way"),
        ({"state": "RollingBack"}, True, "everything is going back, and a hold does not stop that"),
        ({}, False, "nobody holds it"),
    ],
)
def test_what_makes_no_sense_is_said(status: Obj, held: bool, why: str) -> None:
    cluster = FakeCluster(rollout(**status))
    person = Person()
    with pytest.raises(Ended) as ended:
        Holding(cluster, "x", Manner(), person.terminal(), held=held).run("move")
    assert ended.value.code == POINTLESS
    assert why in person.read[-1]
    assert annotations(cluster) == {}


def test_the_hold_of_another_person_is_not_replaced() -> None:
    def somebody(obj: Obj) -> None:
        obj["metadata"]["annotations"] = {HOLD: "mine", REQUESTED_BY: "alex"}

    cluster = FakeCluster(rollout())
    cluster.before_write = [somebody]
    with pytest.raises(Ended):
        holds(cluster)
    assert annotations(cluster) == {HOLD: "mine", REQUESTED_BY: "alex"}


def test_what_the_operator_writes_meanwhile_does_not_get_in_the_way() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = sees_holds
    cluster.before_write = [lambda _: None]
    holds(cluster)
    assert HOLD in annotations(cluster)
    cluster = FakeCluster(rollout())
    cluster.before_write = [lambda _: None] * 10
    with pytest.raises(Failed, match="changed all the time"):
        holds(cluster)


def test_without_an_operator_it_ends_with_a_code_of_its_own() -> None:
    with pytest.raises(Ended) as ended:
        holds(FakeCluster(rollout()))
    assert ended.value.code == NOT_TAKEN_IN
    assert holds(FakeCluster(rollout()), wait=0.0)[-1] == "Asked for."


@pytest.mark.parametrize(("dry_run", "tried"), [(DryRun.CLIENT, 0), (DryRun.SERVER, 1)])
def test_a_dry_run_of_a_hold_does_nothing(dry_run: DryRun, tried: int) -> None:
    cluster = FakeCluster(rollout())
    assert f"with {HOLD}=the sale is on ({dry_run} dry run" in holds(cluster, dry_run=dry_run)[-1]
    assert annotations(cluster) == {}
    assert len(cluster.tried) == tried


# ---- how it is shown ----


def test_who_has_approved_and_who_has_to_is_shown_with_the_phases() -> None:
    given = [{"phase": "small", "entered": AT, "by": "kim", "at": AT}]
    waits = section(drawn(asks()), "Phases")
    assert waits[1].endswith("not over before 2026-11-28T09:00:00Z, needs an approval")
    has = section(drawn(asks(approvals=given)), "Phases")
    assert has[1].endswith(", approved 2026-11-28T09:00:00Z by kim")
    later = asks(approvals=given)
    later["status"]["phase"] = PHASE | {"name": "medium", "label": "2/3 medium", "index": 2}
    assert section(drawn(later), "Phases")[1].endswith("passed, approved 2026-11-28T09:00:00Z by kim")
    skipped = asks(skipped={"phase": "small", "entered": AT, "by": "alex", "at": AT})
    assert "; its time was ended 2026-11-28T09:00:00Z by alex" in section(drawn(skipped), "Phases")[1]


def test_a_hold_is_shown_with_who_and_why() -> None:
    assert "Held by alex: the sale is on (since 2026-11-28T09:00:00Z)" in drawn(asks(hold=HELD))


def test_what_it_waits_for_and_the_command_for_that_are_explained() -> None:
    made = parse(asks({"users": ["kim"]}, hold=HELD))
    lines = explaining.lines(made, Here())
    assert "  - an approval by kim" in lines
    assert "  - the hold to be taken away: held by alex: the sale is on" in lines
    commands = [command for command, _ in choices.of_all(made, Here())]
    assert "kubectl syncrollout approve move small -m WHY -n listings" in commands


def test_the_history_says_who_where_the_words_do_not() -> None:
    entry = {"sequence": 1, "run": 1, "time": AT, "reason": "RequestIgnored", "by": "kim", "message": "no"}
    made = parse(asks(history=[entry, entry | {"sequence": 2, "message": "approved by kim"}]))
    lines = history.lines(made, history.of(made))
    assert lines[1].endswith("no (asked for by kim)")
    assert lines[2].endswith("approved by kim")

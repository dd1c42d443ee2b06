"""What people ask of a rollout by the plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from backtest.plan import ROLLOUT
from cli.cluster import FakeCluster, Obj, takes_in, tell
from syncrollout.api.words import REQUESTED_BY, Request
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import NOT_TAKEN_IN, POINTLESS, Asking, DryRun, Manner, Terminal, Wish
from syncrollout.cli.kubectl import RESOURCE

ROLLBACK = "syncrollout.io/rollback"
_DRILL = {"mode": "Rehearse", "cause": "Person", "started": "2026-11-28T10:00:00.000Z"}
RUNNING = {"state": "Progressing", "inFlight": True, "run": 1, "revision": "1", "message": "Phase 1/2 half: 50 %"}


def _phase(weight: int = 50) -> Obj:
    at = "2026-11-28T09:00:00.000Z"
    return {"name": "half", "index": 1, "label": "1/2 half", "weight": weight, "entered": at, "since": at}


def rollout(name: str = "move", **status: Any) -> Obj:
    """A SyncRollout as the API server has it."""
    made: Obj = yaml.safe_load(ROLLOUT)
    made["metadata"] = {"name": name, "namespace": "listings", "resourceVersion": "7"}
    made["status"] = RUNNING | status
    return made


@dataclass
class Person:
    """Reads, answers `yes`, and waits without its taking time."""

    yes: bool | None = True
    read: list[str] = field(default_factory=list)
    time: float = 1_700_000_000.0

    def confirm(self, question: str) -> bool:
        self.read.append(question)
        if self.yes is None:
            raise Failed("nobody can be asked")
        return self.yes

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def terminal(self) -> Terminal:
        return Terminal(self.read.append, self.confirm, lambda: self.time, self.sleep)


def wish(value: str = "errors on node 3", request: Request = Request.ROLLBACK) -> Wish:
    back = request is Request.ROLLBACK
    return Wish(request, value, "This sends everything back.", final=back, back=back)


@pytest.mark.parametrize(
    ("value", "status", "why"),
    [
        ("live: x", {"phase": _phase(weight=0)}, "new has no traffic in phase half that could go to old"),
        ("live: x", {"state": "Holding", "phase": _phase()}, "the rollout is Holding"),
        ("rehearse: x", {"state": "RollingBack"}, "everything is going back, and that is no drill"),
        ("rehearse: x", {"inFlight": False}, "there is nothing that could go back"),
        ("rehearse: x", {"drill": {"running": _DRILL}}, "a drill is under way already, since 2026-11-28T10:00:00Z"),
    ],
)
def test_a_drill_that_makes_no_sense_is_not_asked_for(value: str, status: Obj, why: str) -> None:
    cluster = FakeCluster(rollout(**status))
    person = Person()
    with pytest.raises(Ended) as ended:
        asked(cluster, wish(value, Request.DRILL), person)
    assert ended.value.code == POINTLESS
    assert why in person.read[-1]


def asked(cluster: FakeCluster, what: Wish | None = None, person: Person | None = None, **manner: Any) -> list[str]:
    """What the person reads."""
    person = person or Person()
    Asking(cluster, what or wish(), Manner(**manner), person.terminal()).run("move")
    return person.read


def annotations(cluster: FakeCluster) -> dict[str, str]:
    found: dict[str, str] = cluster.objects[RESOURCE, "move"]["metadata"].get("annotations", {})
    return found


def test_it_says_where_the_rollout_is_asks_and_tells_what_came_of_it() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in()
    assert asked(cluster) == [
        "listings/move is Progressing: Phase 1/2 half: 50 %",
        "This sends everything back.",
        "Go on?",
        "RollbackRequested: Rolling back from 10 %",
        "listings/move is Progressing: Phase 1/2 half: 50 %",
    ]
    assert annotations(cluster) == {ROLLBACK: "errors on node 3"}


@pytest.mark.parametrize("yes", [False, None])
def test_nothing_is_done_unless_a_person_says_so(yes: bool | None) -> None:
    cluster = FakeCluster(rollout())
    with pytest.raises(Ended if yes is False else Failed):
        asked(cluster, person=Person(yes))
    assert annotations(cluster) == {}


def test_with_yes_nobody_is_asked() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in()
    assert "Go on?" not in asked(cluster, person=Person(None), yes=True)


def test_what_makes_no_sense_now_is_not_asked_for() -> None:
    cluster = FakeCluster(rollout(state="Completed", inFlight=False))
    person = Person()
    with pytest.raises(Ended) as ended:
        asked(cluster, person=person)
    assert ended.value.code == POINTLESS
    assert person.read[-1] == "Nothing was done: no run is under way"
    assert annotations(cluster) == {}


def test_that_the_operator_found_no_sense_in_it_is_an_exit_code_too() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in("RequestIgnored", f"{ROLLBACK} says 'x', and nothing was done: no run is under way")
    with pytest.raises(Ended) as ended:
        asked(cluster)
    assert ended.value.code == POINTLESS


def test_the_same_words_said_again_count_again() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in()
    asked(cluster)
    asked(cluster)
    assert annotations(cluster) == {ROLLBACK: "errors on node 3 (2023-11-14T22:13:20.000Z)"}


def test_without_an_operator_it_ends_with_a_code_of_its_own_and_says_how_to_take_it_back() -> None:
    cluster = FakeCluster(rollout())
    person = Person()
    with pytest.raises(Ended) as ended:
        asked(cluster, person=person, wait=20.0)
    assert ended.value.code == NOT_TAKEN_IN
    assert person.time == 1_700_000_020.0
    assert person.read[-1].endswith("kubectl -n listings annotate syncrollout move syncrollout.io/rollback-")


def test_who_does_not_wait_is_told_what_was_asked() -> None:
    assert asked(FakeCluster(rollout()), wait=0.0)[-1] == f"Asked: {ROLLBACK}=errors on node 3"


def test_a_status_that_the_operator_writes_meanwhile_does_not_get_in_the_way() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in()
    cluster.before_write = [lambda obj: tell(obj["status"], "PhaseStarted", "x"), lambda _: None]
    asked(cluster)
    assert annotations(cluster) == {ROLLBACK: "errors on node 3"}


def test_somebody_elses_request_that_is_not_taken_in_yet_is_not_replaced() -> None:
    def somebody(obj: Obj) -> None:
        obj["metadata"]["annotations"] = {ROLLBACK: "mine first"}

    cluster = FakeCluster(rollout())
    cluster.before_write = [somebody]
    with pytest.raises(Failed, match=r"has not taken it in yet: syncrollout\.io/rollback=mine first"):
        asked(cluster)
    assert annotations(cluster) == {ROLLBACK: "mine first"}


def test_the_name_of_who_asks_goes_with_it_and_no_other_stays() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in()
    person = Person()
    Asking.of(cluster, wish(), Manner(), person.terminal()).run("move")
    assert annotations(cluster) == {ROLLBACK: "errors on node 3", REQUESTED_BY: "kim@example.com"}

    asked(cluster, wish("once more"))
    assert annotations(cluster) == {ROLLBACK: "once more"}


def test_an_api_server_that_does_not_say_who_asks_keeps_nobody_from_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: FakeCluster) -> str:
        raise Failed("the API server does not say who you are")

    monkeypatch.setattr(FakeCluster, "who", unknown)
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in()
    person = Person()
    Asking.of(cluster, wish(), Manner(), person.terminal()).run("move")
    assert annotations(cluster) == {ROLLBACK: "errors on node 3"}
    assert person.read[0] == "It is asked for without your name: the API server does not say who you are"


def test_what_another_person_waits_for_is_not_put_under_your_name_but_a_rollback_waits_for_nobody() -> None:
    made = rollout(incident={"severity": "High", "criterion": "c", "message": "slow", "since": "2026-11-28T09:00:00Z"})
    made["metadata"]["annotations"] = {Request.DRILL.value: "rehearse: x", REQUESTED_BY: "alex"}
    cluster = FakeCluster(made)
    with pytest.raises(Failed, match=r"alex has asked for something, .* syncrollout\.io/drill=rehearse: x"):
        Asking.of(cluster, wish("known", Request.OVERRIDE), Manner(), Person().terminal()).run("move")
    assert annotations(cluster)[REQUESTED_BY] == "alex"

    cluster.operator = takes_in()
    Asking.of(cluster, wish(), Manner(), Person().terminal()).run("move")
    assert annotations(cluster)[REQUESTED_BY] == "kim@example.com"


def test_one_that_never_stands_still_is_given_up() -> None:
    cluster = FakeCluster(rollout())
    cluster.before_write = [lambda _: None] * 10
    with pytest.raises(Failed, match="changed all the time"):
        asked(cluster)
    assert annotations(cluster) == {}


@pytest.mark.parametrize(("dry_run", "tried"), [(DryRun.CLIENT, 0), (DryRun.SERVER, 1)])
def test_a_dry_run_says_what_it_would_do_and_does_nothing(dry_run: DryRun, tried: int) -> None:
    cluster = FakeCluster(rollout())
    read = asked(cluster, dry_run=dry_run)
    assert read[-1].startswith(f"Would annotate listings/move with {ROLLBACK}=errors on node 3 ({dry_run} dry run")
    assert annotations(cluster) == {}
    assert len(cluster.tried) == tried


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), "nor any other: look at --namespace"),
        (("moves",), "did you mean moves?"),
        (("search", "billing"), "there is billing, search"),
    ],
)
def test_a_name_that_is_not_there(others: tuple[str, ...], said: str) -> None:
    with pytest.raises(Failed, match=said.replace("?", r"\?")):
        asked(FakeCluster(*(rollout(name) for name in others)))


def test_a_status_of_another_release_is_said_to_be_unreadable() -> None:
    with pytest.raises(Failed, match=r"move cannot be read by this release of the plugin \(state: .*: update it"):
        asked(FakeCluster(rollout(state="Dancing")))

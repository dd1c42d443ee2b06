"""Each judge of an endurance run can say no: it is given a run that is well but for one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from soak.judges import Collected, Evidence, judge
from soak.samples import Sample
from soak.story import Tale

from soak import judges

MINUTES = 40
START = 1_000_000.0
"""Of the run, seconds since the epoch."""
DELIVERY = ("1-Started", "team", "chat")
KEY = "uid-1-1-Started-team-chat"


def sample(at: float, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "time": at,
        "leader": "replica-a/3",
        "rss": 120.0 + (at % 7) / 10,
        "standby_rss": 100.0,
        "objects": 40_000,
        "tasks": 40,
        "threads": 20,
        "files": 45,
        "passes": 200,
        "p50": 0.01,
        "p99": 0.05,
        "late": 0,
        "requests": {"patch": 100, "get": 20, "watch": 3},
        "counts": {"Job": 60, "Pod": 104, "ConfigMap": 14, "Lease": 2, "SyncRollout": 29},
        "status": 30_000,
        "history": 32,
        "state": "Progressing",
        "outage": False,
    }
    return Sample(**values | changes)


def run(**of: Callable[[float], Any]) -> list[Sample]:
    """A sample every 15 s; `of` says how a value goes with the time of the run."""
    times = [15.0 * number for number in range(1, MINUTES * 4 + 1)]
    return [sample(at, **{name: how(at) for name, how in of.items()}) for at in times]


def tale(**changes: Any) -> Tale:
    made = Tale("uid-1", "sync", "shop", scheduled=True)
    made.entries = {1: ("1970-01-12T13:46:50.000Z", "PhaseStarted", "Phase 1/2 begins")}  # START + 10
    made.deliveries = {DELIVERY: "Sent"}
    made.waits = [(START, True), (START + 9.0, False)]
    return replace(made, **changes)


WELL = Evidence(
    minutes=MINUTES,
    samples=run(),
    collected=[Collected(1200.0, "replica-a/3", 40_000, 118.0), Collected(2400.0, "replica-a/3", 40_500, 118.5)],
    tales=[tale()],
    posts=[(KEY, "sync begins")],
    jobs=["shop/sync-verify-data-1"],
    made=[5.0 * number for number in range(MINUTES * 12)],
    kept=240.0,
    route_writes=100,
    route_moves=99,
    items=1000,
    openings=[(START + 8.0, START + 600.0)],
    finals=29,
)


def wrong(evidence: Evidence) -> list[str]:
    return [text for each in judge(evidence) for text in each.wrong]


def test_a_run_that_is_well_passes_all() -> None:
    assert wrong(WELL) == []
    assert len({each.what for each in judge(WELL)}) == len(judges.ALL)


def leaking(per_second: float) -> Callable[[float], float]:
    return lambda at: 120.0 + per_second * at


FAILING: dict[str, tuple[Evidence, str]] = {
    "memory leaks": (replace(WELL, samples=run(rss=leaking(0.01))), "memory grows: by 9.6 MB"),
    "the leader changes in the second half": (
        replace(WELL, samples=run(leader=lambda at: "replica-a/3" if at < 1800 else "replica-b/4")),
        "one process was to lead in the second half: it was replica-a/3, replica-b/4",
    ),
    "nobody leads": (replace(WELL, samples=run(leader=lambda _: "")), "it was nobody"),
    "objects leak": (
        replace(WELL, collected=[WELL.collected[0], replace(WELL.collected[1], objects=44_000)]),
        "objects that nothing collects grow: from 40000 to 44000",
    ),
    "memory after a collection grows": (
        replace(WELL, collected=[WELL.collected[0], replace(WELL.collected[1], rss=130.0)]),
        "memory after a collection grows: from 118.0 to 130.0 MB",
    ),
    "nothing was collected": (replace(WELL, collected=WELL.collected[:1]), "no two collections"),
    "files leak": (replace(WELL, samples=run(files=lambda at: int(at / 30))), "open files: "),
    "threads leak": (replace(WELL, samples=run(threads=lambda at: int(at / 30))), "threads: "),
    "tasks leak": (replace(WELL, samples=run(tasks=lambda at: int(at / 30))), "tasks: "),
    "Jobs pile up": (replace(WELL, samples=run(counts=lambda at: {"Job": int(at / 4)})), "Jobs: "),
    "Jobs stand and none is made": (replace(WELL, made=()), "Jobs: 60 stand longer than they may"),
    "other Pods pile up": (
        replace(WELL, samples=run(counts=lambda at: {"Job": 60, "Pod": 60 + int(at / 9)})),
        "Pods but ",
    ),
    "ConfigMaps pile up": (replace(WELL, samples=run(counts=lambda at: {"ConfigMap": int(at / 9)})), "ConfigMaps: "),
    "a status is large": (replace(WELL, samples=run(status=lambda _: 70_000)), "a status had 70000 bytes"),
    "a history is long": (replace(WELL, samples=run(history=lambda _: 33)), "a history had 33 entries"),
    "a pass is late": (
        replace(WELL, samples=run(late=lambda at: int(at == 600))),
        "at 600 s 1 passes were later than 5 s, and nothing was away",
    ),
    "requests grow": (
        replace(WELL, samples=run(requests=lambda at: {"patch": int(at / 10)})),
        "requests for a pass: ",
    ),
    "nothing is asked at all": (replace(WELL, samples=run(passes=lambda _: 0)), "requests for a pass: 0.000"),
    "a message comes twice": (
        replace(WELL, posts=[(KEY, "sync begins")] * 2),
        f"1 messages came more than once: {KEY} (sync begins)",
    ),
    "a message does not come": (
        replace(WELL, posts=[]),
        "1 messages are recorded as sent, and did not come: shop/sync",
    ),
    "a message comes that nobody recorded": (
        replace(WELL, posts=[(KEY, "a"), ("key-2", "b")]),
        "1 messages came, and nobody has recorded them: key-2 (b)",
    ),
    "a message comes before it is recorded that it is sent": (
        replace(WELL, tales=[tale(deliveries={DELIVERY: "Pending"})]),
        "1 messages came, though they are recorded as never sent",
    ),
    "a message is left": (replace(WELL, tales=[tale(deliveries={DELIVERY: "Pending"})]), "still on their way"),
    "a message is given up": (replace(WELL, tales=[tale(deliveries={DELIVERY: "GivenUp"})]), "were given up"),
    "a Job is made twice": (
        replace(WELL, jobs=["shop/a", "shop/b", "shop/a"]),
        "1 Jobs were made more than once: shop/a",
    ),
    "a history is written over": (replace(WELL, rewritten={"sync": ["3: a became b"]}), "history of sync was written"),
    "a history says something twice": (
        replace(WELL, tales=[tale(entries=dict.fromkeys((1, 2), ("1970-01-12T13:46:50Z", "PhaseStarted", "x")))]),
        "sync tells twice: ",
    ),
    "routes are written for nothing": (replace(WELL, route_moves=50), "50 of 100 writes of routes changed no weight"),
    "a key has two owners": (replace(WELL, two_owners=["key-7: old-1 and new-2"]), "two systems at once: key-7"),
    "no item is handled": (replace(WELL, items=0), "no work item was handled"),
    "a phase begins outside of windows": (
        replace(WELL, openings=[(START + 60.0, START + 600.0)], tales=[tale(waits=[])]),
        "sync began a phase outside of all windows",
    ),
    "a window is slept through": (
        replace(WELL, tales=[tale(waits=[(START, True), (START + 40.0, False)])]),
        "sync waited for a window that was open for 32 s",
    ),
    "the end is not as it must be": (replace(WELL, final=["the flagship is Holding"]), "the flagship is Holding"),
    "the log tells of a fault": (replace(WELL, faults=["replica-a: ended in an error"]), "ended in an error"),
    "it ends badly": (replace(WELL, exits=["replica-a ended with code 1"]), "ended with code 1"),
}


@pytest.mark.parametrize("name", FAILING)
def test_one_thing_that_is_wrong_is_said_in_a_sentence(name: str) -> None:
    evidence, says = FAILING[name]
    assert any(says in text for text in wrong(evidence)), wrong(evidence)


def test_each_judge_is_seen_to_say_no() -> None:
    no = {each.what for evidence, _ in FAILING.values() for each in judge(evidence) if not each.passed}
    assert no == {each.what for each in judge(WELL)}


def test_what_is_no_fault_is_not_called_one() -> None:
    away = run(late=lambda at: int(at == 600), outage=lambda at: at == 600)
    assert wrong(replace(WELL, samples=away)) == []
    unconfirmed = tale(deliveries={DELIVERY: "Unconfirmed"})
    assert wrong(replace(WELL, tales=[unconfirmed])) == []
    assert wrong(replace(WELL, tales=[unconfirmed], posts=[])) == []
    # faster from the last quarter on: twice as many Jobs are made, and stand
    made = [*WELL.made, *(at + 2.5 for at in WELL.made if at > 1400)]
    fast = run(counts=lambda at: {"Job": 120, "Pod": 164} if at > 1700 else {"Job": 60, "Pod": 104})
    assert wrong(replace(WELL, samples=fast, made=made)) == []
    waited = tale(waits=[(START, True), (START + 40.0, False)])
    assert wrong(replace(WELL, tales=[waited], outages=[(START, START + 30.0)])) == []


def test_one_sample_far_off_is_no_slope() -> None:
    points = [(float(n), 100.0) for n in range(20)]
    points[7] = (7.0, 900.0)
    assert judges.slope(points) == 0.0
    assert judges.slope([(n, 2.0 * n) for n in range(5)]) == 2.0
    assert judges.slope([]) == 0.0

"""What rollouts wait for of each other: read from all of them, the same after a restart, whoever looks first."""

from __future__ import annotations

from typing import Any

import pytest

from syncrollout.api.words import API_VERSION, FINALIZER, KIND, State
from syncrollout.decide.waited_for import PoolFact, WaitedFor
from syncrollout.ports import Object
from syncrollout.runtime import waiting
from syncrollout.runtime.rollouts import Key, Rollout, Rollouts

LATE, EARLY = "2026-01-01T00:00:09.000Z", "2026-01-01T00:00:05.000Z"
OFFICE = {"windows": [{"days": ["Mon"], "from": "10:00", "to": "17:00"}]}


def _put(rollouts: Rollouts, name: str, status: Object | None = None, *, created: int = 0, **spec: Any) -> Rollout:
    namespace, _, short = name.rpartition("/")
    known = rollouts.get(Key(namespace or "shop", short))
    metadata = {
        "namespace": namespace or "shop",
        "name": short,
        "uid": f"uid-{name}",
        "resourceVersion": str(int(known.resource_version) + 1 if known is not None else 1),
        "generation": 1,
        "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
    }
    whole = {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}},
        "traffic": {"replicas": {"total": 10}},
        "phases": [{"name": "all", "weight": 100}],
        **spec,
    }
    raw = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": whole, "status": status or {}}
    rollout = rollouts.put(raw)
    assert rollout is not None
    rollout.parse()
    return rollout


def _looks(rollouts: Rollouts, name: str, *namespaces: str) -> WaitedFor:
    namespace, _, short = name.rpartition("/")
    rollout = rollouts.get(Key(namespace or "shop", short))
    assert rollout is not None
    found = waiting.waited_for(rollouts, rollout, namespaces)
    assert found is not None
    return found


# ---- dependsOn ---------------------------------------------------------------------------------------------------


def _runs(state: str = "Progressing", revision: str = "1", **more: Any) -> Object:
    return {"state": state, "revision": revision, "inFlight": True, "observedGeneration": 1, "run": 1, **more}


def _ended(state: str = "Completed", revision: str = "1", **more: Any) -> Object:
    good = {"lastGoodRevision": revision} if state == "Completed" else {}
    return {"state": state, "revision": revision, "observedGeneration": 1, "run": 1, **good, **more}


@pytest.mark.parametrize(
    ("other", "wanted", "met"),
    [
        (None, {}, False),
        (_runs(), {}, False),
        (_ended(), {}, True),
        (_ended(revision="0"), {}, False),
        (_ended("RolledBack"), {}, False),
        # It has gone on to the next revision since.
        (_runs(revision="2", lastGoodRevision="1"), {}, True),
        (_ended(revision="0"), {"sameRevision": False}, True),
        (_runs(lastGoodRevision="0"), {"sameRevision": False}, False),
        (_runs(), {"state": "Started"}, True),
        (_runs(revision="0"), {"state": "Started"}, False),
        (_runs(revision="0"), {"state": "Started", "sameRevision": False}, True),
        (_runs("RollingBack"), {"state": "Started"}, False),
        (_ended(), {"state": "Started"}, True),
    ],
)
def test_how_far_the_other_one_is(other: Object | None, wanted: Object, met: bool) -> None:
    rollouts = Rollouts()
    _put(rollouts, "prod", dependsOn=[{"name": "sync", "namespace": "staging", **wanted}])
    if other is not None:
        _put(rollouts, "staging/sync", other)

    (fact,) = _looks(rollouts, "prod").dependencies

    assert (fact.rollout, fact.met) == ("staging/sync", met)
    assert fact.state == (State(other["state"]) if other is not None else None)


def test_a_namespace_that_nobody_watches_is_told_from_a_rollout_that_does_not_exist() -> None:
    rollouts = Rollouts()
    _put(rollouts, "prod", dependsOn=[{"name": "sync", "namespace": "staging"}, {"name": "near"}])

    far, near = _looks(rollouts, "prod", "shop").dependencies

    assert (far.watched, near.watched) == (False, True)


def test_rollouts_that_wait_for_each_other_are_found_and_those_that_do_not_are_not() -> None:
    rollouts = Rollouts()
    _put(rollouts, "a", dependsOn=[{"name": "b"}])
    _put(rollouts, "b", dependsOn=[{"name": "x"}, {"name": "c"}])
    _put(rollouts, "c", dependsOn=[{"name": "a"}])
    _put(rollouts, "x")
    _put(rollouts, "before", dependsOn=[{"name": "a"}])
    assert _looks(rollouts, "a").cycle == ("shop/a", "shop/b", "shop/c", "shop/a")
    assert _looks(rollouts, "before").cycle == (), "it waits, but not in a round of its own"

    _put(rollouts, "b", _runs(), dependsOn=[{"name": "c"}])
    assert _looks(rollouts, "a").cycle == (), "one that is in flight waits for nobody"


def test_a_rollout_that_waits_for_itself() -> None:
    rollouts = Rollouts()
    _put(rollouts, "a", dependsOn=[{"name": "a"}])

    assert _looks(rollouts, "a").cycle == ("shop/a", "shop/a")


def test_who_waits_for_nothing_costs_nothing_and_who_is_in_flight_does_not_look() -> None:
    rollouts = Rollouts()
    assert waiting.waited_for(rollouts, _put(rollouts, "free")) is None
    assert waiting.waited_for(rollouts, _put(rollouts, "runs", _runs(), dependsOn=[{"name": "x"}])) is None


# ---- pools -------------------------------------------------------------------------------------------------------


def _line(since: str, reason: str = "WaitingForPool") -> Object:
    return {"state": "Preflight", "reason": reason, "waitingSince": since}


def _pool(rollouts: Rollouts, name: str) -> PoolFact:
    found = _looks(rollouts, name).pool
    assert found is not None
    return found


DB: Object = {"pool": {"name": "db", "limit": 1}}


def test_one_whose_passes_fail_again_and_again_keeps_no_place_before_others() -> None:
    rollouts = Rollouts()
    stuck = _put(rollouts, "stuck", _line(EARLY), **DB)
    _put(rollouts, "next", _line(LATE), **DB)
    stuck.failures = 1
    assert _pool(rollouts, "next").ahead == ("shop/stuck",), "it may be the API server's bad moment"

    stuck.failures = waiting.MANY_FAILURES

    assert _pool(rollouts, "next").free
    stuck.failures = 0
    assert _pool(rollouts, "next").ahead == ("shop/stuck",)


def test_those_in_flight_have_the_room_whatever_their_namespace_and_those_that_ended_do_not() -> None:
    rollouts = Rollouts()
    _put(rollouts, "me", **DB)
    _put(rollouts, "far/runs", _runs(), **DB)
    _put(rollouts, "back", _runs("RollingBack"), **DB)
    _put(rollouts, "done", _ended(), **DB)
    _put(rollouts, "watched", _ended(watch={"until": LATE, "moves": "same"}), **DB)
    _put(rollouts, "other", _runs(), pool={"name": "api", "limit": 1})

    assert _pool(rollouts, "me") == PoolFact(1, ("far/runs", "shop/back"))
    assert not _pool(rollouts, "me").free


def test_one_that_is_about_to_begin_counts_before_that_is_written() -> None:
    rollouts = Rollouts()
    _put(rollouts, "me", **DB)
    _put(rollouts, "first", **DB).starting = True

    assert _pool(rollouts, "me").in_flight == ("shop/first",)


def test_who_has_the_finalizer_has_a_place_and_of_two_the_one_before() -> None:
    rollouts = Rollouts()
    mine, other = _put(rollouts, "me", _line(LATE), **DB), _put(rollouts, "other", _line(EARLY), **DB)
    other.metadata["finalizers"] = [FINALIZER]
    assert _pool(rollouts, "me").in_flight == ("shop/other",)

    mine.metadata["finalizers"] = [FINALIZER]
    assert _pool(rollouts, "me").in_flight == ("shop/other",)
    assert _pool(rollouts, "other").free

    _put(rollouts, "third", _line(EARLY), **DB)
    other.metadata["finalizers"] = []
    assert _pool(rollouts, "me").free, "who came into the line meanwhile does not take its place away"

    other.claiming = True
    assert _pool(rollouts, "me").in_flight == ("shop/other",), "it is on its way"


def test_the_least_limit_counts() -> None:
    rollouts = Rollouts()
    _put(rollouts, "me", pool={"name": "db", "limit": 3})
    _put(rollouts, "a", _runs(), pool={"name": "db", "limit": 2})
    _put(rollouts, "done", _ended(), pool={"name": "db", "limit": 1})

    assert (_pool(rollouts, "me").limit, _pool(rollouts, "me").free) == (2, True)


def test_who_has_waited_longest_goes_first_then_the_older_one() -> None:
    rollouts = Rollouts()
    _put(rollouts, "young", _line(EARLY), created=9, **DB)
    _put(rollouts, "old", _line(LATE), created=1, **DB)
    _put(rollouts, "older", _line(LATE), created=0, **DB)
    _put(rollouts, "new", created=0, **DB)

    ahead = {name: _pool(rollouts, name).ahead for name in ("young", "older", "old", "new")}

    assert ahead == {
        "young": (),
        "older": ("shop/young",),
        "old": ("shop/young", "shop/older"),
        "new": ("shop/young", "shop/older", "shop/old"),
    }


@pytest.mark.parametrize(
    ("status", "spec", "before"),
    [
        (_line(EARLY, "NewNotReady"), {}, False),
        (_line(EARLY), {"suspend": True}, False),
        (_line(EARLY, "OutsideWindow"), {"schedule": OFFICE}, True),
        (_line(EARLY, "Frozen"), {"schedule": OFFICE}, True),
        (_line(EARLY, "OutsideWindow"), {"schedule": OFFICE | {"timezone": "Asia/Tokyo"}}, False),
        (_line(EARLY, "OutsideWindow"), {}, False),
    ],
)
def test_who_could_not_begin_now_holds_nobody_up(status: Object, spec: Object, before: bool) -> None:
    rollouts = Rollouts()
    _put(rollouts, "first", status, **DB, **spec)
    _put(rollouts, "me", _line(LATE), **DB, schedule=OFFICE)

    assert _pool(rollouts, "me").free is not before


def test_shared_freezes_of_another_namespace_are_another_calendar() -> None:
    rollouts = Rollouts()
    shared = OFFICE | {"freezesFrom": {"configMap": "freezes", "key": "freezes"}}
    _put(rollouts, "far/first", _line(EARLY, "OutsideWindow"), **DB, schedule=shared)
    _put(rollouts, "me", _line(LATE), **DB, schedule=shared)
    assert _pool(rollouts, "me").free

    _put(rollouts, "near", _line(EARLY, "OutsideWindow"), **DB, schedule=shared)
    assert not _pool(rollouts, "me").free


def test_those_that_may_go_on_are_the_waiting_ones_of_the_pool_and_the_dependents() -> None:
    rollouts = Rollouts()
    one = _put(rollouts, "one", _ended(), **DB)
    _put(rollouts, "next", _line(EARLY), **DB)
    _put(rollouts, "runs", _runs(), **DB)
    _put(rollouts, "prod/sync", dependsOn=[{"name": "one", "namespace": "shop"}])
    _put(rollouts, "done", _ended(), dependsOn=[{"name": "one"}])
    _put(rollouts, "else")

    assert waiting.touched(rollouts, one.key) == (Key("shop", "next"), Key("prod", "sync"))

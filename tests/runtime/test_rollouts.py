"""What a process knows of the rollouts: the newest object, the last good spec, who holds a route, who is at rest."""

from __future__ import annotations

from typing import Any

import pytest

from syncrollout.api.words import API_VERSION, FINALIZER, KIND, Reason
from syncrollout.ports import KindRef, Object, ObjectRef
from syncrollout.runtime.rollouts import Key, Rollout, Rollouts

ROUTE = ObjectRef(KindRef("gateway.networking.k8s.io/v1", "HTTPRoute"), "shop", "web")


def spec(*, route: str = "web", **more: Any) -> Object:
    return {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
        "traffic": {"routes": [{"apiVersion": ROUTE.kind.api_version, "kind": ROUTE.kind.kind, "name": route}]},
        "phases": [{"name": "all", "weight": 100}],
        **more,
    }


def by_replicas(**more: Any) -> Object:
    return {**spec(), "traffic": {"replicas": {"total": 10}}, **more}


def obj(
    name: str = "a",
    *,
    version: int = 1,
    uid: str = "",
    generation: int = 1,
    created: str = "2026-01-01T00:00:00Z",
    status: Object | None = None,
    finalizers: tuple[str, ...] = (),
    with_spec: Object | None = None,
) -> Object:
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": created,
        "finalizers": list(finalizers),
    }
    made = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": with_spec or spec()}
    return {**made, "status": status} if status is not None else made


def ended(state: str = "Completed", **more: Any) -> Object:
    return {"state": state, "observedGeneration": 1, "revision": "1", "run": 1, **more}


def known(rollouts: Rollouts, raw: Object) -> Rollout:
    """Taken in, parsed and claimed, as the controller does."""
    rollout = rollouts.put(raw)
    assert rollout is not None
    rollout.parse()
    rollouts.claim(rollout)
    return rollout


# ---- taking in ----


def test_the_newer_version_wins_in_whatever_order_they_come() -> None:
    rollouts = Rollouts()
    assert rollouts.put(obj(version=9)) is not None
    assert rollouts.put(obj(version=10)) is not None, "versions are numbers, not text"
    assert rollouts.put(obj(version=9)) is None
    assert rollouts.put(obj(version=10)) is None, "the echo of a write is no news"
    known_now = rollouts.get(Key("shop", "a"))
    assert known_now is not None
    assert known_now.resource_version == "10"


def test_an_object_of_the_same_name_made_anew_is_another_rollout() -> None:
    rollouts = Rollouts()
    first = known(rollouts, obj(version=50, uid="one", status={"run": 3}))
    second = rollouts.put(obj(version=60, uid="two"))
    assert second is not None
    assert second is not first
    assert second.status is None
    assert rollouts.put(obj(version=55, uid="one")) is None, "what the watch still says of the first one is old"
    assert rollouts.get(Key("shop", "a")) is second


def test_a_spec_that_does_not_parse_leaves_the_last_good_one_and_says_which_field_is_wrong() -> None:
    rollouts = Rollouts()
    rollout = known(rollouts, obj())
    good = rollout.spec
    rollouts.put(obj(version=2, generation=2, with_spec=spec(phases=[{"name": "all", "weight": 101}])))
    rollout.parse()
    assert rollout.spec == good
    assert rollout.spec_problem is not None
    assert rollout.spec_problem.reason is Reason.INVALID_SPEC
    assert "spec.phases.0.weight" in rollout.spec_problem.message
    rollouts.put(obj(version=3, generation=3, with_spec=spec(revision="2")))
    rollout.parse()
    assert rollout.spec_problem is None
    assert rollout.spec is not None
    assert rollout.spec.revision == "2"


@pytest.mark.parametrize("known_before", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": {"timezone": "Asia/Tokio"}},
        {"schedule": {"freezes": [{"from": "2026-02-30", "to": "2026-03-01"}]}},
        {"rollback": {"drill": {"schedule": "0 10 30 2 *"}}},
        {"ofALaterRelease": {"x": 1}},
        {"rollback": {"ofALaterRelease": True, "drill": {"schedule": "0 10 30 2 *"}}},
        {"phases": [{"name": "all", "weight": 100, "ofALaterRelease": 1, "success": [{"metric": "m", "new": 1}]}]}
        | {"metrics": [{"name": "m", "kind": "system", "query": "up", "unit": "x", "later": 2}]},
        {
            "phases": [
                {
                    "name": "all",
                    "weight": 100,
                    "verification": [{"name": "nightly", "schedule": "0 3 31 2 *", "job": {}}],
                }
            ]
        },
    ],
)
def test_what_is_wrong_with_a_calendar_or_not_known_yet_keeps_nobody_from_pulling_the_cord(
    wrong: Object, known_before: bool
) -> None:
    rollouts = Rollouts()
    status = {"run": 1, "inFlight": True, "state": "Progressing"}
    if known_before:
        known(rollouts, obj(status=status))
    rollout = known(rollouts, obj(version=2, generation=2, status=status, with_spec=spec(emergencyStop=True, **wrong)))

    assert rollout.spec_problem is not None, "nothing moves forward before it is mended"
    assert rollout.spec is not None
    assert rollout.spec.emergency_stop

    rollouts.put(obj(version=3, generation=3, status=status, with_spec=spec(**wrong)))
    rollout.parse()
    assert rollout.spec_problem is not None
    assert not rollout.spec.emergency_stop, "nor does it last longer than it is asked for"


def test_a_revision_that_is_set_back_is_heard_though_something_else_is_wrong() -> None:
    rollouts = Rollouts()
    known(rollouts, obj(with_spec=spec(revision="2")))
    wrong = {"schedule": {"timezone": "Asia/Tokio"}}
    rollout = known(rollouts, obj(version=2, generation=2, with_spec=spec(revision="1", suspend=True, **wrong)))
    assert rollout.spec is not None
    assert (rollout.spec.revision, rollout.spec.suspend) == ("1", True)


def test_what_was_decided_and_not_written_outlives_events_that_do_not_touch_the_status() -> None:
    rollouts = Rollouts()
    rollout = known(rollouts, obj(status={"run": 1}))
    assert rollout.status is not None
    decided = rollout.status = rollout.status.model_copy(update={"message": "decided since"})
    rollouts.put(obj(version=2, status={"run": 1}))
    rollout.parse()
    assert rollout.status is decided
    rollouts.put(obj(version=3, status={"run": 2}))
    rollout.parse()
    assert rollout.status.run == 2


# ---- at rest ----


@pytest.mark.parametrize("state", ["Completed", "RolledBack"])
def test_a_run_that_has_ended_is_at_rest(state: str) -> None:
    assert Rollout(Key("shop", "a"), obj(status=ended(state))).at_rest


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (obj(), "it has not begun"),
        (obj(status=ended("Progressing")), "it is under way"),
        (obj(status=ended(), generation=2), "the spec was edited since"),
        (obj(status=ended(), finalizers=(FINALIZER,)), "the finalizer is still to go"),
        (obj(status=ended(), with_spec=spec(emergencyStop=True)), "a completed run can be stopped"),
        (obj(status=ended("RolledBack"), with_spec=spec(revision="2")), "the revision that was asked for is to run"),
        (obj(status=ended("Completed", lastGoodRevision="2"), with_spec=spec(revision="2")), "another revision"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_is_not_at_rest_while_something_is_to_be_decided(raw: Object, why: str) -> None:
    assert not Rollout(Key("shop", "a"), raw).at_rest, why


def test_a_rollout_that_went_back_to_the_last_good_revision_asks_for_no_run() -> None:
    raw = obj(status=ended("RolledBack", revision="2", lastGoodRevision="1"))
    assert Rollout(Key("shop", "a"), raw).at_rest


# ---- who looks at what ----


def test_a_change_of_a_route_a_workload_or_a_service_finds_its_rollouts() -> None:
    rollouts = Rollouts()
    known(rollouts, obj("a"))
    known(rollouts, obj("b"))
    known(rollouts, obj("c", with_spec=spec(route="other")))
    deployment = ObjectRef(KindRef("apps/v1", "Deployment"), "shop", "v1")
    service = ObjectRef(KindRef("v1", "Service"), "shop", "v2")
    assert rollouts.users(ROUTE) == (Key("shop", "a"), Key("shop", "b"))
    assert rollouts.users(deployment) == rollouts.users(service) == tuple(Key("shop", name) for name in "abc")
    rollouts.remove(Key("shop", "a"))
    assert rollouts.users(ROUTE) == (Key("shop", "b"),)
    assert rollouts.users(ObjectRef(ROUTE.kind, "elsewhere", "web")) == ()


def test_an_edit_that_names_another_route_moves_the_claim() -> None:
    rollouts = Rollouts()
    rollout = known(rollouts, obj())
    rollouts.put(obj(version=2, generation=2, with_spec=spec(route="other")))
    rollout.parse()
    rollouts.claim(rollout)
    assert rollouts.users(ROUTE) == ()
    assert rollouts.users(ObjectRef(ROUTE.kind, "shop", "other")) == (Key("shop", "a"),)


# ---- one rollout moves a route at a time ----


def test_of_two_that_wait_the_older_goes_first_and_the_younger_says_who_holds_the_route() -> None:
    rollouts = Rollouts()
    older = known(rollouts, obj("older", created="2026-01-01T00:00:00Z"))
    younger = known(rollouts, obj("younger", created="2026-01-01T00:00:01Z"))
    assert rollouts.taken(older) == ()
    (problem,) = rollouts.taken(younger)
    assert problem.reason is Reason.ROUTE_TAKEN
    assert "older" in problem.message
    assert "HTTPRoute shop/web" in problem.message
    assert rollouts.rivals(older) == (younger.key,)


def test_one_in_flight_keeps_the_route_whoever_is_older() -> None:
    rollouts = Rollouts()
    older = known(rollouts, obj("older", created="2026-01-01T00:00:00Z"))
    younger = known(rollouts, obj("younger", created="2026-01-01T00:00:01Z", status={"inFlight": True}))
    assert rollouts.taken(older) != ()
    assert rollouts.taken(younger) == ()


def test_one_whose_start_is_decided_holds_the_route_before_that_is_recorded() -> None:
    rollouts = Rollouts()
    older = known(rollouts, obj("older", created="2026-01-01T00:00:00Z"))
    younger = known(rollouts, obj("younger", created="2026-01-01T00:00:01Z"))
    younger.starting = True
    assert rollouts.taken(older) != ()
    assert rollouts.taken(younger) == ()
    rollouts.put(obj("younger", created="2026-01-01T00:00:01Z", version=2, status={"inFlight": False}))
    assert rollouts.taken(older) == (), "the object says that it did not begin"


def test_one_that_has_ended_leaves_the_route() -> None:
    rollouts = Rollouts()
    known(rollouts, obj("older", created="2026-01-01T00:00:00Z", status=ended()))
    younger = known(rollouts, obj("younger", created="2026-01-01T00:00:01Z"))
    assert rollouts.taken(younger) == ()


def test_by_replicas_it_is_the_workloads_that_are_held() -> None:
    rollouts = Rollouts()
    known(rollouts, obj("older", created="2026-01-01T00:00:00Z", with_spec=by_replicas()))
    younger = known(rollouts, obj("younger", created="2026-01-01T00:00:01Z", with_spec=by_replicas()))
    (problem,) = rollouts.taken(younger)
    assert "Deployment shop/v1" in problem.message


# ---- several replicas ----


def test_what_is_in_progress_is_this_replicas_or_the_others() -> None:
    rollouts = Rollouts(partitions=2)
    for number in range(8):
        known(rollouts, obj(f"r{number}", uid=f"{number}-{0:034}"))
    known(rollouts, obj("done", status=ended()))
    rollouts.led = {1}
    mine = {key.name for key, _, _ in rollouts.in_progress()}
    others = {key.name for key, _, _ in rollouts.in_progress(foreign=True)}
    assert mine == {each.key.name for each in rollouts if each.partition == 1} - {"done"}
    assert others == {each.key.name for each in rollouts if each.partition == 0} - {"done"}
    assert mine
    assert others
    alone = Rollouts()
    known(alone, obj())
    assert [key.name for key, _, _ in alone.in_progress()] == ["a"]
    assert not list(alone.in_progress(foreign=True))

"""It is deleted, in every state there is: traffic goes back to old first, and nothing keeps it that must not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from decide import places
from decide.plans import by_replicas, two_phases
from decide.world import World, begun
from syncrollout.api.words import Reason, Side, State
from syncrollout.decide.actions import RemoveFinalizer, SetWeight
from syncrollout.decide.facts import Problem, WorkloadFact

PHASES = ["parallel-run", "small-traffic", "medium-traffic", "full-traffic", "full-migration"]


def test_no_finalizer_is_set_on_what_is_being_deleted() -> None:
    """The API server refuses it: the rollback must not fail over it."""
    world = begun(two_phases())
    world.finalizer = False
    world.deleting = True

    assert world.step().actions == (SetWeight(0),)


@pytest.mark.parametrize("name", PHASES)
def test_deleting_it_in_any_phase_restores_traffic_first(name: str) -> None:
    world = places.standing_in(name)
    world.deleting = True
    world.settle()

    assert world.is_gone()
    assert world.share == 0
    assert world.old == WorkloadFact(3, 3)
    assert world.actions[-1] == RemoveFinalizer()
    assert world.reasons[-2:] == [Reason.DELETED, Reason.ROLLED_BACK]


@pytest.mark.parametrize("made", [places.paused, places.holding])
def test_deleting_it_suspended_or_held_restores_traffic_first(made: Callable[[], World]) -> None:
    world = made()
    world.deleting = True
    world.settle()

    assert world.is_gone()
    assert world.share == 0


@pytest.mark.parametrize("made", [places.new, places.preflight, places.completed, places.rolled_back])
def test_deleting_it_at_rest_touches_nothing(made: Callable[[], World]) -> None:
    world = made()
    before = (world.share, list(world.actions), world.writes)
    assert not world.has_finalizer()
    world.deleting = True

    world.settle()

    assert (world.share, world.actions, world.writes) == before


def test_deleting_it_between_finalizer_and_start_lets_it_go() -> None:
    world = World(two_phases())
    world.step()
    assert world.has_finalizer()
    world.deleting = True

    world.settle()

    assert world.is_gone()
    assert world.share == 0


def test_a_start_that_is_blocked_after_all_leaves_no_finalizer_behind() -> None:
    world = World(two_phases())
    world.step()
    world.ready(Side.NEW, 1)
    world.settle()

    assert world.at(State.PREFLIGHT)
    assert not world.has_finalizer()


def test_deleting_it_by_replicas_restores_old_first() -> None:
    world = begun(by_replicas(), replicas=10)
    world.deleting = True
    world.settle()

    assert world.is_gone()
    assert world.old == WorkloadFact(10, 10)
    assert world.new == WorkloadFact(0, 0)


def test_a_deletion_waits_for_old_to_be_ready() -> None:
    world = begun(two_phases())
    world.ready(Side.OLD, 0)
    world.deleting = True
    world.run(300)
    assert world.has_finalizer()
    assert world.share == 10

    world.ready(Side.OLD, 1)
    world.settle()
    assert world.is_gone()
    assert world.share == 0


def test_a_namespace_is_deleted_workloads_first() -> None:
    """Pods and workloads vanish, then the route: nothing is left to restore, and nothing may hold the namespace up."""
    world = begun(two_phases())
    world.deleting = True
    world.ready(Side.OLD, 0)
    world.ready(Side.NEW, 0)
    world.settle()
    assert world.has_finalizer()
    world.old = world.new = None
    world.settle()

    assert world.is_gone()
    assert "Old (Deployment sync-v1) is gone: traffic was left where it is" in world.status.message


def test_a_namespace_is_deleted_routes_first() -> None:
    world = begun(two_phases())
    world.deleting = True
    world.ready(Side.OLD, 0)
    world.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service sync-v1 does not exist")]
    world.routes.clear()
    world.settle()

    assert world.is_gone()


def test_a_route_that_no_longer_names_both_does_not_keep_a_deletion_waiting() -> None:
    world = begun(two_phases())
    world.others = [Problem(Reason.ROUTE_NAMES_NOT_BOTH, "it names old, but not new")]
    world.routes.clear()
    world.deleting = True
    world.settle()

    assert world.is_gone()


def test_a_deletion_is_not_let_through_for_want_of_rights() -> None:
    """Without the right to read them, old and the route only look as if they were gone."""
    world = begun(two_phases())
    kept = dict(world.routes)
    world.others = [Problem(Reason.FORBIDDEN, "get httproutes is not allowed: grant it")]
    world.routes.clear()
    world.deleting = True
    world.run(60)
    assert not world.is_gone()
    assert "get httproutes is not allowed: grant it" in world.recorded.message
    assert world.condition("Stalled") == "True"

    world.others, world.routes = [], kept
    world.settle()
    assert world.is_gone()
    assert world.share == 0

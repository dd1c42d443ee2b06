"""What the simulation has found; each told here in few words, and kept from coming back."""

from __future__ import annotations

from decide.plans import document, phase
from decide.world import World
from syncrollout.api.words import Side, State
from syncrollout.decide.actions import Scale
from syncrollout.decide.facts import WorkloadFact


def test_new_that_somebody_scales_up_before_its_time_is_scaled_down_and_has_not_died() -> None:
    """By replicas, pods that new was given by hand in a phase of weight 0 counted as traffic without a ready pod."""
    world = World(document([phase("shadow", 0), phase("some", 20)], traffic={"replicas": {"total": 10}}), replicas=10)
    world.new = WorkloadFact(0, 0)
    world.run_to_phase("shadow")
    world.new = WorkloadFact(12, 0)
    world.settle()

    assert not world.at(State.ROLLING_BACK, State.ROLLED_BACK)
    assert world.actions[-1] == Scale(Side.NEW, 0)

"""Work that workers pull: slots of keys that change hands."""

from __future__ import annotations

from decide.plans import two_phases
from decide.world import World
from syncrollout.api.words import Reason, State


def test_a_rollout_that_would_move_shards_does_not_start_and_says_so() -> None:
    shards = {"configMap": "shards", "handover": {"method": "Restart"}}
    world = World(two_phases(traffic={"shards": shards}))
    world.run(60)

    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is Reason.INVALID_SPEC
    assert world.condition("Stalled") == "True"
    assert world.actions == []

"""What scenarios on real parts have found; each told here in few words, and kept from coming back."""

from __future__ import annotations

from decide.plans import five_phases
from decide.world import World
from syncrollout.api.words import Health, State


def test_health_is_recorded_with_each_phase_and_not_a_minute_later() -> None:
    """`kubectl get` showed no HEALTH, or Unknown, for the first minute of every phase."""
    world = World(five_phases())
    shown: dict[str, Health | None] = {}

    def note() -> None:
        recorded = world.recorded
        if recorded.phase is not None and recorded.phase.since is not None:
            shown.setdefault(recorded.phase.name, recorded.health)

    while world.recorded.state is not State.COMPLETED:
        world.settle()
        note()
        world.now += 5.0

    assert set(shown.values()) == {Health.HEALTHY}
    assert list(shown) == [phase["name"] for phase in five_phases()["phases"]]

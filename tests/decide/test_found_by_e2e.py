"""What scenarios on real parts have found; each told here in few words, and kept from coming back."""

from __future__ import annotations

from decide.plans import five_phases
from decide.world import World, begun
from syncrollout.api.words import Health, Reason, State
from syncrollout.decide.facts import Problem


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


def test_weights_that_may_not_be_looked_at_are_not_told_to_be_zero() -> None:
    """A right that was refused for a moment made the status say `Holding at 0 %` of a rollout at 10 %."""
    world = begun(five_phases(), "small-traffic")

    world.others = [Problem(Reason.FORBIDDEN, "the operator lacks the right to list httproutes")]
    world.routes = {}
    world.run(60)

    assert world.at(State.HOLDING)
    assert world.recorded.weight == 10
    assert world.recorded.message.startswith("Holding at 10 %")

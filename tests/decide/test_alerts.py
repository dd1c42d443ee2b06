"""An alert as a trigger: it sends the rollout back while it fires, lets it go on while it does not, and holds it where
nobody knows."""

from __future__ import annotations

import pytest

from decide.plans import Document, parse, two_phases
from decide.world import World
from syncrollout.api.spec import Trigger
from syncrollout.api.words import Reason, Role, State, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.facts import Reading, ReadingKey

LOSS = "alert:DataLoss"


def plan(**more: object) -> Document:
    return two_phases(rollback={"triggers": [{"severity": "Critical", "alert": "DataLoss", **more}]})


def in_first_phase(**more: object) -> World:
    world = World(plan(**more))
    world.read(LOSS, 0.0)
    world.run_to_phase("small")
    return world


def test_it_goes_back_at_once_when_it_fires() -> None:
    world = in_first_phase()
    world.read(LOSS, 1.0)
    world.settle()
    assert world.share == 0
    assert world.status.rollback is not None
    assert world.status.rollback.reason is Reason.TRIGGER_BREACHED
    assert "alert DataLoss: it fires" in world.status.rollback.message


def test_it_goes_on_while_it_does_not_fire() -> None:
    world = in_first_phase()
    world.run_until(State.COMPLETED)
    assert world.share == 100


@pytest.mark.parametrize("unknown", [Unknown.UNREACHABLE, Unknown.TIMEOUT, Unknown.SERVER_ERROR])
def test_it_holds_while_nobody_knows(unknown: Unknown) -> None:
    world = in_first_phase()
    world.read(LOSS, unknown)
    world.run(120)
    assert world.at(State.HOLDING)
    assert world.share == 10
    assert "alert DataLoss" in world.status.message
    world.read(LOSS, 0.0)
    world.run_until(State.COMPLETED)


def test_an_answer_that_is_not_whole_says_nothing_of_what_it_does_not_show() -> None:
    """A store behind Thanos is away: that none is seen to fire does not mean that none does."""
    world = in_first_phase()
    world.values[ReadingKey(LOSS)] = Reading(0.0, message="Prometheus warns: a store is away")
    world.run(120)
    assert world.at(State.HOLDING)
    assert "alert DataLoss is not seen to fire, but Prometheus warns" in world.status.message
    world.values[ReadingKey(LOSS)] = Reading(1.0, message="Prometheus warns: a store is away")
    world.settle()
    assert world.share == 0
    assert world.status.rollback is not None
    assert "alert DataLoss: it fires, Prometheus warns: a store is away" in world.status.rollback.message


def test_nothing_begins_while_it_fires() -> None:
    world = World(plan())
    world.read(LOSS, 2.0)
    world.run(60)
    assert world.status.reason is Reason.TRIGGER_ALREADY_BREACHED
    assert "2 of that name fire" in world.status.message
    assert world.share == 0


def test_it_stands_among_the_criteria() -> None:
    world = World(plan(match={"team": "listings", "instance": "$workload"}))
    # read by another name than one without labels: two triggers may ask for one alert of different labels
    source = "alert:DataLoss{instance=$workload,team=listings}"
    world.read(source, 0.0)
    world.run_to_phase("small")
    [found] = [each for each in world.status.criteria if each.role is Role.TRIGGER]
    assert (found.id, found.metric) == ("trigger/0/alert:DataLoss", LOSS)
    assert found.limit == "firing with instance=$workload, team=listings"
    assert found.verdict is Verdict.PASS
    assert found.message == "alert DataLoss does not fire, goes back when it does"


def test_for_and_settle_hold_for_it_too() -> None:
    world = in_first_phase(**{"for": "20s"})
    world.read(LOSS, 1.0)
    world.run(10)
    assert world.share == 10
    world.run(20)
    assert world.share == 0


def test_what_is_read_before_the_start_and_in_a_phase() -> None:
    spec = parse(plan())
    for keys in (criteria.all_readings(spec), criteria.phase_readings(spec, spec.phases[0])):
        assert LOSS in {key.metric for key in keys}
    assert spec.metric(LOSS).name == LOSS
    with pytest.raises(KeyError):
        spec.metric("alert:Another")


@pytest.mark.parametrize(
    ("alert", "match", "query"),
    [
        ("Loss", {}, 'ALERTS{alertname="Loss",alertstate="firing",namespace=~"|$namespace"}'),
        # an alert of another namespace only where that is what is asked for
        ("Loss", {"namespace": "db"}, 'ALERTS{alertname="Loss",alertstate="firing",namespace="db"}'),
        (
            'A "b" \\ $c',
            {"x": 'y"$workload'},
            r'ALERTS{alertname="A \"b\" \\ \x24c",alertstate="firing",namespace=~"|$namespace",x="y\"$workload"}',
        ),
    ],
)
def test_how_prometheus_is_asked(alert: str, match: dict[str, str], query: str) -> None:
    trigger = Trigger.model_validate({"severity": "Critical", "alert": alert, "match": match})
    assert trigger.firing.query == f"count({query}) or vector(0)"


def test_a_long_selection_is_told_shortened() -> None:
    world = World(plan(match={f"label_{number}": "v" * 253 for number in range(8)}))
    [question] = criteria.questions(world.spec, None)
    assert len(criteria.describe(question)) <= 100

"""Alerts that were pushed: which are kept, for whom, for how long, and what a payload in a wrong order changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from decide.plans import parse, two_phases
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.decide import criteria
from syncrollout.observe.alerts import LATE, LONGEST_LABELS, Payload, PushedAlerts, Taken

pytestmark = [pytest.mark.looptime]

KEEP = 300.0


def spec(*triggers: dict[str, Any]) -> SyncRolloutSpec:
    return parse(two_phases(rollback={"triggers": [{"severity": "Critical", **each} for each in triggers]}))


LOSS = spec({"alert": "Loss"})


def alert(at: int = 10, *, ended: int | None = None, name: str = "Loss", summary: str = "", **labels: str) -> Any:
    """One that began at this second, and ended at that one."""
    return {
        "status": "firing" if ended is None else "resolved",
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": summary},
        "startsAt": f"2030-01-01T10:00:{at:02}.5Z",
        "endsAt": "0001-01-01T00:00:00Z" if ended is None else f"2030-01-01T10:00:{ended:02}.5Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c0ffee",
    }


def payload(*alerts: Any) -> Payload:
    head = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "syncrollout", "truncatedAlerts": 0}
    return Payload.model_validate_json(json.dumps({**head, "alerts": alerts}))


class World:
    def __init__(self, **rollouts: SyncRolloutSpec) -> None:
        self.pushed = PushedAlerts(keep=KEEP)
        self.rollouts = rollouts or {"listings": LOSS}
        """By namespace, one in each."""

    def push(self, *alerts: Any) -> Taken[str]:
        return self.pushed.take(payload(*alerts), [(name, name, each) for name, each in self.rollouts.items()])

    def firing(self, namespace: str = "listings") -> Mapping[str, float | None]:
        each = self.rollouts[namespace]
        found = self.pushed.readings(each, namespace, criteria.all_readings(each))
        return {key.metric: reading.value for key, reading in found.items()}


async def test_it_fires_until_it_is_resolved_and_each_change_is_news_once() -> None:
    world = World()
    assert world.firing() == {}
    assert world.push(alert()) == Taken(("listings",), news=1)
    assert world.firing() == {"alert:Loss": 1.0}
    assert world.push(alert()) == Taken((), repeated=1)
    assert world.firing() == {"alert:Loss": 1.0}
    assert len(world.pushed) == 1
    assert world.push(alert(ended=20)) == Taken(("listings",), news=1)
    assert world.push(alert(ended=20)) == Taken((), repeated=1)
    assert world.firing() == {}
    assert len(world.pushed) == 0


async def test_its_time_runs_out_and_a_repetition_begins_it_anew() -> None:
    world = World()
    world.push(alert())
    await asyncio.sleep(KEEP - 1)
    world.push(alert())
    await asyncio.sleep(KEEP - 1)
    assert world.firing() == {"alert:Loss": 1.0}
    await asyncio.sleep(1)
    assert world.firing() == {}
    assert world.push(alert()).news == 1, "what has run out and is said again is news"


async def test_what_was_said_before_it_was_resolved_and_comes_late_changes_nothing() -> None:
    world = World()
    world.push(alert(10), alert(10, ended=20))
    assert world.push(alert(10)) == Taken((), repeated=1)
    assert world.firing() == {}
    assert world.push(alert(25)).news == 1, "it fires anew"
    assert world.push(alert(10, ended=20)) == Taken((), repeated=1)
    assert world.firing() == {"alert:Loss": 1.0}


async def test_one_that_is_resolved_before_it_was_heard_of_is_no_news() -> None:
    world = World()
    assert world.push(alert(10, ended=20)) == Taken((), repeated=1)
    assert world.push(alert(10)) == Taken((), repeated=1)
    assert world.firing() == {}


async def test_one_that_alertmanager_took_for_resolved_for_a_moment_fires_again() -> None:
    """Where it heard nothing of an alert for a while, it says that it is resolved, and then that it fires as before."""
    world = World()
    world.push(alert(10))
    world.push(alert(10, ended=40))
    await asyncio.sleep(LATE - 1)
    assert world.push(alert(10)) == Taken((), repeated=1), "it may have been sent before the other and come late"
    await asyncio.sleep(1)
    assert world.push(alert(10)) == Taken(("listings",), news=1)
    assert world.firing() == {"alert:Loss": 1.0}


async def test_several_of_one_name_fire_until_all_are_resolved() -> None:
    world = World()
    assert world.push(alert(instance="a"), alert(instance="b")) == Taken(("listings",), news=2)
    assert world.firing() == {"alert:Loss": 2.0}
    world.push(alert(instance="a", ended=20))
    assert world.firing() == {"alert:Loss": 1.0}
    world.push(alert(instance="b", ended=20))
    assert world.firing() == {}


async def test_only_what_somebody_asks_about_is_kept() -> None:
    world = World()
    assert world.push(alert(name="Other"), {**alert(), "labels": {"team": "a"}}) == Taken((), unasked=2)
    assert len(world.pushed) == 0
    assert world.push(alert(note="x" * LONGEST_LABELS)) == Taken((), unasked=1)
    assert len(world.pushed) == 0


@pytest.mark.parametrize(
    ("trigger", "labels", "takes"),
    [
        ({}, {}, True),
        ({}, {"namespace": "listings"}, True),
        ({}, {"namespace": ""}, True),
        ({}, {"namespace": "database"}, False),
        ({"match": {"namespace": "database"}}, {"namespace": "database"}, True),
        ({"match": {"namespace": "database"}}, {}, False),
        ({"match": {"namespace": "$namespace"}}, {}, False),
        ({"match": {"namespace": "$namespace"}}, {"namespace": "listings"}, True),
        ({"match": {"pod": "${workload}-0", "a": "b"}}, {"pod": "sync-v2-0", "a": "b", "c": "d"}, True),
        ({"match": {"pod": "${workload}-0", "a": "b"}}, {"pod": "sync-v2-0"}, False),
        ({"match": {"pod": "${workload}-0"}}, {"pod": "sync-v1-0"}, False),
        ({"match": {"pod": "$nonsense"}}, {"pod": "$nonsense"}, False),
    ],
)
async def test_whose_it_is(trigger: dict[str, Any], labels: dict[str, str], takes: bool) -> None:
    world = World(listings=spec({"alert": "Loss", **trigger}))
    taken = world.push(alert(**labels))
    assert taken.wake == (("listings",) if takes else ())
    assert bool(world.firing()) == takes


async def test_one_alert_wakes_every_rollout_that_asks_and_no_other() -> None:
    world = World(a=LOSS, b=spec({"alert": "Loss", "match": {"team": "b"}}), c=spec({"alert": "Other"}), d=LOSS)
    assert sorted(world.push(alert(namespace="a"), alert(team="b")).wake) == ["a", "b", "d"]
    assert world.firing("a") == {"alert:Loss": 2.0}
    assert world.firing("b") == {"alert:Loss{team=b}": 1.0}
    assert world.firing("c") == {}
    assert world.firing("d") == {"alert:Loss": 1.0}


async def test_what_a_person_reads_of_it() -> None:
    world = World()
    world.push(alert(summary="Listings\x1b[31m are\nlost " + "x" * 500))
    found = world.pushed.readings(LOSS, "listings", criteria.all_readings(LOSS))
    [reading] = found.values()
    said = "since 2030-01-01T10:00:10.500Z, as Alertmanager says: Listings [31m are lost xx"
    assert reading.message.startswith(said)
    assert len(reading.message) < 300


async def test_there_is_a_most_and_the_oldest_gives_way() -> None:
    pushed = PushedAlerts(keep=KEEP, most=3)
    for number in range(5):
        pushed.take(payload(alert(number=str(number))), [("r", "listings", LOSS)])
    assert len(pushed) == 3
    for number in range(5):
        pushed.take(payload(alert(number=f"other {number}", ended=20)), [("r", "listings", LOSS)])
    again = [pushed.take(payload(alert(number=str(number))), [("r", "listings", LOSS)]).news for number in (4, 2)]
    assert again == [0, 0]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59.999999Z",
    ],
)
async def test_a_time_that_cannot_be_told_keeps_nobody_from_deciding(time: str) -> None:
    """It counts all the same, and so do its neighbours."""
    world = World()
    assert world.push({**alert(), "startsAt": time}, alert(beside="it")).news == 2
    assert world.firing() == {"alert:Loss": 2.0}
    world.push({**alert(), "startsAt": time, "endsAt": time, "status": "resolved"}, alert(beside="it", ended=20))
    assert world.firing() == {}


async def test_a_team_that_floods_it_does_so_for_itself() -> None:
    """No alert of another name or namespace gives way, neither to many of one name nor to many in all."""
    pushed = PushedAlerts(keep=KEEP, most=6, most_of_a_name=4)
    rollouts = [(name, name, LOSS) for name in ("a", "b", "c")]
    pushed.take(payload(alert(namespace="a"), alert(namespace="b")), rollouts)
    flood = [alert(namespace="c", number=str(number)) for number in range(20)]
    pushed.take(payload(*flood, *(alert(number=str(number)) for number in range(20))), rollouts)
    assert len(pushed) == 6
    for namespace in ("a", "b"):
        [reading] = pushed.readings(LOSS, namespace, criteria.all_readings(LOSS)).values()
        own = reading.value
        pushed.take(payload(alert(namespace=namespace, ended=20)), rollouts)
        others = pushed.readings(LOSS, namespace, criteria.all_readings(LOSS)).values()
        assert own == 1.0 + sum(each.value or 0.0 for each in others)


async def test_many_alerts_that_many_ask_about_are_looked_up() -> None:
    many = spec(*[{"alert": "Loss", "match": {"number": str(number)}} for number in range(32)])
    rollouts = [(str(number), f"team-{number}", many) for number in range(200)]
    pushed = PushedAlerts(keep=KEEP)
    body = payload(*(alert(namespace="team-7", number=str(number)) for number in range(40)))
    taken = pushed.take(body, rollouts)
    assert (taken.wake, taken.news, taken.unasked) == (("7",), 32, 8)
    readings = pushed.readings(many, "team-7", criteria.all_readings(many))
    assert [reading.value for reading in readings.values()] == [1.0] * 32
    assert pushed.readings(many, "team-8", criteria.all_readings(many)) == {}


def without(alert: Any, key: str) -> Any:
    return {name: value for name, value in alert.items() if name != key}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"version": "4"}',
        '{"version": "3", "alerts": []}',
        '{"version": 4, "alerts": []}',
        '{"version": "4", "alerts": {}}',
        '{"version": "4", "alerts": [{}]}',
        "[" * 10_000,
        json.dumps({"version": "4", "alerts": [without(alert(), "startsAt")]}),
        json.dumps({"version": "4", "alerts": [without(alert(), "labels")]}),
        json.dumps({"version": "4", "alerts": [{**alert(), "status": "pending"}]}),
        json.dumps({"version": "4", "alerts": [{**alert(), "labels": {"alertname": 7}}]}),
        json.dumps({"version": "4", "alerts": [{**alert(), "startsAt": "yesterday"}]}),
        json.dumps({"version": "4", "alerts": [{**alert(), "startsAt": "2030-01-01T10:00:00"}]}),
    ],
    ids=range(16),
)
def test_what_is_no_payload(body: str) -> None:
    with pytest.raises(ValidationError):
        Payload.model_validate_json(body)

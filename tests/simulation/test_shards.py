"""Work that moves by shards, with workers that read late and let go later: no slot ever has two owners."""

from __future__ import annotations

import random

import pytest

from simulation import people
from simulation.faults import Faults
from simulation.metrics import Chances, Trouble
from simulation.plain import succeeded, world
from simulation.scenario import GONE, Report, Scenario, simulate
from simulation.test_crashes import crash_at, milestones
from syncrollout.decide import slots

METHODS = ("Ack", "Restart")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("one", [True, False])
def test_five_phases_to_the_end(method: str, one: bool) -> None:
    report = succeeded(simulate(world(shards=method, one=one)))
    story = report.shape["sync"]
    assert [each for each in story if not each.startswith("Shards")][-6:] == ["PhaseStarted"] * 5 + ["Completed"]
    assert story.count("ShardsReleased") == 3
    assert story.count("ShardsGranted") == 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("phase", ["small-traffic", "full-traffic", "full-migration"])
def test_a_breach_gives_all_back_to_old(method: str, phase: str) -> None:
    report = succeeded(simulate(world(shards=method, one=True, breach=phase)))
    assert report.shape["sync"][-1] == "RolledBack"


def test_without_waiting_for_anybody_slots_have_two_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the workers of this world can tell a handover that is not fenced."""
    monkeypatch.setattr(slots, "_let_go", lambda *_: True)
    assert "two owners" in simulate(world(shards="Ack", one=True)).failure


def short(scenario: Scenario) -> Scenario:
    """Three phases of the five."""
    spec = scenario.rollouts[0][1]["spec"]
    spec["phases"] = [spec["phases"][place] for place in (1, 3, 4)]
    return scenario


def deleted_at(at: float, scenario: Scenario) -> Scenario:
    """Somebody deletes it, wherever it is then. What it leaves has to stand for the workers that read it late."""
    [goal] = scenario.goals
    scenario.deeds.append(people.Deed(at, "deleted", people.delete(goal.plan.ref)))
    goal.ends, goal.runs = frozenset({GONE}), None
    return scenario


def made_anew(at: float, scenario: Scenario) -> Scenario:
    """Deleted, and applied again as soon as it is gone: it goes on from the assignment as it stands."""
    [goal] = deleted_at(at, scenario).goals
    goal.ends, goal.anew = frozenset({"Completed"}), (0.05, scenario.rollouts[0][1])
    return scenario


CASES = {
    "forward": lambda: short(world(seconds=1, one=True, shards="Ack")),
    "back": lambda: short(world(seconds=2, one=True, shards="Ack", breach="small-traffic")),
    "deleted": lambda: deleted_at(9.0, short(world(seconds=3, one=True, shards="Ack"))),
    "forward by restarts": lambda: short(world(seconds=1, one=True, shards="Restart")),
}


def without_slots(report: Report) -> list[str]:
    """The story without handovers: one that was not recorded is made once more, to be safe."""
    if report.ends == {"sync": GONE}:
        return []  # its story went with it
    return [reason for reason in milestones(report) if not reason.startswith("Shards")]


@pytest.mark.parametrize("case", CASES)
def test_a_crash_at_any_call_gives_no_slot_two_owners_and_loses_none(case: str) -> None:
    make = CASES[case]
    reference = succeeded(simulate(make()))
    for call, what in enumerate(reference.writes, start=1):
        if what.split()[0] in {"list", "watch", "get"} or "Event" in what:
            continue  # a death at a look is one before the next write
        for after in (False, True):
            report = crash_at(make, call, after=after, restart=0.05)
            assert report.ends == reference.ends, f"call {call} ({what}), after={after}"
            assert without_slots(report) == without_slots(reference), f"call {call} ({what}), after={after}"


@pytest.mark.parametrize("at", [5.5, 8.0, 11.0])
@pytest.mark.parametrize("method", METHODS)
def test_deleted_at_any_time_and_made_anew_it_goes_on_from_what_was_left(method: str, at: float) -> None:
    report = succeeded(simulate(made_anew(at, short(world(seconds=3, one=True, shards=method)))))
    assert report.shape["sync"][-1] == "Completed"


@pytest.mark.parametrize("number", range(12))
def test_whatever_happens_no_slot_has_two_owners_and_none_is_lost(number: int) -> None:
    """Faults of the API server, of Prometheus and of the operator; workers that hang and die; new may misbehave."""
    chance = random.Random(f"{number}/shards")
    breach = chance.choice(["", "small-traffic", "full-traffic"])
    scenario = world(seconds=3, one=chance.random() < 0.5, shards=chance.choice(METHODS), breach=breach)
    scenario.seed, scenario.calm_from, scenario.deadline = f"shards {number}", 30.0, 200.0
    shards = scenario.rollouts[0][1]["spec"]["traffic"]["shards"]
    shards["handover"]["timeout"] = chance.choice(["2s", "5m"])
    rate = chance.choice([0.0, 0.02, 0.05])
    scenario.faults = Faults(
        until=30.0, conflict=rate, error=rate, timeout=rate / 4, late=rate / 4, reset=rate, slow=rate, crash=rate / 2
    )
    scenario.trouble = Trouble(Chances(timeout=rate, no_data=rate, server_error=rate), until=30.0)
    scenario.worker_deaths, scenario.worker_hangs = chance.choice([0.0, 0.03]), chance.choice([0.0, 0.05])
    scenario.most_calls = 1500  # while pods have to let go they are looked at every second
    fate = chance.choice(["left alone", "left alone", "deleted", "made anew"])
    if fate != "left alone":
        (deleted_at if fate == "deleted" else made_anew)(chance.uniform(5.0, 25.0), scenario)
    ends = {"Completed", "RolledBack"}
    scenario.goals[0].ends = frozenset({GONE} if fate == "deleted" else ends)
    for each in scenario.breaches:
        each.within = None
    succeeded(simulate(scenario))

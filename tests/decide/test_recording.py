"""What is written, when, and what people can read in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from decide.invariants import over_the_wire
from decide.plans import document, one_phase, phase, two_phases
from decide.world import START, World, begun
from syncrollout.act.record import status_json
from syncrollout.api.status import HISTORY_LENGTH, SyncRolloutStatus
from syncrollout.api.words import ConditionType, Reason, Side, State, Unknown
from syncrollout.decide import machine
from syncrollout.decide.machine import TRANSITIONS


def test_a_reading_alone_is_never_written() -> None:
    world = begun(one_phase(duration="2h"))
    world.run(60)
    writes = world.writes
    for n in range(200):
        world.read("errors", 0.001 * n)
        assert not world.step(10).write

    assert world.writes == writes


def test_nor_is_it_while_the_phase_holds() -> None:
    world = begun(one_phase())
    world.read("errors", 2)
    world.run(130)
    assert world.at(State.HOLDING)
    writes = world.writes
    for n in range(100):
        world.read("errors", 2 + 0.01 * n)
        world.run(10)

    assert world.writes == writes


def test_verdicts_are_brought_up_to_date_at_most_once_a_minute() -> None:
    world = begun(one_phase(duration="2h"))
    writes = world.writes
    for n in range(60):
        world.read("errors", 2 if n % 2 else 0.1)
        world.run(10)

    assert world.writes - writes <= 10


def test_a_verdict_that_changed_too_early_for_a_write_is_written_later() -> None:
    world = begun(one_phase(duration="2h"))
    world.run(5)
    world.read("errors", 2)
    world.run(10)
    assert world.recorded.health is not world.status.health
    world.run(60)

    assert world.recorded.criteria[0].verdict == "Fail"
    assert world.recorded.health is world.status.health


def test_what_a_phase_waits_for_is_brought_up_to_date_within_a_minute() -> None:
    world = begun(one_phase())
    world.ready(Side.NEW, 1)
    world.run(70)
    assert "has 1 of 3 replicas ready" in world.recorded.message
    world.ready(Side.NEW, 2)
    world.run(70)

    assert "has 2 of 3 replicas ready" in world.recorded.message


def test_at_rest_nothing_is_written_and_nothing_is_due() -> None:
    world = World(two_phases())
    world.run_until(State.COMPLETED)
    writes = world.writes
    for unknown in (Unknown.NO_DATA, Unknown.TIMEOUT):
        world.read("errors", unknown)
        world.drift(70.0)
        decision = world.step(3600)
        assert (decision.write, decision.actions, decision.next_due) == (False, (), None)

    assert world.writes == writes


def test_criteria_that_only_a_restart_would_forget_are_remembered_without_a_write() -> None:
    world = begun(one_phase(duration="2h", rollbackOn=[{"metric": "errors", "above": 5, "for": "40s"}]))
    world.run(65)
    writes = world.writes
    world.read("errors", 7)
    world.run(39)
    assert world.writes - writes <= 1
    world.run(1)

    assert world.at(State.ROLLED_BACK)


def test_a_restart_begins_again_from_what_is_recorded() -> None:
    world = begun(two_phases())
    world.run(30)
    world.restart()
    world.run(30)

    assert world.recorded.phase is not None
    assert world.recorded.phase.name == "full"
    assert world.reasons == [Reason.PHASE_STARTED, Reason.PHASE_STARTED]


def test_a_restart_with_a_status_over_the_wire_decides_the_same() -> None:
    world = begun(two_phases())
    world.now = START + 59.877
    world.status = over_the_wire(world.recorded)
    decision = world.step()

    assert decision.next_due == START + 60


def test_a_finalizer_that_somebody_took_away_is_set_again() -> None:
    world = begun(two_phases())
    world.finalizer = False
    world.settle()

    assert world.has_finalizer()


def test_history_is_bounded_and_counts_on() -> None:
    world = begun(one_phase(duration="10h"))
    for _ in range(30):
        world.edit(suspend=True)
        world.settle()
        world.edit(suspend=False)
        world.settle()

    assert len(world.recorded.history) == HISTORY_LENGTH
    assert world.recorded.history[-1].sequence == len(world.told) == 61
    assert [entry.sequence for entry in world.told] == list(range(1, 62))


def test_the_history_tells_which_run() -> None:
    world = begun(two_phases())
    world.read("errors", 7)
    world.settle()
    world.read("errors", 0)
    world.edit(revision="2")
    world.settle()

    assert [entry.run for entry in world.told] == [1, 1, 1, 2]


def test_all_conditions_are_always_there() -> None:
    world = begun(one_phase())

    where_asked_for = (
        ConditionType.ROLLBACK_REHEARSED,
        ConditionType.AWAITING_APPROVAL,
        ConditionType.NOTIFICATIONS_DELIVERED,
    )
    assert [c.type for c in world.recorded.conditions] == [
        kind for kind in ConditionType if kind not in where_asked_for
    ]
    assert world.condition("Reconciling") == "True"
    assert world.condition("Stalled") == "False"


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    world = begun(two_phases())
    world.run(60)

    ready = next(c for c in world.recorded.conditions if c.type == "Ready")
    assert ready.last_transition_time == START


def test_what_comes_next_is_told_with_its_time() -> None:
    world = begun(two_phases())

    assert world.recorded.next == "full 2023-11-14T22:14:20Z"
    world.run(60)
    assert world.recorded.next == "completion 2023-11-14T22:15:20Z"


def test_a_write_that_is_refused_is_decided_again() -> None:
    world = World(two_phases())
    world.step()
    for _ in range(5):
        world.step(1, refuse_write=True)
    assert world.recorded.run == 0
    world.settle()

    assert world.recorded.run == 1
    assert world.share == 10


def test_no_phase_without_metrics_is_ever_due_late() -> None:
    plan = document([phase("half", 50, "95s", success=[], rollbackOn=[])], metrics=[], rollback={})
    del plan["prometheus"]
    world = begun(plan)

    assert world.step(1).next_due == START + 95
    world.drift(0.0)
    assert world.step(1).next_due == START + 95, "nor on the pass that repairs drift"


def test_the_table_and_the_text_above_it_say_the_same() -> None:
    text = machine.__doc__ or ""
    told: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        found = re.fullmatch(r"    (\w+) +-> (.*)", line) or re.fullmatch(r"    ( {16,})(\w.*)", line)
        if found is None:
            continue
        name = found[1].strip() or name
        words = re.sub(r"\(.*", "", found[2].replace("(next phase)", "")).replace(
            "and, where an earlier run has ended:", ""
        )
        told.setdefault(name, set()).update(words.split())
    table = {str(state): {str(to) for to in targets} for state, targets in TRANSITIONS.items()}

    assert {state: targets - {state} for state, targets in told.items()} == table


def test_what_a_later_release_has_written_stops_no_run() -> None:
    w = begun(two_phases())
    w.run(10)
    written = status_json(w.recorded)
    written["reason"] = written["conditions"][0]["reason"] = written["history"][0]["reason"] = "Stargazing"
    written["conditions"].append(written["conditions"][0] | {"type": "Splendid"})
    written["criteria"][0] |= {"verdict": "Unknown", "unknown": "Asleep"}
    written |= {"health": "Splendid", "mood": "good"}
    w.recorded = SyncRolloutStatus.model_validate(written)
    w.restart()

    assert status_json(w.recorded) == written
    w.run_until(State.COMPLETED)
    assert w.recorded.history[0].reason.value == "Stargazing"
    assert {condition.type for condition in w.recorded.conditions} <= set(ConditionType)


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("path", sorted(Path(machine.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_no_file_grows_beyond_reading(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def test_what_a_later_release_has_noted_is_kept_by_an_earlier_one() -> None:
    """During an upgrade, or after it was taken back, both may lead in turn."""
    world = begun(two_phases(), "full")
    noted = status_json(world.recorded)
    noted["quota"] = {"left": 3}
    noted["phase"]["quota"] = [1, 2]
    noted["history"][0]["ticket"] = "OPS-1"
    world.status = world.recorded = SyncRolloutStatus.model_validate(noted)
    world.read("errors", 20)
    world.run_until(State.ROLLED_BACK)
    kept = status_json(world.recorded)
    assert kept["quota"] == {"left": 3}
    assert kept["phase"]["quota"] == [1, 2]
    assert kept["history"][0]["ticket"] == "OPS-1"
    assert kept["state"] == "RolledBack"

"""Work that workers pull: slots of keys change hands, and nobody ever holds one that another may still hold."""

from __future__ import annotations

import pytest

from decide.plans import by_shards, document, phase
from decide.world import World, begun
from syncrollout.api.words import HandoverStage, Reason, Side, State
from syncrollout.decide.actions import Scale
from syncrollout.decide.facts import Assignment, Problem, WorkloadFact

METHODS = ("Ack", "Restart", "Drain")


def marks(world: World) -> list[tuple[int, int]]:
    """Everything that was written, as (newBelow, oldFrom)."""
    return [(each.new_below, each.old_from) for each in world.workers.written]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("routes", [False, True])
def test_the_whole_way_up(method: str, routes: bool) -> None:
    world = World(by_shards(method, routes=routes))
    world.run_until(State.COMPLETED)

    assert marks(world) == [(0, 0), (0, 300), (300, 300), (300, 1000), (1000, 1000)]
    assert world.share == 100
    epochs = [each.epoch for each in world.workers.written]
    assert epochs == list(range(epochs[0], epochs[0] + 5))
    assert world.reasons.count(Reason.SHARDS_RELEASED) == 2
    assert world.reasons.count(Reason.SHARDS_GRANTED) == 2
    assert world.workers.has_all()


def test_requests_follow_the_work_items() -> None:
    world = World(by_shards(routes=True))
    world.workers.stuck = {"old-0"}
    world.run(30)
    assert world.workers.assignment is not None
    assert (world.workers.assignment.new_below, world.routes) == (0, {"HTTPRoute web": (0.0,)})

    world.workers.stuck = set()
    world.run_to_phase("some")
    assert (world.workers.assignment.new_below, world.routes) == (300, {"HTTPRoute web": (30.0,)})


def test_the_status_tells_each_handover() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(10)
    shards = world.recorded.shards
    assert shards is not None
    assert (shards.stage, shards.new_below, shards.old_from) == (HandoverStage.RELEASING, 0, 300)
    assert shards.losing == (Side.OLD,)
    assert shards.waiting_for == ("old-1",)
    assert shards.deadline == shards.since + 300
    assert world.recorded.message == (
        "Phase 1/2 some: moving traffic to 30 %; waiting for 1 of 3 pods of old (old-1) to let go of slots 0 to 299"
    )
    assert world.at(State.PROGRESSING)


def test_while_a_handover_is_waited_for_it_is_looked_at_every_second() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    decision = world.settle()

    assert decision.next_due == world.now + 1


def test_the_assignment_is_there_before_any_pod_is() -> None:
    """Workers that take it in cannot start without it."""
    world = World(by_shards())
    world.ready(Side.NEW, 0)
    world.ready(Side.OLD, 0)
    world.settle()

    assert marks(world) == [(0, 0)]
    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is Reason.OLD_NOT_READY


def test_old_that_does_not_let_go_is_given_back_what_it_was_to_lose() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(299)
    assert world.at(State.PROGRESSING)
    world.run(2)

    assert world.at(State.HOLDING)
    assert world.recorded.reason is Reason.HANDOVER_TIMED_OUT
    assert "old-1" in world.recorded.message
    assert marks(world) == [(0, 0), (0, 300), (0, 0)]
    shards = world.recorded.shards
    assert shards is not None
    assert (shards.stage, shards.waiting_for) == (HandoverStage.GIVEN_BACK, ("old-1",))


def test_it_is_tried_again_after_another_timeout() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(310)
    written = len(world.workers.written)
    world.run(280)
    assert len(world.workers.written) == written
    world.workers.stuck = set()
    world.run(20)

    assert marks(world)[-2:] == [(0, 300), (300, 300)]
    assert world.at(State.PROGRESSING)


def test_it_is_tried_again_once_the_stuck_pod_is_gone() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(310)
    world.workers.pods = [pod for pod in world.workers.pods if pod.name != "old-1"]
    world.run(20)

    assert marks(world)[-2:] == [(0, 300), (300, 300)]


def test_new_without_ready_pods_is_given_nothing() -> None:
    world = begun(by_shards())
    world.run(59)
    world.ready(Side.NEW, 2)
    world.run(30)
    assert marks(world)[-1] == (300, 300)


def test_what_was_released_for_a_new_that_died_meanwhile_is_given_back() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(10)
    world.ready(Side.NEW, 0)
    world.run(10)

    assert marks(world)[-1] == (0, 0)
    world.workers.stuck = set()
    world.ready(Side.NEW, 3)
    world.run(10)
    assert marks(world)[-1] == (300, 300)


@pytest.mark.parametrize("method", METHODS)
def test_a_breach_stops_new_first_and_then_gives_all_to_old(method: str) -> None:
    world = begun(by_shards(method))
    first = len(world.workers.written)
    world.read("errors", 7)
    decision = world.step(1)

    assert decision.urgent
    stopped = world.workers.written[first]
    assert (stopped.new_below, stopped.old_from, stopped.stop) == (0, 300, True)
    world.run(0 if method != "Drain" else 60)
    world.run_until(State.ROLLED_BACK, within=10)
    back = world.workers.written[-1]
    assert (back.new_below, back.old_from, back.stop) == (0, 0, True)


def test_with_both_requests_go_back_at_once() -> None:
    world = begun(by_shards(routes=True))
    world.workers.stuck = {"New"}
    world.read("errors", 7)
    world.step(1)

    assert world.routes == {"HTTPRoute web": (0.0,)}
    world.run(10)
    assert world.at(State.ROLLING_BACK)
    assert "waiting for 3 of 3 pods of new" in world.recorded.message


def test_a_rollback_in_the_middle_of_a_release_gives_old_back_its_own_at_once() -> None:
    world = begun(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(65)
    assert marks(world)[-1] == (300, 1000)
    world.workers.stuck = {"old-1", "New"}
    world.read("errors", 7)
    world.step(1)

    assert marks(world)[-1] == (0, 300)


def test_new_that_does_not_let_go_is_stopped_and_waited_for() -> None:
    world = begun(by_shards())
    world.workers.stuck = {"New"}
    world.workers.undying = True
    world.read("errors", 7)
    world.run(299)
    assert Scale(Side.NEW, 0) not in world.actions
    world.run(30)

    assert Scale(Side.NEW, 0) in world.actions
    assert world.at(State.ROLLING_BACK)
    assert world.recorded.reason is Reason.HANDOVER_TIMED_OUT
    assert world.reasons.count(Reason.HANDOVER_TIMED_OUT) == 1
    world.workers.undying = False
    world.run(10)
    assert world.at(State.ROLLED_BACK)
    assert marks(world)[-1] == (0, 0)


def test_a_new_run_takes_the_stop_away() -> None:
    world = begun(by_shards())
    world.read("errors", 7)
    world.run_until(State.ROLLED_BACK)
    world.read("errors", 0)
    world.edit(revision="2")
    world.run_to_phase("some")

    assert world.workers.assignment is not None
    assert not world.workers.assignment.stop
    assert world.share == 30


def test_old_is_retired_only_once_it_owns_nothing() -> None:
    world = World(document([phase("full", 100, retireOld=True)], traffic=by_shards()["traffic"]))
    world.workers.stuck = {"old-1"}
    world.run(100)
    assert world.old == WorkloadFact(3, 3)
    world.workers.stuck = set()
    world.run(10)

    assert world.old == WorkloadFact(0, 0)
    assert world.workers.assignment is not None
    assert world.workers.assignment.old_from == 1000


def test_a_retired_old_comes_back_before_new_lets_go() -> None:
    world = begun(document([phase("full", 100, "1h", retireOld=True)], traffic=by_shards()["traffic"]))
    world.settle()
    world.pods_start = False
    world.read("errors", 7)
    world.run(10)
    assert world.old == WorkloadFact(3, 0)
    assert world.workers.assignment is not None
    assert world.workers.assignment.new_below == 1000
    world.ready(Side.OLD, 3)
    world.run_until(State.ROLLED_BACK)

    assert marks(world)[-2:] == [(0, 1000), (0, 0)]


def test_suspended_mid_way_no_slot_is_without_an_owner() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(5)
    world.edit(suspend=True)
    world.run(5)

    assert world.at(State.PAUSED)
    assert marks(world)[-1] == (0, 0)
    world.workers.stuck = set()
    world.edit(suspend=False)
    world.run_to_phase("some")


def test_hindered_mid_way_no_slot_is_without_an_owner() -> None:
    world = World(by_shards())
    world.workers.stuck = {"old-1"}
    world.run(5)
    world.others = [Problem(Reason.SERVICE_NOT_FOUND, "Service sync-v1 does not exist")]
    world.run(5)

    assert world.at(State.HOLDING)
    assert marks(world)[-1] == (0, 0)


def test_a_smaller_weight_lets_new_go_first() -> None:
    world = begun(by_shards(), "full")
    world.edit_phases(lambda phases: [phases[0], phases[1] | {"weight": 50}])
    world.settle()

    assert marks(world)[-2:] == [(500, 1000), (500, 500)]
    assert world.workers.has_all()


def test_deleted_mid_way_all_goes_back_before_the_object_may_go() -> None:
    world = begun(by_shards())
    world.workers.stuck = {"New"}
    world.deleting = True
    world.run(10)
    assert not world.gone
    world.workers.stuck = set()
    world.run(10)

    assert world.gone
    assert marks(world)[-1] == (0, 0)


def test_deleted_while_its_assignment_cannot_be_read_it_is_written_anew_and_all_goes_back() -> None:
    world = begun(by_shards())
    epoch = world.workers.written[-1].epoch
    world.others = [Problem(Reason.ASSIGNMENT_INVALID, "not JSON")]
    world.workers.assignment = None
    world.deleting = True
    world.step()
    world.others = []
    world.run(10)

    assert world.gone
    assert world.workers.assignment is not None
    assert marks(world)[-1] == (0, 0)
    assert world.workers.assignment.epoch > epoch
    assert world.workers.has_all()


def test_deleted_with_its_assignment_gone_it_does_not_hang() -> None:
    world = begun(by_shards())
    world.workers.assignment = None
    world.deleting = True
    world.run(10)

    assert world.gone


def made_anew(before: World) -> World:
    """The rollout is deleted, and applied again: the ConfigMap has stayed, with what workers hold of it."""
    before.deleting = True
    before.run(10)
    world = World(by_shards())
    world.workers, before.workers.sides = before.workers, world
    return world


def test_made_anew_it_goes_on_from_what_the_one_before_has_left() -> None:
    world = made_anew(begun(by_shards()))
    left = world.workers.assignment
    assert left is not None
    world.run_until(State.COMPLETED)

    later = [each for each in world.workers.written if each.epoch > left.epoch]
    assert [each.epoch for each in later] == [left.epoch + number for number in range(1, len(later) + 1)]
    # Whoever reads late still holds what was said before: what new had is taken from it before old gets it.
    assert [(each.new_below, each.old_from) for each in later] == [(0, 300), (300, 300), (300, 1000), (1000, 1000)]
    assert world.workers.has_all()


def test_made_anew_after_it_has_completed_it_takes_nothing_from_new() -> None:
    before = begun(by_shards())
    before.run_until(State.COMPLETED)
    world = made_anew(before)
    left = world.workers.assignment
    world.run(60)

    assert world.at(State.PREFLIGHT)
    assert world.recorded.reason is Reason.TRAFFIC_ALREADY_AT_NEW
    assert world.workers.assignment == left
    assert world.workers.has_all()


@pytest.mark.parametrize(
    "foreign", [(500, 500, 0), (0, 0, 1), (600, 100, 1), (300, 1000, 0), (0, 300, 5), (1000, 0, 0), (300, 300, -1)]
)
def test_an_assignment_that_somebody_else_changed_is_put_right_with_a_higher_epoch(
    foreign: tuple[int, int, int],
) -> None:
    world = begun(by_shards())
    ours = world.workers.assignment
    assert ours is not None
    below, start, later = foreign
    world.workers.assignment = Assignment(ours.epoch + later, below, start)
    if below > start:
        world.workers.stuck = {"Old", "New"}  # what it says is that both own the same: nobody may read it meanwhile
        world.step()
        world.workers.stuck = set()
    world.run(10)

    standing = world.workers.assignment
    assert standing is not None
    assert (standing.new_below, standing.old_from) == (300, 300)
    assert standing.epoch > ours.epoch
    assert world.workers.has_all()
    assert Reason.DRIFT_REPAIRED in world.reasons
    assert world.at(State.PROGRESSING)


def test_a_deleted_assignment_is_made_anew_with_a_higher_epoch() -> None:
    world = begun(by_shards())
    epoch = world.workers.written[-1].epoch
    world.workers.assignment = None
    world.settle()

    assert world.workers.assignment == Assignment(epoch + 1, 300, 300)


def test_pods_stamped_by_an_earlier_rollout_do_not_count_as_obeying() -> None:
    world = World(by_shards("Restart"))
    later = int(world.now) + 1000
    world.old = WorkloadFact(3, 3, epoch=later)
    world.settle()

    assert min(each.epoch for each in world.workers.written) > later


def test_restart_makes_the_losing_side_anew_and_then_the_gaining_one() -> None:
    world = World(by_shards("Restart"))
    world.run_to_phase("some")
    release, grant = world.workers.written[-2:]

    assert world.old is not None
    assert world.new is not None
    assert (world.old.epoch, world.new.epoch) == (release.epoch, grant.epoch)


def test_new_that_is_made_anew_to_be_told_has_not_died() -> None:
    world = begun(by_shards("Restart"))
    world.ready(Side.NEW, 0)
    world.run(30)
    assert world.at(State.PROGRESSING)
    world.run(60)
    assert Reason.NEW_DIED in world.reasons


def test_jobs_that_began_before_are_waited_for_whatever_the_method() -> None:
    plan = by_shards("Drain", old={"workload": {"kind": "CronJob", "name": "sync-v1"}})
    world = World(plan)
    world.old = WorkloadFact(1, 1, scalable=False)
    world.run(200)
    assert marks(world)[-1] == (0, 300), "a Job runs that began before the release"
    world.workers.pods = [pod for pod in world.workers.pods if pod.side is not Side.OLD]
    world.run_to_phase("some")

    assert marks(world)[-1] == (300, 300)


def test_drain_waits_for_its_time() -> None:
    world = World(by_shards("Drain"))
    world.run(59)
    assert marks(world)[-1] == (0, 300)
    world.run(2)

    assert marks(world)[-1] == (300, 300)


def test_in_shadow_new_owns_nothing_and_has_left_it_before_it_is_given_slots() -> None:
    plan = by_shards()
    plan["phases"].insert(0, phase("shadow", 0, mode="Shadow"))
    world = begun(plan)
    assert world.workers.assignment is not None
    assert world.workers.assignment.shadow
    assert (world.workers.assignment.new_below, world.workers.assignment.old_from) == (0, 0)
    world.workers.stuck = {"New"}
    world.run(70)
    assert (world.workers.assignment.shadow, marks(world)[-1]) == (False, (0, 300))
    assert "to leave the shadow" in world.recorded.message
    world.workers.stuck = set()
    world.run(5)

    assert marks(world)[-1] == (300, 300)


def test_a_phase_that_an_edit_takes_into_the_shadow_is_no_quarrel() -> None:
    plan = by_shards()
    plan["phases"].insert(0, phase("none", 0))
    world = begun(plan)
    world.edit_phases(lambda phases: [phases[0] | {"mode": "Shadow"}, *phases[1:]])
    world.run(10)

    assert world.workers.assignment is not None
    assert world.workers.assignment.shadow
    assert Reason.DRIFT_REPAIRED not in world.reasons


def test_a_breach_in_shadow_ends_it() -> None:
    plan = by_shards()
    plan["phases"].insert(0, phase("shadow", 0, mode="Shadow"))
    world = begun(plan)
    world.read("errors", 7)
    world.run_until(State.ROLLED_BACK, within=10)

    assert world.workers.assignment is not None
    assert not world.workers.assignment.shadow
    assert world.workers.assignment.stop


@pytest.mark.parametrize("crash", ["act", "write"])
@pytest.mark.parametrize("method", METHODS)
def test_a_crash_at_any_pass_changes_nothing(crash: str, method: str) -> None:
    for at in range(1, 40, 2 if crash == "act" else 3):
        world = World(by_shards(method))
        for number in range(400):
            decision = world.step(crash=crash if number == at else "")
            if world.at(State.COMPLETED):
                break
            world.now = round(max(world.now + 0.001, min(decision.next_due or world.now + 10, world.now + 10)), 3)
        assert world.at(State.COMPLETED), f"crash at pass {at}: {world.status.message}"
        assert marks(world) == [(0, 0), (0, 300), (300, 300), (300, 1000), (1000, 1000)]

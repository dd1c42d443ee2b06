"""What the simulation has found; each told here in few words, and kept from coming back."""

from __future__ import annotations

import asyncio

from fakes.kube import Call
from simulation import objects, people
from simulation.objects import DEPLOYMENT, EVENT, GRPC_ROUTE, HTTP_ROUTE, ROLLOUT
from simulation.stage import Stage, is_status, once, staged
from syncrollout.api.words import Request
from syncrollout.ports import ApiError, KindRef, Unavailable


def test_traffic_does_not_go_back_to_an_old_that_was_just_stopped_while_the_watch_is_silent() -> None:
    """Old was scaled to none, the silent watch went on showing its pods, and a breach put all traffic there."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="full-traffic")
        stage.world.silence(DEPLOYMENT, on=True)
        await stage.reach("Progressing", phase="full-migration")
        await stage.when(lambda: stage.replicas_of_old == 0)
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.when(lambda: stage.share < 100)
        assert objects.ready_of(stage.world.kube.read(stage.plan.old_ref)) == 3, "traffic is at old, and old is not"
        await stage.reach("RolledBack", within=5.0)

    staged(story)


def test_a_pass_that_finds_the_lease_not_held_for_a_moment_is_made_up_for() -> None:
    """A renewal was answered late: the pass ended, nobody led anew, and the rollout was never looked at again."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        process = stage.world.process
        process.leading = False  # nobody tells the controller
        await asyncio.sleep(6.0)
        process.leading = True
        await stage.reach("Completed", within=40.0)

    staged(story)


def test_a_rollback_that_cannot_be_written_down_stands_though_the_breach_passes() -> None:
    """Else traffic would go forward again as soon as it had gone back, for then the metrics are well."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await asyncio.sleep(1.0)
        refused = [True]
        stage.spoil(lambda call: Unavailable("internal error", status=500) if refused[0] and is_status(call) else None)
        stage.world.source.bad[stage.plan.new] = lambda: stage.share > 0
        await asyncio.sleep(1.2)
        for _ in range(200):
            assert stage.share == 0
            await asyncio.sleep(0.05)
        refused[0] = False
        await stage.reach("RolledBack", within=5.0)
        reasons = [entry["reason"] for entry in stage.status["history"]]
        assert reasons[-2:] == ["TriggerBreached", "RolledBack"]

    staged(story)


def test_a_rollback_that_cannot_be_written_down_outlives_the_loss_of_the_lease() -> None:
    """The process led again a moment later, found everything well, and took what it had done itself for drift."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await asyncio.sleep(1.0)
        refused = [True]
        stage.spoil(lambda call: Unavailable("internal error", status=500) if refused[0] and is_status(call) else None)
        stage.world.source.bad[stage.plan.new] = lambda: stage.share > 0
        await stage.when(lambda: stage.share == 0)
        await asyncio.sleep(1.0)
        stage.world.process.stop_leading()
        await asyncio.sleep(0.5)
        refused[0] = False
        stage.world.process.lead()
        for _ in range(100):
            assert stage.share == 0
            await asyncio.sleep(0.05)
        await stage.reach("RolledBack", within=5.0)

    staged(story)


def test_a_rollback_that_a_completion_came_before_does_not_send_the_next_run_back() -> None:
    """The write that completed the run went unheard, and new died before it was seen; what was decided then was kept
    for the run after it."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="full-migration")
        lost: list[Call] = []

        def unheard(call: Call) -> ApiError | None:
            if lost or not is_status(call) or objects.status_of(call.after).get("state") != "Completed":
                return None
            lost.append(call)
            people.pods(stage.plan.new_ref, crash=True)(stage.world)
            return Unavailable("connection reset by peer", status=0)

        stage.spoil(unheard, after=True)
        stage.world.silence(ROLLOUT, on=True)
        await stage.when(lambda: bool(lost))
        await asyncio.sleep(10.0)
        assert stage.state == "Completed"
        stage.world.silence(ROLLOUT, on=False)
        people.pods(stage.plan.new_ref, crash=False)(stage.world)
        people.scale(stage.plan.old_ref, 3)(stage.world)
        await asyncio.sleep(10.0)
        people.edit_spec(stage.plan, {"revision": "2"})(stage.world)
        await stage.reach("Progressing", within=30.0)
        await stage.reach("Completed")

    staged(story, guarded=False)


def test_a_rollback_that_was_cut_short_by_the_loss_of_the_lease_goes_on_with_the_next() -> None:
    """One route was back, the other's patch hung; the process led again, and put the first one forward."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await asyncio.sleep(1.0)
        hangs = asyncio.Event()
        usual = stage.world.kube.before
        assert usual is not None

        async def before(call: Call) -> None:
            if call.ref.kind == GRPC_ROUTE and call.verb == "patch" and not hangs.is_set():
                hangs.set()
                await asyncio.sleep(60.0)
            await usual(call)

        stage.world.kube.before = before
        stage.world.source.bad[stage.plan.new] = lambda: not hangs.is_set()
        await asyncio.wait_for(hangs.wait(), 5.0)
        await stage.when(lambda: stage.share == 0)
        stage.world.process.stop_leading()
        await asyncio.sleep(0.5)
        stage.world.process.lead()
        for _ in range(100):
            assert stage.share == 0
            await asyncio.sleep(0.05)
        await stage.reach("RolledBack", within=20.0)

    staged(story, one=False)


def test_a_step_forward_that_was_given_up_and_arrives_after_the_rollback_is_put_right() -> None:
    """The rollback had been confirmed by then, the rollout was at rest, and nobody looked at the route any more."""

    async def story(stage: Stage) -> None:
        late = _given_up(stage, HTTP_ROUTE)
        await stage.begin()
        await stage.when(lambda: bool(late))
        stage.refuse("patch", HTTP_ROUTE)
        await asyncio.sleep(0.3)
        people.edit_spec(stage.plan, {"emergencyStop": True})(stage.world)
        await asyncio.sleep(0.5)
        assert stage.state == "RollingBack", "nothing has moved yet as far as can be seen; something still may"
        stage.accept()
        stage.world.kube.edit(stage.plan.routes[0], late[0].body)
        assert stage.share == 10
        await asyncio.sleep(0.2)
        assert stage.share == 0
        await stage.reach("RolledBack", within=10.0)

    staged(story)


def test_a_step_forward_of_a_process_that_died_and_arrives_after_the_rollback_is_put_right() -> None:
    """The next process knew nothing of it, and had recorded the rollback by then; nobody looked at the route."""

    async def story(stage: Stage) -> None:
        late = _given_up(stage, HTTP_ROUTE)
        await stage.begin()
        await stage.when(lambda: bool(late))
        stage.world.crash(stage.world.process)
        people.edit_spec(stage.plan, {"emergencyStop": True})(stage.world)
        await stage.reach("RollingBack", within=5.0)
        await asyncio.sleep(4.0)
        assert stage.state == "RollingBack", "nothing has moved yet as far as can be seen; something still may"
        stage.world.kube.edit(stage.plan.routes[0], late[0].body)
        assert stage.share == 10
        await asyncio.sleep(0.2)
        assert stage.share == 0
        await stage.reach("RolledBack", within=10.0)

    staged(story)


def test_a_way_back_of_a_process_that_died_and_arrives_at_the_end_is_put_right() -> None:
    """Likewise: the next process saw no breach, and completed the run while all traffic was on its way to old."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="full-traffic")
        await stage.when(lambda: stage.share == 100)
        route = stage.plan.routes[0]
        late = _given_up(stage, HTTP_ROUTE)
        stage.world.source.bad[stage.plan.new] = lambda: not late
        await stage.when(lambda: bool(late))
        stage.world.crash(stage.world.process)
        people.edit_spec(stage.plan, {"phases": stage.body["spec"]["phases"][:4]})(stage.world)
        await asyncio.sleep(6.5)
        assert stage.state == "Progressing", "it has lasted long enough; what a dead process sent may still arrive"
        stage.world.kube.edit(route, late[0].body)
        assert stage.share == 0
        await stage.reach("Completed", within=15.0)
        assert stage.share == 100

    staged(story)


def test_a_rollback_writes_nothing_over_that_it_has_not_seen() -> None:
    """A phase was recorded by a write without an answer, while traffic went back already because of the phase before;
    the rollback then took that phase's place in the history."""

    async def story(stage: Stage) -> None:
        late: list[Call] = []
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: stage.share == 50 and bool(stage.status["phase"].get("since")))

        def given_up(call: Call) -> ApiError | None:
            if late or not is_status(call) or "full-traffic" not in str(call.body):
                return None
            late.append(call)
            return Unavailable("no answer", status=0)

        stage.spoil(given_up)
        await stage.when(lambda: bool(late))
        usual = stage.world.kube.before
        assert usual is not None

        async def before(call: Call) -> None:
            await usual(call)
            if call.ref.kind == GRPC_ROUTE and call.verb == "patch" and len(late) == 1:
                late.append(call)
                stage.world.kube.edit_status(stage.plan.ref, late[0].body["status"])
                await asyncio.sleep(1.0)

        stage.world.kube.before = before
        stage.world.source.bad[stage.plan.new] = lambda: stage.share > 0
        await stage.reach("RolledBack", within=20.0)
        history = stage.status["history"]
        assert [entry["sequence"] for entry in history] == list(range(1, len(history) + 1))
        assert [entry["reason"] for entry in history] == ["PhaseStarted"] * 4 + ["TriggerBreached", "RolledBack"]
        assert stage.status["rollback"]["fromWeight"] == 50
        assert stage.share == 0

    staged(story, one=False, guarded=False)


def _given_up(stage: Stage, kind: KindRef) -> list[Call]:
    """The next patch of a kind has no answer and no effect yet; it comes to stand in the list."""
    late: list[Call] = []

    def given_up(call: Call) -> ApiError | None:
        if late or call.ref.kind != kind or call.verb != "patch":
            return None
        late.append(call)
        return Unavailable("no answer", status=0)

    stage.spoil(given_up)
    return late


def test_a_deletion_does_not_leave_traffic_at_new_where_routes_are_only_just_served_again() -> None:
    """The informer was still in its back-off, so the route counted as gone, and nothing was put back."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await asyncio.sleep(1.0)
        stage.world.unserve(HTTP_ROUTE, on=True)
        await asyncio.sleep(20.0)
        stage.world.unserve(HTTP_ROUTE, on=False)
        stage.world.kube.delete(stage.plan.ref)
        await stage.when(lambda: stage.world.kube.read(stage.plan.ref) is None)
        assert stage.share == 0

    staged(story)


def test_a_rollout_that_is_deleted_and_made_anew_unseen_is_carried_out() -> None:
    """It came in by the look that a conflict asks for, the watch then had nothing new to say, and nobody queued it."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await asyncio.sleep(1.5)
        stage.world.silence(ROLLOUT, on=True)
        stage.world.kube.edit(stage.plan.ref, {"metadata": {"finalizers": None}})
        stage.world.kube.delete(stage.plan.ref)
        stage.world.kube.put(stage.body)
        await stage.when(lambda: stage.status.get("reason") == "TrafficAlreadyAtNew")
        # nothing is recorded of how new came by its share; a person says that all may begin anew
        route = stage.plan.routes[0]
        stage.world.kube.put(objects.route(route.kind, route.name, stage.plan.old, stage.plan.new))
        await stage.reach("Completed")

    staged(story, guarded=False)


def test_what_was_recorded_last_of_a_rollout_at_rest_is_told_though_the_answer_was_lost() -> None:
    """Nothing more was written for it, and so its Event was never posted."""

    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        people.edit_spec(stage.plan, {"emergencyStop": True})(stage.world)
        await stage.reach("RolledBack")
        await asyncio.sleep(5.0)
        stage.spoil(once(Unavailable("no answer", status=0), is_status), after=True)
        people.annotate(stage.plan, Request.APPROVE, "small-traffic")(stage.world)
        await stage.when(lambda: stage.status["history"][-1]["reason"] == "RequestIgnored")
        await stage.when(lambda: "RequestIgnored" in {each["reason"] for each in stage.world.kube.all(EVENT)})

    staged(story)

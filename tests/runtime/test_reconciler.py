"""Passes, with everything real but the API server and Prometheus: what a person sees when calls fail or are refused,
and how much is asked of the API server. On virtual time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fakes.kube import Call
from simulation import objects, people
from simulation.invariants import Plan
from simulation.objects import DEPLOYMENT, HTTP_ROUTE, ROLLOUT
from simulation.stage import Stage, is_status, once, staged
from syncrollout.api.fields import parse_time
from syncrollout.decide import machine
from syncrollout.ports import ApiError, Conflict, Turn, Unavailable

# ---- conflicts and lost answers ----


def test_a_conflict_is_answered_by_one_look_and_the_same_write_on_what_stands_now() -> None:
    async def story(stage: Stage) -> None:
        stage.spoil(once(Conflict("changed meanwhile"), is_status))
        await stage.begin(1.0)
        assert stage.state == "Progressing"
        assert [entry["sequence"] for entry in stage.status["history"]] == [1]
        assert sum(call.startswith("get SyncRollout") for call in stage.calls()) == 1

    staged(story)


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_an_answer_that_is_lost_neither_stops_nor_doubles_anything(after: bool) -> None:
    async def story(stage: Stage) -> None:
        writes: list[Call] = []

        def every_second(call: Call) -> ApiError | None:
            if call.verb not in {"patch", "create"}:
                return None
            writes.append(call)
            return Unavailable("connection reset by peer", status=0) if len(writes) % 2 else None

        stage.spoil(every_second, after=after)
        await stage.begin()
        await stage.reach("Completed")
        await asyncio.sleep(30)
        assert len(writes) >= 20
        assert [entry["reason"] for entry in stage.status["history"]] == ["PhaseStarted"] * 5 + ["Completed"]
        assert len(stage.world.kube.all(objects.EVENT)) == 6

    staged(story)


# ---- a busy API server ----


def test_what_only_confirms_a_step_is_written_once_the_api_server_is_not_busy_any_more() -> None:
    async def story(stage: Stage) -> None:
        faults = stage.world.chance.faults
        faults.until, faults.crowded = float("inf"), 1.0
        next(phase for phase in stage.body["spec"]["phases"] if phase["weight"] > 0)["duration"] = "10m"
        await stage.begin(0.0)
        await stage.when(lambda: stage.share > 0)
        await asyncio.sleep(20)
        assert stage.status["weight"] == 0
        assert "since" not in stage.status["phase"]
        faults.crowded = 0.0
        await stage.when(lambda: stage.status["weight"] == round(stage.share), within=6.0)
        phase = stage.status["phase"]
        taken = parse_time(phase["since"]) - parse_time(phase["entered"])
        assert taken < 0.2, "the time of the phase counts from when its weight stood"

    staged(story)


def test_what_only_confirms_a_step_is_written_after_a_minute_however_busy_the_api_server() -> None:
    async def story(stage: Stage) -> None:
        faults = stage.world.chance.faults
        faults.until, faults.crowded = float("inf"), 1.0
        next(phase for phase in stage.body["spec"]["phases"] if phase["weight"] > 0)["duration"] = "10m"
        await stage.begin(0.0)
        await stage.when(lambda: stage.share > 0)
        await stage.when(lambda: stage.status["weight"] == round(stage.share), within=66.0)

    staged(story)


def test_an_api_server_that_stays_busy_is_spared_the_confirmations_of_short_phases() -> None:
    async def story(stage: Stage) -> None:
        faults = stage.world.chance.faults
        faults.until, faults.crowded = float("inf"), 1.0
        await stage.begin(0.0)
        await stage.reach("Completed")
        assert [entry["reason"] for entry in stage.status["history"]] == ["PhaseStarted"] * 5 + ["Completed"]
        writes = sum(call.subresource == "status" for call in stage.world.calls)
        assert writes <= 8, "a phase costs one write, its start"

    staged(story)


# ---- rights ----


def test_a_right_that_is_missing_is_told_by_verb_and_resource_and_picked_up_once_granted() -> None:
    async def story(stage: Stage) -> None:
        stage.world.kube.forbid("patch", HTTP_ROUTE)
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await asyncio.sleep(8)  # what is refused for some seconds only is no news: the API server may just have started
        stalled = stage.condition("Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "Forbidden")
        assert '"patch"' in stalled["message"]
        assert "HTTPRoute" in stalled["message"]
        assert stage.share == 0
        stage.world.kube.allow("patch", HTTP_ROUTE)
        await stage.reach("Completed", within=150)
        assert stage.condition("Stalled")["status"] == "False"

    staged(story)


def test_what_is_refused_for_good_is_tried_ever_more_rarely() -> None:
    async def story(stage: Stage) -> None:
        stage.world.kube.forbid("patch", HTTP_ROUTE)
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        await asyncio.sleep(120)
        before = len(stage.world.calls)
        await asyncio.sleep(600)
        tried = [call for call in stage.calls(before) if call.startswith("patch HTTPRoute")]
        assert 1 <= len(tried) <= 40, "in ten minutes"

    staged(story)


def test_without_the_right_to_see_workloads_nothing_begins_and_the_status_says_why() -> None:
    async def story(stage: Stage) -> None:
        stage.world.kube.forbid("list", DEPLOYMENT)
        await stage.begin(10.0)
        assert stage.state == "Preflight"
        assert "list" in stage.status["message"]
        assert "Deployment" in stage.status["message"]
        assert not objects.held(stage.world.kube.read(stage.plan.ref)), "nothing is touched"
        stage.world.kube.allow("list", DEPLOYMENT)
        await stage.reach("Progressing")

    staged(story)


# ---- an API server that does not take what was decided ----


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_what_the_api_server_does_not_take_for_some_seconds_is_told_of_once_in_its_own_words(back: bool) -> None:
    async def story(stage: Stage) -> None:
        trouble = [not back]

        def webhook(call: Call) -> ApiError | None:
            if not trouble[0] or call.verb != "patch" or call.ref.kind != HTTP_ROUTE:
                return None
            return Unavailable('failed calling webhook "policy.example.org"', status=500)

        stage.spoil(webhook)
        await stage.begin()
        if back:
            await stage.reach("Progressing", phase="medium-traffic")
            await stage.when(lambda: stage.share == 50)
            trouble[0] = True
            people.edit_spec(stage.plan, {"emergencyStop": True})(stage.world)
        else:
            await stage.reach("Progressing", phase="small-traffic")
        share = stage.share
        await stage.when(lambda: stage.status["reason"] == "ApiServerFails", within=30.0)
        assert stage.state == ("RollingBack" if back else "Progressing")
        assert 'failed calling webhook "policy.example.org"' in stage.status["message"]
        assert stage.condition("Stalled")["status"] == "False", "most often it passes by itself"
        assert stage.share == share
        await asyncio.sleep(60)
        trouble[0] = False
        await stage.reach("RolledBack" if back else "Completed", within=150)
        assert [entry["reason"] for entry in stage.status["history"]].count("ApiServerFails") == 1

    staged(story)


def test_what_was_not_taken_and_went_through_in_the_end_is_not_told_of_at_the_next_step() -> None:
    async def story(stage: Stage) -> None:
        trouble = [True]

        def of_a_route(call: Call) -> bool:
            return trouble[0] and call.verb == "patch" and call.ref.kind == HTTP_ROUTE

        def hangs(call: Call) -> ApiError | None:
            told = stage.status.get("reason") == "ApiServerFails"
            return Unavailable("no answer within 5 s", status=0) if of_a_route(call) and not told else None

        def unheard(call: Call) -> ApiError | None:
            if not of_a_route(call):
                return None
            trouble[0] = False
            return Unavailable("no answer within 12.5 s", status=0)

        stage.spoil(hangs)
        stage.spoil(unheard, after=True)
        await stage.begin()
        await stage.reach("Completed")
        assert [entry["reason"] for entry in stage.status["history"]].count("ApiServerFails") == 1

    staged(story)


def test_where_nothing_can_be_written_what_keeps_traffic_at_new_is_what_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(stage: Stage) -> None:
        full = [False]

        def no_space(call: Call) -> ApiError | None:
            return (
                Unavailable(f"{call}: no space", status=500) if full[0] and call.verb in {"patch", "create"} else None
            )

        stage.spoil(no_space)
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: stage.share == 50)
        people.edit_spec(stage.plan, {"emergencyStop": True})(stage.world)
        full[0] = True
        caplog.clear()
        await asyncio.sleep(20)
        failed = [line for line in caplog.messages if line.startswith("pass failed")]
        assert failed
        assert all("patch HTTPRoute" in line for line in failed)
        people.edit_spec(stage.plan, {"emergencyStop": False})(stage.world)
        full[0] = False
        await stage.reach("RolledBack")

    staged(story)


def test_an_api_server_that_fails_for_a_moment_is_no_news() -> None:
    async def story(stage: Stage) -> None:
        failed: list[Call] = []

        def now_and_then(call: Call) -> ApiError | None:
            if call.verb != "patch" or call.ref.kind != HTTP_ROUTE:
                return None
            failed.append(call)
            return Unavailable("try again", status=503) if len(failed) % 3 else None

        stage.spoil(now_and_then)
        await stage.begin()
        await stage.reach("Completed")
        assert [entry["reason"] for entry in stage.status["history"]] == ["PhaseStarted"] * 5 + ["Completed"]

    staged(story)


# ---- patience ----


def test_retry_after_is_kept_and_judging_goes_on_meanwhile() -> None:
    async def story(stage: Stage) -> None:
        stage.spoil(once(Unavailable("too many requests", status=429, retry_after=7.0), is_status))
        await stage.begin(0.5)
        refused, asked = stage.world.now, stage.world.source.asked.total()
        await asyncio.sleep(6.0)
        assert stage.status == {}
        await stage.reach("Progressing", within=5.0)
        assert 6.5 <= stage.world.now - refused <= 8.5
        assert stage.world.source.asked.total() > asked

    staged(story)


def test_an_api_server_in_trouble_is_asked_ever_more_rarely_and_all_goes_on_afterwards() -> None:
    async def story(stage: Stage) -> None:
        trouble = [True]
        await stage.begin()
        stage.spoil(lambda _: Unavailable("internal error", status=500) if trouble[0] else None)
        stage.world.drop_watches()
        await asyncio.sleep(120)
        before = len(stage.world.calls)
        await asyncio.sleep(60)
        # the watch of SyncRollouts is kopf's, and in the simulation a simple one
        asked = [call for call in stage.calls(before) if call != "list SyncRollout /"]
        assert len(asked) <= 60, asked
        trouble[0] = False
        await stage.reach("Completed")

    staged(story)


def test_a_watched_run_goes_back_within_seconds_while_its_finalizer_waits_for_an_api_server_that_is_busy() -> None:
    """At the gate what may wait at leisure does so for a minute, all else for five seconds."""

    async def story(stage: Stage) -> None:
        stage.body["spec"]["rollback"]["keepWatching"] = "10m"
        await stage.begin()
        kube, waits = stage.world.kube, 0
        usual = kube.before
        assert usual is not None

        async def busy(call: Call) -> None:
            nonlocal waits
            await usual(call)
            if call.ref == stage.plan.ref and '"finalizers": []' in json.dumps(call.body):
                waits += 1
                await asyncio.sleep(60.0 if call.turn is Turn.LEISURE else 5.0)
                raise Unavailable("was not sent", status=0)

        kube.before = busy
        await stage.reach("Completed")
        await stage.when(lambda: waits > 0)
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack", within=10.0)

    staged(story)


# ---- nothing happens ----


def test_after_the_end_nothing_is_asked_and_informers_are_let_go() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Completed")
        await asyncio.sleep(400)
        before = len(stage.world.calls)
        asked = stage.world.source.asked.total()
        await asyncio.sleep(600)
        since = {call.split()[1] for call in stage.calls(before)}
        assert since == {"SyncRollout"}, "the watch of SyncRollouts alone goes on"
        assert {call.split()[0] for call in stage.calls(before)} <= {"list", "watch"}
        assert stage.world.source.asked.total() == asked

    staged(story)


def test_while_a_phase_lasts_and_nothing_changes_nothing_is_written() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic", within=1000)
        await asyncio.sleep(120)
        before = len(stage.world.calls)
        asked = stage.world.source.asked.total()
        await asyncio.sleep(400)
        assert {call.split()[0] for call in stage.calls(before)} <= {"list", "watch"}
        assert stage.world.source.asked.total() - asked >= 400, "it is judged every second"

    staged(story, seconds=900)


# ---- what people write ----


def test_an_invalid_spec_is_told_and_touches_nothing_and_the_mended_one_begins() -> None:
    async def story(stage: Stage) -> None:
        good = stage.body["spec"]["phases"]
        stage.body["spec"]["phases"] = [{"name": "all", "weight": 400}]
        await stage.begin()
        stalled = stage.condition("Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "InvalidSpec")
        assert "spec.phases.0.weight" in stalled["message"]
        assert not objects.held(stage.world.kube.read(stage.plan.ref))
        stage.world.kube.edit(stage.plan.ref, {"spec": {"phases": good}})
        await stage.reach("Completed")

    staged(story)


def test_an_edit_that_breaks_the_spec_mid_way_keeps_the_run_judged_by_the_last_good_one() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await asyncio.sleep(1)
        assert stage.share == 50
        people.edit_phases(stage.plan, lambda phases: [{**each, "weight": 400} for each in phases])(stage.world)
        await stage.reach("Holding")
        assert stage.condition("Stalled")["reason"] == "InvalidSpec"
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack", within=3.0)
        assert stage.share == 0

    staged(story)


def test_suspended_it_stays_where_it_is_and_goes_back_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="small-traffic")
        people.edit_spec(stage.plan, {"suspend": True})(stage.world)
        await stage.reach("Paused")
        await asyncio.sleep(60)
        assert (stage.state, stage.share) == ("Paused", 10)
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack", within=3.0)

    staged(story)


# ---- watches, and errors of our own ----


def test_a_deletion_that_the_watch_missed_is_noticed() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Completed")
        process = stage.world.process
        stage.world.silence(ROLLOUT, on=True)
        stage.world.kube.delete(stage.plan.ref)
        stage.world.expire()  # the watch is made anew, from after the deletion
        await asyncio.sleep(50)
        assert len(process.rollouts) == 0

    staged(story)


def test_weights_changed_by_hand_are_put_right_within_a_tenth_of_a_second() -> None:
    async def story(stage: Stage) -> None:
        await stage.begin()
        await stage.reach("Progressing", phase="medium-traffic")
        await asyncio.sleep(1)
        for new in (100, 0):
            people.drift(stage.plan.routes[0], {"v1": 100 - new, "v2": new})(stage.world)
            await asyncio.sleep(0.1)
            assert stage.share == 50
        assert [entry["reason"] for entry in stage.status["history"]].count("DriftRepaired") == 1, "one quarrel"

    staged(story)


def test_an_error_of_our_own_stops_one_pass_and_no_other_rollout(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(stage: Stage) -> None:
        usual, broken = machine.look, [True]

        def look(spec: Any, *rest: Any) -> Any:
            if broken[0] and spec.revision == "broken":
                msg = "a bug"
                raise RuntimeError(msg)
            return usual(spec, *rest)

        monkeypatch.setattr(machine, "look", look)
        other = objects.rollout(
            "other", old="w1", new="w2", phases=objects.five_phases(1), routes=((HTTP_ROUTE, "else"),), metrics=False
        )
        other["spec"]["revision"] = "broken"
        for obj in (*(objects.deployment(n, 1) for n in ("w1", "w2")), *(objects.service(n) for n in ("w1", "w2"))):
            stage.world.kube.put(obj)
        stage.world.kube.put(objects.route(HTTP_ROUTE, "else", "w1", "w2"))
        stage.invariants.plans += (Plan("other", "w1", "w2", 1, (objects.ref(HTTP_ROUTE, "else"),)),)
        await asyncio.sleep(2.0)
        stage.world.kube.put(other)
        await stage.begin()
        await stage.reach("Completed")
        mine = objects.ref(ROLLOUT, "other")
        assert objects.state_of(stage.world.kube.read(mine)) == "Pending"
        assert "error of the operator's own" in caplog.text
        broken[0] = False
        await asyncio.sleep(40)
        assert objects.state_of(stage.world.kube.read(mine)) == "Completed"

    staged(story)

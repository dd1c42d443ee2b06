"""Messages, with the real parts of the operator around them: each arrives once, and nothing ever waits for one."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.kube import Call
from simulation import people
from simulation.objects import NAMESPACE, ROLLOUT, secret
from simulation.plain import succeeded, world
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, is_status, once, staged
from simulation.test_crashes import crash_at, milestones
from syncrollout.api.words import Request
from syncrollout.decide.deliveries import Delivered
from syncrollout.ports import AppriseWay, Object, Unavailable

URL = "json://chat.example.com/hook"
SECRET = secret("urls", chat=URL)
CHAT = {"name": "chat", "urlFrom": {"name": "urls", "key": "chat"}}
TEAM: dict[str, Any] = {"audiences": [{"name": "team", "channels": [CHAT]}]}


async def _begun(stage: Stage, notifications: dict[str, Any] = TEAM, *, secret: bool = True) -> None:
    stage.body["spec"]["notifications"] = notifications
    if secret:
        stage.world.kube.put(SECRET)
    await stage.begin()


def _arrived(stage: Stage) -> list[str]:
    return [message.labels["event"] for message in stage.world.people.arrived]


def _states(stage: Stage) -> dict[str, str]:
    box = stage.status.get("notifications") or {}
    return {
        message["event"]: each["state"] for message in box.get("messages", ()) for each in message.get("deliveries", ())
    }


def test_a_migration_is_told_and_what_was_told_stands_in_the_status() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        await stage.reach("Completed")
        await stage.when(lambda: set(_states(stage).values()) == {"Sent"})
        assert _arrived(stage) == ["Started", *["PhaseChanged"] * 4, "Completed"]
        assert stage.world.people.came[0][0] == AppriseWay(URL)
        assert stage.condition("NotificationsDelivered")["status"] == "True"
        assert "chat.example.com" not in str(stage.status)

    staged(story, seconds=3)


def test_a_way_back_waits_for_no_channel_that_hangs() -> None:
    async def story(stage: Stage) -> None:
        stage.world.people.delay = 1000.0
        await _begun(stage)
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: stage.status["phase"].get("since") is not None)
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.when(lambda: stage.share == 0, within=1.5)
        await stage.reach("RolledBack", within=5.0)

    staged(story)


def test_a_channel_that_is_down_gets_it_later_and_once_although_the_rollout_is_at_rest() -> None:
    async def story(stage: Stage) -> None:
        stage.body["spec"]["notifications"] = TEAM
        await _begun(stage)
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: _arrived(stage).count("PhaseChanged") == 2)
        stage.world.people.answers = lambda _: Delivered.FAILED
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack")
        before = _arrived(stage)
        assert "RolledBack" not in before
        stage.world.people.answers = lambda _: Delivered.SENT
        await stage.when(lambda: set(_states(stage).values()) == {"Sent"}, within=60.0)
        assert sorted(_arrived(stage)[len(before) :]) == ["RolledBack", "RollingBack"]

    staged(story)


def test_a_secret_that_is_missing_is_named_and_its_url_used_once_it_is_there() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage, secret=False)
        await stage.when(lambda: "Pending" in _states(stage).values())
        error = stage.status["notifications"]["messages"][0]["deliveries"][0]["error"]
        assert "Secret" in error
        assert "audiences[team].channels[chat].urlFrom" in error
        stage.world.kube.put(SECRET)
        await stage.when(lambda: _states(stage).get("Started") == "Sent")

    staged(story, seconds=60)


def test_a_write_whose_answer_is_lost_loses_no_message_and_doubles_none() -> None:
    async def story(stage: Stage) -> None:
        stage.spoil(
            once(
                Unavailable("no answer", status=0),
                lambda call: is_status(call) and "Sending" in str(call.body["status"].get("notifications")),
            ),
            after=True,
        )
        await _begun(stage)
        await stage.when(lambda: _states(stage).get("Started") == "Sent")
        assert _arrived(stage) == ["Started"]

    staged(story, seconds=60)


def test_a_write_whose_answer_is_lost_loses_no_message_where_nothing_is_seen_of_it_either() -> None:
    """An API server that is slow to answer is slow to tell of changes."""

    async def story(stage: Stage) -> None:
        def sends(call: Call) -> bool:
            return is_status(call) and "Sending" in str(call.body["status"].get("notifications"))

        def silenced(call: Call) -> None:
            if sends(call):
                stage.world.silence(ROLLOUT, on=True)

        stage.spoil(silenced)
        stage.spoil(once(Unavailable("no answer", status=0), sends), after=True)
        await _begun(stage)
        await stage.when(lambda: _states(stage).get("Started") == "Sent")
        assert _arrived(stage) == ["Started"]

    staged(story, seconds=60)


@pytest.mark.parametrize("ends", ["stops", "hands over"])
def test_what_waits_while_the_operator_ends_is_sent_by_the_next_one(ends: str) -> None:
    async def story(stage: Stage) -> None:
        stage.world.people.delay = 4.0  # longer than a phase: one always waits behind another
        await _begun(stage)
        await stage.when(lambda: set(_states(stage).values()) == {"Sending", "Pending"})
        process = stage.world.process
        if ends == "stops":
            await process.messenger.close(10.0)
            await process.controller.queue.stop(5.0)
        else:
            await process.controller.hand_over(0, 6.0)
        process.crash()
        stage.world.start()
        await stage.reach("Completed")
        await stage.when(lambda: _arrived(stage)[-1] == "Completed" and set(_states(stage).values()) == {"Sent"})
        assert _arrived(stage) == ["Started", *["PhaseChanged"] * 4, "Completed"]
        assert "MessageUndelivered" not in [entry["reason"] for entry in stage.status["history"]]

    staged(story, seconds=3)


def test_follow_ups_and_levels_are_told_of_a_rollout_at_rest_until_somebody_acknowledges() -> None:
    async def story(stage: Stage) -> None:
        boss = {"name": "boss", "events": [], "channels": [CHAT]}
        await _begun(
            stage,
            {
                "audiences": [*TEAM["audiences"], boss],
                "followUps": [{"audience": "team", "after": "20s", "about": "FirstCause"}],
                "escalation": [
                    {"name": "first", "audience": "boss", "after": "10s"},
                    {"name": "second", "audience": "boss", "after": "60s"},
                ],
            },
        )
        await stage.reach("Progressing", phase="medium-traffic")
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.reach("RolledBack")
        await stage.when(lambda: "Escalated" in _arrived(stage), within=15.0)
        people.annotate(stage.plan, Request.ACK, "I am on it")(stage.world)
        await stage.when(lambda: "FollowUp" in _arrived(stage), within=20.0)
        end = stage.world.now + 90.0
        await stage.when(lambda: stage.world.now > end, within=100.0)
        assert _arrived(stage).count("Escalated") == 1
        assert _arrived(stage).count("FollowUp") == 1
        assert stage.status["notifications"]["alarm"]["acknowledged"] == "I am on it"
        quiet = len(stage.world.calls)
        end = stage.world.now + 10.0
        await stage.when(lambda: stage.world.now > end)
        assert not [call for call in stage.world.calls[quiet:] if is_status(call)]

    staged(story)


def _told_run() -> Scenario:
    scenario = world(seconds=3, breach="medium-traffic", one=True)
    for _, body in scenario.rollouts:
        body["spec"]["notifications"] = TEAM | {"followUps": []}
    scenario.objects.append(SECRET)
    return scenario


def test_a_crash_at_any_call_makes_no_message_arrive_twice_and_changes_no_decision() -> None:
    reference = succeeded(simulate(_told_run()))
    events = [each.split("-")[1] for each in (told.split("-", 1)[1] for told in reference.told)]
    assert len(events) == len(set(reference.told)) == 5
    sent = [number for number, what in enumerate(reference.writes, 1) if what.startswith("patch SyncRollout")]
    died, lost = 0, 0
    for call in range(sent[0], len(reference.writes) + 1):
        what = reference.writes[call - 1]
        if what.split()[0] in {"list", "watch"}:
            continue
        for after in (False, True):
            report = crash_at(_told_run, call, after=after, restart=0.05 if call % 2 else 2.5)
            died += report.processes - 1
            assert report.ends == reference.ends
            assert len(report.told) == len(set(report.told)), f"call {call} {what}: {report.told}"
            undelivered = report.shape["sync"].count("MessageUndelivered")
            assert len(report.told) + undelivered >= len(reference.told), f"call {call} {what}: lost unseen"
            lost += undelivered
            rest = [reason for reason in milestones(report) if reason != "MessageUndelivered"]
            assert rest == milestones(reference), f"call {call} {what}"
    assert died >= (len(reference.writes) - sent[0]) // 2, "the crashes did not happen"
    assert lost, "none of them was in between"


def test_no_run_begins_while_a_template_is_broken() -> None:
    async def story(stage: Stage) -> None:
        words: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "words", "namespace": NAMESPACE},
            "data": {"Started.en": "{{ nam }}"},
        }
        stage.world.kube.put(words)
        await _begun(stage, TEAM | {"templates": {"configMap": "words"}})
        await stage.reach("Preflight")
        await stage.when(lambda: stage.status["reason"] == "TemplateInvalid")
        assert "Started.en: 'nam' is undefined" in stage.status["message"]
        words["data"] = {"Started.en": "{{ name }} goes"}
        stage.world.kube.put(words)
        await stage.reach("Progressing", within=30.0)
        await stage.when(lambda: _arrived(stage)[-1:] == ["Started"])
        assert stage.world.people.arrived[-1].body == "sync goes\n"

    staged(story, seconds=60)

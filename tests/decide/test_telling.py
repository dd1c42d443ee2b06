"""Messages: what is told to whom, once, whatever fails or is restarted; and that nothing else ever notices it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decide.plans import INTERVAL, Document, five_phases, one_phase, two_phases
from decide.world import World, begun
from syncrollout.api.status import Condition, DeliveryStatus, MessageStatus, NotificationsStatus
from syncrollout.api.words import ConditionType, DeliveryState, MessageEvent, Reason, Request, Severity, State, Verdict
from syncrollout.decide import on_the_clock, telling
from syncrollout.decide.deliveries import Delivered

URL = {"name": "urls", "key": "chat"}
CHAT = {"name": "chat", "urlFrom": URL}
SMS = {"name": "sms", "urlFrom": URL, "severities": ["Critical"]}
ALERTS = {"name": "alerts", "alertmanager": {"address": "http://alertmanager:9093"}}
MINUTE, HOUR = 60.0, 3600.0


def _audience(name: str = "team", *channels: Document, **more: Any) -> Document:
    return {"name": name, "channels": list(channels or (CHAT,))} | more


def _plan(plan: Document | None = None, *audiences: Document, **more: Any) -> Document:
    plan = plan or two_phases()
    plan["notifications"] = {"audiences": list(audiences or (_audience(),))} | more
    return plan


def _box(world: World) -> NotificationsStatus:
    assert world.recorded.notifications is not None
    return world.recorded.notifications


def _message(world: World, event: MessageEvent) -> MessageStatus:
    return next(each for each in _box(world).messages if each.event is event)


def _delivery(world: World, event: MessageEvent, channel: str = "chat") -> DeliveryStatus:
    return next(each for each in _message(world, event).deliveries if each.channel == channel)


def _condition(world: World) -> Condition | None:
    kind = ConditionType.NOTIFICATIONS_DELIVERED
    return next((each for each in world.recorded.conditions if each.type is kind), None)


def _breaks(world: World, value: float = 12.0) -> None:
    world.read("errors", value)
    world.run(INTERVAL)


# ---- what is told ------------------------------------------------------------------------------------------------


def test_a_migration_that_goes_well_is_told_from_its_beginning_to_its_end_once() -> None:
    world = World(_plan(five_phases()))
    world.run_until(State.COMPLETED)
    world.settle()
    assert world.post.events("team") == ["Started", *["PhaseChanged"] * 4, "Completed"]
    assert not _box(world).open
    assert _condition(world) is not None
    world.run(HOUR, every=MINUTE)
    assert len(world.post.sent) == 6


def test_a_rollback_is_told_when_it_is_decided_and_when_it_is_done() -> None:
    world = begun(_plan())
    _breaks(world)
    assert world.post.events("team") == ["Started", "RollingBack", "RolledBack"]
    told = _message(world, MessageEvent.ROLLING_BACK)
    assert told.severity is Severity.CRITICAL
    assert "errors" in told.text


def test_what_a_phase_was_judged_by_is_told_when_the_next_one_begins() -> None:
    world = begun(_plan())
    world.post.answers["chat"] = Delivered.FAILED  # what has arrived needs its results no more
    world.run_to_phase("full")
    told = _message(world, MessageEvent.PHASE_CHANGED)
    assert [(each.metric, each.verdict, each.reading) for each in told.results] == [("errors", Verdict.PASS, 0.5)]
    assert (told.before, told.phase, told.weight) == ("1/2 small", "2/2 full", 100)


def test_who_asks_for_some_events_hears_of_no_others() -> None:
    users = _audience("users", events=["RolledBack", "Completed"])
    world = begun(_plan(None, _audience(), users))
    _breaks(world)
    assert world.post.events("users") == ["RolledBack"]


def test_severities_choose_the_channels() -> None:
    world = begun(_plan(None, _audience("team", CHAT, SMS)))
    world.settle()
    assert world.post.events("team", "sms") == []
    _breaks(world)
    assert world.post.events("team", "sms") == ["RollingBack", "RolledBack"]
    assert world.post.events("team", "chat") == ["Started", "RollingBack", "RolledBack"]


def test_a_person_who_sends_it_back_wakes_nobody_by_what_is_for_critical_trouble() -> None:
    world = begun(_plan(None, _audience("team", CHAT, SMS)))
    world.ask(Request.ROLLBACK, "changed our mind")
    world.settle()
    assert world.post.events("team", "sms") == []
    assert "RollingBack" in world.post.events("team")


def test_a_decision_is_asked_for() -> None:
    plan = two_phases(rollback={"triggers": [{"severity": "Medium", "metric": "errors", "above": 2}]})
    world = begun(_plan(plan))
    _breaks(world, 3.0)
    assert world.post.events("team") == ["Started", "DecisionNeeded"]
    assert _message(world, MessageEvent.DECISION_NEEDED).severity is Severity.MEDIUM


def test_that_nothing_has_to_be_decided_any_more_takes_the_way_of_the_question() -> None:
    high = {"severity": "High", "metric": "errors", "above": 2}
    mail = CHAT | {"name": "mail", "severities": ["Critical", "High"]}
    world = begun(_plan(one_phase(duration="7d") | {"rollback": {"triggers": [high]}}, _audience("team", CHAT, mail)))
    _breaks(world, 3.0)
    world.read("errors", 0.5)
    world.run(HOUR / 2, every=MINUTE)
    assert world.post.events("team", "mail") == ["DecisionNeeded", "IncidentEnded"]


def test_an_approval_that_is_missing_is_asked_for_and_asked_for_again() -> None:
    plan = two_phases(approval={"remind": "1h"})
    plan["phases"][0]["approval"] = "Required"
    world = begun(_plan(plan))
    world.run(1.5 * HOUR, every=MINUTE)
    assert world.post.events("team") == ["Started", "ApprovalRequested", "ApprovalReminder"]
    asked = next(each for each in _box(world).messages if each.event is MessageEvent.APPROVAL_REQUESTED)
    assert "kubectl syncrollout approve sync small" in asked.text


def test_a_phase_that_is_held_is_told_once() -> None:
    world = begun(_plan(one_phase(duration="20s")))
    world.read("errors", 2.0)
    world.run(5 * MINUTE)
    assert world.post.events("team") == ["Started", "Held"]


# ---- once, and in order ------------------------------------------------------------------------------------------


def test_what_is_to_be_told_is_recorded_with_what_it_tells_of() -> None:
    world = begun(_plan())
    world.settle()
    world.read("errors", 12.0)
    world.step(INTERVAL)
    assert world.recorded.state is State.ROLLING_BACK
    assert _delivery(world, MessageEvent.ROLLING_BACK).state is DeliveryState.PENDING
    assert world.post.events("team") == ["Started"]
    world.restart()  # before it was recorded as being sent: so it certainly was not
    world.settle()
    assert world.post.events("team")[1:2] == ["RollingBack"]


def test_a_message_that_may_have_been_sent_is_not_sent_again_and_that_is_said() -> None:
    world = World(_plan())
    world.post.hangs = True
    world.run_to_phase("small")
    assert _delivery(world, MessageEvent.STARTED).state is DeliveryState.SENDING
    world.restart()
    world.settle()
    lost = _delivery(world, MessageEvent.STARTED)
    assert (lost.state, world.post.sent) == (DeliveryState.UNCONFIRMED, [])
    condition = _condition(world)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", Reason.MESSAGE_UNDELIVERED)
    assert [entry for entry in world.told if entry.reason is Reason.MESSAGE_UNDELIVERED]


def test_on_a_channel_messages_arrive_in_the_order_of_what_they_tell_of() -> None:
    world = World(_plan(five_phases(), _audience("team", CHAT, ALERTS)))
    world.post.hangs = True
    world.run_to_phase("medium-traffic")
    said = [(each.event, each.deliveries[0].state) for each in _box(world).messages]
    assert said == [
        (MessageEvent.STARTED, DeliveryState.SENDING),
        (MessageEvent.PHASE_CHANGED, DeliveryState.PENDING),
        (MessageEvent.PHASE_CHANGED, DeliveryState.PENDING),
    ]
    decision = world.settle()
    assert decision.next_due is None or decision.next_due > world.now, "what waits behind another one is not due"
    world.post.hangs = False
    world.restart()
    world.settle()
    assert world.post.events("team", "alerts") == ["Started", "PhaseChanged", "PhaseChanged"]


def test_what_is_more_severe_waits_for_nothing_that_is_less() -> None:
    world = World(_plan())
    world.post.hangs = True
    world.run_to_phase("small")
    _breaks(world)
    assert [(each.event, each.deliveries[0].state) for each in _box(world).messages] == [
        (MessageEvent.STARTED, DeliveryState.SENDING),
        (MessageEvent.ROLLING_BACK, DeliveryState.SENDING),
        (MessageEvent.ROLLED_BACK, DeliveryState.PENDING),
    ]


def test_a_process_that_is_about_to_stop_leaves_what_it_has_not_begun_to_the_next_one() -> None:
    world = World(_plan())
    world.post.mute = True
    world.run_to_phase("small")
    _breaks(world)
    assert {each.deliveries[0].state for each in _box(world).messages} == {DeliveryState.PENDING}
    decision = world.settle()
    assert decision.next_due is None or decision.next_due > world.now
    world.restart()
    world.settle()
    assert world.post.events("team") == ["Started", "RollingBack", "RolledBack"]


def test_an_alertmanager_takes_the_same_message_once_so_it_is_sent_again() -> None:
    world = World(_plan(None, _audience("team", ALERTS)))
    world.post.hangs = True
    world.run_to_phase("small")
    world.restart()
    world.settle()
    assert world.post.events("team", "alerts") == ["Started"]


def test_a_channel_that_is_down_is_tried_later_and_the_rest_is_not_held_up() -> None:
    world = begun(_plan(None, _audience("team", CHAT, ALERTS)))
    world.settle()
    world.post.answers["chat"] = Delivered.FAILED
    _breaks(world)
    assert world.recorded.state is State.ROLLED_BACK
    assert world.post.events("team", "alerts") == ["Started", "RollingBack", "RolledBack"]
    world.run(5 * MINUTE)
    condition = _condition(world)
    assert condition is not None
    assert condition.status == "False"
    del world.post.answers["chat"]
    world.run(10 * MINUTE)
    assert world.post.events("team") == ["Started", "RollingBack", "RolledBack"]
    condition = _condition(world)
    assert condition is not None
    assert condition.status == "True"


def test_a_channel_that_stays_down_is_given_up_and_that_is_said() -> None:
    world = begun(_plan())
    world.settle()
    world.post.answers["chat"] = Delivered.FAILED
    _breaks(world)
    world.run(6 * HOUR, every=10 * MINUTE)
    lost = _delivery(world, MessageEvent.ROLLED_BACK)
    assert (lost.state, lost.attempts) == (DeliveryState.GIVEN_UP, telling.MOST_ATTEMPTS)
    assert [entry for entry in world.told if entry.reason is Reason.MESSAGE_UNDELIVERED]
    assert len([each for each in world.post.attempts if each[0].endswith("RolledBack")]) == telling.MOST_ATTEMPTS


def test_no_more_messages_are_kept_than_have_room() -> None:
    world = begun(_plan(one_phase(duration="7d", rollbackOn=[])))
    world.post.answers["chat"] = Delivered.FAILED
    for number in range(30):
        world.ask(Request.DRILL, f"rehearse: {number}")
        world.run(INTERVAL)
    assert len(_box(world).messages) <= 16


def test_of_more_than_have_room_the_least_severe_goes_and_that_is_said() -> None:
    world = begun(_plan(one_phase(duration="7d", rollbackOn=[])))
    world.settle()
    world.post.answers["chat"] = Delivered.FAILED
    world.ask(Request.ROLLBACK, "by hand")
    world.run(INTERVAL)
    first = _message(world, MessageEvent.ROLLING_BACK).id
    for number in range(30):
        world.ask(Request.DRILL, f"rehearse: {number}")
        world.ask(Request.RETRY, f"{number}")
        world.run(INTERVAL)
    open_ = [each for each in _box(world).messages if each.open]
    assert len(open_) == 16
    assert first in [each.id for each in open_]
    kept = {each.id for each in _box(world).messages}
    said = " ".join(entry.message for entry in world.told if entry.reason is Reason.MESSAGE_UNDELIVERED)
    assert "no room" in said
    assert not [each for each in kept if each in said]


def test_a_rollout_that_names_nobody_has_nothing_of_it_in_its_status() -> None:
    world = begun(two_phases())
    world.run_until(State.COMPLETED)
    assert world.recorded.notifications is None
    assert _condition(world) is None


def test_taking_the_audiences_out_ends_it() -> None:
    world = begun(_plan())
    world.settle()
    del world.document["notifications"]
    world.edit()
    world.settle()
    assert world.recorded.notifications is None
    assert _condition(world) is None


# ---- the clock ---------------------------------------------------------------------------------------------------


def test_after_a_rollback_the_team_and_stakeholders_hear_more_on_a_clock() -> None:
    world = begun(_plan(None, _audience("team"), _audience("stakeholders", language="ja", events=[])))
    _breaks(world)
    decided = world.now
    world.run(25 * HOUR, every=10 * MINUTE)
    assert world.recorded.state is State.ROLLED_BACK
    assert [each[0].split("-")[2] for each in world.post.sent if each[1] == "stakeholders"] == [
        "WhatHappened",
        "NextSteps",
        "Report",
    ]
    told = [each for each, to, _ in world.post.sent if to == "team"]
    assert [each.split("-")[2] for each in told if "Cause" in each] == ["FirstCause", "DetailedCause"]
    assert _box(world).looked is None
    assert world.now > decided


def test_follow_ups_go_on_after_a_restart_and_none_comes_twice() -> None:
    world = begun(_plan())
    _breaks(world)
    world.run(45 * MINUTE)
    world.restart()
    world.run(2 * HOUR, every=10 * MINUTE)
    assert sum("FirstCause" in each for each, _, _ in world.post.sent) == 1
    assert sum("DetailedCause" in each for each, _, _ in world.post.sent) == 1


def _called() -> tuple[Document, ...]:
    names = ("developer", "senior-developer", "tech-lead", "cto")
    return (_audience(), *(_audience(name, events=[]) for name in names))


def _escalated(world: World) -> list[str]:
    return [to for message, to, _ in world.post.sent if "Escalated" in message]


def test_trouble_that_nobody_acknowledges_goes_up_level_by_level() -> None:
    world = begun(_plan(None, *_called()))
    _breaks(world)
    assert _escalated(world) == ["cto"]
    world.run(15 * MINUTE)
    assert _escalated(world) == ["cto", "developer"]
    world.run(5 * HOUR, every=10 * MINUTE)
    assert _escalated(world) == ["cto", "developer", "senior-developer", "tech-lead"]


def test_who_acknowledges_ends_it() -> None:
    world = begun(_plan(None, *_called()))
    _breaks(world)
    world.run(20 * MINUTE)
    world.ask(Request.ACK, "I am on it")
    world.run(5 * HOUR, every=10 * MINUTE)
    assert _escalated(world) == ["cto", "developer"]
    alarm = _box(world).alarm
    assert alarm is not None
    assert (alarm.acknowledged, alarm.ended is not None) == ("I am on it", True)
    assert Reason.ACKNOWLEDGED in [entry.reason for entry in world.told]


def test_an_acknowledgement_of_nothing_is_told_to_be_one() -> None:
    world = begun(_plan(None, *_called()))
    world.settle()
    world.ask(Request.ACK, "hello")
    world.settle()
    assert world.told[-1].reason is Reason.REQUEST_IGNORED


def test_a_rollback_that_a_person_asked_for_calls_nobody() -> None:
    world = begun(_plan(None, *_called()))
    world.ask(Request.ROLLBACK, "changed our mind")
    world.run(5 * HOUR, every=10 * MINUTE)
    assert world.recorded.state is State.ROLLED_BACK
    assert _escalated(world) == []


def test_trouble_that_clears_wakes_nobody() -> None:
    high = {"severity": "High", "metric": "errors", "above": 2}
    world = begun(_plan(one_phase(duration="7d") | {"rollback": {"triggers": [high]}}, *_called()))
    _breaks(world, 3.0)
    assert world.recorded.state is State.HOLDING
    world.read("errors", 0.5)
    world.run(HOUR, every=MINUTE)
    assert _escalated(world) == []


def test_what_is_built_in_is_what_the_plan_asks_for() -> None:
    plan = World(_plan(None, *_called(), _audience("stakeholders"))).spec.notifications
    assert plan is not None
    assert [(each.audience, each.after) for each in on_the_clock.follow_ups(plan)] == [
        ("team", 30 * MINUTE),
        ("team", 2 * HOUR),
        ("stakeholders", HOUR),
        ("stakeholders", 4 * HOUR),
        ("stakeholders", 24 * HOUR),
    ]
    assert [each.after for each in on_the_clock.levels(plan)] == [15 * MINUTE, HOUR, 4 * HOUR, 0.0]


# ---- whatever happens --------------------------------------------------------------------------------------------

_HAPPENS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "crash act", "crash write", "no write", "restart", "hangs", "breach", "clear", "ack"]),
        st.sampled_from([None, Delivered.SENT, Delivered.FAILED, Delivered.UNCERTAIN]),
        st.sampled_from([0.0, 1.0, 10.0, 600.0]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(_HAPPENS)
def test_no_message_arrives_twice_and_no_decision_is_another_for_it(happens: list[tuple[str, Any, float]]) -> None:
    plans = (two_phases(), _plan(two_phases(), *_called(), _audience("stakeholders", CHAT, SMS)))
    plain, telling_ = (World(plan) for plan in plans)
    for what, answer, seconds in happens:
        if answer is not None:
            telling_.post.answers["chat"] = answer
        for world in (plain, telling_):
            _happen(world, what, seconds)
    assert len(telling_.post.sent) == len(set(telling_.post.sent))
    ids = [each.id for each in telling_.recorded.notifications.messages] if telling_.recorded.notifications else []
    assert len(ids) == len(set(ids))


def _happen(world: World, what: str, seconds: float) -> None:
    match what.split():
        case ["crash", name]:
            world.step(seconds, crash=name)
        case ["no", "write"]:
            world.step(seconds, refuse_write=True)
        case ["restart"]:
            world.restart()
        case ["hangs"]:
            world.post.hangs = True
        case ["breach"]:
            world.read("errors", 12.0)
            world.step(seconds)
        case ["clear"]:
            world.read("errors", 0.5)
            world.step(seconds)
        case ["ack"]:
            world.ask(Request.ACK, f"at {world.now}")
            world.step(seconds)
        case _:
            world.step(seconds)


@pytest.mark.parametrize("errors", [0.5, 12.0])
def test_states_and_weights_are_the_same_with_audiences_and_without(errors: float) -> None:
    trails = []
    for plan in (two_phases(), _plan(two_phases(), *_called())):
        world = World(plan)
        world.post.answers["chat"] = Delivered.UNCERTAIN
        trail = []
        for number in range(40):
            if number == 12:
                world.read("errors", errors)
            world.run(INTERVAL)
            trail.append((world.recorded.state, world.share, world.recorded.phase and world.recorded.phase.name))
        trails.append(trail)
    assert trails[0] == trails[1]

"""What is going on besides the phases: trouble, the way back, slots, reports, drills. Sections of the picture; empty
where there is nothing to say. Pure."""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.status import StepStatus, TaskStatus
from syncrollout.api.words import ConditionType, StepState
from syncrollout.cli import choices
from syncrollout.cli.moments import Here, when
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.table import aligned
from syncrollout.decide import by_hand, incidents
from syncrollout.decide.requests import signed

REPORTS: Final = 5
"""Reports that are shown."""
_INDENT: Final = "  "


def stalled(rollout: Rollout) -> list[str]:
    """What a person must mend."""
    return [
        f"Stalled since {when(each.last_transition_time)}: {each.reason}: {each.message}"
        for each in rollout.status.conditions
        if each.type is ConditionType.STALLED and each.status == "True"
    ]


def incident(rollout: Rollout, here: Here) -> list[str]:
    """What speaks against new, by when it acts, and what a person may do."""
    found = rollout.status.incident
    if found is None:
        return []
    made = [f"Incident of severity {found.severity} since {when(found.since)}: {found.message}"]
    if found.overridden is not None:
        by = signed(found.overridden_by)
        made.append(f"{_INDENT}overridden {when(found.overridden_at)}{by}: {found.overridden}")
    elif found.deadline is not None:
        made.append(f"{_INDENT}{incidents.coming(rollout.spec, found)}")
    if found.clear_since is not None:
        made.append(f"{_INDENT}clear since {when(found.clear_since)}")
    return made + [f"{_INDENT}to {what}: {command}" for command, what in choices.of_incident(rollout, here)]


def alarm(rollout: Rollout, here: Here) -> list[str]:
    """Trouble that somebody has to take upon himself, and messages that do not arrive."""
    box = rollout.status.notifications
    made = []
    if box is not None and box.alarm is not None and box.alarm.ended is None:
        found = box.alarm
        made.append(f"Nobody has acknowledged since {when(found.since)} ({found.severity}): {found.text}")
        made.append(f"{_INDENT}so that nobody else is called: {here.command(rollout, 'ack', '-m', 'WHAT')}")
    if box is not None and box.alarm is not None and box.alarm.acknowledged:
        by = signed(box.alarm.by or None)
        made.append(f"Acknowledged {when(box.alarm.ended)}{by}: {box.alarm.acknowledged}")
    made += [
        f"Messages: {each.message}"
        for each in rollout.status.conditions
        if each.type is ConditionType.NOTIFICATIONS_DELIVERED and each.status == "False"
    ]
    return made


def rollback(rollout: Rollout) -> list[str]:
    """The rollback of this run, and its steps against their budgets."""
    found = rollout.status.rollback
    if found is None:
        return []
    made = [
        f"Rollback decided {when(found.decided)} from {found.from_weight} %: {found.reason}: {found.message}",
        f"{_INDENT}everything at old: {when(found.confirmed)}",
    ]
    if found.verified is not None:
        made.append(f"{_INDENT}traffic seen at old: {when(found.verified)}")
    if not found.steps:
        return made
    table = aligned([["STEP", "STATE", "TOOK", "BUDGET", "STARTED"], *map(_step, found.steps)], _INDENT)
    made.append(table[0])
    for each, row in zip(found.steps, table[1:], strict=True):
        said = each.message or each.progress
        made += [row, f"{_INDENT * 2}{said}"] if said else [row]
    return made


def _step(step: StepStatus | TaskStatus) -> list[str]:
    name = step.name.value if isinstance(step, StepStatus) else step.name
    budget = format_duration(step.budget_seconds)
    if step.started is not None and step.finished is not None:
        took = format_duration(step.finished - step.started)
    else:
        took = f"until {when(step.deadline)}" if step.state is StepState.RUNNING and step.deadline is not None else "-"
    return [name, step.state.value, took, budget, when(step.started)]


def day_one(rollout: Rollout) -> list[str]:
    """What is done on day one, until traffic has moved; afterwards what went wrong with it."""
    tasks = rollout.status.day_one
    over = rollout.status.phase is not None and rollout.status.phase.since is not None
    if not tasks or (over and all(each.state is StepState.SUCCEEDED for each in tasks)):
        return []
    rows = [["DAY ONE", "STATE", "TOOK", "BUDGET", "STARTED"], *map(_step, tasks)]
    table = aligned(rows, _INDENT)
    made = [table[0]]
    for each, row in zip(tasks, table[1:], strict=True):
        made += [row, f"{_INDENT * 2}{each.message}"] if each.message else [row]
    return made


def verifications(rollout: Rollout) -> list[str]:
    """What is run by a schedule in the present phase, and what it has said last."""
    found = rollout.status.verifications
    if not found or not rollout.status.in_flight:
        return []
    made = ["Verifications"]
    for each in found:
        running = each.task is not None and each.task.state is StepState.RUNNING
        now = f", Job {each.task.job} runs since {when(each.task.started)}" if running and each.task else ""
        last = f"{'failed' if each.failed else 'well'} {when(each.at)}: {each.message}" if each.at else "not run yet"
        made.append(f"{_INDENT}{each.name}: {last}{now}; next {when(each.next)}")
    return made


def shards(rollout: Rollout) -> list[str]:
    """Who owns which slots of keys."""
    found = rollout.status.shards
    if found is None:
        return []
    between = found.old_from - found.new_below
    free = f", {between} between them belong to nobody yet" if between else ""
    made = [
        f"Shards (ConfigMap {found.config_map}, epoch {found.epoch}): {found.stage} since {when(found.since)}",
        f"{_INDENT}new owns the slots below {found.new_below}, old those from {found.old_from}{free}",
    ]
    said = [word for word, holds in (("new runs dry", found.shadow), ("new is stopped", found.stop)) if holds]
    if found.waiting_for:
        until = f", until {when(found.deadline)}" if found.deadline is not None else ""
        said.append(f"waits for {', '.join(found.waiting_for)}{until}")
    return made + [f"{_INDENT}{each}" for each in said]


def others(rollout: Rollout) -> list[str]:
    """What is a line each: traffic as it was seen, a step back, the watch after completion, an attempt to come."""
    status = rollout.status
    made = []
    if status.hold is not None:
        text = by_hand.says(status.hold)
        made.append(f"{text[0].upper()}{text[1:]} (since {when(status.hold.since)})")
    if status.verify is not None:
        made.append(f"Traffic seen: {status.verify.verdict} since {when(status.verify.since)}: {status.verify.message}")
    if status.mirror is not None:
        made.append(f"Routes mirror {status.mirror.percent} % of the requests to new")
    if status.step_back is not None:
        back = status.step_back
        made.append(f"Stepped back {back.count} times, last {when(back.at)} from {back.from_phase}: {back.message}")
    if status.watch is not None:
        made.append(f"Watched until {when(status.watch.until)}: a trigger may still send everything back")
    if status.retry is not None:
        by = signed(status.retry.by)
        made.append(f"Next attempt asked for {when(status.retry.asked)}{by}: {status.retry.reason}")
    return made


def reports(rollout: Rollout) -> list[str]:
    """What people have reported."""
    found = rollout.status.reports
    if found is None:
        return []
    numbers = found.open.model_dump()
    counted = [f"{number} {severity.capitalize()}" for severity, number in numbers.items() if number]
    made = [f"Reports open in this phase: {', '.join(counted) or 'none'}"]
    rows = [
        [f"#{each.number}", when(each.at), each.severity.value, each.by or "-", each.message]
        for each in found.latest[-REPORTS:]
    ]
    made += aligned(rows, _INDENT) if rows else []
    return made + ([f"{_INDENT}answered up to #{found.answered}: {found.answer}"] if found.answered else [])


def drill(rollout: Rollout) -> list[str]:
    """Whether a rollback would work."""
    found = rollout.status.drill
    if found is None:
        return []
    made = []
    if found.running is not None:
        run = found.running
        until = f", {run.stage} until {when(run.until)}" if run.stage is not None and run.until is not None else ""
        made.append(f"{run.mode} drill under way since {when(run.started)} ({run.cause}){until}")
    if found.last is not None:
        made.append(f"Last drill {when(found.last.started)}: {found.last.result}: {found.last.message}")
    if found.next is not None:
        made.append(f"Next drill {when(found.next)}")
    if found.overdue is not None:
        made.append(f"Drill overdue since {when(found.overdue)}")
    return made


__all__ = [
    "alarm",
    "day_one",
    "drill",
    "incident",
    "others",
    "reports",
    "rollback",
    "shards",
    "stalled",
    "verifications",
]

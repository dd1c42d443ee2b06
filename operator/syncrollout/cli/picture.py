"""One rollout for a person, from its spec and status alone. Pure."""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Approval, Phase, PhaseMode
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Role, State, Verdict
from syncrollout.cli import checking, going_on, runbook
from syncrollout.cli.moments import Here, when
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.table import aligned
from syncrollout.decide import approvals
from syncrollout.decide.requests import signed

EVENTS: Final = 5
"""Last transitions that are shown; `history` shows all."""
_INDENT: Final = "  "
_PASSED, _CURRENT, _LATER = "+", ">", " "
_DONE, _TO_COME = "#", "."


def lines(rollout: Rollout, here: Here) -> list[str]:
    """All there is to say, with an empty line between sections."""
    sections = (
        _head(rollout),
        going_on.stalled(rollout),
        checking.section(rollout),
        _phases(rollout),
        going_on.incident(rollout, here),
        going_on.alarm(rollout, here),
        going_on.day_one(rollout),
        going_on.verifications(rollout),
        going_on.rollback(rollout),
        _criteria(rollout),
        going_on.shards(rollout),
        going_on.others(rollout),
        going_on.reports(rollout),
        going_on.drill(rollout),
        _events(rollout),
    )
    made: list[str] = []
    for section in sections:
        if section:
            made += ["", *section] if made else section
    return made


def _head(rollout: Rollout) -> list[str]:
    status = rollout.status
    run = f", run {status.run} of revision {status.revision}" if status.run else ""
    facts = [f"new has {status.weight} %"]
    if status.health is not None:
        facts.append(f"criteria {status.health}")
    if status.started is not None:
        facts.append(f"begun {when(status.started)}")
    if status.finished is not None:
        facts.append(f"ended {when(status.finished)}")
    said = [rollout.where, f"{_INDENT}{status.reason}{run}: {', '.join(facts)}"]
    page = runbook.address(rollout.spec, status.reason) if status.reason not in runbook.QUIET else ""
    more = {"progress": _progress(rollout), "next": status.next, "runbook": page}
    return said + [f"{_INDENT}{name}: {text}" for name, text in more.items() if text]


def _progress(rollout: Rollout) -> str:
    """A mark for each phase, and when all may be over: by their durations alone, calendars and waits are not in it."""
    spec, status = rollout.spec, rollout.status
    names = [phase.name for phase in spec.phases]
    if status.phase is None or status.phase.name not in names:
        return ""
    at, many = names.index(status.phase.name), len(names)
    if status.state is State.COMPLETED:
        return f"[{_DONE * many}] all {many} phases"
    mark = "x" if status.state in (State.ROLLING_BACK, State.ROLLED_BACK) else _CURRENT
    said = f"[{_DONE * at}{mark}{_TO_COME * (many - at - 1)}] phase {at + 1} of {many}"
    if mark == _CURRENT and status.phase.earliest_end is not None:
        end = status.phase.earliest_end + sum(phase.duration for phase in spec.phases[at + 1 :])
        said += f", all over {when(end)} at the earliest"
    return said


def _phases(rollout: Rollout) -> list[str]:
    """Where it is among its phases. Those to come have the earliest date that their durations allow."""
    spec, status = rollout.spec, rollout.status
    names = [phase.name for phase in spec.phases]
    current = names.index(status.phase.name) if status.phase is not None and status.phase.name in names else None
    done = status.state is State.COMPLETED
    back = status.state in (State.ROLLING_BACK, State.ROLLED_BACK)
    rows, earliest = [], None
    for number, phase in enumerate(spec.phases):
        if done or (current is not None and number < current):
            mark, said = _PASSED, f"passed{_dates(rollout, phase)}{_approved(rollout, phase)}"
        elif number == current and not back:
            mark, said = _CURRENT, _current(rollout, phase)
            earliest = status.phase.earliest_end if status.phase is not None else None
        elif number == current:
            left = "left: everything goes back" if status.state is State.ROLLING_BACK else "left"
            mark, said = "x", f"{left}{_dates(rollout, phase)}"
        else:
            mark, said = _LATER, "" if back else _later(phase, earliest)
            if earliest is not None:
                earliest += phase.duration
        mode = " shadow" if phase.mode is PhaseMode.SHADOW else ""
        rows.append([f"{mark} {phase.name}", f"{phase.weight} %{mode}", said])
    made = ["Phases", *aligned(rows, _INDENT)]
    if status.phase is not None and current is None and not done:
        made.append(f"{_INDENT}{status.phase.label} is not in spec.phases any more")
    return made


def _dates(rollout: Rollout, phase: Phase) -> str:
    """From when to when a phase that is over has really been, the last time it was."""
    been = [each for each in rollout.status.past_phases if each.name == phase.name]
    return f", {when(been[-1].since or been[-1].entered)} to {when(been[-1].ended)}" if been else ""


def _current(rollout: Rollout, phase: Phase) -> str:
    status = rollout.status.phase
    assert status is not None
    if status.since is None:
        said = f"entered {when(status.entered)}, its weights do not stand yet"
    else:
        said = f"since {when(status.since)}, not over before {when(status.earliest_end)}"
    if phase.deadline is not None:
        then = phase.on_deadline.value.lower()
        said += f", to be over by {when(status.entered + phase.deadline)} (else {then})"
    if rollout.status.skipped is not None:
        skipped = rollout.status.skipped
        said += f"; its time was ended {when(skipped.at)}{signed(skipped.by)}"
    if phase.approval is Approval.REQUIRED:
        said += _approved(rollout, phase) or ", needs an approval"
    return said


def _approved(rollout: Rollout, phase: Phase) -> str:
    """Who has approved a phase that is over, or the present one."""
    if rollout.status.phase is not None and rollout.status.phase.name == phase.name and rollout.status.in_flight:
        given = approvals.current(rollout.spec, rollout.status)
    else:
        given = next((each for each in rollout.status.approvals if each.phase == phase.name), None)
    return f", approved {when(given.at)}{signed(given.by)}" if given is not None else ""


def _later(phase: Phase, earliest: float | None) -> str:
    lasts = f"lasts {format_duration(phase.duration)}" if phase.duration else "no least time"
    lasts += ", needs an approval" if phase.approval is Approval.REQUIRED else ""
    return lasts if earliest is None else f"not before {when(earliest)}, {lasts}"


def _criteria(rollout: Rollout) -> list[str]:
    criteria = rollout.status.criteria
    if not criteria:
        return []
    rows = [["VERDICT", "CRITERION", "LIMIT", "READING", "SINCE"]]
    for each in criteria:
        role = f"Trigger {each.severity}" if each.role is Role.TRIGGER and each.severity else each.role.value
        rows.append([each.verdict.value, f"{role} {each.metric}", each.limit, _reading(each), when(each.since)])
    table = aligned(rows, _INDENT)
    made = ["Criteria", table[0]]
    for each, row in zip(criteria, table[1:], strict=True):
        made.append(row)
        if each.verdict is not Verdict.PASS and each.message:
            made.append(f"{_INDENT * 2}{each.message}")
    return made


def _reading(each: CriterionStatus) -> str:
    """The reading against the number that it is held against, where that is not in the limit's own words."""
    if each.reading is None:
        return each.unknown.value if each.unknown is not None else "-"
    said = f"{each.reading:.4g}"
    if each.baseline is not None and each.threshold is not None:
        said += f" against {each.threshold:.4g} (old has {each.baseline:.4g})"
    return said


def _events(rollout: Rollout) -> list[str]:
    last = rollout.status.history[-EVENTS:]
    if not last:
        return []
    rows = [[when(each.time), each.reason.value, each.message] for each in last]
    return ["Last events", *aligned(rows, _INDENT)]


__all__ = ["EVENTS", "lines"]

"""What is going on besides the phases, as the page shows it: trouble, the way back, slots, reports, drills. A section
that has nothing to say is None. Pure."""

from __future__ import annotations

from typing import Final

from syncrollout.api.status import DrillRun, StepStatus
from syncrollout.cli import choices
from syncrollout.cli.moments import Here
from syncrollout.cli.rollout import Rollout
from syncrollout.decide import by_hand, incidents
from syncrollout.decide.requests import signed
from syncrollout.observe.masks import masked
from syncrollout.ui.rows import Json

OUTPUT: Final = 600
"""Characters that are shown of what a Job has said."""


def sections(rollout: Rollout) -> Json:
    """All of them, by name."""
    return {
        "incident": incident(rollout),
        "rollback": rollback(rollout),
        "shards": shards(rollout),
        "reports": reports(rollout),
        "drill": drill(rollout),
        "others": others(rollout),
    }


def incident(rollout: Rollout) -> Json | None:
    """What speaks against new, by when it acts, and what a person may do."""
    found = rollout.status.incident
    if found is None:
        return None
    waits = found.overridden is None and found.deadline is not None
    return {
        "severity": found.severity.value,
        "message": masked(found.message),
        "since": found.since,
        "deadline": found.deadline,
        "coming": incidents.coming(rollout.spec, found) if waits else "",
        "clearSince": found.clear_since,
        "overridden": masked(found.overridden) if found.overridden is not None else None,
        "overriddenAt": found.overridden_at,
        "overriddenBy": found.overridden_by,
        "commands": [{"command": command, "what": what} for command, what in choices.of_incident(rollout, Here())],
    }


def rollback(rollout: Rollout) -> Json | None:
    """The rollback of this run, and its steps against their budgets."""
    found = rollout.status.rollback
    if found is None:
        return None
    return {
        "reason": found.reason.value,
        "message": masked(found.message),
        "decided": found.decided,
        "phase": found.from_phase,
        "weight": found.from_weight,
        "confirmed": found.confirmed,
        "verified": found.verified,
        "steps": [_step(step) for step in found.steps],
    }


def _step(step: StepStatus) -> Json:
    return {
        "name": step.name.value,
        "state": step.state.value,
        "budget": step.budget_seconds,
        "started": step.started,
        "finished": step.finished,
        "deadline": step.deadline,
        "job": step.job,
        "message": masked(step.message or step.progress),
        "output": masked(step.output)[-OUTPUT:],
    }


def shards(rollout: Rollout) -> Json | None:
    """Who owns which slots of keys."""
    found = rollout.status.shards
    if found is None:
        return None
    return {
        "configMap": found.config_map,
        "epoch": found.epoch,
        "stage": found.stage.value,
        "since": found.since,
        "deadline": found.deadline,
        "newBelow": found.new_below,
        "oldFrom": found.old_from,
        "shadow": found.shadow,
        "stop": found.stop,
        "waitingFor": list(found.waiting_for),
    }


def reports(rollout: Rollout) -> Json | None:
    """What people have reported."""
    found = rollout.status.reports
    if found is None:
        return None
    return {
        "open": found.open.model_dump(),
        "answered": found.answered,
        "answer": masked(found.answer),
        "latest": [
            {
                "number": each.number,
                "at": each.at,
                "severity": each.severity.value,
                "by": each.by,
                "message": masked(each.message),
            }
            for each in reversed(found.latest)
        ],
    }


def drill(rollout: Rollout) -> Json | None:
    """Whether a rollback would work."""
    found = rollout.status.drill
    if found is None:
        return None
    return {
        "running": _run(found.running),
        "last": _run(found.last),
        "next": found.next,
        "overdue": found.overdue,
    }


def _run(run: DrillRun | None) -> Json | None:
    if run is None:
        return None
    return {
        "mode": run.mode.value,
        "started": run.started,
        "finished": run.finished,
        "result": run.result,
        "message": masked(run.message),
        "stage": run.stage,
        "until": run.until,
    }


def others(rollout: Rollout) -> list[Json]:
    """What is a line each: `said`, and a moment that goes with it."""
    status = rollout.status
    made: list[Json] = []
    if rollout.spec.suspend:
        made.append({"said": "Suspended by spec.suspend: nothing moves forward", "at": None})
    if rollout.spec.emergency_stop:
        made.append({"said": "Stopped by spec.emergencyStop: everything belongs to old", "at": None})
    if status.hold is not None:
        text = masked(by_hand.says(status.hold))
        made.append({"said": f"{text[:1].upper()}{text[1:]}", "at": status.hold.since})
    if status.verify is not None:
        seen = status.verify
        made.append({"said": f"Traffic seen: {seen.verdict}: {masked(seen.message)}", "at": seen.since})
    if status.mirror is not None:
        made.append({"said": f"Routes mirror {status.mirror.percent} % of the requests to new", "at": None})
    if status.step_back is not None:
        back = status.step_back
        times = "once" if back.count == 1 else f"{back.count} times"
        said = f"Stepped back {times}, last from {back.from_phase}: {masked(back.message)}"
        made.append({"said": said, "at": back.at})
    if status.watch is not None:
        made.append({"said": "Watched on: a trigger may still send everything back; until", "at": status.watch.until})
    if status.retry is not None:
        made.append(
            {
                "said": f"Next attempt asked for{signed(status.retry.by)}: {masked(status.retry.reason)}",
                "at": status.retry.asked,
            }
        )
    return made


__all__ = ["drill", "incident", "others", "reports", "rollback", "sections", "shards"]

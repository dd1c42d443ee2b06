"""One rollout as the page shows it, from its spec and status alone: what is named here is shown, and nothing else, so
that no credential, header or query of a spec can come out. Times are seconds since the epoch. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from syncrollout.api.spec import Approval, Phase, PhaseMode, SyncRolloutSpec
from syncrollout.api.status import CriterionStatus, PastPhase, SyncRolloutStatus
from syncrollout.api.words import ConditionType, Reason, State
from syncrollout.cli import choices, runbook
from syncrollout.cli.moments import Here
from syncrollout.cli.rollout import Rollout
from syncrollout.decide import approvals
from syncrollout.decide.limits import comparator
from syncrollout.decide.questions import Question, questions
from syncrollout.decide.timeline import Stage, timeline
from syncrollout.observe.masks import masked
from syncrollout.ui import going_on
from syncrollout.ui.charts import phase_of, read_from
from syncrollout.ui.people import messages, preflight, said_of
from syncrollout.ui.rows import Json, row

_BACK = (State.ROLLING_BACK, State.ROLLED_BACK)


def view(raw: dict[str, Any], rollout: Rollout, now: float) -> Json:
    """All there is to show. `raw` is the object as seen, `rollout` the same read; what comes is dated from `now` on."""
    spec, status = rollout.spec, rollout.status
    shown = {
        **row(raw),
        "state": status.state.value,
        "reason": status.reason.value,
        "message": masked(status.message) or "The operator has not looked at it yet.",
        "weight": status.weight,
        "health": status.health,
        "next": status.next,
        "run": status.run,
        "revision": status.revision or spec.revision,
        "started": status.started,
        "finished": status.finished,
        "refreshed": status.refreshed,
        "deleting": "deletionTimestamp" in raw["metadata"],
        "seen": status.observed_generation >= rollout.generation,
        "old": _system(spec, "old"),
        "new": _system(spec, "new"),
        "moves": _moves(spec),
        "timeline": list(_timeline(spec, status, now)),
        "strayed": _strayed(spec, status),
        "weights": list(_course(status)),
        "criteria": list(_criteria(spec, status)),
        "stalled": [
            {"since": each.last_transition_time, "reason": each.reason.value, "message": masked(each.message)}
            for each in status.conditions
            if each.type is ConditionType.STALLED and each.status == "True" and each.reason is not Reason.ROLLED_BACK
        ],
        "commands": [{"command": command, "what": what} for command, what in choices.of_all(rollout, Here())],
        "history": [
            {
                "sequence": each.sequence,
                "at": each.time,
                "run": each.run,
                "reason": each.reason.value,
                "warning": each.type == "Warning",
                "message": masked(each.message),
            }
            for each in reversed(status.history)
        ],
    }
    shown["runbook"] = _runbook(spec, status)
    return {**shown, **going_on.sections(rollout), "preflight": preflight(status), "messages": messages(status)}


def _runbook(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> str | None:
    """The page for the reason that it gives, where the spec says at which address they are published."""
    published = spec.monitoring is not None and spec.monitoring.runbook_base is not None
    return runbook.address(spec, status.reason) if published and status.reason not in runbook.QUIET else None


def _system(spec: SyncRolloutSpec, side: str) -> Json:
    system = spec.old if side == "old" else spec.new
    return {"kind": system.workload.kind, "name": system.workload.name, "service": system.service}


def _moves(spec: SyncRolloutSpec) -> list[str]:
    """What the weights act on."""
    traffic = spec.traffic
    moved = [f"{route.kind} {route.name}" for route in traffic.routes]
    if traffic.shards is not None:
        moved.append(f"shards in ConfigMap {traffic.shards.config_map}")
    if traffic.replicas is not None:
        moved.append("numbers of replicas")
    return moved


def _course(status: SyncRolloutStatus) -> Iterator[Json]:
    """What new was to have when, in this run."""
    for past in status.past_phases:
        yield {"at": past.entered, "weight": past.weight, "phase": past.name}
    phase, over = status.phase, {(past.name, past.entered) for past in status.past_phases}
    if phase is not None and status.run and (phase.name, phase.entered) not in over:
        yield {"at": phase.entered, "weight": phase.weight, "phase": phase.name}
    if status.rollback is not None:
        yield {"at": status.rollback.decided, "weight": 0, "phase": ""}


def _timeline(spec: SyncRolloutSpec, status: SyncRolloutStatus, now: float) -> Iterator[Json]:
    """Every phase with its dates: as they were, and the earliest that the durations allow of those to come."""
    names = [phase.name for phase in spec.phases]
    here = names.index(status.phase.name) if status.phase is not None and status.phase.name in names else None
    done, back = status.state is State.COMPLETED, status.state in _BACK
    # Freezes that a ConfigMap shares are not known here.
    rows = timeline(spec, status, now=now).rows
    coming = {row.phase: row for row in rows if row.stage is Stage.COMING}
    for number, phase in enumerate(spec.phases):
        shown = {**_phase(phase), "state": "coming", "approval": _approval(spec, status, phase)}
        past = next((each for each in reversed(status.past_phases) if each.name == phase.name), None)
        if past is not None:
            shown |= {"entered": past.entered, "left": past.ended, "end": past.end.value, "results": _results(past)}
        if done or (here is not None and number < here):
            shown["state"] = "passed"
        elif number == here and status.phase is not None:
            current = status.phase
            shown |= {"state": "left" if back else "current", "entered": current.entered, "since": current.since}
            if not back:
                shown["skipped"] = said_of(status.skipped) if status.skipped is not None else None
                shown["earliestEnd"] = current.earliest_end
                shown["deadline"] = current.entered + phase.deadline if phase.deadline is not None else None
        elif not back:
            row = coming.get(phase.name)
            shown |= {"notBefore": row.start, "waits": row.waits} if row is not None else {}
        yield shown


def _approval(spec: SyncRolloutSpec, status: SyncRolloutStatus, phase: Phase) -> Json | None:
    """Who has to let the phase end, and who has; None where nobody has to."""
    if phase.approval is not Approval.REQUIRED:
        return None
    here = status.in_flight and status.phase is not None and status.phase.name == phase.name
    said = (each for each in status.approvals if each.phase == phase.name)
    given = approvals.current(spec, status) if here else next(said, None)
    asked = status.approval_asked if here and given is None else None
    return {
        "who": approvals.who_may(approvals.approvers_of(spec, phase)),
        "asked": asked.since if asked is not None else None,
        "given": said_of(given) if given is not None else None,
    }


def _phase(phase: Phase) -> Json:
    return {
        "name": phase.name,
        "description": phase.description,
        "weight": phase.weight,
        "shadow": phase.mode is PhaseMode.SHADOW,
        "duration": phase.duration,
        "onDeadline": phase.on_deadline.value,
        "retiresOld": phase.retire_old,
    }


def _results(past: PastPhase) -> list[Json]:
    """Its criteria as they stood when it ended."""
    return [
        {
            "role": each.role.value,
            "metric": each.metric,
            "limit": each.limit,
            "verdict": each.verdict.value,
            "reading": each.reading,
        }
        for each in past.results
    ]


def _strayed(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> str | None:
    """The phase that it is in, where an edit has taken that out of the spec."""
    lost = status.phase is not None and phase_of(spec, status) is None and status.state is not State.COMPLETED
    return status.phase.label if lost and status.phase is not None else None


def _criteria(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> Iterator[Json]:
    asked = {question.id: question for question in questions(spec, phase_of(spec, status))}
    for criterion in status.criteria:
        yield {**_judged(criterion), **_asked(spec, asked.get(criterion.id))}


def _judged(criterion: CriterionStatus) -> Json:
    return {
        "id": criterion.id,
        "role": criterion.role.value,
        "severity": criterion.severity,
        "metric": criterion.metric,
        "limit": criterion.limit,
        "verdict": criterion.verdict.value,
        "unknown": criterion.unknown,
        "reading": criterion.reading,
        "baseline": criterion.baseline,
        "threshold": criterion.threshold,
        "lowest": criterion.lowest,
        "highest": criterion.highest,
        "events": criterion.events,
        "message": masked(criterion.message),
        "since": criterion.since,
        "heldSince": criterion.held_since,
    }


def _asked(spec: SyncRolloutSpec, question: Question | None) -> Json:
    """What the spec says of it; nothing where it was edited away."""
    if question is None:
        return {"unit": "", "series": "", "compares": None, "relative": False, "for": 0.0, "description": ""}
    try:
        compares, number = comparator(question)
    except ValueError:
        compares, number = "", None  # an alert or a Job, which has no number
    return {
        "unit": question.metric.unit,
        "description": question.metric.description,
        "series": read_from(spec, question),
        "compares": compares,
        "number": number,
        "relative": question.comparison.relative_to is not None,
        "for": question.comparison.for_,
    }


__all__ = ["view"]

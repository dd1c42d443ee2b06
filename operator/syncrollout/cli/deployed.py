"""What was really deployed, as a document: Markdown from spec and status alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Phase
from syncrollout.api.status import HistoryEntry, PastPhase, StepStatus, TaskStatus
from syncrollout.api.words import PhaseEnd, Role, State
from syncrollout.cli.markdown import bullets, plain, table
from syncrollout.cli.moments import when
from syncrollout.cli.rollout import Rollout
from syncrollout.decide.report import BY_PEOPLE
from syncrollout.decide.reported import counted, signed

_RESULTS: Final = {
    State.COMPLETED: "completed: new has taken over",
    State.ROLLED_BACK: "rolled back: everything is at old",
    State.ROLLING_BACK: "going back to old",
}
_ENDS: Final = {
    PhaseEnd.PASSED: "passed",
    PhaseEnd.SKIPPED: "ended by a person before its time",
    PhaseEnd.STEPPED_BACK: "failed: back to the phase before",
    PhaseEnd.ROLLED_BACK: "left by the rollback",
    PhaseEnd.REWEIGHTED: "its weight was edited",
}
_TASKS: Final = ("step", "result", "started", "took", "budget", "what came of it")


def document(rollout: Rollout, run: int | None = None) -> str:
    """The record of a run, the last one unless said. Of an earlier one the status keeps its transitions alone."""
    last = rollout.status.run
    chosen = last if run is None else run
    entries = [each for each in rollout.status.history if each.run == chosen]
    if chosen != last:
        sections = [_of_earlier(rollout, chosen), _people(entries), _timeline(rollout, entries)]
    else:
        sections = [
            _head(rollout),
            _checklist(rollout),
            _day_one(rollout),
            _phases(rollout),
            _approvals(rollout),
            _measured(rollout),
            _incident(rollout),
            _rollback(rollout),
            _drill(rollout),
            _reports(rollout),
            _people(entries),
            _timeline(rollout, entries),
        ]
    return "\n".join(line for section in sections if section for line in [*section, ""]).rstrip("\n") + "\n"


def _title(rollout: Rollout, run: int) -> list[str]:
    named = f"run {run}" if run else "before its first run"
    return [f"# What was deployed: {plain(rollout.name)}, {named}", ""]


def _head(rollout: Rollout) -> list[str]:
    spec, status = rollout.spec, rollout.status
    ended = status.finished
    rows: list[tuple[str, object]] = [
        ("SyncRollout", f"{rollout.namespace}/{rollout.name}"),
        ("revision", status.revision or spec.revision),
        ("from", spec.old.workload),
        ("to", spec.new.workload),
        ("moved by", ", ".join(_ways(rollout))),
        ("result", _RESULTS.get(status.state, f"{'under way' if status.run else 'not begun'}: {status.state}")),
        ("began", when(status.started)),
        ("ended", when(ended)),
    ]
    if status.started is not None and ended is not None:
        rows.append(("took", format_duration(ended - status.started)))
    rows.append(("share of new", f"{status.weight} %"))
    if status.retired is not None:
        rows.append(("old", f"stopped {when(status.retired.at)}{_had(status.retired.replicas)}"))
    said = "Written from the spec and the status of the SyncRollout"
    asof = f", as of {when(status.refreshed)}" if status.refreshed is not None else ""
    about = [f"{said}{asof}. In its last words: {plain(status.message or 'the operator has not looked at it yet')}", ""]
    return [*_title(rollout, status.run), *about, *table(("", ""), rows)]


def _ways(rollout: Rollout) -> list[str]:
    traffic, shards = rollout.spec.traffic, rollout.status.shards
    made = [str(route) for route in traffic.routes]
    if traffic.replicas is not None:
        made.append(f"replicas, {traffic.replicas.total} of both together")
    if traffic.shards is not None:
        of = f" of ConfigMap {shards.config_map}" if shards is not None else ""
        made.append(f"slots{of}")
    return made


def _had(replicas: int | None) -> str:
    return f", it had {replicas} replicas" if replicas is not None else ""


def _of_earlier(rollout: Rollout, run: int) -> list[str]:
    return [*_title(rollout, run), "An earlier run: its transitions are all that the status keeps of it."]


# ---- before the start ----


def _checklist(rollout: Rollout) -> list[str]:
    found = rollout.status.preflight
    if found is None or not found.checks:
        return []
    words = {each.check: each for each in found.attested if not each.refused and each.revision == found.revision}
    rows = []
    for each in found.checks:
        said = words.get(each.name)
        by = f"{said.by or 'somebody'}, {when(said.at)}: {said.message}" if said is not None else "-"
        rows.append((each.group, each.name, each.verdict, each.message, by))
    titles = ("group", "check", "verdict", "what was found", "confirmed by")
    return [f"## Before the start of revision {plain(found.revision)}", "", *table(titles, rows)]


def _day_one(rollout: Rollout) -> list[str]:
    tasks = rollout.status.day_one
    if not tasks:
        return []
    return ["## Day one", "", *table(_TASKS, [_step(each) for each in tasks])]


def _approvals(rollout: Rollout) -> list[str]:
    given = rollout.status.approvals
    if not given:
        return []
    rows = [(each.phase, each.by, when(each.at), each.reason) for each in given]
    return ["## Approvals", "", *table(("phase", "by", "when", "why"), rows)]


# ---- phases, and what was measured in them ----


def _phases(rollout: Rollout) -> list[str]:
    status, spec = rollout.status, rollout.spec
    rows = [_past(each, _named(rollout, each.name)) for each in status.past_phases]
    over = {each.name for each in status.past_phases}
    current = status.phase if status.in_flight and status.state is not State.ROLLING_BACK else None
    if current is not None:
        planned = _named(rollout, current.name)
        times = (when(current.entered), when(current.since), "-")
        rows.append((current.name, f"{current.weight} %", *times, "-", _planned(planned), "under way"))
        over.add(current.name)
    left = "still to come" if current is not None or not status.run else "not reached"
    coming = [each for each in spec.phases if each.name not in over]
    rows += [(each.name, f"{each.weight} %", "-", "-", "-", "-", _planned(each), left) for each in coming]
    titles = ("phase", "new", "entered", "weights stood", "ended", "stood for", "planned", "result")
    return ["## Phases", "", *table(titles, rows)]


def _past(each: PastPhase, planned: Phase | None) -> tuple[str, ...]:
    stood = format_duration(each.ended - each.since) if each.since is not None else "-"
    times = (when(each.entered), when(each.since), when(each.ended))
    return (each.name, f"{each.weight} %", *times, stood, _planned(planned), _ENDS.get(each.end, each.end.value))


def _planned(phase: Phase | None) -> str:
    if phase is None:
        return "not in the spec any more"
    return format_duration(phase.duration) if phase.duration else "no least time"


def _named(rollout: Rollout, name: str) -> Phase | None:
    return next((each for each in rollout.spec.phases if each.name == name), None)


def _measured(rollout: Rollout) -> list[str]:
    status = rollout.status
    rows = [
        (
            each.name,
            when(each.ended),
            r.verdict,
            r.metric,
            _asked(r.role, r.limit),
            _number(r.reading),
            _number(r.baseline),
        )
        for each in status.past_phases
        for r in each.results
    ]
    if status.in_flight and status.phase is not None and status.state is not State.ROLLING_BACK:
        rows += [
            (
                status.phase.name,
                "so far",
                c.verdict,
                c.metric,
                _asked(c.role, c.limit),
                _number(c.reading),
                _number(c.baseline),
            )
            for c in status.criteria
            if c.role is Role.SUCCESS
        ]
    if not rows:
        return []
    titles = ("phase", "when", "verdict", "metric", "asked", "new", "old")
    return ["## What was measured", "", *table(titles, rows)]


def _asked(role: Role, limit: str) -> str:
    return limit if role is Role.SUCCESS else f"{role} {limit}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


# ---- what went wrong, and how it went back ----


def _incident(rollout: Rollout) -> list[str]:
    found = rollout.status.incident
    if found is None:
        return []
    made = [f"severity {found.severity}, since {when(found.since)}: {found.message}"]
    if found.overridden is not None:
        made.append(f"overridden {when(found.overridden_at)}{signed(found.overridden_by or '')}: {found.overridden}")
    elif found.deadline is not None:
        made.append(f"to be decided by {when(found.deadline)}")
    return ["## Open incident", "", *bullets(made)]


def _rollback(rollout: Rollout) -> list[str]:
    found = rollout.status.rollback
    if found is None:
        return []
    back = f" ({format_duration(found.confirmed - found.decided)})" if found.confirmed is not None else ""
    facts = [
        f"cause: {found.message} ({found.reason})",
        f"from: phase {found.from_phase or '-'}, {found.from_weight} % at new",
        f"decided: {when(found.decided)}",
        f"everything at old: {when(found.confirmed)}{back}",
    ]
    if found.verified is not None:
        facts.append(f"traffic seen at old: {when(found.verified)}")
    steps = table(_TASKS, [_step(each) for each in found.steps])
    return ["## Rollback", "", *bullets(facts), *(["", *steps] if found.steps else [])]


def _step(step: StepStatus | TaskStatus) -> tuple[object, ...]:
    took = "-"
    if step.started is not None and step.finished is not None:
        took = format_duration(step.finished - step.started)
    budget = format_duration(step.budget_seconds)
    said = step.message or (step.progress if isinstance(step, StepStatus) else "")
    return (step.name, step.state, when(step.started), took, budget, said)


def _drill(rollout: Rollout) -> list[str]:
    last = rollout.status.drill.last if rollout.status.drill is not None else None
    if last is None:
        return []
    words = f": {last.words}" if last.words else ""
    begun = f"{last.by or last.cause.value.lower()}{words}"
    facts = [
        f"{last.mode}, {when(last.started)} to {when(last.finished)}, begun by {begun}",
        f"in phase {last.phase or '-'} at {last.weight} % of new",
        f"{last.result or 'no result'}: {last.message}",
    ]
    checks = table(("check", "result", "what came of it"), [(c.name, c.result, c.message) for c in last.checks])
    return ["## Last drill", "", *bullets(facts), *(["", *checks] if last.checks else [])]


# ---- people ----


def _reports(rollout: Rollout) -> list[str]:
    found = rollout.status.reports
    if found is None or found.run != rollout.status.run:
        return []
    kept = [each for each in found.latest if each.run == rollout.status.run]
    rows = [(f"#{each.number}", when(each.at), each.severity, each.phase, each.by, each.message) for each in kept]
    answered = [f"answered up to #{found.answered}: {found.answer}"] if found.answered else []
    lines = [f"{counted(found.counted)}."]
    if rows:
        lines += ["", *table(("", "when", "severity", "phase", "by", "what users saw"), rows)]
    return ["## Problems that people reported", "", *lines, *(["", *bullets(answered)] if answered else [])]


def _people(entries: Sequence[HistoryEntry]) -> list[str]:
    rows = [
        (when(each.time), each.by or "-", each.reason, each.message)
        for each in entries
        if each.by or each.reason in BY_PEOPLE
    ]
    told = table(("when", "who", "reason", "what came of it"), rows) if rows else ["Nobody asked for anything."]
    return ["## Who asked for what", "", *told]


def _timeline(rollout: Rollout, entries: Sequence[HistoryEntry]) -> list[str]:
    kept = rollout.status.history
    lost = kept[0].sequence - 1 if kept else 0
    gap = [f"{lost} earlier transitions are not kept in the status any more.", ""]
    reaches_back = bool(entries) and entries[0] is kept[0]
    rows = [(when(each.time), each.reason, each.message) for each in entries]
    told = table(("when", "reason", "what happened"), rows) if rows else ["Nothing is kept of it."]
    return ["## Timeline", "", *(gap if lost and (reaches_back or not entries) else []), *told]


__all__ = ["document"]

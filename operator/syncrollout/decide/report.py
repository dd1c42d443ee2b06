"""The incident report of a rollback: what happened, in which order, what was measured, and what to decide next.
Markdown, bounded, made of the status alone."""

from __future__ import annotations

import hashlib
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.status import CriterionStatus, RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import Reason, Step, Verdict
from syncrollout.decide import broken
from syncrollout.decide.phrases import clip, moment
from syncrollout.decide.reported import counted, signed
from syncrollout.decide.view import View

KEY: Final = "report.md"
"""Where it stands in its ConfigMap."""
NEW_LOGS: Final = "new.log"
"""Where the logs of new's pods stand beside it."""
JOB_LOGS: Final = "jobs.log"
"""And those of the steps' Jobs."""
LONGEST: Final = 64 * 1024
"""Characters of a report at most; a ConfigMap holds 1 MiB."""
_LONGEST_LINE: Final = 600

BY_PEOPLE: Final = frozenset(
    {
        Reason.APPROVED,
        Reason.EMERGENCY_STOP,
        Reason.HELD,
        Reason.INCIDENT_OVERRIDDEN,
        Reason.PHASE_SKIPPED,
        Reason.REQUEST_IGNORED,
        Reason.RESUMED,
        Reason.RETRY_REQUESTED,
        Reason.REVISION_CHANGED,
        Reason.REVISION_REVERTED,
        Reason.ROLLBACK_REQUESTED,
        Reason.SUSPENDED,
    }
)
"""What happens because a person asks for it."""

_CHECKLIST: Final = (
    "Is everybody told who has to know: the team, who is on call for old, the owners of the data?",
    "Do the rows, items or objects that new wrote between its start and the switch agree with the source?",
    "What has broken first, and why did no earlier phase show it?",
    "Which criterion, trigger or check would have seen it earlier? Try it on recorded data first.",
    "What has to change before the next attempt, who does it, and until when?",
)


def stamp(uid: str, status: SyncRolloutStatus) -> str:
    """Which rollback a ConfigMap tells of."""
    decided = status.rollback.decided if status.rollback is not None else 0.0
    return hashlib.sha256(f"{uid}/{status.run}/{decided:.3f}".encode()).hexdigest()[:16]


def report(v: View, cause: RollbackStatus) -> str:
    """The report of this rollback, as far as its steps have come."""
    sections = (
        _head(v, cause),
        _table(cause),
        _readings(v),
        broken.section(v.spec, v.status, v.facts.series),
        _reported(v),
        _people(v),
        _timeline(v),
        _said(cause),
        _logs(v, cause),
        ["## To decide next", "", *(f"- [ ] {each}" for each in _CHECKLIST), *_left(cause)],
    )
    return clip("\n".join(line for section in sections for line in [*section, ""]), LONGEST)


def _head(v: View, cause: RollbackStatus) -> list[str]:
    status = v.status
    back = f"{format_duration(cause.confirmed - cause.decided)} later" if cause.confirmed is not None else "not yet"
    return [
        f"# Incident report: {v.facts.name}, run {status.run} of revision {status.revision}",
        "",
        f"- What happened: {_line(cause.message)} (`{cause.reason.value}`)",
        f"- Where: phase {cause.from_phase or '-'}, {cause.from_weight} % of the traffic at new",
        f"- From {v.spec.old.workload} to {v.spec.new.workload}",
        f"- The run began {_at(status.started)}; going back was decided {_at(cause.decided)}",
        f"- All traffic was back {back}",
        f"- New may have written from {_at(status.started)} to {_at(cause.confirmed)}",
    ]


def _table(cause: RollbackStatus) -> list[str]:
    rows = [
        f"| {s.name.value} | {s.state.value} | {_took(s)} | {format_duration(s.budget_seconds)} |"
        for s in _shown(cause)
    ]
    return ["## Steps", "", "| step | result | took | budget |", "|---|---|---|---|", *rows]


def _shown(cause: RollbackStatus) -> list[StepStatus]:
    return [step for step in cause.steps if step.name is not Step.EVIDENCE]


def _took(step: StepStatus) -> str:
    if step.started is None or step.finished is None:
        return "-"
    return format_duration(step.finished - step.started)


def _readings(v: View) -> list[str]:
    failed = [each for each in v.status.criteria if each.verdict is Verdict.FAIL]
    others = [each for each in v.status.criteria if each.verdict is not Verdict.FAIL]
    lines = [_judged(each) for each in (*failed, *others)]
    return ["## What was measured when it was decided", "", *(lines or ["Nothing was judged."])]


def _judged(criterion: CriterionStatus) -> str:
    return (
        f"- {criterion.verdict.value}: {_line(criterion.message)} (`{criterion.id}`, so since {_at(criterion.since)})"
    )


def _reported(v: View) -> list[str]:
    reports = v.status.reports
    if reports is None or reports.run != v.status.run:
        return ["## What people reported", "", "Nothing."]
    kept = [each for each in reports.latest if each.run == v.status.run]
    lines = [
        f"- {_at(each.at)} {each.severity.value}{signed(each.by)}, in phase {each.phase or '-'}: {_line(each.message)}"
        for each in kept
    ]
    many = f"{counted(reports.counted)}. The last of them:" if kept else "Nothing."
    return ["## What people reported", "", many, *(["", *lines] if lines else [])]


def _timeline(v: View) -> list[str]:
    entries = [each for each in v.status.history if each.run == v.status.run]
    lines = [f"- {_at(each.time)} {each.reason.value}: {_line(each.message)}" for each in entries]
    return ["## Timeline", "", *lines]


def _people(v: View) -> list[str]:
    """What people have asked for in this run, in their words, and when it was taken in."""
    entries = [each for each in v.status.history if each.run == v.status.run and each.reason in BY_PEOPLE]
    lines = [f"- {_at(each.time)} {each.reason.value}: {_line(each.message)}" for each in entries]
    return ["## Who did what", "", *(lines or ["Nobody asked for anything in this run."])]


def _logs(v: View, cause: RollbackStatus) -> list[str]:
    """Where the logs are that were kept."""
    step = next((each for each in cause.steps if each.name is Step.EVIDENCE), None)
    if step is None or step.config_map is None:
        return []
    new = f"Of new's pods: under `{NEW_LOGS}` of ConfigMap {step.config_map}, as they were once traffic was back."
    if v.facts.kept != stamp(v.facts.uid, v.status):
        new = "Of new's pods: none, for they could not be read in time."
    jobs = f"Of the steps' Jobs: under `{JOB_LOGS}`, as far as their pods were still there."
    return ["## Logs", "", f"- {new}", *([f"- {jobs}"] if v.facts.job_logs else [])]


def _said(cause: RollbackStatus) -> list[str]:
    lines = ["## What the steps said last"]
    for step in _shown(cause):
        if step.job is None:
            continue
        code = f", exit code {step.exit_code}" if step.exit_code is not None else ""
        lines += ["", f"### {step.name.value}: Job {step.job}{code}", "", "```", *_fenced(step.output), "```"]
    return lines if len(lines) > 1 else []


def _fenced(text: str) -> list[str]:
    """Nothing in it ends the block that it stands in."""
    return text.replace("```", "'''").splitlines() or ["(nothing)"]


def _left(cause: RollbackStatus) -> list[str]:
    left = [step for step in _shown(cause) if step.state.value in ("Failed", "Overrun")]
    return [f"- [ ] {step.name.value} {step.state.value}: {_line(step.message)}" for step in left]


def _at(time: float | None) -> str:
    return moment(time) if time is not None else "-"


def _line(text: str) -> str:
    return clip(" ".join(text.split()), _LONGEST_LINE)


__all__ = ["BY_PEOPLE", "JOB_LOGS", "KEY", "LONGEST", "NEW_LOGS", "report", "stamp"]

"""Drills: whether a rollback would work is tried while none is needed, by `rollback.drill` or because a person asks.

A drill goes beside the rules and never before them. What it may do each pass, after the rules have answered:

    the rollout goes back, or nothing is left that could   -> what runs is cut short, at once
    a person asks, or the schedule's time has come         -> begins: recorded first, nothing is done yet
    begun, no answers yet                                  -> all is tried (`rehearsal`), beside the passes
    answers are there                                      -> checks are recorded, and with them the name of the Job
    recorded                                               -> the Job that verifies the data is made, beside the passes
    it has ended, or there is none                         -> Passed or Failed

One that rehearses changes neither the state nor its reason, holds up no phase, and asks for nothing in a pass that is
urgent. What is sent for it is sent by a task of its own: no pass ever waits for it. One that is Live has its own table
(`live`).

A drill that was missed, because no operator ran or no run was under way, is made up for once, as soon as that is
possible; one that begins later than its grace allows is said to be overdue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from syncrollout.api import cron
from syncrollout.api.fields import format_duration
from syncrollout.api.status import MOST_CHECKS, DrillCheck, DrillRun, DrillStatus
from syncrollout.api.words import DrillCause, DrillMode, DrillResult, Reason, Request, State, Step
from syncrollout.decide import live, rehearsal, requests, step_jobs
from syncrollout.decide.actions import Action, EndRehearsal, RehearseJob
from syncrollout.decide.facts import JobFact, JobState, Rehearsal
from syncrollout.decide.notes import Note
from syncrollout.decide.outcome import Outcome
from syncrollout.decide.phrases import clip, moment, person
from syncrollout.decide.view import View

ANSWERS_WITHIN: Final = 600.0
"""Seconds, from its beginning, that a drill waits for what it has tried. Where many begin at one moment, they wait for
each other."""
_GOES_ON: Final = frozenset({State.PROGRESSING, State.HOLDING, State.AWAITING_APPROVAL, State.PAUSED})
_REASONS: Final = {
    DrillResult.PASSED: Reason.DRILL_PASSED,
    DrillResult.FAILED: Reason.DRILL_FAILED,
    DrillResult.CUT_SHORT: Reason.DRILL_CUT_SHORT,
}
_JOB_ENDED: Final = frozenset({JobState.COMPLETE, JobState.FAILED, JobState.STOPPED})


def beside(v: View, outcome: Outcome) -> Outcome:
    """The outcome of the rules, with what a drill does beside it."""
    if outcome.silent:
        return outcome
    before = v.status.drill or DrillStatus()
    why_not = _impossible(v, outcome)
    drill = before.model_copy(update={"overdue": None}) if why_not else _scheduled(v, before)
    if drill.running is not None:
        step = _cut_short(v, drill, drill.running, why_not) if why_not else _goes_on(v, outcome, drill, drill.running)
    else:
        step = _Step(drill) if why_not else _begins(v, outcome, drill)
    notes = (*step.notes, _ignored(v, why_not)) if v.heard.drill and why_not else step.notes
    empty = step.drill == DrillStatus() and v.status.drill is None
    moments = [each for each in (outcome.due, step.due, _wakes(v, step.drill)) if each is not None]
    return replace(
        outcome,
        message=step.message or outcome.message,
        changes=outcome.changes if empty else {**outcome.changes, **step.changes, "drill": step.drill},
        actions=(*outcome.actions, *step.actions),
        notes=(*outcome.notes, *notes),
        due=min(moments, default=None),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """What a drill comes to on one pass."""

    drill: DrillStatus
    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    due: float | None = None
    changes: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the status."""
    message: str = ""
    """What the rollout says of itself, where that is not what the rules say."""


def _impossible(v: View, outcome: Outcome) -> str:
    """Why there is nothing to rehearse now, in words; empty where there is."""
    if outcome.state in (State.ROLLING_BACK, State.ROLLED_BACK):
        return "everything goes back, and that is no drill"
    if v.facts.deleting:
        return "the SyncRollout is being deleted"
    runs = bool(outcome.changes.get("in_flight", v.status.in_flight))
    if runs and outcome.state in _GOES_ON:
        return ""
    watch = outcome.changes.get("watch", v.status.watch if v.watched else None)
    if outcome.state is State.COMPLETED and watch is not None:
        return ""
    return "the run has ended, and is not watched" if not runs else f"the rollout is {outcome.state.value}"


# ---- when --------------------------------------------------------------------------------------------------------


def _scheduled(v: View, drill: DrillStatus) -> DrillStatus:
    """With the time of the next one, by the schedule as the spec gives it now."""
    spec = v.spec.rollback.drill
    if spec is None:
        return drill.model_copy(update={"schedule": "", "counted": None, "next": None, "latest": None, "overdue": None})
    zone = v.spec.drill_timezone
    text = f"{spec.schedule} {zone}"
    counted = drill.counted if drill.schedule == text and drill.counted is not None else v.now
    coming = round(cron.next_after(spec.schedule, zone, counted), 3)
    latest = round(coming + spec.grace, 3)
    return drill.model_copy(
        update={
            "schedule": text,
            "counted": counted,
            "next": coming,
            "latest": latest,
            "overdue": (drill.overdue or v.now) if v.now >= latest else None,
        }
    )


def _wakes(v: View, drill: DrillStatus) -> float | None:
    """When the clock alone brings a drill on."""
    moments = (drill.next, drill.latest) if drill.running is not None else (drill.next,)
    return min((each for each in moments if each is not None and each > v.now), default=None)


def _begins(v: View, outcome: Outcome, drill: DrillStatus) -> _Step:
    """The next one begins, if its time has come."""
    asked = requests.drill_mode(v.heard.drill)
    if asked is not None:
        why_not = live.impossible(v, outcome) if asked is DrillMode.LIVE else ""
        if why_not:
            return _Step(drill, notes=(_ignored(v, why_not),))
        return _begun(v, drill, asked, f"{person(v.heard.by)} asked for it: {v.heard.drill}")
    spec = v.spec.rollback.drill
    if spec is None or drill.next is None or v.now < drill.next:
        return _Step(drill)
    if spec.mode is DrillMode.LIVE and (live.outside(v) or live.impossible(v, outcome)):
        return _Step(drill)  # it is made up for once it can be
    late: tuple[Note, ...] = ()
    if drill.latest is not None and v.now >= drill.latest:
        by = format_duration(v.now - drill.next)
        why = "it could not begin" if spec.mode is DrillMode.LIVE else "no operator ran, or there was no run to drill"
        text = f"The drill of {moment(drill.next)} begins {by} late: {why}"
        late = (Note(Reason.DRILL_OVERDUE, text, "Warning"),)
    due = drill.next
    drill = _scheduled(v, drill.model_copy(update={"counted": v.now, "overdue": None}))
    return _begun(v, drill, spec.mode, f"by the schedule, for {moment(due)}", late)


def _begun(v: View, drill: DrillStatus, mode: DrillMode, why: str, notes: tuple[Note, ...] = ()) -> _Step:
    run = DrillRun(
        mode=mode,
        cause=DrillCause.PERSON if v.heard.drill else DrillCause.SCHEDULE,
        words=v.heard.drill,
        by=(v.heard.by or None) if v.heard.drill else None,
        phase=v.status.phase.name if v.status.phase is not None else "",
        weight=v.share,
        started=v.now,
    )
    changes: dict[str, object] = {}
    if mode is DrillMode.LIVE:
        run, changes["phase"] = live.begins(v, run)
    by = v.heard.by if v.heard.drill else ""
    begun = Note(Reason.DRILL_STARTED, clip(f"A drill begins ({mode.value}), {why}"), by=by)
    return _Step(drill.model_copy(update={"running": run}), notes=(*notes, begun), due=v.now, changes=changes)


def _ignored(v: View, why_not: str) -> Note:
    text = f"{Request.DRILL.value} says {clip(v.heard.drill, 100)!r}, and nothing was done: {why_not}"
    return Note(Reason.REQUEST_IGNORED, text, "Warning", v.heard.by)


# ---- on the way --------------------------------------------------------------------------------------------------


def _goes_on(v: View, outcome: Outcome, drill: DrillStatus, run: DrillRun) -> _Step:
    if outcome.urgent:
        return _Step(drill)  # what puts traffic right has this pass for itself
    if run.mode is DrillMode.LIVE:
        return _live(v, drill, live.goes_on(v, outcome, run))
    found = v.facts.rehearsal
    if run.checks:
        return _verifies(v, drill, run, found)
    if found is not None and found.tried is not None:
        return _answered(v, drill, run, rehearsal.checks(v, found))
    ends = round(run.started + ANSWERS_WITHIN, 3)
    if v.now >= ends:
        return _answered(v, drill, run, rehearsal.unanswered(v, ANSWERS_WITHIN))
    return _Step(drill, actions=(rehearsal.begins(v, run),) if found is None else (), due=ends)


def _live(v: View, drill: DrillStatus, now: live.Moment) -> _Step:
    if now.ended:
        return _ends(v, drill, now.run)
    return _Step(drill.model_copy(update={"running": now.run}), notes=now.notes, due=now.due, message=now.message)


def _answered(v: View, drill: DrillStatus, run: DrillRun, checks: tuple[DrillCheck, ...]) -> _Step:
    """What was tried is recorded; the Job that verifies the data comes next, where there is one that can be had."""
    run = run.model_copy(update={"checks": checks[: MOST_CHECKS - 1]})
    source = step_jobs.source_of(v.spec, Step.VERIFY_DATA)
    if source is None:
        return _ends(v, drill, run)
    refused = next((each for each in checks if each.name.endswith(Step.VERIFY_DATA.value)), None)
    if refused is None or refused.result is not DrillResult.PASSED:
        why = "not run, for its Job could not be made" if refused is not None else "not run, for nothing else was tried"
        return _ends(v, drill, _with(run, rehearsal.not_verified(why)))
    deadline = round(v.now + rehearsal.budget(v.spec, Step.VERIFY_DATA), 3)
    run = run.model_copy(update={"job": step_jobs.drill_job_name(v, run, Step.VERIFY_DATA.value), "deadline": deadline})
    return _Step(drill.model_copy(update={"running": run}), due=v.now)


def _verifies(v: View, drill: DrillStatus, run: DrillRun, found: Rehearsal | None) -> _Step:
    assert run.job is not None
    assert run.deadline is not None
    ends = round(run.deadline + step_jobs.STOPPING, 3)
    fact = found.job if found is not None else None
    if fact is not None and (fact.state in _JOB_ENDED or (fact.state is JobState.MISSING and run.seen)):
        return _verified(v, drill, run, fact)
    if v.now >= ends:
        return _verified(v, drill, run, fact or JobFact(JobState.UNSEEN))
    if fact is None:
        source = step_jobs.source_of(v.spec, Step.VERIFY_DATA)
        if source is None:
            why = "not seen to its end: rollback.procedure does not ask for it any more"
            return _ends(v, drill, _with(run, rehearsal.not_verified(why)))
        if not run.seen and v.now >= run.deadline:
            return _verified(v, drill, run, JobFact(JobState.UNSEEN, "it was never seen to run"))
        job = step_jobs.of_drill(v, run, Step.VERIFY_DATA, source, run.deadline - v.now)
        return _Step(drill, actions=(RehearseJob(rehearsal.stamp(run, v.facts.generation), job, run.seen),), due=ends)
    if fact.state is JobState.RUNNING and not run.seen:
        run = run.model_copy(update={"seen": True})
    return _Step(drill.model_copy(update={"running": run}), due=ends)


def _verified(v: View, drill: DrillStatus, run: DrillRun, fact: JobFact) -> _Step:
    assert run.deadline is not None
    began = run.deadline - rehearsal.budget(v.spec, Step.VERIFY_DATA)
    return _ends(v, drill, _with(run, rehearsal.verification(run, fact, max(0.0, v.now - began))))


# ---- its end -----------------------------------------------------------------------------------------------------


def _ends(v: View, drill: DrillStatus, run: DrillRun) -> _Step:
    failed = [each for each in run.checks if each.result is not DrillResult.PASSED]
    if failed:
        more = f" (and {len(failed) - 1} more, see status.drill.last)" if len(failed) > 1 else ""
        text = f"A rollback would not work as it is asked for: {failed[0].name}: {failed[0].message}{more}"
        return _ended(v, drill, run, DrillResult.FAILED, text)
    took = format_duration(v.now - run.started)
    text = f"A rollback would work: {len(run.checks)} checks, {took}"
    if run.mode is DrillMode.LIVE:
        measured = ", ".join(
            f"{each.name.lower()} within {format_duration(each.seconds)}" for each in (run.checks[0], run.checks[-1])
        )
        text = f"A rollback works: {measured}"
    return _ended(v, drill, run, DrillResult.PASSED, text)


def _cut_short(v: View, drill: DrillStatus, run: DrillRun, why: str) -> _Step:
    text = f"The drill ends before it could say anything: {why}"
    text += f"; Job {run.job}, which only looks, runs on for the rest of its budget" if run.job is not None else ""
    return _ended(v, drill, run, DrillResult.CUT_SHORT, text)


def _ended(v: View, drill: DrillStatus, run: DrillRun, result: DrillResult, text: str) -> _Step:
    last = run.model_copy(update={"result": result, "message": clip(text), "finished": v.now})
    drill = drill.model_copy(update={"running": None, "last": last})
    note = Note(_REASONS[result], clip(text), "Warning" if result is DrillResult.FAILED else "Normal")
    return _Step(drill, actions=(EndRehearsal(),), notes=(note,))


def _with(run: DrillRun, check: DrillCheck) -> DrillRun:
    return run.model_copy(update={"checks": (*run.checks, check)})


__all__ = ["beside"]

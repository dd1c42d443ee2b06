"""The checklist before the start (spec.preflight.checks): what each line of it says, and what is missing.

Asked only while a run is to begin; once it has begun, and on any way back, nothing of this is looked at or waited for.
What passes was seen so within preflight.interval. Unknown never passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncrollout.api.spec import CHECK, MOST_VARIABLES, Backup, Criterion, PreflightCheck, SyncRolloutSpec
from syncrollout.api.status import (
    CHECK_LENGTH,
    AttestedStatus,
    CheckStatus,
    PreflightStatus,
    SyncRolloutStatus,
    TaskStatus,
)
from syncrollout.api.words import Reason, Role, Side, StepState, Task, Verdict
from syncrollout.decide import attested, backup_age, tasks
from syncrollout.decide.actions import CreateJob
from syncrollout.decide.check_facts import CheckFact
from syncrollout.decide.facts import Facts, JobState, ReadingKey
from syncrollout.decide.looks import look as look_at
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, moment
from syncrollout.decide.questions import Question

SOON: Final = 1.0
"""Seconds until the next look where one of its lines was not looked at yet."""
_BUDGET: Final = 900.0
"""Seconds that a Job may take, where nothing is said."""
_WHY: Final = 200
_DAY: Final = 86400.0
_LINE: Final = 160
"""Characters of one line in the sentence that names all that is missing."""


def wanted(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> bool:
    """Whether the checklist is asked for: there is one, and a run is to begin."""
    if spec.preflight is None or not spec.preflight.checks or status.in_flight:
        return False
    stands = spec.suspend or spec.emergency_stop or status.hold is not None
    return not stands and run_asked(spec, status)


def run_asked(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> bool:
    """Whether the spec asks for a run other than the last one.

    The last completed revision asks for none, whatever came after it: what it names is what is back in place.
    A person may ask for the next attempt at one that was rolled back.
    """
    s = status
    if s.in_flight:
        return False
    return not s.run or s.retry is not None or spec.revision not in (s.revision, s.last_good_revision)


def readings(spec: SyncRolloutSpec) -> frozenset[ReadingKey]:
    """The readings that it goes by."""
    lines = spec.preflight.checks if spec.preflight is not None else ()
    ages = {each.backup_age.metric for each in lines if each.backup_age is not None} - {None}
    asked = {key for each in lines if each.query is not None for key in _question(spec, each).keys}
    return frozenset(asked | {ReadingKey(name) for name in ages if name is not None})


def watched(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> tuple[str, ...]:
    """The names of the Jobs that it goes by now: those that run, and those that have failed, which somebody may have
    deleted so that they are run again."""
    if not wanted(spec, status) or status.preflight is None:
        return ()
    open_tasks = (each.task for each in status.preflight.checks if each.task is not None)
    return tuple(each.job for each in open_tasks if each.job is not None and each.state is not StepState.SUCCEEDED)


def jobs(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float) -> tuple[CreateJob, ...]:
    """The Jobs that are to be made for it; their names are recorded."""
    lines = spec.preflight.checks if spec.preflight is not None else ()
    sources = {each.name: each.job for each in lines}
    made: list[CreateJob] = []
    for line in status.preflight.checks if status.preflight is not None else ():
        source = sources.get(line.name)
        if line.task is not None and source is not None and tasks.unmade(line.task, facts):
            made.append(tasks.make(line.task, Task.CHECK, source, status, spec=spec, facts=facts, now=now))
    return tuple(made)


def looked_at(check: PreflightCheck) -> bool:
    """Whether somebody has to look at something of it besides Prometheus and the rollout itself."""
    if check.query is not None or check.attestation is not None or check.job is not None:
        return False
    return check.backup_age is None or check.backup_age.metric is None


def hear(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float
) -> tuple[PreflightStatus | None, tuple[Note, ...]]:
    """The checklist as it stands now, and what is told of what people have confirmed. None where there is none."""
    before = status.preflight
    if facts.deleting or facts.barred or (before is None and (spec.preflight is None or not spec.preflight.checks)):
        return before, ()
    is_open = wanted(spec, status)
    confirmed, notes = attested.hear(spec, before, facts.attestations, now, is_open=is_open)
    if not is_open:
        if before is None:
            return (PreflightStatus(attested=confirmed) if confirmed else None), notes
        return before.model_copy(update={"attested": confirmed}), notes
    assert spec.preflight is not None
    known = {each.name: each for each in before.checks} if before is not None else {}
    here = _Here(spec, facts, confirmed, now, status.run + 1)
    lines = tuple(_line(here, check, known.get(check.name)) for check in spec.preflight.checks)
    told = tuple(_failed(each) for each in lines if _news(each, known.get(each.name)))
    old, new = (_missing(facts, side) for side in Side)
    checked = PreflightStatus(
        revision=spec.revision, checks=lines, missing_old=old, missing_new=new, attested=confirmed
    )
    return checked, (*notes, *told)


def _missing(facts: Facts, side: Side) -> tuple[str, ...]:
    """The variables that this side does not define, as far as they are kept."""
    sides = (fact.missing_old if side is Side.OLD else fact.missing_new for fact in facts.checks.values())
    return tuple(sorted({name for names in sides for name in names}))[:MOST_VARIABLES]


@dataclass(frozen=True, slots=True)
class _Here:
    """What its lines are judged by."""

    spec: SyncRolloutSpec
    facts: Facts
    attested: tuple[AttestedStatus, ...]
    now: float
    run: int
    """The one that is to begin."""


def _line(here: _Here, check: PreflightCheck, before: CheckStatus | None) -> CheckStatus:
    fact, now = here.facts.checks.get(check.name), here.now
    attempt, task = _task(here, check, before)
    verdict, message = _verdict(here, check, fact) if task is None else _of_job(task)
    unlooked = looked_at(check) and fact is None
    return CheckStatus(
        name=check.name,
        group=check.group,
        verdict=verdict,
        message=clip(message, CHECK_LENGTH),
        since=before.since if before is not None and before.verdict is verdict else now,
        checked_at=None if unlooked else fact.at if fact is not None else now,
        attempt=attempt,
        task=task,
    )


def _task(here: _Here, check: PreflightCheck, before: CheckStatus | None) -> tuple[int, TaskStatus | None]:
    """Its Job, and which of those that were made for it that is; once for an attempt at a revision, unless its source
    is edited, or a failed one is deleted."""
    if check.job is None:
        return 0, None
    attempt, task = (before.attempt, before.task) if before is not None else (0, None)
    if task is not None and task.state in tasks.ENDED_BADLY and _gone(here.facts, task):
        attempt += 1
    name = tasks.job_name(
        here.facts, Task.CHECK, here.run, here.spec.revision, check.name, tasks.fingerprint(check.job), attempt
    )
    if task is None or task.job != name:
        fresh = TaskStatus(name=check.name, budget_seconds=0)
        return attempt, tasks.begun(fresh, name, check.budget or _BUDGET, here.now)
    return attempt, tasks.develop(task, here.facts, here.now)


def _gone(facts: Facts, task: TaskStatus) -> bool:
    fact = facts.jobs.get(task.job or "")
    return fact is not None and fact.state is JobState.MISSING


def _of_job(task: TaskStatus) -> tuple[Verdict, str]:
    if task.state is StepState.RUNNING:
        return Verdict.UNKNOWN, tasks.running(task)
    if task.state is StepState.SUCCEEDED:
        return Verdict.PASS, f"Job {task.job} {task.message}"
    return Verdict.FAIL, f"{clip(task.message, _WHY)}; once that is mended, delete Job {task.job}: it is run again"


def _news(line: CheckStatus, before: CheckStatus | None) -> bool:
    """Whether its Job has failed just now."""
    was = before.task.state if before is not None and before.task is not None else StepState.RUNNING
    return line.task is not None and line.task.state in tasks.ENDED_BADLY and was is StepState.RUNNING


def _failed(line: CheckStatus) -> Note:
    assert line.task is not None
    return Note(Reason.JOB_FAILED, clip(f"Check {line.name} {line.task.message}"), "Warning")


def pending(line: CheckStatus) -> bool:
    """Whether it is only a matter of time until it says something."""
    return line.checked_at is None or (line.task is not None and line.task.state is StepState.RUNNING)


def _verdict(here: _Here, check: PreflightCheck, fact: CheckFact | None) -> tuple[Verdict, str]:
    if check.attestation is not None:
        one = next((each for each in here.attested if each.check == check.name), None)
        return _said(*attested.judge(check.attestation, one, check.name, here.spec.revision))
    if check.query is not None:
        seen = look_at(_question(here.spec, check), here.facts.readings, None)
        return (Verdict.UNKNOWN if seen.holds is None else _said(seen.holds, "")[0]), seen.message
    if check.backup_age is not None:
        return _age(check, here.facts, fact, here.now)
    if fact is None:
        return Verdict.UNKNOWN, "has not been looked at yet"
    if check.tls_secret is not None and fact.valid_until is not None:
        return _valid(check.tls_secret.days_left, fact, here.now)
    return (Verdict.UNKNOWN if fact.passes is None else _said(fact.passes, "")[0]), fact.text


def _said(passes: bool, message: str) -> tuple[Verdict, str]:
    return (Verdict.PASS if passes else Verdict.FAIL), message


def _age(check: PreflightCheck, facts: Facts, fact: CheckFact | None, now: float) -> tuple[Verdict, str]:
    assert check.backup_age is not None
    asked = check.backup_age
    as_backup = Backup.model_construct(
        metric=asked.metric, volume_snapshot=asked.volume_snapshot, job=None, max_age=asked.max_age
    )
    reading = facts.readings.get(ReadingKey(asked.metric)) if asked.metric is not None else None
    snapshot = fact.snapshot if fact is not None else None
    seen = backup_age.judge(as_backup, reading, snapshot, now)
    if isinstance(seen, backup_age.There):
        return Verdict.PASS, seen.said
    blind = not seen or (reading is not None and reading.value is None)
    return (Verdict.UNKNOWN if blind else Verdict.FAIL), seen or "has not been looked at yet"


def _valid(days: int, fact: CheckFact, now: float) -> tuple[Verdict, str]:
    assert fact.valid_until is not None
    left = (fact.valid_until - now) / _DAY
    until = f"{fact.text} is valid until {moment(fact.valid_until)}"
    if left < 0:
        return Verdict.FAIL, f"{fact.text} has been invalid since {moment(fact.valid_until)}: renew it"
    if left < days:
        return Verdict.FAIL, f"{until}, {left:.1f} days; it has to be {days} at least: renew it"
    return Verdict.PASS, f"{until}, {left:.0f} days"


def _question(spec: SyncRolloutSpec, check: PreflightCheck) -> Question:
    """The query as a criterion of success. Nothing has begun that events could be counted since: a metric with
    confidence is read over its window."""
    assert check.query is not None
    query = check.query
    limits = {name: getattr(query, name) for name in ("above", "below", "at_least", "at_most")}
    name = query.metric if query.metric is not None else source(check)
    metric = spec.metric(name).model_copy(update={"confidence": None})
    comparison = Criterion.model_construct(metric=name, **limits)
    return Question(id=name, role=Role.SUCCESS, comparison=comparison, metric=metric)


def source(check: PreflightCheck) -> str:
    """The name of the reading of a query that the check asks itself."""
    return f"{CHECK}{check.name}"


def missing(checklist: PreflightStatus | None) -> tuple[CheckStatus, ...]:
    """The lines that do not pass."""
    return tuple(each for each in checklist.checks if each.verdict is not Verdict.PASS) if checklist is not None else ()


def sentence(checklist: PreflightStatus) -> str:
    """All that is missing, as far as one sentence goes."""
    lacking, count = missing(checklist), len(checklist.checks)
    told = [f"{each.name} ({each.group.value}, {each.verdict.value}): {clip(each.message, _LINE)}" for each in lacking]
    verb = "does" if len(lacking) == 1 else "do"
    return f"{len(lacking)} of {count} checks {verb} not pass: {' | '.join(told)}"


def next_look(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float) -> float | None:
    """When it is looked at again by the clock alone; None where nothing of it has to be."""
    if spec.preflight is None:
        return None
    interval, moments = spec.preflight.interval, list[float]()
    for check in spec.preflight.checks:
        if looked_at(check):
            at = facts.checks[check.name].at if check.name in facts.checks else None
            moments.append(now + SOON if at is None else max(now + SOON, at + interval))
    for line in status.preflight.checks if status.preflight is not None else ():
        if line.task is not None and line.task.state is StepState.RUNNING:
            moments.append(now + tasks.LOOK if line.task.job in facts.jobs else now)
        elif line.task is not None and line.task.state is not StepState.SUCCEEDED:
            moments.append(now + interval)
    return min(moments, default=None)


__all__ = ["hear", "looked_at", "missing", "next_look", "readings", "run_asked", "sentence", "source", "wanted"]

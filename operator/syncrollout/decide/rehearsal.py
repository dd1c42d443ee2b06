"""What a rehearsal tries of a rollback, and what it makes of the answers.

Everything that a rollback would do now is tried by the code that would do it, against the API server, which checks
rights, preconditions, schemas and admission, and changes nothing. What cannot be tried so is looked at: whether old
could take the traffic, and whether there is a backup. The Job that verifies the data is really run, after all that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from syncrollout.api.fields import format_duration, format_time
from syncrollout.api.spec import HandoverMethod, SyncRolloutSpec
from syncrollout.api.status import DrillCheck, DrillRun
from syncrollout.api.words import DrillResult, Side, Step
from syncrollout.decide import backup, evidence, restarting_old, shards, step_jobs
from syncrollout.decide.actions import (
    Assign,
    Rehearse,
    Restart,
    Scale,
    SetMirror,
    SetWeight,
    StampEpoch,
    Try,
    WriteReport,
)
from syncrollout.decide.facts import JobFact, JobState, ReadingKey, Rehearsal
from syncrollout.decide.movement import replicas_of
from syncrollout.decide.phrases import clip, readiness, side
from syncrollout.decide.view import View

LONGEST: Final = 512
"""Characters of what is said of one check."""
VERIFICATION: Final = "Verification of the data"
_WITH_JOBS: Final = (Step.VERIFY_DATA, Step.RESTORE, Step.VERIFY_SYSTEM)


# ---- what is tried -----------------------------------------------------------------------------------------------


def begins(v: View, drill: DrillRun) -> Rehearse:
    """The action that has all of it tried."""
    asked = backup.of(v.spec)
    metric = asked.metric if asked is not None and v.spec.prometheus is not None else None
    return Rehearse(
        stamp=stamp(drill, v.facts.generation),
        tries=tuple(_tries(v, drill)),
        backup=ReadingKey(metric) if metric is not None else None,
        snapshot=asked.volume_snapshot if asked is not None else None,
    )


def stamp(drill: DrillRun, generation: int) -> str:
    """Which drill, and of which spec: after an edit all of it is tried anew."""
    return f"{drill.started:.3f}/{generation}"


def _tries(v: View, drill: DrillRun) -> Iterator[Try]:
    for route in v.spec.traffic.routes:
        yield Try(f"Switch of {route}", SetWeight(0), str(route))
        if v.status.mirror is not None:
            yield Try(f"End of the mirrors of {route}", SetMirror(0), str(route))
    yield from _slots(v)
    yield from _scales(v)
    if restarting_old.asked(v.spec) and v.spec.old.workload.kind != restarting_old.CRON_JOB:
        yield Try("Restart of old", Restart(Side.OLD, format_time(drill.started)))
    for step in _WITH_JOBS:
        source = step_jobs.source_of(v.spec, step)
        if source is not None:
            job = step_jobs.of_drill(v, drill, step, source, budget(v.spec, step))
            yield Try(f"Job of step {step.value}", job)
    asked = backup.of(v.spec)
    if asked is not None and asked.job is not None:
        within = budget(v.spec, Step.RESTORE)
        yield Try("Job of the backup", step_jobs.of_drill(v, drill, Step.RESTORE, asked.job, within, backup=True))
    if evidence.asked(v):
        yield Try("Incident report", WriteReport(evidence.config_map(v), "drill", "A drill: nothing was written."))


def _slots(v: View) -> Iterator[Try]:
    """The next write of the assignment; where there is none left to do, or pods are waited for, one that says the same
    once more."""
    slots, spec = v.slots, v.spec.traffic.shards
    if spec is None or slots is None or slots.assignment is None:
        return
    stands = slots.assignment
    steps = shards.step(slots, shards.Wish(0, stop=True), careful=False).actions
    first = next((each for each in steps if isinstance(each, Assign)), None)
    again = Assign(replace(stands, epoch=stands.epoch + 1), replaces=stands)
    yield Try(f"Slots in ConfigMap {spec.config_map}", first or again)
    if spec.handover.method is HandoverMethod.RESTART:
        for which in Side:
            yield Try(f"Restart of the pods of {which.value.lower()}", StampEpoch(which, stands.epoch + 1))


def _scales(v: View) -> Iterator[Try]:
    split = v.spec.traffic.replicas
    if split is not None:
        for which, replicas in zip(Side, replicas_of(split, 0), strict=True):
            yield Try(f"Scale of {which.value.lower()} to {replicas}", Scale(which, replicas))
        return
    if _stopped(v):
        replicas = _replicas_back(v)
        yield Try(f"Start of old with {replicas}", Scale(Side.OLD, replicas))
    procedure = v.spec.rollback.procedure
    if procedure is not None and procedure.switch.stop_new:
        yield Try("Stop of new", Scale(Side.NEW, 0))


def _stopped(v: View) -> bool:
    """Whether old was stopped by retireOld, and would be started before it gets traffic."""
    return v.status.retired is not None and v.facts.old is not None and not v.old.desired


def _replicas_back(v: View) -> int:
    retired = v.status.retired
    return (retired.replicas if retired is not None else None) or 1


def budget(spec: SyncRolloutSpec, step: Step) -> float:
    """Seconds that the Job of a step may take."""
    procedure = spec.rollback.procedure
    asked = None
    if procedure is not None:
        of = {
            Step.VERIFY_DATA: procedure.verify_data,
            Step.RESTORE: procedure.restore,
            Step.VERIFY_SYSTEM: procedure.verify_system,
        }
        asked = of.get(step)
    return asked.budget if asked is not None else 60.0


# ---- what came of it ---------------------------------------------------------------------------------------------


def checks(v: View, found: Rehearsal) -> tuple[DrillCheck, ...]:
    """What was looked at and what was tried, each with its result."""
    return (*_looked(v, found), *(_check(each.name, each.refused, each.seconds) for each in found.tried or ()))


def _looked(v: View, found: Rehearsal) -> Iterator[DrillCheck]:
    if v.facts.problems:
        yield _check("References", v.facts.problems[0].message)
    yield _check("Old could take the traffic", _old_unable(v), well=readiness(v.spec, Side.OLD, v.facts.old))
    asked = backup.of(v.spec)
    if asked is not None and asked.job is None:
        seen = backup.judge(asked, found.backup, found.snapshot, v.now)
        well = seen.said if isinstance(seen, backup.There) else ""
        why = seen if isinstance(seen, str) else ""
        if not well and not why:
            why = f"whether there is a backup is not known: {asked.metric or 'the VolumeSnapshot'} could not be read"
        yield _check("Backup", why, well=well)


def _old_unable(v: View) -> str:
    """Why old could not take the traffic, in words; empty where it could."""
    if v.facts.old is None:
        return f"{side(v.spec, Side.OLD)} does not exist, or cannot be seen"
    if _stopped(v) or v.spec.traffic.replicas is not None:
        return ""  # it is started, or given more replicas, first: that is tried
    if v.old.alive:
        return ""
    return f"{readiness(v.spec, Side.OLD, v.facts.old)}: a rollback would have to wait for it"


def unanswered(v: View, within: float) -> tuple[DrillCheck, ...]:
    """What is said where the tries have not come to an end in time."""
    why = f"not done within {format_duration(within)}: does the API server answer, and are many drills under way?"
    return (*_looked(v, Rehearsal()), _check("Tries of the switch", why, within))


def verification(drill: DrillRun, fact: JobFact, seconds: float) -> DrillCheck:
    """What came of the Job that verifies the data, which has ended."""
    name = drill.job
    match fact.state:
        case JobState.COMPLETE:
            return _check(VERIFICATION, "", seconds, well=f"Job {name} ran, and found nothing to restore")
        case JobState.FAILED:
            last = fact.output.splitlines()[-1:] or ([fact.message] if fact.message else [])
            code = [f"exit code {fact.exit_code}"] if fact.exit_code is not None else []
            detail = "".join(f": {each}" for each in (*code, *last))
            why = f"Job {name} has found damage, or could not look{detail}"
        case JobState.STOPPED:
            why = f"Job {name} has used up its budget and was stopped"
        case JobState.MISSING if drill.seen:
            why = f"somebody has deleted Job {name} before it ended; it is not run a second time"
        case _:
            why = f"Job {name} has not ended within its budget{': ' if fact.message else ''}{fact.message}"
    return _check(VERIFICATION, why, seconds)


def not_verified(why: str) -> DrillCheck:
    """The Job was not made."""
    return _check(VERIFICATION, why)


def _check(name: str, why_not: str, seconds: float = 0.0, *, well: str = "") -> DrillCheck:
    return DrillCheck(
        name=clip(name, 320),
        result=DrillResult.FAILED if why_not else DrillResult.PASSED,
        message=clip(why_not or well, LONGEST),
        seconds=round(seconds, 3),
    )


__all__ = ["VERIFICATION", "begins", "budget", "checks", "not_verified", "stamp", "unanswered", "verification"]

"""What stands in the way of a start: things a person has to mend, and things that only take time."""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.spec import ALERT, CHECK, JOB, PODS, VERIFY
from syncrollout.api.words import Reason, Role, Side, Unknown, Verdict
from syncrollout.decide import checklist, criteria, mirroring, stopping_new
from syncrollout.decide.autoscaling import autoscaled
from syncrollout.decide.facts import Part, ReadingKey
from syncrollout.decide.phrases import readiness
from syncrollout.decide.view import View

_STALLING = {
    Unknown.QUERY_INVALID: Reason.QUERY_INVALID,
    Unknown.MANY_SERIES: Reason.QUERY_INVALID,
    Unknown.NOT_A_VECTOR: Reason.QUERY_INVALID,
    Unknown.UNREACHABLE: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.TIMEOUT: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.SERVER_ERROR: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.REFUSED: Reason.PROMETHEUS_REFUSED,
    Unknown.DESTINATION_REFUSED: Reason.DESTINATION_REFUSED,
    Unknown.SECRET_INVALID: Reason.SECRET_INVALID,
    Unknown.FORBIDDEN: Reason.FORBIDDEN,
    Unknown.NOT_FOUND: Reason.CRON_JOB_NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`stalled`: a person has to act; else it passes by itself."""

    reason: Reason
    message: str
    stalled: bool


def obstacle(v: View) -> Obstacle | None:
    """The gravest thing in the way of a start, or None. No data yet is no obstacle: new may not have traffic."""
    if v.facts.problems:
        return Obstacle(v.facts.problems[0].reason, " | ".join(p.message for p in v.facts.problems), stalled=True)
    shards = v.spec.traffic.shards
    if shards is not None and (v.slots is None or v.slots.assignment is None):
        # Workers that take it in cannot start before it is there, so it comes before everything that waits for them.
        message = f"ConfigMap {shards.config_map}, which tells the workers who owns what, is being made"
        return Obstacle(Reason.PREFLIGHT_RUNNING, message, stalled=False)
    unreadable = _unreadable(v)
    if unreadable is not None:
        return unreadable
    for reason, message in (
        (Reason.TRAFFIC_ALREADY_AT_NEW, _moved_already(v)),
        (Reason.AUTOSCALED, autoscaled(v.spec, v.facts)),
        (Reason.MIRROR_TAKEN, mirroring.taken(v.spec, v.facts)),
    ):
        if message:
            return Obstacle(reason, message, stalled=True)
    unasked = sorted(criteria.all_readings(v.spec) - v.facts.readings.keys())
    if unasked:
        return Obstacle(Reason.PREFLIGHT_RUNNING, _about(unasked[0], "has not been asked yet"), stalled=False)
    if not v.old.complete:
        return _not_ready(v, Side.OLD, Reason.OLD_NOT_READY)
    if v.spec.traffic.replicas is None and not v.new.complete:
        return _not_ready(v, Side.NEW, Reason.NEW_NOT_READY)
    breach = next((c for c in v.binding() if c.role is Role.TRIGGER and c.verdict is Verdict.FAIL), None)
    if breach is not None:
        message = f"a rollback trigger is breached already: {breach.message}"
        return Obstacle(Reason.TRIGGER_ALREADY_BREACHED, message, stalled=False)
    return _incomplete(v)


def _unreadable(v: View) -> Obstacle | None:
    """A reading that cannot be had, whatever data there is."""
    readings = {**v.facts.readings, **v.counted}
    for key in sorted(readings):
        reading = readings[key]
        if key.part is Part.FRESH and reading.unknown is Unknown.MANY_SERIES:
            continue  # that is a sign of life as any other
        if reading.unknown in _STALLING:
            return Obstacle(_STALLING[reading.unknown], _about(key, reading.message), stalled=True)
        if reading.unknown is Unknown.UNSEEN:
            return Obstacle(Reason.PREFLIGHT_RUNNING, _about(key, reading.message), stalled=False)
    return None


def _incomplete(v: View) -> Obstacle | None:
    """What is missing of the checklist."""
    if v.spec.preflight is None or not v.spec.preflight.checks:
        return None
    lines = v.status.preflight
    if lines is None or lines.revision != v.spec.revision or not lines.checks:
        return Obstacle(Reason.PREFLIGHT_RUNNING, "the checklist has not been looked at yet", stalled=False)
    missing = checklist.missing(lines)
    if missing and all(checklist.pending(each) for each in missing):
        names = ", ".join(each.name for each in missing)
        return Obstacle(Reason.PREFLIGHT_RUNNING, f"the checklist is being looked at: {names}", stalled=False)
    if missing:
        return Obstacle(Reason.PREFLIGHT_INCOMPLETE, checklist.sentence(lines), stalled=False)
    return None


def _moved_already(v: View) -> str:
    """What new has before its first run and would lose by it, in words; empty where nothing stands so.

    Somebody has moved it, and that was recorded elsewhere: the status was lost with a restore, or the SyncRollout of
    a run that has completed was deleted and applied anew. A run that began now would take from a new that serves well
    what it has, without any of the steps of a rollback. By replicas there is always a share: pods are what it is.
    """
    first = v.spec.phases[0]
    if v.status.run or v.spec.traffic.replicas is not None or v.share <= first.weight:
        return ""
    return (
        f"new has {v.share} % already, phase {first.name} would give it {first.weight} %, and nothing is recorded of "
        "how it got there; restore the status of this SyncRollout with it (docs/operations.md), or put the weights "
        f"of new to {first.weight} % or less to begin at the first phase"
    )


def _not_ready(v: View, side: Side, reason: Reason) -> Obstacle:
    workload = v.old if side is Side.OLD else v.new
    returning = stopping_new.brought_back(v) if side is Side.NEW else ""
    if returning:
        return Obstacle(reason, returning, stalled=False)
    message = readiness(v.spec, side, workload)
    if workload.desired:
        return Obstacle(reason, message, stalled=False)
    before = ", by retireOld of the last run" if side is Side.OLD and v.status.retired is not None else ""
    return Obstacle(reason, f"{message}{before}; bring it up to begin", stalled=True)


def _about(key: ReadingKey, message: str) -> str:
    if key.metric == VERIFY or key.metric.startswith((PODS, JOB)):
        return f"{key.metric}: {message}"
    if key.metric.startswith(CHECK):
        return f"check {key.metric.removeprefix(CHECK)}: {message}"
    if key.metric.startswith(ALERT):
        return f"alert {key.metric.removeprefix(ALERT)}: {message}"
    return f"metric {key.metric} of {key.side.value.lower()}: {message}"

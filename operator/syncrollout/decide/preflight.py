"""What stands in the way of a start: things a person has to mend, and things that only take time."""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.words import Reason, Unknown
from syncrollout.decide.facts import ReadingKey
from syncrollout.decide.view import View

_STALLING = {
    Unknown.QUERY_INVALID: Reason.QUERY_INVALID,
    Unknown.MANY_SERIES: Reason.QUERY_INVALID,
    Unknown.NOT_A_VECTOR: Reason.QUERY_INVALID,
    Unknown.UNREACHABLE: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.TIMEOUT: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.SERVER_ERROR: Reason.PROMETHEUS_UNREACHABLE,
    Unknown.REFUSED: Reason.PROMETHEUS_REFUSED,
    Unknown.SECRET_INVALID: Reason.SECRET_INVALID,
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
    for key in sorted(v.facts.readings):
        reading = v.facts.readings[key]
        if reading.unknown in _STALLING:
            return Obstacle(_STALLING[reading.unknown], _about(key, reading.message), stalled=True)
    if not v.old.complete:
        message = f"old has {v.old.ready} of {v.old.desired} replicas ready"
        return Obstacle(Reason.OLD_NOT_READY, message, stalled=False)
    if v.spec.traffic.replicas is None and not v.new.complete:
        message = f"new has {v.new.ready} of {v.new.desired} replicas ready"
        return Obstacle(Reason.NEW_NOT_READY, message, stalled=False)
    breach = v.breach()
    if breach is not None:
        message = f"a rollback trigger is breached already: {breach.message}"
        return Obstacle(Reason.TRIGGER_ALREADY_BREACHED, message, stalled=False)
    return None


def _about(key: ReadingKey, message: str) -> str:
    return f"metric {key.metric} of {key.side.value.lower()}: {message}"

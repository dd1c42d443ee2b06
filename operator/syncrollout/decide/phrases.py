"""Phrases that several rules and criteria use, so that a person on call reads the same words for the same thing."""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Side
from syncrollout.decide.facts import WorkloadFact

LONGEST: Final = 2048
"""Characters that the status holds for one sentence."""


def clip(text: str, length: int = LONGEST) -> str:
    """At most `length` characters: what comes from outside (an error of Prometheus, say) may be of any length."""
    return text if len(text) <= length else text[: length - 1] + "…"


def one_line(text: str) -> str:
    """Without what cannot be printed, and without breaks."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def person(by: str | None) -> str:
    """Who has asked for something, as the beginning of what is told of it."""
    return by or "a person"


def moment(seconds: float) -> str:
    """A moment as people read it, to the second."""
    return f"{format_time(seconds)[:19]}Z"


def side(spec: SyncRolloutSpec, which: Side) -> str:
    """A side with its workload, such as ``new (Deployment listing-sync-v2)``."""
    system = spec.old if which is Side.OLD else spec.new
    return f"{which.value.lower()} ({system.workload})"


def readiness(spec: SyncRolloutSpec, which: Side, workload: WorkloadFact | None, wanted: int | None = None) -> str:
    """How far a side is from ready, in words; `wanted` where more replicas are needed than it is asked for now."""
    name = side(spec, which)
    if workload is None:
        return f"{name} does not exist"
    if not workload.desired and not wanted:
        return f"{name} is scaled to zero" if workload.scalable else f"{name} is suspended"
    return f"{name} has {workload.ready} of {max(wanted or 0, workload.desired)} replicas ready"

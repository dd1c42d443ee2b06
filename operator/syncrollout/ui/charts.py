"""Which series are drawn beside the criteria of a rollout, and at which moments. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from typing import Final

from syncrollout.api.spec import Metric, Phase, SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Side
from syncrollout.decide.facts import Part
from syncrollout.decide.questions import Question, questions
from syncrollout.observe.queries import fill
from syncrollout.ports import Moments

MOST_SERIES: Final = 24
"""Series of one rollout that are asked for: 16 criteria and as many triggers share few metrics."""
POINTS: Final = 120
"""Points of one series at most: as many as a narrow screen can show."""
SHORTEST: Final = 900.0
"""Seconds that are shown at least."""
LEAST_STEP: Final = 5.0
"""Seconds between two points at least."""
WINDOW: Final = 300.0
"""Seconds over which events are counted where a metric counts them since the phase began and has no window of its own:
a point of a series is of its own time."""
WEIGHT: Final = "weight"
"""What the series of the operator's own metric is called."""


class Stretch(StrEnum):
    """How far back a viewer looks."""

    PHASE = "phase"
    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"


_SECONDS: Final = {Stretch.HOUR: 3600.0, Stretch.SIX_HOURS: 21600.0, Stretch.DAY: 86400.0, Stretch.WEEK: 604800.0}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One series: `name` is a metric of the spec, or WEIGHT."""

    name: str
    side: Side
    metric: Metric | None = None


def phase_of(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> Phase | None:
    """The spec's phase that the status names."""
    named = status.phase.name if status.phase is not None else ""
    return next((phase for phase in spec.phases if phase.name == named), None)


def read_from(spec: SyncRolloutSpec, question: Question) -> str:
    """The metric of the spec that a criterion reads; empty where it goes by something else."""
    known = {metric.name for metric in spec.metrics}
    return question.metric.name if question.metric.name in known else ""


def wanted(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> tuple[Wanted, ...]:
    """The series of a rollout, each once: those of its phase first, as it is judged."""
    found: dict[tuple[str, Side], Wanted] = {}
    for question in questions(spec, phase_of(spec, status)):
        if read_from(spec, question):
            for side in question.sides:
                one = Wanted(question.metric.name, side, question.metric)
                found.setdefault((one.name, side), one)
    return (*list(found.values())[:MOST_SERIES], Wanted(WEIGHT, Side.NEW))


def query(one: Wanted, spec: SyncRolloutSpec, namespace: str, name: str, phase: str) -> str:
    """Its PromQL. Raises QueryError."""
    if one.metric is None:
        # A scrape that does not honour labels calls them exported_*.
        labels = (("namespace", "name"), ("exported_namespace", "exported_name"), ("exported_namespace", "name"))
        return " or ".join(
            f'max(syncrollout_rollout_weight{{{space}="{namespace}",{own}="{name}"}})' for space, own in labels
        )
    system = spec.old if one.side is Side.OLD else spec.new
    part = Part.SHARE if one.metric.confidence is not None else Part.VALUE
    window = WINDOW if one.metric.window is None and one.metric.confidence is not None else None
    return fill(one.metric, system, namespace, phase, part=part, window=window)


def moments(status: SyncRolloutStatus, stretch: Stretch, now: float) -> Moments:
    """The moments that are shown. The last is a multiple of the step, so that viewers share what is asked."""
    end = now
    if stretch is Stretch.PHASE:
        entered = status.phase.entered if status.phase is not None else now
        ended = status.finished if status.finished is not None and not status.in_flight else None
        end = now if ended is None else min(now, ended + SHORTEST / 3)
        span = max(SHORTEST, end - entered + SHORTEST / 3)
    else:
        span = _SECONDS[stretch]
    step = max(LEAST_STEP, float(ceil(span / (POINTS - 1) / LEAST_STEP)) * LEAST_STEP)
    end = floor(end / step) * step
    return Moments(end - (POINTS - 1) * step, end, step)


__all__ = ["POINTS", "WEIGHT", "Stretch", "Wanted", "moments", "phase_of", "query", "read_from", "wanted"]

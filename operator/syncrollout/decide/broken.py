"""The reading that broke, as a small plot of text for the incident report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import CriterionStatus, SyncRolloutStatus
from syncrollout.api.words import Role, Side, Verdict
from syncrollout.decide.facts import SeriesFact
from syncrollout.decide.phrases import clip, moment

POINTS: Final = 72
"""Points of a plot at most."""
LONGEST: Final = 6 * 3600.0
"""Seconds before the decision that it goes back at most."""
BEFORE: Final = 300.0
"""Seconds before the phase that it begins, so that what was usual is in it."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_NOTHING: Final = "·"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The series that is worth showing: of which metric and sides, from when to when, seconds since the epoch."""

    metric: str
    sides: tuple[Side, ...]
    phase: str
    start: float
    end: float
    step: float


def criterion(status: SyncRolloutStatus) -> CriterionStatus | None:
    """The one that sent the rollout back: what its cause quotes, else the first that fails and is no mere goal."""
    cause = status.rollback
    failed = [each for each in status.criteria if each.verdict is Verdict.FAIL and each.role is not Role.SUCCESS]
    quoted = [each for each in failed if cause is not None and each.message and each.message in cause.message]
    return next(iter((*quoted, *failed)), None)


def wanted(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> Wanted | None:
    """What to read; None where nothing broke that is read from Prometheus."""
    found, cause = criterion(status), status.rollback
    if found is None or cause is None or spec.prometheus is None:
        return None
    if found.metric not in {metric.name for metric in spec.metrics}:
        return None
    entered = status.phase.entered if status.phase is not None else cause.decided
    start = max(cause.decided - LONGEST, min(entered, cause.decided) - BEFORE)
    step = max(1.0, round((cause.decided - start) / (POINTS - 1), 3))
    sides = (Side.NEW, Side.OLD) if found.baseline is not None else (Side.NEW,)
    return Wanted(found.metric, sides, cause.from_phase, start, cause.decided, step)


def section(spec: SyncRolloutSpec, status: SyncRolloutStatus, series: tuple[SeriesFact, ...]) -> list[str]:
    """The part of the report; a sentence where there is nothing to show."""
    title = ["## The reading that broke", ""]
    found = criterion(status)
    if found is None:
        return [*title, "No reading broke: see what happened above."]
    asked = wanted(spec, status)
    if asked is None:
        return [*title, f"{found.metric} is not read from a metric of the spec, so there is no series of it."]
    lines = [each for one in series for each in plotted(one)]
    if not lines:
        nothing = "it gave no number at any of these moments" if series else "Prometheus was not asked in time"
        why = next((one.why_not for one in series if one.why_not), nothing)
        return [*title, f"The series of {found.metric} cannot be shown: {clip(why, 400)}"]
    unit = spec.metric(found.metric).unit
    over = f"from {moment(asked.start)} to {moment(asked.end)}, a bar every {format_duration(asked.step)}"
    missing = [f"{one.side.value}: {clip(one.why_not, 400)}" for one in series if one.why_not]
    return [*title, f"{found.metric}{f' ({unit})' if unit else ''} {over}:", "", "```", *lines, "```", *missing]


def plotted(series: SeriesFact) -> list[str]:
    """One line of bars, with its least and greatest; none where nothing is known."""
    known = [value for value in series.values if value is not None]
    if not known:
        return []
    least, greatest = min(known), max(known)
    bars = "".join(_bar(value, least, greatest) for value in series.values[:POINTS])
    numbers = f"least {least:.4g}, greatest {greatest:.4g}, last {known[-1]:.4g}"
    return [f"{series.side.value.lower():<4}{bars}  {numbers}"]


def _bar(value: float | None, least: float, greatest: float) -> str:
    if value is None:
        return _NOTHING
    span = greatest - least
    share = (value - least) / span if 0.0 < span < float("inf") else 0.0
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]


__all__ = ["POINTS", "Wanted", "criterion", "plotted", "section", "wanted"]

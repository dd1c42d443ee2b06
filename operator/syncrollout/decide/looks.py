"""One criterion at one moment: whether its comparison holds, does not, or cannot be said.

A metric with confidence is judged by counts since the phase began (`sequences.py`), any other by what it reads, an
alert by how many of that name, with those labels, fire, new's pods by how many of them are in that trouble, reports of
people by how many are open, a Job by how the last one of its CronJob has ended.

Prometheus' increase() reaches a little beyond the samples it has, up to 1.1 of their spacing at either end, as if more
had been counted. A window holds four samples at least, so that the excess is within 0.55 windows: counts are taken for
the share of the time that is surely covered by samples, and a phase younger than that has none yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import floor, isfinite, isinf
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.words import Role, Side, Unknown
from syncrollout.decide import sequences
from syncrollout.decide.facts import Part, Reading, ReadingKey
from syncrollout.decide.limits import OPERATORS, Look, asked, comparator, read
from syncrollout.decide.questions import Question
from syncrollout.decide.sequences import Counts, Sure
from syncrollout.decide.sources import look_at_alert, look_at_job, look_at_number

EXTRAPOLATED: Final = 0.55
"""Windows by which increase() may reach beyond its samples, both ends together."""
_ROUNDING: Final = 1e-9
_UPWARD: Final = frozenset({"above", "at_least"})


def look(question: Question, readings: Mapping[ReadingKey, Reading], phase_since: float | None) -> Look:
    """The comparison at this moment; `phase_since` is when the weights of the phase stood."""
    if question.alert:
        return look_at_alert(question, readings)
    if question.pods or question.reports is not None:
        return look_at_number(question, readings)
    if question.job or question.run:
        return look_at_job(question, readings, phase_since)
    if question.metric.confidence is None:
        few = _too_few(question, readings)
        events = read(question, readings, Side.NEW, Part.EVENTS).value
        seen = replace(_look_at_values(question, readings) if few is None else few, events=events)
    else:
        seen = _look_at_counts(question, readings, phase_since, question.metric.confidence)
    silent = next((late for side in question.sides if (late := _silent(question, readings, side)) is not None), None)
    if silent is None:
        return seen
    breached = seen.holds is True and question.role is not Role.SUCCESS
    # A breach that is seen is not kept waiting by a question that was not answered.
    return seen if breached and silent.unknown is not Unknown.STALE else silent


def _named(question: Question, side: Side) -> str:
    return question.metric.name if side is Side.NEW else f"{question.metric.name} of old"


_NOT_KNOWN: Final = frozenset(
    {
        Unknown.QUERY_INVALID,
        Unknown.TIMEOUT,
        Unknown.UNREACHABLE,
        Unknown.REFUSED,
        Unknown.DESTINATION_REFUSED,
        Unknown.SERVER_ERROR,
        Unknown.SECRET_INVALID,
        Unknown.NOT_ASKED,
    }
)
"""Of whether a source speaks: Prometheus has said nothing about it."""


def _silent(question: Question, readings: Mapping[ReadingKey, Reading], side: Side) -> Look | None:
    """Whether the metric's source has stopped, or that is not known. Any answer is a sign of life; what kind is judged
    elsewhere, and so is a metric that reads nothing at all."""
    within = question.metric.fresh_within
    if within is None:
        return None
    fresh, counted = (read(question, readings, side, part) for part in (Part.FRESH, Part.COUNT))
    young = counted.span is not None and counted.span.seconds < within
    reads_nothing = question.metric.confidence is None and read(question, readings, side).value is None
    if young or reads_nothing:
        return None
    if fresh.unknown is Unknown.NO_DATA:
        text = (
            f"{_named(question, side)}: its source has stopped, nothing was seen in the last "
            f"{format_duration(within)}; check that it is scraped ({fresh.message})"
        )
        return Look(None, text, Unknown.STALE, of_old=side is Side.OLD)
    if fresh.unknown in _NOT_KNOWN:
        text = f"{_named(question, side)}: whether its source still speaks is not known: {fresh.message}"
        return Look(None, text, fresh.unknown, of_old=side is Side.OLD)
    return None


# ---- whether there were events enough ----


def _too_few(question: Question, readings: Mapping[ReadingKey, Reading]) -> Look | None:
    """Whether a share of so few events says nothing yet. A source that counts nothing at all is missing data."""
    if question.comparison.min_samples is None:
        return None
    for side in question.sides:
        counted = read(question, readings, side, Part.EVENTS)
        if counted.value is None:
            text = f"{_named(question, side)}: {counted.message}"
            return Look(None, text, counted.unknown, of_old=side is Side.OLD)
        if counted.value < question.comparison.min_samples:
            within = f" in {format_duration(question.metric.window)}" if question.metric.window is not None else ""
            return _fewer(question, side, counted.value, within)
    return None


def _fewer(question: Question, side: Side, events: float, when: str) -> Look:
    needed = question.comparison.min_samples or 0
    text = f"{_named(question, side)}: {floor(events)} of {needed} events{when}, too few to judge by"
    return Look(None, text, Unknown.TOO_FEW)


# ---- what it reads now ----


def _look_at_values(question: Question, readings: Mapping[ReadingKey, Reading]) -> Look:
    name, unit = question.metric.name, question.metric.unit
    field, number = comparator(question)
    new = read(question, readings, Side.NEW)
    if new.value is None:
        return Look(None, f"{name}: {new.message}", new.unknown)
    if not question.comparison.relative_to:
        holds = OPERATORS[field](new.value, number)
        text = f"{name} reads {_reads(new, unit)}, {asked(question, holds)}"
        return Look(holds, text, reading=new.value, threshold=number)
    old = read(question, readings, Side.OLD)
    if old.value is None:
        return Look(None, f"{name} of old: {old.message}", old.unknown, reading=new.value, of_old=True)
    if old.value <= 0:
        text = (
            f"{name} of old reads {_number(old.value, unit)}: a multiple of it is no limit; "
            "if that lasts, give the criterion a limit of its own without relativeTo"
        )
        return Look(None, text, Unknown.BASELINE_ZERO, reading=new.value, baseline=old.value)
    threshold = number * old.value
    if not isfinite(threshold):
        text = f"{name} of old reads {_number(old.value, unit)}: {number:g} times that is no finite number"
        return Look(None, text, Unknown.INFINITE, reading=new.value, baseline=old.value)
    holds = OPERATORS[field](new.value, threshold)
    text = f"{name} reads {_reads(new, unit)}, old {_reads(old, unit)}, {asked(question, holds)}"
    return Look(holds, text, reading=new.value, baseline=old.value, threshold=threshold)


def _reads(reading: Reading, unit: str) -> str:
    made_of = f" ({reading.made_of})" if reading.made_of else ""
    return f"{_number(reading.value or 0.0, unit)}{made_of}"


def _number(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".rstrip()


# ---- what was counted since the phase began ----


def _look_at_counts(
    question: Question, readings: Mapping[ReadingKey, Reading], phase_since: float | None, confidence: float
) -> Look:
    name, unit, scale = question.metric.name, question.metric.unit, question.metric.scale
    field, number = comparator(question)
    counted = _counts(question, readings, Side.NEW, phase_since)
    if isinstance(counted, Look):
        return counted
    new, reads = counted
    needed = question.comparison.min_samples or 0
    if new.events < needed:
        few = _fewer(question, Side.NEW, new.events, " since the phase began")
        return replace(few, reading=reads, events=new.events)
    seen = Look(None, "", reading=reads, events=new.events, threshold=number)
    text = f"{name} reads {_number(reads, unit)} of {_events(new)}"
    if not question.comparison.relative_to:
        sure = sequences.share(new, number / scale, confidence)
        lowest, highest = (bound * scale for bound in sequences.share_interval(new, confidence))
        between = f"{lowest:.3g} to {highest:.3g} {unit}".rstrip()
    else:
        counted = _counts(question, readings, Side.OLD, phase_since)
        if isinstance(counted, Look):
            return replace(counted, reading=reads, events=new.events, of_old=True)
        old, baseline = counted
        if old.events < needed:
            few = _fewer(question, Side.OLD, old.events, " since the phase began")
            return replace(few, reading=reads, baseline=baseline, events=new.events)
        sure = sequences.ratio(new, old, number, confidence)
        lowest, highest = sequences.ratio_interval(new, old, confidence)
        seen = replace(seen, baseline=baseline, threshold=number * baseline)
        text += f", old {_number(baseline, unit)} of {_events(old)}"
        between = f"{lowest:.3g} to {highest:.3g} times old" if _told(highest) else f"over {lowest:.3g} times old"
    seen = replace(seen, lowest=lowest, highest=highest if _told(highest) else None)
    text += f", for {confidence:g} % sure {between}"
    if sure is Sure.OPEN:
        limit = asked(question, None)
        return replace(seen, unknown=Unknown.UNDECIDED, message=f"{text}, {limit}: too close to tell, more is counted")
    holds = (sure is Sure.ABOVE) == (field in _UPWARD)
    return replace(seen, holds=holds, message=f"{text}, {asked(question, holds)}")


def _counts(
    question: Question, readings: Mapping[ReadingKey, Reading], side: Side, phase_since: float | None
) -> tuple[Counts, float] | Look:
    """The events of one side that count, and what the ratio reads of all of them; or why there are none."""
    name, window = _named(question, side), question.metric.window or 0.0
    quotient, number = (read(question, readings, side, part) for part in (Part.SHARE, Part.COUNT))
    span = number.span
    if span is None or quotient.span != span:
        missing = quotient if quotient.value is None else number
        return Look(None, f"{name}: {missing.message or 'not counted yet'}", missing.unknown or Unknown.NOT_ASKED)
    if phase_since is not None and span.since < round(phase_since + question.counts_after, 3):
        return Look(None, f"{name}: what was counted is older than the phase", Unknown.SETTLING)
    covered = span.seconds - EXTRAPOLATED * window
    lacking = next((reading for reading in (number, quotient) if reading.value is None), None)
    if covered <= 0.0 or (lacking is not None and span.seconds < window and lacking.unknown in _NOTHING):
        text = f"{name}: counted for {format_duration(span.seconds)} only, which is too short to tell"
        return Look(None, text, Unknown.SETTLING)
    if number.value is None or quotient.value is None:
        assert lacking is not None
        return Look(None, f"{name}: {lacking.message}", lacking.unknown)
    share = quotient.value / question.metric.scale
    if not -_ROUNDING <= share <= 1.0 + _ROUNDING or number.value <= 0.0:
        text = (
            f"{name} reads {_number(quotient.value, question.metric.unit)} of {number.value:.6g} events, which is no "
            "share of events: check that what ratio.of counts is among what ratio.over counts"
        )
        return Look(None, text, Unknown.NOT_A_SHARE, reading=quotient.value)
    counts = Counts(min(1.0, max(0.0, share)) * number.value, number.value)
    return counts.scaled(covered / span.seconds), quotient.value


_NOTHING: Final = frozenset({Unknown.NO_DATA, Unknown.NOT_A_NUMBER})
_MOST_TOLD: Final = 1000.0


def _told(bound: float) -> bool:
    """While old has next to no failures there is no telling how many times as many new has."""
    return not isinf(bound) and bound <= _MOST_TOLD


def _events(counts: Counts) -> str:
    return f"{counts.events:.0f} events"

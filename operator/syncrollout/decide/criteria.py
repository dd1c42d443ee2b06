"""Judging: readings held against limits, three verdicts.

Pass and Fail need a finite reading. Everything else is Unknown, which holds a phase and neither passes nor fails it.
A success criterion is Pass while its comparison holds; a rollback criterion (of a phase, or a trigger) is Fail while
its comparison holds. With ``for``, a comparison counts once it has held that long without a break: an Unknown breaks
it for success, but not for rollback, so that a gap in the data never makes a bad system look better.

An alert is a reading of its own: how many of that name, with those labels, fire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from operator import ge, gt, le, lt
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Limit, Metric, Phase, SyncRolloutSpec, Trigger
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Health, Role, Severity, Side, Unknown, Verdict
from syncrollout.decide import verify
from syncrollout.decide.facts import Reading, ReadingKey
from syncrollout.decide.phrases import clip

NOT_BLIND = frozenset({Unknown.SETTLING, Unknown.NOT_YET, Unknown.NOT_ASKED, Unknown.OLD_STOPPED})
"""Unknown for want of time, not for want of data."""

LONGEST_LIMIT: Final = 100
LONGEST_MESSAGE: Final = 400
"""Characters kept of a criterion's message: it may carry an error of Prometheus, and there are up to 64 of them."""


@dataclass(frozen=True, slots=True)
class Question:
    """One criterion with all that is needed to judge it."""

    id: str
    role: Role
    comparison: Limit
    metric: Metric
    respite: float = 0.0
    """Seconds for which rollbackOn is not judged yet, for what it reads still speaks of the phase that was left."""

    @property
    def alert(self) -> str:
        """The alert that may not fire; empty where a metric is held against a limit."""
        return (self.comparison.alert or "") if isinstance(self.comparison, Trigger) else ""

    @property
    def keys(self) -> tuple[ReadingKey, ...]:
        """The readings that it needs."""
        new = ReadingKey(self.metric.name)
        return (new, ReadingKey(self.metric.name, Side.OLD)) if self.comparison.relative_to else (new,)

    @property
    def severity(self) -> Severity | None:
        """Of a trigger: how grave it is."""
        return self.comparison.severity if isinstance(self.comparison, Trigger) else None

    @property
    def settle(self) -> float:
        """Seconds after the phase began in which it is not judged.

        Success looks only at data of the phase itself. For going back, old bad data is still bad: a breach is seen
        at once unless the criterion asks for time.
        """
        if self.comparison.settle is not None:
            return self.comparison.settle
        window = self.metric.window or 0.0
        if self.role is Role.ROLLBACK_ON and self.respite:
            return max(window, self.respite)
        return window if self.role is Role.SUCCESS else 0.0


def questions(spec: SyncRolloutSpec, phase: Phase | None, *, respite: float = 0.0) -> tuple[Question, ...]:
    """The criteria that are judged in a phase: its own, and the triggers; without a phase the triggers alone.
    `respite`: see Question."""
    return tuple(_questions(spec, phase, respite))


def _questions(spec: SyncRolloutSpec, phase: Phase | None, respite: float) -> Iterator[Question]:
    groups: list[tuple[Role, str, Iterable[Limit]]] = []
    if phase is not None:
        groups.append((Role.SUCCESS, f"{phase.name}/success", phase.success))
        groups.append((Role.ROLLBACK_ON, f"{phase.name}/rollbackOn", phase.rollback_on))
    groups.append((Role.TRIGGER, "trigger", spec.rollback.triggers))
    for role, prefix, comparisons in groups:
        for number, comparison in enumerate(comparisons):
            yield Question(
                id=f"{prefix}/{number}/{comparison.name}",
                role=role,
                comparison=comparison,
                metric=spec.metric(comparison.source),
                respite=respite,
            )


def all_readings(spec: SyncRolloutSpec) -> frozenset[ReadingKey]:
    """Every reading that any phase or trigger will ever need: preflight asks for all of them once."""
    keys = {key for phase in spec.phases for question in questions(spec, phase) for key in question.keys}
    return frozenset(keys | {ReadingKey(metric.name) for metric in spec.metrics} | verify.readings(spec))


def phase_readings(spec: SyncRolloutSpec, phase: Phase | None) -> frozenset[ReadingKey]:
    """The readings that the current phase needs."""
    keys = {key for question in questions(spec, phase) for key in question.keys}
    return frozenset(keys | (verify.readings(spec) if phase is not None and verify.verified(spec, phase) else set()))


_OPERATORS = {"above": gt, "below": lt, "at_least": ge, "at_most": le}
_WORDS = {"above": "above", "below": "below", "at_least": "at least", "at_most": "at most"}


def _comparator(comparison: Limit) -> tuple[str, float]:
    for field in _OPERATORS:
        number = getattr(comparison, field)
        if number is not None:
            return field, float(number)
    msg = f"the criterion on {comparison.source} has no limit: give one of above, below, atLeast and atMost"
    raise ValueError(msg)


def describe(question: Question) -> str:
    """The limit in words, such as ``below 1 percent``, ``at least 2 times old`` or ``firing with severity=page``."""
    if isinstance(question.comparison, Trigger) and question.comparison.alert:
        labels = ", ".join(f"{label}={value}" for label, value in sorted(question.comparison.match.items()))
        return clip(f"firing with {labels}", LONGEST_LIMIT) if labels else "firing"
    field, number = _comparator(question.comparison)
    if question.comparison.relative_to:
        return f"{_WORDS[field]} {number:g} times old"
    return f"{_WORDS[field]} {number:g} {question.metric.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class _Look:
    """One comparison at one moment: `holds` is None where it cannot be said."""

    holds: bool | None
    message: str
    unknown: Unknown | None = None
    reading: float | None = None
    baseline: float | None = None
    threshold: float | None = None


def judge(
    question: Question,
    readings: Mapping[ReadingKey, Reading],
    previous: CriterionStatus | None,
    now: float,
    phase_since: float | None,
) -> CriterionStatus:
    """The verdict now. `previous` is the same criterion as last judged; `phase_since` is when the weights stood."""
    limit = describe(question)
    if previous is not None and previous.limit != limit:
        previous = None  # the spec was edited: what held against the old limit says nothing about the new one
    look = _look(question, readings)
    settling = _settling(question, now, phase_since)
    if settling:
        look = _Look(None, settling, Unknown.SETTLING, look.reading, look.baseline, look.threshold)
    held_since = _held_since(question, look, previous, now)
    verdict, unknown, message = _verdict(question, look, held_since, now)
    same = previous is not None and previous.verdict is verdict and _blind(previous.unknown) == _blind(unknown)
    return CriterionStatus(
        id=question.id,
        role=question.role,
        severity=question.severity,
        metric=question.comparison.name,
        limit=limit,
        verdict=verdict,
        reading=look.reading,
        baseline=look.baseline,
        threshold=look.threshold,
        unknown=unknown,
        message=clip(message, LONGEST_MESSAGE),
        since=previous.since if previous is not None and same else now,
        held_since=held_since,
        told=previous.told if previous is not None else None,
    )


def _settling(question: Question, now: float, phase_since: float | None) -> str:
    if not question.settle and (question.role is not Role.SUCCESS or phase_since is not None):
        return ""
    if phase_since is None:
        return "not judged before the weights of the phase stand"
    if now < round(phase_since + question.settle, 3):
        return f"data older than the phase is not judged: settles for {format_duration(question.settle)}"
    return ""


def _look(question: Question, readings: Mapping[ReadingKey, Reading]) -> _Look:
    if question.alert:
        return _alert(question, readings)
    name, unit = question.metric.name, question.metric.unit
    field, number = _comparator(question.comparison)
    new = readings.get(ReadingKey(name), Reading(None, Unknown.NOT_ASKED, "not asked yet"))
    if new.value is None:
        return _Look(None, f"{name}: {new.message}", new.unknown)
    if not question.comparison.relative_to:
        holds = _OPERATORS[field](new.value, number)
        text = f"{name} reads {_number(new.value, unit)}, {_asked(question, holds)}"
        return _Look(holds, text, reading=new.value, threshold=number)
    old = readings.get(ReadingKey(name, Side.OLD), Reading(None, Unknown.NOT_ASKED, "not asked yet"))
    if old.value is None:
        return _Look(None, f"{name} of old: {old.message}", old.unknown, reading=new.value)
    if old.value <= 0:
        text = (
            f"{name} of old reads {_number(old.value, unit)}: a multiple of it is no limit; "
            "if that lasts, give the criterion a limit of its own without relativeTo"
        )
        return _Look(None, text, Unknown.BASELINE_ZERO, reading=new.value, baseline=old.value)
    threshold = number * old.value
    if not isfinite(threshold):
        text = f"{name} of old reads {_number(old.value, unit)}: {number:g} times that is no finite number"
        return _Look(None, text, Unknown.INFINITE, reading=new.value, baseline=old.value)
    holds = _OPERATORS[field](new.value, threshold)
    text = f"{name} reads {_number(new.value, unit)}, old {_number(old.value, unit)}, {_asked(question, holds)}"
    return _Look(holds, text, reading=new.value, baseline=old.value, threshold=threshold)


def _alert(question: Question, readings: Mapping[ReadingKey, Reading]) -> _Look:
    firing = readings.get(ReadingKey(question.metric.name), Reading(None, Unknown.NOT_ASKED, "not asked yet"))
    if firing.value is None:
        return _Look(None, f"alert {question.alert}: {firing.message}", firing.unknown)
    if firing.value <= 0 and firing.message:
        # Prometheus warns that its answer is not whole: the alert may be in what is missing.
        return _Look(None, f"alert {question.alert} is not seen to fire, but {firing.message}", Unknown.NO_DATA)
    if firing.value <= 0:
        return _Look(False, f"alert {question.alert} does not fire, goes back when it does", reading=firing.value)
    counted = "it fires" if firing.value == 1 else f"{firing.value:.0f} of that name fire"
    more = f", {firing.message}" if firing.message else ""
    return _Look(True, f"alert {question.alert}: {counted}{more}", reading=firing.value)


def _asked(question: Question, holds: bool) -> str:
    """The limit as a person reads it beside the reading: what success asks for, or what sends the rollout back."""
    if question.role is Role.SUCCESS:
        return f"has to be {describe(question)}"
    return f"which is {describe(question)}" if holds else f"goes back when {describe(question)}"


def _number(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".rstrip()


def _held_since(question: Question, look: _Look, previous: CriterionStatus | None, now: float) -> float | None:
    before = previous.held_since if previous is not None else None
    if look.holds is None:
        # While it settles nothing is judged, so nothing from before counts either.
        return None if question.role is Role.SUCCESS or look.unknown is Unknown.SETTLING else before
    if not look.holds:
        return None
    return before if before is not None else now


def _verdict(
    question: Question, look: _Look, held_since: float | None, now: float
) -> tuple[Verdict, Unknown | None, str]:
    if look.holds is None:
        return Verdict.UNKNOWN, look.unknown, look.message
    wanted, other = (Verdict.PASS, Verdict.FAIL) if question.role is Role.SUCCESS else (Verdict.FAIL, Verdict.PASS)
    if not look.holds:
        return other, None, look.message
    held = round(now - held_since, 3) if held_since is not None else 0.0
    if held < question.comparison.for_:
        text = f"{look.message}: so for {format_duration(held)} of {format_duration(question.comparison.for_)}"
        return Verdict.UNKNOWN, Unknown.NOT_YET, text
    return wanted, None, look.message


def _blind(unknown: Unknown | None) -> bool:
    return unknown is not None and unknown not in NOT_BLIND


def without_old(criterion: CriterionStatus, previous: CriterionStatus | None, now: float) -> CriterionStatus:
    """A limit relative to old, once the operator has stopped old: there is nothing to hold it against, and no data to
    wait for. It is said in the status, and holds nothing."""
    known = previous is not None and previous.unknown is Unknown.OLD_STOPPED
    return criterion.model_copy(
        update={
            "verdict": Verdict.UNKNOWN,
            "unknown": Unknown.OLD_STOPPED,
            "message": f"{criterion.metric} is not judged any more: its limit is relative to old, which is stopped",
            "baseline": None,
            "threshold": None,
            "since": previous.since if previous is not None and known else now,
            "held_since": None,
        }
    )


def is_blind(criterion: CriterionStatus) -> bool:
    """Unknown because the data is missing or unusable, not because it is too early."""
    return _blind(criterion.unknown)


def next_change(question: Question, criterion: CriterionStatus, phase_since: float | None) -> float | None:
    """When the verdict could change by the clock alone: the end of settling, or of ``for``."""
    if criterion.unknown is Unknown.SETTLING and phase_since is not None:
        return round(phase_since + question.settle, 3)
    if criterion.unknown is Unknown.NOT_YET and criterion.held_since is not None:
        return round(criterion.held_since + question.comparison.for_, 3)
    return None


def health(criteria: Iterable[CriterionStatus]) -> Health | None:
    """The worst of all verdicts in one word; None where nothing is judged."""
    verdicts = {criterion.verdict for criterion in criteria if criterion.unknown is not Unknown.OLD_STOPPED}
    if not verdicts:
        return None
    if Verdict.FAIL in verdicts:
        return Health.FAILING
    return Health.UNKNOWN if Verdict.UNKNOWN in verdicts else Health.HEALTHY

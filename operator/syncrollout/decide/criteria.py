"""Judging: readings held against limits, three verdicts.

Pass and Fail need a finite reading. Everything else is Unknown, which holds a phase and neither passes nor fails it.
A success criterion is Pass while its comparison holds; a rollback criterion (of a phase, or a trigger) is Fail while
its comparison holds. With ``for``, a comparison counts once it has held that long without a break: an Unknown breaks
it for success, but not for rollback, so that a gap in the data never makes a bad system look better.

An alert is a reading of its own: how many of that name, with those labels, fire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Health, Role, Unknown, Verdict
from syncrollout.decide import no_data
from syncrollout.decide.facts import Reading, ReadingKey
from syncrollout.decide.limits import Look, describe
from syncrollout.decide.looks import look
from syncrollout.decide.phrases import clip
from syncrollout.decide.questions import Question, all_readings, counted_since, phase_readings, questions

PASSED_OVER = frozenset({Unknown.OLD_STOPPED, Unknown.IGNORED})
"""Unknown, and nothing waits for it."""
NOT_BLIND = PASSED_OVER | {
    Unknown.SETTLING,
    Unknown.NOT_YET,
    Unknown.UNDECIDED,
    Unknown.TOO_FEW,
    Unknown.NOT_ASKED,
    Unknown.NO_JOB_YET,
}
"""Unknown for want of time or of events, not for want of data."""

LONGEST_MESSAGE: Final = 400
"""Characters kept of a criterion's message: it may carry an error of Prometheus, and there are up to 64 of them."""


def _limit(question: Question) -> str:
    sure = question.metric.confidence
    return describe(question) if sure is None else f"{describe(question)}, {sure:g} % sure"


def judge(
    question: Question,
    readings: Mapping[ReadingKey, Reading],
    previous: CriterionStatus | None,
    now: float,
    phase_since: float | None,
) -> CriterionStatus:
    """The verdict now. `previous` is the same criterion as last judged; `phase_since` is when the weights stood."""
    limit = _limit(question)
    if previous is not None and previous.limit != limit:
        previous = None  # the spec was edited: what held against the old limit says nothing about the new one
    seen = look(question, readings, phase_since)
    settling = _settling(question, now, phase_since)
    if settling:
        seen = replace(seen, holds=None, message=settling, unknown=Unknown.SETTLING)
    held_since = _held_since(question, seen, previous, now)
    verdict, unknown, message = _verdict(question, seen, held_since, now)
    lacking = no_data.since(question, seen, previous, now, phase_since)
    counted = no_data.counts(question, seen, previous, lacking, now)
    if counted is not None:
        verdict, unknown, message = counted
    same = previous is not None and previous.verdict is verdict and _blind(previous.unknown) == _blind(unknown)
    return CriterionStatus(
        id=question.id,
        role=question.role,
        severity=question.severity,
        metric=question.comparison.name,
        limit=limit,
        verdict=verdict,
        reading=seen.reading,
        baseline=seen.baseline,
        threshold=seen.threshold,
        events=seen.events,
        lowest=seen.lowest,
        highest=seen.highest,
        unknown=unknown,
        message=clip(message, LONGEST_MESSAGE),
        since=previous.since if previous is not None and same else now,
        lacking_since=lacking,
        last=no_data.last(question, verdict, previous),
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


def _held_since(question: Question, seen: Look, previous: CriterionStatus | None, now: float) -> float | None:
    before = previous.held_since if previous is not None else None
    if seen.holds is None:
        # While it settles nothing is judged, so nothing from before counts either.
        return None if question.role is Role.SUCCESS or seen.unknown is Unknown.SETTLING else before
    if not seen.holds:
        return None
    return before if before is not None else now


def _verdict(
    question: Question, seen: Look, held_since: float | None, now: float
) -> tuple[Verdict, Unknown | None, str]:
    if seen.holds is None:
        return Verdict.UNKNOWN, seen.unknown, seen.message
    wanted, other = (Verdict.PASS, Verdict.FAIL) if question.role is Role.SUCCESS else (Verdict.FAIL, Verdict.PASS)
    if not seen.holds:
        return other, None, seen.message
    held = round(now - held_since, 3) if held_since is not None else 0.0
    if held < question.comparison.for_:
        text = f"{seen.message}: so for {format_duration(held)} of {format_duration(question.comparison.for_)}"
        return Verdict.UNKNOWN, Unknown.NOT_YET, text
    return wanted, None, seen.message


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
            "lowest": None,
            "highest": None,
            "since": previous.since if previous is not None and known else now,
            "held_since": None,
            "lacking_since": None,
        }
    )


def is_blind(criterion: CriterionStatus) -> bool:
    """Unknown because the data is missing or unusable, not because it is too early."""
    return criterion.verdict is Verdict.UNKNOWN and _blind(criterion.unknown)


def speaks_against(criterion: CriterionStatus) -> bool:
    """A criterion of the phase that is breached: of rollbackOn, or of success where it has no data and is to go back
    for that."""
    if criterion.verdict is not Verdict.FAIL:
        return False
    return criterion.role is Role.ROLLBACK_ON or (criterion.role is Role.SUCCESS and criterion.unknown is not None)


def holds_nothing(criterion: CriterionStatus) -> bool:
    """Unknown, and no reason to wait: what is passed over, or would go back by a Job that has not run yet."""
    if criterion.unknown is Unknown.NO_JOB_YET:
        return criterion.role is not Role.SUCCESS
    return criterion.unknown in PASSED_OVER


def next_change(question: Question, criterion: CriterionStatus, phase_since: float | None) -> float | None:
    """When the verdict could change by the clock alone: the end of settling, of ``for``, or of the patience without
    data."""
    if criterion.unknown is Unknown.SETTLING and phase_since is not None:
        return round(phase_since + question.settle, 3)
    if criterion.unknown is Unknown.NOT_YET and criterion.held_since is not None:
        return round(criterion.held_since + question.comparison.for_, 3)
    return no_data.ends(question, criterion)


def health(criteria: Iterable[CriterionStatus]) -> Health | None:
    """The worst of all verdicts in one word; None where nothing is judged."""
    verdicts = {criterion.verdict for criterion in criteria if not holds_nothing(criterion)}
    if not verdicts:
        return None
    if Verdict.FAIL in verdicts:
        return Health.FAILING
    return Health.UNKNOWN if Verdict.UNKNOWN in verdicts else Health.HEALTHY


__all__ = [
    "NOT_BLIND",
    "PASSED_OVER",
    "Question",
    "all_readings",
    "counted_since",
    "describe",
    "health",
    "holds_nothing",
    "is_blind",
    "judge",
    "next_change",
    "phase_readings",
    "questions",
    "speaks_against",
    "without_old",
]

"""What a criterion does for want of data, where its `onNoData` says so.

Theory of operation. Unknown holds a phase, and a person decides in the end; that is `Hold`, and nothing of it is here.
The two others wait for a hiccup to be over, and each counts only what it can answer for:

- `Rollback` counts data of new that is missing or is no number. A Prometheus that does not answer says nothing about
  new, and all rollouts that ask it would go back at once: that counts after two minutes at the earliest, which a
  restart does not take. It counts once the weights of the phase have stood for the metric's window, for before that
  there is nothing that new could have been counted by. A `for` that is longer than the patience is waited for as well.
- `Ignore` counts data of either side that is not there. It never makes a bad system look better: what last read spoke
  against new, or was on the way to it, is waited for until it can be read again.

What a person has to mend (a query that is wrong, a password, a right), and old at zero, which is data, hold whatever
`onNoData` says.
"""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import OnNoData
from syncrollout.api.status import CriterionStatus
from syncrollout.api.words import Role, Unknown, Verdict
from syncrollout.decide.limits import Look
from syncrollout.decide.questions import Question

MISSING: Final = frozenset({Unknown.NO_DATA, Unknown.NOT_A_NUMBER, Unknown.STALE})
"""Prometheus answers, and there is nothing to judge by."""
UNUSABLE: Final = MISSING | {Unknown.INFINITE, Unknown.MANY_SERIES, Unknown.NOT_A_SHARE}
"""Prometheus answers, and not with one number that could be judged."""
UNANSWERED: Final = frozenset({Unknown.TIMEOUT, Unknown.UNREACHABLE, Unknown.SERVER_ERROR})
"""Prometheus does not answer."""
UNANSWERED_FOR: Final = 120.0
"""Seconds for which Prometheus may not answer before that counts as a breach."""


def _kinds(question: Question, unknown: Unknown | None, *, of_old: bool = False) -> frozenset[Unknown]:
    """The kinds of Unknown that count together with this one; none where it does not count."""
    match question.comparison.on_no_data:
        case OnNoData.ROLLBACK if not of_old:
            kinds = (UNUSABLE | UNANSWERED,) if question.alert else (UNUSABLE, UNANSWERED)
            return next((each for each in kinds if unknown in each), frozenset())
        case OnNoData.IGNORE if unknown in MISSING or unknown is Unknown.IGNORED:
            return MISSING | {Unknown.IGNORED}
        case _:
            return frozenset()


def since(
    question: Question, seen: Look, previous: CriterionStatus | None, now: float, phase_since: float | None
) -> float | None:
    """Since when there is no data of a kind that counts; None where there is, or where that does not count."""
    kinds = _kinds(question, seen.unknown, of_old=seen.of_old)
    if not kinds or (question.comparison.on_no_data is OnNoData.ROLLBACK and _too_young(question, now, phase_since)):
        return None
    known = previous is not None and previous.unknown in kinds
    return previous.lacking_since if previous is not None and known and previous.lacking_since is not None else now


def _too_young(question: Question, now: float, phase_since: float | None) -> bool:
    settle = question.comparison.settle
    wait = max(question.settle, question.metric.window or 0.0) if settle is None else settle
    return phase_since is None or now < round(phase_since + wait, 3)


def _patience(question: Question, unknown: Unknown | None) -> float:
    if question.comparison.on_no_data is OnNoData.IGNORE:
        return question.patience
    # Whether an alert fires is always answered, unless some part of Prometheus is away.
    least = UNANSWERED_FOR if question.alert or unknown in UNANSWERED else 0.0
    return max(question.patience, question.comparison.for_, least)


def last(question: Question, verdict: Verdict, previous: CriterionStatus | None) -> Verdict | None:
    """What it said when there was data, where that is to be known."""
    if question.comparison.on_no_data is not OnNoData.IGNORE:
        return None
    if verdict is not Verdict.UNKNOWN:
        return verdict
    return previous.last if previous is not None else None


def counts(
    question: Question, seen: Look, previous: CriterionStatus | None, lacking: float | None, now: float
) -> tuple[Verdict, Unknown | None, str] | None:
    """The verdict for want of data, why, and in words; None where the one without it stands."""
    if lacking is None or now < round(lacking + _patience(question, seen.unknown), 3):
        return None
    lasts = format_duration(round(now - lacking, 3))
    if question.comparison.on_no_data is OnNoData.ROLLBACK:
        text = f"no data for {lasts} counts as a breach (onNoData: Rollback): {seen.message}"
        return Verdict.FAIL, seen.unknown, text
    if previous is not None and _spoke_against(question, previous):
        return None
    return Verdict.UNKNOWN, Unknown.IGNORED, f"ignored without data, for {lasts} (onNoData: Ignore): {seen.message}"


def _spoke_against(question: Question, previous: CriterionStatus) -> bool:
    running_up = question.role is not Role.SUCCESS and previous.held_since is not None
    return previous.last is Verdict.FAIL or running_up


def ends(question: Question, criterion: CriterionStatus) -> float | None:
    """When a criterion without data is judged otherwise by the clock alone."""
    if criterion.lacking_since is None or criterion.verdict is Verdict.FAIL or criterion.unknown is Unknown.IGNORED:
        return None
    return round(criterion.lacking_since + _patience(question, criterion.unknown), 3)


__all__ = ["counts", "ends", "last", "since"]

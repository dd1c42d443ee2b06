"""One look at what is no metric: an alert, new's pods, reports of people, a Job of a CronJob."""

from __future__ import annotations

from collections.abc import Mapping

from syncrollout.api.words import Role, Side, Unknown
from syncrollout.decide.facts import Reading, ReadingKey
from syncrollout.decide.limits import OPERATORS, Look, asked, comparator, read
from syncrollout.decide.questions import Question


def look_at_alert(question: Question, readings: Mapping[ReadingKey, Reading]) -> Look:
    """Whether it fires."""
    firing = read(question, readings, Side.NEW)
    if firing.value is None:
        return Look(None, f"alert {question.alert}: {firing.message}", firing.unknown)
    if firing.value <= 0 and firing.message:
        # Prometheus warns that its answer is not whole: the alert may be in what is missing.
        return Look(None, f"alert {question.alert} is not seen to fire, but {firing.message}", Unknown.NO_DATA)
    if firing.value <= 0:
        return Look(False, f"alert {question.alert} does not fire, goes back when it does", reading=firing.value)
    counted = "it fires" if firing.value == 1 else f"{firing.value:.0f} of that name fire"
    more = f", {firing.message}" if firing.message else ""
    return Look(True, f"alert {question.alert}: {counted}{more}", reading=firing.value)


def look_at_number(question: Question, readings: Mapping[ReadingKey, Reading]) -> Look:
    """How many of them are counted: pods in some trouble, or reports that are open."""
    field, number = comparator(question)
    counted = read(question, readings, Side.NEW)
    if counted.value is None:
        return Look(None, f"{question.metric.name}: {counted.message}", counted.unknown)
    holds = OPERATORS[field](counted.value, number)
    text = f"{counted.message}, {asked(question, holds)}"
    return Look(holds, text, reading=counted.value, threshold=number)


def look_at_job(question: Question, readings: Mapping[ReadingKey, Reading], phase_since: float | None) -> Look:
    """How the last Job of its CronJob has ended; of success one of the phase."""
    last = read(question, readings, Side.NEW)
    if last.value is None or last.span is None:
        return Look(None, last.message, last.unknown)
    failed = last.value > 0
    if question.role is not Role.SUCCESS:
        return Look(failed, last.message if failed else f"{last.message}, goes back when one fails", reading=last.value)
    # In whole seconds, cut off: one of the second in which the phase began may be what the phase before has waited for.
    if phase_since is None or last.span.since < phase_since:
        text = f"no Job of CronJob {question.job} has finished since the phase began; the last: {last.message}"
        return Look(None, text, Unknown.NO_JOB_YET, reading=last.value)
    return Look(not failed, last.message if not failed else f"{last.message}; one has to end well", reading=last.value)


__all__ = ["look_at_alert", "look_at_job", "look_at_number"]

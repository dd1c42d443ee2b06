"""A rollout carried out on what was recorded: the operator's own `decide`, look after look, with time that jumps.

A decision rests on the verdicts of its criteria and on the clock. `Decision.next_due` says when the clock alone changes
something; and where every criterion is judged as at the last decision, another would say the same. So between two
changes nothing is decided: each look costs what it takes to see that no verdict has changed. Of a criterion on one
reading even that is known without judging: comparisons are monotone, so a reading between two that were judged alike is
judged like them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncrollout.api.spec import Phase, SyncRolloutSpec
from syncrollout.api.status import CriterionStatus, SyncRolloutStatus
from syncrollout.api.words import Role, Side, Unknown
from syncrollout.backtest.history import Archive, HistoryError
from syncrollout.backtest.ideal import IdealWorld, ideal
from syncrollout.backtest.story import Extremes, Story, Teller
from syncrollout.decide import criteria
from syncrollout.decide.criteria import Question
from syncrollout.decide.facts import Part, Reading, ReadingKey
from syncrollout.decide.machine import decide
from syncrollout.observe.aggregates import reduced
from syncrollout.observe.queries import QueryError, fill

MANY_ROUNDS: Final = 40
"""Decisions that may follow each other without time passing; more would be a loop."""


class Replay:
    """One rollout over the archive's moments. `every_look`: decide at each look, also where nothing has changed."""

    def __init__(self, spec: SyncRolloutSpec, namespace: str, archive: Archive, *, every_look: bool = False) -> None:
        assert spec.prometheus is not None
        moments = archive.moments
        self._spec = ideal(spec, step=moments.step / 1000)
        self._namespace = namespace
        self._archive = archive
        self._every_look = every_look
        self._interval = max(spec.prometheus.interval, moments.step / 1000)
        self._start, self._end = moments.start / 1000, moments.end / 1000
        self._world = IdealWorld()
        self._status = SyncRolloutStatus()
        self._teller = Teller(self._start)
        self._asked = _Asked({}, {}, (), {}, "", watched=False)

    def run(self) -> Story:
        """Carry it out. Raises HistoryError where what was recorded cannot be had."""
        now: float | None = self._start
        while now is not None:
            due, going_on = self._settle(now)
            now = self._next(now, due) if going_on else None
        return self._teller.end(self._status, self._end)

    def _settle(self, now: float) -> tuple[float | None, bool]:
        """Decide until nothing is left to do at this moment: when the clock changes something, and whether to go on."""
        self._teller.story.looks += 1
        for _ in range(MANY_ROUNDS):
            self._ask()
            readings = self._readings(now)
            decision = decide(self._spec, self._status, self._world.facts(readings), now)
            for action in decision.actions:
                self._world.act(action)
            self._status = decision.status
            self._note_extremes(readings, now)
            if not self._teller.note(self._status, now):
                return None, False
            due = decision.next_due
            if not decision.actions and not decision.write and (due is None or due > now):
                return due, True
        msg = f"{MANY_ROUNDS} decisions at one moment and no rest: {self._status.message}"
        raise RuntimeError(msg)

    def _next(self, now: float, due: float | None) -> float | None:
        """The next moment at which a decision may be another one; None where the time is over before."""
        judged = _Judged(self._asked.questions, self._status, self._readings(now))
        number = int((now - self._start) / self._interval)
        while True:
            number += 1
            at = round(self._start + number * self._interval, 3)
            if at <= now:
                continue
            if due is not None and due <= at:
                return due if due <= self._end else None
            if at > self._end:
                return None
            readings = self._readings(at)
            if self._every_look or not judged.same(readings, at):
                return at
            self._teller.story.looks += 1
            self._note_extremes(readings, at)

    # ---- readings ----

    def _ask(self) -> None:
        """What the next decision needs to be asked."""
        status = self._status
        name = status.phase.name if _active(status) and status.phase is not None else ""
        if (self._asked.phase, self._asked.watched) != (name, status.watch is not None) or not self._asked.questions:
            phase = next((phase for phase in self._spec.phases if phase.name == name), None)
            self._asked = _asked(self._spec, self._namespace, phase, watched=status.watch is not None)

    def _readings(self, at: float) -> Mapping[ReadingKey, Reading]:
        """As taken at this moment, or at the last one before it that was recorded."""
        moments, queries = self._archive.moments, self._asked.queries
        number = min(moments.count - 1, int((round(at * 1000) - moments.start) / moments.step))
        if not self._archive.has(queries.values(), number):
            self._archive.fetch(queries.values(), number)
        found = {
            key: reduced(self._spec.metric(key.metric), key.part, self._archive.reading(query, number))
            for key, query in queries.items()
        }
        return {**found, **self._asked.unasked}

    def _note_extremes(self, readings: Mapping[ReadingKey, Reading], at: float) -> None:
        visits = self._teller.story.visits
        if not visits or not self._status.in_flight:
            return  # what is read while a completed rollout is watched belongs to no phase
        for name, (key, limits) in self._asked.limits.items():
            value = readings[key].value if key in readings else None
            if value is not None:
                seen = visits[-1].seen.get(name)
                if seen is None:
                    visits[-1].seen[name] = Extremes(limits, value, at, value, at)
                elif not seen.lowest <= value <= seen.highest:
                    visits[-1].seen[name] = seen.with_(value, at)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked while a rollout is in a phase, or before its start (`phase` is then empty)."""

    queries: Mapping[ReadingKey, str]
    unasked: Mapping[ReadingKey, Reading]
    """Readings of queries that cannot be filled in."""
    questions: tuple[Question, ...]
    limits: Mapping[str, tuple[ReadingKey, tuple[str, ...]]]
    """The reading of new that a metric's criteria look at, and all that it is held against, by the metric's name."""
    phase: str
    watched: bool


def _active(status: SyncRolloutStatus) -> bool:
    """Whether there is something that could go back: a run in flight, or a completed one that is watched."""
    return status.in_flight or status.watch is not None


def _asked(spec: SyncRolloutSpec, namespace: str, phase: Phase | None, *, watched: bool) -> _Asked:
    judged = None if watched else phase
    keys = criteria.all_readings(spec) if phase is None else criteria.phase_readings(spec, judged)
    queries: dict[ReadingKey, str] = {}
    unasked: dict[ReadingKey, Reading] = {}
    for key in keys:
        if key.part in (Part.SHARE, Part.COUNT):
            # what is counted since a phase began, say, is no answer of a range query: better none than another
            msg = (
                f"metric {key.metric} is judged by more than it reads at one moment, and a backtest knows no more: "
                "take its confidence away to see what the threshold alone would have done"
            )
            raise HistoryError(msg)
        system = spec.old if key.side is Side.OLD else spec.new
        try:
            name = (phase or spec.phases[0]).name
            queries[key] = fill(spec.metric(key.metric), system, namespace, name, part=key.part)
        except QueryError as error:
            unasked[key] = Reading(None, Unknown.QUERY_INVALID, str(error))
    questions = criteria.questions(spec, judged)
    name = phase.name if phase is not None else ""
    return _Asked(queries, unasked, questions, _limits(questions), name, watched)


def _limits(questions: tuple[Question, ...]) -> Mapping[str, tuple[ReadingKey, tuple[str, ...]]]:
    found: dict[str, tuple[ReadingKey, tuple[str, ...]]] = {}
    for question in questions:
        key, limits = found.get(question.metric.name, (question.keys[0], ()))
        limit = f"{_ASKED_FOR[question.role]} {criteria.describe(question)}"
        found[question.metric.name] = key, limits if limit in limits else (*limits, limit)
    return found


_ASKED_FOR: Final = {Role.SUCCESS: "passes", Role.ROLLBACK_ON: "goes back", Role.TRIGGER: "trigger"}


class _Judged:
    """How the criteria were judged at the last decision, and whether they still are."""

    def __init__(
        self, questions: tuple[Question, ...], status: SyncRolloutStatus, readings: Mapping[ReadingKey, Reading]
    ) -> None:
        self._questions = questions
        self._before = {criterion.id: criterion for criterion in status.criteria}
        self._since = status.phase.since if _active(status) and status.phase is not None else None
        self._unknown = None if _active(status) else _unknown(readings)
        """Before the start a reading can stand in the way whether a criterion judges it or not."""
        self._between: dict[str, tuple[float, float]] = {}
        """Readings that were judged alike, by the criterion that they were the one reading of."""
        for question in questions:
            value = _value(question, readings)
            if value is not None:
                self._between[question.id] = (value, value)

    def same(self, readings: Mapping[ReadingKey, Reading], at: float) -> bool:
        """Whether a decision at `at` would find every verdict as it was."""
        if self._unknown is not None and _unknown(readings) != self._unknown:
            return False
        return all(self._same(question, readings, at) for question in self._questions)

    def _same(self, question: Question, readings: Mapping[ReadingKey, Reading], at: float) -> bool:
        value, between = _value(question, readings), self._between.get(question.id)
        if value is not None and between is not None and between[0] <= value <= between[1]:
            return True
        before = self._before.get(question.id)
        if before is None or not _alike(before, criteria.judge(question, readings, before, at, self._since)):
            return False
        if value is not None and between is not None:
            self._between[question.id] = (min(between[0], value), max(between[1], value))
        return True


def _alike(one: CriterionStatus, other: CriterionStatus) -> bool:
    return _kept(one) == _kept(other)


def _kept(criterion: CriterionStatus) -> tuple[object, ...]:
    """What the next decision takes up of this one."""
    return criterion.verdict, criterion.unknown, criterion.held_since, criterion.lacking_since


def _value(question: Question, readings: Mapping[ReadingKey, Reading]) -> float | None:
    """The reading of a criterion that has only one; None where it has none, or several, or where something is said
    against it, which may count more than the number."""
    keys = question.keys
    reading = readings.get(keys[0]) if len(keys) == 1 else None
    return reading.value if reading is not None and not reading.message else None


def _unknown(readings: Mapping[ReadingKey, Reading]) -> frozenset[tuple[ReadingKey, Unknown]]:
    return frozenset((key, reading.unknown) for key, reading in readings.items() if reading.unknown is not None)


__all__ = ["Replay"]

"""What a backtest came to: phases, how long each was held and why, and the end. Plain values, and what notes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from syncrollout.api.status import CriterionStatus, SyncRolloutStatus
from syncrollout.api.words import Reason, Role, State, Verdict


class Outcome(StrEnum):
    """How it ends."""

    COMPLETES = "Completes"
    ROLLS_BACK = "RollsBack"
    HOLDS = "Holds"
    """It stands still at the end of the time that was looked at."""
    UNFINISHED = "Unfinished"
    """It is on its way there."""

    @property
    def exit_code(self) -> int:
        """0, 2, or 3 where the time that was looked at ends before the rollout does."""
        return {Outcome.COMPLETES: 0, Outcome.ROLLS_BACK: 2}.get(self, 3)


class Result(StrEnum):
    """What became of one phase."""

    PASSED = "passed"
    ROLLED_BACK = "rolled back"
    STEPPED_BACK = "stepped back"
    HELD = "held"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which a phase, or the start, was held. `until` is None where it still was at the end."""

    reason: Reason
    message: str
    since: float
    until: float | None = None


_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Extremes:
    """The least and the greatest reading of new that a metric gave in a phase, and when; `limits` are those that it was
    held against, in words."""

    limits: tuple[str, ...]
    lowest: float
    lowest_at: float
    highest: float
    highest_at: float

    def with_(self, reading: float, at: float) -> Extremes:
        """With one reading more. What only arithmetic makes of the same number is no other one."""
        if reading < self.lowest - _ROUNDING * abs(self.lowest):
            return replace(self, lowest=reading, lowest_at=at)
        if reading > self.highest + _ROUNDING * abs(self.highest):
            return replace(self, highest=reading, highest_at=at)
        return self


@dataclass(slots=True)
class Visit:
    """One stay in a phase; times are seconds since the epoch. `entered` is when it was decided on."""

    name: str
    label: str
    weight: int
    entered: float
    ended: float | None = None
    result: Result = Result.RUNNING
    holds: list[Hold] = field(default_factory=list)
    seen: dict[str, Extremes] = field(default_factory=dict)
    """By the metric's name."""


@dataclass(frozen=True, slots=True)
class Back:
    """The rollback: when, from where, and the criterion that broke, as judged then."""

    at: float
    phase: str
    weight: int
    message: str
    criterion: CriterionStatus | None


@dataclass(slots=True)
class Story:
    """All of it. `ended` is when it was over (it went back; it completed, and is not watched any more), else the last
    moment that was looked at."""

    began: float
    ended: float
    outcome: Outcome = Outcome.UNFINISHED
    message: str = ""
    before: list[Hold] = field(default_factory=list)
    """What kept it from starting."""
    visits: list[Visit] = field(default_factory=list)
    back: Back | None = None
    completed: float | None = None
    watched_until: float | None = None
    """Until when the completed rollout is watched, where it is; it may still go back, or be looked at for less long."""
    looks: int = 0
    """Moments at which the criteria were judged, or seen to be as before."""


_STANDS: Final = frozenset({State.PREFLIGHT, State.HOLDING, State.PAUSED})


class Teller:
    """Notes each status, one after the other, and tells the story."""

    def __init__(self, start: float) -> None:
        self.story = Story(start, start)
        self._hold: Hold | None = None
        self._incident = ""
        """The criterion of the last incident, by id."""

    def note(self, status: SyncRolloutStatus, now: float) -> bool:
        """One more status; whether the story goes on."""
        self.story.ended = now
        self._visit(status, now)
        if status.incident is not None:
            self._incident = status.incident.criterion
        standing = status.state in _STANDS
        if self._hold is not None and not (standing and status.reason is self._hold.reason):
            self._holds()[-1] = replace(self._hold, until=now)
            self._hold = None
        if standing and self._hold is None:
            self._hold = Hold(status.reason, status.message, now)
            self._holds().append(self._hold)
        if status.state is State.COMPLETED:
            if self.story.completed is None:
                self._close(Result.PASSED, now)
                self.story.completed = now
            self.story.outcome = Outcome.COMPLETES
            if status.watch is not None:
                self.story.watched_until = status.watch.until
                return True
        elif status.state in (State.ROLLING_BACK, State.ROLLED_BACK):
            self._close(Result.ROLLED_BACK, now)
            self.story.outcome = Outcome.ROLLS_BACK
            self.story.back = self._back(status, now)
        else:
            return True
        self.story.message = self.story.back.message if self.story.back is not None else status.message
        return False

    def end(self, status: SyncRolloutStatus, at: float) -> Story:
        """The time is over."""
        story = self.story
        if status.state is State.COMPLETED and status.watch is not None:
            story.ended, story.message = at, status.message
        if story.outcome is Outcome.UNFINISHED:
            story.ended, story.message = at, status.message
            if self._hold is not None:
                story.outcome = Outcome.HOLDS
                self._close(Result.HELD, None)
        return story

    def _visit(self, status: SyncRolloutStatus, now: float) -> None:
        phase, visits = status.phase, self.story.visits
        if phase is None or (visits and (visits[-1].name, visits[-1].entered) == (phase.name, phase.entered)):
            return
        if visits:
            back = phase.index <= int(visits[-1].label.partition("/")[0])
            self._end_hold(now)
            self._close(Result.STEPPED_BACK if back else Result.PASSED, now)
        else:
            self._end_hold(now)
        visits.append(Visit(phase.name, phase.label, phase.weight, phase.entered))

    def _end_hold(self, now: float) -> None:
        if self._hold is not None:
            self._holds()[-1] = replace(self._hold, until=now)
            self._hold = None

    def _holds(self) -> list[Hold]:
        return self.story.visits[-1].holds if self.story.visits else self.story.before

    def _close(self, result: Result, now: float | None) -> None:
        if self.story.visits:
            self.story.visits[-1].result, self.story.visits[-1].ended = result, now

    def _back(self, status: SyncRolloutStatus, now: float) -> Back:
        rollback = status.rollback
        if rollback is None:
            return Back(now, "", status.weight, status.message, None)
        going = [c for c in status.criteria if c.role is not Role.SUCCESS and c.verdict is Verdict.FAIL]
        broken = next((c for c in going if c.message and c.message in rollback.message), None)
        if broken is None:  # its time was up: what it read then is not what was first said of it
            broken = next((c for c in status.criteria if c.id == self._incident), None)
        return Back(rollback.decided, rollback.from_phase, rollback.from_weight, rollback.message, broken)


__all__ = ["Back", "Extremes", "Hold", "Outcome", "Result", "Story", "Teller", "Visit"]

"""Which criteria are judged in a phase, and which readings that takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from syncrollout.api.spec import RUN, Criterion, Limit, Metric, Phase, SyncRolloutSpec, Trigger
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Role, Severity, Side, State
from syncrollout.decide import verify
from syncrollout.decide.facts import Part, ReadingKey

BLIND_AFTER_INTERVALS: Final = 2
"""How many intervals without data are no hiccup any more: one lost answer is no news, two in a row are."""


class Ran(Limit):
    """That a Job of the operator's own has failed: what its severity says, as a trigger does."""

    run: str
    """Which one."""
    severity: Severity
    """How grave that is."""

    @property
    def source(self) -> str:
        """The name of its reading."""
        return f"{RUN}{self.run}"


@dataclass(frozen=True, slots=True)
class Question:
    """One criterion with all that is needed to judge it."""

    id: str
    role: Role
    comparison: Limit
    metric: Metric
    respite: float = 0.0
    """Seconds for which rollbackOn is not judged yet, for what it reads still speaks of the phase that was left."""
    patience: float = 0.0
    """Seconds without data that may be a hiccup."""

    @property
    def alert(self) -> str:
        """The alert that may not fire; empty where a metric is held against a limit."""
        return (self.comparison.alert or "") if isinstance(self.comparison, Trigger) else ""

    @property
    def pods(self) -> bool:
        """Whether it asks how the pods of new are."""
        return isinstance(self.comparison, Trigger) and self.comparison.pods is not None

    @property
    def reports(self) -> Severity | None:
        """The severity from which on it counts what people report; none where it goes by something else."""
        return self.comparison.reports if isinstance(self.comparison, Criterion | Trigger) else None

    @property
    def job(self) -> str:
        """The CronJob by whose last Job it goes; empty where it goes by something else."""
        return (self.comparison.job or "") if isinstance(self.comparison, Criterion | Trigger) else ""

    @property
    def run(self) -> str:
        """The Job of the operator's own by which it goes; empty where it goes by something else."""
        return self.comparison.run if isinstance(self.comparison, Ran) else ""

    @property
    def asks(self) -> bool:
        """Whether somebody has to be asked for its readings. What people report, and how Jobs have ended, is known."""
        return self.reports is None and not self.job and not self.run

    @property
    def keys(self) -> tuple[ReadingKey, ...]:
        """The readings that it needs."""
        return tuple(self.key(side, part) for side in self.sides for part in self._parts)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The systems whose readings it needs."""
        return (Side.NEW, Side.OLD) if self.comparison.relative_to else (Side.NEW,)

    def key(self, side: Side, part: Part) -> ReadingKey:
        """One of its readings."""
        counted = part in (Part.SHARE, Part.COUNT)
        return ReadingKey(self.metric.name, side, part, self.counts_after if counted else 0.0)

    @property
    def _parts(self) -> tuple[Part, ...]:
        parts = (Part.VALUE,) if self.metric.confidence is None else (Part.SHARE, Part.COUNT)
        if self.metric.confidence is None and self.comparison.min_samples is not None:
            parts = (*parts, Part.EVENTS)
        return parts if self.metric.fresh_within is None else (*parts, Part.FRESH)

    @property
    def severity(self) -> Severity | None:
        """Of a trigger: how grave it is."""
        return self.comparison.severity if isinstance(self.comparison, Trigger | Ran) else None

    @property
    def settle(self) -> float:
        """Seconds after the phase began in which it is not judged.

        Success looks only at data of the phase itself; events that are counted since it began are. For going back, old
        bad data is still bad: a breach is seen at once unless the criterion asks for time.
        """
        if self.comparison.settle is not None:
            return self.comparison.settle
        window = 0.0 if self.metric.confidence is not None else self.metric.window or 0.0
        if self.role is Role.ROLLBACK_ON and self.respite:
            return max(window, self.respite)
        return window if self.role is Role.SUCCESS else 0.0

    @property
    def counts_after(self) -> float:
        """Of a metric with confidence: seconds after the phase began from which on events count. A respite delays the
        verdict alone: what is counted is of the phase as it is."""
        return self.comparison.settle or 0.0


def questions(spec: SyncRolloutSpec, phase: Phase | None, *, respite: float = 0.0) -> tuple[Question, ...]:
    """The criteria that are judged in a phase: its own, and the triggers; without a phase the triggers alone.
    `respite`: see Question."""
    return tuple(_questions(spec, phase, respite))


def limits(spec: SyncRolloutSpec) -> Iterator[Criterion | Trigger]:
    """All triggers and criteria of a spec, whatever the phase, as they stand there. Much cheaper than `questions`."""
    yield from spec.rollback.triggers
    for phase in spec.phases:
        yield from phase.success
        yield from phase.rollback_on


def _questions(spec: SyncRolloutSpec, phase: Phase | None, respite: float) -> Iterator[Question]:
    patience = BLIND_AFTER_INTERVALS * spec.prometheus.interval if spec.prometheus is not None else 0.0
    groups: list[tuple[Role, str, Iterable[Limit]]] = []
    if phase is not None:
        groups.append((Role.SUCCESS, f"{phase.name}/success", phase.success))
        groups.append((Role.ROLLBACK_ON, f"{phase.name}/rollbackOn", phase.rollback_on))
    groups.append((Role.TRIGGER, "trigger", spec.rollback.triggers))
    groups.append((Role.TRIGGER, "run", _runs(spec, phase)))
    for role, prefix, comparisons in groups:
        for number, comparison in enumerate(comparisons):
            yield Question(
                id=f"{prefix}/{number}/{comparison.name}",
                role=role,
                comparison=comparison,
                metric=spec.metric(comparison.source),
                respite=respite,
                patience=patience,
            )


def _runs(spec: SyncRolloutSpec, phase: Phase | None) -> Iterator[Ran]:
    """The Jobs of the operator's own that count in a phase: those of day one in the first, and its verifications."""
    day = spec.preflight.day_one if spec.preflight is not None else None
    if day is not None and phase is not None and phase.name == spec.phases[0].name:
        for task, step in day.steps.items():
            yield Ran(run=f"dayOne/{task.value}", severity=step.severity)
    if phase is None:
        return
    for each in phase.verification:
        yield Ran(run=f"{phase.name}/{each.name}", severity=each.severity)


def all_readings(spec: SyncRolloutSpec) -> frozenset[ReadingKey]:
    """Every reading that any phase or trigger will ever need: preflight asks for all of them once."""
    keys = {key for phase in spec.phases for key in _asked(spec, phase)}
    return frozenset(keys | {ReadingKey(metric.name) for metric in spec.metrics} | verify.readings(spec))


def phase_readings(spec: SyncRolloutSpec, phase: Phase | None) -> frozenset[ReadingKey]:
    """The readings that the current phase needs."""
    keys = _asked(spec, phase)
    return frozenset(keys | (verify.readings(spec) if phase is not None and verify.verified(spec, phase) else set()))


def _asked(spec: SyncRolloutSpec, phase: Phase | None) -> set[ReadingKey]:
    return {key for question in questions(spec, phase) if question.asks for key in question.keys}


def counted_since(status: SyncRolloutStatus) -> float | None:
    """From when on events count, where they are counted: since the weights of the phase stand, and after a rollback
    since old has it all."""
    if status.state is State.ROLLING_BACK:
        return status.rollback.old_since if status.rollback is not None else None
    phase = status.phase if status.in_flight or status.watch is not None else None
    # Until the weights stand, what is counted for going back is counted from when the phase was decided on.
    return None if phase is None else phase.entered if phase.since is None else phase.since

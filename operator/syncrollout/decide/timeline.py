"""When each phase of a rollout begins and ends: what was, by its status, and what comes at the earliest, by its spec.

What comes rests on durations, windows and freezes. It is no promise: criteria may hold a phase for longer, and so may
people. What is not known beforehand - replicas that get ready, slots that change hands, other rollouts that are waited
for - takes no time here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Approval, Freeze, Phase, SyncRolloutSpec
from syncrollout.api.status import PastPhase, SyncRolloutStatus
from syncrollout.api.words import PhaseEnd, State
from syncrollout.decide import approvals, by_hand, calendar
from syncrollout.decide.calendar import Calendar


class Stage(StrEnum):
    """Whether a phase is over."""

    PAST = "Past"
    NOW = "Now"
    COMING = "Coming"
    NEVER = "Never"
    """The run has ended before it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One phase, or one time that a run was in it. Times are seconds since the epoch."""

    number: int
    """Its place in spec.phases, from 1; 0 where an edit has removed it."""
    phase: str
    weight: int
    """Share of new, percent."""
    stage: Stage
    start: float | None
    """When it was entered, or is at the earliest. None: it was not, and will not be."""
    end: float | None
    """When it ended, or does at the earliest; None as for start, and of the last phase that lasts no time."""
    duration: float
    """Seconds that it lasts at least, by the spec."""
    waits: str = ""
    """What it waits for, or has to wait for, before it is entered, in words."""
    notes: tuple[str, ...] = ()
    """What else there is to know: persons who are asked, old that is stopped, how it ended."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """All phases, in the order of time."""

    zone: str
    """The time zone that dates are shown in."""
    rows: tuple[Row, ...]
    starts: float | None
    """When the run has begun, or begins at the earliest."""
    completes: float | None
    """When it has completed, or does at the earliest; None where it does not."""
    watched_until: float | None
    """Until when it is watched after that; None where it is not."""
    notes: tuple[str, ...] = ()
    """What the dates rest on, or leave out."""

    @property
    def over(self) -> bool:
        """Whether nothing of it is to come."""
        return all(row.stage in (Stage.PAST, Stage.NEVER) for row in self.rows)


def timeline(
    spec: SyncRolloutSpec,
    status: SyncRolloutStatus,
    freezes: Iterable[Freeze] | None = None,
    now: float = 0.0,
) -> Timeline:
    """The timeline of a rollout at a moment. `freezes`: those of spec.schedule.freezesFrom; None: they are not known.

    Of a rollout that has no run, or is asked for another one than its last, that of the run that comes.
    """
    known = calendar.calendar(spec.schedule, freezes or ())
    asked = status.retry is not None or spec.revision not in (status.revision, status.last_good_revision)
    if status.in_flight:
        rows = (*_past(spec, status.past_phases), *_from_now(spec, status, known, now))
    elif status.run and not asked and status.state in (State.COMPLETED, State.ROLLED_BACK):
        rows = (*_past(spec, status.past_phases), *_never(spec, status))
    else:
        rows = tuple(_coming(spec, known, 0, now, waits=_first_waits(spec)))
    ends = status.finished if not status.in_flight and status.state is State.COMPLETED and not asked else None
    coming = [row for row in rows if row.stage in (Stage.NOW, Stage.COMING)]
    if coming and status.state is not State.ROLLING_BACK:
        ends = coming[-1].end if coming[-1].end is not None else coming[-1].start
    keep = spec.rollback.keep_watching
    return Timeline(
        zone=spec.timezone,
        rows=rows,
        starts=status.started if status.in_flight or not coming else coming[0].start,
        completes=ends,
        watched_until=ends + keep if ends is not None and keep else None,
        notes=_notes(spec, status, freezes, known, started=bool(status.in_flight or not coming)),
    )


# ---- what was ----------------------------------------------------------------------------------------------------


def _past(spec: SyncRolloutSpec, phases: Iterable[PastPhase]) -> tuple[Row, ...]:
    return tuple(_was(spec, each) for each in phases)


def _was(spec: SyncRolloutSpec, past: PastPhase) -> Row:
    number, phase = _find(spec, past.name)
    ended = () if past.end is PhaseEnd.PASSED else (_HOW.get(past.end, past.end.value),)
    stood = past.since - past.entered if past.since is not None else 0.0
    took = (f"its weights stood after {format_duration(stood)}",) if stood >= 1 else ()
    return Row(
        number=number,
        phase=past.name,
        weight=past.weight,
        stage=Stage.PAST,
        start=past.entered,
        end=past.ended,
        duration=phase.duration if phase is not None else 0.0,
        notes=(*ended, *took),
    )


_HOW = {
    PhaseEnd.STEPPED_BACK: "stepped back",
    PhaseEnd.ROLLED_BACK: "rolled back",
    PhaseEnd.REWEIGHTED: "given another weight",
}


def _never(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> tuple[Row, ...]:
    """The phases that a run which was rolled back has not come to."""
    if status.state is State.COMPLETED:
        return ()
    been = {past.name for past in status.past_phases}
    return tuple(
        Row(number, phase.name, phase.weight, Stage.NEVER, None, None, phase.duration)
        for number, phase in enumerate(spec.phases, start=1)
        if phase.name not in been
    )


# ---- what comes --------------------------------------------------------------------------------------------------


def _from_now(spec: SyncRolloutSpec, status: SyncRolloutStatus, known: Calendar | None, now: float) -> tuple[Row, ...]:
    """The phase that the run is in, and those after it."""
    current = status.phase
    if current is None:
        return ()
    number, phase = _find(spec, current.name)
    if status.state is State.ROLLING_BACK or phase is None:
        return _never(spec, status)
    left = max(0.0, phase.duration - current.lasted)
    ends = max(now, current.since + left if current.since is not None else now + left)
    last = number == len(spec.phases)
    says = status.message if status.state in (State.HOLDING, State.PAUSED, State.AWAITING_APPROVAL) else ""
    row = Row(
        number=number,
        phase=phase.name,
        weight=phase.weight,
        stage=Stage.NOW,
        start=current.entered,
        end=None if last and not phase.duration else ends,
        duration=phase.duration,
        notes=((says,) if says else ()) + _of(spec, phase, last=last),
    )
    return (row, *_coming(spec, known, number, ends))


def _coming(
    spec: SyncRolloutSpec, known: Calendar | None, index: int, at: float | None, *, waits: str = ""
) -> list[Row]:
    """The phases from `index` (from 0) on, where the one before could end at a moment."""
    made = []
    for number, phase in enumerate(spec.phases[index:], start=index + 1):
        last = number == len(spec.phases)
        opens = known.next_open(at) if known is not None and at is not None else at
        ends = opens + phase.duration if opens is not None else None
        closed = _why(known, at, opens) if known is not None and at is not None else ""
        made.append(
            Row(
                number=number,
                phase=phase.name,
                weight=phase.weight,
                stage=Stage.COMING,
                start=opens,
                end=None if last and not phase.duration else ends,
                duration=phase.duration,
                waits="; ".join(each for each in (waits, closed) if each),
                notes=_of(spec, phase, last=last),
            )
        )
        at, waits = ends, ""
    return made


def _why(known: Calendar, at: float, opens: float | None) -> str:
    """Why a phase that could begin at a moment begins later; empty where it does not."""
    if opens is None:
        return "the calendar never opens"
    if opens == at:
        return ""
    # All freezes that are met on the way, for a window may open in the middle of one.
    met = sorted(
        (each for each in known.freezes if each.since < opens and each.until > at), key=lambda each: each.since
    )
    says = [f"a freeze{f' ({each.reason})' if each.reason else ''}" for each in met]
    if not met or max(each.until for each in met) != opens:
        says.append("a window")
    return f"waits {format_duration(opens - at)} for {' and '.join(dict.fromkeys(says))}"


def _first_waits(spec: SyncRolloutSpec) -> str:
    names = [f"{each.namespace}/{each.name}" if each.namespace else each.name for each in spec.depends_on]
    waits = [f"after {', '.join(names)}"] if names else []
    return "; ".join(waits + ([f"in its turn in pool {spec.pool.name}"] if spec.pool is not None else []))


def _of(spec: SyncRolloutSpec, phase: Phase, *, last: bool) -> tuple[str, ...]:
    notes = []
    if phase.mirrored:
        notes.append("new gets copies alone" if phase.mirrored == 100 else f"new gets copies of {phase.mirrored} %")
    if phase.approval is Approval.REQUIRED:
        notes.append(f"{approvals.who_may(approvals.approvers_of(spec, phase))} approves its end")
    if phase.retire_old:
        notes.append("old is stopped")
    if last and not phase.duration:
        notes.append("then it is complete")
    return tuple(notes)


def _find(spec: SyncRolloutSpec, name: str) -> tuple[int, Phase | None]:
    found = ((number, each) for number, each in enumerate(spec.phases, start=1) if each.name == name)
    return next(found, (0, None))


def _notes(
    spec: SyncRolloutSpec,
    status: SyncRolloutStatus,
    freezes: Iterable[Freeze] | None,
    known: Calendar | None,
    *,
    started: bool,
) -> tuple[str, ...]:
    made = []
    if spec.schedule is not None and spec.schedule.freezes_from is not None and freezes is None:
        made.append(f"the freezes of ConfigMap {spec.schedule.freezes_from.config_map} are not known: it may be later")
    if known is None:
        made.append("spec.schedule is not given: phases are entered at any hour")
    if spec.suspend:
        made.append("it is suspended: nothing moves before spec.suspend is removed")
    if status.hold is not None:
        made.append(f"it is {by_hand.says(status.hold)}: nothing moves before that is taken away")
    if started and status.state is State.ROLLED_BACK:
        made.append("the run was rolled back: another spec.revision, or a retry, begins the next one")
    return tuple(made)


__all__ = ["Row", "Stage", "Timeline", "timeline"]

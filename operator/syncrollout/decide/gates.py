"""What keeps work from moving forward though nothing is wrong with it: other rollouts, a pool, the calendar.

Asked before a run begins, in this order, once its preflight has passed:

    dependsOn     the other rollouts are there
    schedule      a window is open, and no freeze is on
    pool          fewer of the pool are in flight than its limit, and nobody who has waited longer would begin now

The pool comes last: whoever could not begin now takes no place in its line. Before each further phase, and before an
edit gives a phase more weight, the schedule alone is asked. A step that has begun is finished. Nothing here is asked by
what goes back, steps back, or puts drift right; and a run that is in flight does not look at dependsOn and pool any
more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from syncrollout.api.spec import DependsState
from syncrollout.api.words import Reason, State
from syncrollout.decide import calendar
from syncrollout.decide.calendar import Calendar
from syncrollout.decide.notes import Note
from syncrollout.decide.outcome import Outcome, hold, once
from syncrollout.decide.view import View
from syncrollout.decide.waited_for import DependencyFact, FreezesFact, WaitedFor

MOST_NAMES: Final = 5
"""Rollouts that are named where more are waited for."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for. `when` ends a sentence that says what comes next, such as ``2026-12-01 10:00 JST``."""

    reason: Reason
    message: str
    when: str
    due: float | None = None
    stalled: bool = False
    """A person has to mend something."""


# ---- rules -------------------------------------------------------------------------------------------------------


def waits_its_turn(v: View) -> Outcome | None:
    """No run is in flight, nothing is in its way, and it is not its turn yet."""
    if v.status.in_flight:
        return None
    wait = before_run(v)
    if wait is None:
        return None
    message = f"Not started: {wait.message}"
    return Outcome(
        State.PREFLIGHT,
        wait.reason,
        message,
        changes={"waiting_since": v.status.waiting_since if v.status.waiting_since is not None else v.now},
        notes=once(v, State.PREFLIGHT, Note(wait.reason, message, "Warning" if wait.stalled else "Normal")),
        next=f"{v.spec.phases[0].name} {wait.when}",
        due=wait.due,
        stalled=wait.stalled,
    )


def shut(v: View) -> Outcome | None:
    """The phase could end, and the calendar does not let the next one begin yet."""
    if v.phase is None or v.status.phase is None or not v.time_is_over or v.index + 1 >= len(v.spec.phases):
        return None
    wait = closed(v)
    if wait is None:
        return None
    coming = v.spec.phases[v.index + 1].name
    message = f"Phase {v.status.phase.label} holds: {coming} waits: {wait.message}"
    return held(v, wait, message, f"{coming} {wait.when}")


def held(v: View, wait: Wait, message: str, coming: str) -> Outcome:
    """Nothing moves forward for this wait."""
    if v.suspended:
        reason = Reason.SUSPENDED if v.status.hold is None else Reason.HELD
        note = Note(reason, message)
        return Outcome(State.PAUSED, reason, message, notes=once(v, State.PAUSED, note), next=coming)
    waits = hold(v, wait.reason, message, stalled=wait.stalled, until=coming, in_time=not wait.stalled)
    return replace(waits, due=wait.due)


# ---- what is waited for ------------------------------------------------------------------------------------------


def before_run(v: View) -> Wait | None:
    """What a run waits for that could begin otherwise; None where it is its turn."""
    known = v.facts.waited_for
    if known is None and (v.spec.depends_on or v.spec.pool is not None):
        message = "what spec.dependsOn and spec.pool name was not looked at yet"
        return Wait(Reason.WAITING_FOR_DEPENDENCY, message, "after that")
    known = known or WaitedFor()
    return _dependencies(v, known) or closed(v) or _pool(v, known)


def _dependencies(v: View, known: WaitedFor) -> Wait | None:
    if known.cycle:
        message = (
            f"rollouts wait for each other: {' -> '.join(known.cycle)}; take one of them out of the other's dependsOn"
        )
        return Wait(Reason.DEPENDENCY_CYCLE, message, "once that is mended", stalled=True)
    missing = [
        (each, wanted) for each, wanted in zip(known.dependencies, v.spec.depends_on, strict=True) if not each.met
    ]
    if not missing:
        return None
    said = "; ".join(_of_one(each, wanted.state, _revision(v, same=wanted.same_revision)) for each, wanted in missing)
    when = "once they have" if len(missing) > 1 else f"once {missing[0][0].rollout} has"
    verbs = {wanted.state for _, wanted in missing}
    done = "completed" if verbs == {DependsState.COMPLETED} else "started" if len(verbs) == 1 else "come so far"
    return Wait(Reason.WAITING_FOR_DEPENDENCY, said, f"{when} {done}")


def _revision(v: View, *, same: bool) -> str:
    return f" revision {v.spec.revision}" if same else ""


def _of_one(fact: DependencyFact, wanted: DependsState, revision: str) -> str:
    """Of another's status its state and revision are told, and nothing else."""
    verb = "complete" if wanted is DependsState.COMPLETED else "start"
    waits = f"it waits for SyncRollout {fact.rollout} to {verb}{revision}"
    if not fact.watched:
        return f"{waits}, whose namespace this operator does not watch: add it to the operator's namespaces"
    if fact.state is None:
        return f"{waits}, which does not exist"
    ran = f" with revision {fact.revision}" if fact.revision is not None else ""
    return f"{waits}, which is {fact.state.value}{ran}"


def _pool(v: View, known: WaitedFor) -> Wait | None:
    pool = known.pool
    if v.spec.pool is None or pool is None or pool.free:
        return None
    parts = [
        f"{_names(names)} {said}"
        for names, said in ((pool.in_flight, "in flight"), (pool.ahead, "waiting before it"))
        if names
    ]
    message = f"pool {v.spec.pool.name} lets {pool.limit} run at a time: {'; '.join(parts)}"
    return Wait(Reason.WAITING_FOR_POOL, message, f"once pool {v.spec.pool.name} has room")


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more} {'is' if len(names) == 1 else 'are'}"


# ---- the calendar ------------------------------------------------------------------------------------------------


def calendar_of(v: View) -> Calendar | None:
    """The calendar as far as it is known; None where everything may move at any time."""
    shared = v.facts.freezes.freezes if v.facts.freezes is not None else ()
    return calendar.calendar(v.spec.schedule, shared)


def unknown(v: View) -> FreezesFact | None:
    """Why shared freezes are not known; None where they are, or there are none."""
    if v.spec.schedule is None or v.spec.schedule.freezes_from is None:
        return None
    if v.facts.freezes is None:
        name = v.spec.schedule.freezes_from.config_map
        return FreezesFact(problem=f"ConfigMap {name} with freezes was not looked at yet", passing=True)
    return v.facts.freezes if v.facts.freezes.problem else None


def closed(v: View) -> Wait | None:
    """Why nothing may move forward now; None where it may."""
    problem = unknown(v)
    if problem is not None:
        return Wait(
            Reason.FREEZES_UNKNOWN, problem.problem, "once its freezes can be read", stalled=not problem.passing
        )
    known = calendar_of(v)
    if known is None or known.open_at(v.now):
        return None
    opens = known.next_open(v.now)
    when = calendar.shown(known.zone, opens) if opens is not None else "at no time"
    freeze = known.frozen_at(v.now)
    if freeze is None:
        return Wait(Reason.OUTSIDE_WINDOW, f"no window of spec.schedule is open until {when}", when, due=opens)
    why = f" ({freeze.reason})" if freeze.reason else ""
    message = f"a freeze is on{why} until {calendar.shown(known.zone, freeze.until)}"
    message += f", and nothing may move until {when}" if opens != freeze.until else ""
    return Wait(Reason.FROZEN, message, when, due=opens)


def frozen(v: View) -> bool:
    """Whether a freeze is on, or may be."""
    known = calendar_of(v)
    return unknown(v) is not None or (known is not None and known.frozen_at(v.now) is not None)


__all__ = [
    "Wait",
    "before_run",
    "calendar_of",
    "closed",
    "frozen",
    "held",
    "shut",
    "unknown",
    "waits_its_turn",
]

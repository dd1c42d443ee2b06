"""The rollout's state machine.

Theory of operation. A decision is a function of spec, status, facts and now; nothing else is remembered. `RULES`
below is an ordered chain: the first rule that answers is what is true, and the rest is not asked. So order is
priority: putting traffic back stands before everything that moves it forward. What each state may become:

    Pending      -> Preflight Progressing Paused
    Preflight    -> Progressing Paused Pending
    Progressing  -> Holding Paused RollingBack Completed Progressing(next phase)
    Holding      -> Progressing Paused RollingBack Completed
    Paused       -> Pending Preflight Progressing Holding RollingBack Completed
    RollingBack  -> RolledBack
    RolledBack   -> Preflight Progressing Paused          (a new run: spec.revision changed)
    Completed    -> Preflight Progressing Paused RollingBack   (a new run; emergencyStop)

Forward: the status says what is going to be (the phase), then traffic follows; a crash between the two is repaired by
the next pass, and traffic never has more weight than the recorded phase. Back: traffic moves first, then the status
says so; it asks neither calendar nor criteria. A phase's time counts from when its weights stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from syncrollout.api.fields import format_duration, format_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import HISTORY_LENGTH, HistoryEntry, Retired, RollbackStatus, SyncRolloutStatus
from syncrollout.api.words import Reason, Role, Side, State, Verdict
from syncrollout.decide import criteria, movement
from syncrollout.decide.actions import Action, AddFinalizer, Decision, RemoveFinalizer, Scale
from syncrollout.decide.conditions import conditions
from syncrollout.decide.facts import Facts
from syncrollout.decide.preflight import obstacle
from syncrollout.decide.view import Note, Outcome, View, look, phase_status

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.PREFLIGHT, State.PROGRESSING, State.PAUSED}),
    State.PREFLIGHT: frozenset({State.PROGRESSING, State.PAUSED, State.PENDING}),
    State.PROGRESSING: frozenset({State.HOLDING, State.PAUSED, State.ROLLING_BACK, State.COMPLETED}),
    State.HOLDING: frozenset({State.PROGRESSING, State.PAUSED, State.ROLLING_BACK, State.COMPLETED}),
    State.PAUSED: frozenset(
        {State.PENDING, State.PREFLIGHT, State.PROGRESSING, State.HOLDING, State.ROLLING_BACK, State.COMPLETED}
    ),
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK}),
    State.ROLLED_BACK: frozenset({State.PREFLIGHT, State.PROGRESSING, State.PAUSED}),
    State.COMPLETED: frozenset({State.PREFLIGHT, State.PROGRESSING, State.PAUSED, State.ROLLING_BACK}),
}

REFRESH_AFTER: Final = 60.0
"""Seconds between writes that only bring verdicts up to date; transitions are written at once."""

MANY_REPAIRS: Final = 5
"""Repairs of drift within a minute from which on the operator says that somebody keeps changing the weights."""

Rule = Callable[[View], Outcome | None]


# ---- going back ------------------------------------------------------------------------------------------------


def rolling_back(v: View) -> Outcome | None:
    """A rollback that has begun is carried through, whatever else is asked."""
    if v.status.state is not State.ROLLING_BACK:
        return None
    cause = v.status.rollback
    why = cause.message if cause is not None else ""
    step = movement.back(v.spec, v.facts, v.status.retired)
    if not step.settled:
        said = step.message or "switching traffic back to old"
        return Outcome(
            State.ROLLING_BACK,
            step.waiting or (cause.reason if cause is not None else Reason.CRITERION_BREACHED),
            f"Rolling back: {said}. Cause: {why}",
            actions=step.actions,
            urgent=True,
            next="all traffic at old",
        )
    took = format_duration(v.now - cause.decided) if cause is not None else "0s"
    message = f"All traffic is back at old after {took}. Cause: {why}"
    return Outcome(
        State.ROLLED_BACK,
        Reason.ROLLED_BACK,
        message,
        changes={
            "in_flight": False,
            "finished": v.now,
            "retired": None,
            "rollback": cause.model_copy(update={"confirmed": v.now}) if cause is not None else None,
        },
        actions=_release(v),
        notes=(Note(Reason.ROLLED_BACK, message),),
        next="a new spec.revision starts the next run",
    )


def _roll_back(v: View, reason: Reason, message: str) -> Outcome:
    step = movement.back(v.spec, v.facts, v.status.retired)
    phase = v.status.phase
    return Outcome(
        State.ROLLING_BACK,
        reason,
        f"Rolling back: {message}",
        changes={
            "in_flight": True,
            "finished": None,
            "rollback": RollbackStatus(
                reason=reason,
                message=message,
                decided=v.now,
                from_phase=phase.name if phase is not None else "",
                from_weight=v.status.weight,
            ),
        },
        actions=step.actions,
        urgent=True,
        notes=(Note(reason, f"Rolling back from {v.status.weight} %: {message}", "Warning"),),
        next="all traffic at old",
    )


def deleted(v: View) -> Outcome | None:
    """Deleted mid-way: traffic goes back to old before the object may go."""
    if not v.facts.deleting:
        return None
    if v.status.in_flight:
        return _roll_back(v, Reason.DELETED, "the SyncRollout was deleted while its run was in flight")
    return _unchanged(v, actions=_release(v), silent=True)


def emergency_stop(v: View) -> Outcome | None:
    """A person pulled the cord."""
    if not v.spec.emergency_stop:
        return None
    if v.status.in_flight or v.status.state is State.COMPLETED:
        return _roll_back(v, Reason.EMERGENCY_STOP, "spec.emergencyStop was set")
    if v.status.state is State.ROLLED_BACK:
        return _unchanged(v, actions=_release(v))
    message = "spec.emergencyStop is set: nothing starts before it is removed"
    return Outcome(State.PAUSED, Reason.EMERGENCY_STOP, message, next="waits for emergencyStop to be removed")


def revision_changed(v: View) -> Outcome | None:
    """Another revision mid-way is a rollback first; what it names begins, if at all, from there."""
    if not v.status.in_flight or v.spec.revision == v.status.revision:
        return None
    if v.spec.revision == v.status.last_good_revision:
        text = f"spec.revision was set back to {v.spec.revision}, the last completed one"
        return _roll_back(v, Reason.REVISION_REVERTED, text)
    text = f"spec.revision changed from {v.status.revision} to {v.spec.revision} while the run was in flight"
    return _roll_back(v, Reason.REVISION_CHANGED, text)


def breached(v: View) -> Outcome | None:
    """A trigger, or a criterion of the phase's rollbackOn, holds: back on this very pass."""
    if not v.status.in_flight:
        return None
    breach = v.breach()
    if breach is None:
        return None
    reason = Reason.TRIGGER_BREACHED if breach.role is Role.TRIGGER else Reason.CRITERION_BREACHED
    return _roll_back(v, reason, breach.message)


def new_died(v: View) -> Outcome | None:
    """New has traffic and no pod to take it."""
    if not v.status.in_flight or v.since is None or v.share == 0 or v.new.alive:
        return None
    return _roll_back(v, Reason.NEW_DIED, f"new has {v.share} % of the traffic and no ready pod")


# ---- standing still --------------------------------------------------------------------------------------------


def at_rest(v: View) -> Outcome | None:
    """The run has ended and no other is asked for."""
    if v.status.state not in (State.COMPLETED, State.ROLLED_BACK):
        return None
    reverted = v.status.state is State.ROLLED_BACK and v.spec.revision == v.status.last_good_revision
    if v.spec.revision != v.status.revision and not reverted:
        return None
    return _unchanged(v, actions=_release(v))


def _unchanged(v: View, actions: tuple[Action, ...] = (), *, silent: bool = False) -> Outcome:
    s = v.status
    return Outcome(s.state, s.reason, s.message, actions=actions, next=s.next, silent=silent)


def _release(v: View) -> tuple[Action, ...]:
    return (RemoveFinalizer(),) if v.facts.has_finalizer else ()


def waits_to_start(v: View) -> Outcome | None:
    """No run is in flight and one is asked for: suspended, or something is in the way."""
    if v.status.in_flight:
        return None
    if v.spec.suspend:
        message = "Suspended before the start: remove spec.suspend to begin"
        return Outcome(State.PAUSED, Reason.SUSPENDED, message, next="waits for suspend to be removed")
    blocked = obstacle(v)
    if blocked is None:
        return None
    return Outcome(
        State.PREFLIGHT,
        blocked.reason,
        f"Not started: {blocked.message}",
        next=f"starts {v.spec.phases[0].name} once that is mended",
        stalled=blocked.stalled,
    )


def phase_removed(v: View) -> Outcome | None:
    """An edit has taken the current phase out of the spec."""
    if v.phase is not None or v.status.phase is None:
        return None
    name = v.status.phase.name
    message = f"Holding at {v.share} %: the spec has no phase {name} any more; bring it back, or set emergencyStop"
    return Outcome(State.HOLDING, Reason.PHASE_REMOVED, message, stalled=True, next=f"waits for phase {name}")


def hindered(v: View) -> Outcome | None:
    """A reference broke mid-way: nothing moves before a person has mended it."""
    if not v.facts.problems:
        return None
    problem = v.facts.problems[0]
    message = f"Holding at {v.share} %: {problem.message}"
    return Outcome(State.HOLDING, problem.reason, message, stalled=True, next="waits for that to be mended")


# ---- the way forward -------------------------------------------------------------------------------------------


def start(v: View) -> Outcome | None:
    """Nothing is in the way: the finalizer first, so that no deletion can leave traffic behind, then phase one."""
    if v.status.in_flight:
        return None
    if not v.facts.has_finalizer:
        # The status is left as it stands: the pass that sees the finalizer begins the run.
        return _unchanged(v, actions=(AddFinalizer(),), silent=True)
    return _enter(v, 0)


def _enter(v: View, index: int) -> Outcome:
    phase, count = v.spec.phases[index], len(v.spec.phases)
    step = movement.toward(v.spec, v.facts, phase.weight, careful=True)
    since = v.now if step.settled else None
    begins = not v.status.in_flight
    changes: dict[str, object] = {
        "phase": phase_status(phase, index, count, entered=v.now, since=since),
        "criteria": (),
    }
    if begins:
        changes |= {
            "run": v.status.run + 1,
            "revision": v.spec.revision,
            "in_flight": True,
            "started": v.now,
            "finished": None,
            "rollback": None,
            "retired": None,
        }
    label = f"{index + 1}/{count} {phase.name}"
    message = f"Phase {label}: " + (
        f"new has {phase.weight} %" if step.settled else f"moving traffic to {phase.weight} %"
    )
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING if step.settled else Reason.MOVING_TRAFFIC,
        message,
        changes=changes,
        actions=step.actions,
        notes=(Note(Reason.PHASE_STARTED, f"Phase {label} started: {phase.weight} % to new"),),
        next=_next_text(v, index, since),
        due=v.now if step.settled else None,
    )


def reweighted(v: View) -> Outcome | None:
    """An edit gave the current phase another weight: recorded first, then moved to, and its time begins anew."""
    if v.phase is None or v.status.phase is None or v.phase.weight == v.status.phase.weight:
        return None
    status = phase_status(v.phase, v.index, len(v.spec.phases), entered=v.now, since=None)
    message = f"Phase {status.label}: its weight was changed to {v.phase.weight} %"
    return Outcome(
        State.PROGRESSING,
        Reason.MOVING_TRAFFIC,
        message,
        changes={"phase": status},
        notes=(Note(Reason.MOVING_TRAFFIC, message),),
        next=_next_text(v, v.index, None),
        due=v.now,
    )


def moves(v: View) -> Outcome | None:
    """Traffic is on its way to the phase's weight, or somebody else moved it away: put it right."""
    if v.phase is None or v.status.phase is None:
        return None
    standing = v.since is not None
    if v.spec.suspend and not standing:
        return None
    step = movement.toward(v.spec, v.facts, v.phase.weight, careful=not standing)
    if standing and v.status.retired is not None and v.spec.traffic.replicas is not None:
        return None
    if step.settled:
        return None if standing else _stands(v)
    if step.waiting is not None:
        message = f"Phase {v.status.phase.label}: {step.message}"
        return Outcome(State.HOLDING, step.waiting, message, next=f"{v.phase.weight} % to new")
    if not standing:
        message = f"Phase {v.status.phase.label}: moving traffic to {v.phase.weight} %"
        return Outcome(State.PROGRESSING, Reason.MOVING_TRAFFIC, message, actions=step.actions, next=v.status.next)
    return _repairs(v, step)


def _repairs(v: View, step: movement.Movement) -> Outcome:
    assert v.phase is not None
    fighting = v.facts.recent_repairs >= MANY_REPAIRS
    text = f"the weights were changed by somebody else (new had {v.share} %): put back to {v.phase.weight} %"
    if fighting:
        text = f"somebody keeps changing the weights: put back to {v.phase.weight} % for the {MANY_REPAIRS}th time"
    # One note per quarrel: the first repair, and the one from which on it counts as a quarrel.
    told = v.facts.recent_repairs in (0, MANY_REPAIRS)
    return Outcome(
        v.status.state if v.status.state is not State.PENDING else State.PROGRESSING,
        v.status.reason,
        v.status.message,
        changes={"weight": v.phase.weight},
        actions=step.actions,
        urgent=True,
        notes=(Note(Reason.DRIFT_REPAIRED, text[0].upper() + text[1:], "Warning"),) if told else (),
        next=v.status.next,
    )


def _stands(v: View) -> Outcome:
    assert v.phase is not None
    status = phase_status(
        v.phase,
        v.index,
        len(v.spec.phases),
        entered=v.status.phase.entered if v.status.phase is not None else v.now,
        since=v.now,
    )
    message = f"Phase {status.label}: new has {v.phase.weight} %"
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING,
        message,
        changes={"phase": status},
        next=_next_text(v, v.index, v.now),
        due=v.now,
    )


def paused(v: View) -> Outcome | None:
    """Suspended mid-way: the weights stay, and what sends a rollout back still does."""
    if not v.spec.suspend:
        return None
    label = v.status.phase.label if v.status.phase is not None else ""
    message = f"Phase {label}: suspended at {v.share} %; rollback criteria are still judged"
    return Outcome(
        State.PAUSED,
        Reason.SUSPENDED,
        message,
        notes=() if v.status.state is State.PAUSED else (Note(Reason.SUSPENDED, message),),
        next="waits for suspend to be removed",
    )


def retires(v: View) -> Outcome | None:
    """Stop old; what it was is recorded before, so that a rollback brings back the same."""
    if v.phase is None or not v.phase.retire_old or v.status.phase is None:
        return None
    label = v.status.phase.label
    if v.status.retired is None:
        replicas = v.old.desired if v.old.scalable else None
        if v.spec.traffic.replicas is not None:
            replicas = v.spec.traffic.replicas.total
        message = f"Phase {label}: stopping old"
        return Outcome(
            State.PROGRESSING,
            Reason.RETIRING_OLD,
            message,
            changes={"retired": Retired(replicas=replicas, at=v.now)},
            actions=(Scale(Side.OLD, 0),) if v.old.desired else (),
            next=_next_text(v, v.index, v.since),
            due=v.now if not v.old.desired else None,
        )
    if v.old.desired or v.old.ready:
        return Outcome(
            State.PROGRESSING,
            Reason.RETIRING_OLD,
            f"Phase {label}: stopping old, {v.old.ready} replicas are left",
            actions=(Scale(Side.OLD, 0),) if v.old.desired else (),
            next=_next_text(v, v.index, v.since),
        )
    return None


def holds(v: View) -> Outcome | None:
    """A criterion cannot be judged, or the time is over and success is not there yet."""
    if v.phase is None or v.status.phase is None:
        return None
    label = v.status.phase.label
    blind = v.blind()
    if blind is not None:
        message = f"Phase {label} holds: {blind.message}"
        return _hold(v, Reason.CRITERIA_UNKNOWN, message)
    if not _time_is_over(v):
        return None
    unmet = [c for c in v.judged if c.role is Role.SUCCESS and c.verdict is not Verdict.PASS]
    if unmet:
        message = f"Phase {label} holds: {unmet[0].message}"
        return _hold(v, Reason.CRITERIA_NOT_MET, message)
    if v.phase.weight > 0 and not v.new.complete:
        message = f"Phase {label} holds: new has {v.new.ready} of {v.new.desired} replicas ready"
        return _hold(v, Reason.NEW_NOT_READY, message)
    return None


def _hold(v: View, reason: Reason, message: str) -> Outcome:
    again = v.status.state is State.HOLDING and v.status.reason is reason
    return Outcome(
        State.HOLDING,
        reason,
        message,
        notes=() if again else (Note(reason, message, "Warning"),),
        next=_next_text(v, v.index, v.since),
    )


def _time_is_over(v: View) -> bool:
    return v.phase is not None and v.since is not None and v.now >= round(v.since + v.phase.duration, 3)


def advances(v: View) -> Outcome | None:
    """The phase has lasted its time and everything passes: the next one, or the end."""
    if v.phase is None or not _time_is_over(v):
        return None
    if v.index + 1 < len(v.spec.phases):
        coming = v.spec.phases[v.index + 1]
        if coming.weight > v.phase.weight and not v.new.complete and v.spec.traffic.replicas is None:
            message = f"Phase {coming.name} waits: new has {v.new.ready} of {v.new.desired} replicas ready"
            return _hold(v, Reason.NEW_NOT_READY, message)
        return _enter(v, v.index + 1)
    began = v.status.started if v.status.started is not None else v.now
    message = f"Completed after {format_duration(v.now - began)}: new has {v.share} %"
    return Outcome(
        State.COMPLETED,
        Reason.COMPLETED,
        message,
        changes={"in_flight": False, "finished": v.now, "last_good_revision": v.status.revision},
        actions=_release(v),
        notes=(Note(Reason.COMPLETED, message),),
    )


def runs(v: View) -> Outcome | None:
    """Nothing to do but wait for the phase's time."""
    if v.status.phase is None:
        return None
    end = v.since + v.phase.duration if v.since is not None and v.phase is not None else None
    message = f"Phase {v.status.phase.label}: new has {v.share} %"
    resumed = v.status.state in (State.HOLDING, State.PAUSED) and v.since is not None
    return Outcome(
        State.PROGRESSING,
        Reason.PHASE_RUNNING,
        message,
        notes=(Note(Reason.RESUMED, f"Phase {v.status.phase.label} goes on"),) if resumed else (),
        next=_next_text(v, v.index, v.since),
        due=round(end, 3) if end is not None else None,
    )


def _next_text(v: View, index: int, since: float | None) -> str:
    last = index + 1 >= len(v.spec.phases)
    name = "completion" if last else v.spec.phases[index + 1].name
    if since is None:
        return name
    return f"{name} {format_time(since + v.spec.phases[index].duration)[:19]}Z"


RULES: Final[tuple[Rule, ...]] = (
    rolling_back,
    deleted,
    emergency_stop,
    revision_changed,
    breached,
    new_died,
    at_rest,
    waits_to_start,
    start,
    phase_removed,
    hindered,
    reweighted,
    moves,
    paused,
    retires,
    holds,
    advances,
    runs,
)


def decide(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float) -> Decision:
    """What is true now and what to do; the same inputs give the same decision.

    `now` is in seconds since the epoch. Raises ValueError only for a spec that the CRD would have refused.
    """
    now = round(now, 3)
    view = look(spec, status, facts, now)
    outcome = next(answer for rule in RULES if (answer := rule(view)) is not None)
    decided = _status(view, outcome)
    write = not outcome.silent and _worth_writing(status, decided, now)
    return Decision(
        status=decided.model_copy(update={"refreshed": now}) if write else decided,
        actions=outcome.actions,
        urgent=outcome.urgent,
        write=write,
        next_due=_next_due(view, outcome),
    )


def _status(v: View, outcome: Outcome) -> SyncRolloutStatus:
    before = v.status
    changes: dict[str, object] = {
        "observed_generation": v.facts.generation,
        "state": outcome.state,
        "reason": outcome.reason,
        "message": outcome.message,
        "next": outcome.next,
        "weight": v.share,
        "criteria": v.judged,
    }
    untouched = outcome.state in (State.COMPLETED, State.ROLLED_BACK) and outcome.state is before.state
    if v.phase is not None and before.phase is not None:
        # The spec's order and durations may have been edited: place and end follow it, the clock does not restart.
        changes["phase"] = phase_status(
            v.phase, v.index, len(v.spec.phases), entered=before.phase.entered, since=before.phase.since
        ).model_copy(update={"weight": before.phase.weight})
    if untouched:
        # At rest nothing is looked at any more: the last word on weights and criteria stands.
        del changes["weight"], changes["criteria"]
    changes |= outcome.changes
    run = changes.get("run", before.run)
    last = before.history[-1].sequence if before.history else 0
    added = tuple(
        HistoryEntry(
            sequence=last + number,
            run=run,
            time=v.now,
            reason=note.reason,
            type=note.type,
            message=note.message,
        )
        for number, note in enumerate(outcome.notes, start=1)
    )
    changes["history"] = (before.history + added)[-HISTORY_LENGTH:]
    judged = changes.get("criteria", before.criteria)
    changes["health"] = criteria.health(judged) if not untouched else before.health  # type: ignore[arg-type]
    changes["conditions"] = conditions(
        before.conditions,
        state=outcome.state,
        reason=outcome.reason,
        message=outcome.message,
        stalled=outcome.stalled,
        generation=v.facts.generation,
        now=v.now,
    )
    return before.model_copy(update=changes)


def _worth_writing(before: SyncRolloutStatus, after: SyncRolloutStatus, now: float) -> bool:
    if _significant(before) != _significant(after):
        return True
    if before.refreshed is not None and now - before.refreshed < REFRESH_AFTER:
        return False
    return _verdicts(before) != _verdicts(after)


def _significant(status: SyncRolloutStatus) -> tuple[object, ...]:
    """What is written at once when it changes. Readings and messages are not in it: a value alone is no news."""
    return (
        status.observed_generation,
        status.run,
        status.revision,
        status.state,
        status.reason,
        status.phase,
        status.weight,
        status.in_flight,
        status.retired,
        status.rollback,
        status.history[-1].sequence if status.history else 0,
        tuple((c.type, c.status, c.reason) for c in status.conditions),
        tuple(c.id for c in status.criteria if c.verdict is Verdict.FAIL and c.role is not Role.SUCCESS),
    )


def _verdicts(status: SyncRolloutStatus) -> tuple[object, ...]:
    return tuple((c.id, c.verdict, c.unknown) for c in status.criteria)


def _next_due(v: View, outcome: Outcome) -> float | None:
    """The next moment at which the clock alone changes something. Polling is the reconciler's."""
    moments = [outcome.due] if outcome.due is not None else []
    if v.status.in_flight and v.phase is not None:
        asked = criteria.questions(v.spec, v.phase)
        for question, criterion in zip(asked, v.judged, strict=True):
            moment = criteria.next_change(question, criterion, v.since)
            if moment is not None and moment > v.now:
                moments.append(moment)
    return min(moments, default=None)

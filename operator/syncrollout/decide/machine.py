"""The rollout's state machine.

Theory of operation. A decision is a function of spec, status, facts and now; nothing else is remembered. `RULES`
below is an ordered chain: the first rule that answers is what is true, and the rest is not asked. So order is
priority: putting traffic back stands before everything that moves it forward. What each state may become:

    Pending      -> Preflight Progressing Paused
    Preflight    -> Progressing Paused                    and, where an earlier run has ended:
                    Completed RolledBack RollingBack      (the new revision was taken back; emergencyStop)
    Progressing  -> Holding AwaitingApproval Paused RollingBack Completed
                    Progressing(next phase, or by a step back the one before)
    Holding      -> Progressing AwaitingApproval Paused RollingBack Completed
    AwaitingApproval -> Progressing Holding Paused RollingBack Completed
    Paused       -> Preflight Progressing Holding AwaitingApproval RollingBack Completed RolledBack
    RollingBack  -> RolledBack
    RolledBack   -> Preflight Progressing Paused          (a new run: spec.revision changed)
    Completed    -> Preflight Progressing Paused RollingBack   (a new run; emergencyStop; anything, while it is watched)

A breach that does not go back on the pass that sees it opens an incident; `incidents.py` has its table. While one is
open the rollout stands still or goes back. What people ask for by annotation is taken in once, by `requests.py`, before
the rules are asked.

Forward: the status says what is going to be (the phase), then traffic follows; a crash between the two is repaired by
the next pass, and traffic never has more weight than the recorded phase. Back: traffic moves first, then the status
says so; it asks neither calendar nor criteria. A phase's time counts from when its weights stand.

What is waited for though nothing is wrong (other rollouts, a pool, the calendar) stands in `gates.py`.
What people are told goes beside the rules, too: `telling.py` has the table.

Verification Jobs and drills go beside the rules, by the tables of `scheduled_jobs.py` and `drills.py`. Drills that
rehearse change nothing of what the rules answer; those that really move traffic do so by one of them, `live.away`.

The caller hands `Decision.status` back on the next pass whether it was written or not: what was not worth a request
(since when a criterion holds, say) is remembered there. After a restart that begins anew from what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Reason, State
from syncrollout.decide import (
    approvals,
    clocks,
    criteria,
    day_one,
    drills,
    gates,
    going_back,
    going_forward,
    heavier,
    incidents,
    live,
    mirroring,
    movement,
    retiring,
    scheduled_jobs,
    standing_still,
    stepping_back,
    telling,
    verifying,
    watching,
)
from syncrollout.decide.actions import Action, AddFinalizer, Assign, Decision, RemoveFinalizer
from syncrollout.decide.facts import Facts, Problem
from syncrollout.decide.outcome import Note, Outcome
from syncrollout.decide.record import recorded, worth_writing
from syncrollout.decide.view import View, look

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.PREFLIGHT, State.PROGRESSING, State.PAUSED}),
    State.PREFLIGHT: frozenset(
        {State.PROGRESSING, State.PAUSED, State.COMPLETED, State.ROLLED_BACK, State.ROLLING_BACK}
    ),
    State.PROGRESSING: frozenset(
        {State.HOLDING, State.AWAITING_APPROVAL, State.PAUSED, State.ROLLING_BACK, State.COMPLETED}
    ),
    State.HOLDING: frozenset(
        {State.PROGRESSING, State.AWAITING_APPROVAL, State.PAUSED, State.ROLLING_BACK, State.COMPLETED}
    ),
    State.AWAITING_APPROVAL: frozenset(
        {State.PROGRESSING, State.HOLDING, State.PAUSED, State.ROLLING_BACK, State.COMPLETED}
    ),
    State.PAUSED: frozenset(
        {
            *(State.PREFLIGHT, State.PROGRESSING, State.HOLDING, State.AWAITING_APPROVAL),
            *(State.ROLLING_BACK, State.COMPLETED, State.ROLLED_BACK),
        }
    ),
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK}),
    State.ROLLED_BACK: frozenset({State.PREFLIGHT, State.PROGRESSING, State.PAUSED}),
    State.COMPLETED: frozenset({State.PREFLIGHT, State.PROGRESSING, State.PAUSED, State.ROLLING_BACK}),
}

Rule = Callable[[View], Outcome | None]

RULES: Final[tuple[Rule, ...]] = (
    going_back.rolling_back,
    going_back.deleted,
    going_back.emergency_stop,
    going_back.revision_changed,
    going_back.asked_back,
    going_back.overdue,
    going_back.gone_back,
    stepping_back.steps_back,
    stepping_back.cannot_step_back,
    going_back.breached,
    going_back.phase_overdue,
    going_back.new_died,
    watching.watched,
    standing_still.at_rest,
    standing_still.waits_to_start,
    gates.waits_its_turn,
    going_forward.start,
    standing_still.phase_removed,
    standing_still.hindered,
    heavier.later,
    going_forward.reweighted,
    going_forward.brings_old_back,
    day_one.prepares,
    mirroring.mirrors,
    live.away,
    going_forward.moves,
    standing_still.incident,
    standing_still.paused,
    retiring.retires,
    standing_still.holds,
    standing_still.awaits_approval,
    gates.shut,
    going_forward.advances,
    going_forward.runs,
)


def decide(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float) -> Decision:
    """What is true now and what to do; the same inputs give the same decision.

    `now` is in seconds since the epoch. Raises ValueError only for a spec that the CRD would have refused.
    """
    now = round(now, 3)
    mended = clocks.ahead(status, now)
    status = clocks.set_back(status, now)
    view = look(spec, status, facts, now)
    outcome = next(answer for rule in RULES if (answer := rule(view)) is not None)
    outcome = replace(outcome, actions=outcome.actions + _finalizer(view, outcome))
    outcome = _nobody_goes_without(view, outcome)
    outcome = _with_its_deadline(view, outcome)
    outcome = scheduled_jobs.beside(view, outcome)
    if facts.refused is not None and outcome.actions:
        outcome = _refused(view, outcome, facts.refused)
    outcome = drills.beside(view, outcome)
    decided = recorded(view, outcome)
    if spec.notifications is not None or status.notifications is not None:
        heard = telling.Heard(facts.deliveries, view.judged, view.heard.ack, view.heard.by, mute=facts.mute)
        decided = telling.told(spec, status, decided, heard, now)
    write = not outcome.silent and (mended or worth_writing(status, decided, now))
    if write:
        decided = decided.model_copy(update={"refreshed": now})
    else:
        # What is not worth a request stays as it is recorded; but how long a criterion has held must not be forgotten.
        kept = ("criteria", "health", "verify", *(() if outcome.silent else ("incident",)))
        decided = status.model_copy(update={name: getattr(decided, name) for name in kept})
    return Decision(
        status=decided,
        actions=outcome.actions,
        urgent=outcome.urgent,
        lasting=outcome.lasting or outcome.state is State.ROLLING_BACK,
        write=write,
        next_due=_earliest(_next_due(view, outcome), telling.next_due(spec, decided, now, mute=facts.mute)),
    )


def _finalizer(v: View, outcome: Outcome) -> tuple[Action, ...]:
    """The finalizer is there while a run is in flight, and at no other time; traffic is moved before it is touched."""
    if outcome.changes.get("in_flight", v.status.in_flight):
        return () if v.facts.has_finalizer or v.facts.deleting else (AddFinalizer(),)
    watched = outcome.changes.get("watch", v.status.watch) is not None
    return (RemoveFinalizer(watched=watched),) if v.facts.has_finalizer else ()


def _nobody_goes_without(v: View, outcome: Outcome) -> Outcome:
    """While a rollout stands still, no slot is to be without an owner: what was released and not granted goes back."""
    if not v.status.in_flight or outcome.state not in _STANDS_STILL:
        return outcome
    if any(problem.reason in _OF_CONFIG_MAP for problem in v.facts.problems):
        return outcome
    if any(isinstance(action, Assign) for action in outcome.actions):
        return outcome
    kept = movement.steady(v.slots, v.status.phase.weight if v.status.phase is not None else 100)
    moments = [moment for moment in (outcome.due, kept.due) if moment is not None]
    return replace(outcome, actions=(*outcome.actions, *kept.actions), due=min(moments, default=None))


def _with_its_deadline(v: View, outcome: Outcome) -> Outcome:
    """Whatever a rollout does or waits for, people see by when an open incident sends it back."""
    if v.incident is None or not incidents.is_open(v.incident) or outcome.state not in _IN_FLIGHT:
        return outcome
    return replace(outcome, next=incidents.coming(v.spec, v.incident))


_STANDS_STILL: Final = frozenset({State.HOLDING, State.AWAITING_APPROVAL, State.PAUSED})
_IN_FLIGHT: Final = frozenset({State.PROGRESSING, *_STANDS_STILL})
_OF_CONFIG_MAP: Final = frozenset({Reason.CONFIG_MAP_TAKEN, Reason.EPOCH_AHEAD, Reason.FORBIDDEN})


def _refused(v: View, outcome: Outcome, refused: Problem) -> Outcome:
    """What is decided stays, and is tried again; a person is told what keeps it from being done."""
    told = v.status.reason is refused.reason
    notes = outcome.notes if told else (*outcome.notes, Note(refused.reason, refused.message, "Warning"))
    if told and v.status.state is outcome.state:
        # The refusal's reason stands in the status. What is waited for besides has been told before it all the same.
        last = next((entry for entry in reversed(v.status.history) if entry.reason is not refused.reason), None)
        if last is not None and last.reason is outcome.reason and last.run == v.status.run:
            notes = tuple(note for note in notes if note.reason is not outcome.reason)
    return replace(
        outcome,
        reason=refused.reason,
        message=f"{outcome.message}: {refused.message}".lstrip(": "),
        notes=notes,
        stalled=refused.reason is not Reason.API_SERVER_FAILS,  # which passes by itself, most often
        silent=False,
    )


def _next_due(v: View, outcome: Outcome) -> float | None:
    """The next moment at which the clock alone changes something. Polling is the reconciler's."""
    moments: list[float] = []
    if v.active:
        moments += [moment for moment in (v.end, v.deadline) if moment is not None]
        moments += stepping_back.patience_ends(v)
        expires = approvals.expires(v.spec, v.status)
        moments += [expires] if expires is not None else []
        strays = verifying.patience_ends(v)
        moments += [strays] if strays is not None else []
        if v.incident is not None:
            ends = (v.incident.deadline, incidents.clear_ends(v.spec, v.incident))
            moments += [moment for moment in ends if moment is not None]
        asked = criteria.questions(v.spec, v.phase if v.status.in_flight else None, respite=v.respite)
        for question, criterion in zip(asked, v.judged, strict=True):
            if criteria.is_blind(criterion):
                moments += [v.patience_ends(criterion), incidents.unknown_too_long(v.spec, criterion)]
            change = criteria.next_change(question, criterion, v.since)
            moments += [change] if change is not None else []
    coming = [moment for moment in moments if moment > v.now]
    return min(coming + ([outcome.due] if outcome.due is not None else []), default=None)


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)

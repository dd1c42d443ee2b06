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
from dataclasses import replace
from typing import Final

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import State
from syncrollout.decide import criteria, going_back, going_forward, standing_still
from syncrollout.decide.actions import Decision
from syncrollout.decide.facts import Facts
from syncrollout.decide.outcome import Outcome
from syncrollout.decide.record import recorded, worth_writing
from syncrollout.decide.view import View, look

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

Rule = Callable[[View], Outcome | None]

RULES: Final[tuple[Rule, ...]] = (
    going_back.rolling_back,
    going_back.deleted,
    going_back.emergency_stop,
    going_back.revision_changed,
    going_back.breached,
    going_back.new_died,
    standing_still.at_rest,
    standing_still.waits_to_start,
    going_forward.start,
    standing_still.phase_removed,
    standing_still.hindered,
    going_forward.reweighted,
    going_forward.moves,
    standing_still.paused,
    going_forward.retires,
    standing_still.holds,
    going_forward.advances,
    going_forward.runs,
)


def decide(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float) -> Decision:
    """What is true now and what to do; the same inputs give the same decision.

    `now` is in seconds since the epoch. Raises ValueError only for a spec that the CRD would have refused.
    """
    now = round(now, 3)
    view = look(spec, status, facts, now)
    outcome = next(answer for rule in RULES if (answer := rule(view)) is not None)
    if facts.refused is not None and outcome.actions:
        said = f"{outcome.message}: {facts.refused.message}".lstrip(": ")
        outcome = replace(outcome, reason=facts.refused.reason, message=said, stalled=True, silent=False)
    decided = recorded(view, outcome)
    write = not outcome.silent and worth_writing(status, decided, now)
    return Decision(
        status=decided.model_copy(update={"refreshed": now}) if write else decided,
        actions=outcome.actions,
        urgent=outcome.urgent,
        write=write,
        next_due=_next_due(view, outcome),
    )


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

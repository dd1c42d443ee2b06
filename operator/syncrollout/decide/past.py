"""The phases that a run has been in, with what was measured when each ended: kept for people. No decision
rests on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncrollout.api.status import (
    MOST_PAST,
    MOST_RESULTS,
    CriterionStatus,
    PastPhase,
    PastResult,
    PhaseStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import PhaseEnd, Role, State, Verdict
from syncrollout.decide import approvals


def phases(
    before: SyncRolloutStatus, changes: Mapping[str, object], judged: Sequence[CriterionStatus], now: float
) -> tuple[PastPhase, ...]:
    """Those of the run, the one that these changes end among them. `judged`: the criteria as they stand at its end."""
    if changes.get("run", before.run) != before.run:
        return ()
    end = _end(before, changes)
    if end is None or before.phase is None:
        return before.past_phases
    phase = before.phase
    ended = PastPhase(
        name=phase.name,
        weight=phase.weight,
        entered=phase.entered,
        since=phase.since,
        ended=now,
        end=end,
        results=_results(judged),
    )
    return (*before.past_phases, ended)[-MOST_PAST:]


def _end(before: SyncRolloutStatus, changes: Mapping[str, object]) -> PhaseEnd | None:
    """How the phase ends that the run was in; None where it goes on, or where there was none."""
    if not before.in_flight or before.state is State.ROLLING_BACK:
        return None
    if changes["state"] is State.ROLLING_BACK:
        return PhaseEnd.ROLLED_BACK
    over = PhaseEnd.SKIPPED if approvals.is_of_present(before.skipped, before) else PhaseEnd.PASSED
    if changes["state"] is State.COMPLETED:
        return over
    after = changes.get("phase", before.phase)
    if before.phase is None or not isinstance(after, PhaseStatus):
        return None
    stays = (after.name, after.entered, after.weight)
    if stays == (before.phase.name, before.phase.entered, before.phase.weight):
        return None
    if changes.get("step_back", before.step_back) != before.step_back:
        return PhaseEnd.STEPPED_BACK
    return PhaseEnd.REWEIGHTED if after.name == before.phase.name else over


def _results(judged: Sequence[CriterionStatus]) -> tuple[PastResult, ...]:
    """What speaks against new first, for there is room for some alone."""
    told = [each for each in judged if each.verdict is Verdict.FAIL]
    told += [each for each in judged if each.verdict is not Verdict.FAIL and each.role is Role.SUCCESS]
    return tuple(
        PastResult(
            role=each.role,
            metric=each.metric,
            limit=each.limit,
            verdict=each.verdict,
            reading=each.reading,
            baseline=each.baseline,
        )
        for each in told[:MOST_RESULTS]
    )


__all__ = ["phases"]

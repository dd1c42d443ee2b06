"""From an outcome to the status that records it, and whether that is worth a request."""

from __future__ import annotations

from typing import Final

from syncrollout.api.status import (
    HISTORY_LENGTH,
    MOST_RESTARTED,
    PERSON_LENGTH,
    CriterionStatus,
    HistoryEntry,
    IncidentStatus,
    PhaseStatus,
    PodRestarts,
    PreflightStatus,
    ShardsStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import HandoverStage, Reason, Role, Severity, State, Verdict
from syncrollout.decide import approvals, criteria, handover_words, incidents, past, reported
from syncrollout.decide.conditions import conditions
from syncrollout.decide.outcome import Note, Outcome
from syncrollout.decide.phrases import clip
from syncrollout.decide.unread import as_far_as_read
from syncrollout.decide.view import View, phase_status

REFRESH_AFTER: Final = 60.0
"""Seconds between writes that only bring verdicts up to date; transitions are written at once."""

_OF_READINGS: Final = frozenset(
    {
        Reason.CRITERIA_UNKNOWN,
        Reason.PREFLIGHT_INCOMPLETE,
        Reason.CRITERIA_NOT_MET,
        Reason.TRIGGER_ALREADY_BREACHED,
        Reason.VERIFYING,
        Reason.ROUTER_DISOBEYS,
        Reason.SHARE_UNKNOWN,
    }
)
"""Reasons whose messages quote a reading; a reading that moves is no reason to write."""

_SAID_AT_ONCE: Final = frozenset({Reason.WAITING_FOR_DEPENDENCY, Reason.FREEZES_UNKNOWN})
"""Reasons whose messages tell of others, and change when those do something."""
_FOLLOW_THE_SPEC: Final = ("name", "index", "label", "earliest_end")
"""Of the phase of a run in flight; the rest stays as it was when it was entered."""
_BEFORE_A_RUN: Final = frozenset({State.PENDING, State.PREFLIGHT, State.PAUSED})


def recorded(v: View, outcome: Outcome) -> SyncRolloutStatus:
    """The status as it stands after the outcome."""
    before = v.status
    changes: dict[str, object] = {
        "observed_generation": v.facts.generation,
        "state": outcome.state,
        "reason": outcome.reason,
        "message": clip(outcome.message),
        "next": clip(outcome.next, 200),
        "weight": v.share,
        "criteria": _judged(v, outcome),
        "verify": v.verify,
        "incident": v.incident,
        "requests": before.requests,
        "retry": before.retry,
        "reports": before.reports,
        "preflight": before.preflight,
        "day_one": before.day_one,
        "verifications": before.verifications,
        "finished_jobs": before.finished_jobs,
        "waiting_since": before.waiting_since if not before.in_flight and outcome.state in _BEFORE_A_RUN else None,
        "shards": v.slots.record if v.slots is not None else before.shards,
    }
    ended = outcome.state in (State.COMPLETED, State.ROLLED_BACK)
    untouched = ended and outcome.state is before.state and not v.watched
    if before.in_flight and v.phase is not None and before.phase is not None:
        # The spec's order and durations may have been edited: place and end follow it, the clock does not restart.
        now_called = phase_status(
            v.phase,
            v.index,
            len(v.spec.phases),
            entered=before.phase.entered,
            since=before.phase.since,
            lasted=before.phase.lasted,
        )
        follows = {name: getattr(now_called, name) for name in _FOLLOW_THE_SPEC}
        changes["phase"] = before.phase.model_copy(update=follows)
    if untouched:
        # At rest nothing is looked at any more: the last word on weights and criteria stands.
        del changes["weight"], changes["criteria"], changes["verify"]
    if not _may_still_go_back(v, outcome):
        changes["incident"] = None
    if outcome.state is not State.COMPLETED:
        changes["watch"] = None
    at_the_end = _judged(v, outcome)
    changes |= outcome.changes
    changes["past_phases"] = past.phases(before, changes, at_the_end, v.now)
    changes |= approvals.left(changes, before)
    _note_restarts(v, changes)
    if before.reports is not None and (before.in_flight or v.watched or changes.get("in_flight")):
        stands = before.model_copy(update={name: changes[name] for name in ("run", "phase") if name in changes})
        changes["reports"] = reported.in_phase(before.reports, stands, active=True)
    run = changes.get("run", before.run)
    last = before.history[-1].sequence if before.history else 0
    added = tuple(
        HistoryEntry(
            sequence=last + number,
            run=run,
            time=v.now,
            reason=note.reason,
            type=note.type,
            message=clip(note.message),
            by=clip(note.by, PERSON_LENGTH) or None,
        )
        for number, note in enumerate((*_handovers(v), *_severities(v, outcome), *outcome.notes), start=1)
    )
    changes["history"] = (before.history + added)[-HISTORY_LENGTH:]
    judged = changes.get("criteria", before.criteria)
    changes["health"] = criteria.health(judged) if not untouched else before.health  # type: ignore[arg-type]
    changes["conditions"] = conditions(
        before.conditions,
        state=outcome.state,
        reason=outcome.reason,
        message=clip(outcome.message),
        stalled=outcome.stalled,
        generation=v.facts.generation,
        now=v.now,
        drill=changes.get("drill", before.drill),  # type: ignore[arg-type]
        approval=approvals.asks_anywhere(v.spec),
    )
    return before.model_copy(update=changes)


def _note_restarts(v: View, changes: dict[str, object]) -> None:
    """What pods had been restarted before the phase is kept from the first look on at which it can be seen."""
    phase = changes.get("phase", v.status.phase)
    runs = v.active or changes.get("in_flight")
    if not runs or not isinstance(phase, PhaseStatus) or phase.restarts is not None or v.facts.restarts is None:
        return
    most = sorted(v.facts.restarts.items(), key=lambda each: (-each[1], each[0]))[:MOST_RESTARTED]
    kept = tuple(PodRestarts(uid=uid, count=count) for uid, count in most)
    changes["phase"] = phase.model_copy(update={"restarts": kept})


def _may_still_go_back(v: View, outcome: Outcome) -> bool:
    """Whether an incident has something left to decide: the run goes on, or it has completed and is watched. The next
    run begins without the incident of the last one; what is still wrong then opens its own."""
    if outcome.state is State.ROLLING_BACK:
        return False
    if v.status.in_flight:
        return bool(outcome.changes.get("in_flight", True)) or outcome.changes.get("watch") is not None
    return v.watched and outcome.state is State.COMPLETED


def _handovers(v: View) -> tuple[Note, ...]:
    """What has come of slots since the last record: told when it is seen to stand, so that a crash changes nothing."""
    before, now = v.status.shards, v.slots.record if v.slots is not None else None
    if before is None or now is None or before.config_map != now.config_map or now.epoch <= before.epoch:
        return ()
    if now.stage is HandoverStage.RELEASING and now.new_below < now.old_from:
        return (Note(Reason.SHARDS_RELEASED, handover_words.released(now)),)
    if now.stage is HandoverStage.SETTLED and before.stage is HandoverStage.RELEASING:
        return (Note(Reason.SHARDS_GRANTED, handover_words.granted(now)),)
    return ()


def _severities(v: View, outcome: Outcome) -> tuple[Note, ...]:
    """What has come of requests and of severities. A rollback tells itself why, and an end is an end."""
    if not _may_still_go_back(v, outcome):
        return v.heard.notes
    return (*v.heard.notes, *v.low, *incidents.told(v.spec, v.status.incident, v.incident))


def _judged(v: View, outcome: Outcome) -> tuple[CriterionStatus, ...]:
    """The criteria as judged now; of a rollback, as they were when it was decided: that is what people look for."""
    going_back = outcome.state in (State.ROLLING_BACK, State.ROLLED_BACK)
    if v.status.state is State.ROLLING_BACK:
        return v.status.criteria
    if going_back and not v.facts.readings:
        return as_far_as_read(v.spec, v.counted.keys(), v.status.criteria, v.judged)
    return v.judged


def worth_writing(before: SyncRolloutStatus, after: SyncRolloutStatus, now: float) -> bool:
    """Whether `after` differs from the recorded status in more than what may wait for the next write."""
    if _significant(before) != _significant(after) or _clear_no_more(before, after):
        return True
    if before.refreshed is not None and abs(now - before.refreshed) < REFRESH_AFTER:
        return False
    if _verdicts(before) != _verdicts(after):
        return True
    if after.reason not in _OF_READINGS and (before.message, before.next) != (after.message, after.next):
        return True
    # A verdict may have changed since the last write, when it was too early for another.
    verdicts = [_moved(c) for c in after.criteria] + ([after.verify.since] if after.verify is not None else [])
    if after.incident is not None and after.incident.clear_since is not None:
        verdicts.append(after.incident.clear_since)
    return any(before.refreshed is None or moved > before.refreshed for moved in verdicts)


def _moved(criterion: CriterionStatus) -> float:
    return max(criterion.since, criterion.held_since or 0.0, criterion.lacking_since or 0.0)


def _significant(status: SyncRolloutStatus) -> tuple[object, ...]:
    """What is written at once when it changes. Readings and messages are not in it: a value alone is no news."""
    return (
        status.observed_generation,
        status.run,
        status.revision,
        status.state,
        status.reason,
        status.message if status.reason in _SAID_AT_ONCE else "",
        status.phase,
        status.weight,
        status.in_flight,
        status.waiting_since,
        status.retired,
        status.stopped_new,
        status.step_back,
        status.watch,
        _owners(status.shards),
        status.mirror,
        status.rollback,
        _incident(status.incident),
        status.requests,
        (status.approvals, status.approvals_taken, status.approval_asked, status.skipped, status.hold),
        status.retry,
        status.reports,
        _checked(status.preflight),
        status.day_one,
        status.verifications,
        status.drill,
        status.finished_jobs,
        status.notifications,
        status.history[-1].sequence if status.history else 0,
        tuple((c.type, c.status, c.reason) for c in status.conditions),
        tuple(c.id for c in status.criteria if c.verdict is Verdict.FAIL and _sends_back(c)),
    )


def _sends_back(criterion: CriterionStatus) -> bool:
    return criterion.role is not Role.SUCCESS and criterion.severity in (None, Severity.CRITICAL)


def _incident(incident: IncidentStatus | None) -> tuple[object, ...]:
    """That it is clear for the moment is no news: a trigger may come and go with every reading."""
    return () if incident is None else tuple(value for name, value in incident if name != "clear_since")


def _clear_no_more(before: SyncRolloutStatus, after: SyncRolloutStatus) -> bool:
    """It was recorded as clear and is not, or not since then: a restart must not take it for clear all the time."""
    was = before.incident.clear_since if before.incident is not None else None
    written = was is not None and (before.refreshed is None or was <= before.refreshed)
    return written and after.incident is not None and after.incident.clear_since != was


def _checked(checklist: PreflightStatus | None) -> tuple[object, ...]:
    """What its lines say, and what people have confirmed; in which words is no news."""
    if checklist is None:
        return ()
    lines = tuple((each.name, each.group, each.verdict, each.task) for each in checklist.checks)
    return (checklist.revision, lines, checklist.attested, checklist.missing_old, checklist.missing_new)


def _owners(shards: ShardsStatus | None) -> tuple[object, ...]:
    """The names of the pods that are waited for are no news of their own."""
    if shards is None:
        return ()
    return tuple(value for name, value in shards if name != "waiting_for")


def _verdicts(status: SyncRolloutStatus) -> tuple[object, ...]:
    seen = status.verify
    criteria_said = tuple((c.id, c.verdict, c.unknown) for c in status.criteria)
    lines = status.preflight.checks if status.preflight is not None else ()
    lacking = tuple((each.name, each.message) for each in lines if each.verdict is not Verdict.PASS)
    return (*criteria_said, lacking, (seen.verdict, seen.unknown) if seen is not None else None)

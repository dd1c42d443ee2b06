"""Incidents: breaches that do not send the rollout back on the pass that sees them.

Theory of operation. What counts is what is breached now: triggers of severity High and Medium, and as Medium rollbackOn
of a phase whose onFailure is Hold, a phase that has not passed by its deadline, and criteria that could not be judged
for `rollback.medium.unknownFor`. The first opens an incident, and while it is open the rollout takes no step forward.
All that are breached meanwhile belong to it; the gravest rules:

    none        -> High Medium                 a breach; the deadline is set
    Medium      -> High                        a graver one: the deadline comes nearer or stays, never later
    High        -> Medium                      all of High clear for high.clearFor, and some of Medium not
    High Medium -> none                        all of it clear for clearFor
    High Medium -> overridden                  a person gives a reason; of Medium also by default, at the deadline
    High        -> (the rollout goes back)     at the deadline
    Medium      -> (the rollout goes back)     a person decides so, or by default, at the deadline
    overridden  -> none                        all of it clear for clearFor
    overridden  -> High Medium                 a breach that does not belong to it, or a graver one; what was overridden
                                               stays so beside it, and is what is left once the other is over

Unknown is not clear, and a criterion that was not asked for on this pass changes nothing. All of it stands in
status.incident, by the wall clock, so that a restart changes nothing either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import OnFailure, Phase, SyncRolloutSpec, Undecided
from syncrollout.api.status import MOST_CRITERIA, REQUEST_LENGTH, CriterionStatus, IncidentStatus, PassedOver
from syncrollout.api.words import Reason, Request, Role, Severity, Unknown, Verdict
from syncrollout.decide import criteria
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, moment
from syncrollout.decide.requests import CONTINUE, Heard, signed

DEADLINE: Final = "deadline"

_RANK: Final = {Severity.LOW: 0, Severity.MEDIUM: 1, Severity.HIGH: 2, Severity.CRITICAL: 3}


@dataclass(frozen=True, slots=True)
class Breach:
    """One criterion that is breached now."""

    id: str
    severity: Severity
    message: str


def breaches(
    spec: SyncRolloutSpec, phase: Phase | None, judged: Iterable[CriterionStatus], now: float
) -> tuple[Breach, ...]:
    """All that do not send the rollout back at once, the gravest first."""
    found = [breach for criterion in judged if (breach := _breach(spec, phase, criterion, now)) is not None]
    return tuple(sorted(found, key=lambda breach: -_RANK[breach.severity]))


def _breach(spec: SyncRolloutSpec, phase: Phase | None, criterion: CriterionStatus, now: float) -> Breach | None:
    if criterion.severity is Severity.LOW:
        return None
    if criterion.metric == DEADLINE and criterion.severity is Severity.MEDIUM and not criterion.limit:
        return Breach(criterion.id, Severity.MEDIUM, criterion.message)
    if criterion.verdict is Verdict.FAIL and criterion.severity in (Severity.HIGH, Severity.MEDIUM):
        return Breach(criterion.id, criterion.severity, f"{criterion.message} ({criterion.severity.value} trigger)")
    if criteria.speaks_against(criterion) and phase is not None:
        if phase.on_failure is not OnFailure.HOLD:
            return None
        return Breach(criterion.id, Severity.MEDIUM, f"{criterion.message} ({place(criterion)} of phase {phase.name})")
    if criteria.is_blind(criterion) and now >= unknown_too_long(spec, criterion):
        lasts = format_duration(spec.rollback.medium.unknown_for)
        message = f"{criterion.metric} could not be judged for {lasts}: {criterion.message}"
        return Breach(criterion.id, Severity.MEDIUM, message)
    return None


def place(criterion: CriterionStatus) -> str:
    """Where a criterion of a phase stands in the spec."""
    return "success" if criterion.role is Role.SUCCESS else "rollbackOn"


def late(phase: Phase, now: float) -> CriterionStatus:
    """That a phase has not passed by its deadline, as if it were a criterion: a breach while that is so."""
    assert phase.deadline is not None
    message = f"phase {phase.name} has not passed within {format_duration(phase.deadline)}"
    return CriterionStatus(
        id=f"{phase.name}/{DEADLINE}",
        role=Role.TRIGGER,
        severity=Severity.MEDIUM,
        metric=DEADLINE,
        limit="",
        verdict=Verdict.FAIL,
        message=message,
        since=now,
    )


def unknown_too_long(spec: SyncRolloutSpec, criterion: CriterionStatus) -> float:
    """When a criterion that is blind counts as a breach."""
    return round(criterion.since + spec.rollback.medium.unknown_for, 3)


def develop(
    spec: SyncRolloutSpec,
    phase: Phase | None,
    before: IncidentStatus | None,
    judged: tuple[CriterionStatus, ...],
    *,
    heard: Heard,
    now: float,
) -> IncidentStatus | None:
    """The incident as it stands now; None where there is none."""
    incident = _said(before, heard, now)
    standing = breaches(spec, phase, judged, now)
    if incident is None:
        return _opened(spec, standing, None, now) if standing else None
    known = {criterion.id: criterion for criterion in judged}
    if any(known[each].unknown is Unknown.NOT_ASKED for each in incident.criteria if each in known):
        return incident
    if incident.overridden is not None:
        return _while_overridden(spec, incident, standing, known, now)
    return _while_open(spec, incident, standing, known, now)


def _said(incident: IncidentStatus | None, heard: Heard, now: float) -> IncidentStatus | None:
    reason = heard.override or (heard.decided if heard.decision == CONTINUE else "")
    return _overridden(incident, reason, heard.by, now) if incident is not None and reason else incident


def _overridden(incident: IncidentStatus, reason: str, by: str, now: float) -> IncidentStatus:
    """All of it is passed over, with what was so before."""
    parts = (incident,) if incident.earlier is None else (incident, incident.earlier)
    return incident.model_copy(
        update={
            "severity": max((part.severity for part in parts), key=lambda severity: _RANK[severity]),
            "criteria": tuple(dict.fromkeys(each for part in parts for each in part.criteria))[:MOST_CRITERIA],
            "overridden": clip(reason, REQUEST_LENGTH),
            "overridden_at": now,
            "overridden_by": by or None,
            "deadline": None,
            "clear_since": None,
            "earlier": None,
        }
    )


def _of(
    breach: Breach, criteria: Iterable[str], *, since: float, deadline: float, earlier: PassedOver | None
) -> IncidentStatus:
    """An open incident of which this is the gravest breach."""
    return IncidentStatus(
        severity=breach.severity,
        criterion=breach.id,
        message=clip(breach.message),
        since=since,
        deadline=round(deadline, 3),
        criteria=tuple(criteria),
        earlier=earlier,
    )


def _opened(
    spec: SyncRolloutSpec, standing: tuple[Breach, ...], earlier: PassedOver | None, now: float
) -> IncidentStatus:
    deadline = now + _patience(spec, standing[0].severity)
    return _of(standing[0], (breach.id for breach in standing), since=now, deadline=deadline, earlier=earlier)


def _not_passed_over(standing: tuple[Breach, ...], earlier: PassedOver | None) -> tuple[Breach, ...]:
    """The breaches that nobody has spoken of: that belong to nothing overridden, or are graver than it was."""
    if earlier is None:
        return standing
    rank = _RANK[earlier.severity]
    return tuple(each for each in standing if each.id not in earlier.criteria or _RANK[each.severity] > rank)


def _patience(spec: SyncRolloutSpec, severity: Severity) -> float:
    return spec.rollback.high.within if severity is Severity.HIGH else spec.rollback.medium.decide_within


def _while_open(
    spec: SyncRolloutSpec,
    incident: IncidentStatus,
    standing: tuple[Breach, ...],
    known: Mapping[str, CriterionStatus],
    now: float,
) -> IncidentStatus | None:
    deadline = incident.deadline if incident.deadline is not None else now
    standing = _not_passed_over(standing, incident.earlier)
    members = tuple(dict.fromkeys((*incident.criteria, *(breach.id for breach in standing))))
    members = tuple(each for each in members if each in known)
    if standing and _RANK[standing[0].severity] > _RANK[incident.severity]:
        gravest = standing[0]
        deadline = min(deadline, now + _patience(spec, gravest.severity))
        return _of(gravest, members, since=incident.since, deadline=deadline, earlier=incident.earlier)
    grave = [each for each in members if _RANK[_severity(known[each])] >= _RANK[incident.severity]]
    clear = _clear_since(incident, grave, known, now)
    incident = incident.model_copy(update={"criteria": members, "clear_since": clear})
    if _is_over(spec, incident, now):
        left = tuple(each for each in members if not _clear(known[each]))
        return _lessened(spec, incident, left, known, now) if left else _left_over(incident.earlier)
    if incident.severity is Severity.MEDIUM and now >= deadline and spec.rollback.medium.default is Undecided.CONTINUE:
        lasted = format_duration(spec.rollback.medium.decide_within)
        why = f"nobody decided within {lasted}, and rollback.medium.default is Continue"
        return _overridden(incident, why, "", now)
    return incident


def _lessened(
    spec: SyncRolloutSpec,
    incident: IncidentStatus,
    left: tuple[str, ...],
    known: Mapping[str, CriterionStatus],
    now: float,
) -> IncidentStatus:
    """What was High is clear, and something of Medium is not: a person has as long for it as from the beginning."""
    medium = spec.rollback.medium
    deadline = max(incident.since + medium.decide_within, now + medium.clear_for)
    breach = Breach(left[0], Severity.MEDIUM, known[left[0]].message)
    return _of(breach, left, since=incident.since, deadline=deadline, earlier=incident.earlier)


def _left_over(earlier: PassedOver | None) -> IncidentStatus | None:
    """What was overridden before the incident that is over now; it is over too once all of it is clear for clearFor."""
    return None if earlier is None else IncidentStatus(**dict(earlier))


def _while_overridden(
    spec: SyncRolloutSpec,
    incident: IncidentStatus,
    standing: tuple[Breach, ...],
    known: Mapping[str, CriterionStatus],
    now: float,
) -> IncidentStatus | None:
    standing = _not_passed_over(standing, incident)
    if standing:
        return _opened(
            spec, standing, PassedOver(**{name: getattr(incident, name) for name in PassedOver.model_fields}), now
        )
    members = tuple(each for each in incident.criteria if each in known)
    clear = _clear_since(incident, members, known, now)
    incident = incident.model_copy(update={"criteria": members, "clear_since": clear})
    return None if _is_over(spec, incident, now) else incident


def _severity(criterion: CriterionStatus) -> Severity:
    """What a member of an incident counts as; what is in it for being Unknown counts as Medium."""
    return criterion.severity if criterion.severity in (Severity.HIGH, Severity.LOW) else Severity.MEDIUM


def _clear(criterion: CriterionStatus) -> bool:
    if criterion.unknown is Unknown.IGNORED:
        return True  # what it last read did not speak against new
    if criterion.role is Role.SUCCESS:
        # It was in for want of data; it holds the phase by itself.
        return not criteria.is_blind(criterion) and not criteria.speaks_against(criterion)
    return criterion.severity is Severity.LOW or criterion.verdict is Verdict.PASS


def _clear_since(
    incident: IncidentStatus, members: Iterable[str], known: Mapping[str, CriterionStatus], now: float
) -> float | None:
    if not all(_clear(known[each]) for each in members):
        return None
    return now if incident.clear_since is None else min(incident.clear_since, now)


def _is_over(spec: SyncRolloutSpec, incident: IncidentStatus, now: float) -> bool:
    ends = clear_ends(spec, incident)
    return ends is not None and now >= ends


def clear_ends(spec: SyncRolloutSpec, incident: IncidentStatus) -> float | None:
    """When it counts as over, if it stays clear."""
    if incident.clear_since is None:
        return None
    rollback = spec.rollback
    patience = rollback.high.clear_for if incident.severity is Severity.HIGH else rollback.medium.clear_for
    return round(incident.clear_since + patience, 3)


def is_open(incident: IncidentStatus | None) -> bool:
    """Whether it keeps the rollout from going forward."""
    return incident is not None and incident.overridden is None


def covers(incident: IncidentStatus | None, criterion: CriterionStatus) -> bool:
    """Whether somebody has said that the rollout goes on in spite of it. A success criterion still has to pass."""
    if incident is None or criterion.role is Role.SUCCESS:
        return False
    passed_over = incident if incident.overridden is not None else incident.earlier
    return passed_over is not None and criterion.id in passed_over.criteria


# What is said of it.


def reason_of(incident: IncidentStatus) -> Reason:
    """Why the rollout stands still."""
    return Reason.ROLLBACK_DUE if incident.severity is Severity.HIGH else Reason.AWAITING_DECISION


def says(spec: SyncRolloutSpec, incident: IncidentStatus) -> str:
    """What is wrong, what will happen, and what a person can do about it."""
    assert incident.deadline is not None
    at = moment(incident.deadline)
    if incident.severity is Severity.HIGH:
        clear = format_duration(spec.rollback.high.clear_for)
        what = f"everything goes back at {at}, unless it is clear for {clear} or overridden"
        how = f"annotate it with {Request.OVERRIDE.value}=<reason>"
    else:
        then = "goes back" if spec.rollback.medium.default is Undecided.ROLLBACK else "goes on"
        what = f"a person decides by {at}, else the rollout {then}"
        how = f"annotate it with {Request.DECIDE.value}=continue or =rollback"
    ends = clear_ends(spec, incident)
    so_far = f"; clear since {moment(incident.clear_since or 0.0)}, over at {moment(ends)}" if ends is not None else ""
    return f"{incident.message}: {what} ({how}){so_far}"


def coming(spec: SyncRolloutSpec, incident: IncidentStatus) -> str:
    """What comes next, for the column NEXT."""
    assert incident.deadline is not None
    if incident.severity is Severity.HIGH:
        return f"rollback {moment(incident.deadline)} unless clear or overridden"
    then = "rollback" if spec.rollback.medium.default is Undecided.ROLLBACK else "continues"
    return f"a decision by {moment(incident.deadline)}, else {then}"


def told(spec: SyncRolloutSpec, before: IncidentStatus | None, after: IncidentStatus | None) -> tuple[Note, ...]:
    """What is told of its development."""
    if after is None:
        return () if before is None else (_cleared(before),)
    if after.overridden is not None:
        if before is not None and before.overridden is not None:
            return ()
        if before is not None and before.earlier is not None and before.earlier.overridden_at == after.overridden_at:
            return (_cleared(before),)
        text = f"Goes on in spite of it{signed(after.overridden_by)}: {after.overridden} ({after.message})"
        return (Note(Reason.INCIDENT_OVERRIDDEN, text, by=after.overridden_by or ""),)
    same = before is not None and before.overridden is None
    if same and before is not None and (before.severity, before.since) == (after.severity, after.since):
        return ()
    text = says(spec, after)
    return (Note(reason_of(after), text[0].upper() + text[1:], "Warning"),)


def _cleared(before: IncidentStatus) -> Note:
    return Note(Reason.INCIDENT_CLEARED, f"Clear again: {before.message}, since {moment(before.since)}")

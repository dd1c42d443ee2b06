"""What the rules of the machine look at: one moment, with all criteria judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from syncrollout.api.spec import OnFailure, Phase, SyncRolloutSpec
from syncrollout.api.status import (
    CriterionStatus,
    IncidentStatus,
    PhaseStatus,
    SyncRolloutStatus,
    VerifyStatus,
)
from syncrollout.api.words import Reason, Role, Severity, State, Unknown, Verdict
from syncrollout.decide import (
    approvals,
    by_hand,
    checklist,
    criteria,
    finished_jobs,
    incidents,
    lows,
    movement,
    own_jobs,
    reported,
    requests,
    verifications,
    verify,
    watch,
)
from syncrollout.decide.facts import Facts, Reading, ReadingKey, WorkloadFact
from syncrollout.decide.notes import Note
from syncrollout.decide.questions import BLIND_AFTER_INTERVALS
from syncrollout.decide.requests import Heard
from syncrollout.decide.slots import SLOTS, Slots

_FOR_THE_CALENDAR: Final = frozenset({Reason.OUTSIDE_WINDOW, Reason.FROZEN, Reason.FREEZES_UNKNOWN})


@dataclass(frozen=True, slots=True)
class View:
    """One moment, as the rules see it."""

    spec: SyncRolloutSpec
    status: SyncRolloutStatus
    facts: Facts
    now: float
    phase: Phase | None
    """The spec's phase that the status names; None before the first, and where an edit has removed it."""
    index: int
    """Its place in spec.phases, from 0; -1 without a phase."""
    judged: tuple[CriterionStatus, ...]
    """The criteria of the phase and all triggers, judged now."""
    share: int
    """Share of new as it stands, percent."""
    verify: VerifyStatus | None = None
    """Whether traffic follows the weights of the phase; None before they stand, and where nothing is verified."""
    slots: Slots | None = None
    """The slots of work items as they stand; None where the rollout moves none, or where that cannot be read."""
    heard: Heard = field(default_factory=Heard)
    """What people ask for now."""
    incident: IncidentStatus | None = None
    """What speaks against new and does not send the rollout back at once, as it stands now."""
    low: tuple[Note, ...] = ()
    """Triggers of severity Low that are breached, and were not told yet."""
    let_go: bool = False
    """A hold was taken away just now, and that is told."""
    watched: bool = False
    """The run has completed and is still watched."""
    counted: Mapping[ReadingKey, Reading] = field(default_factory=dict)
    """What people have reported and how Jobs have ended, as criteria ask for it: known without asking anybody."""

    @property
    def old(self) -> WorkloadFact:
        """The old workload; one without replicas where it does not exist."""
        return self.facts.old or WorkloadFact()

    @property
    def new(self) -> WorkloadFact:
        """The new workload, likewise."""
        return self.facts.new or WorkloadFact()

    @property
    def since(self) -> float | None:
        """Since when the weights of the phase stand; None while they move, and between runs."""
        return self.status.phase.since if self.active and self.status.phase is not None else None

    @property
    def active(self) -> bool:
        """Whether there is something that could go back: a run in flight, or a completed one that is watched."""
        return self.status.in_flight or self.watched

    @property
    def time_is_over(self) -> bool:
        """Whether the weights of the phase have stood for its duration."""
        return self.end is not None and self.now >= self.end

    @property
    def end(self) -> float | None:
        """When the phase has lasted its duration; None while its weights do not stand."""
        if self.phase is None or self.since is None:
            return None
        if self.skipped:
            return self.since
        return round(self.since + max(0.0, self.phase.duration - self.lasted), 3)

    @property
    def suspended(self) -> bool:
        """Whether nothing is to move forward, by the spec or by a person's hold."""
        return self.spec.suspend or self.facts.hold is not None

    @property
    def skipped(self) -> bool:
        """Whether a person has ended the time and the success criteria of the present phase."""
        return self.status.in_flight and approvals.is_of_present(self.status.skipped, self.status)

    @property
    def lasted(self) -> float:
        """Seconds that the phase had lasted before a drill took its traffic away."""
        return self.status.phase.lasted if self.status.in_flight and self.status.phase is not None else 0.0

    @property
    def deadline(self) -> float | None:
        """By when the phase has to pass; None where that is not asked for, while the rollout is suspended, and where it
        waits for the calendar alone."""
        return _deadline(self.status, self.phase, suspended=self.suspended)

    @property
    def stepped_back(self) -> bool:
        """Whether the phase was entered by a step back."""
        return _stepped_back(self.status)

    @property
    def returning(self) -> bool:
        """Whether new still has, or may still hold, more than the phase that was stepped back to."""
        if not self.stepped_back or self.phase is None:
            return False
        record = self.slots.record if self.slots is not None else None
        reach = record.new_reach if record is not None else 0
        return self.share > self.phase.weight or reach > self.phase.weight * SLOTS // 100

    @property
    def respite(self) -> float:
        """Seconds for which rollbackOn is not judged after a step back: see `criteria.Question`."""
        return _respite(self.spec, self.status)

    @property
    def run_asked(self) -> bool:
        """Whether the spec asks for a run other than the last one; see `checklist.run_asked`."""
        return checklist.run_asked(self.spec, self.status)

    def breach(self) -> CriterionStatus | None:
        """The first criterion that sends the rollout back at once, triggers first."""
        held = self.phase is not None and self.phase.on_failure is OnFailure.HOLD
        grave = [c for c in self.judged if c.severity is Severity.CRITICAL or (not held and criteria.speaks_against(c))]
        failed = [c for c in grave if c.verdict is Verdict.FAIL]
        return next((c for c in failed if c.role is Role.TRIGGER), failed[0] if failed else None)

    def binding(self) -> tuple[CriterionStatus, ...]:
        """The criteria that may hold the phase: neither those of severity Low, nor those that were overridden, nor what
        would go back by a limit relative to an old that is stopped or by a Job that has not run yet, nor what is
        ignored for want of data."""
        covered = self.incident
        asked = (c for c in self.judged if not (self.skipped and c.role is Role.SUCCESS))
        counted = (c for c in asked if c.severity is not Severity.LOW and not criteria.holds_nothing(c))
        return tuple(c for c in counted if not incidents.covers(covered, c))

    def blind(self) -> CriterionStatus | None:
        """A criterion that could not be judged for want of data for longer than a hiccup."""
        return next((c for c in self.binding() if criteria.is_blind(c) and self.now >= self.patience_ends(c)), None)

    def unasked(self, incident: IncidentStatus) -> bool:
        """Whether what belongs to an incident is not known on this pass: it is decided before readings are there."""
        return any(c.id in incident.criteria and c.unknown is Unknown.NOT_ASKED for c in self.judged)

    def patience_ends(self, criterion: CriterionStatus) -> float:
        """When a criterion that is blind makes the phase hold."""
        interval = self.spec.prometheus.interval if self.spec.prometheus is not None else 0.0
        return round(criterion.since + BLIND_AFTER_INTERVALS * interval, 3)


def look(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float) -> View:
    """Judge all criteria and gather what the rules need. What people ask for is in the status already."""
    taken = any(problem.reason is Reason.ROUTE_TAKEN for problem in facts.problems)
    watched = not status.in_flight and watch.goes_on(spec, status, taken=taken)
    active = status.in_flight or watched
    heard = requests.hear(spec, status, facts, now, active=active)
    said = reported.hear(status, facts, now, active=active, answer=heard.answer, by=heard.by)
    heard = replace(heard, notes=heard.notes + said.notes)
    status = status.model_copy(update={"requests": heard.taken_in, "retry": heard.retry, "reports": said.status})
    lines, confirmed = checklist.hear(spec, status, facts, now)
    day, ended = own_jobs.develop(spec, status, facts, now)
    checked, failed = verifications.develop(spec, status, facts, now)
    heard = replace(heard, notes=heard.notes + confirmed + ended + failed)
    status = status.model_copy(update={"preflight": lines, "day_one": day, "verifications": checked})
    if heard.skip:
        skipped, note = by_hand.skipped(status, heard.skip, heard.by, now)
        status = status.model_copy(update={"skipped": skipped})
        heard = replace(heard, notes=(*heard.notes, note))
    given = approvals.hear(spec, status, heard.approve, heard.by, now, deleting=facts.deleting)
    heard = replace(heard, notes=heard.notes + given.notes)
    held = by_hand.held(status, facts.hold, heard.by, heard.resume, now)
    heard = replace(heard, notes=heard.notes + held.notes)
    people = {"approvals": given.approvals, "approvals_taken": given.taken, "approval_asked": given.asked}
    status = status.model_copy(update={**people, "hold": held.status})
    jobs = finished_jobs.known(spec, status, facts, active=active)
    status = status.model_copy(update={"finished_jobs": jobs})
    counted = {
        **reported.readings(spec, said.status, said.over, active=active),
        **finished_jobs.readings(spec, jobs, facts, active=active),
        **own_jobs.readings(spec, status),
        **verifications.readings(spec, status),
    }
    index = next((i for i, p in enumerate(spec.phases) if status.phase and p.name == status.phase.name), -1)
    phase = spec.phases[index] if index >= 0 else None
    # At rest nothing is judged: what held when the last run ended says nothing about the time since.
    resting = status.state in (State.COMPLETED, State.ROLLED_BACK) and not watched
    before = {} if resting else {criterion.id: criterion for criterion in status.criteria}
    since = status.phase.since if active and status.phase is not None else None
    respite = _respite(spec, status)
    judged = judge_all(
        spec,
        phase if status.in_flight else None,
        {**facts.readings, **counted},
        before,
        now=now,
        since=since,
        respite=respite,
        old_stopped=old_stopped(spec, status),
    )
    share = _share(spec, status, facts)
    slots = movement.slots_of(spec, facts, status.shards, now)
    seen = None
    if phase is not None and status.in_flight and verify.verified(spec, phase):
        seen = _verify(spec, status, facts, phase, slots, now=now)
    incident: IncidentStatus | None = None
    low: tuple[Note, ...] = ()
    if active and status.state is not State.ROLLING_BACK:
        ends = _deadline(status, phase, suspended=spec.suspend or facts.hold is not None)
        late = (incidents.late(phase, now),) if phase is not None and ends is not None and now >= ends else ()
        incident = incidents.develop(spec, phase, status.incident, (*judged, *late), heard=heard, now=now)
        judged, low = lows.told(judged, now)
    return View(
        spec,
        status,
        facts,
        now,
        phase,
        index,
        judged,
        share,
        seen,
        slots,
        heard,
        incident,
        low,
        bool(held.notes),
        watched,
        counted,
    )


def _respite(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> float:
    return spec.prometheus.interval if _stepped_back(status) and spec.prometheus is not None else 0.0


def _deadline(status: SyncRolloutStatus, phase: Phase | None, *, suspended: bool) -> float | None:
    if phase is None or phase.deadline is None or status.phase is None or not status.in_flight or suspended:
        return None
    waits = status.state is State.HOLDING and status.reason in _FOR_THE_CALENDAR
    if waits and phase.weight <= status.phase.weight:
        return None  # all else was met when it was last looked at
    return round(status.phase.entered + phase.deadline, 3)


def _stepped_back(status: SyncRolloutStatus) -> bool:
    last, phase = status.step_back, status.phase
    return last is not None and phase is not None and (phase.name, phase.entered) == (last.to_phase, last.at)


def _verify(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, phase: Phase, slots: Slots | None, *, now: float
) -> VerifyStatus | None:
    """Judged while weights stand; one that was judged before stays while they are put right."""
    if movement.toward(spec, facts, phase, slots, careful=False).settled:
        # By replicas the share is rounded: what they stand at is what traffic can follow.
        weight = movement.share(spec, facts) if spec.traffic.replicas is not None else phase.weight
        return verify.judge(spec, status.verify, facts, weight, now)
    return status.verify if status.phase is not None and status.phase.since is not None else None


def _share(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts) -> int:
    """As it stands; as it last stood, where it may not be looked at."""
    unseen = any(problem.reason in (Reason.FORBIDDEN, Reason.ROUTE_UNREADABLE) for problem in facts.problems)
    hidden = unseen and not facts.routes and facts.shards is None and spec.traffic.replicas is None
    return status.weight if hidden else movement.share(spec, facts)


def judge_all(
    spec: SyncRolloutSpec,
    phase: Phase | None,
    readings: Mapping[ReadingKey, Reading],
    before: Mapping[str, CriterionStatus],
    *,
    now: float,
    since: float | None,
    respite: float = 0.0,
    old_stopped: bool = False,
) -> tuple[CriterionStatus, ...]:
    """The criteria of a phase and all triggers, judged now; `before` holds them by id as last judged. `old_stopped`:
    by the operator, so that nothing that would go back can be relative to it. Success still can be asked for so, and is
    then waited for."""

    def judge(question: criteria.Question) -> CriterionStatus:
        previous = before.get(question.id)
        judged = criteria.judge(question, readings, previous, now, since)
        if old_stopped and question.comparison.relative_to and question.role is not Role.SUCCESS:
            return criteria.without_old(judged, previous, now)
        return judged

    return tuple(judge(question) for question in criteria.questions(spec, phase, respite=respite))


def old_stopped(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> bool:
    """Whether old has no pods by the operator's doing: stopped by retireOld, or all replicas given to new."""
    given = status.phase is not None and status.phase.since is not None and status.phase.weight >= 100
    return status.retired is not None or (spec.traffic.replicas is not None and given)


def phase_status(
    phase: Phase, index: int, count: int, *, entered: float, since: float | None, lasted: float = 0.0
) -> PhaseStatus:
    """The status of a phase; `index` from 0. `lasted`: seconds that count as if it had stood already."""
    return PhaseStatus(
        name=phase.name,
        index=index + 1,
        label=f"{index + 1}/{count} {phase.name}",
        weight=phase.weight,
        entered=entered,
        since=since,
        lasted=lasted,
        earliest_end=round(since + max(0.0, phase.duration - lasted), 3) if since is not None else None,
    )

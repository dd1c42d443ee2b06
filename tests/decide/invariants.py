"""What holds of every decision, whatever the world does. Checked on every pass of every test here."""

from __future__ import annotations

from syncrollout.api.fields import format_time
from syncrollout.api.spec import Approval, OnFailure, OnNoData, SyncRolloutSpec
from syncrollout.api.status import (
    HISTORY_LENGTH,
    MOST_TAKEN_IN,
    CriterionStatus,
    ReportsStatus,
    RequestsStatus,
    SyncRolloutStatus,
    TaskStatus,
)
from syncrollout.api.words import (
    Role,
    Severity,
    Side,
    State,
    Step,
    Task,
    Unknown,
    Verdict,
)
from syncrollout.decide import calendar, criteria, reported
from syncrollout.decide.actions import (
    AddFinalizer,
    Assign,
    CreateJob,
    Decision,
    KeepLogs,
    RemoveFinalizer,
    Restart,
    Scale,
    SetMirror,
    SetWeight,
)
from syncrollout.decide.facts import Facts, WorkloadFact
from syncrollout.decide.machine import TRANSITIONS, decide
from syncrollout.decide.requests import key, remembered

GOING_BACK = (State.ROLLING_BACK, State.ROLLED_BACK)


def check(
    *,
    spec: SyncRolloutSpec,
    status: SyncRolloutStatus,
    recorded: SyncRolloutStatus,
    facts: Facts,
    now: float,
    decision: Decision,
) -> None:
    """All of them. `status` is what was decided on, `recorded` what the API server holds."""
    _takes_only_known_transitions(status, decision)
    _moves_only_what_is_recorded(recorded, decision)
    _moves_only_in_flight(status, decision)
    _never_more_than_the_phase(spec, recorded, facts, decision)
    _slots_stay_within_the_phase(recorded, facts, decision)
    _never_onto_the_dead(facts, decision)
    _forward_by_the_calendar_alone(spec, status, facts, now, decision)
    _goes_back_on_the_pass_that_sees_it(spec, status, facts, decision)
    _says_fail_without_data_only_where_asked(spec, decision)
    _never_forward_again(status, decision)
    _stands_still_while_an_incident_is_open(spec, facts, decision)
    _never_puts_a_deadline_off(status, decision)
    _ends_no_phase_without_its_approval(spec, status, facts, now, decision)
    _stands_still_while_it_is_held(facts, status, decision)
    _hears_each_request_once(status, facts, decision)
    _counts_each_report_once(status, facts, decision)
    _forgets_no_failed_job(status, decision)
    _forgets_no_restarts_of_before(status, decision)
    _never_under_the_wanted_capacity(spec, facts, decision)
    _never_beside_an_autoscaler(facts, decision)
    _counts_no_time_before_the_traffic_is_there(spec, status, decision)
    _mirrors_only_what_is_recorded(spec, recorded, facts, decision)
    _makes_jobs_once_traffic_is_back(status, now, decision)
    _makes_own_jobs_as_recorded(status, now, decision)
    _moves_nothing_before_day_one_is_over(status, decision)
    _keeps_logs_only_once_traffic_is_back(status, decision)
    _restarts_old_alone_and_only_as_recorded(status, decision)
    _keeps_its_history(status, decision)
    _finalizer_only_in_flight(facts, decision)
    _survives_the_wire(spec, status, facts, now, decision)
    _says_something(decision)


def _takes_only_known_transitions(status: SyncRolloutStatus, decision: Decision) -> None:
    before, after = status.state, decision.status.state
    assert before is after or after in TRANSITIONS[before], f"{before} -> {after} is not in the table"


def _moves_only_what_is_recorded(recorded: SyncRolloutStatus, decision: Decision) -> None:
    """Forward: the phase is in the API server before traffic moves; it is written now, or it was before."""
    if decision.urgent or decision.write or not any(isinstance(a, SetWeight | Scale) for a in decision.actions):
        return
    assert recorded.phase == decision.status.phase, "traffic would move to a phase that is not recorded"
    assert recorded.in_flight
    assert recorded.retired == decision.status.retired, "old would be touched before what it was is recorded"


def _ends_no_phase_without_its_approval(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float, decision: Decision
) -> None:
    """Forward out of a phase that asks for one, or completed: somebody who may has approved this very entering of it,
    not too long ago. What has moved on already is not asked again."""
    before, after = status.phase, decision.status.phase
    phase = next((each for each in spec.phases if before is not None and each.name == before.name), None)
    if phase is None or before is None or not status.in_flight or phase.approval is not Approval.REQUIRED:
        return
    places = [each.name for each in spec.phases]
    onward = after is not None and places.index(after.name) > places.index(before.name)
    if not (onward and decision.status.run == status.run) and decision.status.state is not State.COMPLETED:
        return
    given = [each for each in decision.status.approvals if (each.phase, each.entered) == (before.name, before.entered)]
    assert given, f"phase {before.name} has ended without an approval"
    assert now < given[0].at + spec.approval.expires
    approvers = phase.approvers or spec.approval.approvers
    assert given[0].by, "nobody has put a name to it"
    known = given[0] in status.approvals  # the list may have been edited since
    assert known or not approvers.named or approvers.groups or given[0].by in approvers.users
    assert facts.hold is None


def _stands_still_while_it_is_held(facts: Facts, status: SyncRolloutStatus, decision: Decision) -> None:
    """No phase is entered, and no run begins."""
    if facts.hold is None or decision.status.state in GOING_BACK:
        return
    before, after = status.phase, decision.status.phase
    stepped = decision.status.step_back is not None and decision.status.step_back != status.step_back
    assert decision.status.run == status.run
    assert stepped or before is None or after is None or after.index <= before.index or after.name == before.name


def _moves_only_in_flight(status: SyncRolloutStatus, decision: Decision) -> None:
    moves = [action for action in decision.actions if isinstance(action, SetWeight | Scale)]
    if status.stopped_new is not None and moves == [Scale(Side.NEW, status.stopped_new.replicas)]:
        return  # what a rollback has stopped comes back before the next attempt
    assert not moves or decision.status.in_flight, f"{moves} while no run is in flight"


def _never_more_than_the_phase(
    spec: SyncRolloutSpec, recorded: SyncRolloutStatus, facts: Facts, decision: Decision
) -> None:
    """What is carried out before the status is written may rest on what was recorded before only."""
    intent = recorded if decision.urgent else decision.status
    weight = intent.phase.weight if intent.in_flight and intent.phase is not None else 0
    for action in decision.actions:
        if isinstance(action, SetWeight):
            assert action.weight <= weight, f"{action} in a phase of {weight} %"
        if isinstance(action, Scale) and action.side is Side.NEW and spec.traffic.replicas is not None:
            more = action.replicas > (facts.new or WorkloadFact()).desired
            assert not more or 100 * action.replicas <= weight * spec.traffic.replicas.total


def _forward_by_the_calendar_alone(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float, decision: Decision
) -> None:
    """No phase is entered, and none given more weight, outside the windows, in a freeze, or while one may be on."""
    before, after = (each.phase if each.in_flight else None for each in (status, decision.status))
    if after is None or decision.urgent:
        return
    if before is not None and after.weight <= before.weight and after.index <= before.index:
        return
    shared = spec.schedule is not None and spec.schedule.freezes_from is not None
    assert not shared or (facts.freezes is not None and not facts.freezes.problem), "freezes are not known"
    known = calendar.calendar(spec.schedule, facts.freezes.freezes if facts.freezes is not None else ())
    assert known is None or known.open_at(now), f"phase {after.name} is entered while the calendar is closed"


def _slots_stay_within_the_phase(recorded: SyncRolloutStatus, facts: Facts, decision: Decision) -> None:
    """New is given no more slots than its share, nobody any without ready pods, and none at all on the way back."""
    intent = recorded if decision.urgent else decision.status
    weight = intent.phase.weight if intent.in_flight and intent.phase is not None else 0
    before = facts.shards.assignment if facts.shards is not None else None
    for action in decision.actions:
        if not isinstance(action, Assign) or before is None:
            continue
        after = action.assignment
        assert action.replaces == before
        assert after.epoch > before.epoch
        assert after.new_below <= after.old_from
        if after.new_below > before.new_below:
            assert after.new_below <= 10 * weight, f"{action} in a phase of {weight} %"
            assert decision.status.state not in GOING_BACK
            assert facts.new is not None
            assert facts.new.ready > 0, f"{action} with new not ready"
        if after.old_from < before.old_from:
            assert facts.old is not None
            assert facts.old.ready > 0, f"{action} with old not ready"
        if decision.status.state in GOING_BACK:
            assert after.stop, f"{action} on the way back"


def _never_onto_the_dead(facts: Facts, decision: Decision) -> None:
    for action in decision.actions:
        if not isinstance(action, SetWeight):
            continue
        gains_new = action.weight > 0 and any(r.exact is None or r.share < action.weight for r in facts.routes)
        gains_old = action.weight < 100 and any(r.exact is None or r.share > action.weight for r in facts.routes)
        assert not gains_new or (facts.new is not None and facts.new.ready > 0), f"{action} with new not ready"
        assert not gains_old or (facts.old is not None and facts.old.ready > 0), f"{action} with old not ready"


def _goes_back_on_the_pass_that_sees_it(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, decision: Decision
) -> None:
    # A phase that begins on this pass is judged by its own limits on the next, which follows at once.
    mine = ("trigger/", f"{status.phase.name}/" if status.phase is not None else "trigger/")
    judged = [c for c in decision.status.criteria if c.id.startswith(mine)]
    phase = next((each for each in spec.phases if status.phase and each.name == status.phase.name), None)
    on_failure = phase.on_failure if phase is not None else OnFailure.ROLLBACK
    held = on_failure is OnFailure.HOLD
    failed = [
        c for c in judged if c.verdict is Verdict.FAIL and (_of_phase(c, held) or c.severity is Severity.CRITICAL)
    ]
    if not status.in_flight or not failed or status.state is State.ROLLING_BACK:
        return
    if on_failure is OnFailure.STEP_BACK and decision.status.step_back != status.step_back:
        _steps_back_and_no_further(spec, status, decision)
        return
    assert decision.status.state is State.ROLLING_BACK, f"{failed[0].message}, and yet {decision.status.state}"
    assert decision.urgent
    old_serves = facts.old is not None and facts.old.ready > 0 and facts.old.desired > 0
    astray = any(route.exact != 0 for route in facts.routes)
    if spec.traffic.replicas is None and status.retired is None and old_serves and astray:
        assert SetWeight(0) in decision.actions, "a breach was seen and the weights stay"


def _of_phase(criterion: CriterionStatus, held: bool) -> bool:
    """A breach of the phase's own; one of success only where it counts for want of data."""
    wants_data = criterion.role is Role.SUCCESS and criterion.unknown is not None
    return not held and (criterion.role is Role.ROLLBACK_ON or wants_data)


def _says_fail_without_data_only_where_asked(spec: SyncRolloutSpec, decision: Decision) -> None:
    """What is not known passes nothing and goes back for nothing, unless onNoData says so."""
    asked = {Verdict.FAIL: OnNoData.ROLLBACK, Verdict.UNKNOWN: OnNoData.IGNORE}
    phase = decision.status.phase
    limits = {
        q.id: q.comparison for p in spec.phases if phase and p.name == phase.name for q in criteria.questions(spec, p)
    }
    for criterion in decision.status.criteria:
        if criterion.id not in limits or criterion.unknown is None:
            continue
        if criterion.verdict is Verdict.FAIL or criterion.unknown is Unknown.IGNORED:
            assert limits[criterion.id].on_no_data is asked[criterion.verdict], criterion.message
            assert criterion.lacking_since is not None
        assert criterion.verdict is not Verdict.PASS, criterion.message


def _steps_back_and_no_further(spec: SyncRolloutSpec, status: SyncRolloutStatus, decision: Decision) -> None:
    """To the phase before, as often as is allowed, traffic first."""
    before, after = status.phase, decision.status.phase
    assert before is not None
    assert after is not None
    assert decision.urgent
    assert decision.lasting
    names = [phase.name for phase in spec.phases]
    assert names.index(after.name) == names.index(before.name) - 1
    assert after.since is None
    assert decision.status.step_back is not None
    assert decision.status.step_back.count <= spec.rollback.max_step_backs
    for action in decision.actions:
        assert not isinstance(action, SetWeight) or action.weight == after.weight


def _never_forward_again(status: SyncRolloutStatus, decision: Decision) -> None:
    if status.state not in GOING_BACK or decision.status.run != status.run:
        return
    for action in decision.actions:
        assert not (isinstance(action, SetWeight) and action.weight > 0), "forward again after a rollback"
        assert not (isinstance(action, Scale) and action.side is Side.OLD and action.replicas == 0)


def _stands_still_while_an_incident_is_open(spec: SyncRolloutSpec, facts: Facts, decision: Decision) -> None:
    """New is given nothing more, and old is not stopped; the deadline is where people look."""
    incident = decision.status.incident
    if incident is None or incident.overridden is not None:
        return
    assert incident.deadline is not None
    assert decision.status.in_flight or decision.status.watch is not None
    shares = [route.share for route in facts.routes]
    reach = decision.status.shards.new_reach if decision.status.shards is not None else 0
    for action in decision.actions:
        if isinstance(action, SetWeight) and max(shares, default=0.0) <= action.weight:  # else it puts others down
            assert all(share >= action.weight for share in shares), f"{action} while an incident is open"
        if isinstance(action, Assign):
            assert action.assignment.new_below <= reach, f"{action}, likewise"
        assert not isinstance(action, Scale) or action.side is Side.NEW or action.replicas, f"{action}, likewise"
    _share_by_replicas_is_not_raised(spec, facts, decision)
    if decision.write:
        assert format_time(incident.deadline)[:19] in decision.status.next


def _share_by_replicas_is_not_raised(spec: SyncRolloutSpec, facts: Facts, decision: Decision) -> None:
    """Replicas that new has lost may come back, but not so that it has more of all than before."""
    desired = {Side.OLD: (facts.old or WorkloadFact()).desired, Side.NEW: (facts.new or WorkloadFact()).desired}
    asked = {action.side: action.replicas for action in decision.actions if isinstance(action, Scale)}
    if spec.traffic.replicas is None or not asked:
        return
    before, after = (100 * each[Side.NEW] / (sum(each.values()) or 1) for each in (desired, desired | asked))
    assert after <= before + 0.5, f"{asked} while an incident is open: {before} % becomes {after} %"


def _never_puts_a_deadline_off(status: SyncRolloutStatus, decision: Decision) -> None:
    """Not while an incident stays as grave as it was, nor when it becomes graver."""
    before, after = status.incident, decision.status.incident
    if before is None or after is None or before.deadline is None or after.deadline is None:
        return
    if before.since == after.since and not (before.severity is Severity.HIGH and after.severity is Severity.MEDIUM):
        assert after.deadline <= before.deadline


def _hears_each_request_once(status: SyncRolloutStatus, facts: Facts, decision: Decision) -> None:
    before, after = status.requests or RequestsStatus(), decision.status.requests or RequestsStatus()
    for request, value in facts.requests.items():
        field = key(request)
        if getattr(after, field) != getattr(before, field):
            assert getattr(after, field) == remembered(value)


def _counts_each_report_once(status: SyncRolloutStatus, facts: Facts, decision: Decision) -> None:
    before, after = status.reports or ReportsStatus(), decision.status.reports or ReportsStatus()
    known = set(reported.remembered(before.taken))
    news = {reported.digest(*each) for each in facts.reports.items()} - known
    assert before.number <= after.number <= before.number + len(news)
    assert [each.number for each in after.latest] == list(range(after.number - len(after.latest) + 1, after.number + 1))
    if not facts.deleting and decision.write and len(facts.reports) <= MOST_TAKEN_IN:
        assert set(reported.remembered(after.taken)) == {reported.digest(*each) for each in facts.reports.items()}
    for name in ("critical", "high", "medium", "low"):
        assert 0 <= getattr(after.open, name) <= getattr(after.counted, name)


def _forgets_no_failed_job(status: SyncRolloutStatus, decision: Decision) -> None:
    """Whatever becomes of the Job, it has failed until a later one of the same CronJob ends well."""
    if not status.in_flight or decision.status.run != status.run:
        return
    after = {each.cron_job: each for each in decision.status.finished_jobs}
    for before in status.finished_jobs:
        now = after[before.cron_job]
        assert now == before or now.at >= before.at
        assert now.failed or not before.failed or now.at > before.at


def _forgets_no_restarts_of_before(status: SyncRolloutStatus, decision: Decision) -> None:
    """What pods had been restarted before a phase is noted once; noted anew, restarts of the phase would be lost."""
    before, after = status.phase, decision.status.phase
    if before is None or after is None or before.restarts is None:
        return
    if (before.name, before.entered) == (after.name, after.entered):
        assert after.restarts == before.restarts


def _counts_no_time_before_the_traffic_is_there(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, decision: Decision
) -> None:
    before, after, verify = status.phase, decision.status.phase, spec.traffic.verify
    if verify is None or after is None or after.since is None or not decision.status.in_flight:
        return
    if any(phase.name == after.name and phase.mirrored for phase in spec.phases):
        return  # copies would be counted
    if before is not None and (before.name, before.since) == (after.name, after.since):
        return
    seen = decision.status.verify
    assert seen is not None, "the time of a phase counts, and nobody looked where the traffic is"
    assert seen.share is not None
    assert abs(seen.share - seen.weight) <= verify.tolerance + 0.001, "and the traffic is elsewhere"


def _mirrors_only_what_is_recorded(
    spec: SyncRolloutSpec, recorded: SyncRolloutStatus, facts: Facts, decision: Decision
) -> None:
    """A mirror that is recorded is ours, so none is written or taken away before; new never has weight beside it, and
    nothing is left of it at the end."""
    intent = recorded if decision.urgent or not decision.write else decision.status
    for action in decision.actions:
        if isinstance(action, SetMirror):
            assert intent.mirror is not None, f"{action}, and no mirror is recorded as ours"
            assert not action.percent or (facts.new is not None and facts.new.ready > 0), f"{action} with new not ready"
        if isinstance(action, SetWeight) and action.weight > 0:
            assert decision.status.mirror is None, "weight is raised beside a mirror"
    if not decision.status.in_flight and decision.status.state in (State.COMPLETED, State.ROLLED_BACK):
        assert decision.status.mirror is None


def _never_under_the_wanted_capacity(spec: SyncRolloutSpec, facts: Facts, decision: Decision) -> None:
    """By replicas: on the way forward a side shrinks only as far as the other one has taken over."""
    if spec.traffic.replicas is None or decision.status.state in GOING_BACK:
        return
    ready = {Side.OLD: (facts.old or WorkloadFact()).ready, Side.NEW: (facts.new or WorkloadFact()).ready}
    left = dict(ready)
    for action in decision.actions:
        if isinstance(action, Scale):
            left[action.side] = min(left[action.side], action.replicas)  # pods that are not ready go first
    wanted = min(spec.traffic.replicas.total, sum(ready.values()))
    assert sum(left.values()) >= wanted, f"{decision.actions}: {sum(left.values())} of {wanted} ready replicas are left"


def _never_beside_an_autoscaler(facts: Facts, decision: Decision) -> None:
    scales = [action for action in decision.actions if isinstance(action, Scale)]
    for side, workload in ((Side.OLD, facts.old), (Side.NEW, facts.new)):
        if workload is None or not workload.autoscaler:
            continue
        for action in scales:
            where_it_has_no_say = action.replicas == 0 or (action.side is side and not workload.desired)
            back = decision.status.state in GOING_BACK and (action.side is not side or where_it_has_no_say)
            assert back, f"{action} beside {workload.autoscaler} of {side}"


def _makes_jobs_once_traffic_is_back(status: SyncRolloutStatus, now: float, decision: Decision) -> None:
    """A Job is made for the one step that runs, after the switch, while it has time, and it is never urgent: so it
    waits for the write."""
    made = [action for action in decision.actions if isinstance(action, CreateJob) and isinstance(action.step, Step)]
    if not made:
        return
    assert not decision.urgent, "a Job is made ahead of what puts traffic back"
    assert len(made) == 1, "two steps at once"
    after = decision.status.rollback
    assert status.rollback is not None
    assert after is not None
    assert after.steps[0].finished is not None, "a Job is made before the switch has ended"
    current = [step.job or step.backup_job for step in after.steps if step.started is not None and not step.finished]
    assert current == [made[0].name]
    assert all(now < step.deadline for step in after.steps if step.deadline is not None and not step.finished)


def _makes_own_jobs_as_recorded(status: SyncRolloutStatus, now: float, decision: Decision) -> None:
    """Each that is no step of a rollback has its name in the status before it is made, was not seen yet, and has time
    left; on day one nothing has moved yet, and on a way back none is made."""
    for action in decision.actions:
        if not isinstance(action, CreateJob) or isinstance(action.step, Step):
            continue
        assert not decision.urgent, "a Job is made ahead of what puts traffic back"
        assert decision.status.state not in (State.ROLLING_BACK, State.ROLLED_BACK, State.COMPLETED)
        own = [each for each in own_tasks(decision.status) if each.job == action.name]
        assert action.name in [each.job for each in own_tasks(status)], "made in the pass that gives it its name"
        assert own, "a Job is made whose name is not recorded"
        assert own[0].finished is None
        assert not own[0].seen, "a Job that was seen is made again"
        assert own[0].deadline is not None
        if action.step in (Task.BACKUP, Task.MIGRATE, Task.TEST_SYNC):
            assert status.phase is not None
            assert status.phase.since is None, "a step of day one is made once traffic stands"


def own_tasks(status: SyncRolloutStatus) -> list[TaskStatus]:
    """All Jobs that are no steps of a rollback."""
    lines = status.preflight.checks if status.preflight is not None else ()
    scheduled = (each.task for each in status.verifications if each.task is not None)
    return [*(each.task for each in lines if each.task is not None), *status.day_one, *scheduled]


def _moves_nothing_before_day_one_is_over(status: SyncRolloutStatus, decision: Decision) -> None:
    """Neither weights nor slots nor replicas towards new, while a step of day one is to come or runs."""
    over = all(each.finished is not None for each in decision.status.day_one)
    if not status.in_flight or decision.urgent or over:
        return
    assert not any(isinstance(action, SetWeight | SetMirror) for action in decision.actions)
    assert decision.status.phase is None or decision.status.phase.since is None


def _keeps_logs_only_once_traffic_is_back(status: SyncRolloutStatus, decision: Decision) -> None:
    """And only to where it is recorded that they go."""
    for action in decision.actions:
        if isinstance(action, KeepLogs):
            assert not decision.urgent
            assert status.rollback is not None
            assert status.rollback.confirmed is not None
            assert action.name in [step.config_map for step in status.rollback.steps]


def _restarts_old_alone_and_only_as_recorded(status: SyncRolloutStatus, decision: Decision) -> None:
    """Once all traffic is back, with the stamp that is recorded first; one that was seen is not written again."""
    for action in decision.actions:
        if not isinstance(action, Restart):
            continue
        after = decision.status.rollback
        assert not decision.urgent
        assert action.side is Side.OLD
        assert after is not None
        assert after.steps[0].finished is not None
        assert [each.restart for each in after.steps if each.restart is not None] == [action.stamp]
        assert status.rollback is not None
        assert not any(each.restart_seen for each in status.rollback.steps)


def _keeps_its_history(status: SyncRolloutStatus, decision: Decision) -> None:
    history = decision.status.history
    assert len(history) <= HISTORY_LENGTH
    numbers = [entry.sequence for entry in history]
    assert numbers == sorted(set(numbers)), "sequence must strictly increase"
    if status.history:
        kept = [entry for entry in history if entry.sequence <= status.history[-1].sequence]
        assert tuple(kept) == status.history[len(status.history) - len(kept) :], "history was rewritten"
    assert decision.status.run in (status.run, status.run + 1)


def _finalizer_only_in_flight(facts: Facts, decision: Decision) -> None:
    if AddFinalizer() in decision.actions:
        assert not facts.has_finalizer
        assert not facts.deleting
    if any(isinstance(action, RemoveFinalizer) for action in decision.actions):
        assert facts.has_finalizer
        assert not decision.status.in_flight
    assert facts.has_finalizer or AddFinalizer() in decision.actions or facts.deleting or not decision.status.in_flight


def _survives_the_wire(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float, decision: Decision
) -> None:
    wired = over_the_wire(status)
    assert wired == status
    assert decide(spec, wired, facts, now) == decision, "a restart, or the same once more, would decide otherwise"


def over_the_wire(status: SyncRolloutStatus) -> SyncRolloutStatus:
    """The status as it comes back from the API server."""
    wire = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return SyncRolloutStatus.model_validate(wire)


def _says_something(decision: Decision) -> None:
    if decision.write:
        assert decision.status.message
        assert len(decision.status.message) <= 2048

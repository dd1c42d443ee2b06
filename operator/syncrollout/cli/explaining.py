"""`kubectl syncrollout explain-decision`: why a rollout is where it is, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from syncrollout.api.status import CriterionStatus, SyncRolloutStatus
from syncrollout.api.words import ConditionType, HandoverStage, Role, State, StepState, Verdict
from syncrollout.cli import choices, runbook
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.kubectl import Kubectl
from syncrollout.cli.moments import Here, when
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.sentences import meaning
from syncrollout.cli.verbs import Context, Kubeconfig, Name, Namespace
from syncrollout.decide import approvals, by_hand, checklist, incidents
from syncrollout.decide.requests import signed


def explain_decision(
    name: Name, *, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = ""
) -> None:
    """Say why a rollout is where it is, what it waits for, and what would change it, with the commands for that.

    Exit code 0: it is said; 1: it could not be read.
    """
    rollout = rollouts.read(Kubectl(namespace, context, kubeconfig), name)
    typer.echo("\n".join(lines(rollout, Here(context, kubeconfig))))


def lines(rollout: Rollout, here: Here) -> list[str]:
    """A paragraph, what is waited for, and the commands. By spec and status alone."""
    means = meaning(rollout.status.reason)
    where = rollout.where if rollout.where.endswith((".", "?", "!")) else f"{rollout.where}."
    paragraph = " ".join(filter(None, (where, means.what, means.change)))
    made = [paragraph]
    for title, items in (
        ("Why", list(_why(rollout))),
        ("What it waits for", list(_waits(rollout))),
        ("What you can do", [f"{what}: {command}" for command, what in _commands(rollout, here)]),
    ):
        if items:
            made += ["", title, *(f"  - {item}" for item in items)]
    return [*made, "", f"Runbook: {runbook.address(rollout.spec, rollout.status.reason)}"]


def _why(rollout: Rollout) -> Iterator[str]:
    status = rollout.status
    for each in status.conditions:
        if each.type is ConditionType.STALLED and each.status == "True" and each.reason is not status.reason:
            yield f"{each.reason}: {meaning(each.reason).what} {each.message}"
    if status.rollback is not None:
        back = status.rollback
        yield f"sent back {when(back.decided)} from {back.from_weight} %: {back.message}"
    if status.step_back is not None:
        yield f"stepped back {when(status.step_back.at)} from {status.step_back.from_phase}: {status.step_back.message}"
    if status.incident is not None:
        found = status.incident
        by = signed(found.overridden_by)
        over = f", overridden{by}: {found.overridden}" if found.overridden is not None else ""
        yield f"incident of severity {found.severity} since {when(found.since)}: {found.message}{over}"
    yield from (_criterion(each) for each in status.criteria if _against(each))


def _against(criterion: CriterionStatus) -> bool:
    return criterion.verdict is Verdict.FAIL or (criterion.verdict is Verdict.UNKNOWN and criterion.unknown is not None)


def _criterion(each: CriterionStatus) -> str:
    role = f"trigger of severity {each.severity}" if each.role is Role.TRIGGER and each.severity else each.role.value
    said = each.message or f"{each.metric}: {each.unknown or each.verdict}"
    return f"{each.verdict} since {when(each.since)}, {role}: {said}"


def _waits(rollout: Rollout) -> Iterator[str]:
    """What has to happen before it moves on; nothing once its run has ended."""
    status = rollout.status
    if status.observed_generation < rollout.generation:
        yield "the operator, which has not looked at the present spec yet"
    if status.state is State.ROLLING_BACK:
        yield from _back(rollout)
    if status.state in (State.ROLLING_BACK, State.ROLLED_BACK, State.COMPLETED):
        return
    yield from _people(rollout)
    if status.shards is not None and status.shards.stage is HandoverStage.RELEASING:
        pods = ", ".join(status.shards.waiting_for) or "workers"
        yield f"{pods} to let go of slots, until {when(status.shards.deadline)}"
    yield from _before(status)
    if status.phase is None or not status.in_flight:
        return
    if status.phase.since is None:
        yield "the weights of the phase to stand; its duration counts from then on"
    elif status.phase.earliest_end is not None:
        yield f"the duration of phase {status.phase.name}, over {when(status.phase.earliest_end)}"
    for each in status.criteria:
        if each.role is Role.SUCCESS and each.verdict is not Verdict.PASS:
            yield f"{each.metric} to be {each.limit}"


def _people(rollout: Rollout) -> Iterator[str]:
    """What a person has to say."""
    spec, status = rollout.spec, rollout.status
    if status.hold is not None:
        yield f"the hold to be taken away: {by_hand.says(status.hold)}"
    if approvals.required(spec, status) and approvals.current(spec, status) is None and status.phase is not None:
        phase = next(each for each in spec.phases if each.name == status.phase.name)
        yield f"an approval by {approvals.who_may(approvals.approvers_of(spec, phase))}"
    incident = status.incident
    if incident is not None and incident.deadline is not None and incident.overridden is None:
        yield incidents.coming(spec, incident)


def _before(status: SyncRolloutStatus) -> Iterator[str]:
    """What has to be so, and to be done, before any traffic moves."""
    if not status.in_flight:
        for line in checklist.missing(status.preflight):
            yield f"check {line.name} ({line.group}), {line.verdict} since {when(line.since)}: {line.message}"
        return
    for task in status.day_one:
        if task.finished is None:
            until = f", its budget until {when(task.deadline)}" if task.deadline is not None else ""
            yield f"{task.name} of day one ({task.state}{until})"


def _back(rollout: Rollout) -> Iterator[str]:
    back = rollout.status.rollback
    if back is None or back.confirmed is None:
        yield "all traffic and work to stand at old"
    for step in back.steps if back is not None else ():
        if step.state in (StepState.RUNNING, StepState.WAITING):
            until = f", its budget until {when(step.deadline)}" if step.deadline is not None else ""
            yield f"step {step.name} ({step.state}{until})"


def _commands(rollout: Rollout, here: Here) -> Iterator[tuple[str, str]]:
    yield from choices.of_all(rollout, here)
    if rollout.status.state in (State.HOLDING, State.ROLLING_BACK, State.ROLLED_BACK):
        yield here.command(rollout, "diagnose"), "find out what is wrong"
    yield here.command(rollout, "status", "-w"), "watch it"


__all__ = ["explain_decision", "lines"]

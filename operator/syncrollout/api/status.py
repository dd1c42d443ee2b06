"""The status of a SyncRollout: what the operator writes, and all that it needs to go on after a restart.

Times are seconds since the epoch (float, to the millisecond) here and RFC 3339 strings on the wire.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Time
from syncrollout.api.words import (
    ConditionType,
    HandoverStage,
    Health,
    Reason,
    Role,
    Severity,
    Side,
    State,
    Step,
    StepState,
    Unknown,
    Verdict,
)

HISTORY_LENGTH = 32
MOST_CRITERIA = 64
REQUEST_LENGTH = 256
Sentence = Annotated[str, Field(max_length=2048)]


class Written(Model):
    """Base of what the operator writes: fields that a later release has added are passed over, and words of its own for
    reasons and conditions are kept, so that going back to an earlier one does not stop a run in flight."""

    model_config = ConfigDict(extra="ignore")


class PhaseStatus(Written):
    """The phase that the rollout is in."""

    name: Annotated[str, Field(max_length=63)]
    """Its name in spec.phases."""
    index: int
    """Its place in spec.phases, from 1."""
    label: Annotated[str, Field(max_length=80)]
    """Place and name as printed, such as 2/5 small-traffic."""
    weight: int = 0
    """Share of new that it moves to, percent."""
    entered: Time
    """When it was decided on."""
    since: Time | None = None
    """Since when its weights stand; its duration counts from here."""
    earliest_end: Time | None = None
    """When its duration has passed."""


class CriterionStatus(Written):
    """One criterion as last judged."""

    id: Annotated[str, Field(max_length=200)]
    """Unique within the status: role, place and metric."""
    role: Role
    """Success, RollbackOn or Trigger."""
    severity: Severity | None = None
    """Of a trigger: how grave it is."""
    metric: Annotated[str, Field(max_length=120)]
    """The metric it reads; of an alert `alert:` and its name."""
    limit: Annotated[str, Field(max_length=100)]
    """The comparison in words, such as below 1 percent; of an alert firing."""
    verdict: Verdict
    """Pass, Fail or Unknown."""
    reading: float | None = None
    """The metric's reading for new."""
    baseline: float | None = None
    """The metric's reading for old, where the limit is relative to it."""
    threshold: float | None = None
    """The number that the reading was held against."""
    events: float | None = None
    """Of a ratio with confidence: how many events of new's the verdict rests on."""
    lowest: float | None = None
    """The least that the metric may truly be with that confidence; with relativeTo, as a multiple of old's."""
    highest: float | None = None
    """The most, likewise; not there while there is no telling."""
    unknown: Unknown | None = None
    """Why the verdict is Unknown."""
    message: Sentence = ""
    """The verdict in words."""
    since: Time
    """Since when the verdict is what it is."""
    held_since: Time | None = None
    """Since when the comparison holds without a break; `for` counts from here."""
    told: Time | None = None
    """Of a trigger of severity Low: when it was last told."""


class VerifyStatus(Written):
    """Whether traffic follows the weights, as traffic.verify says."""

    weight: int
    """The share of new that is wanted, percent: what the weights say."""
    share: float | None = None
    """The share that was measured, percent."""
    verdict: Verdict
    """Pass within the tolerance, Fail outside of it, Unknown where it cannot be seen."""
    unknown: Unknown | None = None
    """Why the verdict is Unknown."""
    message: Sentence = ""
    """The verdict in words."""
    since: Time
    """Since when the verdict is what it is."""
    agreed: Time | None = None
    """When the share was first seen to agree with these weights."""
    apart_since: Time | None = None
    """Since when it does not agree; the timeout counts from here."""


class MirrorStatus(Written):
    """What routes mirror to new by the operator's doing."""

    percent: int
    """Share of the requests, percent."""


class StepStatus(Written):
    """One step of a rollback."""

    name: Step
    """Which one."""
    state: StepState = StepState.WAITING
    """How far it is."""
    budget_seconds: int
    """How long it may take, in seconds."""
    started: Time | None = None
    """When it began; recorded before anything is done for it."""
    deadline: Time | None = None
    """When its budget is used up."""
    finished: Time | None = None
    """When it ended; the next step begins then."""
    job: Annotated[str, Field(max_length=63)] | None = None
    """The Job that it runs, in the rollout's own namespace."""
    config_map: Annotated[str, Field(max_length=253)] | None = None
    """The ConfigMap that it writes the incident report to."""
    seen: bool = False
    """The Job was seen: it is not made a second time, whatever becomes of it."""
    exit_code: int | None = None
    """Of the container of the Job that failed, else of the first."""
    output: Sentence = ""
    """What the containers of the Job have said last, with what looks like a secret masked."""
    message: Sentence = ""
    """What came of it, in words."""


class RollbackStatus(Written):
    """The last rollback of this run."""

    reason: Reason
    """What sent the rollout back."""
    message: Sentence
    """The same in words."""
    decided: Time
    """When it was decided."""
    from_phase: Annotated[str, Field(max_length=63)] = ""
    """The phase it came from."""
    from_weight: int = 0
    """Share of new when it was decided."""
    confirmed: Time | None = None
    """When everything was seen to stand at old again."""
    verified: Time | None = None
    """When the traffic itself was seen to be back, where traffic.verify says how to see it."""
    steps: Annotated[
        tuple[StepStatus, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """The steps of rollback.procedure, in their order; none without it."""


class PassedOver(Written):
    """Breaches that belong together, and that somebody may have passed over."""

    severity: Severity
    """High or Medium: that of the gravest breach in it."""
    criterion: Annotated[str, Field(max_length=200)]
    """The id of that breach in status.criteria."""
    message: Sentence
    """That breach in words, as it was first seen."""
    since: Time
    """When the first breach was seen."""
    criteria: Annotated[
        tuple[Annotated[str, Field(max_length=200, description="An id in status.criteria.")], ...],
        Field(max_length=MOST_CRITERIA, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """All that have been breached in it."""
    overridden: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """The reason for which the rollout goes on in spite of it."""
    overridden_at: Time | None = None
    """When that was said."""


class IncidentStatus(PassedOver):
    """A breach that does not send the rollout back at once: by when it will, or who has taken it upon himself."""

    deadline: Time | None = None
    """High: when the rollout goes back. Medium: when rollback.medium.default applies. None once it is overridden."""
    clear_since: Time | None = None
    """Since when all of that severity are clear."""
    earlier: PassedOver | None = None
    """What was overridden before this one was opened, and stays so."""


class RequestsStatus(Written):
    """What people have asked for by annotation, as last taken in: each value counts once. Long ones are cut,
    and one is forgotten when its annotation is gone."""

    override: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/override."""
    decide: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/decide."""
    rollback: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/rollback."""
    retry: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/retry."""


class RetryStatus(Written):
    """The next attempt at a revision that was rolled back, asked for and not begun yet."""

    revision: Annotated[str, Field(max_length=63)]
    """The revision."""
    reason: Annotated[str, Field(max_length=REQUEST_LENGTH)]
    """What was said with it."""
    asked: Time
    """When it was taken in."""


class WatchStatus(Written):
    """A completed run is watched: a trigger, or a person, may still send everything back."""

    until: Time
    """When that ends."""
    moves: Annotated[str, Field(max_length=16)]
    """A fingerprint of spec.old, spec.new and spec.traffic as they were: another one ends it."""
    last_good_revision: Annotated[str, Field(max_length=63)] | None = None
    """The last completed revision before this one."""


class StepBackStatus(Written):
    """The last step back to the phase before, by the phase's onFailure."""

    count: int
    """How often this run has stepped back."""
    from_phase: Annotated[str, Field(max_length=63)]
    """The phase that failed."""
    to_phase: Annotated[str, Field(max_length=63)]
    """The one before it."""
    message: Sentence
    """What failed, in words."""
    at: Time
    """When it was decided."""


class Retired(Written):
    """What the old workload was before it was stopped, so that it can be brought back the same."""

    replicas: int | None = None
    """Its replicas; none for a CronJob, which is suspended instead."""
    at: Time
    """When stopping it was decided."""


class Stopped(Written):
    """What the new workload was before a rollback stopped it, so that it can be brought back for the next attempt."""

    workload: Annotated[str, Field(max_length=320)]
    """Its kind and name."""
    replicas: int
    """Its replicas; 1 for a CronJob, which is suspended instead."""
    at: Time
    """When stopping it was decided."""


class ShardsStatus(Written):
    """Who owns which of the 1000 slots of keys, and how far a handover is."""

    config_map: Annotated[str, Field(max_length=253)]
    """The ConfigMap that says so to the workers."""
    epoch: int
    """The number of the assignment; it rises with every change."""
    new_below: int
    """New owns the slots below this one."""
    old_from: int
    """Old owns the slots from this one on; slots between the two belong to nobody yet."""
    shadow: bool = False
    """New handles every key without effect."""
    stop: bool = False
    """New starts nothing any more."""
    stage: HandoverStage = HandoverStage.SETTLED
    """Settled; Releasing while workers have to let go of slots that move; GivenBack after they did not in time."""
    new_reach: int
    """New may still hold slots below this one, until its pods are seen to have let go."""
    old_reach: int
    """Old may still hold slots from this one on, until its pods are seen to have let go."""
    drying: bool = False
    """New has left the shadow, and its pods may still run without effect."""
    losing: Annotated[
        tuple[Side, ...], Field(max_length=2, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Sides whose pods are waited for."""
    gaining: Annotated[
        tuple[Side, ...], Field(max_length=2, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Sides that were given slots, or another task, with this epoch."""
    since: Time
    """Since when it stands so."""
    deadline: Time | None = None
    """When what is waited for counts as not coming; once slots were given back, when it is tried again."""
    waiting_for: Annotated[
        tuple[Annotated[str, Field(max_length=253, description="A pod's name.")], ...],
        Field(max_length=5, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Pods that have not let go yet, the first few."""


class HistoryEntry(Written):
    """One transition."""

    sequence: int
    """Counts up over the life of the object."""
    run: int
    """The run it belongs to."""
    time: Time
    """When."""
    reason: Reason
    """What happened."""
    type: Literal["Normal", "Warning"] = "Normal"
    """The type of its Event."""
    message: Sentence
    """The same in words."""


class Condition(Written):
    """A standard Kubernetes condition."""

    type: ConditionType
    """Its type."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: int
    """The spec's generation it speaks of."""
    last_transition_time: Time
    """When its status last changed."""
    reason: Reason
    """Why."""
    message: Sentence
    """Why, in words."""


class SyncRolloutStatus(Written):
    """Where the rollout is and why."""

    observed_generation: int = 0
    """The spec's generation that this status speaks of."""
    run: int = 0
    """Counts the runs from 1."""
    revision: Annotated[str, Field(max_length=63)] | None = None
    """spec.revision of the run."""
    last_good_revision: Annotated[str, Field(max_length=63)] | None = None
    """spec.revision of the last completed run."""
    state: State = State.PENDING
    """Where the rollout is, in one word."""
    reason: Reason = Reason.WAITING_TO_START
    """Why it is there."""
    message: Sentence = ""
    """Where it is and what it waits for, in one sentence."""
    phase: PhaseStatus | None = None
    """The current phase."""
    weight: int = 0
    """Share of new in percent, as it stands."""
    health: Health | None = None
    """The criteria of the current phase in one word."""
    next: Annotated[str, Field(max_length=200)] = ""
    """What comes next, and when at the earliest."""
    started: Time | None = None
    """When the first phase of the run began."""
    finished: Time | None = None
    """When the run completed or was rolled back."""
    in_flight: bool = False
    """Traffic may stand on new under the operator's watch; old, new and traffic cannot be edited meanwhile."""
    refreshed: Time | None = None
    """When this status was last written."""
    criteria: Annotated[
        tuple[CriterionStatus, ...],
        Field(
            max_length=MOST_CRITERIA,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        ),
    ] = ()
    """Every criterion of the current phase, and every trigger, as last judged."""
    mirror: MirrorStatus | None = None
    """There from before routes mirror to new until the mirrors are seen to be gone; mirrors to new are then ours."""
    verify: VerifyStatus | None = None
    """Whether traffic follows the weights; there while the weights of a phase stand, where traffic.verify is given."""
    watch: WatchStatus | None = None
    """There while a completed run is watched."""
    step_back: StepBackStatus | None = None
    """The last step back of this run, if there was one."""
    incident: IncidentStatus | None = None
    """What speaks against new and has not sent the rollout back, or not yet."""
    requests: RequestsStatus | None = None
    """What people have asked for by annotation."""
    retry: RetryStatus | None = None
    """There from when the next attempt is asked for until it begins."""
    rollback: RollbackStatus | None = None
    """The rollback of this run, if there was one."""
    retired: Retired | None = None
    """Set while the old workload is stopped by retireOld."""
    stopped_new: Stopped | None = None
    """There from when a rollback stops new, by switch.stopNew, until the next run begins."""
    shards: ShardsStatus | None = None
    """The assignment of slots, where spec.traffic.shards moves work between workers."""
    history: Annotated[
        tuple[HistoryEntry, ...],
        Field(max_length=HISTORY_LENGTH, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """The last transitions, oldest first."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
    """Standard conditions."""


__all__ = [
    "HISTORY_LENGTH",
    "REQUEST_LENGTH",
    "Condition",
    "CriterionStatus",
    "HistoryEntry",
    "IncidentStatus",
    "MirrorStatus",
    "PhaseStatus",
    "RequestsStatus",
    "Retired",
    "RetryStatus",
    "RollbackStatus",
    "ShardsStatus",
    "StepBackStatus",
    "StepStatus",
    "Stopped",
    "SyncRolloutStatus",
    "VerifyStatus",
    "WatchStatus",
]

"""The whole status."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Time
from syncrollout.api.status.approval import GIVEN_LENGTH, AskedStatus, HoldStatus, SaidOfPhase
from syncrollout.api.status.base import Sentence, Written
from syncrollout.api.status.drill import DrillStatus
from syncrollout.api.status.finished_jobs import MOST_CRON_JOBS, FinishedJobStatus
from syncrollout.api.status.judged import CriterionStatus, VerifyStatus
from syncrollout.api.status.notifications import NotificationsStatus
from syncrollout.api.status.past import MOST_PAST, PastPhase
from syncrollout.api.status.people import (
    MOST_CRITERIA,
    PERSON_LENGTH,
    IncidentStatus,
    RequestsStatus,
    RetryStatus,
)
from syncrollout.api.status.phase import MirrorStatus, PhaseStatus, Retired, StepBackStatus, Stopped, WatchStatus
from syncrollout.api.status.preflight import PreflightStatus
from syncrollout.api.status.reports import ReportsStatus
from syncrollout.api.status.rollback import RollbackStatus
from syncrollout.api.status.shards import ShardsStatus
from syncrollout.api.status.tasks import MOST_DAY_ONE, MOST_VERIFICATIONS, TaskStatus, VerificationStatus
from syncrollout.api.words import ConditionType, Health, Reason, State

HISTORY_LENGTH = 32


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
    by: Annotated[str, Field(max_length=PERSON_LENGTH)] | None = None
    """Who has asked for it, where a name was given with it."""


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

    # The operator alone writes it, whole. Which of its fields are whose would fill a fifth of the object, and the API
    # server would work that out anew at every write.
    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

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
    past_phases: Annotated[
        tuple[PastPhase, ...],
        Field(max_length=MOST_PAST, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """The phases of this run that are over, in the order in which they ended."""
    weight: int = 0
    """Share of new in percent, as it stands."""
    health: Health | None = None
    """The criteria of the current phase in one word."""
    next: Annotated[str, Field(max_length=200)] = ""
    """What comes next, and when at the earliest."""
    waiting_since: Time | None = None
    """Since when the run, which nothing else keeps from beginning, waits for other rollouts, its pool or the
    calendar."""
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
    preflight: PreflightStatus | None = None
    """The checklist of spec.preflight, as of the start of the last run or of the one that is to begin."""
    day_one: Annotated[
        tuple[TaskStatus, ...], Field(max_length=MOST_DAY_ONE, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """The Jobs of day one of this run, in their order; none without spec.preflight.dayOne."""
    verifications: Annotated[
        tuple[VerificationStatus, ...],
        Field(
            max_length=MOST_VERIFICATIONS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """The verification Jobs of the present phase, as last run."""
    incident: IncidentStatus | None = None
    """What speaks against new and has not sent the rollout back, or not yet."""
    requests: RequestsStatus | None = None
    """What people have asked for by annotation."""
    reports: ReportsStatus | None = None
    """What people have reported; there once somebody has."""
    approvals: Annotated[
        tuple[SaidOfPhase, ...],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["phase"]},
        ),
    ] = ()
    """The last approval of each phase in this run."""
    approvals_taken: Annotated[str, Field(max_length=GIVEN_LENGTH)] = ""
    """Six characters of a digest for each entry of spec.approvals that was taken in and is still there."""
    approval_asked: AskedStatus | None = None
    """There from when the approval of the phase is all that is missing until the phase ends."""
    skipped: SaidOfPhase | None = None
    """Who has ended the time and the success criteria of the present phase, if somebody has."""
    hold: HoldStatus | None = None
    """There while a person holds the rollout."""
    retry: RetryStatus | None = None
    """There from when the next attempt is asked for until it begins."""
    finished_jobs: Annotated[
        tuple[FinishedJobStatus, ...],
        Field(
            max_length=MOST_CRON_JOBS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["cronJob"]},
        ),
    ] = ()
    """The last finished Job of each CronJob that triggers and criteria name, of this run."""
    rollback: RollbackStatus | None = None
    """The rollback of this run, if there was one."""
    drill: DrillStatus | None = None
    """Whether a rollback would work, as last tried, and when it is tried next; over all runs."""
    retired: Retired | None = None
    """Set while the old workload is stopped by retireOld."""
    stopped_new: Stopped | None = None
    """There from when a rollback stops new, by switch.stopNew, until the next run begins."""
    shards: ShardsStatus | None = None
    """The assignment of slots, where spec.traffic.shards moves work between workers."""
    notifications: NotificationsStatus | None = None
    """What people are told, where spec.notifications says whom."""
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

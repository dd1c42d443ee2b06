"""Every word that the resource says about itself: states, verdicts, reasons, condition types."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

GROUP = "syncrollout.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "SyncRollout"
PLURAL = "syncrollouts"
FINALIZER = f"{GROUP}/restore-traffic"
FIELD_MANAGER = "syncrollout"
SHARDS_LABEL = f"{GROUP}/shards"
"""Label of the ConfigMaps that hold assignments of slots; its value is the rollout's name."""
FREEZES_LABEL = f"{GROUP}/freezes"
"""Label of the ConfigMaps that hold freezes; its value does not matter."""
ROLLOUT_ANNOTATION = f"{GROUP}/rollout"
"""Annotation of those ConfigMaps: the name of the SyncRollout that they are made for."""
OLD_ANNOTATION, NEW_ANNOTATION = f"{GROUP}/old", f"{GROUP}/new"
"""Annotations of those ConfigMaps: the workloads that their slots are divided between."""
ROLLOUT_LABEL, STEP_LABEL = f"{GROUP}/rollout", f"{GROUP}/step"
"""Labels of the Jobs of a rollback's steps, and of their pods: the rollout's name, and the step."""
DRILL_LABEL = f"{GROUP}/drill"
"""Label of the Jobs of a drill, and of their pods: its mode."""
REPORT_ANNOTATION = f"{GROUP}/report"
"""Annotation of ConfigMaps with an incident report: which rollback it tells of."""
PROBLEM_ANNOTATION = f"{GROUP}/report-"
"""What the names of annotations begin with by which people report problems; the rest of the name is the report's id."""
REQUESTED_BY = f"{GROUP}/requested-by"
"""Annotation that goes with every request: the user name of who asks, as the API server knows it."""
ATTEST_ANNOTATION = f"{GROUP}/attest-"
"""What the names of annotations begin with by which people confirm lines of the checklist; the check's name follows."""
HOLD = f"{GROUP}/hold"
"""Annotation by which a person holds a rollout where it is, for as long as it is there; its value says why."""
LOGS_ANNOTATION = f"{GROUP}/logs"
"""Annotation of ConfigMaps with an incident report: which rollback the logs of new's pods in it are of."""
EPOCH_ANNOTATION = f"{GROUP}/epoch"
"""Annotation of pods and their templates: the assignment that pods made from it know at least."""
RESTART_ANNOTATION = f"{GROUP}/restart"
"""Annotation of old's pod template: the rollback for which its pods were made anew, by when it was decided."""


class Side(StrEnum):
    """The two systems of a rollout."""

    OLD = "Old"
    NEW = "New"


class HandoverStage(StrEnum):
    """How far the assignment of slots is, in one word."""

    SETTLED = "Settled"
    RELEASING = "Releasing"
    GIVEN_BACK = "GivenBack"


class Step(StrEnum):
    """The steps of a rollback, in their order."""

    SWITCH = "Switch"
    VERIFY_DATA = "VerifyData"
    RESTORE = "Restore"
    VERIFY_AGAIN = "VerifyAgain"
    VERIFY_SYSTEM = "VerifySystem"
    EVIDENCE = "Evidence"


class Task(StrEnum):
    """What a Job is for that is no step of a rollback; those of day one are in their order."""

    CHECK = "Check"
    BACKUP = "Backup"
    MIGRATE = "Migrate"
    TEST_SYNC = "TestSync"
    VERIFICATION = "Verification"


class StepState(StrEnum):
    """How far a step is. Overrun: it took longer than its budget; the switch then goes on, all else is stopped."""

    WAITING = "Waiting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    OVERRUN = "Overrun"


class DrillMode(StrEnum):
    """How it is tried whether a rollback would work."""

    REHEARSE = "Rehearse"
    LIVE = "Live"


class DrillStage(StrEnum):
    """How far a Live drill is."""

    SWITCHING = "Switching"
    STANDING = "Standing"
    RETURNING = "Returning"


class Day(StrEnum):
    """Days of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class State(StrEnum):
    """Where a rollout is, in one word."""

    PENDING = "Pending"
    PREFLIGHT = "Preflight"
    PROGRESSING = "Progressing"
    HOLDING = "Holding"
    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    COMPLETED = "Completed"


class CheckGroup(StrEnum):
    """What a line of the checklist before the start is about."""

    CODE = "Code"
    INFRASTRUCTURE = "Infrastructure"
    DOCUMENTS = "Documents"
    TEAM = "Team"
    BACKUPS = "Backups"


class Verdict(StrEnum):
    """What a criterion says. Unknown is neither: it holds a phase and never passes or fails it."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    UNKNOWN = "Unknown"


class Role(StrEnum):
    """What a criterion is asked for."""

    SUCCESS = "Success"
    ROLLBACK_ON = "RollbackOn"
    TRIGGER = "Trigger"


class Severity(StrEnum):
    """How grave a trigger is. Critical acts on the pass that sees it, High by a deadline, Medium asks a person, Low is
    told."""

    CRITICAL = "Critical"
    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class Request(StrEnum):
    """What a person can ask of a rollout by an annotation; each value counts once."""

    OVERRIDE = f"{GROUP}/override"
    DECIDE = f"{GROUP}/decide"
    ROLLBACK = f"{GROUP}/rollback"
    RETRY = f"{GROUP}/retry"
    ANSWER = f"{GROUP}/answer"
    DRILL = f"{GROUP}/drill"
    APPROVE = f"{GROUP}/approve"
    SKIP = f"{GROUP}/skip"
    RESUME = f"{GROUP}/resume"
    ACK = f"{GROUP}/ack"


class Said(StrEnum):
    """Words that are told, and that no decision rests on: one that a later release has written is kept as it is."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word


class DrillCause(Said):
    """Why a drill began."""

    SCHEDULE = "Schedule"
    PERSON = "Person"


class DrillResult(Said):
    """What came of a drill, or of one of its checks. CutShort: it ended before it could say."""

    PASSED = "Passed"
    FAILED = "Failed"
    CUT_SHORT = "CutShort"


class PhaseEnd(Said):
    """How a phase has ended. Skipped: a person ended its time and its criteria. Reweighted: an edit gave it another
    weight, and its time began anew."""

    PASSED = "Passed"
    SKIPPED = "Skipped"
    STEPPED_BACK = "SteppedBack"
    ROLLED_BACK = "RolledBack"
    REWEIGHTED = "Reweighted"


class Health(Said):
    """The criteria of the current phase in one word."""

    HEALTHY = "Healthy"
    FAILING = "Failing"
    UNKNOWN = "Unknown"


class ConditionType(Said):
    """Conditions: the first three are kstatus', so that kubectl wait, Flux and Argo CD read them unaided.
    AwaitingApproval is there where a phase asks for one, the last two once a drill has said something, and once there
    was something to tell."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    PAUSED = "Paused"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    AWAITING_APPROVAL = "AwaitingApproval"
    ROLLBACK_REHEARSED = "RollbackRehearsed"
    NOTIFICATIONS_DELIVERED = "NotificationsDelivered"


class Reason(Said):
    """Why: of conditions, of events and of the history; one for each thing that can happen."""

    # the way forward
    WAITING_TO_START = "WaitingToStart"
    PREFLIGHT_RUNNING = "PreflightRunning"
    PREFLIGHT_INCOMPLETE = "PreflightIncomplete"
    ATTESTED = "Attested"
    ATTESTATION_WITHDRAWN = "AttestationWithdrawn"
    DAY_ONE = "DayOne"
    JOB_STARTED = "JobStarted"
    JOB_SUCCEEDED = "JobSucceeded"
    JOB_FAILED = "JobFailed"
    PHASE_STARTED = "PhaseStarted"
    MOVING_TRAFFIC = "MovingTraffic"
    VERIFYING = "Verifying"
    PHASE_RUNNING = "PhaseRunning"
    COMPLETED = "Completed"
    WATCH_ENDED = "WatchEnded"
    WAITING_FOR_DEPENDENCY = "WaitingForDependency"
    WAITING_FOR_POOL = "WaitingForPool"
    # standing still
    OUTSIDE_WINDOW = "OutsideWindow"
    FROZEN = "Frozen"
    CRITERIA_NOT_MET = "CriteriaNotMet"
    CRITERIA_UNKNOWN = "CriteriaUnknown"
    NEW_NOT_READY = "NewNotReady"
    OLD_NOT_READY = "OldNotReady"
    ROUTER_DISOBEYS = "RouterDisobeys"
    SHARE_UNKNOWN = "ShareUnknown"
    PHASE_REMOVED = "PhaseRemoved"
    TRIGGER_ALREADY_BREACHED = "TriggerAlreadyBreached"
    TRAFFIC_ALREADY_AT_NEW = "TrafficAlreadyAtNew"
    SUSPENDED = "Suspended"
    HELD = "Held"
    RESUMED = "Resumed"
    APPROVAL_REQUESTED = "ApprovalRequested"
    APPROVAL_REMINDER = "ApprovalReminder"
    APPROVED = "Approved"
    APPROVAL_EXPIRED = "ApprovalExpired"
    PHASE_SKIPPED = "PhaseSkipped"
    ROLLBACK_DUE = "RollbackDue"
    AWAITING_DECISION = "AwaitingDecision"
    INCIDENT_CLEARED = "IncidentCleared"
    INCIDENT_OVERRIDDEN = "IncidentOverridden"
    LOW_TRIGGER = "LowTrigger"
    CRITERION_IGNORED = "CriterionIgnored"
    RETRY_REQUESTED = "RetryRequested"
    REQUEST_IGNORED = "RequestIgnored"
    REPORT_RECEIVED = "ReportReceived"
    REPORTS_ANSWERED = "ReportsAnswered"
    EMERGENCY_STOP = "EmergencyStop"
    DRIFT_REPAIRED = "DriftRepaired"
    MONITORING_NOT_APPLIED = "MonitoringNotApplied"
    SHARDS_RELEASED = "ShardsReleased"
    SHARDS_GRANTED = "ShardsGranted"
    HANDOVER_TIMED_OUT = "HandoverTimedOut"
    # going back
    CRITERION_BREACHED = "CriterionBreached"
    TRIGGER_BREACHED = "TriggerBreached"
    WITHOUT_DATA = "WithoutData"
    INCIDENT_OVERDUE = "IncidentOverdue"
    PHASE_OVERDUE = "PhaseOverdue"
    ROLLBACK_REQUESTED = "RollbackRequested"
    STEPPED_BACK = "SteppedBack"
    NEW_DIED = "NewDied"
    REVISION_REVERTED = "RevisionReverted"
    REVISION_CHANGED = "RevisionChanged"
    DELETED = "Deleted"
    STEP_STARTED = "StepStarted"
    STEP_SUCCEEDED = "StepSucceeded"
    STEP_FAILED = "StepFailed"
    STEP_SKIPPED = "StepSkipped"
    STEP_OVERRUN = "StepOverrun"
    BACKUP_MISSING = "BackupMissing"
    ROLLED_BACK = "RolledBack"
    # drills
    DRILL_STARTED = "DrillStarted"
    DRILLING = "Drilling"
    DRILL_AT_OLD = "DrillAtOld"
    DRILL_PASSED = "DrillPassed"
    DRILL_FAILED = "DrillFailed"
    DRILL_CUT_SHORT = "DrillCutShort"
    DRILL_OVERDUE = "DrillOverdue"
    # what people are told
    ACKNOWLEDGED = "Acknowledged"
    MESSAGES_DELIVERED = "MessagesDelivered"
    MESSAGE_UNDELIVERED = "MessageUndelivered"
    # what a person must mend
    FREEZES_UNKNOWN = "FreezesUnknown"
    DEPENDENCY_CYCLE = "DependencyCycle"
    INVALID_SPEC = "InvalidSpec"
    WORKLOAD_NOT_FOUND = "WorkloadNotFound"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    CRON_JOB_NOT_FOUND = "CronJobNotFound"
    ROUTE_NOT_FOUND = "RouteNotFound"
    ROUTE_KIND_UNKNOWN = "RouteKindUnknown"
    ROUTE_NAMES_NOT_BOTH = "RouteNamesNotBoth"
    ROUTE_UNREADABLE = "RouteUnreadable"
    ROUTE_TAKEN = "RouteTaken"
    CONFIG_MAP_TAKEN = "ConfigMapTaken"
    ASSIGNMENT_INVALID = "AssignmentInvalid"
    EPOCH_AHEAD = "EpochAhead"
    AUTOSCALED = "Autoscaled"
    MIRROR_UNSUPPORTED = "MirrorUnsupported"
    MIRROR_TAKEN = "MirrorTaken"
    KIND_NOT_SERVED = "KindNotServed"
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - a reason, not a password
    PROMETHEUS_UNREACHABLE = "PrometheusUnreachable"
    PROMETHEUS_REFUSED = "PrometheusRefused"
    DESTINATION_REFUSED = "DestinationRefused"
    QUERY_INVALID = "QueryInvalid"
    TEMPLATE_INVALID = "TemplateInvalid"
    SERVICE_ACCOUNT_REQUIRED = "ServiceAccountRequired"
    SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
    FORBIDDEN = "Forbidden"
    API_SERVER_FAILS = "ApiServerFails"


class Unknown(Said):
    """Why a reading is missing or cannot be judged."""

    NO_DATA = "NoData"
    NOT_A_NUMBER = "NotANumber"
    INFINITE = "Infinite"
    MANY_SERIES = "ManySeries"
    NOT_A_VECTOR = "NotAVector"
    QUERY_INVALID = "QueryInvalid"
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    REFUSED = "Refused"
    DESTINATION_REFUSED = "DestinationRefused"
    SERVER_ERROR = "ServerError"
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - a reason, not a password
    STALE = "Stale"
    NOT_A_SHARE = "NotAShare"
    SETTLING = "Settling"
    NOT_YET = "NotYet"
    UNDECIDED = "Undecided"
    TOO_FEW = "TooFew"
    BASELINE_ZERO = "BaselineZero"
    NOT_ASKED = "NotAsked"
    OLD_STOPPED = "OldStopped"
    IGNORED = "Ignored"
    NO_JOB_YET = "NoJobYet"
    NOT_FOUND = "NotFound"
    FORBIDDEN = "Forbidden"
    UNSEEN = "Unseen"


class Language(StrEnum):
    """Languages of messages."""

    EN = "en"
    JA = "ja"


class MessageEvent(StrEnum):
    """What people are told of."""

    STARTED = "Started"
    PHASE_CHANGED = "PhaseChanged"
    COMPLETED = "Completed"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    STEPPED_BACK = "SteppedBack"
    HELD = "Held"
    DECISION_NEEDED = "DecisionNeeded"
    INCIDENT_ENDED = "IncidentEnded"
    APPROVAL_REQUESTED = "ApprovalRequested"
    APPROVAL_REMINDER = "ApprovalReminder"
    LOW_TRIGGER = "LowTrigger"
    DRILL_RESULT = "DrillResult"
    FOLLOW_UP = "FollowUp"
    ESCALATED = "Escalated"


class FollowUpAbout(StrEnum):
    """What is told some time after a rollback."""

    FIRST_CAUSE = "FirstCause"
    DETAILED_CAUSE = "DetailedCause"
    WHAT_HAPPENED = "WhatHappened"
    NEXT_STEPS = "NextSteps"
    REPORT = "Report"


class DeliveryState(StrEnum):
    """How far a message is on one channel. Unconfirmed: it may have been sent, and is not sent again."""

    PENDING = "Pending"
    SENDING = "Sending"
    SENT = "Sent"
    UNCONFIRMED = "Unconfirmed"
    GIVEN_UP = "GivenUp"

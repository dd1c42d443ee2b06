"""The status of a SyncRollout: what the operator writes, and all that it needs to go on after a restart.

Times are seconds since the epoch (float, to the millisecond) here and RFC 3339 strings on the wire. The rest of the
operator imports from here.
"""

from __future__ import annotations

from syncrollout.api.status.approval import GIVEN_LENGTH, AskedStatus, HoldStatus, SaidOfPhase
from syncrollout.api.status.drill import MOST_CHECKS, DrillCheck, DrillRun, DrillStatus
from syncrollout.api.status.finished_jobs import MOST_CRON_JOBS, FinishedJobStatus
from syncrollout.api.status.judged import CriterionStatus, VerifyStatus
from syncrollout.api.status.notifications import (
    MOST_DELIVERIES,
    MOST_MESSAGES,
    TOLD_LENGTH,
    AlarmStatus,
    DeliveryStatus,
    MessageStatus,
    NotificationsStatus,
)
from syncrollout.api.status.past import MOST_PAST, MOST_RESULTS, PastPhase, PastResult
from syncrollout.api.status.people import (
    MOST_CRITERIA,
    PERSON_LENGTH,
    REQUEST_LENGTH,
    IncidentStatus,
    PassedOver,
    RequestsStatus,
    RetryStatus,
)
from syncrollout.api.status.phase import (
    MOST_RESTARTED,
    MirrorStatus,
    PhaseStatus,
    PodRestarts,
    Retired,
    StepBackStatus,
    Stopped,
    WatchStatus,
)
from syncrollout.api.status.preflight import (
    ATTESTED_LENGTH,
    CHECK_LENGTH,
    AttestedStatus,
    CheckStatus,
    PreflightStatus,
)
from syncrollout.api.status.reports import (
    DIGEST_LENGTH,
    MOST_REPORTS,
    MOST_TAKEN_IN,
    REPORT_LENGTH,
    REPORTER_LENGTH,
    ReportCounts,
    ReportsStatus,
    ReportStatus,
)
from syncrollout.api.status.rollback import RollbackStatus, StepStatus
from syncrollout.api.status.shards import ShardsStatus
from syncrollout.api.status.tasks import (
    MOST_DAY_ONE,
    MOST_VERIFICATIONS,
    WORDS_LENGTH,
    TaskStatus,
    VerificationStatus,
)
from syncrollout.api.status.whole import HISTORY_LENGTH, Condition, HistoryEntry, SyncRolloutStatus

__all__ = [
    "ATTESTED_LENGTH",
    "CHECK_LENGTH",
    "DIGEST_LENGTH",
    "GIVEN_LENGTH",
    "HISTORY_LENGTH",
    "MOST_CHECKS",
    "MOST_CRITERIA",
    "MOST_CRON_JOBS",
    "MOST_DAY_ONE",
    "MOST_DELIVERIES",
    "MOST_MESSAGES",
    "MOST_PAST",
    "MOST_REPORTS",
    "MOST_RESTARTED",
    "MOST_RESULTS",
    "MOST_TAKEN_IN",
    "MOST_VERIFICATIONS",
    "PERSON_LENGTH",
    "REPORTER_LENGTH",
    "REPORT_LENGTH",
    "REQUEST_LENGTH",
    "TOLD_LENGTH",
    "WORDS_LENGTH",
    "AlarmStatus",
    "AskedStatus",
    "AttestedStatus",
    "CheckStatus",
    "Condition",
    "CriterionStatus",
    "DeliveryStatus",
    "DrillCheck",
    "DrillRun",
    "DrillStatus",
    "FinishedJobStatus",
    "HistoryEntry",
    "HoldStatus",
    "IncidentStatus",
    "MessageStatus",
    "MirrorStatus",
    "NotificationsStatus",
    "PassedOver",
    "PastPhase",
    "PastResult",
    "PhaseStatus",
    "PodRestarts",
    "PreflightStatus",
    "ReportCounts",
    "ReportStatus",
    "ReportsStatus",
    "RequestsStatus",
    "Retired",
    "RetryStatus",
    "RollbackStatus",
    "SaidOfPhase",
    "ShardsStatus",
    "StepBackStatus",
    "StepStatus",
    "Stopped",
    "SyncRolloutStatus",
    "TaskStatus",
    "VerificationStatus",
    "VerifyStatus",
    "WatchStatus",
]

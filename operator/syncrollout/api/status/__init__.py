"""The status of a SyncRollout: what the operator writes, and all that it needs to go on after a restart.

Times are seconds since the epoch (float, to the millisecond) here and RFC 3339 strings on the wire. The rest of the
operator imports from here.
"""

from __future__ import annotations

from syncrollout.api.status.judged import CriterionStatus, VerifyStatus
from syncrollout.api.status.people import (
    MOST_CRITERIA,
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
from syncrollout.api.status.rollback import RollbackStatus, StepStatus
from syncrollout.api.status.shards import ShardsStatus
from syncrollout.api.status.whole import HISTORY_LENGTH, Condition, HistoryEntry, SyncRolloutStatus

__all__ = [
    "HISTORY_LENGTH",
    "MOST_CRITERIA",
    "MOST_RESTARTED",
    "REQUEST_LENGTH",
    "Condition",
    "CriterionStatus",
    "HistoryEntry",
    "IncidentStatus",
    "MirrorStatus",
    "PassedOver",
    "PhaseStatus",
    "PodRestarts",
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

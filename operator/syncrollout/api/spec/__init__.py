"""The spec of a SyncRollout: what a person writes. The CRD is generated from these models.

Docstrings of models and fields become the text of ``kubectl explain``; CEL rules stand beside the model they
guard. Durations are seconds (float) here and patterned strings on the wire. One concern a module; the rest of the
operator imports from here.
"""

from __future__ import annotations

from syncrollout.api.spec.approval import MOST_APPROVALS, Approval, ApprovalRules, GivenApproval
from syncrollout.api.spec.backup import Backup, VolumeSnapshot
from syncrollout.api.spec.criteria import (
    ALERT,
    JOB,
    PODS,
    REPORTS,
    RUN,
    Comparison,
    Criteria,
    Criterion,
    Limit,
    OnNoData,
    PodTrouble,
    Trigger,
)
from syncrollout.api.spec.diagnosis import Ailment, Contact, Diagnosis, LogSign, Sign
from syncrollout.api.spec.drill import Drill
from syncrollout.api.spec.jobs import JobSource
from syncrollout.api.spec.metrics import VERIFY, Aggregate, Metric, MetricKind, Query, Ratio
from syncrollout.api.spec.monitoring import (
    GRAFANA_LABEL,
    Dashboards,
    MetricAlert,
    Monitoring,
    NoData,
    Rules,
    RulesAs,
)
from syncrollout.api.spec.notifications import (
    AlertmanagerChannel,
    Audience,
    Channel,
    EscalationLevel,
    FollowUp,
    Notifications,
    Templates,
)
from syncrollout.api.spec.order import Dependency, DependsState, Pool
from syncrollout.api.spec.phases import OnDeadline, OnFailure, Phase, PhaseMode
from syncrollout.api.spec.preflight import (
    CHECK,
    MOST_CHECKED,
    MOST_VARIABLES,
    Attestation,
    Capacity,
    DayOne,
    DayOneStep,
    EnvVars,
    Persons,
    Preflight,
    PreflightCheck,
    ResourceExists,
    TlsSecret,
)
from syncrollout.api.spec.probes import PROBE_TIMEOUT, Probe, ProbeScheme
from syncrollout.api.spec.procedure import (
    Check,
    Evidence,
    Procedure,
    Restore,
    RestoreMode,
    VerifyData,
    VerifySystem,
)
from syncrollout.api.spec.prometheus import BasicAuth, PrometheusSpec, SecretKey
from syncrollout.api.spec.rollback import High, Medium, Rollback, Undecided
from syncrollout.api.spec.schedule import UTC, Freeze, FreezesFrom, Schedule, Window
from syncrollout.api.spec.systems import ApiVersion, Kind, SystemSpec, WorkloadRef
from syncrollout.api.spec.traffic import (
    Handover,
    HandoverMethod,
    ReplicaSplit,
    RouteRef,
    Shards,
    Subsets,
    Traffic,
    Verify,
    WeightAt,
)
from syncrollout.api.spec.verification import MOST_VERIFICATIONS, Verification
from syncrollout.api.spec.whole import SyncRolloutSpec

__all__ = [
    "ALERT",
    "CHECK",
    "GRAFANA_LABEL",
    "JOB",
    "MOST_APPROVALS",
    "MOST_CHECKED",
    "MOST_VARIABLES",
    "MOST_VERIFICATIONS",
    "PODS",
    "PROBE_TIMEOUT",
    "REPORTS",
    "RUN",
    "UTC",
    "VERIFY",
    "Aggregate",
    "Ailment",
    "AlertmanagerChannel",
    "ApiVersion",
    "Approval",
    "ApprovalRules",
    "Attestation",
    "Audience",
    "Backup",
    "BasicAuth",
    "Capacity",
    "Channel",
    "Check",
    "Comparison",
    "Contact",
    "Criteria",
    "Criterion",
    "Dashboards",
    "DayOne",
    "DayOneStep",
    "Dependency",
    "DependsState",
    "Diagnosis",
    "Drill",
    "EnvVars",
    "EscalationLevel",
    "Evidence",
    "FollowUp",
    "Freeze",
    "FreezesFrom",
    "GivenApproval",
    "Handover",
    "HandoverMethod",
    "High",
    "JobSource",
    "Kind",
    "Limit",
    "LogSign",
    "Medium",
    "Metric",
    "MetricAlert",
    "MetricKind",
    "Monitoring",
    "NoData",
    "Notifications",
    "OnDeadline",
    "OnFailure",
    "OnNoData",
    "Persons",
    "Phase",
    "PhaseMode",
    "PodTrouble",
    "Pool",
    "Preflight",
    "PreflightCheck",
    "Probe",
    "ProbeScheme",
    "Procedure",
    "PrometheusSpec",
    "Query",
    "Ratio",
    "ReplicaSplit",
    "ResourceExists",
    "Restore",
    "RestoreMode",
    "Rollback",
    "RouteRef",
    "Rules",
    "RulesAs",
    "Schedule",
    "SecretKey",
    "Shards",
    "Sign",
    "Subsets",
    "SyncRolloutSpec",
    "SystemSpec",
    "Templates",
    "TlsSecret",
    "Traffic",
    "Trigger",
    "Undecided",
    "Verification",
    "Verify",
    "VerifyData",
    "VerifySystem",
    "VolumeSnapshot",
    "WeightAt",
    "Window",
    "WorkloadRef",
]

"""What is known of the world at one moment: the input of every decision. Plain frozen values, no behaviour of weight.

Weights and shares are percent of new (0-100); times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from syncrollout.api.status import RollbackStatus
from syncrollout.api.words import Reason, Request, Side, Unknown
from syncrollout.decide.check_facts import CheckFact, SnapshotFact
from syncrollout.decide.deliveries import Delivery
from syncrollout.decide.waited_for import FreezesFact, WaitedFor


@dataclass(frozen=True, slots=True)
class Span:
    """The time that was counted over: from `since`, and so many seconds long."""

    since: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Series:
    """What each of several series gives; None where that is no number. `said` is what the server says against it."""

    values: tuple[float | None, ...]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric as read for one side: a finite `value`, or None with `unknown` and a message that says why."""

    value: float | None
    unknown: Unknown | None = None
    message: str = ""
    span: Span | None = None
    """Of what is counted since the phase began."""
    series: Series | None = None
    """Where there are several series instead of one."""
    made_of: str = ""
    """How the value was made of several series, such as `max of 3 series`."""


class Part(StrEnum):
    """What is asked of a metric."""

    VALUE = "Value"
    """What it reads now, over its window."""
    SHARE = "Share"
    """Of a ratio with confidence: its quotient since the phase began."""
    COUNT = "Count"
    """Of a ratio with confidence: how many events there were since the phase began."""
    EVENTS = "Events"
    """Of a ratio: how many events there were over its window."""
    FRESH = "Fresh"
    """Whether its source still speaks: any answer will do."""


@dataclass(frozen=True, slots=True, order=True)
class ReadingKey:
    """Which reading: a metric's name, the side it is asked for, and what is asked."""

    metric: str
    side: Side = Side.NEW
    part: Part = Part.VALUE
    settle: float = 0.0
    """Of SHARE and COUNT: seconds after the phase began from which on events count."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person has to mend before anything is touched."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class WorkloadFact:
    """A workload as it stands. `desired` and `ready` are replicas; a CronJob counts as one, none when suspended."""

    desired: int = 0
    ready: int = 0
    scalable: bool = True
    """False for a CronJob, which is suspended and resumed instead."""
    epoch: int = 0
    """The epoch that its pod template is stamped with; 0 where it has none."""
    restart: str = ""
    """The stamp that its pod template has from the last restart; empty where it has none."""
    updated: bool = True
    """As its controller says, all of its pods are made from the template as it stands now, and no others are left."""
    autoscaler: str = ""
    """The HorizontalPodAutoscaler that scales it; empty where none does, or where nobody has to know."""

    @property
    def alive(self) -> bool:
        """At least one replica can take work."""
        return self.ready > 0

    @property
    def complete(self) -> bool:
        """All replicas that are asked for can take work, and there is at least one."""
        return self.desired > 0 and self.ready >= self.desired


@dataclass(frozen=True, slots=True)
class RouteFact:
    """The weights of one route: `share` is the greatest share of new in any of its rules, `exact` the weight that
    all of its rules stand at, or None where they differ or do not add up."""

    name: str
    share: float
    exact: int | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who owns which slots, as the ConfigMap says it: new those below `new_below`, old those from `old_from` on. What
    lies between belongs to nobody."""

    epoch: int
    """Rises by one with every write."""
    new_below: int
    old_from: int
    shadow: bool = False
    """New handles every key without effect; old owns them all."""
    stop: bool = False
    """New starts nothing any more, whatever `new_below` says."""


@dataclass(frozen=True, slots=True)
class HoldersFact:
    """The pods of one side, looked at after the assignment was written: how many there are and how many obey it."""

    pods: int
    obeying: int
    waiting: tuple[str, ...] = ()
    """Up to five names of pods (of a CronJob: Jobs) that do not obey yet."""
    names: frozenset[str] = frozenset()
    """The names of all of them."""
    doubt: str = ""
    """Why it cannot be said of them whether they obey, in words; empty where it is known that they do not."""

    @property
    def let_go(self) -> bool:
        """Nobody is left who could hold a slot that this side has lost. A side without pods holds nothing."""
        return self.obeying >= self.pods


@dataclass(frozen=True, slots=True)
class ShardsFact:
    """The assignment of slots as it stands, and who obeys it."""

    assignment: Assignment | None
    """None: there is no ConfigMap yet, or nothing in it that can be read."""
    old: HoldersFact | None = None
    new: HoldersFact | None = None
    """None where it was not looked at: only a side that a handover waits for is."""


@dataclass(frozen=True, slots=True)
class MirrorFact:
    """What one route mirrors to new: `percent` of its requests in each rule, or None where rules differ or a mirror to
    new is not as it would be written here."""

    name: str
    percent: int | None
    ours: bool
    """There is a mirror to new."""
    taken: str = ""
    """Why there is no room for one, in words."""


class JobState(StrEnum):
    """How far a Job is. Missing: there is none of that name. Unseen: nobody knows."""

    MISSING = "Missing"
    UNSEEN = "Unseen"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    STOPPED = "Stopped"
    """It has failed because its time was up."""


@dataclass(frozen=True, slots=True)
class JobFact:
    """A Job of a step as it stands."""

    state: JobState
    message: str = ""
    """Why it failed, or could not be seen."""
    exit_code: int | None = None
    """Of its container, once that has ended and where it can be seen."""
    output: str = ""
    """What its containers have said last, masked and bounded."""
    progress: str = ""
    """While it runs: how far it is, by its own words; empty where it has said nothing."""


@dataclass(frozen=True, slots=True)
class ProbeFact:
    """What one probe of old has found: whether it passes, and in words what was asked and answered."""

    passes: bool
    text: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one try: `refused` says why it would not work, and is empty where it would."""

    name: str
    refused: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a drill has found so far."""

    tried: tuple[Tried, ...] | None = None
    """All of its tries, in order; None while they are under way, or where they were not asked for."""
    backup: Reading | None = None
    """How old the last backup is, where that was asked for."""
    snapshot: SnapshotFact | None = None
    """The snapshot that is a backup, where that was asked for."""
    job: JobFact | None = None
    """Its Job; None where it was not asked for."""


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A Job that has ended; `at` in whole seconds, `message` what Kubernetes says of a failure."""

    name: str
    at: float
    failed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class CronJobFact:
    """The last finished Job of a CronJob, whenever that was; or why it cannot be seen."""

    newest: FinishedJob | None = None
    unknown: Unknown | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class SeriesFact:
    """What a metric read for one side at moments that follow each other evenly, None where it was not known; without
    any, `why_not` says why."""

    side: Side
    start: float
    step: float
    values: tuple[float | None, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one decision rests on."""

    generation: int
    deleting: bool = False
    has_finalizer: bool = False
    old: WorkloadFact | None = None
    """None where it does not exist; `problems` then says so."""
    new: WorkloadFact | None = None
    routes: tuple[RouteFact, ...] = ()
    """Every route that could be read; `problems` says why one is missing; only ROUTE_NOT_FOUND says it is gone."""
    shards: ShardsFact | None = None
    """None without spec.traffic.shards, and where the ConfigMap could not be read; `problems` then says so."""
    mirrors: tuple[MirrorFact, ...] = ()
    """Every route whose mirrors could be read; none is looked at where no phase mirrors."""
    readings: Mapping[ReadingKey, Reading] = field(default_factory=dict)
    """Before the start all that the rollout will ever need, in flight those of its phase; none while it goes back."""
    problems: tuple[Problem, ...] = ()
    """References that do not resolve, rights that are missing, routes taken by another rollout."""
    barred: bool = False
    """Before a run: in the name in which it would be carried out nothing may be looked at, and so nothing is made."""
    gone_back: RollbackStatus | None = None
    """The rollback of this run that was decided, and perhaps carried out, on a status over which another has been
    written since; None where there is none, or it stands recorded."""
    refused: Problem | None = None
    """The last attempt to act for this rollout was refused for good (a right is missing, a request is invalid); it is
    tried again, and people are told."""
    requests: Mapping[Request, str] = field(default_factory=dict)
    """What people ask for by annotations, as they stand; those that were heard already are among them."""
    requested_by: str = ""
    """The name that stands with them: who has asked last."""
    hold: str | None = None
    """Why a person holds the rollout, as it stands; None where nobody does."""
    reports: Mapping[str, str] = field(default_factory=dict)
    """The annotations by which people report problems, as they stand: values by id, those taken in among them."""
    attestations: Mapping[str, str] = field(default_factory=dict)
    """The annotations by which people confirm lines of the checklist, as they stand: values by the check's name."""
    checks: Mapping[str, CheckFact] = field(default_factory=dict)
    """By name: the lines of the checklist that somebody has looked at, while a run is to begin."""
    cron_jobs: Mapping[str, CronJobFact] = field(default_factory=dict)
    """By name: the CronJobs that triggers and criteria go by, where they were looked at."""
    recent_repairs: int = 0
    """How often drift was repaired in the last minute; somebody else may be fighting for the route."""
    restarts: Mapping[str, int] | None = None
    """By uid: how often containers of each pod of new have been restarted in all, of those where one was; None where
    that is not asked or cannot be seen."""
    name: str = ""
    """The rollout's name."""
    uid: str = ""
    """Its uid; names of what is made for it are made from it."""
    jobs: Mapping[str, JobFact] = field(default_factory=dict)
    """By name: the Jobs of the steps of a rollback that are under way, where they were looked at."""
    rehearsal: Rehearsal | None = None
    """Of the drill that is under way; None where nothing was begun for it by this process."""
    report: str | None = None
    """The stamp of the ConfigMap that the incident report goes to, empty without one; None where nobody looked."""
    probes: tuple[ProbeFact, ...] | None = None
    """What the probes of old have found, in their order; None where nobody looked."""
    snapshot: SnapshotFact | None = None
    """The snapshot that a restore waits for; None where nobody looked."""
    kept: str | None = None
    """The stamp of the logs in the ConfigMap that the incident report goes to, empty without; None where nobody
    looked."""
    logs: str | None = None
    """What new's pods have printed last, masked and bounded; None where nobody looked, or it is kept already."""
    job_logs: str = ""
    """What the Jobs of the steps have printed last, likewise."""
    series: tuple[SeriesFact, ...] = ()
    """What the metric read that broke, of each side that counts; none where nobody looked."""
    freezes: FreezesFact | None = None
    """The freezes that spec.schedule shares with other rollouts; None where it shares none, or nobody looked."""
    waited_for: WaitedFor | None = None
    """The rollouts that this one's run waits for; None where nobody looked."""
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    """What this process knows of its attempts to send messages, by `telling.key`."""
    mute: bool = False
    """This process begins to send nothing more: it is about to stop, or to hand the rollout over."""

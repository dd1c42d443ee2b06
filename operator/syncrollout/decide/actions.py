"""What a decision asks to be done: plain values, each idempotent, carried out by `act`."""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.spec import JobSource, VolumeSnapshot
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import DrillMode, Side, Step, Task
from syncrollout.decide.facts import Assignment, ReadingKey

BACKUP = "Backup"


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Put every route to this share of new, in percent."""

    weight: int


@dataclass(frozen=True, slots=True)
class SetMirror:
    """Mirror this share of the requests of every route to new, in percent; 0 takes our mirrors away."""

    percent: int


@dataclass(frozen=True, slots=True)
class Scale:
    """Give a side's workload this many replicas; for a CronJob 0 suspends and anything else resumes."""

    side: Side
    replicas: int


@dataclass(frozen=True, slots=True)
class Assign:
    """Write exactly this assignment, and only where the ConfigMap says what it `replaces`."""

    assignment: Assignment
    replaces: Assignment | None
    """None: there is none that can be read; the ConfigMap is made, or filled anew."""


@dataclass(frozen=True, slots=True)
class StampEpoch:
    """Write the epoch on the pod template of a side, so that its pods are made anew; of a CronJob, those to come."""

    side: Side
    epoch: int


@dataclass(frozen=True, slots=True)
class Restart:
    """Write this stamp on the pod template of a side, so that its pods are made anew as its update strategy says."""

    side: Side
    stamp: str


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Make a Job, unless there is one of that name: its name says whose it is."""

    step: Step | Task
    """Of a rollback, or what else it is for."""
    name: str
    source: JobSource
    seconds: int
    """So long it may run, from when it is made."""
    variables: tuple[tuple[str, str], ...]
    """What its containers are told, as variables of the environment."""
    drill: DrillMode | None = None
    """It is of a drill, and of which kind; None for a step of a rollback."""
    backup: bool = False
    """It is the one that has to end well before the step's own."""

    @property
    def called(self) -> str:
        """What it is for, in one word."""
        return BACKUP if self.backup else self.step.value


@dataclass(frozen=True, slots=True)
class KeepLogs:
    """Write what new's pods have printed into the ConfigMap of the incident report, before they are gone; `stamp` says
    on it of which rollback it is."""

    name: str
    stamp: str
    text: str


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Write the incident report of a rollback into a ConfigMap; `stamp` says on it which rollback it tells of."""

    name: str
    stamp: str
    text: str
    jobs: str = ""
    """What the Jobs of the steps have printed."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Make sure that a deletion waits until traffic is back at old."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Nothing is left to restore. `watched`: by what is judged from now on it may have to be, so that no pass may be
    held up by this for long."""

    watched: bool = False


@dataclass(frozen=True, slots=True)
class Try:
    """Something that a rollback would do: it is sent to the API server, which checks it and changes nothing."""

    name: str
    """Of the check."""
    action: SetWeight | SetMirror | Scale | Assign | StampEpoch | Restart | CreateJob | WriteReport
    route: str = ""
    """Of SetWeight and SetMirror: the one route that is meant."""


@dataclass(frozen=True, slots=True)
class Rehearse:
    """Try all of this, beside the passes; what came of it is a fact of later ones (`facts.Rehearsal`)."""

    stamp: str
    """Which drill, and for which spec: an earlier one of the rollout is given up."""
    tries: tuple[Try, ...]
    backup: ReadingKey | None
    """Whether there is a backup is read, too,"""
    snapshot: VolumeSnapshot | None = None
    """or looked at."""


@dataclass(frozen=True, slots=True)
class RehearseJob:
    """Make the Job of a drill, beside the passes, and tell how far it is until it has ended."""

    stamp: str
    job: CreateJob
    seen: bool
    """It was seen already: it is looked at, and never made again."""


@dataclass(frozen=True, slots=True)
class EndRehearsal:
    """Nothing more is done for a drill."""


Action = (
    SetWeight
    | SetMirror
    | Scale
    | Assign
    | StampEpoch
    | Restart
    | CreateJob
    | KeepLogs
    | WriteReport
    | Rehearse
    | RehearseJob
    | EndRehearsal
    | AddFinalizer
    | RemoveFinalizer
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is true now, what to do about it, and when to look again.

    `status`: what the next decision is to be made on, written or not; since when criteria hold is kept in it.
    `urgent`: the actions put traffic back; they are carried out before the status is written, ahead of all other
    work. Otherwise the status (the intent) is written first and the actions follow only once it is recorded.
    `lasting`: it is not decided otherwise because it could not be carried out or written.
    `write`: the status differs from the recorded one in a way that is worth a request.
    `next_due`: when to decide again if nothing happens before, seconds since the epoch; None for never.
    """

    status: SyncRolloutStatus
    actions: tuple[Action, ...] = ()
    urgent: bool = False
    lasting: bool = False
    write: bool = False
    next_due: float | None = None

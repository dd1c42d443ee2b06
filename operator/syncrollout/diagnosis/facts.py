"""What was gathered, as plain values. What could not be gathered is named by a Gap: nothing seen is not the same as
nothing there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncrollout.api.installed import Installed
from syncrollout.api.spec import Sign as Told
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Side
from syncrollout.diagnosis.trend import Series
from syncrollout.diagnosis.words import Trouble


@dataclass(frozen=True, slots=True)
class Workload:
    """One system's workload, as kubectl names it."""

    reference: str
    """Such as deployment/listing-sync-v2."""
    restartable: bool = True
    """kubectl rollout restart knows it."""
    settable: bool = True
    """kubectl set knows it."""
    selector: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of its containers: the variables that have a plain value."""
    secrets: tuple[str, ...] = ()
    """Secrets that its pods are given."""
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod, as its kubelet tells of it."""

    name: str
    restarts: int = 0
    waiting: str = ""
    """Why it does not run, such as CrashLoopBackOff."""
    ended: str = ""
    """How it ended last, such as OOMKilled; empty where it never did."""
    exit_code: int | None = None
    ended_at: float | None = None
    started: float | None = None
    """Since when it runs."""
    limit: float | None = None
    """Bytes of memory that it may use."""
    first: bool = False
    """It runs before the others, as an init container."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a side."""

    name: str
    side: Side
    ready: bool
    containers: tuple[Container, ...] = ()
    made: float = 0.0
    scheduled: bool = True
    message: str = ""
    """Why it is not scheduled, by the scheduler's words."""
    failed: str = ""
    """Why it has failed for good, such as Evicted; empty where it has not."""

    @property
    def limit(self) -> float | None:
        """Bytes of memory that all of it may use; None where a container has no limit."""
        limits = [each.limit for each in self.containers if not each.first]
        known = [limit for limit in limits if limit is not None]
        return sum(known) if known and len(known) == len(limits) else None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a pod has used, bytes, since its containers began to run."""

    pod: str
    side: Side
    series: Series


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric of the spec over the time that is looked back, and what it is held against."""

    told: Told
    unit: str
    new: Series = ()
    old: Series = ()
    given: bool = True
    """spec.diagnosis says that it tells of this; else it is taken for a sign by its kind and unit."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Lines of a side's logs that tell of a trouble."""

    side: Side
    trouble: Trouble
    what: str
    """What they say, in words."""
    strong: bool
    """Whether such lines are seldom written without it."""
    lines: int
    sample: str
    """One of them, secrets masked."""


@dataclass(frozen=True, slots=True)
class Logs:
    """What the logs of a side have said; `lines` were looked at in all."""

    side: Side
    lines: int
    matched: tuple[Matched, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One route: what its controller says against it."""

    name: str
    complaints: tuple[str, ...] = ()
    behind: bool = False
    """The controller has not seen the present weights."""


@dataclass(frozen=True, slots=True)
class Lease:
    """By which operators tell who leads."""

    name: str
    holder: str = ""
    duration: float = 15.0
    renewed: float | None = None
    """When it was last renewed, by the holder's clock."""
    written: float | None = None
    """The same by the API server's clock."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be looked at, why, and of which troubles less is known for it."""

    what: str
    why: str
    troubles: frozenset[Trouble]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered of one rollout. Times are seconds since the epoch, by the API server's clock."""

    name: str
    namespace: str
    spec: SyncRolloutSpec
    status: SyncRolloutStatus
    now: float
    generation: int = 0
    applied: float | None = None
    """When the spec was last changed."""
    recorded: float | None = None
    """When the operator last wrote the status, by the API server's clock."""
    look_back: float = 3600.0
    workloads: Mapping[Side, Workload] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    memory: tuple[Memory, ...] = ()
    throttled: Mapping[Side, float] = field(default_factory=dict)
    """Share of the time slices in which containers of a side were held back for want of processor."""
    readings: tuple[Reading, ...] = ()
    logs: tuple[Logs, ...] = ()
    routes: tuple[Route, ...] = ()
    lease: Lease | None = None
    crd: Installed | None = None
    """How the CRD of the cluster stands to this program."""
    prometheus_answers: bool | None = None
    """Whether it answered the person who asks; None where nobody tried."""
    prometheus_path: str = ""
    """Where the API server leads to it; empty where it does not."""
    gaps: tuple[Gap, ...] = ()
    options: tuple[str, ...] = ()
    """What a person has given to kubectl, to be given again: --context and --kubeconfig."""
    operator_account: str = "system:serviceaccount:syncrollout-system:syncrollout"
    operator_namespace: str = "syncrollout-system"


__all__ = [
    "Container",
    "Facts",
    "Gap",
    "Lease",
    "Logs",
    "Matched",
    "Memory",
    "Pod",
    "Reading",
    "Route",
    "Workload",
]

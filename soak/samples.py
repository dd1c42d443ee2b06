"""One sample after another, as a table: what the operator holds, how late it is, what it asks, and what there is."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

LATENESS = "syncrollout_pass_lateness_seconds"
PASSES = "syncrollout_pass_seconds_count"
REQUESTS = "syncrollout_api_requests_total"
_VERB = re.compile(r'verb="(\w+)"')
_BOUND = re.compile(r'le="([^"]+)"')
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
COUNTED = ("Job", "ConfigMap", "Lease", "PrometheusRule", "Secret", "ReplicaSet", "Pod", "SyncRollout")
"""Kinds whose objects are counted."""


@dataclass(frozen=True)
class Counters:
    """What only grows in one process of the operator, as /metrics told it."""

    passes: float = 0.0
    late: Mapping[float, float] = field(default_factory=dict)
    """By upper bound in seconds, how many passes were no later."""
    requests: Mapping[str, float] = field(default_factory=dict)
    """By verb."""


def counters(metrics: Mapping[str, float]) -> Counters:
    """Of a page of metrics."""
    late: dict[float, float] = {}
    requests: dict[str, float] = {}
    for series, value in metrics.items():
        if series.startswith(f"{LATENESS}_bucket") and (bound := _BOUND.search(series)):
            late[float(bound[1])] = value
        elif series.startswith(REQUESTS) and (verb := _VERB.search(series)):
            requests[verb[1]] = requests.get(verb[1], 0.0) + value
    return Counters(metrics.get(PASSES, 0.0), late, requests)


def since(now: Counters, before: Counters | None) -> Counters:
    """What has come since; all of it where the process is another one."""
    if before is None or now.passes < before.passes:
        return now
    late = {bound: count - before.late.get(bound, 0.0) for bound, count in now.late.items()}
    requests = {verb: count - before.requests.get(verb, 0.0) for verb, count in now.requests.items()}
    return Counters(now.passes - before.passes, late, requests)


def together(several: Iterable[Counters]) -> Counters:
    """Of all replicas."""
    passes, late, requests = 0.0, dict[float, float](), dict[str, float]()
    for one in several:
        passes += one.passes
        for bound, count in one.late.items():
            late[bound] = late.get(bound, 0.0) + count
        for verb, number in one.requests.items():
            requests[verb] = requests.get(verb, 0.0) + number
    return Counters(passes, late, requests)


def quantile(late: Mapping[float, float], share: float) -> float:
    """The upper bound of the bucket that holds this share of the passes; 0 where there were none."""
    bounds = sorted(late)
    if not bounds or late[bounds[-1]] <= 0:
        return 0.0
    wanted = share * late[bounds[-1]]
    return next(bound for bound in bounds if late[bound] >= wanted)


def later_than(late: Mapping[float, float], bound: float) -> int:
    """How many passes were later; `bound` is one of the histogram's."""
    return int(late.get(float("inf"), 0.0) - late.get(bound, 0.0))


@dataclass(frozen=True)
class Sample:
    """One row. Times in seconds; of the leader what it holds, of both replicas what was asked since the last row."""

    time: float
    """Since the run began."""
    leader: str
    """Name and start of the process that leads, such as replica-a/3; empty while nobody does."""
    rss: float
    """MB (10^6 bytes)."""
    standby_rss: float
    objects: int
    """That its garbage collector knows."""
    tasks: int
    threads: int
    files: int
    passes: int
    p50: float
    """Of the lateness of passes: the upper bound of its bucket."""
    p99: float
    late: int
    """Passes that were later than the bound."""
    requests: dict[str, int]
    """To the API server, by verb."""
    counts: dict[str, int]
    """Objects, by kind."""
    status: int
    """Bytes of the largest status since the last row."""
    history: int
    """Entries of the longest history so far."""
    state: str
    """Phase of the flagship."""
    outage: bool
    """Something that the operator needs was away since the last row."""

    @property
    def asked(self) -> int:
        """Requests of the passes: watches, lists and the Lease go on without them."""
        return sum(self.requests.get(verb, 0) for verb in ("get", "create", "patch", "delete"))


def header() -> list[str]:
    """The names of the columns."""
    plain = [each.name for each in fields(Sample) if each.name not in ("requests", "counts")]
    return [*plain, *(f"requests_{verb}" for verb in VERBS), *COUNTED]


def row(sample: Sample) -> list[object]:
    """Of the table."""
    values = asdict(sample)
    requests, counts = values.pop("requests"), values.pop("counts")
    return [*values.values(), *(requests.get(verb, 0) for verb in VERBS), *(counts.get(kind, 0) for kind in COUNTED)]


def write(path: Path, samples: Iterable[Sample]) -> None:
    """The table, as CSV."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header())
        table.writerows(row(sample) for sample in samples)

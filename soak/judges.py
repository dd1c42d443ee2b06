"""What is judged at the end of a run. Pure: from what was gathered to sentences, one for each thing that is wrong.

The second half of a run ends where its load does, and "flat" compares the later part of it with the earlier, medians of
both, so that neither the beginning nor a single sample counts. The bounds stand here with the reason for each.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from soak.samples import COUNTED, Sample
from soak.story import Delivery, Tale
from syncrollout.api.fields import parse_time
from syncrollout.api.status.whole import HISTORY_LENGTH

GROWTH = 0.05
"""Of the memory, over the second half of a run. Samples scatter by 2 %. Of 120 MB it is 6 MB: a leak of 12 kB a run
(less than one status) is more than that in 500 runs, and so is 0.3 kB a pass in 20,000."""
SLACK = 0.15
"""By which counts of the last quarter may be more than those of the one before: what is going on at one moment
(passes, Jobs of rollbacks) varies by that much."""
FEW = 5
"""Of a count that is small such a share is less than one; so many more are no growth."""
STATUS = 64 * 1024
"""Bytes of a status. All of its lists are bounded; a write of that size still takes the API server few milliseconds,
and an object may have 1.5 MB."""
OVERDUE = 60.0
"""Seconds beyond those for which a Job is kept that it may stand: until it has ended, and somebody has deleted it."""
REQUESTS = 0.25
"""By which requests for a pass may be more in the last quarter: how many passes begin or end something varies."""
FEW_SAMPLES = 1.0
"""The same of a run that is shorter than WARM: a drained node is a good part of its last quarter."""
WARM = 30
"""Minutes from which on a run is judged by GROWTH; a process takes a quarter of an hour until it has all of its caches
and pools, and half of a shorter run is no more than that."""
WARMING = 0.2
"""What a shorter one may grow."""
LATE = 5.0
"""Seconds, of a pass outside of outages; the least interval of the rollouts is 2 s."""
OPENING = 15.0
"""Seconds after a window has opened within which what waits for it goes on: the look at it, and the two writes."""
IDLE = 0.02
"""Share of the operator's writes of routes that may have changed nothing as far as was seen: the watch of the run
itself may miss one of two writes that follow one another while it begins anew."""
OPEN = ("Pending", "Sending")
NO_POST = "alert"
"""What the names of channels begin with that lead to Alertmanager, and not to the receiver of posts."""
LOADED = 0.9
"""Share of a run in which its load is the same all the time; then nothing new is begun."""
LISTED = 5
"""Names in a sentence at most."""


@dataclass(frozen=True)
class Verdict:
    """One row of the table, and a sentence for each thing that is wrong."""

    what: str
    measured: str
    bound: str
    wrong: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Nothing is wrong."""
        return not self.wrong


@dataclass(frozen=True)
class Collected:
    """What the leader held right after a collection of garbage. Times in seconds since the run began."""

    time: float
    leader: str
    objects: int
    rss: float


@dataclass(frozen=True)
class Evidence:
    """All that is judged."""

    minutes: int
    samples: Sequence[Sample]
    collected: Sequence[Collected] = ()
    tales: Sequence[Tale] = ()
    rewritten: Mapping[str, Sequence[str]] = field(default_factory=dict)
    posts: Sequence[tuple[str, str]] = ()
    """Of each message that the receiver took: the key that tells it from others, and its title."""
    jobs: Sequence[str] = ()
    """Namespace and name of each Job that the operator made, as the API server's audit log has it."""
    made: Sequence[float] = ()
    """When each of them was made, seconds of the run;"""
    kept: float = 0.0
    """and how many seconds they are kept once they have ended."""
    route_writes: int = 0
    """By the operator, in that log."""
    route_moves: int = 0
    """Changes of weights that were seen, but for those made by hand."""
    two_owners: Sequence[str] = ()
    items: int = 0
    openings: Sequence[tuple[float, float]] = ()
    """When windows were open, seconds since the epoch."""
    outages: Sequence[tuple[float, float]] = ()
    """Likewise."""
    faults: Sequence[str] = ()
    """Lines of the operator's log that tell of a fault of its own."""
    exits: Sequence[str] = ()
    """How replicas have ended that were asked to end, where that was not well."""
    final: Sequence[str] = ()
    """What is not as it must be at the end."""
    finals: int = 0


def judge(evidence: Evidence) -> list[Verdict]:
    """All of them."""
    return [each(evidence) for each in ALL]


def _second_half(evidence: Evidence) -> list[Sample]:
    half, end = 30.0 * evidence.minutes, 60.0 * LOADED * evidence.minutes
    return [each for each in evidence.samples if half <= each.time <= end and each.leader]


def _quarters(evidence: Evidence) -> tuple[list[Sample], list[Sample]]:
    half = _second_half(evidence)
    return half[: len(half) // 2], half[len(half) // 2 :]


def memory(evidence: Evidence) -> Verdict:
    """Resident memory of the process that leads through the whole second half."""
    half = _second_half(evidence)
    growth = GROWTH if evidence.minutes >= WARM else WARMING
    bound = f"<= {growth:.0%} in the second half"
    if len({each.leader for each in half}) != 1 or len(half) < 4:
        leaders = ", ".join(sorted({each.leader for each in half})) or "nobody"
        return Verdict(
            "memory of the leader", "-", bound, (f"one process was to lead in the second half: it was {leaders}",)
        )
    level = statistics.median(each.rss for each in half)
    grown = slope([(each.time, each.rss) for each in half]) * (half[-1].time - half[0].time)
    measured = f"{level:.0f} MB, {grown:+.1f} MB ({grown / level:+.1%})"
    wrong = f"memory grows: by {grown:.1f} MB in {half[-1].time - half[0].time:.0f} s, from {level:.0f} MB"
    return Verdict("memory of the leader", measured, bound, (wrong,) if grown > growth * level else ())


def after_collection(evidence: Evidence) -> Verdict:
    """The same, and the number of objects, right after collections of garbage."""
    growth = GROWTH if evidence.minutes >= WARM else WARMING
    what, bound = "the same after a collection of garbage", f"<= {growth:.0%}, objects too"
    found = evidence.collected
    if len(found) < 2 or found[0].leader != found[-1].leader:
        return Verdict(what, "-", bound, ("there were no two collections of garbage in one process to compare",))
    first, last = found[0], found[-1]
    wrong = []
    if last.rss > first.rss * (1 + growth):
        wrong.append(f"memory after a collection grows: from {first.rss:.1f} to {last.rss:.1f} MB")
    if last.objects > first.objects * (1 + growth):
        wrong.append(f"objects that nothing collects grow: from {first.objects} to {last.objects}")
    measured = f"{first.rss:.1f} -> {last.rss:.1f} MB, {first.objects} -> {last.objects} objects"
    return Verdict(what, measured, bound, tuple(wrong))


def _flat(evidence: Evidence, what: str, of: Callable[[Sample], float], slack: float = SLACK) -> Verdict:
    before, after = _quarters(evidence)
    bound = f"last quarter <= {1 + slack:.2f} x the one before + {FEW}"
    if not before or not after:
        return Verdict(what, "-", bound, (f"{what}: there are no samples to compare",))
    low, high = (statistics.median(of(each) for each in part) for part in (before, after))
    wrong = f"{what}: {low:g} in the third quarter, {high:g} in the last"
    return Verdict(what, f"{low:g} -> {high:g}", bound, (wrong,) if high > low * (1 + slack) + FEW else ())


def files(evidence: Evidence) -> Verdict:
    """Open files of the leader."""
    return _flat(evidence, "open files", lambda each: each.files)


def threads(evidence: Evidence) -> Verdict:
    """Its threads."""
    return _flat(evidence, "threads", lambda each: each.threads)


def tasks(evidence: Evidence) -> Verdict:
    """Its tasks."""
    return _flat(evidence, "tasks", lambda each: each.tasks)


def objects(evidence: Evidence) -> Verdict:
    """Objects of the API server, by kind; Events aside, which expire. How many Jobs stand goes by how many are made,
    and that by what people do and how fast the machine is: of Jobs only those may not grow that should be gone."""
    pods = _flat(evidence, "Pods but for those of Jobs", lambda one: _count(one, "Pod") - _count(one, "Job"))
    plain = [_of_kind(evidence, kind) for kind in COUNTED if kind not in {"Job", "Pod"}]
    each = [_overdue(evidence), pods, *plain]
    measured = ", ".join(f"{one.what} {one.measured}" for one in each)
    wrong = tuple(text for one in each for text in one.wrong)
    return Verdict("objects of the API server", measured, f"{pods.bound}; no more than {FEW} Jobs overdue", wrong)


def _overdue(evidence: Evidence) -> Verdict:
    """Jobs that stand although those that were made late enough to stand are fewer."""
    before, after = _quarters(evidence)
    if not before or not after:
        return Verdict("Jobs", "-", "", ("Jobs: there are no samples to compare",))

    def overdue(one: Sample) -> int:
        recent = sum(one.time - evidence.kept - OVERDUE <= made <= one.time for made in evidence.made)
        return max(0, _count(one, "Job") - recent)

    low, high = (statistics.median(_count(one, "Job") for one in part) for part in (before, after))
    late = statistics.median(overdue(one) for one in after)
    wrong = (f"Jobs: {late:g} stand longer than they may",) if late > FEW else ()
    return Verdict("Jobs", f"{low:g} -> {high:g} of which {late:g} overdue", "", wrong)


def _count(sample: Sample, kind: str) -> int:
    return sample.counts.get(kind, 0)


def _of_kind(evidence: Evidence, kind: str) -> Verdict:
    return _flat(evidence, f"{kind}s", lambda one: _count(one, kind))


def statuses(evidence: Evidence) -> Verdict:
    """Size of a status."""
    largest = max((each.status for each in evidence.samples), default=0)
    wrong = (f"a status had {largest} bytes",) if largest > STATUS else ()
    return Verdict("largest status", f"{largest / 1024:.1f} kB", f"<= {STATUS // 1024} kB", wrong)


def history(evidence: Evidence) -> Verdict:
    """Length of a history."""
    longest = max((each.history for each in evidence.samples), default=0)
    wrong = (f"a history had {longest} entries",) if longest > HISTORY_LENGTH else ()
    return Verdict("longest history", f"{longest} entries", f"<= {HISTORY_LENGTH}", wrong)


def lateness(evidence: Evidence) -> Verdict:
    """Of passes, outside of outages."""
    quiet = [each for each in evidence.samples if not each.outage]
    late = [each for each in quiet if each.late]
    wrong = [
        f"at {each.time:.0f} s {each.late} passes were later than {LATE:g} s, and nothing was away" for each in late
    ]
    worst = max((each.p99 for each in quiet), default=0.0)
    count = sum(each.passes for each in evidence.samples)
    measured = f"{count} passes, p99 of the worst of {len(quiet)} samples <= {worst:g} s"
    return Verdict("lateness of passes outside of outages", measured, f"none > {LATE:g} s", tuple(wrong))


def requests(evidence: Evidence) -> Verdict:
    """To the API server, for each pass."""
    more = REQUESTS if evidence.minutes >= WARM else FEW_SAMPLES
    what, bound = "requests for a pass", f"last quarter <= {1 + more:.2f} x the one before"
    rates = []
    for part in _quarters(evidence):
        passes = sum(each.passes for each in part)
        rates.append(sum(each.asked for each in part) / passes if passes else 0.0)
    low, high = rates
    wrong = f"requests for a pass: {low:.3f} in the third quarter, {high:.3f} in the last"
    return Verdict(what, f"{low:.3f} -> {high:.3f}", bound, (wrong,) if high > low * (1 + more) or not low else ())


def messages(evidence: Evidence) -> Verdict:
    """Each message once, on each channel, and none that is not recorded."""
    taken = Counter(key for key, _ in evidence.posts)
    titles = dict(evidence.posts)
    known = {key(tale, each): (tale, each) for tale in evidence.tales for each in tale.deliveries}
    states = {one: tale.deliveries[each] for one, (tale, each) in known.items()}
    named = {one: f"{tale.namespace}/{tale.name} {' '.join(each)}" for one, (tale, each) in known.items()}
    still = [one for one, state in states.items() if state in OPEN]
    cut = [one for one in still if known[one][0].gone]
    found = {
        "came more than once": [f"{one} ({titles[one]})" for one, count in taken.items() if count > 1],
        "came, and nobody has recorded them": [f"{one} ({titles[one]})" for one in taken.keys() - states.keys()],
        "are recorded as sent, and did not come": [
            named[one]
            for one, state in states.items()
            if state == "Sent" and one not in taken and not known[one][1][2].startswith(NO_POST)
        ],
        "are still on their way at the end": [named[one] for one in still if one not in cut],
        "were given up": [named[one] for one, state in states.items() if state == "GivenUp"],
        "came, though they are recorded as never sent": [
            named[one] for one in taken.keys() & states.keys() if states[one] == "Pending" and one not in cut
        ],
    }
    counted = Counter(states.values())
    measured = f"{len(evidence.posts)} posts, {len(taken)} different; {counted['Sent']} recorded as sent"
    measured += f", {counted['Unconfirmed']} Unconfirmed, {len(cut)} of rollouts deleted meanwhile"
    wrong = [f"{len(names)} messages {what}: {_some(names)}" for what, names in found.items() if names]
    return Verdict("messages", measured, "each once, none given up", tuple(wrong))


def key(tale: Tale, delivery: Delivery) -> str:
    """By which a receiver tells one message from another, as docs/messages.md has it."""
    return f"{tale.uid}-{'-'.join(delivery)}"


def once(evidence: Evidence) -> Verdict:
    """Effects of steps, by the audit log; entries of histories."""
    wrong = []
    twice = [name for name, count in Counter(evidence.jobs).items() if count > 1]
    if twice:
        wrong.append(f"{len(twice)} Jobs were made more than once: {_some(twice)}")
    wrong += [f"the history of {name} was written over: {text[0]}" for name, text in evidence.rewritten.items() if text]
    for tale in evidence.tales:
        told = Counter(tale.entries.values())
        wrong += [f"{tale.name} tells twice: {entry}" for entry, count in told.items() if count > 1]
    idle = evidence.route_writes - evidence.route_moves
    if idle > max(FEW, IDLE * evidence.route_writes):
        wrong.append(f"{idle} of {evidence.route_writes} writes of routes changed no weight")
    measured = f"{len(evidence.jobs)} Jobs, {evidence.route_writes} writes of routes"
    measured += f", {evidence.route_moves} changes of weights seen"
    return Verdict("effects", measured, "each once", tuple(wrong))


def slots(evidence: Evidence) -> Verdict:
    """Work items and their owners."""
    wrong = [f"two systems at once: {each}" for each in evidence.two_owners[:LISTED]]
    if not evidence.items:
        wrong.append("no work item was handled")
    measured = f"{evidence.items} items, {len(evidence.two_owners)} keys with two owners"
    return Verdict("owners of work items", measured, "never two of a key", tuple(wrong))


def calendar(evidence: Evidence) -> Verdict:
    """Phases of rollouts with a schedule begin in windows, and soon after one has opened."""
    wrong = []
    starts = 0
    for tale in evidence.tales:
        if not tale.scheduled:
            continue
        for told, reason, message in tale.entries.values():
            if reason != "PhaseStarted":
                continue
            starts += 1
            at = parse_time(told)
            if not any(since - 0.5 <= at <= until + 0.5 for since, until in evidence.openings):
                wrong.append(f"{tale.name} began a phase outside of all windows, at {told}: {message}")
        wrong += _late_after_opening(tale, evidence)
    waited = sum(waits for tale in evidence.tales for _, waits in tale.waits)
    measured = f"{starts} phases of rollouts with a schedule, {waited} waits, {len(evidence.openings)} windows"
    return Verdict(
        "calendar through both changes of the clocks", measured, f"in windows, <= {OPENING:g} s after", tuple(wrong)
    )


def _late_after_opening(tale: Tale, evidence: Evidence) -> list[str]:
    wrong = []
    ends = [at for at, _ in tale.waits[1:]]
    for (since, waits), until in zip(tale.waits, [*ends, float("inf")], strict=False):
        if not waits:
            continue
        for opened, closed in evidence.openings:
            late = min(until, closed) - max(since, opened)
            away = any(begun < opened + OPENING and over > opened for begun, over in evidence.outages)
            if late > OPENING and not away and not (tale.gone and until == float("inf")):
                wrong.append(f"{tale.name} waited for a window that was open for {late:.0f} s")
    return wrong


def final(evidence: Evidence) -> Verdict:
    """As everything stands at the end."""
    return Verdict(
        "final state", f"{evidence.finals} rollouts", "ended, traffic where it belongs", tuple(evidence.final)
    )


def own_faults(evidence: Evidence) -> Verdict:
    """What the operator's log says of itself, and how it ends."""
    wrong = (*evidence.faults[:LISTED], *evidence.exits[:LISTED])
    measured = f"{len(evidence.faults)} faults of its own in the log, {len(evidence.exits)} bad ends"
    return Verdict("log and ends of the operator", measured, "none", wrong)


ALL: Sequence[Callable[[Evidence], Verdict]] = (
    memory,
    after_collection,
    files,
    threads,
    tasks,
    objects,
    statuses,
    history,
    lateness,
    requests,
    messages,
    once,
    slots,
    calendar,
    final,
    own_faults,
)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs (Theil and Sen): one sample that is far off does not change it."""
    slopes = [
        (later - earlier) / (after - before)
        for number, (before, earlier) in enumerate(points)
        for after, later in points[number + 1 :]
        if after > before
    ]
    return statistics.median(slopes) if slopes else 0.0


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return "; ".join(names[:LISTED]) + more

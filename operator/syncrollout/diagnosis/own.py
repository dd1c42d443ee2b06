"""Signs of the operator's own troubles: rights, Prometheus, routes that do not obey, handovers that are stuck, clocks
that differ, and an operator that does not act."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.installed import Match
from syncrollout.api.status import HistoryEntry
from syncrollout.api.words import HandoverStage, Reason, Unknown, Verdict
from syncrollout.decide.phrases import moment
from syncrollout.diagnosis.facts import Facts, Lease
from syncrollout.diagnosis.words import Sign, Source, Strength, Trouble

LATELY: Final = 3600.0
"""Seconds for which what has passed may still be of interest."""
AHEAD: Final = 5.0
"""Seconds by which a clock may seem to be ahead: the API server's moments are whole seconds."""
BEHIND: Final = 10.0
"""Seconds by which a renewal of the Lease may seem to be of before: the request takes its time."""
HELD_UP: Final = 90.0
"""The same of a status, which may wait for up to a minute while the API server is busy."""
FAR: Final = 60.0
"""Seconds by which clocks differ without any doubt."""
UNSEEN: Final = 60.0
"""Seconds in which the operator looks at a spec that was changed."""
LEAST_SILENCE: Final = 30.0

_UNANSWERED: Final = frozenset(
    {
        Unknown.UNREACHABLE,
        Unknown.TIMEOUT,
        Unknown.REFUSED,
        Unknown.DESTINATION_REFUSED,
        Unknown.SERVER_ERROR,
        Unknown.SECRET_INVALID,
    }
)
REASONS: Final = {
    Trouble.RIGHTS: frozenset({Reason.FORBIDDEN}),
    Trouble.PROMETHEUS: frozenset(
        {
            Reason.PROMETHEUS_UNREACHABLE,
            Reason.PROMETHEUS_REFUSED,
            Reason.DESTINATION_REFUSED,
            Reason.SECRET_INVALID,
        }
    ),
    Trouble.ROUTE: frozenset(
        {
            Reason.ROUTER_DISOBEYS,
            Reason.ROUTE_NOT_FOUND,
            Reason.ROUTE_KIND_UNKNOWN,
            Reason.ROUTE_NAMES_NOT_BOTH,
            Reason.ROUTE_UNREADABLE,
            Reason.ROUTE_TAKEN,
            Reason.MIRROR_TAKEN,
            Reason.MIRROR_UNSUPPORTED,
        }
    ),
    Trouble.HANDOVER: frozenset(
        {Reason.HANDOVER_TIMED_OUT, Reason.EPOCH_AHEAD, Reason.ASSIGNMENT_INVALID, Reason.CONFIG_MAP_TAKEN}
    ),
}
_SHOWN: Final = 3


def signs(facts: Facts) -> Iterator[Sign]:
    """All of them, in no order."""
    for trouble, reasons in REASONS.items():
        yield from _said(facts, trouble, reasons)
    yield from _unanswered(facts)
    yield from _route(facts)
    yield from _handover(facts)
    yield from _clocks(facts)
    yield from _operator(facts)
    yield from _crd(facts)


def _said(facts: Facts, trouble: Trouble, reasons: frozenset[Reason]) -> Iterator[Sign]:
    """What the status itself says now."""
    status = facts.status
    said = [status.message] if status.reason in reasons else []
    said += [each.message for each in status.conditions if each.reason in reasons and each.status == "True"]
    for text in dict.fromkeys(said):
        yield Sign(trouble, Strength.PROOF, Source.STATUS, f"the operator says so: {text}")


def _history(facts: Facts, reasons: frozenset[Reason]) -> list[HistoryEntry]:
    return [each for each in facts.status.history if each.reason in reasons and facts.now - each.time <= LATELY]


def _unanswered(facts: Facts) -> Iterator[Sign]:
    """Readings that Prometheus, or a right, does not give."""
    status = facts.status
    judged = [(each.metric, each.unknown, each.message) for each in status.criteria]
    if status.verify is not None:
        judged.append(("traffic.verify", status.verify.unknown, status.verify.message))
    for trouble, kinds in ((Trouble.PROMETHEUS, _UNANSWERED), (Trouble.RIGHTS, frozenset({Unknown.FORBIDDEN}))):
        found = [(name, text) for name, unknown, text in judged if unknown in kinds]
        for name, text in found[:_SHOWN]:
            more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN and name == found[0][0] else ""
            yield Sign(trouble, Strength.PROOF, Source.STATUS, f"{name} cannot be read: {text}{more}")
        if found and trouble is Trouble.PROMETHEUS and facts.prometheus_answers:
            text = "it answers you, so look at the way from the operator to it: NetworkPolicy, DNS, credentials"
            yield Sign(trouble, Strength.WEAK, Source.METRICS, text)


def _route(facts: Facts) -> Iterator[Sign]:
    seen = facts.status.verify
    if seen is not None and seen.verdict is Verdict.FAIL and facts.status.reason is not Reason.ROUTER_DISOBEYS:
        since = f" since {moment(seen.apart_since)}" if seen.apart_since is not None else ""
        yield Sign(Trouble.ROUTE, Strength.STRONG, Source.STATUS, f"{seen.message}{since}")
    for route in facts.routes:
        for complaint in route.complaints:
            text = f"{route.name}: its controller says {complaint}"
            yield Sign(Trouble.ROUTE, Strength.STRONG, Source.ROUTES, text)
        if route.behind:
            text = f"{route.name}: its controller has not seen the present weights yet"
            yield Sign(Trouble.ROUTE, Strength.WEAK, Source.ROUTES, text)
    repaired = _history(facts, frozenset({Reason.DRIFT_REPAIRED}))
    if repaired:
        strength = Strength.STRONG if len(repaired) > 1 else Strength.WEAK
        times = f", {len(repaired)} times in the last hour" if len(repaired) > 1 else ""
        yield Sign(Trouble.ROUTE, strength, Source.STATUS, f"{repaired[-1].message}{times}")


def _handover(facts: Facts) -> Iterator[Sign]:
    shards, phase = facts.status.shards, facts.status.phase
    late_before = _history(facts, frozenset({Reason.HANDOVER_TIMED_OUT}))
    if late_before and phase is not None and phase.since is None:
        text = (
            f"it is tried again, and at {moment(late_before[-1].time)} it did not come about: {late_before[-1].message}"
        )
        yield Sign(Trouble.HANDOVER, Strength.STRONG, Source.STATUS, text)
    if shards is None or not shards.losing:
        return
    pods = ", ".join(shards.waiting_for) or "its workers"
    losing = " and ".join(side.value.lower() for side in shards.losing)
    late = shards.deadline is not None and facts.now >= shards.deadline
    if shards.stage is HandoverStage.RELEASING and late and shards.deadline is not None:
        over = format_duration(facts.now - shards.deadline)
        text = f"{pods} of {losing} should have let go of slots by {moment(shards.deadline)}, {over} ago"
        yield Sign(Trouble.HANDOVER, Strength.PROOF, Source.STATUS, text)
    elif shards.stage is HandoverStage.GIVEN_BACK:
        text = f"{pods} of {losing} did not let go of slots in time, and old has them again"
        yield Sign(Trouble.HANDOVER, Strength.STRONG, Source.STATUS, text)


def _clocks(facts: Facts) -> Iterator[Sign]:
    """What the operator has written by its own clock, held against when the API server took it."""
    status, lease = facts.status, facts.lease
    written = [("the status", Source.STATUS, status.refreshed, facts.recorded, HELD_UP)]
    if lease is not None:
        written.append(("the Lease", Source.LEASE, lease.renewed, lease.written, BEHIND))
    for what, source, own, taken, behind in written:
        if own is None or taken is None:
            continue
        ahead = own - taken
        if not -behind < ahead < AHEAD:
            way = "ahead" if ahead > 0 else "behind"
            text = f"the operator's clock is {abs(ahead):.0f} s {way} of the API server's, by what it wrote into {what}"
            far = source is Source.LEASE and abs(ahead) >= FAR
            yield Sign(Trouble.CLOCK, Strength.PROOF if far else Strength.STRONG, source, text)


def _operator(facts: Facts) -> Iterator[Sign]:
    if facts.lease is not None:
        silent = _silent(facts, facts.lease)
        if silent:
            yield Sign(Trouble.OPERATOR, Strength.PROOF, Source.LEASE, silent)
    behind = facts.status.observed_generation < facts.generation
    if behind and facts.applied is not None and facts.now - facts.applied >= UNSEEN:
        text = f"the operator has not looked at the spec of {format_duration(facts.now - facts.applied)} ago"
        yield Sign(Trouble.OPERATOR, Strength.STRONG, Source.STATUS, text)


def _crd(facts: Facts) -> Iterator[Sign]:
    """What the plugin knows is what an operator of the same release writes."""
    if facts.crd is not None and facts.crd.words:
        strength = Strength.PROOF if facts.crd.match is Match.OLDER else Strength.WEAK
        yield Sign(Trouble.CRD, strength, Source.CRD, facts.crd.words)


def _silent(facts: Facts, lease: Lease) -> str:
    if not lease.holder:
        return f"nobody holds the Lease {lease.name}: no operator leads"
    last = lease.written if lease.written is not None else lease.renewed
    if last is None or facts.now - last < max(LEAST_SILENCE, 2 * lease.duration):
        return ""
    ago = format_duration(facts.now - last)
    return (
        f"{lease.holder} has not renewed the Lease {lease.name} for {ago}, and no other has taken it: no operator leads"
    )


__all__ = ["REASONS", "signs"]

"""Moving work: from facts and a wanted weight to the next safe actions, for routes and for replica counts.

Two things are never asked for: weight for a side without ready pods, and more weight on new than wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.spec import ReplicaSplit, SyncRolloutSpec
from syncrollout.api.status import Retired
from syncrollout.api.words import Reason, Side
from syncrollout.decide.actions import Action, Scale, SetWeight
from syncrollout.decide.facts import Facts, WorkloadFact

_ABSENT = WorkloadFact()
_GONE = (Reason.WORKLOAD_NOT_FOUND, Reason.SERVICE_NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Movement:
    """`settled`: everything stands at the wanted weight. Else what to do next, or what has to happen first."""

    settled: bool
    actions: tuple[Action, ...] = ()
    waiting: Reason | None = None
    message: str = ""


SETTLED = Movement(settled=True)


def share(spec: SyncRolloutSpec, facts: Facts) -> int:
    """Share of new in percent as it stands, rounded; the greatest where routes differ."""
    if spec.traffic.replicas is not None:
        old, new = (facts.old or _ABSENT).desired, (facts.new or _ABSENT).desired
        return round(100 * new / (old + new)) if old + new else 0
    return round(max((route.share for route in facts.routes), default=0.0))


def toward(spec: SyncRolloutSpec, facts: Facts, weight: int, *, careful: bool) -> Movement:
    """The next step towards `weight`. `careful` asks for every replica of new to be ready before it is given more;
    otherwise one suffices (it had this weight before)."""
    if spec.traffic.replicas is not None:
        return _by_replicas(spec.traffic.replicas, facts, weight)
    return _by_routes(facts, weight, careful=careful)


def _by_routes(facts: Facts, weight: int, *, careful: bool) -> Movement:
    if not facts.routes:
        return Movement(settled=False, waiting=Reason.ROUTE_NOT_FOUND, message="the route does not exist")
    astray = [route for route in facts.routes if route.exact != weight]
    if not astray:
        return SETTLED
    old, new = facts.old or _ABSENT, facts.new or _ABSENT
    raises_new = weight > 0 and any(route.share < weight for route in astray)
    raises_old = weight < 100 and any(route.share > weight or route.exact is None for route in astray)
    if raises_new and not (new.complete if careful else new.alive):
        return Movement(
            settled=False,
            waiting=Reason.NEW_NOT_READY,
            message=f"new has {new.ready} of {new.desired} replicas ready: it gets no more weight before",
        )
    if raises_old and not old.alive:
        return Movement(
            settled=False,
            waiting=Reason.OLD_NOT_READY,
            message=f"old has {old.ready} of {old.desired} replicas ready: it gets no weight before",
        )
    return Movement(settled=False, actions=(SetWeight(weight),))


def replicas_of(split: ReplicaSplit, weight: int) -> tuple[int, int]:
    """Replicas of old and of new at a weight; new is rounded down so that it never has more than its share."""
    new = split.total * weight // 100
    return split.total - new, new


def _by_replicas(split: ReplicaSplit, facts: Facts, weight: int) -> Movement:
    want_old, want_new = replicas_of(split, weight)
    old, new = facts.old or _ABSENT, facts.new or _ABSENT
    actions: list[Action] = []
    # The side that grows goes first; the other shrinks only once those replicas are ready.
    if new.desired < want_new:
        actions.append(Scale(Side.NEW, want_new))
    if old.desired < want_old:
        actions.append(Scale(Side.OLD, want_old))
    old_stands = old.desired >= want_old and old.ready >= want_old
    new_stands = new.desired >= want_new and new.ready >= want_new
    if new.desired > want_new and (old.alive or old_stands):
        actions.append(Scale(Side.NEW, want_new))
    if old.desired > want_old and new_stands:
        actions.append(Scale(Side.OLD, want_old))
    if actions:
        return Movement(settled=False, actions=tuple(actions))
    if not old_stands:
        return _waits_for("old", Reason.OLD_NOT_READY, old, want_old)
    if not new_stands:
        return _waits_for("new", Reason.NEW_NOT_READY, new, want_new)
    return SETTLED


def _waits_for(side: str, reason: Reason, workload: WorkloadFact, want: int) -> Movement:
    message = f"{side} has {workload.ready} of {want} replicas ready"
    return Movement(settled=False, waiting=reason, message=message)


def back(spec: SyncRolloutSpec, facts: Facts, retired: Retired | None) -> Movement:
    """The next step towards all work on old. A retired old is brought back, wholly ready, before it gets any.

    A route that is gone carries no traffic, and with the old workload gone for good nothing is left to go back to:
    neither may keep a deleted rollout (or its namespace) from ending.
    """
    reasons = {problem.reason for problem in facts.problems}
    if facts.deleting and (facts.old is None or (not facts.routes and reasons <= {Reason.ROUTE_NOT_FOUND, *_GONE})):
        return SETTLED
    old = facts.old or _ABSENT
    if retired is not None and spec.traffic.replicas is None and not _by_routes(facts, 0, careful=False).settled:
        wanted = retired.replicas if retired.replicas is not None else 1
        if old.desired < wanted:
            return Movement(settled=False, actions=(Scale(Side.OLD, wanted),))
        if not old.complete:
            return Movement(
                settled=False,
                waiting=Reason.OLD_NOT_READY,
                message=f"old is being brought back: {old.ready} of {old.desired} replicas ready",
            )
    return toward(spec, facts, 0, careful=False)

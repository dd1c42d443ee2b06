"""Moving work: from facts and a wanted weight to the next safe actions, for routes, for shards and for replica counts.

Two things are never asked for: weight for a side without ready pods, and more weight on new than wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncrollout.api.spec import Phase, PhaseMode, ReplicaSplit, SyncRolloutSpec
from syncrollout.api.status import Retired, ShardsStatus
from syncrollout.api.words import Reason, Side
from syncrollout.decide import shards
from syncrollout.decide.actions import Action, Scale, SetWeight
from syncrollout.decide.autoscaling import left_alone
from syncrollout.decide.facts import Facts, Problem, WorkloadFact
from syncrollout.decide.phrases import readiness, side

_ABSENT = WorkloadFact()
_OF_ROUTES = frozenset(
    {
        Reason.ROUTE_NOT_FOUND,
        Reason.ROUTE_KIND_UNKNOWN,
        Reason.ROUTE_NAMES_NOT_BOTH,
        Reason.ROUTE_UNREADABLE,
        Reason.KIND_NOT_SERVED,
        Reason.INVALID_SPEC,
        Reason.FORBIDDEN,
    }
)
_HIDDEN = frozenset({Reason.FORBIDDEN, Reason.ROUTE_UNREADABLE})
"""What cannot be seen may be there all the same."""

_OF_SHARDS = frozenset(
    {Reason.CONFIG_MAP_TAKEN, Reason.ASSIGNMENT_INVALID, Reason.EPOCH_AHEAD, Reason.KIND_NOT_SERVED, Reason.FORBIDDEN}
)


@dataclass(frozen=True, slots=True)
class Movement:
    """`settled`: everything stands at the wanted weight. Else what to do next, or what has to happen first."""

    settled: bool
    actions: tuple[Action, ...] = ()
    waiting: Reason | None = None
    message: str = ""
    stalled: bool = False
    """What it waits for does not come by itself: a person has to act."""
    due: float | None = None
    """When to look again at what no watch tells of."""


SETTLED = Movement(settled=True)


def share(spec: SyncRolloutSpec, facts: Facts) -> int:
    """Share of new in percent as it stands, the greatest where routes differ. Rounded, but 0 means none at all and
    100 means all."""
    if spec.traffic.replicas is not None:
        old, new = (facts.old or _ABSENT).desired, (facts.new or _ABSENT).desired
        exact = 100 * new / (old + new) if old + new else 0.0
    else:
        assignment = facts.shards.assignment if facts.shards is not None else None
        slots = 100 * assignment.new_below / shards.SLOTS if assignment is not None else 0.0
        exact = min(100.0, max((slots, *(route.share for route in facts.routes))))
    return round(exact) if exact in (0.0, 100.0) else min(99, max(1, round(exact)))


def slots_of(spec: SyncRolloutSpec, facts: Facts, recorded: ShardsStatus | None, now: float) -> shards.Slots | None:
    """The slots as they stand; None where the rollout moves none, or the ConfigMap could not be read."""
    if spec.traffic.shards is None or facts.shards is None:
        return None
    old, new = facts.old or _ABSENT, facts.new or _ABSENT
    return shards.look(spec.traffic.shards, facts.shards, recorded, old=old, new=new, now=now)


def toward(spec: SyncRolloutSpec, facts: Facts, phase: Phase, slots: shards.Slots | None, *, careful: bool) -> Movement:
    """The next step towards the weight of a phase. `careful` asks for every replica of new to be ready before it is
    given more; otherwise one suffices (it had this weight before)."""
    weight = phase.weight
    if spec.traffic.replicas is not None:
        return _by_replicas(spec, spec.traffic.replicas, facts, weight, wholly=True)
    routes = _by_routes(spec, facts, weight, careful=careful)
    if spec.traffic.shards is None:
        return routes
    wish = shards.Wish(mark=weight * shards.SLOTS // 100, shadow=phase.mode is PhaseMode.SHADOW)
    work = _by_shards(spec, facts, slots, wish, careful=careful)
    if careful and not work.settled and any(route.share < weight for route in facts.routes):
        # Requests follow the work items: those may have to stay where they are.
        return work
    return _together(work, routes)


def _by_shards(
    spec: SyncRolloutSpec, facts: Facts, slots: shards.Slots | None, wish: shards.Wish, *, careful: bool
) -> Movement:
    if slots is None:
        assert spec.traffic.shards is not None
        message = f"the assignment of slots in ConfigMap {spec.traffic.shards.config_map} cannot be read"
        return _waits_for(_of(facts, *_OF_SHARDS), Reason.CONFIG_MAP_TAKEN, message)
    step = shards.step(slots, wish, careful=careful)
    return Movement(step.settled, step.actions, step.waiting, step.message, due=step.due)


def _together(work: Movement, routes: Movement) -> Movement:
    """Both at once; what is said is said of the one that is not there yet."""
    if routes.settled or work.settled:
        return work if routes.settled else routes
    told = work if work.message else routes
    return replace(
        told,
        actions=(*routes.actions, *work.actions),
        waiting=work.waiting or routes.waiting,
        stalled=work.stalled or routes.stalled,
        due=work.due,
    )


def least(facts: Facts) -> float:
    """The least share of new, percent, of all that moves by weights, and so what a step to more would raise; 0 where
    the rules of a route differ. 100 where nothing moves by weights."""
    assignment = facts.shards.assignment if facts.shards is not None else None
    slots = [100 * assignment.new_below / shards.SLOTS] if assignment is not None else []
    return min([*slots, *(route.share if route.exact is not None else 0.0 for route in facts.routes)], default=100.0)


def steady(slots: shards.Slots | None, weight: int) -> Movement:
    """What it takes for no slot to be without an owner while everything stays as it is. New is given nothing back
    beyond `weight`, percent: that of the phase, which may be less than what it is just letting go of."""
    if slots is None or slots.record is None or slots.record.new_below == slots.record.old_from:
        return SETTLED
    wish = shards.steady(slots)
    wish = replace(wish, mark=min(wish.mark, weight * shards.SLOTS // 100))
    step = shards.step(slots, wish, careful=False)
    return Movement(step.settled, step.actions, step.waiting, step.message, due=step.due)


def _by_routes(spec: SyncRolloutSpec, facts: Facts, weight: int, *, careful: bool) -> Movement:
    astray = [route for route in facts.routes if route.exact != weight]
    if not astray:
        return SETTLED
    old, new = facts.old or _ABSENT, facts.new or _ABSENT
    # Where the rules of a route differ, some of them may be raised although the greatest is not.
    raises_new = weight > 0 and any(route.share < weight or route.exact is None for route in astray)
    raises_old = weight < 100 and any(route.share > weight or route.exact is None for route in astray)
    if raises_new and not (new.complete if careful else new.alive):
        return Movement(
            settled=False,
            waiting=Reason.NEW_NOT_READY,
            message=f"{readiness(spec, Side.NEW, facts.new)}: it gets no more weight before",
        )
    if raises_old and not old.alive:
        return Movement(
            settled=False,
            waiting=Reason.OLD_NOT_READY,
            message=f"{readiness(spec, Side.OLD, facts.old)}: it gets no more weight before",
        )
    return Movement(settled=False, actions=(SetWeight(weight),))


def replicas_of(split: ReplicaSplit, weight: int) -> tuple[int, int]:
    """Replicas of old and of new at a weight; new is rounded down so that it never has more than its share."""
    new = split.total * weight // 100
    return split.total - new, new


def _by_replicas(
    spec: SyncRolloutSpec,
    split: ReplicaSplit,
    facts: Facts,
    weight: int,
    *,
    wholly: bool,
    back: bool = False,
    stood: bool = False,
) -> Movement:
    """`wholly`: new shrinks only once old has all of its replicas ready; otherwise one of them suffices. `back`: on the
    way back. `stood`: old had all of its replicas ready before; one of them suffices."""
    want_old, want_new = replicas_of(split, weight)
    old, new = facts.old or _ABSENT, facts.new or _ABSENT
    if back:
        want_old = left_alone(old, want_old)
    actions: list[Action] = []
    # The side that grows goes first; the other shrinks only once those replicas are ready.
    if new.desired < want_new:
        actions.append(Scale(Side.NEW, want_new))
    if old.desired < want_old:
        actions.append(Scale(Side.OLD, want_old))
    old_stands = old.desired >= want_old and (old.ready >= want_old or (stood and old.alive))
    new_stands = new.desired >= want_new and new.ready >= want_new
    if new.desired > want_new and (old_stands or (old.alive and not wholly)):
        actions.append(Scale(Side.NEW, want_new))
    if old.desired > want_old and new_stands:
        actions.append(Scale(Side.OLD, want_old))
    if actions:
        return Movement(settled=False, actions=tuple(actions))
    if not old_stands:
        message = readiness(spec, Side.OLD, facts.old, want_old)
        return Movement(settled=False, waiting=Reason.OLD_NOT_READY, message=message)
    if not new_stands:
        message = readiness(spec, Side.NEW, facts.new, want_new)
        return Movement(settled=False, waiting=Reason.NEW_NOT_READY, message=message)
    return SETTLED


def bring_back(spec: SyncRolloutSpec, facts: Facts, retired: Retired | None, *, wholly: bool) -> Movement:
    """The next step towards an old that can take traffic: `settled` once it can. `retired` is what it was.

    Where that is not known (a person had stopped it), it gets as many replicas as new has.
    """
    old, new = facts.old, facts.new or _ABSENT
    if old is None:
        problem = _of(facts, Reason.WORKLOAD_NOT_FOUND, Reason.KIND_NOT_SERVED, Reason.FORBIDDEN)
        return _waits_for(problem, Reason.WORKLOAD_NOT_FOUND, f"{side(spec, Side.OLD)} is missing")
    wanted = old.desired
    if retired is not None and (retired.replicas or not old.scalable):
        wanted = retired.replicas or 1
    elif not old.desired:
        wanted = max(1, new.desired) if old.scalable else 1
    actions = (Scale(Side.OLD, wanted),) if old.desired < wanted else ()
    if old.ready >= wanted if wholly else old.alive:
        # That an autoscaler keeps old smaller than it was must not keep the rollback from ending.
        return Movement(settled=not actions or not wholly, actions=actions)
    message = f"old is being brought back: {readiness(spec, Side.OLD, old, wanted)}"
    return Movement(settled=False, actions=actions, waiting=Reason.OLD_NOT_READY, message=message)


def back(
    spec: SyncRolloutSpec,
    facts: Facts,
    retired: Retired | None,
    slots: shards.Slots | None,
    *,
    wholly: bool,
    stood: bool = False,
) -> Movement:
    """The next step towards all work on old. `wholly`: an old that had nothing to do is first brought back with every
    replica ready; otherwise one of them suffices. `stood`: all work was seen at old before; by replicas it is there as
    long as one of old's pods can take it, for some may be made anew.

    With the old workload gone for good nothing is left to go back to, and a route that is gone carries no traffic:
    neither may keep a deleted rollout (or its namespace) from ending.
    """
    reasons = {problem.reason for problem in facts.problems}
    if facts.deleting and Reason.FORBIDDEN not in reasons:
        if facts.old is None:
            return Movement(settled=True, message=f"{side(spec, Side.OLD)} is gone: traffic was left where it is")
        shown = not reasons & {*_HIDDEN, Reason.ASSIGNMENT_INVALID}
        if spec.traffic.replicas is None and shown and not facts.routes and (slots is None or slots.assignment is None):
            return Movement(settled=True, message=_nothing_left(spec))
    if spec.traffic.replicas is not None:
        if facts.old is None:
            return bring_back(spec, facts, retired, wholly=wholly)
        return _by_replicas(spec, spec.traffic.replicas, facts, 0, wholly=wholly, back=True, stood=stood)
    step = _by_routes(spec, facts, 0, careful=False)
    if spec.traffic.shards is not None:
        step = _together(_shards_back(spec, facts, slots), step)
    if retired is not None or (not step.settled and not (facts.old or _ABSENT).desired):
        restored = bring_back(spec, facts, retired, wholly=wholly)
        if restored.waiting is not None:
            return restored
        step = replace(step, settled=step.settled and restored.settled, actions=(*restored.actions, *step.actions))
    if step.settled:
        return _unseen_routes(spec, facts) or step
    return step


def _shards_back(spec: SyncRolloutSpec, facts: Facts, slots: shards.Slots | None) -> Movement:
    reasons = {problem.reason for problem in facts.problems}
    gone = slots is None or slots.assignment is None
    if facts.deleting and gone and not reasons & {Reason.FORBIDDEN, Reason.ASSIGNMENT_INVALID}:
        return SETTLED  # with its namespace, perhaps, in which nothing can be made any more; or it is somebody else's
    return _by_shards(spec, facts, slots, shards.Wish(0, stop=True), careful=False)


def _nothing_left(spec: SyncRolloutSpec) -> str:
    left = [
        *(["route that names both old and new"] if spec.traffic.routes else []),
        *(["assignment of slots"] if spec.traffic.shards is not None else []),
    ]
    return f"no {' and no '.join(left)} is left: nothing to put back"


def _unseen_routes(spec: SyncRolloutSpec, facts: Facts) -> Movement | None:
    """A route that cannot be read may still send traffic to new: nobody may be told that all of it is back."""
    if facts.deleting and not _HIDDEN & {problem.reason for problem in facts.problems}:
        return None
    taken = sum(problem.reason is Reason.ROUTE_TAKEN for problem in facts.problems)
    seen = len(facts.routes)
    if seen + taken >= len(spec.traffic.routes):
        return None
    message = f"only {seen} of {len(spec.traffic.routes)} routes can be read and are back at old"
    return _waits_for(_of(facts, *_OF_ROUTES), Reason.ROUTE_NOT_FOUND, message)


def _of(facts: Facts, *reasons: Reason) -> Problem | None:
    return next((problem for problem in facts.problems if problem.reason in reasons), None)


def _waits_for(problem: Problem | None, otherwise: Reason, message: str) -> Movement:
    return Movement(
        settled=False,
        waiting=problem.reason if problem is not None else otherwise,
        message=f"{message}: {problem.message}" if problem is not None else message,
        stalled=True,
    )

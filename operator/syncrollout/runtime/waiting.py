"""What rollouts wait for of each other, as the operator's own cache of all rollouts says it: nobody is asked.

Of another rollout no more than its state, its revision and whether it is in flight is looked at, for it may be of
another namespace. All of it is of the resources themselves: a restart, which lists all rollouts before it acts, finds
the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from syncrollout.api.spec import Dependency, DependsState
from syncrollout.api.words import Reason, State
from syncrollout.decide.waited_for import DependencyFact, PoolFact, WaitedFor
from syncrollout.runtime.last_good import DEFAULT_REVISION
from syncrollout.runtime.rollouts import Key, Rollout, Rollouts, age

MANY_FAILURES: Final = 6
"""Passes that have failed in a row from which on a rollout that waits holds nobody up: it could not begin, and its
status cannot say so."""
_FOR_THE_CALENDAR: Final = frozenset({Reason.OUTSIDE_WINDOW.value, Reason.FROZEN.value})


def waited_for(rollouts: Rollouts, rollout: Rollout, namespaces: tuple[str, ...] = ()) -> WaitedFor | None:
    """What stands before a run of this rollout; None where it waits for no other, or is in flight. `namespaces`: those
    that the operator watches; all of them where it is empty."""
    spec = rollout.spec
    if spec is None or rollout.in_flight or (spec.pool is None and not spec.depends_on):
        return None
    facts = tuple(_dependency(rollouts, rollout, each, namespaces) for each in spec.depends_on)
    unmet = any(not each.met for each in facts)
    return WaitedFor(
        dependencies=facts,
        cycle=_cycle(rollouts, rollout.key) if unmet else (),
        pool=_pool(rollouts, rollout) if spec.pool is not None else None,
    )


def touched(rollouts: Rollouts, key: Key) -> tuple[Key, ...]:
    """The rollouts that may wait for this one: of its pool, or by their dependsOn."""
    one = rollouts.get(key)
    pool = _pool_of(one)[0] if one is not None else ""
    return tuple(
        other.key
        for other in rollouts
        if other.key != key
        and not other.in_flight
        and not other.at_rest
        and ((pool and _pool_of(other)[0] == pool) or key in _depends(other))
    )


# ---- dependsOn ---------------------------------------------------------------------------------------------------


def _dependency(
    rollouts: Rollouts, rollout: Rollout, wanted: Dependency, namespaces: tuple[str, ...]
) -> DependencyFact:
    key = Key(wanted.namespace or rollout.key.namespace, wanted.name)
    other = rollouts.get(key)
    if other is None:
        return DependencyFact(str(key), met=False, watched=not namespaces or key.namespace in namespaces)
    status = _status(other)
    revision = status.get("revision")
    return DependencyFact(
        str(key),
        met=_met(other, wanted.state, _revision(rollout) if wanted.same_revision else None),
        state=State(status.get("state") or State.PENDING),
        revision=str(revision) if revision is not None else None,
    )


def _met(other: Rollout, wanted: DependsState, revision: str | None) -> bool:
    status = _status(other)
    state = status.get("state")
    completed = state == State.COMPLETED if revision is None else status.get("lastGoodRevision") == revision
    if completed or wanted is DependsState.COMPLETED:
        return completed
    runs = bool(status.get("inFlight")) and state != State.ROLLING_BACK
    return runs and revision in (None, status.get("revision"))


def _cycle(rollouts: Rollouts, start: Key) -> tuple[str, ...]:
    """The shortest way from a rollout back to itself along what is waited for; empty where there is none."""
    came_from: dict[Key, Key] = {}
    coming = [start]
    for key in coming:
        for following in _unmet(rollouts, key):
            if following == start:
                way = [key]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return tuple(str(each) for each in (*reversed(way), start))
            if following not in came_from:
                came_from[following] = key
                coming.append(following)
    return ()


def _unmet(rollouts: Rollouts, key: Key) -> Iterator[Key]:
    """The rollouts that this one waits for."""
    rollout = rollouts.get(key)
    if rollout is None or rollout.in_flight or rollout.at_rest:
        return
    for following, raw in _depends(rollout).items():
        other = rollouts.get(following)
        state = DependsState(raw.get("state") or DependsState.COMPLETED)
        same = raw.get("sameRevision", True)
        if other is not None and not _met(other, state, _revision(rollout) if same else None):
            yield following


def _depends(rollout: Rollout) -> dict[Key, Mapping[str, Any]]:
    """What its spec names, without parsing the rest of it."""
    listed = _spec(rollout).get("dependsOn") or ()
    return {Key(str(each.get("namespace") or rollout.key.namespace), str(each.get("name"))): each for each in listed}


# ---- pools -------------------------------------------------------------------------------------------------------


def _pool(rollouts: Rollouts, rollout: Rollout) -> PoolFact:
    """The line of a pool: those in flight, and those that wait and would begin now, by how long they have waited.

    The finalizer is set right before a run begins, and so says of one that is not in flight yet that it has a place,
    also to a process that is started in between, when the write that begins it may still arrive. Of two that have it
    the one before goes on, and the other gives it back.

    Of one that another replica acts for, its finalizer says that it may have begun by now, whatever its place
    (`claimants`).

    One that has not begun for the calendar is before this one where both have the same calendar, so that they begin in
    their order once that lets them; where it has another, it holds nobody up.
    """
    name, limit = _pool_of(rollout)
    others = [
        other
        for other in rollouts
        if other.key != rollout.key and not other.at_rest and not other.watched and _pool_of(other)[0] == name
    ]
    in_flight = [other for other in others if other.in_flight or rollouts.claimed(other) or _about_to(other, rollout)]
    line = [other for other in others if other not in in_flight and _waits(other, rollout)]
    # Whoever has a place already keeps it from those who came into the line since.
    ahead = [] if rollout.has_finalizer else [other for other in line if _place(other) < _place(rollout)]
    return PoolFact(
        limit=min([limit, *(_pool_of(other)[1] for other in others)]),
        in_flight=tuple(str(other.key) for other in sorted(in_flight, key=lambda each: each.key)),
        ahead=tuple(str(other.key) for other in sorted(ahead, key=_place)),
    )


def claimants(rollouts: Rollouts, rollout: Rollout) -> tuple[Rollout, ...]:
    """Those of other replicas that are about to begin, and that this one stands against: by a pool, or by what both
    move."""
    name = _pool_of(rollout)[0]
    return tuple(
        other
        for other in rollouts
        if rollouts.claimed(other)
        and other.key != rollout.key
        and ((name and _pool_of(other)[0] == name) or rollouts.contends(rollout, other))
    )


def before(other: Rollout, rollout: Rollout) -> bool:
    """Whether another one's turn comes before this one's."""
    name = _pool_of(rollout)[0]
    if name and _pool_of(other)[0] == name:
        return _place(other) < _place(rollout)
    return age(other) < age(rollout)


def _about_to(other: Rollout, rollout: Rollout) -> bool:
    """Whether another one's run is about to begin, and this one's turn is after it."""
    if other.claiming:
        return True
    return other.has_finalizer and (not rollout.has_finalizer or _place(other) < _place(rollout))


def _waits(other: Rollout, rollout: Rollout) -> bool:
    """Whether another one would begin now, if the pool had room."""
    status, spec, mine = _status(other), _spec(other), _spec(rollout)
    if not status.get("waitingSince") or spec.get("suspend") or other.deleting or other.failures >= MANY_FAILURES:
        return False
    if status.get("reason") == Reason.WAITING_FOR_POOL:
        return True
    schedule = spec.get("schedule") or {}
    shares = "freezesFrom" in schedule and other.key.namespace != rollout.key.namespace
    return status.get("reason") in _FOR_THE_CALENDAR and schedule == mine.get("schedule") and not shares


def _place(rollout: Rollout) -> tuple[str, tuple[str, str]]:
    """By since when it has waited, then by age; who has not waited yet comes last."""
    return str(_status(rollout).get("waitingSince") or "~"), age(rollout)


def _pool_of(rollout: Rollout) -> tuple[str, int]:
    """The pool that its spec names and how many it lets run; no name where there is none."""
    pool = _spec(rollout).get("pool") or {}
    return str(pool.get("name") or ""), int(pool.get("limit") or 1)


def _spec(rollout: Rollout) -> Mapping[str, Any]:
    return rollout.seen.get("spec") or {}


def _status(rollout: Rollout) -> Mapping[str, Any]:
    return rollout.seen.get("status") or {}


def _revision(rollout: Rollout) -> str:
    return str(_spec(rollout).get("revision", DEFAULT_REVISION))


__all__ = ["before", "claimants", "touched", "waited_for"]

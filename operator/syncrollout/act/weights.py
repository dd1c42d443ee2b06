"""The weights of a route: read from the object as it stands, and the JSON patch that changes them and nothing else.

Pure functions. Old's and new's numbers form a pair where they stand in the same rule (at the same indices of `[*]`);
a rule that names only one of the two Services is none of our business. All pairs of a route move together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from syncrollout.act.paths import ABSENT, Match, Path, PathError, expand, explain, pointer
from syncrollout.act.routers import Router, find
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem, RouteFact
from syncrollout.ports import Object

Operation = dict[str, Any]
"""One operation of a JSON patch (RFC 6902)."""


class _Mend(Exception):
    """Something that a person has to mend; never leaves this module."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two numbers of one rule, as they are understood; `certain` where both are really known."""

    new: Match
    old: Match | None
    new_number: float
    old_number: float
    certain: bool

    @property
    def share(self) -> float:
        """New's part of the pair in percent; none of nothing."""
        whole = self.old_number + self.new_number
        return min(100.0, 100.0 * self.new_number / whole) if whole else 0.0


def numbers(total: int, weight: int) -> tuple[int, int]:
    """The numbers of old and new for a weight in percent: new never gets more than its share, old gets the rest."""
    if not 0 <= weight <= 100:
        msg = f"a weight is 0 to 100 percent, not {weight}"
        raise ValueError(msg)
    new = total * weight // 100
    return total - new, new


def unreadable(route: RouteRef) -> Problem | None:
    """What has to be mended in the reference itself, before it is worth looking at the object (and asking for the
    right to)."""
    try:
        _router(route)
    except _Mend as mend:
        return mend.problem
    return None


def read(
    route: RouteRef, obj: Object, old_service: str | None, new_service: str | None, *, aim: int | None = None
) -> RouteFact | Problem:
    """The weights that a route stands at, or what has to be mended before they can be read.

    Where `total` is below 100 several weights are written as the same numbers; `exact` is then `aim` (the weight that
    is wanted) if it is one of them, else the smallest.
    """
    try:
        router, pairs = _resolve(route, obj, old_service, new_service)
    except _Mend as mend:
        return mend.problem
    return RouteFact(name=str(route), share=max(pair.share for pair in pairs), exact=_exact(router, pairs, aim))


def patch(
    route: RouteRef, obj: Object, old_service: str | None, new_service: str | None, *, weight: int
) -> list[Operation] | Problem:
    """The JSON patch that puts every pair of the route to `weight` percent of new; empty where all stand there.

    It is refused by the API server as soon as the object is another one (uid), or an entry is no longer the one that it
    was (its name); then read again. Changes by others elsewhere in the object do not hinder it, and are kept.
    Raises ValueError for a weight outside 0-100.
    """
    try:
        router, pairs = _resolve(route, obj, old_service, new_service)
    except _Mend as mend:
        return mend.problem
    old_number, new_number = numbers(router.total, weight)
    tests: dict[str, Operation] = {}
    writes: list[Operation] = []
    for pair in pairs:
        wanted = [(pair.new, new_number)] if pair.old is None else [(pair.old, old_number), (pair.new, new_number)]
        changes = [(match, number) for match, number in wanted if match.value is ABSENT or match.value != number]
        if not changes:
            continue
        # both entries are tested even if one alone is written: half of a pair must not be moved on an old idea of it
        for chosen in (chosen for match, _ in wanted for chosen in match.selected):
            at = pointer(chosen.key)
            tests[at] = {"op": "test", "path": at, "value": chosen.value}
        writes += [{"op": "add", "path": match.pointer, "value": number} for match, number in changes]
    if not writes:
        return []
    uid = obj.get("metadata", {}).get("uid")
    identity = [{"op": "test", "path": "/metadata/uid", "value": uid}] if uid else []
    return [*identity, *tests.values(), *writes]


def _resolve(
    route: RouteRef, obj: Object, old_service: str | None, new_service: str | None
) -> tuple[Router, list[_Pair]]:
    """The row of the route and its pairs, at least one."""
    router = _router(route)
    names = {side: name for side, name in (("old", old_service), ("new", new_service)) if name is not None}
    paths = [path for path in (router.old, router.new) if path is not None]
    for side in sorted({side for path in paths for side in path.names} - set(names)):
        message = f"{route}: its weights are found by the Service of {side}; give spec.{side}.service"
        raise _Mend(Reason.INVALID_SPEC, message)
    if len({path.wildcards for path in paths}) > 1:
        message = f"{route}: weightAt: old and new need the same number of [*], so that they can be paired"
        raise _Mend(Reason.INVALID_SPEC, message)
    return router, _pairs(route, router, obj, names)


def _router(route: RouteRef) -> Router:
    try:
        router = find(route)
    except PathError as error:
        raise _Mend(Reason.INVALID_SPEC, f"{route}: weightAt: {error}") from error
    if router is None:
        message = (
            f"{route}: where {route.kind} ({route.api_version}) keeps its weights is not known; "
            "say so with weightAt in this entry of spec.traffic.routes"
        )
        raise _Mend(Reason.ROUTE_KIND_UNKNOWN, message)
    return router


def _pairs(route: RouteRef, router: Router, obj: Object, names: dict[str, str]) -> list[_Pair]:
    new = _by_rule(route, router, "new", _entries(router, obj, expand(router.new, obj, names)))
    if router.old is None:
        if not new:
            raise _nowhere(route, "new", router.new, obj, names)
        return [_pair(route, router, None, match) for match in new.values()]
    old = _by_rule(route, router, "old", _entries(router, obj, expand(router.old, obj, names)))
    both = [wild for wild in old if wild in new]
    if not both:
        if route.weight_at is not None and not (old and new):
            which, path = ("new", router.new) if old else ("old", router.old)
            raise _nowhere(route, which, path, obj, names)
        raise _not_both(route, router, names, has_old=bool(old), has_new=bool(new))
    return [_pair(route, router, old[wild], new[wild]) for wild in both]


def _entries(router: Router, obj: Object, matches: Iterable[Match]) -> list[Match]:
    """The matches whose entry really means a Service of the route's own namespace."""
    if not router.entry:
        return list(matches)
    namespace = obj.get("metadata", {}).get("namespace", "")
    wanted = {key: value.replace("$namespace", namespace) for key, value in router.entry.items()}
    return [
        match
        for match in matches
        if all(match.selected[-1].item.get(key) in (None, value) for key, value in wanted.items())
    ]


def _by_rule(route: RouteRef, router: Router, side: str, matches: Iterable[Match]) -> dict[tuple[int, ...], Match]:
    found: dict[tuple[int, ...], Match] = {}
    for match in matches:
        twin = found.setdefault(match.wild, match)
        if twin is not match:
            message = (
                f"{route}: one {router.rule} names {side} twice ({twin.pointer} and {match.pointer}), "
                "so that its share is not one number; leave one of the two"
            )
            raise _Mend(Reason.ROUTE_NAMES_NOT_BOTH, message)
    return found


def _pair(route: RouteRef, router: Router, old: Match | None, new: Match) -> _Pair:
    if old is not None and old.tokens == new.tokens:
        raise _Mend(Reason.INVALID_SPEC, f"{route}: old and new are the same number, at {new.pointer}")
    new_number = _number(route, router, new)
    return _Pair(
        new=new,
        old=old,
        new_number=new_number,
        old_number=_number(route, router, old) if old is not None else max(0.0, router.total - new_number),
        certain=router.absent is not None or ABSENT not in (new.value, old.value if old is not None else None),
    )


def _number(route: RouteRef, router: Router, match: Match) -> float:
    value = match.value
    if value is ABSENT:
        # absent and unknown counts as nothing, but never as exact: it is written before it is relied on
        return router.absent or 0
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return value
    mend = "point weightAt at the number" if route.weight_at else f"mend the {route.kind}"
    message = f"{route}: a number of 0 or more should stand at {match.pointer}, but there is {value!r}; {mend}"
    raise _Mend(Reason.INVALID_SPEC, message)


def _exact(router: Router, pairs: list[_Pair], aim: int | None) -> int | None:
    new = pairs[0].new_number
    standing = {(pair.old_number, pair.new_number) for pair in pairs}
    if standing != {(router.total - new, new)} or not all(pair.certain for pair in pairs) or new != int(new):
        return None
    smallest = -(-100 * int(new) // router.total)
    for weight in (aim, smallest):
        if weight is not None and 0 <= weight <= 100 and numbers(router.total, weight)[1] == new:
            return weight
    return None


def _not_both(route: RouteRef, router: Router, names: dict[str, str], *, has_old: bool, has_new: bool) -> _Mend:
    services = {side: f"Service {names[side]} ({side})" if side in names else side for side in ("old", "new")}
    if has_old and has_new:
        missing = f"{services['old']} and {services['new']} stand in different {router.rule}s"
        mend = f"name both in the same {router.rule}"
    elif has_old or has_new:
        here, lacking = ("old", "new") if has_old else ("new", "old")
        missing = f"it names {services[here]}, but not {services[lacking]}"
        mend = f"add {services[lacking]} beside it, with weight 0"
    else:
        missing = f"it names neither {services['old']} nor {services['new']}"
        mend = f"name both in one {router.rule}"
    message = f"{route}: no {router.rule} names both old and new: {missing}; {mend}"
    return _Mend(Reason.ROUTE_NAMES_NOT_BOTH, message)


def _nowhere(route: RouteRef, which: str, path: Path, obj: Object, names: dict[str, str]) -> _Mend:
    why = explain(path, obj, names)
    return _Mend(Reason.ROUTE_NAMES_NOT_BOTH, f"{route}: weightAt.{which} ({path}) leads nowhere: {why}")

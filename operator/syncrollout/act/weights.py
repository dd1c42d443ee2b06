"""The weights of a route: read from the object as it stands, and the JSON patch that changes them and nothing else.

Pure functions. Old's and new's numbers form a pair where they stand in the same rule (at the same indices of `[*]`);
a rule that names only one of the two Services is none of our business. All pairs of a route move together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from syncrollout.act import pairs as found
from syncrollout.act.embedded import with_number
from syncrollout.act.pairs import Mend, Pair
from syncrollout.act.paths import ABSENT, INSIDE, Match, Token, get, pointer, split
from syncrollout.act.routers import Router
from syncrollout.api.spec import RouteRef
from syncrollout.decide.facts import Problem, RouteFact
from syncrollout.ports import Object

Operation = dict[str, Any]
"""One operation of a JSON patch (RFC 6902)."""


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
        found.rows(route)
    except Mend as mend:
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
        pairs = found.resolve(route, obj, old_service, new_service).pairs
    except Mend as mend:
        return mend.problem
    return RouteFact(name=str(route), share=max(pair.share for pair in pairs), exact=_exact(pairs, aim))


def patch(
    route: RouteRef,
    obj: Object,
    old_service: str | None,
    new_service: str | None,
    *,
    weight: int,
    fenced: bool = False,
) -> list[Operation] | Problem:
    """The JSON patch that puts every pair of the route to `weight` percent of new; empty where all stand there.

    It is refused by the API server as soon as the object is another one (uid), or an entry is no longer the one that it
    was (its name); then read again. `fenced`: also where a weight is no longer the one that it rests on, so that one
    which the network has held up undoes nothing that has been done since. Changes by others elsewhere in the object do
    not hinder it, and are kept. Raises ValueError for a weight outside 0-100.
    """
    try:
        resolved = found.resolve(route, obj, old_service, new_service)
    except Mend as mend:
        return mend.problem
    writing = _Writing(resolved.router, obj, fenced=fenced)
    for pair in resolved.pairs:
        old_number, new_number = numbers(pair.total, weight)
        writing.put(pair, old_number, new_number)
    if not writing.writes:
        return []
    for tokens, value in resolved.relied_on:
        writing.test(tokens, value)
    uid = obj.get("metadata", {}).get("uid")
    identity = [{"op": "test", "path": "/metadata/uid", "value": uid}] if uid else []
    return [*identity, *writing.tests.values(), *writing.writes.values()]


def _exact(pairs: tuple[Pair, ...], aim: int | None) -> int | None:
    if not all(pair.certain and pair.new_number == int(pair.new_number) for pair in pairs):
        return None
    smallest = max(-(-100 * int(pair.new_number) // pair.total) for pair in pairs)
    for weight in (aim, smallest):
        if weight is None or not 0 <= weight <= 100:
            continue
        if all(numbers(pair.total, weight) == (pair.old_number, pair.new_number) for pair in pairs):
            return weight
    return None


@dataclass(slots=True)
class _Writing:
    """The operations of one patch, by the place that they are about."""

    router: Router
    obj: Object
    fenced: bool
    tests: dict[str, Operation]
    writes: dict[str, Operation]

    def __init__(self, router: Router, obj: Object, *, fenced: bool) -> None:
        self.router, self.obj, self.fenced, self.tests, self.writes = router, obj, fenced, {}, {}

    def put(self, pair: Pair, old_number: int, new_number: int) -> None:
        wanted = [(pair.new, new_number)] if pair.old is None else [(pair.old, old_number), (pair.new, new_number)]
        changes = [(match, number) for match, number in wanted if self.router.coding.read(match.value) != number]
        if not changes:
            return
        # both entries are tested even if one alone is written: half of a pair must not be moved on an old idea of it
        for chosen in (chosen for match, _ in wanted for chosen in match.selected):
            self.test(chosen.key, chosen.value)
        for tokens, value in pair.relied_on:
            self.test(tokens, value)
        for match in (match for match, _ in wanted if self.fenced and match.value is not ABSENT):
            self.test(match.tokens, match.value)
        for match, number in changes:
            self._write(match, number)

    def test(self, tokens: tuple[Token, ...], value: Any) -> None:
        stored, inner = split(tokens)
        at = pointer(stored)
        self.tests[at] = {"op": "test", "path": at, "value": get(self.obj, stored) if inner else value}

    def _write(self, match: Match, number: int) -> None:
        stored, inner = split(match.tokens)
        at = pointer(stored)
        if INSIDE not in match.tokens:
            self.writes[at] = {"op": "add", "path": at, "value": self.router.coding.write(number, match.value)}
            return
        text = get(self.obj, stored)
        self.tests[at] = {"op": "test", "path": at, "value": text}
        before = self.writes[at]["value"] if at in self.writes else text
        self.writes[at] = {"op": "add", "path": at, "value": with_number(before, inner, number)}

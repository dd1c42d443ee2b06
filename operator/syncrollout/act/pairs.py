"""Finding old's and new's numbers in a route, or the sentence that says what a person has to mend in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from syncrollout.act.paths import ABSENT, Match, Path, PathError, Token, expand, explain, get, not_json, pointer
from syncrollout.act.routers import Need, Router, find
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.ports import Object

Relied = tuple[tuple[Token, ...], Any]
"""A place and what stood there when a patch was made that is right only as long as it does."""
_Rule = tuple[Token, ...]
_SideName = Literal["old", "new"]


class Mend(Exception):
    """Something that a person has to mend; never leaves `act.weights`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)


@dataclass(frozen=True, slots=True)
class Pair:
    """The two numbers of one rule, as they are understood; `certain` where both are really known."""

    new: Match
    old: Match | None
    new_number: float
    old_number: float
    total: int
    """What the two have to add up to."""
    certain: bool
    even: bool
    relied_on: tuple[Relied, ...] = ()

    @property
    def share(self) -> float:
        """New's part of the pair in percent; none of nothing, unless the router splits nothing evenly."""
        whole = self.old_number + self.new_number
        if not whole:
            return 50.0 if self.even else 0.0
        return min(100.0, 100.0 * self.new_number / whole)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The row of a route and its pairs, at least one."""

    router: Router
    pairs: tuple[Pair, ...]
    relied_on: tuple[Relied, ...]


def rows(route: RouteRef) -> tuple[Router, ...]:
    """The rows that may be meant by the reference, at least one."""
    try:
        found = find(route)
    except PathError as error:
        raise Mend(Reason.INVALID_SPEC, f"{route}: weightAt: {error}") from error
    if not found:
        message = (
            f"{route}: where {route.kind} ({route.api_version}) keeps its weights is not known; "
            "say so with weightAt in this entry of spec.traffic.routes"
        )
        raise Mend(Reason.ROUTE_KIND_UNKNOWN, message)
    for given, meant, field in (
        (route.subsets, any(row.subsets for row in found), "subsets"),
        (route.annotation_prefix, any(row.prefix for row in found), "annotationPrefix"),
    ):
        if given is not None and not meant:
            why = "beside weightAt" if route.weight_at is not None else f"for {route.kind} ({route.api_version})"
            raise Mend(Reason.INVALID_SPEC, f"{route}: {field} means nothing {why}; take it away")
    return found


def resolve(route: RouteRef, obj: Object, old_service: str | None, new_service: str | None) -> Resolved:
    """Find the numbers. Raises Mend."""
    router = _row(route, obj)
    names = {side: name for side, name in (("old", old_service), ("new", new_service)) if name is not None}
    paths = [path for place in router.places for path in (*place.old, *place.new)]
    needed = {side for path in paths for side in path.names} | {need.value[1:] for need in router.needs}
    for side in sorted((needed & {"old", "new"}) - set(names)):
        message = f"{route}: its weights are found by the Service of {side}; give spec.{side}.service"
        raise Mend(Reason.INVALID_SPEC, message)
    if route.weight_at is not None and len({path.wildcards for path in paths}) > 1:
        message = f"{route}: weightAt: old and new need the same number of [*], so that they can be paired"
        raise Mend(Reason.INVALID_SPEC, message)
    names["namespace"] = obj.get("metadata", {}).get("namespace", "")
    search = _Search(route, router, obj, names)
    pairs = search.pairs()
    relied_on = tuple(one for need in router.needs for one in search.holds(need))
    return Resolved(router, pairs, relied_on)


def _row(route: RouteRef, obj: Object) -> Router:
    found = rows(route)
    if not any(row.marked for row in found):
        return found[0]
    annotations = obj.get("metadata", {}).get("annotations") or {}
    meant = [row for row in found if any(key.startswith(row.marked) for key in annotations)]
    if len(meant) == 1:
        return meant[0]
    known = ", ".join(f"{row.marked}{'<name>' if row.marked[-1] == '.' else ''} ({row.name})" for row in meant or found)
    if meant:
        message = f"{route}: it has the annotations of several controllers: {known}; leave those of one"
    else:
        message = (
            f"{route}: none of its annotations holds weights; known are {known}: give it one, name the Ingress that "
            "has it, or say with weightAt where its weights are"
        )
    raise Mend(Reason.ROUTE_KIND_UNKNOWN, message)


@dataclass(frozen=True, slots=True)
class _Search:
    route: RouteRef
    router: Router
    obj: Object
    names: dict[str, str]

    def pairs(self) -> tuple[Pair, ...]:
        """Old and new wherever they stand in one rule."""
        total, relied_on = self._total()
        found: list[Pair] = []
        seen: set[str] = set()
        for place in self.router.places:
            new = self._by_rule("new", place.new)
            if not place.old:
                found += [self._pair(None, self._one("new", new[rule]), total, relied_on) for rule in new]
                continue
            old = self._by_rule("old", place.old)
            seen |= {side for side, matches in (("old", old), ("new", new)) if matches}
            found += [
                self._pair(self._one("old", old[rule]), self._one("new", new[rule]), total, relied_on)
                for rule in old
                if rule in new
            ]
        if not found:
            raise self._nothing(seen)
        return tuple(found)

    def holds(self, need: Need) -> list[Relied]:
        """What a need rests on. Raises Mend where it does not hold."""
        wanted = self.names[need.value[1:]] if need.value.startswith("$") else need.value
        all_ = expand(need.path, self.obj, self.names)
        good = [match for match in all_ if match.value == wanted]
        if good and (len(good) == len(all_) or not need.every):
            return [(match.tokens, match.value) for match in good]
        bad = next((match for match in all_ if match.value != wanted), None)
        if bad is None:
            what = explain(need.path, self.obj, self.names)
        else:
            what = f"{bad.place} is " + ("missing" if bad.value is ABSENT else f"{bad.value!r}, not {wanted!r}")
        reason = Reason.ROUTE_NAMES_NOT_BOTH if need.value.startswith("$") else Reason.INVALID_SPEC
        raise Mend(reason, f"{self.route}: {need.says}; {what}")

    def _total(self) -> tuple[int, tuple[Relied, ...]]:
        """The total, which the object itself may say."""
        if self.router.total_at is not None:
            for match in expand(self.router.total_at, self.obj, self.names):
                if match.value is not ABSENT:
                    number = self.router.coding.read(match.value)
                    if not number or number != int(number):
                        message = f"a whole number above 0 should stand at {match.place}, but there is {match.value!r}"
                        raise Mend(Reason.INVALID_SPEC, f"{self.route}: {message}; mend the {self.route.kind}")
                    return int(number), ((match.tokens, match.value),)
        return self.router.total, ()

    def _by_rule(self, side: _SideName, paths: Iterable[Path]) -> dict[_Rule, list[Match]]:
        """The entries of a Service of the route's own namespace, by the rule that they stand in."""
        found: dict[_Rule, list[Match]] = {}
        for path in paths:
            for match in expand(path, self.obj, self.names):
                if self._means(side, match):
                    found.setdefault(match.wild, []).append(match)
        return found

    def _means(self, side: _SideName, match: Match) -> bool:
        for key, value in self.router.entry.items():
            standing = get(match.selected[-1].item, key.split("."))
            if value == "$subset":
                if self.route.subsets is not None and standing != getattr(self.route.subsets, side):
                    return False
            elif standing not in (ABSENT, None, self.names["namespace"] if value == "$namespace" else value):
                return False
        return True

    def _meaning(self, match: Match) -> list[Relied]:
        """What an entry says, beside its name, of being the one that is meant."""
        asked = [
            key for key, value in self.router.entry.items() if value != "$subset" or self.route.subsets is not None
        ]
        places = [(*match.selected[-1].at, *key.split(".")) for key in asked]
        return [(place, value) for place in places if (value := get(self.obj, place)) is not ABSENT]

    def _one(self, side: _SideName, matches: list[Match]) -> Match:
        """The one entry of a side in a rule."""
        if self.router.absent == 0 and len(matches) > 1:
            # an entry without a number gets nothing here: it is there for another purpose, such as a name of its own
            matches = [match for match in matches if match.value is not ABSENT] or matches
        if len(matches) == 1:
            return matches[0]
        subsets = self.router.subsets and self.route.subsets is None
        mend = "say with subsets which of them is old's and new's" if subsets else "leave one of the two"
        message = (
            f"{self.route}: one {self.router.rule} names {side} twice ({matches[0].place} and {matches[1].place}), "
            f"so that its share is not one number; {mend}"
        )
        raise Mend(Reason.ROUTE_NAMES_NOT_BOTH, message)

    def _pair(self, old: Match | None, new: Match, total: int, relied_on: tuple[Relied, ...]) -> Pair:
        if old is not None and old.tokens == new.tokens:
            raise Mend(Reason.INVALID_SPEC, f"{self.route}: old and new are the same number, at {new.place}")
        if self.router.whole and old is not None:
            others = self._others(old, new)
            taken = sum(number for number, _ in others)
            if taken >= total or taken != int(taken):
                largest = max(others, key=lambda other: other[0])[1][0]
                message = (
                    f"{self.route}: the numbers of a {self.router.rule} have to add up to {total}, and the entries "
                    f"beside old and new ({pointer(largest)}) have {taken:g} already, so that the two cannot share "
                    "whole numbers of what is left; lower those"
                )
                raise Mend(Reason.INVALID_SPEC, message)
            total -= int(taken)
            relied_on += tuple(one for _, one in others)
        relied_on += tuple(one for match in (old, new) if match is not None for one in self._meaning(match))
        new_number = self._number(new.value, new.place)
        old_number = self._number(old.value, old.place) if old is not None else max(0.0, total - new_number)
        return Pair(
            new=new,
            old=old,
            new_number=new_number,
            old_number=old_number,
            total=total,
            certain=self.router.absent is not None or ABSENT not in (new.value, old.value if old is not None else None),
            even=self.router.even,
            relied_on=relied_on,
        )

    def _others(self, old: Match, new: Match) -> list[tuple[float, Relied]]:
        """The numbers of the entries beside old and new."""
        at = new.selected[-1].at
        tail = new.tokens[len(at) :]
        beside = [(*at[:-1], index) for index in range(len(get(self.obj, at[:-1])))]
        found: list[tuple[float, Relied]] = []
        for entry in beside:
            place = (*entry, *tail)
            value = get(self.obj, place)
            if entry not in (at, old.selected[-1].at) and value is not ABSENT:
                found.append((self._number(value, Match(place, value).place), (place, value)))
        return found

    def _number(self, value: Any, place: str) -> float:
        if value is ABSENT:
            # absent and unknown counts as nothing, but never as exact: it is written before it is relied on
            return self.router.absent or 0
        number = self.router.coding.read(value)
        if number is not None:
            return number
        mend = "point weightAt at the number" if self.route.weight_at else f"mend the {self.route.kind}"
        message = f"{self.route}: a number of 0 or more should stand at {place}, but there is {value!r}; {mend}"
        raise Mend(Reason.INVALID_SPEC, message)

    def _nothing(self, seen: set[str]) -> Mend:
        """Why there is no pair."""
        for path in (path for place in self.router.places for path in (*place.old, *place.new)):
            broken = not_json(path, self.obj, self.names)
            if broken is not None:
                return Mend(Reason.INVALID_SPEC, f"{self.route}: {broken}; mend the {self.route.kind}")
        place = self.router.places[0]
        if self.route.weight_at is not None and (not place.old or len(seen) < 2):
            which = "new" if not place.old or "old" in seen else "old"
            return self._nowhere(which, (place.new if which == "new" else place.old)[0])
        if not place.old:
            why = explain(place.new[0], self.obj, self.names)
            message = (
                f"{self.route}: it does not name Service {self.names['new']} (new), whose weight it is to hold: {why}"
            )
            return Mend(Reason.ROUTE_NAMES_NOT_BOTH, message)
        return self._not_both(seen)

    def _not_both(self, seen: set[str]) -> Mend:
        rule = self.router.rule
        services = {side: self._called(side) for side in ("old", "new")}
        if len(seen) == 2:
            missing = f"{services['old']} and {services['new']} stand in different {rule}s"
            mend = f"name both in the same {rule}"
        elif seen:
            here, lacking = ("old", "new") if "old" in seen else ("new", "old")
            missing = f"it names {services[here]}, but not {services[lacking]}"
            mend = f"add {services[lacking]} beside it, with weight 0"
        else:
            missing = f"it names neither {services['old']} nor {services['new']}"
            mend = f"name both in one {rule}"
        message = f"{self.route}: no {rule} names both old and new: {missing}; {mend}"
        return Mend(Reason.ROUTE_NAMES_NOT_BOTH, message)

    def _called(self, side: str) -> str:
        if side not in self.names:
            return side
        subsets = self.route.subsets
        subset = f", subset {subsets.new if side == 'new' else subsets.old}" if subsets is not None else ""
        return f"Service {self.names[side]}{subset} ({side})"

    def _nowhere(self, which: str, path: Path) -> Mend:
        why = explain(path, self.obj, self.names)
        return Mend(Reason.ROUTE_NAMES_NOT_BOTH, f"{self.route}: weightAt.{which} ({path}) leads nowhere: {why}")

"""Mirrors: copies of a route's requests that go to new, whose answers are thrown away.

As with weights, a router is a row: it says where in a rule the mirror stands and in which form. What a mirror names is
what new's own entry in that rule names, so that it goes to the same Service and port. A kind without a row cannot
mirror, whatever says where its weights stand. Pure functions.

A mirror to new is told apart from one that the route's owner wrote by the rollout's status alone: it is recorded before
the first is written, and none is written where one stands already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from syncrollout.act import pairs
from syncrollout.act.pairs import Mend, Pair
from syncrollout.act.paths import ABSENT, Token, get, pointer
from syncrollout.act.weights import Operation
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason
from syncrollout.decide.facts import MirrorFact, Problem
from syncrollout.ports import Object

ALL: Final = 100


@dataclass(frozen=True, slots=True)
class Mirror:
    """How the rules of one kind of route mirror requests."""

    rules: str
    """The list of rules, below spec."""
    key: str
    """The key of a rule where the mirror stands."""
    target: tuple[str, ...]
    """Where in the mirror new's entry is repeated."""
    repeats: tuple[str, ...]
    """What of new's entry is repeated; what the entry does not say is left out."""
    percent: tuple[str, ...]
    """Where the percentage stands: in the mirror where there are `several`, else in the rule. Missing means all."""
    entry: tuple[str, ...] = ()
    """Where in new's entry that stands which is repeated."""
    implied: Mapping[str, object] = field(default_factory=dict)
    """What the API server adds to it."""
    several: Mapping[str, str] | None = None
    """The key holds a list, in which mirrors are the items that say this; None where it holds the one mirror itself."""
    beside: tuple[str, ...] = ()
    """Further keys of a rule by which its owner may mirror; with `several` None there is room for one mirror alone."""


_GATEWAY_API = "gateway.networking.k8s.io"
_ISTIO = "networking.istio.io"
_FILTER = Mirror(
    rules="rules",
    key="filters",
    several={"type": "RequestMirror"},
    target=("requestMirror", "backendRef"),
    repeats=("group", "kind", "name", "namespace", "port"),
    implied={"group": "", "kind": "Service"},
    percent=("requestMirror", "percent"),
)

MIRRORS: Mapping[tuple[str, str], Mirror] = {
    (_GATEWAY_API, "HTTPRoute"): _FILTER,
    (_GATEWAY_API, "GRPCRoute"): _FILTER,
    (_ISTIO, "VirtualService"): Mirror(
        rules="http",
        key="mirror",
        entry=("destination",),
        target=(),
        repeats=("host", "subset", "port"),
        percent=("mirrorPercentage", "value"),
        beside=("mirrors", "mirrorPercent", "mirror_percent"),
    ),
}
"""By API group and kind."""


def unable(route: RouteRef) -> Problem | None:
    """What to tell a person who asks for a mirror of a route that has none."""
    if _row(route) is not None:
        return None
    message = (
        f"{route}: SyncRollout cannot mirror the requests of a {route.kind} ({route.api_version}); "
        "take mode Shadow out of spec.phases, or give those phases mirrorPercent 0"
    )
    return Problem(Reason.MIRROR_UNSUPPORTED, message)


def read(route: RouteRef, obj: Object, old_service: str | None, new_service: str | None) -> MirrorFact | Problem | None:
    """What a route mirrors to new; None where it cannot be read, which its weights say already."""
    try:
        rules = _rules(route, obj, old_service, new_service)
    except Mend as mend:
        return mend.problem if mend.problem.reason is Reason.MIRROR_UNSUPPORTED else None
    standing = {rule.percent for rule in rules}
    return MirrorFact(
        name=str(route),
        percent=standing.pop() if len(standing) == 1 else None,
        ours=any(rule.to_new for rule in rules),
        taken=next((f"{route}: {rule.taken}" for rule in rules if rule.taken), ""),
    )


def patch(
    route: RouteRef, obj: Object, old_service: str | None, new_service: str | None, *, percent: int
) -> list[Operation] | Problem:
    """The JSON patch after which every rule that splits between old and new mirrors `percent` to new, and no other
    mirror is touched; with 0 the rules are as they were before. Empty where it stands so.

    It is refused by the API server where a rule that it changes is no longer what it was; then read again.
    """
    try:
        rules = _rules(route, obj, old_service, new_service)
    except Mend as mend:
        return mend.problem
    tests: list[Operation] = []
    writes: list[Operation] = []
    for rule in rules:
        changes = rule.without() if percent == 0 else rule.at(percent)
        if changes:
            tests.append({"op": "test", "path": pointer(rule.tokens), "value": rule.value})
            writes += changes
    if not writes:
        return []
    uid = obj.get("metadata", {}).get("uid")
    identity = [{"op": "test", "path": "/metadata/uid", "value": uid}] if uid else []
    return [*identity, *tests, *writes]


def _row(route: RouteRef) -> Mirror | None:
    return MIRRORS.get((route.api_version.rpartition("/")[0], route.kind))


def _rules(route: RouteRef, obj: Object, old_service: str | None, new_service: str | None) -> list[_Rule]:
    row = _row(route)
    if row is None:
        raise Mend(Reason.MIRROR_UNSUPPORTED, f"{route}: it has no mirrors")
    found: dict[tuple[Token, ...], _Rule] = {}
    for pair in pairs.resolve(route, obj, old_service, new_service).pairs:
        rule = _rule(route, row, obj, pair)
        found.setdefault(rule.tokens, rule)
    return list(found.values())


def _rule(route: RouteRef, row: Mirror, obj: Object, pair: Pair) -> _Rule:
    chosen = pair.new.selected[-1] if pair.new.selected else None
    tokens = chosen.at[:-2] if chosen is not None else ()
    if chosen is None or tokens[:2] != ("spec", row.rules):
        message = (
            f"{route}: of its rules only those of spec.{row.rules} can mirror, and {pair.new.place} is in none; "
            "give the phases of mode Shadow mirrorPercent 0"
        )
        raise Mend(Reason.MIRROR_UNSUPPORTED, message)
    entry = get(chosen.item, row.entry) if row.entry else chosen.item
    names = {key: entry[key] for key in row.repeats if isinstance(entry, dict) and key in entry}
    return _Rule(row, tokens, get(obj, tokens), names, obj.get("metadata", {}).get("namespace", ""))


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule with the mirrors in it. `names` is what a mirror to new repeats of new's entry."""

    row: Mirror
    tokens: tuple[Token, ...]
    value: dict[str, Any]
    names: Mapping[str, Any]
    namespace: str

    @property
    def to_new(self) -> list[int]:
        """Where in the list the mirrors to new are; [0] where the key holds the one itself."""
        return [index for index, each in self._mirrors() if self._means_new(each)]

    @property
    def percent(self) -> int | None:
        """What is mirrored to new; None where that is not one mirror as we would write it."""
        found = self.to_new
        if not found:
            return 0
        mirror = dict(self._mirrors())[found[0]]
        holder = mirror if self.row.several is not None else self.value
        percent = get(holder, self.row.percent)
        percent = ALL if percent is ABSENT else percent
        if len(found) > 1 or not isinstance(percent, int | float) or percent != int(percent) or not percent:
            return None
        standing = {key: value for key, value in self._whole(self._target(mirror)).items() if key != "namespace"}
        wanted = {key: value for key, value in self._whole(self.names).items() if key != "namespace"}
        if standing != wanted or "fraction" in (get(holder, self.row.percent[:-1]) or {}):
            return None
        return int(percent)

    @property
    def taken(self) -> str:
        """Why there is no room for a mirror of ours."""
        if self.row.several is not None:
            return ""
        here = [key for key in (self.row.key, self.row.percent[0], *self.row.beside) if key in self.value]
        return f"{pointer(self.tokens)} has a {here[0]} of its owner's" if here else ""

    def at(self, percent: int) -> list[Operation]:
        """The operations after which it mirrors so much."""
        if self.percent == percent:
            return []
        place = pointer((*self.tokens, self.row.key))
        if self.row.several is None:
            share = self._nested(self.row.percent[1:], percent)
            at = pointer((*self.tokens, self.row.percent[0]))
            return [{"op": "add", "path": place, "value": dict(self.names)}, {"op": "add", "path": at, "value": share}]
        found = self.to_new
        mirror = self._written(percent, marked=self._marked(found))
        if self.row.key not in self.value:
            return [{"op": "add", "path": place, "value": [mirror]}]
        if not found:
            return [{"op": "add", "path": f"{place}/-", "value": mirror}]
        extra = [{"op": "remove", "path": f"{place}/{index}"} for index in reversed(found[1:])]
        return [*extra, {"op": "replace", "path": f"{place}/{found[0]}", "value": mirror}]

    def without(self) -> list[Operation]:
        """The operations after which it is as its owner wrote it."""
        found = self.to_new
        if not found:
            return []
        place = pointer((*self.tokens, self.row.key))
        if self.row.several is None:
            keys = [key for key in (self.row.key, self.row.percent[0]) if key in self.value]
            return [{"op": "remove", "path": pointer((*self.tokens, key))} for key in keys]
        if len(found) == len(self.value[self.row.key]) and not self._marked(found):
            return [{"op": "remove", "path": place}]
        return [{"op": "remove", "path": f"{place}/{index}"} for index in reversed(found)]

    def _marked(self, found: list[int]) -> bool:
        """Whether the list was there, and empty, before our mirror came: the mirror says so by naming the namespace,
        which it need not, so that the list can be left as it was."""
        standing = self.value.get(self.row.key)
        if not found:
            return standing == []
        return "namespace" in self._target(dict(self._mirrors())[found[0]]) and "namespace" not in self.names

    def _written(self, percent: int, *, marked: bool) -> dict[str, Any]:
        names = dict(self.names)
        if marked:
            names.setdefault("namespace", self.namespace)
        mirror: dict[str, Any] = {**(self.row.several or {})}
        places = [(self.row.target, names)] + ([(self.row.percent, percent)] if percent != ALL else [])
        for path, value in places:
            node = mirror
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = value
        return mirror

    @staticmethod
    def _nested(path: tuple[str, ...], value: Any) -> Any:
        for key in reversed(path):
            value = {key: value}
        return value

    def _mirrors(self) -> list[tuple[int, dict[str, Any]]]:
        standing = self.value.get(self.row.key)
        if self.row.several is None:
            return [(0, standing)] if isinstance(standing, dict) else []
        says = self.row.several.items()
        return [
            (index, each)
            for index, each in enumerate(standing if isinstance(standing, list) else [])
            if isinstance(each, dict) and all(each.get(key) == value for key, value in says)
        ]

    def _target(self, mirror: dict[str, Any]) -> dict[str, Any]:
        found = get(mirror, self.row.target) if self.row.target else mirror
        return found if isinstance(found, dict) else {}

    def _means_new(self, mirror: dict[str, Any]) -> bool:
        target, wanted = self._whole(self._target(mirror)), self._whole(self.names)
        same = all(target.get(key) == wanted.get(key) for key in ("group", "kind", "name", "host", "subset"))
        return same and target.get("namespace", self.namespace) == wanted.get("namespace", self.namespace)

    def _whole(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.row.implied, **names}

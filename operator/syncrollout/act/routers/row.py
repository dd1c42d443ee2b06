"""What a row of the table of routers can say: the place, the form and the meaning of the numbers of one kind."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from syncrollout.act.paths import Path, parse

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


class Coding(StrEnum):
    """How a router writes its numbers."""

    NUMBER = "a number"
    TEXT = "a number in a text"
    QUANTITY = "a Quantity"

    def read(self, value: object) -> float | None:
        """The number that stands there; None for anything that is none of 0 or more."""
        if self is Coding.TEXT:
            return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else None
        if self is Coding.QUANTITY and isinstance(value, str):
            return _quantity(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return value
        return None

    def write(self, number: int, standing: object) -> Any:
        """The number as the router wants it: a Quantity in the form of the one that stands there."""
        as_text = self is Coding.TEXT or (self is Coding.QUANTITY and isinstance(standing, str))
        return str(number) if as_text else number


def _quantity(text: str) -> float | None:
    found = _QUANTITY.fullmatch(text)
    if not found:
        return None
    number, exponent, suffix = found.groups()
    if suffix in _BINARY:
        return float(number) * 2.0 ** _BINARY[suffix]
    power = int(exponent) if exponent else _DECIMAL[suffix or ""]
    return float(number) * 10.0**power if power >= 0 else float(number) / 10.0**-power


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of rule: where old's and new's numbers may stand in it. `old` is empty where the object holds new's
    alone, as a part of the total."""

    new: tuple[Path, ...]
    old: tuple[Path, ...] = ()


def pair(pattern: str, *more: str) -> Place:
    """A place where both sides are found alike: `$side` in a path stands for `$old` and `$new`."""
    old, new = (tuple(parse(one.replace("$side", side)) for one in (pattern, *more)) for side in ("$old", "$new"))
    return Place(new=new, old=old)


def alone(path: str) -> Place:
    """A place that holds new's number alone."""
    return Place(new=(parse(path),))


@dataclass(frozen=True, slots=True)
class Need:
    """Something else that must hold in the object, for its weights to mean what they are taken for."""

    path: Path
    value: str
    """May be `$old` or `$new`."""
    says: str
    """What must hold, for people."""
    every: bool = True
    """Every place that the path leads to has the value (and there is one); else one of them suffices."""


@dataclass(frozen=True, slots=True)
class Router:
    """How one kind of route says which share of the traffic goes where."""

    places: tuple[Place, ...]
    name: str = ""
    """What people call it; the folder of its golden files is this in small letters, with dashes."""
    groups: tuple[str, ...] = ()
    """The API groups that have it, the usual one first."""
    kind: str = ""
    resource: str = ""
    """Plural of the kind, as rights name it."""
    total: int = 100
    """The number that stands for all of the traffic of old and new."""
    total_at: Path | None = None
    """Where the object itself says another total."""
    whole: bool = False
    """All numbers of a rule have to add up to the total: old and new share what other entries leave."""
    absent: int | None = None
    """What a missing number means to the router; None where that is not known, so that it is written at once."""
    even: bool = False
    """A rule of nothing but zeros is split evenly; otherwise it serves nobody."""
    coding: Coding = Coding.NUMBER
    entry: Mapping[str, str | bool] = field(default_factory=dict)
    """What else the entry of a Service must say: each (dotted) key is absent or has this value. `$namespace` is the
    route's; `$subset` is the side's in `subsets` of the reference, and then has to be there."""
    needs: tuple[Need, ...] = ()
    marked: str = ""
    """Objects of this kind are this router's where they have an annotation that begins so."""
    prefix: str = ""
    """The part of its annotations that `annotationPrefix` of a reference replaces."""
    rule: str = "rule"
    """What the router calls the thing in which old and new stand side by side."""
    notes: str = ""
    """What a person has to know of it, for the documentation."""

    @property
    def slug(self) -> str:
        """The name as a file is called."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def subsets(self) -> bool:
        """Whether entries can be told apart by `subsets`."""
        return "$subset" in self.entry.values()

    def at_prefix(self, prefix: str) -> Router:
        """The row for a controller that reads its annotations under another prefix."""

        def moved(text: str) -> str:
            return text.replace(self.prefix, prefix)

        def paths(given: tuple[Path, ...]) -> tuple[Path, ...]:
            return tuple(parse(moved(path.text)) for path in given)

        return replace(
            self,
            places=tuple(Place(new=paths(place.new), old=paths(place.old)) for place in self.places),
            total_at=parse(moved(self.total_at.text)) if self.total_at is not None else None,
            needs=tuple(replace(need, path=parse(moved(need.path.text)), says=moved(need.says)) for need in self.needs),
            marked=moved(self.marked),
        )

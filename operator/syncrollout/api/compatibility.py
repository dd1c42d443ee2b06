"""What one schema of the resource would lose or refuse of what another takes.

An API server drops fields that its CRD does not have, and says nothing to who reads the object later. So an operator
whose CRD is older than itself writes what is not kept. `lacks(own, installed)` names all of it; the other way round it
names what an operator does not know of a newer CRD, and what a release takes away from the one before.

Schemas are structural, as `crd.py` makes them and as an API server publishes them under /openapi/v3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Schema = Mapping[str, Any]

_UPPER: Final = ("maxLength", "maxItems", "maxProperties", "maximum")
_LOWER: Final = ("minLength", "minItems", "minimum")
_RULES: Final = "x-kubernetes-validations"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"


class How(StrEnum):
    """What becomes of it."""

    LOST = "lost"
    """The API server takes the object and keeps it without the field."""
    REFUSED = "refused"
    """The API server does not take the object."""


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is valid under the one schema and not kept by the other."""

    path: str
    """As in `status.phase.since`; `[]` for the items of a list, `{}` for the values of a map."""
    how: How
    what: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def lacks(wanted: Schema, there: Schema, path: str = "") -> tuple[Lack, ...]:
    """All of `wanted` that `there` would lose or refuse, in the order of `wanted`. Descriptions and defaults count for
    nothing. Rules do not either, for what a rule takes cannot be told from its text: see `rules_differ`."""
    return tuple(_lacks(wanted, there, path))


def rules_differ(one: Schema, other: Schema) -> bool:
    """Whether any rule (CEL) of one is not a rule of the other, at the same place."""
    return set(_rules(one, "")) != set(_rules(other, ""))


def _lacks(wanted: Schema, there: Schema, path: str) -> Iterator[Lack]:
    if wanted.get("type") != there.get("type"):
        yield Lack(path, How.REFUSED, f"is of type {wanted.get('type')} and not {there.get('type')}")
        return
    if there.get(_OPEN):
        return
    if wanted.get(_OPEN):
        yield Lack(path, How.LOST, "keeps the fields alone that it knows")
    yield from _values(wanted, there, path)
    yield from _bounds(wanted, there, path)
    has: Schema = there.get("properties") or {}
    for name, field in (wanted.get("properties") or {}).items():
        below = f"{path}.{name}" if path else name
        if name in has:
            yield from _lacks(field, has[name], below)
        else:
            yield Lack(below, How.LOST, "is not known")
    needed = set(there.get("required") or ()) - set(wanted.get("required") or ())
    for name in sorted(needed):
        yield Lack(f"{path}.{name}" if path else name, How.REFUSED, "may not be left out")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in wanted and key in there:
            yield from _lacks(wanted[key], there[key], f"{path}{mark}")
        elif key in wanted:
            yield Lack(f"{path}{mark}", How.LOST, "is not known")


def _values(wanted: Schema, there: Schema, path: str) -> Iterator[Lack]:
    if "enum" not in there:
        return
    if "enum" not in wanted:
        yield Lack(path, How.REFUSED, f"may only be {', '.join(map(str, there['enum']))}")
        return
    for value in wanted["enum"]:
        if value not in there["enum"]:
            yield Lack(path, How.REFUSED, f"may not be {value}")


def _bounds(wanted: Schema, there: Schema, path: str) -> Iterator[Lack]:
    """Those that are narrower. An exclusive bound is narrower than the same one inclusive."""
    for bound in _UPPER + _LOWER:
        if bound not in there:
            continue
        sign = 1 if bound in _UPPER else -1
        given = wanted.get(bound)
        exclusive = f"exclusive{bound[0].upper()}{bound[1:]}"
        narrower = given is None or sign * there[bound] < sign * given
        if narrower or (there[bound] == given and there.get(exclusive, False) and not wanted.get(exclusive, False)):
            yield Lack(path, How.REFUSED, f"has {bound} {there[bound]}")
    for key in ("pattern", "format"):
        if key in there and there[key] != wanted.get(key):
            yield Lack(path, How.REFUSED, f"has {key} {there[key]}")


def _rules(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    for each in schema.get(_RULES) or ():
        yield path, str(each["rule"])
    for name, field in (schema.get("properties") or {}).items():
        yield from _rules(field, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(key), Mapping):
            yield from _rules(schema[key], f"{path}{mark}")


def first_of(found: tuple[Lack, ...], most: int = 3) -> str:
    """The first of them in words, and how many more there are."""
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(map(str, found[:most])) + more


__all__ = ["How", "Lack", "Schema", "first_of", "lacks", "rules_differ"]

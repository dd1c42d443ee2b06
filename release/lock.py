"""uv.lock as data: which distributions, of which index, by which hashes, and what each extra brings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker

ROOT: Final = Path(__file__).resolve().parents[1]
PROJECT: Final = "syncrollout"


@dataclass(frozen=True, slots=True)
class File:
    """A wheel or sdist, as the lock has it."""

    url: str
    hash: str
    """`sha256:` and the digest; empty where the lock has none."""


@dataclass(frozen=True, slots=True)
class Need:
    """That one distribution asks for another."""

    name: str
    marker: str = ""
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Locked:
    """One distribution in one version."""

    name: str
    version: str
    registry: str
    """The index; empty for the project itself, and for what comes from elsewhere."""
    source: Mapping[str, Any]
    files: tuple[File, ...]
    needs: tuple[Need, ...]
    of_extras: Mapping[str, tuple[Need, ...]]
    of_groups: Mapping[str, tuple[Need, ...]]
    here: bool
    """It is for this Python and platform, among several versions of the name."""


def normal(name: str) -> str:
    """A distribution's name as an index knows it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def every(text: str) -> list[Locked]:
    """All of them; one that differs by Python or platform is there once for each."""
    return [_locked(each) for each in tomllib.loads(text)["package"]]


def read(text: str) -> dict[str, Locked]:
    """By name: those of this Python and platform, and of what is for others alone the last."""
    found: dict[str, Locked] = {}
    for each in every(text):
        if each.name not in found or each.here:
            found[each.name] = each
    return found


def _locked(each: Mapping[str, Any]) -> Locked:
    markers = each.get("resolution-markers")
    files = [*each.get("wheels", ()), *([each["sdist"]] if "sdist" in each else [])]
    return Locked(
        name=str(each["name"]),
        version=str(each.get("version", "")),
        registry=str(each["source"].get("registry", "")),
        source=each["source"],
        files=tuple(File(str(file.get("url", "")), str(file.get("hash", ""))) for file in files),
        needs=_needs(each.get("dependencies", ())),
        of_extras={name: _needs(needs) for name, needs in each.get("optional-dependencies", {}).items()},
        of_groups={name: _needs(needs) for name, needs in each.get("dev-dependencies", {}).items()},
        here=not markers or any(Marker(text).evaluate() for text in markers),
    )


def _needs(several: Iterable[Mapping[str, Any]]) -> tuple[Need, ...]:
    return tuple(Need(str(each["name"]), str(each.get("marker", "")), tuple(each.get("extra", ()))) for each in several)


def brought(lock: Mapping[str, Locked], first: Iterable[Need]) -> list[Locked]:
    """All that these need, and what that needs in turn, on this platform and Python; by name, without the project."""
    seen: dict[str, Locked] = {}
    todo = list(first)
    while todo:
        need = todo.pop()
        if need.marker and not Marker(need.marker).evaluate():
            continue
        locked = lock[need.name]
        known = need.name in seen
        seen[need.name] = locked
        todo += [each for extra in need.extras for each in locked.of_extras.get(extra, ()) if each.name not in seen]
        if not known:
            todo += locked.needs
    return [each for name, each in sorted(seen.items()) if name != PROJECT]


def parts(lock: Mapping[str, Locked]) -> Iterator[tuple[str, list[Locked]]]:
    """Each extra and each group of the project, with all that it brings."""
    project = lock[PROJECT]
    for name, needs in project.of_extras.items():
        yield f"extra {name}", brought(lock, needs)
    for name, needs in project.of_groups.items():
        yield f"group {name}", brought(lock, needs)


__all__ = ["PROJECT", "ROOT", "File", "Locked", "Need", "brought", "every", "normal", "parts", "read"]
